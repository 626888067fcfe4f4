//! Compares Adam, L-BFGS and FUSE-PV on the 20-dimensional Rosenbrock function, in evaluations.
//!
//! `cargo run -p optim --example rosenbrock`

use candle_core::{Device, Tensor, Var};
use optim::{
    AdamConfig, Criterion, FusePvConfig, LbfgsConfig, Loss, Meter, Optimizer, Oracle, Parameters,
    Result,
};

/// Σ 100(xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)².
fn rosenbrock(x: &Tensor) -> candle_core::Result<Tensor> {
    let last = x.dim(0)? - 1;
    let (head, tail) = (x.narrow(0, 0, last)?, x.narrow(0, 1, last)?);
    let valley = (tail - head.sqr()?)?.sqr()?;
    let slope = (1.0 - &head)?.sqr()?;
    ((valley * 100.0)? + slope)?.sum_all()
}

fn main() -> Result<()> {
    let adam = AdamConfig {
        learning_rate: 0.01,
        ..AdamConfig::default()
    };
    let fuse = FusePvConfig {
        criterion: Criterion::Step(100),
        adam: adam.clone(),
        ..FusePvConfig::default()
    };
    type Build = Box<dyn FnOnce(&Parameters) -> Result<Box<dyn Optimizer>>>;
    let methods: [(&str, Build); 3] = [
        ("Adam", Box::new(|p| Ok(Box::new(adam.build(p)?)))),
        (
            "L-BFGS",
            Box::new(|p| Ok(Box::new(LbfgsConfig::default().build(p)?))),
        ),
        ("FUSE-PV", Box::new(|p| Ok(Box::new(fuse.build(p)?)))),
    ];
    println!("{:<10} {:>12} {:>12}", "method", "evaluations", "loss");
    for (name, build) in methods {
        let start: Vec<f64> = (0..20)
            .map(|i| if i % 2 == 0 { -1.2 } else { 1.0 })
            .collect();
        let x = Var::new(start.as_slice(), &Device::Cpu)?;
        let parameters = Parameters::new([("x", x.clone())])?;
        let mut objective = Loss::new(&parameters, || rosenbrock(&x));
        let mut optimizer = build(&parameters)?;
        let mut meter = Meter::with_budget(1000);
        let mut loss = f64::INFINITY;
        while meter.remaining() > 0 && loss > 1e-8 {
            let step = optimizer.step(&mut Oracle::new(&mut objective, &mut meter))?;
            loss = step.final_loss.unwrap_or(step.loss);
        }
        println!(
            "{name:<10} {:>12} {loss:>12.3e}",
            meter.counts().evaluations()
        );
    }
    Ok(())
}
