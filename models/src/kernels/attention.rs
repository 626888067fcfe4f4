//! Causal multi-head attention from packed queries, keys and values.

use candle_core::Shape;
use rayon::prelude::*;

use super::dropout::DropoutMask;
use super::matmul::{Matrix, Target, Write, product};
use super::parallel::zeros;
use super::parallel::{max_of, sum_of, sum_of_products};
use super::{Float, Function, vectorized};

/// How many queries are handled at once. Their scores stay in the cache, and keys that none of them
/// may see are skipped.
const QUERIES: usize = 64;

/// Scaled dot-product attention in which position t sees positions up to t.
///
/// The input has shape `[batch, time, 3 * heads * head_width]`: queries, keys and values side by
/// side, each with its heads side by side. The backward pass computes the probabilities again (as
/// in FlashAttention, Dao et al. 2022), so that memory grows with `time` and not with its square.
pub(crate) struct Attend {
    pub(crate) batch: usize,
    pub(crate) time: usize,
    pub(crate) heads: usize,
    pub(crate) head_width: usize,
    pub(crate) dropout: Option<DropoutMask>,
}

/// One head of one batch element.
struct Head<'a, T> {
    queries: &'a [T],
    keys: &'a [T],
    values: &'a [T],
    stride: usize,
    width: usize,
    /// The index of its first probability among those of all heads.
    first: usize,
}

impl<'a, T: Float> Head<'a, T> {
    fn matrix(&self, part: &'a [T], start: usize, rows: usize) -> Matrix<'a, T> {
        Matrix::strided(&part[start * self.stride..], rows, self.width, self.stride)
    }
}

impl Attend {
    pub(super) fn width(&self) -> usize {
        self.heads * self.head_width
    }

    /// Where a head's queries start in the input, and where its output starts in the output.
    fn offsets(&self, task: usize) -> (usize, usize) {
        let (batch, head) = (task / self.heads, task % self.heads);
        let row = batch * self.time * self.width();
        (
            3 * row + head * self.head_width,
            row + head * self.head_width,
        )
    }

    fn head<'a, T>(&self, input: &'a [T], task: usize) -> Head<'a, T> {
        let (start, _) = self.offsets(task);
        let width = self.width();
        Head {
            queries: &input[start..],
            keys: &input[start + width..],
            values: &input[start + 2 * width..],
            stride: 3 * width,
            width: self.head_width,
            first: task * self.time * self.time,
        }
    }

    pub(super) fn scale<T: Float>(&self) -> T {
        T::from_f64(1.0 / (self.head_width as f64).sqrt())
    }

    /// The starts and ends of the blocks of queries, last block first.
    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> {
        let time = self.time;
        (0..time.div_ceil(QUERIES))
            .rev()
            .map(move |block| (block * QUERIES, ((block + 1) * QUERIES).min(time)))
    }

    /// The probabilities of queries `start..end` over keys `0..end`.
    fn probabilities<T: Float>(&self, head: &Head<T>, start: usize, end: usize, output: &mut [T]) {
        let queries = head.matrix(head.queries, start, end - start);
        let keys = head.matrix(head.keys, 0, end).transposed();
        let target = Target::new(output, end);
        // SAFETY: `output` is exclusive and holds `end - start` rows of `end` scores.
        unsafe { product(queries, keys, self.scale(), target, Write::Replace) };
        vectorized(
            #[inline(always)]
            || {
                for (i, row) in output.chunks_exact_mut(end).enumerate() {
                    let (seen, hidden) = row.split_at_mut(start + i + 1);
                    let max = max_of(seen);
                    for score in seen.iter_mut() {
                        *score = (*score - max).exp();
                    }
                    let reciprocal = T::one()
                        / sum_of(
                            seen,
                            #[inline(always)]
                            |p| p,
                        );
                    for probability in seen {
                        *probability *= reciprocal;
                    }
                    hidden.fill(T::zero());
                }
            },
        );
    }

    /// Multiplies the probabilities of queries from `start` on, or their gradients, by the dropout
    /// factors.
    fn drop_out<T: Float>(&self, head: &Head<T>, start: usize, end: usize, values: &mut [T]) {
        if let Some(mask) = self.dropout {
            for (i, row) in values.chunks_exact_mut(end).enumerate() {
                let first = head.first + (start + i) * self.time;
                mask.apply(first, row, |value, factor| *value *= factor);
            }
        }
    }

    /// Writes one head's gradients of queries, keys and values.
    ///
    /// With P the probabilities, D the dropout factors and dO the output's gradient:
    /// dV = (P D)^T dO, dP = (dO V^T) D, dS = P (dP - rowsum(dO O)), dQ = dS K, dK = dS^T Q.
    ///
    /// # Safety
    /// Nobody else may access this head's part of `target` meanwhile.
    unsafe fn backward_head<T: Float>(
        &self,
        head: &Head<T>,
        output: &[T],
        gradient: &[T],
        target: Target<T>,
    ) {
        let width = self.width();
        let scale = self.scale();
        let size = QUERIES.min(self.time) * self.time;
        let (mut dropped, mut scores) = (vec![T::zero(); size], vec![T::zero(); size]);
        let mut write = Write::Replace;
        for (start, end) in self.blocks() {
            let rows = end - start;
            let probabilities = &mut dropped[..rows * end];
            let scores = &mut scores[..rows * end];
            self.probabilities(head, start, end, probabilities);
            let gradients =
                Matrix::strided(&gradient[start * width..], rows, self.head_width, width);
            let values = head.matrix(head.values, 0, end);
            // SAFETY: `scores` is exclusive and of the product's size.
            unsafe {
                let target = Target::new(scores, end);
                product(
                    gradients,
                    values.transposed(),
                    T::one(),
                    target,
                    Write::Replace,
                );
            }
            self.drop_out(head, start, end, scores);
            vectorized(
                #[inline(always)]
                || {
                    let rows = scores.chunks_exact_mut(end);
                    for (i, (scores, row)) in rows.zip(probabilities.chunks_exact(end)).enumerate()
                    {
                        let at = (start + i) * width;
                        let output = &output[at..][..self.head_width];
                        let gradient = &gradient[at..][..self.head_width];
                        let mean = sum_of_products(
                            output,
                            gradient,
                            #[inline(always)]
                            |o, g| o * g,
                        );
                        for (score, probability) in scores.iter_mut().zip(row) {
                            *score = *probability * (*score - mean);
                        }
                    }
                },
            );
            let scores = Matrix::new(scores, rows, end);
            let queries = head.matrix(head.queries, start, rows);
            let keys = head.matrix(head.keys, 0, end);
            // SAFETY: the caller gives this head's part of the target to this call alone.
            unsafe {
                let query_target = target.at(start * head.stride);
                product(scores, keys, scale, query_target, Write::Replace);
                product(scores.transposed(), queries, scale, target.at(width), write);
            }
            self.drop_out(head, start, end, probabilities);
            let probabilities = Matrix::new(probabilities, rows, end).transposed();
            // SAFETY: as above.
            unsafe {
                product(
                    probabilities,
                    gradients,
                    T::one(),
                    target.at(2 * width),
                    write,
                )
            };
            write = Write::Add;
        }
    }
}

impl Function<1> for Attend {
    const NAME: &'static str = "causal-attention";

    fn shape(&self) -> Shape {
        Shape::from((self.batch, self.time, self.width()))
    }

    fn forward<T: Float>(&self, [input]: [&[T]; 1]) -> Vec<T> {
        let width = self.width();
        let mut output = zeros(self.batch * self.time * width);
        let target = Target::new(&mut output, width);
        (0..self.batch * self.heads)
            .into_par_iter()
            .for_each(|task| {
                let head = self.head(input, task);
                let target = target.at(self.offsets(task).1);
                let mut scratch = vec![T::zero(); QUERIES.min(self.time) * self.time];
                for (start, end) in self.blocks() {
                    let probabilities = &mut scratch[..(end - start) * end];
                    self.probabilities(&head, start, end, probabilities);
                    self.drop_out(&head, start, end, probabilities);
                    let probabilities = Matrix::new(probabilities, end - start, end);
                    let values = head.matrix(head.values, 0, end);
                    // SAFETY: rows and columns of the output belong to one batch element and head,
                    // thus to one task.
                    unsafe {
                        let target = target.at(start * width);
                        product(probabilities, values, T::one(), target, Write::Replace);
                    }
                }
            });
        output
    }

    fn backward<T: Float>(
        &self,
        [input]: [&[T]; 1],
        output: &[T],
        gradient: &[T],
        _needed: [bool; 1],
    ) -> [Option<Vec<T>>; 1] {
        let mut result = zeros(input.len());
        let target = Target::new(&mut result, 3 * self.width());
        (0..self.batch * self.heads)
            .into_par_iter()
            .for_each(|task| {
                let (input_start, output_start) = self.offsets(task);
                let head = self.head(input, task);
                let (output, gradient) = (&output[output_start..], &gradient[output_start..]);
                // SAFETY: rows and columns of the result belong to one batch element and head, thus
                // to one task.
                unsafe { self.backward_head(&head, output, gradient, target.at(input_start)) };
            });
        [Some(result)]
    }
}
