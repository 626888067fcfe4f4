//! Line searches: given φ(t) = f(x + t·d), choose a step t > 0 along a direction of descent.
//!
//! A search sees φ only through a closure, so it neither knows parameters nor tensors. It makes at
//! most the number of trials it is given and returns the best point it saw, never a non-finite one.

mod armijo;
mod strong_wolfe;

pub(crate) use armijo::armijo;
pub(crate) use strong_wolfe::strong_wolfe;

use serde::{Deserialize, Serialize};

use crate::Result;

/// How L-BFGS chooses the step length t along its direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LineSearch {
    /// No search: t = `lr`, as `line_search_fn=None` in PyTorch.
    #[serde(alias = "none")]
    Fixed,
    /// Backtracking from t = `lr` until φ(t) ≤ φ(0) + c1·t·φ'(0) (Armijo), by quadratic
    /// interpolation kept within \[0.1 t, 0.5 t\] (Dennis & Schnabel 1983, algorithm A6.3.1).
    Armijo,
    /// Bracketing and zoom with cubic interpolation until also |φ'(t)| ≤ c2·|φ'(0)| (Nocedal &
    /// Wright 2006, algorithms 3.5 and 3.6, with PyTorch's safeguards).
    #[default]
    #[serde(alias = "strong_wolfe")]
    StrongWolfe,
}

/// A point on the line: the loss φ(t), the slope φ'(t) and the gradient there.
#[derive(Debug, Clone)]
pub(crate) struct Trial<G> {
    pub(crate) t: f64,
    pub(crate) loss: f64,
    pub(crate) slope: f64,
    pub(crate) gradient: G,
}

impl<G> Trial<G> {
    /// A non-finite loss or slope is told as an infinitely high loss: never the best point.
    pub(crate) fn new(t: f64, loss: f64, slope: f64, gradient: G) -> Self {
        let loss = if slope.is_finite() && loss.is_finite() {
            loss
        } else {
            f64::INFINITY
        };
        Self {
            t,
            loss,
            slope,
            gradient,
        }
    }

    pub(crate) fn is_finite(&self) -> bool {
        self.loss.is_finite()
    }
}

/// The constants of the Armijo (c1) and curvature (c2) conditions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    pub(crate) c1: f64,
    pub(crate) c2: f64,
}

/// What a search found.
#[derive(Debug)]
pub(crate) struct Outcome<G> {
    /// The best point seen; t = 0 when no trial was better than the start.
    pub(crate) best: Trial<G>,
    /// Whether `best` satisfies the search's conditions.
    pub(crate) satisfied: bool,
}

/// φ, evaluated at t.
pub(crate) trait Line<G>: FnMut(f64) -> Result<Trial<G>> {}
impl<G, F: FnMut(f64) -> Result<Trial<G>>> Line<G> for F {}
