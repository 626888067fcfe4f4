//! What a layer can be asked for and a kernel carries out.

use serde::{Deserialize, Serialize};

/// An element-wise activation function. Where it has a kink its derivative is 0, as in PyTorch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// The tanh approximation of GELU (Hendrycks and Gimpel 2016), which GPT-2 uses:
    /// `x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`.
    Gelu,
    /// GELU itself: `x / 2 (1 + erf(x / sqrt(2)))`.
    GeluErf,
    /// The hyperbolic tangent. A network of logistic sigmoids is one of these with other weights:
    /// `sigmoid(x) = (1 + tanh(x / 2)) / 2`.
    Tanh,
}

/// How a weight matrix lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightLayout {
    /// `[outputs, inputs]`, as PyTorch's `Linear` has it.
    OutputInput,
    /// `[inputs, outputs]`, as GPT-2's `Conv1D` has it.
    InputOutput,
}

/// How pooling turns a window into one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reduction {
    /// The largest value. It receives the whole gradient. The first of equal values wins; NaN
    /// counts as largest, and the last of several NaN wins.
    Max,
    /// The mean, in which the zeros of the padding count.
    Average,
}

/// The window of one output of a pooling along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// The first pixel.
    pub(crate) start: usize,
    /// One past the last pixel.
    pub(crate) end: usize,
    /// What an average divides by: the window's size with its padding.
    pub(crate) divisor: usize,
}
