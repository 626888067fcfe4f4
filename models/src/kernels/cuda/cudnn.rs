//! Convolutions and their gradients by cuDNN: in f32 arithmetic, never in TF32, and only by
//! algorithms that sum in a fixed order.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_int;
use std::sync::Arc;

use candle_core::Result;
use candle_core::cuda::DeviceId;
use candle_core::cuda::cudarc::cudnn::sys::{
    cudnnConvolutionBwdDataAlgo_t, cudnnConvolutionBwdFilterAlgo_t, cudnnConvolutionMode_t,
    cudnnMathType_t, cudnnTensorFormat_t,
};
use candle_core::cuda::cudarc::cudnn::{
    ConvBackwardData, ConvBackwardFilter, ConvDescriptor, ConvForward, Cudnn, FilterDescriptor,
    TensorDescriptor,
};
use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView};

use super::{Gpu, GpuFloat};
use crate::kernels::Geometry;

thread_local! {
    /// A handle for each device; handles stay on their thread.
    static HANDLES: RefCell<HashMap<DeviceId, Arc<Cudnn>>> = RefCell::default();
}

fn handle(gpu: &Gpu) -> Result<Arc<Cudnn>> {
    HANDLES.with_borrow_mut(|handles| {
        if let Some(handle) = handles.get(&gpu.device.id()) {
            return Ok(handle.clone());
        }
        let handle = Cudnn::new(gpu.device.cuda_stream())?;
        handles.insert(gpu.device.id(), handle.clone());
        // Never destroyed: a thread that ends with the process might do so after CUDA has shut
        // down.
        std::mem::forget(handle.clone());
        Ok(handle)
    })
}

/// A convolution's input, weight and output, as cuDNN describes them.
struct Descriptors<T: GpuFloat> {
    convolution: ConvDescriptor<T::Real>,
    input: TensorDescriptor<T>,
    weight: FilterDescriptor<T>,
    output: TensorDescriptor<T>,
}

impl<T: GpuFloat> Descriptors<T> {
    fn new(gpu: &Gpu, geometry: &Geometry) -> Result<Self> {
        let cudnn = handle(gpu)?;
        let both = |pixels: usize| [pixels as c_int; 2];
        let sizes = |sizes: [usize; 4]| sizes.map(|size| size as c_int);
        let mut convolution = cudnn.create_conv2d::<T::Real>(
            both(geometry.padding),
            both(geometry.stride),
            both(geometry.dilation),
            cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION,
        )?;
        convolution.set_group_count(geometry.groups as c_int)?;
        // By default cuDNN rounds f32 to TF32, which has three digits.
        convolution.set_math_type(match T::DTYPE.size_in_bytes() {
            2 => cudnnMathType_t::CUDNN_TENSOR_OP_MATH,
            _ => cudnnMathType_t::CUDNN_FMA_MATH,
        })?;
        let format = cudnnTensorFormat_t::CUDNN_TENSOR_NCHW;
        let Geometry {
            batch,
            in_channels,
            out_channels,
            height,
            width,
            kernel,
            ..
        } = *geometry;
        let outputs = [
            batch,
            out_channels,
            geometry.out_height(),
            geometry.out_width(),
        ];
        let weights = [out_channels, geometry.group_inputs(), kernel, kernel];
        Ok(Self {
            convolution,
            input: cudnn.create_4d_tensor(format, sizes([batch, in_channels, height, width]))?,
            weight: cudnn.create_4d_filter(format, sizes(weights))?,
            output: cudnn.create_4d_tensor(format, sizes(outputs))?,
        })
    }
}

/// The factors of the result and of the values it replaces.
fn replace<T: GpuFloat>() -> (T, T) {
    (T::from_f64(1.0), T::from_f64(0.0))
}

impl Geometry {
    pub(super) fn convolve_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        input: &CudaView<'_, T>,
        weight: &CudaView<'_, T>,
    ) -> Result<CudaSlice<T>> {
        let descriptors = Descriptors::<T>::new(gpu, self)?;
        let convolution = ConvForward {
            conv: &descriptors.convolution,
            x: &descriptors.input,
            w: &descriptors.weight,
            y: &descriptors.output,
        };
        let algorithm = convolution.pick_algorithm()?;
        let mut workspace = gpu.alloc_uninit::<u8>(convolution.get_workspace_size(algorithm)?)?;
        let mut output = gpu.alloc_uninit::<T>(self.batch * self.out_size())?;
        // SAFETY: the vectors have the sizes and types that the descriptors give.
        unsafe {
            convolution.launch(
                algorithm,
                Some(&mut workspace),
                replace::<T>(),
                input,
                weight,
                &mut output,
            )?
        };
        Ok(output)
    }

    pub(super) fn gradients_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [input, weight]: [CudaView<'_, T>; 2],
        gradient: &CudaView<'_, T>,
        [input_needed, weight_needed]: [bool; 2],
    ) -> Result<[Option<CudaSlice<T>>; 2]> {
        let descriptors = Descriptors::<T>::new(gpu, self)?;
        let input_gradient =
            input_needed.then(|| descriptors.input_gradient(gpu, &weight, gradient, input.len()));
        let weight_gradient =
            weight_needed.then(|| descriptors.weight_gradient(gpu, &input, gradient, weight.len()));
        Ok([input_gradient.transpose()?, weight_gradient.transpose()?])
    }
}

impl<T: GpuFloat> Descriptors<T> {
    fn input_gradient(
        &self,
        gpu: &Gpu,
        weight: &CudaView<'_, T>,
        gradient: &CudaView<'_, T>,
        length: usize,
    ) -> Result<CudaSlice<T>> {
        use cudnnConvolutionBwdDataAlgo_t::{
            CUDNN_CONVOLUTION_BWD_DATA_ALGO_0, CUDNN_CONVOLUTION_BWD_DATA_ALGO_1,
        };
        let convolution = ConvBackwardData {
            conv: &self.convolution,
            dx: &self.input,
            w: &self.weight,
            dy: &self.output,
        };
        let algorithm = match convolution.pick_algorithm()? {
            // Adds up in any order.
            CUDNN_CONVOLUTION_BWD_DATA_ALGO_0 => CUDNN_CONVOLUTION_BWD_DATA_ALGO_1,
            other => other,
        };
        let mut workspace = gpu.alloc_uninit::<u8>(convolution.get_workspace_size(algorithm)?)?;
        let mut result = gpu.alloc_uninit::<T>(length)?;
        // SAFETY: the vectors have the sizes and types that the descriptors give.
        unsafe {
            convolution.launch(
                algorithm,
                Some(&mut workspace),
                replace::<T>(),
                &mut result,
                weight,
                gradient,
            )?
        };
        Ok(result)
    }

    fn weight_gradient(
        &self,
        gpu: &Gpu,
        input: &CudaView<'_, T>,
        gradient: &CudaView<'_, T>,
        length: usize,
    ) -> Result<CudaSlice<T>> {
        use cudnnConvolutionBwdFilterAlgo_t::{
            CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1,
            CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3,
        };
        let convolution = ConvBackwardFilter {
            conv: &self.convolution,
            x: &self.input,
            dw: &self.weight,
            dy: &self.output,
        };
        let algorithm = match convolution.pick_algorithm()? {
            // Add up in any order.
            CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0 | CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3 => {
                CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1
            }
            other => other,
        };
        let mut workspace = gpu.alloc_uninit::<u8>(convolution.get_workspace_size(algorithm)?)?;
        let mut result = gpu.alloc_uninit::<T>(length)?;
        // SAFETY: the vectors have the sizes and types that the descriptors give.
        unsafe {
            convolution.launch(
                algorithm,
                Some(&mut workspace),
                replace::<T>(),
                input,
                &mut result,
                gradient,
            )?
        };
        Ok(result)
    }
}
