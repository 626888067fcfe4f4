//! A model of very many small tensors is optimized as the same numbers in one vector are.

use crate::common::device;
use candle_core::{Device, Tensor, Var};
use optim::{
    AdamConfig, Gradient, LbfgsConfig, Meter, Objective, Optimizer, Oracle, Parameters, Result,
};

const TENSORS: usize = 10_000;

type Build = fn(&Parameters) -> Box<dyn Optimizer>;

/// ½ Σ λᵢxᵢ² of all elements in order, λ between 1 and 100.
struct Quadratic(Parameters);

impl Objective for Quadratic {
    fn loss(&mut self) -> Result<f64> {
        Ok(self.loss_and_gradient()?.0)
    }

    fn loss_and_gradient(&mut self) -> Result<(f64, Gradient)> {
        let (mut loss, mut i) = (0.0, 0);
        let gradients = self.0.vars().iter().map(|var| {
            let mut gradient = var.to_device(&Device::Cpu)?.to_vec1::<f32>()?;
            for x in &mut gradient {
                let eigenvalue = 100f32.powf((i as f32 * 0.618_034).fract());
                loss += 0.5 * f64::from(eigenvalue * *x * *x);
                *x *= eigenvalue;
                i += 1;
            }
            Ok(Tensor::new(gradient, &device())?)
        });
        let gradients = gradients.collect::<Result<Vec<_>>>()?;
        Ok((loss, Gradient::new(&self.0, gradients)?))
    }
}

/// The bits of all elements after three steps from the same start, cut into tensors of `lengths`.
fn end(lengths: &[usize], build: Build) -> Vec<u32> {
    let mut values = (0..).map(|i| (i as f32 * 0.7).sin());
    let vars = lengths.iter().enumerate().map(|(i, &length)| {
        let values: Vec<f32> = values.by_ref().take(length).collect();
        (format!("p{i:05}"), Var::new(values, &device()).unwrap())
    });
    let parameters = Parameters::new(vars).unwrap();
    let mut optimizer = build(&parameters);
    let mut objective = Quadratic(parameters.clone());
    let mut meter = Meter::new();
    for _ in 0..3 {
        let mut oracle = Oracle::new(&mut objective, &mut meter);
        optimizer.step(&mut oracle).unwrap();
    }
    let vars = parameters.vars().iter();
    vars.flat_map(|var| var.to_vec1::<f32>().unwrap())
        .map(f32::to_bits)
        .collect()
}

#[test]
fn ten_thousand_tensors_move_as_one_vector_does() {
    let lengths: Vec<usize> = (0..TENSORS).map(|i| 1 + i % 7).collect();
    let one_vector = [lengths.iter().sum()];
    let adam: Build = |parameters| Box::new(AdamConfig::adamw().build(parameters).unwrap());
    let lbfgs: Build = |parameters| {
        let config = LbfgsConfig {
            max_iter: 5,
            ..LbfgsConfig::default()
        };
        Box::new(config.build(parameters).unwrap())
    };
    for build in [adam, lbfgs] {
        assert!(end(&lengths, build) == end(&one_vector, build));
    }
}
