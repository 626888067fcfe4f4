//! What a search tries and what it finds.

use crate::error::Result;

/// A point on the line: the loss φ(t), the slope φ'(t) and the gradient there.
#[derive(Debug, Clone)]
pub(crate) struct Trial<G> {
    pub(crate) t: f64,
    pub(crate) loss: f64,
    pub(crate) slope: f64,
    pub(crate) gradient: G,
}

impl<G> Trial<G> {
    /// Where loss or slope is not finite, the loss becomes infinite: such a point is never the
    /// best.
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
    /// The best point tried; t = 0 when no trial was better than the start.
    pub(crate) best: Trial<G>,
    /// Whether `best` satisfies the search's conditions.
    pub(crate) satisfied: bool,
}

/// φ, evaluated at t.
pub(crate) trait Line<G>: FnMut(f64) -> Result<Trial<G>> {}
impl<G, F: FnMut(f64) -> Result<Trial<G>>> Line<G> for F {}
