//! Methods that move along gradients alone, component by component: SGD, Adam, their sequence and
//! their descendants.

mod adam;
mod adam_sgd;
mod elementwise;
mod groups;
mod growing_adam;
mod lion;
mod nadamw;
mod prodigy;
mod schedule_free;
mod sgd;
mod sls;
mod swats;

pub use adam::{Adam, AdamConfig, EpsilonPlacement, WeightDecay};
pub use adam_sgd::{AdamSgd, AdamSgdConfig, SwitchAt};
pub use elementwise::Elementwise;
pub(crate) use elementwise::gradient_step;
pub use groups::ParameterGroup;
pub(crate) use groups::{GroupSettings, Groups, matches};
pub use growing_adam::{GrowingAdam, GrowingAdamConfig};
pub use lion::{Lion, LionConfig};
pub use nadamw::{LookAhead, Nadamw, NadamwConfig};
pub use prodigy::{Prodigy, ProdigyConfig};
pub use schedule_free::{ScheduleFreeAdamw, ScheduleFreeAdamwConfig};
pub use sgd::{Sgd, SgdConfig};
pub use sls::{Sls, SlsConfig, StepReset};
pub use swats::{Swats, SwatsConfig};
