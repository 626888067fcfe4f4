//! Sweeps: every run of an experiment, several at a time. Beyond one machine, a plan is written down,
//! and its shards run anywhere: by the tasks of a Slurm job array, or by any scheduler that can count.

mod attempt;
mod demand;
mod devices;
mod distribute;
mod estimate;
mod execute;
mod plan_file;
mod queue;
mod share;
pub mod slurm;
mod stability;
mod tuning;

pub use attempt::{Attempt, Attempts};
pub use demand::Demand;
pub use devices::{DeviceSpec, models};
pub use distribute::{Distributed, Distribution, PLAN};
pub use estimate::{Estimate, Probing};
pub use execute::{Event, Resources, execute};
pub use plan_file::{Plan, PlanParts, PlannedCell};
pub use share::{NoShard, Shard};
pub use stability::{perturbed, summarised};
pub use tuning::Search;
