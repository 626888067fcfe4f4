//! What a method of convolution does.

/// A map from images to images: a convolution, or the gradient with respect to its input.
pub(crate) trait MapImages<T>: Sync {
    /// Elements of an image, before and after.
    fn sizes(&self) -> [usize; 2];

    /// How many images are mapped at once.
    fn group(&self) -> usize;

    /// Working memory for a group.
    fn scratch(&self) -> Vec<T>;

    /// Maps the images of one group, adding `bias` where given.
    fn map_group(&self, inputs: &[T], bias: Option<&[T]>, scratch: &mut [T], outputs: &mut [T]);

    /// Maps any number of images.
    fn images(&self, inputs: &[T], bias: Option<&[T]>, scratch: &mut [T], outputs: &mut [T]) {
        let [before, after] = self.sizes().map(|size| size * self.group());
        for (inputs, outputs) in inputs.chunks(before).zip(outputs.chunks_mut(after)) {
            self.map_group(inputs, bias, scratch, outputs);
        }
    }
}

/// The gradient with respect to a convolution's weight, summed over images.
pub(crate) trait SumImages<T>: Sync {
    /// Elements of an input image, and of an output image.
    fn sizes(&self) -> [usize; 2];

    /// How many images are worked on at once.
    fn group(&self) -> usize;

    /// Working memory for a group.
    fn scratch(&self) -> Vec<T>;

    /// Zeros for the sum.
    fn zeros(&self) -> Vec<T>;

    /// Adds the parts of one group's images, given the gradient with respect to their outputs.
    fn add_group(&self, inputs: &[T], gradients: &[T], scratch: &mut [T], sum: &mut [T]);

    /// Adds the parts of any number of images.
    fn images(&self, inputs: &[T], gradients: &[T], scratch: &mut [T], sum: &mut [T]) {
        let [input, output] = self.sizes().map(|size| size * self.group());
        for (inputs, gradients) in inputs.chunks(input).zip(gradients.chunks(output)) {
            self.add_group(inputs, gradients, scratch, sum);
        }
    }

    /// Turns a sum over images into what can be added to those over others.
    fn finish(&self, sum: Vec<T>) -> Vec<T>;

    /// A total of these in the layout of the weight, `[output][input][tap]`.
    fn unpack(&self, total: &[T]) -> Vec<T>;
}
