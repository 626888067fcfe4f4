//! How much of the decreases that L-BFGS makes on one batch the next batch confirms.

use std::collections::VecDeque;

use candle_core::{DType, Device, Tensor};

use crate::error::{Error, Result};
use crate::record::Step;
use crate::state::State;

/// The steps whose shares are averaged.
const STEPS: usize = 4;

/// The shares of the latest decreases that hold on the batch after.
///
/// Let step k go from x to x⁺ on batch k. Its decrease there is fₖ(x) − fₖ(x⁺). The next step begins at x⁺
/// with a batch of its own, so that fₖ(x) − fₖ₊₁(x⁺) estimates the decrease of the whole objective: the step
/// did not see that batch. Their ratio, from −1 to 1, is the share that is confirmed. It costs no evaluation.
/// Without noise it is 1.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Confirmation {
    /// The losses before and after the latest step, on its batch.
    latest: Option<[f64; 2]>,
    shares: VecDeque<f64>,
}

impl Confirmation {
    /// Takes note of a step of L-BFGS.
    pub(super) fn observe(&mut self, step: &Step) {
        if let Some([before, after]) = self.latest {
            let share = (before - step.loss) / (before - after);
            if !share.is_nan() {
                self.shares.push_back(share.clamp(-1.0, 1.0));
            }
            if self.shares.len() > STEPS {
                self.shares.pop_front();
            }
        }
        self.latest = step.final_loss.map(|after| [step.loss, after]);
    }

    /// The mean share; `None` before the second step.
    pub(super) fn mean(&self) -> Option<f64> {
        let sum: f64 = self.shares.iter().sum();
        (!self.shares.is_empty()).then(|| sum / self.shares.len() as f64)
    }

    pub(super) fn save(&self, state: &mut State) -> Result<()> {
        let latest = self.latest.unwrap_or([f64::NAN; 2]);
        let numbers: Vec<f64> = latest
            .into_iter()
            .chain(self.shares.iter().copied())
            .collect();
        state
            .tensors
            .insert("confirmation".into(), Tensor::new(numbers, &Device::Cpu)?);
        Ok(())
    }

    pub(super) fn load(state: &State) -> Result<Self> {
        let missing = || Error::Checkpoint("tensor `confirmation` is missing or malformed".into());
        let numbers = state.tensors.get("confirmation").ok_or_else(missing)?;
        let numbers = numbers.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        let [before, after, shares @ ..] = numbers.as_slice() else {
            return Err(missing());
        };
        Ok(Self {
            // A step whose losses are not both numbers confirms nothing.
            latest: [before, after]
                .iter()
                .all(|loss| !loss.is_nan())
                .then_some([*before, *after]),
            shares: shares.iter().copied().collect(),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::Var;

    use super::*;
    use crate::params::Parameters;
    use crate::record::{Phase, StopReason};

    fn step(loss: f64, final_loss: f64) -> Step {
        Step {
            loss,
            final_loss: Some(final_loss),
            gradient_norm: 1.0,
            phase: Phase::SecondOrder,
            iterations: 1,
            stop: StopReason::Updated,
        }
    }

    #[test]
    fn shares_are_those_of_the_batch_after() {
        let mut confirmation = Confirmation::default();
        confirmation.observe(&step(8.0, 4.0));
        assert_eq!(confirmation.mean(), None);
        // Of 4 the next batch confirms 8 − 5 = 3; of 3 the next one 5 − 6, and no ratio is below −1.
        confirmation.observe(&step(5.0, 2.0));
        assert_eq!(confirmation.mean(), Some(0.75));
        confirmation.observe(&step(6.0, 5.9));
        assert!((confirmation.mean().unwrap() - (0.75 - 1.0 / 3.0) / 2.0).abs() < 1e-15);
        confirmation.observe(&step(100.0, 99.0));
        assert!((confirmation.mean().unwrap() - (0.75 - 4.0 / 3.0) / 3.0).abs() < 1e-15);
    }

    #[test]
    fn without_noise_all_is_confirmed_and_no_decrease_tells_nothing() {
        let mut confirmation = Confirmation::default();
        for (loss, end) in [(8.0, 4.0), (4.0, 2.0), (2.0, 2.0), (2.0, 1.0)] {
            confirmation.observe(&step(loss, end));
        }
        assert_eq!(confirmation.mean(), Some(1.0));
        assert_eq!(confirmation.shares.len(), 2);
    }

    #[test]
    fn a_state_holds_all() {
        let x = Var::new(&[1f64], &Device::Cpu).unwrap();
        let parameters = Parameters::new([("x", x)]).unwrap();
        let mut confirmation = Confirmation::default();
        for end in [None, Some(0.1 + 0.2), Some(0.7)] {
            let mut state = State::new("test", &parameters);
            confirmation.save(&mut state).unwrap();
            assert_eq!(Confirmation::load(&state).unwrap(), confirmation);
            confirmation.observe(&step(1.0, end.unwrap_or(0.9)));
        }
    }

    #[test]
    fn only_the_latest_steps_count() {
        let mut confirmation = Confirmation::default();
        confirmation.observe(&step(1.0, 0.0));
        confirmation.observe(&step(1.0, 0.0));
        for _ in 0..STEPS {
            confirmation.observe(&step(0.0, -1.0));
        }
        // The share of the step from 1 to 0 is 1, and those after it are 0.
        assert_eq!(confirmation.mean(), Some(0.25));
    }
}
