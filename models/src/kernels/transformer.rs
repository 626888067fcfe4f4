//! Transformer blocks as one node of Candle's graph.
//!
//! In a backward pass, Candle makes two copies of the gradient of every node, on one thread. Where blocks are one node,
//! the values between their layers need none.

use candle_core::Shape;

use super::composite::Composite;
use super::dropout::{DropOut, DropoutMask};
use super::parallel::add;
use super::{Affine, Attend, Float, Function, LayerNormalize, Saved};
use crate::options::{Activation, WeightLayout};

/// `m = x + drop(project(attend(expand(norm(x)))))`, then `y = m +
/// drop(contract(gelu(expand(norm(m)))))`. Each half has a layer normalisation and two affine maps.
/// The parameters are the weight and the bias of each layer, in the order of evaluation.
pub(crate) struct TransformerBlock {
    pub(crate) attention: Attend,
    pub(crate) eps: f64,
    /// Drops elements of what each half adds.
    pub(crate) dropout: [Option<DropoutMask>; 2],
}

/// The values between the layers.
struct Inner<T> {
    normalized: Vec<T>,
    packed: Vec<T>,
    attended: Vec<T>,
    middle: Vec<T>,
    middle_normalized: Vec<T>,
    hidden: Vec<T>,
}

impl TransformerBlock {
    fn width(&self) -> usize {
        self.attention.heads * self.attention.head_width
    }

    fn rows(&self) -> usize {
        self.attention.batch * self.attention.time
    }

    fn norm(&self) -> LayerNormalize {
        LayerNormalize {
            width: self.width(),
            eps: self.eps,
            shape: Shape::from((self.rows(), self.width())),
        }
    }

    /// The affine map from `inputs` times the width to `outputs` times the width.
    fn affine(&self, inputs: usize, outputs: usize, activation: Option<Activation>) -> Affine {
        let (inputs, outputs) = (inputs * self.width(), outputs * self.width());
        Affine {
            rows: self.rows(),
            inputs,
            outputs,
            layout: WeightLayout::InputOutput,
            activation,
            shape: Shape::from((self.rows(), outputs)),
        }
    }

    /// Drops elements of what a half adds, or of its gradient.
    fn drop_out<T: Float>(&self, half: usize, values: &mut [T]) {
        if let Some(mask) = self.dropout[half] {
            DropOut::scale_in_place(mask, values);
        }
    }

    fn values<T: Float>(&self, input: &[T], parameters: &[&[T]]) -> (Inner<T>, Vec<T>) {
        let p = |first: usize| [parameters[first], parameters[first + 1]];
        let norm = |x: &[T], [weight, bias]: [&[T]; 2]| self.norm().forward([x, weight, bias]);
        let apply = |affine: Affine, x: &[T], [weight, bias]: [&[T]; 2]| {
            Function::<3>::forward(&affine, [x, weight, bias])
        };
        let normalized = norm(input, p(0));
        let packed = apply(self.affine(1, 3, None), &normalized, p(2));
        let attended = self.attention.forward([&packed]);
        let mut middle = apply(self.affine(1, 1, None), &attended, p(4));
        self.drop_out(0, &mut middle);
        add(input, &mut middle);
        let middle_normalized = norm(&middle, p(6));
        let hidden = apply(self.affine(1, 4, None), &middle_normalized, p(8));
        let contract = self.affine(4, 1, Some(Activation::Gelu));
        let mut output = apply(contract, &hidden, p(10));
        self.drop_out(1, &mut output);
        add(&middle, &mut output);
        let inner = Inner {
            normalized,
            packed,
            attended,
            middle,
            middle_normalized,
            hidden,
        };
        (inner, output)
    }

    /// The gradient with respect to the input, and those with respect to the parameters, the last first.
    fn gradients<T: Float>(
        &self,
        input: &[T],
        parameters: &[&[T]],
        inner: Inner<T>,
        gradient: &[T],
    ) -> (Vec<T>, Vec<Vec<T>>) {
        let mut gradients = ParameterGradients {
            parameters,
            from_last: Vec::new(),
        };

        let mut dropped = gradient.to_vec();
        self.drop_out(1, &mut dropped);
        let contract = self.affine(4, 1, Some(Activation::Gelu));
        let hidden = gradients.through(&contract, &inner.hidden, &dropped, 10);
        drop((inner.hidden, dropped));
        let normalized = gradients.through(
            &self.affine(1, 4, None),
            &inner.middle_normalized,
            &hidden,
            8,
        );
        drop((inner.middle_normalized, hidden));
        let mut middle = gradients.through(&self.norm(), &inner.middle, &normalized, 6);
        drop((inner.middle, normalized));
        add(gradient, &mut middle);

        let mut dropped = middle.clone();
        self.drop_out(0, &mut dropped);
        let project = self.affine(1, 1, None);
        let attended = gradients.through(&project, &inner.attended, &dropped, 4);
        drop(dropped);
        let [packed] = self
            .attention
            .backward([&inner.packed], &inner.attended, &attended, [true]);
        let packed = packed.unwrap_or_default();
        drop((inner.packed, inner.attended, attended));
        let expand = self.affine(1, 3, None);
        let normalized = gradients.through(&expand, &inner.normalized, &packed, 2);
        drop((inner.normalized, packed));
        let mut result = gradients.through(&self.norm(), input, &normalized, 0);
        add(&middle, &mut result);
        (result, gradients.from_last)
    }
}

/// Blocks one after another, of which each has the same number of parameters. There is at least one.
pub(crate) struct TransformerChain {
    pub(crate) blocks: Vec<TransformerBlock>,
    /// Of each block, the values between its layers and the output.
    pub(crate) saved: Saved,
}

impl TransformerChain {
    fn values<T: Float>(&self, input: &[T], parameters: &[&[T]]) -> Vec<(Inner<T>, Vec<T>)> {
        let mut values: Vec<(Inner<T>, Vec<T>)> = Vec::with_capacity(self.blocks.len());
        let parameters = parameters.chunks(parameters.len() / self.blocks.len());
        for (block, parameters) in self.blocks.iter().zip(parameters) {
            let input = values.last().map_or(input, |(_, output)| output);
            values.push(block.values(input, parameters));
        }
        values
    }
}

impl Composite for TransformerChain {
    const NAME: &'static str = "transformer-chain";

    fn shape(&self) -> Shape {
        Function::shape(&self.blocks[0].attention)
    }

    fn forward<T: Float>(&self, input: &[T], parameters: &[&[T]]) -> Vec<T> {
        let mut values = self.values(input, parameters);
        let output = values.last_mut().map(|(_, output)| std::mem::take(output));
        self.saved.put(values);
        output.unwrap_or_default()
    }

    fn backward<T: Float>(
        &self,
        input: &[T],
        parameters: &[&[T]],
        _output: &[T],
        gradient: &[T],
        _input_needed: bool,
    ) -> (Option<Vec<T>>, Vec<Vec<T>>) {
        let values = self.saved.take::<Vec<(Inner<T>, Vec<T>)>>();
        let mut values = values.unwrap_or_else(|| self.values(input, parameters));
        let mut from_last = Vec::with_capacity(parameters.len());
        let mut behind: Option<Vec<T>> = None;
        let parameters = parameters.chunks(parameters.len() / self.blocks.len());
        for (block, parameters) in self.blocks.iter().zip(parameters).rev() {
            let Some((inner, _)) = values.pop() else {
                break;
            };
            let input = values.last().map_or(input, |(_, output)| output);
            let gradient = behind.as_deref().unwrap_or(gradient);
            let (result, gradients) = block.gradients(input, parameters, inner, gradient);
            behind = Some(result);
            from_last.extend(gradients);
        }
        from_last.reverse();
        (behind, from_last)
    }
}

/// The gradients with respect to the parameters, the last first.
struct ParameterGradients<'a, T> {
    parameters: &'a [&'a [T]],
    from_last: Vec<Vec<T>>,
}

impl<T: Float> ParameterGradients<'_, T> {
    /// The gradient with respect to the input of a layer whose weight is the `first` parameter.
    fn through(
        &mut self,
        layer: &impl Function<3>,
        input: &[T],
        gradient: &[T],
        first: usize,
    ) -> Vec<T> {
        let (weight, bias) = (self.parameters[first], self.parameters[first + 1]);
        let [input, weight, bias] = layer.backward([input, weight, bias], &[], gradient, [true; 3]);
        self.from_last.push(bias.unwrap_or_default());
        self.from_last.push(weight.unwrap_or_default());
        input.unwrap_or_default()
    }
}
