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
    let count = output.len();
    let inputs = inputs.map(|input| &input[..count]);
    let mut sums = [0.0; LANES];
    let whole = count - count % LANES;
    let (blocks, rest) = output.split_at_mut(whole);
    for (block, out) in blocks.chunks_exact_mut(LANES).enumerate() {
        let at = inputs.map(|input| &input[block * LANES..][..LANES]);
        for lane in 0..LANES {
            let (term, value) = f(at.map(|input| input[lane]));
            sums[lane] += term;
            out[lane] = value;
        }
    }
    for (i, out) in rest.iter_mut().enumerate() {
        let (term, value) = f(inputs.map(|input| input[whole + i]));
        sums[i] += term;
        *out = value;
    }
    sums.iter().sum()
}

/// The sum over i of `f` of the i-th numbers of the inputs, which are equally long.
#[inline(always)]
pub(crate) fn sum<const K: usize>(inputs: [&[f64]; K], f: impl Fn([f64; K]) -> f64) -> f64 {
    let count = inputs[0].len();
    let inputs = inputs.map(|input| &input[..count]);
    let mut sums = [0.0; LANES];
    let whole = count - count % LANES;
    for start in (0..whole).step_by(LANES) {
        let at = inputs.map(|input| &input[start..][..LANES]);
        for lane in 0..LANES {
            sums[lane] += f(at.map(|input| input[lane]));
        }
    }
    for i in whole..count {
        sums[i - whole] += f(inputs.map(|input| input[i]));
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
    let inputs = inputs.map(|input| &input[..output.len()]);
    for (i, out) in output.iter_mut().enumerate() {
        *out = f(inputs.map(|input| input[i]));
    }
}
