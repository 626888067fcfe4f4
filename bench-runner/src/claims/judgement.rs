//! What was measured for a claim, and what that says, for people and machines.

use serde::Serialize;

use super::{Claim, Source, Verdict};
use crate::stats::Estimate;

/// What was measured for a claim.
#[derive(Debug, Clone, PartialEq)]
pub enum Measured {
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

impl From<Estimate> for Measured {
    fn from(estimate: Estimate) -> Self {
        Self::Estimated {
            estimate,
            detectable: None,
        }
    }
}

/// The smallest effect that a comparison of so many pairs finds, by
/// [`detectable_share`](crate::stats::detectable_share).
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

impl Measured {
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
    pub fn new(claim: &Claim, measured: &Measured) -> Self {
        let (value, interval, detectable) = match measured {
            Measured::Exact(value) => (Some(*value), None, None),
            Measured::Estimated {
                estimate,
                detectable,
            } => (Some(estimate.value), Some(estimate.interval), *detectable),
            Measured::Nothing(_) => (None, None, None),
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
