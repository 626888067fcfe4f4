//! What training loops add to an optimizer: gradients accumulated over micro-batches, clipping, a
//! learning-rate schedule and checkpoints, of which a resumed run shows no trace.
//!
//! `cargo run -p optim --example training_recipe`

use candle_core::{DType, Device, Result as CandleResult, Tensor};
use candle_nn::{Linear, Module, VarBuilder, VarMap};
use optim::state::State;
use optim::{
    Adam, AdamConfig, Clip, Clipped, Gradient, Length, Loss, Meter, Objective, Optimizer, Oracle,
    Parameters, Result, Schedule,
};

const MICRO_BATCHES: usize = 4;
const STEPS: u64 = 60;
const SCHEDULE: Schedule = Schedule::Cosine {
    steps: Length::Steps(STEPS),
    final_factor: 0.0,
};

/// The mean of a loss over micro-batches, of which only one is held in memory at a time.
struct Accumulated<'a> {
    parameters: &'a Parameters,
    model: &'a Linear,
    batches: Vec<(Tensor, Tensor)>,
}

impl Objective for Accumulated<'_> {
    fn loss(&mut self) -> Result<f64> {
        Ok(self.loss_and_gradient()?.0)
    }

    fn loss_and_gradient(&mut self) -> Result<(f64, Gradient)> {
        let share = (self.batches.len() as f64).recip();
        let mut mean = 0.0;
        let mut sum: Option<Vec<Tensor>> = None;
        for (x, y) in &self.batches {
            let loss = || candle_nn::loss::mse(&self.model.forward(x)?, y)? * share;
            let (loss, gradient) = Loss::new(self.parameters, loss).loss_and_gradient()?;
            mean += loss;
            sum = Some(match sum {
                None => gradient.tensors().to_vec(),
                Some(sum) => {
                    let pairs = sum.iter().zip(gradient.tensors());
                    pairs.map(|(a, b)| a + b).collect::<CandleResult<_>>()?
                }
            });
        }
        let gradient = Gradient::new(self.parameters, sum.unwrap_or_default())?;
        Ok((mean, gradient))
    }
}

/// The micro-batches of a step; the same ones whenever the step is made.
fn batches(step: u64) -> CandleResult<Vec<(Tensor, Tensor)>> {
    let batch = |i: usize| {
        let at = |k: usize| ((k + i * 40) as f32 * 0.7 + step as f32).sin();
        let x = Tensor::from_vec((0..40).map(at).collect::<Vec<_>>(), (20, 2), &Device::Cpu)?;
        let y = (x.sum_keepdim(1)? * 2.0)?;
        Ok((x, y))
    };
    (0..MICRO_BATCHES).map(batch).collect()
}

fn train(
    model: &Linear,
    parameters: &Parameters,
    adam: &mut Adam,
    steps: std::ops::Range<u64>,
) -> Result<f64> {
    let mut meter = Meter::new();
    let mut last = f64::NAN;
    for step in steps {
        let objective = Accumulated {
            parameters,
            model,
            batches: batches(step)?,
        };
        let mut objective = Clipped::new(objective, Clip::Norm(1.0))?;
        last = adam
            .step(&mut Oracle::new(&mut objective, &mut meter))?
            .loss;
    }
    Ok(last)
}

pub(crate) fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let map = VarMap::new();
    let vb = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
    let model = candle_nn::linear(2, 1, vb)?;
    let parameters = Parameters::from_var_map(&map)?;
    let config = AdamConfig {
        learning_rate: 0.1,
        schedule: SCHEDULE,
        ..AdamConfig::default()
    };

    let mut adam = config.clone().build(&parameters)?;
    train(&model, &parameters, &mut adam, 0..STEPS / 2)?;
    let folder = std::env::temp_dir().join(format!("training-recipe-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("half-way.safetensors");
    let mut state = adam.state()?;
    state.insert_parameters(&parameters)?;
    state.save(&file)?;
    let uninterrupted = train(&model, &parameters, &mut adam, STEPS / 2..STEPS)?;

    let state = State::load(&file)?;
    state.restore_parameters(&parameters)?;
    let mut adam = config.build(&parameters)?;
    adam.restore(&state)?;
    let resumed = train(&model, &parameters, &mut adam, STEPS / 2..STEPS)?;
    std::fs::remove_dir_all(folder)?;

    println!("last loss {uninterrupted:.3e}, after a restart half-way {resumed:.3e}");
    assert_eq!(uninterrupted.to_bits(), resumed.to_bits());
    Ok(())
}
