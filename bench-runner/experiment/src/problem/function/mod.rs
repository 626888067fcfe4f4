//! Test functions with known minima, in f64, with optional gradient noise.

mod ackley;
mod beale;
mod booth;
mod config;
mod goldstein_price;
mod himmelblau;
mod kind;
mod list;
mod problem;
mod quadratic;
mod rastrigin;
mod rosenbrock;
mod styblinski_tang;
mod test_function;

pub use config::{FunctionConfig, QuadraticConfig};
pub use list::FUNCTIONS;
pub use problem::FunctionProblem;
pub use test_function::TestFunction;
