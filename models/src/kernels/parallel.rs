//! Work in pieces of fixed size, shared out among threads, and sums in a fixed order.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{Float, vectorized};

/// How many elements one piece of work covers: large enough to outweigh handing it to a thread,
/// small enough to stay in a core's cache.
pub(super) const PIECE: usize = 1 << 14;

/// Runs all of `work` on a thread of rayon's pool. A parallel loop that starts on any other thread
/// has to wake a thread of the pool first, and to be woken at its end; this way both happen once.
pub(crate) fn in_pool<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| work())
}

/// How many images of a batch one task covers. It depends on the batch alone, so that sums over
/// images have the same order on any number of threads.
pub(crate) fn images_per_task(batch: usize) -> usize {
    batch.div_ceil(16)
}

/// A vector of `len` elements that `work` writes in pieces of `piece` elements (the last may be
/// shorter), on all threads, and what it returns for each piece, in order.
///
/// A piece starts as zeros. The thread that writes it makes these just before, so that they are
/// still in its cache; zeros for the whole vector at once would cost another pass through memory.
pub(crate) fn from_pieces<T: Float, R: Send>(
    len: usize,
    piece: usize,
    work: impl Fn(usize, &mut [T]) -> R + Sync,
) -> (Vec<T>, Vec<R>) {
    let mut values = Vec::with_capacity(len);
    let results = values.spare_capacity_mut()[..len]
        .par_chunks_mut(piece)
        .enumerate()
        .map(|(index, piece)| work(index, zeroed(piece)))
        .collect();
    // SAFETY: the capacity is at least `len`, and every piece of the first `len` elements was
    // written.
    unsafe { values.set_len(len) };
    (values, results)
}

/// Zeros, on all threads: a large vector is memory that other work has left, which has to be cleared.
pub(crate) fn zeros<T: Float>(len: usize) -> Vec<T> {
    if len <= PIECE {
        return vec![T::zero(); len];
    }
    from_pieces(len, PIECE, |_, _| ()).0
}

/// Zeros in uninitialised memory.
fn zeroed<T: Float>(memory: &mut [MaybeUninit<T>]) -> &mut [T] {
    for element in memory.iter_mut() {
        element.write(T::zero());
    }
    // SAFETY: every element was just written.
    unsafe { memory.assume_init_mut() }
}

/// A vector of `len` elements in rows of `width`, which `work` writes in blocks of rows: it is
/// given the index of the first row and the rows, which start as zeros.
pub(crate) fn from_row_blocks<T: Float>(
    len: usize,
    width: usize,
    work: impl Fn(usize, &mut [T]) + Sync,
) -> Vec<T> {
    let rows = rows_per_piece(width);
    if len <= rows * width {
        let mut values = vec![T::zero(); len];
        vectorized(
            #[inline(always)]
            || work(0, &mut values),
        );
        return values;
    }
    let work = |piece: usize, values: &mut [T]| {
        vectorized(
            #[inline(always)]
            || work(piece * rows, values),
        )
    };
    from_pieces(len, rows * width, work).0
}

/// How many rows of `width` elements make one piece of work.
pub(crate) fn rows_per_piece(width: usize) -> usize {
    (PIECE / width.max(1)).max(1)
}

/// Calls `work` with each chunk of `output` and the matching chunk of `input`.
pub(crate) fn map_chunks<T: Float>(
    input: &[T],
    output: &mut [T],
    work: impl Fn(&[T], &mut [T]) + Sync,
) {
    if output.len() <= PIECE {
        return vectorized(
            #[inline(always)]
            || work(input, output),
        );
    }
    output
        .par_chunks_mut(PIECE)
        .zip(input.par_chunks(PIECE))
        .for_each(|(output, input)| {
            vectorized(
                #[inline(always)]
                || work(input, output),
            )
        });
}

/// Adds values to sums.
pub(crate) fn add<T: Float>(values: &[T], sums: &mut [T]) {
    map_chunks(
        values,
        sums,
        #[inline(always)]
        |values, sums| add_assign(sums, values),
    );
}

/// Calls `work` with the index of the first row and the rows of each piece of `output`, whose rows
/// have `width` elements.
pub(crate) fn for_each_row_block<T: Float>(
    output: &mut [T],
    width: usize,
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    let rows = rows_per_piece(width);
    if output.len() <= rows * width {
        return vectorized(
            #[inline(always)]
            || work(0, output),
        );
    }
    output
        .par_chunks_mut(rows * width)
        .enumerate()
        .for_each(|(piece, output)| {
            vectorized(
                #[inline(always)]
                || work(piece * rows, output),
            )
        });
}

/// The sum of the rows of a matrix with `width` columns.
pub(crate) fn column_sums<T: Float>(matrix: &[T], width: usize) -> Vec<T> {
    let partial = |rows: &[T]| {
        vectorized(
            #[inline(always)]
            || {
                let mut sums = vec![T::zero(); width];
                for row in rows.chunks_exact(width) {
                    add_assign(&mut sums, row);
                }
                sums
            },
        )
    };
    let partials: Vec<Vec<T>> = matrix
        .par_chunks(rows_per_piece(width) * width)
        .map(partial)
        .collect();
    combine(partials, width)
}

/// The sum of equally long vectors, in their order.
pub(crate) fn combine<T: Float>(partials: Vec<Vec<T>>, width: usize) -> Vec<T> {
    let mut partials = partials.into_iter();
    let mut sums = partials.next().unwrap_or_else(|| vec![T::zero(); width]);
    for partial in partials {
        add_assign(&mut sums, &partial);
    }
    sums
}

#[inline(always)]
fn add_assign<T: Float>(sums: &mut [T], row: &[T]) {
    for (sum, value) in sums.iter_mut().zip(row) {
        *sum += *value;
    }
}

/// How many partial sums a reduction over a row keeps.
const LANES: usize = 16;

/// The sum of `f` over a row: 16 interleaved partial sums, added pairwise.
#[inline(always)]
pub(crate) fn sum_of<T: Float>(row: &[T], f: impl Fn(T) -> T) -> T {
    let mut lanes = [T::zero(); LANES];
    let mut chunks = row.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += f(*value);
        }
    }
    for (lane, value) in lanes.iter_mut().zip(chunks.remainder()) {
        *lane += f(*value);
    }
    sum_lanes(lanes)
}

/// The sum of `f` over the pairs of two rows, in the order of [`sum_of`].
#[inline(always)]
pub(crate) fn sum_of_products<T: Float>(a: &[T], b: &[T], f: impl Fn(T, T) -> T) -> T {
    let mut lanes = [T::zero(); LANES];
    let mut a_chunks = a.chunks_exact(LANES);
    let mut b_chunks = b.chunks_exact(LANES);
    for (a, b) in (&mut a_chunks).zip(&mut b_chunks) {
        for (i, lane) in lanes.iter_mut().enumerate() {
            *lane += f(a[i], b[i]);
        }
    }
    let rest = a_chunks.remainder().iter().zip(b_chunks.remainder());
    for (lane, (a, b)) in lanes.iter_mut().zip(rest) {
        *lane += f(*a, *b);
    }
    sum_lanes(lanes)
}

/// The largest value of a row; NaN is passed over.
#[inline(always)]
pub(crate) fn max_of<T: Float>(row: &[T]) -> T {
    let mut lanes = [T::NEG_INFINITY; LANES];
    let mut chunks = row.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*value, *lane);
        }
    }
    for (lane, value) in lanes.iter_mut().zip(chunks.remainder()) {
        *lane = larger(*value, *lane);
    }
    lanes.into_iter().fold(T::NEG_INFINITY, larger)
}

#[inline(always)]
fn larger<T: Float>(a: T, b: T) -> T {
    if a > b { a } else { b }
}

#[inline(always)]
fn sum_lanes<T: Float>(mut lanes: [T; LANES]) -> T {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}
