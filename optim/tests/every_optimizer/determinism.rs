//! Every optimizer makes the same bits on any number of threads, and with vector instructions of
//! any width.

use std::process::Command;

use candle_core::{DType, Device, Tensor, Var};
use optim::{
    AdamConfig, Clip, Clipped, Criterion, FuseConfig, FusePvConfig, LbfgsConfig, LineSearch,
    LionConfig, Loss, Meter, MomentumLbfgsConfig, NadamwConfig, Noise, Optimizer, Oracle,
    Parameters, ProdigyConfig, ScheduleFreeAdamwConfig, SgdConfig, SlsConfig, SwatsConfig,
};

type Build = fn(&Parameters) -> Box<dyn Optimizer>;

fn lbfgs() -> LbfgsConfig {
    LbfgsConfig {
        max_iter: 3,
        ..LbfgsConfig::default()
    }
}

const OPTIMIZERS: &[(&str, Build)] = &[
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
    ("Lion", |parameters| {
        Box::new(LionConfig::default().build(parameters).unwrap())
    }),
    ("NadamW", |parameters| {
        Box::new(NadamwConfig::default().build(parameters).unwrap())
    }),
    ("Schedule-Free AdamW", |parameters| {
        let config = ScheduleFreeAdamwConfig::default();
        Box::new(config.build(parameters).unwrap())
    }),
    ("Prodigy", |parameters| {
        Box::new(ProdigyConfig::default().build(parameters).unwrap())
    }),
    ("SWATS", |parameters| {
        let config = SwatsConfig {
            relative_tolerance: 1.0,
            ..SwatsConfig::default()
        };
        Box::new(config.build(parameters).unwrap())
    }),
    ("SLS", |parameters| {
        Box::new(SlsConfig::default().build(parameters).unwrap())
    }),
    ("L-BFGS", |parameters| {
        Box::new(lbfgs().build(parameters).unwrap())
    }),
    ("L-BFGS, noise-tolerant", |parameters| {
        let config = LbfgsConfig {
            line_search: LineSearch::NoiseTolerant,
            noise: Noise {
                loss: 1e-3,
                gradient: 1.0,
                ..Noise::default()
            },
            ..lbfgs()
        };
        Box::new(config.build(parameters).unwrap())
    }),
    ("L-BFGS of running means", |parameters| {
        let config = MomentumLbfgsConfig {
            learning_rate: 1e-3,
            weight_decay: 0.01,
            parameter_decay: 0.5,
            gradient_decay: 0.5,
            pair_every: 1,
            ..MomentumLbfgsConfig::default()
        };
        Box::new(config.build(parameters).unwrap())
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
fn run(dtype: DType, build: Build) -> Vec<u64> {
    let lengths = [40_000, 3, 16_384, 70_001, 1];
    let vars = lengths.iter().enumerate().map(|(i, &length)| {
        let values: Vec<f64> = (0..length).map(|k| ((k * 7 + i) as f64).sin()).collect();
        let values = Tensor::new(values, &Device::Cpu).unwrap();
        let values = values.to_dtype(dtype).unwrap();
        (format!("p{i}"), Var::from_tensor(&values).unwrap())
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
    let mut bits: Vec<u64> = norms.collect();
    for var in set.vars() {
        let values = var.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
        bits.extend(values.into_iter().map(f64::to_bits));
    }
    bits
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    for &(name, build) in OPTIMIZERS {
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| run(DType::F32, build))
        };
        let one = with(1);
        for threads in [2, 3, 7] {
            assert!(with(threads) == one, "{name}, {threads} threads");
        }
    }
}

/// The test runs itself once more, in a process that is told to use no vector instructions.
#[test]
fn bits_do_not_depend_on_vector_instructions() {
    const PORTABLE: &str = "OPTIM_PORTABLE_KERNELS";
    let mut lines = Vec::new();
    for &(name, build) in OPTIMIZERS {
        for dtype in [DType::F32, DType::F64, DType::BF16, DType::F16] {
            // FNV-1a, a hash that is the same in both processes.
            let hash = run(dtype, build)
                .iter()
                .fold(0xcbf2_9ce4_8422_2325, |hash: u64, bits| {
                    (hash ^ bits).wrapping_mul(0x0100_0000_01b3)
                });
            lines.push(format!("{name} {dtype:?} {hash:016x}"));
        }
    }
    if std::env::var_os(PORTABLE).is_some() {
        println!("\n{}", lines.join("\n"));
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "every_optimizer::determinism::bits_do_not_depend_on_vector_instructions",
            "--nocapture",
        ])
        .env(PORTABLE, "1")
        .output()
        .unwrap();
    let portable = String::from_utf8(output.stdout).unwrap();
    for line in lines {
        assert!(
            portable.lines().any(|portable| portable == line),
            "{line} not in {portable}"
        );
    }
}
