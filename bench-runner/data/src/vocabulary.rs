//! How text becomes token numbers: bytes, characters, or byte-level byte-pair encodings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::models::{ModelWrapper, TrainerWrapper};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer as HubTokenizer};

use crate::hash::sha256;
use crate::sealed::{seal, unseal};
use crate::{Error, Result, atomic, guarded};

/// Which vocabulary to use, as experiments name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Tokenizer {
    /// The 256 byte values of UTF-8.
    Bytes,
    /// The characters that occur in the dataset.
    Characters,
    /// GPT-2's 50,257 tokens, from the hub or from a folder with `vocab.json` and `merges.txt`.
    Gpt2 {
        /// The folder; without it the hub's files are used.
        folder: Option<PathBuf>,
    },
    /// A byte-level encoding from a `tokenizer.json`.
    File {
        /// The file.
        path: PathBuf,
    },
    /// A byte-level encoding trained on the dataset's training part.
    Bpe {
        /// How many tokens it has, at least 257.
        size: usize,
    },
}

impl Tokenizer {
    /// The least size of a trained encoding: the bytes and one merge.
    pub const SMALLEST_BPE: usize = 257;
    /// The largest size of a trained encoding; the largest published ones have a quarter of it.
    pub const LARGEST_BPE: usize = 1 << 20;

    /// How many tokens it makes at most, where that is known without the data.
    pub fn size(&self) -> Option<usize> {
        match self {
            Self::Bytes => Some(256),
            Self::Gpt2 { .. } => Some(50_257),
            Self::Bpe { size } => Some(*size),
            Self::Characters | Self::File { .. } => None,
        }
    }
}

/// The tokens of a text and their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Vocabulary {
    /// The 256 byte values of UTF-8.
    Bytes,
    /// Unicode characters, sorted; a token is a character's position.
    Characters(Vec<char>),
    /// A byte-level byte-pair encoding.
    Bpe(Bpe),
}

/// A byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019).
#[derive(Debug, Clone)]
pub struct Bpe {
    tokenizer: Arc<HubTokenizer>,
    sha256: String,
}

impl PartialEq for Bpe {
    fn eq(&self, other: &Self) -> bool {
        self.sha256 == other.sha256
    }
}

impl Eq for Bpe {}

impl Bpe {
    fn new(mut tokenizer: HubTokenizer, source: &str) -> Result<Self> {
        let wrong = |problem: String| Error::malformed(source, problem);
        // Text is encoded in pieces, cut before a space between two letters. Only this pre-tokenizer is known to
        // cut there too, so that pieces give the same tokens as the whole.
        let byte_level = match tokenizer.get_pre_tokenizer() {
            Some(PreTokenizerWrapper::ByteLevel(b)) => b.use_regex && !b.add_prefix_space,
            _ => false,
        };
        if !byte_level || tokenizer.get_normalizer().is_some() {
            return Err(wrong("not a byte-level encoding as GPT-2's: expected the pre-tokenizer ByteLevel with its regex and without prefix space, and no normalizer".into()));
        }
        let dropout = match tokenizer.get_model() {
            ModelWrapper::BPE(model) => model.dropout,
            _ => None,
        };
        if let Some(dropout) = dropout.filter(|&share| share != 0.0) {
            return Err(wrong(format!(
                "`dropout` is {dropout}: the same text would give other tokens each time; expected null"
            )));
        }
        for token in tokenizer.get_added_tokens_decoder().values() {
            if token.rstrip || token.content.contains(char::is_whitespace) {
                return Err(wrong(format!(
                    "the added token {:?} reaches across words: expected no white space in it, and no `rstrip`",
                    token.content
                )));
            }
        }
        let vocabulary = tokenizer.get_vocab(true);
        let ids: Vec<u64> = vocabulary.values().map(|&id| u64::from(id)).collect();
        check_ids(&ids).map_err(wrong)?;
        // Bytes without a token of their own would be left out without a word.
        let missing = ByteLevel::alphabet()
            .into_iter()
            .find(|byte| !vocabulary.contains_key(byte.to_string().as_str()));
        if let Some(byte) = missing {
            return Err(wrong(format!(
                "no token for the single byte that is written `{byte}`: expected one for each of the 256"
            )));
        }
        // They are for batches of sentences, and change how many tokens a text has. As in transformers, a file's
        // settings of them do not count.
        let cleared = tokenizer
            .with_padding(None)
            .with_truncation(None)
            .and_then(|tokenizer| tokenizer.to_string(false));
        let json = cleared.map_err(|error| Error::malformed(source, error.to_string()))?;
        Ok(Self {
            sha256: sha256(json.as_bytes()),
            tokenizer: Arc::new(tokenizer),
        })
    }

    fn json(&self) -> std::io::Result<String> {
        self.tokenizer
            .to_string(false)
            .map_err(|error| std::io::Error::other(error.to_string()))
    }

    /// Keeps it in a cache, with a checksum.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn keep(&self, path: &Path) -> Result<()> {
        let kept = self
            .json()
            .and_then(|json| atomic::write(path, &seal(json.as_bytes())));
        kept.map_err(Error::io("write", path))
    }

    /// What [`keep`](Self::keep) kept; `None` when there is nothing, or it is damaged.
    pub(crate) fn kept(path: &Path) -> Option<Self> {
        let bytes = std::fs::read(path).ok()?;
        parse(unseal(&bytes).ok()?, &path.display().to_string()).ok()
    }

    /// Saves it as a `tokenizer.json`, which Python's `tokenizers` reads too.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let saved = self
            .json()
            .and_then(|json| atomic::write(path, json.as_bytes()));
        saved.map_err(Error::io("write", path))
    }
}

/// Token numbers must be 0 to n − 1: they index a model's rows, and the tokenizer's own tables.
fn check_ids(ids: &[u64]) -> std::result::Result<(), String> {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    let too_large = sorted.last().filter(|id| **id >= ids.len() as u64);
    let twice = sorted.windows(2).find(|pair| pair[0] == pair[1]);
    match too_large.or(twice.map(|pair| &pair[0])) {
        None => Ok(()),
        Some(id) => Err(format!(
            "token number {id} is out of range or taken twice: expected 0 to {}, each once",
            ids.len() - 1
        )),
    }
}

/// The tokens and numbers of a JSON object; anything else in it is left to the tokenizer to refuse.
fn numbers(vocabulary: &serde_json::Value) -> BTreeMap<&str, u64> {
    let tokens = vocabulary.as_object().into_iter().flatten();
    tokens
        .filter_map(|(token, id)| Some((token.as_str(), id.as_u64()?)))
        .collect()
}

/// A byte-level encoding from the text of a `tokenizer.json`. Numbers are checked before tables are made
/// of them.
fn parse(json: &[u8], name: &str) -> Result<Bpe> {
    let damaged = |problem: String| Error::malformed(name, problem);
    let value: serde_json::Value =
        serde_json::from_slice(json).map_err(|error| damaged(error.to_string()))?;
    let mut tokens = numbers(&value["model"]["vocab"]);
    let added = value["added_tokens"].as_array().into_iter().flatten();
    tokens.extend(added.filter_map(|t| Some((t["content"].as_str()?, t["id"].as_u64()?))));
    let ids: Vec<u64> = tokens.into_values().collect();
    check_ids(&ids).map_err(damaged)?;
    let parsed = guarded(|| HubTokenizer::from_bytes(json));
    let tokenizer = parsed
        .ok_or_else(|| damaged("not a readable tokenizer".into()))?
        .map_err(|error| damaged(error.to_string()))?;
    Bpe::new(tokenizer, name)
}

fn byte_level(model: BPE) -> HubTokenizer {
    let mut tokenizer = HubTokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, false, true)));
    tokenizer.with_decoder(Some(ByteLevel::new(false, false, true)));
    tokenizer
}

impl Vocabulary {
    /// The characters that occur in any of `texts`.
    ///
    /// # Errors
    /// When there is none.
    pub fn characters<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let characters: std::collections::BTreeSet<char> =
            texts.into_iter().flat_map(str::chars).collect();
        if characters.is_empty() {
            return Err(Error::setting("text", "\"\"", "at least one character"));
        }
        Ok(Self::Characters(characters.into_iter().collect()))
    }

    /// GPT-2's encoding from its two files.
    ///
    /// # Errors
    /// When a file cannot be read or is damaged.
    pub fn gpt2(vocabulary: &Path, merges: &Path) -> Result<Self> {
        let name = vocabulary.display().to_string();
        let damaged = |problem: String| Error::malformed(name.clone(), problem);
        let json = std::fs::read(vocabulary).map_err(Error::io("read", vocabulary))?;
        let tokens: serde_json::Value =
            serde_json::from_slice(&json).map_err(|error| damaged(error.to_string()))?;
        let ids: Vec<u64> = numbers(&tokens).into_values().collect();
        check_ids(&ids).map_err(damaged)?;
        let model = guarded(|| {
            BPE::from_file(&vocabulary.to_string_lossy(), &merges.to_string_lossy()).build()
        });
        let unreadable = |problem: String| {
            let files = format!("{name} or {}", merges.display());
            Error::malformed(files, problem)
        };
        let model = model
            .ok_or_else(|| unreadable("not a readable vocabulary with merges".into()))?
            .map_err(|error| unreadable(error.to_string()))?;
        let mut tokenizer = byte_level(model);
        tokenizer
            .add_special_tokens([AddedToken::from("<|endoftext|>", true)])
            .map_err(|error| damaged(error.to_string()))?;
        Ok(Self::Bpe(Bpe::new(tokenizer, &name)?))
    }

    /// A byte-level encoding from a `tokenizer.json`.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or holds another kind of tokenizer.
    pub fn from_file(path: &Path) -> Result<Self> {
        let json = std::fs::read(path).map_err(Error::io("read", path))?;
        Ok(Self::Bpe(parse(&json, &path.display().to_string())?))
    }

    /// Trains a byte-level encoding of `size` tokens on `text`.
    ///
    /// # Errors
    /// When `size` is below 257, above 2²⁰, or more than the text yields.
    pub fn train_bpe(text: &str, size: usize) -> Result<Self> {
        let (least, most) = (Tokenizer::SMALLEST_BPE, Tokenizer::LARGEST_BPE);
        if !(least..=most).contains(&size) {
            return Err(Error::setting(
                "size",
                size,
                format!("at least {least}, the bytes and one merge, and at most {most}"),
            ));
        }
        let trainer = BpeTrainer::builder()
            .vocab_size(size)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .show_progress(false)
            .build();
        let mut tokenizer = byte_level(BPE::default());
        tokenizer
            .train(
                &mut TrainerWrapper::from(trainer),
                text.split_inclusive('\n'),
            )
            .map_err(|error| Error::malformed("training text", error.to_string()))?;
        let found = tokenizer.get_vocab_size(true);
        if found != size {
            return Err(Error::setting(
                "size",
                size,
                format!("at most {found}, as many as the text yields"),
            ));
        }
        Ok(Self::Bpe(Bpe::new(tokenizer, "training text")?))
    }

    /// How many different tokens there are.
    pub fn size(&self) -> usize {
        match self {
            Self::Bytes => 256,
            Self::Characters(characters) => characters.len(),
            Self::Bpe(bpe) => bpe.tokenizer.get_vocab_size(true),
        }
    }

    /// The tokens of `text`.
    ///
    /// # Errors
    /// When a character is not in the vocabulary.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        match self {
            Self::Bytes => Ok(text.bytes().map(u32::from).collect()),
            Self::Characters(characters) => text
                .chars()
                .map(|c| match characters.binary_search(&c) {
                    Ok(token) => Ok(token as u32),
                    Err(_) => Err(Error::setting(
                        "character",
                        format!("{c:?}"),
                        format!("one of the vocabulary's {}", characters.len()),
                    )),
                })
                .collect(),
            Self::Bpe(bpe) => match guarded(|| bpe.tokenizer.encode_fast(text, false)) {
                Some(Ok(encoding)) => Ok(encoding.get_ids().to_vec()),
                Some(Err(error)) => Err(Error::malformed("text", error.to_string())),
                None => Err(Error::malformed("text", "the tokenizer cannot encode it")),
            },
        }
    }

    /// The text of `tokens`; what is no valid text becomes U+FFFD.
    pub fn decode(&self, tokens: &[u32]) -> String {
        match self {
            Self::Bytes => {
                let bytes: Vec<u8> = tokens.iter().map(|&t| t as u8).collect();
                String::from_utf8_lossy(&bytes).into_owned()
            }
            Self::Characters(characters) => tokens
                .iter()
                .map(|&t| characters.get(t as usize).copied().unwrap_or('\u{fffd}'))
                .collect(),
            Self::Bpe(bpe) => bpe.tokenizer.decode(tokens, false).unwrap_or_default(),
        }
    }

    /// The SHA-256 of what defines it.
    pub fn sha256(&self) -> String {
        match self {
            Self::Bytes => sha256(b"bytes"),
            Self::Characters(characters) => {
                let text: String = characters.iter().collect();
                sha256(format!("characters {text}").as_bytes())
            }
            Self::Bpe(bpe) => bpe.sha256.clone(),
        }
    }
}
