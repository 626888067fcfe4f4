//! A function being minimized, with optional gradient noise.

use bench_functions::Function;
use bench_stats::random::Stream;
use candle_core::{Device, Tensor, Var};
use optim::{Gradient, Objective, Parameters};

use super::invalid::invalid;
use super::steps::Steps;
use crate::error::Result;
use crate::problem::start::{normals, shifted};
use crate::problem::traits::{Measurement, Problem};
use crate::problem::values::with_values;

/// A function being minimized.
pub struct FunctionProblem {
    parameters: Parameters,
    function: Function,
    steps: Steps,
    seed: u64,
    /// ξ of the step; empty without noise.
    noise: Vec<f64>,
    /// Room for a gradient that only measurements see.
    gradient: Vec<f64>,
}

impl FunctionProblem {
    /// A function with its start; the noise is drawn from the seed.
    ///
    /// # Errors
    /// When the settings cannot be used, or the device refuses the parameters.
    pub(super) fn new(
        function: Function,
        start: Vec<f64>,
        steps: Steps,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        steps.check()?;
        let x = Var::from_tensor(&Tensor::from_vec(start, function.dimension(), device)?)?;
        Ok(Self {
            parameters: Parameters::new([("x", x)])?,
            gradient: vec![0.0; function.dimension()],
            noise: Vec::new(),
            function,
            steps,
            seed,
        })
    }

    /// A function with gradient noise, from its start for seed 0, for other seeds from a point near it.
    ///
    /// # Errors
    /// When there is no such function, or the noise cannot be used.
    pub(crate) fn with_noise(
        function: bench_functions::Result<Function>,
        noise: f64,
        seed: u64,
    ) -> Result<Self> {
        let function = function.map_err(invalid)?;
        let start = shifted(function.start.clone(), seed);
        let steps = Steps {
            noise,
            per_epoch: Steps::PER_EPOCH,
        };
        Self::new(function, start, steps, seed, &Device::Cpu)
    }

    /// The norm of the gradient without noise, ‖∇f(x)‖₂.
    ///
    /// # Errors
    /// When the parameters cannot be read.
    pub fn gradient_norm(&mut self) -> Result<f64> {
        self.value()?;
        Ok(self.gradient.iter().map(|g| g * g).sum::<f64>().sqrt())
    }

    /// f(x); writes the gradient.
    fn value(&mut self) -> candle_core::Result<f64> {
        with_values(&self.parameters.vars()[0], |x| {
            self.function.evaluate(x, &mut self.gradient)
        })
    }
}

impl Problem for FunctionProblem {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn steps_per_epoch(&self) -> u64 {
        self.steps.per_epoch
    }

    fn is_deterministic(&self) -> bool {
        self.steps.noise == 0.0
    }

    fn objective(&mut self, step: u64) -> Result<Box<dyn Objective + '_>> {
        if self.steps.noise != 0.0 {
            let dimension = self.function.dimension();
            let scale = self.steps.noise / (dimension as f64).sqrt();
            let draws = normals(self.seed, Stream::Noise, step).take(dimension);
            self.noise.clear();
            self.noise.extend(draws.map(|draw| scale * draw));
        }
        Ok(Box::new(Noisy(self)))
    }

    fn measure(&mut self) -> Result<Measurement> {
        let minimum = self.function.minimum().unwrap_or_default();
        Ok(Measurement::of_loss(self.value()? - minimum))
    }
}

/// The function as one step sees it: f(x) + ξᵀx.
struct Noisy<'a>(&'a mut FunctionProblem);

impl Objective for Noisy<'_> {
    fn loss(&mut self) -> optim::Result<f64> {
        Ok(self.loss_and_gradient()?.0)
    }

    fn loss_and_gradient(&mut self) -> optim::Result<(f64, Gradient)> {
        let FunctionProblem {
            parameters,
            function,
            noise,
            ..
        } = &mut *self.0;
        // The tensor takes this memory over.
        let mut gradient = vec![0.0; function.dimension()];
        let loss = with_values(&parameters.vars()[0], |x| {
            let mut loss = function.evaluate(x, &mut gradient);
            for ((g, xi), x) in gradient.iter_mut().zip(&*noise).zip(x) {
                *g += xi;
                loss += xi * x;
            }
            loss
        })?;
        let dimension = gradient.len();
        let gradient = Tensor::from_vec(gradient, dimension, parameters.device())?;
        Ok((loss, Gradient::new(parameters, vec![gradient])?))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::problem::QuadraticConfig;

    #[test]
    fn noise_has_the_stated_size_and_is_fixed_within_a_step() {
        let config = QuadraticConfig {
            dimension: 50,
            condition: 10.0,
            noise: 0.0,
            steps_per_epoch: 10,
        };
        let exact = gradient_of(&mut config.problem(1, &Device::Cpu).unwrap(), 0);
        let noise = 0.3;
        let config = QuadraticConfig { noise, ..config };
        let mut problem = config.problem(1, &Device::Cpu).unwrap();
        assert_eq!(gradient_of(&mut problem, 3), gradient_of(&mut problem, 3));
        let mean_square: f64 = (0..200)
            .map(|step| {
                gradient_of(&mut problem, step)
                    .iter()
                    .zip(&exact)
                    .map(|(noisy, exact)| (noisy - exact).powi(2))
                    .sum::<f64>()
            })
            .sum::<f64>()
            / 200.0;
        assert!((mean_square / 0.09 - 1.0).abs() < 0.05, "{mean_square}");
    }

    fn gradient_of(problem: &mut FunctionProblem, step: u64) -> Vec<f64> {
        let mut objective = problem.objective(step).unwrap();
        let (_, gradient) = objective.loss_and_gradient().unwrap();
        gradient.tensors()[0].to_vec1().unwrap()
    }
}
