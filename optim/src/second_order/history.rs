//! The curvature pairs that L-BFGS remembers, with their inner products kept up to date.

use candle_core::{DType, Device, Tensor, Var};
use serde::{Deserialize, Serialize};

use super::direction::{PairRow, weights};
use crate::kernels::history::{self as kernels, Move};
use crate::state::State;
use crate::{Error, Result, VectorPasses};

/// Which pairs (s, y) are let into the memory. A pair with sᵀy ≤ 0 would make the inverse Hessian
/// indefinite, and one with a tiny sᵀy would make it huge.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CurvatureGuard {
    /// Skip unless sᵀy > ε, as PyTorch does with ε = 1e-10.
    Absolute(f64),
    /// Skip unless sᵀy > ε·‖s‖·‖y‖, which does not depend on the loss's or the parameters' scale
    /// (in the spirit of Li & Fukushima 2001).
    Cautious(f64),
    /// Where sᵀy < μ·sᵀB₀s, replace y by θ·y + (1 - θ)·B₀s so that equality holds (Powell 1978),
    /// with B₀ = I/γ instead of the full B (Wang, Ma, Goldfarb & Liu 2017). The first pair, for which
    /// γ is not known yet, is skipped unless sᵀy > 0.
    Powell(f64),
}

impl Default for CurvatureGuard {
    fn default() -> Self {
        Self::Cautious(1e-8)
    }
}

/// The scale γ of the initial inverse Hessian H₀ = γ·I.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum InitialScaling {
    /// γ = sᵀy / yᵀy of the newest pair (Nocedal & Wright 2006, eq. 7.20), as in PyTorch.
    #[default]
    Short,
    /// γ = sᵀs / sᵀy of the newest pair, the longer Barzilai-Borwein step.
    Long,
    /// A constant.
    Constant(f64),
}

/// The number format of stored pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HistoryPrecision {
    /// That of the optimizer's other vectors: f64 beside f64 parameters, else f32.
    #[default]
    Full,
    /// bf16, half the memory and traffic; needs an f32 state.
    Bf16,
}

/// How pairs fared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairCounts {
    /// Pairs stored, damped ones included.
    pub stored: u64,
    /// Pairs refused by the guard.
    pub skipped: u64,
    /// Pairs changed by Powell's damping.
    pub damped: u64,
}

#[derive(Debug)]
struct Pair {
    vectors: Var,
    row: PairRow,
}

/// The last `capacity` pairs and H₀.
#[derive(Debug)]
pub(crate) struct History {
    capacity: usize,
    guard: CurvatureGuard,
    scaling: InitialScaling,
    dtype: DType,
    pairs: Vec<Pair>,
    /// Where the next pair is written before the guard has judged it.
    spare: Option<Var>,
    gamma: f64,
    diagonal: Option<Tensor>,
    pub(crate) counts: PairCounts,
}

impl History {
    pub(crate) fn new(
        capacity: usize,
        guard: CurvatureGuard,
        scaling: InitialScaling,
        dtype: DType,
    ) -> Self {
        Self {
            capacity,
            guard,
            scaling,
            dtype,
            pairs: Vec::new(),
            spare: None,
            gamma: initial_gamma(scaling),
            diagonal: None,
            counts: PairCounts::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.pairs.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Forgets all pairs and the diagonal.
    pub(crate) fn clear(&mut self) {
        if let Some(pair) = self.pairs.pop() {
            self.spare.get_or_insert(pair.vectors);
        }
        self.pairs.clear();
        self.diagonal = None;
        self.gamma = initial_gamma(self.scaling);
    }

    /// Makes H₀ = γ·D. Products with an earlier D are void, so the memory must be empty.
    pub(crate) fn set_diagonal(&mut self, diagonal: Tensor) {
        debug_assert!(self.is_empty());
        self.diagonal = Some(diagonal);
    }

    pub(crate) fn has_diagonal(&self) -> bool {
        self.diagonal.is_some()
    }

    /// Elements held.
    pub(crate) fn elements(&self) -> u64 {
        let pairs = self.pairs.iter().map(|pair| &pair.vectors);
        let pairs: usize = pairs.chain(&self.spare).map(|var| var.elem_count()).sum();
        (pairs + self.diagonal.as_ref().map_or(0, Tensor::elem_count)) as u64
    }

    /// Takes the products of all pairs with `gradient`.
    pub(crate) fn project(&mut self, gradient: &Tensor, passes: &mut VectorPasses) -> Result<()> {
        let rows: Vec<&Var> = self.pairs.iter().map(|pair| &pair.vectors).collect();
        let products = kernels::project(&rows, gradient, self.diagonal.as_ref(), passes)?;
        for (pair, products) in self.pairs.iter_mut().zip(products) {
            pair.row.s_g = products.s_g;
            pair.row.y_dg = products.y_dg;
        }
        Ok(())
    }

    /// Offers the pair of `new`, and takes the products of all pairs with `gradient`.
    pub(crate) fn extend(
        &mut self,
        mut new: Move<'_>,
        gradient: &Tensor,
        passes: &mut VectorPasses,
    ) -> Result<()> {
        let d = gradient.elem_count();
        let vectors = match self.spare.take() {
            Some(spare) => spare,
            None => Var::zeros((2, d), self.dtype, gradient.device())?,
        };
        let mut damped = false;
        let (products, rows) = loop {
            let rows: Vec<&Var> = self.pairs.iter().map(|pair| &pair.vectors).collect();
            let diagonal = self.diagonal.as_ref();
            let (products, rows) =
                kernels::extend(&rows, &new, gradient, diagonal, &vectors, passes)?;
            match self.damping(products.s_y, products.s_s) {
                Some(damping) if !damped => {
                    new.damping = damping;
                    damped = true;
                }
                _ => break (products, rows),
            }
        };
        for (pair, products) in self.pairs.iter_mut().zip(&rows) {
            pair.row.s_g = products.s_g;
            pair.row.y_dg = products.y_dg;
        }
        let least = match self.guard {
            CurvatureGuard::Absolute(epsilon) => epsilon,
            CurvatureGuard::Cautious(epsilon) => epsilon * (products.s_s * products.y_y).sqrt(),
            CurvatureGuard::Powell(_) => 0.0,
        };
        let finite = (products.s_s + products.y_y).is_finite();
        if !finite || products.s_y.is_nan() || products.s_y <= least {
            self.counts.skipped += 1;
            self.spare = Some(vectors);
            return Ok(());
        }
        self.counts.stored += 1;
        self.counts.damped += u64::from(damped);
        self.gamma = match self.scaling {
            InitialScaling::Short => products.s_y / products.y_dy,
            InitialScaling::Long => products.s_s / products.s_y,
            InitialScaling::Constant(gamma) => gamma,
        };
        let row = PairRow {
            s_y: rows
                .iter()
                .map(|row| row.s_y)
                .chain([products.s_y])
                .collect(),
            y_dy: rows
                .iter()
                .map(|row| row.y_dy)
                .chain([products.y_dy])
                .collect(),
            s_g: products.s_g,
            y_dg: products.y_dg,
        };
        self.pairs.push(Pair { vectors, row });
        if self.pairs.len() > self.capacity {
            self.spare = Some(self.pairs.remove(0).vectors);
            for pair in &mut self.pairs {
                pair.row.s_y.remove(0);
                pair.row.y_dy.remove(0);
            }
        }
        Ok(())
    }

    /// Powell's (θ, (1 - θ)/γ), where a pair needs it.
    fn damping(&self, s_y: f64, s_s: f64) -> Option<(f64, f64)> {
        let CurvatureGuard::Powell(mu) = self.guard else {
            return None;
        };
        let s_b_s = s_s / self.gamma;
        if self.is_empty() || s_y >= mu * s_b_s {
            return None;
        }
        let theta = (1.0 - mu) * s_b_s / (s_b_s - s_y);
        Some((theta, (1.0 - theta) / self.gamma))
    }

    /// Writes -H·gradient into `direction`; the products with `gradient` must be up to date. Returns
    /// gᵀd and max |d|.
    pub(crate) fn direction(
        &self,
        gradient: &Tensor,
        direction: &Var,
        passes: &mut VectorPasses,
    ) -> Result<(f64, f64)> {
        let rows: Vec<&PairRow> = self.pairs.iter().map(|pair| &pair.row).collect();
        let weights = weights(&rows, self.gamma);
        let vectors = self.pairs.iter().map(|pair| &pair.vectors);
        let rows: Vec<_> = vectors.zip(weights).collect();
        let diagonal = self.diagonal.as_ref();
        kernels::combine(&rows, gradient, self.gamma, diagonal, direction, passes)
    }

    /// Adds the pairs, their products and H₀ to `state`.
    pub(crate) fn save(&self, state: &mut State) -> Result<()> {
        for (i, pair) in self.pairs.iter().enumerate() {
            let vectors = pair.vectors.as_detached_tensor().copy()?;
            state.tensors.insert(format!("pair.{i}"), vectors);
        }
        if let Some(diagonal) = &self.diagonal {
            state.tensors.insert("diagonal".into(), diagonal.copy()?);
        }
        // γ, then the rows: kept as f64 bits, which JSON would not guarantee.
        let mut products = vec![self.gamma];
        for Pair { row, .. } in &self.pairs {
            products.extend(row.s_y.iter().chain(&row.y_dy));
            products.extend([row.s_g, row.y_dg]);
        }
        let products = Tensor::new(products, &Device::Cpu)?;
        state.tensors.insert("products".into(), products);
        state.set("pairs", self.pairs.len())?;
        state.set("pair_counts", self.counts)
    }

    /// Takes everything back from `state`.
    pub(crate) fn load(&mut self, state: &State, d: usize, device: &Device) -> Result<()> {
        let n: usize = state.get("pairs")?;
        let counts = state.get("pair_counts")?;
        let products = tensor(state, "products", &[1 + n * (n + 1) + 2 * n])?.to_vec1::<f64>()?;
        if n > self.capacity {
            return Err(Error::Checkpoint(format!(
                "it holds {n} pairs, more than history_size = {}",
                self.capacity
            )));
        }
        let (gamma, mut rest) = (products[0], &products[1..]);
        let mut take = |count: usize| {
            let (head, tail) = rest.split_at(count);
            rest = tail;
            head.to_vec()
        };
        let mut pairs = Vec::with_capacity(n);
        for i in 0..n {
            let vectors = tensor(state, &format!("pair.{i}"), &[2, d])?;
            let (s_y, y_dy, with_gradient) = (take(i + 1), take(i + 1), take(2));
            let row = PairRow {
                s_y,
                y_dy,
                s_g: with_gradient[0],
                y_dg: with_gradient[1],
            };
            pairs.push(Pair {
                vectors: var(vectors, self.dtype, device)?,
                row,
            });
        }
        self.diagonal = match state.tensors.get("diagonal") {
            Some(_) => Some(tensor(state, "diagonal", &[d])?.to_device(device)?),
            None => None,
        };
        self.pairs = pairs;
        self.gamma = gamma;
        self.counts = counts;
        self.spare = None;
        Ok(())
    }
}

/// The tensor `name` of `state`, which must have shape `dims`.
pub(super) fn tensor<'a>(state: &'a State, name: &str, dims: &[usize]) -> Result<&'a Tensor> {
    match state.tensors.get(name) {
        Some(tensor) if tensor.dims() == dims => Ok(tensor),
        Some(tensor) => Err(Error::Checkpoint(format!(
            "tensor `{name}` has shape {:?}, expected {dims:?}",
            tensor.dims()
        ))),
        None => Err(Error::Checkpoint(format!("tensor `{name}` is missing"))),
    }
}

/// A variable of its own memory with `tensor`'s values.
pub(super) fn var(tensor: &Tensor, dtype: DType, device: &Device) -> Result<Var> {
    let tensor = tensor.to_device(device)?.to_dtype(dtype)?;
    Ok(Var::from_tensor(&tensor.copy()?)?)
}

fn initial_gamma(scaling: InitialScaling) -> f64 {
    match scaling {
        InitialScaling::Constant(gamma) => gamma,
        InitialScaling::Short | InitialScaling::Long => 1.0,
    }
}
