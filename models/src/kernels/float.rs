//! The scalar mathematics the kernels need, written so that loops over it become vector code.

use candle_core::WithDType;

use super::vector::Dispatch;

/// A number type of the kernels: `f32` or `f64`.
pub(crate) trait Float: WithDType + Dispatch + std::ops::Neg<Output = Self> {
    /// e^x, to within 2 units in the last place.
    fn exp(self) -> Self;
    /// The natural logarithm.
    fn ln(self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// The error function.
    fn erf(self) -> Self;
    /// The hyperbolic tangent.
    fn tanh(self) -> Self;
    /// The smallest value, below every finite one.
    const NEG_INFINITY: Self;
}

impl Float for f32 {
    const NEG_INFINITY: Self = f32::NEG_INFINITY;

    /// `2^n e^r` with `n = round(x / ln 2)` and the Taylor polynomial of degree 7 for `e^r`; as
    /// `|r| <= ln 2 / 2`, its remainder is below 6e-9. Unlike the standard library's, it has no
    /// branch and no call, so that a loop over it is vector code. Results below 2^-125.5 are zero;
    /// NaN stays NaN.
    #[inline(always)]
    fn exp(self) -> Self {
        // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
        const ROUND: f32 = 12_582_912.0;
        // ln 2 in two parts; the first has few enough bits that `n * LN_2_HIGH` is exact.
        const LN_2_HIGH: f32 = 0.693_359_4;
        const LN_2_LOW: f32 = -2.121_944_4e-4;
        const OVERFLOW: f32 = 88.722_84;
        const UNDERFLOW: f32 = -86.989_74;
        let shifted = self * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = self - n * LN_2_HIGH - n * LN_2_LOW;
        let mut sum = 1.0 / 5040.0;
        sum = sum * r + 1.0 / 720.0;
        sum = sum * r + 1.0 / 120.0;
        sum = sum * r + 1.0 / 24.0;
        sum = sum * r + 1.0 / 6.0;
        sum = sum * r + 0.5;
        sum = sum * (r * r) + r + 1.0;
        let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits());
        // 2^(n-1) and a factor 2, as 2^128 has no representation.
        let power = f32::from_bits(exponent.wrapping_add(126) << 23);
        let value = sum * power * 2.0;
        let value = if self < UNDERFLOW { 0.0 } else { value };
        if self > OVERFLOW {
            f32::INFINITY
        } else {
            value
        }
    }

    #[inline(always)]
    fn ln(self) -> Self {
        f32::ln(self)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }

    #[inline(always)]
    fn erf(self) -> Self {
        candle_core::cpu::erf::erf_f32(self)
    }

    #[inline(always)]
    fn tanh(self) -> Self {
        f32::tanh(self)
    }
}

impl Float for f64 {
    const NEG_INFINITY: Self = f64::NEG_INFINITY;

    #[inline(always)]
    fn exp(self) -> Self {
        f64::exp(self)
    }

    #[inline(always)]
    fn ln(self) -> Self {
        f64::ln(self)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }

    #[inline(always)]
    fn erf(self) -> Self {
        candle_core::cpu::erf::erf_f64(self)
    }

    #[inline(always)]
    fn tanh(self) -> Self {
        f64::tanh(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_accurate_over_its_whole_range() {
        let mut worst = 0.0f64;
        for step in -869_800..=887_000 {
            let x = step as f32 * 1e-4;
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(Float::exp(x)) - exact).abs() / exact);
        }
        assert!(worst < 2.0 * f64::from(f32::EPSILON), "{worst:e}");
    }

    #[test]
    fn exponential_of_special_values() {
        assert_eq!(Float::exp(0f32), 1.0);
        assert_eq!(Float::exp(-88f32), 0.0);
        assert_eq!(Float::exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(Float::exp(89f32), f32::INFINITY);
        assert_eq!(Float::exp(f32::INFINITY), f32::INFINITY);
        assert!(Float::exp(f32::NAN).is_nan());
    }
}
