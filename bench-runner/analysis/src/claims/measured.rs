//! What was measured for a claim: from what was observed, or from a suite's results, to a value with its
//! interval.

use std::collections::BTreeMap;

use bench_experiment::probe::{Descent, Evidence, Observed};
use bench_experiment::store::{ProblemInfo, Results};
use bench_stats::{
    self as stats, Bootstrap, Estimate, detectable_share, exponent, linear_rate, mean, median,
    wilson,
};
use serde::Serialize;

use crate::counted;

/// The power that a detectable effect is stated at.
const POWER: f64 = 0.8;

/// What was measured for a claim.
#[derive(Debug, Clone, PartialEq)]
pub enum ClaimValue {
    /// A count, the same in every run.
    Exact(f64),
    /// An estimate.
    Estimated {
        /// With its interval.
        estimate: Estimate,
        /// The effect that would have been found, where a difference is looked for.
        detectable: Option<Detectable>,
    },
    /// Nothing, and why.
    Nothing(String),
}

impl From<Estimate> for ClaimValue {
    fn from(estimate: Estimate) -> Self {
        Self::Estimated {
            estimate,
            detectable: None,
        }
    }
}

/// The smallest effect that a comparison of so many pairs finds, by
/// [`detectable_share`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Detectable {
    /// Runs of equal problem and seed that differ.
    pub pairs: u64,
    /// The probability of winning a pair; `None` where not even winning all would show it.
    pub probability: Option<f64>,
    /// The probability of finding it.
    pub power: f64,
}

/// A number with three decimals, and no minus before zero.
fn thousandths(value: f64) -> String {
    format!("{:.3}", (value * 1e3).round() / 1e3 + 0.0)
}

impl ClaimValue {
    /// What a probe's observations say, with intervals at a confidence level.
    ///
    /// # Errors
    /// When a statistic is not defined for them.
    pub fn of(observed: Observed, level: f64) -> stats::Result<Self> {
        let bootstrap = Bootstrap {
            level,
            ..Bootstrap::default()
        };
        Ok(match observed {
            Observed::Count(count) => Self::Exact(count),
            Observed::Counts { sizes, counts } => {
                // A count is the same in every run; two runs are what the fit needs at least.
                let counts: Vec<Vec<f64>> =
                    counts.into_iter().map(|count| vec![count; 2]).collect();
                let fit = exponent(&sizes, &counts, &Bootstrap::default())?;
                // What the arithmetic on counts rounds is no part of it.
                Self::Exact((fit.value * 1e9).round() / 1e9)
            }
            Observed::Ratios(ratios) => {
                let values = ratios.into_iter().map(|(_, value)| value);
                Self::Exact(values.fold(f64::NAN, f64::max))
            }
            Observed::Costs { sizes, costs } => exponent(&sizes, &costs, &bootstrap)?.into(),
            Observed::Means(means) => bootstrap.percentile(&means, mean)?.into(),
            Observed::Descents(conditions) => smallest_fit(&conditions, &bootstrap)?,
            Observed::OfSuite => Self::Nothing("told by a suite's results".into()),
            Observed::Nothing(reason) => Self::Nothing(reason),
        })
    }

    /// What the results of a suite say of evidence that rests on them; nothing of other evidence.
    ///
    /// # Errors
    /// When a statistic is not defined for them.
    pub fn of_results(evidence: &Evidence, results: &Results, level: f64) -> stats::Result<Self> {
        match evidence {
            Evidence::Wins {
                method,
                other,
                within,
                ..
            } => wins(results, [method, other], within, level),
            Evidence::ProbabilityOfLowerLoss {
                method,
                other,
                within,
                ..
            } => lower_loss(results, [method, other], within, level),
            _ => Ok(Self::Nothing("not told by a suite's results".into())),
        }
    }

    /// The value, for people, or why there is none.
    pub fn value_text(&self) -> String {
        match self {
            Self::Exact(value) => format!("{value}, counted"),
            Self::Estimated { estimate, .. } => thousandths(estimate.value),
            Self::Nothing(reason) => reason.clone(),
        }
    }

    /// The interval, for people, with the effect that would have been found.
    pub fn interval_text(&self) -> String {
        let Self::Estimated {
            estimate: Estimate { interval, .. },
            detectable,
        } = self
        else {
            return String::new();
        };
        let power = match detectable {
            None => String::new(),
            Some(Detectable {
                pairs,
                probability: Some(probability),
                power,
            }) => format!(
                "; {pairs} pairs would show {probability:.2} with {:.0} % power",
                100.0 * power
            ),
            Some(Detectable { pairs, .. }) => format!("; {pairs} pairs are too few to show any"),
        };
        let [low, high] = [interval.low, interval.high].map(thousandths);
        format!("[{low}, {high}]{power}")
    }

    pub(super) fn text(&self) -> String {
        let (value, interval) = (self.value_text(), self.interval_text());
        format!("{value} {interval}").trim_end().into()
    }
}

/// The smallest R², over condition numbers, of the line of ln(f − f*) against evaluations.
fn smallest_fit(conditions: &[Vec<Descent>], bootstrap: &Bootstrap) -> stats::Result<ClaimValue> {
    let mut smallest: Option<Estimate> = None;
    for descents in conditions {
        let fits = descents
            .iter()
            .map(|descent| Ok(linear_rate(&descent.evaluations, &descent.errors)?.r_squared));
        let fits = fits.collect::<stats::Result<Vec<f64>>>()?;
        let fit = bootstrap.percentile(&fits, mean)?;
        if smallest.is_none_or(|smallest| fit.value < smallest.value) {
            smallest = Some(fit);
        }
    }
    Ok(smallest.map_or_else(
        || ClaimValue::Nothing("no condition number was tried".into()),
        ClaimValue::from,
    ))
}

/// The problems whose labels have one of these parts; all where none is named.
fn problems<'a>(
    results: &'a Results,
    within: &'a [String],
) -> impl Iterator<Item = &'a ProblemInfo> {
    results.problems.iter().filter(|problem| {
        let mut parts = problem.label.split('/');
        within.is_empty() || parts.any(|part| within.iter().any(|wanted| wanted == part))
    })
}

/// The least median evaluations to the target among a method's trials, by problem.
fn best_costs(results: &Results, method: &str, within: &[String]) -> BTreeMap<String, f64> {
    let mut best = BTreeMap::new();
    for problem in problems(results, within) {
        let Some(target) = problem.target else {
            continue;
        };
        for optimizer in &results.optimizers {
            let costs = counted::costs(results, &problem.label, &optimizer.label, target);
            if optimizer.method() == method && !costs.is_empty() {
                let cost = median(&costs);
                let known = best.entry(problem.label.clone()).or_insert(f64::INFINITY);
                *known = known.min(cost);
            }
        }
    }
    best
}

fn wins(
    results: &Results,
    [method, other]: [&str; 2],
    within: &[String],
    level: f64,
) -> stats::Result<ClaimValue> {
    let [mine, theirs] = [method, other].map(|method| best_costs(results, method, within));
    let decided: Vec<bool> = mine
        .iter()
        .filter_map(|(problem, cost)| Some((*cost, *theirs.get(problem)?)))
        .filter(|(mine, theirs)| mine.is_finite() || theirs.is_finite())
        .map(|(mine, theirs)| mine < theirs)
        .collect();
    if decided.is_empty() {
        return Ok(ClaimValue::Nothing(format!(
            "neither {method} nor {other} reaches a target in `{}`",
            results.suite
        )));
    }
    let won = decided.iter().filter(|won| **won).count();
    Ok(wilson(won as u64, decided.len() as u64, level)?.into())
}

fn lower_loss(
    results: &Results,
    labels: [&str; 2],
    within: &[String],
    level: f64,
) -> stats::Result<ClaimValue> {
    let (mut won, mut lost) = (0, 0);
    for problem in problems(results, within) {
        let [mine, theirs] =
            labels.map(|label| counted::losses_by_seed(results, &problem.label, label));
        for (seed, loss) in mine {
            let Some(&other) = theirs.get(&seed) else {
                continue;
            };
            won += u64::from(loss < other);
            lost += u64::from(loss > other);
        }
    }
    let pairs = won + lost;
    if pairs == 0 {
        return Ok(ClaimValue::Nothing(format!(
            "no pair of runs of {} and {} in `{}` differs",
            labels[0], labels[1], results.suite
        )));
    }
    Ok(ClaimValue::Estimated {
        estimate: wilson(won, pairs, level)?,
        detectable: Some(Detectable {
            pairs,
            probability: detectable_share(pairs, level, POWER)?,
            power: POWER,
        }),
    })
}
