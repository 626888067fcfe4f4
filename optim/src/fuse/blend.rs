//! FUSE: every step a mean of Adam's and L-BFGS's.

use serde::{Deserialize, Serialize};

use crate::check;
use crate::error::Result;
use crate::first_order::{Adam, AdamConfig};
use crate::kernels::lbfgs as kernels;
use crate::kernels::memory::zeros;
use crate::kernels::number::state_dtype;
use crate::objective::Oracle;
use crate::optimizer::Optimizer;
use crate::params::Parameters;
use crate::record::{Diagnostics, Phase, Step, StopReason, VectorPasses};
use crate::second_order::{Lbfgs, LbfgsConfig};
use crate::state::State;

/// Settings of [`Fuse`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FuseConfig {
    /// The weight θ of Adam's update.
    pub theta: Theta,
    /// Settings of Adam.
    pub adam: AdamConfig,
    /// Settings of L-BFGS.
    pub lbfgs: LbfgsConfig,
}

/// The weight θ ∈ [0, 1] of Adam's update.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Theta {
    /// The same at every step.
    Constant(f64),
    /// From `from` at the first step in a straight line to `to`, reached after `steps` steps.
    Linear {
        /// The first step's weight.
        from: f64,
        /// The last weight.
        to: f64,
        /// After how many steps it is reached.
        steps: u64,
    },
}

impl Default for Theta {
    fn default() -> Self {
        Self::Constant(0.5)
    }
}

impl Theta {
    /// The weight at step `step`, counted from 0.
    pub fn at(&self, step: u64) -> f64 {
        match *self {
            Self::Constant(theta) => theta,
            Self::Linear { to, steps, .. } if step >= steps => to,
            Self::Linear { from, to, steps } => from + (to - from) * step as f64 / steps as f64,
        }
    }

    fn validate(&self) -> Result<()> {
        let (first, last) = (self.at(0), self.at(u64::MAX));
        for theta in [first, last] {
            check::that((0.0..=1.0).contains(&theta), "theta", theta, "0 <= θ <= 1")?;
        }
        Ok(())
    }
}

impl FuseConfig {
    /// The settings for a run with a budget of `evaluations`, shares of which become numbers of
    /// steps.
    #[must_use]
    pub fn with_budget(mut self, evaluations: u64) -> Self {
        self.adam = self.adam.with_budget(evaluations);
        self
    }

    /// An optimizer of `parameters` with these settings.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn build(self, parameters: &Parameters) -> Result<Fuse> {
        self.theta.validate()?;
        Ok(Fuse {
            adam: self.adam.clone().build(parameters)?,
            lbfgs: self.lbfgs.clone().build(parameters)?,
            steps: 0,
            passes: VectorPasses::default(),
            config: self,
        })
    }
}

/// FUSE: from each iterate x and its gradient, Adam's update x^A and L-BFGS's x^L, and
///
/// ```text
/// x ← θ·x^A + (1 - θ)·x^L
/// ```
///
/// θ = 1 is Adam and θ = 0 is L-BFGS, bit for bit: an update of weight 0 is not made, and its
/// moments or pairs do not change. Set `lbfgs.max_iter` to 1 for the paper's formula, where x^L is one
/// iteration away from x. Both see the gradient at x, which is evaluated once.
///
/// A pair whose gradients are both taken within the step is right whether or not x^L is kept. In a
/// pair that a later gradient completes, s ends where the blend put the parameters. The loss at the
/// end of a blended step is not evaluated.
///
/// The learning rate is Adam's; L-BFGS keeps `lbfgs.lr`.
///
/// Source: arXiv 2503.04204, algorithm FUSE.
///
/// ```
/// use candle_core::{Device, Var};
/// use optim::{FuseConfig, Loss, Meter, Optimizer, Oracle, Parameters, Theta};
///
/// # fn main() -> optim::Result<()> {
/// let x = Var::new(&[3f64, -2.0], &Device::Cpu)?;
/// let parameters = Parameters::new([("x", x.clone())])?;
/// let theta = Theta::Linear { from: 1.0, to: 0.0, steps: 4 };
/// let mut fuse = FuseConfig { theta, ..FuseConfig::default() }.build(&parameters)?;
/// let mut objective = Loss::new(&parameters, || x.sqr()?.sum_all());
/// let mut meter = Meter::new();
/// let mut last = f64::INFINITY;
/// for _ in 0..6 {
///     let step = fuse.step(&mut Oracle::new(&mut objective, &mut meter))?;
///     assert!(step.loss < last);
///     last = step.loss;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Fuse {
    config: FuseConfig,
    adam: Adam,
    lbfgs: Lbfgs,
    steps: u64,
    /// Passes of the blend alone.
    passes: VectorPasses,
}

impl Fuse {
    const KIND: &str = "fuse";

    /// The settings that this optimizer was built with.
    pub fn config(&self) -> &FuseConfig {
        &self.config
    }

    /// The weight of Adam's update at the next step.
    pub fn theta(&self) -> f64 {
        self.config.theta.at(self.steps)
    }

    fn blend(&mut self, oracle: &mut Oracle<'_>, theta: f64) -> Result<Step> {
        let evaluations_before = oracle.counts().evaluations();
        let (loss, gradient) = oracle.loss_and_gradient()?;
        let parameters = self.adam.parameters().clone();
        let start = parameters.snapshot()?;
        let step =
            self.lbfgs
                .step_from(&mut oracle.probing(), evaluations_before, loss, &gradient)?;
        if step.stop == StopReason::NonFinite && step.iterations == 0 {
            return Ok(step);
        }
        let (d, dtype) = (parameters.element_count(), state_dtype(parameters.dtype()));
        let lbfgs_end = zeros(d, dtype, parameters.device())?;
        let difference = zeros(d, dtype, parameters.device())?;
        let (vars, passes) = (parameters.vars(), &mut self.passes);
        kernels::flatten_into(vars, &lbfgs_end, passes)?;
        parameters.restore(&start)?;
        self.adam.update(&gradient)?;
        // x^L + θ·(x^A - x^L)
        kernels::displacement(vars, &lbfgs_end, &difference, passes)?;
        kernels::step_along(vars, &lbfgs_end, theta, &difference, passes)?;
        self.lbfgs.displaced()?;
        Ok(Step {
            final_loss: None,
            ..step
        })
    }
}

impl Optimizer for Fuse {
    fn step(&mut self, oracle: &mut Oracle<'_>) -> Result<Step> {
        let theta = self.theta();
        let step = if theta == 1.0 {
            self.adam.step(oracle)
        } else if theta == 0.0 {
            self.lbfgs.step(oracle)
        } else {
            self.blend(oracle, theta)
        }?;
        self.steps += 1;
        Ok(step)
    }

    fn parameters(&self) -> &Parameters {
        self.adam.parameters()
    }

    fn learning_rate(&self) -> f64 {
        self.adam.learning_rate()
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        self.adam.set_learning_rate(learning_rate)
    }

    fn phase(&self) -> Phase {
        if self.theta() == 1.0 {
            Phase::FirstOrder
        } else {
            Phase::SecondOrder
        }
    }

    fn state_elements(&self) -> u64 {
        self.adam.state_elements() + self.lbfgs.state_elements()
    }

    fn vector_passes(&self) -> VectorPasses {
        let mut passes = self.passes;
        passes += self.adam.vector_passes();
        passes += self.lbfgs.vector_passes();
        passes
    }

    fn samples_wanted(&self) -> Option<u64> {
        self.lbfgs.samples_wanted()
    }

    fn diagnostics(&self) -> Diagnostics<'_> {
        self.lbfgs.diagnostics()
    }

    fn state(&self) -> Result<State> {
        let mut state = State::new(Self::KIND, self.parameters());
        state.set_config(&self.config)?;
        state.set("steps", self.steps)?;
        state.set("passes", self.passes)?;
        state.nest("adam", self.adam.state()?);
        state.nest("lbfgs", self.lbfgs.state()?);
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.check(Self::KIND, self.parameters())?;
        state.check_config(&self.config)?;
        let (steps, passes) = (state.get("steps")?, state.get("passes")?);
        self.adam.restore(&state.nested("adam")?)?;
        self.lbfgs.restore(&state.nested("lbfgs")?)?;
        (self.steps, self.passes) = (steps, passes);
        Ok(())
    }
}
