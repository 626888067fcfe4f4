//! Slurm: the batch script of a plan, its submission as one job array with a job behind it that draws
//! the report, and what the scheduler says of the tasks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use bench_data::atomic;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::spec::ExecutorConfig;

/// Seconds before the time limit at which a task is told to stop, so that it can end in order.
const WARNING: u32 = 60;

/// A job array over a plan's shards.
#[derive(Debug, Clone)]
pub struct JobArray<'a> {
    /// The experiment's name, which is also the job's.
    pub name: &'a str,
    /// The plan, an absolute path. Script, logs and job numbers are kept beside it.
    pub plan: &'a Path,
    /// The program, an absolute path that exists on the nodes, too.
    pub program: &'a Path,
    /// Tasks.
    pub shards: usize,
    /// What a task may use.
    pub config: &'a ExecutorConfig,
}

/// The numbers of submitted jobs, kept beside the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// The job array.
    pub array: u64,
    /// The job that draws the report.
    pub report: Option<u64>,
}

/// What Slurm says of a task: its state, and why it waits or where it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Slurm's word, for example `RUNNING` or `NODE_FAIL`.
    pub state: String,
    /// The reason for waiting in brackets, or the nodes.
    pub place: String,
}

impl Task {
    /// Whether it is at work.
    pub fn runs(&self) -> bool {
        matches!(
            self.state.as_str(),
            "RUNNING" | "COMPLETING" | "SUSPENDED" | "STOPPED" | "SIGNALING" | "STAGE_OUT"
        )
    }

    /// Whether it is still to run.
    pub fn waits(&self) -> bool {
        matches!(
            self.state.as_str(),
            "PENDING"
                | "CONFIGURING"
                | "REQUEUED"
                | "REQUEUE_HOLD"
                | "REQUEUE_FED"
                | "SPECIAL_EXIT"
                | "RESIZING"
        )
    }
}

impl JobArray<'_> {
    /// Where the batch script is.
    pub fn script_path(&self) -> PathBuf {
        self.plan.with_file_name("slurm.sh")
    }

    /// The batch script, which `sbatch` takes as it is, and may take again.
    pub fn script(&self) -> String {
        let config = self.config;
        let mut options = vec![
            format!("--job-name={}", self.name),
            format!(
                "--array=0-{}{}",
                self.shards - 1,
                config
                    .array_limit
                    .map_or(String::new(), |limit| format!("%{limit}"))
            ),
            format!("--output={}", self.log("%a")),
            "--open-mode=append".into(),
            "--requeue".into(),
            format!("--signal=B:TERM@{WARNING}"),
        ];
        if let Some(gres) = &config.gres {
            options.push(format!("--gres={gres}"));
        }
        if let Some(count) = config.cpus_per_task {
            options.push(format!("--cpus-per-task={count}"));
        }
        if let Some(memory) = &config.memory {
            options.push(format!("--mem={memory}"));
        }
        options.extend(self.shared_options());
        let options: String = options
            .iter()
            .map(|option| format!("#SBATCH {option}\n"))
            .collect();
        format!(
            "#!/bin/sh\n\
             # One task per shard of the plan. What is stored is not run again, so that the script may be\n\
             # submitted, and any task requeued, as often as needed. {WARNING} s before the time limit a task is\n\
             # told to stop; `exec` makes the program the one that is told.\n\
             {options}\
             exec {} run --plan {} --shard \"$SLURM_ARRAY_TASK_ID/{}\" --threads \"${{SLURM_CPUS_PER_TASK:-1}}\"\n",
            quoted(self.program),
            quoted(self.plan),
            self.shards,
        )
    }

    /// Options that the tasks and the report's job have in common.
    fn shared_options(&self) -> Vec<String> {
        let partition = self.config.partition.as_ref();
        let time = self.config.time.as_ref();
        partition
            .map(|partition| format!("--partition={partition}"))
            .into_iter()
            .chain(time.map(|time| format!("--time={time}")))
            .chain(self.config.sbatch.iter().cloned())
            .collect()
    }

    /// A log's path, as `sbatch` reads it: `%` begins a pattern, so that a path's own is doubled.
    fn log(&self, name: &str) -> String {
        let folder = self.plan.with_file_name("logs").display().to_string();
        let path = format!("{}/{name}.log", folder.replace('%', "%%"));
        if path.contains([' ', '\'']) {
            format!("\"{path}\"")
        } else {
            path
        }
    }

    /// Whether the paths can stand in a script: a line break would begin a command, and what sbatch makes
    /// of quotes in its own lines is not the shell's way.
    fn check_paths(&self) -> Result<()> {
        let unusable = |c: char| c.is_control() || c == '"' || c == '\\';
        for path in [self.plan, self.program] {
            let usable = path.to_str().is_some_and(|text| !text.contains(unusable));
            if !usable {
                return Err(Error::Plan {
                    path: self.plan.into(),
                    reason: format!(
                        "{path:?} cannot stand in a batch script: use a path without line breaks and other \
                         control characters, `\"` and `\\`"
                    ),
                });
            }
        }
        Ok(())
    }

    /// Writes the script and the logs' folder.
    ///
    /// # Errors
    /// When a path cannot stand in a script, or they cannot be written.
    pub fn write(&self) -> Result<()> {
        self.check_paths()?;
        let logs = self.plan.with_file_name("logs");
        std::fs::create_dir_all(&logs).map_err(Error::io("create", &logs))?;
        let script = self.script_path();
        atomic::write(&script, self.script().as_bytes()).map_err(Error::io("write", &script))
    }

    /// Submits the array, and behind it a job that draws the report when all its tasks have ended,
    /// however they ended.
    ///
    /// # Errors
    /// When `sbatch` refuses, with its reason.
    pub fn submit(&self) -> Result<Submitted> {
        let script = self.script_path();
        let array = sbatch(&[script.display().to_string()]).map_err(|error| {
            refused(
                &error,
                &format!(
                    "change --partition, --time, --gres or the [executor] table, or edit and submit {} yourself",
                    script.display()
                ),
            )
        })?;
        let mut submitted = Submitted {
            array,
            report: None,
        };
        submitted.write(self.plan)?;
        let draw = format!("exec {} report {}", quoted(self.program), quoted(self.plan));
        let mut options = vec![
            format!("--dependency=afterany:{array}"),
            format!("--job-name={}-report", self.name),
            format!("--output={}", self.log("report").trim_matches('"')),
        ];
        options.extend(self.shared_options());
        options.push(format!("--wrap={draw}"));
        let report = sbatch(&options).map_err(|error| {
            refused(
                &error,
                &format!(
                    "the runs were submitted as job {array}, and only the job that draws the report was refused; \
                     draw it with: bench-runner report {}",
                    self.plan.display()
                ),
            )
        })?;
        submitted.report = Some(report);
        submitted.write(self.plan)?;
        Ok(submitted)
    }
}

impl Submitted {
    fn path(plan: &Path) -> PathBuf {
        plan.with_file_name("jobs.json")
    }

    fn write(self, plan: &Path) -> Result<()> {
        let path = Self::path(plan);
        let text = serde_json::to_vec(&self).map_err(|error| Error::Unwritable {
            what: path.display().to_string(),
            source: error.into(),
        })?;
        atomic::write(&path, &text).map_err(Error::io("write", &path))
    }

    /// The jobs submitted for a plan, if any were.
    pub fn read(plan: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(Self::path(plan)).ok()?).ok()
    }

    /// Forgets the jobs, because the plan is new.
    pub fn forget(plan: &Path) {
        // A file that stays only makes `status` ask for jobs that are over.
        let _ = std::fs::remove_file(Self::path(plan));
    }

    /// The array's tasks by index; `None` where Slurm cannot be asked or has forgotten the job.
    pub fn tasks(&self) -> Option<BTreeMap<usize, Task>> {
        let job = self.array.to_string();
        // The controller forgets jobs some minutes after their end; the accounting, if any, does not.
        let queue = ["-h", "-r", "-t", "all", "-o", "%K|%T|%R", "-j", &job];
        call("squeue", &queue)
            .ok()
            .map(|text| queue_tasks(&text))
            .filter(|tasks| !tasks.is_empty())
            .or_else(|| {
                let accounting = [
                    "-n",
                    "-X",
                    "-P",
                    "--array",
                    "-o",
                    "JobID,State,NodeList",
                    "-j",
                    &job,
                ];
                call("sacct", &accounting)
                    .ok()
                    .map(|text| accounting_tasks(&text))
                    .filter(|tasks| !tasks.is_empty())
            })
    }
}

/// Checks that arrays of so many tasks can be submitted from here.
///
/// # Errors
/// When Slurm is not there, or allows only smaller arrays.
pub fn check(shards: usize) -> Result<()> {
    let config = call("scontrol", &["show", "config"]).map_err(|error| {
        refused(
            &error,
            "submit from a machine of the cluster, or use --executor plan and submit the script there",
        )
    })?;
    match max_array_size(&config) {
        Some(most) if shards > most => Err(Error::TooManyTasks { shards, most }),
        _ => Ok(()),
    }
}

/// The most tasks in an array; the indices go up to one less.
fn max_array_size(config: &str) -> Option<usize> {
    let line = config
        .lines()
        .find(|line| line.trim_start().starts_with("MaxArraySize"))?;
    line.split('=').nth(1)?.trim().parse().ok()
}

/// Tasks in lines `index|state|reason`.
fn queue_tasks(text: &str) -> BTreeMap<usize, Task> {
    tasks(text, |index| index.parse().ok())
}

/// Tasks in lines `job_index|state|nodes`.
fn accounting_tasks(text: &str) -> BTreeMap<usize, Task> {
    tasks(text, |job| job.split_once('_')?.1.parse().ok())
}

fn tasks(text: &str, index: impl Fn(&str) -> Option<usize>) -> BTreeMap<usize, Task> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split('|');
            let index = index(fields.next()?)?;
            // The accounting says who cancelled: `CANCELLED by 1000`.
            let state = fields.next()?.split(' ').next()?.to_string();
            let place = fields.next().unwrap_or_default().to_string();
            Some((index, Task { state, place }))
        })
        .collect()
}

/// Submits and returns the job's number.
fn sbatch(arguments: &[String]) -> Result<u64> {
    let mut all = vec!["--parsable"];
    all.extend(arguments.iter().map(String::as_str));
    let text = call("sbatch", &all)?;
    // With several clusters: `number;cluster`.
    let number = text.trim().split(';').next().unwrap_or_default();
    number.parse().map_err(|_| Error::Scheduler {
        command: "sbatch".into(),
        reason: format!("answered {:?} in place of a job's number", text.trim()),
    })
}

/// Calls one of Slurm's programs and returns what it prints.
fn call(program: &str, arguments: &[&str]) -> Result<String> {
    let failed = |reason: String| Error::Scheduler {
        command: program.into(),
        reason,
    };
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => failed("not found on the PATH".into()),
            _ => failed(error.to_string()),
        })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = text
        .lines()
        .map(|line| {
            line.trim_start_matches(program)
                .trim_start_matches(": error: ")
        })
        .filter(|line| !line.trim().is_empty())
        .collect();
    Err(failed(match said.as_slice() {
        [] => output.status.to_string(),
        said => said.join("; "),
    }))
}

/// A scheduler's error with what to do about it.
fn refused(error: &Error, advice: &str) -> Error {
    match error {
        Error::Scheduler { command, reason } => Error::Scheduler {
            command: command.clone(),
            reason: format!("{reason}; {advice}"),
        },
        error => Error::Scheduler {
            command: "sbatch".into(),
            reason: format!("{error}; {advice}"),
        },
    }
}

/// A path as a word of a shell script.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::spec::ExecutorKind;

    #[test]
    fn the_script_asks_for_what_was_set_and_quotes_paths() {
        let config = ExecutorConfig {
            kind: Some(ExecutorKind::Slurm),
            array_limit: Some(5),
            partition: Some("gpu".into()),
            time: Some("1-00:00:00".into()),
            gres: Some("gpu:1".into()),
            cpus_per_task: Some(4),
            memory: Some("8G".into()),
            sbatch: vec!["--account=physics".into()],
            ..ExecutorConfig::default()
        };
        let array = JobArray {
            name: "demo",
            plan: Path::new("/lab/o'hara 100%/plan.json"),
            program: Path::new("/opt/bench-runner"),
            shards: 20,
            config: &config,
        };
        insta::assert_snapshot!(array.script());
    }

    #[test]
    fn paths_that_would_be_commands_or_break_an_option_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let config = ExecutorConfig::default();
        for name in ["a\ntouch x", "a\"b", "a\\b", "a\rb"] {
            let plan = folder.path().join(name).join("plan.json");
            let array = JobArray {
                name: "demo",
                plan: &plan,
                program: Path::new("/opt/bench-runner"),
                shards: 2,
                config: &config,
            };
            let error = array.write().unwrap_err().to_string();
            assert!(error.contains("cannot stand in a batch script"), "{error}");
            assert!(!array.script_path().exists());
        }
    }

    #[test]
    fn what_slurm_says_is_read() {
        assert_eq!(
            max_array_size("MaxArrayJobs = 7\nMaxArraySize            = 1001\n"),
            Some(1001)
        );
        let tasks = queue_tasks("0|RUNNING|node7\n2|PENDING|(Priority)\n10|TIMEOUT|(TimeLimit)\n");
        assert_eq!(tasks.keys().copied().collect::<Vec<_>>(), [0, 2, 10]);
        assert!(tasks[&0].runs() && tasks[&2].waits());
        assert!(!tasks[&10].runs() && !tasks[&10].waits());
        assert_eq!(tasks[&2].place, "(Priority)");
        let tasks = accounting_tasks("12_0|COMPLETED|n1\n12_1|CANCELLED by 0|n2\n12|PENDING|\n");
        assert_eq!(tasks.len(), 2);
        assert_eq!(tasks[&1].state, "CANCELLED");
    }
}
