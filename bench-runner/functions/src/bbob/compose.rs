//! How a function of BBOB is put together: transformations of the search space, a function of the
//! transformed point, a penalty outside of the box, a minimal value.

use super::random::Instance;
use super::transform::{Transform, penalty};
use crate::function::Build;
use crate::{Dimensions, Function, Group, TestFunction};

/// The largest dimension: a rotation of it fills 8 MB and takes seconds to make.
const LARGEST: usize = 1000;

/// What a function of BBOB is.
pub(super) const fn function(
    name: &'static str,
    title: &'static str,
    group: Group,
    build: fn(usize, u64) -> Function,
) -> TestFunction {
    TestFunction {
        name,
        title,
        citation: "N. Hansen, S. Finck, R. Ros & A. Auger, Real-Parameter Black-Box Optimization \
                   Benchmarking 2009: Noiseless Functions Definitions, INRIA RR-6829, 2009",
        dimensions: Dimensions::range(2, LARGEST),
        group: Some(group),
        gradient_vanishes: false,
        build: Build::Instances(build),
    }
}

/// A function whose value without f_opt is given by `evaluate`. It starts at the origin, as COCO's
/// runs do.
pub(super) fn minimized(
    instance: Instance,
    minimizer: Vec<f64>,
    mut evaluate: impl FnMut(&[f64], &mut [f64]) -> f64 + Send + 'static,
) -> Function {
    let minimum = instance.minimum();
    let start = vec![0.0; instance.dimension];
    Function::new(start, move |x, gradient| evaluate(x, gradient) + minimum)
        .with_minimum_at(minimum, minimizer)
}

/// core(z) + p Σ max(0, |xᵢ| − 5)² + f_opt, where z is x after the transformations in their order.
pub(super) fn composed(
    instance: Instance,
    minimizer: Vec<f64>,
    transforms: impl Into<Vec<Transform>>,
    p: f64,
    mut core: impl FnMut(&[f64], &mut [f64]) -> f64 + Send + 'static,
) -> Function {
    let mut transforms = transforms.into();
    let mut z = vec![0.0; instance.dimension];
    minimized(instance, minimizer, move |x, gradient| {
        z.copy_from_slice(x);
        for transform in &mut transforms {
            transform.forward(&mut z);
        }
        let value = core(&z, gradient);
        for transform in transforms.iter_mut().rev() {
            transform.backward(gradient);
        }
        match p {
            0.0 => value,
            p => value + penalty(p, x, gradient),
        }
    })
}
