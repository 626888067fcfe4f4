//! The number types of parameters and of the arithmetic done on them.

use candle_core::{CpuStorage, DType, Result, Tensor, WithDType};
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
    /// The largest finite number.
    const MAX: Self;
    /// A power of two, far above any useful gradient. Sums of its square over the elements of any
    /// vector are finite in f64, and the square itself in this type.
    const SQUARE_LIMIT: Self;
    fn sqrt(self) -> Self;
    fn min(self, other: Self) -> Self;
    fn max(self, other: Self) -> Self;

    /// `self` within ±`bound`; NaN stays.
    #[inline(always)]
    fn clamped(self, bound: Self) -> Self {
        Real::min(Real::max(self, Self::ZERO - bound), bound)
    }

    /// The finite number next to `value`.
    #[inline(always)]
    fn saturated_from(value: f64) -> Self {
        Self::from_f64(value).clamped(Self::MAX)
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const MAX: Self = f32::MAX;
    // 2⁶³
    const SQUARE_LIMIT: Self = f32::from_bits((127 + 63) << 23);
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        if other < self { other } else { self }
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if other > self { other } else { self }
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const MAX: Self = f64::MAX;
    // 2⁴⁸⁰
    const SQUARE_LIMIT: Self = f64::from_bits((1023 + 480) << 52);
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        if other < self { other } else { self }
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

/// `step`, or zero where it is not finite: it is 0/0 where ε and all gradients so far are zero, and
/// may be more than the type can hold.
#[inline(always)]
pub(super) fn finite_or_zero<S: Real>(step: S) -> S {
    guarded(step, step)
}

/// [`finite_or_zero`] of every element of a tensor.
pub(crate) fn finite_or_zero_tensor(step: &Tensor) -> Result<Tensor> {
    is_finite(step)?.where_cond(step, &step.zeros_like()?)
}

/// 1 where an element is finite, else 0.
pub(super) fn is_finite(tensor: &Tensor) -> Result<Tensor> {
    // The product is NaN for an infinite element too.
    (tensor * 0.0)?.eq(0.0)
}

/// The largest finite number of `dtype`.
pub(crate) fn largest(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::MAX,
        DType::BF16 => bf16::MAX.to_f64(),
        DType::F16 => f16::MAX.to_f64(),
        _ => f32::MAX.into(),
    }
}

/// [`Real::SQUARE_LIMIT`] of the arithmetic on tensors of `dtype`.
pub(crate) fn square_limit(dtype: DType) -> f64 {
    match state_dtype(dtype) {
        DType::F64 => f64::SQUARE_LIMIT,
        _ => f32::SQUARE_LIMIT.into(),
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
    /// The largest finite number.
    const MAX: Self::Real;
    fn widen(self) -> Self::Real;
    fn narrow(value: Self::Real) -> Self;
    /// The finite number next to `value`, which is not NaN: for parameters, which stay finite.
    #[inline(always)]
    fn saturate(value: Self::Real) -> Self {
        Self::narrow(value.clamped(Self::MAX))
    }
    /// The elements of `storage`, if it is of this type.
    fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]>;
}

macro_rules! element {
    ($type:ty, $real:ty, $max:expr, $variant:ident, $widen:expr, $narrow:expr) => {
        impl Element for $type {
            type Real = $real;
            const MAX: $real = $max;
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
    f32::MAX,
    F32,
    std::convert::identity,
    std::convert::identity
);
element!(
    f64,
    f64,
    f64::MAX,
    F64,
    std::convert::identity,
    std::convert::identity
);
element!(
    bf16,
    f32,
    bf16::MAX.to_f32_const(),
    BF16,
    widen_bf16,
    narrow_bf16
);
element!(
    f16,
    f32,
    f16::MAX.to_f32_const(),
    F16,
    f16::to_f32,
    f16::from_f32
);

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
