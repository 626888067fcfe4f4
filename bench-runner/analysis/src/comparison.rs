//! Two result sets side by side: what is the same, what changed, and whether chance explains it.

use std::collections::BTreeSet;

use bench_experiment::run::RunRecord;
use bench_experiment::store::Results;
use bench_stats::{
    self as stats, Alternative, Bootstrap, Design, Estimate, Interval, median, median_interval,
};

use crate::counted;
use crate::overall::{exponential, log_ratio, mean_of_means, p_over_problems};
use crate::pairs::Standing;

/// Below this corrected p-value a difference is called a change.
const LEVEL: f64 = 0.05;

/// Two result sets, compared run by run.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Runs in both.
    pub matched: usize,
    /// Runs only in the first.
    pub only_first: usize,
    /// Runs only in the second.
    pub only_second: usize,
    /// One entry for each optimizer on each problem that both have.
    pub changes: Vec<Change>,
    /// One entry for each optimizer, over all problems that both have.
    pub overall: Vec<Overall>,
}

/// One optimizer in both sets, over all problems, the problem being the unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Overall {
    /// The optimizer's label.
    pub optimizer: String,
    /// Problems in both.
    pub problems: usize,
    /// The geometric mean over problems of the ratio of final losses, the second set's over the first's, with its
    /// interval over problems and seeds; `None` with fewer than two problems.
    pub ratio: Option<Estimate>,
    /// Two-sided sign-flip test over problems, corrected for all optimizers together; `None` without a difference.
    pub p_value: Option<f64>,
}

impl Overall {
    /// What it comes to, in words.
    pub fn reading(&self) -> String {
        let lower = self.ratio.is_some_and(|ratio| ratio.value < 1.0);
        reading(self.p_value, self.problems, "problems", lower)
    }
}

/// What a test of so many pairs says.
fn reading(p_value: Option<f64>, pairs: usize, unit: &str, lower: bool) -> String {
    let design = Design {
        pairs,
        significance: LEVEL,
        alternative: Alternative::TwoSided,
    };
    match p_value {
        None => "same final losses".into(),
        Some(p) if p < LEVEL && lower => "second is lower".into(),
        Some(p) if p < LEVEL => "second is higher".into(),
        Some(_) if design.smallest_p_value() > LEVEL => {
            format!("cannot tell from {pairs} {unit}")
        }
        Some(_) => "no difference found".into(),
    }
}

/// One optimizer on one problem in both sets, over the seeds that both have.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The problem's label.
    pub problem: String,
    /// The optimizer's label.
    pub optimizer: String,
    /// Seeds in both.
    pub seeds: usize,
    /// The median final loss in the first set.
    pub first: f64,
    /// The median final loss in the second.
    pub second: f64,
    /// Runs equal in every measured point but for times.
    pub identical: usize,
    /// The median over seeds of the ratio of final losses, the second set's over the first's.
    pub ratio: f64,
    /// The interval of that median; `None` for one seed.
    pub interval: Option<Interval>,
    /// Two-sided sign test over seeds, corrected for all changes together; `None` without a difference.
    pub p_value: Option<f64>,
}

impl Change {
    /// What it comes to, in words: with few seeds a change beyond the equivalence zone on all of them is told with
    /// its size, though no test of so few pairs can confirm it.
    pub fn reading(&self) -> String {
        if self.identical == self.seeds {
            return "identical".into();
        }
        let told = reading(self.p_value, self.seeds, "pairs", self.second < self.first);
        let tie = self.interval.is_some_and(|interval| {
            [interval.low, interval.high].map(Standing::of) == [Standing::Tie; 2]
        });
        if tie && self.p_value.is_some() {
            return format!("{told}; all within 10 %");
        }
        told
    }
}

/// The final losses of both sets on one problem.
struct Pair<'a> {
    problem: &'a str,
    optimizer: &'a str,
    first: Vec<f64>,
    second: Vec<f64>,
    identical: usize,
}

/// Compares the final losses of the runs that both result sets have, paired by seed.
pub fn compare(first: &Results, second: &Results) -> Comparison {
    let labels: BTreeSet<(&str, &str)> = first
        .records
        .iter()
        .map(|run| (run.cell.problem.as_str(), run.cell.optimizer.as_str()))
        .collect();
    let pairs: Vec<Pair<'_>> = labels
        .iter()
        .filter_map(|&(problem, optimizer)| Pair::new(first, second, problem, optimizer))
        .collect();
    let matched: usize = pairs.iter().map(|pair| pair.first.len()).sum();
    // Without a difference there is nothing to test; what can be tested is corrected together.
    let tested: Vec<Option<f64>> = pairs.iter().map(Pair::p_value).collect();
    let raw: Vec<f64> = tested.iter().flatten().copied().collect();
    let mut corrected = stats::holm(&raw).unwrap_or(raw).into_iter();
    let changes = pairs.iter().zip(tested).map(|(pair, tested)| Change {
        problem: pair.problem.into(),
        optimizer: pair.optimizer.into(),
        seeds: pair.first.len(),
        first: median(&pair.first),
        second: median(&pair.second),
        identical: pair.identical,
        ratio: median(&pair.log_ratios()).exp(),
        interval: median_interval(&pair.log_ratios(), 0.95)
            .ok()
            .map(|estimate| exponential(estimate).interval),
        p_value: tested.and_then(|_| corrected.next()),
    });
    Comparison {
        overall: overall(&pairs),
        matched,
        only_first: first.records.len() - matched,
        only_second: second.records.len() - matched,
        changes: changes.collect(),
    }
}

/// Each optimizer over the problems that it has in both sets.
fn overall(pairs: &[Pair<'_>]) -> Vec<Overall> {
    let optimizers: BTreeSet<&str> = pairs.iter().map(|pair| pair.optimizer).collect();
    let bootstrap = Bootstrap {
        resamples: 2000,
        ..Bootstrap::default()
    };
    let mut all: Vec<Overall> = optimizers
        .into_iter()
        .map(|optimizer| {
            let own = pairs.iter().filter(|pair| pair.optimizer == optimizer);
            let logs: Vec<Vec<f64>> = own.map(Pair::log_ratios).collect();
            let ratio = bootstrap.hierarchical(&logs, mean_of_means);
            Overall {
                optimizer: optimizer.into(),
                problems: logs.len(),
                ratio: ratio.ok().map(exponential),
                p_value: p_over_problems(&logs),
            }
        })
        .collect();
    let raw: Vec<f64> = all.iter().filter_map(|own| own.p_value).collect();
    let mut corrected = stats::holm(&raw).unwrap_or(raw).into_iter();
    for own in all.iter_mut().filter(|own| own.p_value.is_some()) {
        own.p_value = corrected.next();
    }
    all
}

impl<'a> Pair<'a> {
    fn new(
        first: &'a Results,
        second: &'a Results,
        problem: &'a str,
        optimizer: &'a str,
    ) -> Option<Self> {
        let mut pair = Self {
            problem,
            optimizer,
            first: Vec::new(),
            second: Vec::new(),
            identical: 0,
        };
        for run in counted::runs(first, problem, optimizer) {
            let same_seed = |other: &&RunRecord| other.cell.seed == run.cell.seed;
            let Some(other) = counted::runs(second, problem, optimizer).find(same_seed) else {
                continue;
            };
            pair.first.push(counted::final_loss(run));
            pair.second.push(counted::final_loss(other));
            pair.identical += usize::from(run.without_times() == other.without_times());
        }
        (!pair.first.is_empty()).then_some(pair)
    }

    /// For each seed the logarithm of the second loss over the first.
    fn log_ratios(&self) -> Vec<f64> {
        let pairs = self.first.iter().zip(&self.second);
        pairs
            .map(|(first, second)| log_ratio(*second, *first))
            .collect()
    }

    fn p_value(&self) -> Option<f64> {
        let differences = stats::paired_differences(&self.first, &self.second).ok()?;
        if differences.iter().all(|difference| *difference == 0.0) {
            return None;
        }
        stats::sign_test(&differences, Alternative::TwoSided)
            .ok()
            .map(|test| test.p_value)
    }
}
