//! The vectors of optimizer state beside the parameters.

use candle_core::{DType, Device, Tensor, Var, WithDType};

use super::memory::zeros;
use super::norm::{norm, sum_of_slices};
use super::number::state_dtype;
use crate::error::Result;

/// Up to `N` vectors of optimizer state beside the parameters, in f64 for f64 parameters and in
/// f32 for all others: flat host memory on the CPU, one tensor per parameter elsewhere.
#[derive(Debug)]
pub(crate) enum StateVectors<const N: usize> {
    F32([Vec<f32>; N]),
    F64([Vec<f64>; N]),
    /// By parameter, then by vector.
    Tensors(Vec<[Option<Tensor>; N]>),
}

impl<const N: usize> StateVectors<N> {
    /// Zero vectors, those that are `used`.
    pub(crate) fn zeros(vars: &[Var], used: [bool; N]) -> Result<Self> {
        let d: usize = vars.iter().map(|var| var.elem_count()).sum();
        let length = |used| if used { d } else { 0 };
        match vars.first().map(|var| (var.device(), var.dtype())) {
            Some((Device::Cpu, DType::F64)) => {
                Ok(Self::F64(used.map(|used| vec![0.0; length(used)])))
            }
            Some((Device::Cpu, _)) => Ok(Self::F32(used.map(|used| vec![0.0; length(used)]))),
            _ => Self::zero_tensors(vars, used),
        }
    }

    /// Zero vectors in tensors, whatever the device.
    pub(crate) fn zero_tensors(vars: &[Var], used: [bool; N]) -> Result<Self> {
        let tensors = vars.iter().map(|var| {
            let dtype = state_dtype(var.dtype());
            let mut state = [const { None }; N];
            for (vector, used) in state.iter_mut().zip(used) {
                if used {
                    *vector = Some(zeros(var.shape(), dtype, var.device())?.into_inner());
                }
            }
            Ok(state)
        });
        Ok(Self::Tensors(tensors.collect::<Result<_>>()?))
    }

    /// Vector `index` as one tensor per parameter.
    pub(crate) fn export(&self, vars: &[Var], index: usize) -> Result<Vec<Tensor>> {
        fn split<T: WithDType>(vars: &[Var], vector: &[T]) -> Result<Vec<Tensor>> {
            let mut rest = vector;
            let tensors = vars.iter().map(|var| {
                let (head, tail) = rest.split_at(var.elem_count());
                rest = tail;
                Ok(Tensor::from_slice(head, var.shape(), &Device::Cpu)?)
            });
            tensors.collect()
        }
        match self {
            Self::F32(vectors) => split(vars, &vectors[index]),
            Self::F64(vectors) => split(vars, &vectors[index]),
            Self::Tensors(tensors) => Ok(tensors
                .iter()
                .filter_map(|state| state[index].as_ref())
                // Kernels change the state in place.
                .map(|vector| Ok(vector.copy()?))
                .collect::<Result<_>>()?),
        }
    }

    /// The Euclidean norm of vector `index`.
    pub(crate) fn norm(&self, index: usize) -> Result<f64> {
        match self {
            Self::F32(vectors) => Ok(sum_of_slices(vec![&vectors[index]]).sqrt()),
            Self::F64(vectors) => Ok(sum_of_slices(vec![&vectors[index]]).sqrt()),
            Self::Tensors(tensors) => {
                let vector = tensors.iter().filter_map(|state| state[index].clone());
                Ok(norm(&vector.collect::<Vec<_>>())?)
            }
        }
    }

    /// Sets vector `index` to `tensors`, one per parameter, of the parameters' shapes.
    pub(crate) fn import(&mut self, index: usize, tensors: &[Tensor]) -> Result<()> {
        fn fill<T: WithDType>(vector: &mut [T], tensors: &[Tensor]) -> Result<()> {
            let mut rest = vector;
            for tensor in tensors {
                let (head, tail) = rest.split_at_mut(tensor.elem_count());
                head.copy_from_slice(&tensor.flatten_all()?.to_dtype(T::DTYPE)?.to_vec1::<T>()?);
                rest = tail;
            }
            Ok(())
        }
        match self {
            Self::F32(vectors) => fill(&mut vectors[index], tensors),
            Self::F64(vectors) => fill(&mut vectors[index], tensors),
            Self::Tensors(state) => {
                for (state, tensor) in state.iter_mut().zip(tensors) {
                    if let Some(vector) = &mut state[index] {
                        *vector = tensor
                            .to_dtype(vector.dtype())?
                            .to_device(vector.device())?
                            .force_contiguous()?;
                    }
                }
                Ok(())
            }
        }
    }
}
