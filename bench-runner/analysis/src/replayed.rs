//! A recorded run made again, beside its record: the same bits on a processor with the same vector
//! instructions, within stated tolerances elsewhere.

use bench_experiment::run::RunRecord;

use crate::reference::{Outside, Tolerances};

/// A run made again, beside its record.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// The record's digest.
    pub recorded: String,
    /// The digest of what came out now.
    pub again: String,
    /// Whether the record is of a processor with this one's vector instructions, by which kernels choose.
    pub same_processor: bool,
    /// Last values that are outside their tolerances.
    pub outside: Vec<Outside>,
}

impl Replayed {
    /// Compares a record with the run made again.
    pub fn new(
        recorded: &RunRecord,
        again: &RunRecord,
        same_processor: bool,
        tolerances: &Tolerances,
    ) -> Self {
        Self {
            recorded: recorded.digest(),
            again: again.digest(),
            same_processor,
            outside: tolerances.outside(recorded, again),
        }
    }

    /// Whether every bit is the same.
    pub fn is_identical(&self) -> bool {
        self.recorded == self.again
    }

    /// Whether the record is confirmed: by equal bits, or, of another processor, within the tolerances.
    pub fn holds(&self) -> bool {
        self.is_identical() || (!self.same_processor && self.outside.is_empty())
    }
}
