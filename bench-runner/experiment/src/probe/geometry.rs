//! What a problem is like around a point: how noisy its gradients are, and how its loss curves.

use bench_stats::random::{Stream, stream};
use candle_core::{DType, Device, Tensor};
use faer::{Mat, Side};
use optim::Parameters;
use rand_distr::{Distribution, StandardNormal};

use super::replay::replay;
use crate::error::{Error, Result};
use crate::problem::{Environment, Problem};
use crate::spec::{OptimizerEntry, ProblemEntry};

/// Batches whose gradients are compared.
const BATCHES: u64 = 16;
/// Pairs of batches whose curvatures are compared.
const PAIRS: u64 = 4;
/// Products with the Hessian, at most.
const PRODUCTS: usize = 20;
/// The most parameters: the products keep that many vectors of them.
const LARGEST: usize = 5_000_000;

/// What a problem is like around a point that an optimizer has come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Geometry {
    /// Optimizer steps in an epoch; 1 where every step sees the same objective.
    pub steps_per_epoch: u64,
    /// Samples of a batch, where the objective is a mean over some.
    pub batch: Option<u64>,
    /// How noisy gradients are; `None` where they have no noise.
    pub noise: Option<Noise>,
    /// The largest eigenvalue of the Hessian over the smallest positive one that was found: the condition
    /// number is at least this, up to the rounding of differences of gradients.
    pub condition: f64,
    /// The lowest eigenvalue that was found, over the largest: below 0 where the loss is not convex.
    pub lowest: f64,
    /// Evaluations of loss and gradient that were made around the point.
    pub evaluations: u64,
}

/// How the gradients and curvatures of batches differ at a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// E|g − G|² / |G|², g the gradient of a batch and G that of all samples: how many batches a mean must be
    /// over until it is as large as its noise. Times the samples of a batch it is the *simple noise scale*
    /// of McCandlish et al. 2018 (arXiv 1812.06162, appendix A.1). Infinite where the noise hides G.
    pub of_gradients: f64,
    /// The cosine between the changes of gradient of two batches along the same step, the mean of several:
    /// 1 where each batch alone tells the curvature of all.
    pub agreement: f64,
}

impl Geometry {
    /// Evaluations that measuring around the point takes, at most.
    pub const EVALUATIONS: u64 = BATCHES + 4 * PAIRS + 2 * PRODUCTS as u64;

    /// Runs `optimizer` from the start for `warm_up` evaluations and measures around the point that it has
    /// come to. Gradients are of the batches that would come next. Eigenvalues are those of a Lanczos
    /// iteration of up to 20 products with the Hessian of one batch, each the difference of two gradients.
    ///
    /// # Errors
    /// When the problem is too large or its loss is not finite there, or as a run.
    pub fn after(
        entry: &ProblemEntry,
        optimizer: &OptimizerEntry,
        warm_up: u64,
        environment: &Environment,
    ) -> Result<Self> {
        let unfit = |needs| Error::Unfit {
            problem: entry.label.clone(),
            needs,
        };
        let limited = ProblemEntry {
            budget: warm_up,
            epochs: None,
            ..entry.clone()
        };
        let mut problem = replay(&limited, optimizer, 0, environment, &mut |_, _| Ok(()))?;
        if problem.parameters().element_count() > LARGEST {
            return Err(unfit("measuring it needs at most 5,000,000 parameters"));
        }
        let mut around = Around::new(problem.as_mut(), warm_up)?;
        let noise = match around.problem.is_deterministic() {
            true => None,
            // A batch of all samples differs from another by the order of its sums alone.
            false => Some(around.noise()?).filter(|found| found.of_gradients > around.rounding()),
        };
        let (condition, lowest) = around.spectrum()?;
        let evaluations = around.evaluations;
        if !around.finite {
            return Err(unfit("its loss must be finite where it is measured"));
        }
        Ok(Self {
            steps_per_epoch: match noise {
                None => 1,
                Some(_) => problem.steps_per_epoch(),
            },
            batch: problem.samples(warm_up),
            noise,
            condition,
            lowest,
            evaluations,
        })
    }
}

/// Gradients around a point, as vectors of all parameters.
struct Around<'a> {
    problem: &'a mut dyn Problem,
    parameters: Parameters,
    point: Vec<f64>,
    /// The first step whose batch is used.
    first: u64,
    evaluations: u64,
    /// Whether all losses and gradients were finite.
    finite: bool,
}

impl<'a> Around<'a> {
    fn new(problem: &'a mut dyn Problem, first: u64) -> Result<Self> {
        let parameters = problem.parameters().clone();
        Ok(Self {
            problem,
            point: flat(&parameters.snapshot()?)?,
            parameters,
            first,
            evaluations: 0,
            finite: true,
        })
    }

    /// The gradient of a step's batch at θ + `distance` · `direction`.
    fn gradient(&mut self, step: u64, direction: &[f64], distance: f64) -> Result<Vec<f64>> {
        let moved = self.point.iter().zip(direction);
        let moved: Vec<f64> = moved.map(|(at, along)| at + distance * along).collect();
        self.parameters
            .restore(&shaped(&self.parameters, &moved)?)?;
        let (loss, gradient) = self
            .problem
            .objective(self.first + step)?
            .loss_and_gradient()?;
        self.evaluations += 1;
        let gradient = flat(gradient.tensors())?;
        self.finite &= loss.is_finite() && gradient.iter().all(|entry| entry.is_finite());
        Ok(gradient)
    }

    /// The product of a batch's Hessian with a direction of norm 1, by a central difference. Its step is
    /// that at which rounding and curvature's own change are about as small.
    fn product(&mut self, step: u64, direction: &[f64]) -> Result<Vec<f64>> {
        let distance = self.rounding().sqrt() * (1.0 + norm(&self.point));
        let plus = self.gradient(step, direction, distance)?;
        let minus = self.gradient(step, direction, -distance)?;
        let difference = plus.iter().zip(&minus);
        Ok(difference
            .map(|(plus, minus)| (plus - minus) / (2.0 * distance))
            .collect())
    }

    fn rounding(&self) -> f64 {
        match self.parameters.dtype() {
            DType::F64 => f64::EPSILON,
            _ => f64::from(f32::EPSILON),
        }
    }

    fn noise(&mut self) -> Result<Noise> {
        let still = vec![0.0; self.point.len()];
        let gradients = (0..BATCHES).map(|step| self.gradient(step, &still, 0.0));
        let gradients: Vec<Vec<f64>> = gradients.collect::<Result<_>>()?;
        let count = BATCHES as f64;
        let mean: Vec<f64> = (0..self.point.len())
            .map(|i| gradients.iter().map(|gradient| gradient[i]).sum::<f64>() / count)
            .collect();
        let apart = gradients.iter().map(|gradient| {
            let terms = gradient.iter().zip(&mean);
            terms
                .map(|(entry, mean)| (entry - mean).powi(2))
                .sum::<f64>()
        });
        let variance = apart.sum::<f64>() / (count - 1.0);
        let signal = dot(&mean, &mean) - variance / count;
        let length = norm(&mean);
        let mut agreement = 0.0;
        if length > 0.0 {
            let step: Vec<f64> = mean.iter().map(|entry| -entry / length).collect();
            for pair in 0..PAIRS {
                let [one, other] = [
                    self.product(2 * pair, &step)?,
                    self.product(2 * pair + 1, &step)?,
                ];
                agreement += dot(&one, &other) / (norm(&one) * norm(&other)) / PAIRS as f64;
            }
        }
        Ok(Noise {
            of_gradients: match signal > 0.0 {
                true => variance / signal,
                false => f64::INFINITY,
            },
            agreement,
        })
    }

    /// The condition number, at least, and the lowest eigenvalue over the largest, of the first batch.
    fn spectrum(&mut self) -> Result<(f64, f64)> {
        let count = PRODUCTS.min(self.point.len());
        let mut draws = stream(0, Stream::Direction, 0);
        let start: Vec<f64> = StandardNormal
            .sample_iter(&mut draws)
            .take(self.point.len())
            .collect();
        let mut basis: Vec<Vec<f64>> = vec![unit(start)];
        let (mut diagonal, mut beside) = (Vec::new(), Vec::new());
        for index in 0..count {
            let mut next = self.product(0, &basis[index])?;
            diagonal.push(dot(&next, &basis[index]));
            // Against all of them, and twice: rounding makes plain Lanczos vectors lose their angles.
            for _ in 0..2 {
                for vector in &basis {
                    let along = dot(&next, vector);
                    next.iter_mut()
                        .zip(vector)
                        .for_each(|(entry, part)| *entry -= along * part);
                }
            }
            let length = norm(&next);
            let scale = diagonal
                .iter()
                .fold(0.0, |most: f64, entry: &f64| most.max(entry.abs()));
            if index + 1 == count || length <= self.rounding() * scale || !length.is_finite() {
                break;
            }
            beside.push(length);
            basis.push(unit(next));
        }
        let matrix = Mat::from_fn(diagonal.len(), diagonal.len(), |row, column| {
            match row.abs_diff(column) {
                0 => diagonal[row],
                1 => beside[row.min(column)],
                _ => 0.0,
            }
        });
        let Ok(values) = matrix.self_adjoint_eigenvalues(Side::Lower) else {
            self.finite = false;
            return Ok((f64::NAN, f64::NAN));
        };
        // They come with the smallest first.
        let largest = values.last().copied().unwrap_or(0.0);
        // Differences of gradients tell no eigenvalue below this from 0.
        let floor = largest * self.rounding().sqrt();
        let smallest = values.iter().find(|value| **value > floor).copied();
        let condition = smallest.map_or(1.0, |smallest| largest / smallest);
        let lowest = values.first().map_or(0.0, |lowest| lowest / largest);
        Ok((
            condition,
            if lowest.abs() < self.rounding().sqrt() {
                0.0
            } else {
                lowest
            },
        ))
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(vector: &[f64]) -> f64 {
    dot(vector, vector).sqrt()
}

fn unit(mut vector: Vec<f64>) -> Vec<f64> {
    let length = norm(&vector);
    vector.iter_mut().for_each(|entry| *entry /= length);
    vector
}

fn flat(tensors: &[Tensor]) -> Result<Vec<f64>> {
    let mut all = Vec::new();
    for tensor in tensors {
        let tensor = tensor.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
        all.extend(tensor.flatten_all()?.to_vec1::<f64>()?);
    }
    Ok(all)
}

/// A vector cut into tensors of the parameters' shapes.
fn shaped(parameters: &Parameters, vector: &[f64]) -> Result<Vec<Tensor>> {
    let mut rest = vector;
    let mut tensors = Vec::new();
    for var in parameters.vars() {
        let (own, others) = rest.split_at(var.elem_count());
        let tensor = Tensor::from_slice(own, var.shape(), &Device::Cpu)?;
        tensors.push(tensor.to_dtype(var.dtype())?.to_device(var.device())?);
        rest = others;
    }
    Ok(tensors)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use bench_data::{Library, Silent};

    use super::*;
    use crate::run::plan;
    use crate::spec::Experiment;

    fn measured(problem: &str, warm_up: u64) -> Result<Geometry> {
        let text = format!(
            "name = 'own'\nseeds = 1\nproblem = [{{ label = 'own', {problem} }}]\n\
             optimizer = [{{ kind = 'adam' }}]\n"
        );
        let experiment = Experiment::parse(&text, Path::new("own.toml")).unwrap();
        let environment = Environment {
            library: Library::from_env(None, Arc::new(Silent)).unwrap().into(),
            device: Device::Cpu,
        };
        let cell = plan(&experiment)[0];
        Geometry::after(cell.problem, cell.optimizer, warm_up, &environment)
    }

    #[test]
    fn the_condition_of_a_quadratic_is_found() {
        for condition in [10.0, 1000.0] {
            let problem = format!(
                "kind = 'quadratic', dimension = 12, condition = {condition:?}, budget = 100"
            );
            let found = measured(&problem, 0).unwrap();
            assert!(
                (found.condition / condition - 1.0).abs() < 1e-4,
                "{found:?}"
            );
            assert_eq!((found.noise, found.steps_per_epoch), (None, 1));
            assert!(found.lowest >= 0.0 && found.evaluations <= Geometry::EVALUATIONS);
        }
    }

    #[test]
    fn the_curvature_at_the_start_of_rosenbrocks_function_is_found() {
        let problem = "kind = 'function', function = 'rosenbrock', dimension = 2, budget = 100";
        let found = measured(problem, 0).unwrap();
        // H = [[1200 x² − 400 y + 2, −400 x], [−400 x, 200]] at (−1.2, 1).
        let (sum, product) = (1330.0 + 200.0, 1330.0 * 200.0 - 480.0 * 480.0f64);
        let root = (sum * sum / 4.0 - product).sqrt();
        let [low, high] = [sum / 2.0 - root, sum / 2.0 + root];
        assert!(
            (found.condition * low / high - 1.0).abs() < 1e-5,
            "{found:?}"
        );
        assert!((found.lowest * high / low - 1.0).abs() < 1e-5, "{found:?}");
    }

    #[test]
    fn the_noise_of_a_quadratic_is_found_and_leaves_its_curvature() {
        let problem =
            "kind = 'quadratic', dimension = 200, condition = 1.0, noise = 3.0, budget = 100";
        let noise = measured(problem, 0).unwrap().noise.unwrap();
        // H = I and x = (1, …, 1): E‖ξ‖² = 9 over |G|² = 200. The standard deviation of the estimate is about
        // sqrt(2 / (15 · 200)), 3 %.
        let expected = 9.0 / 200.0;
        assert!(
            (noise.of_gradients / expected - 1.0).abs() < 0.1,
            "{noise:?} {expected}"
        );
        assert!((noise.agreement - 1.0).abs() < 1e-6, "{noise:?}");
    }

    #[test]
    fn batches_that_tell_little_disagree() {
        let sum = |size: usize| {
            format!(
                "kind = 'finite-sum', loss = 'least-squares', samples = 1024, dimension = 16, \
                 condition = 100.0, batch_size = {size}, budget = 4000"
            )
        };
        let [small, large] = [4, 256].map(|size| measured(&sum(size), 200).unwrap());
        assert_eq!((small.steps_per_epoch, small.batch), (256, Some(4)));
        let [few, many] = [small, large].map(|found| found.noise.unwrap());
        assert!(
            few.agreement < 0.9 && many.agreement > few.agreement,
            "{few:?} {many:?}"
        );
        assert!(
            many.of_gradients < few.of_gradients / 4.0,
            "{few:?} {many:?}"
        );
    }

    #[test]
    fn a_loss_that_is_not_finite_is_an_error() {
        let problem =
            "kind = 'quadratic', dimension = 3, condition = 1.0, noise = 1e308, budget = 100";
        let error = measured(problem, 0).unwrap_err().to_string();
        assert!(error.contains("finite"), "{error}");
    }
}
