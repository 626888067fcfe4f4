//! Draws from seeded streams whose values are fixed for good, whatever versions libraries have.

use rand_chacha::rand_core::RngCore;

/// A number below `bound`, from the high half of a 64×64-bit product. Without rejection the
/// probabilities differ by less than `bound` / 2⁶⁴, which no dataset can show.
pub(crate) fn below(generator: &mut impl RngCore, bound: usize) -> usize {
    ((u128::from(generator.next_u64()) * bound as u128) >> 64) as usize
}

/// A number in [0, 1) with 53 random bits.
pub(crate) fn unit(generator: &mut impl RngCore) -> f64 {
    (generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Fisher–Yates. Written out because the draws of library shuffles change between versions, and a
/// seed must mean the same order for good.
pub(crate) fn shuffle<T>(generator: &mut impl RngCore, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(generator, last + 1));
    }
}
