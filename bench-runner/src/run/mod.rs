//! One run: an optimizer on a problem within a budget, measured as it goes.

mod checkpoint;
mod record;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use optim::{Meter, Optimizer, Oracle, Phase, Step, StopReason};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::problem::{Environment, Problem};
use crate::spec::{OptimizerEntry, ProblemEntry};

pub use checkpoint::Checkpoint;
pub use record::{CellId, CurvePoint, Outcome, RunRecord, SwitchPoint};

/// A loss beyond this counts as divergence, though it is finite: no method comes back from there.
const DIVERGED: f64 = 1e30;

/// Runs one optimizer on one problem; `observe` sees each point when it is measured. Whatever happens,
/// what was measured is in the record. With a `checkpoint`, the run goes on where an earlier one left
/// it, to the same numbers as if it had never stopped.
pub fn run(
    problem: &ProblemEntry,
    optimizer: &OptimizerEntry,
    seed: u64,
    environment: &Environment,
    checkpoint: Option<&Checkpoint>,
    interrupted: &AtomicBool,
    observe: &mut dyn FnMut(&CurvePoint),
) -> RunRecord {
    let mut progress = Progress::new(CellId::new(problem, optimizer, seed));
    let outcome = Training::new(problem, optimizer, environment, &mut progress, observe)
        .and_then(|mut training| training.train(checkpoint, interrupted));
    progress.record.outcome = outcome.unwrap_or_else(|error| Outcome::Failed {
        reason: error.to_string(),
    });
    progress.record
}

/// What a run has come to: all that its course depends on, beside the states of optimizer and problem.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Progress {
    record: RunRecord,
    /// Steps made.
    steps: u64,
    /// The evaluations, or steps, at which the next point is measured.
    next_point: u64,
    /// Gradient norm and phase of the last step.
    last: Option<(f64, Phase)>,
    /// Evaluations of the criterion that the record knows of.
    criterion_seen: usize,
}

impl Progress {
    fn new(cell: CellId) -> Self {
        Self {
            record: RunRecord {
                cell,
                outcome: Outcome::Interrupted,
                counts: optim::Counts::default(),
                seconds: 0.0,
                switches: Vec::new(),
                criterion: Vec::new(),
                second_order: None,
                curve: Vec::new(),
            },
            steps: 0,
            next_point: 0,
            last: None,
            criterion_seen: 0,
        }
    }
}

/// A run under way. Its clock, `progress.record.seconds`, runs only while the optimizer works.
struct Training<'a> {
    entry: &'a ProblemEntry,
    problem: Box<dyn Problem>,
    optimizer: Box<dyn Optimizer>,
    meter: Meter,
    progress: &'a mut Progress,
    observe: &'a mut dyn FnMut(&CurvePoint),
}

impl<'a> Training<'a> {
    fn new(
        entry: &'a ProblemEntry,
        optimizer: &OptimizerEntry,
        environment: &Environment,
        progress: &'a mut Progress,
        observe: &'a mut dyn FnMut(&CurvePoint),
    ) -> Result<Self> {
        let problem = entry.config.build(&progress.record.cell, environment)?;
        Ok(Self {
            entry,
            optimizer: optimizer.config.build(problem.parameters())?,
            problem,
            meter: Meter::with_budget(entry.budget),
            progress,
            observe,
        })
    }

    fn train(
        &mut self,
        checkpoint: Option<&Checkpoint>,
        interrupted: &AtomicBool,
    ) -> Result<Outcome> {
        let resumed = checkpoint.is_some_and(|checkpoint| checkpoint.resume(self));
        if !resumed {
            self.progress.next_point = self.interval();
            self.measure()?;
        }
        let mut kept = Instant::now();
        loop {
            if let Some(reason) = self.spent() {
                return self.finish(reason);
            }
            let stop = interrupted.load(Ordering::Relaxed);
            if let Some(checkpoint) = checkpoint
                && (stop || kept.elapsed() >= checkpoint.interval)
            {
                checkpoint.keep(self);
                kept = Instant::now();
            }
            if stop {
                self.measure()?;
                return Ok(Outcome::Interrupted);
            }
            if let Some(outcome) = self.step()? {
                return Ok(outcome);
            }
        }
    }

    /// Makes one step, and the measurement that is due after it; the outcome if the run ends here.
    fn step(&mut self) -> Result<Option<Outcome>> {
        let before = (self.meter.counts(), self.progress.record.seconds);
        let started = Instant::now();
        let made = self.advance()?;
        let step = self.progress.steps;
        self.progress.steps += 1;
        self.progress.record.seconds += started.elapsed().as_secs_f64();
        self.progress.record.counts = self.meter.counts();
        self.progress.record.second_order = self.optimizer.second_order_counts();
        self.problem.observe(step, &made);

        let previous = self.progress.last.replace((made.gradient_norm, made.phase));
        if previous.is_some_and(|(_, phase)| phase != made.phase) {
            self.note_criterion();
            self.progress.record.switches.push(SwitchPoint {
                step,
                epoch: self.epochs(step),
                gradient_evaluations: before.0.gradient_evaluations,
                seconds: before.1,
                to: made.phase,
            });
        }

        let loss = made.final_loss.unwrap_or(made.loss);
        if !loss.is_finite() || loss.abs() > DIVERGED {
            return Ok(Some(diverged(step, loss)));
        }
        let converged = match made.stop {
            _ if !self.problem.is_deterministic() => None,
            StopReason::GradientTolerance => Some("gradient tolerance reached"),
            StopReason::ChangeTolerance => Some("change tolerance reached"),
            _ => None,
        };
        if let Some(reason) = converged {
            return self.finish(reason).map(Some);
        }
        let passed = match self.step_limit() {
            Some(_) => self.progress.steps,
            None => self.meter.counts().evaluations(),
        };
        if passed >= self.progress.next_point && self.spent().is_none() {
            let interval = self.interval();
            self.progress.next_point = (passed / interval + 1) * interval;
            let point = self.measure()?;
            if !point.loss.is_finite() {
                return Ok(Some(diverged(step, point.loss)));
            }
        }
        Ok(None)
    }

    /// One optimizer step on the step's objective.
    fn advance(&mut self) -> Result<Step> {
        let (step, steps_per_epoch) = (self.progress.steps, self.problem.steps_per_epoch());
        if step.is_multiple_of(steps_per_epoch) {
            self.optimizer.start_epoch(step / steps_per_epoch);
        }
        let mut objective = self.problem.objective(step)?;
        let mut oracle = Oracle::new(objective.as_mut(), &mut self.meter);
        Ok(self.optimizer.step(&mut oracle)?)
    }

    /// Steps in all epochs, if epochs are limited.
    fn step_limit(&self) -> Option<u64> {
        let epochs = self.entry.epochs?;
        Some(epochs * self.problem.steps_per_epoch())
    }

    /// Evaluations, or steps, between points: they are spread over the limit that is sure to be met,
    /// the epochs if there are any.
    fn interval(&self) -> u64 {
        self.step_limit()
            .unwrap_or(self.entry.budget)
            .div_ceil(self.entry.points)
    }

    /// Why no further step is made, if none is.
    fn spent(&self) -> Option<&'static str> {
        let too_late = |seconds| self.progress.record.seconds >= seconds;
        if self.meter.remaining() == 0 {
            Some("budget spent")
        } else if self
            .step_limit()
            .is_some_and(|limit| self.progress.steps >= limit)
        {
            Some("all epochs passed")
        } else if self.entry.seconds.is_some_and(too_late) {
            Some("time spent")
        } else {
            None
        }
    }

    fn epochs(&self, steps: u64) -> f64 {
        steps as f64 / self.problem.steps_per_epoch() as f64
    }

    fn measure(&mut self) -> Result<CurvePoint> {
        let measurement = self.problem.measure()?;
        self.note_criterion();
        let counts = self.meter.counts();
        let point = CurvePoint {
            step: self.progress.steps,
            epoch: self.epochs(self.progress.steps),
            gradient_evaluations: counts.gradient_evaluations,
            loss_evaluations: counts.loss_evaluations,
            seconds: self.progress.record.seconds,
            loss: measurement.loss,
            test_loss: measurement.test_loss,
            accuracy: measurement.accuracy,
            gradient_norm: self.progress.last.map(|(norm, _)| norm),
            phase: self
                .progress
                .last
                .map_or(Phase::FirstOrder, |(_, phase)| phase),
        };
        self.progress.record.curve.push(point);
        (self.observe)(&point);
        Ok(point)
    }

    /// Keeps what the criterion saw at its last step, unless it is known.
    fn note_criterion(&mut self) {
        let records = self.optimizer.criterion_records();
        let new = &records[self.progress.criterion_seen.min(records.len())..];
        if let Some(last) = new.last() {
            let same_step = new.iter().filter(|record| record.step == last.step);
            self.progress.record.criterion.extend(same_step.cloned());
        }
        self.progress.criterion_seen = records.len();
    }

    fn finish(&mut self, reason: &str) -> Result<Outcome> {
        let point = self.measure()?;
        Ok(if point.loss.is_finite() {
            Outcome::Completed {
                reason: reason.into(),
            }
        } else {
            diverged(self.progress.steps, point.loss)
        })
    }
}

fn diverged(step: u64, loss: f64) -> Outcome {
    Outcome::Diverged {
        step,
        value: loss.to_string(),
    }
}
