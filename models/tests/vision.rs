//! The image classifiers: parameter counts from the literature, and gradients end to end.

#![allow(clippy::unwrap_used)]

mod common;

use candle_core::{DType, Device};
use models::vision::ResNetConfig;
use models::{Model, Pass, Scope};

use common::{assert_gradients, uniform, weighted_sum};

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
}

#[test]
fn impossible_resnets_are_refused() {
    for config in [
        ResNetConfig::cifar(21),
        ResNetConfig::cifar(2),
        ResNetConfig::imagenet(20),
        ResNetConfig::cifar(20).width(0),
        ResNetConfig::cifar(20).classes(0),
        ResNetConfig::cifar(20).in_channels(0),
    ] {
        assert!(config.build(&scope(DType::F32)).is_err(), "{config:?}");
    }
}
