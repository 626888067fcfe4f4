//! A finite sum being minimized.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use bench_data::{BatchOrder, EpochOrder};
use candle_core::{DType, Device, Tensor, Var};
use optim::{Gradient, Objective, Parameters};

use super::source::Known;
use super::sum::{FiniteSum, SampleLoss};
use crate::error::Result;
use crate::problem::batch::BatchLoss;
use crate::problem::start::shifted;
use crate::problem::traits::{Measurement, Problem};
use crate::problem::values::with_values;

/// A finite sum being minimized.
pub struct FiniteSumProblem {
    parameters: Parameters,
    known: Arc<Known>,
    /// All samples.
    all: Vec<u32>,
    /// None where each step sees all samples.
    order: Option<BatchOrder>,
    /// The order of the epoch that the last step was in.
    epoch: Option<(u64, EpochOrder)>,
}

impl FiniteSumProblem {
    /// A sum from the origin, or for seeds other than 0 from a point near it, in batches by `order`.
    ///
    /// # Errors
    /// When the device refuses the parameters.
    pub(super) fn new(
        known: Arc<Known>,
        order: Option<BatchOrder>,
        dtype: DType,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let start = shifted(vec![0.0; known.sum.dimension()], seed);
        let x = Tensor::from_vec(start, known.sum.dimension(), device)?.to_dtype(dtype)?;
        Ok(Self {
            parameters: Parameters::new([("x", Var::from_tensor(&x)?)])?,
            all: (0..known.sum.samples() as u32).collect(),
            known,
            order,
            epoch: None,
        })
    }
}

impl Problem for FiniteSumProblem {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn steps_per_epoch(&self) -> u64 {
        let batches = self.order.as_ref().map(BatchOrder::batches_per_epoch);
        batches.unwrap_or(1) as u64
    }

    fn is_deterministic(&self) -> bool {
        self.order.is_none()
    }

    fn samples(&self, step: u64) -> Option<u64> {
        let batch = self.order.as_ref().map(|order| order.batch_size_at(step));
        Some(batch.unwrap_or(self.all.len()) as u64)
    }

    fn objective(&mut self, step: u64) -> Result<Box<dyn Objective + '_>> {
        self.joined_objective(step..step + 1)
    }

    fn joined_objective(&mut self, steps: Range<u64>) -> Result<Box<dyn Objective + '_>> {
        let Some(order) = &self.order else {
            return Ok(Box::new(Mean {
                parameters: &self.parameters,
                sum: &self.known.sum,
                samples: Cow::Borrowed(&self.all[..]),
            }));
        };
        let (epoch, batches) = order.at_steps(steps);
        let current = match self.epoch.take() {
            Some((number, current)) if number == epoch => current,
            _ => order.epoch(epoch),
        };
        let samples = current.joined(batches);
        self.epoch = Some((epoch, current));
        let mean = |samples| Mean {
            parameters: &self.parameters,
            sum: &self.known.sum,
            samples: Cow::Owned(samples),
        };
        let overlap = order.overlap().min(samples.len());
        let shared = (overlap > 0).then(|| mean(samples[..overlap].to_vec()));
        Ok(Box::new(BatchLoss {
            shared,
            batch: mean(samples),
        }))
    }

    fn measure(&mut self) -> Result<Measurement> {
        let Known { sum, minimum, test } = &*self.known;
        let x = self.parameters.vars()[0].to_dtype(DType::F64)?;
        let mut gradient = vec![0.0; sum.dimension()];
        Ok(with_values(&x, |x| Measurement {
            test_loss: test.as_ref().map(|test| {
                let all: Vec<u32> = (0..test.samples() as u32).collect();
                test.evaluate(&all, x, &mut gradient)
            }),
            accuracy: test
                .as_ref()
                .filter(|test| test.loss == SampleLoss::Logistic)
                .map(|test| test.accuracy(x)),
            ..Measurement::of_loss(sum.evaluate(&self.all, x, &mut gradient) - minimum)
        })?)
    }
}

/// The mean loss over some samples.
struct Mean<'a> {
    parameters: &'a Parameters,
    sum: &'a FiniteSum,
    samples: Cow<'a, [u32]>,
}

impl Objective for Mean<'_> {
    fn loss(&mut self) -> optim::Result<f64> {
        Ok(self.loss_and_gradient()?.0)
    }

    fn loss_and_gradient(&mut self) -> optim::Result<(f64, Gradient)> {
        let x = self.parameters.vars()[0].to_dtype(DType::F64)?;
        let mut gradient = vec![0.0; self.sum.dimension()];
        let loss = with_values(&x, |x| self.sum.evaluate(&self.samples, x, &mut gradient))?;
        let dimension = gradient.len();
        let gradient = Tensor::from_vec(gradient, dimension, self.parameters.device())?;
        let gradient = gradient.to_dtype(self.parameters.dtype())?;
        Ok((loss, Gradient::new(self.parameters, vec![gradient])?))
    }

    fn sample_losses(&mut self) -> optim::Result<Vec<f64>> {
        let x = self.parameters.vars()[0].to_dtype(DType::F64)?;
        Ok(with_values(&x, |x| self.sum.losses(&self.samples, x))?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use bench_data::{Catalogue, Hub, HubOptions, Library, Silent};

    use super::*;
    use crate::problem::finite_sum::{FiniteSumConfig, source::Samples};
    use crate::problem::{Draw, Environment, ProblemSettings};

    const DRAWN: &str = "samples = 700\ndimension = 6\ncondition = 10.0\n";

    fn config(settings: &str) -> FiniteSumConfig {
        toml::from_str(settings).unwrap()
    }

    fn environment() -> Environment {
        Environment {
            library: Library::from_env(None, Arc::new(Silent)).unwrap().into(),
            device: Device::Cpu,
        }
    }

    fn build(settings: &str, seed: u64, environment: &Environment) -> Box<dyn Problem> {
        let config = config(settings);
        config.check().unwrap();
        let optimizer = "adam";
        config.build(Draw { seed, optimizer }, environment).unwrap()
    }

    fn evaluate(problem: &mut dyn Problem, step: u64) -> (f64, Vec<f64>) {
        let mut objective = problem.objective(step).unwrap();
        let (loss, gradient) = objective.loss_and_gradient().unwrap();
        let gradient = gradient.tensors()[0].to_dtype(DType::F64).unwrap();
        (loss, gradient.to_vec1().unwrap())
    }

    fn set(problem: &dyn Problem, x: &[f64]) {
        let parameters = problem.parameters();
        let x = Tensor::new(x, &Device::Cpu).unwrap();
        parameters.vars()[0]
            .set(&x.to_dtype(parameters.dtype()).unwrap())
            .unwrap();
    }

    #[test]
    fn gradients_are_differences_of_the_loss_in_every_batch() {
        let environment = environment();
        for (settings, step) in [
            ("loss = 'least-squares'", 0),
            ("loss = 'least-squares'\nbatch_size = 7", 150),
            ("loss = 'logistic'\nregularisation = 0.1", 0),
            (
                "loss = 'logistic'\nbatch_size = 600\ninterpolating = true",
                3,
            ),
        ] {
            let mut problem = build(&format!("{DRAWN}{settings}"), 1, &environment);
            let x: Vec<f64> = problem.parameters().vars()[0].to_vec1().unwrap();
            let (_, gradient) = evaluate(&mut *problem, step);
            for i in 0..x.len() {
                let mut at = |h: f64| {
                    let mut moved = x.clone();
                    moved[i] += h;
                    set(&*problem, &moved);
                    evaluate(&mut *problem, step).0
                };
                let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
                let error = (difference - gradient[i]).abs();
                assert!(error < 1e-9, "{settings}: {difference} and {}", gradient[i]);
            }
        }
    }

    #[test]
    fn the_minimum_is_attained_where_the_gradient_vanishes_and_nowhere_less() {
        let environment = environment();
        for loss in ["least-squares", "logistic"] {
            let mut problem = build(&format!("{DRAWN}loss = '{loss}'"), 3, &environment);
            // Gradient descent; the largest eigenvalue of the Hessian is at most 1.
            let mut x = vec![0.0; 6];
            let start = problem.measure().unwrap().loss;
            for _ in 0..4_000 {
                set(&*problem, &x);
                let (_, gradient) = evaluate(&mut *problem, 0);
                for (x, g) in x.iter_mut().zip(gradient) {
                    *x -= g;
                }
            }
            let end = problem.measure().unwrap().loss;
            assert!(start > 0.01 && end.abs() < 1e-14, "{loss}: {start} {end}");
        }
    }

    #[test]
    fn drawn_samples_have_the_chosen_spectrum() {
        let samples = config(&format!("{DRAWN}loss = 'least-squares'"))
            .source()
            .unwrap();
        let Samples::Drawn(synthetic) = samples.samples else {
            panic!("{samples:?}");
        };
        let (rows, _) = synthetic.draw(SampleLoss::LeastSquares);
        let mut gram = vec![0.0; 36];
        for i in 0..700 {
            rows.add_square(i, 1.0 / 700.0, &mut gram);
        }
        let entry = |i: usize, j: usize| gram[i.max(j) * 6 + i.min(j)];
        let trace: f64 = (0..6).map(|i| entry(i, i)).sum();
        let squares: f64 = (0..36).map(|k| entry(k / 6, k % 6).powi(2)).sum();
        let eigenvalues: Vec<f64> = (0..6).map(|i| 10f64.powf(-f64::from(i) / 5.0)).collect();
        assert!((trace - eigenvalues.iter().sum::<f64>()).abs() < 1e-12);
        assert!((squares - eigenvalues.iter().map(|l| l * l).sum::<f64>()).abs() < 1e-12);
        // No axis is an eigenvector.
        assert!((0..36).all(|k| k / 6 == k % 6 || entry(k / 6, k % 6).abs() > 1e-6));
    }

    #[test]
    fn one_point_fits_all_samples_where_they_interpolate() {
        let environment = environment();
        let gradients = |interpolating: bool| {
            let settings = format!(
                "{DRAWN}loss = 'least-squares'\nbatch_size = 3\ninterpolating = {interpolating}"
            );
            let mut problem = build(&settings, 0, &environment);
            let known = known_of(&settings, &environment);
            set(&*problem, &minimizer(&known.sum));
            let sum: f64 = (0..20)
                .flat_map(|step| evaluate(&mut *problem, step).1)
                .map(f64::abs)
                .sum();
            (sum, problem.measure().unwrap().loss)
        };
        let (sum, loss) = gradients(true);
        assert!(sum < 1e-9 && loss.abs() < 1e-20, "{sum} {loss}");
        let (sum, loss) = gradients(false);
        assert!(sum > 1.0 && loss.abs() < 1e-14, "{sum} {loss}");
    }

    fn known_of(settings: &str, environment: &Environment) -> Arc<Known> {
        let source = config(settings).source().unwrap();
        source.make(&environment.library).map(Arc::new).unwrap()
    }

    /// Where gradient descent ends.
    fn minimizer(sum: &FiniteSum) -> Vec<f64> {
        let all: Vec<u32> = (0..sum.samples() as u32).collect();
        let mut x = vec![0.0; sum.dimension()];
        let mut gradient = x.clone();
        for _ in 0..4_000 {
            sum.evaluate(&all, &x, &mut gradient);
            for (x, g) in x.iter_mut().zip(&gradient) {
                *x -= g;
            }
        }
        x
    }

    #[test]
    fn batches_are_drawn_by_the_seed_alone_and_an_epoch_is_the_whole_sum() {
        let environment = environment();
        let settings = format!("{DRAWN}loss = 'logistic'\nbatch_size = 70");
        let mut first = build(&settings, 1, &environment);
        let mut other = build(&settings, 2, &environment);
        let x = [0.3, -0.2, 0.1, 0.4, -0.5, 0.0];
        set(&*first, &x);
        set(&*other, &x);
        assert_eq!((first.steps_per_epoch(), first.samples(4)), (10, Some(70)));
        assert_ne!(evaluate(&mut *first, 4).0, evaluate(&mut *other, 4).0);
        let mut whole = build(&format!("{DRAWN}loss = 'logistic'"), 0, &environment);
        set(&*whole, &x);
        assert_eq!((whole.steps_per_epoch(), whole.samples(4)), (1, Some(700)));
        assert!(whole.is_deterministic() && !first.is_deterministic());
        let (loss, _) = evaluate(&mut *whole, 0);
        // Steps of the second epoch, in any order.
        let steps = [14, 10, 11, 12, 13, 19, 18, 17, 16, 15];
        let mean = steps
            .iter()
            .map(|step| evaluate(&mut *first, *step).0)
            .sum::<f64>()
            / 10.0;
        assert!((mean - loss).abs() < 1e-14, "{mean} {loss}");
    }

    #[test]
    fn joined_batches_are_one_batch_and_its_loss_the_mean_over_samples() {
        let environment = environment();
        let settings = format!("{DRAWN}loss = 'logistic'\nbatch_size = 70\nregularisation = 0.1");
        let mut problem = build(&settings, 1, &environment);
        let x = [0.3, -0.2, 0.1, 0.4, -0.5, 0.0];
        set(&*problem, &x);
        let single: Vec<_> = (12..15).map(|step| evaluate(&mut *problem, step)).collect();
        let mut joined = problem.joined_objective(12..15).unwrap();
        let (loss, gradient) = joined.loss_and_gradient().unwrap();
        let gradient = gradient.tensors()[0].to_vec1::<f64>().unwrap();
        let mean = |of: &dyn Fn(usize) -> f64| (0..3).map(of).sum::<f64>() / 3.0;
        assert!((loss - mean(&|i| single[i].0)).abs() < 1e-14);
        for (k, g) in gradient.iter().enumerate() {
            assert!((g - mean(&|i| single[i].1[k])).abs() < 1e-14);
        }
        let losses = joined.sample_losses().unwrap();
        assert_eq!(losses.len(), 210);
        // The regularisation is no sample's.
        let square: f64 = x.iter().map(|x| x * x).sum();
        let mean = losses.iter().sum::<f64>() / 210.0 + 0.05 * square;
        assert!((loss - mean).abs() < 1e-14, "{loss} {mean}");
    }

    #[test]
    fn in_f32_the_gradient_is_that_of_f64_rounded() {
        let environment = environment();
        let settings = format!("{DRAWN}loss = 'logistic'");
        let mut double = build(&settings, 0, &environment);
        let mut single = build(&format!("{settings}\nprecision = 'f32'"), 0, &environment);
        assert_eq!(single.parameters().dtype(), DType::F32);
        let rounded: Vec<f64> = evaluate(&mut *double, 0)
            .1
            .iter()
            .map(|g| f64::from(*g as f32))
            .collect();
        assert_eq!(evaluate(&mut *single, 0).1, rounded);
    }

    #[test]
    fn numbers_do_not_depend_on_threads() {
        let environment = environment();
        let gradient = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let settings = "loss = 'logistic'\nsamples = 3000\ndimension = 5\ncondition = 10.0";
            pool.install(|| {
                let known = known_of(settings, &environment);
                let mut problem = build(settings, 1, &environment);
                (known.minimum, evaluate(&mut *problem, 0))
            })
        };
        assert_eq!(gradient(1), gradient(3));
    }

    /// A library with a dataset of one feature that is always 1.
    fn labels(folder: &Path, train: &str, test: &str) -> Environment {
        let catalogue = "[ones]\ntitle = 'Ones'\nlayout = 'libsvm'\npath = '.'\nfeatures = 1\nlicence = 'none'\n\
            citation = 'none'\nfiles.train = [{ path = 'train' }]\nfiles.test = [{ path = 'test' }]\n";
        let path = folder.join("datasets.toml");
        std::fs::write(&path, catalogue).unwrap();
        std::fs::write(folder.join("train"), train).unwrap();
        std::fs::write(folder.join("test"), test).unwrap();
        let hub = Hub::new(HubOptions {
            cache: folder.join("cache"),
            offline: true,
            ..HubOptions::from_env()
        });
        let catalogue = Catalogue::built_in().unwrap().with_file(&path).unwrap();
        Environment {
            library: Library::new(catalogue, hub).into(),
            device: Device::Cpu,
        }
    }

    #[test]
    fn a_dataset_is_read_and_its_minimum_is_the_closed_form() {
        let folder = tempfile::tempdir().unwrap();
        let environment = labels(
            folder.path(),
            "+1 1:1\n-1 1:1\n+1 1:1\n+1 1:1\n",
            "+1 1:1\n-1 1:1\n",
        );
        let mut problem = build("loss = 'logistic'\ndata = 'ones'", 0, &environment);
        let start = problem.measure().unwrap();
        // The entropy of three labels in four.
        let entropy = -(0.75 * 0.75f64.ln() + 0.25 * 0.25f64.ln());
        let ln2 = 2f64.ln();
        assert!((start.loss - (ln2 - entropy)).abs() < 1e-14, "{start:?}");
        assert!((start.test_loss.unwrap() - ln2).abs() < 1e-14);
        assert_eq!(start.accuracy, Some(0.0));
        // The log-odds.
        set(&*problem, &[3f64.ln()]);
        let end = problem.measure().unwrap();
        assert!(end.loss.abs() < 1e-15, "{end:?}");
        assert_eq!(end.accuracy, Some(0.5));
        // The mean of the labels is ½ and their variance ¾.
        let mut problem = build("loss = 'least-squares'\ndata = 'ones'", 0, &environment);
        let start = problem.measure().unwrap();
        assert!((start.loss - (0.5 - 0.375)).abs() < 1e-15, "{start:?}");
        assert_eq!((start.test_loss, start.accuracy), (Some(0.5), None));
    }

    #[test]
    fn settings_and_data_that_do_not_fit_are_refused() {
        let drawn = |settings: &str| format!("loss = 'logistic'\n{settings}");
        let mut messages: Vec<String> = [
            "dimension = 2\ncondition = 1.0",
            "samples = 10\ncondition = 1.0",
            "samples = 10\ndimension = 2",
            "samples = 10\ndimension = 11\ncondition = 1.0",
            "samples = 10\ndimension = 0\ncondition = 1.0",
            "samples = 1000000000000\ndimension = 10\ncondition = 1.0",
            "samples = 10000\ndimension = 5000\ncondition = 1.0",
            "samples = 10\ndimension = 2\ncondition = 0.0",
            "samples = 10\ndimension = 1\ncondition = 2.0",
            "samples = 10\ndimension = 2\ncondition = 1.0\nbatch_size = 0",
            "samples = 10\ndimension = 2\ncondition = 1.0\nbatch_size = 11",
            "samples = 10\ndimension = 2\ncondition = 1.0\norder = { overlap = 0.5 }",
            "samples = 10\ndimension = 2\ncondition = 1.0\nbatch_size = 5\norder = { overlap = 1.5 }",
            "samples = 10\ndimension = 2\ncondition = 1.0\nregularisation = -1.0",
            "samples = 10\ndimension = 2\ncondition = 1.0\ninterpolating = true\nregularisation = 1.0",
            "data = 'a9a'\nsamples = 10",
            "data = 'a9a'\ninterpolating = true",
        ]
        .iter()
        .map(|settings| config(&drawn(settings)).check().unwrap_err().to_string())
        .collect();
        let folder = tempfile::tempdir().unwrap();
        let environment = labels(folder.path(), "+1 1:1\n3 1:1\n", "+1 1:1\n");
        for name in ["ones", "one"] {
            let config = config(&drawn(&format!("data = '{name}'")));
            let draw = Draw {
                seed: 0,
                optimizer: "adam",
            };
            messages.push(config.build(draw, &environment).err().unwrap().to_string());
        }
        insta::assert_snapshot!(messages.join("\n"));
    }
}
