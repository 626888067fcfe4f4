//! The image classifiers against PyTorch and torchvision: logits, losses, gradients and running
//! statistics, with the names and shapes of all tensors. `golden/vision.py` writes the values.

use crate::common::golden::{DOUBLE, SINGLE, assert_agrees, classification};
use models::vision::{DenseNetConfig, LeNetConfig, ResNetConfig};

fn lenet(size: usize, in_channels: usize) -> LeNetConfig {
    LeNetConfig {
        size,
        in_channels,
        ..LeNetConfig::default()
    }
}

fn densenet(depth: usize, bottleneck: bool) -> DenseNetConfig {
    DenseNetConfig {
        depth,
        growth: 4,
        bottleneck,
        ..DenseNetConfig::default()
    }
}

/// Compares one network in the given precisions.
macro_rules! golden {
    ($test:ident, $case:literal, $config:expr) => {
        golden!($test, $case, $config, [DOUBLE, SINGLE]);
    };
    ($test:ident, $case:literal, $config:expr, $precisions:expr) => {
        #[test]
        fn $test() {
            for precision in $precisions {
                assert_agrees(
                    include_str!("golden/vision.json"),
                    $case,
                    precision,
                    |scope| Box::new($config.build(scope).unwrap()),
                    |shape| classification(3, shape),
                );
            }
        }
    };
}

golden!(
    narrow_resnet_8,
    "resnet-8-narrow",
    ResNetConfig::cifar(8).width(4).in_channels(1)
);
golden!(resnet_20, "resnet-20", ResNetConfig::cifar(20));
golden!(
    narrow_resnet_of_fuse,
    "resnet-fuse-narrow",
    ResNetConfig::fuse().width(2),
    [DOUBLE]
);
// Among the millions of units of these, one is so near zero that rounding to single precision puts
// it on the other side of ReLU, which changes gradients by up to a hundredth (PyTorch's own single
// and double precision differ by as much on ResNet-50).
golden!(
    resnet_18_of_torchvision,
    "resnet-18",
    ResNetConfig::imagenet(18),
    [DOUBLE]
);
golden!(
    resnet_50_of_torchvision,
    "resnet-50",
    ResNetConfig::imagenet(50),
    [DOUBLE]
);
golden!(densenet_10, "densenet-10", densenet(10, false));
golden!(
    densenet_13_with_bottlenecks,
    "densenet-13-bottleneck",
    densenet(13, true)
);
golden!(lenet_16, "lenet-16", lenet(16, 1));
golden!(lenet_28, "lenet-28", lenet(28, 1));
golden!(lenet_32, "lenet-32", lenet(32, 3));
