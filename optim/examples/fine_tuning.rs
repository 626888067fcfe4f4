//! Trains a small network on one task, then fine-tunes it on a related one with Adam, with L-BFGS
//! and with a switch from Adam to L-BFGS, each from the same pre-trained weights.
//!
//! `cargo run -p optim --example fine_tuning`

use candle_core::{DType, Device, Result as CandleResult, Tensor, Var};
use optim::{
    AdamConfig, Criterion, FusePvConfig, Handover, LbfgsConfig, Loss, Meter, Optimizer, Oracle,
    Parameters, Result,
};

const HIDDEN: usize = 24;
const BUDGET: u64 = 400;

type Build = fn(&Parameters) -> Result<Box<dyn Optimizer>>;

const METHODS: [(&str, Build); 3] = [
    ("Adam", |p| Ok(Box::new(adam(0.003).build(p)?))),
    ("L-BFGS", |p| Ok(Box::new(LbfgsConfig::default().build(p)?))),
    ("Adam, L-BFGS once level", |p| {
        let config = FusePvConfig {
            criterion: Criterion::LossDecrease {
                window: 10,
                min_relative_decrease: 0.1,
            },
            handover: Handover::WarmPairs,
            adam: adam(0.003),
            ..FusePvConfig::default()
        };
        Ok(Box::new(config.build(p)?))
    }),
];

fn adam(learning_rate: f64) -> AdamConfig {
    AdamConfig {
        learning_rate,
        ..AdamConfig::default()
    }
}

/// A perceptron with two hidden layers: parameters in the order of their names.
struct Network(Parameters);

impl Network {
    /// Weights from a fixed sequence, scaled to the number of inputs.
    fn new() -> Result<Self> {
        let shapes = [("1", 1, HIDDEN), ("2", HIDDEN, HIDDEN), ("3", HIDDEN, 1)];
        let mut named = Vec::new();
        for (k, (name, inputs, outputs)) in shapes.into_iter().enumerate() {
            let weights: Vec<f64> = (0..inputs * outputs)
                .map(|i| {
                    let uniform = ((i + 1) as f64 * 0.618_034 + k as f64 * 0.3).fract();
                    (2.0 * uniform - 1.0) * (3.0 / inputs as f64).sqrt()
                })
                .collect();
            let weights = Tensor::from_vec(weights, (inputs, outputs), &Device::Cpu)?;
            named.push((format!("{name}.weight"), Var::from_tensor(&weights)?));
            let bias = Var::zeros((1, outputs), DType::F64, &Device::Cpu)?;
            named.push((format!("{name}.bias"), bias));
        }
        Ok(Self(Parameters::new(named)?))
    }

    fn forward(&self, x: &Tensor) -> CandleResult<Tensor> {
        let mut x = x.clone();
        for (i, layer) in self.0.vars().chunks(2).enumerate() {
            let (bias, weight) = (&layer[0], &layer[1]);
            x = x.matmul(weight)?.broadcast_add(bias)?;
            if i < 2 {
                x = x.tanh()?;
            }
        }
        Ok(x)
    }
}

/// 128 points of `f` on [-3, 3].
fn samples(f: impl Fn(f64) -> f64) -> CandleResult<(Tensor, Tensor)> {
    let x: Vec<f64> = (0..128)
        .map(|i| -3.0 + 6.0 * f64::from(i) / 127.0)
        .collect();
    let y: Vec<f64> = x.iter().map(|x| f(*x)).collect();
    Ok((
        Tensor::from_vec(x, (128, 1), &Device::Cpu)?,
        Tensor::from_vec(y, (128, 1), &Device::Cpu)?,
    ))
}

/// Spends `budget` evaluations on the mean squared error; returns the last loss.
fn train(
    network: &Network,
    (x, y): &(Tensor, Tensor),
    optimizer: &mut dyn Optimizer,
    budget: u64,
) -> Result<f64> {
    let mut objective = Loss::new(&network.0, || (network.forward(x)? - y)?.sqr()?.mean_all());
    let mut meter = Meter::with_budget(budget);
    let mut loss = f64::NAN;
    while meter.remaining() > 0 {
        let step = optimizer.step(&mut Oracle::new(&mut objective, &mut meter))?;
        loss = step.final_loss.unwrap_or(step.loss);
    }
    Ok(loss)
}

pub(crate) fn main() -> Result<()> {
    let first_task = samples(f64::sin)?;
    let second_task = samples(|x| 0.8 * (1.3 * x + 0.4).sin() + 0.1 * x)?;
    let network = Network::new()?;
    let initial = network.0.snapshot()?;

    let mut pre_training = adam(0.01).build(&network.0)?;
    let loss = train(&network, &first_task, &mut pre_training, 1000)?;
    println!("pre-trained with Adam, 1000 evaluations: loss {loss:.2e}");
    let pre_trained = network.0.snapshot()?;

    println!("loss on the second task after {BUDGET} evaluations");
    println!(
        "{:<28} {:>12} {:>12}",
        "method", "pre-trained", "from scratch"
    );
    for (name, build) in METHODS {
        let [tuned, scratch] = [&pre_trained, &initial].map(|start| {
            network.0.restore(start)?;
            train(&network, &second_task, &mut *build(&network.0)?, BUDGET)
        });
        println!("{name:<28} {:>12.2e} {:>12.2e}", tuned?, scratch?);
    }
    Ok(())
}
