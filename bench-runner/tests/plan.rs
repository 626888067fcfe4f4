//! Sweeps that are run in shards, without a scheduler: results, resumption, failures and their reasons.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::program::{MLP, bench_runner, results};
use bench_experiment::run::Outcome;
use bench_experiment::store::Results;

const SLOW: &str = r#"
[[problem]]
label = "slow"
kind = "function"
function = "rosenbrock"
dimension = 10
budget = 300000
points = 4
"#;

const OPTIMIZERS: &str = r#"
[[optimizer]]
kind = "adam"
learning_rate = 1e-4

[[optimizer]]
kind = "lbfgs"
"#;

/// Two problems, two optimizers, two seeds.
fn experiment() -> String {
    format!("name = \"tiny\"\nseeds = 2\n{SLOW}{MLP}{OPTIMIZERS}")
}

/// A folder with the experiment in it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tiny.toml"), experiment()).unwrap();
    folder
}

fn call(folder: &Path, arguments: &[&str]) -> Output {
    bench_runner(folder, arguments).output().unwrap()
}

/// What a successful call prints.
fn text(folder: &Path, arguments: &[&str]) -> String {
    let output = call(folder, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The exit code of a call that must not succeed, and its words.
fn refusal(output: &Output) -> (Option<i32>, String) {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!error.contains("panicked"), "{error}");
    (output.status.code(), error)
}

fn make_plan(folder: &Path, more: &[&str]) {
    let mut arguments = vec![
        "ablation",
        "tiny.toml",
        "--executor",
        "plan",
        "--out",
        "out",
    ];
    arguments.extend(["--store", "store", "--shards", "3"]);
    arguments.extend(more);
    text(folder, &arguments);
}

fn shard(folder: &Path, shard: &str) -> Command {
    let plan = [
        "run",
        "--plan",
        "out/plan.json",
        "--threads",
        "1",
        "--shard",
        shard,
    ];
    bench_runner(folder, &plan)
}

/// How many runs `status` counts as done, running, pending and failed.
fn counts(folder: &Path) -> [usize; 4] {
    let status = text(folder, &["status", "out/plan.json"]);
    ["done", "running", "pending", "failed"].map(|label| {
        let line = status
            .lines()
            .find(|line| line.trim_start().starts_with(label))
            .unwrap();
        line.split_whitespace().last().unwrap().parse().unwrap()
    })
}

fn local_results(folder: &Path) -> Results {
    let local = [
        "ablation",
        "tiny.toml",
        "--out",
        "local",
        "--store",
        "other",
    ];
    text(folder, &local);
    results(folder, "local")
}

/// Waits until a run is under way, and returns its process.
fn running(folder: &Path) -> u32 {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(60) {
        for file in std::fs::read_dir(folder.join("out/attempts"))
            .into_iter()
            .flatten()
        {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap_or_default();
            if let Ok(attempt) = serde_json::from_str::<serde_json::Value>(&text) {
                return attempt["process"].as_u64().unwrap() as u32;
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("nothing has run for a minute");
}

#[test]
fn shards_at_the_same_time_make_the_results_of_one_process() {
    let folder = folder();
    let path = folder.path();
    make_plan(path, &[]);
    assert_eq!(counts(path), [0, 0, 8, 0]);
    let (code, error) = refusal(&call(path, &["report", "out/plan.json"]));
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("0 of 8 runs are in the report"), "{error}");

    // The first shard is run twice at the same time: two writers of the same files.
    let shards: Vec<_> = ["0/3", "0/3", "1/3", "2/3"]
        .map(|index| shard(path, index).stderr(Stdio::piped()).spawn().unwrap())
        .into_iter()
        .map(|child| child.wait_with_output().unwrap())
        .collect();
    for output in shards {
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(counts(path), [8, 0, 0, 0]);
    let again = shard(path, "0/3").output().unwrap();
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(said.contains("3 runs, 3 stored before, 0 made"), "{said}");

    text(path, &["report", "out/plan.json"]);
    assert_eq!(results(path, "out"), local_results(path));
    // Everything is stored, so that nothing is left to plan, and the report is drawn at once.
    let plan = ["ablation", "tiny.toml", "--executor", "plan"];
    let again = ["--store", "store", "--out", "again"];
    text(path, &[plan, again].concat());
    assert!(!path.join("again/plan.json").exists());
    assert_eq!(results(path, "again"), results(path, "local"));
}

#[test]
fn a_shard_that_is_stopped_or_killed_goes_on_where_it_stood() {
    let folder = folder();
    let path = folder.path();
    // Runs of one problem are expected to take as long as each other, so that Adam's, which are long, come first.
    let experiment = format!("name = \"tiny\"\nseeds = 4\n{SLOW}{OPTIMIZERS}");
    std::fs::write(path.join("tiny.toml"), experiment).unwrap();
    make_plan(path, &[]);
    let signal = |name: &str| {
        let mut child = shard(path, "0/1").stderr(Stdio::piped()).spawn().unwrap();
        let process = running(path);
        assert_eq!(process, child.id());
        Command::new("kill")
            .args([name, &process.to_string()])
            .status()
            .unwrap();
        let status = child.wait().unwrap();
        let mut said = String::new();
        std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said).unwrap();
        (status.code(), said)
    };
    // What a scheduler sends before a time limit: the run stops, and is pending again.
    let (code, said) = signal("-TERM");
    assert_eq!(code, Some(130), "{said}");
    assert!(
        said.contains("0 of 8 runs are complete; the same command goes on from there"),
        "{said}"
    );
    assert_eq!(counts(path), [0, 0, 8, 0]);
    let checkpoints = || {
        std::fs::read_dir(path.join("store/checkpoints"))
            .unwrap()
            .count()
    };
    assert_eq!(checkpoints(), 1, "the run goes on from here");
    // Killed, it leaves its mark behind, and without a scheduler nobody knows better.
    assert_eq!(signal("-KILL").0, None);
    assert_eq!(counts(path), [0, 1, 7, 0]);
    let status = text(path, &["status", "out/plan.json"]);
    assert!(status.contains("may be out of date"), "{status}");

    assert!(shard(path, "0/1").output().unwrap().status.success());
    assert_eq!(counts(path), [8, 0, 0, 0]);
    assert_eq!(checkpoints(), 0);
    text(path, &["report", "out/plan.json"]);
    assert_eq!(results(path, "out"), local_results(path));
}

#[test]
fn runs_without_their_data_fail_with_the_reason_and_the_others_go_on() {
    let folder = folder();
    let path = folder.path();
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/assets/digits.parquet");
    std::fs::copy(&digits, path.join("mine.parquet")).unwrap();
    let catalogue = "[mine]\ntitle = \"Mine\"\nlayout = \"image-parquet\"\npath = \".\"\n\
         files.train = [{ path = \"mine.parquet\" }]\nfiles.test = [{ path = \"mine.parquet\" }]\n\
         shape = [1, 8, 8]\nclasses = 10\nlicence = \"CC0\"\ncitation = \"nobody\"\n";
    std::fs::write(path.join("datasets.toml"), catalogue).unwrap();
    let experiment = experiment().replace("\"digits\"", "\"mine\"");
    std::fs::write(path.join("tiny.toml"), experiment).unwrap();
    make_plan(path, &["--datasets", "datasets.toml"]);
    std::fs::remove_file(path.join("mine.parquet")).unwrap();

    let (code, error) = refusal(&shard(path, "0/1").output().unwrap());
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("4 of 8 runs failed"), "{error}");
    assert_eq!(counts(path), [4, 0, 0, 4]);
    let status = text(path, &["status", "out/plan.json"]);
    assert!(status.contains("mlp × adam × seed 1: "), "{status}");
    assert!(status.contains("mine.parquet"), "{status}");
    let (code, _) = refusal(&call(path, &["report", "out/plan.json"]));
    assert_eq!(code, Some(1));
    let failed = results(path, "out");
    let failed = failed.runs("mlp", "adam").next().unwrap().outcome.clone();
    assert!(matches!(failed, Outcome::Failed { reason } if reason.contains("mine.parquet")));

    // With the data back, the failed runs are made; with other data in its place, they are not.
    let moby = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/assets/moby_dick.parquet");
    std::fs::copy(moby, path.join("mine.parquet")).unwrap();
    assert_eq!(refusal(&shard(path, "0/1").output().unwrap()).0, Some(1));
    assert_eq!(counts(path), [4, 0, 0, 4]);
    std::fs::copy(&digits, path.join("mine.parquet")).unwrap();
    assert!(shard(path, "0/1").output().unwrap().status.success());
    assert_eq!(counts(path), [8, 0, 0, 0]);
}

#[test]
fn a_missing_device_fails_the_runs_of_its_task_with_the_reason() {
    let folder = folder();
    let path = folder.path();
    // Planned where there is no GPU; this build has none either, whatever the machine has.
    make_plan(path, &["--device", "cuda:all"]);
    let (code, error) = refusal(&shard(path, "1/4").output().unwrap());
    assert_eq!(code, Some(5), "{error}");
    assert!(error.contains("device `cuda:0`: "), "{error}");
    assert_eq!(counts(path), [0, 0, 6, 2]);
    let status = text(path, &["status", "out/plan.json"]);
    assert!(status.contains("seed 1: device `cuda:0`: "), "{status}");
}

/// Runs a shard with its store on a small file system of its own, mounted with `options`; `None` where
/// that is not allowed.
fn on_small_disk(folder: &Path, options: &str, mode: &str) -> Option<Output> {
    let mount = format!("mount -t tmpfs -o {options} none store");
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command
            .args([
                mode,
                "sh",
                "-c",
                script,
                "sh",
                env!("CARGO_BIN_EXE_bench-runner"),
            ])
            .current_dir(folder);
        command.output().ok()
    };
    std::fs::create_dir_all(folder.join("store")).unwrap();
    unshare(&mount).filter(|output| output.status.success())?;
    let run = "exec \"$1\" run --plan out/plan.json --shard 0/1 --threads 1";
    unshare(&format!("{mount} && {run}"))
}

#[test]
fn a_store_that_cannot_be_written_to_ends_the_task_and_leaves_the_runs_pending() {
    let folder = folder();
    let path = folder.path();
    make_plan(path, &[]);
    // Root may mount in a mount namespace of its own; others need a user namespace, too.
    let Some(mode) = ["-m", "-rm"]
        .into_iter()
        .find(|mode| on_small_disk(path, "size=64k", mode).is_some())
    else {
        eprintln!("skipped: mounting a file system is not allowed here");
        return;
    };
    // Room for the store's marker, the probe, and two runs, each of which takes a page, or for none.
    for (options, file, reason) in [
        ("ro", "store/bench-runner-store", "Read-only file system"),
        ("size=12k", ".cbor", "No space left on device"),
        ("nr_inodes=4", ".cbor", "No space left on device"),
    ] {
        let (code, error) = refusal(&on_small_disk(path, options, mode).unwrap());
        assert_eq!(code, Some(4), "{options}: {error}");
        assert!(error.contains(file), "{options}: {error}");
        assert!(error.contains(reason), "{options}: {error}");
        assert!(
            error.contains("make room or name a writable --store"),
            "{options}: {error}"
        );
        assert_eq!(counts(path), [0, 0, 8, 0], "{options}");
    }
    // The local executor checks before it works, too.
    std::fs::remove_dir_all(path.join("store")).unwrap();
    std::fs::write(path.join("store"), "a file").unwrap();
    let local = call(
        path,
        &["ablation", "tiny.toml", "--out", "x", "--store", "store"],
    );
    let (code, error) = refusal(&local);
    assert_eq!(code, Some(4), "{error}");
    assert!(error.contains("name a writable --store"), "{error}");
}

#[test]
fn wrong_use_is_refused_with_what_would_be_right() {
    let folder = folder();
    let path = folder.path();
    make_plan(path, &[]);
    let executor = "[executor]\nkind = \"slurm\"\ntime = \"soon\"\n";
    std::fs::write(path.join("wrong.toml"), experiment() + executor).unwrap();
    std::fs::write(path.join("empty.json"), "{}").unwrap();
    let cases: &[(&[&str], i32, &str)] = &[
        (
            &["ablation", "tiny.toml", "--partition", "gpu"],
            2,
            "--partition gpu: is for job arrays",
        ),
        (
            &[
                "ablation",
                "tiny.toml",
                "--executor",
                "plan",
                "--time",
                "4h",
            ],
            2,
            "for example 04:00:00",
        ),
        (
            &["ablation", "tiny.toml", "--executor", "plan", "--jobs", "2"],
            2,
            "--array-limit",
        ),
        (
            &["ablation", "tiny.toml", "--executor", "plan", "--fresh"],
            2,
            "name an empty --store",
        ),
        (&["ablation", "wrong.toml"], 3, "wrong.toml:"),
        (
            &["ablation", "tiny.toml", "--executor", "slurm"],
            7,
            "scontrol: not found on the PATH; submit from a machine of the cluster, or use --executor plan",
        ),
        (&["run", "--plan", "out/plan.json"], 2, "--shard"),
        (
            &["run", "--plan", "out/plan.json", "--shard", "3/3"],
            2,
            "from 0 to N-1",
        ),
        (
            &["run", "tiny.toml", "slow", "adam", "--shard", "0/1"],
            2,
            "cannot be used with '--shard",
        ),
        (
            &["run", "--plan", "empty.json", "--shard", "0/1"],
            3,
            "empty.json: not a plan",
        ),
        (&["status", "none.json"], 4, "none.json"),
    ];
    for (arguments, code, reason) in cases {
        let output = bench_runner(path, arguments)
            .env("PATH", path)
            .output()
            .unwrap();
        let (got, error) = refusal(&output);
        assert_eq!(got, Some(*code), "{arguments:?}: {error}");
        assert!(error.contains(reason), "{arguments:?}: {error}");
    }
}

/// One problem, two optimizers with two settings each, two seeds beside the one that settings are chosen by.
fn tuned() -> String {
    let head = "name = \"tuned\"\nseeds = [0, 1]\ntuning = { seeds = [10], by = \"test-loss\", validation = 0.2, extensions = 0 }\n";
    let search = |kind: &str, rates: &str| {
        format!("[[optimizer]]\nkind = \"{kind}\"\nsearch = {{ learning_rate = {rates} }}\n")
    };
    let optimizers = search("sgd", "[1e-3, 1e-1]") + &search("adam", "[1e-3, 1e-2]");
    format!("{head}{MLP}{optimizers}")
}

#[test]
fn settings_are_chosen_between_two_plans_as_in_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("tuned.toml"), tuned()).unwrap();
    let sweep = |executor: &str, out: &str| {
        let sweep = ["ablation", "tuned.toml", "--executor", executor];
        let store = format!("{out}-store");
        text(
            path,
            &[&sweep[..], &["--out", out, "--store", &store]].concat(),
        )
    };
    let run = |plan: &str| text(path, &["run", "--plan", plan, "--shard", "0/1"]);

    let said = sweep("plan", "out");
    assert!(
        said.contains("tuned-tuning: 4 of 4 runs to be made"),
        "{said}"
    );
    assert!(said.contains("give the same command again"), "{said}");
    assert!(!path.join("out/plan.json").exists());
    run("out/tuning/plan.json");
    let said = sweep("plan", "out");
    assert!(said.contains("tuned: 4 of 4 runs to be made"), "{said}");
    run("out/plan.json");
    text(path, &["report", "out/plan.json"]);

    sweep("local", "local");
    for part in ["", "/tuning"] {
        let [planned, local] = ["out", "local"].map(|out| results(path, &format!("{out}{part}")));
        assert_eq!(planned.records, local.records, "{part}");
        let choices = |results: &Results| results.tuning.clone().map(|tuning| tuning.choices);
        assert_eq!(choices(&planned), choices(&local), "{part}");
    }
}

/// Writes down that a planned run failed.
fn fail(folder: &Path, plan: &str, cell: &serde_json::Value, begun: bool) {
    let attempts = folder.join(plan).with_file_name("attempts");
    std::fs::create_dir_all(&attempts).unwrap();
    let failed = serde_json::json!({
        "cell": { "problem": cell["problem"], "optimizer": cell["optimizer"], "seed": cell["seed"] },
        "shard": "0/1", "host": "node", "process": 1, "since": "2026-01-01T00:00:00Z",
        "begun": begun, "failure": "out of memory",
    });
    let address = cell["address"].as_str().unwrap();
    let path = attempts.join(address).with_extension("json");
    std::fs::write(path, failed.to_string()).unwrap();
}

#[test]
fn a_trial_that_failed_counts_as_the_worst() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("tuned.toml"), tuned()).unwrap();
    let arguments = ["ablation", "tuned.toml", "--executor", "plan"];
    let folders = ["--out", "out", "--store", "store"];
    let sweep = || call(path, &[arguments, folders].concat());
    assert!(sweep().status.success());
    let trials = "out/tuning/plan.json";
    let plan = std::fs::read(path.join(trials)).unwrap();
    let plan: serde_json::Value = serde_json::from_slice(&plan).unwrap();
    let cells = plan["cells"].as_array().unwrap();
    let is_failing = |cell: &serde_json::Value| cell["optimizer"] == "adam/learning_rate=0.01";

    // While others are missing nothing is chosen, and a machine's failure is no trial's.
    let failing = cells.iter().find(|cell| is_failing(cell)).unwrap();
    fail(path, trials, failing, true);
    let said = String::from_utf8(sweep().stdout).unwrap();
    assert!(
        said.contains("tuned-tuning: 4 of 4 runs to be made"),
        "{said}"
    );
    for (index, cell) in cells.iter().enumerate() {
        if !is_failing(cell) {
            let shard = format!("{index}/4");
            text(path, &["run", "--plan", trials, "--shard", &shard]);
        }
    }
    fail(path, trials, failing, false);
    let said = String::from_utf8(sweep().stdout).unwrap();
    assert!(
        said.contains("tuned-tuning: 1 of 4 runs to be made"),
        "{said}"
    );

    // Then the runs are planned, and the exit code tells of the trial.
    fail(path, trials, failing, true);
    let output = sweep();
    let (code, error) = refusal(&output);
    assert_eq!(code, Some(1), "{error}");
    assert!(
        error.contains("1 of these runs failed and count as the worst"),
        "{error}"
    );
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("tuned: 4 of 4 runs to be made"), "{said}");
    text(path, &["run", "--plan", "out/plan.json", "--shard", "0/1"]);
    text(path, &["report", "out/plan.json"]);
    let choice = &results(path, "out").tuning.unwrap().choices[1];
    assert_eq!(choice.setting, "learning_rate=0.001");
    let failed = ("learning_rate=0.01".to_string(), None);
    assert!(choice.trials.contains(&failed), "{:?}", choice.trials);
}
