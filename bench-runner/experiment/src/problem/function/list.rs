//! The test functions by name.
//!
//! To add one: write its file beside this one, and add a line to [`FUNCTIONS`].

use super::test_function::TestFunction;
use super::{
    ackley, beale, booth, goldstein_price, himmelblau, rastrigin, rosenbrock, styblinski_tang,
};

/// All test functions.
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
