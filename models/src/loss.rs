//! Training losses.

use candle_core::{D, DType, Tensor, bail};

use crate::kernels::{self, Apply};
use crate::precision::upcast;
use crate::{Error, Result};

/// The cross-entropy of logits and class indices: the mean over all targets t of
/// `lse(x) - (1 - s) x_t - s mean(x)`, with lse the logarithm of the sum of exponentials and s the
/// label smoothing. PyTorch's `cross_entropy` has the same formula.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use models::loss::CrossEntropy;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let logits = Tensor::new(&[[0f64, 0.0], [0.0, 0.0]], &Device::Cpu)?;
/// let targets = Tensor::new(&[1u32, 0], &Device::Cpu)?;
/// let loss = CrossEntropy::default().forward(&logits, &targets)?;
/// assert!((loss.to_scalar::<f64>()? - 2f64.ln()).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CrossEntropy {
    ignore: Option<i64>,
    smoothing: f64,
}

impl CrossEntropy {
    /// Leaves out positions whose target is `index`.
    pub fn with_ignore_index(mut self, index: i64) -> Self {
        self.ignore = Some(index);
        self
    }

    /// Mixes the targets with the uniform distribution, which gets the weight `smoothing`
    /// (Szegedy et al. 2016).
    ///
    /// # Errors
    /// When `smoothing` is outside `[0, 1]`.
    pub fn with_label_smoothing(mut self, smoothing: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&smoothing) {
            return Err(Error::setting("label_smoothing", smoothing, "0 to 1"));
        }
        self.smoothing = smoothing;
        Ok(self)
    }

    /// The loss, a scalar, of logits `[..., classes]` and integer targets `[...]`. The loss of
    /// half-precision logits is computed, and returned, in f32.
    ///
    /// # Errors
    /// When the shapes do not fit; where a kernel computes the loss, also when a target is not a
    /// class or every target is ignored.
    pub fn forward(&self, logits: &Tensor, targets: &Tensor) -> candle_core::Result<Tensor> {
        if kernels::supported(logits) {
            return self.kernel(logits.dims(), targets)?.apply([logits]);
        }
        let classes = fitting_classes(logits.dims(), targets)?;
        let logits = upcast(logits)?;
        self.fallback(&logits.reshape(((), classes))?, &targets.flatten_all()?)
    }

    /// The kernel for logits of this shape.
    pub(crate) fn kernel(
        &self,
        logits: &[usize],
        targets: &Tensor,
    ) -> candle_core::Result<kernels::MeanCrossEntropy> {
        let classes = fitting_classes(logits, targets)?;
        let targets = self.checked(classes, &targets.flatten_all()?)?;
        Ok(kernels::MeanCrossEntropy::new(
            classes,
            targets,
            self.smoothing,
        ))
    }

    /// The targets as classes, `None` for those to ignore.
    fn checked(&self, classes: usize, targets: &Tensor) -> candle_core::Result<Vec<Option<u32>>> {
        let mut checked = Vec::with_capacity(targets.elem_count());
        for (position, target) in targets
            .to_dtype(DType::I64)?
            .to_vec1::<i64>()?
            .into_iter()
            .enumerate()
        {
            checked.push(match u32::try_from(target) {
                _ if self.ignore == Some(target) => None,
                Ok(class) if (class as usize) < classes => Some(class),
                _ => bail!(
                    "cross-entropy: target {target} at position {position} is not one of {classes} classes"
                ),
            });
        }
        if checked.iter().all(Option::is_none) {
            bail!("cross-entropy: there is no target that counts");
        }
        Ok(checked)
    }

    fn fallback(&self, logits: &Tensor, targets: &Tensor) -> candle_core::Result<Tensor> {
        let targets = targets.to_dtype(DType::I64)?;
        let counted = match self.ignore {
            Some(index) => targets.ne(index)?,
            None => targets.ones_like()?.to_dtype(DType::U8)?,
        };
        let classes = counted.where_cond(&targets, &targets.zeros_like()?)?;
        let max = logits.max_keepdim(D::Minus1)?.detach();
        let shifted = logits.broadcast_sub(&max)?;
        let log_sums = shifted.exp()?.sum(D::Minus1)?.log()?;
        let chosen = shifted.gather(&classes.unsqueeze(1)?, 1)?.squeeze(1)?;
        let mut losses = (log_sums - (chosen * (1.0 - self.smoothing))?)?;
        if self.smoothing > 0.0 {
            losses = (losses - (shifted.mean(D::Minus1)? * self.smoothing)?)?;
        }
        let weights = counted.to_dtype(logits.dtype())?;
        (losses * &weights)?.sum_all()? / weights.sum_all()?
    }
}

/// The number of classes of logits of this shape; refuses targets that do not fit.
fn fitting_classes(logits: &[usize], targets: &Tensor) -> candle_core::Result<usize> {
    let Some((&classes, positions)) = logits.split_last() else {
        bail!("cross-entropy: the logits have no class axis");
    };
    if positions != targets.dims() || classes == 0 {
        bail!(
            "cross-entropy: targets of shape {:?} do not fit logits of shape {logits:?}",
            targets.dims()
        );
    }
    if !targets.dtype().is_int() {
        bail!(
            "cross-entropy: expected integer targets, got {:?}",
            targets.dtype()
        );
    }
    Ok(classes)
}

/// The [`CrossEntropy`] without ignored targets and label smoothing.
///
/// # Errors
/// As [`CrossEntropy::forward`].
pub fn cross_entropy(logits: &Tensor, targets: &Tensor) -> candle_core::Result<Tensor> {
    CrossEntropy::default().forward(logits, targets)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use candle_core::Var;

    use super::*;
    use crate::Tensors;
    use crate::testing::{assert_same_paths, device, values};

    #[test]
    fn kernels_agree_with_tensor_operations() {
        let logits = Var::from_tensor(&(values(&[6, 300]) * 5.0).unwrap()).unwrap();
        let targets = Tensor::new(&[3i64, -1, 299, 0, -1, 7], &device()).unwrap();
        for smoothing in [0.0, 0.3] {
            let loss = CrossEntropy::default().with_ignore_index(-1);
            let loss = loss.with_label_smoothing(smoothing).unwrap();
            assert_same_paths(
                &Tensors::default(),
                &logits,
                || loss.forward(&logits, &targets),
                || loss.fallback(&logits, &targets),
            );
        }
    }
}
