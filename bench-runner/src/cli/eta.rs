//! How much longer a sweep takes, by what its runs have taken so far.
//!
//! A run is expected to take so many seconds. What has been measured tells which share of it is done, so that the
//! runs of a problem tell how many seconds one expected second takes on it, and all runs together on problems of
//! which nothing has been measured yet. What is left takes at least as long as its longest run, and as all of it
//! shared evenly among the runs at the same time.

use std::collections::BTreeMap;
use std::time::Duration;

use bench_experiment::run::{CellId, CurvePoint};
use bench_experiment::session::Sweep;

/// The share of a sweep's expected time after which its pace is known.
const KNOWN_AFTER: f64 = 0.05;

/// A run and how far it is.
#[derive(Debug, Clone, Default)]
struct Run {
    problem: usize,
    /// Seconds.
    expected: f64,
    /// What was done, and when, at its first and last measurement. One that goes on from a checkpoint begins with
    /// more than nothing.
    seen: Option<[(f64, Duration); 2]>,
    ended: bool,
}

/// The time that a sweep has left, by the points that are measured in it.
#[derive(Debug)]
pub struct SweepEta {
    eta: Eta,
    /// Of each run that is to be made, its number and its evaluations, at most.
    expected: BTreeMap<CellId, (usize, u64)>,
}

impl SweepEta {
    /// Of a sweep that begins.
    pub fn new(sweep: &Sweep<'_>) -> Self {
        let missing = sweep.missing_cells();
        let problems = &sweep.experiment.problems;
        let demands = missing.iter().map(|cell| {
            let mut labels = problems.iter().map(|problem| &problem.label);
            let problem = labels.position(|label| *label == cell.problem.label);
            (problem.unwrap_or_default(), sweep.estimate.seconds_of(cell))
        });
        let expected = missing
            .iter()
            .enumerate()
            .map(|(number, cell)| (cell.id(), (number, sweep.estimate.evaluations_of(cell))));
        Self {
            eta: Eta::new(sweep.resources.jobs, demands),
            expected: expected.collect(),
        }
    }

    /// Takes note of a point; returns the share of its run that is done.
    pub fn measured(&mut self, cell: &CellId, point: &CurvePoint, now: Duration) -> Option<f64> {
        let &(number, evaluations) = self.expected.get(cell)?;
        let made = point.gradient_evaluations + point.loss_evaluations;
        let share = (made as f64 / evaluations.max(1) as f64).min(1.0);
        self.eta.measured(number, share, now);
        Some(share)
    }

    /// Takes note that a run has ended.
    pub fn ended(&mut self, cell: &CellId) {
        if let Some((number, _)) = self.expected.get(cell) {
            self.eta.ended(*number);
        }
    }

    /// The share of the sweep that is done, from 0 to 1.
    pub fn share(&self) -> f64 {
        self.eta.share()
    }

    /// The time left, once the pace is known.
    pub fn left(&self, now: Duration) -> Option<Duration> {
        self.eta.left(now)
    }
}

/// The time that runs have left, by the shares that are done of them.
#[derive(Debug)]
struct Eta {
    jobs: usize,
    runs: Vec<Run>,
}

impl Eta {
    /// Of runs on problems of these numbers that are expected to take so many seconds each, `jobs` at the same time.
    fn new(jobs: usize, runs: impl Iterator<Item = (usize, f64)>) -> Self {
        let run = |(problem, expected)| Run {
            problem,
            expected,
            ..Run::default()
        };
        Self {
            jobs: jobs.max(1),
            runs: runs.map(run).collect(),
        }
    }

    /// Takes note that a share of a run was done by a time.
    fn measured(&mut self, run: usize, share: f64, now: Duration) {
        if let Some(run) = self.runs.get_mut(run) {
            let first = run.seen.map_or((share, now), |[first, _]| first);
            run.seen = Some([first, (share, now)]);
        }
    }

    /// Takes note that a run has ended, however much of it was done.
    fn ended(&mut self, run: usize) {
        if let Some(run) = self.runs.get_mut(run) {
            run.ended = true;
        }
    }

    /// The share of the expected time that is done, from 0 to 1; a run that has ended leaves nothing.
    fn share(&self) -> f64 {
        let done = |run: &Run| match (run.ended, run.seen) {
            (true, _) => 1.0,
            (false, Some([_, (share, _)])) => share,
            (false, None) => 0.0,
        };
        let all: f64 = self.runs.iter().map(|run| run.expected).sum();
        let made: f64 = self.runs.iter().map(|run| run.expected * done(run)).sum();
        if all > 0.0 { made / all } else { 0.0 }
    }

    /// The time left, once the pace is known.
    fn left(&self, now: Duration) -> Option<Duration> {
        let (done, taken) = self.made(|_| true);
        let all: f64 = self.runs.iter().map(|run| run.expected).sum();
        if !(done > 0.0 && done >= KNOWN_AFTER * all) {
            return None;
        }
        let mut paces: BTreeMap<usize, f64> = BTreeMap::new();
        for run in &self.runs {
            paces.entry(run.problem).or_insert_with(|| {
                match self.made(|other| other.problem == run.problem) {
                    (own, taken) if own > 0.0 => taken / own,
                    _ => taken / done,
                }
            });
        }
        let left = self.runs.iter().filter(|run| !run.ended).map(|run| {
            let (share, at) = run.seen.map_or((0.0, now), |[_, last]| last);
            let since = now.saturating_sub(at).as_secs_f64();
            (paces[&run.problem] * run.expected * (1.0 - share) - since).max(0.0)
        });
        let (sum, longest) = left.fold((0.0, 0.0_f64), |(sum, longest), run| {
            (sum + run, longest.max(run))
        });
        Some(Duration::from_secs_f64(longest.max(sum / self.jobs as f64)))
    }

    /// What has been measured of some runs: the seconds that were expected for it, and those that it took.
    fn made(&self, of: impl Fn(&Run) -> bool) -> (f64, f64) {
        let runs = self.runs.iter().filter(|run| of(run));
        let seen = runs.filter_map(|run| Some((run.expected, run.seen?)));
        seen.fold((0.0, 0.0), |(done, taken), (expected, [first, last])| {
            let share = last.0 - first.0;
            let time = last.1 - first.1;
            (done + expected * share, taken + time.as_secs_f64())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: f64) -> Duration {
        Duration::from_secs_f64(count)
    }

    #[test]
    fn nothing_is_said_before_the_pace_is_known() {
        let mut eta = Eta::new(2, [(0, 10.0); 10].into_iter());
        assert_eq!(eta.left(seconds(3.0)), None);
        eta.measured(0, 0.0, seconds(0.0));
        eta.measured(0, 0.4, seconds(4.0));
        // Four of a hundred expected seconds are done: too few.
        assert_eq!(eta.left(seconds(4.0)), None);
        eta.measured(0, 0.5, seconds(5.0));
        assert!(eta.left(seconds(5.0)).is_some());
        // Runs of which nothing is known tell nothing.
        let mut unknown = Eta::new(2, [(0, 0.0); 2].into_iter());
        unknown.measured(0, 0.0, seconds(0.0));
        unknown.measured(0, 1.0, seconds(1.0));
        unknown.ended(0);
        assert_eq!(unknown.left(seconds(1.0)), None);
    }

    #[test]
    fn what_is_left_is_shared_by_the_runs_at_the_same_time() {
        // Everything takes twice as long as expected: of four runs of 20 s, two have ended after 20 s.
        let mut eta = Eta::new(2, [(0, 10.0); 4].into_iter());
        for run in 0..2 {
            eta.measured(run, 0.0, seconds(0.0));
            eta.measured(run, 1.0, seconds(20.0));
            eta.ended(run);
        }
        assert_eq!(eta.left(seconds(20.0)), Some(seconds(20.0)));
        assert_eq!(eta.share(), 0.5);
        // The third is halfway and the fourth a quarter on, 10 s later: the last one decides.
        for (run, share) in [(2, 0.5), (3, 0.25)] {
            eta.measured(run, 0.0, seconds(20.0));
            eta.measured(run, share, seconds(30.0));
        }
        let pace = 60.0 / 27.5;
        let left = eta.left(seconds(30.0)).unwrap_or_default();
        assert!((left.as_secs_f64() - pace * 7.5).abs() < 1e-6, "{left:?}");
        // Time passes between measurements, too.
        let later = eta.left(seconds(31.0)).unwrap_or_default();
        assert!(
            ((left - later).as_secs_f64() - 1.0).abs() < 1e-6,
            "{later:?}"
        );
        assert_eq!(eta.share(), 0.6875);
        // One that stops early leaves nothing, and does not make the others look faster.
        eta.ended(3);
        let left = eta.left(seconds(30.0)).unwrap_or_default();
        assert!((left.as_secs_f64() - pace * 5.0).abs() < 1e-6, "{left:?}");
    }

    #[test]
    fn a_run_from_a_checkpoint_counts_from_there() {
        let mut eta = Eta::new(1, [(0, 100.0)].into_iter());
        eta.measured(0, 0.8, seconds(1.0));
        eta.measured(0, 0.9, seconds(11.0));
        let left = eta.left(seconds(11.0)).unwrap_or_default();
        assert!((left.as_secs_f64() - 10.0).abs() < 1e-6, "{left:?}");
    }

    #[test]
    fn each_problem_has_its_pace_once_it_is_seen() {
        // The first problem takes three times as long as expected, the second half as long.
        let mut eta = Eta::new(1, [(0, 10.0), (1, 10.0), (1, 10.0)].into_iter());
        eta.measured(0, 0.0, seconds(0.0));
        eta.measured(0, 1.0, seconds(30.0));
        eta.ended(0);
        assert_eq!(eta.left(seconds(30.0)), Some(seconds(60.0)));
        eta.measured(1, 0.0, seconds(30.0));
        eta.measured(1, 0.4, seconds(32.0));
        assert_eq!(eta.left(seconds(32.0)), Some(seconds(8.0)));
    }
}
