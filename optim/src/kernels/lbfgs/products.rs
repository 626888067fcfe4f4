//! What goes into the passes of L-BFGS and what comes out of them.

use candle_core::Tensor;

/// A move and the two gradients that tell its curvature: s = `step`·`direction`,
/// y = θ·(`after` - `before`) + w·s with (θ, w) = `damping`, (1, 0) for none.
#[derive(Clone, Copy)]
pub(crate) struct Move<'a> {
    pub(crate) direction: &'a Tensor,
    pub(crate) step: f64,
    pub(crate) before: &'a Tensor,
    pub(crate) after: &'a Tensor,
    pub(crate) damping: (f64, f64),
}

/// Products of a new pair (s, y) with itself and with the gradient g. D is the diagonal, or I.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PairProducts {
    pub(crate) s_s: f64,
    pub(crate) s_y: f64,
    pub(crate) y_y: f64,
    pub(crate) y_dy: f64,
    pub(crate) s_g: f64,
    pub(crate) y_dg: f64,
}

/// Products of a stored pair (sᵢ, yᵢ) with the new pair and the gradient.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RowProducts {
    pub(crate) s_y: f64,
    pub(crate) s_g: f64,
    pub(crate) y_dy: f64,
    pub(crate) y_dg: f64,
}

/// The coefficients of one stored pair in the direction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weights {
    /// Of sᵢ: αᵢ - βᵢ of the two-loop recursion.
    pub(crate) s: f64,
    /// Of yᵢ: αᵢ.
    pub(crate) y: f64,
}

/// What one pass over a gradient tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Norms {
    pub(crate) largest: f64,
    pub(crate) sum: f64,
    pub(crate) euclidean: f64,
}

impl Norms {
    /// Whether every component is finite: the sum of magnitudes is not, otherwise.
    pub(crate) fn is_finite(&self) -> bool {
        self.sum.is_finite()
    }
}
