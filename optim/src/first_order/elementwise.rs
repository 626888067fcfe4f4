//! The optimizer that every elementwise method is: one evaluation, then one pass that updates each
//! component of the parameters from its gradient and its own state.

use candle_core::{Tensor, Var};
use serde::Serialize;

use super::groups::{GroupSettings, Groups, ParameterGroup};
use crate::check;
use crate::error::Result;
use crate::kernels::{self, Rule, StateVectors, Updated};
use crate::objective::Oracle;
use crate::optimizer::Optimizer;
use crate::params::{Gradient, Parameters};
use crate::record::{Phase, Step, StopReason, VectorPasses};
use crate::schedule::Schedule;
use crate::state::State;

/// An elementwise method with up to `N` vectors of state, given by its settings.
pub(super) trait Method<const N: usize>: Serialize {
    /// The kind of optimizer in a [`State`].
    const KIND: &'static str;
    /// The names of the vectors in a [`State`].
    const VECTORS: [&'static str; N];

    /// Which vectors the settings use.
    fn used(&self) -> [bool; N];

    /// The numbers that the method carries from step to step beside its vectors: names, and values
    /// before the first step.
    fn numbers(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// How the learning rate changes with the steps.
    fn schedule(&self) -> &Schedule;

    /// Makes the update of one step; returns the gradient's Euclidean norm.
    fn update(&self, pass: Pass<'_, N>) -> Result<f64>;

    /// The values at which the result is judged after `step` steps, where they are not the
    /// parameters' own.
    fn evaluation_parameters(
        &self,
        step: u64,
        parameters: &Parameters,
        vectors: &StateVectors<N>,
    ) -> Result<Option<Vec<Tensor>>> {
        let _ = (step, parameters, vectors);
        Ok(None)
    }

    /// What an update reads and writes beside the vectors of state, each of which it reads and writes
    /// once: parameters and gradient, and the parameters.
    const PASSES: VectorPasses = VectorPasses {
        reads: 2,
        writes: 1,
    };
}

/// What one update works on.
pub(super) struct Pass<'a, const N: usize> {
    /// The step, counted from 0.
    pub(super) step: u64,
    /// The learning rate of this step.
    pub(super) learning_rate: f64,
    /// The settings of all groups.
    pub(super) groups: &'a [GroupSettings],
    /// The method's numbers, which an update may change.
    pub(super) numbers: &'a mut [f64],
    group_of_parameter: &'a [usize],
    vars: &'a [Var],
    gradient: &'a [Tensor],
    vectors: &'a mut StateVectors<N>,
}

impl<const N: usize> Pass<'_, N> {
    /// Runs `rule` over all vectors.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(super) fn run<const S: usize>(&mut self, rule: &impl Rule<N, S>) -> Result<Updated<S>> {
        let groups = self.group_of_parameter;
        let (vars, gradient) = (self.vars, self.gradient);
        Ok(kernels::update(rule, groups, vars, gradient, self.vectors)?)
    }
}

/// An optimizer with an elementwise update, such as [`Adam`](crate::Adam) and [`Sgd`](crate::Sgd),
/// with settings `C` and up to `N` vectors of state.
#[derive(Debug)]
pub struct Elementwise<C, const N: usize> {
    pub(super) config: C,
    pub(super) parameters: Parameters,
    groups: Groups,
    pub(super) vectors: StateVectors<N>,
    pub(super) numbers: Vec<f64>,
    /// The rate that the schedule's factors multiply.
    learning_rate: f64,
    pub(super) steps: u64,
    pub(super) passes: VectorPasses,
}

#[expect(private_bounds, reason = "methods are those of this crate")]
impl<C: Method<N>, const N: usize> Elementwise<C, N> {
    /// An optimizer of `parameters`; the caller has checked the settings of its own method.
    ///
    /// # Errors
    /// When learning rate, weight decay or a group's setting is out of range, a group's pattern
    /// matches no parameter, or memory is short.
    pub(super) fn new(
        config: C,
        learning_rate: f64,
        weight_decay: f64,
        groups: &[ParameterGroup],
        parameters: &Parameters,
    ) -> Result<Self> {
        check::non_negative("learning_rate", learning_rate)?;
        Ok(Self {
            groups: Groups::new(groups, weight_decay, parameters)?,
            vectors: StateVectors::zeros(parameters.vars(), config.used())?,
            numbers: config.numbers().iter().map(|(_, start)| *start).collect(),
            parameters: parameters.clone(),
            learning_rate,
            steps: 0,
            passes: VectorPasses::default(),
            config,
        })
    }

    /// The settings that this optimizer was built with.
    pub fn config(&self) -> &C {
        &self.config
    }

    /// Makes one update from `gradient` without evaluating the objective; returns the gradient's
    /// Euclidean norm. Components whose gradient is not finite stay as they are.
    ///
    /// # Errors
    /// When the gradient does not fit the parameters.
    pub fn update(&mut self, gradient: &Gradient) -> Result<f64> {
        gradient.check_fits(&self.parameters)?;
        let pass = Pass {
            step: self.steps,
            learning_rate: self.learning_rate(),
            groups: self.groups.settings(),
            numbers: &mut self.numbers,
            group_of_parameter: self.groups.of_parameter(),
            vars: self.parameters.vars(),
            gradient: gradient.tensors(),
            vectors: &mut self.vectors,
        };
        let norm = self.config.update(pass)?;
        self.steps += 1;
        let vectors = self.vector_count();
        self.passes += VectorPasses {
            reads: C::PASSES.reads + vectors,
            writes: C::PASSES.writes + vectors,
        };
        Ok(norm)
    }

    /// Updates the state from `gradient` as a step does, and leaves the parameters where they are.
    pub(crate) fn observe(&mut self, gradient: &Gradient) -> Result<f64> {
        let learning_rate = std::mem::take(&mut self.learning_rate);
        let norm = self.update(gradient);
        self.learning_rate = learning_rate;
        norm
    }

    /// A step that also gives the gradient it used.
    pub(crate) fn step_with_gradient(
        &mut self,
        oracle: &mut Oracle<'_>,
    ) -> Result<(Step, Gradient)> {
        gradient_step(oracle, |gradient| self.update(gradient))
    }

    /// The indices of the vectors in use, and their names in a [`State`].
    fn used_vectors(&self) -> impl Iterator<Item = (usize, &'static str)> + use<C, N> {
        let vectors = C::VECTORS.into_iter().zip(self.config.used()).enumerate();
        vectors.filter_map(|(index, (name, used))| used.then_some((index, name)))
    }

    fn vector_count(&self) -> u64 {
        self.used_vectors().count() as u64
    }
}

impl<C: Method<N>, const N: usize> Optimizer for Elementwise<C, N> {
    fn step(&mut self, oracle: &mut Oracle<'_>) -> Result<Step> {
        Ok(self.step_with_gradient(oracle)?.0)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The learning rate of the next step.
    fn learning_rate(&self) -> f64 {
        self.learning_rate * self.config.schedule().factor(self.steps)
    }

    /// Sets the learning rate that the schedule's factors multiply.
    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        check::non_negative("learning_rate", learning_rate)?;
        self.learning_rate = learning_rate;
        Ok(())
    }

    fn phase(&self) -> Phase {
        Phase::FirstOrder
    }

    fn state_elements(&self) -> u64 {
        self.vector_count() * self.parameters.element_count() as u64
    }

    fn vector_passes(&self) -> VectorPasses {
        self.passes
    }

    fn evaluation_parameters(&self) -> Result<Option<Vec<Tensor>>> {
        let (parameters, vectors) = (&self.parameters, &self.vectors);
        self.config
            .evaluation_parameters(self.steps, parameters, vectors)
    }

    fn state(&self) -> Result<State> {
        let mut state = State::new(C::KIND, &self.parameters);
        state.set_config(&self.config)?;
        state.set_float("learning_rate", self.learning_rate);
        state.set("steps", self.steps)?;
        state.set("passes", self.passes)?;
        for ((name, _), number) in self.config.numbers().into_iter().zip(&self.numbers) {
            state.set_float(name, *number);
        }
        for (index, name) in self.used_vectors() {
            let vector = self.vectors.export(self.parameters.vars(), index)?;
            state.set_vector(name, &self.parameters, vector);
        }
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.check(C::KIND, &self.parameters)?;
        state.check_config(&self.config)?;
        let (steps, passes) = (state.get("steps")?, state.get("passes")?);
        let learning_rate = state.float("learning_rate")?;
        let numbers = self.config.numbers().into_iter();
        let numbers = numbers.map(|(name, _)| state.float(name));
        let numbers = numbers.collect::<Result<Vec<_>>>()?;
        // All vectors are read before the first is replaced: a bad state changes nothing.
        let vectors = self
            .used_vectors()
            .map(|(index, name)| Ok((index, state.vector(name, &self.parameters)?)))
            .collect::<Result<Vec<_>>>()?;
        for (index, vector) in vectors {
            self.vectors.import(index, &vector)?;
        }
        (self.steps, self.passes, self.learning_rate) = (steps, passes, learning_rate);
        self.numbers = numbers;
        Ok(())
    }
}

/// One evaluation and one `update`, which returns the gradient norm; gives the gradient too.
/// Without a finite loss no update is made.
pub(crate) fn gradient_step(
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
