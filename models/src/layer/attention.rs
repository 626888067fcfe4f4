//! Causal multi-head self-attention (Vaswani et al. 2017).

use candle_core::{D, Tensor, bail};

use super::dropout::{Dropout, factors};
use super::trace;
use crate::Pass;
use crate::kernels::{self, Apply, DropoutMask};
use crate::precision::upcast;

/// Scaled dot-product attention in which each position sees itself and those before it.
#[derive(Debug, Clone, Copy)]
pub struct CausalAttention {
    /// How many heads share the width.
    pub heads: usize,
    /// Drops attention probabilities.
    pub dropout: Dropout,
}

impl CausalAttention {
    /// The attention of `[batch, time, 3 * width]`, queries, keys and values side by side, each
    /// with its heads side by side. The result has shape `[batch, time, width]`; its heads are side
    /// by side, too.
    ///
    /// # Errors
    /// When the input has another rank, or its last axis is not three times a multiple of `heads`.
    pub fn forward(&self, input: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        let (batch, time, columns) = input.dims3()?;
        if self.heads == 0 || columns % (3 * self.heads) != 0 {
            bail!(
                "attention: {columns} columns are not queries, keys and values of {} heads",
                self.heads
            );
        }
        let dropout = self.dropout.mask(pass);
        let output = if kernels::supported(input) {
            let attention = kernels::Attend {
                batch,
                time,
                heads: self.heads,
                head_width: columns / 3 / self.heads,
                dropout,
            };
            attention.apply([input])?
        } else {
            self.fallback(input, dropout)?
        };
        // Per output element: `time` multiply-adds for the scores and `time` for the sum of values.
        trace::record("CausalAttention", [], &output, 2 * time);
        Ok(output)
    }

    fn fallback(
        &self,
        input: &Tensor,
        dropout: Option<DropoutMask>,
    ) -> candle_core::Result<Tensor> {
        let (batch, time, columns) = input.dims3()?;
        let (width, head_width) = (columns / 3, columns / 3 / self.heads);
        let part = |index: usize| {
            input
                .narrow(2, index * width, width)?
                .reshape((batch, time, self.heads, head_width))?
                .transpose(1, 2)?
                .contiguous()
        };
        let (queries, keys, values) = (part(0)?, part(1)?, part(2)?);
        let scores = (queries.matmul(&keys.t()?)? * (1.0 / (head_width as f64).sqrt()))?;
        let hidden = hidden_keys(time, input)?.broadcast_as(scores.shape())?;
        let probabilities = candle_nn::ops::softmax(&upcast(&(scores + hidden)?)?, D::Minus1)?;
        let probabilities = probabilities.to_dtype(input.dtype())?;
        let probabilities = match dropout {
            Some(mask) => {
                let shape = probabilities.dims();
                (&probabilities * factors(mask, shape, input.dtype(), input.device())?)?
            }
            None => probabilities,
        };
        probabilities
            .matmul(&values)?
            .transpose(1, 2)?
            .reshape((batch, time, width))
    }
}

/// 0 where the column is not after the row, else minus infinity.
fn hidden_keys(time: usize, like: &Tensor) -> candle_core::Result<Tensor> {
    let values: Vec<f32> = (0..time * time)
        .map(|i| {
            if i % time > i / time {
                f32::NEG_INFINITY
            } else {
                0.0
            }
        })
        .collect();
    Tensor::from_vec(values, (time, time), like.device())?.to_dtype(like.dtype())
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
        let input = Var::from_tensor(&values(&[2, 70, 3 * 3 * 4])).unwrap();
        for rate in [0.0, 0.5] {
            let dropout = Dropout::new(rate, &scope()).unwrap();
            let attention = CausalAttention { heads: 3, dropout };
            let pass = Pass::Train { seed: 4 };
            assert_same_paths(
                &Tensors::default(),
                &input,
                || attention.forward(&input, pass),
                || attention.fallback(&input, dropout.mask(pass)),
            );
        }
    }
}
