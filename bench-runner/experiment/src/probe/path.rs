//! The paths of optimizers through a function of two variables, and the function around them.

use bench_stats::median;

use super::grid::Grid;
use super::replay::replay;
use crate::error::{Error, Result};
use crate::problem::{Environment, Plane};
use crate::spec::{OptimizerEntry, ProblemEntry};

/// Where an optimizer went.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// The optimizer's label.
    pub optimizer: String,
    /// The iterates, the start first.
    pub points: Vec<(f64, f64)>,
    /// The index of the iterate at which the method first changed, if it did.
    pub switch: Option<usize>,
}

/// The paths of several optimizers through one function.
#[derive(Debug, Clone, PartialEq)]
pub struct Paths {
    /// The problem's label.
    pub problem: String,
    /// Its title.
    pub title: String,
    /// The paths.
    pub paths: Vec<Path>,
    /// The function around them.
    pub surroundings: Grid,
}

/// The iterates of the runs of some optimizers on a function of two variables.
///
/// # Errors
/// When the problem is no function of two variables, or an evaluation fails.
pub fn paths(
    problem: &ProblemEntry,
    optimizers: &[&OptimizerEntry],
    seed: u64,
    environment: &Environment,
) -> Result<Paths> {
    let plane = problem.config.plane().ok_or_else(|| Error::Unfit {
        problem: problem.label.clone(),
        needs: "a path can be drawn over a function of 2 variables only",
    })?;
    let paths = optimizers
        .iter()
        .map(|optimizer| path(problem, optimizer, seed, environment))
        .collect::<Result<Vec<Path>>>()?;
    Ok(Paths {
        problem: problem.label.clone(),
        title: problem.config.title(),
        surroundings: surroundings(&plane, &paths),
        paths,
    })
}

fn path(
    problem: &ProblemEntry,
    optimizer: &OptimizerEntry,
    seed: u64,
    environment: &Environment,
) -> Result<Path> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    let (mut phase, mut switch) = (None, None);
    replay(
        problem,
        optimizer,
        seed,
        environment,
        &mut |problem, made| {
            if let Some(made) = made {
                if switch.is_none() && phase.is_some_and(|phase| phase != made.phase) {
                    switch = points.len().checked_sub(1);
                }
                phase = Some(made.phase);
            }
            let x = problem.parameters().vars()[0].to_vec1::<f64>()?;
            points.push((x[0], x[1]));
            Ok(())
        },
    )?;
    Ok(Path {
        optimizer: optimizer.label.clone(),
        points,
        switch,
    })
}

/// The function around the paths: over their bounding box with a margin, not more than ten times the distance
/// that the nearest half of the iterates keeps from the start.
fn surroundings(plane: &Plane, paths: &[Path]) -> Grid {
    const STEPS: usize = 120;
    const MARGIN: f64 = 0.2;
    let axis = |pick: &dyn Fn(&(f64, f64)) -> f64, start: f64| -> Vec<f64> {
        let values: Vec<f64> = paths
            .iter()
            .flat_map(|path| path.points.iter().map(pick))
            .filter(|value| value.is_finite())
            .collect();
        let distances: Vec<f64> = values.iter().map(|value| (value - start).abs()).collect();
        let reach = 10.0 * median(&distances).max(0.1);
        let inside = values
            .iter()
            .filter(|value| (*value - start).abs() <= reach);
        let (low, high) = inside.fold((start, start), |(low, high), &value| {
            (low.min(value), high.max(value))
        });
        let margin = (MARGIN * (high - low)).max(0.2);
        let (low, high) = (low - margin, high + margin);
        let place = |i| low + (high - low) * i as f64 / STEPS as f64;
        (0..=STEPS).map(place).collect()
    };
    let x = axis(&|point| point.0, plane.start[0]);
    let y = axis(&|point| point.1, plane.start[1]);
    let row = |&y: &f64| x.iter().map(|&x| (plane.value)([x, y])).collect();
    Grid {
        values: y.iter().map(row).collect(),
        x,
        y,
    }
}
