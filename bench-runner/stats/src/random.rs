//! Random streams on the host: one per seed, purpose and index, so that no draw depends on what
//! else was drawn, on threads or on the device; and draws whose values are fixed for good, whatever
//! versions libraries have.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;

/// What a random stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Stream {
    /// Starting points.
    Init = 1,
    /// The order of samples; the index is the epoch.
    BatchOrder = 2,
    /// Gradient noise; the index is the step.
    Noise = 3,
    /// Dropout masks; the index is the step.
    Dropout = 4,
    /// Augmentation; the index is the epoch.
    Augmentation = 5,
    /// The split into training, validation and test data.
    Split = 6,
    /// Resampling in statistics.
    Bootstrap = 7,
    /// The part of the training data that a run uses.
    Subset = 8,
    /// Directions in which a loss is looked at; the index is the direction's number.
    Direction = 9,
    /// Samples of synthetic data.
    Data = 10,
    /// Seeds of runs that are to share no draw with others of their seed; the index is a number of
    /// the entry's choice.
    Seed = 11,
    /// Perturbations of the start, of rounding size; the index is the perturbation's number.
    Perturbation = 12,
}

/// The generator of a purpose at an index.
pub fn stream(seed: u64, purpose: Stream, index: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Streams are 64 bits wide: 2^56 indices per purpose.
    rng.set_stream(((purpose as u64) << 56) | (index & ((1 << 56) - 1)));
    rng
}

/// A number below `bound`, from the high half of a 64×64-bit product. Without rejection the
/// probabilities differ by less than `bound` / 2⁶⁴, which no dataset can show.
pub fn below(generator: &mut impl RngCore, bound: usize) -> usize {
    ((u128::from(generator.next_u64()) * bound as u128) >> 64) as usize
}

/// A number in [0, 1) with 53 random bits.
pub fn unit(generator: &mut impl RngCore) -> f64 {
    (generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Fisher–Yates. Written out because the draws of library shuffles change between versions, and a
/// seed must mean the same order for good.
pub fn shuffle<T>(generator: &mut impl RngCore, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(generator, last + 1));
    }
}

/// `count` of the items, or all where there are fewer, drawn for a seed, in the order drawn.
pub fn subset<T>(mut items: Vec<T>, count: usize, seed: u64) -> Vec<T> {
    shuffle(&mut stream(seed, Stream::Subset, 0), &mut items);
    items.truncate(count);
    items
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn streams_differ_by_seed_purpose_and_index() {
        let draw = |seed, purpose, index| stream(seed, purpose, index).random::<u64>();
        let first = draw(0, Stream::Noise, 0);
        assert_eq!(first, draw(0, Stream::Noise, 0));
        assert_ne!(first, draw(1, Stream::Noise, 0));
        assert_ne!(first, draw(0, Stream::Init, 0));
        assert_ne!(first, draw(0, Stream::Noise, 1));
    }
}
