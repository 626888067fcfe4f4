//! Recomputed results against committed ones, column by column, with the tolerances of the catalogue.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::report::{Table, number};
use crate::run::{CurvePoint, Outcome, RunRecord};
use crate::stats;
use crate::store::Results;

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

impl TryFrom<Stated> for Tolerance {
    type Error = String;

    fn try_from(stated: Stated) -> Result<Self, String> {
        match (stated.factor, stated.floor, stated.absolute) {
            (Some(factor), floor, None) if factor >= 1.0 && factor.is_finite() => {
                let floor = floor.unwrap_or(0.0);
                if !(floor >= 0.0 && floor.is_finite()) {
                    return Err(format!(
                        "`floor` = {floor}: a number of at least 0 is needed"
                    ));
                }
                Ok(Self::Factor { factor, floor })
            }
            (Some(factor), _, None) => Err(format!(
                "`factor` = {factor}: a number of at least 1 is needed"
            )),
            (None, None, Some(absolute)) if absolute >= 0.0 && absolute.is_finite() => {
                Ok(Self::Absolute { absolute })
            }
            (None, None, Some(absolute)) => Err(format!(
                "`absolute` = {absolute}: a number of at least 0 is needed"
            )),
            _ => Err("either `factor` (and `floor`) or `absolute` is needed".into()),
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
#[serde(default, deny_unknown_fields)]
pub struct Tolerances {
    /// Optimizer steps.
    pub step: Option<Tolerance>,
    /// Epochs.
    pub epoch: Option<Tolerance>,
    /// Evaluations of loss and gradient.
    pub gradient_evaluations: Option<Tolerance>,
    /// Evaluations of the loss alone.
    pub loss_evaluations: Option<Tolerance>,
    /// Training time.
    pub seconds: Option<Tolerance>,
    /// The training objective.
    pub loss: Option<Tolerance>,
    /// The loss on the test set.
    pub test_loss: Option<Tolerance>,
    /// The test accuracy.
    pub accuracy: Option<Tolerance>,
    /// The norm of the last gradient.
    pub gradient_norm: Option<Tolerance>,
}

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

type Column = fn(&CurvePoint) -> Option<f64>;

/// The columns that say what a run cost, not what it reached.
const COSTS: [&str; 5] = [
    "step",
    "epoch",
    "gradient_evaluations",
    "loss_evaluations",
    "seconds",
];

impl Tolerances {
    fn columns(&self) -> [(&'static str, Option<Tolerance>, Column); 9] {
        [
            ("step", self.step, |p| Some(p.step as f64)),
            ("epoch", self.epoch, |p| Some(p.epoch)),
            ("gradient_evaluations", self.gradient_evaluations, |p| {
                Some(p.gradient_evaluations as f64)
            }),
            ("loss_evaluations", self.loss_evaluations, |p| {
                Some(p.loss_evaluations as f64)
            }),
            ("seconds", self.seconds, |p| Some(p.seconds)),
            ("loss", self.loss, |p| Some(p.loss)),
            ("test_loss", self.test_loss, |p| p.test_loss),
            ("accuracy", self.accuracy, |p| p.accuracy),
            ("gradient_norm", self.gradient_norm, |p| p.gradient_norm),
        ]
    }

    /// The columns of one run made again whose last values are outside their tolerances: column, recorded, now.
    pub fn outside(&self, recorded: &RunRecord, again: &RunRecord) -> Vec<[String; 3]> {
        let mut outside = Vec::new();
        for (name, tolerance, column) in self.columns() {
            let [before, after] = [recorded, again].map(|run| last(run, column));
            let holds = match (tolerance, before, after) {
                (Some(tolerance), Some(before), Some(after)) => tolerance.holds(before, after),
                (tolerance, before, after) => tolerance.is_none() || before == after,
            };
            if !holds {
                let text = |value: Option<f64>| value.map_or_else(|| "–".into(), number::short);
                outside.push([name.into(), text(before), text(after)]);
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
                for (name, tolerance, column) in self.columns() {
                    let is_cost = COSTS.contains(&name);
                    if cost_only && !is_cost {
                        continue;
                    }
                    let Some(tolerance) = tolerance else {
                        continue;
                    };
                    let value = |results: &Results| {
                        let values: Vec<f64> = results
                            .runs(&problem.label, &optimizer.label)
                            .filter_map(|run| last(run, column))
                            .collect();
                        stats::median(&values)
                    };
                    let (before, after) = (value(committed), value(recomputed));
                    comparison.values += 1;
                    if !tolerance.holds(before, after) {
                        comparison.outside.push(vec![
                            problem.label.clone(),
                            optimizer.label.clone(),
                            name.into(),
                            number::short(before),
                            number::short(after),
                        ]);
                    }
                }
            }
        }
        comparison
    }
}

/// The last value of a column; that of a run that did not complete is infinite.
fn last(run: &RunRecord, column: Column) -> Option<f64> {
    match run.outcome {
        Outcome::Completed { .. } => column(run.last()?),
        _ => Some(f64::INFINITY),
    }
}

/// How recomputed results compare with committed ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Runs equal in every measured point, but for times.
    pub identical: usize,
    /// Runs in both sets that are not.
    pub different: usize,
    /// Runs in one set only.
    pub missing: usize,
    /// Medians that were compared.
    pub values: usize,
    /// Those outside their tolerance: problem, optimizer, column, committed, recomputed.
    pub outside: Vec<Vec<String>>,
}

impl Comparison {
    /// Whether the recomputed results confirm the committed ones.
    pub fn holds(&self) -> bool {
        self.missing == 0 && self.outside.is_empty()
    }

    /// What was found, in words and, where there are any, a table of what is outside.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} runs identical but for times, {} different, {} in one set only; {} of {} medians \
             within their tolerance\n",
            self.identical,
            self.different,
            self.missing,
            self.values - self.outside.len(),
            self.values
        );
        if !self.outside.is_empty() {
            let headers = ["problem", "optimizer", "column", "committed", "recomputed"];
            let table = Table {
                headers: headers.map(str::to_owned).to_vec(),
                rows: self.outside.clone(),
            };
            text += &table.plain(100);
        }
        text
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
