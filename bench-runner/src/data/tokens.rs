//! Text as token numbers, and the windows that language models train on.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::hash::Hasher;
use super::{Error, Result, Splits};

/// How text becomes token numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Vocabulary {
    /// The 256 byte values of UTF-8.
    Bytes,
    /// Unicode characters, sorted; a token is a character's position.
    Characters(Vec<char>),
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

    /// How many different tokens there are.
    pub fn size(&self) -> usize {
        match self {
            Self::Bytes => 256,
            Self::Characters(characters) => characters.len(),
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
        }
    }
}

/// A sequence of tokens, two bytes each where the vocabulary allows, else four.
#[derive(Debug, Clone)]
pub struct Tokens {
    bytes: Arc<Vec<u8>>,
    wide: bool,
}

impl PartialEq for Tokens {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Tokens {
    fn new(tokens: &[u32], vocabulary_size: usize) -> Self {
        let wide = vocabulary_size > 1 << 16;
        let bytes = if wide {
            tokens.iter().flat_map(|t| t.to_le_bytes()).collect()
        } else {
            tokens
                .iter()
                .flat_map(|t| (*t as u16).to_le_bytes())
                .collect()
        };
        Self {
            bytes: Arc::new(bytes),
            wide,
        }
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.bytes.len() / if self.wide { 4 } else { 2 }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The token at `index`, if there is one.
    pub fn get(&self, index: usize) -> Option<u32> {
        (index < self.len()).then(|| self.at(index))
    }

    fn at(&self, index: usize) -> u32 {
        let b = &self.bytes;
        if self.wide {
            u32::from_le_bytes([
                b[4 * index],
                b[4 * index + 1],
                b[4 * index + 2],
                b[4 * index + 3],
            ])
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
        let mut inputs = Vec::with_capacity(windows.len() * context);
        let mut targets = Vec::with_capacity(windows.len() * context);
        for &window in windows {
            let window = window as usize;
            if window >= count {
                return Err(Error::setting(
                    "window",
                    window,
                    format!("below {count} ({} tokens, context {context})", self.len()),
                ));
            }
            let first = window * context;
            inputs.extend((first..first + context).map(|i| self.at(i)));
            targets.extend((first + 1..=first + context).map(|i| self.at(i)));
        }
        let shape = (windows.len(), context);
        Ok((
            Tensor::from_vec(inputs, shape, device)?,
            Tensor::from_vec(targets, shape, device)?,
        ))
    }
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
    /// The tokens of a text.
    ///
    /// # Errors
    /// When a character is not in the vocabulary.
    pub fn new(text: &Splits<String>, vocabulary: Vocabulary) -> Result<Self> {
        let tokens = |text: &String| -> Result<Tokens> {
            Ok(Tokens::new(&vocabulary.encode(text)?, vocabulary.size()))
        };
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
            let bytes = part
                .map(|tokens| tokens.bytes.as_slice())
                .unwrap_or_default();
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        }
        hasher.finish()
    }
}
