//! Eight functions that every text on optimization shows, and quadratics with a chosen spectrum.

mod ackley;
pub(crate) mod beale;
mod booth;
mod goldstein_price;
mod himmelblau;
mod quadratic;
mod rastrigin;
mod rosenbrock;
mod styblinski_tang;

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
