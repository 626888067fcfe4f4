//! Loops over coordinates that the compiler can turn into vector instructions: a plain sum must be
//! added up in order, one number at a time; here eight partial sums are kept.

const LANES: usize = 8;

/// For each i, `f` gets the i-th numbers of the inputs and returns a term and an output. Writes the
/// outputs and returns the sum of the terms. The inputs may be longer than the output.
#[inline(always)]
pub(crate) fn sweep<const K: usize>(
    inputs: [&[f64]; K],
    output: &mut [f64],
    f: impl Fn([f64; K]) -> (f64, f64),
) -> f64 {
    let inputs = inputs.map(|input| input[..output.len()].as_chunks::<LANES>());
    let (blocks, rest) = output.as_chunks_mut::<LANES>();
    let whole = inputs.map(|(whole, _)| &whole[..blocks.len()]);
    let mut sums = [0.0; LANES];
    for (i, block) in blocks.iter_mut().enumerate() {
        // Copies, so that the compiler knows that writing does not change what is read next.
        let at = whole.map(|input| input[i]);
        let results: [(f64, f64); LANES] =
            std::array::from_fn(|lane| f(at.map(|input| input[lane])));
        for lane in 0..LANES {
            sums[lane] += results[lane].0;
            block[lane] = results[lane].1;
        }
    }
    for (i, out) in rest.iter_mut().enumerate() {
        let (term, value) = f(inputs.map(|(_, rest)| rest[i]));
        sums[i] += term;
        *out = value;
    }
    sums.iter().sum()
}

/// The sum over i of `f` of the i-th numbers of the inputs, which are equally long.
#[inline(always)]
pub(crate) fn sum<const K: usize>(inputs: [&[f64]; K], f: impl Fn([f64; K]) -> f64) -> f64 {
    let count = inputs[0].len();
    let inputs = inputs.map(|input| input[..count].as_chunks::<LANES>());
    let whole = inputs.map(|(whole, _)| &whole[..count / LANES]);
    let mut sums = [0.0; LANES];
    for i in 0..count / LANES {
        let at = whole.map(|input| &input[i]);
        for lane in 0..LANES {
            sums[lane] += f(at.map(|input| input[lane]));
        }
    }
    for i in 0..count % LANES {
        sums[i] += f(inputs.map(|(_, rest)| rest[i]));
    }
    sums.iter().sum()
}

/// Writes `f` of the i-th numbers of the inputs into the i-th output. The inputs may be longer.
#[inline(always)]
pub(crate) fn map<const K: usize>(
    inputs: [&[f64]; K],
    output: &mut [f64],
    f: impl Fn([f64; K]) -> f64,
) {
    let inputs = inputs.map(|input| input[..output.len()].as_chunks::<LANES>());
    let (blocks, rest) = output.as_chunks_mut::<LANES>();
    let whole = inputs.map(|(whole, _)| &whole[..blocks.len()]);
    for (i, block) in blocks.iter_mut().enumerate() {
        let at = whole.map(|input| input[i]);
        *block = std::array::from_fn(|lane| f(at.map(|input| input[lane])));
    }
    for (i, out) in rest.iter_mut().enumerate() {
        *out = f(inputs.map(|(_, rest)| rest[i]));
    }
}

// The next four are compiled here, where they are optimised: crates that call them need not be.

/// aᵀb.
///
/// # Panics
/// If `b` is shorter than `a`.
#[inline(never)]
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    sum([a, b], |[a, b]| a * b)
}

/// Adds `factor`·a to `total`, as far as both go.
#[inline(never)]
pub fn add_scaled(factor: f64, a: &[f64], total: &mut [f64]) {
    for (total, a) in total.iter_mut().zip(a) {
        *total += factor * a;
    }
}

/// aᵀb, where a has the given `values` in the given `columns` and is zero elsewhere.
///
/// # Panics
/// If `b` lacks one of the columns.
#[inline(never)]
pub fn sparse_dot(columns: &[u32], values: &[f32], b: &[f64]) -> f64 {
    let entries = columns.iter().zip(values);
    entries.map(|(&k, &a)| f64::from(a) * b[k as usize]).sum()
}

/// Adds `factor`·a to `total`, where a has the given `values` in the given `columns` and is zero elsewhere.
///
/// # Panics
/// If `total` lacks one of the columns.
#[inline(never)]
pub fn add_sparse(factor: f64, columns: &[u32], values: &[f32], total: &mut [f64]) {
    for (&k, &a) in columns.iter().zip(values) {
        total[k as usize] += factor * f64::from(a);
    }
}
