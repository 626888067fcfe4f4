//! The optimizer that every elementwise method is: one evaluation, then one pass that updates each
//! component of the parameters from its gradient and its own state.

use serde::Serialize;

use super::groups::{GroupSettings, Groups, ParameterGroup};
use crate::check;
use crate::error::Result;
use crate::kernels::{self, Rule, StateVectors};
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
    /// The update of one step.
    type Rule: Rule<N>;

    /// Which vectors the settings use.
    fn used(&self) -> [bool; N];

    /// How the learning rate changes with the steps.
    fn schedule(&self) -> &Schedule;

    /// The update of step `step`, counted from 0, for parameters in `groups`.
    fn rule(&self, step: u64, learning_rate: f64, groups: &[GroupSettings]) -> Self::Rule;
}

/// An optimizer with an elementwise update: [`Adam`](crate::Adam) and [`Sgd`](crate::Sgd), with
/// settings `C` and up to `N` vectors of state.
#[derive(Debug)]
pub struct Elementwise<C, const N: usize> {
    pub(super) config: C,
    pub(super) parameters: Parameters,
    groups: Groups,
    pub(super) vectors: StateVectors<N>,
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
        let settings = self.groups.settings();
        let norm = kernels::update(
            &self.config.rule(self.steps, self.learning_rate(), settings),
            self.groups.of_parameter(),
            self.parameters.vars(),
            gradient.tensors(),
            &mut self.vectors,
        )?;
        self.steps += 1;
        let vectors = self.vector_count();
        self.passes += VectorPasses {
            reads: 2 + vectors,
            writes: 1 + vectors,
        };
        Ok(norm)
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

    fn state(&self) -> Result<State> {
        let mut state = State::new(C::KIND, &self.parameters);
        state.set_config(&self.config)?;
        state.set_float("learning_rate", self.learning_rate);
        state.set("steps", self.steps)?;
        state.set("passes", self.passes)?;
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
        // All vectors are read before the first is replaced: a bad state changes nothing.
        let vectors = self
            .used_vectors()
            .map(|(index, name)| Ok((index, state.vector(name, &self.parameters)?)))
            .collect::<Result<Vec<_>>>()?;
        for (index, vector) in vectors {
            self.vectors.import(index, &vector)?;
        }
        (self.steps, self.passes, self.learning_rate) = (steps, passes, learning_rate);
        Ok(())
    }
}

/// One evaluation and one `update`, which returns the gradient norm; gives the gradient too.
/// Without a finite loss no update is made.
pub(super) fn gradient_step(
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
