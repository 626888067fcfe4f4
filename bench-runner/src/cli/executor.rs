//! Where runs are made: the flags of `ablation` that say so.

use bench_experiment::spec::{ExecutorConfig, ExecutorKind};
use clap::ValueEnum;

/// Who makes the runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Executor {
    /// This process
    Local,
    /// Whoever runs the shards of the plan that is written
    Plan,
    /// A Slurm job array
    Slurm,
}

/// The flags that go before the `[executor]` table of an experiment file.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Beyond this machine")]
pub struct ExecutorFlags {
    /// Who makes the runs: this process, whoever runs the plan's shards, or a Slurm job array
    /// [default: local]
    #[arg(long = "executor", value_name = "EXECUTOR")]
    kind: Option<Executor>,
    /// Tasks among which the runs are divided [default: one per missing run, at most 100]
    #[arg(long, value_name = "N")]
    shards: Option<usize>,
    /// Tasks that run at the same time, at most
    #[arg(long, value_name = "N")]
    array_limit: Option<usize>,
    /// Slurm partition
    #[arg(long, value_name = "NAME")]
    partition: Option<String>,
    /// Time limit of a task, as Slurm writes it: minutes, H:M:S or D-H:M:S
    #[arg(long, value_name = "TIME")]
    time: Option<String>,
    /// Generic resources of a task, for example gpu:1
    #[arg(long, value_name = "LIST")]
    gres: Option<String>,
    /// Processors of a task, which are also its threads
    #[arg(long, value_name = "N")]
    cpus_per_task: Option<usize>,
    /// Memory of a task, for example 8G
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
    /// Any other option of sbatch, for example --sbatch=--account=physics; may be repeated
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    sbatch: Vec<String>,
}

impl ExecutorFlags {
    /// As the experiment floor has them.
    pub fn config(&self) -> ExecutorConfig {
        ExecutorConfig {
            kind: self.kind.map(|kind| match kind {
                Executor::Local => ExecutorKind::Local,
                Executor::Plan => ExecutorKind::Plan,
                Executor::Slurm => ExecutorKind::Slurm,
            }),
            shards: self.shards,
            array_limit: self.array_limit,
            partition: self.partition.clone(),
            time: self.time.clone(),
            gres: self.gres.clone(),
            cpus_per_task: self.cpus_per_task,
            memory: self.memory.clone(),
            sbatch: self.sbatch.clone(),
        }
    }
}
