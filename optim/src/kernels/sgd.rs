//! The update of stochastic gradient descent, with and without momentum.

use candle_core::Tensor;

use super::number::{Element, Real, finite_or_zero, finite_or_zero_tensor, guarded, largest};
use super::rule::Rule;

/// The scalars of one SGD update of one parameter group.
///
/// ```text
/// g ← g + l2·p
/// b ← b + (inflow·g - outflow·b)
/// p ← p - step_size·(own·g + carried·b)
/// ```
///
/// Without a momentum vector b, the last line is p ← p - step_size·g.
///
/// Everything stays finite: b and p stop at the largest number of their type, and a step that is
/// not finite is not made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SgdCoefficients<S = f64> {
    pub(crate) l2: S,
    pub(crate) inflow: S,
    pub(crate) outflow: S,
    pub(crate) own: S,
    pub(crate) carried: S,
    pub(crate) step_size: S,
}

impl SgdCoefficients {
    /// `f` of each coefficient.
    #[inline(always)]
    fn map<S>(&self, f: impl Fn(f64) -> S) -> SgdCoefficients<S> {
        SgdCoefficients {
            l2: f(self.l2),
            inflow: f(self.inflow),
            outflow: f(self.outflow),
            own: f(self.own),
            carried: f(self.carried),
            step_size: f(self.step_size),
        }
    }
}

/// SGD with one set of coefficients per parameter group. The state vector is the momentum, if used.
pub(crate) struct SgdRule(pub(crate) Vec<SgdCoefficients>);

impl Rule<1> for SgdRule {
    #[inline(always)]
    fn update<T: Element>(
        &self,
        group: usize,
        parameters: &mut [T],
        gradient: &[T],
        [buffer]: [&mut [T::Real]; 1],
    ) -> [f64; 0] {
        let coefficients = self.0[group].map(T::Real::saturated_from);
        if buffer.is_empty() {
            without_momentum(coefficients, parameters, gradient);
        } else {
            with_momentum(coefficients, parameters, gradient, buffer);
        }
        []
    }

    fn update_tensor(
        &self,
        group: usize,
        parameter: &Tensor,
        gradient: &Tensor,
        [buffer]: &mut [Option<Tensor>; 1],
    ) -> candle_core::Result<(Tensor, [f64; 0])> {
        let most = largest(parameter.dtype());
        let c = self.0[group].map(|coefficient| coefficient.min(most));
        let gradient = (gradient + (parameter * c.l2)?)?.clamp(-most, most)?;
        let direction = match buffer {
            None => gradient,
            Some(buffer) => {
                let change = ((&gradient * c.inflow)? - (&*buffer * c.outflow)?)?;
                *buffer = (&*buffer + change)?.clamp(-most, most)?;
                ((gradient * c.own)? + (&*buffer * c.carried)?)?
            }
        };
        let new = (parameter - finite_or_zero_tensor(&(direction * c.step_size)?)?)?;
        Ok((new, []))
    }

    #[cfg(feature = "cuda")]
    fn cuda_kernel(&self) -> Option<(&'static str, Vec<f64>)> {
        let group =
            |c: &SgdCoefficients| [c.l2, c.inflow, c.outflow, c.own, c.carried, c.step_size];
        Some(("sgd", self.0.iter().flat_map(group).collect()))
    }
}

#[inline(always)]
fn without_momentum<T: Element>(c: SgdCoefficients<T::Real>, parameters: &mut [T], gradient: &[T]) {
    for (p, g) in parameters.iter_mut().zip(gradient) {
        let (old, g) = (p.widen(), g.widen());
        let step = c.step_size * (g + c.l2 * old);
        *p = T::saturate(old - guarded(g, finite_or_zero(step)));
    }
}

#[inline(always)]
fn with_momentum<T: Element>(
    c: SgdCoefficients<T::Real>,
    parameters: &mut [T],
    gradient: &[T],
    buffer: &mut [T::Real],
) {
    for ((p, g), buffer) in parameters.iter_mut().zip(gradient).zip(buffer) {
        let (old, g) = (p.widen(), g.widen());
        let l2 = (g + c.l2 * old).clamped(<T::Real as Real>::MAX);
        let change = guarded(g, c.inflow * l2 - c.outflow * *buffer);
        *buffer = (*buffer + change).clamped(<T::Real as Real>::MAX);
        let step = c.step_size * (c.own * l2 + c.carried * *buffer);
        *p = T::saturate(old - guarded(g, finite_or_zero(step)));
    }
}
