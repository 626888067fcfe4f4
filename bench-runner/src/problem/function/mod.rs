//! Test functions with known minima, in f64, with optional gradient noise.
//!
//! To add one: write its file beside these, and add a line to [`FUNCTIONS`].

mod ackley;
mod beale;
mod booth;
mod goldstein_price;
mod himmelblau;
mod quadratic;
mod rastrigin;
mod rosenbrock;
mod styblinski_tang;

use candle_core::{Device, Tensor, Var};
use optim::{Gradient, Objective, Parameters};
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::{Measurement, Problem};
use crate::Result;
use crate::random::{Stream, stream};

/// All test functions.
pub const FUNCTIONS: &[&TestFunction] = &[
    &ackley::ACKLEY,
    &beale::BEALE,
    &booth::BOOTH,
    &goldstein_price::GOLDSTEIN_PRICE,
    &himmelblau::HIMMELBLAU,
    &rastrigin::RASTRIGIN,
    &rosenbrock::ROSENBROCK,
    &styblinski_tang::STYBLINSKI_TANG,
];

/// A function with a closed-form gradient, a standard start and a known minimum.
pub struct TestFunction {
    /// The name in experiment files.
    pub name: &'static str,
    /// The name in reports.
    pub title: &'static str,
    /// The smallest dimension it is defined for.
    pub min_dimension: usize,
    /// The largest dimension it is defined for.
    pub max_dimension: usize,
    /// The standard starting point in a dimension.
    pub start: fn(usize) -> Vec<f64>,
    /// The global minimum's value in a dimension.
    pub minimum: fn(usize) -> f64,
    /// The value at the first argument; writes the gradient into the second.
    pub evaluate: fn(&[f64], &mut [f64]) -> f64,
}

/// A test function in an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionConfig {
    /// Which function.
    pub function: String,
    /// The dimension.
    #[serde(default = "two")]
    pub dimension: usize,
    /// The gradient noise σ: a step sees f(x) + ξᵀx with E‖ξ‖² = σ².
    #[serde(default)]
    pub noise: f64,
    /// Steps that count as an epoch, for criteria in epochs.
    #[serde(default = "ten")]
    pub steps_per_epoch: u64,
}

/// A convex quadratic in an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuadraticConfig {
    /// The dimension d.
    pub dimension: usize,
    /// The condition number κ ≥ 1; the eigenvalues are spaced geometrically from 1/κ to 1.
    pub condition: f64,
    /// The gradient noise σ: a step sees f(x) + ξᵀx with E‖ξ‖² = σ².
    #[serde(default)]
    pub noise: f64,
    /// Steps that count as an epoch, for criteria in epochs.
    #[serde(default = "ten")]
    pub steps_per_epoch: u64,
}

fn two() -> usize {
    2
}

fn ten() -> u64 {
    10
}

impl FunctionConfig {
    /// The function, if the name and the numbers are right.
    ///
    /// # Errors
    /// In words, naming the key at fault.
    pub fn resolve(&self) -> Result<&'static TestFunction, String> {
        let known: Vec<String> = FUNCTIONS.iter().map(|f| f.name.to_string()).collect();
        let function = FUNCTIONS
            .iter()
            .find(|function| function.name == self.function)
            .ok_or_else(|| {
                format!(
                    "unknown function `{}`{}",
                    self.function,
                    crate::error::suggestion(&known, &self.function)
                )
            })?;
        if !(function.min_dimension..=function.max_dimension).contains(&self.dimension) {
            return Err(format!(
                "`dimension` = {}: {} is defined for {}",
                self.dimension,
                function.name,
                if function.min_dimension == function.max_dimension {
                    format!("dimension {}", function.min_dimension)
                } else {
                    format!("dimension {} and more", function.min_dimension)
                }
            ));
        }
        check_noise(self.noise, self.steps_per_epoch)?;
        Ok(function)
    }

    /// The function's title with its dimension.
    pub fn title(&self) -> String {
        let title = FUNCTIONS
            .iter()
            .find(|function| function.name == self.function)
            .map_or(self.function.as_str(), |function| function.title);
        format!("{title}, {}-D{}", self.dimension, noise_title(self.noise))
    }
}

impl QuadraticConfig {
    /// Whether the numbers are right.
    ///
    /// # Errors
    /// In words, naming the key at fault.
    pub fn check(&self) -> Result<(), String> {
        if self.dimension == 0 {
            return Err("`dimension` = 0: at least 1 is needed".into());
        }
        if !(self.condition >= 1.0 && self.condition.is_finite()) {
            return Err(format!(
                "`condition` = {}: a finite number of at least 1 is needed",
                self.condition
            ));
        }
        check_noise(self.noise, self.steps_per_epoch)
    }

    /// The quadratic's title.
    pub fn title(&self) -> String {
        format!(
            "Quadratic, {}-D, condition number {:e}{}",
            self.dimension,
            self.condition,
            noise_title(self.noise)
        )
    }
}

fn check_noise(noise: f64, steps_per_epoch: u64) -> Result<(), String> {
    if !(noise >= 0.0 && noise.is_finite()) {
        return Err(format!(
            "`noise` = {noise}: a finite number of at least 0 is needed"
        ));
    }
    if steps_per_epoch == 0 {
        return Err("`steps_per_epoch` = 0: at least 1 is needed".into());
    }
    Ok(())
}

fn noise_title(noise: f64) -> String {
    if noise == 0.0 {
        String::new()
    } else {
        format!(", gradient noise σ = {noise}")
    }
}

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
    /// When the device refuses the parameters.
    pub fn new(
        config: &FunctionConfig,
        function: &TestFunction,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
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
        let quadratic = quadratic::Quadratic::new(config.dimension, config.condition);
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
        let quadratic = quadratic::Quadratic::new(7, 1e3);
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
        let quadratic = quadratic::Quadratic::new(6, 100.0);
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
