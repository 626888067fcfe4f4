//! The gradients of the image layers against finite differences, over random shapes and settings.

use candle_core::{DType, Device};
use models::layer::{BatchNorm2dConfig, Conv2dConfig, ConvNorm, GroupNormConfig, Pool2d};
use models::{Pass, Scope, Tensors};
use proptest::prelude::*;

use crate::common::{assert_gradients, uniform, variable, weighted_sum};

const TRAIN: Pass = Pass::Train { seed: 0 };

fn scope() -> Scope {
    Scope::new(3, DType::F64, &Device::Cpu)
}

/// Gives the parameters values off their initial ones: a bias of 0 puts values at the kink of ReLU.
fn move_parameters(tensors: &Tensors) {
    for (i, (_, var)) in tensors.parameters.iter().enumerate() {
        var.set(&uniform(20 + i as u64, var.dims())).unwrap();
    }
}

prop_compose! {
    /// A convolution, the batch size and the image's sides.
    fn convolution()(
        groups in 1usize..4,
        inputs in 1usize..4,
        outputs in 1usize..12,
        kernel in 1usize..5,
        stride in 1usize..4,
        padding in 0usize..4,
        dilation in 1usize..4,
        bias in any::<bool>(),
        batch in 1usize..6,
        extra in (0usize..9, 0usize..20),
    ) -> (Conv2dConfig, [usize; 4]) {
        let span = (dilation * (kernel - 1) + 1).saturating_sub(2 * padding).max(1);
        let config = Conv2dConfig {
            stride,
            padding,
            dilation,
            groups,
            bias,
            ..Conv2dConfig::new(groups * inputs, groups * outputs, kernel)
        };
        (config, [batch, groups * inputs, span + extra.0, span + extra.1])
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn convolution_gradients((config, shape) in convolution()) {
        let scope = scope();
        let conv = config.build(&scope).unwrap();
        let input = variable(1, &shape);
        let tensors = scope.into_tensors();
        let named = tensors.parameters.iter().map(|(name, var)| (name.as_str(), var));
        assert_gradients(named.chain([("input", &input)]), || {
            weighted_sum(&conv.forward(&input)?)
        });
    }

    #[test]
    fn batch_norm_gradients(
        shape in (1usize..5, 1usize..6, 1usize..6, 2usize..6),
        train in any::<bool>(),
    ) {
        let scope = scope();
        let norm = BatchNorm2dConfig::new(shape.1).build(&scope).unwrap();
        let shape = [shape.0, shape.1, shape.2, shape.3];
        let input = variable(1, &shape);
        let tensors = scope.into_tensors();
        move_parameters(&tensors);
        let pass = if train { TRAIN } else { Pass::Eval };
        let named = tensors.parameters.iter().map(|(name, var)| (name.as_str(), var));
        assert_gradients(named.chain([("input", &input)]), || {
            weighted_sum(&norm.forward(&input, pass)?)
        });
    }

    #[test]
    fn group_norm_gradients(
        groups in 1usize..4,
        size in 1usize..4,
        shape in (1usize..4, 1usize..6, 2usize..6),
    ) {
        let scope = scope();
        let channels = groups * size;
        let norm = GroupNormConfig::new(groups, channels).build(&scope).unwrap();
        let input = variable(1, &[shape.0, channels, shape.1, shape.2]);
        let tensors = scope.into_tensors();
        move_parameters(&tensors);
        let named = tensors.parameters.iter().map(|(name, var)| (name.as_str(), var));
        assert_gradients(named.chain([("input", &input)]), || {
            weighted_sum(&norm.forward(&input)?)
        });
    }

    #[test]
    fn normalised_convolution_gradients(
        (config, shape) in convolution(),
        train in any::<bool>(),
        next in 0..3,
    ) {
        let scope = scope();
        let layer = ConvNorm::build(config, &scope.child("conv1"), &scope.child("bn1")).unwrap();
        let input = variable(1, &shape);
        let output = layer.forward(&input, Pass::Eval).unwrap();
        let values = output.elem_count() / config.out_channels;
        prop_assume!(values > 2);
        let shortcut = variable(2, output.dims());
        let tensors = scope.into_tensors();
        move_parameters(&tensors);
        let pass = if train { TRAIN } else { Pass::Eval };
        let named = tensors.parameters.iter().map(|(name, var)| (name.as_str(), var));
        let mut variables: Vec<_> = named.chain([("input", &input)]).collect();
        if next == 2 {
            variables.push(("shortcut", &shortcut));
        }
        assert_gradients(variables, || {
            weighted_sum(&match next {
                0 => layer.forward(&input, pass)?,
                1 => layer.forward_relu(&input, pass)?,
                _ => layer.forward_add_relu(&input, &shortcut, pass)?,
            })
        });
    }

    #[test]
    fn pooling_gradients(
        kernel in 1usize..5,
        stride in 1usize..5,
        padding in 0usize..3,
        extra in (0usize..7, 0usize..7),
        batch in 1usize..4,
        average in any::<bool>(),
    ) {
        let padding = padding.min(kernel / 2);
        let pool = if average {
            Pool2d::average(kernel, stride, padding)
        } else {
            Pool2d::max(kernel, stride, padding)
        };
        let pool = pool.unwrap();
        let input = variable(1, &[batch, 2, kernel + extra.0, kernel + extra.1]);
        assert_gradients([("input", &input)], || weighted_sum(&pool.forward(&input)?));
    }

    #[test]
    fn adaptive_pooling_gradients(
        outputs in 1usize..5,
        sides in (1usize..9, 1usize..9),
        average in any::<bool>(),
    ) {
        let pool = if average {
            Pool2d::adaptive_average(outputs)
        } else {
            Pool2d::adaptive_max(outputs)
        };
        let pool = pool.unwrap();
        let input = variable(1, &[2, 2, sides.0, sides.1]);
        assert_gradients([("input", &input)], || weighted_sum(&pool.forward(&input)?));
    }
}
