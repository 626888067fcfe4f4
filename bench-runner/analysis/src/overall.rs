//! How each optimizer does over all problems, the problem being the unit: against a reference method, and in digits
//! gained.

use bench_experiment::store::{OptimizerInfo, Results};
use bench_stats::{
    self as stats, Alternative, Bootstrap, Estimate, interquartile_mean, median, median_interval,
    probability_of_improvement_interval,
};
use optim::AdamConfig;

use crate::counted;
use crate::ladder::{digits_gained, ladder};
use crate::pairs::{Paired, Standing, Tally, paired};
use crate::ranking::by_network;

/// Ratios of final losses beyond this factor, and those to a run that diverged, count as this: one problem alone
/// should not make the mean.
const LARGEST_RATIO: f64 = 1e6;

/// Random patterns of signs, where not all can be tried.
const FLIPS: usize = 9999;

/// The confidence of intervals, and one minus the p-value below which a lead is sure.
const CONFIDENCE: f64 = 0.95;

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
    /// Problems that count for what follows: a network with faults is no other problem than the same without.
    pub problems: usize,
    /// The median, over problems, of the ratio of costs over the ladder, its own over the reference's, with the exact
    /// interval from order statistics; a target that one of the two missed counts as met at the end of the budget.
    /// `None` with fewer than two problems.
    pub cost: Option<Estimate>,
    /// The two-sided p-value of the exact sign test of problems won against problems lost, Holm-corrected over
    /// optimizers; `None` where all are tied.
    pub sign_p_value: Option<f64>,
    /// The median, over problems, of the ratio of the seconds that an evaluation takes, its own over the reference's;
    /// NaN where none is known.
    pub seconds: f64,
    /// The probability that a run of it ends at a lower loss than a run of the reference on the same problem, a mean
    /// over problems, with the interval over seeds (Agarwal et al. 2021); `None` with one seed.
    pub improvement: Option<Estimate>,
    /// The geometric mean, over problems, of the ratio of final losses, its own over the reference's, with the
    /// interval over problems and seeds; `None` with fewer than two problems.
    pub ratio: Option<Estimate>,
    /// The two-sided p-value of the sign-flip test of that mean over problems, Holm-corrected over optimizers.
    pub p_value: Option<f64>,
}

/// What an optimizer's [`Against`] supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lead {
    /// There are too few problems for an exact interval at 95 %, which takes six.
    TooFew,
    /// The interval holds 1, or chance explains wins and losses.
    Unsure,
    /// It needs fewer evaluations than the reference.
    Ahead,
    /// The whole interval is within the equivalence zone.
    Level,
    /// It needs more.
    Behind,
}

impl Against {
    /// Who is ahead for sure: the exact interval of the ratio of costs must be on one side of 1, and the sign test
    /// over problems, corrected for the number of optimizers, must agree.
    pub fn lead(&self) -> Lead {
        let Some(cost) = self.cost.filter(|cost| cost.interval.level >= CONFIDENCE) else {
            return Lead::TooFew;
        };
        let [low, high] = [cost.interval.low, cost.interval.high];
        let tested = self.sign_p_value.is_some_and(|p| p < 1.0 - CONFIDENCE);
        if [low, high].map(Standing::of) == [Standing::Tie; 2] {
            Lead::Level
        } else if tested && high < 1.0 {
            Lead::Ahead
        } else if tested && low > 1.0 {
            Lead::Behind
        } else {
            Lead::Unsure
        }
    }
}

/// The optimizer that others are compared with: the method `adam`, else whatever else is Adam; of several the one that
/// gained the most digits, the best-tuned. `None` where there is no Adam.
pub fn reference(results: &Results) -> Option<&str> {
    let chosen = |is_adam: &dyn Fn(&OptimizerInfo) -> bool| {
        // What others counted is no measure of ours.
        let here = results.optimizers.iter().filter(|own| !own.is_imported());
        let own = here.filter(|own| is_adam(own));
        best_tuned(results, &own.collect::<Vec<_>>())
    };
    chosen(&|own| own.method() == "adam").or_else(|| {
        chosen(&|own| {
            let mut configs = own.variants.iter().map(|variant| &variant.config);
            configs.all(|config| config.downcast::<AdamConfig>().is_some())
        })
    })
}

/// Of these optimizers the one that gained the most digits over all problems, the first of equal ones; `None` where
/// none has runs.
pub fn best_tuned<'a>(results: &Results, trials: &[&'a OptimizerInfo]) -> Option<&'a str> {
    let labels = trials.iter().map(|own| own.label.as_str());
    let labels: Vec<&str> = labels.filter(|label| has_runs(results, label)).collect();
    if let [only] = labels[..] {
        return Some(only);
    }
    let gained = |label: &str| interquartile_mean(&digits_by_problem(results, label).concat());
    let gained = labels.into_iter().map(|label| (gained(label), label));
    let best = gained.reduce(|best, next| if next.0 > best.0 { next } else { best });
    best.map(|(_, label)| label)
}

fn has_runs(results: &Results, optimizer: &str) -> bool {
    let mut records = results.records.iter();
    records.any(|run| run.cell.optimizer == optimizer)
}

/// All optimizers that have runs, in the experiment's order.
pub fn overall(results: &Results) -> Vec<Overall> {
    let reference = reference(results);
    let bootstrap = Bootstrap {
        resamples: 2000,
        ..Bootstrap::default()
    };
    let mut all: Vec<Overall> = results
        .optimizers
        .iter()
        .map(|optimizer| optimizer.label.as_str())
        .filter(|label| has_runs(results, label))
        .map(|label| Overall {
            optimizer: label.to_owned(),
            digits: {
                let pooled = |problems: &[Vec<f64>]| interquartile_mean(&problems.concat());
                let by_problem = digits_by_problem(results, label);
                bootstrap.hierarchical(&by_problem, pooled).ok()
            },
            against: reference
                .filter(|reference| *reference != label)
                .map(|reference| against(results, label, reference, &bootstrap)),
        })
        .collect();
    correct(&mut all, |against| &mut against.p_value);
    correct(&mut all, |against| &mut against.sign_p_value);
    all
}

/// Corrects a p-value of all optimizers that have it, by Holm's method.
fn correct(all: &mut [Overall], p_value: fn(&mut Against) -> &mut Option<f64>) {
    let compared = all.iter_mut().filter_map(|own| own.against.as_mut());
    let p_values: Vec<&mut f64> = compared.filter_map(|own| p_value(own).as_mut()).collect();
    let raw: Vec<f64> = p_values.iter().map(|p| **p).collect();
    for (p, corrected) in p_values.into_iter().zip(stats::holm(&raw).unwrap_or(raw)) {
        *p = corrected;
    }
}

/// The digits that each run gained, by problem.
fn digits_by_problem(results: &Results, optimizer: &str) -> Vec<Vec<f64>> {
    let problems = results.problems.iter();
    let digits = problems.filter_map(|problem| {
        let targets = ladder(results, &problem.label)?;
        let runs = counted::runs(results, &problem.label, optimizer);
        let digits: Vec<f64> = runs.map(|run| digits_gained(run, &targets)).collect();
        (!digits.is_empty()).then_some(digits)
    });
    digits.collect()
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
    let paired = paired(results, &results.problems, &of(label), &of(reference));
    let tally = Tally::of(&paired);
    let networks = by_network(results);
    let faulty = |pair: &Paired| {
        let mut variants = networks.iter().flat_map(|(_, variants)| &variants[1..]);
        variants.any(|(_, problem)| problem.label == pair.problem)
    };
    let paired: Vec<Paired> = paired.into_iter().filter(|pair| !faulty(pair)).collect();
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
    let log_costs: Vec<f64> = paired.iter().map(|pair| pair.bounded_log_ratio).collect();
    Against {
        tally,
        problems: paired.len(),
        cost: median_interval(&log_costs, CONFIDENCE)
            .ok()
            .map(exponential),
        sign_p_value: sign_p_value(&paired),
        seconds: seconds(results, label, reference),
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

/// The exact sign test of problems won against problems lost.
fn sign_p_value(paired: &[Paired]) -> Option<f64> {
    let signs = paired.iter().map(|pair| match pair.standing {
        Standing::Win => -1.0,
        Standing::Tie => 0.0,
        Standing::Loss => 1.0,
    });
    let signs: Vec<f64> = signs.filter(|sign| *sign != 0.0).collect();
    let test = stats::sign_test(&signs, Alternative::TwoSided).ok()?;
    Some(test.p_value)
}

/// The median over problems of the ratio of the seconds that an evaluation takes.
fn seconds(results: &Results, label: &str, reference: &str) -> f64 {
    let ratios = results.problems.iter().map(|problem| {
        let [own, other] = [label, reference].map(|label| {
            let runs = || counted::runs(results, &problem.label, label);
            let evaluations: u64 = runs().map(|run| run.counts.gradient_evaluations).sum();
            runs().map(|run| run.seconds).sum::<f64>() / evaluations as f64
        });
        own / other
    });
    let known: Vec<f64> = ratios.filter(|ratio| ratio.is_finite()).collect();
    median(&known)
}
