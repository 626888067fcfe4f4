//! A function being minimized, with optional gradient noise.

use bench_stats::random::{Stream, stream};
use candle_core::{Device, Tensor, Var};
use optim::{Gradient, Objective, Parameters};
use rand_distr::{Distribution, StandardNormal};

use super::config::{FunctionConfig, QuadraticConfig};
use super::quadratic::Quadratic;
use crate::error::Result;
use crate::problem::traits::{Measurement, Problem};

type Evaluate = Box<dyn Fn(&[f64], &mut [f64]) -> f64>;

/// A function being minimized.
pub struct FunctionProblem {
    parameters: Parameters,
    evaluate: Evaluate,
    minimum: f64,
    noise: f64,
    steps_per_epoch: u64,
    seed: u64,
}

impl FunctionProblem {
    /// A test function at its standard start, or for seeds other than 0 at a point near it: each
    /// coordinate is shifted by a normal draw of standard deviation 0.1, since runs of a
    /// deterministic function from one point would all be the same.
    ///
    /// # Errors
    /// When a setting cannot be used, or the device refuses the parameters.
    pub fn new(config: &FunctionConfig, seed: u64, device: &Device) -> Result<Self> {
        let function = config.resolve()?;
        let start = (function.start)(config.dimension);
        let evaluate = Box::new(function.evaluate);
        let minimum = (function.minimum)(config.dimension);
        Self::build(
            start,
            evaluate,
            minimum,
            (config.noise, config.steps_per_epoch),
            seed,
            device,
        )
    }

    /// A quadratic with the chosen spectrum, rotated, started at distance √d from its minimum.
    ///
    /// # Errors
    /// When the device refuses the parameters.
    pub fn quadratic(config: &QuadraticConfig, seed: u64, device: &Device) -> Result<Self> {
        let quadratic = Quadratic::new(config.dimension, config.condition);
        Self::build(
            vec![1.0; config.dimension],
            Box::new(move |x, gradient| quadratic.evaluate(x, gradient)),
            0.0,
            (config.noise, config.steps_per_epoch),
            seed,
            device,
        )
    }

    fn build(
        mut start: Vec<f64>,
        evaluate: Evaluate,
        minimum: f64,
        (noise, steps_per_epoch): (f64, u64),
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        if seed != 0 {
            let shifts = normals(seed, Stream::Init, 0, start.len());
            for (x, shift) in start.iter_mut().zip(shifts) {
                *x += 0.1 * shift;
            }
        }
        let x = Var::from_tensor(&Tensor::new(start.as_slice(), device)?)?;
        Ok(Self {
            parameters: Parameters::new([("x", x)])?,
            evaluate,
            minimum,
            noise,
            steps_per_epoch,
            seed,
        })
    }

    /// The norm of the gradient without noise, ‖∇f(x)‖₂.
    ///
    /// # Errors
    /// When the parameters cannot be read.
    pub fn gradient_norm(&self) -> Result<f64> {
        let x = self.x()?;
        let mut gradient = vec![0.0; x.len()];
        (self.evaluate)(&x, &mut gradient);
        Ok(gradient.iter().map(|g| g * g).sum::<f64>().sqrt())
    }

    fn x(&self) -> Result<Vec<f64>, candle_core::Error> {
        self.parameters.vars()[0].to_vec1::<f64>()
    }
}

impl Problem for FunctionProblem {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn steps_per_epoch(&self) -> u64 {
        self.steps_per_epoch
    }

    fn is_deterministic(&self) -> bool {
        self.noise == 0.0
    }

    fn objective(&mut self, step: u64) -> Result<Box<dyn Objective + '_>> {
        let dimension = self.parameters.element_count();
        let noise = if self.noise == 0.0 {
            vec![0.0; dimension]
        } else {
            let scale = self.noise / (dimension as f64).sqrt();
            normals(self.seed, Stream::Noise, step, dimension)
                .map(|draw| scale * draw)
                .collect()
        };
        Ok(Box::new(Noisy {
            problem: self,
            noise,
        }))
    }

    fn measure(&mut self) -> Result<Measurement> {
        let x = self.x()?;
        let value = (self.evaluate)(&x, &mut vec![0.0; x.len()]);
        Ok(Measurement {
            loss: value - self.minimum,
            test_loss: None,
            accuracy: None,
            word_perplexity: None,
        })
    }
}

/// The function as one step sees it: f(x) + ξᵀx.
struct Noisy<'a> {
    problem: &'a FunctionProblem,
    noise: Vec<f64>,
}

impl Objective for Noisy<'_> {
    fn loss(&mut self) -> optim::Result<f64> {
        Ok(self.loss_and_gradient()?.0)
    }

    fn loss_and_gradient(&mut self) -> optim::Result<(f64, Gradient)> {
        let x = self.problem.parameters.vars()[0].to_vec1::<f64>()?;
        let mut gradient = vec![0.0; x.len()];
        let mut loss = (self.problem.evaluate)(&x, &mut gradient);
        for ((g, xi), x) in gradient.iter_mut().zip(&self.noise).zip(&x) {
            *g += xi;
            loss += xi * x;
        }
        let parameters = &self.problem.parameters;
        let gradient = Tensor::from_vec(gradient, x.len(), parameters.device())?;
        Ok((loss, Gradient::new(parameters, vec![gradient])?))
    }
}

/// Standard normal draws of a purpose at a step.
fn normals(seed: u64, purpose: Stream, index: u64, count: usize) -> impl Iterator<Item = f64> {
    StandardNormal
        .sample_iter(stream(seed, purpose, index))
        .take(count)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::problem::function::FUNCTIONS;

    fn cases() -> Vec<(&'static str, Evaluate, Vec<f64>)> {
        let mut cases: Vec<(&'static str, Evaluate, Vec<f64>)> = FUNCTIONS
            .iter()
            .flat_map(|function| {
                [2usize, 5].map(|d| {
                    let dimension = d.clamp(function.min_dimension, function.max_dimension);
                    let start = (function.start)(dimension);
                    (
                        function.name,
                        Box::new(function.evaluate) as Evaluate,
                        start,
                    )
                })
            })
            .collect();
        let quadratic = Quadratic::new(7, 1e3);
        cases.push((
            "quadratic",
            Box::new(move |x, g| quadratic.evaluate(x, g)),
            vec![1.0; 7],
        ));
        cases
    }

    #[test]
    fn gradients_match_finite_differences() {
        for (name, evaluate, start) in cases() {
            let mut scratch = vec![0.0; start.len()];
            let mut gradient = vec![0.0; start.len()];
            let x: Vec<f64> = start
                .iter()
                .enumerate()
                .map(|(i, x)| x + 0.1 + 0.01 * i as f64)
                .collect();
            evaluate(&x, &mut gradient);
            for i in 0..x.len() {
                let h = 1e-6;
                let mut shifted = x.clone();
                shifted[i] = x[i] + h;
                let above = evaluate(&shifted, &mut scratch);
                shifted[i] = x[i] - h;
                let below = evaluate(&shifted, &mut scratch);
                let difference = (above - below) / (2.0 * h);
                let tolerance = 1e-5 * (1.0 + difference.abs());
                assert!(
                    (difference - gradient[i]).abs() < tolerance,
                    "{name}[{i}]: {} against {difference}",
                    gradient[i]
                );
            }
        }
    }

    #[test]
    fn published_minima_are_attained() {
        let minimizers: &[(&str, &[f64])] = &[
            ("ackley", &[0.0, 0.0]),
            ("beale", &[3.0, 0.5]),
            ("booth", &[1.0, 3.0]),
            ("goldstein-price", &[0.0, -1.0]),
            ("himmelblau", &[3.0, 2.0]),
            ("rastrigin", &[0.0, 0.0]),
            ("rosenbrock", &[1.0, 1.0]),
            (
                "styblinski-tang",
                &[-2.903_534_027_771_178, -2.903_534_027_771_178],
            ),
        ];
        assert_eq!(minimizers.len(), FUNCTIONS.len());
        for (function, (name, x)) in FUNCTIONS.iter().zip(minimizers) {
            assert_eq!(function.name, *name);
            let mut gradient = vec![0.0; 2];
            let value = (function.evaluate)(x, &mut gradient);
            let minimum = (function.minimum)(2);
            assert!((value - minimum).abs() < 1e-9, "{name}: {value}");
            assert!(
                gradient.iter().all(|g| g.abs() < 1e-6),
                "{name}: {gradient:?}"
            );
        }
    }

    #[test]
    fn quadratic_has_the_chosen_spectrum() {
        let quadratic = Quadratic::new(6, 100.0);
        let mut columns = Vec::new();
        for i in 0..6 {
            let mut e = vec![0.0; 6];
            e[i] = 1.0;
            let mut column = vec![0.0; 6];
            quadratic.evaluate(&e, &mut column);
            columns.push(column);
        }
        let trace: f64 = (0..6).map(|i| columns[i][i]).sum();
        let squares: f64 = columns.iter().flatten().map(|a| a * a).sum();
        let eigenvalues: Vec<f64> = (0..6).map(|i| 100f64.powf(-f64::from(i) / 5.0)).collect();
        assert!((trace - eigenvalues.iter().sum::<f64>()).abs() < 1e-12);
        assert!((squares - eigenvalues.iter().map(|l| l * l).sum::<f64>()).abs() < 1e-12);
    }

    #[test]
    fn noise_has_the_stated_size_and_is_fixed_within_a_step() {
        let config = QuadraticConfig {
            dimension: 50,
            condition: 10.0,
            noise: 0.3,
            steps_per_epoch: 10,
        };
        let mut problem = FunctionProblem::quadratic(&config, 1, &Device::Cpu).unwrap();
        problem.noise = 0.0;
        let exact = gradient_of(&mut problem, 0);
        problem.noise = 0.3;
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
