//! How text becomes token numbers: bytes, characters, or byte-level byte-pair encodings.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer as HubTokenizer};

use crate::atomic::write_atomic;
use crate::hash::sha256;
use crate::{Error, Result};

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
    fn new(tokenizer: HubTokenizer, source: &str) -> Result<Self> {
        // Text is encoded in pieces, cut before a space between two letters. Only this pre-tokenizer is known to
        // cut there too, so that pieces give the same tokens as the whole.
        let byte_level = match tokenizer.get_pre_tokenizer() {
            Some(PreTokenizerWrapper::ByteLevel(b)) => b.use_regex && !b.add_prefix_space,
            _ => false,
        };
        if !byte_level || tokenizer.get_normalizer().is_some() {
            return Err(Error::malformed(
                source,
                "not a byte-level encoding as GPT-2's: expected the pre-tokenizer ByteLevel with its regex and without prefix space, and no normalizer",
            ));
        }
        let json = tokenizer
            .to_string(false)
            .map_err(|error| Error::malformed(source, error.to_string()))?;
        Ok(Self {
            sha256: sha256(json.as_bytes()),
            tokenizer: Arc::new(tokenizer),
        })
    }

    /// Saves it as a `tokenizer.json`, which Python's `tokenizers` reads too.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let refused = |error| Error::io("write", path)(error);
        let json = self
            .tokenizer
            .to_string(false)
            .map_err(|error| refused(std::io::Error::other(error.to_string())))?;
        write_atomic(path, refused, |file| {
            file.write_all(json.as_bytes()).map_err(refused)
        })
    }
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
        let damaged = |error: tokenizers::Error| Error::malformed(name.clone(), error.to_string());
        let model = BPE::from_file(&vocabulary.to_string_lossy(), &merges.to_string_lossy())
            .build()
            .map_err(damaged)?;
        let mut tokenizer = byte_level(model);
        tokenizer
            .add_special_tokens([AddedToken::from("<|endoftext|>", true)])
            .map_err(damaged)?;
        Ok(Self::Bpe(Bpe::new(tokenizer, &name)?))
    }

    /// A byte-level encoding from a `tokenizer.json`.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or holds another kind of tokenizer.
    pub fn from_file(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let tokenizer = HubTokenizer::from_file(path)
            .map_err(|error| Error::malformed(name.clone(), error.to_string()))?;
        Ok(Self::Bpe(Bpe::new(tokenizer, &name)?))
    }

    /// Trains a byte-level encoding of `size` tokens on `text`.
    ///
    /// # Errors
    /// When `size` is below 257, or more than the text yields.
    pub fn train_bpe(text: &str, size: usize) -> Result<Self> {
        if size < Tokenizer::SMALLEST_BPE {
            return Err(Error::setting(
                "size",
                size,
                format!(
                    "at least {}: the bytes and one merge",
                    Tokenizer::SMALLEST_BPE
                ),
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
            Self::Bpe(bpe) => match bpe.tokenizer.encode_fast(text, false) {
                Ok(encoding) => Ok(encoding.get_ids().to_vec()),
                Err(error) => Err(Error::malformed("text", error.to_string())),
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
