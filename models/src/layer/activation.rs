//! Element-wise activation functions.

use candle_core::Tensor;

use crate::kernels::{self, Apply};
use crate::options::Activation;

impl Activation {
    /// The activation of each element.
    ///
    /// # Errors
    /// When the dtype is not a floating-point type.
    pub fn forward(self, input: &Tensor) -> candle_core::Result<Tensor> {
        if kernels::supported(input) {
            let shape = input.shape().clone();
            let activation = self;
            return kernels::Activate { activation, shape }.apply([input]);
        }
        self.fallback(input)
    }

    /// The activation by tensor operations.
    pub(crate) fn fallback(self, input: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::Relu => {
                let zeros = input.zeros_like()?;
                input.le(0.0)?.where_cond(&zeros, input)
            }
            Self::Gelu => {
                let cubic = ((input * 0.044715)? * input.sqr()?)?;
                let inner = ((input + cubic)? * (2.0 / std::f64::consts::PI).sqrt())?;
                (input * 0.5)? * (inner.tanh()? + 1.0)?
            }
            Self::GeluErf => {
                let scaled = (input * std::f64::consts::FRAC_1_SQRT_2)?;
                (input * 0.5)? * (scaled.erf()? + 1.0)?
            }
            Self::Tanh => input.tanh(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use candle_core::Var;

    use super::*;
    use crate::Tensors;
    use crate::testing::{assert_same_paths, values};

    #[test]
    fn kernels_agree_with_tensor_operations() {
        let input = Var::from_tensor(&(values(&[7, 5]) * 4.0).unwrap()).unwrap();
        for activation in [
            Activation::Relu,
            Activation::Gelu,
            Activation::GeluErf,
            Activation::Tanh,
        ] {
            assert_same_paths(
                &Tensors::default(),
                &input,
                || activation.forward(&input),
                || activation.fallback(&input),
            );
        }
    }
}
