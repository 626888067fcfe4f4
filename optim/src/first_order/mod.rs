//! Methods that move along gradients alone: SGD, Adam and their sequence.

mod adam;
mod adam_sgd;
mod groups;
mod sgd;

pub use adam::{Adam, AdamConfig, EpsilonPlacement, WeightDecay};
pub use adam_sgd::{AdamSgd, AdamSgdConfig, SwitchAt};
pub use groups::ParameterGroup;
pub use sgd::{Sgd, SgdConfig};

use crate::{Gradient, Oracle, Phase, Result, Step, StopReason};

/// One evaluation and one `update`, which returns the gradient norm; gives the gradient too. Without
/// a finite loss no update is made.
fn step(
    oracle: &mut Oracle<'_>,
    update: impl FnOnce(&Gradient) -> Result<f64>,
) -> Result<(Step, Gradient)> {
    let (loss, gradient) = oracle.loss_and_gradient()?;
    let gradient_norm = if loss.is_finite() {
        update(&gradient)?
    } else {
        gradient.norm()?
    };
    let finite = loss.is_finite() && gradient_norm.is_finite();
    let step = Step {
        loss,
        final_loss: None,
        gradient_norm,
        phase: Phase::FirstOrder,
        iterations: 1,
        stop: if finite {
            StopReason::Updated
        } else {
            StopReason::NonFinite
        },
    };
    Ok((step, gradient))
}
