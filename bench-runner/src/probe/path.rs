//! The path of an optimizer through a function of two variables.

use super::replay;
use crate::problem::{Environment, ProblemConfig};
use crate::spec::{OptimizerEntry, ProblemEntry};
use crate::{Error, Result};

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

/// The iterates of a run on a test function of two variables.
///
/// # Errors
/// When the problem is no function of two variables, or an evaluation fails.
pub fn path(
    problem: &ProblemEntry,
    optimizer: &OptimizerEntry,
    seed: u64,
    environment: &Environment,
) -> Result<Path> {
    match &problem.config {
        ProblemConfig::Function(config) if config.dimension == 2 => {}
        _ => {
            return Err(Error::Problem {
                message: format!(
                    "`{}`: a path can be drawn over a test function of 2 dimensions only",
                    problem.label
                ),
            });
        }
    }
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
