//! How each optimizer does over all problems, the problem being the unit: against a reference method, and in digits
//! gained.

use bench_experiment::run::RunRecord;
use bench_experiment::store::Results;
use bench_stats::{
    self as stats, Alternative, Bootstrap, Estimate, interquartile_mean,
    probability_of_improvement_interval,
};

use crate::counted;
use crate::ladder::{digits_gained, ladder};
use crate::pairs::{Tally, paired};

/// Ratios of final losses beyond this factor, and those to a run that diverged, count as this: one problem alone
/// should not make the mean.
const LARGEST_RATIO: f64 = 1e6;

/// Random patterns of signs, where not all can be tried.
const FLIPS: usize = 9999;

/// One optimizer over all problems.
#[derive(Debug, Clone, PartialEq)]
pub struct Overall {
    /// Its label.
    pub optimizer: String,
    /// The interquartile mean, over problems and seeds, of the digits gained, with the interval over problems and
    /// seeds; `None` with fewer than two problems.
    pub digits: Option<Estimate>,
    /// Its standing against the reference; `None` for the reference itself.
    pub against: Option<Against>,
}

/// One optimizer against the reference method.
#[derive(Debug, Clone, PartialEq)]
pub struct Against {
    /// Problems won, tied and lost by cost over the ladder of targets.
    pub tally: Tally,
    /// The probability that a run of it ends at a lower loss than a run of the reference on the same problem, a mean
    /// over problems, with the interval over seeds (Agarwal et al. 2021); `None` with one seed.
    pub improvement: Option<Estimate>,
    /// The geometric mean, over problems, of the ratio of final losses, its own over the reference's, with the
    /// interval over problems and seeds; `None` with fewer than two problems.
    pub ratio: Option<Estimate>,
    /// The two-sided p-value of the sign-flip test of that mean over problems, Holm-corrected over optimizers.
    pub p_value: Option<f64>,
}

/// The method that others are compared with: `adam`, else the first. `None` where nothing ran.
pub fn reference(results: &Results) -> Option<&str> {
    let labels = || results.optimizers.iter().map(|o| o.label.as_str());
    labels().find(|label| *label == "adam").or(labels().next())
}

/// All optimizers that have runs, in the experiment's order.
pub fn overall(results: &Results) -> Vec<Overall> {
    let Some(reference) = reference(results) else {
        return Vec::new();
    };
    let bootstrap = Bootstrap {
        resamples: 2000,
        ..Bootstrap::default()
    };
    let mut all: Vec<Overall> = results
        .optimizers
        .iter()
        .filter(|optimizer| {
            let own = |run: &RunRecord| run.cell.optimizer == optimizer.label;
            results.records.iter().any(own)
        })
        .map(|optimizer| {
            let label = optimizer.label.as_str();
            Overall {
                optimizer: label.to_owned(),
                digits: digits(results, label, &bootstrap),
                against: (label != reference)
                    .then(|| against(results, label, reference, &bootstrap)),
            }
        })
        .collect();
    let p_values = || all.iter().filter_map(|own| own.against.as_ref()?.p_value);
    let raw: Vec<f64> = p_values().collect();
    let mut corrected = stats::holm(&raw).unwrap_or(raw).into_iter();
    for against in all.iter_mut().filter_map(|own| own.against.as_mut()) {
        if against.p_value.is_some() {
            against.p_value = corrected.next();
        }
    }
    all
}

fn digits(results: &Results, optimizer: &str, bootstrap: &Bootstrap) -> Option<Estimate> {
    let by_problem: Vec<Vec<f64>> = results
        .problems
        .iter()
        .filter_map(|problem| {
            let targets = ladder(results, &problem.label)?;
            let runs = counted::runs(results, &problem.label, optimizer);
            let digits: Vec<f64> = runs.map(|run| digits_gained(run, &targets)).collect();
            (!digits.is_empty()).then_some(digits)
        })
        .collect();
    let pooled = |problems: &[Vec<f64>]| interquartile_mean(&problems.concat());
    bootstrap.hierarchical(&by_problem, pooled).ok()
}

/// The ratio of two losses as a logarithm, within the largest ratio; equal losses, infinite ones too, have 0.
pub(crate) fn log_ratio(own: f64, other: f64) -> f64 {
    let limit = LARGEST_RATIO.ln();
    if own == other {
        return 0.0;
    }
    // A loss of 0, or below it, has no ratio: the order decides.
    if own <= 0.0 || other <= 0.0 {
        return if own < other { -limit } else { limit };
    }
    (own.ln() - other.ln()).clamp(-limit, limit)
}

/// The means of logarithms over problems of the means over seeds.
pub(crate) fn mean_of_means(problems: &[Vec<f64>]) -> f64 {
    let means: Vec<f64> = problems.iter().map(|seeds| stats::mean(seeds)).collect();
    stats::mean(&means)
}

/// The geometric mean that a mean of logarithms stands for.
pub(crate) fn exponential(estimate: Estimate) -> Estimate {
    let mut ratio = estimate;
    ratio.value = estimate.value.exp();
    ratio.interval.low = estimate.interval.low.exp();
    ratio.interval.high = estimate.interval.high.exp();
    ratio
}

/// The sign-flip test over problems of their mean logarithms; `None` without a difference.
pub(crate) fn p_over_problems(problems: &[Vec<f64>]) -> Option<f64> {
    let means: Vec<f64> = problems.iter().map(|seeds| stats::mean(seeds)).collect();
    if means.iter().all(|mean| *mean == 0.0) {
        return None;
    }
    stats::sign_flip_test(&means, Alternative::TwoSided, FLIPS, 0)
        .ok()
        .map(|test| test.p_value)
}

fn against(results: &Results, label: &str, reference: &str, bootstrap: &Bootstrap) -> Against {
    let of = |label: &str| {
        let label = label.to_owned();
        move |_: &_| Some(label.clone())
    };
    let tally = Tally::of(&paired(
        results,
        &results.problems,
        &of(label),
        &of(reference),
    ));
    let mut logs = Vec::new();
    let [mut own_losses, mut other_losses] = [Vec::new(), Vec::new()];
    for problem in &results.problems {
        let [own, other] =
            [label, reference].map(|label| counted::losses_by_seed(results, &problem.label, label));
        let pairs: Vec<[f64; 2]> = own
            .iter()
            .filter_map(|(seed, loss)| Some([*loss, *other.get(seed)?]))
            .collect();
        if pairs.is_empty() {
            continue;
        }
        logs.push(
            pairs
                .iter()
                .map(|[own, other]| log_ratio(*own, *other))
                .collect::<Vec<_>>(),
        );
        own_losses.push(pairs.iter().map(|pair| pair[0]).collect());
        other_losses.push(pairs.iter().map(|pair| pair[1]).collect());
    }
    Against {
        tally,
        // Lower losses are better, so that the reference's stand first.
        improvement: probability_of_improvement_interval(&other_losses, &own_losses, bootstrap)
            .ok(),
        ratio: bootstrap
            .hierarchical(&logs, mean_of_means)
            .ok()
            .map(exponential),
        p_value: p_over_problems(&logs),
    }
}
