//! Physics-informed networks: u(x, t) is trained so that a differential equation and its conditions
//! hold at chosen points (Raissi, Perdikaris and Karniadakis 2019).
//!
//! The derivatives of u by x and t are carried forward through the layers beside its value; one
//! backward pass then gives the parameters' gradient. With z = W a + b and σ the activation:
//! z_x = W a_x, a⁺_x = σ′ z_x, z_xx = W a_xx, a⁺_xx = σ″ z_x² + σ′ z_xx, and the same for t.
//!
//! # An equation of one's own
//!
//! One `impl` of [`Equation`] is enough. The advection of a bump through a channel with an absorbing
//! reaction, u_t + u_x + k u³ = 0:
//!
//! ```
//! use std::f64::consts::PI;
//! use std::sync::Arc;
//!
//! use candle_core::{DType, Device};
//! use models::Scope;
//! use models::physics::{
//!     Condition, Derivative, Domain, Edge, Equation, Jet, Orders, PinnConfig, Point, Residual,
//! };
//! use rand::SeedableRng;
//! use rand_chacha::ChaCha8Rng;
//!
//! #[derive(Debug)]
//! struct Absorption {
//!     k: f64,
//! }
//!
//! impl Equation for Absorption {
//!     fn domain(&self) -> Domain {
//!         Domain { x: [0.0, 2.0], t: [0.0, 1.0] }
//!     }
//!
//!     fn orders(&self) -> Orders {
//!         Orders { x: 1, t: 1 }
//!     }
//!
//!     fn residual(&self, _: Point, u: &Jet) -> Residual {
//!         Residual {
//!             value: u.t + u.x + self.k * u.u.powi(3),
//!             by: Jet { u: 3.0 * self.k * u.u * u.u, x: 1.0, t: 1.0, ..Jet::default() },
//!         }
//!     }
//!
//!     fn conditions(&self) -> Vec<Condition> {
//!         let bump = |[x, _]: Point| (PI * x / 2.0).sin();
//!         vec![
//!             Condition::new("initial", Edge::Start, Derivative::Value, bump),
//!             Condition::new("inflow", Edge::Left, Derivative::Value, |_| 0.0),
//!         ]
//!     }
//! }
//!
//! # fn main() -> models::Result<()> {
//! let mut config = PinnConfig::default();
//! config.network.width = 8;
//! config.points.residual = 200;
//! let scope = Scope::new(0, DType::F32, &Device::Cpu);
//! let rng = &mut ChaCha8Rng::seed_from_u64(0);
//! let pinn = config.build(Arc::new(Absorption { k: 0.5 }), &scope, rng)?;
//! // The parameters are Candle variables; a step of gradient descent lowers the loss.
//! let (before, gradient) = pinn.loss_and_gradient()?;
//! for ((_, var), gradient) in pinn.tensors().parameters.iter().zip(&gradient) {
//!     var.set(&(var.as_tensor() - (gradient * 1e-3)?)?)?;
//! }
//! assert!(pinn.loss()?.total < before.total);
//! # Ok(())
//! # }
//! ```

mod activation;
mod equation;
mod features;
mod jet;
mod kernel;
mod network;
mod pinn;
mod points;

pub use activation::Activation;
pub use equation::{
    AllenCahn, Burgers, Condition, Convection, Domain, Edge, Equation, EquationConfig, Heat,
    Poisson, Reaction, ReactionDiffusion, Residual, Wave,
};
pub use features::Features;
pub use jet::{Ansatz, Derivative, Jet, Orders, Point};
pub use network::NetworkConfig;
pub use pinn::{LossPart, Pinn, PinnConfig, PinnLoss, SolutionError};
pub use points::{Placement, PointsConfig};
