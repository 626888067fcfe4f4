//! The driver of first-order updates: one pass over parameters, gradient and state, in chunks.

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

use super::norm::{BLOCK, block_sum, norm, norm_of_slices};
use super::{CHUNK, Element, PARALLEL_MINIMUM, host, state_dtype, vectorized, zeros};
use crate::{Error, Gradient, Parameters, Result};

/// An elementwise update rule with up to `N` vectors of state.
pub(crate) trait Rule<const N: usize>: Sync {
    /// Updates a run of components in place; those whose gradient is not finite stay as they are.
    /// `group` is the parameter group; state vectors that the rule does not use are empty.
    fn update<T: Element>(
        &self,
        group: usize,
        parameters: &mut [T],
        gradient: &[T],
        state: [&mut [T::Real]; N],
    );

    /// The same on whole tensors of the state's dtype: returns the new parameter and replaces the
    /// state.
    fn update_tensor(
        &self,
        group: usize,
        parameter: &Tensor,
        gradient: &Tensor,
        state: &mut [Option<Tensor>; N],
    ) -> candle_core::Result<Tensor>;

    /// The operation's name in `cuda/kernels.cu`.
    #[cfg(feature = "cuda")]
    fn name(&self) -> &'static str;

    /// The coefficients of all groups, one group after the other, in the order of the structure there.
    #[cfg(feature = "cuda")]
    fn coefficients(&self) -> Vec<f64>;
}

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
    pub(crate) fn zeros(parameters: &Parameters, used: [bool; N]) -> Result<Self> {
        let d = parameters.element_count();
        match (parameters.device(), parameters.dtype()) {
            (Device::Cpu, DType::F64) => {
                Ok(Self::F64(used.map(|used| vec![0.0; d * used as usize])))
            }
            (Device::Cpu, _) => Ok(Self::F32(used.map(|used| vec![0.0; d * used as usize]))),
            _ => Self::zero_tensors(parameters, used),
        }
    }

    /// Zero vectors in tensors, whatever the device.
    pub(crate) fn zero_tensors(parameters: &Parameters, used: [bool; N]) -> Result<Self> {
        let dtype = state_dtype(parameters.dtype());
        let tensors = parameters.vars().iter().map(|var| {
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
    pub(crate) fn export(&self, parameters: &Parameters, index: usize) -> Result<Vec<Tensor>> {
        fn split<T: candle_core::WithDType>(
            parameters: &Parameters,
            vector: &[T],
        ) -> Result<Vec<Tensor>> {
            let mut rest = vector;
            let tensors = parameters.vars().iter().map(|var| {
                let (head, tail) = rest.split_at(var.elem_count());
                rest = tail;
                Ok(Tensor::from_slice(head, var.shape(), &Device::Cpu)?)
            });
            tensors.collect()
        }
        match self {
            Self::F32(vectors) => split(parameters, &vectors[index]),
            Self::F64(vectors) => split(parameters, &vectors[index]),
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
            Self::F32(vectors) => Ok(norm_of_slices(vec![&vectors[index]])),
            Self::F64(vectors) => Ok(norm_of_slices(vec![&vectors[index]])),
            Self::Tensors(tensors) => {
                let vector = tensors.iter().filter_map(|state| state[index].clone());
                norm(&vector.collect::<Vec<_>>())
            }
        }
    }

    /// Sets vector `index` to `tensors`, one per parameter, of the parameters' shapes.
    pub(crate) fn import(&mut self, index: usize, tensors: &[Tensor]) -> Result<()> {
        fn fill<T: candle_core::WithDType>(vector: &mut [T], tensors: &[Tensor]) -> Result<()> {
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

/// Makes one update and returns the gradient's Euclidean norm. `groups` gives each parameter's
/// group.
///
/// Components whose gradient is not finite are left as they were, so that no such value gets into
/// parameters or state; on devices without kernels of their own, all components are left if one is.
pub(crate) fn update<const N: usize>(
    rule: &impl Rule<N>,
    groups: &[usize],
    parameters: &Parameters,
    gradient: &Gradient,
    state: &mut StateVectors<N>,
) -> Result<f64> {
    gradient.check_fits(parameters)?;
    match (state, parameters.dtype()) {
        (StateVectors::F32(state), DType::F32) => {
            update_host::<f32, N>(rule, groups, parameters, gradient, state)
        }
        (StateVectors::F64(state), DType::F64) => {
            update_host::<f64, N>(rule, groups, parameters, gradient, state)
        }
        (StateVectors::F32(state), DType::BF16) => {
            update_host::<half::bf16, N>(rule, groups, parameters, gradient, state)
        }
        (StateVectors::F32(state), DType::F16) => {
            update_host::<half::f16, N>(rule, groups, parameters, gradient, state)
        }
        #[cfg(feature = "cuda")]
        (StateVectors::Tensors(state), _) if parameters.device().is_cuda() => Ok(
            super::cuda::update(rule, groups, parameters, gradient, state)?,
        ),
        (StateVectors::Tensors(state), _) => {
            update_tensors(rule, groups, parameters, gradient, state)
        }
        (_, dtype) => Err(Error::Mismatch {
            name: parameters.names()[0].clone(),
            property: "dtype",
            found: dtype.as_str().into(),
            expected: "f32, f64, bf16 or f16".into(),
        }),
    }
}

struct Chunk<'a, T: Element, const N: usize> {
    group: usize,
    parameters: &'a mut [T],
    gradient: &'a [T],
    state: [&'a mut [T::Real]; N],
}

impl<T: Element, const N: usize> Chunk<'_, T, N> {
    /// Updates this chunk; returns the sum of squares of its gradient.
    fn update(mut self, rule: &impl Rule<N>) -> f64 {
        vectorized(
            #[inline(always)]
            || {
                let mut sum = 0.0;
                for gradient in self.gradient.chunks(BLOCK) {
                    sum += block_sum(
                        gradient,
                        #[inline(always)]
                        |piece| {
                            let parameters = first(&mut self.parameters, piece.len());
                            let state = self
                                .state
                                .each_mut()
                                .map(|vector| first(vector, piece.len()));
                            rule.update(self.group, parameters, &gradient[piece], state);
                        },
                    );
                }
                sum
            },
        )
    }
}

/// Takes the first `length` elements off `vector`; none if the vector is not used.
#[inline(always)]
fn first<'a, S>(vector: &mut &'a mut [S], length: usize) -> &'a mut [S] {
    let length = length.min(vector.len());
    vector.split_off_mut(..length).unwrap_or_default()
}

fn update_host<T: Element, const N: usize>(
    rule: &impl Rule<N>,
    groups: &[usize],
    parameters: &Parameters,
    gradient: &Gradient,
    state: &mut [Vec<T::Real>; N],
) -> Result<f64> {
    let sum = host::with_slices(gradient.tensors(), |gradients| {
        let mut rest = state.each_mut().map(Vec::as_mut_slice);
        let mut sums: Vec<f64> = Vec::new();
        host::with_batches_mut(parameters.vars(), |batch, parameters| {
            let elements: usize = parameters.iter().map(|parameter| parameter.len()).sum();
            let state = rest.each_mut().map(|vector| first(vector, elements));
            let chunks = chunks::<T, N>(&groups[batch..], parameters, &gradients[batch..], state);
            if elements < PARALLEL_MINIMUM {
                sums.extend(chunks.into_iter().map(|chunk| chunk.update(rule)));
            } else {
                sums.par_extend(chunks.into_par_iter().map(|chunk| chunk.update(rule)));
            }
        })?;
        Ok::<f64, Error>(sums.into_iter().sum())
    })??;
    Ok(sum.sqrt())
}

fn chunks<'a, T: Element, const N: usize>(
    groups: &[usize],
    parameters: Vec<&'a mut [T]>,
    gradients: &[&'a [T]],
    mut state: [&'a mut [T::Real]; N],
) -> Vec<Chunk<'a, T, N>> {
    let mut chunks = Vec::new();
    for ((parameter, gradient), &group) in parameters.into_iter().zip(gradients).zip(groups) {
        let pieces = parameter.chunks_mut(CHUNK).zip(gradient.chunks(CHUNK));
        for (parameters, gradient) in pieces {
            let state = state.each_mut().map(|vector| first(vector, gradient.len()));
            chunks.push(Chunk {
                group,
                parameters,
                gradient,
                state,
            });
        }
    }
    chunks
}

fn update_tensors<const N: usize>(
    rule: &impl Rule<N>,
    groups: &[usize],
    parameters: &Parameters,
    gradient: &Gradient,
    state: &mut [[Option<Tensor>; N]],
) -> Result<f64> {
    let norm = gradient.norm()?;
    if !norm.is_finite() {
        return Ok(norm);
    }
    let dtype = state_dtype(parameters.dtype());
    let vars = parameters.vars().iter().zip(gradient.tensors());
    for ((var, gradient), (state, &group)) in vars.zip(state.iter_mut().zip(groups)) {
        let parameter = var.as_detached_tensor().to_dtype(dtype)?;
        let gradient = gradient.to_dtype(dtype)?;
        let new = rule.update_tensor(group, &parameter, &gradient, state)?;
        var.set(&new.to_dtype(var.dtype())?)?;
    }
    Ok(norm)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use candle_core::Var;

    use super::*;
    use crate::kernels::{AdamCoefficients, AdamRule, SgdCoefficients, SgdRule};

    /// Pseudo-random numbers in (-1, 1), the same every time.
    fn numbers(seed: usize, length: usize) -> Vec<f64> {
        let mut x = seed as u64 + 1;
        let mut next = || {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (x >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        };
        (0..length).map(|_| next()).collect()
    }

    fn tensor(seed: usize, length: usize, dtype: DType) -> Tensor {
        let tensor = Tensor::new(numbers(seed, length), &Device::Cpu).unwrap();
        tensor.to_dtype(dtype).unwrap()
    }

    const GROUPS: [usize; 5] = [0, 1, 0, 1, 0];

    fn parameters(dtype: DType, device: &Device) -> Parameters {
        let lengths = [1, 5, CHUNK + 7, 2 * CHUNK, 130];
        let vars = lengths.iter().enumerate().map(|(i, &length)| {
            let tensor = tensor(i, length, dtype).to_device(device).unwrap();
            (format!("p{i}"), Var::from_tensor(&tensor).unwrap())
        });
        Parameters::new(vars).unwrap()
    }

    /// The gradient of step `t`.
    fn gradient(parameters: &Parameters, t: usize) -> Gradient {
        let vars = parameters.vars().iter().enumerate();
        let tensors = vars.map(|(i, var)| {
            let tensor = tensor(100 * t + i, var.elem_count(), var.dtype());
            tensor.to_device(var.device()).unwrap()
        });
        Gradient::new(parameters, tensors.collect()).unwrap()
    }

    fn elements(tensors: &[Tensor]) -> Vec<f64> {
        let tensors = tensors.iter().map(|tensor| {
            let tensor = tensor.to_device(&Device::Cpu).unwrap();
            tensor.to_dtype(DType::F64).unwrap()
        });
        tensors
            .flat_map(|tensor| tensor.to_vec1::<f64>().unwrap())
            .collect()
    }

    /// Runs `rule` fused and on tensors, and compares parameters, state and norms.
    fn compare<const N: usize>(rule: &impl Rule<N>, used: [bool; N]) {
        for (dtype, tolerance) in [
            (DType::F64, 1e-14),
            (DType::F32, 1e-5),
            (DType::BF16, 2e-2),
            (DType::F16, 2e-3),
        ] {
            let [fused, plain] = [(); 2].map(|()| parameters(dtype, &Device::Cpu));
            let mut fused_state = StateVectors::zeros(&fused, used).unwrap();
            let mut plain_state = StateVectors::zero_tensors(&plain, used).unwrap();
            for t in 0..4 {
                let gradient = gradient(&fused, t);
                let a = update(rule, &GROUPS, &fused, &gradient, &mut fused_state).unwrap();
                let b = update(rule, &GROUPS, &plain, &gradient, &mut plain_state).unwrap();
                assert_eq!(a, b);
                let exact = elements(gradient.tensors())
                    .iter()
                    .map(|g| g * g)
                    .sum::<f64>();
                let digits = if dtype == DType::F64 { 1e-13 } else { 1e-6 };
                assert!((a - exact.sqrt()).abs() <= digits * a);
            }
            let mut pairs = vec![(
                elements(&fused.snapshot().unwrap()),
                elements(&plain.snapshot().unwrap()),
            )];
            for index in (0..N).filter(|&index| used[index]) {
                let fused = fused_state.export(&fused, index).unwrap();
                let plain = plain_state.export(&plain, index).unwrap();
                pairs.push((elements(&fused), elements(&plain)));
            }
            for (fused, plain) in pairs {
                for (a, b) in fused.iter().zip(&plain) {
                    assert!((a - b).abs() <= tolerance, "{dtype:?}: {a} {b}");
                }
            }
        }
    }

    /// Adam with and without decay.
    fn adam() -> AdamRule {
        let coefficients = |l2| AdamCoefficients {
            l2,
            rate1: 0.1,
            rate2: 0.3,
            decay: 0.01,
            step_size: 0.05,
            scale: 1.2,
            epsilon: 1e-3,
        };
        AdamRule(vec![coefficients(0.0), coefficients(0.1)])
    }

    /// SGD with and without decay.
    fn sgd() -> SgdRule {
        let coefficients = |l2| SgdCoefficients {
            l2,
            inflow: 0.8,
            outflow: 0.1,
            own: 1.0,
            carried: 0.9,
            step_size: 0.05,
        };
        SgdRule(vec![coefficients(0.0), coefficients(0.1)])
    }

    #[test]
    fn fused_and_plain_adam_agree() {
        compare(&adam(), [true, true, false]);
        compare(&adam(), [true, true, true]);
    }

    #[test]
    fn fused_and_plain_sgd_agree() {
        compare(&sgd(), [false]);
        compare(&sgd(), [true]);
    }

    #[cfg(feature = "cuda")]
    mod on_a_card {
        use super::*;

        /// Runs `rule` on the card and on the CPU: parameters and state get the same bits, one gradient with an
        /// infinite component included.
        fn compare<const N: usize>(rule: &impl Rule<N>, used: [bool; N]) {
            let card = &Device::new_cuda(0).unwrap();
            for dtype in [DType::F64, DType::F32, DType::BF16, DType::F16] {
                let devices = [card, &Device::Cpu];
                let both = devices.map(|device| parameters(dtype, device));
                let mut states = both
                    .each_ref()
                    .map(|set| StateVectors::zeros(set, used).unwrap());
                for t in 0..4 {
                    let mut norms = both.iter().zip(&mut states).map(|(set, state)| {
                        update(rule, &GROUPS, set, &gradient(set, t), state).unwrap()
                    });
                    let (a, b) = (norms.next().unwrap(), norms.next().unwrap());
                    let digits = if dtype == DType::F64 { 1e-14 } else { 1e-6 };
                    assert!((a - b).abs() <= digits * b, "{dtype:?}: {a} {b}");
                }
                for (set, state) in both.iter().zip(&mut states) {
                    let mut tensors = gradient(set, 4).tensors().to_vec();
                    let infinite =
                        Tensor::new(&[1.0, 2.0, f64::INFINITY, 3.0, f64::NAN], &Device::Cpu);
                    let infinite = infinite.unwrap().to_dtype(dtype).unwrap();
                    tensors[1] = infinite.to_device(set.device()).unwrap();
                    let gradient = Gradient::new(set, tensors).unwrap();
                    let norm = update(rule, &GROUPS, set, &gradient, state).unwrap();
                    assert!(!norm.is_finite());
                }
                let [a, b] = both
                    .each_ref()
                    .map(|set| elements(&set.snapshot().unwrap()));
                assert!(
                    a == b && a.iter().all(|value| value.is_finite()),
                    "{dtype:?}"
                );
                for index in (0..N).filter(|&index| used[index]) {
                    let vectors = both.iter().zip(&states);
                    let vectors =
                        vectors.map(|(set, state)| elements(&state.export(set, index).unwrap()));
                    let vectors: Vec<Vec<f64>> = vectors.collect();
                    assert!(vectors[0] == vectors[1], "{dtype:?}, state {index}");
                }
            }
        }

        #[test]
        fn updates_have_the_bits_of_the_cpu() {
            compare(&adam(), [true, true, false]);
            compare(&adam(), [true, true, true]);
            compare(&sgd(), [false]);
            compare(&sgd(), [true]);
        }

        /// State that was exported or imported is not the memory that updates change.
        #[test]
        fn exported_state_stays() {
            let set = parameters(DType::F32, &Device::new_cuda(0).unwrap());
            let mut state = StateVectors::zeros(&set, [true]).unwrap();
            let step = |state: &mut StateVectors<1>| {
                update(&sgd(), &GROUPS, &set, &gradient(&set, 1), state).unwrap();
                state.export(&set, 0).unwrap()
            };
            let first = step(&mut state);
            let before = elements(&first);
            assert_ne!(elements(&step(&mut state)), before);
            state.import(0, &first).unwrap();
            step(&mut state);
            assert_eq!(elements(&first), before);
        }

        /// A vector of another dtype, length or place is refused: kernels take addresses.
        #[test]
        fn what_does_not_fit_is_refused() {
            let card = &Device::new_cuda(0).unwrap();
            let set = parameters(DType::F32, card);
            let gradient = gradient(&set, 0);
            let vectors = |dtype, length| {
                let tensor = |var: &Var| {
                    let tensor = tensor(0, length + var.elem_count(), dtype);
                    [Some(tensor.to_device(card).unwrap())]
                };
                StateVectors::Tensors(set.vars().iter().map(tensor).collect())
            };
            for mut state in [vectors(DType::F64, 0), vectors(DType::F32, 1)] {
                let refused = update(&sgd(), &GROUPS, &set, &gradient, &mut state);
                assert!(refused.unwrap_err().to_string().contains("expected"));
            }
            let mut state = StateVectors::Tensors(
                set.vars()
                    .iter()
                    .map(|var| [Some(tensor(0, var.elem_count(), DType::F32))])
                    .collect(),
            );
            let refused = update(&sgd(), &GROUPS, &set, &gradient, &mut state);
            assert!(
                refused
                    .unwrap_err()
                    .to_string()
                    .contains("not on a CUDA device")
            );
        }
    }
}
