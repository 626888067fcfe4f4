//! Whether rounding alone carries runs as far apart as seeds do.

use bench_experiment::store::{PerturbedRuns, ProblemInfo, Results};
use bench_stats::{Alternative, fisher_exact_test, quantile, spread_test};
use serde::Serialize;

use crate::counted;
use crate::equivalence::EQUIVALENCE;

/// The level of each of the tests by which a cell is held unstable.
const LEVEL: f64 = 0.05;

/// How the spread over perturbations of rounding size compares with the spread over seeds, for an optimizer
/// on a problem.
///
/// A spread is the interquartile range of log₁₀ of the final loss. Losses below 2.2e-16 of the loss at the
/// start count as that: what is left there is rounding by itself. Runs that diverged or failed count as
/// infinite.
///
/// Where runs are chaotic, rounding changes them as much as another seed does. Then both spreads are about equal, and
/// either may come out larger by chance. So tests decide whether rounding does more: of the spread of the runs that
/// ended with a loss, and of how many did not. The first seed's unperturbed run is in both groups.
#[derive(Debug, Clone, PartialEq)]
pub struct CellStability {
    /// The problem's label.
    pub problem: String,
    /// The optimizer's label.
    pub optimizer: String,
    /// Runs of one seed: the unperturbed one, and those from perturbed starts.
    pub perturbed: usize,
    /// Runs of different seeds.
    pub seeds: usize,
    /// The spread over perturbations, in powers of ten.
    pub spread_over_perturbations: f64,
    /// The spread over seeds, in powers of ten.
    pub spread_over_seeds: f64,
    /// The probability that losses over perturbations are this much more spread than those over seeds by chance
    /// ([`spread_test`]); NaN for fewer than three finite losses of either.
    pub p_of_spread: f64,
    /// The probability that so many of the runs over perturbations diverge or fail by chance ([`fisher_exact_test`]).
    pub p_of_failures: f64,
}

impl CellStability {
    /// The spread over perturbations as a multiple of the spread over seeds: 0 where perturbations change
    /// nothing, infinite where seeds change nothing and they do. NaN where either is not known, from fewer
    /// than two runs or because both are infinite.
    pub fn ratio(&self) -> f64 {
        match (self.spread_over_perturbations, self.spread_over_seeds) {
            (0.0, seeds) if !seeds.is_nan() => 0.0,
            (perturbations, seeds) => perturbations / seeds,
        }
    }

    /// Whether rounding carries runs further apart than seeds do, beyond chance, so that no verdict may rest on them.
    /// Losses within a [tie](EQUIVALENCE) of each other decide nothing, also where seeds change nothing. Where there are
    /// too few runs for the test, the measured spreads decide.
    pub fn is_unstable(&self) -> bool {
        let larger =
            self.spread_over_perturbations > self.spread_over_seeds.max(EQUIVALENCE.log10());
        let by_chance = self.p_of_spread >= LEVEL;
        (larger && !by_chance) || self.p_of_failures < LEVEL
    }
}

/// What repetitions from perturbed starts found on a suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SuiteStability {
    /// The suite.
    pub suite: String,
    /// Repetitions of each run.
    pub perturbations: usize,
    /// Pairs of problem and optimizer that were repeated.
    pub cells: usize,
    /// Those of them that are unstable, by the labels of problem and optimizer.
    pub unstable: Vec<[String; 2]>,
}

impl SuiteStability {
    /// What the repetitions of some results found; `None` where there are none.
    pub fn of(results: &Results) -> Option<Self> {
        let summary = results.stability.as_ref()?;
        let unstable = stability(results)
            .into_iter()
            .filter(CellStability::is_unstable);
        Some(Self {
            suite: results.suite.clone(),
            perturbations: summary.cells.first().map_or(0, |cell| cell.losses.len()),
            cells: summary.cells.len(),
            unstable: unstable
                .map(|cell| [cell.problem, cell.optimizer])
                .collect(),
        })
    }

    /// What it comes to, in words.
    pub fn reading(&self) -> String {
        let Self {
            suite,
            perturbations,
            cells,
            unstable,
        } = self;
        let pairs = unstable
            .iter()
            .map(|cell| format!("`{}` on `{}`", cell[1], cell[0]));
        let pairs = pairs.collect::<Vec<_>>().join(", ");
        let found = match unstable.len() {
            0 => "none is unstable".into(),
            1 => format!("one is unstable, and no verdict rests on it: {pairs}"),
            count => format!("{count} are unstable, and no verdict rests on them: {pairs}"),
        };
        format!(
            "Stability on `{suite}`: {cells} pairs of problem and optimizer were repeated, each {perturbations} times from starts \
             that differ by rounding; {found}."
        )
    }
}

/// The stability of every optimizer on every problem that has runs from perturbed starts, in their order.
pub fn stability(results: &Results) -> Vec<CellStability> {
    let cells = results.stability.iter().flat_map(|it| &it.cells);
    let of_problem = |cell: &PerturbedRuns| {
        let mut problems = results.problems.iter();
        problems.find(|problem| problem.label == cell.problem)
    };
    cells
        .filter_map(|cell| Some(of_cell(results, of_problem(cell)?, cell)))
        .collect()
}

/// Whether an optimizer is known to be [unstable](CellStability::is_unstable) on a problem.
pub fn is_unstable(results: &Results, problem: &ProblemInfo, optimizer: &str) -> bool {
    let mut cells = results.stability.iter().flat_map(|it| &it.cells);
    let own = cells.find(|cell| cell.problem == problem.label && cell.optimizer == optimizer);
    own.is_some_and(|cell| of_cell(results, problem, cell).is_unstable())
}

/// Whether none of these optimizers is known to be unstable on a problem, so that they can be compared there.
pub fn are_stable<'a>(
    results: &Results,
    problem: &ProblemInfo,
    optimizers: impl IntoIterator<Item = &'a str>,
) -> bool {
    let mut optimizers = optimizers.into_iter();
    !optimizers.any(|optimizer| is_unstable(results, problem, optimizer))
}

fn of_cell(results: &Results, problem: &ProblemInfo, cell: &PerturbedRuns) -> CellStability {
    let by_seed = counted::losses_by_seed(results, &problem.label, &cell.optimizer);
    let floor = floor(results, problem);
    let mut perturbed: Vec<f64> = by_seed.get(&cell.seed).copied().into_iter().collect();
    perturbed.extend(cell.losses.iter().map(|loss| loss.unwrap_or(f64::INFINITY)));
    let seeds: Vec<f64> = by_seed.into_values().collect();
    let (perturbed, seeds) = (logarithms(&perturbed, floor), logarithms(&seeds, floor));
    let finite = |logs: &[f64]| -> Vec<f64> {
        let logs = logs.iter().copied();
        logs.filter(|log| log.is_finite()).collect()
    };
    let (ended, ended_of_seeds) = (finite(&perturbed), finite(&seeds));
    let spread_alike = spread_test(&ended, &ended_of_seeds, Alternative::Greater);
    let failures = |logs: &[f64], ended: &[f64]| {
        [logs.len() - ended.len(), logs.len()].map(|count| count as u64)
    };
    let fail_alike = fisher_exact_test(
        failures(&perturbed, &ended),
        failures(&seeds, &ended_of_seeds),
    );
    CellStability {
        problem: problem.label.clone(),
        optimizer: cell.optimizer.clone(),
        perturbed: perturbed.len(),
        seeds: seeds.len(),
        spread_over_perturbations: spread(&perturbed),
        spread_over_seeds: spread(&seeds),
        p_of_spread: spread_alike.map_or(f64::NAN, |test| test.p_value),
        p_of_failures: fail_alike.map_or(f64::NAN, |test| test.p_value),
    }
}

/// The loss below which the losses of a problem are rounding by itself: that of the start, the greatest of
/// all runs, times the spacing of numbers at 1.
fn floor(results: &Results, problem: &ProblemInfo) -> f64 {
    let starts = results
        .runs_on(&problem.label)
        .filter_map(|run| Some(run.curve.first()?.loss))
        .filter(|loss| loss.is_finite());
    (starts.fold(0.0, f64::max) * f64::EPSILON).max(f64::MIN_POSITIVE)
}

/// log₁₀ of some losses, none below `floor`.
fn logarithms(losses: &[f64], floor: f64) -> Vec<f64> {
    losses.iter().map(|loss| loss.max(floor).log10()).collect()
}

/// The interquartile range; NaN for fewer than two numbers.
fn spread(logs: &[f64]) -> f64 {
    let [lower, upper] = [0.25, 0.75].map(|q| quantile(logs, q));
    match logs.len() {
        0 | 1 => f64::NAN,
        // Also where both are infinite.
        _ if lower == upper => 0.0,
        _ => upper - lower,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bench_experiment::run::{CellId, CurvePoint, Outcome, RunRecord};
    use bench_experiment::spec::Experiment;
    use bench_experiment::store::StabilitySummary;

    use super::*;
    use crate::pairs::paired;
    use crate::summary::summarize;

    /// The results of runs that start at a loss of 1, with these final losses over seeds, and over
    /// perturbations of seed 0.
    fn results(over_seeds: &[f64], over_perturbations: &[Option<f64>]) -> Results {
        let text = "name = \"demo\"\nseeds = 2\n\
                    problem = [{ label = \"booth\", kind = \"function\", function = \"booth\", budget = 40 }]\n\
                    optimizer = [{ kind = \"adam\" }]\n";
        let experiment = Experiment::parse(text, "demo.toml".as_ref()).unwrap();
        let record = |(seed, &loss): (u64, &f64)| {
            let cell = CellId {
                problem: "booth".into(),
                optimizer: "adam".into(),
                seed,
            };
            let outcome = match loss.is_finite() {
                true => Outcome::Completed {
                    reason: "budget spent".into(),
                },
                false => Outcome::Diverged {
                    step: 1,
                    value: "inf".into(),
                },
            };
            let mut record = RunRecord::new(cell, outcome);
            record.curve = [1.0, loss]
                .map(|loss| CurvePoint::of_loss(0, loss))
                .to_vec();
            record
        };
        let records = (0..).zip(over_seeds).map(record).collect();
        let mut results = Results::new(&experiment, &[2], records);
        results.stability = Some(StabilitySummary {
            runs: over_perturbations.len(),
            evaluations: 0,
            seconds: 0.0,
            cells: vec![PerturbedRuns {
                problem: "booth".into(),
                optimizer: "adam".into(),
                seed: 0,
                losses: over_perturbations.to_vec(),
            }],
        });
        results
    }

    fn only(over_seeds: &[f64], over_perturbations: &[Option<f64>]) -> CellStability {
        let cells = stability(&results(over_seeds, over_perturbations));
        let [cell] = <[CellStability; 1]>::try_from(cells).unwrap();
        cell
    }

    #[test]
    fn spreads_are_interquartile_ranges_of_the_loss_s_logarithm() {
        // Logarithms 0, -1, -2, -3, -4: quartiles -3 and -1. Perturbed, with seed 0's own: five, too.
        let cell = only(
            &[1.0, 1e-1, 1e-2, 1e-3, 1e-4],
            &[Some(1e-3), Some(1e-6), Some(1e-9), Some(1e-12)],
        );
        assert_eq!((cell.perturbed, cell.seeds), (5, 5));
        assert!((cell.spread_over_seeds - 2.0).abs() < 1e-12);
        assert!((cell.spread_over_perturbations - 6.0).abs() < 1e-12);
        assert!((cell.ratio() - 3.0).abs() < 1e-12);
        assert!(cell.is_unstable());
        // With what spreads are exchanged, the ratio is its inverse.
        let cell = only(
            &[1.0, 1e-3, 1e-6, 1e-9, 1e-12],
            &[Some(1e-1), Some(1e-2), Some(1e-3), Some(1e-4)],
        );
        assert!((cell.ratio() - 1.0 / 3.0).abs() < 1e-12);
        assert!(!cell.is_unstable());
    }

    #[test]
    fn perturbations_that_change_nothing_are_stable() {
        let cell = only(&[0.5, 0.4, 0.3], &[Some(0.5); 8]);
        assert_eq!(cell.ratio(), 0.0);
        let cell = only(&[0.5; 3], &[Some(0.5); 8]);
        assert_eq!(cell.ratio(), 0.0);
        // Losses of rounding size are all alike.
        let cell = only(
            &[1e-30, 0.0, 1e-20],
            &[Some(1e-18), Some(0.0), Some(-1e-17)],
        );
        assert_eq!(cell.ratio(), 0.0);
    }

    #[test]
    fn what_diverges_under_some_perturbations_only_is_unstable() {
        let perturbed = |diverged: usize| {
            let mut losses = vec![Some(0.5); 8 - diverged];
            losses.resize(8, None);
            only(&[0.5, 0.4, 0.3, 0.5, 0.4], &losses)
        };
        // By hand: C(9, 6)/C(14, 6) = 0.028, and C(9, 3)/C(14, 3) = 0.23, which chance may give.
        let cell = perturbed(6);
        assert_eq!(cell.ratio(), f64::INFINITY);
        assert!((cell.p_of_failures - 84.0 / 3003.0).abs() < 1e-12);
        assert!(cell.is_unstable() && perturbed(8).is_unstable(), "{cell:?}");
        assert!(!perturbed(3).is_unstable());
        // Too few runs for a test.
        for seeds in [&[0.5, 0.4][..], &[0.5, 0.4, 0.3]] {
            let cell = only(seeds, &[Some(0.5), None, None, None]);
            assert_eq!(cell.ratio(), f64::INFINITY);
            assert!(cell.is_unstable(), "{cell:?}");
        }
        // Where all diverge, whatever the seed and the perturbation, nothing differs.
        let cell = only(&[f64::INFINITY; 3], &[None; 4]);
        assert_eq!(cell.ratio(), 0.0);
    }

    #[test]
    fn what_is_further_apart_by_chance_is_stable() {
        // The same losses over both, and further ones on either side: chaotic runs.
        let seeds = [0.5, 0.05, 0.3, 0.02, 0.1];
        let cell = only(&seeds, &[0.05, 0.3, 0.02, 0.1, 0.9, 0.01].map(Some));
        assert!(cell.ratio() > 1.0 && !cell.is_unstable(), "{cell:?}");
        let cell = only(&seeds, &[1e-4, 1e3, 1e-3, 1e2, 1e-5, 1e4].map(Some));
        assert!(cell.is_unstable(), "{cell:?}");
    }

    #[test]
    fn what_seeds_do_not_change_may_vary_by_a_tie() {
        for seeds in [&[0.5][..], &[0.5; 3]] {
            let cell = only(seeds, &[0.2, 0.4, 0.1, 0.3, 0.2, 0.6, 0.1, 0.3].map(Some));
            assert!(cell.is_unstable(), "{cell:?}");
            let cell = only(seeds, &[Some(0.501), Some(0.52)]);
            assert!(!cell.is_unstable(), "{cell:?}");
        }
        assert!(only(&[0.5], &[Some(0.5), Some(0.2)]).is_unstable());
    }

    #[test]
    fn no_comparison_rests_on_what_is_unstable() {
        let pairs = |results: &Results| {
            let adam = |_: &ProblemInfo| Some("adam".to_owned());
            paired(results, &results.problems, &adam, &adam).len()
        };
        let stable = results(&[0.5, 0.4, 0.3], &[Some(0.5); 4]);
        assert_eq!(
            (pairs(&stable), summarize(&stable)[0].unstable),
            (1, Some(false))
        );
        let unstable = results(&[0.5, 0.4, 0.3], &[Some(0.5), Some(1e-3), Some(1e-6)]);
        assert_eq!(
            (pairs(&unstable), summarize(&unstable)[0].unstable),
            (0, Some(true))
        );
    }

    #[test]
    fn results_without_repetitions_have_no_stability() {
        let mut results = results(&[0.5], &[]);
        results.stability = None;
        assert_eq!(stability(&results), []);
    }
}
