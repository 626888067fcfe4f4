//! Classifiers made of affine maps. Images are flattened first.

mod linear;
mod logistic;
mod mlp;

pub use linear::{LinearClassifier, LinearClassifierConfig};
pub use logistic::{Logistic, LogisticConfig};
pub use mlp::{Mlp, MlpConfig};
