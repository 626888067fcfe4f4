//! Mixed precision: the optimizer keeps the parameters in f32, the model computes in bf16. bf16 has
//! f32's range, so the loss needs no scaling. L-BFGS's pairs may be kept in bf16 too.
//!
//! `cargo run -p optim --example mixed_precision`

use candle_core::{DType, Device, Result as CandleResult, Tensor, Var};
use optim::{
    AdamConfig, Criterion, FusePvConfig, HistoryPrecision, LbfgsConfig, Loss, Meter, Optimizer,
    Oracle, Parameters,
};

/// A line through a tanh: two weights in f32, used in `dtype`.
fn loss(weights: &Var, (x, y): &(Tensor, Tensor), dtype: DType) -> CandleResult<Tensor> {
    let weights = weights.to_dtype(dtype)?;
    let (x, y) = (x.to_dtype(dtype)?, y.to_dtype(dtype)?);
    let line = x
        .broadcast_mul(&weights.get(0)?)?
        .broadcast_add(&weights.get(1)?)?;
    // Means are taken in f32: a sum in bf16 would lose its small terms.
    (line.tanh()? - y)?.to_dtype(DType::F32)?.sqr()?.mean_all()
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let x = Tensor::arange(-50f32, 50.0, &Device::Cpu)?;
    let x = (x / 50.0)?;
    let y = ((&x * 1.5)? - 0.5)?.tanh()?;
    let data = (x, y);
    for dtype in [DType::F32, DType::BF16] {
        let weights = Var::zeros(2, DType::F32, &Device::Cpu)?;
        let parameters = Parameters::new([("weights", weights.clone())])?;
        let mut optimizer = FusePvConfig {
            criterion: Criterion::Step(20),
            adam: AdamConfig {
                learning_rate: 0.05,
                ..AdamConfig::default()
            },
            lbfgs: LbfgsConfig {
                history_precision: HistoryPrecision::Bf16,
                // A loss computed in bf16 is known to three digits.
                loss_rounding: if dtype == DType::BF16 { 1e-3 } else { 0.0 },
                ..LbfgsConfig::default()
            },
            ..FusePvConfig::default()
        }
        .build(&parameters)?;
        let mut objective = Loss::new(&parameters, || loss(&weights, &data, dtype));
        let mut meter = Meter::with_budget(100);
        while meter.remaining() > 0 {
            optimizer.step(&mut Oracle::new(&mut objective, &mut meter))?;
        }
        let weights = weights.to_vec1::<f32>()?;
        println!("computed in {dtype:?}: weights {weights:?}, exact [1.5, -0.5]");
        assert!((weights[0] - 1.5).abs() < 0.02 && (weights[1] + 0.5).abs() < 0.02);
    }
    Ok(())
}
