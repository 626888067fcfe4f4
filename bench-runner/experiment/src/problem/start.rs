//! Where runs start, and the normal draws for that.

use bench_stats::random::{Stream, stream};
use rand_distr::{Distribution, StandardNormal};

/// A start for each seed: the given one for seed 0, for the others a point near it. Each coordinate
/// is shifted by a normal draw of standard deviation 0.1, since runs of a deterministic function
/// from one point would all be the same.
pub(super) fn shifted(mut start: Vec<f64>, seed: u64) -> Vec<f64> {
    if seed != 0 {
        let shifts = normals(seed, Stream::Init, 0);
        for (x, shift) in start.iter_mut().zip(shifts) {
            *x += 0.1 * shift;
        }
    }
    start
}

/// Standard normal draws of a purpose at a step.
pub(super) fn normals(seed: u64, purpose: Stream, index: u64) -> impl Iterator<Item = f64> {
    StandardNormal.sample_iter(stream(seed, purpose, index))
}
