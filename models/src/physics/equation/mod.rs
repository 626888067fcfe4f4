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

use std::fmt;
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
    /// The names after `kind`, with the equations.
    pub const ALL: [(&str, &str); 8] = [
        ("convection", "u_t + β u_x = 0; β is `speed`"),
        ("reaction", "u_t = ρ u (1 − u); ρ is `rate`"),
        ("wave", "u_tt = c² u_xx; c is `speed`"),
        (
            "reaction-diffusion",
            "u_t = ν u_xx + ρ u (1 − u); ν is `diffusion`, ρ is `rate`",
        ),
        ("burgers", "u_t + u u_x = ν u_xx; ν is `viscosity`"),
        (
            "allen-cahn",
            "u_t = ν u_xx + ρ (u − u³); ν is `diffusion`, ρ is `rate`",
        ),
        ("heat", "u_t = ν u_xx; ν is `diffusivity`"),
        (
            "poisson",
            "u_xx + u_yy = f, a product of sines with `half_waves` along each edge",
        ),
    ];

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

/// The equation's name and its coefficients, as `Wave, speed 2`.
impl fmt::Display for EquationConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Convection(Convection { speed }) => write!(f, "Convection, speed {speed}"),
            Self::Reaction(Reaction { rate }) => write!(f, "Reaction, rate {rate}"),
            Self::Wave(Wave { speed }) => write!(f, "Wave, speed {speed}"),
            Self::ReactionDiffusion(ReactionDiffusion { diffusion, rate }) => {
                write!(f, "Reaction–diffusion, diffusion {diffusion}, rate {rate}")
            }
            Self::Burgers(Burgers { viscosity }) => write!(f, "Burgers, viscosity {viscosity:.3e}"),
            Self::AllenCahn(AllenCahn { diffusion, rate }) => {
                write!(f, "Allen–Cahn, diffusion {diffusion}, rate {rate}")
            }
            Self::Heat(Heat { diffusivity }) => write!(f, "Heat, diffusivity {diffusivity}"),
            Self::Poisson(Poisson { half_waves }) => write!(f, "Poisson, half waves {half_waves}"),
        }
    }
}
