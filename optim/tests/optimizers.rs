//! The crate from the outside. One binary, since each would link everything again: to run a part, name
//! its module (`cargo test -p optim --test optimizers second_order::lbfgs::`).
#![allow(clippy::unwrap_used)]

/// Test problems in closed form, and a driver that steps until a target loss.
mod common;

mod first_order {
    mod golden;
    mod matrix;
    mod promises;
    mod sls;
}

mod second_order {
    mod lbfgs;
    mod lbfgs_golden;
    mod mgh;
    mod momentum_lbfgs;
    mod noise_tolerant;
    mod progressive_batching;
}

mod hand_over {
    mod fuse;
}

mod every_optimizer {
    mod candle;
    mod checkpoint;
    mod determinism;
    #[cfg(feature = "cuda")]
    mod device_memory;
    /// Only what the examples' tests call is used.
    #[allow(dead_code)]
    mod examples;
    mod extremes;
    mod many_tensors;
}
