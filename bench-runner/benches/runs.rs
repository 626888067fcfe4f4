//! How much of a run is not training, and what a second job gains.
//!
//! `cargo bench -p bench-runner --bench runs -- [SUITE | FILE …]` makes the runs of built-in suites (`quick`, unless others
//! are named; `NAME-small` for a smaller scale) and of experiment files with their first seed, on one thread each, for at
//! most 20 seconds each. It prints lines of four columns with tabs between them:
//!
//! - a problem, `outside`, `ours`, and the percentage of its runs' time in which the optimizer did not work: building,
//!   reading data, measuring;
//! - a suite, `jobs`, `ours`, and how many times faster two jobs were than one.
//!
//! `DATASETS` names a catalogue of data sets. Data that are missing are left out.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bench_data::{Library, Silent};
use bench_experiment::problem::Environment;
use bench_experiment::run::{Cell, Outcome, plan, run};
use bench_experiment::spec::{Experiment, Scale, Suite};
use candle_core::Device;

/// The longest run.
const SECONDS: f64 = 20.0;

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
        let cells = plan(&experiment);
        let (one, spent) = with_jobs(1, &cells, &environment);
        let (two, _) = with_jobs(2, &cells, &environment);
        for (problem, Spent { wall, training }) in spent {
            println!(
                "{}: {problem}\toutside\tours\t{:.2}",
                experiment.name,
                100.0 * (1.0 - training / wall)
            );
        }
        println!("{}\tjobs\tours\t{:.3}", experiment.name, one / two);
    }
    Ok(())
}

fn experiment(name: &str) -> Result<Experiment> {
    let mut experiment = if name.ends_with(".toml") {
        Experiment::read(Path::new(name))?
    } else {
        let suite = Suite::find(Scale::suite_of(name))?;
        suite.experiment()?.scaled(Scale::of_name(name))
    };
    experiment.seeds.truncate(1);
    for problem in &mut experiment.problems {
        problem.seconds = Some(problem.seconds.unwrap_or(SECONDS).min(SECONDS));
    }
    Ok(experiment)
}

/// The seconds of a problem's runs.
#[derive(Default)]
struct Spent {
    wall: f64,
    training: f64,
}

/// Makes all runs, each on one thread: how long that took, and where the time went.
fn with_jobs(
    jobs: usize,
    cells: &[Cell<'_>],
    environment: &Environment,
) -> (f64, BTreeMap<String, Spent>) {
    let started = Instant::now();
    let (next, spent) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let job = || {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let pool = pool.unwrap();
        while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
            let begun = Instant::now();
            let interrupted = AtomicBool::new(false);
            let record = pool.install(|| {
                let Cell {
                    problem,
                    optimizer,
                    seed,
                } = *cell;
                run(
                    problem,
                    optimizer,
                    seed,
                    environment,
                    None,
                    &interrupted,
                    &mut |_| (),
                )
            });
            if let Outcome::Failed { reason } = &record.outcome {
                eprintln!("left out: {}: {reason}", record.cell);
                continue;
            }
            let mut spent = spent.lock().unwrap();
            let spent: &mut Spent = spent.entry(cell.problem.label.clone()).or_default();
            spent.wall += begun.elapsed().as_secs_f64();
            spent.training += record.seconds;
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(job);
        }
    });
    (started.elapsed().as_secs_f64(), spent.into_inner().unwrap())
}
