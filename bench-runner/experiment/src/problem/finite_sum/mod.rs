//! Finite sums: least squares and logistic regression over samples, of which each step sees a batch.
//!
//! | file | what is in it |
//! |---|---|
//! | `rows` | the samples' features, dense or sparse |
//! | `sum` | the mean loss over some of the samples, with its gradient and its curvature |
//! | `minimum` | the smallest value of a sum, by Newton's method |
//! | `synthetic` | samples with a chosen spectrum |
//! | `source` | from what a sum is made: drawn, or a dataset |
//! | `shared` | sums that runs of this process share |
//! | `problem` | a sum being minimized |
//! | `config` | the settings |

mod config;
mod minimum;
mod problem;
mod rows;
mod shared;
mod source;
mod sum;
mod synthetic;

pub use config::FiniteSumConfig;
pub use problem::FiniteSumProblem;
pub use sum::SampleLoss;
