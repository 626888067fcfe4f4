//! `run`: one run, its points printed as they are measured; or a share of a plan's.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bench_data::{Library, Tokens};
use bench_experiment::Error as Experiment;
use bench_experiment::run::{CurvePoint, Outcome};
use bench_experiment::session::{Event, Options, Session, share};
use bench_experiment::sweep::{Plan, Shard};
use clap::Parser;

use super::complete;
use super::input::experiment;
use super::options::{MOST_THREADS, options as session_options};
use super::progress::{Bars, Monitor};
use super::store::DEFAULT as DEFAULT_STORE;
use super::terminal::{interruptible, print};
use crate::error::{Error, Result};

#[derive(Debug, Parser)]
pub struct Run {
    /// A built-in suite's name or an experiment file
    #[arg(
        value_name = "SUITE|FILE.toml",
        required_unless_present = "plan",
        add = complete::experiments()
    )]
    experiment: Option<String>,
    /// The problem's label
    #[arg(required_unless_present = "plan", add = complete::problems())]
    problem: Option<String>,
    /// The optimizer's label
    #[arg(required_unless_present = "plan", add = complete::optimizers())]
    optimizer: Option<String>,
    /// The seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where tensors live: cpu, cuda[:N] or metal[:N]
    #[arg(long, default_value = "cpu")]
    device: String,
    /// A plan, as `ablation --executor plan` writes it: make a share of its runs instead
    #[arg(
        long,
        value_name = "FILE",
        requires = "shard",
        conflicts_with_all = ["experiment", "problem", "optimizer", "seed", "device"]
    )]
    plan: Option<PathBuf>,
    /// The share of the plan, for example 0/20 for the first of twenty
    #[arg(
        long,
        value_name = "I/N",
        requires = "plan",
        conflicts_with = "experiment"
    )]
    shard: Option<Shard>,
    /// Threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MOST_THREADS))]
    pub threads: Option<u16>,
    /// Of a plan, runs at the same time [default: as many as threads, or one per GPU]
    #[arg(
        long,
        value_name = "N",
        requires = "plan",
        conflicts_with = "experiment",
        value_parser = clap::value_parser!(u16).range(1..=MOST_THREADS)
    )]
    jobs: Option<u16>,
}

/// Makes one run, or a share of a plan's.
///
/// # Errors
/// Whatever ends the command; a run that fails ends it with its reason.
pub fn run(options: &Run, datasets: Option<&Path>, out: &mut (impl Write + Send)) -> Result<()> {
    let labels = (&options.experiment, &options.problem, &options.optimizer);
    match (labels, &options.plan, options.shard) {
        ((Some(experiment), Some(problem), Some(optimizer)), ..) => {
            one(options, [experiment, problem, optimizer], datasets, out)
        }
        (_, Some(plan), Some(shard)) => one_share(options, plan, shard, datasets),
        // The parser lets nothing else through.
        _ => Ok(()),
    }
}

fn one(
    options: &Run,
    [suite, problem, optimizer]: [&str; 3],
    datasets: Option<&Path>,
    out: &mut (impl Write + Send),
) -> Result<()> {
    let library = Library::from_env(datasets, Arc::new(Bars))?;
    let experiment = experiment(suite, library.catalogue())?;
    let problem = experiment.problem(problem)?;
    let optimizer = experiment.optimizer(&problem.label, optimizer)?;
    let session_ = Options {
        device: options.device.parse()?,
        ..session_options(DEFAULT_STORE.as_ref(), options.threads)
    };
    session_.device.open_one()?;
    print(
        out,
        &format!(
            "{} with {}\n{:>8} {:>8} {:>11} {:>9} {:>12} {:>9} {:>9}  phase\n",
            problem.config.title(),
            optimizer.config.line(),
            "step",
            "epoch",
            "evaluations",
            "seconds",
            "loss",
            "accuracy",
            "‖gradient‖"
        ),
    )?;
    let shown = Mutex::new((&mut *out, Ok(())));
    let show = |point: &CurvePoint| {
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        let (out, closed) = &mut *shown;
        if closed.is_ok() {
            *closed = print(out, &line(point));
        }
    };
    let monitor = Monitor::of_points(false, &show);
    let observe = |event: Event<'_>| monitor.observe(event);
    let session = Session::open(session_, library, &observe, interruptible())?;
    let record = session.one(problem, optimizer, options.seed);
    shown
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .1?;
    let ending = match &record.outcome {
        Outcome::Completed { reason } => format!("completed: {reason}\n"),
        Outcome::Diverged { step, value } => format!("diverged at step {step}: loss {value}\n"),
        Outcome::Failed { reason } => {
            return Err(Error::Experiment(Experiment::RunFailed {
                run: record.cell.to_string(),
                reason: reason.clone(),
            }));
        }
        Outcome::Interrupted => {
            return Err(Experiment::Interrupted { done: 0, total: 1 }.into());
        }
    };
    let switches = record.switches.iter().map(|switch| {
        format!(
            "step {} (epoch {:.2}, {} evaluations): {}\n",
            switch.step,
            switch.epoch,
            switch.gradient_evaluations,
            phase(switch.to)
        )
    });
    let perplexity = record.last().and_then(|last| {
        let (loss, per_word) = (last.test_loss?, last.word_perplexity?);
        let per_token = Tokens::perplexity(loss);
        Some(format!(
            "test perplexity: {per_token:.3} per token, {per_word:.3} per word\n"
        ))
    });
    let text: String = switches.chain(perplexity).chain([ending]).collect();
    print(out, &text)
}

/// Makes the runs of a share of a plan that the store lacks.
fn one_share(options: &Run, path: &Path, shard: Shard, datasets: Option<&Path>) -> Result<()> {
    let started = Instant::now();
    let plan = Plan::read(path)?;
    let datasets = datasets.or(plan.datasets.as_deref());
    let library = Library::from_env(datasets, Arc::new(Bars))?;
    let monitor = Monitor::new(false);
    let session = Options {
        device: plan.device.parse()?,
        jobs: options.jobs.map(usize::from),
        ..session_options(&plan.store, options.threads)
    };
    let share = share(
        session,
        library,
        path,
        &plan,
        shard,
        &|event| monitor.observe(event),
        interruptible(),
    )?;
    eprintln!(
        "shard {shard}: {} runs, {} stored before, {} made, {} failed; trained {:.3} s of {:.3} s",
        share.runs,
        share.stored,
        share.made,
        share.failed,
        share.trained.as_secs_f64(),
        started.elapsed().as_secs_f64()
    );
    let (done, total) = (share.stored + share.made, share.runs);
    if done + share.failed < total {
        return Err(Experiment::Interrupted { done, total }.into());
    }
    match share.failed {
        0 => Ok(()),
        failed => Err(Error::RunsFailed { failed, total }),
    }
}

fn line(point: &CurvePoint) -> String {
    let or_dash = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "–".into(), |value| format!("{value:.digits$}"))
    };
    format!(
        "{:>8} {:>8.2} {:>11} {:>9.2} {:>12.5e} {:>9} {:>9}  {}\n",
        point.step,
        point.epoch,
        point.gradient_evaluations + point.loss_evaluations,
        point.seconds,
        point.loss,
        or_dash(point.accuracy, 4),
        point
            .gradient_norm
            .map_or_else(|| "–".into(), |norm| format!("{norm:.2e}")),
        phase(point.phase)
    )
}

fn phase(phase: optim::Phase) -> &'static str {
    match phase {
        optim::Phase::FirstOrder => "first order",
        optim::Phase::SecondOrder => "second order",
    }
}
