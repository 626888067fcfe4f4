//! A sweep under way as its page asks for it: the session's events, gathered, and the wishes of who looks on.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bench_experiment::run::{self, CellId, CurvePoint, Outcome, RunRecord, SwitchPoint};
use bench_experiment::session::{Event, Sweep};
use bench_experiment::store::Results;
use bench_report::live::{self, Trouble};
use parking_lot::{Condvar, Mutex, MutexGuard};
use serde::Serialize;

use super::super::eta::SweepEta;
use super::super::progress::{announcement, notice};
use crate::error::{Error, Result};

/// Lines of the log that are kept, and troubles that are listed.
const LINES: usize = 500;

/// How often a wait looks whether Ctrl-C was pressed.
const LOOK: Duration = Duration::from_millis(100);

/// What the sweep does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Phase {
    Preparing,
    Running,
    Reporting,
    Stopped,
    Done,
    Failed,
}

/// A sweep under way.
pub struct Watch {
    state: Mutex<State>,
    continued: Condvar,
    /// What stops the session.
    interrupted: &'static AtomicBool,
}

struct State {
    phase: Phase,
    stopping: bool,
    resume: bool,
    message: Option<String>,
    /// The address of the last report, below the page's.
    report: Option<String>,
    /// How many sweeps there were so far: an experiment has several where settings are chosen.
    sweeps: usize,
    sweep: Option<Growing>,
    log: VecDeque<Line>,
    logged: u64,
}

/// A sweep's runs, as far as they are.
struct Growing {
    begun: Instant,
    ended: Option<Instant>,
    planned: Vec<CellId>,
    /// Runs that have begun are in it; those under way as if they had been interrupted.
    results: Results,
    /// Where each of these runs is among the results' records.
    places: HashMap<CellId, usize>,
    /// The share that is done of those under way.
    under_way: BTreeMap<CellId, f64>,
    eta: SweepEta,
    /// How often each problem's curves have changed.
    revisions: Vec<u64>,
}

/// A line of the log.
#[derive(Debug, Clone, Serialize)]
struct Line {
    number: u64,
    text: String,
}

/// What the page asks for every second.
#[derive(Serialize)]
struct View<'a> {
    phase: Phase,
    stopping: bool,
    can_continue: bool,
    message: Option<&'a str>,
    report: Option<&'a str>,
    sweep: usize,
    planned: usize,
    ended: usize,
    failed: usize,
    diverged: usize,
    /// Of the work.
    share: f64,
    seconds: f64,
    left: Option<f64>,
    under_way: Vec<UnderWay>,
    problems: Vec<OfProblem>,
    troubles: Vec<Trouble>,
    log: Vec<&'a Line>,
}

#[derive(Serialize)]
struct UnderWay {
    run: String,
    /// The number of its problem.
    problem: usize,
    share: f64,
}

#[derive(Clone, Default, Serialize)]
struct OfProblem {
    revision: u64,
    planned: usize,
    ended: usize,
}

impl Watch {
    /// Of a sweep that stops when `interrupted` becomes true.
    pub fn new(interrupted: &'static AtomicBool) -> Self {
        Self {
            state: Mutex::new(State {
                phase: Phase::Preparing,
                stopping: false,
                resume: false,
                message: None,
                report: None,
                sweeps: 0,
                sweep: None,
                log: VecDeque::new(),
                logged: 0,
            }),
            continued: Condvar::new(),
            interrupted,
        }
    }

    // ---- what the session tells

    /// Takes note of what happened.
    pub fn observe(&self, event: Event<'_>) {
        let state = &mut *self.state.lock();
        if let Some(line) = notice(&event) {
            state.say(line);
        }
        match event {
            Event::Planned(sweep) => {
                state.say(announcement(sweep).trim_end().to_owned());
                state.phase = Phase::Running;
                state.sweeps += 1;
                state.sweep = Some(Growing::new(sweep));
            }
            Event::Started(cell) => {
                state.say(format!("{cell} begins"));
                if let Some(sweep) = &mut state.sweep {
                    sweep.keep(RunRecord::new(cell.clone(), Outcome::Interrupted));
                    sweep.under_way.insert(cell.clone(), 0.0);
                }
            }
            Event::Run(_, run::Event::Resumed(record)) => {
                if let Some(sweep) = &mut state.sweep {
                    sweep.keep(RunRecord {
                        outcome: Outcome::Interrupted,
                        ..record.clone()
                    });
                }
            }
            Event::Run(cell, run::Event::Measured(point)) => {
                if let Some(sweep) = &mut state.sweep {
                    sweep.measured(cell, point);
                }
            }
            Event::Run(cell, run::Event::Switched(switch)) => {
                if let Some(sweep) = &mut state.sweep {
                    sweep.switched(cell, switch);
                }
            }
            Event::Finished(record, _) => {
                if !matches!(record.outcome, Outcome::Failed { .. }) {
                    state.say(live::ending(record));
                }
                if let Some(sweep) = &mut state.sweep {
                    sweep.under_way.remove(&record.cell);
                    sweep.keep(record.clone());
                    sweep.eta.ended(&record.cell);
                }
            }
            Event::Ended => {
                state.phase = Phase::Reporting;
                if let Some(sweep) = &mut state.sweep {
                    sweep.ended = Some(Instant::now());
                }
            }
            _ => {}
        }
    }

    /// Takes note that a report was written, at an address below the page's.
    pub fn published(&self, address: String) {
        let mut state = self.state.lock();
        state.say(format!("report written: {address}"));
        state.report = Some(address);
        state.phase = Phase::Preparing;
    }

    /// Takes note that everything has ended, and says whether it was stopped from the page.
    pub fn ended(&self, result: &Result<()>) -> bool {
        use bench_experiment::Error as Experiment;
        let mut state = self.state.lock();
        (state.phase, state.message) = match result {
            Ok(()) => (Phase::Done, None),
            Err(Error::Experiment(Experiment::Interrupted { .. })) => (Phase::Stopped, None),
            Err(error @ Error::RunsFailed { .. }) => (Phase::Done, Some(error.to_string())),
            Err(error) => (Phase::Failed, Some(error.to_string())),
        };
        if let Some(message) = state.message.clone() {
            state.say(message);
        }
        std::mem::take(&mut state.stopping)
    }

    /// Waits until the page wants the sweep to go on; false when Ctrl-C ends the wait.
    pub fn wait(&self) -> bool {
        let mut state = self.state.lock();
        while !state.resume {
            if self.interrupted.load(Ordering::Relaxed) {
                return false;
            }
            self.continued.wait_for(&mut state, LOOK);
        }
        state.resume = false;
        state.message = None;
        state.phase = Phase::Preparing;
        true
    }

    // ---- what the page asks

    /// Stops the sweep as Ctrl-C does; false where nothing is under way.
    pub fn stop(&self) -> bool {
        let mut state = self.state.lock();
        if !state.is_working() || state.stopping {
            return false;
        }
        state.say("stopped from the page; what is complete is kept".to_owned());
        state.stopping = true;
        self.interrupted.store(true, Ordering::Relaxed);
        true
    }

    /// Has the sweep go on; false where it is under way, or nothing is left to do.
    pub fn resume(&self) -> bool {
        let mut state = self.state.lock();
        if !state.can_continue() || state.resume {
            return false;
        }
        state.say("continued from the page".to_owned());
        state.resume = true;
        self.continued.notify_all();
        true
    }

    /// The state as JSON, with the lines of the log after this number.
    pub fn state(&self, after: u64) -> String {
        json(&self.state.lock().view(after))
    }

    /// What the sweep is, as JSON.
    pub fn outline(&self) -> Option<String> {
        let sweep = self.sweep()?;
        Some(json(&live::outline(&sweep.results, &sweep.planned)))
    }

    /// The curves of a problem, as JSON.
    pub fn curves(&self, problem: usize) -> Option<String> {
        live::curves(&self.sweep()?.results, problem).map(|curves| json(&curves))
    }

    fn sweep(&self) -> Option<parking_lot::MappedMutexGuard<'_, Growing>> {
        MutexGuard::try_map(self.state.lock(), |state| state.sweep.as_mut()).ok()
    }
}

impl State {
    fn say(&mut self, text: String) {
        self.logged += 1;
        self.log.push_back(Line {
            number: self.logged,
            text,
        });
        if self.log.len() > LINES {
            self.log.pop_front();
        }
    }

    fn is_working(&self) -> bool {
        matches!(
            self.phase,
            Phase::Preparing | Phase::Running | Phase::Reporting
        )
    }

    /// Whether something is left that going on would make.
    fn can_continue(&self) -> bool {
        match self.phase {
            Phase::Stopped | Phase::Failed => true,
            Phase::Done => self.message.is_some(),
            Phase::Preparing | Phase::Running | Phase::Reporting => false,
        }
    }

    fn view(&self, after: u64) -> View<'_> {
        let sweep = self.sweep.as_ref();
        let records = || sweep.iter().flat_map(|sweep| &sweep.results.records);
        let troubles = || records().filter_map(live::trouble);
        let count = |outcome| troubles().filter(|it| it.outcome == outcome).count();
        View {
            phase: self.phase,
            stopping: self.stopping,
            can_continue: self.can_continue() && !self.resume,
            message: self.message.as_deref(),
            report: self.report.as_deref(),
            sweep: self.sweeps,
            planned: sweep.map_or(0, |sweep| sweep.planned.len()),
            ended: records()
                .filter(|run| run.outcome != Outcome::Interrupted)
                .count(),
            failed: count("failed"),
            diverged: count("diverged"),
            share: sweep.map_or(0.0, Growing::share),
            seconds: sweep.map_or(0.0, |sweep| sweep.passed().as_secs_f64()),
            left: sweep
                .filter(|sweep| sweep.ended.is_none())
                .and_then(|sweep| sweep.eta.left(sweep.passed()))
                .map(|left| left.as_secs_f64()),
            under_way: sweep.map_or_else(Vec::new, Growing::under_way),
            problems: sweep.map_or_else(Vec::new, Growing::of_problems),
            troubles: troubles().take(LINES).collect(),
            log: self.log.iter().filter(|line| line.number > after).collect(),
        }
    }
}

impl Growing {
    fn new(sweep: &Sweep<'_>) -> Self {
        let dimensions = sweep.estimate.dimensions();
        let stored: Vec<RunRecord> = sweep.records.iter().flatten().cloned().collect();
        let problems = sweep.experiment.problems.len();
        let places = stored.iter().map(|run| run.cell.clone()).zip(0..);
        Self {
            begun: Instant::now(),
            ended: None,
            planned: sweep.cells.iter().map(|cell| cell.id()).collect(),
            places: places.collect(),
            under_way: BTreeMap::new(),
            eta: SweepEta::new(sweep),
            revisions: vec![1; problems],
            results: Results::new(sweep.experiment, &dimensions, stored),
        }
    }

    fn passed(&self) -> Duration {
        let until = self.ended.unwrap_or_else(Instant::now);
        until - self.begun
    }

    fn share(&self) -> f64 {
        let is_ended = |run: &RunRecord| run.outcome != Outcome::Interrupted;
        let ended = self.results.records.iter().filter(|run| is_ended(run));
        if ended.count() == self.planned.len() {
            return 1.0;
        }
        self.eta.share()
    }

    /// Keeps a run, in the place of what was known of it.
    fn keep(&mut self, run: RunRecord) {
        self.changed(&run.cell);
        match self.places.get(&run.cell) {
            Some(&place) => self.results.records[place] = run,
            None => {
                let place = self.results.records.len();
                self.places.insert(run.cell.clone(), place);
                self.results.records.push(run);
            }
        }
    }

    fn measured(&mut self, cell: &CellId, point: &CurvePoint) {
        self.changed(cell);
        if let Some(&place) = self.places.get(cell) {
            self.results.records[place].curve.push(*point);
        }
        if let Some(share) = self.eta.measured(cell, point, self.passed()) {
            self.under_way.insert(cell.clone(), share);
        }
    }

    fn switched(&mut self, cell: &CellId, switch: &SwitchPoint) {
        self.changed(cell);
        if let Some(&place) = self.places.get(cell) {
            self.results.records[place].switches.push(switch.clone());
        }
    }

    fn changed(&mut self, cell: &CellId) {
        if let Some(problem) = self.problem(cell) {
            self.revisions[problem] += 1;
        }
    }

    /// The number of a run's problem.
    fn problem(&self, cell: &CellId) -> Option<usize> {
        let mut problems = self.results.problems.iter();
        problems.position(|problem| problem.label == cell.problem)
    }

    fn under_way(&self) -> Vec<UnderWay> {
        let runs = self.under_way.iter();
        runs.map(|(cell, &share)| UnderWay {
            run: cell.to_string(),
            problem: self.problem(cell).unwrap_or_default(),
            share,
        })
        .collect()
    }

    fn of_problems(&self) -> Vec<OfProblem> {
        let mut counts: HashMap<&str, OfProblem> = HashMap::new();
        for cell in &self.planned {
            counts.entry(&cell.problem).or_default().planned += 1;
        }
        for run in &self.results.records {
            let ended = usize::from(run.outcome != Outcome::Interrupted);
            counts.entry(&run.cell.problem).or_default().ended += ended;
        }
        let problems = self.results.problems.iter().zip(&self.revisions);
        problems
            .map(|(problem, &revision)| OfProblem {
                revision,
                ..counts.remove(&*problem.label).unwrap_or_default()
            })
            .collect()
    }
}

/// The JSON of what has text keys and numbers only, which cannot fail.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
