//! Differential equations: a residual that vanishes inside the domain, and conditions on its edges.
//!
//! To add one: write its file beside these, and add it to [`EquationConfig`]. Another crate implements
//! [`Equation`] and needs no place in the list.

mod allen_cahn;
mod burgers;
mod convection;
mod heat;
mod poisson;
mod reaction;
mod reaction_diffusion;
mod spectral;
mod wave;

use std::fmt::Debug;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::jet::{Ansatz, Derivative, Jet, Orders, Point};
use crate::{Error, Result};

pub use allen_cahn::AllenCahn;
pub use burgers::Burgers;
pub use convection::Convection;
pub use heat::Heat;
pub use poisson::Poisson;
pub use reaction::Reaction;
pub use reaction_diffusion::ReactionDiffusion;
pub use wave::Wave;

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

/// An equation in a configuration file: its `kind` and its coefficients.
///
/// ```
/// use models::physics::EquationConfig;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let wave: EquationConfig = serde_json::from_str(r#"{ "kind": "wave", "speed": 2.0 }"#)?;
/// assert_eq!(wave.build().orders().t, 2);
/// let error = serde_json::from_str::<EquationConfig>(r#"{ "kind": "wave" }"#).unwrap_err();
/// assert!(error.to_string().contains("missing field `speed`"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EquationConfig {
    /// u_t + β u_x = 0.
    Convection(Convection),
    /// u_t = ρ u (1 − u).
    Reaction(Reaction),
    /// u_tt = c² u_xx.
    Wave(Wave),
    /// u_t = ν u_xx + ρ u (1 − u).
    ReactionDiffusion(ReactionDiffusion),
    /// u_t + u u_x = ν u_xx.
    Burgers(Burgers),
    /// u_t = ν u_xx + ρ (u − u³).
    AllenCahn(AllenCahn),
    /// u_t = ν u_xx.
    Heat(Heat),
    /// u_xx + u_yy = f.
    Poisson(Poisson),
}

impl EquationConfig {
    /// The equation.
    pub fn build(&self) -> Arc<dyn Equation> {
        match self {
            Self::Convection(equation) => Arc::new(*equation),
            Self::Reaction(equation) => Arc::new(*equation),
            Self::Wave(equation) => Arc::new(*equation),
            Self::ReactionDiffusion(equation) => Arc::new(*equation),
            Self::Burgers(equation) => Arc::new(*equation),
            Self::AllenCahn(equation) => Arc::new(*equation),
            Self::Heat(equation) => Arc::new(*equation),
            Self::Poisson(equation) => Arc::new(*equation),
        }
    }
}

/// Whether a coefficient is finite and above 0.
fn check_positive(name: &'static str, value: f64) -> Result<()> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::setting(name, value, "a finite number above 0"))
}

/// Whether a coefficient is finite.
fn check_finite(name: &'static str, value: f64) -> Result<()> {
    if value.is_finite() {
        return Ok(());
    }
    Err(Error::setting(name, value, "a finite number"))
}

/// sin(k s) with its first and second derivative by s.
fn sine(k: f64, s: f64) -> [f64; 3] {
    let (sin, cos) = (libm::sin(k * s), libm::cos(k * s));
    [sin, k * cos, -k * k * sin]
}

/// (s − a) (b − s) with its derivatives: zero at both ends of an interval.
fn bump([a, b]: [f64; 2], s: f64) -> [f64; 3] {
    [(s - a) * (b - s), a + b - 2.0 * s, -2.0]
}

/// The constant 1 with its derivatives.
const ONE: [f64; 3] = [1.0, 0.0, 0.0];

/// u starts as the function `start`, given with its derivatives, and is periodic in x.
fn periodic_from(start: fn(f64) -> [f64; 3]) -> Vec<Condition> {
    vec![
        Condition::new("initial", Edge::Start, Derivative::Value, move |[x, _]| {
            start(x)[0]
        }),
        Condition::periodic(),
    ]
}

/// u starts as the function `start`, given with its derivatives, and is `end` at both ends.
fn fixed_ends_from(start: fn(f64) -> [f64; 3], end: f64) -> Vec<Condition> {
    use Derivative::Value;
    vec![
        Condition::new("initial", Edge::Start, Value, move |[x, _]| start(x)[0]),
        Condition::new("left", Edge::Left, Value, move |_| end),
        Condition::new("right", Edge::Right, Value, move |_| end),
    ]
}

/// u = start(x) + t factor(x) N, from start and factor at x with their derivatives.
fn ansatz_from(start: [f64; 3], factor: [f64; 3], t: f64) -> Option<Ansatz> {
    Some(Ansatz {
        offset: Jet::separable(start, ONE),
        factor: Jet::separable(factor, [t, 1.0, 0.0]),
    })
}

/// (0, 2π) × (0, 1), the domain of the periodic equations.
const PERIODIC_DOMAIN: Domain = Domain {
    x: [0.0, std::f64::consts::TAU],
    t: [0.0, 1.0],
};

/// The unit square.
const UNIT_SQUARE: Domain = Domain {
    x: [0.0, 1.0],
    t: [0.0, 1.0],
};

/// (−1, 1) × (0, 1).
const SYMMETRIC_DOMAIN: Domain = Domain {
    x: [-1.0, 1.0],
    t: [0.0, 1.0],
};

/// The bell curve h(x) = exp(−(x − π)² / (2 (π/4)²)) with its derivatives, where reactions start.
fn bell(x: f64) -> [f64; 3] {
    const VARIANCE: f64 = std::f64::consts::FRAC_PI_4 * std::f64::consts::FRAC_PI_4;
    let distance = x - std::f64::consts::PI;
    let h = libm::exp(-distance * distance / (2.0 * VARIANCE));
    let slope = -distance / VARIANCE;
    [h, slope * h, (slope * slope - 1.0 / VARIANCE) * h]
}
