//! What a method of convolution does.

/// A map from images to images: a convolution, or the gradient with respect to its input.
pub(crate) trait MapImages<T>: Sync {
    /// How many images to hand over at once.
    fn group(&self) -> usize;

    /// Working memory for [`Self::images`].
    fn scratch(&self) -> Vec<T>;

    /// Maps images, adding `bias` where given.
    fn images(&self, inputs: &[T], bias: Option<&[T]>, scratch: &mut [T], outputs: &mut [T]);
}

/// The gradient with respect to a convolution's weight, summed over images.
pub(crate) trait SumImages<T>: Sync {
    /// How many images to hand over at once.
    fn group(&self) -> usize;

    /// Working memory for [`Self::images`].
    fn scratch(&self) -> Vec<T>;

    /// Zeros for the sum.
    fn zeros(&self) -> Vec<T>;

    /// Adds the parts of some images, given the gradient with respect to their outputs.
    fn images(&self, inputs: &[T], gradient: &[T], scratch: &mut [T], sum: &mut [T]);

    /// Turns a sum over images into what can be added to those over others.
    fn finish(&self, sum: Vec<T>) -> Vec<T>;

    /// A total of these in the layout of the weight, `[output][input][tap]`.
    fn unpack(&self, total: &[T]) -> Vec<T>;
}
