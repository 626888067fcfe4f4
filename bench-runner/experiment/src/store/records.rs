//! The runs of a result set, found by problem and optimizer without a search through all of them.

use std::collections::HashMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::run::RunRecord;

/// Runs in their order: a `Vec`, and an index of it.
///
/// The index is made when it is first asked for. Whatever may change the runs drops it.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Records {
    runs: Vec<RunRecord>,
    #[serde(skip)]
    index: OnceLock<HashMap<String, Places>>,
}

/// The places of the runs on a problem, ascending: of all, and of each optimizer.
#[derive(Debug, Clone, Default)]
struct Places {
    all: Vec<usize>,
    of: HashMap<String, Vec<usize>>,
}

impl Records {
    /// The runs on one problem.
    pub(super) fn on(&self, problem: &str) -> impl Iterator<Item = &RunRecord> + use<'_> {
        let places = self.index().get(problem).map(|places| &places.all);
        self.at(places)
    }

    /// The runs of one optimizer on one problem.
    pub(super) fn of(
        &self,
        problem: &str,
        optimizer: &str,
    ) -> impl Iterator<Item = &RunRecord> + use<'_> {
        let places = self.index().get(problem);
        self.at(places.and_then(|places| places.of.get(optimizer)))
    }

    fn at<'a>(&'a self, places: Option<&'a Vec<usize>>) -> impl Iterator<Item = &'a RunRecord> {
        let places = places.into_iter().flatten();
        places.map(|&place| &self.runs[place])
    }

    fn index(&self) -> &HashMap<String, Places> {
        self.index.get_or_init(|| {
            let mut index: HashMap<String, Places> = HashMap::new();
            for (place, run) in self.runs.iter().enumerate() {
                let places = index.entry(run.cell.problem.clone()).or_default();
                places.all.push(place);
                let own = places.of.entry(run.cell.optimizer.clone()).or_default();
                own.push(place);
            }
            index
        })
    }
}

impl Deref for Records {
    type Target = Vec<RunRecord>;

    fn deref(&self) -> &Self::Target {
        &self.runs
    }
}

impl DerefMut for Records {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.index.take();
        &mut self.runs
    }
}

impl From<Vec<RunRecord>> for Records {
    fn from(runs: Vec<RunRecord>) -> Self {
        Self {
            runs,
            index: OnceLock::new(),
        }
    }
}

impl FromIterator<RunRecord> for Records {
    fn from_iter<I: IntoIterator<Item = RunRecord>>(runs: I) -> Self {
        runs.into_iter().collect::<Vec<_>>().into()
    }
}

impl<'a> IntoIterator for &'a Records {
    type Item = &'a RunRecord;
    type IntoIter = std::slice::Iter<'a, RunRecord>;

    fn into_iter(self) -> Self::IntoIter {
        self.runs.iter()
    }
}

impl<'a> IntoIterator for &'a mut Records {
    type Item = &'a mut RunRecord;
    type IntoIter = std::slice::IterMut<'a, RunRecord>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl PartialEq for Records {
    fn eq(&self, other: &Self) -> bool {
        self.runs == other.runs
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.runs.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{CellId, Outcome};

    fn run(problem: &str, optimizer: &str, seed: u64) -> RunRecord {
        let cell = CellId {
            problem: problem.into(),
            optimizer: optimizer.into(),
            seed,
        };
        RunRecord::new(cell, Outcome::Interrupted)
    }

    #[test]
    fn runs_are_found_in_their_order_also_after_a_change() {
        let mut records: Records = [
            run("a", "adam", 1),
            run("b", "adam", 0),
            run("a", "sgd", 0),
            run("a", "adam", 0),
        ]
        .into_iter()
        .collect();
        let seeds = |records: &Records, problem: &str, optimizer: &str| -> Vec<u64> {
            let own = records.of(problem, optimizer);
            own.map(|run| run.cell.seed).collect()
        };
        assert_eq!(seeds(&records, "a", "adam"), [1, 0]);
        assert_eq!(seeds(&records, "a", "lbfgs"), [0; 0]);
        assert_eq!(seeds(&records, "c", "adam"), [0; 0]);
        let on: Vec<&RunRecord> = records.on("a").collect();
        assert_eq!(on, [&records[0], &records[2], &records[3]]);
        records.push(run("c", "adam", 7));
        records[0].cell.problem = "c".into();
        assert_eq!(seeds(&records, "a", "adam"), [0]);
        assert_eq!(seeds(&records, "c", "adam"), [1, 7]);
    }
}
