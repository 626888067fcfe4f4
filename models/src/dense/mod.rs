//! Classifiers made of affine maps. Images are flattened on the way in.

mod linear;
mod logistic;
mod mlp;

pub use linear::{LinearClassifier, LinearClassifierConfig};
pub use logistic::{Logistic, LogisticConfig};
pub use mlp::{Mlp, MlpConfig};
