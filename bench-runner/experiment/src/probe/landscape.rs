//! The loss around a trained network, over a plane of two random directions.

use bench_stats::random::{Stream, stream};
use candle_core::Tensor;
use optim::Parameters;
use rand_distr::{Distribution, StandardNormal};

use super::grid::Grid;
use super::replay::replay;
use crate::error::{Error, Result};
use crate::problem::Environment;
use crate::spec::{OptimizerEntry, ProblemEntry};

/// Trains a network as the run of `seed` does, then measures its training loss at
/// θ + a·δ + b·η for a and b at `steps + 1` places from −radius to radius; 0 is the trained network.
///
/// δ and η are normal draws, normalised filter by filter: each row of a weight (the weights into one
/// unit or channel) has the norm of the network's own row, and vectors (biases, normalisation) stay as
/// they are. Source: Li, Xu, Taylor, Studer, Goldstein, "Visualizing the loss landscape of neural nets"
/// (2018), section 4.
///
/// # Errors
/// When the problem has no weights, or an evaluation fails.
pub fn landscape(
    problem: &ProblemEntry,
    optimizer: &OptimizerEntry,
    seed: u64,
    environment: &Environment,
    radius: f64,
    steps: usize,
) -> Result<Grid> {
    let mut trained = replay(problem, optimizer, seed, environment, &mut |_, _| Ok(()))?;
    let parameters = trained.parameters().clone();
    let center = parameters.snapshot()?;
    if center.iter().all(|tensor| tensor.rank() < 2) {
        return Err(Error::Unfit {
            problem: problem.label.clone(),
            needs: "it has no weights, and a landscape needs a network",
        });
    }
    let first = direction(&parameters, seed, 0)?;
    let second = direction(&parameters, seed, 1)?;
    let half = steps.max(2) as f64 / 2.0;
    let places: Vec<f64> = (0..=steps.max(2))
        .map(|i| radius * (i as f64 - half) / half)
        .collect();
    let mut values = Vec::with_capacity(places.len());
    for &b in &places {
        let mut row = Vec::with_capacity(places.len());
        for &a in &places {
            let moved: Vec<Tensor> = center
                .iter()
                .zip(first.iter().zip(&second))
                .map(|(at, (first, second))| Ok(((at + (first * a)?)? + (second * b)?)?))
                .collect::<Result<_>>()?;
            parameters.restore(&moved)?;
            row.push(trained.measure()?.loss);
        }
        values.push(row);
    }
    Ok(Grid {
        x: places.clone(),
        y: places,
        values,
    })
}

/// Direction number `index`: one tensor per parameter.
fn direction(parameters: &Parameters, seed: u64, index: u64) -> Result<Vec<Tensor>> {
    let mut rng = stream(seed, Stream::Direction, index);
    parameters
        .vars()
        .iter()
        .map(|var| {
            let own = var.as_detached_tensor();
            if own.rank() < 2 {
                return Ok(own.zeros_like()?);
            }
            let draws: Vec<f64> = StandardNormal
                .sample_iter(&mut rng)
                .take(own.elem_count())
                .collect();
            let draws =
                Tensor::from_vec(draws, own.shape(), own.device())?.to_dtype(own.dtype())?;
            let rows = (own.dim(0)?, own.elem_count() / own.dim(0)?.max(1));
            let norms = |tensor: &Tensor| tensor.reshape(rows)?.sqr()?.sum_keepdim(1)?.sqrt();
            let scale = norms(&own)?.div(&norms(&draws)?)?;
            let scaled = draws.reshape(rows)?.broadcast_mul(&scale)?;
            Ok(scaled.reshape(own.shape())?)
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn each_filter_of_a_direction_has_the_norm_of_the_networks_own() {
        let weight: Vec<f64> = (1..=24).map(f64::from).collect();
        let weight = Tensor::from_vec(weight, (2, 3, 2, 2), &Device::Cpu).unwrap();
        let bias = Tensor::new(&[5.0, 6.0], &Device::Cpu).unwrap();
        let parameters = Parameters::new([
            ("weight", Var::from_tensor(&weight).unwrap()),
            ("bias", Var::from_tensor(&bias).unwrap()),
        ])
        .unwrap();
        let norms = |tensor: &Tensor| -> Vec<f64> {
            let rows = tensor.reshape((2, 12)).unwrap().to_vec2::<f64>().unwrap();
            rows.iter()
                .map(|row| row.iter().map(|x| x * x).sum::<f64>().sqrt())
                .collect()
        };
        // Parameters may come in another order than they were given in.
        let at = |name: &str| {
            parameters
                .names()
                .iter()
                .position(|own| own == name)
                .unwrap()
        };
        let (weight, bias) = (at("weight"), at("bias"));
        let [first, second] = [0, 1].map(|index| direction(&parameters, 3, index).unwrap());
        // 1² + … + 12² = 650 and 13² + … + 24² = 4250.
        for norm in [&first, &second].map(|direction| norms(&direction[weight])) {
            assert!((norm[0] - 650f64.sqrt()).abs() < 1e-9, "{norm:?}");
            assert!((norm[1] - 4250f64.sqrt()).abs() < 1e-9, "{norm:?}");
        }
        assert_eq!(first[bias].to_vec1::<f64>().unwrap(), [0.0, 0.0]);
        let flat = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        assert_ne!(flat(&first[weight]), flat(&second[weight]));
    }
}
