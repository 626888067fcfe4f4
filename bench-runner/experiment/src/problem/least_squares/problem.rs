//! A task being minimized.

use candle_core::Tensor;
use models::{Model, Pass, Scope};
use optim::{Loss, Objective, Parameters};

use super::samples::Samples;
use super::task::Task;
use crate::error::Result;
use crate::problem::precision::Precision;
use crate::problem::traits::{Environment, Measurement, Problem};

/// A task being minimized: f = (1/n) Σᵢ ½ ‖y(xᵢ) − yᵢ‖² over all samples.
pub struct LeastSquaresProblem {
    model: Box<dyn Model>,
    parameters: Parameters,
    train: Pairs,
    test: Option<Pairs>,
    /// f*, or 0 where it is not known.
    minimum: f64,
}

/// Samples on the device: inputs in the model's format, targets in the one that sums are formed in.
struct Pairs {
    inputs: Tensor,
    targets: Tensor,
}

impl Pairs {
    fn new(
        samples: &Samples,
        precision: Precision,
        environment: &Environment,
    ) -> candle_core::Result<Self> {
        let device = &environment.device;
        Ok(Self {
            inputs: samples.inputs.tensor(precision.dtype(), device)?,
            targets: samples.targets.tensor(precision.sums(), device)?,
        })
    }

    /// The mean of ½ ‖y(xᵢ) − yᵢ‖².
    fn loss(&self, model: &dyn Model) -> candle_core::Result<Tensor> {
        let outputs = model.forward(&self.inputs, Pass::Eval)?;
        let residuals = (outputs.to_dtype(self.targets.dtype())? - &self.targets)?;
        residuals.sqr()?.sum_all()? * (0.5 / self.targets.dim(0)? as f64)
    }
}

impl LeastSquaresProblem {
    /// The task from a start drawn by the seed.
    ///
    /// # Errors
    /// When data is missing or too small, or the device refuses.
    pub fn new(
        task: &Task,
        precision: Precision,
        seed: u64,
        environment: &Environment,
    ) -> Result<Self> {
        let task = task.fit();
        let (train, test) = task.samples(environment)?;
        let scope = Scope::new(seed, precision.dtype(), &environment.device);
        let model = task.model(&scope)?;
        let pairs = |samples: &Samples| Pairs::new(samples, precision, environment);
        Ok(Self {
            parameters: Parameters::new(model.tensors().parameters.clone())?,
            model,
            train: pairs(&train)?,
            test: test.as_ref().map(pairs).transpose()?,
            minimum: task.minimum().unwrap_or_default(),
        })
    }
}

impl Problem for LeastSquaresProblem {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn steps_per_epoch(&self) -> u64 {
        1
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn samples(&self, _: u64) -> Option<u64> {
        self.train.targets.dim(0).ok().map(|count| count as u64)
    }

    fn objective(&mut self, _: u64) -> Result<Box<dyn Objective + '_>> {
        let (model, train) = (&*self.model, &self.train);
        Ok(Box::new(Loss::new(&self.parameters, || train.loss(model))))
    }

    fn measure(&mut self) -> Result<Measurement> {
        let loss = |pairs: &Pairs| Precision::number(&pairs.loss(&*self.model)?);
        Ok(Measurement {
            test_loss: self.test.as_ref().map(loss).transpose()?,
            ..Measurement::of_loss(loss(&self.train)? - self.minimum)
        })
    }
}
