//! Gradient clipping: bounds on the gradient, and the objective that keeps them.

use candle_core::{DType, Tensor};
use half::f16;
use serde::{Deserialize, Serialize};

use crate::check;
use crate::error::Result;
use crate::objective::Objective;
use crate::params::Gradient;

/// A bound on the gradient.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clip {
    /// The Euclidean norm of the whole gradient; a longer one is scaled down to it (Pascanu,
    /// Mikolov & Bengio, arXiv 1211.5063).
    Norm(f64),
    /// The absolute value of each component; a larger one is set to it, with its sign. NaN stays.
    Value(f64),
}

impl Clip {
    /// Whether the bound is a positive finite number.
    ///
    /// # Errors
    /// [`Error::HyperParameter`](crate::Error::HyperParameter) when it is not.
    pub fn check(self) -> Result<()> {
        match self {
            Self::Norm(bound) => check::positive("clip.norm", bound),
            Self::Value(bound) => check::positive("clip.value", bound),
        }
    }

    /// `gradient` within the bound. A gradient whose norm is not finite has no direction to keep:
    /// clipping by norm leaves it as it is.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn apply(self, gradient: Gradient) -> Result<Gradient> {
        match self {
            Self::Norm(bound) => {
                let norm = gradient.norm()?;
                if !norm.is_finite() || norm <= bound {
                    return Ok(gradient);
                }
                gradient.map(|tensor| scaled(tensor, bound, norm))
            }
            Self::Value(bound) => gradient.map(|tensor| {
                let clipped = tensor.clamp(-bound, bound)?;
                // On CUDA devices the clamped NaN is a bound, which would make a step.
                tensor.eq(tensor)?.where_cond(&clipped, tensor)
            }),
        }
    }
}

/// `tensor`·`bound`/`norm`. A factor below the normal numbers of the tensor's type would lose its
/// digits in that type. So it is applied in two parts, and to f16 tensors in f32.
fn scaled(tensor: &Tensor, bound: f64, norm: f64) -> candle_core::Result<Tensor> {
    let dtype = tensor.dtype();
    let smallest_normal = match dtype {
        DType::F64 => f64::MIN_POSITIVE,
        DType::F16 => f16::MIN_POSITIVE.to_f64(),
        _ => f32::MIN_POSITIVE.into(),
    };
    if bound / norm >= smallest_normal {
        return tensor * (bound / norm);
    }
    let (wide, power) = match dtype {
        DType::F64 => (DType::F64, 2f64.powi(600)),
        _ => (DType::F32, 2f64.powi(100)),
    };
    let reduced = (tensor.to_dtype(wide)? * power.recip())?;
    (reduced * (bound * power / norm))?.to_dtype(dtype)
}

/// An objective whose gradients are clipped, for use with any optimizer.
///
/// Use it with first-order methods. A line search compares losses with the decrease that the
/// gradient predicts, and a clipped gradient predicts too little.
///
/// ```
/// use candle_core::{Device, Var};
/// use optim::{Clip, Clipped, Loss, Meter, Optimizer, Oracle, Parameters, SgdConfig};
///
/// # fn main() -> optim::Result<()> {
/// let x = Var::new(&[3f64, 4.0], &Device::Cpu)?;
/// let parameters = Parameters::new([("x", x.clone())])?;
/// let loss = Loss::new(&parameters, || x.sqr()?.sum_all());
/// let mut objective = Clipped::new(loss, Clip::Norm(5.0))?;
/// let mut sgd = SgdConfig { learning_rate: 0.5, ..SgdConfig::default() }.build(&parameters)?;
/// let mut meter = Meter::new();
/// let step = sgd.step(&mut Oracle::new(&mut objective, &mut meter))?;
/// assert_eq!(step.gradient_norm, 5.0);
/// assert_eq!(x.to_vec1::<f64>()?, [1.5, 2.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Clipped<O> {
    objective: O,
    clip: Clip,
}

impl<O: Objective> Clipped<O> {
    /// Clips the gradients of `objective`.
    ///
    /// # Errors
    /// When the bound is not a positive finite number.
    pub fn new(objective: O, clip: Clip) -> Result<Self> {
        clip.check()?;
        Ok(Self { objective, clip })
    }
}

impl<O: Objective> Objective for Clipped<O> {
    fn loss(&mut self) -> Result<f64> {
        self.objective.loss()
    }

    fn loss_and_gradient(&mut self) -> Result<(f64, Gradient)> {
        let (loss, gradient) = self.objective.loss_and_gradient()?;
        Ok((loss, self.clip.apply(gradient)?))
    }

    fn trial(&mut self) -> Result<(f64, Gradient)> {
        let (loss, gradient) = self.objective.trial()?;
        Ok((loss, self.clip.apply(gradient)?))
    }

    fn trial_loss(&mut self) -> Result<f64> {
        self.objective.trial_loss()
    }

    fn end_trials(&mut self, accepted: Option<usize>) -> Result<()> {
        self.objective.end_trials(accepted)
    }

    fn overlap_gradient(&mut self) -> Result<Gradient> {
        self.clip.apply(self.objective.overlap_gradient()?)
    }

    fn sample_losses(&mut self) -> Result<Vec<f64>> {
        self.objective.sample_losses()
    }
}
