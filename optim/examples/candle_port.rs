//! A `candle_nn` training loop with dropout and batch norm, before and after its port to FUSE-PV:
//! what must be fixed within a step is the batch, the dropout mask and the running statistics.
//!
//! `cargo run -p optim --example candle_port`

use candle_core::{DType, Device, Tensor};
use candle_nn::{BatchNorm, Linear, Module, ModuleT, VarBuilder, VarMap};
use optim::{
    AdamConfig, BackwardStep, Criterion, FusePvConfig, Loss, Meter, Optimizer, Oracle, Parameters,
    running_statistics,
};

const BATCH: usize = 64;
const HIDDEN: usize = 16;
const KEPT: f64 = 0.9;

struct Model {
    input: Linear,
    norm: BatchNorm,
    output: Linear,
}

impl Model {
    fn new(vb: &VarBuilder) -> candle_core::Result<Self> {
        Ok(Self {
            input: candle_nn::linear(2, HIDDEN, vb.pp("input"))?,
            norm: candle_nn::batch_norm(HIDDEN, 1e-5, vb.pp("norm"))?,
            output: candle_nn::linear(HIDDEN, 1, vb.pp("output"))?,
        })
    }

    /// The training loss, with units dropped by `mask`.
    fn loss(&self, (x, y): &(Tensor, Tensor), mask: &Tensor) -> candle_core::Result<Tensor> {
        let hidden = self.norm.forward_t(&self.input.forward(x)?, true)?.tanh()?;
        let prediction = self.output.forward(&(hidden * mask)?)?;
        candle_nn::loss::mse(&prediction, y)
    }

    fn test_loss(&self, (x, y): &(Tensor, Tensor)) -> candle_core::Result<f32> {
        let hidden = self
            .norm
            .forward_t(&self.input.forward(x)?, false)?
            .tanh()?;
        candle_nn::loss::mse(&self.output.forward(&hidden)?, y)?.to_scalar()
    }
}

/// Points of the unit square and sin(3 x₁)·x₂ there.
fn batch() -> candle_core::Result<(Tensor, Tensor)> {
    let x = Tensor::rand(-1f32, 1.0, (BATCH, 2), &Device::Cpu)?;
    let (first, second) = (x.narrow(1, 0, 1)?, x.narrow(1, 1, 1)?);
    let y = ((first * 3.0)?.sin()? * second)?;
    Ok((x, y))
}

/// Which hidden units a dropout layer keeps, scaled so that their mean stays.
fn dropout_mask() -> candle_core::Result<Tensor> {
    let kept = Tensor::rand(0f32, 1.0, (BATCH, HIDDEN), &Device::Cpu)?.lt(KEPT)?;
    kept.to_dtype(DType::F32)? * KEPT.recip()
}

/// Candle's loop, with a method of this crate in the place of `candle_nn::AdamW`.
fn before(test: &(Tensor, Tensor)) -> Result<f32, Box<dyn std::error::Error>> {
    let map = VarMap::new();
    let model = Model::new(&VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu))?;
    let adam = AdamConfig {
        learning_rate: 0.01,
        ..AdamConfig::default()
    };
    let mut optimizer = BackwardStep::from(adam.build(&Parameters::from_var_map(&map)?)?);
    for _ in 0..200 {
        let loss = model.loss(&batch()?, &dropout_mask()?)?;
        candle_nn::Optimizer::backward_step(&mut optimizer, &loss)?;
    }
    Ok(model.test_loss(test)?)
}

/// The port. L-BFGS evaluates a batch several times in one step, so the step is given a function
/// of the parameters alone instead of one loss.
fn after(test: &(Tensor, Tensor)) -> Result<f32, Box<dyn std::error::Error>> {
    let map = VarMap::new();
    let model = Model::new(&VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu))?;
    let parameters = Parameters::from_var_map(&map)?;
    let mut optimizer = FusePvConfig {
        criterion: Criterion::Step(150),
        adam: AdamConfig {
            learning_rate: 0.01,
            ..AdamConfig::default()
        },
        ..FusePvConfig::default()
    }
    .build(&parameters)?;
    let mut meter = Meter::with_budget(600);
    while meter.remaining() > 0 {
        // Drawn once for the whole step, outside the closure.
        let (batch, mask) = (batch()?, dropout_mask()?);
        let mut objective = Loss::new(&parameters, || model.loss(&batch, &mask))
            .with_buffers(running_statistics(&map));
        optimizer.step(&mut Oracle::new(&mut objective, &mut meter))?;
    }
    Ok(model.test_loss(test)?)
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let test = batch()?;
    let constant = test.1.sqr()?.mean_all()?.to_scalar::<f32>()?;
    println!("test loss of a model that answers 0: {constant:.4}");
    for (name, loss) in [
        ("candle_nn's loop", before(&test)?),
        ("FUSE-PV", after(&test)?),
    ] {
        println!("with {name}: {loss:.4}");
        assert!(loss < 0.5 * constant);
    }
    Ok(())
}
