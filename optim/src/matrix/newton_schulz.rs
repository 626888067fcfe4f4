//! The Newton–Schulz iteration, which brings all singular values of a matrix near 1.

use candle_core::{Result, Tensor};

use super::product::product;
use crate::kernels;

/// Makes the `iterations` of the quintic iteration with coefficients (a, b, c), from the matrix over
/// its Frobenius norm, or over `epsilon` where that is larger:
///
/// ```text
/// A = X·Xᵀ,  X ← a·X + (b·A + c·A²)·X
/// ```
///
/// Singular vectors stay. A matrix with more rows than columns is transposed meanwhile, so that A is
/// the smaller product. All elements are finite.
pub(super) fn orthogonalized(
    matrix: &Tensor,
    [a, b, c]: [f64; 3],
    iterations: u64,
    epsilon: f64,
) -> Result<Tensor> {
    let (rows, columns) = matrix.dims2()?;
    let norm = kernels::norm(std::slice::from_ref(matrix))?.max(epsilon);
    if norm == 0.0 {
        return Ok(matrix.clone());
    }
    let tall = rows > columns;
    let mut x = if tall { matrix.t()? } else { matrix.clone() };
    x = (x.contiguous()? / norm)?;
    for _ in 0..iterations {
        let gram = product(&x, &x.t()?)?;
        let polynomial = ((&gram * b)? + (product(&gram, &gram)? * c)?)?;
        x = ((&x * a)? + product(&polynomial, &x)?)?;
    }
    if tall {
        return x.t()?.contiguous();
    }
    Ok(x)
}
