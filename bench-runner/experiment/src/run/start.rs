//! A run at its start: its problem, with what the seed draws, and its optimizer.

use bench_stats::random::{Stream, stream, unit};
use candle_core::{DType, Device, Tensor};
use optim::{Optimizer, Parameters};
use rand::RngCore;

use crate::error::Result;
use crate::problem::{Draw, Environment, Problem};
use crate::spec::{OptimizerEntry, ProblemEntry};

/// Makes the problem and the optimizer of a run.
///
/// # Errors
/// When data is missing, a setting cannot be used, or the device refuses.
pub fn start(
    problem: &ProblemEntry,
    optimizer: &OptimizerEntry,
    seed: u64,
    environment: &Environment,
) -> Result<(Box<dyn Problem>, Box<dyn Optimizer>)> {
    let draw = Draw {
        seed: seed_of(seed, optimizer.stream),
        optimizer: optimizer.own_label(),
    };
    let built = problem.config.build(draw, environment)?;
    if optimizer.perturbation > 0 {
        perturb(built.parameters(), draw.seed, optimizer.perturbation)?;
    }
    let optimizer = optimizer_of(problem, optimizer, &*built)?;
    Ok((built, optimizer))
}

/// The optimizer of a run, for the problem as it was built.
///
/// # Errors
/// When a setting cannot be used.
pub fn optimizer_of(
    problem: &ProblemEntry,
    optimizer: &OptimizerEntry,
    built: &dyn Problem,
) -> Result<Box<dyn Optimizer>> {
    let budget = problem.first_order_budget(built.steps_per_epoch());
    let config = optimizer.config.with_budget(budget);
    let config = config.as_ref().unwrap_or(&optimizer.config);
    Ok(config.build(built.parameters())?)
}

/// The seed that the runs of an experiment's seed draw from in a stream.
fn seed_of(seed: u64, number: u64) -> u64 {
    match number {
        0 => seed,
        number => stream(seed, Stream::Seed, number).next_u64(),
    }
}

/// The size of a perturbation, in unit roundoffs.
const ROUNDOFFS: f64 = 4.0;

/// Moves every parameter x by 4εu|x|, where ε is the unit roundoff of the parameters' format and u is drawn
/// from [-1, 1) for each, by the seed and the perturbation's number. A zero is moved by 4εu: else runs that
/// start at 0 would never come apart. It assumes that what the parameter is multiplied by is of the size 1.
fn perturb(parameters: &Parameters, seed: u64, perturbation: u64) -> Result<()> {
    let size = ROUNDOFFS * unit_roundoff(parameters.dtype());
    let mut draws = stream(seed, Stream::Perturbation, perturbation);
    for var in parameters.vars() {
        let start = var.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
        let mut values = start.flatten_all()?.to_vec1::<f64>()?;
        for value in &mut values {
            let step = size * (2.0 * unit(&mut draws) - 1.0);
            *value = if *value == 0.0 {
                step
            } else {
                *value * (1.0 + step)
            };
        }
        let perturbed = Tensor::from_vec(values, var.shape(), &Device::Cpu)?;
        var.set(&perturbed.to_dtype(var.dtype())?.to_device(var.device())?)?;
    }
    Ok(())
}

/// Half the distance from 1 to the next number of a format.
fn unit_roundoff(dtype: DType) -> f64 {
    let digits = match dtype {
        DType::BF16 => 8,
        DType::F16 => 11,
        DType::F32 => 24,
        // Parameters are in one of the four formats.
        _ => 53,
    };
    0.5f64.powi(digits)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::Var;

    use super::*;

    #[test]
    fn streams_other_than_the_first_draw_by_other_seeds() {
        assert_eq!(seed_of(3, 0), 3);
        let seeds = [seed_of(3, 0), seed_of(3, 1), seed_of(3, 2), seed_of(4, 1)];
        for (index, seed) in seeds.iter().enumerate() {
            assert!(!seeds[..index].contains(seed));
        }
    }

    #[test]
    fn perturbations_are_of_rounding_size_and_fixed_by_seed_and_number() {
        for (dtype, epsilon) in [
            (DType::F64, f64::EPSILON),
            (DType::F32, f64::from(f32::EPSILON)),
            (DType::BF16, 0.0078125),
        ] {
            let perturbed = |seed, number| {
                let start: Vec<f64> = (0..100).map(|i| 1.0 + f64::from(i) / 128.0).collect();
                let start = Tensor::new(start, &Device::Cpu).unwrap();
                let var = Var::from_tensor(&start.to_dtype(dtype).unwrap()).unwrap();
                let zero = Var::zeros(2, dtype, &Device::Cpu).unwrap();
                let named = [("x", var.clone()), ("zero", zero.clone())];
                perturb(&Parameters::new(named).unwrap(), seed, number).unwrap();
                let values = |var: &Var| {
                    let values = var.to_dtype(DType::F64).unwrap();
                    values.to_vec1::<f64>().unwrap()
                };
                let moved = values(&zero);
                assert!(moved.iter().all(|x| *x != 0.0 && x.abs() <= 2.0 * epsilon));
                values(&var)
            };
            let first = perturbed(0, 1);
            assert_eq!(first, perturbed(0, 1));
            assert_ne!(first, perturbed(0, 2));
            assert_ne!(first, perturbed(1, 1));
            let off = first.iter().zip(0..).map(|(x, i)| {
                let start = 1.0 + f64::from(i) / 128.0;
                ((x - start) / start).abs() / epsilon
            });
            let off: Vec<f64> = off.collect();
            // Four unit roundoffs are two spacings; storing the product rounds once more.
            assert!(off.iter().all(|off| *off <= 2.5), "{dtype:?}: {off:?}");
            let moved = off.iter().filter(|off| **off > 0.0).count();
            assert!(moved > 50, "{dtype:?}: {moved} of 100 moved");
        }
    }
}
