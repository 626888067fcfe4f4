//! Every optimizer makes the same bits on any number of threads.
#![allow(clippy::unwrap_used)]

use candle_core::{Device, Tensor, Var};
use optim::{
    AdamConfig, Clip, Clipped, Criterion, FuseConfig, FusePvConfig, LbfgsConfig, Loss, Meter,
    Optimizer, Oracle, Parameters, SgdConfig,
};

type Build = fn(&Parameters) -> Box<dyn Optimizer>;

fn lbfgs() -> LbfgsConfig {
    LbfgsConfig {
        max_iter: 3,
        ..LbfgsConfig::default()
    }
}

const OPTIMIZERS: [(&str, Build); 5] = [
    ("SGD", |parameters| {
        let config = SgdConfig {
            momentum: 0.9,
            ..SgdConfig::default()
        };
        Box::new(config.build(parameters).unwrap())
    }),
    ("AdamW", |parameters| {
        Box::new(AdamConfig::adamw().build(parameters).unwrap())
    }),
    ("L-BFGS", |parameters| {
        Box::new(lbfgs().build(parameters).unwrap())
    }),
    ("FUSE", |parameters| {
        let config = FuseConfig {
            lbfgs: lbfgs(),
            ..FuseConfig::default()
        };
        Box::new(config.build(parameters).unwrap())
    }),
    ("FUSE-PV", |parameters| {
        let config = FusePvConfig {
            criterion: Criterion::Step(1),
            lbfgs: lbfgs(),
            ..FusePvConfig::default()
        };
        Box::new(config.build(parameters).unwrap())
    }),
];

/// The bits of parameters and gradient norms after three steps on Σ x⁴, with tensors long enough
/// that chunks are shared out among threads, and that end within a chunk.
fn run(threads: usize, build: Build) -> (Vec<u32>, Vec<u64>) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().unwrap().install(|| {
        let lengths = [40_000, 3, 16_384, 70_001, 1];
        let vars = lengths.iter().enumerate().map(|(i, &length)| {
            let values: Vec<f32> = (0..length).map(|k| ((k * 7 + i) as f32).sin()).collect();
            (format!("p{i}"), Var::new(values, &Device::Cpu).unwrap())
        });
        let set = Parameters::new(vars).unwrap();
        let mut optimizer = build(&set);
        let mut objective = Loss::new(&set, || {
            let terms = set.vars().iter().map(|var| var.sqr()?.sqr()?.sum_all());
            let terms = terms.collect::<candle_core::Result<Vec<_>>>()?;
            Tensor::stack(&terms, 0)?.sum_all()
        });
        let mut objective = Clipped::new(&mut objective, Clip::Norm(100.0)).unwrap();
        let mut meter = Meter::new();
        let norms = (0..3).map(|_| {
            let step = optimizer.step(&mut Oracle::new(&mut objective, &mut meter));
            step.unwrap().gradient_norm.to_bits()
        });
        let norms = norms.collect();
        let elements = set.vars().iter();
        let elements = elements.flat_map(|var| var.to_vec1::<f32>().unwrap());
        (elements.map(f32::to_bits).collect(), norms)
    })
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    for (name, build) in OPTIMIZERS {
        let one = run(1, build);
        for threads in [2, 3, 7] {
            assert!(run(threads, build) == one, "{name}, {threads} threads");
        }
    }
}
