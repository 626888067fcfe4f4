//! A linear map and the cross-entropy of its outputs in one function.
//!
//! With a large vocabulary these outputs are the largest tensor of a language model. The backward
//! pass writes their gradient over them, so that there is only one tensor of this size.

use candle_core::Shape;

use super::{Affine, Float, Function, MeanCrossEntropy, Saved};

/// The mean cross-entropy of `x W^T` for rows x and a weight W.
pub(crate) struct LinearCrossEntropy {
    pub(super) affine: Affine,
    pub(super) loss: MeanCrossEntropy,
    /// The logits, from the forward to the backward pass.
    pub(super) saved: Saved,
}

impl LinearCrossEntropy {
    pub(crate) fn new(affine: Affine, loss: MeanCrossEntropy) -> Self {
        Self {
            affine,
            loss,
            saved: Saved::default(),
        }
    }
}

impl Function<2> for LinearCrossEntropy {
    const NAME: &'static str = "linear-cross-entropy";

    fn shape(&self) -> Shape {
        Shape::from(())
    }

    fn forward<T: Float>(&self, inputs: [&[T]; 2]) -> Vec<T> {
        let logits = self.affine.forward(inputs);
        let loss = self.loss.forward([&logits]);
        self.saved.put(logits);
        loss
    }

    fn backward<T: Float>(
        &self,
        inputs: [&[T]; 2],
        _output: &[T],
        gradient: &[T],
        needed: [bool; 2],
    ) -> [Option<Vec<T>>; 2] {
        let logits = self.saved.take::<Vec<T>>();
        let mut logits = logits.unwrap_or_else(|| self.affine.forward(inputs));
        self.loss.differentiate_in_place(&mut logits, gradient[0]);
        self.affine.backward(inputs, &[], &logits, needed)
    }
}
