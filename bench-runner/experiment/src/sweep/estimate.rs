//! What a sweep will cost, from timed and weighed evaluations of each problem, or from its multiply-adds.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bench_data::Library;
use optim::{Meter, Optimizer};

use super::demand::Demand;
use super::execute::threads;
use crate::error::{Error, Result};
use crate::memory;
use crate::problem::{Draw, Environment, Problem, Work};
use crate::run::{Cell, advance, optimizer_of};
use crate::spec::{Experiment, OptimizerEntry, ProblemEntry};

/// How problems are probed.
#[derive(Debug, Clone, Copy)]
pub struct Probing {
    /// Threads that a run will have.
    pub threads: usize,
    /// Whether an evaluation here tells how long one will take in a run.
    pub timed: bool,
    /// Whether nothing is fetched and nothing takes long: problems whose data are not here, or which are
    /// foreseen to take long, are not built.
    pub brief: bool,
}

/// Multiply-adds per second and thread of training steps of networks of matrix products (an AMD EPYC of 2024: 40e9 in
/// an MLP), and what a step takes beside them.
const RATE: f64 = 35e9;
/// Seconds.
const STEP: f64 = 100e-6;
/// The longest evaluation with a measurement that a brief probe makes, in seconds.
const BRIEF: f64 = 0.25;
/// How long evaluations are repeated, so that their mean is sure.
const REPEATED: Duration = Duration::from_millis(10);
/// How often an optimizer's steps are repeated, as some do more in every tenth; fewer, if that takes too long.
const STEPS: u32 = 20;
/// How often that is timed.
const ROUNDS: u32 = 3;
/// The longest time for all of it.
const STEPPED: Duration = Duration::from_millis(100);
/// How long all optimizers' steps are timed, together.
const ALL_STEPPED: Duration = Duration::from_secs(1);

/// The expected cost of a sweep.
#[derive(Debug, Clone)]
pub struct Estimate {
    /// Per problem, in the experiment's order.
    problems: Vec<ProblemCost>,
    /// Runs in all.
    pub runs: usize,
    /// Evaluations in all, if every run uses its budget.
    pub evaluations: u64,
    /// Seconds of all runs, one after the other.
    pub seconds: f64,
}

#[derive(Debug, Clone)]
struct ProblemCost {
    label: String,
    dimension: u64,
    steps_per_epoch: u64,
    /// Seconds.
    evaluation: f64,
    /// Seconds of an evaluation with the optimizer's own work, by its label, where its steps were timed.
    stepped: BTreeMap<String, f64>,
    /// Seconds.
    measurement: f64,
    /// Bytes of model, batches and what an evaluation or a measurement needs beside them.
    bytes: u64,
    /// Bytes of a vector of the optimizer's.
    vector: u64,
}

impl ProblemCost {
    fn unknown(label: &str) -> Self {
        Self {
            label: label.into(),
            dimension: 0,
            steps_per_epoch: 0,
            evaluation: 0.0,
            stepped: BTreeMap::new(),
            measurement: 0.0,
            bytes: 0,
            vector: 0,
        }
    }

    /// Seconds of an evaluation with the optimizer's own work, as far as that is known.
    fn of_evaluation(&self, optimizer: &OptimizerEntry) -> f64 {
        let stepped = self.stepped.get(&optimizer.label);
        stepped.map_or(self.evaluation, |stepped| stepped.max(self.evaluation))
    }

    /// Fills in what is foreseen of the problem, and says whether that is to do.
    fn foresee(&mut self, entry: &ProblemEntry, probing: Probing, library: &Library) -> bool {
        let Ok(Some(work)) = entry.config.work(library.catalogue()) else {
            return false;
        };
        let Work { parameters, .. } = work;
        let [evaluation, measurement] = [work.evaluation, work.measurement]
            .map(|count| count as f64 / (RATE * probing.threads as f64) + STEP);
        let here = entry.config.data().iter().all(|name| library.is_here(name));
        if here && evaluation + measurement <= BRIEF {
            return false;
        }
        self.dimension = parameters;
        self.steps_per_epoch = work.steps_per_epoch.unwrap_or(0);
        if probing.timed {
            (self.evaluation, self.measurement) = (evaluation, measurement);
        }
        true
    }

    /// Fills in what building the problem tells, and where it is to be timed an evaluation, a measurement, and
    /// steps of its optimizers while there is time left for them.
    fn find(
        &mut self,
        entry: &ProblemEntry,
        seed: u64,
        timed: Option<&[&OptimizerEntry]>,
        left: &mut Duration,
        environment: &Environment,
    ) -> Result<()> {
        let draw = Draw {
            seed,
            optimizer: "",
        };
        let mut problem = entry.config.build(draw, environment)?;
        self.dimension = problem.parameters().element_count() as u64;
        self.steps_per_epoch = problem.steps_per_epoch();
        let element = problem.parameters().dtype().size_in_bytes() as u64;
        // The state of bf16 and f16 parameters is in f32.
        self.vector = self.dimension * element.max(4);
        let Some(optimizers) = timed else {
            return Ok(());
        };
        let (times, peak) = memory::peak(|| -> Result<_> {
            // The first fills caches.
            problem.objective(0)?.loss_and_gradient()?;
            let evaluation = mean_seconds(|| {
                problem.objective(0)?.loss_and_gradient()?;
                Ok(())
            })?;
            let measurement = mean_seconds(|| problem.measure().map(|_| ()))?;
            Ok((evaluation, measurement))
        });
        (self.evaluation, self.measurement) = times?;
        for optimizer in optimizers {
            if left.is_zero() {
                break;
            }
            let started = Instant::now();
            // Steps may fail that a run would not make, as from a point where another optimizer's have led.
            if let Ok(seconds) = stepped(entry, optimizer, &mut *problem) {
                self.stepped.insert(optimizer.label.clone(), seconds);
            }
            *left = left.saturating_sub(started.elapsed());
        }
        drop(problem);
        // What is still there is shared: the data. The allocator keeps what is freed, so that the process grows by more
        // than it holds at once, by up to a half.
        self.bytes = peak.saturating_sub(memory::live()) / 2 * 3;
        Ok(())
    }
}

/// The seconds of an evaluation with the optimizer's own work.
fn stepped(
    entry: &ProblemEntry,
    optimizer: &OptimizerEntry,
    problem: &mut dyn Problem,
) -> Result<f64> {
    let mut optimizer: Box<dyn Optimizer> = optimizer_of(entry, optimizer, problem)?;
    let mut meter = Meter::new();
    // The first makes what the optimizer keeps.
    let (_, mut batches) = advance(problem, &mut *optimizer, 0, &mut meter)?;
    let begun = Instant::now();
    let mut least = f64::INFINITY;
    // Of several rounds the fastest: the first fill caches, and others may be disturbed.
    for _ in 0..ROUNDS {
        let (started, before) = (Instant::now(), meter.counts().evaluations());
        for _ in 0..STEPS {
            (_, batches) = advance(problem, &mut *optimizer, batches.end, &mut meter)?;
            if begun.elapsed() > STEPPED {
                break;
            }
        }
        let evaluations = meter.counts().evaluations() - before;
        least = least.min(started.elapsed().as_secs_f64() / evaluations.max(1) as f64);
        if begun.elapsed() > STEPPED {
            break;
        }
    }
    Ok(least)
}

/// The seconds that something takes once, repeated while that is over in no time.
fn mean_seconds(mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let started = Instant::now();
    let mut count = 0;
    while count == 0 || started.elapsed() < REPEATED {
        work()?;
        count += 1;
    }
    Ok(started.elapsed().as_secs_f64() / f64::from(count))
}

impl Estimate {
    /// Builds every problem once, and times and weighs, for those that `cells` has, evaluations, steps and
    /// measurements as a run will make them. Building here also finds missing data before the sweep
    /// begins. Of a problem that cannot be built or evaluated for another reason, as of a model that does
    /// not fit its data, nothing is known: its runs will fail with that reason, and the others go on.
    ///
    /// # Errors
    /// When data is missing, or a thread pool cannot be made.
    pub fn new(
        experiment: &Experiment,
        cells: &[Cell<'_>],
        environment: &Environment,
        probing: Probing,
    ) -> Result<Self> {
        let pool = threads(probing.threads)?;
        let mut problems = Vec::new();
        let mut left = ALL_STEPPED;
        for entry in &experiment.problems {
            let mut cost = ProblemCost::unknown(&entry.label);
            let seed = experiment.seeds[0];
            let runs = cells
                .iter()
                .filter(|cell| cell.problem.label == entry.label);
            let mut optimizers: Vec<&OptimizerEntry> = runs.map(|cell| cell.optimizer).collect();
            optimizers.dedup_by_key(|optimizer| &optimizer.label);
            let timed = probing.timed && !optimizers.is_empty();
            let timed = timed.then_some(&optimizers[..]);
            let foreseen = probing.brief && cost.foresee(entry, probing, &environment.library);
            if !foreseen
                && let Err(error @ Error::Data(_)) =
                    pool.install(|| cost.find(entry, seed, timed, &mut left, environment))
            {
                return Err(error);
            }
            problems.push(cost);
        }
        let mut estimate = Self {
            problems,
            runs: cells.len(),
            evaluations: 0,
            seconds: 0.0,
        };
        estimate.evaluations = cells.iter().map(|cell| estimate.evaluations_of(cell)).sum();
        estimate.seconds = cells.iter().map(|cell| estimate.seconds_of(cell)).sum();
        Ok(estimate)
    }

    fn cost(&self, cell: &Cell<'_>) -> Option<&ProblemCost> {
        self.problems
            .iter()
            .find(|cost| cost.label == cell.problem.label)
    }

    /// Evaluations of a run, at most.
    pub fn evaluations_of(&self, cell: &Cell<'_>) -> u64 {
        let (budget, epochs) = (cell.problem.budget, cell.problem.epochs);
        match (epochs, self.cost(cell)) {
            (Some(epochs), Some(cost)) => epochs
                .saturating_mul(cost.steps_per_epoch)
                .saturating_mul(cell.optimizer.config.evaluations_per_step())
                .min(budget),
            _ => budget,
        }
    }

    /// Seconds that a run is expected to take, with the work of its optimizer.
    pub fn seconds_of(&self, cell: &Cell<'_>) -> f64 {
        self.cost(cell).map_or(0.0, |cost| {
            self.seconds(cell, cost, cost.of_evaluation(cell.optimizer))
        })
    }

    /// Seconds of a run whose evaluations take so many each.
    fn seconds(&self, cell: &Cell<'_>, cost: &ProblemCost, evaluation: f64) -> f64 {
        self.evaluations_of(cell) as f64 * evaluation
            + measurements(cell.problem) * cost.measurement
    }

    /// What a run is expected to take, for the order of runs: without the work of its optimizer, so that the runs of a
    /// problem stay in order when a sweep is planned again.
    pub fn demand(&self, cell: &Cell<'_>) -> Demand {
        self.cost(cell).map_or(Demand::default(), |cost| Demand {
            seconds: self.seconds(cell, cost, cost.evaluation),
            bytes: match cost.bytes {
                0 => 0,
                bytes => bytes + cell.optimizer.config.vectors() * cost.vector,
            },
        })
    }

    /// The number of parameters of each problem, in the experiment's order.
    pub fn dimensions(&self) -> Vec<u64> {
        self.problems.iter().map(|cost| cost.dimension).collect()
    }
}
/// How often a run on a problem is measured, about: at the start and the end, evenly in between, and from one point to
/// the next of its resolution.
fn measurements(problem: &ProblemEntry) -> f64 {
    let even = problem.points as f64;
    let finer = match problem.epochs {
        Some(_) => 0.0,
        None => {
            let single = problem.resolution.recip();
            let budget = problem.budget as f64;
            single.min(budget) + (budget / single).max(1.0).ln() / problem.resolution.ln_1p()
        }
    };
    1.0 + even + finer
}
