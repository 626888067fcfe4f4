//! The solutions of a differential equation that physics-informed networks come to.

use models::physics::{Domain, Point};

use super::grid::Grid;
use super::replay::replay;
use crate::error::{Error, Result};
use crate::problem::Environment;
use crate::spec::{OptimizerEntry, ProblemEntry};

/// u over t, the first direction, and x, the second one.
#[derive(Debug, Clone, PartialEq)]
pub struct Solutions {
    /// The problem's title.
    pub title: String,
    /// The budget of each run, in evaluations.
    pub budget: u64,
    /// The solution, where it is known.
    pub exact: Option<Grid>,
    /// For each optimizer its label and what its run leaves.
    pub found: Vec<(String, Grid)>,
}

/// Trains a network by each of some optimizers as the run of `seed` does, and takes its values and the
/// solution's at `steps + 1` by `steps + 1` places.
///
/// # Errors
/// When the problem is no physics-informed network, or an evaluation fails.
pub fn solutions(
    problem: &ProblemEntry,
    optimizers: &[&OptimizerEntry],
    seed: u64,
    environment: &Environment,
    steps: usize,
) -> Result<Solutions> {
    let (mut exact, mut found) = (None, Vec::new());
    for optimizer in optimizers {
        let trained = replay(problem, optimizer, seed, environment, &mut |_, _| Ok(()))?;
        let pinn = trained.pinn().ok_or_else(|| Error::Unfit {
            problem: problem.label.clone(),
            needs: "solutions are those of physics-informed networks only",
        })?;
        let places = Places::new(pinn.equation().domain(), steps.max(1));
        let points = places.points();
        found.push((
            optimizer.label.clone(),
            places.grid(&pinn.evaluate(&points)?),
        ));
        if exact.is_none() {
            let solution = pinn.equation().solution(&points);
            exact = solution.map(|values| places.grid(&values));
        }
    }
    Ok(Solutions {
        title: problem.config.title(),
        budget: problem.budget,
        exact,
        found,
    })
}

/// Evenly spaced places of a rectangle.
struct Places {
    t: Vec<f64>,
    x: Vec<f64>,
}

impl Places {
    fn new(domain: Domain, steps: usize) -> Self {
        let even = |[low, high]: [f64; 2]| {
            let place = |i| low + (high - low) * i as f64 / steps as f64;
            (0..=steps).map(place).collect()
        };
        Self {
            t: even(domain.t),
            x: even(domain.x),
        }
    }

    fn points(&self) -> Vec<Point> {
        let row = |x: &f64| self.t.iter().map(|t| [*x, *t]).collect::<Vec<Point>>();
        self.x.iter().flat_map(row).collect()
    }

    /// Values at all points, in their order.
    fn grid(&self, values: &[f64]) -> Grid {
        Grid {
            x: self.t.clone(),
            y: self.x.clone(),
            values: values.chunks(self.t.len()).map(<[f64]>::to_vec).collect(),
        }
    }
}
