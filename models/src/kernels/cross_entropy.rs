//! Cross-entropy of logits and class indices.

use std::sync::OnceLock;

use candle_core::Shape;
use rayon::prelude::*;

use super::parallel::{max_of, rows_per_piece, sum_of};
use super::{Float, Function, for_each_row_block, from_row_blocks, vectorized};

/// The mean over the targets t of `lse(x) - (1 - s) x_t - s mean(x)`, where lse is the logarithm of
/// the sum of exponentials and s the label smoothing. A target is a class, or `None` and then
/// ignored; at least one is a class.
pub(crate) struct MeanCrossEntropy {
    pub(super) classes: usize,
    pub(super) targets: Vec<Option<u32>>,
    /// How many targets are classes.
    pub(super) count: f64,
    pub(super) smoothing: f64,
    log_sums: OnceLock<Vec<f64>>,
}

impl MeanCrossEntropy {
    pub(crate) fn new(classes: usize, targets: Vec<Option<u32>>, smoothing: f64) -> Self {
        Self {
            classes,
            count: targets.iter().flatten().count() as f64,
            targets,
            smoothing,
            log_sums: OnceLock::new(),
        }
    }

    /// The logarithm of the sum of exponentials of each row whose target is a class.
    fn log_sums<T: Float>(&self, logits: &[T]) -> Vec<f64> {
        let piece = rows_per_piece(self.classes);
        self.targets
            .par_chunks(piece)
            .zip(logits.par_chunks(piece * self.classes))
            .flat_map_iter(|(targets, rows)| {
                let rows = rows.chunks_exact(self.classes);
                rows.zip(targets).map(|(row, target)| match target {
                    Some(_) => vectorized(
                        #[inline(always)]
                        || {
                            let max = max_of(row);
                            (max + sum_of(
                                row,
                                #[inline(always)]
                                |x| (x - max).exp(),
                            )
                            .ln())
                            .to_f64()
                        },
                    ),
                    None => 0.0,
                })
            })
            .collect()
    }

    /// Replaces the logits by the gradient with respect to them; `gradient` is that with respect to
    /// the loss.
    pub(crate) fn differentiate_in_place<T: Float>(&self, logits: &mut [T], gradient: T) {
        let log_sums = self.log_sums.get_or_init(|| self.log_sums(logits));
        for_each_row_block(
            logits,
            self.classes,
            #[inline(always)]
            |first, rows| {
                self.differentiate(first, rows, log_sums, gradient);
            },
        );
    }

    /// As [`Self::differentiate_in_place`], of the rows from `first` on.
    #[inline(always)]
    fn differentiate<T: Float>(&self, first: usize, rows: &mut [T], log_sums: &[f64], gradient: T) {
        let scale = T::from_f64(gradient.to_f64() / self.count);
        let spread = T::from_f64(self.smoothing / self.classes as f64);
        let peak = T::from_f64(1.0 - self.smoothing);
        for (i, row) in rows.chunks_exact_mut(self.classes).enumerate() {
            let Some(target) = self.targets[first + i] else {
                row.fill(T::zero());
                continue;
            };
            let log_sum = T::from_f64(log_sums[first + i]);
            for x in row.iter_mut() {
                *x = ((*x - log_sum).exp() - spread) * scale;
            }
            row[target as usize] -= peak * scale;
        }
    }
}

impl Function<1> for MeanCrossEntropy {
    const NAME: &'static str = "cross-entropy";

    fn shape(&self) -> Shape {
        Shape::from(())
    }

    fn forward<T: Float>(&self, [logits]: [&[T]; 1]) -> Vec<T> {
        let log_sums = self.log_sums.get_or_init(|| self.log_sums(logits));
        let rows = logits.chunks_exact(self.classes);
        let mut total = 0.0;
        for ((row, target), log_sum) in rows.zip(&self.targets).zip(log_sums) {
            if let Some(target) = target {
                total += log_sum - (1.0 - self.smoothing) * row[*target as usize].to_f64();
                if self.smoothing > 0.0 {
                    let mean = sum_of(
                        row,
                        #[inline(always)]
                        |x| x,
                    )
                    .to_f64()
                        / self.classes as f64;
                    total -= self.smoothing * mean;
                }
            }
        }
        vec![T::from_f64(total / self.count)]
    }

    fn backward<T: Float>(
        &self,
        [logits]: [&[T]; 1],
        _output: &[T],
        gradient: &[T],
        _needed: [bool; 1],
    ) -> [Option<Vec<T>>; 1] {
        let log_sums = self.log_sums.get_or_init(|| self.log_sums(logits));
        let result = from_row_blocks(
            logits.len(),
            self.classes,
            #[inline(always)]
            |first, rows| {
                rows.copy_from_slice(&logits[first * self.classes..][..rows.len()]);
                self.differentiate(first, rows, log_sums, gradient[0]);
            },
        );
        [Some(result)]
    }
}
