//! Smooth least squares without noise: networks and matrix products that each step fits to all
//! samples.
//!
//! | file | what is in it |
//! |---|---|
//! | `regression` | a tanh network on a smooth function |
//! | `teacher` | a tanh network on another one |
//! | `factorisation` | a matrix as a product of two |
//! | `autoencoder` | images through a narrow code |
//! | `curves` | images of Bézier curves |
//! | `samples` | inputs with their targets |
//! | `fit` | what each of them says of itself |
//! | `task` | the four as settings |
//! | `problem` | a task being minimized |
//! | `config` | the settings of the kind |

mod autoencoder;
mod config;
mod curves;
mod factorisation;
mod fit;
mod problem;
mod regression;
mod samples;
mod task;
mod teacher;

pub use autoencoder::{AutoencoderTask, Images};
pub use config::LeastSquaresConfig;
pub use factorisation::FactorisationTask;
pub use problem::LeastSquaresProblem;
pub use regression::{RegressionTask, SmoothFunction};
pub use task::Task;
pub use teacher::TeacherTask;
