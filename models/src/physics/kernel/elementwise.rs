//! The activation's pass over a tile and its transpose, and the few sums beside the products.

use super::real::Real;
use crate::physics::activation::{Activation, Curve, Gelu, Sine, Tanh};
use crate::physics::jet::Orders;

/// With z the affine channels and a the activated ones, each of `channel` elements:
/// a = σ(z), a_x = σ′ z_x, a_xx = σ″ z_x² + σ′ z_xx, and the same for t.
pub(super) fn forward<T: Real>(
    activation: Activation,
    orders: Orders,
    channel: usize,
    affine: &[T],
    activated: &mut [T],
) {
    let by = match activation {
        Activation::Tanh => forward_by::<T, Tanh>,
        Activation::Sine => forward_by::<T, Sine>,
        Activation::Gelu => forward_by::<T, Gelu>,
    };
    by(orders, channel, affine, activated);
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
            let (mut first, mut second) = ([T::zero(); PIECE], [T::zero(); PIECE]);
            for start in (0..channel).step_by(PIECE) {
                let len = PIECE.min(channel - start);
                let piece = |c: usize| &affine[c * channel + start..][..len];
                let (first, second) = (&mut first[..len], &mut second[..len]);
                let (z, a) = (piece(0), &mut activated[start..][..len]);
                for i in 0..len {
                    let value = C::value(z[i]);
                    let derivatives = C::derivatives(z[i], value);
                    a[i] = value;
                    first[i] = derivatives[0];
                    second[i] = derivatives[1];
                }
                for (c, order) in orders.by_input().into_iter().filter(|(_, k)| *k > 0) {
                    let z_x = piece(c);
                    let (a_x, after) = activated[c * channel + start..].split_at_mut(len);
                    for i in 0..len {
                        a_x[i] = first[i] * z_x[i];
                    }
                    if order == 2 {
                        let (z_xx, a_xx) = (piece(c + 1), &mut after[channel - len..][..len]);
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
    let by = match activation {
        Activation::Tanh => backward_by::<T, Tanh>,
        Activation::Sine => backward_by::<T, Sine>,
        Activation::Gelu => backward_by::<T, Gelu>,
    };
    by(orders, channel, affine, activated, adjoint);
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
            let (mut first, mut second) = ([T::zero(); PIECE], [T::zero(); PIECE]);
            let (mut third, mut sum) = ([T::zero(); PIECE], [T::zero(); PIECE]);
            for start in (0..channel).step_by(PIECE) {
                let len = PIECE.min(channel - start);
                let piece = |c: usize| &affine[c * channel + start..][..len];
                let (first, second) = (&mut first[..len], &mut second[..len]);
                let (third, sum) = (&mut third[..len], &mut sum[..len]);
                let (z, a) = (piece(0), &activated[start..][..len]);
                let value = &adjoint[start..][..len];
                for i in 0..len {
                    let derivatives = C::derivatives(z[i], a[i]);
                    first[i] = derivatives[0];
                    second[i] = derivatives[1];
                    third[i] = derivatives[2];
                    sum[i] = derivatives[0] * value[i];
                }
                for (c, order) in orders.by_input().into_iter().filter(|(_, k)| *k > 0) {
                    let z_x = piece(c);
                    let (x, after) = adjoint[c * channel + start..].split_at_mut(len);
                    if order == 1 {
                        for i in 0..len {
                            sum[i] = (second[i] * z_x[i]).mul_add(x[i], sum[i]);
                            x[i] *= first[i];
                        }
                    } else {
                        let (z_xx, xx) = (piece(c + 1), &mut after[channel - len..][..len]);
                        for i in 0..len {
                            let by_x = second[i] * z_x[i];
                            let curvature = second[i] * z_xx[i];
                            let by_value = (third[i] * z_x[i]).mul_add(z_x[i], curvature);
                            sum[i] = by_value.mul_add(xx[i], by_x.mul_add(x[i], sum[i]));
                            x[i] = (by_x + by_x).mul_add(xx[i], first[i] * x[i]);
                            xx[i] *= first[i];
                        }
                    }
                }
                adjoint[start..][..len].copy_from_slice(sum);
            }
        },
    );
}

/// How many elements of each channel go through a pass at once: their derivatives stay in the
/// first-level cache.
const PIECE: usize = 256;

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

#[cfg(test)]
mod tests {
    use super::*;

    /// The formulas, element by element and compiled for any CPU.
    fn plain<T: Real, C: Curve>(z: &[[T; 4]], d: &[[T; 4]]) -> Vec<[T; 8]> {
        let each = z.iter().zip(d).map(|(z, d)| {
            let s = C::value(z[0]);
            let [first, second, third] = C::derivatives(z[0], s);
            // Channels: value, u_x, u_xx, u_t.
            let a_xx = first.mul_add(z[2], second * z[1] * z[1]);
            let by_x = second * z[1];
            let by_value = (third * z[1]).mul_add(z[1], second * z[2]);
            let sum = by_value.mul_add(d[2], by_x.mul_add(d[1], first * d[0]));
            let x = (by_x + by_x).mul_add(d[2], first * d[1]);
            let sum = (second * z[3]).mul_add(d[3], sum);
            let backward = [sum, x, first * d[2], first * d[3]];
            let forward = [s, first * z[1], a_xx, first * z[3]];
            std::array::from_fn(|i| if i < 4 { forward[i] } else { backward[i - 4] })
        });
        each.collect()
    }

    fn check<T: Real, C: Curve>(activation: Activation) {
        let value = |i: usize, scale: f64| T::from_f64(((i * 7919) % 2003) as f64 * scale - 4.0);
        let count = 1000;
        let all = |scale| -> Vec<T> { (0..4 * count).map(|i| value(i, scale)).collect() };
        let (affine, mut adjoint) = (all(4e-3), all(3e-3));
        let by_element = |all: &[T]| -> Vec<[T; 4]> {
            let element = |i| std::array::from_fn(|c| all[c * count + i]);
            (0..count).map(element).collect()
        };
        let expected = plain::<T, C>(&by_element(&affine), &by_element(&adjoint));
        let orders = Orders { x: 2, t: 1 };
        let mut activated = vec![T::zero(); 4 * count];
        forward(activation, orders, count, &affine, &mut activated);
        backward(activation, orders, count, &affine, &activated, &mut adjoint);
        for (i, expected) in expected.iter().enumerate() {
            for c in 0..4 {
                let found = [activated[c * count + i], adjoint[c * count + i]];
                assert!(
                    found == [expected[c], expected[4 + c]],
                    "{activation:?} {i} {c}"
                );
            }
        }
    }

    #[test]
    fn vector_code_gives_the_same_bits_as_the_formulas() {
        check::<f32, Tanh>(Activation::Tanh);
        check::<f64, Tanh>(Activation::Tanh);
        check::<f32, Sine>(Activation::Sine);
        check::<f64, Sine>(Activation::Sine);
        check::<f32, Gelu>(Activation::Gelu);
        check::<f64, Gelu>(Activation::Gelu);
    }
}
