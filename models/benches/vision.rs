//! Milliseconds per layer and per training step of the image classifiers.
//!
//! Run with `cargo bench -p models --bench vision --profile dev [-- FILTER]`; `benches/torch_compare.py` times
//! the same rows in PyTorch.

use candle_core::{DType, Device, Var};
use models::layer::{Conv2dConfig, ConvNorm};
use models::vision::{DenseNetConfig, LeNetConfig, ResNetConfig};
use models::{Model, Pass, Scope};

mod timing;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rows = timing::Rows::start();
    let scope = || Scope::new(0, DType::F32, &Device::Cpu);
    for (inputs, outputs, size, stride) in [
        (3, 16, 32, 1),
        (16, 16, 32, 1),
        (16, 32, 32, 2),
        (32, 32, 16, 1),
        (32, 64, 16, 2),
        (64, 64, 8, 1),
    ] {
        let config = Conv2dConfig {
            stride,
            padding: 1,
            bias: false,
            ..Conv2dConfig::new(inputs, outputs, 3)
        };
        let input = Var::from_tensor(&timing::values(&[128, inputs, size, size])?)?;
        let suffix = format!("{inputs}->{outputs} {size}x{size} /{stride}");
        let conv = config.build(&scope())?;
        rows.layer(&format!("conv {suffix}"), || conv.forward(&input))?;
        let fused = ConvNorm::build(config, &scope().child("conv1"), &scope().child("bn1"))?;
        let train = Pass::Train { seed: 0 };
        rows.layer(&format!("conv-norm-relu {suffix}"), || {
            fused.forward_relu(&input, train)
        })?;
    }
    let resnet = ResNetConfig::cifar(20).build(&scope())?;
    let densenet = DenseNetConfig::default().build(&scope())?;
    let lenet = LeNetConfig {
        size: 28,
        ..LeNetConfig::default()
    };
    let lenet = lenet.build(&scope())?;
    let resnet18 = ResNetConfig::imagenet(18).build(&scope())?;
    let steps: [(&str, [usize; 4], &dyn Model); 4] = [
        ("resnet-20 3x32x32 b128", [128, 3, 32, 32], &resnet),
        ("resnet-18 3x64x64 b32", [32, 3, 64, 64], &resnet18),
        ("densenet-10 3x32x32 b128", [128, 3, 32, 32], &densenet),
        ("lenet 1x28x28 b512", [512, 1, 28, 28], &lenet),
    ];
    for (name, shape, model) in steps {
        let labels = timing::integers(&shape[..1], 10)?;
        rows.step(name, model, &timing::values(&shape)?, &labels)?;
    }
    Ok(())
}
