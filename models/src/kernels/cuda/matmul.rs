//! Matrix products by cuBLAS.

use std::ffi::{c_int, c_void};

use candle_core::cuda::WrapErr;
use candle_core::cuda::cudarc::cublas::result::gemm_strided_batched_ex;
use candle_core::cuda::cudarc::cublas::sys::{
    cublasGemmAlgo_t, cublasMath_t, cublasOperation_t, cublasSetMathMode,
};
use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView, DevicePtr, DevicePtrMut};
use candle_core::{Result, WithDType};

use super::{Gpu, GpuFloat, size};

/// Matrices in a vector, one for each product of a batch, in row-major order.
pub(super) struct Matrices<'a, T> {
    values: CudaView<'a, T>,
    place: MatrixLayout,
    transposed: bool,
}

/// Where matrices are in their vector.
#[derive(Clone, Copy, Default)]
pub(super) struct MatrixLayout {
    /// Elements before the first.
    pub(super) start: usize,
    /// Elements from a row to the next.
    pub(super) row: usize,
    /// Elements from a matrix to the next.
    pub(super) matrix: usize,
}

impl<'a, T> Matrices<'a, T> {
    /// One matrix, whose rows have `columns` elements and lie side by side.
    pub(super) fn one(values: &CudaView<'a, T>, columns: usize) -> Self {
        let place = MatrixLayout {
            row: columns,
            ..MatrixLayout::default()
        };
        Self::at(values, place)
    }

    pub(super) fn at(values: &CudaView<'a, T>, place: MatrixLayout) -> Self {
        Self {
            values: values.slice(place.start..),
            place,
            transposed: false,
        }
    }

    pub(super) fn transposed(self) -> Self {
        Self {
            transposed: !self.transposed,
            ..self
        }
    }

    /// How cuBLAS sees them. It expects columns one after the other, so a row-major matrix looks
    /// transposed to it.
    fn operation(&self) -> cublasOperation_t {
        if self.transposed {
            cublasOperation_t::CUBLAS_OP_T
        } else {
            cublasOperation_t::CUBLAS_OP_N
        }
    }
}

/// The sizes of products: an `m × k` matrix with a `k × n` matrix, `batch` times.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) batch: usize,
}

/// Writes the products of `a` and `b` to `place` in `target`.
///
/// # Safety
/// The matrices must lie within their vectors.
pub(super) unsafe fn multiply<T: GpuFloat>(
    gpu: &Gpu,
    sizes: Sizes,
    a: &Matrices<'_, T>,
    b: &Matrices<'_, T>,
    target: &mut CudaSlice<T>,
    place: MatrixLayout,
) -> Result<()> {
    let (one, zero) = (<T::Real>::from_f64(1.0), <T::Real>::from_f64(0.0));
    let (alpha, beta) = (&raw const one, &raw const zero);
    let [m, n, k, batch] = [sizes.m, sizes.n, sizes.k, sizes.batch].map(|size| size as c_int);
    // Sizes that fit the kernels' counts fit cuBLAS's.
    size(sizes.m.max(sizes.n).max(sizes.k).max(sizes.batch))?;
    if m == 0 || n == 0 || batch == 0 {
        return Ok(());
    }
    let stream = gpu.device.cuda_stream();
    let (a_address, _a) = a.values.device_ptr(&stream);
    let (b_address, _b) = b.values.device_ptr(&stream);
    let mut target = target.slice_mut(place.start..);
    let (target_address, _target) = target.device_ptr_mut(&stream);
    let blas = gpu.device.cublas_handle();
    // Otherwise cuBLAS may sum parts of a half-precision product in half precision.
    let mode = cublasMath_t::CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
    // SAFETY: the handle is Candle's, which holds it as long as the device.
    unsafe { cublasSetMathMode(*blas.handle(), mode) }
        .result()
        .w()?;
    // As cuBLAS sees the matrices transposed, it computes `B^T A^T`, which is the transposed
    // product.
    // SAFETY: the addresses are those of vectors on the GPU, in which the matrices lie, as the
    // caller promises.
    unsafe {
        gemm_strided_batched_ex(
            *blas.handle(),
            b.operation(),
            a.operation(),
            n,
            m,
            k,
            alpha as *const c_void,
            b_address as *const c_void,
            T::BLAS,
            b.place.row as c_int,
            b.place.matrix as i64,
            a_address as *const c_void,
            T::BLAS,
            a.place.row as c_int,
            a.place.matrix as i64,
            beta as *const c_void,
            target_address as *mut c_void,
            T::BLAS,
            place.row as c_int,
            place.matrix as i64,
            batch,
            T::PRODUCTS,
            cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
        )
    }
    .w()
}
