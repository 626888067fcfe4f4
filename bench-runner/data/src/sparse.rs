//! Labelled sparse rows, from LIBSVM text.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use candle_core::{DType, Device, Tensor};

use crate::hash::Hasher;
use crate::{Error, Result, Splits};

/// Letters of a label or an entry, at most, with the space after it.
const LONGEST_ENTRY: u64 = 128;

/// Labelled rows of which only the entries other than zero are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseSet {
    /// Where each row's entries begin, and the end of the last.
    starts: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f32>,
    labels: Vec<f32>,
    features: usize,
}

impl SparseSet {
    /// Reads LIBSVM text: a label, then `index:value` with indices from 1, ascending, up to `features`.
    /// As in SVMlight's files, what follows a `#` is a comment, and `qid:` after a label, which groups rows
    /// for ranking, is ignored.
    ///
    /// # Errors
    /// Names file and line at fault.
    pub fn read(path: &Path, features: usize) -> Result<Self> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let mut set = Self {
            starts: vec![0],
            columns: Vec::new(),
            values: Vec::new(),
            labels: Vec::new(),
            features,
        };
        let most = LONGEST_ENTRY.saturating_mul(features as u64 + 1);
        let mut reader = BufReader::new(file);
        let mut line = String::new();
        for number in 1.. {
            line.clear();
            // A letter more than a row may have tells that there are more.
            let mut row = reader.by_ref().take(most.saturating_add(1));
            if row.read_line(&mut line).map_err(Error::io("read", path))? == 0 {
                break;
            }
            let entries = line.split('#').next().unwrap_or_default().trim();
            let pushed = match line.len() as u64 > most {
                true => Err(format!(
                    "more than {most} letters, expected at most those of {features} features"
                )),
                false if entries.is_empty() => continue,
                false => set.push(entries),
            };
            pushed.map_err(|problem| {
                Error::malformed_row(path.display().to_string(), number, None, problem)
            })?;
        }
        if set.labels.is_empty() {
            return Err(Error::malformed(
                path.display().to_string(),
                "no rows: expected at least one",
            ));
        }
        Ok(set)
    }

    fn push(&mut self, line: &str) -> std::result::Result<(), String> {
        let mut words = line.split_ascii_whitespace().peekable();
        let label = words.next().unwrap_or_default();
        words.next_if(|word| word.starts_with("qid:"));
        let number = |text: &str| text.parse::<f32>().ok().filter(|value| value.is_finite());
        self.labels
            .push(number(label).ok_or_else(|| format!("label `{label}`, expected a number"))?);
        let mut previous = 0;
        for word in words {
            let entry = word
                .split_once(':')
                .and_then(|(index, value)| Some((index.parse::<usize>().ok()?, number(value)?)));
            let Some((index, value)) = entry else {
                return Err(format!("`{word}`, expected index:value"));
            };
            if index <= previous || index > self.features {
                return Err(format!(
                    "index {index} after {previous}, expected ascending indices from 1 to {}",
                    self.features
                ));
            }
            previous = index;
            self.columns.push(index as u32 - 1);
            self.values.push(value);
        }
        self.starts.push(self.columns.len());
        Ok(())
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Always false: an empty set cannot be read.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// How many features a row has.
    pub fn features(&self) -> usize {
        self.features
    }

    /// The labels as they stand in the file, for example −1 and 1.
    pub fn labels(&self) -> &[f32] {
        &self.labels
    }

    /// The entries of one row: columns, counted from 0, and values.
    ///
    /// # Panics
    /// When `row` is not below [`len`](Self::len).
    pub fn row(&self, row: usize) -> (&[u32], &[f32]) {
        let range = self.starts[row]..self.starts[row + 1];
        (&self.columns[range.clone()], &self.values[range])
    }

    /// The rows at `indices`, dense, `[b, features]`, and their labels `[b]`, both of dtype `dtype`.
    ///
    /// # Errors
    /// When an index is out of range, or so many dense rows do not fit into memory.
    pub fn batch(
        &self,
        indices: &[u32],
        device: &Device,
        dtype: DType,
    ) -> Result<(Tensor, Tensor)> {
        let mut dense = Vec::new();
        let size = indices.len().saturating_mul(self.features);
        if dense.try_reserve_exact(size).is_err() {
            let problem = format!("at most as many rows as fit into memory, dense: {size} values");
            return Err(Error::setting("batch_size", indices.len(), problem));
        }
        dense.resize(size, 0f32);
        let mut labels = Vec::with_capacity(indices.len());
        for (&index, target) in indices.iter().zip(dense.chunks_exact_mut(self.features)) {
            let row = index as usize;
            if row >= self.len() {
                return Err(Error::setting(
                    "index",
                    index,
                    format!("0 to {}", self.len() - 1),
                ));
            }
            let (columns, values) = self.row(row);
            for (&column, &value) in columns.iter().zip(values) {
                target[column as usize] = value;
            }
            labels.push(self.labels[row]);
        }
        let rows = Tensor::from_vec(dense, (indices.len(), self.features), device)?;
        let labels = Tensor::from_vec(labels, indices.len(), device)?;
        Ok((rows.to_dtype(dtype)?, labels.to_dtype(dtype)?))
    }

    fn hash_into(&self, hasher: &mut Hasher) {
        hasher.update(&(self.features as u64).to_le_bytes());
        for row in 0..self.len() {
            let (columns, values) = self.row(row);
            hasher.update(&self.labels[row].to_le_bytes());
            hasher.update(&(columns.len() as u64).to_le_bytes());
            for (column, value) in columns.iter().zip(values) {
                hasher.update(&column.to_le_bytes());
                hasher.update(&value.to_le_bytes());
            }
        }
    }
}

impl Splits<SparseSet> {
    /// The SHA-256 of all rows and labels.
    pub fn sha256(&self) -> String {
        let mut hasher = Hasher::new();
        for part in [
            Some(&self.train),
            self.validation.as_ref(),
            Some(&self.test),
        ]
        .into_iter()
        .flatten()
        {
            part.hash_into(&mut hasher);
        }
        hasher.finish()
    }
}
