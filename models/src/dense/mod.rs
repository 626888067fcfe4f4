//! Networks made of affine maps. Images are flattened first.

mod autoencoder;
mod linear;
mod logistic;
mod mlp;

pub use autoencoder::{Autoencoder, AutoencoderConfig};
pub use linear::{LinearClassifier, LinearClassifierConfig};
pub use logistic::{Logistic, LogisticConfig};
pub use mlp::{Mlp, MlpConfig};
