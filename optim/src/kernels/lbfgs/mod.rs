//! The passes over flat vectors that L-BFGS is made of. On the CPU each reads every vector once, in
//! blocks that stay in the first-level cache while all products with them are taken. CUDA devices
//! have kernels of their own; elsewhere the passes are tensor operations.
//!
//! Vectors are [`Var`]s of shape `[d]` in the state's dtype. A curvature pair is one `Var` of shape
//! `[2, d]`, s above y, in the dtype of the stored pairs (bf16 allowed beside an f32 state).

mod cpu;
pub(super) mod products;
mod tensor;

use candle_core::{DType, Device, Tensor, Var};

use super::memory::zeros;
use super::norm::norm;
use crate::error::Result;
use crate::record::VectorPasses;

pub(crate) use products::{Move, Norms, PairProducts, RowProducts, Weights};

/// Calls the CPU's kernel, the one for CUDA devices, or the tensor operations for all others.
macro_rules! dispatch {
    ($on:expr, $name:ident($($argument:expr),*)) => {
        match $on.device() {
            Device::Cpu => Ok(cpu::$name($($argument),*)?),
            #[cfg(feature = "cuda")]
            Device::Cuda(_) => Ok(super::cuda::lbfgs::$name($($argument),*)?),
            _ => Ok(tensor::$name($($argument),*)?),
        }
    };
}

/// Writes the move's pair into `pair`, rounded to its dtype, and returns all products with it and
/// with `gradient`, those of `rows` in their order.
pub(crate) fn extend(
    rows: &[&Var],
    new: &Move<'_>,
    gradient: &Tensor,
    diagonal: Option<&Tensor>,
    pair: &Var,
    passes: &mut VectorPasses,
) -> Result<(PairProducts, Vec<RowProducts>)> {
    let gradients = 2 + u64::from(new.after.id() != gradient.id());
    passes.reads += 2 * rows.len() as u64 + 1 + gradients + u64::from(diagonal.is_some());
    passes.writes += 2;
    dispatch!(pair, extend(rows, new, gradient, diagonal, pair))
}

/// The products of `rows` with `gradient` alone: `s_g` and `y_dg`.
pub(crate) fn project(
    rows: &[&Var],
    gradient: &Tensor,
    diagonal: Option<&Tensor>,
    passes: &mut VectorPasses,
) -> Result<Vec<RowProducts>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    passes.reads += 2 * rows.len() as u64 + 1 + u64::from(diagonal.is_some());
    dispatch!(gradient, project(rows, gradient, diagonal))
}

/// Writes d = -(γ·D·(g - Σ wᵢ.y·yᵢ) + Σ wᵢ.s·sᵢ) into `direction`; returns gᵀd and max |d|.
pub(crate) fn combine(
    rows: &[(&Var, Weights)],
    gradient: &Tensor,
    gamma: f64,
    diagonal: Option<&Tensor>,
    direction: &Var,
    passes: &mut VectorPasses,
) -> Result<(f64, f64)> {
    passes.reads += 2 * rows.len() as u64 + 1 + u64::from(diagonal.is_some());
    passes.writes += 1;
    dispatch!(
        direction,
        combine(rows, gradient, gamma, diagonal, direction)
    )
}

/// The norms of a vector.
pub(crate) fn norms(vector: &Tensor, passes: &mut VectorPasses) -> Result<Norms> {
    passes.reads += 1;
    let norms: Result<Norms> = dispatch!(vector, norms(vector));
    let mut norms = norms?;
    // Squares of the vector's own type may have been too large or too small.
    let reliable = (1e-17..f64::INFINITY).contains(&norms.euclidean);
    if norms.is_finite() && norms.largest > 0.0 && !reliable {
        norms.euclidean = norm(std::slice::from_ref(vector))?;
    }
    Ok(norms)
}

/// gᵀd and max |g|.
pub(crate) fn slope(
    gradient: &Tensor,
    direction: &Tensor,
    passes: &mut VectorPasses,
) -> Result<(f64, f64)> {
    passes.reads += 2;
    dispatch!(direction, slope(gradient, direction))
}

/// Sets the variables to `base` + `step`·`direction`.
pub(crate) fn step_along(
    vars: &[Var],
    base: &Tensor,
    step: f64,
    direction: &Tensor,
    passes: &mut VectorPasses,
) -> Result<()> {
    passes.reads += 2;
    passes.writes += 1;
    dispatch!(base, step_along(vars, base, step, direction))
}

/// Writes x - `base` into `direction`, x being the variables' values.
pub(crate) fn displacement(
    vars: &[Var],
    base: &Tensor,
    direction: &Var,
    passes: &mut VectorPasses,
) -> Result<()> {
    passes.reads += 2;
    passes.writes += 1;
    dispatch!(base, displacement(&detached(vars), base, direction))
}

/// Sets the variables to the parts of the flat vector `base`.
pub(crate) fn unflatten(vars: &[Var], base: &Tensor, passes: &mut VectorPasses) -> Result<()> {
    passes.reads += 1;
    passes.writes += 1;
    dispatch!(base, unflatten(vars, base))
}

/// Copies the variables' values into the flat vector `flat`.
pub(crate) fn flatten_into(vars: &[Var], flat: &Var, passes: &mut VectorPasses) -> Result<()> {
    passes.reads += 1;
    passes.writes += 1;
    dispatch!(flat, flatten(&detached(vars), flat))
}

fn detached(vars: &[Var]) -> Vec<Tensor> {
    vars.iter().map(|var| var.as_detached_tensor()).collect()
}

/// The tensors as one flat vector of `dtype`, without a copy where they already are one.
pub(crate) fn flatten(
    tensors: &[Tensor],
    dtype: DType,
    passes: &mut VectorPasses,
) -> Result<Tensor> {
    if let [tensor] = tensors
        && tensor.dtype() == dtype
    {
        return Ok(tensor.flatten_all()?);
    }
    passes.reads += 1;
    passes.writes += 1;
    let d: usize = tensors.iter().map(Tensor::elem_count).sum();
    let flat = zeros(d, dtype, tensors[0].device())?;
    let copied: Result<()> = dispatch!(flat, flatten(tensors, &flat));
    copied.map(|()| flat.as_detached_tensor())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn vector(d: usize, seed: usize, dtype: DType) -> Tensor {
        let values: Vec<f64> = (0..d).map(|i| ((i * 7 + seed * 13) as f64).sin()).collect();
        let values = Tensor::new(values, &Device::Cpu).unwrap();
        values.to_dtype(dtype).unwrap()
    }

    fn var(tensor: &Tensor, device: &Device) -> Var {
        Var::from_tensor(&tensor.to_device(device).unwrap()).unwrap()
    }

    fn pair(d: usize, seed: usize, dtype: DType, device: &Device) -> Var {
        let halves = [vector(d, seed, dtype), vector(d, seed + 1, dtype)];
        var(&Tensor::stack(&halves, 0).unwrap(), device)
    }

    fn values(tensor: &Tensor) -> Vec<f64> {
        let flat = tensor.to_device(&Device::Cpu).unwrap().flatten_all();
        flat.unwrap()
            .to_dtype(DType::F64)
            .unwrap()
            .to_vec1()
            .unwrap()
    }

    /// Everything the passes compute with `$rows` stored pairs on `$device`, by the kernels or in
    /// tensor operations.
    macro_rules! all_results {
        ($form:path, $device:expr, $rows:expr, $d:expr, $dtype:expr, $pair_dtype:expr, $scaled:expr) => {{
            use $form as form;
            let (d, dtype, device) = ($d, $dtype, $device);
            let rows: Vec<Var> = (0..$rows)
                .map(|i| pair(d, 10 * i, $pair_dtype, device))
                .collect();
            let rows: Vec<&Var> = rows.iter().collect();
            let [g, before, after, direction] =
                [91, 92, 93, 94].map(|seed| vector(d, seed, dtype).to_device(device).unwrap());
            let diagonal = vector(d, 95, dtype)
                .sqr()
                .unwrap()
                .to_device(device)
                .unwrap();
            let diagonal = $scaled.then_some(&diagonal);
            let new = Move {
                direction: &direction,
                step: 0.3,
                before: &before,
                after: &after,
                damping: (0.9, 0.2),
            };
            let out = pair(d, 96, $pair_dtype, device);
            let (p, products) = form::extend(&rows, &new, &g, diagonal, &out).unwrap();
            let mut results = vec![p.s_s, p.s_y, p.y_y, p.y_dy, p.s_g, p.y_dg];
            for row in products
                .into_iter()
                .chain(form::project(&rows, &g, diagonal).unwrap())
            {
                results.extend([row.s_y, row.s_g, row.y_dy, row.y_dg]);
            }
            let weighted: Vec<_> = rows
                .iter()
                .enumerate()
                .map(|(i, row)| {
                    (
                        *row,
                        Weights {
                            s: 0.5 - i as f64,
                            y: 1.0 + i as f64,
                        },
                    )
                })
                .collect();
            let d_out = Var::from_tensor(&direction.copy().unwrap()).unwrap();
            let (slope, most) = form::combine(&weighted, &g, 0.7, diagonal, &d_out).unwrap();
            let norms = form::norms(&g).unwrap();
            results.extend([slope, most, norms.largest, norms.sum, norms.euclidean]);
            let (slope, most) = form::slope(&g, &direction).unwrap();
            results.extend([slope, most]);
            // Two parameters, in the parameters' dtype.
            let (a, b) = (d / 3 + 1, d - d / 3 - 1);
            let parts = [a, b].map(|d| var(&vector(d, 97, $pair_dtype), device));
            let tensors = [0, 1].map(|i| parts[i].as_detached_tensor());
            let flat = Var::zeros(d, dtype, device).unwrap();
            form::flatten(&tensors, &flat).unwrap();
            let moved = Var::zeros(d, dtype, device).unwrap();
            form::step_along(&parts, &g, 0.25, &direction).unwrap();
            form::displacement(&tensors, &flat, &moved).unwrap();
            let mut vectors: Vec<Vec<f64>> = [&out, &d_out, &flat, &moved, &parts[0], &parts[1]]
                .map(|var| values(var))
                .into();
            form::unflatten(&parts, &flat).unwrap();
            vectors.push(values(&parts[1]));
            (results, vectors)
        }};
    }

    /// Products and vectors of `all_results`.
    type Results = (Vec<f64>, Vec<Vec<f64>>);

    fn assert_close((a, a_vectors): &Results, (b, b_vectors): &Results, d: usize, tolerance: f64) {
        for (i, (a, b)) in a.iter().zip(b).enumerate() {
            // Sums of terms of size 1 and either sign.
            let size = b.abs() + (d as f64).sqrt();
            assert!((a - b).abs() <= tolerance * size, "d = {d}, {i}: {a} {b}");
        }
        for (i, (a, b)) in a_vectors.iter().zip(b_vectors).enumerate() {
            for (a, b) in a.iter().zip(b) {
                assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{i}: {a} {b}");
            }
        }
    }

    #[test]
    fn kernels_agree_with_tensor_operations() {
        for (dtype, pair_dtype, tolerance) in [
            (DType::F64, DType::F64, 1e-13),
            (DType::F32, DType::F32, 1e-5),
            (DType::F32, DType::BF16, 1e-2),
        ] {
            for d in [3, 1000, 70_001] {
                for scaled in [false, true] {
                    let cpu = &Device::Cpu;
                    let kernels = all_results!(super::cpu, cpu, 3, d, dtype, pair_dtype, scaled);
                    let tensors = all_results!(super::tensor, cpu, 3, d, dtype, pair_dtype, scaled);
                    assert_close(&kernels, &tensors, d, tolerance);
                }
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_number_of_threads() {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().unwrap();
            pool.install(|| {
                all_results!(
                    super::cpu,
                    &Device::Cpu,
                    3,
                    200_003,
                    DType::F32,
                    DType::F32,
                    true
                )
            })
        };
        let one = run(1);
        for threads in [2, 3, 7] {
            assert!(run(threads) == one, "{threads} threads");
        }
    }

    #[cfg(feature = "cuda")]
    mod cuda {
        use super::*;

        const CASES: [(DType, DType, f64); 4] = [
            (DType::F64, DType::F64, 1e-13),
            (DType::F32, DType::F32, 1e-6),
            (DType::F32, DType::BF16, 1e-6),
            (DType::F32, DType::F16, 1e-6),
        ];

        /// Vectors are made by the same operations, so their bits agree; sums have another order.
        #[test]
        fn vectors_are_those_of_the_cpu_and_sums_agree() {
            let gpu = &Device::new_cuda(0).unwrap();
            for (dtype, pair_dtype, tolerance) in CASES {
                for (rows, d) in [(1, 3), (3, 1000), (5, 1024), (7, 70_001)] {
                    for scaled in [false, true] {
                        macro_rules! results {
                            ($form:path, $device:expr) => {
                                all_results!($form, $device, rows, d, dtype, pair_dtype, scaled)
                            };
                        }
                        let on_gpu = results!(crate::kernels::cuda::lbfgs, gpu);
                        let on_cpu = results!(crate::kernels::lbfgs::cpu, &Device::Cpu);
                        assert_close(&on_gpu, &on_cpu, d, tolerance);
                        assert!(on_gpu.1 == on_cpu.1, "{dtype:?} {pair_dtype:?} {rows} {d}");
                        assert!(on_gpu == results!(crate::kernels::cuda::lbfgs, gpu));
                    }
                }
            }
        }

        #[test]
        fn kernels_agree_with_tensor_operations() {
            let gpu = &Device::new_cuda(0).unwrap();
            for (dtype, pair_dtype, _) in CASES {
                let results = (
                    all_results!(
                        crate::kernels::cuda::lbfgs,
                        gpu,
                        7,
                        70_001,
                        dtype,
                        pair_dtype,
                        true
                    ),
                    all_results!(
                        crate::kernels::lbfgs::tensor,
                        gpu,
                        7,
                        70_001,
                        dtype,
                        pair_dtype,
                        true
                    ),
                );
                let tolerance = if dtype == DType::F64 { 1e-12 } else { 1e-2 };
                assert_close(&results.0, &results.1, 70_001, tolerance);
            }
        }
    }
}
