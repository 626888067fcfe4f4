//! What a Candle user has already: variables in a `VarMap`, and training loops written for
//! `candle_nn::Optimizer`.

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use candle_nn::VarMap;

use crate::error::{Error, Result};
use crate::objective::{Meter, Objective, Oracle};
use crate::optimizer::Optimizer;
use crate::params::{Gradient, Parameters};

impl Parameters {
    /// The trainable variables of a `VarMap`: all but the [`running_statistics`], which no
    /// optimizer may step.
    ///
    /// # Errors
    /// As [`Parameters::new`].
    pub fn from_var_map(map: &VarMap) -> Result<Self> {
        Self::from_var_map_where(map, |name| !is_running_statistic(name))
    }

    /// The variables of a `VarMap` whose name `is_trained`: for frozen layers, or buffers with other
    /// names than Candle's.
    ///
    /// ```
    /// # use candle_core::{DType, Device};
    /// # use candle_nn::{Init, VarBuilder, VarMap};
    /// # use optim::Parameters;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let map = VarMap::new();
    /// let vb = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
    /// candle_nn::linear(2, 3, vb.pp("body"))?;
    /// candle_nn::linear(3, 1, vb.pp("head"))?;
    /// let head = Parameters::from_var_map_where(&map, |name| name.starts_with("head."))?;
    /// assert_eq!(head.names(), ["head.bias", "head.weight"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Parameters::new`]; [`Error::EmptyParameters`] when no name is trained.
    pub fn from_var_map_where(map: &VarMap, is_trained: impl Fn(&str) -> bool) -> Result<Self> {
        Self::new(named(map, is_trained))
    }
}

/// The running means and variances of a `VarMap`'s batch norms, in the order of their names. Give
/// them to [`Loss::with_buffers`](crate::Loss::with_buffers).
pub fn running_statistics(map: &VarMap) -> Vec<Var> {
    let mut named = named(map, is_running_statistic);
    named.sort_by(|a, b| a.0.cmp(&b.0));
    named.into_iter().map(|(_, var)| var).collect()
}

/// `candle_nn::BatchNorm`'s names, which are PyTorch's.
fn is_running_statistic(name: &str) -> bool {
    matches!(
        name.rsplit('.').next(),
        Some("running_mean" | "running_var")
    )
}

fn named(map: &VarMap, keep: impl Fn(&str) -> bool) -> Vec<(String, Var)> {
    let data = map
        .data()
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let kept = data.iter().filter(|(name, _)| keep(name));
    kept.map(|(name, var)| (name.clone(), var.clone()))
        .collect()
}

/// A method of this crate as a `candle_nn::Optimizer`, for training loops that call `backward_step`.
///
/// Any method will do that evaluates once in a step, such as SGD and Adam; another fails with
/// [`Error::SecondEvaluation`]. Unlike Candle's own optimizers, it refuses a loss that does not
/// reach one of the variables, and leaves the variables alone where the loss is not finite.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use candle_nn::{Module, Optimizer, VarBuilder, VarMap};
/// use optim::{AdamConfig, BackwardStep, Parameters};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let map = VarMap::new();
/// let model = candle_nn::linear(1, 1, VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu))?;
/// let x = Tensor::new(&[[-1f32], [0.0], [1.0]], &Device::Cpu)?;
/// let y = ((&x * 3.0)? + 1.0)?;
///
/// let adam = AdamConfig { learning_rate: 0.1, ..AdamConfig::default() };
/// let mut adam = BackwardStep::from(adam.build(&Parameters::from_var_map(&map)?)?);
/// for _ in 0..300 {
///     let loss = candle_nn::loss::mse(&model.forward(&x)?, &y)?;
///     adam.backward_step(&loss)?;
/// }
/// let loss = candle_nn::loss::mse(&model.forward(&x)?, &y)?.to_scalar::<f32>()?;
/// assert!(loss < 1e-6);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct BackwardStep<O> {
    optimizer: O,
}

impl<O: Optimizer> From<O> for BackwardStep<O> {
    fn from(optimizer: O) -> Self {
        Self { optimizer }
    }
}

impl<O: Optimizer> BackwardStep<O> {
    /// The method itself, for its state and its counts.
    pub fn optimizer(&self) -> &O {
        &self.optimizer
    }

    /// The method itself, to restore its state.
    pub fn optimizer_mut(&mut self) -> &mut O {
        &mut self.optimizer
    }

    fn step_from(&mut self, loss: f64, gradients: &GradStore) -> Result<()> {
        let mut evaluated = Evaluated {
            loss,
            gradient: Some(self.optimizer.parameters().gradient(gradients)?),
        };
        let mut meter = Meter::new();
        self.optimizer
            .step(&mut Oracle::new(&mut evaluated, &mut meter))?;
        Ok(())
    }
}

/// Makes a method for [`BackwardStep`] from the parameters.
pub type Build<O> = Box<dyn FnOnce(&Parameters) -> Result<O>>;

impl<O: Optimizer> candle_nn::Optimizer for BackwardStep<O> {
    type Config = Build<O>;

    /// The variables are named by their place in `vars`; those that hold no floating-point numbers
    /// are left out.
    fn new(vars: Vec<Var>, build: Self::Config) -> candle_core::Result<Self> {
        let floats = vars.into_iter().filter(|var| var.dtype().is_float());
        let named = floats.enumerate().map(|(i, var)| (format!("{i:06}"), var));
        let optimizer = Parameters::new(named).and_then(|parameters| build(&parameters));
        optimizer.map(Self::from).map_err(wrap)
    }

    fn step(&mut self, gradients: &GradStore) -> candle_core::Result<()> {
        // The loss is not told: methods of one evaluation only ask whether it is finite.
        self.step_from(0.0, gradients).map_err(wrap)
    }

    fn backward_step(&mut self, loss: &Tensor) -> candle_core::Result<()> {
        let gradients = loss.backward()?;
        let loss = loss.to_dtype(candle_core::DType::F64)?.to_scalar()?;
        self.step_from(loss, &gradients).map_err(wrap)
    }

    fn learning_rate(&self) -> f64 {
        self.optimizer.learning_rate()
    }

    /// Sets the learning rate. One that is out of range is left out, as this cannot fail.
    fn set_learning_rate(&mut self, learning_rate: f64) {
        let _ = self.optimizer.set_learning_rate(learning_rate);
    }
}

fn wrap(error: Error) -> candle_core::Error {
    match error {
        Error::Candle(error) => error,
        error => candle_core::Error::wrap(error),
    }
}

/// An objective that has been evaluated once, and cannot be again.
struct Evaluated {
    loss: f64,
    gradient: Option<Gradient>,
}

impl Objective for Evaluated {
    fn loss(&mut self) -> Result<f64> {
        Err(Error::SecondEvaluation)
    }

    fn loss_and_gradient(&mut self) -> Result<(f64, Gradient)> {
        let gradient = self.gradient.take().ok_or(Error::SecondEvaluation)?;
        Ok((self.loss, gradient))
    }
}
