//! Activations with their derivatives up to the third: the second ones carry u_xx through a layer, the
//! third ones belong to the parameters' gradient.

use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

use super::kernel::real::{FRAC_1_SQRT_TAU, Real};

/// What follows each hidden layer: a function that can be differentiated three times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// tanh z.
    #[default]
    Tanh,
    /// sin z.
    Sine,
    /// z Φ(z), where Φ is the standard normal distribution. Its kernel is not vector code.
    Gelu,
}

impl Activation {
    /// σ and σ′, and σ″ where it is needed, by tensor operations.
    pub(crate) fn tensors(self, z: &Tensor, second: bool) -> Result<[Tensor; 3]> {
        let none = || z.zeros_like();
        Ok(match self {
            Self::Tanh => {
                let s = z.tanh()?;
                let first = (s.sqr()?.neg()? + 1.0)?;
                let second = if second {
                    ((&s * &first)? * -2.0)?
                } else {
                    none()?
                };
                [s, first, second]
            }
            Self::Sine => {
                let s = z.sin()?;
                let second = if second { s.neg()? } else { none()? };
                [s, z.cos()?, second]
            }
            Self::Gelu => {
                let cumulative = (((z * std::f64::consts::FRAC_1_SQRT_2)?.erf()? + 1.0)? * 0.5)?;
                let density = ((z.sqr()? * -0.5)?.exp()? * FRAC_1_SQRT_TAU)?;
                let first = (&cumulative + (z * &density)?)?;
                let second = if second {
                    ((z.sqr()?.neg()? + 2.0)? * density)?
                } else {
                    none()?
                };
                [(z * cumulative)?, first, second]
            }
        })
    }
}

/// An activation in the fused kernels.
pub(crate) trait Curve {
    /// σ(z).
    fn value<T: Real>(z: T) -> T;
    /// σ′, σ″ and σ‴ at z, where s = σ(z).
    fn derivatives<T: Real>(z: T, s: T) -> [T; 3];
}

pub(crate) struct Tanh;
pub(crate) struct Sine;
pub(crate) struct Gelu;

impl Curve for Tanh {
    #[inline(always)]
    fn value<T: Real>(z: T) -> T {
        Real::tanh(z)
    }

    /// 1 − s², −2 s σ′ and (6 s² − 2) σ′.
    #[inline(always)]
    fn derivatives<T: Real>(_: T, s: T) -> [T; 3] {
        let first = s.mul_add(-s, T::one());
        let second = -(s + s) * first;
        let third = (s * s).mul_add(T::from_f64(6.0), T::from_f64(-2.0)) * first;
        [first, second, third]
    }
}

impl Curve for Sine {
    #[inline(always)]
    fn value<T: Real>(z: T) -> T {
        Real::sin_cos(z).0
    }

    #[inline(always)]
    fn derivatives<T: Real>(z: T, s: T) -> [T; 3] {
        let cos = Real::sin_cos(z).1;
        [cos, -s, -cos]
    }
}

impl Curve for Gelu {
    #[inline(always)]
    fn value<T: Real>(z: T) -> T {
        z * z.normal().0
    }

    /// Φ + z φ, (2 − z²) φ and (z³ − 4 z) φ.
    #[inline(always)]
    fn derivatives<T: Real>(z: T, _: T) -> [T; 3] {
        let (cumulative, density) = z.normal();
        let square = z * z;
        [
            z.mul_add(density, cumulative),
            (T::from_f64(2.0) - square) * density,
            z * (square - T::from_f64(4.0)) * density,
        ]
    }
}
