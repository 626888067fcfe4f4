//! Differential equations: a residual that vanishes inside the domain, and conditions on its edges.
//!
//! To add one: write its file beside these, and add it to [`EquationConfig`]. Another crate implements
//! [`Equation`] and needs no place in the list.

mod allen_cahn;
mod burgers;
mod convection;
mod definition;
mod heat;
mod poisson;
mod reaction;
mod reaction_diffusion;
mod spectral;
mod terms;
mod wave;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use allen_cahn::AllenCahn;
pub use burgers::Burgers;
pub use convection::Convection;
pub use definition::{Condition, Domain, Edge, Equation, Residual};
pub use heat::Heat;
pub use poisson::Poisson;
pub use reaction::Reaction;
pub use reaction_diffusion::ReactionDiffusion;
pub use wave::Wave;

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
