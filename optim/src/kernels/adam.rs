//! Adam's update: moments, weight decay and step of every component.

use candle_core::Tensor;

use super::number::{Element, Real};
use super::update::Rule;

/// The scalars of one Adam update of one parameter group.
///
/// ```text
/// g ← g + l2·p
/// m ← beta1·m + (1 - beta1)·g
/// v ← beta2·v + (1 - beta2)·g²
/// p ← shrink·p - step_size·m / (scale·sqrt(v) + epsilon)
/// ```
///
/// With AMSGrad, the running maximum of v takes v's place in the last line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdamCoefficients<S = f64> {
    pub(crate) beta1: S,
    pub(crate) one_minus_beta1: S,
    pub(crate) beta2: S,
    pub(crate) one_minus_beta2: S,
    pub(crate) l2: S,
    pub(crate) shrink: S,
    pub(crate) step_size: S,
    pub(crate) scale: S,
    pub(crate) epsilon: S,
}

impl AdamCoefficients {
    fn cast<S: Real>(&self) -> AdamCoefficients<S> {
        AdamCoefficients {
            beta1: S::from_f64(self.beta1),
            one_minus_beta1: S::from_f64(self.one_minus_beta1),
            beta2: S::from_f64(self.beta2),
            one_minus_beta2: S::from_f64(self.one_minus_beta2),
            l2: S::from_f64(self.l2),
            shrink: S::from_f64(self.shrink),
            step_size: S::from_f64(self.step_size),
            scale: S::from_f64(self.scale),
            epsilon: S::from_f64(self.epsilon),
        }
    }
}

/// Adam and AMSGrad, with one set of coefficients per parameter group. The state vectors are m, v
/// and, for AMSGrad only, the running maximum of v.
pub(crate) struct AdamRule(pub(crate) Vec<AdamCoefficients>);

impl Rule<3> for AdamRule {
    fn update<T: Element>(
        &self,
        group: usize,
        parameters: &mut [T],
        gradient: &[T],
        [m, v, maximum]: [&mut [T::Real]; 3],
    ) {
        let coefficients = self.0[group].cast();
        if maximum.is_empty() {
            adam(coefficients, parameters, gradient, m, v);
        } else {
            amsgrad(coefficients, parameters, gradient, m, v, maximum);
        }
    }

    fn update_tensor(
        &self,
        group: usize,
        parameter: &Tensor,
        gradient: &Tensor,
        state: &mut [Option<Tensor>; 3],
    ) -> candle_core::Result<Tensor> {
        let c = self.0[group];
        let [Some(m), Some(v), maximum] = state else {
            candle_core::bail!("Adam needs its first and second moments")
        };
        let gradient = (gradient + (parameter * c.l2)?)?;
        *m = ((&*m * c.beta1)? + (&gradient * c.one_minus_beta1)?)?;
        *v = ((&*v * c.beta2)? + (gradient.sqr()? * c.one_minus_beta2)?)?;
        if let Some(maximum) = maximum {
            *maximum = maximum.maximum(&*v)?;
        }
        let second = maximum.as_ref().unwrap_or(v);
        let denominator = ((second.sqrt()? * c.scale)? + c.epsilon)?;
        (parameter * c.shrink)? - ((&*m * c.step_size)? / denominator)?
    }
}

/// The new m, v and the update's numerator, of one component.
#[inline(always)]
fn moments<S: Real>(c: &AdamCoefficients<S>, p: S, g: S, m: S, v: S) -> (S, S) {
    let g = g + c.l2 * p;
    (
        c.beta1 * m + c.one_minus_beta1 * g,
        c.beta2 * v + c.one_minus_beta2 * (g * g),
    )
}

#[inline(always)]
fn stepped<S: Real>(c: &AdamCoefficients<S>, p: S, m: S, v: S) -> S {
    c.shrink * p - c.step_size * m / (c.scale * v.sqrt() + c.epsilon)
}

fn adam<T: Element>(
    c: AdamCoefficients<T::Real>,
    parameters: &mut [T],
    gradient: &[T],
    m: &mut [T::Real],
    v: &mut [T::Real],
) {
    for (((p, g), m), v) in parameters.iter_mut().zip(gradient).zip(m).zip(v) {
        let old = p.widen();
        (*m, *v) = moments(&c, old, g.widen(), *m, *v);
        *p = T::narrow(stepped(&c, old, *m, *v));
    }
}

fn amsgrad<T: Element>(
    c: AdamCoefficients<T::Real>,
    parameters: &mut [T],
    gradient: &[T],
    m: &mut [T::Real],
    v: &mut [T::Real],
    maximum: &mut [T::Real],
) {
    let vectors = parameters.iter_mut().zip(gradient).zip(m).zip(v);
    for ((((p, g), m), v), maximum) in vectors.zip(maximum) {
        let old = p.widen();
        (*m, *v) = moments(&c, old, g.widen(), *m, *v);
        *maximum = maximum.max(*v);
        *p = T::narrow(stepped(&c, old, *m, *maximum));
    }
}
