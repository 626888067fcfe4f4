//! The image classifiers: parameter counts from the literature, and gradients end to end.

use candle_core::{DType, Device};
use models::vision::{DenseNetConfig, LeNetConfig, ResNetConfig};
use models::{Model, Pass, Scope};

use crate::common::{assert_gradients, uniform, weighted_sum};

fn scope(dtype: DType) -> Scope {
    Scope::new(5, dtype, &Device::Cpu)
}

fn assert_model_gradients(model: &dyn Model, shape: &[usize]) {
    let input = uniform(1, shape);
    let named = &model.tensors().parameters;
    assert_gradients(named.iter().map(|(name, var)| (name.as_str(), var)), || {
        weighted_sum(&model.forward(&input, Pass::Train { seed: 0 })?)
    });
}

#[test]
fn resnets_have_the_published_parameter_counts() {
    let count = |config: ResNetConfig| {
        let model = config.build(&scope(DType::F32)).unwrap();
        model.tensors().parameter_count()
    };
    assert_eq!(count(ResNetConfig::cifar(20)), 269_722);
    assert_eq!(count(ResNetConfig::cifar(32)), 464_154);
    assert_eq!(count(ResNetConfig::cifar(44)), 658_586);
    assert_eq!(count(ResNetConfig::cifar(56)), 853_018);
    assert_eq!(count(ResNetConfig::fuse()), 3_094_106);
    assert_eq!(count(ResNetConfig::imagenet(18)), 11_689_512);
    assert_eq!(count(ResNetConfig::imagenet(34)), 21_797_672);
    assert_eq!(count(ResNetConfig::imagenet(50)), 25_557_032);
}

#[test]
fn resnet_gradients() {
    let config = ResNetConfig::cifar(8).width(4).in_channels(1);
    let model = config.build(&scope(DType::F64)).unwrap();
    assert_model_gradients(&model, &[3, 1, 8, 8]);
    let config = ResNetConfig::imagenet(18).width(2).classes(3);
    let model = config.build(&scope(DType::F64)).unwrap();
    assert_model_gradients(&model, &[2, 3, 35, 33]);
    let model = ResNetConfig::fuse().width(2).build(&scope(DType::F64));
    assert_model_gradients(&model.unwrap(), &[4, 3, 16, 16]);
}

#[test]
fn impossible_resnets_are_refused() {
    for config in [
        ResNetConfig::cifar(21),
        ResNetConfig::cifar(2),
        ResNetConfig::imagenet(20),
        ResNetConfig {
            depth: 18,
            ..ResNetConfig::fuse()
        },
        ResNetConfig::cifar(20).width(0),
        ResNetConfig::cifar(20).classes(0),
        ResNetConfig::cifar(20).in_channels(0),
    ] {
        assert!(config.build(&scope(DType::F32)).is_err(), "{config:?}");
    }
}

fn densenet(depth: usize) -> DenseNetConfig {
    DenseNetConfig {
        depth,
        ..DenseNetConfig::default()
    }
}

#[test]
fn densenets_have_the_authors_parameter_counts() {
    for (depth, expected) in [(5, 4_682), (7, 54_842), (10, 159_370)] {
        let model = densenet(depth).build(&scope(DType::F32)).unwrap();
        assert_eq!(model.tensors().parameter_count(), expected, "depth {depth}");
    }
}

#[test]
fn densenet_gradients() {
    for bottleneck in [false, true] {
        let config = DenseNetConfig {
            growth: 3,
            bottleneck,
            classes: 4,
            ..densenet(10)
        };
        let model = config.build(&scope(DType::F64)).unwrap();
        assert_model_gradients(&model, &[3, 3, 11, 8]);
    }
}

#[test]
fn impossible_densenets_are_refused() {
    let reduced = |reduction| DenseNetConfig {
        reduction,
        ..densenet(7)
    };
    for config in [densenet(3), reduced(0.0), reduced(1.5), reduced(0.001)] {
        assert!(config.build(&scope(DType::F32)).is_err(), "{config:?}");
    }
}

#[test]
fn lenet_gradients() {
    let config = LeNetConfig {
        size: 17,
        in_channels: 2,
        classes: 3,
    };
    let model = config.build(&scope(DType::F64)).unwrap();
    assert_model_gradients(&model, &[3, 2, 17, 17]);
}

#[test]
fn lenet_needs_a_pixel_in_the_end() {
    let config = LeNetConfig {
        size: 15,
        ..LeNetConfig::default()
    };
    let message = config.build(&scope(DType::F32)).unwrap_err().to_string();
    assert_eq!(message, "size = 15 is not valid: expected at least 16");
}
