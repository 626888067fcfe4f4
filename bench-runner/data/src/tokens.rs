//! Text as token numbers, in memory or memory-mapped, and the windows that language models train on.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use memmap2::Mmap;
use rayon::prelude::*;

use crate::atomic::write_atomic;
use crate::hash::Hasher;
use crate::{Error, Result, Splits, Vocabulary};

/// Text is collected to so many bytes, then encoded in parallel.
const BUFFER: usize = 4 << 20;
/// The least size of a piece that one thread encodes.
const PIECE: usize = 64 << 10;
/// The first bytes of a token file: format and version.
const MAGIC: &[u8; 8] = b"tokens02";
/// Magic, bytes per token, tokens, words, lines: eight bytes each.
const FIELDS: usize = 40;
/// The fields, then 64 hexadecimal digits: the SHA-256 of tokens and fields, in this order.
const HEADER: usize = FIELDS + 64;

/// A sequence of tokens, two bytes each where the vocabulary allows, else four.
#[derive(Debug, Clone)]
pub struct Tokens {
    storage: Storage,
    wide: bool,
    words: u64,
    lines: u64,
}

#[derive(Debug, Clone)]
enum Storage {
    Memory(Arc<Vec<u8>>),
    Mapped(Arc<Mmap>),
}

impl PartialEq for Tokens {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Tokens {
    fn bytes(&self) -> &[u8] {
        match &self.storage {
            Storage::Memory(bytes) => bytes,
            Storage::Mapped(map) => &map[HEADER..],
        }
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.bytes().len() / if self.wide { 4 } else { 2 }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// The words of the text: pieces between white space.
    pub fn words(&self) -> u64 {
        self.words
    }

    /// The line ends of the text.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Perplexity per token: exp of the mean negative log-likelihood per token, in nats.
    pub fn perplexity(mean_nll: f64) -> f64 {
        mean_nll.exp()
    }

    /// Perplexity per word: exp of the negative log-likelihood of all tokens over the number of words,
    /// `exp(mean_nll · tokens / (words + lines))`. Line ends count as words, as in the published figures for
    /// WikiText, so that vocabularies can be compared.
    pub fn word_perplexity(&self, mean_nll: f64) -> f64 {
        (mean_nll * self.len() as f64 / (self.words + self.lines) as f64).exp()
    }

    /// The token at `index`, if there is one.
    pub fn get(&self, index: usize) -> Option<u32> {
        (index < self.len()).then(|| self.at(index))
    }

    fn at(&self, index: usize) -> u32 {
        let b = self.bytes();
        if self.wide {
            let at = 4 * index;
            u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
        } else {
            u32::from(u16::from_le_bytes([b[2 * index], b[2 * index + 1]]))
        }
    }

    /// All tokens, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.len()).map(|i| self.at(i))
    }

    /// How many windows of `context` inputs there are; windows do not overlap, and the last tokens
    /// that do not fill one are left out.
    pub fn windows(&self, context: usize) -> usize {
        self.len()
            .saturating_sub(1)
            .checked_div(context)
            .unwrap_or(0)
    }

    /// Inputs and targets `[b, context]` (u32) of the windows numbered `windows`: window i holds the
    /// tokens from i · context on, and each target is the token after its input.
    ///
    /// # Errors
    /// When a window is out of range.
    pub fn batch(
        &self,
        windows: &[u32],
        context: usize,
        device: &Device,
    ) -> Result<(Tensor, Tensor)> {
        let count = self.windows(context);
        if let Some(window) = windows.iter().find(|&&window| window as usize >= count) {
            return Err(Error::setting(
                "window",
                window,
                format!("below {count} ({} tokens, context {context})", self.len()),
            ));
        }
        let mut inputs = Vec::with_capacity(windows.len() * context);
        let mut targets = Vec::with_capacity(windows.len() * context);
        for &window in windows {
            let first = window as usize * context;
            inputs.extend((first..first + context).map(|i| self.at(i)));
            targets.extend((first + 1..=first + context).map(|i| self.at(i)));
        }
        let shape = (windows.len(), context);
        Ok((
            Tensor::from_vec(inputs, shape, device)?,
            Tensor::from_vec(targets, shape, device)?,
        ))
    }

    /// Maps a file that [`write`](Self::write) made, and compares all of it with its checksum; `None` when
    /// there is none, or it is damaged and has to be made again.
    pub(crate) fn map(path: &Path) -> Option<Self> {
        let mut file = File::open(path).ok()?;
        // SAFETY: token files are written under another name, renamed, and never changed afterwards.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(&file) }.ok()?;
        let field = |i: usize| -> Option<u64> {
            Some(u64::from_le_bytes(
                map.get(8 * i..8 * i + 8)?.try_into().ok()?,
            ))
        };
        let (width, count) = (field(1)?, field(2)?);
        let whole = map.len() as u64 == count.checked_mul(width)?.checked_add(HEADER as u64)?;
        if map.get(..8)? != MAGIC || ![2, 4].contains(&width) || !whole {
            return None;
        }
        // Read, not mapped, so that the tokens need not fit into memory.
        let mut hasher = Hasher::new();
        file.seek(SeekFrom::Start(HEADER as u64)).ok()?;
        hasher.read(&mut file).ok()?;
        hasher.update(&map[..FIELDS]);
        if hasher.finish().as_bytes() != &map[FIELDS..HEADER] {
            return None;
        }
        Some(Self {
            wide: width == 4,
            words: field(3)?,
            lines: field(4)?,
            storage: Storage::Mapped(Arc::new(map)),
        })
    }

    /// Encodes the text that `feed` hands over piece by piece into a file at `path`, in constant memory.
    ///
    /// # Errors
    /// When the file cannot be written, a character is not in the vocabulary, or `feed` fails.
    pub(crate) fn write(
        path: &Path,
        vocabulary: &Vocabulary,
        feed: impl FnOnce(&mut dyn FnMut(&str) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        let refused = |error| Error::io("write", path)(error);
        write_atomic(path, refused, |file| {
            let mut file = BufWriter::new(file);
            file.write_all(&[0; HEADER]).map_err(refused)?;
            let mut encoder = Encoder::new(vocabulary);
            let mut hasher = Hasher::new();
            let mut sink = |bytes: &[u8]| {
                hasher.update(bytes);
                file.write_all(bytes).map_err(refused)
            };
            feed(&mut |text| encoder.push(text, &mut sink))?;
            encoder.finish(&mut sink)?;
            let mut header = MAGIC.to_vec();
            let width = if encoder.wide { 4 } else { 2 };
            for field in [width, encoder.tokens, encoder.words, encoder.lines] {
                header.extend_from_slice(&field.to_le_bytes());
            }
            hasher.update(&header);
            header.extend_from_slice(hasher.finish().as_bytes());
            file.seek(SeekFrom::Start(0)).map_err(refused)?;
            file.write_all(&header).map_err(refused)?;
            file.flush().map_err(refused)
        })
    }

    /// Encodes the text that `feed` hands over piece by piece, in memory.
    ///
    /// # Errors
    /// When a character is not in the vocabulary, or `feed` fails.
    pub(crate) fn encode(
        vocabulary: &Vocabulary,
        feed: impl FnOnce(&mut dyn FnMut(&str) -> Result<()>) -> Result<()>,
    ) -> Result<Self> {
        let mut encoder = Encoder::new(vocabulary);
        let mut bytes = Vec::new();
        let mut sink = |part: &[u8]| {
            bytes.extend_from_slice(part);
            Ok(())
        };
        feed(&mut |text| encoder.push(text, &mut sink))?;
        encoder.finish(&mut sink)?;
        Ok(Self {
            storage: Storage::Memory(Arc::new(bytes)),
            wide: encoder.wide,
            words: encoder.words,
            lines: encoder.lines,
        })
    }
}

/// Encodes a text that arrives piece by piece.
struct Encoder<'a> {
    vocabulary: &'a Vocabulary,
    wide: bool,
    buffer: String,
    in_word: bool,
    words: u64,
    lines: u64,
    tokens: u64,
}

impl<'a> Encoder<'a> {
    fn new(vocabulary: &'a Vocabulary) -> Self {
        Self {
            vocabulary,
            wide: vocabulary.size() > 1 << 16,
            buffer: String::new(),
            in_word: false,
            words: 0,
            lines: 0,
            tokens: 0,
        }
    }

    fn push(&mut self, text: &str, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        for c in text.chars() {
            let in_word = !c.is_whitespace();
            self.words += u64::from(in_word && !self.in_word);
            self.lines += u64::from(c == '\n');
            self.in_word = in_word;
        }
        self.buffer.push_str(text);
        if self.buffer.len() >= BUFFER {
            let end = last_cut(&self.buffer);
            self.encode(end, sink)?;
        }
        Ok(())
    }

    fn finish(&mut self, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.encode(self.buffer.len(), sink)
    }

    fn encode(&mut self, end: usize, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let encoded: Vec<Vec<u32>> = pieces(&self.buffer[..end])
            .into_par_iter()
            .map(|piece| self.vocabulary.encode(piece))
            .collect::<Result<_>>()?;
        for tokens in encoded {
            self.tokens += tokens.len() as u64;
            let bytes: Vec<u8> = if self.wide {
                tokens.iter().flat_map(|t| t.to_le_bytes()).collect()
            } else {
                tokens
                    .iter()
                    .flat_map(|t| (*t as u16).to_le_bytes())
                    .collect()
            };
            sink(&bytes)?;
        }
        self.buffer.drain(..end);
        Ok(())
    }
}

/// Whether text may be cut before `at`: there, a space stands between two letters, where every vocabulary
/// begins a new token, so that pieces give the same tokens as the whole.
fn is_cut(text: &[u8], at: usize) -> bool {
    at > 0
        && at + 1 < text.len()
        && text[at] == b' '
        && text[at - 1].is_ascii_alphabetic()
        && text[at + 1].is_ascii_alphabetic()
}

fn last_cut(text: &str) -> usize {
    let bytes = text.as_bytes();
    (0..bytes.len())
        .rev()
        .find(|&at| is_cut(bytes, at))
        .unwrap_or(0)
}

fn pieces(text: &str) -> Vec<&str> {
    let bytes = text.as_bytes();
    let mut pieces = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let end = (start + PIECE..text.len())
            .find(|&at| is_cut(bytes, at))
            .unwrap_or(text.len());
        pieces.push(&text[start..end]);
        start = end;
    }
    pieces
}

/// The parts of a text as tokens of one vocabulary.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenSet {
    /// The parts.
    pub parts: Splits<Tokens>,
    /// How text became tokens.
    pub vocabulary: Vocabulary,
}

impl TokenSet {
    /// The tokens of a text in memory.
    ///
    /// # Errors
    /// When a character is not in the vocabulary.
    pub fn new(text: &Splits<String>, vocabulary: Vocabulary) -> Result<Self> {
        let tokens = |text: &String| Tokens::encode(&vocabulary, |sink| sink(text));
        Ok(Self {
            parts: Splits {
                train: tokens(&text.train)?,
                validation: text.validation.as_ref().map(tokens).transpose()?,
                test: tokens(&text.test)?,
            },
            vocabulary,
        })
    }

    /// The SHA-256 of the tokens of all parts.
    pub fn sha256(&self) -> String {
        let mut hasher = Hasher::new();
        let parts = &self.parts;
        for part in [
            Some(&parts.train),
            parts.validation.as_ref(),
            Some(&parts.test),
        ] {
            let bytes = part.map(Tokens::bytes).unwrap_or_default();
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        }
        hasher.finish()
    }
}
