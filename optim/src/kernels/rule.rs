//! What an elementwise update rule is.

use candle_core::Tensor;

use super::number::Element;

/// An elementwise update rule with up to `N` vectors of state, which also gives `S` sums over the
/// components.
pub(crate) trait Rule<const N: usize, const S: usize = 0>: Sync {
    /// Updates a run of at most [`PIECE`](super::norm::PIECE) components in place; those whose gradient is not finite stay as they are.
    /// `group` is the parameter group; state vectors that the rule does not use are empty. Returns
    /// the run's share of the sums.
    fn update<T: Element>(
        &self,
        group: usize,
        parameters: &mut [T],
        gradient: &[T],
        state: [&mut [T::Real]; N],
    ) -> [f64; S];

    /// Sets what state depends on the parameters alone, before [`update_tensor`](Self::update_tensor):
    /// of all components, whatever their gradient.
    fn begin_tensor(
        &self,
        parameter: &Tensor,
        state: &mut [Option<Tensor>; N],
    ) -> candle_core::Result<()> {
        let _ = (parameter, state);
        Ok(())
    }

    /// [`update`](Self::update) on tensors of the state's dtype: returns the new parameter, which may have
    /// overflowed its type, and replaces the state. The gradient is finite.
    fn update_tensor(
        &self,
        group: usize,
        parameter: &Tensor,
        gradient: &Tensor,
        state: &mut [Option<Tensor>; N],
    ) -> candle_core::Result<(Tensor, [f64; S])>;

    /// The operation's name in `cuda/kernels.cu`, and the coefficients of all groups, one group
    /// after the other, in the order of the structure there. Without such a kernel, CUDA devices run
    /// the tensor operations.
    #[cfg(feature = "cuda")]
    fn cuda_kernel(&self) -> Option<(&'static str, Vec<f64>)> {
        None
    }
}

/// What an update tells.
pub(crate) struct Updated<const S: usize> {
    /// The gradient's Euclidean norm.
    pub(crate) norm: f64,
    /// The rule's sums over all components.
    pub(crate) sums: [f64; S],
}
