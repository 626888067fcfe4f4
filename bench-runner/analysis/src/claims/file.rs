//! The file of claims, read and checked.

use std::path::Path;

use bench_experiment::probe::Evidence;
use bench_experiment::store::Results;
use bench_stats as stats;
use serde::Deserialize;

use super::claim::Claim;
use super::judgement::Judgement;
use super::measured::ClaimValue;
use crate::error::{Error, Result};

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
        let claims: Self = toml::from_str(text).map_err(|source| Error::Syntax {
            path: file.into(),
            source: Box::new(source),
        })?;
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
            let measured = match ClaimValue::of_results(&claim.evidence, results, self.level()) {
                Err(error @ stats::Error::TooFew { .. }) => ClaimValue::Nothing(error.to_string()),
                other => other?,
            };
            judgements.push(Judgement::new(claim, &measured));
        }
        Ok(judgements)
    }
}
