//! The update of Adam and NadamW: moments, weight decay and step of every component.

use candle_core::{Tensor, WithDType};

use super::norm::{PIECE, sum, sum_terms};
use super::number::{
    Element, Real, finite_or_zero, finite_or_zero_tensor, guarded, largest, square_limit,
};
use super::rule::Rule;

/// The scalars of one Adam update of one parameter group.
///
/// ```text
/// g ← g + l2·p
/// m ← m + rate1·(g - m)
/// v ← v + rate2·(g² - v)
/// p ← p - (decay·p + step_size·(own·g + carried·m) / (scale·sqrt(v) + epsilon))
/// ```
///
/// Adam has own = 0 and carried = 1.
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
    pub(crate) own: S,
    pub(crate) carried: S,
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
            own: f(self.own),
            carried: f(self.carried),
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
    ) -> [f64; 0] {
        let coefficients = self.0[group].map(T::Real::saturated_from);
        if maximum.is_empty() {
            adam(coefficients, parameters, gradient, m, v, |_, _, _| ());
        } else {
            amsgrad(coefficients, parameters, gradient, m, v, maximum);
        }
        []
    }

    fn update_tensor(
        &self,
        group: usize,
        parameter: &Tensor,
        gradient: &Tensor,
        state: &mut [Option<Tensor>; 3],
    ) -> candle_core::Result<(Tensor, [f64; 0])> {
        let step = StepTensors::new(&self.0[group], parameter, gradient, state)?;
        Ok((step.new, []))
    }

    #[cfg(feature = "cuda")]
    fn cuda_kernel(&self) -> Option<(&'static str, Vec<f64>)> {
        let group = |c: &AdamCoefficients| {
            [
                c.l2,
                c.rate1,
                c.rate2,
                c.decay,
                c.own,
                c.carried,
                c.step_size,
                c.scale,
                c.epsilon,
            ]
        };
        Some(("adam", self.0.iter().flat_map(group).collect()))
    }
}

/// Adam without AMSGrad, which also sums its step s: Σ s·s and Σ s·g, with the gradient as it enters
/// the moments.
pub(crate) struct ProjectedAdamRule(pub(crate) Vec<AdamCoefficients>);

impl Rule<3, 2> for ProjectedAdamRule {
    #[inline(always)]
    fn update<T: Element>(
        &self,
        group: usize,
        parameters: &mut [T],
        gradient: &[T],
        [m, v, _]: [&mut [T::Real]; 3],
    ) -> [f64; 2] {
        let coefficients = self.0[group].map(T::Real::saturated_from);
        let (mut squares, mut products) = ([0.0; PIECE], [0.0; PIECE]);
        let record = |i: usize, step: T::Real, g: T::Real| {
            let (step, g) = (step.to_f64(), g.to_f64());
            squares[i] = step * step;
            products[i] = step * g;
        };
        adam(coefficients, parameters, gradient, m, v, record);
        [sum_terms(&squares), sum_terms(&products)]
    }

    fn update_tensor(
        &self,
        group: usize,
        parameter: &Tensor,
        gradient: &Tensor,
        state: &mut [Option<Tensor>; 3],
    ) -> candle_core::Result<(Tensor, [f64; 2])> {
        let tensors = StepTensors::new(&self.0[group], parameter, gradient, state)?;
        let squares = sum(&tensors.step.sqr()?)?;
        let products = sum(&(&tensors.step * &tensors.gradient)?)?;
        Ok((tensors.new, [squares, products]))
    }
}

/// An update in tensor operations.
struct StepTensors {
    /// The gradient as it enters the moments.
    gradient: Tensor,
    /// What is taken off the parameter, decay excluded.
    step: Tensor,
    /// The new parameter.
    new: Tensor,
}

impl StepTensors {
    fn new(
        coefficients: &AdamCoefficients,
        parameter: &Tensor,
        gradient: &Tensor,
        state: &mut [Option<Tensor>; 3],
    ) -> candle_core::Result<Self> {
        let most = largest(parameter.dtype());
        let c = coefficients.map(|coefficient| coefficient.min(most));
        let limit = square_limit(parameter.dtype());
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
        let direction = ((&gradient * c.own)? + (&*m * c.carried)?)?;
        let step = finite_or_zero_tensor(&((direction * c.step_size)? / denominator)?)?;
        let new = (parameter - ((parameter * c.decay)? + &step)?)?;
        Ok(Self {
            gradient,
            step,
            new,
        })
    }
}

/// The gradient with decay, as it enters the moments.
#[inline(always)]
fn decayed<S: Real>(c: &AdamCoefficients<S>, p: S, g: S) -> S {
    (g + c.l2 * p).clamped(S::SQUARE_LIMIT)
}

/// The new m and v of one component, of a gradient g that is `l2` with decay.
#[inline(always)]
fn moments<S: Real>(c: &AdamCoefficients<S>, g: S, l2: S, m: S, v: S) -> (S, S) {
    (
        m + guarded(g, c.rate1 * (l2 - m)),
        v + guarded(g, c.rate2 * (l2 * l2 - v)),
    )
}

/// The step of one component, decay excluded, with the new m and v.
#[inline(always)]
fn step<S: Real>(c: &AdamCoefficients<S>, l2: S, m: S, v: S) -> S {
    let direction = c.own * l2 + c.carried * m;
    finite_or_zero(c.step_size * direction / (c.scale * v.sqrt() + c.epsilon))
}

/// Updates all components; `record` is told each one's index, step and gradient, both 0 where the
/// gradient is not finite.
#[inline(always)]
fn adam<T: Element>(
    c: AdamCoefficients<T::Real>,
    parameters: &mut [T],
    gradient: &[T],
    m: &mut [T::Real],
    v: &mut [T::Real],
    mut record: impl FnMut(usize, T::Real, T::Real),
) {
    let vectors = parameters.iter_mut().zip(gradient).zip(m).zip(v);
    for (i, (((p, g), m), v)) in vectors.enumerate() {
        let (old, g) = (p.widen(), g.widen());
        let l2 = decayed(&c, old, g);
        (*m, *v) = moments(&c, g, l2, *m, *v);
        let step = step(&c, l2, *m, *v);
        *p = T::saturate(old - guarded(g, c.decay * old + step));
        record(i, guarded(g, step), guarded(g, l2));
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
        let l2 = decayed(&c, old, g);
        (*m, *v) = moments(&c, g, l2, *m, *v);
        *maximum = maximum.max(*v);
        let step = step(&c, l2, *m, *maximum);
        *p = T::saturate(old - guarded(g, c.decay * old + step));
    }
}
