//! How far work is: bars on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bench_data::{Progress, Task, Unit};
use bench_experiment::run::{self, CellId, CurvePoint, Outcome, RunRecord};
use bench_experiment::session::{Event, Sweep};
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::eta::SweepEta;

/// Time between plain lines.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);
/// Time between changes of a bar.
const BAR_INTERVAL: Duration = Duration::from_millis(500);

/// Shows on standard error what happens in a session.
pub struct Monitor<'a> {
    quiet: bool,
    sweep: Mutex<Option<SweepBar>>,
    /// Is given each point of a single run as it is measured.
    point: &'a (dyn Fn(&CurvePoint) + Sync),
}

impl<'a> Monitor<'a> {
    /// A monitor of sweeps; of faults alone if `quiet`.
    pub fn new(quiet: bool) -> Self {
        Self::of_points(quiet, &|_| ())
    }

    /// A monitor that also hands on the measured points.
    pub fn of_points(quiet: bool, point: &'a (dyn Fn(&CurvePoint) + Sync)) -> Self {
        Self {
            quiet,
            sweep: Mutex::new(None),
            point,
        }
    }

    /// Shows what happened.
    pub fn observe(&self, event: Event<'_>) {
        if let Some(line) = notice(&event) {
            self.say(&line);
        }
        match event {
            Event::Planned(sweep) => {
                if !self.quiet {
                    eprint!("{}", announcement(sweep));
                }
                *self.bar() = Some(SweepBar::new(sweep, self.quiet));
            }
            Event::Run(cell, run::Event::Measured(point)) => {
                (self.point)(point);
                if let Some(bar) = &mut *self.bar() {
                    bar.measured(cell, point);
                }
            }
            Event::Finished(record, _) => {
                if let Some(bar) = &mut *self.bar() {
                    bar.finished(record);
                }
            }
            Event::Ended => {
                if let Some(sweep) = self.bar().take() {
                    sweep.bar.finish_and_clear();
                }
            }
            _ => {}
        }
    }

    fn bar(&self) -> std::sync::MutexGuard<'_, Option<SweepBar>> {
        self.sweep
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A line that stays, above the bar if there is one.
    fn say(&self, line: &str) {
        match &*self.bar() {
            Some(sweep) if !sweep.bar.is_hidden() => sweep.bar.println(line),
            _ => eprintln!("{line}"),
        }
    }
}

/// What a reader must be told of an event: that something is not as it was to be. `None` of what is.
pub fn notice(event: &Event<'_>) -> Option<String> {
    Some(match event {
        Event::Run(cell, run::Event::NotKept(error)) => format!("{cell}: no checkpoint: {error}"),
        Event::Run(cell, run::Event::NotResumed(error)) => {
            format!("{cell}: checkpoint not used: {error}")
        }
        Event::Finished(record, _) => match &record.outcome {
            Outcome::Failed { reason } => format!("{} failed: {reason}", record.cell),
            _ => return None,
        },
        Event::NotStored(cell, error) => {
            format!("{cell} is in the report, but not in the store: {error}")
        }
        Event::NotStarted(cell, reason) => format!("{cell} failed: {reason}"),
        Event::NotLogged(cell, error) => format!("status will not know of {cell}: {error}"),
        Event::PreparationFailed(failed, folder) => format!(
            "{failed} of these runs failed and count as the worst; to have them made again, delete {}",
            folder.display()
        ),
        Event::LeftOut(suite, problem, error) => {
            format!("{suite}: `{}` is left out: {error}", problem.label)
        }
        Event::SomeFailed(suite, failed, total) => {
            format!("{suite}: {failed} of {total} runs failed; the others are used")
        }
        Event::Planned(_)
        | Event::Started(_)
        | Event::Run(
            _,
            run::Event::Resumed(_) | run::Event::Measured(_) | run::Event::Switched(_),
        )
        | Event::Ended => return None,
    })
}

/// What a sweep is and will take, in a line.
pub fn announcement(sweep: &Sweep<'_>) -> String {
    let (name, estimate) = (&sweep.experiment.name, &sweep.estimate);
    let failed = |record: &&RunRecord| matches!(record.outcome, Outcome::Failed { .. });
    let known = sweep.records.iter().flatten();
    let runs = sweep.cells.len() - known.filter(failed).count();
    if estimate.runs == 0 {
        return format!("{name}: {runs} runs, all in the store\n");
    }
    let stored = match runs - estimate.runs {
        0 => String::new(),
        stored => format!(" ({stored} more are in the store)"),
    };
    let seconds = estimate.seconds / sweep.resources.jobs as f64;
    format!(
        "{name}: {} runs{stored}, at most {} evaluations, about {} with {} at a time on {} threads\n",
        estimate.runs,
        estimate.evaluations,
        HumanDuration(Duration::from_secs_f64(seconds)),
        sweep.resources.jobs,
        sweep.resources.threads,
    )
}

/// How far a sweep is.
struct SweepBar {
    bar: ProgressBar,
    lines: bool,
    started: Instant,
    eta: SweepEta,
    runs: usize,
    done: usize,
    /// When it is shown next: what is left takes time to find in a large sweep.
    next: Duration,
}

/// Places of a full bar.
const FULL: u64 = 1000;

impl SweepBar {
    fn new(sweep: &Sweep<'_>, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = match terminal && !quiet {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(FULL), target);
        if let Ok(style) = ProgressStyle::with_template(
            "{bar:30} {percent:>3} %  {msg}, {elapsed} passed, {prefix}",
        ) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        let mut bar = Self {
            bar,
            lines: !terminal && !quiet,
            started: Instant::now(),
            eta: SweepEta::new(sweep),
            runs: sweep.missing.len(),
            done: 0,
            next: Duration::ZERO,
        };
        match bar.lines {
            true => bar.next = PLAIN_INTERVAL,
            false => bar.show(),
        }
        bar
    }

    fn measured(&mut self, cell: &CellId, point: &CurvePoint) {
        self.eta.measured(cell, point, self.started.elapsed());
        self.show();
    }

    fn finished(&mut self, record: &RunRecord) {
        self.eta.ended(&record.cell);
        self.done += 1;
        self.show();
    }

    fn show(&mut self) {
        let passed = self.started.elapsed();
        let unseen = !self.lines && self.bar.is_hidden();
        if unseen || (passed < self.next && self.done < self.runs) {
            return;
        }
        self.next = passed
            + if self.lines {
                PLAIN_INTERVAL
            } else {
                BAR_INTERVAL
            };
        let runs = format!("{} of {} runs", self.done, self.runs);
        let left = match self.eta.left(passed) {
            Some(left) => format!("{} left", HumanDuration(left)),
            None => "– left".into(),
        };
        if self.lines {
            eprintln!("{runs}, {} passed, {left}", HumanDuration(passed));
        } else {
            self.bar
                .set_position((self.eta.share() * FULL as f64) as u64);
            self.bar.set_message(runs);
            self.bar.set_prefix(left);
        }
    }
}

/// Shows the progress of downloads and decoding as bars, where standard error is a terminal.
#[derive(Debug)]
pub struct Bars;

impl Progress for Bars {
    fn start(&self, title: &str, unit: Unit, total: Option<u64>) -> Box<dyn Task> {
        let template = match (unit, total) {
            (Unit::Bytes, Some(_)) => {
                "{prefix} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left {wide_msg}"
            }
            (Unit::Bytes, None) => "{prefix} {bytes}, {bytes_per_sec} {wide_msg}",
            (Unit::Images, _) => "{prefix} {human_pos} images, {per_sec}",
        };
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(title.to_owned());
        Box::new(Bar(bar))
    }
}

struct Bar(ProgressBar);

impl Task for Bar {
    fn advance(&self, by: u64) {
        self.0.inc(by);
    }

    fn reached(&self, position: u64, total: Option<u64>) {
        if let Some(total) = total {
            self.0.set_length(total);
        }
        self.0.set_position(position);
    }

    fn note(&self, text: &str) {
        self.0.set_message(text.to_owned());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
