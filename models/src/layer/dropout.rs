//! Dropout (Srivastava et al. 2014) from a seeded stream.

use candle_core::{DType, Device, Tensor};

use crate::kernels::{self, Apply, DropoutMask};
use crate::{Error, Pass, Result, Scope};

/// Sets elements to zero with probability `rate` and divides the others by `1 - rate` in training
/// passes; does nothing in evaluation passes.
///
/// The same pass seed drops the same elements on every device; layers of different names drop
/// independently.
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    rate: f64,
    stream: u64,
}

impl Dropout {
    /// Dropout that draws from the random stream of `scope`'s name.
    ///
    /// # Errors
    /// When `rate` is outside `[0, 1)`.
    pub fn new(rate: f64, scope: &Scope) -> Result<Self> {
        if !(0.0..1.0).contains(&rate) {
            return Err(Error::setting("dropout", rate, "0 to below 1"));
        }
        let stream = scope.stream();
        Ok(Self { rate, stream })
    }

    /// The input with elements dropped.
    ///
    /// # Errors
    /// When the dtype is not a floating-point type.
    pub fn forward(&self, input: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        let Some(mask) = self.mask(pass) else {
            return Ok(input.clone());
        };
        if kernels::supported(input) {
            let shape = input.shape().clone();
            return kernels::DropOut { mask, shape }.apply([input]);
        }
        input * factors(mask, input.dims(), input.dtype(), input.device())?
    }

    /// The random factors of this pass, if it drops anything.
    pub(crate) fn mask(&self, pass: Pass) -> Option<DropoutMask> {
        match pass {
            Pass::Train { seed } if self.rate > 0.0 => Some(DropoutMask {
                rate: self.rate,
                seed,
                stream: self.stream,
            }),
            _ => None,
        }
    }
}

/// The dropout factors as a tensor, drawn on the host.
pub(crate) fn factors(
    mask: DropoutMask,
    shape: &[usize],
    dtype: DType,
    device: &Device,
) -> candle_core::Result<Tensor> {
    let factors = mask.factors::<f32>(shape.iter().product());
    Tensor::from_vec(factors, shape, device)?.to_dtype(dtype)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use candle_core::Var;

    use super::*;
    use crate::Tensors;
    use crate::testing::{assert_same_paths, scope, values};

    #[test]
    fn kernels_agree_with_tensor_operations() {
        let dropout = Dropout::new(0.5, &scope()).unwrap();
        let input = Var::from_tensor(&values(&[3, 50])).unwrap();
        let pass = Pass::Train { seed: 4 };
        let mask = dropout.mask(pass).unwrap();
        assert_same_paths(
            &Tensors::default(),
            &input,
            || dropout.forward(&input, pass),
            || input.as_tensor() * factors(mask, &[3, 50], input.dtype(), input.device())?,
        );
    }
}
