//! One run: an optimizer on a problem within a budget, measured as it goes.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use optim::{Counts, Meter, Optimizer, Oracle, PairCounts, Phase, Step, StopReason};

use super::cell::CellId;
use super::checkpoint::Checkpoint;
use super::record::{CurvePoint, Outcome, RunRecord, SwitchPoint, rounded};
use super::start::start;
use super::state::{LastStep, RunState};
use crate::error::{Error, Result, without_backtrace};
use crate::problem::{Environment, Measurement, Problem};
use crate::spec::{OptimizerEntry, ProblemEntry};

/// A loss that has grown to this many times the start's, or beyond this where that is below 1, counts
/// as divergence, though it is finite: no method comes back from there.
const DIVERGED: f64 = 1e30;

/// What happens in a run.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// The run goes on where an earlier one left it, with this record.
    Resumed(&'a RunRecord),
    /// A point of the curve was measured.
    Measured(&'a CurvePoint),
    /// The other method took over.
    Switched(&'a SwitchPoint),
    /// The state could not be kept; the run goes on, at the risk of a longer way back.
    NotKept(&'a Error),
    /// The kept state could not be used; the run begins at its start.
    NotResumed(&'a Error),
}

/// Runs one optimizer on one problem; `observe` is told what happens. Whatever happens,
/// what was measured is in the record. With a `checkpoint`, the run goes on where an earlier one left
/// it, to the same numbers as if it had never stopped.
pub fn run(
    problem: &ProblemEntry,
    optimizer: &OptimizerEntry,
    seed: u64,
    environment: &Environment,
    checkpoint: Option<&Checkpoint>,
    interrupted: &AtomicBool,
    observe: &mut dyn FnMut(Event<'_>),
) -> RunRecord {
    let mut state = RunState::new(CellId::new(problem, optimizer, seed));
    let build = || start(problem, optimizer, seed, environment);
    let outcome = build().and_then(|(built, optimizer)| {
        let mut training = Training {
            entry: problem,
            build: &build,
            problem: built,
            optimizer,
            meter: Meter::with_budget(problem.budget),
            state: &mut state,
            observe,
        };
        training.train(checkpoint, interrupted)
    });
    state.record.outcome = outcome.unwrap_or_else(|error| Outcome::Failed {
        reason: reason(&error),
    });
    state.record.seconds = rounded(state.record.seconds);
    state.record
}

/// Why a run failed. CUDA says neither whose memory is full nor what to do about it.
fn reason(error: &Error) -> String {
    let text = without_backtrace(&error.to_string());
    if text.contains("CUDA_ERROR_OUT_OF_MEMORY") {
        return format!(
            "{text}: the GPU's memory does not hold model, batch and optimizer; take a smaller batch or history, keep \
             the history in bf16, or take a GPU with more memory that no other process uses"
        );
    }
    text
}

/// Makes the problem and the optimizer of a run, at its start.
type Build<'a> = &'a dyn Fn() -> Result<(Box<dyn Problem>, Box<dyn Optimizer>)>;

/// A run under way. Its clock, `state.record.seconds`, runs only while the optimizer works.
struct Training<'a> {
    entry: &'a ProblemEntry,
    build: Build<'a>,
    problem: Box<dyn Problem>,
    optimizer: Box<dyn Optimizer>,
    meter: Meter,
    state: &'a mut RunState,
    observe: &'a mut dyn FnMut(Event<'_>),
}

impl Training<'_> {
    fn train(
        &mut self,
        checkpoint: Option<&Checkpoint>,
        interrupted: &AtomicBool,
    ) -> Result<Outcome> {
        let resumed = match checkpoint {
            Some(checkpoint) => self.resume(checkpoint)?,
            None => false,
        };
        if resumed {
            (self.observe)(Event::Resumed(&self.state.record));
        } else {
            self.state.next_point = self.next_point(0);
            self.state.sample_gradients = self.problem.samples(0).map(|_| 0);
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
                self.keep(checkpoint);
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

    /// Writes the state.
    fn keep(&mut self, checkpoint: &Checkpoint) {
        let written = checkpoint.write(&*self.problem, &*self.optimizer, self.state);
        if let Err(error) = written {
            (self.observe)(Event::NotKept(&error));
        }
    }

    /// Goes on from the kept state, if there is one that can be used; whether it did.
    fn resume(&mut self, checkpoint: &Checkpoint) -> Result<bool> {
        let cell = &self.state.record.cell;
        let (problem, optimizer) = (&mut *self.problem, &mut *self.optimizer);
        match checkpoint.read(cell, problem, optimizer) {
            Ok(None) => Ok(false),
            Ok(Some(state)) => {
                self.meter = self.meter.resume(state.record.counts);
                *self.state = state;
                Ok(true)
            }
            Err(error) => {
                (self.observe)(Event::NotResumed(&error));
                // Some of it may have been restored before the fault was found.
                (self.problem, self.optimizer) = (self.build)()?;
                Ok(false)
            }
        }
    }

    /// Makes one step, and the measurement that is due after it; the outcome if the run ends here.
    fn step(&mut self) -> Result<Option<Outcome>> {
        let counts = self.meter.counts();
        let (sample_gradients, seconds) = (self.state.sample_gradients, self.state.record.seconds);
        let started = Instant::now();
        let (step, first) = (self.state.steps, self.state.batches);
        let (made, batches) = advance(
            self.problem.as_mut(),
            self.optimizer.as_mut(),
            first,
            &mut self.meter,
        )?;
        self.state.steps += 1;
        self.state.batches = batches.end;
        self.state.record.seconds += started.elapsed().as_secs_f64();
        self.state.record.counts = self.meter.counts();
        let evaluations = self.meter.counts().evaluations() - counts.evaluations();
        let joined = batches.end - batches.start;
        let samples: Option<u64> = batches.map(|batch| self.problem.samples(batch)).sum();
        if let (Some(spent), Some(samples)) = (&mut self.state.sample_gradients, samples) {
            *spent += evaluations / joined * samples;
        }
        let diagnostics = self.optimizer.diagnostics();
        self.state.record.pairs = PairCounts::from(&diagnostics.counters);
        self.problem.observe(first, &made);

        let asked = diagnostics.criteria.last();
        let last = LastStep {
            gradient_norm: made.gradient_norm,
            phase: made.phase,
            criterion: asked
                .filter(|record| record.step == step)
                .map(|record| (record.value, record.threshold)),
        };
        let previous = self.state.last.replace(last);
        if previous.is_some_and(|previous| previous.phase != made.phase) {
            let switch = SwitchPoint {
                step,
                epoch: self.epochs(first),
                gradient_evaluations: counts.gradient_evaluations,
                sample_gradients,
                seconds: rounded(seconds),
                to: made.phase,
            };
            (self.observe)(Event::Switched(&switch));
            self.state.record.switches.push(switch);
        }

        let loss = made.final_loss.unwrap_or(made.loss);
        if has_diverged(loss, self.start()) {
            return Ok(Some(self.diverged(step, loss)));
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
            Some(_) => self.state.batches,
            None => self.meter.counts().evaluations(),
        };
        // Where the loss is that of epochs, a point that is due waits for the end of its epoch.
        let steps_per_epoch = self.problem.steps_per_epoch();
        let known =
            !self.problem.reports_epochs() || self.state.batches.is_multiple_of(steps_per_epoch);
        if passed >= self.state.next_point && known && self.spent().is_none() {
            self.state.next_point = self.next_point(passed);
            let point = self.measure()?;
            if !point.loss.is_finite() {
                return Ok(Some(self.diverged(step, point.loss)));
            }
        }
        Ok(None)
    }

    fn step_limit(&self) -> Option<u64> {
        self.entry.step_limit(self.problem.steps_per_epoch())
    }

    /// The evaluations, or batches, at which the point after `passed` is due: points are spread over the limit that is
    /// sure to be met, the epochs if there are any. Without epochs there are further ones, so that costs are known to
    /// the resolution asked for.
    fn next_point(&self, passed: u64) -> u64 {
        let limit = self.step_limit();
        let interval = limit
            .unwrap_or(self.entry.budget)
            .div_ceil(self.entry.points);
        let even = (passed / interval + 1) * interval;
        match limit {
            Some(_) => even,
            None => even.min(passed + ((passed as f64 * self.entry.resolution) as u64).max(1)),
        }
    }

    /// Why no further step is made, if none is.
    fn spent(&self) -> Option<&'static str> {
        let too_late = |seconds| self.state.record.seconds >= seconds;
        if self.meter.remaining() == 0 {
            Some("budget spent")
        } else if self
            .step_limit()
            .is_some_and(|limit| self.state.batches >= limit)
        {
            Some("all epochs passed")
        } else if self.entry.seconds.is_some_and(too_late) {
            Some("time spent")
        } else {
            None
        }
    }

    /// The loss that was measured before the first step.
    fn start(&self) -> f64 {
        self.state
            .record
            .curve
            .first()
            .map_or(0.0, |point| point.loss)
    }

    fn epochs(&self, batches: u64) -> f64 {
        batches as f64 / self.problem.steps_per_epoch() as f64
    }

    /// Measures the problem where the optimizer's result is: at the parameters, or at the average of a
    /// method that averages. The parameters keep their bits.
    fn measure_result(&mut self) -> Result<Measurement> {
        let Some(result) = self.optimizer.evaluation_parameters()? else {
            return self.problem.measure();
        };
        let parameters = self.optimizer.parameters();
        let training = parameters.snapshot()?;
        parameters.restore(&result)?;
        let measurement = self.problem.measure();
        parameters.restore(&training)?;
        measurement
    }

    fn measure(&mut self) -> Result<CurvePoint> {
        let measurement = self.measure_result()?;
        let (counts, last) = (self.meter.counts(), self.state.last);
        let criterion = last.and_then(|last| last.criterion);
        let point = CurvePoint {
            step: self.state.steps,
            epoch: self.epochs(self.state.batches),
            gradient_evaluations: counts.gradient_evaluations,
            loss_evaluations: counts.loss_evaluations,
            sample_gradients: self.state.sample_gradients,
            seconds: rounded(self.state.record.seconds),
            loss: measurement.loss,
            running_loss: measurement.running_loss,
            test_loss: measurement.test_loss,
            accuracy: measurement.accuracy,
            running_accuracy: measurement.running_accuracy,
            word_perplexity: measurement.word_perplexity,
            residual_loss: measurement.residual_loss,
            initial_loss: measurement.initial_loss,
            boundary_loss: measurement.boundary_loss,
            relative_l2: measurement.relative_l2,
            largest_error: measurement.largest_error,
            gradient_norm: last.map(|last| last.gradient_norm),
            criterion: criterion.map(|(value, _)| value),
            threshold: criterion.map(|(_, threshold)| threshold),
            phase: last.map_or(Phase::FirstOrder, |last| last.phase),
        };
        self.state.record.curve.push(point);
        (self.observe)(Event::Measured(&point));
        Ok(point)
    }

    fn finish(&mut self, reason: &str) -> Result<Outcome> {
        let point = self.measure()?;
        Ok(if point.loss.is_finite() {
            Outcome::Completed {
                reason: reason.into(),
            }
        } else {
            self.diverged(self.state.steps, point.loss)
        })
    }

    fn diverged(&self, step: u64, loss: f64) -> Outcome {
        Outcome::Diverged {
            step,
            value: match self.problem.part_not_finite() {
                Some(part) => format!("{loss} in `{part}`"),
                None => loss.to_string(),
            },
        }
    }
}

/// One optimizer step from batch `first` (from 0) on: on this batch alone, or on so many together as hold
/// the samples that the optimizer wants, or as are left in the epoch. Returns the batches too.
///
/// An evaluation of several batches together counts once for each of them, so that a budget buys as many samples
/// whatever their number. The last step may spend more than what is left, by fewer evaluations than it joins batches.
///
/// # Errors
/// When the batches' data cannot be had, or an evaluation fails.
pub fn advance(
    problem: &mut dyn Problem,
    optimizer: &mut dyn Optimizer,
    first: u64,
    meter: &mut Meter,
) -> Result<(Step, Range<u64>)> {
    let steps_per_epoch = problem.steps_per_epoch();
    let epoch = first / steps_per_epoch;
    if first.is_multiple_of(steps_per_epoch) {
        optimizer.start_epoch(epoch);
    }
    let mut batches = first..first + 1;
    if let (Some(wanted), Some(mut held)) = (optimizer.samples_wanted(), problem.samples(first)) {
        let end = (epoch + 1) * steps_per_epoch;
        while held < wanted && batches.end < end {
            held += problem.samples(batches.end).unwrap_or(0);
            batches.end += 1;
        }
    }
    let joined = batches.end - batches.start;
    let before = meter.counts();
    let affordable = meter.remaining().div_ceil(joined);
    let mut own =
        Meter::with_budget(before.evaluations().saturating_add(affordable)).resume(before);
    let mut objective = problem.joined_objective(batches.clone())?;
    let made = optimizer.step(&mut Oracle::new(objective.as_mut(), &mut own));
    let counted = |before, after| before + joined * (after - before);
    let after = own.counts();
    *meter = meter.resume(Counts {
        loss_evaluations: counted(before.loss_evaluations, after.loss_evaluations),
        gradient_evaluations: counted(before.gradient_evaluations, after.gradient_evaluations),
    });
    Ok((made?, batches))
}

/// Whether a run that began with the loss `start` has diverged once it sees `loss`.
fn has_diverged(loss: f64, start: f64) -> bool {
    !loss.is_finite() || loss.abs() > DIVERGED * start.abs().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_gpu_memory_is_told_with_what_to_do() {
        // As cudarc 0.19 words it.
        let cuda = "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")";
        let error = Error::from(candle_core::Error::Msg(cuda.into()));
        let text = reason(&error);
        assert!(
            text.starts_with(cuda) && text.contains("smaller batch"),
            "{text}"
        );
        let other = Error::from(candle_core::Error::Msg("no".into()));
        assert_eq!(reason(&other), "no");
    }

    #[test]
    fn reasons_are_the_same_whether_backtraces_are_asked_for_or_not() {
        let plain = || candle_core::Error::Msg("cannot gather\nat index 9".into());
        let traced = candle_core::Error::WithBacktrace {
            inner: Box::new(plain()),
            backtrace: Box::new(std::backtrace::Backtrace::force_capture()),
        };
        let traced = Error::from(optim::Error::from(traced));
        assert_ne!(traced.to_string(), plain().to_string());
        assert_eq!(reason(&traced), reason(&Error::from(plain())));
    }
}
