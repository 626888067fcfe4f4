//! Runs in bf16 against runs in f32, and runs on another device against runs on the CPU. `FUSE_DEVICE=cuda:0
//! cargo test -p bench-runner --features cuda --test integration device::` (or `metal`) names the device; without it
//! there is nothing to compare, and the test is skipped.

use std::path::Path;

use crate::program;
use bench_experiment::run::RunRecord;
use bench_experiment::store::Results;

const EXPERIMENT: &str = r#"
name = "device"
seeds = 1

[[problem]]
label = "mlp"
kind = "classification"
data = "digits"
batch_size = 64
budget = 12
points = 12
measure_train = 128
model = { kind = "mlp", inputs = 64, hidden = [16], classes = 10 }
grid = { precision = ["f32", "bf16"] }

[[problem]]
label = "resnet"
kind = "classification"
data = "digits"
batch_size = 32
budget = 8
points = 8
measure_train = 64
measure_test = 64
model = { kind = "resnet", variant = "cifar", depth = 8, width = 4, in_channels = 1, classes = 10 }
grid = { precision = ["f32", "bf16"] }

[[problem]]
label = "gpt"
kind = "language"
data = "moby-dick"
batch_size = 4
context = 16
budget = 8
points = 8
measure_windows = 8
model = { kind = "gpt", vocabulary = 256, context = 16, layers = 1, heads = 2, width = 16, dropout = 0.1 }
grid = { precision = ["f32", "bf16"] }

[[optimizer]]
kind = "sgd"
learning_rate = 0.01

[[optimizer]]
kind = "adam"
learning_rate = 0.001

[[optimizer]]
kind = "fuse-pv"
criterion = { step = 3 }
adam = { learning_rate = 0.001 }
lbfgs = { max_iter = 2, max_eval = 3 }
"#;

/// How far the losses of one forward pass may differ by the order of its sums, and how far a dozen evaluations of
/// training may carry that: relatively, by the precision.
const TOLERANCES: [(&str, f64, f64); 2] = [("f32", 1e-5, 1e-2), ("bf16", 1e-3, 1e-1)];

fn tolerances(record: &RunRecord) -> (f64, f64) {
    let (_, start, later) = TOLERANCES
        .into_iter()
        .find(|(precision, ..)| record.cell.problem.ends_with(precision))
        .unwrap();
    (start, later)
}

fn results(folder: &Path, device: &str, out: &str) -> Results {
    let output = program::bench_runner(folder, &["ablation", "device.toml", "--quiet"])
        .args(["--device", device, "--out", out])
        .args(["--store", &format!("{out}-store")])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{device}: {errors}");
    program::results(folder, out)
}

/// The largest relative difference of two runs' losses at the start, and later.
fn differences(a: &RunRecord, b: &RunRecord) -> (f64, f64) {
    assert_eq!(a.curve.len(), b.curve.len(), "{}", a.cell);
    let points = a.curve.iter().zip(&b.curve);
    let mut all =
        points.map(|(a, b)| (a.loss - b.loss).abs() / b.loss.abs().max(f64::MIN_POSITIVE));
    let start = all.next().unwrap();
    (start, all.fold(0.0, f64::max))
}

/// bf16 has three digits: runs start where f32's start, and go the same way for a dozen evaluations.
#[test]
fn runs_in_bf16_follow_those_in_f32() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("device.toml"), EXPERIMENT).unwrap();
    let results = results(folder.path(), "cpu", "cpu");
    let mut compared = 0;
    for half in &results.records {
        if !half.cell.problem.ends_with("bf16") {
            continue;
        }
        let problem = half.cell.problem.replace("bf16", "f32");
        let full = results.records.iter().find(|full| {
            full.cell.problem == problem && full.cell.optimizer == half.cell.optimizer
        });
        let (start, later) = differences(half, full.unwrap());
        eprintln!("{}: {start:.1e} at the start, {later:.1e} later", half.cell);
        let (most_at_start, most_later) = tolerances(half);
        assert!(
            start <= most_at_start && later <= most_later,
            "{}",
            half.cell
        );
        // Bits that f32 does not have: the precision is not only a name.
        assert!(start > 0.0, "{}", half.cell);
        compared += 1;
    }
    assert_eq!(compared, 9);
}

#[test]
fn a_device_agrees_with_the_cpu_and_with_itself() {
    let Ok(device) = std::env::var("FUSE_DEVICE") else {
        eprintln!("skipped: FUSE_DEVICE names no device");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("device.toml"), EXPERIMENT).unwrap();
    let cpu = results(folder.path(), "cpu", "cpu");
    let first = results(folder.path(), &device, "first");
    let again = results(folder.path(), &device, "again");
    let mut wrong = Vec::new();
    for (ours, reference) in first.records.iter().zip(&cpu.records) {
        let (start, later) = differences(ours, reference);
        eprintln!("{}: {start:.1e} at the start, {later:.1e} later", ours.cell);
        let (most_at_start, most_later) = tolerances(ours);
        if start > most_at_start || later > most_later {
            wrong.push(ours.cell.to_string());
        }
    }
    assert!(wrong.is_empty(), "{device} differs from the CPU: {wrong:?}");
    assert_eq!(first, again, "{device} gave other numbers the second time");
}
