//! A claim with what was measured and what that says, for people and machines.

use bench_stats as stats;
use serde::Serialize;

use super::claim::{Claim, Source, Verdict};
use super::measured::{ClaimValue, Detectable};

/// A claim with what was measured and what that says, for reports and machines.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    /// The claim's name.
    pub id: String,
    /// In words.
    pub statement: String,
    /// Where it comes from.
    pub source: Source,
    /// The rule of the verdict, in words.
    pub rule: String,
    /// The value for people, or why there is none.
    pub measured: String,
    /// The interval for people; empty for a count.
    pub within: String,
    /// The value.
    pub value: Option<f64>,
    /// The interval.
    pub interval: Option<[f64; 2]>,
    /// The interval's confidence level.
    pub level: Option<f64>,
    /// The effect that would have been found.
    pub detectable: Option<Detectable>,
    /// Whether the claim was stated before its runs were made.
    pub confirmatory: bool,
    /// The p-value of a confirmatory claim, corrected for all confirmatory claims (Holm).
    pub p_value: Option<f64>,
    /// What it says.
    pub verdict: Verdict,
    /// What the record says.
    pub recorded: Verdict,
    /// What differs from the record.
    pub moved: Option<String>,
}

impl Judgement {
    fn new(claim: &Claim, measured: &ClaimValue, p_value: Option<f64>) -> Self {
        let (value, interval, detectable) = match measured {
            ClaimValue::Exact(value) => (Some(*value), None, None),
            ClaimValue::Estimated {
                estimate,
                comparison,
            } => (
                Some(estimate.value),
                Some(estimate.interval),
                comparison.map(|compared| compared.detectable),
            ),
            ClaimValue::Undecided(_) | ClaimValue::Nothing(_) => (None, None, None),
        };
        let verdict = claim.judge(measured, p_value);
        Self {
            id: claim.id.clone(),
            statement: claim.statement.clone(),
            source: claim.source,
            rule: claim.rule.clone(),
            measured: measured.value_text(),
            within: measured.interval_text(),
            value,
            interval: interval.map(|interval| [interval.low, interval.high]),
            level: interval.map(|interval| interval.level),
            detectable,
            confirmatory: claim.confirmatory,
            p_value,
            verdict,
            recorded: claim.expected,
            moved: claim.moved(measured, verdict),
        }
    }
}

/// Judges claims together: the p-values of the confirmatory ones are corrected by Holm's step-down method, for
/// `confirmatory` claims in all. Those that are not measured this time count as undecided, which can make a verdict
/// more careful, and never less.
///
/// # Errors
/// When a p-value is no probability.
pub fn judge_together(
    measured: &[(&Claim, ClaimValue)],
    confirmatory: usize,
) -> stats::Result<Vec<Judgement>> {
    let raw = |(claim, value): &(&Claim, ClaimValue)| match value {
        ClaimValue::Estimated {
            comparison: Some(compared),
            ..
        } if claim.confirmatory => Some(compared.p_value),
        _ => None,
    };
    let mut known: Vec<f64> = measured.iter().filter_map(raw).collect();
    known.resize(confirmatory.max(known.len()), 1.0);
    let mut corrected = stats::holm(&known)?.into_iter();
    Ok(measured
        .iter()
        .map(|pair| {
            let p_value = raw(pair).and_then(|_| corrected.next());
            Judgement::new(pair.0, &pair.1, p_value)
        })
        .collect())
}
