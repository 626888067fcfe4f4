//! The order in which samples make up mini-batches: a pure function of seed and epoch.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};
use bench_stats::random::{Stream, shuffle, stream, subset};

/// Which samples make up batch `b` of epoch `e`.
///
/// Each epoch is one random permutation of the samples, a pure function of the seed and the epoch:
/// it is the same for every optimizer, whatever ran before and on however many threads, and a run
/// can resume at any step.
///
/// ```
/// use bench_data::BatchOrder;
///
/// # fn main() -> bench_data::Result<()> {
/// let order = BatchOrder::new(0, 10, 4, false)?;
/// assert_eq!(order.batches_per_epoch(), 3);
/// let epoch = order.epoch(7);
/// let mut seen: Vec<u32> = (0..3).flat_map(|b| epoch.batch(b)).collect();
/// seen.sort();
/// assert_eq!(seen, (0..10).collect::<Vec<_>>());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct BatchOrder {
    seed: u64,
    samples: Samples,
    batch_size: usize,
    drop_last: bool,
    overlap: usize,
}

/// How an experiment draws its batches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OrderOptions {
    /// Whether an epoch ends with its last full batch; on by default.
    pub drop_last: bool,
    /// The share of each batch that comes from the batch before it; none by default.
    pub overlap: f64,
}

impl Default for OrderOptions {
    fn default() -> Self {
        Self {
            drop_last: true,
            overlap: 0.0,
        }
    }
}

impl OrderOptions {
    /// Whether all options are as they are without being named.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Samples {
    All(usize),
    Subset(Vec<u32>),
}

impl Samples {
    fn len(&self) -> usize {
        match self {
            Self::All(n) => *n,
            Self::Subset(indices) => indices.len(),
        }
    }
}

impl BatchOrder {
    /// Batches of `batch_size` of the samples 0 to `n` − 1. With `drop_last`, an epoch ends with its
    /// last full batch; otherwise its last batch may be smaller.
    ///
    /// # Errors
    /// When there are no samples, more than `u32` counts, or no batch.
    pub fn new(seed: u64, n: usize, batch_size: usize, drop_last: bool) -> Result<Self> {
        if n == 0 || u32::try_from(n).is_err() {
            return Err(Error::setting("samples", n, "1 to 2^32 − 1"));
        }
        let order = Self {
            seed,
            samples: Samples::All(n),
            batch_size,
            drop_last,
            overlap: 0,
        };
        order.check()?;
        Ok(order)
    }

    /// Batches of `batch_size` of the samples 0 to `n` − 1, or of all where there are fewer, as `options`
    /// have it.
    ///
    /// # Errors
    /// As [`new`](Self::new) and [`with_overlap`](Self::with_overlap).
    pub fn with_options(
        seed: u64,
        n: usize,
        batch_size: usize,
        options: &OrderOptions,
    ) -> Result<Self> {
        Self::new(seed, n, batch_size.min(n), options.drop_last)?.with_overlap(options.overlap)
    }

    /// Uses only `count` of the samples, drawn once for the seed and the same in every epoch.
    ///
    /// # Errors
    /// When `count` is zero or more than there are, or leaves no batch.
    pub fn with_subset(mut self, count: usize) -> Result<Self> {
        let n = self.samples.len();
        if count == 0 || count > n {
            return Err(Error::setting("subset", count, format!("1 to {n} samples")));
        }
        let mut indices = subset(self.all(), count, self.seed);
        indices.sort_unstable();
        self.samples = Samples::Subset(indices);
        self.check()?;
        Ok(self)
    }

    /// Lets each batch share a fraction of its samples with the batch before it, as multi-batch
    /// L-BFGS needs (Berahas, Nocedal and Takáč 2016): the first `fraction · batch_size` samples of a
    /// batch are the last ones of its predecessor, across epochs too. An epoch then has more batches,
    /// since each brings only `(1 − fraction) · batch_size` new samples. Where an epoch begins, a
    /// sample may be both carried over and new, and then counts twice in that batch.
    ///
    /// # Errors
    /// When `fraction` is not in [0, 1), or leaves no new sample.
    pub fn with_overlap(mut self, fraction: f64) -> Result<Self> {
        if !(0.0..1.0).contains(&fraction) {
            return Err(Error::setting("overlap", fraction, "0 ≤ overlap < 1"));
        }
        self.overlap = (fraction * self.batch_size as f64).round() as usize;
        self.check()?;
        Ok(self)
    }

    fn check(&self) -> Result<()> {
        if self.batch_size == 0 || self.overlap >= self.batch_size {
            return Err(Error::setting(
                "batch_size",
                self.batch_size,
                format!("more than the {} samples carried over", self.overlap),
            ));
        }
        if self.batches_per_epoch() == 0 || self.overlap > self.used() {
            return Err(Error::setting(
                "batch_size",
                self.batch_size,
                format!(
                    "at most the {} samples, since the last partial batch is dropped",
                    self.samples.len()
                ),
            ));
        }
        Ok(())
    }

    fn all(&self) -> Vec<u32> {
        match &self.samples {
            Samples::All(n) => (0..*n as u32).collect(),
            Samples::Subset(indices) => indices.clone(),
        }
    }

    /// New samples in each full batch.
    fn stride(&self) -> usize {
        self.batch_size - self.overlap
    }

    /// Samples that an epoch uses.
    fn used(&self) -> usize {
        self.samples
            .len()
            .min(self.batches_per_epoch() * self.stride())
    }

    /// How many batches an epoch has.
    pub fn batches_per_epoch(&self) -> usize {
        if self.drop_last {
            self.samples.len() / self.stride()
        } else {
            self.samples.len().div_ceil(self.stride())
        }
    }

    /// How many samples the order draws from.
    pub fn samples(&self) -> usize {
        self.samples.len()
    }

    /// How many samples at most a batch has.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// How many samples the batch of a step has; the last of an epoch may have fewer than others.
    pub fn batch_size_at(&self, step: u64) -> usize {
        let (_, batch) = self.at_step(step);
        self.overlap + self.stride().min(self.used() - batch * self.stride())
    }

    /// How many samples at the front of a batch are carried over from the batch before it.
    pub fn overlap(&self) -> usize {
        self.overlap
    }

    /// Epoch and batch of a step counted from 0 over all epochs.
    pub fn at_step(&self, step: u64) -> (u64, usize) {
        let batches = self.batches_per_epoch() as u64;
        (step / batches, (step % batches) as usize)
    }

    /// Epoch and batches of several steps in a row, all of the epoch of the first.
    pub fn at_steps(&self, steps: Range<u64>) -> (u64, Range<usize>) {
        let (epoch, first) = self.at_step(steps.start);
        let count = steps.end.saturating_sub(steps.start);
        (epoch, first..first.saturating_add(count as usize))
    }

    /// The batches of one epoch.
    pub fn epoch(&self, epoch: u64) -> EpochOrder {
        let (used, overlap) = (self.used(), self.overlap);
        // The first batch's carried samples end the previous epoch; before epoch 0 there is none, so
        // epoch 0 takes its own end.
        let before = if overlap == 0 {
            Vec::new()
        } else {
            self.permutation(epoch.saturating_sub(1))[used - overlap..used].to_vec()
        };
        let mut indices = before;
        indices.extend_from_slice(&self.permutation(epoch)[..used]);
        EpochOrder {
            indices,
            stride: self.stride(),
            overlap,
        }
    }

    fn permutation(&self, epoch: u64) -> Vec<u32> {
        let mut indices = self.all();
        shuffle(
            &mut stream(self.seed, Stream::BatchOrder, epoch),
            &mut indices,
        );
        indices
    }
}

/// The batches of one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochOrder {
    /// The carried samples of the first batch, then the epoch's permutation.
    indices: Vec<u32>,
    stride: usize,
    overlap: usize,
}

impl EpochOrder {
    /// How many batches there are.
    pub fn len(&self) -> usize {
        (self.indices.len() - self.overlap).div_ceil(self.stride)
    }

    /// Always false: an order has at least one batch.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The samples of batch `batch`, carried ones first; empty past the last batch.
    pub fn batch(&self, batch: usize) -> Vec<u32> {
        self.joined(batch..batch.saturating_add(1))
    }

    /// The samples of several batches in a row, those carried into the first of them first; batches
    /// past the last one have none.
    pub fn joined(&self, batches: Range<usize>) -> Vec<u32> {
        let batches = batches.start..batches.end.min(self.len());
        if batches.is_empty() {
            return Vec::new();
        }
        let first = batches.start * self.stride;
        let last = (batches.end * self.stride + self.overlap).min(self.indices.len());
        self.indices[first..last].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_batches_are_the_single_ones_with_what_they_share_once() -> Result<()> {
        for (drop_last, overlap) in [(true, 0.0), (false, 0.0), (false, 0.25)] {
            let options = OrderOptions { drop_last, overlap };
            let order = BatchOrder::with_options(3, 43, 8, &options)?;
            let epoch = order.epoch(2);
            for first in 0..epoch.len() {
                for end in first + 1..=epoch.len() + 2 {
                    let mut expected = epoch.batch(first);
                    for batch in first + 1..end {
                        let next = epoch.batch(batch);
                        expected.extend(next.iter().skip(order.overlap()));
                    }
                    assert_eq!(
                        epoch.joined(first..end),
                        expected,
                        "{options:?}, {first}, {end}"
                    );
                }
            }
            assert!(epoch.joined(2..2).is_empty());
            assert!(epoch.joined(epoch.len()..usize::MAX).is_empty());
        }
        Ok(())
    }

    #[test]
    fn batches_have_the_size_that_is_told_for_their_step() -> Result<()> {
        for (drop_last, overlap) in [(true, 0.0), (false, 0.0), (true, 0.25), (false, 0.25)] {
            let options = OrderOptions { drop_last, overlap };
            for samples in [8, 23, 24, 25] {
                let order = BatchOrder::with_options(1, samples, 8, &options)?;
                for step in 0..3 * order.batches_per_epoch() as u64 {
                    let (epoch, batch) = order.at_step(step);
                    let size = order.epoch(epoch).batch(batch).len();
                    assert_eq!(
                        order.batch_size_at(step),
                        size,
                        "{options:?}, {samples}, {step}"
                    );
                }
            }
        }
        Ok(())
    }
}
