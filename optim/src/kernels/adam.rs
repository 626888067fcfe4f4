//! Adam's update: moments, weight decay and step of every component.

use candle_core::{DType, Tensor};

use super::number::{Element, Real, finite_or_zero, finite_or_zero_tensor, guarded, largest};
use super::rule::Rule;

/// The scalars of one Adam update of one parameter group.
///
/// ```text
/// g ← g + l2·p
/// m ← m + rate1·(g - m)
/// v ← v + rate2·(g² - v)
/// p ← p - (decay·p + step_size·m / (scale·sqrt(v) + epsilon))
/// ```
///
/// With AMSGrad, the running maximum of v takes v's place in the last line.
///
/// Everything stays finite. The gradient enters the moments within ±[`Real::SQUARE_LIMIT`], so that
/// its square is finite; Adam's step, which does not depend on the gradient's scale, hardly
/// changes. A quotient that is not finite makes no step. Parameters stop at their type's largest
/// number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdamCoefficients<S = f64> {
    pub(crate) l2: S,
    pub(crate) rate1: S,
    pub(crate) rate2: S,
    pub(crate) decay: S,
    pub(crate) step_size: S,
    pub(crate) scale: S,
    pub(crate) epsilon: S,
}

impl AdamCoefficients {
    /// `f` of each coefficient.
    #[inline(always)]
    fn map<S>(&self, f: impl Fn(f64) -> S) -> AdamCoefficients<S> {
        AdamCoefficients {
            l2: f(self.l2),
            rate1: f(self.rate1),
            rate2: f(self.rate2),
            decay: f(self.decay),
            step_size: f(self.step_size),
            scale: f(self.scale),
            epsilon: f(self.epsilon),
        }
    }
}

/// Adam and AMSGrad, with one set of coefficients per parameter group. The state vectors are m, v
/// and, for AMSGrad only, the running maximum of v.
pub(crate) struct AdamRule(pub(crate) Vec<AdamCoefficients>);

impl Rule<3> for AdamRule {
    #[inline(always)]
    fn update<T: Element>(
        &self,
        group: usize,
        parameters: &mut [T],
        gradient: &[T],
        [m, v, maximum]: [&mut [T::Real]; 3],
    ) {
        let coefficients = self.0[group].map(T::Real::saturated_from);
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
        let most = largest(parameter.dtype());
        let c = self.0[group].map(|coefficient| coefficient.min(most));
        let limit = if parameter.dtype() == DType::F64 {
            f64::SQUARE_LIMIT
        } else {
            f32::SQUARE_LIMIT.into()
        };
        let [Some(m), Some(v), maximum] = state else {
            candle_core::bail!("Adam needs its first and second moments")
        };
        let gradient = (gradient + (parameter * c.l2)?)?.clamp(-limit, limit)?;
        *m = (&*m + ((&gradient - &*m)? * c.rate1)?)?;
        *v = (&*v + ((gradient.sqr()? - &*v)? * c.rate2)?)?;
        if let Some(maximum) = maximum {
            *maximum = maximum.maximum(&*v)?;
        }
        let second = maximum.as_ref().unwrap_or(v);
        let denominator = ((second.sqrt()? * c.scale)? + c.epsilon)?;
        let step = finite_or_zero_tensor(&((&*m * c.step_size)? / denominator)?)?;
        parameter - ((parameter * c.decay)? + step)?
    }

    #[cfg(feature = "cuda")]
    fn name(&self) -> &'static str {
        "adam"
    }

    #[cfg(feature = "cuda")]
    fn coefficients(&self) -> Vec<f64> {
        let group = |c: &AdamCoefficients| {
            [
                c.l2,
                c.rate1,
                c.rate2,
                c.decay,
                c.step_size,
                c.scale,
                c.epsilon,
            ]
        };
        self.0.iter().flat_map(group).collect()
    }
}

/// The new m and v of one component.
#[inline(always)]
fn moments<S: Real>(c: &AdamCoefficients<S>, p: S, g: S, m: S, v: S) -> (S, S) {
    let l2 = (g + c.l2 * p).clamped(S::SQUARE_LIMIT);
    (
        m + guarded(g, c.rate1 * (l2 - m)),
        v + guarded(g, c.rate2 * (l2 * l2 - v)),
    )
}

/// The new parameter of one component, with the new m and v.
#[inline(always)]
fn stepped<S: Real>(c: &AdamCoefficients<S>, p: S, g: S, m: S, v: S) -> S {
    let step = c.step_size * m / (c.scale * v.sqrt() + c.epsilon);
    p - guarded(g, c.decay * p + finite_or_zero(step))
}

#[inline(always)]
fn adam<T: Element>(
    c: AdamCoefficients<T::Real>,
    parameters: &mut [T],
    gradient: &[T],
    m: &mut [T::Real],
    v: &mut [T::Real],
) {
    for (((p, g), m), v) in parameters.iter_mut().zip(gradient).zip(m).zip(v) {
        let (old, g) = (p.widen(), g.widen());
        (*m, *v) = moments(&c, old, g, *m, *v);
        *p = T::saturate(stepped(&c, old, g, *m, *v));
    }
}

#[inline(always)]
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
        let (old, g) = (p.widen(), g.widen());
        (*m, *v) = moments(&c, old, g, *m, *v);
        *maximum = maximum.max(*v);
        *p = T::saturate(stepped(&c, old, g, *m, *maximum));
    }
}
