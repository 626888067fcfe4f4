//! A claim with what was measured and what that says, for people and machines.

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
    /// What it says.
    pub verdict: Verdict,
    /// What the record says.
    pub recorded: Verdict,
    /// What differs from the record.
    pub moved: Option<String>,
}

impl Judgement {
    /// Judges a claim.
    pub fn new(claim: &Claim, measured: &ClaimValue) -> Self {
        let (value, interval, detectable) = match measured {
            ClaimValue::Exact(value) => (Some(*value), None, None),
            ClaimValue::Estimated {
                estimate,
                detectable,
            } => (Some(estimate.value), Some(estimate.interval), *detectable),
            ClaimValue::Nothing(_) => (None, None, None),
        };
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
            verdict: claim.judge(measured),
            recorded: claim.expected,
            moved: claim.moved(measured),
        }
    }
}
