//! Functions of slices as nodes of Candle's graph.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, DType, Device, Error, Layout, Result, Shape,
    Storage, Tensor,
};

#[cfg(feature = "cuda")]
use super::cuda;
use super::parallel::in_pool;
use super::{Float, Function};

/// Evaluates a function on tensors, so that Candle can differentiate through it.
pub(crate) trait Apply<const N: usize>: Sized {
    /// The function's value at `inputs`.
    fn apply(self, inputs: [&Tensor; N]) -> Result<Tensor>;
}

impl<F: Function<1>> Apply<1> for F {
    fn apply(self, [a]: [&Tensor; 1]) -> Result<Tensor> {
        a.contiguous()?.apply_op1(Node(self))
    }
}

impl<F: Function<2>> Apply<2> for F {
    fn apply(self, [a, b]: [&Tensor; 2]) -> Result<Tensor> {
        a.contiguous()?.apply_op2(&b.contiguous()?, Node(self))
    }
}

impl<F: Function<3>> Apply<3> for F {
    fn apply(self, [a, b, c]: [&Tensor; 3]) -> Result<Tensor> {
        a.contiguous()?
            .apply_op3(&b.contiguous()?, &c.contiguous()?, Node(self))
    }
}

struct Node<F>(F);

impl<F: Function<1>> CustomOp1 for Node<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn cpu_fwd(&self, a: &CpuStorage, a_layout: &Layout) -> Result<(CpuStorage, Shape)> {
        forward(&self.0, [(a, a_layout)])
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, a: &CudaStorage, a_layout: &Layout) -> Result<(CudaStorage, Shape)> {
        cuda::forward(&self.0, [(a, a_layout)])
    }

    fn bwd(&self, a: &Tensor, output: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let [a] = backward(&self.0, [a], output, gradient)?;
        Ok(a)
    }
}

impl<F: Function<2>> CustomOp2 for Node<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        forward(&self.0, [(a, a_layout), (b, b_layout)])
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        a: &CudaStorage,
        a_layout: &Layout,
        b: &CudaStorage,
        b_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        cuda::forward(&self.0, [(a, a_layout), (b, b_layout)])
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok(backward(&self.0, [a, b], output, gradient)?.into())
    }
}

impl<F: Function<3>> CustomOp3 for Node<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
        c: &CpuStorage,
        c_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        forward(&self.0, [(a, a_layout), (b, b_layout), (c, c_layout)])
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        a: &CudaStorage,
        a_layout: &Layout,
        b: &CudaStorage,
        b_layout: &Layout,
        c: &CudaStorage,
        c_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        cuda::forward(&self.0, [(a, a_layout), (b, b_layout), (c, c_layout)])
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        Ok(backward(&self.0, [a, b, c], output, gradient)?.into())
    }
}

fn forward<const N: usize, F: Function<N>>(
    function: &F,
    inputs: [(&CpuStorage, &Layout); N],
) -> Result<(CpuStorage, Shape)> {
    fn typed<const N: usize, F: Function<N>, T: Float>(
        function: &F,
        inputs: [(&CpuStorage, &Layout); N],
    ) -> Result<CpuStorage> {
        let inputs = slices(inputs, F::NAME)?;
        let output = in_pool(|| function.forward::<T>(inputs));
        Ok(T::to_cpu_storage_owned(output))
    }
    let output = match inputs[0].0.dtype() {
        DType::F32 => typed::<N, F, f32>(function, inputs)?,
        DType::F64 => typed::<N, F, f64>(function, inputs)?,
        other => return Err(Error::UnsupportedDTypeForOp(other, F::NAME).bt()),
    };
    Ok((output, function.shape()))
}

fn backward<const N: usize, F: Function<N>>(
    function: &F,
    inputs: [&Tensor; N],
    output: &Tensor,
    gradient: &Tensor,
) -> Result<[Option<Tensor>; N]> {
    fn typed<const N: usize, F: Function<N>, T: Float>(
        function: &F,
        inputs: [&Tensor; N],
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<[Option<Tensor>; N]> {
        let needed = inputs.map(Tensor::track_op);
        let gradient = gradient.contiguous()?;
        let tensors = [&inputs[..], &[output, &gradient]].concat();
        let gradients = with_values(&tensors, F::NAME, |values| {
            let inputs = std::array::from_fn(|i| values[i]);
            function.backward::<T>(inputs, values[N], values[N + 1], needed)
        })?;
        let mut tensors = std::array::from_fn(|_| None);
        for ((tensor, gradient), input) in tensors.iter_mut().zip(gradients).zip(inputs) {
            if let Some(gradient) = gradient {
                *tensor = Some(Tensor::from_vec(gradient, input.shape(), &Device::Cpu)?);
            }
        }
        Ok(tensors)
    }
    #[cfg(feature = "cuda")]
    if gradient.device().is_cuda() {
        return cuda::backward(function, inputs, output, gradient);
    }
    match gradient.dtype() {
        DType::F32 => typed::<N, F, f32>(function, inputs, output, gradient),
        DType::F64 => typed::<N, F, f64>(function, inputs, output, gradient),
        other => Err(Error::UnsupportedDTypeForOp(other, F::NAME).bt()),
    }
}

/// What `work`, on a thread of the pool, makes of the values of contiguous tensors on the CPU.
pub(super) fn with_values<T: Float, R: Send>(
    tensors: &[&Tensor],
    op: &'static str,
    work: impl FnOnce(&[&[T]]) -> R + Send,
) -> Result<R> {
    let guards: Vec<_> = tensors
        .iter()
        .map(|tensor| tensor.storage_and_layout())
        .collect();
    let mut values = Vec::with_capacity(guards.len());
    for (storage, layout) in &guards {
        let Storage::Cpu(storage) = &**storage else {
            candle_core::bail!("{op}: expected a tensor on the CPU");
        };
        let [slice] = slices([(storage, *layout)], op)?;
        values.push(slice);
    }
    Ok(in_pool(|| work(&values)))
}

pub(super) fn slices<'a, T: Float, const N: usize>(
    inputs: [(&'a CpuStorage, &Layout); N],
    op: &'static str,
) -> Result<[&'a [T]; N]> {
    let mut slices: [&[T]; N] = [&[]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(inputs) {
        let (start, end) = layout
            .contiguous_offsets()
            .ok_or_else(|| Error::RequiresContiguous { op }.bt())?;
        *slice = &storage.as_slice::<T>()?[start..end];
    }
    Ok(slices)
}
