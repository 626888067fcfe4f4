//! The objective that an optimizer minimizes, the oracle through which it evaluates it, and the
//! meter that counts all evaluations.

use candle_core::{Tensor, Var};

use crate::error::{Error, Result};
use crate::params::{Gradient, Parameters};

/// A function of the parameters, evaluated at their current values.
///
/// Within one optimizer step an objective must be a *fixed* function: the same mini-batch, the same
/// dropout masks, the same noise. Line searches and curvature pairs depend on it.
pub trait Objective {
    /// The loss.
    ///
    /// # Errors
    /// When the loss cannot be computed. A non-finite loss is a value, not an error.
    fn loss(&mut self) -> Result<f64>;

    /// The loss and its gradient.
    ///
    /// # Errors
    /// As [`Objective::loss`]; also when a parameter gets no gradient.
    fn loss_and_gradient(&mut self) -> Result<(f64, Gradient)>;

    /// [`loss_and_gradient`](Self::loss_and_gradient) at a point where the optimizer may not stay.
    /// What an evaluation leaves behind, such as a network's running statistics, must count only
    /// for the trial that [`end_trials`](Self::end_trials) then accepts. By default an evaluation
    /// leaves nothing behind.
    ///
    /// # Errors
    /// As [`Objective::loss_and_gradient`].
    fn trial(&mut self) -> Result<(f64, Gradient)> {
        self.loss_and_gradient()
    }

    /// The loss of a [`trial`](Self::trial), which by default takes the gradient with it.
    ///
    /// # Errors
    /// As [`Objective::loss`].
    fn trial_loss(&mut self) -> Result<f64> {
        Ok(self.trial()?.0)
    }

    /// Ends the trials since the last call: the optimizer goes on from the point of the `accepted`
    /// one, counted from 0, or from where it was before them.
    ///
    /// # Errors
    /// When what the trials left behind cannot be undone.
    fn end_trials(&mut self, accepted: Option<usize>) -> Result<()> {
        let _ = accepted;
        Ok(())
    }

    /// The gradient over the samples that this batch shares with the previous one, for curvature
    /// pairs that are free of sampling noise. It leaves nothing behind.
    ///
    /// # Errors
    /// [`Error::NoOverlap`] unless the objective knows such samples; as
    /// [`Objective::loss_and_gradient`] otherwise.
    fn overlap_gradient(&mut self) -> Result<Gradient> {
        Err(Error::NoOverlap)
    }

    /// The losses of the batch's samples, for methods that choose the size of the next batch. Their
    /// mean is the loss, up to terms that all samples have in common. It leaves nothing behind.
    ///
    /// # Errors
    /// [`Error::NoSamples`] unless the objective knows its samples; as [`Objective::loss`]
    /// otherwise.
    fn sample_losses(&mut self) -> Result<Vec<f64>> {
        Err(Error::NoSamples { found: 0 })
    }
}

impl<O: Objective + ?Sized> Objective for &mut O {
    fn loss(&mut self) -> Result<f64> {
        (**self).loss()
    }

    fn loss_and_gradient(&mut self) -> Result<(f64, Gradient)> {
        (**self).loss_and_gradient()
    }

    fn trial(&mut self) -> Result<(f64, Gradient)> {
        (**self).trial()
    }

    fn trial_loss(&mut self) -> Result<f64> {
        (**self).trial_loss()
    }

    fn end_trials(&mut self, accepted: Option<usize>) -> Result<()> {
        (**self).end_trials(accepted)
    }

    fn overlap_gradient(&mut self) -> Result<Gradient> {
        (**self).overlap_gradient()
    }

    fn sample_losses(&mut self) -> Result<Vec<f64>> {
        (**self).sample_losses()
    }
}

/// The objective of a closure that returns a scalar loss tensor; the gradient is its backward pass.
///
/// ```
/// use candle_core::{Device, Var};
/// use optim::{Loss, Objective, Parameters};
///
/// # fn main() -> optim::Result<()> {
/// let x = Var::new(&[3f64], &Device::Cpu)?;
/// let parameters = Parameters::new([("x", x.clone())])?;
/// let mut objective = Loss::new(&parameters, || x.sqr()?.sum_all());
/// let (loss, gradient) = objective.loss_and_gradient()?;
/// assert_eq!(loss, 9.0);
/// assert_eq!(gradient.tensors()[0].to_vec1::<f64>()?, [6.0]);
/// # Ok(())
/// # }
/// ```
pub struct Loss<'a, F> {
    parameters: &'a Parameters,
    loss: F,
    buffers: Vec<Var>,
    /// The buffers' values after each of the trials that have not ended yet.
    trials: Vec<Vec<Tensor>>,
}

impl<'a, F: FnMut() -> candle_core::Result<Tensor>> Loss<'a, F> {
    /// Wraps `loss`, a differentiable function of `parameters`.
    pub fn new(parameters: &'a Parameters, loss: F) -> Self {
        Self {
            parameters,
            loss,
            buffers: Vec::new(),
            trials: Vec::new(),
        }
    }

    /// Names the variables that `loss` itself changes, such as a batch norm's running statistics
    /// ([`running_statistics`](crate::running_statistics)). A line search's trials then change them
    /// once, by the accepted trial, and not once for each point it tries.
    #[must_use]
    pub fn with_buffers(mut self, buffers: Vec<Var>) -> Self {
        self.buffers = buffers;
        self
    }

    /// An evaluation after which the buffers are as before, and its own are kept.
    fn tried<R>(&mut self, evaluation: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        let before = copies(&self.buffers)?;
        let evaluated = evaluation(self);
        self.trials.push(copies(&self.buffers)?);
        set(&self.buffers, &before)?;
        evaluated
    }
}

impl<F: FnMut() -> candle_core::Result<Tensor>> Objective for Loss<'_, F> {
    fn loss(&mut self) -> Result<f64> {
        scalar(&(self.loss)()?)
    }

    fn loss_and_gradient(&mut self) -> Result<(f64, Gradient)> {
        let loss = (self.loss)()?;
        let gradient = self.parameters.backward(&loss)?;
        Ok((scalar(&loss)?, gradient))
    }

    fn trial(&mut self) -> Result<(f64, Gradient)> {
        self.tried(Self::loss_and_gradient)
    }

    fn trial_loss(&mut self) -> Result<f64> {
        self.tried(Self::loss)
    }

    fn end_trials(&mut self, accepted: Option<usize>) -> Result<()> {
        let trials = std::mem::take(&mut self.trials);
        match accepted.and_then(|trial| trials.get(trial)) {
            Some(values) => set(&self.buffers, values),
            None => Ok(()),
        }
    }
}

fn copies(vars: &[Var]) -> Result<Vec<Tensor>> {
    let copies = vars.iter().map(|var| var.as_detached_tensor().copy());
    Ok(copies.collect::<candle_core::Result<_>>()?)
}

fn set(vars: &[Var], values: &[Tensor]) -> Result<()> {
    for (var, value) in vars.iter().zip(values) {
        var.set(value)?;
    }
    Ok(())
}

fn scalar(loss: &Tensor) -> Result<f64> {
    Ok(loss.to_dtype(candle_core::DType::F64)?.to_scalar::<f64>()?)
}

/// How often an objective was evaluated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// Evaluations of the loss alone.
    pub loss_evaluations: u64,
    /// Evaluations of loss and gradient together.
    pub gradient_evaluations: u64,
}

impl Counts {
    /// All evaluations. A loss alone counts as one, though it costs about a third of a loss with
    /// its gradient. So a budget is kept whichever of the two is counted.
    pub fn evaluations(&self) -> u64 {
        self.loss_evaluations + self.gradient_evaluations
    }
}

/// Counts evaluations over a whole run and holds its budget.
#[derive(Debug, Clone, Copy, Default)]
pub struct Meter {
    counts: Counts,
    budget: Option<u64>,
}

impl Meter {
    /// A meter without a budget.
    pub fn new() -> Self {
        Self::default()
    }

    /// A meter that allows `budget` evaluations.
    pub fn with_budget(budget: u64) -> Self {
        Self {
            counts: Counts::default(),
            budget: Some(budget),
        }
    }

    /// Continues from earlier `counts`, for a run that resumes.
    pub fn resume(mut self, counts: Counts) -> Self {
        self.counts = counts;
        self
    }

    /// The evaluations so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The evaluations that are left; `u64::MAX` without a budget.
    pub fn remaining(&self) -> u64 {
        self.budget.map_or(u64::MAX, |budget| {
            budget.saturating_sub(self.counts.evaluations())
        })
    }
}

/// An objective that can be reached only through a [`Meter`]: what optimizers are given, so that no
/// evaluation escapes the count.
pub struct Oracle<'a> {
    objective: &'a mut dyn Objective,
    meter: &'a mut Meter,
    /// Whether accepted trials are rejected, too.
    probing: bool,
}

impl<'a> Oracle<'a> {
    /// Puts `objective` behind `meter`.
    pub fn new(objective: &'a mut dyn Objective, meter: &'a mut Meter) -> Self {
        Self {
            objective,
            meter,
            probing: false,
        }
    }

    /// The same oracle for a method whose point is not where the optimizer goes on: none of its
    /// trials leaves anything behind.
    pub(crate) fn probing(&mut self) -> Oracle<'_> {
        Oracle {
            objective: &mut *self.objective,
            meter: &mut *self.meter,
            probing: true,
        }
    }

    /// The loss at the current parameters; counts one loss evaluation.
    ///
    /// # Errors
    /// [`Error::BudgetSpent`], or the objective's own error.
    pub fn loss(&mut self) -> Result<f64> {
        self.spend()?;
        self.meter.counts.loss_evaluations += 1;
        self.objective.loss()
    }

    /// Loss and gradient at the current parameters; counts one gradient evaluation.
    ///
    /// # Errors
    /// [`Error::BudgetSpent`], or the objective's own error.
    pub fn loss_and_gradient(&mut self) -> Result<(f64, Gradient)> {
        self.spend()?;
        self.meter.counts.gradient_evaluations += 1;
        self.objective.loss_and_gradient()
    }

    /// Loss and gradient at a point where the optimizer may not stay; counts one gradient
    /// evaluation. [`end_trials`](Self::end_trials) must follow before any other evaluation.
    ///
    /// # Errors
    /// [`Error::BudgetSpent`], or the objective's own error.
    pub fn trial(&mut self) -> Result<(f64, Gradient)> {
        self.spend()?;
        self.meter.counts.gradient_evaluations += 1;
        self.objective.trial()
    }

    /// The loss at a point where the optimizer may not stay; counts one loss evaluation.
    /// [`end_trials`](Self::end_trials) must follow before any evaluation that is no trial.
    ///
    /// # Errors
    /// [`Error::BudgetSpent`], or the objective's own error.
    pub fn trial_loss(&mut self) -> Result<f64> {
        self.spend()?;
        self.meter.counts.loss_evaluations += 1;
        self.objective.trial_loss()
    }

    /// Tells which of the trials is accepted, counted from 0, if any is.
    ///
    /// # Errors
    /// The objective's own error.
    pub fn end_trials(&mut self, accepted: Option<usize>) -> Result<()> {
        self.objective
            .end_trials(accepted.filter(|_| !self.probing))
    }

    /// Loss and gradient at a point where the optimizer does not stay; counts one gradient
    /// evaluation.
    ///
    /// # Errors
    /// [`Error::BudgetSpent`], or the objective's own error.
    pub(crate) fn probe(&mut self) -> Result<(f64, Gradient)> {
        let result = self.trial();
        self.end_trials(None)?;
        result
    }

    /// The gradient over the samples shared with the previous batch; counts one gradient
    /// evaluation, though it costs only the shared part of one.
    ///
    /// # Errors
    /// [`Error::BudgetSpent`], [`Error::NoOverlap`] or the objective's own error.
    pub fn overlap_gradient(&mut self) -> Result<Gradient> {
        self.spend()?;
        self.meter.counts.gradient_evaluations += 1;
        self.objective.overlap_gradient()
    }

    /// The losses of the batch's samples at the current parameters; counts one loss evaluation.
    ///
    /// # Errors
    /// [`Error::BudgetSpent`], [`Error::NoSamples`] or the objective's own error.
    pub fn sample_losses(&mut self) -> Result<Vec<f64>> {
        self.spend()?;
        self.meter.counts.loss_evaluations += 1;
        self.objective.sample_losses()
    }

    /// The evaluations so far.
    pub fn counts(&self) -> Counts {
        self.meter.counts
    }

    /// The evaluations that are left; `u64::MAX` without a budget.
    pub fn remaining(&self) -> u64 {
        self.meter.remaining()
    }

    fn spend(&self) -> Result<()> {
        match self.meter.budget {
            Some(budget) if self.meter.remaining() == 0 => Err(Error::BudgetSpent { budget }),
            _ => Ok(()),
        }
    }
}
