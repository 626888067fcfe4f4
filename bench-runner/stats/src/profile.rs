//! Profiles: over a set of problems, targets and runs, which share is solved at what cost.

use crate::error::{check, check_length, check_numbers};
use crate::{Error, Result};

/// An empirical distribution function F(x) = |{xᵢ ≤ x}| / n, with misses.
///
/// A value of +∞ is a miss: it counts in n and is never reached, so F may stay below 1. Of run times to
/// targets, pooled over problems, targets and runs, this is the run-time distribution of COCO (Hansen et
/// al. 2021), without its simulated restarts: a miss stays a miss.
///
/// ```
/// use bench_stats::Ecdf;
///
/// let runtimes = Ecdf::new(&[200.0, f64::INFINITY, 50.0, 200.0])?;
/// assert_eq!(runtimes.at(199.0), 0.25);
/// assert_eq!(runtimes.at(f64::INFINITY), 0.75);
/// assert_eq!(runtimes.steps(), [(50.0, 0.25), (200.0, 0.75)]);
/// # Ok::<(), bench_stats::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Ecdf {
    reached: Vec<f64>,
    total: usize,
}

impl Ecdf {
    /// The distribution function of `values`.
    ///
    /// # Errors
    /// For no values, or NaN.
    pub fn new(values: &[f64]) -> Result<Self> {
        check_numbers("values", values, 1)?;
        let mut reached: Vec<f64> = values
            .iter()
            .copied()
            .filter(|&value| value < f64::INFINITY)
            .collect();
        reached.sort_unstable_by(f64::total_cmp);
        Ok(Self {
            reached,
            total: values.len(),
        })
    }

    /// F(x); at +∞ the share that is ever reached.
    pub fn at(&self, x: f64) -> f64 {
        self.reached.partition_point(|&value| value <= x) as f64 / self.total as f64
    }

    /// The jumps of F in ascending order: each x with F(x). F is constant from one to the next, and 0
    /// before the first.
    pub fn steps(&self) -> Vec<(f64, f64)> {
        let jumps = self.reached.chunk_by(|a, b| a == b);
        jumps.map(|ties| (ties[0], self.at(ties[0]))).collect()
    }
}

/// Performance profiles (Dolan and Moré 2002), one per solver: the distribution, over problems p, of
/// the ratio r = cost(p, s) / min over s' of cost(p, s'). At 1 it is the share of problems on which the
/// solver is best, at ∞ the share it solves.
///
/// `costs[s][p]` is the cost of solver s on problem p, +∞ for a miss. A problem that nobody solves is a
/// miss for all and stays in the count. Where the best cost is 0, ratios are 1 for cost 0 and a miss
/// otherwise. Whether one solver beats another must not be read off a profile of three or more, where the
/// best changes with the set (Gould and Scott 2016).
///
/// # Errors
/// For no solvers or problems, rows of different lengths, or a cost that is negative or NaN.
pub fn performance_profiles(costs: &[Vec<f64>]) -> Result<Vec<Ecdf>> {
    let problems = check_costs(costs)?;
    let best: Vec<f64> = (0..problems)
        .map(|p| costs.iter().map(|row| row[p]).fold(f64::INFINITY, f64::min))
        .collect();
    let ratio = |(&cost, &best): (&f64, &f64)| {
        if cost == f64::INFINITY {
            f64::INFINITY
        } else if cost == best {
            1.0
        } else {
            cost / best
        }
    };
    costs
        .iter()
        .map(|row| Ecdf::new(&row.iter().zip(&best).map(ratio).collect::<Vec<_>>()))
        .collect()
}

/// Data profiles (Moré and Wild 2009), one per solver: the distribution, over problems, of the cost in
/// units of n + 1 evaluations, n being the problem's dimension (as many as a simplex gradient takes).
/// They do not depend on the set of solvers.
///
/// `costs[s][p]` as in [`performance_profiles`], in evaluations.
///
/// # Errors
/// As [`performance_profiles`]; also when the number of dimensions differs from that of problems.
pub fn data_profiles(costs: &[Vec<f64>], dimensions: &[usize]) -> Result<Vec<Ecdf>> {
    let problems = check_costs(costs)?;
    check_length("dimensions", dimensions.len(), problems)?;
    let unit = |(cost, &dimension): (&f64, &usize)| cost / (dimension as f64 + 1.0);
    costs
        .iter()
        .map(|row| Ecdf::new(&row.iter().zip(dimensions).map(unit).collect::<Vec<_>>()))
        .collect()
}

/// The number of problems in `costs[solver][problem]`.
fn check_costs(costs: &[Vec<f64>]) -> Result<usize> {
    let Some(first) = costs.first() else {
        return Err(Error::TooFew {
            what: "solvers",
            found: 0,
            needed: 1,
        });
    };
    for row in costs {
        check_length("costs of a solver", row.len(), first.len())?;
        check(
            "costs of a solver",
            row,
            1,
            |cost| cost >= 0.0,
            "a number of at least 0, or infinity for a miss",
        )?;
    }
    Ok(first.len())
}

/// The cost at which a run first reaches each target: the smallest `costs[i]` with `values[i]` at or below
/// it, +∞ if there is none. Pooled over runs these make a run-time distribution, see [`Ecdf`].
///
/// `costs` ascend along the run; `values` are what is minimized, and one that is NaN reaches no target.
///
/// # Errors
/// For different lengths, costs that do not ascend, or a NaN cost or target.
pub fn times_to_targets(costs: &[f64], values: &[f64], targets: &[f64]) -> Result<Vec<f64>> {
    check_numbers("costs", costs, 0)?;
    check_numbers("targets", targets, 0)?;
    check_length("values", values.len(), costs.len())?;
    if let Some(index) = costs.windows(2).position(|pair| pair[1] < pair[0]) {
        return Err(Error::Value {
            what: "costs",
            index: index + 1,
            value: costs[index + 1],
            expected: "at least the cost before it",
        });
    }
    let first = |target: &f64| values.iter().position(|value| value <= target);
    Ok(targets
        .iter()
        .map(|target| first(target).map_or(f64::INFINITY, |index| costs[index]))
        .collect())
}

/// The score distribution of Agarwal et al. (2021) at one threshold τ: the share of runs that score above
/// τ, averaged over tasks. Its interval comes from
/// [`Bootstrap::stratified`](crate::Bootstrap::stratified).
///
/// `tasks[t]` are the scores of the runs on task t, higher being better. NaN for no tasks, a task without
/// runs, or a score that is NaN.
pub fn score_profile(tasks: &[Vec<f64>], threshold: f64) -> f64 {
    let share = |runs: &Vec<f64>| {
        if runs.iter().any(|score| score.is_nan()) {
            return f64::NAN;
        }
        runs.iter().filter(|&&score| score > threshold).count() as f64 / runs.len() as f64
    };
    tasks.iter().map(share).sum::<f64>() / tasks.len() as f64
}
