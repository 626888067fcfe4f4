//! SWATS: Adam, then SGD with a learning rate that Adam's steps suggest, once that has settled.

use serde::{Deserialize, Serialize};

use super::elementwise::{Elementwise, Method, Pass, gradient_step};
use super::groups::ParameterGroup;
use super::sgd::{Sgd, SgdConfig};
use crate::check;
use crate::error::Result;
use crate::kernels::{AdamCoefficients, ProjectedAdamRule, Updated};
use crate::objective::Oracle;
use crate::optimizer::Optimizer;
use crate::params::{Gradient, Parameters};
use crate::record::{CriterionRecord, Diagnostics, Phase, Step, Switch, VectorPasses};
use crate::schedule::Schedule;
use crate::state::State;

/// Settings of [`Swats`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SwatsConfig {
    /// Adam's learning rate α ≥ 0.
    pub learning_rate: f64,
    /// How the learning rate changes with the steps; SGD's changes by the same factors.
    #[serde(skip_serializing_if = "Schedule::is_constant")]
    pub schedule: Schedule,
    /// The decay rate β1 in [0, 1) of the first moment, and SGD's momentum.
    pub beta1: f64,
    /// The decay rate β2 in [0, 1) of the second moment, and of the average rate.
    pub beta2: f64,
    /// The term ε ≥ 0 that bounds Adam's denominator from below.
    pub epsilon: f64,
    /// How far from the average, at most, the rate of a step may be for the switch: a number ≥ 0.
    pub tolerance: f64,
    /// The same as a share ≥ 0 of the step's rate; it adds to the other.
    pub relative_tolerance: f64,
    /// The weight decay λ ≥ 0, added to the gradient as λ·x.
    pub weight_decay: f64,
    /// Parameters with other settings.
    pub groups: Vec<ParameterGroup>,
}

impl Default for SwatsConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            schedule: Schedule::default(),
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-9,
            tolerance: 1e-9,
            relative_tolerance: 0.0,
            weight_decay: 0.0,
            groups: Vec::new(),
        }
    }
}

impl SwatsConfig {
    /// The settings for a run with a budget of `evaluations`, shares of which become numbers of
    /// steps.
    #[must_use]
    pub fn with_budget(mut self, evaluations: u64) -> Self {
        self.schedule = self.schedule.with_budget(evaluations);
        self
    }

    /// An optimizer of `parameters` with these settings.
    ///
    /// # Errors
    /// When a setting is out of range or a group's pattern matches no parameter.
    pub fn build(self, parameters: &Parameters) -> Result<Swats> {
        check::decay_rate("beta1", self.beta1)?;
        check::decay_rate("beta2", self.beta2)?;
        check::non_negative("epsilon", self.epsilon)?;
        check::non_negative("tolerance", self.tolerance)?;
        check::non_negative("relative_tolerance", self.relative_tolerance)?;
        self.schedule.check()?;
        Ok(Swats {
            method: Acting::Adam(self.adam(parameters)?),
            parameters: parameters.clone(),
            learning_rate: self.learning_rate,
            epoch: 0,
            steps: 0,
            released_passes: VectorPasses::default(),
            criteria: Vec::new(),
            switches: Vec::new(),
            config: self,
        })
    }

    fn adam(&self, parameters: &Parameters) -> Result<Elementwise<ProjectedAdam, 3>> {
        let (rate, decay) = (self.learning_rate, self.weight_decay);
        let config = ProjectedAdam(self.clone());
        Elementwise::new(config, rate, decay, &self.groups, parameters)
    }

    /// SGD as it acts after the switch; its rate is set before each step.
    fn sgd(&self, parameters: &Parameters) -> Result<Sgd> {
        let config = SgdConfig {
            momentum: self.beta1,
            weight_decay: self.weight_decay,
            groups: self.groups.clone(),
            ..SgdConfig::default()
        };
        config.build(parameters)
    }
}

/// SWATS: Adam until the learning rate with which SGD would make Adam's steps has settled, then SGD
/// with that rate.
///
/// At step t from 1, with gradient g, as long as Adam acts:
///
/// ```text
/// m ← β1·m + (1 - β1)·g,  v ← β2·v + (1 - β2)·g²
/// p = -α·√(1 - β2ᵗ)/(1 - β1ᵗ)·m / (√v + ε),  x ← x + p
/// γ = ⟨p, p⟩ / -⟨p, g⟩                          SGD's rate whose step, projected on p, is p
/// λ ← β2·λ + (1 - β2)·γ                         its running mean, corrected λ̂ = λ/(1 - β2ᵗ)
/// ```
///
/// SGD takes over where t > 1, λ̂ > 0 and |λ̂ - γ| is at most the tolerance. It begins with b = 0:
///
/// ```text
/// b ← β1·b + g,  x ← x - (1 - β1)·λ̂·b
/// ```
///
/// All parameters switch together. A step whose products are not finite, or zero, judges nothing.
///
/// Source: Keskar & Socher, "Improving Generalization Performance by Switching from Adam to SGD"
/// (arXiv 1712.07628); with its tolerance of 10⁻⁹ most runs do not switch.
///
/// ```
/// use candle_core::{Device, Var};
/// use optim::{Loss, Meter, Optimizer, Oracle, Parameters, SwatsConfig};
///
/// # fn main() -> optim::Result<()> {
/// let x = Var::new(&[3f64, -2.0], &Device::Cpu)?;
/// let parameters = Parameters::new([("x", x.clone())])?;
/// let config = SwatsConfig { learning_rate: 0.1, relative_tolerance: 0.1, ..Default::default() };
/// let mut swats = config.build(&parameters)?;
/// let mut meter = Meter::new();
/// for _ in 0..200 {
///     let mut objective = Loss::new(&parameters, || x.sqr()?.sum_all());
///     swats.step(&mut Oracle::new(&mut objective, &mut meter))?;
/// }
/// assert!(swats.has_switched());
/// assert!(x.sqr()?.sum_all()?.to_scalar::<f64>()? < 1e-3);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Swats {
    config: SwatsConfig,
    parameters: Parameters,
    method: Acting,
    /// The rate that the schedule's factors multiply.
    learning_rate: f64,
    epoch: u64,
    steps: u64,
    /// What Adam had made when it was dropped.
    released_passes: VectorPasses,
    criteria: Vec<CriterionRecord>,
    switches: Vec<Switch>,
}

/// The acting method; the other holds no state.
#[derive(Debug)]
enum Acting {
    Adam(Elementwise<ProjectedAdam, 3>),
    /// SGD, and its rate (1 - β1)·λ̂ as a multiple of Adam's.
    Sgd(Sgd, f64),
}

impl Swats {
    const KIND: &str = "swats";

    /// Whether the next update is SGD's.
    pub fn has_switched(&self) -> bool {
        matches!(self.method, Acting::Sgd(..))
    }

    /// Makes one update from `gradient` without evaluating the objective; returns the gradient's
    /// Euclidean norm. Components whose gradient is not finite stay as they are.
    ///
    /// # Errors
    /// When the gradient does not fit the parameters.
    pub fn update(&mut self, gradient: &Gradient) -> Result<f64> {
        let rate = self.learning_rate();
        let norm = match &mut self.method {
            Acting::Sgd(sgd, ratio) => {
                sgd.set_learning_rate((rate * *ratio).min(f64::MAX))?;
                sgd.update(gradient)?
            }
            Acting::Adam(adam) => {
                let norm = adam.update(gradient)?;
                let judged = adam.numbers[1];
                if judged.is_finite() && norm.is_finite() {
                    self.judge(rate)?;
                }
                norm
            }
        };
        self.steps += 1;
        Ok(norm)
    }

    /// Compares the last step's rate with the average, and switches if it has settled; `rate` is
    /// Adam's.
    fn judge(&mut self, rate: f64) -> Result<()> {
        let Acting::Adam(adam) = &self.method else {
            return Ok(());
        };
        let &[average, of_step] = adam.numbers.as_slice() else {
            unreachable!("two numbers are carried")
        };
        let corrected = average / (1.0 - self.config.beta2.powf((self.steps + 1) as f64));
        let value = (corrected - of_step).abs();
        let threshold = self.config.tolerance + self.config.relative_tolerance * of_step.abs();
        let ratio = (1.0 - self.config.beta1) * corrected / rate;
        let fired = self.steps > 0 && corrected > 0.0 && ratio.is_finite() && value <= threshold;
        self.criteria.push(CriterionRecord {
            step: self.steps,
            epoch: self.epoch,
            criterion: "settled rate".into(),
            value,
            threshold,
            fired,
        });
        if fired {
            self.released_passes = adam.vector_passes();
            self.switches.push(Switch {
                step: self.steps + 1,
                epoch: self.epoch,
                to: Phase::FirstOrder,
                pairs: 0,
            });
            self.method = Acting::Sgd(self.config.sgd(&self.parameters)?, ratio);
        }
        Ok(())
    }

    fn acting(&self) -> &dyn Optimizer {
        match &self.method {
            Acting::Adam(adam) => adam,
            Acting::Sgd(sgd, _) => sgd,
        }
    }
}

impl Optimizer for Swats {
    fn step(&mut self, oracle: &mut Oracle<'_>) -> Result<Step> {
        let (step, _) = gradient_step(oracle, |gradient| self.update(gradient))?;
        Ok(step)
    }

    fn start_epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Adam's learning rate of the next step, also where SGD acts, whose rate keeps its ratio to it.
    fn learning_rate(&self) -> f64 {
        self.learning_rate * self.config.schedule.factor(self.steps)
    }

    /// Sets the learning rate that the schedule's factors multiply.
    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        check::non_negative("learning_rate", learning_rate)?;
        self.learning_rate = learning_rate;
        match &mut self.method {
            Acting::Adam(adam) => adam.set_learning_rate(learning_rate),
            Acting::Sgd(..) => Ok(()),
        }
    }

    fn phase(&self) -> Phase {
        Phase::FirstOrder
    }

    fn state_elements(&self) -> u64 {
        self.acting().state_elements()
    }

    fn vector_passes(&self) -> VectorPasses {
        let mut passes = self.released_passes;
        passes += self.acting().vector_passes();
        passes
    }

    fn diagnostics(&self) -> Diagnostics<'_> {
        Diagnostics {
            criteria: &self.criteria,
            switches: &self.switches,
            ..Diagnostics::default()
        }
    }

    fn state(&self) -> Result<State> {
        let mut state = State::new(Self::KIND, &self.parameters);
        state.set_config(&self.config)?;
        state.set_float("learning_rate", self.learning_rate);
        state.set("epoch", self.epoch)?;
        state.set("steps", self.steps)?;
        state.set("released_passes", self.released_passes)?;
        state.set("criteria", &self.criteria)?;
        state.set("switches", &self.switches)?;
        if let Acting::Sgd(_, ratio) = &self.method {
            state.set_float("rate_ratio", *ratio);
        }
        state.nest("method", self.acting().state()?);
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.check(Self::KIND, &self.parameters)?;
        state.check_config(&self.config)?;
        let mut restored = self.config.clone().build(&self.parameters)?;
        restored.set_learning_rate(state.float("learning_rate")?)?;
        restored.epoch = state.get("epoch")?;
        restored.steps = state.get("steps")?;
        restored.released_passes = state.get("released_passes")?;
        restored.criteria = state.get("criteria")?;
        restored.switches = state.get("switches")?;
        let method = state.nested("method")?;
        restored.method = if restored.switches.is_empty() {
            let mut adam = self.config.adam(&self.parameters)?;
            adam.restore(&method)?;
            Acting::Adam(adam)
        } else {
            let mut sgd = self.config.sgd(&self.parameters)?;
            sgd.restore(&method)?;
            Acting::Sgd(sgd, state.float("rate_ratio")?)
        };
        *self = restored;
        Ok(())
    }
}

/// Adam that also tells the rate of SGD that each of its steps suggests.
#[derive(Debug, Clone, Serialize)]
struct ProjectedAdam(SwatsConfig);

impl Method<3> for ProjectedAdam {
    const KIND: &'static str = "projected-adam";
    const VECTORS: [&'static str; 3] = ["m", "v", "v_max"];

    fn used(&self) -> [bool; 3] {
        [true, true, false]
    }

    /// The running mean λ, and the last step's γ; infinite where that step gave none.
    fn numbers(&self) -> Vec<(&'static str, f64)> {
        vec![("average_rate", 0.0), ("step_rate", f64::INFINITY)]
    }

    fn schedule(&self) -> &Schedule {
        &self.0.schedule
    }

    fn update(&self, mut pass: Pass<'_, 3>) -> Result<f64> {
        let Self(config) = self;
        let t = (pass.step + 1) as f64;
        let correction = (1.0 - config.beta2.powf(t)).sqrt() / (1.0 - config.beta1.powf(t));
        let coefficients = pass.groups.iter().map(|group| {
            let rate = (pass.learning_rate * group.learning_rate_factor).min(f64::MAX);
            AdamCoefficients {
                l2: group.weight_decay,
                rate1: 1.0 - config.beta1,
                rate2: 1.0 - config.beta2,
                decay: 0.0,
                own: 0.0,
                carried: 1.0,
                step_size: (rate * correction).min(f64::MAX),
                scale: 1.0,
                epsilon: config.epsilon,
            }
        });
        let rule = ProjectedAdamRule(coefficients.collect());
        let Updated { norm, sums } = pass.run(&rule)?;
        // The kernel's step is what is taken off: -p.
        let [square, product] = sums;
        let rate = square / product;
        let usable = norm.is_finite() && product != 0.0 && rate.is_finite();
        pass.numbers[1] = if usable { rate } else { f64::INFINITY };
        if usable {
            pass.numbers[0] += (1.0 - config.beta2) * (rate - pass.numbers[0]);
        }
        Ok(norm)
    }
}
