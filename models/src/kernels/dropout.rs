//! Units dropped at random.

use candle_core::Shape;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Float, Function, for_each_row_block};

/// The random factors of one dropout layer in one pass: 0 with probability `rate`, else `1 / (1 -
/// rate)`. Factor i is made from word i of a random stream. So the backward pass can draw the same
/// factors again, and none is ever stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DropoutMask {
    pub(crate) rate: f64,
    pub(crate) seed: u64,
    pub(crate) stream: u64,
}

impl DropoutMask {
    /// Random words below this drop their element.
    pub(super) fn threshold(&self) -> u32 {
        (self.rate * 2f64.powi(32)) as u32
    }

    /// The factor of elements that are kept.
    pub(super) fn keep(&self) -> f64 {
        1.0 / (1.0 - self.rate)
    }

    /// Calls `work` with the factors of the elements from `start` on, one for each element of
    /// `values`.
    #[inline(always)]
    pub(crate) fn apply<T: Float>(&self, start: usize, values: &mut [T], work: impl Fn(&mut T, T)) {
        let threshold = self.threshold();
        let keep = T::from_f64(self.keep());
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(self.stream);
        rng.set_word_pos(start as u128);
        for value in values {
            let factor = if rng.next_u32() < threshold {
                T::zero()
            } else {
                keep
            };
            work(value, factor);
        }
    }

    /// The factors of the first `count` elements.
    pub(crate) fn factors<T: Float>(&self, count: usize) -> Vec<T> {
        let mut factors = vec![T::zero(); count];
        for_each_row_block(
            &mut factors,
            1,
            #[inline(always)]
            |start, factors| {
                self.apply(start, factors, |value, factor| *value = factor);
            },
        );
        factors
    }
}

/// The product of a tensor with random factors.
pub(crate) struct DropOut {
    pub(crate) mask: DropoutMask,
    pub(crate) shape: Shape,
}

impl DropOut {
    /// Multiplies all values by their factors.
    pub(super) fn scale_in_place<T: Float>(mask: DropoutMask, values: &mut [T]) {
        for_each_row_block(
            values,
            1,
            #[inline(always)]
            |start, values| {
                mask.apply(start, values, |value, factor| *value *= factor);
            },
        );
    }

    fn scale<T: Float>(&self, values: &[T]) -> Vec<T> {
        let mut result = values.to_vec();
        Self::scale_in_place(self.mask, &mut result);
        result
    }
}

impl Function<1> for DropOut {
    const NAME: &'static str = "dropout";

    fn shape(&self) -> Shape {
        self.shape.clone()
    }

    fn forward<T: Float>(&self, [input]: [&[T]; 1]) -> Vec<T> {
        self.scale(input)
    }

    fn backward<T: Float>(
        &self,
        _inputs: [&[T]; 1],
        _output: &[T],
        gradient: &[T],
        _needed: [bool; 1],
    ) -> [Option<Vec<T>>; 1] {
        [Some(self.scale(gradient))]
    }
}
