//! What the switch from one phase to the next does: how often it comes, and what comes of it.

use bench_experiment::run::RunRecord;
use bench_experiment::store::{OptimizerInfo, Results};
use bench_stats::{Bootstrap, Estimate, mean, median};

use crate::counted;
use crate::overall::{exponential, log_ratio, mean_of_means};
use crate::pairs::Standing;

/// The switch of one optimizer.
#[derive(Debug, Clone, PartialEq)]
pub struct Switching {
    /// Its label.
    pub optimizer: String,
    /// Runs that count.
    pub runs: usize,
    /// Runs that switched.
    pub switched: usize,
    /// Of the runs that did not, those that equal a run without a switch in every measured loss.
    pub unswitched: usize,
    /// The share of a run's gradient evaluations made before its first switch, the median over runs; NaN without any.
    /// (Where epochs end a run its budget is only a bound.)
    pub at: f64,
    /// What runs that switched came to; `None` where there is no reference, or none switched.
    pub effect: Option<Effect>,
}

/// The final losses of runs that switched, over those of the reference with the same seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// The geometric mean over problems with its interval over problems and seeds; `None` with fewer than two problems.
    pub ratio: Option<Estimate>,
    /// Problems with a lower loss, one within the equivalence zone, and a higher loss.
    pub problems: [usize; 3],
}

/// All optimizers that have a criterion and runs, in the experiment's order.
pub fn switching(results: &Results, reference: Option<&str>) -> Vec<Switching> {
    let optimizers = results.optimizers.iter().filter(|own| has_criterion(own));
    let all = optimizers.map(|own| of_optimizer(results, &own.label, reference));
    all.filter(|own| own.runs > 0).collect()
}

/// Whether an optimizer has a criterion on any problem.
pub fn can_switch(results: &Results, label: &str) -> bool {
    let mut optimizers = results.optimizers.iter();
    optimizers.any(|own| own.label == label && has_criterion(own))
}

fn has_criterion(optimizer: &OptimizerInfo) -> bool {
    let mut configs = optimizer.variants.iter().map(|variant| &variant.config);
    configs.any(|config| config.criterion().is_some())
}

fn of_optimizer(results: &Results, label: &str, reference: Option<&str>) -> Switching {
    let (mut runs, mut unswitched, mut shares, mut logs) = (0, 0, Vec::new(), Vec::new());
    for problem in &results.problems {
        let own: Vec<&RunRecord> = counted::runs(results, &problem.label, label).collect();
        runs += own.len();
        if unswitched_of(results, &problem.label, label).is_some() {
            unswitched += own.len();
        }
        let losses = reference.map(|own| counted::losses_by_seed(results, &problem.label, own));
        let mut of_problem = Vec::new();
        for run in own {
            let Some(first) = run.switches.first() else {
                continue;
            };
            let made = run.last().map_or(0, |last| last.gradient_evaluations);
            shares.push(first.gradient_evaluations as f64 / made as f64);
            let other = losses.as_ref().and_then(|own| own.get(&run.cell.seed));
            of_problem.extend(other.map(|other| log_ratio(counted::final_loss(run), *other)));
        }
        if !of_problem.is_empty() {
            logs.push(of_problem);
        }
    }
    Switching {
        optimizer: label.to_owned(),
        runs,
        switched: shares.len(),
        unswitched,
        at: median(&shares),
        effect: (!logs.is_empty()).then(|| effect(&logs)),
    }
}

fn effect(logs: &[Vec<f64>]) -> Effect {
    let bootstrap = Bootstrap {
        resamples: 2000,
        ..Bootstrap::default()
    };
    let count = |standing: Standing| {
        let own = logs.iter().map(|seeds| Standing::of(mean(seeds).exp()));
        own.filter(|own| *own == standing).count()
    };
    Effect {
        ratio: bootstrap
            .hierarchical(logs, mean_of_means)
            .ok()
            .map(exponential),
        problems: [Standing::Win, Standing::Tie, Standing::Loss].map(count),
    }
}

/// The optimizer without a criterion that an optimizer with one is on a problem, as it never switched there: all its
/// runs equal those in every measured loss, bit by bit.
pub fn unswitched_of<'a>(results: &'a Results, problem: &str, label: &str) -> Option<&'a str> {
    if !can_switch(results, label) {
        return None;
    }
    let runs: Vec<&RunRecord> = results.runs(problem, label).collect();
    let has_switched = runs.iter().any(|run| !run.switches.is_empty());
    if runs.is_empty() || has_switched {
        return None;
    }
    let equals = |other: &&OptimizerInfo| {
        let others: Vec<&RunRecord> = results.runs(problem, &other.label).collect();
        let same = |run: &&RunRecord| others.iter().any(|other| is_same(run, other));
        runs.iter().all(same)
    };
    let mut optimizers = results.optimizers.iter();
    let other = optimizers.find(|other| !has_criterion(other) && equals(other))?;
    Some(&other.label)
}

fn is_same(own: &RunRecord, other: &RunRecord) -> bool {
    let path = |run: &RunRecord| -> Vec<(u64, u64)> {
        let points = run.curve.iter();
        points
            .map(|point| (point.gradient_evaluations, point.loss.to_bits()))
            .collect()
    };
    own.cell.seed == other.cell.seed && path(own) == path(other)
}
