//! Eigenvectors of symmetric matrices and orthonormal bases, on the host.

use candle_core::{DType, Device, Result, Tensor, WithDType};
use faer::traits::RealField;
use faer::{Mat, MatRef, Side};

/// The eigenvectors of a symmetric matrix of finite elements as columns, those of the largest
/// eigenvalues first, computed in f64; its dtype and device stay. A matrix whose eigenvalues are not
/// found gives the unit vectors.
pub(super) fn eigenvectors(matrix: &Tensor) -> Result<Tensor> {
    let host = to_host::<f64>(matrix)?;
    let Ok(eigen) = host.self_adjoint_eigen(Side::Lower) else {
        return Tensor::eye(host.nrows(), matrix.dtype(), matrix.device());
    };
    // They come with the smallest first.
    to_tensor(eigen.U().reverse_cols(), matrix)
}

/// The power -1/`order` of a symmetric matrix of finite elements without negative eigenvalues,
/// computed in f64; its dtype and device stay. Eigenvalues below what f64 tells from 0 beside the
/// largest count as that much. A matrix whose eigenvalues are not found gives the unit matrix.
pub(super) fn inverse_root(matrix: &Tensor, order: usize) -> Result<Tensor> {
    let host = to_host::<f64>(matrix)?;
    let n = host.nrows();
    let Ok(eigen) = host.self_adjoint_eigen(Side::Lower) else {
        return Tensor::eye(n, matrix.dtype(), matrix.device());
    };
    let (values, vectors) = (eigen.S(), eigen.U());
    let least = (0..n).fold(1e-30, |least: f64, i| least.max(values[i] * 1e-15));
    let power = |i: usize| values[i].max(least).powf(-1.0 / order as f64);
    let scaled = Mat::from_fn(n, n, |row, column| vectors[(row, column)] * power(column));
    to_tensor((scaled * vectors.transpose()).as_ref(), matrix)
}

/// One step of orthogonal iteration: of the basis Q, the orthonormal basis of M·Q, after its columns
/// are ordered by QᵀMQ's diagonal, the largest first; and that order. It is computed in the dtype of
/// the basis, f32 or f64: an iteration that goes on from the last one does not add up its errors.
pub(super) fn iterated(matrix: &Tensor, basis: &Tensor) -> Result<(Tensor, Vec<u32>)> {
    match basis.dtype() {
        DType::F32 => iterated_in::<f32>(matrix, basis),
        _ => iterated_in::<f64>(matrix, basis),
    }
}

fn iterated_in<T: RealField + WithDType>(
    matrix: &Tensor,
    basis: &Tensor,
) -> Result<(Tensor, Vec<u32>)> {
    let (host, old) = (to_host::<T>(matrix)?, to_host::<T>(basis)?);
    let product = host * &old;
    let estimates: Vec<f64> = (0..old.ncols())
        .map(|column| (old.col(column).transpose() * product.col(column)).to_f64())
        .collect();
    let order = descending(&estimates);
    let ordered = Mat::from_fn(product.nrows(), product.ncols(), |row, column| {
        product[(row, order[column])]
    });
    let new = ordered.qr().compute_thin_Q();
    let order = order.into_iter().map(|index| index as u32).collect();
    Ok((to_tensor(new.as_ref(), basis)?, order))
}

/// The places of `values` from the largest to the smallest; equal ones keep their order.
fn descending(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order
}

fn to_host<T: RealField + WithDType>(matrix: &Tensor) -> Result<Mat<T>> {
    let (rows, columns) = matrix.dims2()?;
    let matrix = matrix.to_device(&Device::Cpu)?.to_dtype(T::DTYPE)?;
    let elements: Vec<T> = matrix.flatten_all()?.to_vec1()?;
    Ok(MatRef::from_row_major_slice(&elements, rows, columns).to_owned())
}

/// `matrix` in the dtype and on the device of `like`.
fn to_tensor<T: RealField + WithDType>(matrix: MatRef<'_, T>, like: &Tensor) -> Result<Tensor> {
    let (rows, columns) = (matrix.nrows(), matrix.ncols());
    let elements: Vec<T> = (0..rows)
        .flat_map(|row| (0..columns).map(move |column| matrix[(row, column)]))
        .collect();
    let tensor = Tensor::from_vec(elements, (rows, columns), &Device::Cpu)?;
    tensor.to_dtype(like.dtype())?.to_device(like.device())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A symmetric matrix with eigenvalues 4, 2 and 1 in a rotated basis.
    fn example() -> (Tensor, Vec<Vec<f64>>) {
        let (c, s) = (0.6, 0.8);
        let basis = vec![vec![c, -s, 0.0], vec![s, c, 0.0], vec![0.0, 0.0, 1.0]];
        let q = Tensor::new(basis.clone(), &Device::Cpu).unwrap();
        let values = Tensor::new(&[[2f64], [4.0], [1.0]], &Device::Cpu).unwrap();
        let matrix = q.matmul(&q.t().unwrap().broadcast_mul(&values).unwrap());
        (matrix.unwrap(), basis)
    }

    #[test]
    fn eigenvectors_come_with_the_largest_eigenvalue_first() {
        let (matrix, basis) = example();
        let found: Vec<Vec<f64>> = eigenvectors(&matrix).unwrap().to_vec2().unwrap();
        for (column, expected) in [1, 0, 2].into_iter().enumerate() {
            let product: f64 = (0..3)
                .map(|row| found[row][column] * basis[row][expected])
                .sum();
            assert!((product.abs() - 1.0).abs() < 1e-14, "{found:?}");
        }
    }

    #[test]
    fn inverse_roots_multiply_to_the_inverse() {
        let (matrix, _) = example();
        let root = inverse_root(&matrix, 4).unwrap();
        let square = root.matmul(&root).unwrap();
        let unit = square.matmul(&square).unwrap().matmul(&matrix).unwrap();
        let unit: Vec<Vec<f64>> = unit.to_vec2().unwrap();
        for (row, elements) in unit.iter().enumerate() {
            for (column, found) in elements.iter().enumerate() {
                let expected = if row == column { 1.0 } else { 0.0 };
                assert!((found - expected).abs() < 1e-13, "{unit:?}");
            }
        }
    }

    #[test]
    fn iteration_converges_to_the_eigenvectors() {
        let (matrix, _) = example();
        let mut basis = Tensor::eye(3, DType::F64, &Device::Cpu).unwrap();
        let (_, order) = iterated(&matrix, &basis).unwrap();
        // The diagonal is 0.36·2 + 0.64·4, 0.64·2 + 0.36·4 and 1.
        assert_eq!(order, [0, 1, 2]);
        for _ in 0..60 {
            basis = iterated(&matrix, &basis).unwrap().0;
        }
        let product = basis.t().unwrap().matmul(&matrix).unwrap().matmul(&basis);
        let product: Vec<Vec<f64>> = product.unwrap().to_vec2().unwrap();
        for (row, eigenvalue) in [4.0, 2.0, 1.0].into_iter().enumerate() {
            for (column, found) in product[row].iter().enumerate() {
                let expected = if row == column { eigenvalue } else { 0.0 };
                assert!((found - expected).abs() < 1e-13, "{product:?}");
            }
        }
    }
}
