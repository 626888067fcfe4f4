//! Lion's update: a step of one size along the signs of a blend of momentum and gradient.

use candle_core::Tensor;

use super::number::{Element, Real, guarded, largest, square_limit};
use super::rule::Rule;

/// The scalars of one Lion update of one parameter group.
///
/// ```text
/// c ← m + blend·(g - m)
/// p ← p - (decay·p + step_size·sign(c))
/// m ← m + rate·(g - m)
/// ```
///
/// Everything stays finite. The gradient enters within ±[`Real::SQUARE_LIMIT`]; its sign stays.
/// Parameters stop at their type's largest number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LionCoefficients<S = f64> {
    pub(crate) blend: S,
    pub(crate) rate: S,
    pub(crate) decay: S,
    pub(crate) step_size: S,
}

impl LionCoefficients {
    /// `f` of each coefficient.
    #[inline(always)]
    fn map<S>(&self, f: impl Fn(f64) -> S) -> LionCoefficients<S> {
        LionCoefficients {
            blend: f(self.blend),
            rate: f(self.rate),
            decay: f(self.decay),
            step_size: f(self.step_size),
        }
    }
}

/// Lion with one set of coefficients per parameter group. The state vector is m.
pub(crate) struct LionRule(pub(crate) Vec<LionCoefficients>);

impl Rule<1> for LionRule {
    #[inline(always)]
    fn update<T: Element>(
        &self,
        group: usize,
        parameters: &mut [T],
        gradient: &[T],
        [m]: [&mut [T::Real]; 1],
    ) -> [f64; 0] {
        let c = self.0[group].map(T::Real::saturated_from);
        for ((p, g), m) in parameters.iter_mut().zip(gradient).zip(m) {
            let (old, g) = (p.widen(), g.widen());
            let change = g.clamped(T::Real::SQUARE_LIMIT) - *m;
            let blended = *m + c.blend * change;
            let step = signed(c.step_size, blended);
            *p = T::saturate(old - guarded(g, c.decay * old + step));
            *m += guarded(g, c.rate * change);
        }
        []
    }

    fn update_tensor(
        &self,
        group: usize,
        parameter: &Tensor,
        gradient: &Tensor,
        [m]: &mut [Option<Tensor>; 1],
    ) -> candle_core::Result<(Tensor, [f64; 0])> {
        let most = largest(parameter.dtype());
        let c = self.0[group].map(|coefficient| coefficient.min(most));
        let limit = square_limit(parameter.dtype());
        let Some(m) = m else {
            candle_core::bail!("Lion needs its momentum")
        };
        let change = (gradient.clamp(-limit, limit)? - &*m)?;
        let step = ((&*m + (&change * c.blend)?)?.sign()? * c.step_size)?;
        let new = (parameter - ((parameter * c.decay)? + step)?)?;
        *m = (&*m + (change * c.rate)?)?;
        Ok((new, []))
    }
}

/// `size` with the sign of `value`; 0 where that is 0 or no number.
#[inline(always)]
fn signed<S: Real>(size: S, value: S) -> S {
    let up = if value > S::ZERO { size } else { S::ZERO };
    let down = if value < S::ZERO { size } else { S::ZERO };
    up - down
}
