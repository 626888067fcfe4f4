//! The arithmetic of the fused kernels for f32 and f64. Every function is made of fused
//! multiply-adds, integer operations and selections, in one order: it gives the same bits on every
//! CPU, and loops over it become vector code.

use std::ops::Neg;

use candle_core::WithDType;
use pulp::Simd;

/// A number type of the fused kernels.
pub(crate) trait Real: WithDType + Neg<Output = Self> {
    /// Rows are padded to a multiple of so many elements: 64 bytes.
    const PAD: usize = 64 / std::mem::size_of::<Self>();

    /// A vector register of the instruction set `S`.
    type Vector<S: Simd>: Copy;

    /// The same value in every lane.
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;

    /// `a b + c`, rounded once.
    fn fused<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;

    /// `a + b`.
    fn plus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;

    /// The sum of all lanes, by halves: the upper half is added to the lower one until one lane is left.
    fn sum<S: Simd>(simd: S, a: Self::Vector<S>) -> Self;

    /// `self a + b`, rounded once.
    fn mul_add(self, a: Self, b: Self) -> Self;

    /// The hyperbolic tangent, to within 3 units in the last place.
    fn tanh(self) -> Self;

    /// Sine and cosine, to within 2 units in the last place of the larger one, for arguments up to
    /// 1e9; beyond, where no training run that converges gets, they lose accuracy.
    fn sin_cos(self) -> (Self, Self);

    /// The standard normal distribution's Φ and its density φ; not vector code.
    fn normal(self) -> (Self, Self);
}

/// tanh |x| = e / (e + 2) with e = exp(2 |x|) − 1 = 2ⁿ p + (2ⁿ − 1), where p = exp(r) − 1 is a Taylor
/// polynomial in r = 2 |x| − n ln 2, |r| <= ln 2 / 2. Near zero n = 0, and nothing cancels.
macro_rules! tanh {
    ($x:ident, $round:expr, $mantissa:literal, $bias:literal, $one_from:expr,
     $ln_2_low:expr, $coefficients:expr) => {{
        let magnitude = $x.abs();
        // A comparison with NaN is false, which lets NaN pass.
        let magnitude = if magnitude > $one_from {
            $one_from
        } else {
            magnitude
        };
        let twice = magnitude + magnitude;
        // Adding 1.5 times the mantissa's range rounds to an integer and leaves it in the low bits.
        let shifted = twice.mul_add(LOG2_E, $round);
        let n = shifted - $round;
        let r = n.mul_add(-$ln_2_low, n.mul_add(-LN_2, twice));
        let mut sum = $coefficients[0];
        for coefficient in &$coefficients[1..] {
            sum = sum.mul_add(r, *coefficient);
        }
        let p = (r * r).mul_add(sum, r);
        let n = shifted.to_bits().wrapping_sub($round.to_bits());
        let power = Self::from_bits(n.wrapping_add($bias) << $mantissa);
        let e = p.mul_add(power, power - 1.0);
        (e / (e + 2.0)).copysign($x)
    }};
}

/// The vector operations of one number type, by the names that `Simd` has for it.
macro_rules! vectors {
    ($vector:ident, $splat:ident, $mul_add:ident, $add:ident, $sum:ident) => {
        type Vector<S: Simd> = S::$vector;

        #[inline(always)]
        fn splat<S: Simd>(simd: S, value: Self) -> S::$vector {
            simd.$splat(value)
        }

        #[inline(always)]
        fn fused<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
            simd.$mul_add(a, b, c)
        }

        #[inline(always)]
        fn plus<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
            simd.$add(a, b)
        }

        #[inline(always)]
        fn sum<S: Simd>(simd: S, a: S::$vector) -> Self {
            if cfg!(target_arch = "x86_64") {
                return simd.$sum(a);
            }
            // Elsewhere the library may add neighbours first.
            let mut lanes = [0.0; 64];
            let mut half = size_of::<S::$vector>() / size_of::<Self>();
            // SAFETY: no vector has more than 64 lanes.
            unsafe { lanes.as_mut_ptr().cast::<S::$vector>().write_unaligned(a) };
            while half > 1 {
                half /= 2;
                for i in 0..half {
                    lanes[i] += lanes[i + half];
                }
            }
            lanes[0]
        }

        #[inline(always)]
        fn mul_add(self, a: Self, b: Self) -> Self {
            // The type's own function, not this one.
            Self::mul_add(self, a, b)
        }
    };
}

impl Real for f32 {
    vectors!(f32s, splat_f32s, mul_add_f32s, add_f32s, reduce_sum_f32s);

    #[inline(always)]
    fn tanh(self) -> Self {
        use std::f32::consts::{LN_2, LOG2_E};
        const ROUND: f32 = 12_582_912.0;
        // ln 2 minus its f32 value.
        const LN_2_LOW: f32 = -1.904_654_3e-9;
        const COEFFICIENTS: [f32; 7] = [
            1.0 / 40320.0,
            1.0 / 5040.0,
            1.0 / 720.0,
            1.0 / 120.0,
            1.0 / 24.0,
            1.0 / 6.0,
            0.5,
        ];
        tanh!(self, ROUND, 23, 127, 9.1f32, LN_2_LOW, COEFFICIENTS)
    }

    #[inline(always)]
    fn sin_cos(self) -> (Self, Self) {
        let (sin, cos) = Real::sin_cos(f64::from(self));
        (sin as f32, cos as f32)
    }

    #[inline(always)]
    fn normal(self) -> (Self, Self) {
        let (cumulative, density) = f64::from(self).normal();
        (cumulative as f32, density as f32)
    }
}

impl Real for f64 {
    vectors!(f64s, splat_f64s, mul_add_f64s, add_f64s, reduce_sum_f64s);

    #[inline(always)]
    fn tanh(self) -> Self {
        use std::f64::consts::{LN_2, LOG2_E};
        const ROUND: f64 = 6_755_399_441_055_744.0;
        // ln 2 minus its f64 value.
        const LN_2_LOW: f64 = 2.319_046_813_846_299_6e-17;
        const COEFFICIENTS: [f64; 13] = [
            1.0 / 87_178_291_200.0,
            1.0 / 6_227_020_800.0,
            1.0 / 479_001_600.0,
            1.0 / 39_916_800.0,
            1.0 / 3_628_800.0,
            1.0 / 362_880.0,
            1.0 / 40_320.0,
            1.0 / 5_040.0,
            1.0 / 720.0,
            1.0 / 120.0,
            1.0 / 24.0,
            1.0 / 6.0,
            0.5,
        ];
        tanh!(self, ROUND, 52, 1023, 19.1f64, LN_2_LOW, COEFFICIENTS)
    }

    /// The quadrant n = round(x 2/π) is taken off with π/2 in two parts, and Taylor polynomials of
    /// degree 17 and 16 give sine and cosine of the rest, at most π/4.
    #[inline(always)]
    fn sin_cos(self) -> (Self, Self) {
        const ROUND: f64 = 6_755_399_441_055_744.0;
        // π/2 minus its f64 value.
        const FRAC_PI_2_LOW: f64 = 6.123_233_995_736_766e-17;
        const SIN: [f64; 8] = [
            1.0 / 355_687_428_096_000.0,
            -1.0 / 1_307_674_368_000.0,
            1.0 / 6_227_020_800.0,
            -1.0 / 39_916_800.0,
            1.0 / 362_880.0,
            -1.0 / 5_040.0,
            1.0 / 120.0,
            -1.0 / 6.0,
        ];
        const COS: [f64; 8] = [
            1.0 / 20_922_789_888_000.0,
            -1.0 / 87_178_291_200.0,
            1.0 / 479_001_600.0,
            -1.0 / 3_628_800.0,
            1.0 / 40_320.0,
            -1.0 / 720.0,
            1.0 / 24.0,
            -0.5,
        ];
        let shifted = self.mul_add(std::f64::consts::FRAC_2_PI, ROUND);
        let n = shifted - ROUND;
        let r = n.mul_add(-std::f64::consts::FRAC_PI_2, self);
        let r = n.mul_add(-FRAC_PI_2_LOW, r);
        let square = r * r;
        let mut sin = SIN[0];
        for coefficient in &SIN[1..] {
            sin = sin.mul_add(square, *coefficient);
        }
        let sin = (sin * square).mul_add(r, r);
        let mut cos = COS[0];
        for coefficient in &COS[1..] {
            cos = cos.mul_add(square, *coefficient);
        }
        let cos = cos.mul_add(square, 1.0);
        let quadrant = shifted.to_bits();
        let odd = quadrant & 1 == 1;
        let (first, second) = if odd { (cos, sin) } else { (sin, cos) };
        let sign = |bits: u64| (bits & 2) << 62;
        (
            Self::from_bits(first.to_bits() ^ sign(quadrant)),
            Self::from_bits(second.to_bits() ^ sign(quadrant.wrapping_add(1))),
        )
    }

    #[inline(always)]
    fn normal(self) -> (Self, Self) {
        let cumulative = 0.5 * libm::erfc(-self * std::f64::consts::FRAC_1_SQRT_2);
        let density = libm::exp(-0.5 * self * self) * FRAC_1_SQRT_TAU;
        (cumulative, density)
    }
}

/// 1 / √(2π).
pub(crate) const FRAC_1_SQRT_TAU: f64 = 0.398_942_280_401_432_7;

#[cfg(test)]
mod tests {
    use super::*;

    /// The distance in units of the last place of an f32 or f64 near `exact`.
    fn units(value: f64, exact: f64, epsilon: f64) -> f64 {
        (value - exact).abs() / (exact.abs().max(f64::MIN_POSITIVE) * epsilon)
    }

    #[test]
    fn hyperbolic_tangent_is_accurate_over_its_whole_range() {
        let (mut single, mut double) = (0.0f64, 0.0f64);
        for step in -1_000_000..=1_000_000 {
            let x = f64::from(step) * 2.1e-5;
            let value = f64::from(Real::tanh(x as f32));
            let exact = libm::tanh(f64::from(x as f32));
            single = single.max(units(value, exact, f64::from(f32::EPSILON)));
            double = double.max(units(Real::tanh(x), libm::tanh(x), f64::EPSILON));
        }
        for exponent in 0..300 {
            let x = 0.9 * 10f64.powi(-exponent);
            double = double.max(units(Real::tanh(x), libm::tanh(x), f64::EPSILON));
            let x = (x as f32).max(f32::MIN_POSITIVE);
            let exact = libm::tanh(f64::from(x));
            single = single.max(units(
                f64::from(Real::tanh(x)),
                exact,
                f64::from(f32::EPSILON),
            ));
        }
        assert!(single < 3.0 && double < 3.0, "{single} {double}");
    }

    #[test]
    fn hyperbolic_tangent_of_special_values() {
        assert_eq!(Real::tanh(0f32), 0.0);
        assert!(Real::tanh(-0f64).is_sign_negative());
        assert_eq!(Real::tanh(f32::INFINITY), 1.0);
        assert_eq!(Real::tanh(-1e300f64), -1.0);
        assert!(Real::tanh(f32::NAN).is_nan() && Real::tanh(f64::NAN).is_nan());
    }

    #[test]
    fn sine_and_cosine_are_accurate() {
        let mut worst = 0.0f64;
        for step in -500_000..=500_000 {
            for scale in [1e-5, 1e-3, 1.7] {
                let x = f64::from(step) * scale;
                let (sin, cos) = Real::sin_cos(x);
                worst = worst.max((sin - libm::sin(x)).abs().max((cos - libm::cos(x)).abs()));
            }
        }
        assert!(worst < 2.0 * f64::EPSILON, "{worst:e}");
        assert!(Real::sin_cos(f64::INFINITY).0.is_nan() && Real::sin_cos(f32::NAN).1.is_nan());
    }
}
