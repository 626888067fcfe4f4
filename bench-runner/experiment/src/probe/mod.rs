//! What figures and claims need beside runs: the path of the iterates, the loss around a trained network,
//! the solutions that networks come to, counted steps, descents. Probes train and evaluate, and know nothing of judging and drawing.

mod build;
mod class;
mod cost;
mod descents;
mod evidence;
mod geometry;
mod grid;
mod landscape;
mod observed;
mod path;
mod replay;
mod solution;
mod steps;

pub use build::Build;
pub use class::FunctionClass;
pub use cost::{StepCost, step_cost, step_cost_on};
pub use evidence::{Evidence, Relation};
pub use geometry::{Geometry, Noise};
pub use grid::Grid;
pub use landscape::landscape;
pub use observed::{Descent, Observed};
pub use path::{Path, Paths, paths};
pub use solution::{Solutions, solutions};
