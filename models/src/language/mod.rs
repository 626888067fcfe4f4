//! Language models, from token indices `[batch, time]` to logits `[batch, time, vocabulary]`.

mod gpt;

pub use gpt::{Gpt, GptConfig, GptPreset};
