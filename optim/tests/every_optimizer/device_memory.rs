//! Where the device lacks the memory for an optimizer, the error says how much was asked for, and
//! work can go on.

use crate::common::device;
use candle_core::{DType, Tensor, Var};
use optim::{AdamConfig, Error, LbfgsConfig, Parameters};

const ELEMENTS: usize = 8 << 20;

#[test]
fn a_lack_of_memory_is_reported_with_the_bytes_asked_for() {
    let x = Var::zeros(ELEMENTS, DType::F32, &device()).unwrap();
    let set = Parameters::new([("x", x)]).unwrap();
    // Large pieces first, to fill a large memory soon. The last pieces leave too little for one
    // vector.
    let mut filler = Vec::new();
    for bytes in [1 << 30, 64 << 20, 4 << 20] {
        while let Ok(tensor) = Tensor::zeros(bytes, DType::U8, &device()) {
            filler.push(tensor);
        }
    }
    let adam = AdamConfig::default().build(&set).map(drop);
    let lbfgs = LbfgsConfig::default().build(&set).map(drop);
    for refused in [adam, lbfgs] {
        let error = refused.unwrap_err();
        assert!(matches!(error, Error::Vector { bytes, .. } if bytes == 4 * ELEMENTS));
        let text = error.to_string();
        assert!(text.contains("CUDA_ERROR_OUT_OF_MEMORY"), "{text}");
    }
    drop(filler);
    AdamConfig::default().build(&set).unwrap();
}
