//! The GPU as the kernels use it: memory, kernels by name, launches, element types.

use candle_core::backend::BackendStorage;
use candle_core::cuda::cudarc::cublas::sys::{cublasComputeType_t, cudaDataType};
#[cfg(feature = "cudnn")]
use candle_core::cuda::cudarc::cudnn::CudnnDataType as ConvolutionType;
use candle_core::cuda::cudarc::driver::{
    CudaFunction, CudaSlice, CudaView, DeviceRepr, LaunchArgs, LaunchConfig, ValidAsZeroBits,
};
use candle_core::cuda::{CudaDType, WrapErr};
use candle_core::{CudaDevice, CudaStorage, Error, Layout, Result, WithDType, bail};
use half::{bf16, f16};

include!(concat!(env!("OUT_DIR"), "/kernels.rs"));

/// Threads of a block, as in `kernels.cu`.
pub(super) const THREADS: u32 = 256;

/// What cuDNN demands of an element type: nothing in builds without it.
#[cfg(not(feature = "cudnn"))]
pub(crate) trait ConvolutionType {}
#[cfg(not(feature = "cudnn"))]
impl<T> ConvolutionType for T {}

/// An element type of the kernels.
pub(crate) trait GpuFloat:
    WithDType + CudaDType + DeviceRepr + ValidAsZeroBits + ConvolutionType
{
    /// The type of the arithmetic.
    type Real: GpuFloat;
    /// The type's name in cuBLAS.
    const BLAS: cudaDataType;
    /// The type that cuBLAS computes in: never less precise than that of the arithmetic.
    const PRODUCTS: cublasComputeType_t = cublasComputeType_t::CUBLAS_COMPUTE_32F;
}

impl GpuFloat for f32 {
    type Real = f32;
    const BLAS: cudaDataType = cudaDataType::CUDA_R_32F;
}

impl GpuFloat for f64 {
    type Real = f64;
    const BLAS: cudaDataType = cudaDataType::CUDA_R_64F;
    const PRODUCTS: cublasComputeType_t = cublasComputeType_t::CUBLAS_COMPUTE_64F;
}

impl GpuFloat for f16 {
    type Real = f32;
    const BLAS: cudaDataType = cudaDataType::CUDA_R_16F;
}

impl GpuFloat for bf16 {
    type Real = f32;
    const BLAS: cudaDataType = cudaDataType::CUDA_R_16BF;
}

/// Queues a kernel with its arguments in order: what it reads, then what it writes, each a
/// variable.
///
/// # Safety
/// The arguments must be those of the kernel in `functions.cuh`, in number, order and type. Each
/// vector must have as many elements as the kernel reads or writes there.
macro_rules! launch {
    ($gpu:expr, $kernel:expr, $grid:expr, [$($input:ident),*] => [$($output:ident),*]) => {{
        let (kernel, stream) = ($kernel, $gpu.device.cuda_stream());
        let mut arguments = stream.launch_builder(&kernel);
        $(candle_core::cuda::cudarc::driver::PushKernelArg::arg(&mut arguments, &$input);)*
        $(candle_core::cuda::cudarc::driver::PushKernelArg::arg(&mut arguments, &mut $output);)*
        $gpu.run(arguments, $grid)
    }};
}
pub(super) use launch;

/// A GPU, as the functions use it.
pub(crate) struct Gpu {
    pub(super) device: CudaDevice,
}

impl Gpu {
    pub(super) fn of(storage: &CudaStorage) -> Self {
        Self {
            device: storage.device().clone(),
        }
    }

    /// The kernel of an operation on elements of type `T`.
    pub(super) fn kernel<T: GpuFloat>(&self, operation: &str) -> Result<CudaFunction> {
        let name = format!("{operation}_{}", T::DTYPE.as_str());
        let kernel = self
            .device
            .get_or_load_custom_func(&name, "models", KERNELS)?;
        Ok(kernel.into_cuda_function())
    }

    /// Queues a kernel on a grid of blocks; nothing where there are none.
    ///
    /// # Safety
    /// As [`launch!`].
    pub(super) unsafe fn run(
        &self,
        mut arguments: LaunchArgs<'_>,
        (x, y): (u32, u32),
    ) -> Result<()> {
        if x == 0 || y == 0 {
            return Ok(());
        }
        let config = LaunchConfig {
            grid_dim: (x, y, 1),
            block_dim: (THREADS, 1, 1),
            shared_mem_bytes: 0,
        };
        // SAFETY: as the caller promises.
        unsafe { arguments.launch(config) }.w()?;
        Ok(())
    }

    /// Memory for `length` elements, which hold any values until a kernel writes them.
    ///
    /// # Errors
    /// When the GPU has too little, with the bytes asked for.
    pub(super) fn alloc_uninit<T: DeviceRepr>(&self, length: usize) -> Result<CudaSlice<T>> {
        // The driver refuses to allocate 0 bytes.
        let length = length.max(1);
        // SAFETY: device memory always holds some bits, and any bits are a number of these types.
        let memory = unsafe { self.device.alloc::<T>(length) };
        memory.map_err(|error| {
            let bytes = length * size_of::<T>();
            Error::Msg(format!("no room for {bytes} bytes on the GPU: {error}")).bt()
        })
    }

    /// `length` zeros.
    pub(super) fn zeros<T: GpuFloat>(&self, length: usize) -> Result<CudaSlice<T>> {
        let mut zeros = self.alloc_uninit(length)?;
        self.device.cuda_stream().memset_zeros(&mut zeros).w()?;
        Ok(zeros)
    }

    /// A copy of a vector.
    pub(super) fn copy<T: GpuFloat>(&self, vector: &CudaView<'_, T>) -> Result<CudaSlice<T>> {
        let mut copy = self.alloc_uninit(vector.len())?;
        if !vector.is_empty() {
            self.device.memcpy_dtod(vector, &mut copy)?;
        }
        Ok(copy)
    }

    /// A copy of a host's table on the GPU.
    pub(super) fn upload<T: DeviceRepr + ValidAsZeroBits + 'static>(
        &self,
        table: &[T],
    ) -> Result<CudaSlice<T>> {
        if table.is_empty() {
            return self.device.alloc_zeros(1);
        }
        self.device.clone_htod(table)
    }

    /// A vector as Candle stores it.
    pub(super) fn store<T: GpuFloat>(&self, vector: CudaSlice<T>) -> CudaStorage {
        CudaStorage::wrap_cuda_slice(vector, self.device.clone())
    }
}

/// A size or count as the kernels take it.
pub(super) fn size(size: usize) -> Result<u32> {
    match i32::try_from(size) {
        Ok(size) => Ok(size as u32),
        Err(_) => bail!(
            "{size} elements are too many for the kernels on GPUs: at most {}",
            i32::MAX
        ),
    }
}

/// The grid of a kernel that needs `count` threads.
pub(super) fn grid(count: u32) -> (u32, u32) {
    (count.div_ceil(THREADS).min(1 << 20), 1)
}

/// A contiguous tensor on the GPU whose type is not known yet.
#[derive(Clone, Copy)]
pub(crate) struct UntypedView<'a> {
    pub(super) storage: &'a CudaStorage,
    pub(super) layout: &'a Layout,
}

impl<'a> UntypedView<'a> {
    pub(super) fn view<T: GpuFloat>(&self) -> Result<CudaView<'a, T>> {
        let Some((start, end)) = self.layout.contiguous_offsets() else {
            return Err(Error::RequiresContiguous { op: "view" }.bt());
        };
        Ok(self.storage.as_cuda_slice::<T>()?.slice(start..end))
    }
}
