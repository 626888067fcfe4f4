//! What figures and tables are drawn from, and what they come to.

use bench_experiment::probe::{Grid as ProbedGrid, Paths, Solutions, StepCost};
use bench_experiment::store::Results;

use crate::figure::Chart;
use crate::table::Table;

/// What an entry is drawn from.
#[derive(Debug, Clone)]
pub enum FigureSource {
    /// The results of its suites, in their order.
    Results(Vec<Results>),
    /// For each problem the paths of the optimizers.
    Paths(Vec<Paths>),
    /// The problem's title and the loss around the network.
    Landscape(String, ProbedGrid),
    /// The solution of an equation, and those that networks come to.
    Solutions(Solutions),
    /// The counted cost of steps, for each method at each size.
    Costs(Vec<StepCosts>),
}

impl FigureSource {
    /// What limits the meaning of what is drawn from it.
    pub fn caveats(&self) -> Vec<String> {
        match self {
            Self::Results(sets) => sets.iter().flat_map(|set| set.caveats.clone()).collect(),
            Self::Paths(_) | Self::Landscape(..) | Self::Solutions(_) | Self::Costs(_) => {
                Vec::new()
            }
        }
    }
}

/// The counted steps of one method.
#[derive(Debug, Clone, PartialEq)]
pub struct StepCosts {
    /// The method.
    pub label: String,
    /// The size (dimension or history) and the cost there.
    pub at: Vec<(u64, StepCost)>,
    /// The dimension of each, by which passes are multiplied.
    pub dimension: Vec<u64>,
}

/// One file of an entry, but for its format.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// The stem of its files.
    pub name: String,
    /// What it holds.
    pub content: PieceContent,
}

/// A chart or a table.
#[derive(Debug, Clone, PartialEq)]
pub enum PieceContent {
    /// A chart, named as the piece.
    Chart(Chart),
    /// A table and its caption.
    Table(Table, String),
}
