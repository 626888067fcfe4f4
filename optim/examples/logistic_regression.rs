//! Fits a logistic regression on two Gaussian clouds (synthetic data), saves a checkpoint half-way
//! and shows that the resumed run continues bit for bit.
//!
//! `cargo run -p optim --example logistic_regression`

use candle_core::{DType, Device, Tensor, Var};
use optim::state::State;
use optim::{AdamConfig, Loss, Meter, Optimizer, Oracle, Parameters, Result};

/// 200 points around (1, 1) labelled 1 and around (-1, -1) labelled 0, from a fixed low-discrepancy
/// sequence.
fn clouds() -> candle_core::Result<(Tensor, Tensor)> {
    let (mut points, mut labels) = (Vec::new(), Vec::new());
    for i in 0..200u32 {
        let label = f64::from(i % 2);
        let centre = 2.0 * label - 1.0;
        let spread = |alpha: f64| 4.0 * ((f64::from(i) * alpha).fract() - 0.5);
        points.extend([centre + spread(0.618_034), centre + spread(0.754_878)]);
        labels.push(label);
    }
    Ok((
        Tensor::from_vec(points, (200, 2), &Device::Cpu)?,
        Tensor::from_vec(labels, (200, 1), &Device::Cpu)?,
    ))
}

pub(crate) fn main() -> Result<()> {
    let (points, labels) = clouds()?;
    let weight = Var::zeros((2, 1), DType::F64, &Device::Cpu)?;
    let bias = Var::zeros(1, DType::F64, &Device::Cpu)?;
    let parameters = Parameters::new([("weight", weight.clone()), ("bias", bias.clone())])?;
    // Mean of ln(1 + exp(z)) − y·z, the cross-entropy of the logit z.
    let mut objective = Loss::new(&parameters, || {
        let z = points.matmul(&weight)?.broadcast_add(&bias)?;
        ((z.exp()? + 1.0)?.log()? - (&labels * &z)?)?.mean_all()
    });
    let config = AdamConfig {
        learning_rate: 0.05,
        ..AdamConfig::default()
    };
    let mut adam = config.clone().build(&parameters)?;
    let mut meter = Meter::new();
    let mut train = |optimizer: &mut dyn Optimizer, steps: u32| -> Result<f64> {
        let mut loss = f64::NAN;
        for _ in 0..steps {
            loss = optimizer
                .step(&mut Oracle::new(&mut objective, &mut meter))?
                .loss;
        }
        Ok(loss)
    };

    train(&mut adam, 100)?;
    let path = std::env::temp_dir().join("logistic-regression.safetensors");
    adam.state()?.save(&path)?;
    let half_way = parameters.snapshot()?;
    let straight = train(&mut adam, 100)?;

    parameters.restore(&half_way)?;
    let mut resumed = config.build(&parameters)?;
    resumed.restore(&State::load(&path)?)?;
    let continued = train(&mut resumed, 100)?;
    println!("loss after 200 steps: {straight:.6}; resumed at step 100: {continued:.6}");
    println!(
        "equal to the last bit: {}",
        straight.to_bits() == continued.to_bits()
    );
    Ok(())
}
