//! The command line from the outside: results, determinism, bad input and exit codes.

use std::path::Path;
use std::process::{Command, Output};

use crate::program::{self, MLP};
use bench_experiment::run::Outcome;
use bench_experiment::store::{Results, read};

const OTHERS: &str = r#"
name = "tiny"
description = "Every kind of problem, in seconds."
seeds = 2

[[problem]]
label = "rosenbrock"
kind = "function"
function = "rosenbrock"
budget = 60
points = 6
target = 1.0

[[problem]]
label = "quadratic"
kind = "quadratic"
dimension = 10
condition = 100.0
noise = 0.1
budget = 40
points = 4

[[problem]]
label = "resnet"
kind = "classification"
data = "digits"
batch_size = 32
budget = 8
points = 2
measure_train = 64
measure_test = 64
model = { kind = "resnet", variant = "cifar", depth = 8, width = 4, in_channels = 1, classes = 10 }

[[problem]]
label = "gpt"
kind = "language"
data = "moby-dick"
batch_size = 4
context = 16
budget = 8
points = 2
measure_windows = 8
model = { kind = "gpt", vocabulary = 256, context = 16, layers = 1, heads = 2, width = 16 }

[[optimizer]]
kind = "adam"
learning_rate = 0.01

[[optimizer]]
label = "fuse-pv"
kind = "fuse-pv"
criterion = { step = 3 }
adam = { learning_rate = 0.01 }
lbfgs = { max_iter = 2, max_eval = 3 }
"#;

/// Every kind of problem with the usual optimizers.
fn every_kind() -> String {
    format!("{OTHERS}{MLP}")
}

fn bench_runner(arguments: &[&str], folder: &Path) -> Output {
    program::bench_runner(folder, arguments).output().unwrap()
}

/// Runs an experiment and returns its results without the time columns.
fn results(experiment: &str, arguments: &[&str]) -> Results {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tiny.toml"), experiment).unwrap();
    let mut all = vec!["ablation", "tiny.toml", "--out", "out", "--quiet"];
    all.extend(arguments);
    let output = bench_runner(&all, folder.path());
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    program::results(folder.path(), "out")
}

#[test]
fn results_do_not_depend_on_threads_jobs_or_repetition() {
    let one = results(&every_kind(), &["--threads", "1"]);
    assert_eq!(one.records.len(), 5 * 2 * 2);
    assert_eq!(
        one,
        results(&every_kind(), &["--threads", "2", "--jobs", "1"])
    );
    assert_eq!(
        one,
        results(&every_kind(), &["--threads", "2", "--jobs", "2"])
    );
    for record in &one.records {
        assert!(
            matches!(record.outcome, Outcome::Completed { .. }),
            "{record:?}"
        );
        assert!(record.curve.len() > 2);
        let budget = one
            .problems
            .iter()
            .find(|problem| problem.label == record.cell.problem)
            .unwrap()
            .budget;
        assert_eq!(record.counts.evaluations(), budget, "{}", record.cell);
        if record.cell.optimizer == "fuse-pv" {
            assert_eq!(record.switches[0].step, 3);
        }
    }
    // Optimizers start from the same point, and seeds from different ones.
    let start = |problem: &str, optimizer: &str, seed: usize| {
        one.runs(problem, optimizer).nth(seed).unwrap().curve[0].loss
    };
    for problem in ["rosenbrock", "quadratic", "mlp", "resnet", "gpt"] {
        assert_eq!(start(problem, "adam", 0), start(problem, "fuse-pv", 0));
        assert_ne!(start(problem, "adam", 0), start(problem, "adam", 1));
    }
}

#[test]
fn repetitions_from_perturbed_starts_are_told_of_by_the_runs_that_they_repeat() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tiny.toml"), every_kind()).unwrap();
    let call = |more: &[&str]| {
        let part = [
            "ablation",
            "tiny.toml",
            "--problems",
            "mlp",
            "--perturbations",
            "3",
        ];
        let output = bench_runner(&[&part[..], more].concat(), folder.path());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    // A line for the three of each optimizer.
    let plan = call(&["--dry-run"]);
    assert!(
        plan.contains("   3 runs ") && !plan.contains("perturbation="),
        "{plan}"
    );
    call(&[]);
    let report = folder.path().join("reports/tiny-part");
    assert!(!report.join("stability").exists());
    let summary = std::fs::read_to_string(report.join("summary.csv")).unwrap();
    let mut lines = summary
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let unstable = header.iter().position(|name| *name == "unstable").unwrap();
    assert!(
        lines.all(|row| ["true", "false"].contains(&row[unstable])),
        "{summary}"
    );
}

#[test]
fn a_part_of_an_experiment_is_planned_and_run() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tiny.toml"), every_kind()).unwrap();
    let part = [
        "ablation",
        "tiny.toml",
        "--problems",
        "ro*,mlp",
        "--optimizers",
        "fuse*",
    ];
    let call = |more: &[&str]| {
        let output = bench_runner(&[&part[..], more].concat(), folder.path());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let plan = call(&["--dry-run"]);
    let lines: Vec<&str> = plan.lines().collect();
    let [rosenbrock, mlp, total] = lines[..] else {
        panic!("{plan}");
    };
    assert!(
        rosenbrock.contains("rosenbrock") && rosenbrock.contains("2 runs"),
        "{plan}"
    );
    assert!(mlp.contains("mlp") && mlp.contains("fuse-pv"), "{plan}");
    assert!(total.contains("-part: 4 runs"), "{plan}");
    call(&["--out", "out"]);
    let results = program::results(folder.path(), "out");
    assert_eq!(results.records.len(), 4);
    assert!(results.suite.ends_with("-part"), "{}", results.suite);
    assert!(results.caveats[0].contains("2 of 5 problems, 1 of 2 optimizers"));
}

#[test]
fn a_plan_needs_neither_data_nor_network() {
    let folder = tempfile::tempdir().unwrap();
    let call = |arguments: &[&str]| {
        let mut command = program::bench_runner(folder.path(), arguments);
        // Nobody answers there.
        command.env("HF_ENDPOINT", "http://127.0.0.1:9");
        command.output().unwrap()
    };
    let output = call(&["ablation", "as-shipped", "--dry-run", "--threads", "2"]);
    assert!(output.status.success(), "{output:?}");
    let plan = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = plan.lines().collect();
    // 117 whole batches of 512 of 60,000 images, 100 epochs, 4 seeds.
    assert!(lines[0].contains("46800 evaluations"), "{plan}");
    let [absent, total] = lines[lines.len() - 2..] else {
        panic!("{plan}");
    };
    assert!(
        absent.starts_with("Not here: cifar10, fashion-mnist,"),
        "{plan}"
    );
    assert!(total.contains("280 runs"), "{plan}");
    // The runs themselves do need the data.
    let output = call(&["ablation", "as-shipped", "--scale", "tiny"]);
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    // And an unknown dataset is one, whether or not it is fetched.
    let experiment = every_kind().replace("data = \"digits\"", "data = \"digit\"");
    std::fs::write(folder.path().join("typo.toml"), experiment).unwrap();
    let output = call(&["ablation", "typo.toml", "--dry-run"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("did you mean `digits`?"), "{said}");
}

#[test]
fn a_diverging_run_is_recorded_and_the_others_go_on() {
    let experiment = every_kind().replace(
        "learning_rate = 0.01\n\n[[optimizer]]\nlabel = \"fuse-pv\"",
        "learning_rate = 1e300\n\n[[optimizer]]\nlabel = \"fuse-pv\"",
    );
    assert_ne!(experiment, every_kind());
    let results = results(&experiment, &[]);
    let adam = results.runs("rosenbrock", "adam").next().unwrap();
    assert!(
        matches!(adam.outcome, Outcome::Diverged { step: 0..5, .. }),
        "{:?}",
        adam.outcome
    );
    let fuse = results.runs("rosenbrock", "fuse-pv").next().unwrap();
    assert!(matches!(fuse.outcome, Outcome::Completed { .. }));
}

#[test]
fn a_killed_sweep_goes_on_where_it_stood_with_the_same_results() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("tiny.toml"), every_kind()).unwrap();
    let sweep = |out: &str, store: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench-runner"));
        command
            .args(["ablation", "tiny.toml", "--out", out, "--store", store])
            .current_dir(path)
            .env("HF_HOME", path.join("hub"));
        command
    };
    // Killed as soon as the first runs are stored, twice.
    for _ in 0..2 {
        let mut child = sweep("killed", "store")
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while !path.join("store").exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(sweep("resumed", "store").output().unwrap().status.success());
    assert!(sweep("whole", "other").output().unwrap().status.success());
    assert_eq!(
        program::results(path, "resumed"),
        program::results(path, "whole")
    );

    // Everything is stored now: nothing is run, times included, unless asked for.
    let again = sweep("again", "store").output().unwrap();
    assert!(String::from_utf8_lossy(&again.stderr).contains("all in the store"));
    assert_eq!(
        read(&path.join("again/results.parquet")).unwrap(),
        read(&path.join("resumed/results.parquet")).unwrap()
    );
    let fresh = sweep("fresh", "store").arg("--fresh").output().unwrap();
    assert!(!String::from_utf8_lossy(&fresh.stderr).contains("in the store"));

    let text = |arguments: &[&str]| {
        let output = bench_runner(arguments, path);
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(text(&["store", "diff", "store", "other"]).ends_with("20 equal runs\n"));
    assert_eq!(
        text(&["store", "merge", "third", "other"]),
        "copied 20 runs\n"
    );
    assert!(
        text(&["store", "list", "third"])
            .ends_with("third: 20 runs, 20 of them by this program's code\n")
    );
    assert_eq!(text(&["store", "gc", "third"]), "removed 0 files\n");
    let compared = text(&["compare", "resumed", "whole"]);
    assert!(compared.contains("20 runs in both, 0 only in the first, 0 only in the second"));
    assert_eq!(compared.matches("identical").count(), 10, "{compared}");
}

#[test]
fn an_epoch_limit_ends_a_run_before_its_budget() {
    let experiment = every_kind().replace(
        "budget = 12\npoints = 3",
        "budget = 1000\nepochs = 1\npoints = 4",
    );
    assert_ne!(experiment, every_kind());
    let results = results(&experiment, &[]);
    let adam = results.runs("mlp", "adam").next().unwrap();
    assert_eq!(
        adam.outcome,
        Outcome::Completed {
            reason: "all epochs passed".into()
        }
    );
    assert_eq!(adam.last().unwrap().epoch, 1.0);
    assert_eq!(adam.curve.len(), 5);
}

#[test]
fn run_prints_each_point_and_the_ending() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tiny.toml"), every_kind()).unwrap();
    let output = bench_runner(
        &["run", "tiny.toml", "rosenbrock", "fuse-pv"],
        folder.path(),
    );
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(
        text.contains("step 3 (epoch 0.30, 3 evaluations): second order"),
        "{text}"
    );
    assert!(text.ends_with("completed: budget spent\n"), "{text}");
    assert!(text.lines().count() > 8, "{text}");
}

#[test]
fn bad_input_ends_with_its_exit_code_and_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("broken.toml"), "name = \"x\"\nseeds = ").unwrap();
    std::fs::write(path.join("key.toml"), every_kind().replace("noise", "nose")).unwrap();
    std::fs::write(
        path.join("budget.toml"),
        every_kind().replace("budget = 60", "budget = -1"),
    )
    .unwrap();
    std::fs::write(
        path.join("data.toml"),
        every_kind().replace("\"digits\"", "\"digit\""),
    )
    .unwrap();
    std::fs::write(
        path.join("misfit.toml"),
        every_kind().replace("inputs = 64", "inputs = 784"),
    )
    .unwrap();
    std::fs::write(path.join("file"), "").unwrap();
    std::fs::write(path.join("tiny.toml"), every_kind()).unwrap();
    let cases: &[(&[&str], i32, &str)] = &[
        (&["ablation", "quik"], 2, "did you mean `quick`?"),
        (&["ablaton"], 2, "ablation"),
        (&["ablation", "--seeds", "0"], 2, "--seeds"),
        (&["ablation", "broken.toml"], 3, "broken.toml:2:"),
        (
            &["ablation", "key.toml"],
            3,
            "unknown field `nose`; did you mean `noise`?",
        ),
        (&["ablation", "budget.toml"], 3, "`budget` = -1"),
        (&["ablation", "missing.toml"], 4, "missing.toml"),
        (&["ablation", "--out", "file"], 4, "file"),
        (
            &["ablation", "tiny.toml", "--device", "tpu"],
            5,
            "cpu, cuda[:N] and metal[:N]",
        ),
        (&["ablation", "tiny.toml", "--device", "cuda"], 5, "cuda"),
        (&["ablation", "data.toml"], 6, "digits"),
        (
            &["run", "tiny.toml", "rosenbrok", "adam"],
            2,
            "did you mean `rosenbrock`?",
        ),
        (
            &["run", "tiny.toml", "rosenbrock", "adm"],
            2,
            "did you mean `adam`?",
        ),
        (
            &["ablation", "language", "--seeds", "101"],
            2,
            "--seeds 101: settings are chosen by seed 100: use 100 or fewer",
        ),
        (&["compare", "none", "none"], 4, "none"),
        (&["describe", "misfit.toml"], 3, "`mlp`: "),
    ];
    for (arguments, code, reason) in cases {
        let output = bench_runner(arguments, path);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {error}");
        assert!(error.contains(reason), "{arguments:?}: {error}");
        assert!(!error.contains("panicked"), "{arguments:?}: {error}");
    }
}

#[test]
fn help_and_lists_are_as_recorded() {
    let folder = tempfile::tempdir().unwrap();
    for (name, arguments) in [
        ("help", vec!["--help"]),
        ("ablation_help", vec!["ablation", "--help"]),
        ("list", vec!["list"]),
        (
            "describe",
            vec![
                "describe",
                "quick",
                "rosenbrock-20d",
                "resnet-digits",
                "gpt-moby-dick",
            ],
        ),
    ] {
        let output = bench_runner(&arguments, folder.path());
        assert!(output.status.success());
        insta::assert_snapshot!(name, String::from_utf8_lossy(&output.stdout));
    }
}
