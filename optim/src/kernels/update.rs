//! The driver of first-order updates: one pass over parameters, gradient and state, in chunks.

use candle_core::{DType, Result, Tensor, Var, bail};
use rayon::prelude::*;

use super::memory::{with_batches_mut, with_slices};
use super::norm::{BLOCK, block_sum, norm, root};
use super::number::{Element, is_finite, largest, state_dtype};
use super::parallel::{CHUNK, PARALLEL_MINIMUM, vectorized};
use super::rule::{Rule, Updated};
use super::state_vectors::StateVectors;

/// Makes one update of `vars` in place; returns the gradient's Euclidean norm and the rule's sums.
/// `groups` gives the group of each variable; `gradient` has one contiguous tensor for each, of its
/// shape, dtype and device.
///
/// Components whose gradient is not finite are left as they were, so that no such value gets into
/// parameters or state.
///
/// # Errors
/// When a tensor operation fails, or state or gradient do not fit the variables.
pub(crate) fn update<const N: usize, const S: usize>(
    rule: &impl Rule<N, S>,
    groups: &[usize],
    vars: &[Var],
    gradient: &[Tensor],
    state: &mut StateVectors<N>,
) -> Result<Updated<S>> {
    let Some(first) = vars.first() else {
        return Ok(Updated {
            norm: 0.0,
            sums: [0.0; S],
        });
    };
    match (state, first.dtype()) {
        (StateVectors::F32(state), DType::F32) => {
            update_host::<f32, N, S>(rule, groups, vars, gradient, state)
        }
        (StateVectors::F64(state), DType::F64) => {
            update_host::<f64, N, S>(rule, groups, vars, gradient, state)
        }
        (StateVectors::F32(state), DType::BF16) => {
            update_host::<half::bf16, N, S>(rule, groups, vars, gradient, state)
        }
        (StateVectors::F32(state), DType::F16) => {
            update_host::<half::f16, N, S>(rule, groups, vars, gradient, state)
        }
        #[cfg(feature = "cuda")]
        (StateVectors::Tensors(state), _)
            if first.device().is_cuda()
                && let Some(kernel) = rule.cuda_kernel() =>
        {
            let sum = super::cuda::update::update(kernel, groups, vars, gradient, state)?;
            Ok(Updated {
                norm: root(sum, gradient)?,
                sums: [0.0; S],
            })
        }
        (StateVectors::Tensors(state), _) => update_tensors(rule, groups, vars, gradient, state),
        (_, dtype) => bail!("the state of an update does not fit parameters of dtype {dtype:?}"),
    }
}

struct Chunk<'a, T: Element, const N: usize> {
    group: usize,
    parameters: &'a mut [T],
    gradient: &'a [T],
    state: [&'a mut [T::Real]; N],
}

impl<T: Element, const N: usize> Chunk<'_, T, N> {
    /// Updates this chunk; returns the sum of squares of its gradient, and the rule's sums.
    fn update<const S: usize>(mut self, rule: &impl Rule<N, S>) -> (f64, [f64; S]) {
        vectorized(
            #[inline(always)]
            || {
                let mut sum = 0.0;
                let mut sums = [0.0; S];
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
                            let own = rule.update(self.group, parameters, &gradient[piece], state);
                            add(&mut sums, own);
                        },
                    );
                }
                (sum, sums)
            },
        )
    }
}

/// Adds `own` to `sums`.
#[inline(always)]
fn add<const S: usize>(sums: &mut [f64; S], own: [f64; S]) {
    for (sum, own) in sums.iter_mut().zip(own) {
        *sum += own;
    }
}

/// Takes the first `length` elements off `vector`; none if the vector is not used.
#[inline(always)]
fn first<'a, S>(vector: &mut &'a mut [S], length: usize) -> &'a mut [S] {
    let length = length.min(vector.len());
    vector.split_off_mut(..length).unwrap_or_default()
}

fn update_host<T: Element, const N: usize, const S: usize>(
    rule: &impl Rule<N, S>,
    groups: &[usize],
    vars: &[Var],
    gradient: &[Tensor],
    state: &mut [Vec<T::Real>; N],
) -> Result<Updated<S>> {
    let (sum, sums) = with_slices(gradient, |gradients| -> Result<(f64, [f64; S])> {
        let mut rest = state.each_mut().map(Vec::as_mut_slice);
        let mut parts: Vec<(f64, [f64; S])> = Vec::new();
        with_batches_mut(vars, |batch, parameters| {
            let elements: usize = parameters.iter().map(|parameter| parameter.len()).sum();
            let state = rest.each_mut().map(|vector| first(vector, elements));
            let chunks = chunks::<T, N>(&groups[batch..], parameters, &gradients[batch..], state);
            if elements < PARALLEL_MINIMUM {
                parts.extend(chunks.into_iter().map(|chunk| chunk.update(rule)));
            } else {
                parts.par_extend(chunks.into_par_iter().map(|chunk| chunk.update(rule)));
            }
        })?;
        let (mut sum, mut sums) = (0.0, [0.0; S]);
        for (squares, own) in parts {
            sum += squares;
            add(&mut sums, own);
        }
        Ok((sum, sums))
    })??;
    Ok(Updated {
        norm: root(sum, gradient)?,
        sums,
    })
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

fn update_tensors<const N: usize, const S: usize>(
    rule: &impl Rule<N, S>,
    groups: &[usize],
    vars: &[Var],
    gradient: &[Tensor],
    state: &mut [[Option<Tensor>; N]],
) -> Result<Updated<S>> {
    let norm = norm(gradient)?;
    let mut sums = [0.0; S];
    let vars = vars.iter().zip(gradient);
    for ((var, gradient), (state, &group)) in vars.zip(state.iter_mut().zip(groups)) {
        let dtype = state_dtype(var.dtype());
        let parameter = var.as_detached_tensor().to_dtype(dtype)?;
        let gradient = gradient.to_dtype(dtype)?;
        rule.begin_tensor(&parameter, state)?;
        let (new, own) = if norm.is_finite() {
            rule.update_tensor(group, &parameter, &gradient, state)?
        } else {
            update_finite(rule, group, &parameter, &gradient, state)?
        };
        add(&mut sums, own);
        let limit = largest(var.dtype());
        var.set(&new.clamp(-limit, limit)?.to_dtype(var.dtype())?)?;
    }
    Ok(Updated { norm, sums })
}

/// [`Rule::update_tensor`] where the gradient is finite; the other components stay as they are.
fn update_finite<const N: usize, const S: usize>(
    rule: &impl Rule<N, S>,
    group: usize,
    parameter: &Tensor,
    gradient: &Tensor,
    state: &mut [Option<Tensor>; N],
) -> Result<(Tensor, [f64; S])> {
    let finite = is_finite(gradient)?;
    let gradient = finite.where_cond(gradient, &gradient.zeros_like()?)?;
    let before = state.clone();
    let (new, sums) = rule.update_tensor(group, parameter, &gradient, state)?;
    for (vector, before) in state.iter_mut().zip(before) {
        if let (Some(vector), Some(before)) = (vector, before) {
            *vector = finite.where_cond(vector, &before)?;
        }
    }
    Ok((finite.where_cond(&new, parameter)?, sums))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use candle_core::Device;

    use super::*;
    use crate::kernels::adam::{AdamCoefficients, AdamRule, ProjectedAdamRule};
    use crate::kernels::lion::{LionCoefficients, LionRule};
    use crate::kernels::prodigy::{
        ProdigyMoments, ProdigyMomentsRule, ProdigyStep, ProdigyStepRule,
    };
    use crate::kernels::schedule_free::{ScheduleFreeCoefficients, ScheduleFreeRule};
    use crate::kernels::sgd::{SgdCoefficients, SgdRule};

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

    fn parameters(dtype: DType, device: &Device) -> Vec<Var> {
        let lengths = [1, 5, CHUNK + 7, 2 * CHUNK, 130];
        let vars = lengths.iter().enumerate().map(|(i, &length)| {
            let tensor = tensor(i, length, dtype).to_device(device).unwrap();
            Var::from_tensor(&tensor).unwrap()
        });
        vars.collect()
    }

    /// The gradient of step `t`.
    fn gradient(vars: &[Var], t: usize) -> Vec<Tensor> {
        let tensors = vars.iter().enumerate().map(|(i, var)| {
            let tensor = tensor(100 * t + i, var.elem_count(), var.dtype());
            tensor.to_device(var.device()).unwrap()
        });
        tensors.collect()
    }

    fn values(vars: &[Var]) -> Vec<f64> {
        let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_detached_tensor()).collect();
        elements(&tensors)
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

    /// Runs `rule` fused and in tensor operations, and compares parameters, state and norms.
    fn compare<const N: usize, const S: usize>(rule: &impl Rule<N, S>, used: [bool; N]) {
        for (dtype, tolerance) in [
            (DType::F64, 1e-14),
            (DType::F32, 1e-5),
            (DType::BF16, 2e-2),
            (DType::F16, 2e-3),
        ] {
            let [fused, in_tensors] = [(); 2].map(|()| parameters(dtype, &Device::Cpu));
            let mut fused_state = StateVectors::zeros(&fused, used).unwrap();
            let mut tensor_state = StateVectors::zero_tensors(&in_tensors, used).unwrap();
            for t in 0..4 {
                let gradient = gradient(&fused, t);
                let a = update(rule, &GROUPS, &fused, &gradient, &mut fused_state).unwrap();
                let b = update(rule, &GROUPS, &in_tensors, &gradient, &mut tensor_state).unwrap();
                for (a, b) in a.sums.into_iter().zip(b.sums) {
                    assert!((a - b).abs() <= tolerance * b.abs(), "{dtype:?}: {a} {b}");
                }
                let (a, b) = (a.norm, b.norm);
                assert_eq!(a, b);
                let exact = elements(&gradient).iter().map(|g| g * g).sum::<f64>();
                let digits = if dtype == DType::F64 { 1e-13 } else { 1e-6 };
                assert!((a - exact.sqrt()).abs() <= digits * a);
            }
            let mut pairs = vec![(values(&fused), values(&in_tensors))];
            for index in (0..N).filter(|&index| used[index]) {
                let a = fused_state.export(&fused, index).unwrap();
                let b = tensor_state.export(&in_tensors, index).unwrap();
                pairs.push((elements(&a), elements(&b)));
            }
            for (fused, in_tensors) in pairs {
                for (a, b) in fused.iter().zip(&in_tensors) {
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
            own: 0.1,
            carried: 0.9,
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
    fn fused_adam_agrees_with_tensor_operations() {
        compare(&adam(), [true, true, false]);
        compare(&adam(), [true, true, true]);
    }

    fn lion() -> LionRule {
        let coefficients = |decay| LionCoefficients {
            blend: 0.1,
            rate: 0.05,
            decay,
            step_size: 0.05,
        };
        LionRule(vec![coefficients(0.0), coefficients(0.1)])
    }

    /// The first step of Schedule-Free AdamW, or a later one.
    fn schedule_free(first: bool) -> ScheduleFreeRule {
        let coefficients = |decay| ScheduleFreeCoefficients {
            rate2: 0.3,
            scale: 1.2,
            epsilon: 1e-3,
            decay,
            toward: 0.4,
            average_step: 0.02,
            step_size: 0.05,
        };
        let groups = vec![coefficients(0.0), coefficients(0.1)];
        ScheduleFreeRule { first, groups }
    }

    #[test]
    fn fused_lion_agrees_with_tensor_operations() {
        compare(&lion(), [true]);
    }

    #[test]
    fn fused_schedule_free_adamw_agrees_with_tensor_operations() {
        for first in [true, false] {
            compare(&schedule_free(first), [true, true]);
        }
    }

    #[test]
    fn fused_projected_adam_agrees_with_tensor_operations() {
        compare(&ProjectedAdamRule(adam().0), [true, true, false]);
    }

    /// Prodigy's first pass, of the first step or a later one; one group may be frozen.
    fn prodigy_moments(first: bool, frozen: bool) -> ProdigyMomentsRule {
        let moments = ProdigyMoments {
            d: 1.5,
            rate1: 0.1,
            rate2: 0.3,
            inflow: 0.7,
            outflow: 0.2,
        };
        let groups = vec![Some(moments), (!frozen).then_some(moments)];
        ProdigyMomentsRule { first, groups }
    }

    fn prodigy_step() -> ProdigyStepRule {
        let step = |decay| ProdigyStep {
            decay,
            step_size: 0.05,
            epsilon: 1e-3,
        };
        ProdigyStepRule(vec![step(0.0), step(0.1)])
    }

    #[test]
    fn fused_prodigy_agrees_with_tensor_operations() {
        for first in [true, false] {
            compare(&prodigy_moments(first, false), [true; 4]);
            compare(&prodigy_moments(first, true), [true; 4]);
        }
        compare(&prodigy_step(), [true; 4]);
    }

    #[test]
    fn fused_sgd_agrees_with_tensor_operations() {
        compare(&sgd(), [false]);
        compare(&sgd(), [true]);
    }

    /// The largest number of a type, its root, and numbers that underflow when squared.
    fn extremes(dtype: DType, device: &Device) -> Vec<Tensor> {
        let most = largest(dtype);
        let values = [[most, -most, most.sqrt(), 0.0, 1.0 / most]; 27_000].concat();
        let lengths = [1, 5, CHUNK + 7, 2 * CHUNK, 130];
        let tensors = lengths.map(|length| {
            let tensor = Tensor::new(&values[..length], &Device::Cpu).unwrap();
            tensor.to_dtype(dtype).unwrap().to_device(device).unwrap()
        });
        tensors.into()
    }

    /// Fused and in tensor operations, all numbers stay finite, and parameters and state agree.
    fn compare_extremes<const N: usize, const S: usize>(rule: &impl Rule<N, S>, used: [bool; N]) {
        for dtype in [DType::F64, DType::F32, DType::BF16, DType::F16] {
            let [fused, in_tensors] = [(); 2].map(|()| parameters(dtype, &Device::Cpu));
            let mut fused_state = StateVectors::zeros(&fused, used).unwrap();
            let mut tensor_state = StateVectors::zero_tensors(&in_tensors, used).unwrap();
            let extremes = extremes(dtype, &Device::Cpu);
            let mut spoiled = gradient(&fused, 2);
            let infinite = Tensor::new(&[1.0, f64::INFINITY, 2.0, f64::NAN, 3.0], &Device::Cpu);
            spoiled[1] = infinite.unwrap().to_dtype(dtype).unwrap();
            for gradient in [&extremes, &gradient(&fused, 1), &spoiled, &extremes] {
                update(rule, &GROUPS, &fused, gradient, &mut fused_state).unwrap();
                update(rule, &GROUPS, &in_tensors, gradient, &mut tensor_state).unwrap();
            }
            let mut pairs = vec![(values(&fused), values(&in_tensors))];
            for index in (0..N).filter(|&index| used[index]) {
                let a = fused_state.export(&fused, index).unwrap();
                let b = tensor_state.export(&in_tensors, index).unwrap();
                pairs.push((elements(&a), elements(&b)));
            }
            for (a, b) in pairs.into_iter().flat_map(|(a, b)| a.into_iter().zip(b)) {
                assert!(a.is_finite(), "{dtype:?}");
                assert!(
                    (a - b).abs() <= 2e-2 * (1.0 + b.abs()),
                    "{dtype:?}: {a} {b}"
                );
            }
        }
    }

    #[test]
    fn extremes_stay_finite_in_every_form() {
        let mut without_epsilon = adam();
        for group in &mut without_epsilon.0 {
            group.epsilon = 0.0;
        }
        compare_extremes(&without_epsilon, [true, true, true]);
        let mut fast = sgd();
        for group in &mut fast.0 {
            group.step_size = 1e300;
        }
        compare_extremes(&ProjectedAdamRule(adam().0), [true, true, false]);
        compare_extremes(&prodigy_moments(true, false), [true; 4]);
        compare_extremes(&prodigy_moments(false, true), [true; 4]);
        compare_extremes(&prodigy_step(), [true; 4]);
        compare_extremes(&lion(), [true]);
        for first in [true, false] {
            compare_extremes(&schedule_free(first), [true, true]);
        }
        for rule in [sgd(), fast] {
            compare_extremes(&rule, [false]);
            compare_extremes(&rule, [true]);
        }
    }

    #[cfg(feature = "cuda")]
    mod cuda {
        use super::*;

        /// Runs `rule` on a GPU and on the CPU: parameters and state get the same bits, also from
        /// gradients with components that are not finite or extreme.
        fn compare<const N: usize>(rule: &impl Rule<N>, used: [bool; N]) {
            let gpu = &Device::new_cuda(0).unwrap();
            for dtype in [DType::F64, DType::F32, DType::BF16, DType::F16] {
                let devices = [gpu, &Device::Cpu];
                let both = devices.map(|device| parameters(dtype, device));
                let mut states = both
                    .each_ref()
                    .map(|set| StateVectors::zeros(set, used).unwrap());
                for t in 0..4 {
                    let mut norms = both.iter().zip(&mut states).map(|(set, state)| {
                        let gradient = gradient(set, t);
                        update(rule, &GROUPS, set, &gradient, state).unwrap().norm
                    });
                    let (a, b) = (norms.next().unwrap(), norms.next().unwrap());
                    let digits = if dtype == DType::F64 { 1e-14 } else { 1e-6 };
                    assert!((a - b).abs() <= digits * b, "{dtype:?}: {a} {b}");
                }
                for (set, state) in both.iter().zip(&mut states) {
                    let mut gradient = gradient(set, 4);
                    let infinite =
                        Tensor::new(&[1.0, 2.0, f64::INFINITY, 3.0, f64::NAN], &Device::Cpu);
                    let infinite = infinite.unwrap().to_dtype(dtype).unwrap();
                    gradient[1] = infinite.to_device(set[0].device()).unwrap();
                    let updated = update(rule, &GROUPS, set, &gradient, state).unwrap();
                    assert!(!updated.norm.is_finite());
                    let extremes = extremes(dtype, set[0].device());
                    update(rule, &GROUPS, set, &extremes, state).unwrap();
                }
                let [a, b] = both.each_ref().map(|set| values(set));
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
            let gpu = &Device::new_cuda(0).unwrap();
            let set = parameters(DType::F32, gpu);
            let gradient = gradient(&set, 0);
            let vectors = |dtype, length| {
                let tensor = |var: &Var| {
                    let tensor = tensor(0, length + var.elem_count(), dtype);
                    [Some(tensor.to_device(gpu).unwrap())]
                };
                StateVectors::Tensors(set.iter().map(tensor).collect())
            };
            for mut state in [vectors(DType::F64, 0), vectors(DType::F32, 1)] {
                let refused = update(&sgd(), &GROUPS, &set, &gradient, &mut state);
                assert!(refused.err().unwrap().to_string().contains("expected"));
            }
            let mut state = StateVectors::Tensors(
                set.iter()
                    .map(|var| [Some(tensor(0, var.elem_count(), DType::F32))])
                    .collect(),
            );
            let refused = update(&sgd(), &GROUPS, &set, &gradient, &mut state);
            assert!(
                refused
                    .err()
                    .unwrap()
                    .to_string()
                    .contains("not on a CUDA device")
            );
        }
    }
}
