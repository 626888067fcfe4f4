//! Tensors taken along one dimension after the other: as matrices, and multiplied by matrices.

use candle_core::{Result, Tensor};

use super::product::product;
use crate::kernels::number::square_limit;

/// `gradient` within bounds of which sums of products, of as many as a dimension can have, are finite.
pub(super) fn bounded(gradient: &Tensor) -> Result<Tensor> {
    let limit = square_limit(gradient.dtype()) / 65_536.0;
    gradient.clamp(-limit, limit)
}

/// Multiplies each dimension of `tensor`, from the side of its index, by the square matrix that there
/// is for it: of a matrix G, Aᵀ·G·B.
pub(super) fn multiplied<'a>(
    tensor: &Tensor,
    matrices: impl Iterator<Item = Option<&'a Tensor>>,
) -> Result<Tensor> {
    let mut tensor = tensor.clone();
    for matrix in matrices {
        let columns = unfolded(&tensor)?.t()?;
        let turned = match matrix {
            Some(matrix) => product(&columns, matrix)?,
            None => columns.contiguous()?,
        };
        tensor = turned.reshape(rotated(&tensor))?;
    }
    Ok(tensor)
}

/// For each dimension, the products of `tensor`'s slices at two of its indices: of a matrix G, G·Gᵀ
/// and Gᵀ·G. Only those that are `wanted`.
pub(super) fn grams(
    tensor: &Tensor,
    wanted: impl Iterator<Item = bool>,
) -> Result<Vec<Option<Tensor>>> {
    let mut tensor = tensor.clone();
    let mut grams = Vec::new();
    for wanted in wanted {
        let rows = unfolded(&tensor)?;
        let gram = wanted.then(|| product(&rows, &rows.t()?)).transpose()?;
        grams.push(gram);
        tensor = rows.t()?.contiguous()?.reshape(rotated(&tensor))?;
    }
    Ok(grams)
}

/// `tensor` as a matrix with a row for each index of the first dimension.
fn unfolded(tensor: &Tensor) -> Result<Tensor> {
    let (rows, count) = (tensor.dim(0)?, tensor.elem_count());
    tensor.reshape((rows, count / rows.max(1)))
}

/// The dimensions of `tensor` with the first one last.
fn rotated(tensor: &Tensor) -> Vec<usize> {
    let mut dims = tensor.dims().to_vec();
    dims.rotate_left(1);
    dims
}
