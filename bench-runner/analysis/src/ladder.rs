//! Ten targets for each problem, easy to hard, so that no single number decides who was faster.

use bench_experiment::run::RunRecord;
use bench_experiment::store::Results;

use crate::counted;

/// How many targets a problem has.
pub const RUNGS: usize = 10;

/// The easiest and the hardest target, as shares of the initial gap: powers of ten.
const EXPONENTS: [f64; 2] = [-1.0, -8.0];

/// The targets of a problem, descending: f_L + 10^e·(f₀ − f_L), the exponents e evenly from −1 to −8.
///
/// f₀ is the loss at the start, the largest over seeds. f_L is the lowest loss that any run on the problem measured,
/// as minima are not known in general (Moré and Wild 2009): the ladder depends on the set of methods, and the method
/// that found f_L reaches all targets. `None` where no run improved on its start.
pub fn ladder(results: &Results, problem: &str) -> Option<[f64; RUNGS]> {
    let runs = || results.runs_on(problem);
    let start = runs()
        .filter_map(|run| run.curve.first())
        .map(|point| point.loss)
        .filter(|loss| loss.is_finite())
        .fold(f64::NEG_INFINITY, f64::max);
    let lowest = runs()
        .filter_map(RunRecord::lowest_loss)
        .fold(f64::INFINITY, f64::min);
    let gap = start - lowest;
    (gap.is_finite() && gap > 0.0)
        .then(|| std::array::from_fn(|rung| lowest + 10f64.powf(-digits(rung)) * gap))
}

/// The digits by which the initial gap has come down at a target of the ladder, counted from 0: 1 to 8.
pub fn digits(rung: usize) -> f64 {
    let [first, last] = EXPONENTS;
    -(first + (last - first) * rung as f64 / (RUNGS - 1) as f64)
}

/// The costs of each run of an optimizer on a problem to each of these targets: one row for each run that counts.
pub fn costs(
    results: &Results,
    problem: &str,
    optimizer: &str,
    targets: &[f64],
) -> Vec<(u64, Vec<f64>)> {
    counted::runs(results, problem, optimizer)
        .map(|run| {
            let costs = targets.iter().map(|target| run.cost_to(*target)).collect();
            (run.cell.seed, costs)
        })
        .collect()
}

/// The digits that a run gained: −log₁₀ of the share of the initial gap that is left at its end, from 0 to 8, the
/// hardest target. A run that ends above its start, or failed, gained none.
pub fn digits_gained(run: &RunRecord, targets: &[f64; RUNGS]) -> f64 {
    let [first, last] = EXPONENTS;
    // Two targets give back gap and minimum.
    let gap = (targets[0] - targets[RUNGS - 1]) / (10f64.powf(first) - 10f64.powf(last));
    let lowest = targets[0] - 10f64.powf(first) * gap;
    let left = (counted::final_loss(run) - lowest) / gap;
    if left.is_nan() {
        return 0.0;
    }
    -left.clamp(10f64.powf(last), 1.0).log10()
}
