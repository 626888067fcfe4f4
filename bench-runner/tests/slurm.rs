//! Sweeps on a real Slurm, which `scripts/slurm-loopback.sh` starts on this machine; skipped where Slurm is
//! not installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::program::{self, MLP};
use bench_experiment::store::Results;

/// Two Slurms at a time would share two processors.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A Slurm with two slots, and a folder to work in.
struct Cluster {
    folder: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Cluster {
    /// Starts one; `None` where Slurm is not installed.
    fn start() -> Option<Self> {
        let programs = ["slurmctld", "slurmd", "munged", "sbatch"];
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = std::env::split_paths(&path)
            .chain(["/usr/sbin".into()])
            .collect();
        for program in programs {
            if !folders.iter().any(|folder| folder.join(program).is_file()) {
                eprintln!(
                    "skipped: {program} is not installed (Debian: apt-get install slurm-wlm munge)"
                );
                return None;
            }
        }
        let cluster = Self {
            _turn: ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner),
            folder: tempfile::tempdir().unwrap(),
        };
        let output = cluster.loopback("start");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        Some(cluster)
    }

    fn loopback(&self, command: &str) -> Output {
        Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/slurm-loopback.sh"))
            .arg(command)
            .arg(self.path().join("slurm"))
            .output()
            .unwrap()
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn call(&self, mut command: Command) -> Output {
        let configuration = self.path().join("slurm/slurm.conf");
        command.env("SLURM_CONF", configuration).output().unwrap()
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.path());
        self.call(command)
    }

    fn bench_runner(&self, arguments: &[&str]) -> Output {
        self.call(program::bench_runner(self.path(), arguments))
    }

    /// What a successful call prints.
    fn text(&self, arguments: &[&str]) -> String {
        success(&self.bench_runner(arguments))
    }

    fn scontrol(&self, arguments: &[&str]) -> String {
        success(&self.command("scontrol", arguments))
    }

    /// The states of a job's tasks, by index.
    fn states(&self, job: u64) -> Vec<(usize, String)> {
        let queue = [
            "-h",
            "-r",
            "-t",
            "all",
            "-o",
            "%K %T",
            "-j",
            &job.to_string(),
        ];
        let mut states: Vec<_> = success(&self.command("squeue", &queue))
            .lines()
            .filter_map(|line| {
                let (index, state) = line.split_once(' ')?;
                Some((index.parse().ok()?, state.to_string()))
            })
            .collect();
        states.sort();
        states
    }

    /// Starts what waits after a requeue: Slurm itself would, some time later.
    fn start_requeued(&self, job: u64) {
        for (index, state) in self.states(job) {
            if state == "PENDING" {
                let task = format!("JobId={job}_{index}");
                self.command("scontrol", &["update", &task, "StartTime=now"]);
            }
        }
    }

    /// The numbers of the array and of the report's job.
    fn jobs(&self, out: &str) -> (u64, u64) {
        let text = std::fs::read(self.path().join(out).join("jobs.json")).unwrap();
        let jobs: serde_json::Value = serde_json::from_slice(&text).unwrap();
        (
            jobs["array"].as_u64().unwrap(),
            jobs["report"].as_u64().unwrap(),
        )
    }

    /// The attempt at a run of a problem that is under way.
    fn attempt(&self, out: &str, problem: &str) -> Option<serde_json::Value> {
        let files = std::fs::read_dir(self.path().join(out).join("attempts")).ok()?;
        files
            .flatten()
            .filter_map(|file| std::fs::read(file.path()).ok())
            .filter_map(|text| serde_json::from_slice::<serde_json::Value>(&text).ok())
            .find(|attempt| attempt["cell"]["problem"] == problem)
    }

    fn results(&self, out: &str) -> Results {
        program::results(self.path(), out)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.loopback("stop");
    }
}

fn success(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits for a condition.
fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(180) {
        if let Some(value) = condition() {
            return value;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("waited three minutes for {what}");
}

const SLOW: &str = r#"
[[problem]]
label = "slow"
kind = "function"
function = "rosenbrock"
dimension = 10
budget = 600000
points = 4
"#;

const ADAM: &str = r#"
[[optimizer]]
kind = "adam"
learning_rate = 1e-4
"#;

#[test]
fn a_job_array_survives_killed_tasks_and_nodes_with_the_local_results() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let head = "name = \"sweep\"\nseeds = 4\nexecutor = { kind = \"slurm\", shards = 4, array_limit = 2 }\n";
    cluster.write("sweep.toml", &format!("{head}{SLOW}{MLP}{ADAM}"));
    let submit = ["ablation", "sweep.toml", "--out", "out", "--store", "store"];

    // What Slurm refuses, and what it would refuse.
    let refused = |more: &[&str], code: i32, reason: &str| {
        let output = cluster.bench_runner(&[&submit, more].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{more:?}: {error}");
        assert!(error.contains(reason), "{more:?}: {error}");
    };
    let partition = "sbatch: invalid partition specified: nowhere; Batch job submission failed: Invalid partition name \
                     specified; change --partition";
    refused(&["--partition", "nowhere"], 7, partition);
    refused(
        &["--shards", "102"],
        2,
        "--shards 102: this Slurm allows 101 tasks",
    );
    refused(&["--gres", "gpu:1"], 7, "Invalid generic resource");

    // A task that gets the signal of a near time limit. It is sent at once, since the whole minute is less
    // than the warning.
    let long = format!("{SLOW}{MLP}{ADAM}").replace("600000", "2000000000");
    cluster.write(
        "long.toml",
        &format!("name = \"long\"\nseeds = [0]\n{long}"),
    );
    let limited = ["ablation", "long.toml", "--out", "long", "--store", "store"];
    let slurm = [
        "--executor",
        "slurm",
        "--shards",
        "1",
        "--time",
        "1",
        "--cpus-per-task",
        "1",
    ];
    cluster.text(&[&limited[..], &slurm].concat());

    assert!(
        cluster
            .text(&submit)
            .contains("draws the report at its end")
    );
    let (array, report) = cluster.jobs("out");
    cluster.scontrol(&["hold", &report.to_string()]);
    refused(&[], 7, &format!("job {array} is still at work"));

    // A run is killed half way.
    let attempt = until("a run", || cluster.attempt("out", "slow"));
    let status = cluster.text(&["status", "out/plan.json"]);
    assert!(
        status.contains("\nRunning\n  slow × adam × seed "),
        "{status}"
    );
    let index = attempt["shard"]
        .as_str()
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    let index: usize = index.parse().unwrap();
    let process = attempt["process"].to_string();
    assert!(
        Command::new("kill")
            .args(["-KILL", &process])
            .status()
            .unwrap()
            .success()
    );
    until("the killed task's end", || {
        let states = cluster.states(array);
        states.contains(&(index, "FAILED".into())).then_some(())
    });
    let killed = format!("slow × adam × seed {}: on", attempt["cell"]["seed"]);
    let status = cluster.text(&["status", "out/plan.json"]);
    assert!(!status.contains(&killed), "{status}");
    assert!(status.contains("FAILED           1: "), "{status}");
    cluster.scontrol(&["requeue", &format!("{array}_{index}")]);

    // Then the node goes down under the next.
    let runs = |state: &(usize, String)| state.1 == "RUNNING";
    until("a running task", || {
        cluster.states(array).iter().any(runs).then_some(())
    });
    let node = success(&Command::new("hostname").arg("-s").output().unwrap());
    let node = format!("NodeName={}", node.trim());
    cluster.scontrol(&["update", &node, "State=DOWN", "Reason=test"]);
    until("the requeue", || {
        (!cluster.states(array).iter().any(runs)).then_some(())
    });
    cluster.command("scontrol", &["update", &node, "State=RESUME"]);

    let long_array = cluster.jobs("long").0;
    let ended = |job: u64, state: &str| {
        cluster.start_requeued(job);
        cluster
            .states(job)
            .iter()
            .all(|(_, is)| is == state)
            .then_some(())
    };
    until("the sweep's tasks", || ended(array, "COMPLETED"));
    cluster.scontrol(&["release", &report.to_string()]);
    until("the time limit", || ended(long_array, "FAILED"));
    let log = std::fs::read_to_string(cluster.path().join("long/logs/0.log")).unwrap();
    assert!(
        log.contains("1 of 2 runs are complete; the same command goes on from there"),
        "{log}"
    );
    let status = cluster.text(&["status", "long/plan.json"]);
    for line in [
        "done           1",
        "pending        1",
        "No task is left for 1 runs",
    ] {
        assert!(status.contains(line), "{line}: {status}");
    }

    until("the report", || {
        let over = cluster.path().join("out/manifest.json").exists();
        over.then_some(())
    });
    let local = ["--executor", "local", "--out", "local", "--store", "other"];
    cluster.text(&[&submit[..2], &local].concat());
    assert_eq!(cluster.results("out"), cluster.results("local"));
    let status = cluster.text(&["status", "out/plan.json"]);
    assert!(status.contains("done           8"), "{status}");
}

#[test]
fn a_thousand_small_runs_on_twenty_tasks() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let experiment = "name = \"many\"\nseeds = 500\n\
         problem = [{ label = \"booth\", kind = \"function\", function = \"booth\", budget = 20, points = 2 }]\n\
         optimizer = [{ kind = \"adam\" }, { kind = \"lbfgs\" }]\n";
    cluster.write("many.toml", experiment);
    let sweep = |executor: &str, out: &str| {
        let mut arguments = vec![
            "ablation",
            "many.toml",
            "--executor",
            executor,
            "--out",
            out,
        ];
        let store = format!("{out}-store");
        arguments.extend(["--store", &store]);
        if executor == "slurm" {
            arguments.extend(["--shards", "20"]);
        }
        let started = Instant::now();
        cluster.text(&arguments);
        started.elapsed()
    };
    let started = Instant::now();
    let submitted = sweep("slurm", "many");
    let array = cluster.jobs("many").0;
    until("the tasks", || {
        let states = cluster.states(array);
        states
            .iter()
            .all(|(_, state)| state == "COMPLETED")
            .then_some(())
    });
    let tasks = started.elapsed() - submitted;
    until("the report", || {
        cluster
            .path()
            .join("many/manifest.json")
            .exists()
            .then_some(())
    });
    let all = started.elapsed();
    let local = sweep("local", "local");
    let results = cluster.results("many");
    assert_eq!(results.records.len(), 1000);
    assert_eq!(results, cluster.results("local"));

    // Measured, not judged: a busy machine is slow.
    let logs = std::fs::read_dir(cluster.path().join("many/logs")).unwrap();
    let lines: Vec<String> = logs
        .filter_map(|log| {
            let text = std::fs::read_to_string(log.unwrap().path()).unwrap();
            let line = text.lines().find(|line| line.starts_with("shard "))?;
            Some(line.to_string())
        })
        .collect();
    assert_eq!(lines.len(), 20);
    let seconds = |line: &str, after: &str| -> f64 {
        let text = &line[line.find(after).unwrap() + after.len()..];
        text.split(' ').next().unwrap().parse().unwrap()
    };
    let trained: f64 = lines.iter().map(|line| seconds(line, "trained ")).sum();
    let in_program: f64 = lines.iter().map(|line| seconds(line, "s of ")).sum();
    let busy = 2.0 * tasks.as_secs_f64();
    eprintln!(
        "1,000 runs in 20 tasks on two slots: submission {:.2} s, tasks {:.2} s, report {:.2} s; per run {:.2} ms of a \
         slot, of which training {:.2} ms, the rest of the program {:.2} ms, Slurm and process start {:.2} ms; the \
         local executor took {:.2} s with its report",
        submitted.as_secs_f64(),
        tasks.as_secs_f64(),
        (all - submitted - tasks).as_secs_f64(),
        busy,
        trained,
        in_program - trained,
        busy - in_program,
        local.as_secs_f64(),
    );
}
