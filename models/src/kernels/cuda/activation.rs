//! Activations and dropout.

use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView, DeviceRepr};
use candle_core::{CudaStorage, Result};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{Gpu, GpuFloat, OnGpu, UntypedView, grid, launch, size};
use crate::kernels::{Activate, DropOut, DropoutMask};
use crate::options::Activation;

impl Activation {
    /// The kernels' number for it.
    fn kind(self) -> u32 {
        match self {
            Self::Relu => 0,
            Self::Gelu => 1,
            Self::GeluErf => 2,
            Self::Tanh => 3,
        }
    }

    /// The values at each element of `input`.
    pub(super) fn values_on_gpu<T: GpuFloat>(
        self,
        gpu: &Gpu,
        input: CudaView<'_, T>,
    ) -> Result<CudaSlice<T>> {
        let (count, kind) = (size(input.len())?, self.kind());
        let mut output = gpu.alloc_uninit::<T>(input.len())?;
        // SAFETY: both vectors have `count` elements.
        unsafe {
            launch!(gpu, gpu.kernel::<T>("activate")?, grid(count),
                [input, count, kind] => [output])?
        };
        Ok(output)
    }

    /// `gradient` times the derivative at each element of `input`.
    pub(super) fn derivatives_on_gpu<T: GpuFloat>(
        self,
        gpu: &Gpu,
        input: CudaView<'_, T>,
        gradient: CudaView<'_, T>,
    ) -> Result<CudaSlice<T>> {
        let (count, kind) = (size(input.len())?, self.kind());
        let mut result = gpu.alloc_uninit::<T>(input.len())?;
        // SAFETY: all vectors have `count` elements.
        unsafe {
            launch!(gpu, gpu.kernel::<T>("activate_gradient")?, grid(count),
                [input, gradient, count, kind] => [result])?;
        }
        Ok(result)
    }
}

impl OnGpu<1> for Activate {
    fn forward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [input]: [CudaView<'_, T>; 1],
    ) -> Result<CudaStorage> {
        Ok(gpu.store(self.activation.values_on_gpu(gpu, input)?))
    }

    fn backward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [input]: [CudaView<'_, T>; 1],
        _output: UntypedView<'_>,
        gradient: UntypedView<'_>,
        _needed: [bool; 1],
    ) -> Result<[Option<CudaSlice<T>>; 1]> {
        let result = self
            .activation
            .derivatives_on_gpu(gpu, input, gradient.view()?)?;
        Ok([Some(result)])
    }
}

/// Random words that a thread draws at once, as in `kernels.cu`.
const CHACHA_WORDS: u32 = 16;

/// A [`DropoutMask`] as the kernel takes it, laid out as in `kernels.cu`.
#[repr(C)]
struct GpuDropoutMask {
    key: [u32; 8],
    stream: [u32; 2],
    threshold: u32,
    padding: u32,
    keep: f64,
}

// SAFETY: numbers only, without padding between them.
unsafe impl DeviceRepr for GpuDropoutMask {}

impl DropoutMask {
    fn on_gpu(&self) -> GpuDropoutMask {
        let seed = ChaCha8Rng::seed_from_u64(self.seed).get_seed();
        let mut words = seed
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| u32::from_le_bytes(*bytes));
        GpuDropoutMask {
            key: std::array::from_fn(|_| words.next().unwrap_or_default()),
            stream: [self.stream as u32, (self.stream >> 32) as u32],
            threshold: self.threshold(),
            padding: 0,
            keep: self.keep(),
        }
    }

    /// Multiplies all values by their factors.
    pub(super) fn scale_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        values: &mut CudaSlice<T>,
    ) -> Result<()> {
        let count = size(values.len())?;
        let mask = self.on_gpu();
        let threads = grid(count.div_ceil(CHACHA_WORDS));
        let mut values = values.as_view_mut();
        // SAFETY: the vector has `count` elements.
        unsafe { launch!(gpu, gpu.kernel::<T>("drop_out")?, threads, [mask, count] => [values]) }
    }
}

impl OnGpu<1> for DropOut {
    fn forward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [input]: [CudaView<'_, T>; 1],
    ) -> Result<CudaStorage> {
        let mut output = gpu.copy(&input)?;
        self.mask.scale_on_gpu(gpu, &mut output)?;
        Ok(gpu.store(output))
    }

    fn backward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        _inputs: [CudaView<'_, T>; 1],
        _output: UntypedView<'_>,
        gradient: UntypedView<'_>,
        _needed: [bool; 1],
    ) -> Result<[Option<CudaSlice<T>>; 1]> {
        let mut result = gpu.copy(&gradient.view()?)?;
        self.mask.scale_on_gpu(gpu, &mut result)?;
        Ok([Some(result)])
    }
}
