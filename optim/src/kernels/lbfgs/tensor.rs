//! The passes in tensor operations: for devices without kernels of their own, and the reference
//! that the tests compare the kernels with. All products of a pass come to the host in one
//! transfer.

use candle_core::{DType, Result, Tensor, Var};

use super::products::{Move, Norms, PairProducts, RowProducts, Weights};
use crate::kernels::number::largest;

/// The two halves of a pair in `dtype`.
fn halves(pair: &Var, dtype: DType) -> Result<(Tensor, Tensor)> {
    let pair = pair.as_detached_tensor().to_dtype(dtype)?;
    Ok((pair.get(0)?, pair.get(1)?))
}

fn dot(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    (a * b)?.sum_all()
}

fn to_host(scalars: &[Tensor]) -> Result<Vec<f64>> {
    Tensor::stack(scalars, 0)?.to_dtype(DType::F64)?.to_vec1()
}

fn scale(vector: &Tensor, diagonal: Option<&Tensor>) -> Result<Tensor> {
    match diagonal {
        Some(diagonal) => vector * diagonal,
        None => Ok(vector.clone()),
    }
}

pub(super) fn extend(
    rows: &[&Var],
    new: &Move<'_>,
    gradient: &Tensor,
    diagonal: Option<&Tensor>,
    pair: &Var,
) -> Result<(PairProducts, Vec<RowProducts>)> {
    let s = (new.direction * new.step)?;
    let (theta, w) = new.damping;
    let y = (((new.after - new.before)? * theta)? + (&s * w)?)?;
    pair.set(&Tensor::stack(&[s, y], 0)?.to_dtype(pair.dtype())?)?;
    let (s, y) = halves(pair, gradient.dtype())?;
    let (dy, dg) = (scale(&y, diagonal)?, scale(gradient, diagonal)?);
    let mut scalars = vec![
        dot(&s, &s)?,
        dot(&s, &y)?,
        dot(&y, &y)?,
        dot(&y, &dy)?,
        dot(&s, gradient)?,
        dot(&y, &dg)?,
    ];
    for row in rows {
        let (s_row, y_row) = halves(row, gradient.dtype())?;
        scalars.extend([
            dot(&s_row, &y)?,
            dot(&s_row, gradient)?,
            dot(&y_row, &dy)?,
            dot(&y_row, &dg)?,
        ]);
    }
    let products = to_host(&scalars)?;
    let (pair, rows) = products.split_at(6);
    let pair = PairProducts {
        s_s: pair[0],
        s_y: pair[1],
        y_y: pair[2],
        y_dy: pair[3],
        s_g: pair[4],
        y_dg: pair[5],
    };
    let rows = rows
        .chunks(4)
        .map(|row| RowProducts {
            s_y: row[0],
            s_g: row[1],
            y_dy: row[2],
            y_dg: row[3],
        })
        .collect();
    Ok((pair, rows))
}

pub(super) fn project(
    rows: &[&Var],
    gradient: &Tensor,
    diagonal: Option<&Tensor>,
) -> Result<Vec<RowProducts>> {
    let dg = scale(gradient, diagonal)?;
    let mut scalars = Vec::with_capacity(2 * rows.len());
    for row in rows {
        let (s, y) = halves(row, gradient.dtype())?;
        scalars.extend([dot(&s, gradient)?, dot(&y, &dg)?]);
    }
    let products = to_host(&scalars)?;
    let rows = products.chunks(2).map(|row| RowProducts {
        s_g: row[0],
        y_dg: row[1],
        ..RowProducts::default()
    });
    Ok(rows.collect())
}

pub(super) fn combine(
    rows: &[(&Var, Weights)],
    gradient: &Tensor,
    gamma: f64,
    diagonal: Option<&Tensor>,
    direction: &Var,
) -> Result<(f64, f64)> {
    let mut sum = gradient.neg()?;
    for (pair, weights) in rows.iter().rev() {
        sum = (sum + (halves(pair, gradient.dtype())?.1 * weights.y)?)?;
    }
    sum = (scale(&sum, diagonal)? * gamma)?;
    for (pair, weights) in rows {
        sum = (sum - (halves(pair, gradient.dtype())?.0 * weights.s)?)?;
    }
    direction.set(&sum)?;
    let products = to_host(&[dot(&sum, gradient)?, sum.abs()?.max(0)?])?;
    Ok((products[0], products[1]))
}

pub(super) fn norms(vector: &Tensor) -> Result<Norms> {
    let magnitude = vector.abs()?;
    let scalars = [
        magnitude.max(0)?,
        magnitude.sum_all()?,
        vector.sqr()?.sum_all()?,
    ];
    let scalars = to_host(&scalars)?;
    Ok(Norms {
        largest: scalars[0],
        sum: scalars[1],
        euclidean: scalars[2].sqrt(),
    })
}

pub(super) fn slope(gradient: &Tensor, direction: &Tensor) -> Result<(f64, f64)> {
    let scalars = to_host(&[dot(gradient, direction)?, gradient.abs()?.max(0)?])?;
    Ok((scalars[0], scalars[1]))
}

pub(super) fn step_along(vars: &[Var], base: &Tensor, step: f64, direction: &Tensor) -> Result<()> {
    unflatten(vars, &(base + (direction * step)?)?)
}

pub(super) fn unflatten(vars: &[Var], base: &Tensor) -> Result<()> {
    let mut start = 0;
    for var in vars {
        let values = base.narrow(0, start, var.elem_count())?;
        let limit = largest(var.dtype());
        let values = values.reshape(var.shape())?.clamp(-limit, limit)?;
        var.set(&values.to_dtype(var.dtype())?)?;
        start += var.elem_count();
    }
    Ok(())
}

pub(super) fn flatten(tensors: &[Tensor], flat: &Var) -> Result<()> {
    flat.set(&concatenate(tensors, flat.dtype())?)
}

pub(super) fn displacement(tensors: &[Tensor], base: &Tensor, direction: &Var) -> Result<()> {
    direction.set(&(concatenate(tensors, base.dtype())? - base)?)
}

fn concatenate(tensors: &[Tensor], dtype: DType) -> Result<Tensor> {
    let parts = tensors
        .iter()
        .map(|tensor| tensor.flatten_all()?.to_dtype(dtype))
        .collect::<Result<Vec<_>>>()?;
    Tensor::cat(&parts, 0)
}
