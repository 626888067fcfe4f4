//! The number types of parameters and of the arithmetic done on them.

use candle_core::{CpuStorage, DType, WithDType};
use half::{bf16, f16};

/// The dtype of state and arithmetic beside parameters of `dtype`.
pub(crate) fn state_dtype(dtype: DType) -> DType {
    if dtype == DType::F64 {
        DType::F64
    } else {
        DType::F32
    }
}

/// Runs `$body` with `$type` bound to the number type of `$dtype`.
///
/// # Errors
/// Returns Candle's error from the function around it where `$dtype` is no floating-point type of a
/// parameter.
macro_rules! with_element {
    ($dtype:expr, $type:ident => $body:expr) => {
        match $dtype {
            candle_core::DType::F32 => {
                type $type = f32;
                $body
            }
            candle_core::DType::F64 => {
                type $type = f64;
                $body
            }
            candle_core::DType::BF16 => {
                type $type = half::bf16;
                $body
            }
            candle_core::DType::F16 => {
                type $type = half::f16;
                $body
            }
            dtype => candle_core::bail!("dtype {dtype:?}: expected f32, f64, bf16 or f16"),
        }
    };
}
pub(super) use with_element;

/// The number type in which state is kept and updates are computed.
pub(crate) trait Real: WithDType {
    const ZERO: Self;
    fn sqrt(self) -> Self;
    fn max(self, other: Self) -> Self;
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if other > self { other } else { self }
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if other > self { other } else { self }
    }
}

/// `change` where the gradient `g` is finite, else zero.
///
/// Kernels add guarded changes rather than choose between old and new values: compilers turn that
/// choice into a conditional store, which they do not vectorize.
#[inline(always)]
pub(super) fn guarded<S: Real>(g: S, change: S) -> S {
    // The product is NaN for an infinite gradient too.
    if g * S::ZERO == S::ZERO {
        change
    } else {
        S::ZERO
    }
}

/// Adds up partial sums, halves upon halves: in their own type down to eight, then in f64.
#[inline(always)]
pub(super) fn sum_lanes<S: Real, const LANES: usize>(mut lanes: [S; LANES]) -> f64 {
    let mut half = LANES;
    while half > 8 {
        half /= 2;
        let (low, high) = lanes.split_at_mut(half);
        for (low, high) in low.iter_mut().zip(high) {
            *low += *high;
        }
    }
    let mut sums = [0.0; 8];
    for (sum, lane) in sums.iter_mut().zip(lanes) {
        *sum = lane.to_f64();
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// The number type of parameters and gradients. Half-precision types compute in f32.
pub(crate) trait Element: WithDType {
    type Real: Real + Element<Real = Self::Real>;
    fn widen(self) -> Self::Real;
    fn narrow(value: Self::Real) -> Self;
    /// The elements of `storage`, if it is of this type.
    fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]>;
}

macro_rules! element {
    ($type:ty, $real:ty, $variant:ident, $widen:expr, $narrow:expr) => {
        impl Element for $type {
            type Real = $real;
            #[inline(always)]
            fn widen(self) -> $real {
                $widen(self)
            }
            #[inline(always)]
            fn narrow(value: $real) -> Self {
                $narrow(value)
            }
            fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
                match storage {
                    CpuStorage::$variant(elements) => Some(elements),
                    _ => None,
                }
            }
        }
    };
}

element!(
    f32,
    f32,
    F32,
    std::convert::identity,
    std::convert::identity
);
element!(
    f64,
    f64,
    F64,
    std::convert::identity,
    std::convert::identity
);
element!(bf16, f32, BF16, widen_bf16, narrow_bf16);
element!(f16, f32, F16, f16::to_f32, f16::from_f32);

/// Exact, and without the branch of `bf16::to_f32`, which keeps loops from being vectorized.
#[inline(always)]
fn widen_bf16(value: bf16) -> f32 {
    f32::from_bits(u32::from(value.to_bits()) << 16)
}

/// Rounds to nearest, ties to even, as `bf16::from_f32` does, but without its branch.
#[inline(always)]
fn narrow_bf16(value: f32) -> bf16 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1));
    // Rounding could carry a NaN's payload away: keep it, made quiet.
    let bits = if value.is_nan() {
        bits | 0x0040_0000
    } else {
        rounded
    };
    bf16::from_bits((bits >> 16) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_conversions_are_halfs() {
        for high in 0..=u16::MAX {
            let value = bf16::from_bits(high);
            assert_eq!(
                widen_bf16(value).to_bits() & !0x0040_0000,
                value.to_f32().to_bits() & !0x0040_0000
            );
            for low in [0u32, 1, 0x7fff, 0x8000, 0x8001, 0xffff] {
                let value = f32::from_bits(u32::from(high) << 16 | low);
                assert_eq!(
                    narrow_bf16(value).to_bits(),
                    bf16::from_f32(value).to_bits()
                );
            }
        }
    }
}
