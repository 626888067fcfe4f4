//! Runs that are stopped and go on from their checkpoints end with the numbers of an undisturbed run.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bench_data::Library;
use bench_experiment::problem::Environment;
use bench_experiment::run::{Cell, Checkpoint, Event, Outcome, RunRecord, plan, run};
use bench_experiment::spec::Experiment;
use candle_core::Device;

const EXPERIMENT: &str = r#"
name = "stops"
seeds = 1

[[problem]]
label = "noisy-rosenbrock"
kind = "function"
function = "rosenbrock"
dimension = 6
noise = 0.01
steps_per_epoch = 5
budget = 150
points = 15

[[problem]]
label = "resnet"
kind = "classification"
data = "digits"
model = { kind = "resnet", variant = "cifar", depth = 8, width = 4, in_channels = 1, classes = 10 }
batch_size = 512
measure_train = 64
measure_test = 64
faults = ["S5", "S6"]
budget = 60
points = 12

[[problem]]
label = "gpt"
kind = "language"
data = "moby-dick"
batch_size = 2
context = 16
measure_windows = 2
budget = 40
points = 8
model = { kind = "gpt", vocabulary = 256, context = 16, layers = 1, heads = 2, width = 16, dropout = 0.1 }

[[problem]]
label = "convection"
kind = "pinn"
equation = { kind = "convection", speed = 1.0 }
network = { width = 8, depth = 2, features = { kind = "fourier", count = 2, scale = 0.3 } }
collocation = { residual = 30, placement = "uniform", grid_x = 9, grid_t = 5 }
resample_every = 4
budget = 80
points = 10

[[problem]]
label = "sum"
kind = "finite-sum"
loss = "least-squares"
samples = 640
dimension = 5
condition = 10.0
batch_size = 20
budget = 300
points = 12

[[optimizer]]
kind = "lbfgs"
label = "growing"
problems = ["sum"]
max_iter = 1
pairs = "full-overlap"
sample_test = 0.9

[[optimizer]]
kind = "fuse-pv"
label = "grown"
problems = ["sum"]
criterion = { step = 9 }
switch_batch = 100

[[optimizer]]
kind = "adam"

[[optimizer]]
kind = "sls"

[[optimizer]]
kind = "schedule-free-adamw"

[[optimizer]]
kind = "muon"

[[optimizer]]
kind = "lbfgs"
max_iter = 4
max_eval = 5

[[optimizer]]
kind = "fuse"
lbfgs = { max_iter = 2 }

[[optimizer]]
kind = "fuse-pv"
criterion = { any-of = [{ step = 9 }, { grad-norm = { threshold = 1e-9 } }] }
handover = "warm-pairs"
lbfgs = { max_iter = 4, max_eval = 5 }
"#;

fn environment() -> Environment {
    Environment {
        library: Library::from_env(None, std::sync::Arc::new(bench_data::Silent))
            .unwrap()
            .into(),
        device: Device::Cpu,
    }
}

fn make(cell: &Cell<'_>, checkpoint: Option<&Checkpoint>, stop_at_point: usize) -> RunRecord {
    let interrupted = AtomicBool::new(false);
    let mut points = 0;
    let (mut curve, mut switches) = (Vec::new(), Vec::new());
    let mut observe = |event: Event<'_>| match event {
        Event::Resumed(record) => {
            (curve, switches) = (record.curve.clone(), record.switches.clone())
        }
        Event::Switched(switch) => switches.push(switch.clone()),
        Event::Measured(point) => {
            curve.push(*point);
            points += 1;
            interrupted.store(points == stop_at_point, Ordering::Relaxed);
        }
        _ => {}
    };
    let record = run(
        cell.problem,
        cell.optimizer,
        cell.seed,
        &environment(),
        checkpoint,
        &interrupted,
        &mut observe,
    );
    // Whoever listens knows the whole run, whenever it began.
    assert_eq!((&curve, &switches), (&record.curve, &record.switches));
    record
}

#[test]
fn a_run_that_was_stopped_again_and_again_ends_as_one_that_was_not() {
    let experiment = Experiment::parse(EXPERIMENT, Path::new("stops.toml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for cell in plan(&experiment) {
        let undisturbed = make(&cell, None, usize::MAX);
        assert!(
            matches!(undisturbed.outcome, Outcome::Completed { .. }),
            "{undisturbed:?}"
        );
        let checkpoint = Checkpoint {
            path: folder.path().join(cell.id().to_string().replace('/', "-")),
            interval: Duration::from_secs(3600),
        };
        let mut stops = 0;
        let resumed = loop {
            let record = make(&cell, Some(&checkpoint), 2);
            if record.outcome != Outcome::Interrupted {
                break record;
            }
            stops += 1;
        };
        assert!(stops >= 2, "{}: {stops} stops", cell.id());
        assert_eq!(resumed.without_times(), undisturbed.without_times());
        assert!(resumed.seconds > 0.0);
    }
}

#[test]
fn a_checkpoint_that_is_damaged_or_of_another_run_is_not_used() {
    let experiment = Experiment::parse(EXPERIMENT, Path::new("stops.toml")).unwrap();
    let cells = plan(&experiment);
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint {
        path: folder.path().join("checkpoint"),
        interval: Duration::ZERO,
    };
    let undisturbed = make(&cells[0], None, usize::MAX).without_times();
    make(&cells[1], Some(&checkpoint), 3);
    let foreign = make(&cells[0], Some(&checkpoint), usize::MAX);
    assert_eq!(foreign.without_times(), undisturbed);
    make(&cells[0], Some(&checkpoint), 3);
    let bytes = fs::read(&checkpoint.path).unwrap();
    fs::write(&checkpoint.path, &bytes[..bytes.len() - 9]).unwrap();
    let damaged = make(&cells[0], Some(&checkpoint), usize::MAX);
    assert_eq!(damaged.without_times(), undisturbed);
}

#[test]
fn a_flipped_bit_in_a_checkpoint_changes_no_number() {
    let experiment = Experiment::parse(EXPERIMENT, Path::new("stops.toml")).unwrap();
    let cell = plan(&experiment)[0];
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint {
        path: folder.path().join("checkpoint"),
        interval: Duration::from_secs(3600),
    };
    let undisturbed = make(&cell, None, usize::MAX).without_times();
    make(&cell, Some(&checkpoint), 3);
    let whole = fs::read(&checkpoint.path).unwrap();
    for byte in (0..whole.len()).step_by(whole.len() / 300) {
        let mut flipped = whole.clone();
        flipped[byte] ^= 1 << (byte % 8);
        fs::write(&checkpoint.path, &flipped).unwrap();
        let resumed = make(&cell, Some(&checkpoint), usize::MAX).without_times();
        assert_eq!(resumed, undisturbed, "byte {byte} of {}", whole.len());
    }
}

#[test]
fn logged_losses_are_recorded_at_the_ends_of_epochs_only() {
    // An odd number of steps, where an epoch has an even one.
    let text = EXPERIMENT.replace("budget = 60", "budget = 61");
    let experiment = Experiment::parse(&text, Path::new("stops.toml")).unwrap();
    let cells = plan(&experiment);
    let of_resnet = cells.iter().find(|cell| cell.problem.label == "resnet");
    let record = make(of_resnet.unwrap(), None, usize::MAX);
    let [start, points @ .., end] = &record.curve[..] else {
        panic!("too few points: {record:?}");
    };
    assert_eq!(start.step, 0);
    assert!(
        points.iter().all(|point| point.epoch.fract() == 0.0),
        "{points:?}"
    );
    assert!(points.len() >= 3, "{points:?}");
    // The budget ends within an epoch, of which nothing is logged.
    assert_ne!(end.epoch.fract(), 0.0, "{end:?}");
    assert_eq!(end.loss, points[points.len() - 1].loss);
}
