//! The update of Schedule-Free AdamW: a step of Adam's size from z, and the parameters between z and
//! the average of all z.

use candle_core::Tensor;

use super::number::{
    Element, Real, finite_or_zero, finite_or_zero_tensor, guarded, largest, square_limit,
};
use super::rule::Rule;

/// The scalars of one update of one parameter group.
///
/// ```text
/// v ← v + rate2·(g² - v)
/// n ← g / (scale·sqrt(v) + epsilon) + decay·p
/// p ← p - (average_step·n - toward·(z - p))
/// z ← z - step_size·n
/// ```
///
/// The parameters p are where the gradient is taken, y = (1 - β1)·z + β1·x. With x's new weight c,
/// toward = c and average_step = step_size·(1 - β1·(1 - c)) make the new y without keeping x.
///
/// Everything stays finite. The gradient enters within ±[`Real::SQUARE_LIMIT`], n is 0 where it is
/// not finite, a change of p or z that is not finite is not made, and both stop at the largest
/// number of their type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScheduleFreeCoefficients<S = f64> {
    pub(crate) rate2: S,
    pub(crate) scale: S,
    pub(crate) epsilon: S,
    pub(crate) decay: S,
    pub(crate) toward: S,
    pub(crate) average_step: S,
    pub(crate) step_size: S,
}

impl ScheduleFreeCoefficients {
    /// `f` of each coefficient.
    #[inline(always)]
    fn map<S>(&self, f: impl Fn(f64) -> S) -> ScheduleFreeCoefficients<S> {
        ScheduleFreeCoefficients {
            rate2: f(self.rate2),
            scale: f(self.scale),
            epsilon: f(self.epsilon),
            decay: f(self.decay),
            toward: f(self.toward),
            average_step: f(self.average_step),
            step_size: f(self.step_size),
        }
    }
}

/// Schedule-Free AdamW with one set of coefficients per parameter group. The state vectors are z and
/// v. In the first step z is the parameters.
pub(crate) struct ScheduleFreeRule {
    pub(crate) first: bool,
    pub(crate) groups: Vec<ScheduleFreeCoefficients>,
}

impl Rule<2> for ScheduleFreeRule {
    #[inline(always)]
    fn update<T: Element>(
        &self,
        group: usize,
        parameters: &mut [T],
        gradient: &[T],
        [z, v]: [&mut [T::Real]; 2],
    ) -> [f64; 0] {
        let c = self.groups[group].map(T::Real::saturated_from);
        if self.first {
            for (z, p) in z.iter_mut().zip(&*parameters) {
                *z = p.widen();
            }
        }
        for (((p, g), z), v) in parameters.iter_mut().zip(gradient).zip(z).zip(v) {
            let (old, g) = (p.widen(), g.widen());
            let bounded = g.clamped(T::Real::SQUARE_LIMIT);
            *v += guarded(g, c.rate2 * (bounded * bounded - *v));
            let scaled = bounded / (c.scale * v.sqrt() + c.epsilon);
            let direction = finite_or_zero(scaled + c.decay * old);
            let change = c.average_step * direction - c.toward * (*z - old);
            *p = T::saturate(old - guarded(g, finite_or_zero(change)));
            let step = finite_or_zero(c.step_size * direction);
            *z = (*z - guarded(g, step)).clamped(<T::Real as Real>::MAX);
        }
        []
    }

    fn update_tensor(
        &self,
        group: usize,
        parameter: &Tensor,
        gradient: &Tensor,
        [z, v]: &mut [Option<Tensor>; 2],
    ) -> candle_core::Result<(Tensor, [f64; 0])> {
        let most = largest(parameter.dtype());
        let c = self.groups[group].map(|coefficient| coefficient.min(most));
        let limit = square_limit(parameter.dtype());
        let (Some(z), Some(v)) = (z, v) else {
            candle_core::bail!("Schedule-Free AdamW needs z and its second moment")
        };
        let gradient = gradient.clamp(-limit, limit)?;
        *v = (&*v + ((gradient.sqr()? - &*v)? * c.rate2)?)?;
        let scaled = (gradient / ((v.sqrt()? * c.scale)? + c.epsilon)?)?;
        let direction = finite_or_zero_tensor(&(scaled + (parameter * c.decay)?)?)?;
        let toward = ((&*z - parameter)? * c.toward)?;
        let change = finite_or_zero_tensor(&((&direction * c.average_step)? - toward)?)?;
        let step = finite_or_zero_tensor(&(direction * c.step_size)?)?;
        *z = (&*z - step)?.clamp(-most, most)?;
        Ok(((parameter - change)?, []))
    }

    fn begin_tensor(
        &self,
        parameter: &Tensor,
        [z, _]: &mut [Option<Tensor>; 2],
    ) -> candle_core::Result<()> {
        if self.first {
            *z = Some(parameter.copy()?);
        }
        Ok(())
    }
}
