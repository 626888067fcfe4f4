//! Which runs an experiment has.

use serde::{Deserialize, Serialize};

use crate::spec::{Experiment, OptimizerEntry, ProblemEntry};

/// Which run: one optimizer on one problem with one seed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CellId {
    /// The problem's label in the experiment file, for example `rosenbrock-20d`.
    pub problem: String,
    /// The optimizer's label in the experiment file, for example `fuse-pv/epoch`.
    pub optimizer: String,
    /// The seed of initialisation, batch order and noise.
    pub seed: u64,
}

impl CellId {
    /// The run of an optimizer on a problem with a seed.
    pub fn new(problem: &ProblemEntry, optimizer: &OptimizerEntry, seed: u64) -> Self {
        Self {
            problem: problem.label.clone(),
            optimizer: optimizer.label.clone(),
            seed,
        }
    }
}

impl std::fmt::Display for CellId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} × {} × seed {}",
            self.problem, self.optimizer, self.seed
        )
    }
}

/// One planned run.
#[derive(Debug, Clone, Copy)]
pub struct Cell<'a> {
    /// The problem.
    pub problem: &'a ProblemEntry,
    /// The optimizer.
    pub optimizer: &'a OptimizerEntry,
    /// The seed.
    pub seed: u64,
}

impl Cell<'_> {
    /// The run's identity.
    pub fn id(&self) -> CellId {
        CellId::new(self.problem, self.optimizer, self.seed)
    }
}

/// All runs of an experiment, in the order of the report.
pub fn plan(experiment: &Experiment) -> Vec<Cell<'_>> {
    let mut cells = Vec::new();
    for problem in &experiment.problems {
        for optimizer in experiment.optimizers_for(&problem.label) {
            for &seed in &experiment.seeds {
                cells.push(Cell {
                    problem,
                    optimizer,
                    seed,
                });
            }
        }
    }
    cells
}
