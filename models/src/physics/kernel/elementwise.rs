//! The activation's pass over a tile and its transpose, and the few sums beside the products.

use super::real::Real;
use crate::physics::activation::{Activation, Curve, Gelu, Sine, Tanh};
use crate::physics::jet::Orders;

/// How many elements go through all channels before the next ones: their derivatives stay in the
/// first-level cache.
const CHUNK: usize = 256;

/// With z the affine channels and a the activated ones:
/// a = σ(z), a_x = σ′ z_x, a_xx = σ″ z_x² + σ′ z_xx, and the same for t.
pub(super) fn forward<T: Real>(
    activation: Activation,
    orders: Orders,
    channel: usize,
    affine: &[T],
    activated: &mut [T],
) {
    match activation {
        Activation::Tanh => forward_by::<T, Tanh>(orders, channel, affine, activated),
        Activation::Sine => forward_by::<T, Sine>(orders, channel, affine, activated),
        Activation::Gelu => forward_by::<T, Gelu>(orders, channel, affine, activated),
    }
}

fn forward_by<T: Real, C: Curve>(
    orders: Orders,
    channel: usize,
    affine: &[T],
    activated: &mut [T],
) {
    vectorized(
        #[inline(always)]
        || {
            let (mut first, mut second) = ([T::zero(); CHUNK], [T::zero(); CHUNK]);
            for start in (0..channel).step_by(CHUNK) {
                let len = CHUNK.min(channel - start);
                let part = |c: usize| &affine[c * channel + start..][..len];
                let (first, second) = (&mut first[..len], &mut second[..len]);
                let z = part(0);
                let a = &mut activated[start..][..len];
                for i in 0..len {
                    a[i] = C::value(z[i]);
                }
                for i in 0..len {
                    let derivatives = C::derivatives(z[i], a[i]);
                    first[i] = derivatives[0];
                    second[i] = derivatives[1];
                }
                for (c, order) in orders.by_input() {
                    if order == 0 {
                        continue;
                    }
                    let z_x = part(c);
                    let a_x = &mut activated[c * channel + start..][..len];
                    for i in 0..len {
                        a_x[i] = first[i] * z_x[i];
                    }
                    if order == 2 {
                        let z_xx = part(c + 1);
                        let a_xx = &mut activated[(c + 1) * channel + start..][..len];
                        for i in 0..len {
                            let square = second[i] * z_x[i] * z_x[i];
                            a_xx[i] = first[i].mul_add(z_xx[i], square);
                        }
                    }
                }
            }
        },
    );
}

/// The transpose of [`forward`]'s derivative: replaces the loss's derivatives by the activated channels
/// by those by the affine ones.
pub(super) fn backward<T: Real>(
    activation: Activation,
    orders: Orders,
    channel: usize,
    affine: &[T],
    activated: &[T],
    adjoint: &mut [T],
) {
    match activation {
        Activation::Tanh => backward_by::<T, Tanh>(orders, channel, affine, activated, adjoint),
        Activation::Sine => backward_by::<T, Sine>(orders, channel, affine, activated, adjoint),
        Activation::Gelu => backward_by::<T, Gelu>(orders, channel, affine, activated, adjoint),
    }
}

fn backward_by<T: Real, C: Curve>(
    orders: Orders,
    channel: usize,
    affine: &[T],
    activated: &[T],
    adjoint: &mut [T],
) {
    vectorized(
        #[inline(always)]
        || {
            let mut buffers = [[T::zero(); CHUNK]; 4];
            for start in (0..channel).step_by(CHUNK) {
                let len = CHUNK.min(channel - start);
                let part = |c: usize| &affine[c * channel + start..][..len];
                let [first, second, third, sum] =
                    buffers.each_mut().map(|buffer| &mut buffer[..len]);
                let (z, a) = (part(0), &activated[start..][..len]);
                let value = &adjoint[start..][..len];
                for i in 0..len {
                    let derivatives = C::derivatives(z[i], a[i]);
                    first[i] = derivatives[0];
                    second[i] = derivatives[1];
                    third[i] = derivatives[2];
                    sum[i] = derivatives[0] * value[i];
                }
                for (c, order) in orders.by_input() {
                    if order == 0 {
                        continue;
                    }
                    let z_x = part(c);
                    let (x, rest) = adjoint[c * channel + start..].split_at_mut(len);
                    for i in 0..len {
                        sum[i] = (second[i] * z_x[i]).mul_add(x[i], sum[i]);
                        x[i] *= first[i];
                    }
                    if order == 2 {
                        let z_xx = part(c + 1);
                        let xx = &mut rest[channel - len..][..len];
                        for i in 0..len {
                            let curvature = second[i] * z_xx[i];
                            let by_value = (third[i] * z_x[i]).mul_add(z_x[i], curvature);
                            sum[i] = by_value.mul_add(xx[i], sum[i]);
                            let by_x = second[i] * z_x[i];
                            x[i] = (by_x + by_x).mul_add(xx[i], x[i]);
                            xx[i] *= first[i];
                        }
                    }
                }
                adjoint[start..][..len].copy_from_slice(sum);
            }
        },
    );
}

/// The product of each row with `vector`, whose length is a multiple of [`Real::PAD`]: as many sums as
/// that side by side, added in a fixed order at the end.
pub(super) fn dots<T: Real>(rows: &[T], vector: &[T], dots: &mut [T]) {
    // 16 elements for f32, 8 for f64; the other half of the sums stays zero.
    const MOST: usize = 16;
    vectorized(
        #[inline(always)]
        || {
            for (dot, row) in dots.iter_mut().zip(rows.chunks_exact(vector.len())) {
                let mut sums = [T::zero(); MOST];
                for (a, b) in row.chunks_exact(T::PAD).zip(vector.chunks_exact(T::PAD)) {
                    for i in 0..T::PAD {
                        sums[i] = a[i].mul_add(b[i], sums[i]);
                    }
                }
                let mut half = MOST / 2;
                while half > 0 {
                    for i in 0..half {
                        let other = sums[i + half];
                        sums[i] += other;
                    }
                    half /= 2;
                }
                *dot = sums[0];
            }
        },
    );
}

/// Row i is `vector` times `factors[i]`.
pub(super) fn outer<T: Real>(factors: &[T], vector: &[T], rows: &mut [T]) {
    vectorized(
        #[inline(always)]
        || {
            for (factor, row) in factors.iter().zip(rows.chunks_exact_mut(vector.len())) {
                for (value, element) in row.iter_mut().zip(vector) {
                    *value = *factor * *element;
                }
            }
        },
    );
}

/// Adds all rows to `sum`, one after the other.
pub(super) fn add_rows<T: Real>(rows: &[T], sum: &mut [T]) {
    vectorized(
        #[inline(always)]
        || {
            for row in rows.chunks_exact(sum.len()) {
                for (sum, value) in sum.iter_mut().zip(row) {
                    *sum += *value;
                }
            }
        },
    );
}

/// Runs a loop compiled for the widest vectors of this CPU; nothing is reassociated or contracted.
#[inline(always)]
fn vectorized(work: impl FnOnce()) {
    pulp::Arch::new().dispatch(work);
}
