//! Eight functions that every text on optimization shows, quadratics with a chosen spectrum, and functions that are
//! hard for gradient descent.

mod ackley;
pub(crate) mod beale;
mod booth;
mod goldstein_price;
mod hard;
mod himmelblau;
mod quadratic;
mod rastrigin;
mod rosenbrock;
mod styblinski_tang;

pub use hard::{hard_convex, hard_non_convex};
pub use quadratic::{check_quadratic, quadratic};

use crate::TestFunction;

/// All of them, by name.
pub const FUNCTIONS: &[&TestFunction] = &[
    &ackley::ACKLEY,
    &beale::BEALE,
    &booth::BOOTH,
    &goldstein_price::GOLDSTEIN_PRICE,
    &himmelblau::HIMMELBLAU,
    &rastrigin::RASTRIGIN,
    &rosenbrock::ROSENBROCK,
    &styblinski_tang::STYBLINSKI_TANG,
];
