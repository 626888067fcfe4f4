//! Affine maps, and sums over the rows of a matrix.

use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView};
use candle_core::{CudaStorage, Result};

use super::matmul::{Matrices, Place, Sizes, multiply};
use super::{Affine, Card, CardFloat, OnCard, THREADS, Values, grid, launch, size};
use crate::layer::WeightLayout;

impl Affine {
    /// The weight as the matrix that inputs are multiplied with.
    fn matrix_on_card<'a, T>(&self, weight: &CudaView<'a, T>) -> Matrices<'a, T> {
        match self.layout {
            WeightLayout::OutputInput => Matrices::one(weight, self.inputs).transposed(),
            WeightLayout::InputOutput => Matrices::one(weight, self.outputs),
        }
    }

    /// The output without a bias.
    pub(super) fn product_on_card<T: CardFloat>(
        &self,
        card: &Card,
        input: CudaView<'_, T>,
        weight: &CudaView<'_, T>,
    ) -> Result<CudaSlice<T>> {
        let activated = self.activated_on_card(card, input.slice(..))?;
        let input = activated.as_ref().map_or(input, CudaSlice::as_view);
        let sizes = Sizes {
            m: self.rows,
            n: self.outputs,
            k: self.inputs,
            batch: 1,
        };
        let input = Matrices::one(&input, self.inputs);
        self.write(card, sizes, &input, &self.matrix_on_card(weight))
    }

    fn activated_on_card<T: CardFloat>(
        &self,
        card: &Card,
        input: CudaView<'_, T>,
    ) -> Result<Option<CudaSlice<T>>> {
        let activation = self.activation;
        activation
            .map(|activation| activation.values_on_card(card, input))
            .transpose()
    }

    /// The gradients with respect to input and weight.
    pub(super) fn gradients_on_card<T: CardFloat>(
        &self,
        card: &Card,
        [input, weight]: [CudaView<'_, T>; 2],
        gradient: &CudaView<'_, T>,
        [input_needed, weight_needed]: [bool; 2],
    ) -> Result<[Option<CudaSlice<T>>; 2]> {
        let gradients = || Matrices::one(gradient, self.outputs);
        let weight_gradient = if weight_needed {
            let activated = self.activated_on_card(card, input.slice(..))?;
            let input = activated
                .as_ref()
                .map_or(input.slice(..), CudaSlice::as_view);
            let inputs = Matrices::one(&input, self.inputs);
            let sizes = |m, n| Sizes {
                m,
                n,
                k: self.rows,
                batch: 1,
            };
            Some(match self.layout {
                WeightLayout::OutputInput => self.write(
                    card,
                    sizes(self.outputs, self.inputs),
                    &gradients().transposed(),
                    &inputs,
                )?,
                WeightLayout::InputOutput => self.write(
                    card,
                    sizes(self.inputs, self.outputs),
                    &inputs.transposed(),
                    &gradients(),
                )?,
            })
        } else {
            None
        };
        let input_gradient = if input_needed {
            let sizes = Sizes {
                m: self.rows,
                n: self.inputs,
                k: self.outputs,
                batch: 1,
            };
            let weight = self.matrix_on_card(&weight).transposed();
            let result = self.write(card, sizes, &gradients(), &weight)?;
            Some(match self.activation {
                Some(activation) => {
                    activation.derivatives_on_card(card, input, result.as_view())?
                }
                None => result,
            })
        } else {
            None
        };
        Ok([input_gradient, weight_gradient])
    }

    /// One product, in a matrix of its own.
    fn write<T: CardFloat>(
        &self,
        card: &Card,
        sizes: Sizes,
        a: &Matrices<'_, T>,
        b: &Matrices<'_, T>,
    ) -> Result<CudaSlice<T>> {
        let mut output = card.room(sizes.m * sizes.n)?;
        let place = Place {
            row: sizes.n,
            ..Place::default()
        };
        // SAFETY: inputs, weights and gradients have the sizes of this map.
        unsafe { multiply(card, sizes, a, b, &mut output, place)? };
        Ok(output)
    }
}

impl OnCard<2> for Affine {
    fn forward_on_card<T: CardFloat>(
        &self,
        card: &Card,
        [input, weight]: [CudaView<'_, T>; 2],
    ) -> Result<CudaStorage> {
        Ok(card.store(self.product_on_card(card, input, &weight)?))
    }

    fn backward_on_card<T: CardFloat>(
        &self,
        card: &Card,
        inputs: [CudaView<'_, T>; 2],
        _output: Values<'_>,
        gradient: Values<'_>,
        needed: [bool; 2],
    ) -> Result<[Option<CudaSlice<T>>; 2]> {
        self.gradients_on_card(card, inputs, &gradient.view()?, needed)
    }
}

impl OnCard<3> for Affine {
    fn forward_on_card<T: CardFloat>(
        &self,
        card: &Card,
        [input, weight, bias]: [CudaView<'_, T>; 3],
    ) -> Result<CudaStorage> {
        let mut output = self.product_on_card(card, input, &weight)?;
        add_bias(card, bias, 1, &mut output)?;
        Ok(card.store(output))
    }

    fn backward_on_card<T: CardFloat>(
        &self,
        card: &Card,
        [input, weight, _bias]: [CudaView<'_, T>; 3],
        _output: Values<'_>,
        gradient: Values<'_>,
        [input_needed, weight_needed, bias_needed]: [bool; 3],
    ) -> Result<[Option<CudaSlice<T>>; 3]> {
        let gradient = gradient.view()?;
        let needed = [input_needed, weight_needed];
        let [input, weight] = self.gradients_on_card(card, [input, weight], &gradient, needed)?;
        let bias = bias_needed.then(|| column_sums(card, gradient, self.rows, self.outputs));
        Ok([input, weight, bias.transpose()?])
    }
}

/// Adds its bias to each channel of `values`, which are planes of `plane` elements, one channel after the other.
pub(super) fn add_bias<T: CardFloat>(
    card: &Card,
    bias: CudaView<'_, T>,
    plane: usize,
    values: &mut CudaSlice<T>,
) -> Result<()> {
    let (count, channels, plane) = (size(values.len())?, size(bias.len())?, size(plane)?);
    let mut values = values.as_view_mut();
    // SAFETY: the vector has `count` elements, the bias `channels`.
    unsafe {
        launch!(card, card.kernel::<T>("add_bias")?, grid(count), [bias, count, plane, channels] => [values])
    }
}

/// Rows of a matrix that one block adds up.
const PIECE: usize = 64;

/// How many pieces the rows of a matrix are added up in, and the rows of one.
pub(super) fn pieces(rows: usize) -> Result<(u32, u32)> {
    let piece = rows.div_ceil(1024).max(PIECE);
    Ok((size(rows.div_ceil(piece))?, size(piece)?))
}

fn column_sums<T: CardFloat>(
    card: &Card,
    values: CudaView<'_, T>,
    rows: usize,
    width: usize,
) -> Result<CudaSlice<T>> {
    let (pieces, piece) = pieces(rows)?;
    let blocks = (size(width)?.div_ceil(THREADS), pieces);
    let mut partials = card.room::<T::Real>(pieces as usize * width)?;
    let (rows, columns) = (size(rows)?, size(width)?);
    // SAFETY: the values are `rows` rows of `columns`, and each piece leaves a row of sums.
    unsafe {
        launch!(card, card.kernel::<T>("column_sums")?, blocks, [values, rows, columns, piece] => [partials])?;
    }
    column_totals(card, partials.as_view(), pieces, width)
}

/// The sums of the rows that `pieces` blocks left.
pub(super) fn column_totals<T: CardFloat>(
    card: &Card,
    partials: CudaView<'_, T::Real>,
    pieces: u32,
    width: usize,
) -> Result<CudaSlice<T>> {
    let columns = size(width)?;
    let mut totals = card.room::<T>(width)?;
    // SAFETY: the partial sums are `pieces` rows of `columns`.
    unsafe {
        launch!(card, card.kernel::<T>("column_totals")?, grid(columns), [partials, pieces, columns] => [totals])?;
    }
    Ok(totals)
}
