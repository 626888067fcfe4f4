//! What a differential equation is: a residual inside a domain, and conditions on its edges.

use std::fmt::Debug;

use crate::error::Result;
use crate::physics::jet::{Ansatz, Derivative, Jet, Orders, Point};

/// A differential equation in x and t with its conditions.
pub trait Equation: Debug + Send + Sync {
    /// Whether the coefficients are right.
    ///
    /// # Errors
    /// Naming the coefficient at fault.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Where it holds.
    fn domain(&self) -> Domain;

    /// Which derivatives the residual needs.
    fn orders(&self) -> Orders;

    /// What vanishes for a solution.
    fn residual(&self, at: Point, u: &Jet) -> Residual;

    /// What holds on the edges; each is a term of the loss.
    fn conditions(&self) -> Vec<Condition>;

    /// At a point, the form u = offset + factor N that meets every condition but the periodic ones
    /// whatever N is; none where the equation offers no such form.
    fn ansatz(&self, at: Point) -> Option<Ansatz> {
        let _ = at;
        None
    }

    /// The solution at each point, exact or from a numerical method that states its error; none where
    /// it is not known.
    fn solution(&self, points: &[Point]) -> Option<Vec<f64>> {
        let _ = points;
        None
    }
}

/// A rectangle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Domain {
    /// The smallest and the largest x.
    pub x: [f64; 2],
    /// The smallest and the largest t.
    pub t: [f64; 2],
}

/// The value of a residual, and its derivatives by u, u_x, u_xx, u_t and u_tt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Residual {
    /// What should be 0.
    pub value: f64,
    /// The derivatives by the entries of the jet; entries that were not asked for do not count.
    pub by: Jet,
}

/// A condition on an edge: a derivative of u has a given value there.
pub struct Condition {
    /// The name of the loss term.
    pub name: &'static str,
    /// Where it holds.
    pub edge: Edge,
    /// Which derivative is prescribed.
    pub of: Derivative,
    /// Its value at a point; [`Edge::Periodic`] does not read it.
    pub value: Box<dyn Fn(Point) -> f64 + Send + Sync>,
}

impl Condition {
    /// A condition with a value.
    pub fn new(
        name: &'static str,
        edge: Edge,
        of: Derivative,
        value: impl Fn(Point) -> f64 + Send + Sync + 'static,
    ) -> Self {
        let value = Box::new(value);
        Self {
            name,
            edge,
            of,
            value,
        }
    }

    /// u is the same at the left and the right edge.
    pub fn periodic() -> Self {
        Self::new("periodic", Edge::Periodic, Derivative::Value, |_| 0.0)
    }
}

/// An edge of the domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// The smallest t.
    Start,
    /// The largest t.
    End,
    /// The smallest x.
    Left,
    /// The largest x.
    Right,
    /// The left and the right edge, where the derivative has the same value at the same t.
    Periodic,
}
