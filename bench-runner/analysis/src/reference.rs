//! Recomputed results against committed ones, column by column, with the tolerances of the catalogue.

use std::collections::BTreeMap;

use bench_experiment::run::RunRecord;
use bench_experiment::store::Results;
use bench_stats::median;
use serde::Deserialize;

use crate::counted;
use crate::quantity::Quantity;

/// How far a column may be off. Medians over seeds at the end of the runs are compared.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "Stated")]
pub enum Tolerance {
    /// The larger may be `factor` times the smaller; values below `floor` count as `floor`.
    Factor {
        /// The factor, at least 1.
        factor: f64,
        /// Below this, differences do not matter.
        floor: f64,
    },
    /// The difference may be this.
    Absolute {
        /// The difference, at least 0.
        absolute: f64,
    },
}

/// A tolerance as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stated {
    factor: Option<f64>,
    floor: Option<f64>,
    absolute: Option<f64>,
}

/// A tolerance that is none.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NoTolerance {
    /// A number is out of range.
    #[error("`{key}` = {value}: a number of at least {least} is needed")]
    Range {
        /// The key.
        key: &'static str,
        /// Its value.
        value: f64,
        /// The smallest value.
        least: f64,
    },
    /// It is not one of the two forms.
    #[error("either `factor` (and `floor`) or `absolute` is needed")]
    Form,
}

impl TryFrom<Stated> for Tolerance {
    type Error = NoTolerance;

    fn try_from(stated: Stated) -> Result<Self, NoTolerance> {
        let range = |key, value, least| Err(NoTolerance::Range { key, value, least });
        match (stated.factor, stated.floor, stated.absolute) {
            (Some(factor), floor, None) if factor >= 1.0 && factor.is_finite() => {
                let floor = floor.unwrap_or(0.0);
                if !(floor >= 0.0 && floor.is_finite()) {
                    return range("floor", floor, 0.0);
                }
                Ok(Self::Factor { factor, floor })
            }
            (Some(factor), _, None) => range("factor", factor, 1.0),
            (None, None, Some(absolute)) if absolute >= 0.0 && absolute.is_finite() => {
                Ok(Self::Absolute { absolute })
            }
            (None, None, Some(absolute)) => range("absolute", absolute, 0.0),
            _ => Err(NoTolerance::Form),
        }
    }
}

impl Tolerance {
    fn holds(self, a: f64, b: f64) -> bool {
        if a == b || (a.is_nan() && b.is_nan()) {
            return true;
        }
        match self {
            Self::Factor { factor, floor } => {
                let (a, b) = (a.max(floor), b.max(floor));
                a <= factor * b && b <= factor * a
            }
            Self::Absolute { absolute } => (a - b).abs() <= absolute,
        }
    }
}

/// The tolerances per column of `results.parquet`; a column without one is not compared.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Tolerances(BTreeMap<Quantity, Tolerance>);

/// Optimizers whose losses on a problem differ more from seed to seed than any tolerance allows: another
/// order of sums gives other losses too. Their steps, epochs and evaluations are still compared.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unstable {
    /// The problem.
    pub problem: String,
    /// The optimizers.
    pub optimizers: Vec<String>,
}

impl Unstable {
    fn has(&self, problem: &str, optimizer: &str) -> bool {
        self.problem == problem && self.optimizers.iter().any(|label| label == optimizer)
    }
}

impl Tolerances {
    /// The columns of one run made again whose last values are outside their tolerances: column, recorded, now.
    pub fn outside(&self, recorded: &RunRecord, again: &RunRecord) -> Vec<Outside> {
        let mut outside = Vec::new();
        for (&quantity, tolerance) in &self.0 {
            let [before, after] = [recorded, again].map(|run| counted::last(run, quantity));
            let holds = match (before, after) {
                (Some(before), Some(after)) => tolerance.holds(before, after),
                (before, after) => before == after,
            };
            if !holds {
                outside.push(Outside {
                    quantity,
                    before,
                    after,
                });
            }
        }
        outside
    }

    /// Compares recomputed results with committed ones.
    pub fn compare(
        &self,
        committed: &Results,
        recomputed: &Results,
        unstable: &[Unstable],
    ) -> Comparison {
        let mut comparison = Comparison::default();
        let other: BTreeMap<_, &RunRecord> = recomputed
            .records
            .iter()
            .map(|run| (&run.cell, run))
            .collect();
        for run in &committed.records {
            match other.get(&run.cell) {
                Some(again) if again.without_times() == run.without_times() => {
                    comparison.identical += 1;
                }
                Some(_) => comparison.different += 1,
                None => comparison.missing += 1,
            }
        }
        comparison.missing += recomputed
            .records
            .iter()
            .filter(|run| !committed.records.iter().any(|known| known.cell == run.cell))
            .count();
        for problem in &committed.problems {
            for optimizer in &committed.optimizers {
                let cost_only = unstable
                    .iter()
                    .any(|pair| pair.has(&problem.label, &optimizer.label));
                for (&quantity, tolerance) in &self.0 {
                    if cost_only && !quantity.is_cost() {
                        continue;
                    }
                    let value = |results: &Results| {
                        let runs = counted::runs(results, &problem.label, &optimizer.label);
                        let values = runs.filter_map(|run| counted::last(run, quantity));
                        median(&values.collect::<Vec<_>>())
                    };
                    let (before, after) = (value(committed), value(recomputed));
                    comparison.values += 1;
                    if !tolerance.holds(before, after) {
                        comparison.outside.push(OutsideMedian {
                            problem: problem.label.clone(),
                            optimizer: optimizer.label.clone(),
                            outside: Outside {
                                quantity,
                                before: Some(before),
                                after: Some(after),
                            },
                        });
                    }
                }
            }
        }
        comparison
    }
}

/// A value outside its tolerance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outside {
    /// What was measured.
    pub quantity: Quantity,
    /// The recorded value, if there is one.
    pub before: Option<f64>,
    /// The value now, if there is one.
    pub after: Option<f64>,
}

/// A median outside its tolerance.
#[derive(Debug, Clone, PartialEq)]
pub struct OutsideMedian {
    /// The problem's label.
    pub problem: String,
    /// The optimizer's label.
    pub optimizer: String,
    /// The medians.
    pub outside: Outside,
}

/// How recomputed results compare with committed ones.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// Runs equal in every measured point, but for times.
    pub identical: usize,
    /// Runs in both sets that are not.
    pub different: usize,
    /// Runs in one set only.
    pub missing: usize,
    /// Medians that were compared.
    pub values: usize,
    /// Those outside their tolerance.
    pub outside: Vec<OutsideMedian>,
}

impl Comparison {
    /// Whether the recomputed results confirm the committed ones.
    pub fn holds(&self) -> bool {
        self.missing == 0 && self.outside.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerances_are_symmetric_and_have_a_floor() {
        let factor = Tolerance::Factor {
            factor: 2.0,
            floor: 1e-3,
        };
        for (a, b, expected) in [
            (1.0, 2.0, true),
            (1.0, 2.1, false),
            (1e-9, 1e-4, true),
            (1e-9, 2e-3, true),
            (1e-9, 3e-3, false),
            (f64::INFINITY, f64::INFINITY, true),
            (f64::INFINITY, 1.0, false),
            (f64::NAN, f64::NAN, true),
            (f64::NAN, 1.0, false),
        ] {
            assert_eq!(factor.holds(a, b), expected, "{a} {b}");
            assert_eq!(factor.holds(b, a), expected, "{b} {a}");
        }
        let absolute = Tolerance::Absolute { absolute: 0.02 };
        assert!(absolute.holds(0.95, 0.96) && !absolute.holds(0.95, 0.98));
    }
}
