//! One run: an optimizer on a problem within a budget, measured as it goes.

mod checkpoint;
mod record;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use optim::{Meter, Optimizer, Oracle, PairCounts, Phase, Step, StopReason};
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
        reason: reason(&error),
    });
    progress.record
}

/// Why a run failed. CUDA says neither whose memory is full nor what to do about it.
fn reason(error: &crate::Error) -> String {
    let text = error.to_string();
    if text.contains("CUDA_ERROR_OUT_OF_MEMORY") {
        return format!(
            "{text}: the GPU's memory does not hold model, batch and optimizer; take a smaller batch or history, keep \
             the history in bf16, or take a GPU with more memory that no other process uses"
        );
    }
    text
}

/// What a run has come to: all that its course depends on, beside the states of optimizer and problem.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Progress {
    record: RunRecord,
    /// Steps made.
    steps: u64,
    /// The evaluations, or steps, at which the next point is measured.
    next_point: u64,
    last: Option<LastStep>,
}

/// What a measurement tells of the step before it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct LastStep {
    gradient_norm: f64,
    phase: Phase,
    /// What the switch criterion saw before it, and its threshold.
    criterion: Option<(f64, f64)>,
}

impl Progress {
    fn new(cell: CellId) -> Self {
        Self {
            record: RunRecord::new(cell, Outcome::Interrupted),
            steps: 0,
            next_point: 0,
            last: None,
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
        let step = self.progress.steps;
        let made = advance(
            self.problem.as_mut(),
            self.optimizer.as_mut(),
            step,
            &mut self.meter,
        )?;
        self.progress.steps += 1;
        self.progress.record.seconds += started.elapsed().as_secs_f64();
        self.progress.record.counts = self.meter.counts();
        self.problem.observe(step, &made);

        let diagnostics = self.optimizer.diagnostics();
        self.progress.record.pairs = PairCounts::from(&diagnostics.counters);
        let asked = diagnostics.criteria.last();
        let last = LastStep {
            gradient_norm: made.gradient_norm,
            phase: made.phase,
            criterion: asked
                .filter(|record| record.step == step)
                .map(|record| (record.value, record.threshold)),
        };
        let previous = self.progress.last.replace(last);
        if previous.is_some_and(|previous| previous.phase != made.phase) {
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
        let (counts, last) = (self.meter.counts(), self.progress.last);
        let criterion = last.and_then(|last| last.criterion);
        let point = CurvePoint {
            step: self.progress.steps,
            epoch: self.epochs(self.progress.steps),
            gradient_evaluations: counts.gradient_evaluations,
            loss_evaluations: counts.loss_evaluations,
            seconds: self.progress.record.seconds,
            loss: measurement.loss,
            test_loss: measurement.test_loss,
            accuracy: measurement.accuracy,
            word_perplexity: measurement.word_perplexity,
            gradient_norm: last.map(|last| last.gradient_norm),
            criterion: criterion.map(|(value, _)| value),
            threshold: criterion.map(|(_, threshold)| threshold),
            phase: last.map_or(Phase::FirstOrder, |last| last.phase),
        };
        self.progress.record.curve.push(point);
        (self.observe)(&point);
        Ok(point)
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

/// One optimizer step on the objective of step `step`.
pub(crate) fn advance(
    problem: &mut dyn Problem,
    optimizer: &mut dyn Optimizer,
    step: u64,
    meter: &mut Meter,
) -> Result<Step> {
    let steps_per_epoch = problem.steps_per_epoch();
    if step.is_multiple_of(steps_per_epoch) {
        optimizer.start_epoch(step / steps_per_epoch);
    }
    let mut objective = problem.objective(step)?;
    Ok(optimizer.step(&mut Oracle::new(objective.as_mut(), meter))?)
}

fn diverged(step: u64, loss: f64) -> Outcome {
    Outcome::Diverged {
        step,
        value: loss.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_gpu_memory_is_told_with_what_to_do() {
        // As cudarc 0.19 words it.
        let cuda = "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")";
        let error = crate::Error::from(candle_core::Error::Msg(cuda.into()));
        let text = reason(&error);
        assert!(
            text.starts_with(cuda) && text.contains("smaller batch"),
            "{text}"
        );
        let other = crate::Error::from(candle_core::Error::Msg("no".into()));
        assert_eq!(reason(&other), "no");
    }
}
