//! Every kernel gives the same on portable code, AVX2 and AVX-512, as far as this CPU has them.

#![allow(clippy::unwrap_used)]

use candle_core::Shape;

use super::float::Float;
use super::vector::InstructionSet;
use super::*;
use crate::options::{Activation, Reduction, WeightLayout, Window};

/// Values that all differ and repeat nowhere.
fn values<T: Float>(count: usize, phase: f64) -> Vec<T> {
    let value = |i: usize| T::from_f64((i as f64 * 0.7 + phase).sin());
    (0..count).map(value).collect()
}

/// The output of a function and its gradients, for inputs of the given sizes.
fn evaluate<const N: usize, T: Float>(build: &impl Function<N>, sizes: [usize; N]) -> Vec<Vec<T>> {
    let mut phase = 0.0;
    let inputs = sizes.map(|size| {
        phase += 1.0;
        values::<T>(size, phase)
    });
    let inputs = std::array::from_fn(|i| inputs[i].as_slice());
    let output = build.forward(inputs);
    let gradient = values(output.len(), 0.3);
    let gradients = build.backward(inputs, &output, &gradient, [true; N]);
    gradients.into_iter().flatten().chain([output]).collect()
}

/// What `work` gives where kernels are limited to `set`. As the limit is the thread's, all work is
/// on the one thread of a pool.
fn limited<R: Send>(set: InstructionSet, work: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    pool.unwrap().install(|| set.limit(work))
}

/// Asserts that a function gives the same bits with AVX2 as with AVX-512.
fn check_widths<const N: usize, F: Function<N>>(build: impl Fn() -> F + Sync, sizes: [usize; N]) {
    if InstructionSet::largest() < InstructionSet::Avx512 {
        return;
    }
    let [narrow, wide] = [InstructionSet::Avx2, InstructionSet::Avx512]
        .map(|set| limited(set, || evaluate::<N, f32>(&build(), sizes)));
    assert!(narrow == wide, "{}: bits", F::NAME);
}

/// Asserts that a function gives the same on all instruction sets, up to some times the rounding of
/// the largest element; in all bits where `roundings` is 0.
fn check<const N: usize, F: Function<N>>(
    build: impl Fn() -> F + Sync,
    sizes: [usize; N],
    roundings: f64,
) {
    fn compare<T: Float>(name: &str, evaluate: impl Fn() -> Vec<Vec<T>> + Sync, tolerance: f64) {
        let reference = limited(InstructionSet::Portable, &evaluate);
        for set in [InstructionSet::Avx2, InstructionSet::Avx512] {
            if set > InstructionSet::largest() {
                continue;
            }
            for (a, b) in reference.iter().zip(limited(set, &evaluate)) {
                assert_eq!(a.len(), b.len(), "{name}");
                let largest = a.iter().fold(0f64, |m, x| m.max(x.to_f64().abs()));
                for (a, b) in a.iter().zip(b) {
                    let (a, b) = (a.to_f64(), b.to_f64());
                    let close = (a - b).abs() <= tolerance * largest;
                    assert!(close, "{name}, {set:?}: {b}, not {a}");
                }
            }
        }
    }
    let tolerance = roundings * f64::from(f32::EPSILON);
    compare(F::NAME, || evaluate::<N, f32>(&build(), sizes), tolerance);
    let tolerance = roundings * f64::EPSILON;
    compare(F::NAME, || evaluate::<N, f64>(&build(), sizes), tolerance);
}

/// Roundings between sums whose products are rounded before they are added, and sums with fused
/// multiply-adds.
const FUSED: f64 = 64.0;

fn geometry(kernel: usize, stride: usize, padding: usize, dilation: usize) -> Geometry {
    Geometry {
        batch: 3,
        in_channels: 4,
        out_channels: 14,
        height: 11,
        width: 19,
        kernel,
        stride,
        padding,
        dilation,
        groups: 2,
    }
}

/// A geometry that tiles serve.
fn tiled(padding: usize, in_channels: usize, out_channels: usize, size: usize) -> Geometry {
    Geometry {
        batch: 3,
        in_channels,
        out_channels,
        height: size + 1,
        width: size,
        groups: 1,
        ..geometry(3, 1, padding, 1)
    }
}

fn geometries() -> [Geometry; 10] {
    [
        geometry(3, 1, 1, 1),
        geometry(3, 2, 1, 1),
        geometry(1, 2, 0, 1),
        geometry(3, 3, 2, 2),
        tiled(1, 16, 32, 19),
        tiled(0, 10, 48, 13),
        tiled(2, 17, 9, 12),
        tiled(1, 64, 64, 4),
        tiled(1, 128, 130, 4),
        tiled(0, 160, 112, 4),
    ]
}

fn windows(pixels: usize) -> Vec<Window> {
    let window = |start: usize| Window {
        start,
        end: start + 2,
        divisor: 2,
    };
    (0..pixels - 1).map(window).collect()
}

fn normalization(relu: bool) -> Normalization {
    Normalization::new(1e-5, None, relu)
}

#[test]
fn convolutions_agree_up_to_fused_rounding() {
    for g in geometries() {
        let (input, weight) = (g.batch * g.in_size(), g.weight_size());
        check::<2, _>(|| Convolve(g), [input, weight], FUSED);
        check_widths::<2, _>(|| Convolve(g), [input, weight]);
        check::<3, _>(|| Convolve(g), [input, weight, g.out_channels], FUSED);
        let (rows, columns) = (windows(g.out_height()), windows(g.out_width()));
        check(
            || ConvolvePool::new(g, rows.clone(), columns.clone()),
            [input, weight, g.out_channels],
            FUSED,
        );
    }
}

#[test]
fn normalised_convolutions_agree_up_to_fused_rounding() {
    for g in geometries() {
        let parameters = g.weight_size() + 2 * g.out_channels;
        let (input, output) = (g.batch * g.in_size(), g.batch * g.out_size());
        // Rounding may move a value across ReLU's kink; without ReLU none is there.
        let build = || ConvolveNormalize::new(g, normalization(false));
        check::<2, _>(build, [input, parameters], 10.0 * FUSED);
        check::<3, _>(build, [input, parameters, output], 10.0 * FUSED);
    }
}

#[test]
fn normalisations_agree_in_all_bits() {
    let shape = || Shape::from((3, 6, 7, 5));
    let sizes = [3 * 6 * 35, 6, 6];
    for relu in [false, true] {
        let build = || BatchNormalize {
            shape: shape(),
            plane: 35,
            normalization: normalization(relu),
        };
        check(build, sizes, 0.0);
    }
    let build = || GroupNormalize {
        shape: shape(),
        channels: 6,
        groups: 2,
        plane: 35,
        eps: 1e-5,
    };
    check(build, sizes, 0.0);
    for (rows, width) in [(5, 7), (300, 129)] {
        let build = || LayerNormalize {
            width,
            eps: 1e-5,
            shape: Shape::from((rows, width)),
        };
        check(build, [rows * width, width, width], 0.0);
    }
}

#[test]
fn element_wise_functions_agree_in_all_bits() {
    let shape = || Shape::from(40_001);
    for activation in [
        Activation::Relu,
        Activation::Gelu,
        Activation::GeluErf,
        Activation::Tanh,
    ] {
        let build = || Activate {
            activation,
            shape: shape(),
        };
        check(build, [40_001], 0.0);
    }
    let build = || DropOut {
        mask: DropoutMask {
            rate: 0.3,
            seed: 1,
            stream: 2,
        },
        shape: shape(),
    };
    check(build, [40_001], 0.0);
}

#[test]
fn language_kernels_agree_in_all_bits() {
    let (rows, inputs, outputs) = (37, 20, 31);
    let affine = || Affine {
        rows,
        inputs,
        outputs,
        layout: WeightLayout::OutputInput,
        activation: Some(Activation::Gelu),
        shape: Shape::from((rows, outputs)),
    };
    check::<2, _>(affine, [rows * inputs, inputs * outputs], 0.0);
    check::<3, _>(affine, [rows * inputs, inputs * outputs, outputs], 0.0);
    let targets = || (0..rows as u32).map(|row| (row % 5 > 0).then_some(row % 31));
    let loss = || MeanCrossEntropy::new(outputs, targets().collect(), 0.1);
    check(loss, [rows * outputs], 0.0);
    let build = || LinearCrossEntropy::new(affine(), loss());
    check(build, [rows * inputs, inputs * outputs], 0.0);
    let build = || LookUp {
        ids: vec![4, 0, 4, 2],
        width: 33,
        shape: Shape::from((4, 33)),
    };
    check(build, [5 * 33], 0.0);
    let build = || Attend {
        batch: 2,
        time: 70,
        heads: 3,
        head_width: 5,
        dropout: None,
    };
    check(build, [2 * 70 * 3 * 15], 0.0);
}

#[test]
fn pools_agree_in_all_bits() {
    for reduction in [Reduction::Max, Reduction::Average] {
        let build = || Pool {
            reduction,
            shape: [2, 9, 7, 19],
            rows: windows(7),
            columns: windows(19),
        };
        check(build, [2 * 9 * 7 * 19], 0.0);
    }
}
