//! Where the runs of an experiment are made: in this process, or by the tasks of a job array.

use serde::{Deserialize, Serialize};

use crate::settings::Invalid;

/// Who makes the runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExecutorKind {
    /// This process.
    Local,
    /// Whoever runs the shards of the plan that is written.
    Plan,
    /// A Slurm job array.
    Slurm,
}

/// The `[executor]` table of an experiment file; flags of the same names go before it.
/// All but `kind` describe the tasks of a job array.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExecutorConfig {
    /// Who makes the runs: this process, whoever runs the plan's shards, or a Slurm job array
    /// [default: local]
    pub kind: Option<ExecutorKind>,
    /// Tasks among which the runs are divided [default: one per missing run, at most 100]
    pub shards: Option<usize>,
    /// Tasks that run at the same time, at most
    pub array_limit: Option<usize>,
    /// Slurm partition
    pub partition: Option<String>,
    /// Time limit of a task, as Slurm writes it: minutes, H:M:S or D-H:M:S
    pub time: Option<String>,
    /// Generic resources of a task, for example gpu:1
    pub gres: Option<String>,
    /// Processors of a task, which are also its threads
    pub cpus_per_task: Option<usize>,
    /// Memory of a task, for example 8G
    pub memory: Option<String>,
    /// Any other option of sbatch, for example --sbatch=--account=physics; may be repeated
    pub sbatch: Vec<String>,
}

/// Options of sbatch that the script depends on.
const OWN_OPTIONS: &[&str] = &[
    "--array",
    "--dependency",
    "--error",
    "--job-name",
    "--open-mode",
    "--output",
    "--parsable",
    "--requeue",
    "--no-requeue",
    "--signal",
    "--wrap",
];

impl ExecutorConfig {
    /// Who makes the runs.
    pub fn kind(&self) -> ExecutorKind {
        self.kind.unwrap_or(ExecutorKind::Local)
    }

    /// These settings, and for those that are not set the ones of an experiment file. An executor that
    /// is named here and is local takes none of the file's settings, which are for job arrays.
    pub fn or(&self, file: Option<&Self>) -> Self {
        let file = match file {
            Some(file) if self.kind != Some(ExecutorKind::Local) => file.clone(),
            _ => Self::default(),
        };
        Self {
            kind: self.kind.or(file.kind),
            shards: self.shards.or(file.shards),
            array_limit: self.array_limit.or(file.array_limit),
            partition: self.partition.clone().or(file.partition),
            time: self.time.clone().or(file.time),
            gres: self.gres.clone().or(file.gres),
            cpus_per_task: self.cpus_per_task.or(file.cpus_per_task),
            memory: self.memory.clone().or(file.memory),
            sbatch: file.sbatch.iter().chain(&self.sbatch).cloned().collect(),
        }
    }

    /// Whether every setting can be used, and is of use.
    ///
    /// # Errors
    /// The first setting that cannot.
    pub fn check(&self) -> Result<(), Invalid> {
        let bad = |key: &str, value: &str, reason: &str| Err(Invalid::value(key, value, reason));
        let counts = [
            ("shards", self.shards),
            ("array_limit", self.array_limit),
            ("cpus_per_task", self.cpus_per_task),
        ];
        let texts = [
            ("partition", &self.partition),
            ("time", &self.time),
            ("gres", &self.gres),
            ("memory", &self.memory),
        ];
        for (key, count) in counts {
            if count == Some(0) {
                return bad(key, "0", "a whole number of at least 1 is needed");
            }
        }
        for (key, text) in texts {
            // They become lines of a shell script.
            let usable = |c: char| c.is_ascii_graphic() && !"'\"\\`$#;&|<>".contains(c);
            if let Some(text) = text
                && (text.is_empty() || !text.chars().all(usable))
            {
                return bad(
                    key,
                    &format!("{text:?}"),
                    "use letters, digits and signs such as `-`, `_`, `:`, `,`, without spaces",
                );
            }
        }
        if let Some(time) = &self.time
            && !is_time(time)
        {
            return bad(
                "time",
                time,
                "write minutes, M:S, H:M:S, D-H, D-H:M or D-H:M:S, for example 04:00:00",
            );
        }
        for option in &self.sbatch {
            let name = option.split('=').next().unwrap_or(option);
            let signs = |c: char| c.is_whitespace() || c.is_control() || "'\"\\".contains(c);
            if !name.starts_with("--") || option.contains(signs) {
                return bad(
                    "sbatch",
                    &format!("{option:?}"),
                    "one long option of sbatch is needed, without spaces and quotes, for example \
                     --account=physics",
                );
            }
            // sbatch takes the beginning of a name for the name.
            if OWN_OPTIONS.iter().any(|own| own.starts_with(name)) {
                return bad("sbatch", option, "this option is set by the program itself");
            }
        }
        if self.kind() == ExecutorKind::Local {
            let set = counts
                .iter()
                .filter_map(|(key, count)| count.map(|count| (*key, count.to_string())))
                .chain(
                    texts
                        .iter()
                        .filter_map(|(key, text)| Some((*key, text.as_ref()?.clone()))),
                )
                .chain(self.sbatch.first().map(|option| ("sbatch", option.clone())))
                .next();
            if let Some((key, value)) = set {
                return bad(
                    key,
                    &value,
                    "is for job arrays: name the executor `slurm` or `plan`, too",
                );
            }
        }
        Ok(())
    }
}

/// Whether Slurm reads this as a time limit.
fn is_time(text: &str) -> bool {
    let number = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    let numbers = |text: &str| text.split(':').all(number) && text.split(':').count() <= 3;
    match text.split_once('-') {
        Some((days, rest)) => number(days) && numbers(rest),
        None => numbers(text),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn slurm() -> ExecutorConfig {
        ExecutorConfig {
            kind: Some(ExecutorKind::Slurm),
            ..ExecutorConfig::default()
        }
    }

    #[test]
    fn times_are_those_of_slurm() {
        for time in ["90", "90:30", "4:00:00", "1-12", "1-12:30", "1-12:30:00"] {
            assert!(is_time(time), "{time}");
        }
        for time in ["", "4h", "1-", "-1", "1:2:3:4", "1:", "a-1", "1-1-1"] {
            assert!(!is_time(time), "{time}");
        }
    }

    #[test]
    fn flags_go_before_the_file_and_local_drops_its_settings() {
        let file = ExecutorConfig {
            shards: Some(7),
            partition: Some("long".into()),
            sbatch: vec!["--account=a".into()],
            ..slurm()
        };
        let flags = ExecutorConfig {
            shards: Some(3),
            sbatch: vec!["--qos=b".into()],
            ..ExecutorConfig::default()
        };
        let both = flags.or(Some(&file));
        assert_eq!(both.kind(), ExecutorKind::Slurm);
        assert_eq!(both.shards, Some(3));
        assert_eq!(both.partition.as_deref(), Some("long"));
        assert_eq!(both.sbatch, ["--account=a", "--qos=b"]);
        let local = ExecutorConfig {
            kind: Some(ExecutorKind::Local),
            ..ExecutorConfig::default()
        };
        assert_eq!(local.or(Some(&file)), local);
    }

    #[test]
    fn options_of_sbatch_are_one_each_and_not_the_programs_own() {
        for option in [
            "--array=0-9",
            "--arr=0-9",
            "--outp=x",
            "--a=0-9",
            "--",
            "--account=a --array=0-9",
            "--account a",
            "--comment=\"a",
            "-o",
            "--comment=a\trm",
        ] {
            let config = ExecutorConfig {
                sbatch: vec![option.into()],
                ..slurm()
            };
            let invalid = config.check().map_err(|invalid| invalid.key);
            assert_eq!(invalid, Err("sbatch".into()), "{option}");
        }
        let usual = [
            "--account=physics",
            "--qos=long",
            "--exclusive",
            "--nodelist=n[1-4]",
        ];
        let config = ExecutorConfig {
            sbatch: usual.map(str::to_owned).to_vec(),
            ..slurm()
        };
        assert_eq!(config.check(), Ok(()));
    }

    #[test]
    fn unusable_settings_are_named() {
        let text = |text: &str| Some(text.to_string());
        let cases = [
            (
                "shards",
                ExecutorConfig {
                    shards: Some(0),
                    ..slurm()
                },
            ),
            (
                "array_limit",
                ExecutorConfig {
                    array_limit: Some(0),
                    ..slurm()
                },
            ),
            (
                "time",
                ExecutorConfig {
                    time: text("4h"),
                    ..slurm()
                },
            ),
            (
                "partition",
                ExecutorConfig {
                    partition: text("a\n#SBATCH --x"),
                    ..slurm()
                },
            ),
            (
                "gres",
                ExecutorConfig {
                    gres: text(""),
                    ..slurm()
                },
            ),
            (
                "memory",
                ExecutorConfig {
                    memory: text("8 G"),
                    ..slurm()
                },
            ),
            (
                "sbatch",
                ExecutorConfig {
                    sbatch: vec!["account".into()],
                    ..slurm()
                },
            ),
            (
                "sbatch",
                ExecutorConfig {
                    sbatch: vec!["--array=0-9".into()],
                    ..slurm()
                },
            ),
            (
                "sbatch",
                ExecutorConfig {
                    sbatch: vec!["--a=b\nc".into()],
                    ..slurm()
                },
            ),
            (
                "partition",
                ExecutorConfig {
                    kind: None,
                    partition: text("gpu"),
                    ..slurm()
                },
            ),
        ];
        for (key, config) in cases {
            assert_eq!(config.check().unwrap_err().key, key, "{config:?}");
        }
        assert_eq!(slurm().check(), Ok(()));
    }
}
