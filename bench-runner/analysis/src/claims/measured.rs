//! What was measured for a claim: from what was observed, or from a suite's results, to a value with its
//! interval.

use std::collections::{BTreeMap, BTreeSet};

use bench_experiment::probe::{Descent, Evidence, Observed, Relation};
use bench_experiment::store::{ProblemInfo, Results};
use bench_stats::{
    self as stats, Alternative, Bootstrap, Estimate, clopper_pearson, detectable_share, exponent,
    linear_rate, mean, sign_test, student_t,
};
use serde::Serialize;

use crate::counted;
use crate::pairs::{Standing, Tally, best_trial, paired};
use crate::quantity::Quantity;
use crate::stability::are_stable;

/// The power that a detectable effect is stated at.
pub(super) const POWER: f64 = 0.8;

/// With as many pairs of runs, all won or all lost, a problem speaks for itself.
const TELLING: u64 = 3;

/// What was measured for a claim.
#[derive(Debug, Clone, PartialEq)]
pub enum ClaimValue {
    /// A count, the same in every run.
    Exact(f64),
    /// An estimate.
    Estimated {
        /// With its interval.
        estimate: Estimate,
        /// What it was compared by, where a difference is looked for.
        comparison: Option<Compared>,
    },
    /// Runs that cannot decide the claim either way, and why: nothing but ties, or problems that say the opposite of
    /// each other.
    Undecided(String),
    /// Nothing, and why.
    Nothing(String),
}

impl From<Estimate> for ClaimValue {
    fn from(estimate: Estimate) -> Self {
        Self::Estimated {
            estimate,
            comparison: None,
        }
    }
}

/// What a comparison of two methods counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compared {
    /// Wins, ties and losses: of problems, or of pairs of runs.
    pub tally: Tally,
    /// The effect that would have been found.
    pub detectable: Detectable,
    /// The two-sided p-value of "either method wins a decided comparison with probability ½", exact.
    pub p_value: f64,
}

/// The smallest effect that so many decided comparisons find, by [`detectable_share`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Detectable {
    /// Comparisons that are decided.
    pub pairs: u64,
    /// The probability of winning one; `None` where not even winning all would show it.
    pub probability: Option<f64>,
    /// The probability of finding it.
    pub power: f64,
}

/// The pairs of problem and optimizer, by label, whose runs decide what the results of a suite say of evidence: on each problem the
/// best trial of every method compared. None where the evidence does not rest on them.
pub fn cells(evidence: &Evidence, results: &Results) -> BTreeSet<(String, String)> {
    let (methods, within): (Vec<&String>, _) = match evidence {
        Evidence::Wins {
            method,
            other,
            within,
            ..
        }
        | Evidence::ProbabilityOfLowerLoss {
            method,
            other,
            within,
            ..
        } => (vec![method, other], within),
        Evidence::AgainstAll {
            method,
            others,
            within,
            ..
        }
        | Evidence::FinalRatio {
            method,
            others,
            within,
            ..
        } => (others.iter().chain([method]).collect(), within),
        _ => return BTreeSet::new(),
    };
    let of_problem = |problem: &ProblemInfo| -> Vec<(String, String)> {
        let trials = methods
            .iter()
            .filter_map(|method| best_trial(results, problem, method));
        trials.map(|trial| (problem.label.clone(), trial)).collect()
    };
    problems(results, within).flat_map(of_problem).collect()
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
            Observed::OfSuite => {
                Self::Nothing("it rests on the results of a suite, which were not given".into())
            }
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
            Evidence::AgainstAll {
                method,
                others,
                relation,
                within,
                ..
            } => against_all(results, (method, others), *relation, within, level),
            Evidence::ProbabilityOfLowerLoss {
                method,
                other,
                within,
                ..
            } => lower_loss(results, [method, other], within, level),
            Evidence::FinalRatio {
                quantity,
                method,
                others,
                within,
                ..
            } => match Quantity::of_column(quantity) {
                Some(quantity) => final_ratio(results, quantity, (method, others), within, level),
                None => Ok(Self::Nothing(format!("no quantity is called `{quantity}`"))),
            },
            _ => Ok(Self::Nothing(
                "it does not rest on the results of a suite".into(),
            )),
        }
    }

    /// The value, for people, or why there is none.
    pub fn value_text(&self) -> String {
        match self {
            Self::Exact(value) if value.fract() == 0.0 => format!("{value}, counted"),
            Self::Exact(value) => format!("{value:.3}, counted"),
            Self::Estimated { estimate, .. } => thousandths(estimate.value),
            Self::Undecided(reason) | Self::Nothing(reason) => reason.clone(),
        }
    }

    /// The interval, for people, with the effect that would have been found.
    pub fn interval_text(&self) -> String {
        let Self::Estimated {
            estimate: Estimate { interval, .. },
            comparison,
        } = self
        else {
            return String::new();
        };
        let power = match comparison {
            None => String::new(),
            Some(Compared {
                tally, detectable, ..
            }) => {
                let Detectable {
                    pairs,
                    probability,
                    power,
                } = detectable;
                let shown = match probability {
                    Some(probability) => format!(
                        "{pairs} decided ones show a true share of {probability:.2} with {:.0} % power",
                        100.0 * power
                    ),
                    None => format!("{pairs} decided ones are too few to show any share"),
                };
                let shared = match tally.shared {
                    0 => String::new(),
                    shared => format!(" ({shared} in the shared first phase)"),
                };
                let Tally {
                    wins, ties, losses, ..
                } = tally;
                format!("; {wins} won, {ties} tied{shared}, {losses} lost; {shown}")
            }
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
    let labelled = |problem: &&ProblemInfo| is_within(&problem.label, within);
    results.problems.iter().filter(labelled)
}

/// Whether a problem's label has one of these parts; every label has where none is named.
pub(super) fn is_within(label: &str, within: &[String]) -> bool {
    let mut parts = label.split('/');
    within.is_empty() || parts.any(|part| within.iter().any(|wanted| wanted == part))
}

/// The share of decided comparisons that are won.
fn compared(tally: Tally, level: f64) -> stats::Result<ClaimValue> {
    let decided = tally.decided();
    let signs: Vec<f64> = (0..decided)
        .map(|index| if index < tally.wins { 1.0 } else { -1.0 })
        .collect();
    Ok(ClaimValue::Estimated {
        estimate: clopper_pearson(tally.wins, decided, level)?,
        comparison: Some(Compared {
            tally,
            detectable: Detectable {
                pairs: decided,
                probability: detectable_share(decided, level, POWER)?,
                power: POWER,
            },
            p_value: sign_test(&signs, Alternative::TwoSided)?.p_value,
        }),
    })
}

fn wins(
    results: &Results,
    [method, other]: [&str; 2],
    within: &[String],
    level: f64,
) -> stats::Result<ClaimValue> {
    let best = |method: &'_ str| {
        let method = method.to_owned();
        move |problem: &ProblemInfo| best_trial(results, problem, &method)
    };
    let pairs = paired(
        results,
        problems(results, within),
        &best(method),
        &best(other),
    );
    let tally = Tally::of(&pairs);
    if pairs.is_empty() {
        return Ok(ClaimValue::Nothing(format!(
            "{method} and {other} have no problem in common in `{}`",
            results.suite
        )));
    }
    if tally.decided() == 0 {
        return Ok(ClaimValue::Undecided(format!(
            "all {} problems are ties, {} of them in the shared first phase",
            tally.ties, tally.shared
        )));
    }
    compared(tally, level)
}

/// The share of problems on which a method stands to all others as wanted.
fn against_all(
    results: &Results,
    (method, others): (&str, &[String]),
    relation: Relation,
    within: &[String],
    level: f64,
) -> stats::Result<ClaimValue> {
    let holds = |standing: Standing| match relation {
        Relation::Ahead => standing == Standing::Win,
        Relation::NotBehind => standing != Standing::Loss,
    };
    let (mut counted, mut holding) = (0, 0);
    for problem in problems(results, within) {
        let own = best_trial(results, problem, method);
        let pairs = others.iter().flat_map(|other| {
            let others = |problem: &ProblemInfo| best_trial(results, problem, other);
            paired(results, [problem], &|_| own.clone(), &others)
        });
        let standings: Vec<Standing> = pairs.map(|pair| pair.standing).collect();
        if standings.len() == others.len() {
            counted += 1;
            holding += u64::from(standings.into_iter().all(holds));
        }
    }
    if counted == 0 {
        return Ok(ClaimValue::Nothing(format!(
            "{method} and {} have no problem in common in `{}`",
            others.join(", "),
            results.suite
        )));
    }
    Ok(clopper_pearson(holding, counted, level)?.into())
}

fn lower_loss(
    results: &Results,
    labels: [&str; 2],
    within: &[String],
    level: f64,
) -> stats::Result<ClaimValue> {
    let mut all = Tally::default();
    let mut by_problem: Vec<(&str, Tally)> = Vec::new();
    for problem in problems(results, within) {
        if !are_stable(results, problem, labels) {
            continue;
        }
        let [mine, theirs] =
            labels.map(|label| counted::losses_by_seed(results, &problem.label, label));
        let mut tally = Tally::default();
        for (seed, loss) in mine {
            let Some(&other) = theirs.get(&seed) else {
                continue;
            };
            tally.wins += u64::from(loss < other);
            tally.losses += u64::from(loss > other);
            tally.ties += u64::from(loss == other);
        }
        all.wins += tally.wins;
        all.losses += tally.losses;
        all.ties += tally.ties;
        by_problem.push((&problem.label, tally));
    }
    if all.decided() == 0 {
        return Ok(ClaimValue::Undecided(format!(
            "no pair of runs of {} and {} in `{}` differs",
            labels[0], labels[1], results.suite
        )));
    }
    let told = |tally: &Tally| tally.decided() >= TELLING;
    let any = |whole: &dyn Fn(&Tally) -> bool| by_problem.iter().any(|(_, t)| told(t) && whole(t));
    if any(&|tally| tally.losses == 0) && any(&|tally| tally.wins == 0) {
        let parts = by_problem
            .iter()
            .map(|(label, tally)| format!("{label} {} of {}", tally.wins, tally.decided()));
        return Ok(ClaimValue::Undecided(format!(
            "it depends on the problem: won on {}",
            parts.collect::<Vec<_>>().join(", ")
        )));
    }
    compared(all, level)
}

/// The mean of log₁₀ of what a method ends at over the least of what others end at, over pairs of problem
/// and seed, with Student's interval.
fn final_ratio(
    results: &Results,
    quantity: Quantity,
    (method, others): (&str, &[String]),
    within: &[String],
    level: f64,
) -> stats::Result<ClaimValue> {
    let mut ratios = Vec::new();
    for problem in problems(results, within) {
        let labels = others.iter().map(String::as_str).chain([method]);
        if !are_stable(results, problem, labels) {
            continue;
        }
        let last = |label: &str| counted::last_by_seed(results, &problem.label, label, quantity);
        let rivals: Vec<BTreeMap<u64, f64>> = others.iter().map(|other| last(other)).collect();
        for (seed, mine) in last(method) {
            let values: Option<Vec<f64>> = rivals
                .iter()
                .map(|rival| rival.get(&seed).copied())
                .collect();
            let least = values.into_iter().flatten().reduce(f64::min);
            ratios.extend(least.map(|least| (mine / least).log10()));
        }
    }
    let names = format!("{method} and {}", others.join(", "));
    if ratios.len() < 2 {
        let reason = format!("fewer than two runs of {names} in `{}`", results.suite);
        return Ok(ClaimValue::Nothing(reason));
    }
    if ratios.iter().any(|ratio| !ratio.is_finite()) {
        let reason = format!("a run of {names} in `{}` diverged or failed", results.suite);
        return Ok(ClaimValue::Nothing(reason));
    }
    Ok(student_t(&ratios, level)?.into())
}
