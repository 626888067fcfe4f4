//! One run: an optimizer on a problem within a budget, measured as it goes.

mod record;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use optim::{Meter, Optimizer, Oracle, Phase, Step, StopReason};

use crate::Result;
use crate::problem::{Environment, Problem};
use crate::spec::{OptimizerEntry, ProblemEntry};

pub use record::{CellId, CurvePoint, Outcome, RunRecord, SwitchPoint};

/// A loss beyond this counts as divergence, though it is finite: no method comes back from there.
const DIVERGED: f64 = 1e30;

/// Runs one optimizer on one problem; `observe` sees each point when it is measured. Whatever happens,
/// what was measured is in the record.
pub fn run(
    problem: &ProblemEntry,
    optimizer: &OptimizerEntry,
    seed: u64,
    environment: &Environment,
    interrupted: &AtomicBool,
    observe: &mut dyn FnMut(&CurvePoint),
) -> RunRecord {
    let mut trace = Trace {
        record: RunRecord {
            cell: CellId::new(problem, optimizer, seed),
            outcome: Outcome::Interrupted,
            counts: optim::Counts::default(),
            seconds: 0.0,
            switches: Vec::new(),
            curve: Vec::new(),
        },
        trained: Duration::ZERO,
        observe,
    };
    let outcome = train(problem, optimizer, environment, interrupted, &mut trace);
    trace.record.outcome = outcome.unwrap_or_else(|error| Outcome::Failed {
        reason: error.to_string(),
    });
    trace.record
}

/// A record in the making, and the clock that runs only while the optimizer works.
struct Trace<'a> {
    record: RunRecord,
    trained: Duration,
    observe: &'a mut dyn FnMut(&CurvePoint),
}

fn train(
    entry: &ProblemEntry,
    optimizer: &OptimizerEntry,
    environment: &Environment,
    interrupted: &AtomicBool,
    trace: &mut Trace<'_>,
) -> Result<Outcome> {
    let mut problem = entry.config.build(&trace.record.cell, environment)?;
    let mut optimizer = optimizer.config.build(problem.parameters())?;
    let mut meter = Meter::with_budget(entry.budget);
    let steps_per_epoch = problem.steps_per_epoch();
    let steps = entry.epochs.map(|epochs| epochs * steps_per_epoch);
    // Points are spread over the limit that is sure to be met: the epochs if there are any.
    let interval = steps.unwrap_or(entry.budget).div_ceil(entry.points);
    let mut next_point = interval;
    // Why no step follows `step` steps, if none does.
    let spent = |meter: &Meter, step: u64| match steps {
        _ if meter.remaining() == 0 => Some("budget spent"),
        Some(steps) if step >= steps => Some("all epochs passed"),
        _ => None,
    };
    let mut previous: Option<Phase> = None;
    let mut last: Option<Step> = None;

    trace.measure(problem.as_mut(), 0, steps_per_epoch, &meter, last)?;
    for step in 0.. {
        if let Some(reason) = spent(&meter, step) {
            return trace.finish(
                problem.as_mut(),
                step,
                steps_per_epoch,
                &meter,
                last,
                reason,
            );
        }
        if interrupted.load(Ordering::Relaxed) {
            trace.measure(problem.as_mut(), step, steps_per_epoch, &meter, last)?;
            return Ok(Outcome::Interrupted);
        }
        let before = meter.counts();
        let started = Instant::now();
        let made = advance(problem.as_mut(), optimizer.as_mut(), step, &mut meter)?;
        let seconds_before = trace.trained.as_secs_f64();
        trace.trained += started.elapsed();
        trace.record.counts = meter.counts();
        trace.record.seconds = trace.trained.as_secs_f64();
        last = Some(made);
        problem.observe(step, &made);

        if previous.is_some_and(|phase| phase != made.phase) {
            trace.record.switches.push(SwitchPoint {
                step,
                epoch: step as f64 / steps_per_epoch as f64,
                gradient_evaluations: before.gradient_evaluations,
                seconds: seconds_before,
                to: made.phase,
            });
        }
        previous = Some(made.phase);

        let loss = made.final_loss.unwrap_or(made.loss);
        if !loss.is_finite() || loss.abs() > DIVERGED {
            return Ok(Outcome::Diverged {
                step,
                value: loss.to_string(),
            });
        }
        if problem.is_deterministic() && has_converged(made.stop) {
            let reason = match made.stop {
                StopReason::GradientTolerance => "gradient tolerance reached",
                _ => "change tolerance reached",
            };
            return trace.finish(
                problem.as_mut(),
                step + 1,
                steps_per_epoch,
                &meter,
                last,
                reason,
            );
        }
        let passed = steps.map_or(meter.counts().evaluations(), |_| step + 1);
        if passed >= next_point && spent(&meter, step + 1).is_none() {
            next_point = (passed / interval + 1) * interval;
            let point = trace.measure(problem.as_mut(), step + 1, steps_per_epoch, &meter, last)?;
            if !point.loss.is_finite() {
                return Ok(Outcome::Diverged {
                    step,
                    value: point.loss.to_string(),
                });
            }
        }
    }
    Ok(Outcome::Interrupted)
}

/// One optimizer step on the step's objective.
fn advance(
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

fn has_converged(stop: StopReason) -> bool {
    matches!(
        stop,
        StopReason::GradientTolerance | StopReason::ChangeTolerance
    )
}

impl Trace<'_> {
    fn measure(
        &mut self,
        problem: &mut dyn Problem,
        step: u64,
        steps_per_epoch: u64,
        meter: &Meter,
        last: Option<Step>,
    ) -> Result<CurvePoint> {
        let measurement = problem.measure()?;
        let counts = meter.counts();
        let point = CurvePoint {
            step,
            epoch: step as f64 / steps_per_epoch as f64,
            gradient_evaluations: counts.gradient_evaluations,
            loss_evaluations: counts.loss_evaluations,
            seconds: self.trained.as_secs_f64(),
            loss: measurement.loss,
            test_loss: measurement.test_loss,
            accuracy: measurement.accuracy,
            word_perplexity: measurement.word_perplexity,
            gradient_norm: last.map(|step| step.gradient_norm),
            phase: last.map_or(Phase::FirstOrder, |step| step.phase),
        };
        self.record.curve.push(point);
        (self.observe)(&point);
        Ok(point)
    }

    fn finish(
        &mut self,
        problem: &mut dyn Problem,
        step: u64,
        steps_per_epoch: u64,
        meter: &Meter,
        last: Option<Step>,
        reason: &str,
    ) -> Result<Outcome> {
        let point = self.measure(problem, step, steps_per_epoch, meter, last)?;
        Ok(if point.loss.is_finite() {
            Outcome::Completed {
                reason: reason.into(),
            }
        } else {
            Outcome::Diverged {
                step,
                value: point.loss.to_string(),
            }
        })
    }
}
