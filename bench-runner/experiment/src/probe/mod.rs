//! What figures and claims need beside runs: the path of the iterates, the loss around a trained network,
//! counted steps, descents. Probes train and evaluate, and know nothing of judging and drawing.

mod build;
mod cost;
mod descents;
mod evidence;
mod grid;
mod landscape;
mod path;
mod replay;
mod steps;

pub use build::Build;
pub use cost::{StepCost, step_cost, step_cost_on};
pub use descents::Descent;
pub use evidence::{Evidence, Observed};
pub use grid::Grid;
pub use landscape::landscape;
pub use path::{Path, Paths, paths};
