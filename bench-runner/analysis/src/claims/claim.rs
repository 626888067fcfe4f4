//! A claim, and the verdict on what was measured for it.

use std::fmt;

use bench_experiment::probe::Evidence;
use bench_stats::{self as stats, Interval};
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
            Self::Inconclusive => "inconclusive",
            Self::NotTestable => "not testable",
        })
    }
}

impl Claim {
    /// The verdict on what was measured.
    pub fn judge(&self, measured: &ClaimValue) -> Verdict {
        let interval = match measured {
            ClaimValue::Nothing(_) => return Verdict::NotTestable,
            ClaimValue::Estimated { estimate, .. } => estimate.interval,
            ClaimValue::Exact(value) => Interval {
                low: *value,
                high: *value,
                level: 1.0,
            },
        };
        let [low, high] = self.band.unwrap_or([f64::NAN, f64::NAN]);
        match stats::judge(&interval, low..=high) {
            stats::BandVerdict::Reproduced => Verdict::Reproduced,
            stats::BandVerdict::NotReproduced => Verdict::NotReproduced,
            stats::BandVerdict::Inconclusive => Verdict::Inconclusive,
        }
    }

    /// What differs from the record: the verdict, or a count.
    pub fn moved(&self, measured: &ClaimValue) -> Option<String> {
        let verdict = self.judge(measured);
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
