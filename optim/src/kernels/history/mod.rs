//! The passes over flat vectors that L-BFGS is made of. On the CPU each reads every vector once, in
//! blocks that stay in the first-level cache while all products with them are taken; elsewhere they
//! are plain tensor operations.
//!
//! Vectors are [`Var`]s of shape `[d]` in the state's dtype. A curvature pair is one `Var` of shape
//! `[2, d]`, s above y, in the history's dtype (bf16 allowed beside an f32 state).

mod host;
mod plain;

use candle_core::{DType, Device, Tensor, Var};

use crate::{Parameters, Result, VectorPasses};

/// A move and the two gradients that tell its curvature: s = `step`·`direction`,
/// y = θ·(`after` - `before`) + w·s with (θ, w) = `damping`, (1, 0) for none.
#[derive(Clone, Copy)]
pub(crate) struct Move<'a> {
    pub(crate) direction: &'a Tensor,
    pub(crate) step: f64,
    pub(crate) before: &'a Tensor,
    pub(crate) after: &'a Tensor,
    pub(crate) damping: (f64, f64),
}

/// Products of a new pair (s, y) with itself and with the gradient g. D is the diagonal, or I.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PairProducts {
    pub(crate) s_s: f64,
    pub(crate) s_y: f64,
    pub(crate) y_y: f64,
    pub(crate) y_dy: f64,
    pub(crate) s_g: f64,
    pub(crate) y_dg: f64,
}

/// Products of a stored pair (sᵢ, yᵢ) with the new pair and the gradient.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RowProducts {
    pub(crate) s_y: f64,
    pub(crate) s_g: f64,
    pub(crate) y_dy: f64,
    pub(crate) y_dg: f64,
}

/// The coefficients of one stored pair in the direction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weights {
    /// Of sᵢ: αᵢ - βᵢ of the two-loop recursion.
    pub(crate) s: f64,
    /// Of yᵢ: αᵢ.
    pub(crate) y: f64,
}

/// What one pass over a gradient tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Norms {
    pub(crate) largest: f64,
    pub(crate) sum: f64,
    pub(crate) euclidean: f64,
}

impl Norms {
    /// Whether every component is finite: the sum of magnitudes is not, otherwise.
    pub(crate) fn is_finite(&self) -> bool {
        self.sum.is_finite()
    }
}

/// The dtype of vectors beside parameters of `dtype`.
pub(crate) fn state_dtype(dtype: DType) -> DType {
    if dtype == DType::F64 {
        DType::F64
    } else {
        DType::F32
    }
}

/// Runs `$body` with `$type` bound to the element type of `$dtype`.
macro_rules! with_element {
    ($dtype:expr, $type:ident => $body:expr) => {
        match $dtype {
            DType::F32 => {
                type $type = f32;
                $body
            }
            DType::F64 => {
                type $type = f64;
                $body
            }
            DType::BF16 => {
                type $type = half::bf16;
                $body
            }
            DType::F16 => {
                type $type = half::f16;
                $body
            }
            dtype => candle_core::bail!("L-BFGS needs a floating-point dtype, not {dtype:?}"),
        }
    };
}
use with_element;

/// Runs the host form on the CPU and the plain form elsewhere.
macro_rules! dispatch {
    ($on:expr, $name:ident($($argument:expr),*)) => {
        match $on.device() {
            Device::Cpu => Ok(host::$name($($argument),*)?),
            _ => Ok(plain::$name($($argument),*)?),
        }
    };
}

/// Writes the move's pair into `pair`, rounded to its dtype, and returns all products with it and
/// with `gradient`, those of `rows` in their order.
pub(crate) fn extend(
    rows: &[&Var],
    new: &Move<'_>,
    gradient: &Tensor,
    diagonal: Option<&Tensor>,
    pair: &Var,
    passes: &mut VectorPasses,
) -> Result<(PairProducts, Vec<RowProducts>)> {
    let gradients = 2 + u64::from(new.after.id() != gradient.id());
    passes.reads += 2 * rows.len() as u64 + 1 + gradients + u64::from(diagonal.is_some());
    passes.writes += 2;
    dispatch!(pair, extend(rows, new, gradient, diagonal, pair))
}

/// The products of `rows` with `gradient` alone: `s_g` and `y_dg`.
pub(crate) fn project(
    rows: &[&Var],
    gradient: &Tensor,
    diagonal: Option<&Tensor>,
    passes: &mut VectorPasses,
) -> Result<Vec<RowProducts>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    passes.reads += 2 * rows.len() as u64 + 1 + u64::from(diagonal.is_some());
    dispatch!(gradient, project(rows, gradient, diagonal))
}

/// Writes d = -(γ·D·(g - Σ wᵢ.y·yᵢ) + Σ wᵢ.s·sᵢ) into `direction`; returns gᵀd and max |d|.
pub(crate) fn combine(
    rows: &[(&Var, Weights)],
    gradient: &Tensor,
    gamma: f64,
    diagonal: Option<&Tensor>,
    direction: &Var,
    passes: &mut VectorPasses,
) -> Result<(f64, f64)> {
    passes.reads += 2 * rows.len() as u64 + 1 + u64::from(diagonal.is_some());
    passes.writes += 1;
    dispatch!(
        direction,
        combine(rows, gradient, gamma, diagonal, direction)
    )
}

/// The norms of a vector.
pub(crate) fn norms(vector: &Tensor, passes: &mut VectorPasses) -> Result<Norms> {
    passes.reads += 1;
    dispatch!(vector, norms(vector))
}

/// gᵀd and max |g|.
pub(crate) fn slope(
    gradient: &Tensor,
    direction: &Tensor,
    passes: &mut VectorPasses,
) -> Result<(f64, f64)> {
    passes.reads += 2;
    dispatch!(direction, slope(gradient, direction))
}

/// Sets the parameters to `base` + `step`·`direction`.
pub(crate) fn advance(
    parameters: &Parameters,
    base: &Tensor,
    step: f64,
    direction: &Tensor,
    passes: &mut VectorPasses,
) -> Result<()> {
    passes.reads += 2;
    passes.writes += 1;
    dispatch!(base, advance(parameters.vars(), base, step, direction))
}

/// Writes x - `base` into `direction`, x being the parameters.
pub(crate) fn displacement(
    parameters: &Parameters,
    base: &Tensor,
    direction: &Var,
    passes: &mut VectorPasses,
) -> Result<()> {
    passes.reads += 2;
    passes.writes += 1;
    dispatch!(base, displacement(&tensors(parameters), base, direction))
}

/// Sets the parameters to `base`.
pub(crate) fn scatter(
    parameters: &Parameters,
    base: &Tensor,
    passes: &mut VectorPasses,
) -> Result<()> {
    passes.reads += 1;
    passes.writes += 1;
    dispatch!(base, scatter(parameters.vars(), base))
}

/// Copies the parameters into `flat`.
pub(crate) fn gather_parameters(
    parameters: &Parameters,
    flat: &Var,
    passes: &mut VectorPasses,
) -> Result<()> {
    passes.reads += 1;
    passes.writes += 1;
    dispatch!(flat, gather(&tensors(parameters), flat))
}

fn tensors(parameters: &Parameters) -> Vec<Tensor> {
    let vars = parameters.vars().iter();
    vars.map(|var| var.as_detached_tensor()).collect()
}

/// The tensors as one flat vector of `dtype`, without a copy where they already are one.
pub(crate) fn flatten(
    tensors: &[Tensor],
    dtype: DType,
    passes: &mut VectorPasses,
) -> Result<Tensor> {
    if let [tensor] = tensors
        && tensor.dtype() == dtype
    {
        return Ok(tensor.flatten_all()?);
    }
    passes.reads += 1;
    passes.writes += 1;
    let d: usize = tensors.iter().map(Tensor::elem_count).sum();
    let flat = Var::zeros(d, dtype, tensors[0].device())?;
    let gathered: Result<()> = dispatch!(flat, gather(tensors, &flat));
    gathered.map(|()| flat.as_detached_tensor())
}
