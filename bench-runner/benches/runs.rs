//! How much of a run is not training, and what a second job gains.
//!
//! `cargo bench -p bench-runner --bench runs -- [SUITE | FILE …]` makes the runs of built-in suites (`quick`, unless others
//! are named; `NAME-small` for a smaller scale) and of experiment files, on one thread each. It prints lines of four columns
//! with tabs between them:
//!
//! - a problem, `outside`, a way, and the percentage of its runs' time in which the optimizer did not work: building,
//!   measuring, writing down. The way `ours` measures as often as the experiment asks for. Where that is more than 5 %,
//!   `three points` measures at the start, after the first step and at the end only: the difference is measuring;
//! - of experiments of several runs, the name, `jobs`, `ours`, and how many times faster two jobs were than one.
//!
//! `DATASETS` names a catalogue of data sets; data that are missing end the program.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use bench_data::{Library, Silent};
use bench_experiment::problem::Environment;
use bench_experiment::run::{Cell, Outcome, plan};
use bench_experiment::spec::{Experiment, Scale, Suite};
use bench_experiment::sweep::{Estimate, Event, Probing, Resources, execute};
use candle_core::Device;
use parking_lot::Mutex;

/// As much of a run may be outside the optimizer, in percent.
const TARGET: f64 = 5.0;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    // Its allocator is that of the program, too.
    bench_runner::keep_freed_memory();
    let datasets = std::env::var_os("DATASETS");
    let library = Library::from_env(datasets.as_ref().map(AsRef::as_ref), Arc::new(Silent));
    let environment = Environment {
        library: library?.into(),
        device: Device::Cpu,
    };
    let mut names: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    if names.is_empty() {
        names.push("quick".into());
    }
    for name in names {
        let experiment = experiment(&name)?;
        let (one, spent) = timed(&experiment, 1, &environment)?;
        print(&experiment, "ours", &spent);
        let above = |problem: &str| {
            spent
                .get(problem)
                .is_some_and(|spent| spent.outside() > TARGET)
        };
        let (_, spent) = timed(&with_three_points(&experiment, above), 1, &environment)?;
        print(&experiment, "three points", &spent);
        if plan(&experiment).len() > 1 {
            let (two, _) = timed(&experiment, 2, &environment)?;
            let gain = one.as_secs_f64() / two.as_secs_f64();
            println!("{}\tjobs\tours\t{gain:.3}", experiment.name);
        }
    }
    Ok(())
}

fn experiment(name: &str) -> Result<Experiment> {
    if name.ends_with(".toml") {
        return Ok(Experiment::read(Path::new(name))?);
    }
    let suite = Suite::find(Scale::suite_of(name))?;
    Ok(suite.experiment()?.scaled(Scale::of_name(name)))
}

/// The experiment's problems that `kept` is true of, measured at the start, after the first step and at the end only.
fn with_three_points(experiment: &Experiment, kept: impl Fn(&str) -> bool) -> Experiment {
    let mut experiment = experiment.clone();
    experiment.problems.retain(|problem| kept(&problem.label));
    for problem in &mut experiment.problems {
        problem.points = 1;
        // The point after the first step's is due after so many times its evaluations: beyond the run's end.
        problem.resolution = problem.budget as f64;
    }
    experiment
}

/// The seconds of a problem's runs.
#[derive(Default)]
struct Spent {
    wall: f64,
    training: f64,
}

impl Spent {
    /// The percentage in which the optimizer did not work.
    fn outside(&self) -> f64 {
        100.0 * (1.0 - self.training / self.wall)
    }
}

fn print(experiment: &Experiment, way: &str, spent: &BTreeMap<String, Spent>) {
    for (problem, spent) in spent {
        let outside = spent.outside();
        println!(
            "{}: {problem}\toutside\t{way}\t{outside:.2}",
            experiment.name
        );
    }
}

/// Makes all runs as a sweep does, each on one thread: how long that took, and where the time went.
fn timed(
    experiment: &Experiment,
    jobs: usize,
    environment: &Environment,
) -> Result<(Duration, BTreeMap<String, Spent>)> {
    let cells: Vec<Cell<'_>> = plan(experiment);
    let probing = Probing {
        threads: 1,
        timed: true,
        brief: true,
    };
    let estimate = Estimate::new(experiment, &cells, environment, probing)?;
    let demands: Vec<_> = cells.iter().map(|cell| estimate.demand(cell)).collect();
    let begun = Mutex::new(vec![Instant::now(); cells.len()]);
    let spent: Mutex<BTreeMap<String, Spent>> = Mutex::default();
    let observe = |index: usize, event: Event<'_>| match event {
        Event::Started => begun.lock()[index] = Instant::now(),
        Event::Run(_) => (),
        Event::Finished(record) => {
            if let Outcome::Failed { reason } = &record.outcome {
                eprintln!("left out: {}: {reason}", record.cell);
                return;
            }
            let mut spent = spent.lock();
            let spent = spent.entry(cells[index].problem.label.clone()).or_default();
            spent.wall += begun.lock()[index].elapsed().as_secs_f64();
            spent.training += record.seconds;
        }
    };
    let resources = Resources {
        threads: jobs,
        jobs,
        memory: None,
    };
    let started = Instant::now();
    execute(
        &cells,
        &demands,
        resources,
        std::slice::from_ref(environment),
        &|_| None,
        &observe,
        &AtomicBool::new(false),
    )?;
    Ok((started.elapsed(), spent.into_inner()))
}
