//! The functions of the room above on NVIDIA cards: `kernels.cu`, compiled by the build script and loaded when first
//! used, and the products and convolutions of cuBLAS and cuDNN.
//!
//! All work is queued on the device's one stream, where Candle queues its own, so that it runs in the order of the
//! calls. Half-precision elements are computed with and summed up in f32.

mod activation;
mod attention;
mod batch_norm;
mod convolution;
mod cross_entropy;
#[cfg(feature = "cudnn")]
mod cudnn;
mod embedding;
mod layer_norm;
mod linear;
mod matmul;
mod node;
mod pool;

use candle_core::backend::BackendStorage;
use candle_core::cuda::cudarc::cublas::sys::{cublasComputeType_t, cudaDataType};
use candle_core::cuda::cudarc::driver::{
    CudaFunction, CudaSlice, CudaView, DeviceRepr, LaunchArgs, LaunchConfig, ValidAsZeroBits,
};
use candle_core::cuda::{CudaDType, WrapErr};
use candle_core::{CudaDevice, CudaStorage, Error, Layout, Result, WithDType, bail};
use half::{bf16, f16};

use super::{
    Activate, Affine, BatchNorm, CausalAttention, Convolve, ConvolveNormalize, ConvolvePool,
    DropOut, GroupNormalize, LayerNormalize, LinearCrossEntropy, LookUp, MeanCrossEntropy, Pool,
};
use convolution::Convolved;
pub(super) use node::{backward, forward};

include!(concat!(env!("OUT_DIR"), "/kernels.rs"));

/// Threads of a block, as in `kernels.cu`.
const THREADS: u32 = 256;

/// A function of `N` tensors on a card, given as flat views in row-major order.
pub(crate) trait OnCard<const N: usize> {
    /// The output.
    ///
    /// # Errors
    /// When the card has no such function, no memory or another fault.
    fn forward_on_card<T: CardFloat>(
        &self,
        _card: &Card,
        _inputs: [CudaView<'_, T>; N],
    ) -> Result<CudaStorage> {
        bail!("{} has no kernel on cards", std::any::type_name::<Self>())
    }

    /// The gradients with respect to the inputs, of which only those in `needed` are asked for.
    ///
    /// # Errors
    /// As [`OnCard::forward_on_card`].
    fn backward_on_card<T: CardFloat>(
        &self,
        _card: &Card,
        _inputs: [CudaView<'_, T>; N],
        _output: Values<'_>,
        _gradient: Values<'_>,
        _needed: [bool; N],
    ) -> Result<[Option<CudaSlice<T>>; N]> {
        bail!("{} has no kernel on cards", std::any::type_name::<Self>())
    }
}

// On the CPU alone; layers take plain tensor operations, or the parts, on cards.
impl OnCard<3> for ConvolvePool {}
impl OnCard<3> for GroupNormalize {}

/// An element type of the kernels.
pub(crate) trait CardFloat:
    WithDType + CudaDType + DeviceRepr + ValidAsZeroBits + Convolved
{
    /// The type of the arithmetic.
    type Real: CardFloat;
    /// The type's name in cuBLAS.
    const BLAS: cudaDataType;
    /// How cuBLAS computes with it: never in less than the type of the arithmetic.
    const PRODUCTS: cublasComputeType_t = cublasComputeType_t::CUBLAS_COMPUTE_32F;
}

impl CardFloat for f32 {
    type Real = f32;
    const BLAS: cudaDataType = cudaDataType::CUDA_R_32F;
}

impl CardFloat for f64 {
    type Real = f64;
    const BLAS: cudaDataType = cudaDataType::CUDA_R_64F;
    const PRODUCTS: cublasComputeType_t = cublasComputeType_t::CUBLAS_COMPUTE_64F;
}

impl CardFloat for f16 {
    type Real = f32;
    const BLAS: cudaDataType = cudaDataType::CUDA_R_16F;
}

impl CardFloat for bf16 {
    type Real = f32;
    const BLAS: cudaDataType = cudaDataType::CUDA_R_16BF;
}

/// Queues a kernel with its arguments in their order: what it reads, then what it writes, all of them variables.
///
/// # Safety
/// The arguments must be those of the kernel in `functions.cuh`, in number, order and type, and the vectors of as many
/// elements as it reads and writes there.
macro_rules! launch {
    ($card:expr, $kernel:expr, $grid:expr, [$($input:ident),*] => [$($output:ident),*]) => {{
        let (kernel, stream) = ($kernel, $card.device.cuda_stream());
        let mut arguments = stream.launch_builder(&kernel);
        $(candle_core::cuda::cudarc::driver::PushKernelArg::arg(&mut arguments, &$input);)*
        $(candle_core::cuda::cudarc::driver::PushKernelArg::arg(&mut arguments, &mut $output);)*
        $card.run(arguments, $grid)
    }};
}
use launch;

/// A card, as the functions use it.
pub(crate) struct Card {
    device: CudaDevice,
}

impl Card {
    fn of(storage: &CudaStorage) -> Self {
        Self {
            device: storage.device().clone(),
        }
    }

    /// The kernel of an operation on elements of type `T`.
    fn kernel<T: CardFloat>(&self, operation: &str) -> Result<CudaFunction> {
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
    unsafe fn run(&self, mut arguments: LaunchArgs<'_>, (x, y): (u32, u32)) -> Result<()> {
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

    /// Room for `length` elements, to be written by whoever asks.
    ///
    /// # Errors
    /// When the card has none, with the bytes asked for.
    fn room<T: DeviceRepr>(&self, length: usize) -> Result<CudaSlice<T>> {
        // The driver does not allocate nothing.
        let length = length.max(1);
        // SAFETY: every pattern of bits is a number of these types.
        let room = unsafe { self.device.alloc::<T>(length) };
        room.map_err(|error| {
            let bytes = length * size_of::<T>();
            Error::Msg(format!("no room for {bytes} bytes on the card: {error}")).bt()
        })
    }

    /// Zeros in room as above.
    fn zeros<T: CardFloat>(&self, length: usize) -> Result<CudaSlice<T>> {
        let mut zeros = self.room(length)?;
        self.device.cuda_stream().memset_zeros(&mut zeros).w()?;
        Ok(zeros)
    }

    /// A copy of a vector.
    fn copy<T: CardFloat>(&self, vector: &CudaView<'_, T>) -> Result<CudaSlice<T>> {
        let mut copy = self.room(vector.len())?;
        if !vector.is_empty() {
            self.device.memcpy_dtod(vector, &mut copy)?;
        }
        Ok(copy)
    }

    /// A table of the host's on the card.
    fn upload<T: DeviceRepr + ValidAsZeroBits + 'static>(
        &self,
        table: &[T],
    ) -> Result<CudaSlice<T>> {
        if table.is_empty() {
            return self.device.alloc_zeros(1);
        }
        self.device.clone_htod(table)
    }

    /// A vector as Candle stores it.
    fn store<T: CardFloat>(&self, vector: CudaSlice<T>) -> CudaStorage {
        CudaStorage::wrap_cuda_slice(vector, self.device.clone())
    }
}

/// A size or count as the kernels take it.
fn size(size: usize) -> Result<u32> {
    match i32::try_from(size) {
        Ok(size) => Ok(size as u32),
        Err(_) => bail!(
            "{size} elements are too many for the kernels on cards: at most {}",
            i32::MAX
        ),
    }
}

/// The grid of a kernel with a thread for each of `count` elements, or for every so many of them.
fn grid(count: u32) -> (u32, u32) {
    (count.div_ceil(THREADS).min(1 << 20), 1)
}

/// A contiguous tensor on the card whose type is not known yet.
#[derive(Clone, Copy)]
pub(crate) struct Values<'a> {
    storage: &'a CudaStorage,
    layout: &'a Layout,
}

impl<'a> Values<'a> {
    fn view<T: CardFloat>(&self) -> Result<CudaView<'a, T>> {
        let Some((start, end)) = self.layout.contiguous_offsets() else {
            return Err(Error::RequiresContiguous { op: "view" }.bt());
        };
        Ok(self.storage.as_cuda_slice::<T>()?.slice(start..end))
    }
}
