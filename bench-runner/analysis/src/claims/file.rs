//! The file of claims, read and checked.

use std::path::Path;

use bench_data::sha256;
use bench_experiment::probe::Evidence;
use bench_experiment::spec::{ProblemEntry, Suite};
use bench_experiment::store::Results;
use bench_stats as stats;
use serde::Deserialize;

use super::claim::{Claim, ERROR};
use super::judgement::{Judgement, judge_together};
use super::measured::{ClaimValue, POWER, is_within};
use crate::error::{Error, Result};
use crate::quantity::Quantity;

/// The true share of problems won that a confirmatory claim must be able to show.
const SHARE: f64 = 0.75;

/// The claims of `reports/claims.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// In the order of the file.
    #[serde(rename = "claim")]
    pub claims: Vec<Claim>,
    /// SHA-256 of the file's text.
    #[serde(skip)]
    pub sha256: String,
}

impl Claims {
    /// The built-in claims.
    ///
    /// # Errors
    /// When the file is not valid.
    pub fn built_in() -> Result<Self> {
        Self::parse(
            include_str!("../../../../reports/claims.toml"),
            Path::new("reports/claims.toml"),
        )
    }

    /// Reads and checks a file of claims.
    ///
    /// # Errors
    /// When it cannot be read, or as [`parse`](Self::parse).
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).map_err(|source| Error::Read {
            path: file.into(),
            source,
        })?;
        Self::parse(&text, file)
    }

    /// Reads and checks the text of a file of claims.
    ///
    /// # Errors
    /// With the file, the place and the key, or the claim that is not whole.
    pub fn parse(text: &str, file: &Path) -> Result<Self> {
        let mut claims: Self = toml::from_str(text).map_err(|source| Error::Syntax {
            path: file.into(),
            source: Box::new(source),
        })?;
        claims.sha256 = sha256(text.as_bytes());
        for (index, claim) in claims.claims.iter().enumerate() {
            let id = &claim.id;
            let wrong = |what: &dyn ToString| {
                Err(Error::Claim {
                    path: file.into(),
                    id: id.clone(),
                    reason: what.to_string(),
                })
            };
            if claims.claims[..index].iter().any(|other| other.id == *id) {
                return wrong(&"its id is used twice");
            }
            let testable = !matches!(claim.evidence, Evidence::Untestable { .. });
            match claim.band {
                Some([low, high]) if !(low <= high) => return wrong(&"`band` must ascend"),
                Some(_) if !testable => return wrong(&"what cannot be tested has no `band`"),
                None if testable => return wrong(&"`band` is missing"),
                _ => {}
            }
            if let Err(invalid) = claim.evidence.check() {
                return wrong(&invalid);
            }
            if let Evidence::FinalRatio { quantity, .. } = &claim.evidence
                && Quantity::of_column(quantity).is_none()
            {
                let known = Quantity::ALL.map(Quantity::column).join(", ");
                return wrong(&format!("`quantity` = \"{quantity}\": known are {known}"));
            }
            match claims.undecidable(claim) {
                Ok(None) => {}
                Ok(Some(reason)) => return wrong(&reason),
                Err(error) => return wrong(&error),
            }
            if let Err(unknown) = claim.evidence.check_methods() {
                return wrong(&unknown);
            }
        }
        Ok(claims)
    }

    /// The claims with these ids; all for none.
    ///
    /// # Errors
    /// [`Error::UnknownClaim`] for an id that is not there.
    pub fn select(&self, ids: &[String]) -> Result<Vec<&Claim>> {
        if ids.is_empty() {
            return Ok(self.claims.iter().collect());
        }
        ids.iter()
            .map(|id| {
                let found = self.claims.iter().find(|claim| claim.id == *id);
                found.ok_or_else(|| Error::UnknownClaim {
                    name: id.clone(),
                    known: self.claims.iter().map(|claim| claim.id.clone()).collect(),
                })
            })
            .collect()
    }

    /// How many claims are confirmatory.
    pub fn confirmatory(&self) -> usize {
        self.claims.iter().filter(|c| c.confirmatory).count()
    }

    /// The confidence level of a claim's interval: 95 % for an exploratory claim, each by itself; for k confirmatory
    /// ones 1 − 0.05/k, so that all of their intervals hold at once with 95 % probability (Bonferroni).
    pub fn level(&self, claim: &Claim) -> f64 {
        let family = if claim.confirmatory {
            self.confirmatory()
        } else {
            1
        };
        1.0 - ERROR / family as f64
    }

    /// Why no outcome of its runs can decide a claim, or, if it is confirmatory, why its runs are too few; `None`
    /// where they are not.
    fn undecidable(&self, claim: &Claim) -> std::result::Result<Option<String>, SuiteError> {
        let (suite, within, pairs) = match &claim.evidence {
            Evidence::Wins { suite, within, .. } => (suite, within, false),
            Evidence::ProbabilityOfLowerLoss { suite, within, .. } => (suite, within, true),
            // Their intervals hold at once for all confirmatory claims, and any number of pairs can decide them.
            Evidence::AgainstAll { .. } | Evidence::FinalRatio { .. } => return Ok(None),
            _ if claim.confirmatory => {
                return Ok(Some(
                    "only evidence of kind `wins`, `against-all`, `probability-of-lower-loss` or `final-ratio` can be \
                     confirmatory"
                        .into(),
                ));
            }
            _ => return Ok(None),
        };
        let experiment = Suite::find(suite)?.experiment()?;
        let own = |problem: &&ProblemEntry| is_within(&problem.label, within);
        let problems = experiment.problems.iter().filter(own).count();
        let count = match pairs {
            true => problems * experiment.seeds.len(),
            false => problems,
        } as u64;
        let level = self.level(claim);
        let (compared, unit) = match pairs {
            true => (count, "pairs of runs"),
            false => (count, "problems"),
        };
        let needed = |share| stats::trials_for_share(share, level, POWER);
        let decides = count > 0 && stats::detectable_share(count, level, POWER)?.is_some();
        let enough = needed(SHARE)?;
        Ok(if !decides {
            Some(format!(
                "no outcome of {compared} {unit} of `{suite}` can decide it at {:.2} % confidence; a true share of \
                 {SHARE} takes {enough} for {:.0} % power",
                100.0 * level,
                100.0 * POWER
            ))
        } else if claim.confirmatory && count < enough {
            Some(format!(
                "it is confirmatory and `{suite}` has {compared} {unit}; to show a true share of {SHARE} with {:.0} % \
                 power takes {enough}",
                100.0 * POWER
            ))
        } else {
            None
        })
    }

    /// The verdicts on the claims that rest on these results' suite.
    ///
    /// # Errors
    /// When a statistic fails for another reason than too few results, which makes its claim untestable.
    pub fn judged_by(&self, results: &Results) -> Result<Vec<Judgement>> {
        let own = |claim: &&Claim| claim.evidence.suite() == Some(&results.suite);
        let mut measured = Vec::new();
        for claim in self.claims.iter().filter(own) {
            let level = self.level(claim);
            let value = match ClaimValue::of_results(&claim.evidence, results, level) {
                Err(error @ stats::Error::TooFew { .. }) => ClaimValue::Nothing(error.to_string()),
                other => other?,
            };
            measured.push((claim, value));
        }
        Ok(judge_together(&measured, self.confirmatory())?)
    }
}

/// Why the runs of a claim cannot be counted.
#[derive(Debug, thiserror::Error)]
enum SuiteError {
    #[error(transparent)]
    Suite(#[from] bench_experiment::Error),
    #[error(transparent)]
    Statistics(#[from] stats::Error),
}
