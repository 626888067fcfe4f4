//! A table of vectors, looked up by index.

use candle_core::{DType, Tensor, Var, bail};

use super::trace;
use crate::kernels::{self, Apply};
use crate::precision::upcast;
use crate::{Error, Init, Result, Scope};

/// The settings of an [`Embedding`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EmbeddingConfig {
    /// Rows of the table.
    pub count: usize,
    /// Elements of each row.
    pub width: usize,
    /// The table's first values.
    pub init: Init,
}

impl EmbeddingConfig {
    /// A table of standard normal draws, as in PyTorch.
    pub fn new(count: usize, width: usize) -> Self {
        Self {
            count,
            width,
            init: Init::Normal { std: 1.0 },
        }
    }

    /// Creates the layer with the parameter `weight`, of shape `[count, width]`.
    ///
    /// # Errors
    /// When a size is 0 or the name is taken.
    pub fn build(&self, scope: &Scope) -> Result<Embedding> {
        for (name, value) in [("count", self.count), ("width", self.width)] {
            if value == 0 {
                return Err(Error::setting(name, value, "at least 1"));
            }
        }
        let weight = scope.parameter("weight", (self.count, self.width), self.init)?;
        Ok(Embedding { weight })
    }
}

/// The rows of a table at given indices.
#[derive(Debug, Clone)]
pub struct Embedding {
    weight: Var,
}

impl Embedding {
    /// The table, of shape `[count, width]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// The rows at `ids`, an integer tensor; the output's shape is that of `ids` and `width`.
    ///
    /// # Errors
    /// When `ids` holds floating-point numbers or an index that the table does not have.
    pub fn forward(&self, ids: &Tensor) -> candle_core::Result<Tensor> {
        let (count, width) = self.weight.dims2()?;
        if !ids.dtype().is_int() {
            bail!("embedding: expected integer indices, got {:?}", ids.dtype());
        }
        let mut shape = ids.dims().to_vec();
        shape.push(width);
        let flat = ids.flatten_all()?.to_dtype(DType::U32)?;
        let output = if kernels::supported(&self.weight) {
            let ids = flat.to_vec1::<u32>()?;
            if let Some(id) = ids.iter().find(|id| **id as usize >= count) {
                bail!("embedding: index {id} is not below {count}");
            }
            let shape = shape.into();
            kernels::LookUp { ids, width, shape }.apply([&self.weight])?
        } else {
            self.fallback(&flat, &shape)?
        };
        trace::record("Embedding", [self.weight()], &output, 0);
        Ok(output)
    }

    fn fallback(&self, ids: &Tensor, shape: &[usize]) -> candle_core::Result<Tensor> {
        upcast(&self.weight)?
            .index_select(ids, 0)?
            .to_dtype(self.weight.dtype())?
            .reshape(shape)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::{assert_same_paths, device, scope, values};

    #[test]
    fn kernels_agree_with_tensor_operations() {
        let scope = scope();
        let embedding = EmbeddingConfig::new(5, 3).build(&scope).unwrap();
        let ids = Tensor::new(&[4u32, 0, 4, 2], &device()).unwrap();
        // Added by both paths, as the comparison needs an input.
        let input = Var::from_tensor(&values(&[4, 3])).unwrap();
        assert_same_paths(
            &scope.into_tensors(),
            &input,
            || embedding.forward(&ids)? + input.as_tensor(),
            || embedding.fallback(&ids, &[4, 3])? + input.as_tensor(),
        );
    }
}
