//! Element-wise activation functions with their derivatives.

use candle_core::Shape;

use rayon::prelude::*;

use super::parallel::{PIECE, zeros};
use super::{Float, Function, map_chunks, vectorized};
use crate::options::Activation;

/// An activation as a function of its own.
pub(crate) struct Activate {
    pub(crate) activation: Activation,
    pub(crate) shape: Shape,
}

impl Function<1> for Activate {
    const NAME: &'static str = "activation";

    fn shape(&self) -> Shape {
        self.shape.clone()
    }

    fn forward<T: Float>(&self, [input]: [&[T]; 1]) -> Vec<T> {
        self.activation.values(input)
    }

    fn backward<T: Float>(
        &self,
        [input]: [&[T]; 1],
        _output: &[T],
        gradient: &[T],
        _needed: [bool; 1],
    ) -> [Option<Vec<T>>; 1] {
        let mut result = gradient.to_vec();
        self.activation.scale_by_derivative(input, &mut result);
        [Some(result)]
    }
}

impl Activation {
    /// The values at each element of `input`.
    pub(crate) fn values<T: Float>(self, input: &[T]) -> Vec<T> {
        let mut output = zeros(input.len());
        match self {
            Self::Relu => map(
                input,
                &mut output,
                #[inline(always)]
                |x, _| relu(x),
            ),
            Self::Gelu => map(
                input,
                &mut output,
                #[inline(always)]
                |x, _| gelu(x).0,
            ),
            Self::GeluErf => map(
                input,
                &mut output,
                #[inline(always)]
                |x, _| gelu_erf(x).0,
            ),
            Self::Tanh => map(
                input,
                &mut output,
                #[inline(always)]
                |x, _| x.tanh(),
            ),
        }
        output
    }

    /// The values at each element of `input`; multiplies `gradient` by the derivatives.
    pub(crate) fn differentiate<T: Float>(self, input: &[T], gradient: &mut [T]) -> Vec<T> {
        match self {
            Self::Relu => map_both(
                input,
                gradient,
                #[inline(always)]
                |x, g| (relu(x), relu_derivative(x, g)),
            ),
            Self::Gelu => map_both(
                input,
                gradient,
                #[inline(always)]
                |x, g| scaled(gelu(x), g),
            ),
            Self::GeluErf => map_both(
                input,
                gradient,
                #[inline(always)]
                |x, g| scaled(gelu_erf(x), g),
            ),
            Self::Tanh => map_both(
                input,
                gradient,
                #[inline(always)]
                |x, g| scaled((x.tanh(), tanh_derivative(x)), g),
            ),
        }
    }

    /// Multiplies `gradient` by the derivative at each element of `input`.
    pub(crate) fn scale_by_derivative<T: Float>(self, input: &[T], gradient: &mut [T]) {
        match self {
            Self::Relu => map(
                input,
                gradient,
                #[inline(always)]
                |x, g| relu_derivative(x, g),
            ),
            Self::Gelu => map(
                input,
                gradient,
                #[inline(always)]
                |x, g| g * gelu(x).1,
            ),
            Self::GeluErf => map(
                input,
                gradient,
                #[inline(always)]
                |x, g| g * gelu_erf(x).1,
            ),
            Self::Tanh => map(
                input,
                gradient,
                #[inline(always)]
                |x, g| g * tanh_derivative(x),
            ),
        }
    }
}

/// A value, and the gradient times the derivative.
#[inline(always)]
fn scaled<T: Float>((value, derivative): (T, T), gradient: T) -> (T, T) {
    (value, gradient * derivative)
}

/// The first of what `f` makes of each `x` and each element of `gradient`, which becomes the second.
fn map_both<T: Float>(
    input: &[T],
    gradient: &mut [T],
    f: impl Fn(T, T) -> (T, T) + Sync,
) -> Vec<T> {
    let mut values = zeros(input.len());
    let pieces = values
        .par_chunks_mut(PIECE)
        .zip(gradient.par_chunks_mut(PIECE));
    pieces
        .zip(input.par_chunks(PIECE))
        .for_each(|((values, gradient), input)| {
            vectorized(
                #[inline(always)]
                || {
                    for ((value, g), x) in values.iter_mut().zip(gradient).zip(input) {
                        (*value, *g) = f(*x, *g);
                    }
                },
            );
        });
    values
}

fn map<T: Float>(input: &[T], output: &mut [T], f: impl Fn(T, T) -> T + Sync) {
    map_chunks(
        input,
        output,
        #[inline(always)]
        |input, output| {
            for (y, x) in output.iter_mut().zip(input) {
                *y = f(*x, *y);
            }
        },
    );
}

/// max(x, 0), written so that NaN stays NaN.
#[inline(always)]
fn relu<T: Float>(x: T) -> T {
    if x < T::zero() { T::zero() } else { x }
}

#[inline(always)]
fn relu_derivative<T: Float>(x: T, gradient: T) -> T {
    if x <= T::zero() { T::zero() } else { gradient }
}

/// The tanh form and its derivative, with `tanh(u) = 2 sigmoid(2 u) - 1`.
#[inline(always)]
fn gelu<T: Float>(x: T) -> (T, T) {
    let c = T::from_f64((8.0 / std::f64::consts::PI).sqrt());
    let cubic = T::from_f64(0.044715);
    let square = x * x;
    let one = T::one();
    let sigmoid = one / (one + (-(c * x * (one + cubic * square))).exp());
    let inner = c * (one + T::from_f64(3.0) * cubic * square);
    (x * sigmoid, sigmoid + x * sigmoid * (one - sigmoid) * inner)
}

/// 1 − tanh²(x).
#[inline(always)]
fn tanh_derivative<T: Float>(x: T) -> T {
    let value = x.tanh();
    T::one() - value * value
}

/// x Φ(x) and its derivative Φ(x) + x φ(x).
#[inline(always)]
fn gelu_erf<T: Float>(x: T) -> (T, T) {
    let half = T::from_f64(0.5);
    let cdf = half * (T::one() + (x * T::from_f64(std::f64::consts::FRAC_1_SQRT_2)).erf());
    let normalizer = T::from_f64(1.0 / (2.0 * std::f64::consts::PI).sqrt());
    let density = normalizer * (-(half * x * x)).exp();
    (x * cdf, cdf + x * density)
}
