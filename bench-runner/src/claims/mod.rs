//! Claims, what the evidence for each must be, and whether it is: `reports/claims.toml`, read, measured and
//! judged.

mod measure;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::spec::OptimizerConfig;
use crate::stats::{self, Estimate, Interval};
use crate::{Error, Result};

pub use measure::Measurer;

/// The claims of `reports/claims.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// In the order of the file.
    #[serde(rename = "claim")]
    pub claims: Vec<Claim>,
}

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

/// What is measured.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Evidence {
    /// The exponent of d in the elements that a step reads and writes, over six dimensions: counted.
    ElementsPerStep {
        /// Whose step.
        optimizer: OptimizerConfig,
    },
    /// The vectors that a step reads and writes more for each further pair in a full memory: counted.
    PassesPerPair {},
    /// The vectors held more for each further pair in a full memory: counted.
    VectorsPerPair {},
    /// The vectors of state held: counted.
    VectorsHeld {
        /// By which optimizer.
        optimizer: OptimizerConfig,
    },
    /// Parameters, over 60 steps, whose bits differ from those of Adam (θ = 1) or L-BFGS (θ = 0): counted.
    DifferingBits {
        /// 0 or 1.
        theta: u8,
    },
    /// The smallest R², over condition numbers, of the line of ln(f − f*) against evaluations of full-batch
    /// L-BFGS on quadratics; runs are random starts.
    LogLinearity {
        /// Condition numbers.
        conditions: Vec<f64>,
        /// Gradient noise: 0 but in a check of the check.
        #[serde(default)]
        noise: f64,
    },
    /// The exponent of 1/ε in the evaluations until f − f* ≤ ε on a quadratic (10 variables, κ = 10), over six
    /// ε in geometric progression.
    EvaluationsExponent {
        /// Whose evaluations.
        optimizer: OptimizerConfig,
        /// The learning rate as a multiple of ε; the optimizer's own without it.
        rate_per_target: Option<f64>,
        /// Gradient noise.
        noise: f64,
        /// The largest ε; each next one is half as large.
        first_target: f64,
        /// Evaluations that do not count: those before the switch.
        #[serde(default)]
        after_switch: bool,
    },
    /// Evaluations per batch of an optimizer on the digits with the paper's MLP, from the tenth batch on.
    EvaluationsPerBatch {
        /// The built-in suite whose optimizer it is.
        suite: String,
        /// Its label.
        optimizer: String,
    },
    /// The share of a suite's problems, solved by either, on which the best trial of one method reaches the
    /// target in fewer evaluations than the best trial of another, medians over seeds.
    Wins {
        /// The built-in suite.
        suite: String,
        /// The method that is claimed to win: its label without what a grid of settings added.
        method: String,
        /// The method that it is compared with.
        other: String,
    },
    /// The probability that a run of one method ends at a lower loss than one of another, a tie counting half,
    /// mean over a suite's problems.
    ProbabilityOfLowerLoss {
        /// The built-in suite.
        suite: String,
        /// The method's label.
        method: String,
        /// The other's label.
        other: String,
    },
    /// Nothing, and why.
    Untestable {
        /// Why.
        reason: String,
    },
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

/// What was measured for a claim.
#[derive(Debug, Clone, PartialEq)]
pub enum Measured {
    /// A count, the same in every run.
    Exact(f64),
    /// An estimate with its interval.
    Estimated(Estimate),
    /// Nothing, and why.
    Nothing(String),
}

impl Measured {
    /// The value and its interval, for people.
    pub fn text(&self) -> String {
        match self {
            Self::Exact(value) => format!("{value}, counted"),
            Self::Estimated(estimate) => format!(
                "{:.3} [{:.3}, {:.3}]",
                estimate.value, estimate.interval.low, estimate.interval.high
            ),
            Self::Nothing(reason) => reason.clone(),
        }
    }
}

impl Claim {
    /// The verdict on what was measured.
    pub fn judge(&self, measured: &Measured) -> Verdict {
        let interval = match measured {
            Measured::Nothing(_) => return Verdict::NotTestable,
            Measured::Estimated(estimate) => estimate.interval,
            Measured::Exact(value) => Interval {
                low: *value,
                high: *value,
                level: 1.0,
            },
        };
        let [low, high] = self.band.unwrap_or([f64::NAN, f64::NAN]);
        match stats::judge(&interval, low..=high) {
            stats::Verdict::Reproduced => Verdict::Reproduced,
            stats::Verdict::NotReproduced => Verdict::NotReproduced,
            stats::Verdict::Inconclusive => Verdict::Inconclusive,
        }
    }

    /// What differs from the record: the verdict, or a count.
    pub fn moved(&self, measured: &Measured) -> Option<String> {
        let verdict = self.judge(measured);
        match (measured, self.exactly) {
            (Measured::Exact(value), Some(recorded)) if *value != recorded => {
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

impl Claims {
    /// The built-in claims.
    ///
    /// # Errors
    /// When the file is not valid.
    pub fn built_in() -> Result<Self> {
        Self::parse(
            include_str!("../../../reports/claims.toml"),
            Path::new("reports/claims.toml"),
        )
    }

    /// Reads and checks the text of a file of claims.
    ///
    /// # Errors
    /// With the file, the place and the key, or the claim that is not whole.
    pub fn parse(text: &str, file: &Path) -> Result<Self> {
        let failed = |reason: String| Error::Input {
            path: PathBuf::from(file),
            reason,
        };
        let claims: Self = toml::from_str(text).map_err(|error| failed(error.to_string()))?;
        for (index, claim) in claims.claims.iter().enumerate() {
            let id = &claim.id;
            let wrong = |what: &str| Err(failed(format!("claim `{id}`: {what}")));
            if claims.claims[..index].iter().any(|other| other.id == *id) {
                return wrong("its id is used twice");
            }
            let testable = !matches!(claim.evidence, Evidence::Untestable { .. });
            match claim.band {
                Some([low, high]) if !(low <= high) => return wrong("`band` must ascend"),
                Some(_) if !testable => return wrong("what cannot be tested has no `band`"),
                None if testable => return wrong("`band` is missing"),
                _ => {}
            }
            if let Evidence::DifferingBits { theta: 2.. } = claim.evidence {
                return wrong("`theta` must be 0 or 1");
            }
        }
        Ok(claims)
    }

    /// The claims with these ids; all for none.
    ///
    /// # Errors
    /// [`Error::UnknownName`] for an id that is not there.
    pub fn select(&self, ids: &[String]) -> Result<Vec<&Claim>> {
        if ids.is_empty() {
            return Ok(self.claims.iter().collect());
        }
        ids.iter()
            .map(|id| {
                let found = self.claims.iter().find(|claim| claim.id == *id);
                found.ok_or_else(|| Error::UnknownName {
                    what: "claim",
                    name: id.clone(),
                    known: self.claims.iter().map(|claim| claim.id.clone()).collect(),
                })
            })
            .collect()
    }
}
