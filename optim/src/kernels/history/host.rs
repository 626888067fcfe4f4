//! The passes on host memory.
//!
//! Sums are taken over fixed lanes within fixed blocks, and then in f64 over blocks and chunks in
//! their order: the same bits whatever the number of threads. AVX2 is used where the processor has
//! it, but no fused multiply-add, so that the bits are those of the portable form.

use std::ops::Range;

use candle_core::{DType, Result, Tensor, Var, WithDType};
use rayon::prelude::*;

use super::{Move, Norms, PairProducts, RowProducts, Weights, with_element};
use crate::kernels::host::{with_batches_mut, with_slice_mut, with_slices};
use crate::kernels::number::{Element, Real, sum_lanes};
use crate::kernels::vectorized;

/// Elements per unit of parallel work.
const CHUNK: usize = 32 * 1024;
/// Elements that one row gives before the next row's turn: several pages, over which the processor
/// fetches ahead, and few enough for the columns to stay in the second-level cache.
const SPAN: usize = 4 * BLOCK;
/// Elements per block, which stays in the first-level cache and is summed in the vectors' precision.
const BLOCK: usize = 1024;
/// Partial sums of one dot product.
const LANES: usize = 64;
/// Rows whose products are taken together: that many streams come from memory at once, and the
/// columns are read once for all.
const ROWS: usize = 4;
/// Partial sums of each product of several rows: those of [`ROWS`] rows with two columns stay in
/// registers.
const ROW_LANES: usize = 8;

/// Applies `f` to each chunk, in parallel if there are several; results in the chunks' order.
fn each<I: Send, T: Send>(chunks: Vec<I>, f: impl Fn(I) -> T + Sync + Send) -> Vec<T> {
    if chunks.len() == 1 {
        return chunks.into_iter().map(f).collect();
    }
    chunks.into_par_iter().map(f).collect()
}

/// Adds up the chunks' sums, position by position.
fn total<const N: usize>(chunks: &[[f64; N]]) -> [f64; N] {
    let mut total = [0.0; N];
    for chunk in chunks {
        add(&mut total, chunk);
    }
    total
}

fn add<const N: usize>(total: &mut [f64; N], part: &[f64; N]) {
    for (total, part) in total.iter_mut().zip(part) {
        *total += part;
    }
}

/// The products of `row` with each of `columns`, all of one length.
#[inline(always)]
fn dots<H: Element, const N: usize>(row: &[H], columns: [&[H::Real]; N]) -> [f64; N] {
    let mut sums = [0.0; N];
    for from in (0..row.len()).step_by(BLOCK) {
        let to = row.len().min(from + BLOCK);
        // The row's block comes from memory for the first column, and for the others from the cache.
        // A closure given to `map` would not be compiled for AVX2.
        for (sum, column) in sums.iter_mut().zip(&columns) {
            *sum += dot(&row[from..to], &column[from..to]);
        }
    }
    sums
}

/// The product of two blocks, summed in lanes. The zipped inner loop is what compilers vectorize;
/// one over indices they unroll instead.
#[inline(always)]
fn dot<H: Element>(row: &[H], column: &[H::Real]) -> f64 {
    let mut lanes = [H::Real::ZERO; LANES];
    let (rows, columns) = (row.chunks_exact(LANES), column.chunks_exact(LANES));
    let (row_rest, column_rest) = (rows.remainder(), columns.remainder());
    for (row, column) in rows.zip(columns) {
        accumulate(&mut lanes, row, column);
    }
    accumulate(&mut lanes, row_rest, column_rest);
    sum_lanes(lanes)
}

/// The products of up to [`ROWS`] rows, within `range`, with each of `columns`, which are as long.
#[inline(always)]
fn row_products<H: Element, const N: usize>(
    rows: &[&[H]],
    range: Range<usize>,
    columns: [&[H::Real]; N],
) -> [[f64; N]; ROWS] {
    let mut sums = [[0.0; N]; ROWS];
    for from in (0..range.len()).step_by(BLOCK) {
        let to = range.len().min(from + BLOCK);
        // Where there are fewer rows, the last one stands in: it is in the cache.
        let block = range.start + from..range.start + to;
        let rows: [&[H]; ROWS] =
            std::array::from_fn(|row| &rows[row.min(rows.len() - 1)][block.clone()]);
        let products = block_products(rows, columns.map(|column| &column[from..to]));
        for (sums, products) in sums.iter_mut().zip(&products) {
            add(sums, products);
        }
    }
    sums
}

#[inline(always)]
fn block_products<H: Element, const N: usize>(
    rows: [&[H]; ROWS],
    columns: [&[H::Real]; N],
) -> [[f64; N]; ROWS] {
    let mut lanes = [[[H::Real::ZERO; ROW_LANES]; N]; ROWS];
    let rows = rows.map(|row| row.as_chunks::<ROW_LANES>());
    let columns = columns.map(|column| column.as_chunks::<ROW_LANES>());
    for group in 0..rows[0].0.len() {
        for (lanes, (row, _)) in lanes.iter_mut().zip(&rows) {
            for (lanes, (column, _)) in lanes.iter_mut().zip(&columns) {
                accumulate(lanes, &row[group], &column[group]);
            }
        }
    }
    let mut sums = [[0.0; N]; ROWS];
    for ((sums, lanes), (_, row)) in sums.iter_mut().zip(&mut lanes).zip(&rows) {
        for ((sum, lanes), (_, column)) in sums.iter_mut().zip(lanes).zip(&columns) {
            accumulate(lanes, row, column);
            *sum = sum_lanes(*lanes);
        }
    }
    sums
}

/// Adds the products of `row` and `column`, element by element, to `lanes`.
#[inline(always)]
fn accumulate<H: Element>(lanes: &mut [H::Real], row: &[H], column: &[H::Real]) {
    for ((lane, row), column) in lanes.iter_mut().zip(row).zip(column) {
        *lane += row.widen() * *column;
    }
}

/// The largest magnitude; NaN is passed over.
#[inline(always)]
fn largest<R: Real>(values: &[R]) -> f64 {
    let mut lanes = [R::ZERO; LANES];
    for group in values.chunks(LANES) {
        for (lane, value) in lanes.iter_mut().zip(group) {
            *lane = Real::max(*lane, magnitude(*value));
        }
    }
    let lanes = lanes.into_iter().map(|lane| lane.to_f64());
    lanes.fold(0.0, f64::max)
}

#[inline(always)]
fn magnitude<R: Real>(value: R) -> R {
    Real::max(value, R::ZERO - value)
}

/// The sum of magnitudes.
#[inline(always)]
fn sum_of_magnitudes<R: Real>(values: &[R]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (groups, rest) = values.as_chunks::<LANES>();
    for group in groups {
        for lane in 0..LANES {
            lanes[lane] += group[lane].to_f64().abs();
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += value.to_f64().abs();
    }
    lanes.into_iter().sum()
}

/// One row's share of the products, chunk by chunk.
fn sum_rows<const N: usize>(chunks: &[Vec<[f64; N]>], rows: usize) -> Vec<[f64; N]> {
    let mut totals = vec![[0.0; N]; rows];
    for chunk in chunks {
        for (total, part) in totals.iter_mut().zip(chunk) {
            add(total, part);
        }
    }
    totals
}

/// The column that y-rows are multiplied with: `vector` itself, or D·`vector` written to `scaled`.
#[inline(always)]
fn scale<'a, R: Real>(vector: &'a [R], diagonal: Option<&[R]>, scaled: &'a mut [R]) -> &'a [R] {
    let Some(diagonal) = diagonal else {
        return vector;
    };
    for ((scaled, vector), diagonal) in scaled.iter_mut().zip(vector).zip(diagonal) {
        *scaled = *vector * *diagonal;
    }
    &scaled[..vector.len()]
}

pub(super) fn extend(
    rows: &[&Var],
    new: &Move<'_>,
    gradient: &Tensor,
    diagonal: Option<&Tensor>,
    pair: &Var,
) -> Result<(PairProducts, Vec<RowProducts>)> {
    with_element!(pair.dtype(), H => extend_as::<H>(rows, new, gradient, diagonal, pair))
}

fn extend_as<H: Element>(
    rows: &[&Var],
    new: &Move<'_>,
    gradient: &Tensor,
    diagonal: Option<&Tensor>,
    pair: &Var,
) -> Result<(PairProducts, Vec<RowProducts>)> {
    let rows: Vec<Tensor> = rows.iter().map(|row| row.as_detached_tensor()).collect();
    let mut vectors = vec![
        new.direction.clone(),
        new.before.clone(),
        new.after.clone(),
        gradient.clone(),
    ];
    vectors.extend(diagonal.cloned());
    let real = H::Real::from_f64;
    let move_weights = [real(new.step), real(new.damping.0), real(new.damping.1)];
    with_slices(&rows, |rows: Vec<&[H]>| {
        with_slices(&vectors, |vectors: Vec<&[H::Real]>| {
            with_slice_mut(pair, |pair: &mut [H]| {
                let d = vectors[0].len();
                let (s, y) = pair.split_at_mut(d);
                let outputs: Vec<_> = s
                    .chunks_mut(CHUNK)
                    .zip(y.chunks_mut(CHUNK))
                    .enumerate()
                    .collect();
                let chunks = each(outputs, |(chunk, (s, y))| {
                    vectorized(
                        #[inline(always)]
                        || extend_chunk(&rows, &vectors, d, move_weights, chunk * CHUNK, s, y),
                    )
                });
                let (pairs, products): (Vec<_>, Vec<_>) = chunks.into_iter().unzip();
                let [s_s, s_y, y_y, s_g, y_dy, y_dg] = total(&pairs);
                let pair = PairProducts {
                    s_s,
                    s_y,
                    y_y,
                    y_dy,
                    s_g,
                    y_dg,
                };
                let rows = sum_rows(&products, rows.len())
                    .into_iter()
                    .map(|[s_y, s_g, y_dy, y_dg]| RowProducts {
                        s_y,
                        s_g,
                        y_dy,
                        y_dg,
                    })
                    .collect();
                (pair, rows)
            })
        })?
    })?
}

/// Writes one chunk of the new pair and returns its products; those of rows are s·y, s·g, y·Dy, y·Dg.
#[inline(always)]
fn extend_chunk<H: Element>(
    rows: &[&[H]],
    vectors: &[&[H::Real]],
    d: usize,
    [step, theta, w]: [H::Real; 3],
    start: usize,
    s_out: &mut [H],
    y_out: &mut [H],
) -> ([f64; 6], Vec<[f64; 4]>) {
    let zero = H::Real::from_f64(0.0);
    let mut s_column = [zero; SPAN];
    let mut y_column = [zero; SPAN];
    let mut scaled_y = [zero; SPAN];
    let mut scaled_g = [zero; SPAN];
    let mut pair = [0.0; 6];
    let mut products = vec![[0.0; 4]; rows.len()];
    for (span, (s_out, y_out)) in s_out
        .chunks_mut(SPAN)
        .zip(y_out.chunks_mut(SPAN))
        .enumerate()
    {
        let from = start + span * SPAN;
        let to = from + s_out.len();
        let [direction, before, after, gradient] =
            [0, 1, 2, 3].map(|vector| &vectors[vector][from..to]);
        let diagonal = vectors.get(4).map(|diagonal| &diagonal[from..to]);
        for ((s_out, column), d) in s_out.iter_mut().zip(&mut s_column).zip(direction) {
            // Products are those of the pair as stored, rounded to the history's dtype.
            *s_out = H::narrow(step * *d);
            *column = s_out.widen();
        }
        let gradients = after.iter().zip(before);
        for (((y_out, column), d), (after, before)) in y_out
            .iter_mut()
            .zip(&mut y_column)
            .zip(direction)
            .zip(gradients)
        {
            *y_out = H::narrow(theta * (*after - *before) + w * (step * *d));
            *column = y_out.widen();
        }
        let (s, y) = (&s_column[..s_out.len()], &y_column[..s_out.len()]);
        let dy = scale(y, diagonal, &mut scaled_y);
        let dg = scale(gradient, diagonal, &mut scaled_g);
        let [s_s, s_y, s_g] = dots(s_out, [s, y, gradient]);
        let [y_y, y_dy, y_dg] = dots(y_out, [y, dy, dg]);
        add(&mut pair, &[s_s, s_y, y_y, s_g, y_dy, y_dg]);
        for (rows, products) in rows.chunks(ROWS).zip(products.chunks_mut(ROWS)) {
            let moves = row_products(rows, from..to, [y, gradient]);
            let gradients = row_products(rows, d + from..d + to, [dy, dg]);
            let both = moves.iter().zip(&gradients);
            for (products, ([s_y, s_g], [y_dy, y_dg])) in products.iter_mut().zip(both) {
                add(products, &[*s_y, *s_g, *y_dy, *y_dg]);
            }
        }
    }
    (pair, products)
}

pub(super) fn project(
    rows: &[&Var],
    gradient: &Tensor,
    diagonal: Option<&Tensor>,
) -> Result<Vec<RowProducts>> {
    with_element!(rows[0].dtype(), H => project_as::<H>(rows, gradient, diagonal))
}

fn project_as<H: Element>(
    rows: &[&Var],
    gradient: &Tensor,
    diagonal: Option<&Tensor>,
) -> Result<Vec<RowProducts>> {
    let rows: Vec<Tensor> = rows.iter().map(|row| row.as_detached_tensor()).collect();
    let mut vectors = vec![gradient.clone()];
    vectors.extend(diagonal.cloned());
    with_slices(&rows, |rows: Vec<&[H]>| {
        with_slices(&vectors, |vectors: Vec<&[H::Real]>| {
            let d = vectors[0].len();
            let starts: Vec<usize> = (0..d).step_by(CHUNK).collect();
            let chunks = each(starts, |start| {
                vectorized(
                    #[inline(always)]
                    || project_chunk(&rows, &vectors, d, start),
                )
            });
            sum_rows(&chunks, rows.len())
                .into_iter()
                .map(|[s_g, y_dg]| RowProducts {
                    s_g,
                    y_dg,
                    ..RowProducts::default()
                })
                .collect()
        })
    })?
}

#[inline(always)]
fn project_chunk<H: Element>(
    rows: &[&[H]],
    vectors: &[&[H::Real]],
    d: usize,
    start: usize,
) -> Vec<[f64; 2]> {
    let mut scaled = [H::Real::from_f64(0.0); SPAN];
    let mut products = vec![[0.0; 2]; rows.len()];
    let end = d.min(start + CHUNK);
    for from in (start..end).step_by(SPAN) {
        let to = end.min(from + SPAN);
        let gradient = &vectors[0][from..to];
        let diagonal = vectors.get(1).map(|diagonal| &diagonal[from..to]);
        let dg = scale(gradient, diagonal, &mut scaled);
        for (rows, products) in rows.chunks(ROWS).zip(products.chunks_mut(ROWS)) {
            let moves = row_products(rows, from..to, [gradient]);
            let gradients = row_products(rows, d + from..d + to, [dg]);
            let both = moves.iter().zip(&gradients);
            for (products, ([s_g], [y_dg])) in products.iter_mut().zip(both) {
                add(products, &[*s_g, *y_dg]);
            }
        }
    }
    products
}

pub(super) fn combine(
    rows: &[(&Var, Weights)],
    gradient: &Tensor,
    gamma: f64,
    diagonal: Option<&Tensor>,
    direction: &Var,
) -> Result<(f64, f64)> {
    let dtype = rows
        .first()
        .map_or(direction.dtype(), |(row, _)| row.dtype());
    with_element!(dtype, H => combine_as::<H>(rows, gradient, gamma, diagonal, direction))
}

fn combine_as<H: Element>(
    rows: &[(&Var, Weights)],
    gradient: &Tensor,
    gamma: f64,
    diagonal: Option<&Tensor>,
    direction: &Var,
) -> Result<(f64, f64)> {
    let (pairs, weights): (Vec<Tensor>, Vec<Weights>) = rows
        .iter()
        .map(|(row, weights)| (row.as_detached_tensor(), *weights))
        .unzip();
    let mut vectors = vec![gradient.clone()];
    vectors.extend(diagonal.cloned());
    let chunks = with_slices(&pairs, |pairs: Vec<&[H]>| {
        with_slices(&vectors, |vectors: Vec<&[H::Real]>| {
            with_slice_mut(direction, |direction: &mut [H::Real]| {
                let outputs = direction.chunks_mut(CHUNK).enumerate().collect();
                each(outputs, |(chunk, output): (usize, &mut [H::Real])| {
                    vectorized(
                        #[inline(always)]
                        || combine_chunk(&pairs, &weights, &vectors, gamma, chunk * CHUNK, output),
                    )
                })
            })
        })?
    })??;
    Ok(slope_and_largest(&chunks))
}

fn slope_and_largest(chunks: &[(f64, f64)]) -> (f64, f64) {
    let slope = chunks.iter().map(|chunk| chunk.0).sum();
    (
        slope,
        chunks.iter().map(|chunk| chunk.1).fold(0.0, f64::max),
    )
}

#[inline(always)]
fn combine_chunk<H: Element>(
    pairs: &[&[H]],
    weights: &[Weights],
    vectors: &[&[H::Real]],
    gamma: f64,
    start: usize,
    output: &mut [H::Real],
) -> (f64, f64) {
    let d = vectors[0].len();
    let real = H::Real::from_f64;
    let (mut slope, mut most) = (0.0, 0f64);
    for (span, output) in output.chunks_mut(SPAN).enumerate() {
        let from = start + span * SPAN;
        let to = from + output.len();
        let gradient = &vectors[0][from..to];
        for (output, gradient) in output.iter_mut().zip(gradient) {
            *output = real(0.0) - *gradient;
        }
        let newest_first = pairs.iter().zip(weights).rev();
        let gradients = newest_first.map(|(pair, weights)| (&pair[d + from..d + to], weights.y));
        add_rows(gradients, output);
        if let Some(diagonal) = vectors.get(1) {
            for (output, diagonal) in output.iter_mut().zip(&diagonal[from..to]) {
                *output *= *diagonal;
            }
        }
        for output in output.iter_mut() {
            *output *= real(gamma);
        }
        let oldest_first = pairs.iter().zip(weights);
        let moves = oldest_first.map(|(pair, weights)| (&pair[from..to], -weights.s));
        add_rows(moves, output);
        slope += dots(output, [gradient])[0];
        most = most.max(largest(output));
    }
    (slope, most)
}

/// Adds weighted rows to `output` one after the other, four in each pass over it.
#[inline(always)]
fn add_rows<'a, H: Element>(rows: impl Iterator<Item = (&'a [H], f64)>, output: &mut [H::Real]) {
    let rows: Vec<(&[H], H::Real)> = rows
        .map(|(row, weight)| (row, H::Real::from_f64(weight)))
        .collect();
    let (groups, rest) = rows.as_chunks::<4>();
    for [(a, wa), (b, wb), (c, wc), (d, wd)] in groups {
        let elements = output.iter_mut().zip(*a).zip(*b).zip(*c).zip(*d);
        for ((((output, a), b), c), d) in elements {
            let sum = *output + *wa * a.widen() + *wb * b.widen();
            *output = sum + *wc * c.widen() + *wd * d.widen();
        }
    }
    for (row, weight) in rest {
        for (output, row) in output.iter_mut().zip(*row) {
            *output += *weight * row.widen();
        }
    }
}

pub(super) fn norms(vector: &Tensor) -> Result<Norms> {
    with_element!(vector.dtype(), R => norms_as::<R>(vector))
}

fn norms_as<R: Element>(vector: &Tensor) -> Result<Norms> {
    with_slices(std::slice::from_ref(vector), |vector: Vec<&[R::Real]>| {
        let chunks = each(vector[0].chunks(CHUNK).collect(), |chunk: &[R::Real]| {
            vectorized(
                #[inline(always)]
                || {
                    let (mut most, mut sums) = (0f64, [0.0; 2]);
                    for block in chunk.chunks(BLOCK) {
                        most = most.max(largest(block));
                        add(
                            &mut sums,
                            &[sum_of_magnitudes(block), dots(block, [block])[0]],
                        );
                    }
                    (most, sums)
                },
            )
        });
        let [sum, squares] = total(&chunks.iter().map(|chunk| chunk.1).collect::<Vec<_>>());
        Norms {
            largest: chunks.iter().map(|chunk| chunk.0).fold(0.0, f64::max),
            sum,
            euclidean: squares.sqrt(),
        }
    })
}

pub(super) fn slope(gradient: &Tensor, direction: &Tensor) -> Result<(f64, f64)> {
    with_element!(direction.dtype(), R => slope_as::<R>(gradient, direction))
}

fn slope_as<R: Element>(gradient: &Tensor, direction: &Tensor) -> Result<(f64, f64)> {
    let vectors = [gradient.clone(), direction.clone()];
    with_slices(&vectors, |vectors: Vec<&[R::Real]>| {
        let pieces = vectors[0].chunks(CHUNK).zip(vectors[1].chunks(CHUNK));
        let chunks = each(pieces.collect(), |(gradient, direction)| {
            vectorized(
                #[inline(always)]
                || {
                    let (mut slope, mut most) = (0.0, 0f64);
                    for (gradient, direction) in gradient.chunks(BLOCK).zip(direction.chunks(BLOCK))
                    {
                        slope += dots(gradient, [direction])[0];
                        most = most.max(largest(gradient));
                    }
                    (slope, most)
                },
            )
        });
        slope_and_largest(&chunks)
    })
}

pub(super) fn advance(vars: &[Var], base: &Tensor, step: f64, direction: &Tensor) -> Result<()> {
    with_element!(vars[0].dtype(), P => {
        let step = <P as Element>::Real::from_f64(step);
        write_parameters(vars, [base, direction], |parameters: &mut [P], [base, direction]| {
            for ((x, base), d) in parameters.iter_mut().zip(base).zip(direction) {
                *x = P::narrow(*base + step * *d);
            }
        })
    })
}

pub(super) fn scatter(vars: &[Var], base: &Tensor) -> Result<()> {
    with_element!(vars[0].dtype(), P => {
        write_parameters(vars, [base], |parameters: &mut [P], [base]| {
            for (x, base) in parameters.iter_mut().zip(base) {
                *x = P::narrow(*base);
            }
        })
    })
}

/// Calls `f` with each run of parameters and the same run of the vectors.
fn write_parameters<P: Element, const N: usize>(
    vars: &[Var],
    vectors: [&Tensor; N],
    f: impl Fn(&mut [P], [&[P::Real]; N]) + Sync + Send,
) -> Result<()> {
    let vectors = vectors.map(Tensor::clone);
    with_slices(&vectors, |vectors: Vec<&[P::Real]>| {
        let mut start = 0;
        with_batches_mut(vars, |_, parameters: Vec<&mut [P]>| {
            let mut chunks = Vec::new();
            for parameter in parameters {
                for chunk in parameter.chunks_mut(CHUNK) {
                    let end = start + chunk.len();
                    chunks.push((start..end, chunk));
                    start = end;
                }
            }
            each(chunks, |(range, chunk)| {
                let columns = std::array::from_fn(|vector| &vectors[vector][range.clone()]);
                vectorized(
                    #[inline(always)]
                    || f(chunk, columns),
                );
            });
        })
    })?
}

pub(super) fn gather(tensors: &[Tensor], flat: &Var) -> Result<()> {
    with_element!(tensors[0].dtype(), P => {
        read_parameters(tensors, [], flat, |flat, parameters: &[P], []| {
            for (flat, x) in flat.iter_mut().zip(parameters) {
                *flat = x.widen();
            }
        })
    })
}

pub(super) fn displacement(tensors: &[Tensor], base: &Tensor, direction: &Var) -> Result<()> {
    with_element!(tensors[0].dtype(), P => {
        read_parameters(tensors, [base], direction, |direction, parameters: &[P], [base]| {
            for ((d, x), base) in direction.iter_mut().zip(parameters).zip(base) {
                *d = x.widen() - *base;
            }
        })
    })
}

/// Calls `f` with each run of `flat` and the same run of parameters and of the vectors.
fn read_parameters<P: Element, const N: usize>(
    tensors: &[Tensor],
    vectors: [&Tensor; N],
    flat: &Var,
    f: impl Fn(&mut [P::Real], &[P], [&[P::Real]; N]) + Sync + Send,
) -> Result<()> {
    let vectors = vectors.map(Tensor::clone);
    with_slices(tensors, |tensors: Vec<&[P]>| {
        with_slices(&vectors, |vectors: Vec<&[P::Real]>| {
            with_slice_mut(flat, |flat: &mut [P::Real]| {
                let mut chunks = Vec::new();
                let (mut rest, mut start) = (flat, 0);
                for tensor in tensors {
                    for chunk in tensor.chunks(CHUNK) {
                        let (head, tail) = rest.split_at_mut(chunk.len());
                        chunks.push((start, head, chunk));
                        rest = tail;
                        start += chunk.len();
                    }
                }
                each(
                    chunks,
                    |(start, flat, chunk): (usize, &mut [P::Real], &[P])| {
                        let end = start + flat.len();
                        let columns = std::array::from_fn(|vector| &vectors[vector][start..end]);
                        vectorized(
                            #[inline(always)]
                            || f(flat, chunk, columns),
                        );
                    },
                );
            })
        })?
    })?
}
