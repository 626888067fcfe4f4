//! Classes of functions that theory bounds the cost of, each with a function that is as hard as its bound says.

use bench_functions::classic::{hard_convex, hard_non_convex};
use candle_core::Device;
use serde::Deserialize;

use super::build::quadratic;
use crate::error::Result;
use crate::problem::{FunctionProblem, Problem};

/// A class of smooth functions, and what is to become small on it. The functions have 100 variables, so that chance
/// in a few of them does not reach a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FunctionClass {
    /// Strongly convex, with f − f*: a quadratic with κ = 10. Without noise gradient descent takes O(log 1/ε)
    /// evaluations.
    StronglyConvex,
    /// Convex and started at a bounded distance from the minimum, with f − f*: [`hard_convex`], κ = 10⁶. Without
    /// noise gradient descent takes 1/ε evaluations.
    Convex,
    /// Not convex and started at a bounded f − f*, with ‖∇f‖: [`hard_non_convex`], κ = 10⁶. Without noise gradient
    /// descent takes 1/ε² evaluations.
    NonConvex,
}

/// Variables of every function.
const DIMENSION: usize = 100;
/// κ where the class has no bound on it.
const CONDITION: f64 = 1e6;

impl FunctionClass {
    /// The class's function with gradient noise, from the start of a seed.
    pub(super) fn problem(self, noise: f64, seed: u64) -> Result<FunctionProblem> {
        match self {
            Self::StronglyConvex => quadratic(DIMENSION, 10.0, noise).problem(seed, &Device::Cpu),
            Self::Convex => {
                FunctionProblem::with_noise(hard_convex(DIMENSION, CONDITION), noise, seed)
            }
            Self::NonConvex => {
                FunctionProblem::with_noise(hard_non_convex(DIMENSION, CONDITION), noise, seed)
            }
        }
    }

    /// What is to become small: f − f* or ‖∇f‖, without noise.
    pub(super) fn error(self, problem: &mut FunctionProblem) -> Result<f64> {
        match self {
            Self::StronglyConvex | Self::Convex => Ok(problem.measure()?.loss),
            Self::NonConvex => problem.gradient_norm(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn errors_under_gradient_flow_fall_as_the_class_allows() {
        // Euler steps of length 1, half of what the largest eigenvalue allows: t from 100 to 1,600.
        for (class, exponent) in [
            (FunctionClass::Convex, -1.0),
            (FunctionClass::NonConvex, -0.5),
        ] {
            let mut problem = class.problem(0.0, 0).unwrap();
            let (mut times, mut errors) = (Vec::new(), Vec::new());
            for step in 1..=1600 {
                let gradient = problem.objective(step).unwrap().loss_and_gradient();
                let gradient = gradient.unwrap().1.tensors()[0].clone();
                let x = &problem.parameters().vars()[0];
                x.set(&(x.as_tensor() - gradient).unwrap()).unwrap();
                if step >= 100 {
                    times.push((step as f64).ln());
                    errors.push(class.error(&mut problem).unwrap().ln());
                }
            }
            let line = bench_stats::least_squares(&times, &errors).unwrap();
            assert!((line.slope - exponent).abs() < 0.02, "{class:?}: {line:?}");
            assert!(line.r_squared > 0.999, "{class:?}: {line:?}");
        }
    }
}
