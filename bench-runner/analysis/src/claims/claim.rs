//! A claim, and the verdict on what was measured for it.

use std::fmt;

use bench_experiment::probe::Evidence;
use bench_stats::{self as stats, BandVerdict, Interval};
use serde::{Deserialize, Serialize};

use super::measured::ClaimValue;

/// A statement, and how it is checked.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Its name on the command line.
    pub id: String,
    /// In words.
    pub statement: String,
    /// Where it comes from.
    pub source: Source,
    /// The rule of the verdict, in words.
    pub rule: String,
    /// What is measured.
    pub evidence: Evidence,
    /// The values that agree with the claim, ends included.
    pub band: Option<[f64; 2]>,
    /// The recorded verdict, which `--check` compares with.
    pub expected: Verdict,
    /// The recorded value of a count, which must be met exactly.
    pub exactly: Option<f64>,
    /// Whether the claim, with its problems, seeds and rule, was stated before its runs were made. Confirmatory
    /// claims are judged together (Holm); all others explore.
    #[serde(default)]
    pub confirmatory: bool,
}

/// Whose claim it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The paper's abstract or a quotation from it.
    Paper,
    /// Read in, or run from, the authors' code.
    Code,
    /// A standard result.
    Theory,
    /// Another paper.
    Literature,
    /// This suite's own.
    Ours,
}

/// What the evidence says of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The whole interval agrees with it.
    Reproduced,
    /// The whole interval contradicts it.
    NotReproduced,
    /// What was measured agrees with a bound or a rate, which no finite number of runs proves.
    ConsistentWith,
    /// The interval holds values of both kinds.
    Inconclusive,
    /// Nothing here can decide it.
    NotTestable,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reproduced => "reproduced",
            Self::NotReproduced => "not reproduced",
            Self::ConsistentWith => "consistent with",
            Self::Inconclusive => "inconclusive",
            Self::NotTestable => "not testable",
        })
    }
}

/// The error, at most, of all confirmatory verdicts together, and of each exploratory one.
pub(super) const ERROR: f64 = 0.05;

impl Claim {
    /// The verdict on what was measured. `p_value` is that of a confirmatory claim, corrected for all confirmatory
    /// claims.
    pub fn judge(&self, measured: &ClaimValue, p_value: Option<f64>) -> Verdict {
        let interval = match measured {
            ClaimValue::Nothing(_) => return Verdict::NotTestable,
            ClaimValue::Undecided(_) => return Verdict::Inconclusive,
            ClaimValue::Estimated { estimate, .. } => estimate.interval,
            ClaimValue::Exact(value) => Interval {
                low: *value,
                high: *value,
                level: 1.0,
            },
        };
        if p_value.is_some_and(|p_value| p_value > ERROR) {
            return Verdict::Inconclusive;
        }
        let [low, high] = self.band.unwrap_or([f64::NAN, f64::NAN]);
        match stats::judge(&interval, low..=high) {
            BandVerdict::Reproduced if self.evidence.is_bound() => Verdict::ConsistentWith,
            BandVerdict::Reproduced => Verdict::Reproduced,
            BandVerdict::NotReproduced => Verdict::NotReproduced,
            BandVerdict::Inconclusive => Verdict::Inconclusive,
        }
    }

    /// How a verdict, or a count, differs from the record.
    pub(super) fn moved(&self, measured: &ClaimValue, verdict: Verdict) -> Option<String> {
        match (measured, self.exactly) {
            (ClaimValue::Exact(value), Some(recorded)) if *value != recorded => {
                Some(format!("{}: counted {value}, recorded {recorded}", self.id))
            }
            _ if verdict != self.expected => Some(format!(
                "{}: {verdict} ({}), recorded as {}",
                self.id,
                measured.text(),
                self.expected
            )),
            _ => None,
        }
    }
}
