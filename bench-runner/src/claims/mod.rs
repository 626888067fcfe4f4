//! Claims, what the evidence for each must be, and whether it is: `reports/claims.toml`, read, measured and
//! judged.

mod descents;
mod judgement;
mod measure;
mod replay;
mod steps;
mod suites;

use std::fmt;
use std::path::Path;

use optim::Criterion;
use serde::{Deserialize, Serialize};

use crate::problem::FunctionConfig;
use crate::spec::OptimizerConfig;
use crate::stats::{self, Interval};
use crate::store::Results;
use crate::{Error, Result};

pub use judgement::{Detectable, Judgement, Measured};
pub use measure::{Build, Measurer};
pub use replay::{Recorded, Replayed};

/// The probability, at most, that chance alone decides any of the claims that rest on estimates.
const FAMILY_ERROR: f64 = 0.05;

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
    /// The evaluations of a step: counted.
    EvaluationsPerStep {
        /// Whose step.
        optimizer: OptimizerConfig,
    },
    /// Steps of L-BFGS with a fixed step length that are not −Hg, H being the matrix that the BFGS formula makes
    /// of the last 5 pairs (to one part in a million; quadratics without noise, 10 starts): counted.
    StepsOffTheFormula {},
    /// Steps of FUSE-PV with the phase that its criterion's definition does not give, judged by the losses and
    /// gradient norms of the steps before (noisy quadratics, 10 seeds): counted.
    MisjudgedSteps {
        /// The criteria, each by itself: `epoch`, `step`, `grad-norm`, `loss-level`, `loss-decrease`.
        criteria: Vec<Criterion>,
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
    /// The exponent of 1/ε in the evaluations until f − f* ≤ ε on a quadratic (10 variables), over six ε in
    /// geometric progression.
    EvaluationsExponent {
        /// Whose evaluations.
        optimizer: OptimizerConfig,
        /// The learning rate as a multiple of ε; the optimizer's own without it.
        rate_per_target: Option<f64>,
        /// Gradient noise.
        noise: f64,
        /// The condition number.
        #[serde(default = "ten")]
        condition: f64,
        /// The largest ε; each next one is half as large.
        first_target: f64,
        /// Evaluations that do not count: those before the switch.
        #[serde(default)]
        after_switch: bool,
    },
    /// The exponent of 1/ε in the evaluations until ‖∇f‖ ≤ ε, the gradient without noise, on a function, over
    /// six ε in geometric progression.
    GradientExponent {
        /// Whose evaluations.
        optimizer: OptimizerConfig,
        /// The function, with its gradient noise.
        function: FunctionConfig,
        /// The learning rate as a multiple of ε².
        rate_per_square: f64,
        /// The largest ε; each next one is half as large.
        first_target: f64,
    },
    /// The exponent of κ in the evaluations until f − f* ≤ ε on quadratics without noise.
    ConditionExponent {
        /// Whose evaluations.
        optimizer: OptimizerConfig,
        /// Variables.
        dimension: usize,
        /// The condition numbers κ: six or more, in geometric progression.
        conditions: Vec<f64>,
        /// ε.
        target: f64,
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
        /// Parts of problems' labels, `noise=0.0` for example: only problems with one of them count; all do
        /// where none is given.
        #[serde(default)]
        within: Vec<String>,
    },
    /// The probability that a run of one method ends at a lower loss than the run of another with the same
    /// problem and seed: the share of such pairs, those that differ.
    ProbabilityOfLowerLoss {
        /// The built-in suite.
        suite: String,
        /// The method's label.
        method: String,
        /// The other's label.
        other: String,
        /// As for [`Wins`](Self::Wins).
        #[serde(default)]
        within: Vec<String>,
    },
    /// Nothing, and why.
    Untestable {
        /// Why.
        reason: String,
    },
}

fn ten() -> f64 {
    10.0
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

impl Evidence {
    /// Whether it is an estimate, with an interval, rather than a count.
    pub fn is_estimate(&self) -> bool {
        matches!(
            self,
            Self::LogLinearity { .. }
                | Self::EvaluationsExponent { .. }
                | Self::GradientExponent { .. }
                | Self::ConditionExponent { .. }
                | Self::EvaluationsPerBatch { .. }
        ) || self.suite().is_some()
    }

    /// The built-in suite whose results it rests on.
    pub fn suite(&self) -> Option<&str> {
        match self {
            Self::Wins { suite, .. } | Self::ProbabilityOfLowerLoss { suite, .. } => Some(suite),
            _ => None,
        }
    }
}

impl Claim {
    /// The verdict on what was measured.
    pub fn judge(&self, measured: &Measured) -> Verdict {
        let interval = match measured {
            Measured::Nothing(_) => return Verdict::NotTestable,
            Measured::Estimated { estimate, .. } => estimate.interval,
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

    /// Reads and checks a file of claims.
    ///
    /// # Errors
    /// When it cannot be read, or as [`parse`](Self::parse).
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).map_err(|error| Error::Input {
            path: file.into(),
            reason: error.to_string(),
        })?;
        Self::parse(&text, file)
    }

    /// Reads and checks the text of a file of claims.
    ///
    /// # Errors
    /// With the file, the place and the key, or the claim that is not whole.
    pub fn parse(text: &str, file: &Path) -> Result<Self> {
        let failed = |reason: String| Error::Problem {
            message: format!("{}: {reason}", file.display()),
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
            match &claim.evidence {
                Evidence::DifferingBits { theta: 2.. } => return wrong("`theta` must be 0 or 1"),
                Evidence::GradientExponent { function, .. } => {
                    if let Err(message) = function.resolve() {
                        return wrong(&format!("`function`: {message}"));
                    }
                }
                Evidence::ConditionExponent { conditions, .. } if conditions.len() < 6 => {
                    return wrong("`conditions` must be six or more");
                }
                Evidence::MisjudgedSteps { criteria }
                    if criteria.is_empty() || !criteria.iter().all(steps::is_defined) =>
                {
                    return wrong(
                        "`criteria` must be one or more of `epoch`, `step`, `grad-norm`, `loss-level` and `loss-decrease`",
                    );
                }
                _ => {}
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

    /// The confidence level of each interval at which all of them hold at once with 95 % probability, however
    /// they depend on each other: 1 − 0.05/k for k claims that rest on estimates (Bonferroni). Claims that are
    /// not measured this time count, so that no verdict depends on which others are asked for.
    pub fn level(&self) -> f64 {
        let estimates = self.claims.iter().filter(|c| c.evidence.is_estimate());
        1.0 - FAMILY_ERROR / estimates.count().max(1) as f64
    }

    /// The verdicts on the claims that rest on these results' suite.
    ///
    /// # Errors
    /// When a statistic fails for another reason than too few results, which makes its claim untestable.
    pub fn judged_by(&self, results: &Results) -> Result<Vec<Judgement>> {
        let own = |claim: &&Claim| claim.evidence.suite() == Some(&results.suite);
        let mut judgements = Vec::new();
        for claim in self.claims.iter().filter(own) {
            let measured = match suites::measured(&claim.evidence, results, self.level()) {
                Err(Error::Stats(error @ stats::Error::TooFew { .. })) => {
                    Measured::Nothing(error.to_string())
                }
                other => other?,
            };
            judgements.push(Judgement::new(claim, &measured));
        }
        Ok(judgements)
    }
}

/// The text of a file of claims with these verdicts, and the counts that it records, in place of its own;
/// all else, comments too, stays.
///
/// # Errors
/// When the text is not TOML.
pub fn updated(text: &str, judgements: &[Judgement]) -> Result<String, toml_edit::TomlError> {
    let mut document: toml_edit::DocumentMut = text.parse()?;
    let tables = document.get_mut("claim");
    let tables = tables.and_then(|item| item.as_array_of_tables_mut());
    for table in tables.into_iter().flat_map(|tables| tables.iter_mut()) {
        let id = table.get("id").and_then(|id| id.as_str());
        let Some(judged) = judgements.iter().find(|judged| Some(&*judged.id) == id) else {
            continue;
        };
        let verdict = judged.verdict.to_string().replace(' ', "-");
        let counted = judged.value.filter(|_| judged.interval.is_none());
        let new = [
            ("expected", Some(toml_edit::Value::from(verdict))),
            ("exactly", counted.map(toml_edit::Value::from)),
        ];
        for (key, value) in new {
            if let (Some(value), Some(old)) = (value, table.get_mut(key))
                && let Some(old) = old.as_value_mut()
            {
                let decor = old.decor().clone();
                *old = value;
                *old.decor_mut() = decor;
            }
        }
    }
    Ok(document.to_string())
}
