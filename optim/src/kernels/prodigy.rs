//! The two passes of Prodigy: moments and the sums from which it estimates the distance to the
//! solution, then the step.

use candle_core::{Tensor, WithDType};

use super::norm::{PIECE, sum, sum_terms};
use super::number::{
    Element, Real, finite_or_zero, finite_or_zero_tensor, guarded, largest, square_limit,
};
use super::rule::Rule;

/// The scalars of the first pass over one parameter group.
///
/// ```text
/// m ← m + rate1·(d·g - m)
/// v ← v + rate2·((d·g)² - v)
/// s ← s + (inflow·g - outflow·s)
/// ```
///
/// Everything stays finite. g and d·g are held within ±[`Real::SQUARE_LIMIT`], and s within its type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProdigyMoments<S = f64> {
    pub(crate) d: S,
    pub(crate) rate1: S,
    pub(crate) rate2: S,
    pub(crate) inflow: S,
    pub(crate) outflow: S,
}

impl ProdigyMoments {
    /// `f` of each coefficient.
    #[inline(always)]
    fn map<S>(&self, f: impl Fn(f64) -> S) -> ProdigyMoments<S> {
        ProdigyMoments {
            d: f(self.d),
            rate1: f(self.rate1),
            rate2: f(self.rate2),
            inflow: f(self.inflow),
            outflow: f(self.outflow),
        }
    }
}

/// Prodigy's first pass; a group without coefficients is frozen. It leaves the parameters p as they
/// are. The state vectors are m, v, s and p0, the parameters of the first step. The sums are
/// Σ g·(p0 - p) and Σ |s|, where a gradient that is not finite counts as 0.
pub(crate) struct ProdigyMomentsRule {
    pub(crate) first: bool,
    pub(crate) groups: Vec<Option<ProdigyMoments>>,
}

impl Rule<4, 2> for ProdigyMomentsRule {
    #[inline(always)]
    fn update<T: Element>(
        &self,
        group: usize,
        parameters: &mut [T],
        gradient: &[T],
        [m, v, s, start]: [&mut [T::Real]; 4],
    ) -> [f64; 2] {
        if self.first {
            for (start, p) in start.iter_mut().zip(&*parameters) {
                *start = p.widen();
            }
        }
        let Some(c) = self.groups[group] else {
            return [0.0; 2];
        };
        let c = c.map(T::Real::saturated_from);
        let limit = T::Real::SQUARE_LIMIT;
        let (mut products, mut magnitudes) = ([0.0; PIECE], [0.0; PIECE]);
        let moments = m.iter_mut().zip(v).zip(s.iter_mut().zip(&*start));
        let vectors = parameters.iter().zip(gradient).zip(moments);
        let terms = products.iter_mut().zip(&mut magnitudes);
        for (((p, g), ((m, v), (s, start))), (product, magnitude)) in vectors.zip(terms) {
            let g = g.widen();
            let bounded = guarded(g, g.clamped(limit));
            let scaled = (c.d * bounded).clamped(limit);
            *m += guarded(g, c.rate1 * (scaled - *m));
            *v += guarded(g, c.rate2 * (scaled * scaled - *v));
            let new = (*s + (c.inflow * bounded - c.outflow * *s)).clamped(<T::Real as Real>::MAX);
            *product = bounded.to_f64() * (*start - p.widen()).to_f64();
            *magnitude = new.to_f64().abs();
            *s = if g * T::Real::ZERO == T::Real::ZERO {
                new
            } else {
                *s
            };
        }
        [sum_terms(&products), sum_terms(&magnitudes)]
    }

    fn begin_tensor(
        &self,
        parameter: &Tensor,
        [_, _, _, start]: &mut [Option<Tensor>; 4],
    ) -> candle_core::Result<()> {
        if self.first {
            *start = Some(parameter.copy()?);
        }
        Ok(())
    }

    fn update_tensor(
        &self,
        group: usize,
        parameter: &Tensor,
        gradient: &Tensor,
        state: &mut [Option<Tensor>; 4],
    ) -> candle_core::Result<(Tensor, [f64; 2])> {
        let Some(c) = self.groups[group] else {
            return Ok((parameter.clone(), [0.0; 2]));
        };
        let most = largest(parameter.dtype());
        let c = c.map(|coefficient| coefficient.min(most));
        let limit = square_limit(parameter.dtype());
        let [Some(m), Some(v), Some(s), Some(start)] = state else {
            candle_core::bail!("Prodigy needs its moments, its sum and its start")
        };
        let gradient = gradient.clamp(-limit, limit)?;
        let scaled = (&gradient * c.d)?.clamp(-limit, limit)?;
        *m = (&*m + ((&scaled - &*m)? * c.rate1)?)?;
        *v = (&*v + ((scaled.sqr()? - &*v)? * c.rate2)?)?;
        let change = ((&gradient * c.inflow)? - (&*s * c.outflow)?)?;
        *s = (&*s + change)?.clamp(-most, most)?;
        let products = (gradient * (&*start - parameter)?)?;
        let sums = [sum(&products)?, sum(&s.abs()?)?];
        Ok((parameter.clone(), sums))
    }
}

/// The scalars of the second pass over one parameter group.
///
/// ```text
/// p ← p - (decay·p + step_size·m / (sqrt(v) + epsilon))
/// ```
///
/// A quotient that is not finite makes no step. Parameters stop at their type's largest number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProdigyStep<S = f64> {
    pub(crate) decay: S,
    pub(crate) step_size: S,
    pub(crate) epsilon: S,
}

impl ProdigyStep {
    /// `f` of each coefficient.
    #[inline(always)]
    fn map<S>(&self, f: impl Fn(f64) -> S) -> ProdigyStep<S> {
        ProdigyStep {
            decay: f(self.decay),
            step_size: f(self.step_size),
            epsilon: f(self.epsilon),
        }
    }
}

/// Prodigy's second pass, with one set of coefficients per parameter group.
pub(crate) struct ProdigyStepRule(pub(crate) Vec<ProdigyStep>);

impl Rule<4> for ProdigyStepRule {
    #[inline(always)]
    fn update<T: Element>(
        &self,
        group: usize,
        parameters: &mut [T],
        gradient: &[T],
        [m, v, _, _]: [&mut [T::Real]; 4],
    ) -> [f64; 0] {
        let c = self.0[group].map(T::Real::saturated_from);
        for (((p, g), m), v) in parameters.iter_mut().zip(gradient).zip(m).zip(v) {
            let (old, g) = (p.widen(), g.widen());
            let step = finite_or_zero(c.step_size * *m / (v.sqrt() + c.epsilon));
            *p = T::saturate(old - guarded(g, c.decay * old + step));
        }
        []
    }

    fn update_tensor(
        &self,
        group: usize,
        parameter: &Tensor,
        _gradient: &Tensor,
        state: &mut [Option<Tensor>; 4],
    ) -> candle_core::Result<(Tensor, [f64; 0])> {
        let most = largest(parameter.dtype());
        let c = self.0[group].map(|coefficient| coefficient.min(most));
        let [Some(m), Some(v), _, _] = state else {
            candle_core::bail!("Prodigy needs its moments")
        };
        let step = ((&*m * c.step_size)? / (v.sqrt()? + c.epsilon)?)?;
        let new = (parameter - ((parameter * c.decay)? + finite_or_zero_tensor(&step)?)?)?;
        Ok((new, []))
    }
}
