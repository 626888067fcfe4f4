//! The passes of L-BFGS.

use candle_core::cuda::cudarc::driver::DeviceRepr;
use candle_core::{DType, Result, Tensor, Var};

use super::device::{Argument, Gpu, NONE, Partials, Runs, blocks, name};
use crate::kernels::lbfgs::products::{Move, Norms, PairProducts, RowProducts, Weights};
use crate::kernels::number::state_dtype;

/// Stored pairs that a block multiplies at once, as in `kernels.cu`.
const GROUP: usize = 5;

/// Products that a block leaves for each stored pair: of s with y and g, of y with D·y and D·g.
const PRODUCTS: usize = 4;

pub(crate) fn extend(
    rows: &[&Var],
    new: &Move<'_>,
    gradient: &Tensor,
    diagonal: Option<&Tensor>,
    pair: &Var,
) -> Result<(PairProducts, Vec<RowProducts>)> {
    let gpu = Gpu::of(pair)?;
    let (d, dtype) = (gradient.elem_count(), pair.dtype());
    let real = state_dtype(dtype);
    let made = gpu.partials(blocks(d), 6)?;
    let pair = gpu.address(pair, dtype, 2 * d)?;
    let (theta, w) = new.damping;
    let vector = |tensor| gpu.argument(Some(tensor), real, d);
    let arguments = [
        vector(new.direction)?,
        vector(new.before)?,
        vector(new.after)?,
        vector(gradient)?,
        gpu.argument(diagonal, real, d)?,
        Argument::Address(d as u64),
        Argument::Number(new.step),
        Argument::Number(theta),
        Argument::Number(w),
        Argument::Address(pair),
        made.argument(&gpu),
    ];
    // SAFETY: all vectors have d elements of the types that the kernel takes, the pair twice as
    // many.
    unsafe { gpu.launch(&name("new_pair", dtype), (made.rows, 1), &arguments)? };
    let y = Argument::Address(pair + (d * dtype.size_in_bytes()) as u64);
    let products = multiply(&gpu, rows, dtype, y, gradient, diagonal)?;
    let totals = gpu.totals(&[(&made, 6), (&products, (PRODUCTS * rows.len()) as u32)])?;
    let (made, products) = totals.split_at(6);
    let made = PairProducts {
        s_s: made[0],
        s_y: made[1],
        s_g: made[2],
        y_y: made[3],
        y_dy: made[4],
        y_dg: made[5],
    };
    Ok((made, by_row(products)))
}

pub(crate) fn project(
    rows: &[&Var],
    gradient: &Tensor,
    diagonal: Option<&Tensor>,
) -> Result<Vec<RowProducts>> {
    let gpu = Gpu::of(gradient)?;
    let products = multiply(&gpu, rows, rows[0].dtype(), NONE, gradient, diagonal)?;
    let totals = gpu.totals(&[(&products, (PRODUCTS * rows.len()) as u32)])?;
    Ok(by_row(&totals))
}

/// Queues the products of `rows`, of the history's `dtype`, with y and the gradient.
fn multiply(
    gpu: &Gpu,
    rows: &[&Var],
    dtype: DType,
    y: Argument,
    gradient: &Tensor,
    diagonal: Option<&Tensor>,
) -> Result<Partials> {
    let d = gradient.elem_count();
    let real = state_dtype(dtype);
    let products = gpu.partials(blocks(d), PRODUCTS * rows.len())?;
    if rows.is_empty() {
        return Ok(products);
    }
    let pairs = rows.iter().map(|row| gpu.address(row, dtype, 2 * d));
    let pairs = gpu.upload(&pairs.collect::<Result<Vec<u64>>>()?)?;
    let arguments = [
        pairs.argument(gpu),
        Argument::Count(rows.len() as u32),
        y,
        gpu.argument(Some(gradient), real, d)?,
        gpu.argument(diagonal, real, d)?,
        Argument::Address(d as u64),
        products.argument(gpu),
    ];
    let grid = (rows.len().div_ceil(GROUP) as u32, products.rows);
    // SAFETY: the pairs have 2·d elements and the vectors d, of the types that the kernel takes;
    // the groups cover the rows, and every block in y leaves one row of products.
    unsafe { gpu.launch(&name("row_products", dtype), grid, &arguments)? };
    Ok(products)
}

fn by_row(products: &[f64]) -> Vec<RowProducts> {
    let rows = products.as_chunks::<PRODUCTS>().0.iter();
    rows.map(|&[s_y, s_g, y_dy, y_dg]| RowProducts {
        s_y,
        s_g,
        y_dy,
        y_dg,
    })
    .collect()
}

/// A stored pair and its weights, laid out as in `kernels.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct WeightedPair {
    pair: u64,
    s: f64,
    y: f64,
}

// SAFETY: plain numbers without padding.
unsafe impl DeviceRepr for WeightedPair {}

pub(crate) fn combine(
    rows: &[(&Var, Weights)],
    gradient: &Tensor,
    gamma: f64,
    diagonal: Option<&Tensor>,
    direction: &Var,
) -> Result<(f64, f64)> {
    let gpu = Gpu::of(direction)?;
    let d = gradient.elem_count();
    let dtype = rows
        .first()
        .map_or(direction.dtype(), |(row, _)| row.dtype());
    let real = state_dtype(dtype);
    let pairs = rows.iter().map(|(row, weights)| {
        Ok(WeightedPair {
            pair: gpu.address(row, dtype, 2 * d)?,
            s: weights.s,
            y: weights.y,
        })
    });
    let pairs = gpu.upload(&pairs.collect::<Result<Vec<_>>>()?)?;
    let partials = gpu.partials(blocks(d), 2)?;
    let arguments = [
        pairs.argument(&gpu),
        Argument::Count(rows.len() as u32),
        gpu.argument(Some(gradient), real, d)?,
        gpu.argument(diagonal, real, d)?,
        Argument::Number(gamma),
        Argument::Address(d as u64),
        gpu.argument(Some(direction), real, d)?,
        partials.argument(&gpu),
    ];
    // SAFETY: there are `count` pairs of 2·d elements, and the vectors have d, of the types that
    // the kernel takes.
    unsafe { gpu.launch(&name("combine", dtype), (partials.rows, 1), &arguments)? };
    let totals = gpu.totals(&[(&partials, 1)])?;
    Ok((totals[0], totals[1]))
}

pub(crate) fn norms(vector: &Tensor) -> Result<Norms> {
    let [sum, squares, largest] = reduce(vector, None)?;
    Ok(Norms {
        largest,
        sum,
        euclidean: squares.sqrt(),
    })
}

pub(crate) fn slope(gradient: &Tensor, direction: &Tensor) -> Result<(f64, f64)> {
    let [_, slope, largest] = reduce(gradient, Some(direction))?;
    Ok((slope, largest))
}

/// The sum of magnitudes of `vector`, its product with `other` or itself, and its largest
/// magnitude.
fn reduce(vector: &Tensor, other: Option<&Tensor>) -> Result<[f64; 3]> {
    let gpu = Gpu::of(vector)?;
    let (d, dtype) = (vector.elem_count(), vector.dtype());
    let partials = gpu.partials(blocks(d), 3)?;
    let arguments = [
        gpu.argument(Some(vector), dtype, d)?,
        gpu.argument(other, dtype, d)?,
        Argument::Address(d as u64),
        partials.argument(&gpu),
    ];
    // SAFETY: both vectors have d elements of the type that the kernel takes.
    unsafe { gpu.launch(&name("norms", dtype), (partials.rows, 1), &arguments)? };
    let totals = gpu.totals(&[(&partials, 2)])?;
    Ok([totals[0], totals[1], totals[2]])
}

pub(crate) fn step_along(vars: &[Var], base: &Tensor, step: f64, direction: &Tensor) -> Result<()> {
    let parameters: Vec<&Tensor> = vars.iter().map(|var| &**var).collect();
    let step = [Argument::Number(step)];
    each_parameter(
        "write_parameters",
        &parameters,
        [Some(base), Some(direction)],
        &step,
    )
}

pub(crate) fn unflatten(vars: &[Var], base: &Tensor) -> Result<()> {
    let parameters: Vec<&Tensor> = vars.iter().map(|var| &**var).collect();
    let step = [Argument::Number(0.0)];
    each_parameter("write_parameters", &parameters, [Some(base), None], &step)
}

pub(crate) fn flatten(tensors: &[Tensor], flat: &Var) -> Result<()> {
    let parameters: Vec<&Tensor> = tensors.iter().collect();
    each_parameter("read_parameters", &parameters, [None, Some(flat)], &[])
}

pub(crate) fn displacement(tensors: &[Tensor], base: &Tensor, direction: &Var) -> Result<()> {
    let parameters: Vec<&Tensor> = tensors.iter().collect();
    each_parameter(
        "read_parameters",
        &parameters,
        [Some(base), Some(direction)],
        &[],
    )
}

/// Queues an operation on all parameters and two flat vectors beside them.
fn each_parameter(
    operation: &str,
    parameters: &[&Tensor],
    flat: [Option<&Tensor>; 2],
    scalars: &[Argument],
) -> Result<()> {
    let gpu = Gpu::of(parameters[0])?;
    let dtype = parameters[0].dtype();
    let real = state_dtype(dtype);
    let (size, real_size) = (dtype.size_in_bytes(), real.size_in_bytes());
    let d = parameters
        .iter()
        .map(|parameter| parameter.elem_count())
        .sum();
    let [first, second] =
        flat.map(|vector| vector.map_or(Ok(0), |vector| gpu.address(vector, real, d)));
    let (first, second) = (first?, second?);
    let within = |vector: u64, start: usize| match vector {
        0 => (0, real_size),
        vector => (vector + (start * real_size) as u64, real_size),
    };
    let (mut runs, mut start) = (Runs::new(d), 0);
    for parameter in parameters {
        let length = parameter.elem_count();
        let address = gpu.address(parameter, dtype, length)?;
        let [a, b] = [first, second].map(|vector| within(vector, start));
        runs.push([(address, size), a, b, (0, 0), (0, 0)], length, 0);
        start += length;
    }
    let (runs, count) = runs.upload(&gpu)?;
    let mut arguments = vec![runs.argument(&gpu)];
    arguments.extend(scalars);
    // SAFETY: the runs lie within the vectors, whose types and lengths were checked, and are as
    // many as the blocks.
    unsafe { gpu.launch(&name(operation, dtype), (count, 1), &arguments) }
}
