//! Products of matrices that are the same on every processor.

use candle_core::{Result, Tensor};

/// Terms that the products of Candle's CPU backend add up one after the other, whatever the processor: from here on, the size of
/// its first-level cache decides.
const BLOCK: usize = 512;

/// A·B of two matrices. On the CPU the order of every sum does not depend on the width of vectors or the size of caches: the sum
/// of each [`BLOCK`] of terms, one after the other, and then the sum of these.
pub(super) fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let (rows, terms) = a.dims2()?;
    let columns = b.dim(1)?;
    if !a.device().is_cpu() {
        return a.matmul(b);
    }
    // Candle multiplies a factor that is a vector, or is laid out by columns, in another order: so a vector gets a second row or
    // column, of zeros, and every factor is laid out by rows.
    let a = match rows {
        1 => a.pad_with_zeros(0, 0, 1)?,
        _ => a.clone(),
    };
    let b = match columns {
        1 => b.pad_with_zeros(1, 0, 1)?,
        _ => b.clone(),
    };
    let mut sum: Option<Tensor> = None;
    for first in (0..terms).step_by(BLOCK) {
        let count = BLOCK.min(terms - first);
        let left = a.narrow(1, first, count)?.contiguous()?;
        let right = b.narrow(0, first, count)?.contiguous()?;
        let block = left.matmul(&right)?;
        sum = Some(match sum {
            Some(sum) => (sum + block)?,
            None => block,
        });
    }
    match sum {
        Some(sum) => sum.narrow(0, 0, rows)?.narrow(1, 0, columns)?.contiguous(),
        None => Tensor::zeros((rows, columns), a.dtype(), a.device()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use candle_core::{Device, WithDType};

    use super::*;

    fn check<T: WithDType + Default + std::ops::Add<Output = T>>(fused: fn(T, T, T) -> T) {
        let drawn = |rows: usize, columns: usize, seed: usize| -> Vec<T> {
            (0..rows * columns)
                .map(|i| T::from_f64((((i + seed) * 7919 % 1009) as f64 / 504.0).sin()))
                .collect()
        };
        for (m, k, n) in [
            (1, 1, 1),
            (5, 3, 7),
            (10, 64, 10),
            (48, 64, 48),
            (64, 784, 64),
            (130, 513, 130),
            (2, 2000, 3),
            (1, 784, 10),
            (16, 600, 1),
            (1, 600, 1),
        ] {
            let (a, b) = (drawn(m, k, 1), drawn(k, n, 5));
            let entry = |i: usize, j: usize| {
                let blocks = (0..k).step_by(BLOCK).map(|first| {
                    let terms = first..(first + BLOCK).min(k);
                    terms.fold(T::default(), |sum, p| {
                        fused(a[i * k + p], b[p * n + j], sum)
                    })
                });
                blocks.reduce(|sum, block| sum + block).unwrap()
            };
            let expected: Vec<T> = (0..m * n).map(|at| entry(at / n, at % n)).collect();
            let left = Tensor::from_slice(&a, (m, k), &Device::Cpu).unwrap();
            let right = Tensor::from_slice(&b, (k, n), &Device::Cpu).unwrap();
            // The same factor with its columns one after the other.
            let turned = right.t().unwrap().contiguous().unwrap().t().unwrap();
            for right in [right, turned] {
                let found = product(&left, &right).unwrap().flatten_all().unwrap();
                assert!(found.to_vec1::<T>().unwrap() == expected, "{m} × {k} × {n}");
            }
        }
        let empty = Tensor::zeros((2, 0), T::DTYPE, &Device::Cpu).unwrap();
        let none = product(&empty, &empty.t().unwrap()).unwrap();
        assert_eq!(none.dims(), [2, 2]);
    }

    /// The order in which gemm multiplies and adds at once, without rounding in between.
    #[test]
    fn sums_are_in_the_order_of_their_terms() {
        check::<f32>(f32::mul_add);
        check::<f64>(f64::mul_add);
    }
}
