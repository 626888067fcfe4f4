//! The passes on the CPU.
//!
//! Sums are taken over fixed lanes within fixed blocks, and then in f64 over blocks and chunks in
//! their order: the same bits whatever the number of threads and the width of the CPU's vectors.

use std::ops::Range;

use candle_core::{Result, Tensor, Var, WithDType};

use super::products::{Move, Norms, PairProducts, RowProducts, Weights};
use crate::kernels::memory::{with_batches_mut, with_slice_mut, with_slices};
use crate::kernels::number::{Element, Real, sum_lanes, with_element};
use crate::kernels::parallel::{map_chunks, vectorized};

/// Elements per unit of parallel work.
const CHUNK: usize = 32 * 1024;
/// Elements per block, which stays in the first-level cache and is summed in the vectors'
/// precision.
const BLOCK: usize = 1024;
/// Partial sums of one dot product.
const LANES: usize = 64;
/// Rows whose products are taken together: s and y of two pairs. Memory delivers them as four
/// streams, and the columns are read once for all four.
const ROWS: usize = 4;
/// Partial sums of each product of so many rows with two columns, few enough to stay in registers.
const ROW_LANES: usize = 8;
/// Rows that are added up together, as five streams from memory. Ten pairs make two such groups.
const SUMMANDS: usize = 5;

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

/// The products of `row` with each of `columns`, all of them one block.
#[inline(always)]
fn dots<H: Element, const N: usize>(row: &[H], columns: [&[H::Real]; N]) -> [f64; N] {
    let mut sums = [0.0; N];
    // A closure given to `map` would be compiled for the target's baseline.
    for (sum, column) in sums.iter_mut().zip(&columns) {
        *sum = dot(row, column);
    }
    sums
}

/// The product of two blocks, summed in lanes. Compilers vectorize the zipped inner loop; a loop
/// over indices they would unroll.
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

/// s and y of all pairs in turn.
fn rows_of<'a, H>(pairs: &[&'a [H]]) -> Vec<&'a [H]> {
    let halves = |pair: &&'a [H]| pair.split_at(pair.len() / 2);
    pairs.iter().map(halves).flat_map(|(s, y)| [s, y]).collect()
}

/// Adds the products of each row with the columns of one block, `range`, to `products`. Rows are s
/// and y in turn, with columns of their own.
#[inline(always)]
fn add_row_products<H: Element, const N: usize>(
    rows: &[&[H]],
    range: Range<usize>,
    columns: [[&[H::Real]; N]; 2],
    products: &mut [[f64; N]],
) {
    for (rows, products) in rows.chunks(ROWS).zip(products.chunks_mut(ROWS)) {
        // A pair that is left alone is taken twice, which costs little: it is in the cache.
        let rows: [&[H]; ROWS] = std::array::from_fn(|row| &rows[row % rows.len()][range.clone()]);
        for (products, sums) in products.iter_mut().zip(&block_products(rows, columns)) {
            add(products, sums);
        }
    }
}

#[inline(always)]
fn block_products<H: Element, const N: usize>(
    rows: [&[H]; ROWS],
    columns: [[&[H::Real]; N]; 2],
) -> [[f64; N]; ROWS] {
    let rows = rows.map(|row| row.as_chunks::<ROW_LANES>());
    let columns = columns.map(|columns| columns.map(|column| column.as_chunks::<ROW_LANES>()));
    let mut lanes = [[[H::Real::ZERO; ROW_LANES]; N]; ROWS];
    for group in 0..rows[0].0.len() {
        for (row, lanes) in lanes.iter_mut().enumerate() {
            for (column, lanes) in lanes.iter_mut().enumerate() {
                accumulate(
                    lanes,
                    &rows[row].0[group],
                    &columns[row % 2][column].0[group],
                );
            }
        }
    }
    let mut sums = [[0.0; N]; ROWS];
    for (row, (sums, lanes)) in sums.iter_mut().zip(&mut lanes).enumerate() {
        for (column, (sum, lanes)) in sums.iter_mut().zip(lanes).enumerate() {
            accumulate(lanes, rows[row].1, columns[row % 2][column].1);
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

/// The largest magnitude, NaN left out.
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

/// Adds up each row's products over the chunks.
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
    with_slices(&rows, |pairs: Vec<&[H]>| {
        let rows = rows_of(&pairs);
        with_slices(&vectors, |vectors: Vec<&[H::Real]>| {
            with_slice_mut(pair, |pair: &mut [H]| {
                let d = vectors[0].len();
                let (s, y) = pair.split_at_mut(d);
                let outputs: Vec<_> = s
                    .chunks_mut(CHUNK)
                    .zip(y.chunks_mut(CHUNK))
                    .enumerate()
                    .collect();
                let chunks = map_chunks(outputs, |(chunk, (s, y))| {
                    vectorized(
                        #[inline(always)]
                        || extend_chunk(&rows, &vectors, move_weights, chunk * CHUNK, s, y),
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
                    .as_chunks::<2>()
                    .0
                    .iter()
                    .map(|&[[s_y, s_g], [y_dy, y_dg]]| RowProducts {
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

/// Writes one chunk of the new pair and returns its products and those of the rows: of s with y and
/// g, of y with Dy and Dg.
#[inline(always)]
fn extend_chunk<H: Element>(
    rows: &[&[H]],
    vectors: &[&[H::Real]],
    [step, theta, w]: [H::Real; 3],
    start: usize,
    s_out: &mut [H],
    y_out: &mut [H],
) -> ([f64; 6], Vec<[f64; 2]>) {
    let zero = H::Real::from_f64(0.0);
    let mut s_column = [zero; BLOCK];
    let mut y_column = [zero; BLOCK];
    let mut scaled_y = [zero; BLOCK];
    let mut scaled_g = [zero; BLOCK];
    let mut pair = [0.0; 6];
    let mut products = vec![[0.0; 2]; rows.len()];
    for (block, (s_out, y_out)) in s_out
        .chunks_mut(BLOCK)
        .zip(y_out.chunks_mut(BLOCK))
        .enumerate()
    {
        let from = start + block * BLOCK;
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
        let columns = [[y, gradient], [dy, dg]];
        add_row_products(rows, from..to, columns, &mut products);
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
    with_slices(&rows, |pairs: Vec<&[H]>| {
        let rows = rows_of(&pairs);
        with_slices(&vectors, |vectors: Vec<&[H::Real]>| {
            let d = vectors[0].len();
            let starts: Vec<usize> = (0..d).step_by(CHUNK).collect();
            let chunks = map_chunks(starts, |start| {
                vectorized(
                    #[inline(always)]
                    || project_chunk(&rows, &vectors, start),
                )
            });
            sum_rows(&chunks, rows.len())
                .as_chunks::<2>()
                .0
                .iter()
                .map(|&[[s_g], [y_dg]]| RowProducts {
                    s_g,
                    y_dg,
                    ..RowProducts::default()
                })
                .collect()
        })
    })?
}

#[inline(always)]
fn project_chunk<H: Element>(rows: &[&[H]], vectors: &[&[H::Real]], start: usize) -> Vec<[f64; 1]> {
    let mut scaled = [H::Real::from_f64(0.0); BLOCK];
    let mut products = vec![[0.0]; rows.len()];
    let end = vectors[0].len().min(start + CHUNK);
    for from in (start..end).step_by(BLOCK) {
        let to = end.min(from + BLOCK);
        let gradient = &vectors[0][from..to];
        let diagonal = vectors.get(1).map(|diagonal| &diagonal[from..to]);
        let dg = scale(gradient, diagonal, &mut scaled);
        add_row_products(rows, from..to, [[gradient], [dg]], &mut products);
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
            let rows = weighted(&pairs, &weights);
            with_slice_mut(direction, |direction: &mut [H::Real]| {
                let outputs = direction.chunks_mut(CHUNK).enumerate().collect();
                map_chunks(outputs, |(chunk, output): (usize, &mut [H::Real])| {
                    vectorized(
                        #[inline(always)]
                        || combine_chunk(&rows, &vectors, gamma, chunk * CHUNK, output),
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

/// A row and its weight in the direction.
type Weighted<'a, H> = (&'a [H], <H as Element>::Real);

/// The rows y with their weights, newest first, and the rows s with theirs, oldest first: the order
/// of the two-loop recursion.
fn weighted<'a, H: Element>(pairs: &[&'a [H]], weights: &[Weights]) -> [Vec<Weighted<'a, H>>; 2] {
    let real = H::Real::from_f64;
    let rows = rows_of(pairs);
    let pairs = || rows.as_chunks::<2>().0.iter().zip(weights);
    let gradients = pairs().rev().map(|(&[_, y], weights)| (y, real(weights.y)));
    let moves = pairs().map(|(&[s, _], weights)| (s, real(-weights.s)));
    [gradients.collect(), moves.collect()]
}

#[inline(always)]
fn combine_chunk<H: Element>(
    [gradients, moves]: &[Vec<Weighted<'_, H>>; 2],
    vectors: &[&[H::Real]],
    gamma: f64,
    start: usize,
    output: &mut [H::Real],
) -> (f64, f64) {
    let real = H::Real::from_f64;
    let (mut slope, mut most) = (0.0, 0f64);
    for (block, output) in output.chunks_mut(BLOCK).enumerate() {
        let from = start + block * BLOCK;
        let to = from + output.len();
        let gradient = &vectors[0][from..to];
        for (output, gradient) in output.iter_mut().zip(gradient) {
            *output = real(0.0) - *gradient;
        }
        add_rows(gradients, from..to, output);
        if let Some(diagonal) = vectors.get(1) {
            for (output, diagonal) in output.iter_mut().zip(&diagonal[from..to]) {
                *output *= *diagonal;
            }
        }
        for output in output.iter_mut() {
            *output *= real(gamma);
        }
        add_rows(moves, from..to, output);
        slope += dot(output, gradient);
        most = most.max(largest(output));
    }
    (slope, most)
}

/// Adds weighted rows, within `range`, to `output`: [`SUMMANDS`] in each pass over it, and the rest
/// one by one.
#[inline(always)]
fn add_rows<H: Element>(rows: &[Weighted<'_, H>], range: Range<usize>, output: &mut [H::Real]) {
    let (groups, rest) = rows.as_chunks::<SUMMANDS>();
    for [(a, wa), (b, wb), (c, wc), (d, wd), (e, we)] in groups {
        let [a, b, c, d, e] = [a, b, c, d, e].map(|row| &row[range.clone()]);
        let elements = output.iter_mut().zip(a).zip(b).zip(c).zip(d).zip(e);
        for (((((output, a), b), c), d), e) in elements {
            let sum = *output + *wa * a.widen() + *wb * b.widen();
            *output = sum + *wc * c.widen() + *wd * d.widen() + *we * e.widen();
        }
    }
    for (row, weight) in rest {
        for (output, row) in output.iter_mut().zip(&row[range.clone()]) {
            *output += *weight * row.widen();
        }
    }
}

pub(super) fn norms(vector: &Tensor) -> Result<Norms> {
    with_element!(vector.dtype(), R => norms_as::<R>(vector))
}

fn norms_as<R: Element>(vector: &Tensor) -> Result<Norms> {
    with_slices(std::slice::from_ref(vector), |vector: Vec<&[R::Real]>| {
        let chunks = map_chunks(vector[0].chunks(CHUNK).collect(), |chunk: &[R::Real]| {
            vectorized(
                #[inline(always)]
                || {
                    let (mut most, mut sums) = (0f64, [0.0; 2]);
                    for block in chunk.chunks(BLOCK) {
                        most = most.max(largest(block));
                        add(&mut sums, &[sum_of_magnitudes(block), dot(block, block)]);
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
        let chunks = map_chunks(pieces.collect(), |(gradient, direction)| {
            vectorized(
                #[inline(always)]
                || {
                    let (mut slope, mut most) = (0.0, 0f64);
                    for (gradient, direction) in gradient.chunks(BLOCK).zip(direction.chunks(BLOCK))
                    {
                        slope += dot(gradient, direction);
                        most = most.max(largest(gradient));
                    }
                    (slope, most)
                },
            )
        });
        slope_and_largest(&chunks)
    })
}

pub(super) fn step_along(vars: &[Var], base: &Tensor, step: f64, direction: &Tensor) -> Result<()> {
    with_element!(vars[0].dtype(), P => {
        let step = <P as Element>::Real::from_f64(step);
        write_parameters(vars, [base, direction], |parameters: &mut [P], [base, direction]| {
            for ((x, base), d) in parameters.iter_mut().zip(base).zip(direction) {
                *x = P::saturate(*base + step * *d);
            }
        })
    })
}

pub(super) fn unflatten(vars: &[Var], base: &Tensor) -> Result<()> {
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
            map_chunks(chunks, |(range, chunk)| {
                let columns = std::array::from_fn(|vector| &vectors[vector][range.clone()]);
                vectorized(
                    #[inline(always)]
                    || f(chunk, columns),
                );
            });
        })
    })?
}

pub(super) fn flatten(tensors: &[Tensor], flat: &Var) -> Result<()> {
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
                map_chunks(
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
