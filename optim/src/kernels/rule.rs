//! What an elementwise update rule is.

use candle_core::Tensor;

use super::number::Element;

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

    /// The same on tensors of the state's dtype: returns the new parameter, which may have
    /// overflowed its type, and replaces the state. The gradient is finite.
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

    /// The coefficients of all groups, one group after the other, in the order of the structure in
    /// `cuda/kernels.cu`.
    #[cfg(feature = "cuda")]
    fn coefficients(&self) -> Vec<f64>;
}
