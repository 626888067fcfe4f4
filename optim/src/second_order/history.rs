//! The curvature pairs that L-BFGS remembers, with their inner products kept up to date.

use candle_core::{DType, Device, Tensor, Var};

use super::config::{CurvatureGuard, InitialScaling};
use super::direction::{PairRow, weights};
use crate::error::{Error, Result};
use crate::kernels::lbfgs::{self as kernels, Move};
use crate::kernels::memory::zeros;
use crate::record::{PairCounts, VectorPasses};
use crate::state::State;

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
    /// Where the next pair is written, before the guard accepts or refuses it.
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

    /// Makes H₀ = γ·D. No pair may be held, since the products of held pairs contain an earlier D.
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
            None => zeros((2, d), self.dtype, gradient.device())?,
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
            CurvatureGuard::Adaptive { least, .. } => least,
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

    /// The weights of y and s in a damped y, where a pair needs it.
    fn damping(&self, s_y: f64, s_s: f64) -> Option<(f64, f64)> {
        match self.guard {
            CurvatureGuard::Absolute(_) | CurvatureGuard::Cautious(_) => None,
            CurvatureGuard::Powell(mu) => {
                let s_b_s = s_s / self.gamma;
                if self.is_empty() || s_y >= mu * s_b_s {
                    return None;
                }
                let theta = (1.0 - mu) * s_b_s / (s_b_s - s_y);
                Some((theta, (1.0 - theta) / self.gamma))
            }
            CurvatureGuard::Adaptive {
                share, low, high, ..
            } => {
                let tau = s_y / s_s;
                let phi = if tau < low {
                    (1.0 - low) / (1.0 - tau)
                } else if tau > high {
                    (high - 1.0) / (tau - 1.0)
                } else {
                    1.0
                };
                let phi = phi.min(1.0 - share);
                (phi < 1.0).then_some((phi, 1.0 - phi))
            }
        }
    }

    /// Writes -H·gradient into `direction`; the products with `gradient` must be up to date.
    /// Returns gᵀd and max |d|.
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

    /// Restores pairs, products and H₀ from `state`.
    pub(crate) fn load(&mut self, state: &State, d: usize, device: &Device) -> Result<()> {
        let n: usize = state.get("pairs")?;
        let counts = state.get("pair_counts")?;
        if n > self.capacity {
            return Err(Error::Checkpoint(format!(
                "it holds {n} pairs, more than history_size = {}",
                self.capacity
            )));
        }
        let length = n.saturating_mul(n.saturating_add(3)).saturating_add(1);
        let products = tensor(state, "products", &[length])?.to_vec1::<f64>()?;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    const D: usize = 7;

    fn tensor(values: &[f64]) -> Tensor {
        Tensor::new(values, &Device::Cpu).unwrap()
    }

    /// A history of the pairs (s, A·s), A = diag(1 … D) plus a rank-one part, kept as one dense
    /// inverse Hessian too. `diagonal` is D of H₀ = γ·D.
    struct Both {
        history: History,
        dense: Vec<Vec<f64>>,
        newest: Option<(Vec<f64>, Vec<f64>)>,
    }

    fn both(capacity: usize, moves: &[Vec<f64>], diagonal: Option<&[f64]>) -> Both {
        let guard = CurvatureGuard::Cautious(1e-8);
        let mut history = History::new(capacity, guard, InitialScaling::Short, DType::F64);
        if let Some(diagonal) = diagonal {
            history.set_diagonal(tensor(diagonal));
        }
        let zero = tensor(&[0.0; D]);
        let mut pairs = Vec::new();
        for s in moves {
            let sum: f64 = s.iter().sum();
            let y: Vec<f64> = (0..D).map(|i| (i + 1) as f64 * s[i] + sum).collect();
            let stored = history.counts.stored;
            let new = Move {
                direction: &tensor(s),
                step: 1.0,
                before: &zero,
                after: &tensor(&y),
                damping: (1.0, 0.0),
            };
            history
                .extend(new, &zero, &mut VectorPasses::default())
                .unwrap();
            if history.counts.stored > stored {
                pairs.push((s.clone(), y));
            }
        }
        let pairs = &pairs[pairs.len().saturating_sub(capacity)..];
        let newest = pairs.last().cloned();
        let weight = |i: usize| diagonal.map_or(1.0, |diagonal| diagonal[i]);
        let gamma = newest.as_ref().map_or(1.0, |(s, y)| {
            let y_dy: f64 = (0..D).map(|i| y[i] * weight(i) * y[i]).sum();
            dot(s, y) / y_dy
        });
        let mut dense = vec![vec![0.0; D]; D];
        for (i, row) in dense.iter_mut().enumerate() {
            row[i] = gamma * weight(i);
        }
        for (s, y) in pairs {
            dense = update(&dense, s, y);
        }
        Both {
            history,
            dense,
            newest,
        }
    }

    fn dot(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    /// (I - ρsyᵀ)·H·(I - ρysᵀ) + ρssᵀ
    fn update(h: &[Vec<f64>], s: &[f64], y: &[f64]) -> Vec<Vec<f64>> {
        let rho = 1.0 / dot(s, y);
        let hy: Vec<f64> = h.iter().map(|row| dot(row, y)).collect();
        let y_hy = dot(y, &hy);
        let entry = |i: usize, j: usize| {
            h[i][j] - rho * (s[i] * hy[j] + hy[i] * s[j]) + (rho * rho * y_hy + rho) * s[i] * s[j]
        };
        (0..D)
            .map(|i| (0..D).map(|j| entry(i, j)).collect())
            .collect()
    }

    fn direction(history: &mut History, gradient: &[f64]) -> Vec<f64> {
        let mut passes = VectorPasses::default();
        let gradient = tensor(gradient);
        let direction = Var::zeros(D, DType::F64, &Device::Cpu).unwrap();
        history.project(&gradient, &mut passes).unwrap();
        history
            .direction(&gradient, &direction, &mut passes)
            .unwrap();
        direction.to_vec1().unwrap()
    }

    fn vectors(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Vec<f64>>> {
        prop::collection::vec(prop::collection::vec(-1.0..1.0f64, D), count)
    }

    fn close(a: &[f64], b: &[f64]) -> bool {
        let difference: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        dot(&difference, &difference).sqrt() <= 1e-10 * dot(b, b).sqrt()
    }

    proptest! {
        #[test]
        fn the_direction_is_the_dense_inverse_times_the_gradient(
            moves in vectors(0..12),
            gradient in prop::collection::vec(-1.0..1.0f64, D),
            scaled in any::<bool>(),
        ) {
            let diagonal: Vec<f64> = (0..D).map(|i| 1.0 / (1.0 + i as f64)).collect();
            let mut both = both(5, &moves, scaled.then_some(&diagonal));
            let direction = direction(&mut both.history, &gradient);
            let expected: Vec<f64> = both.dense.iter().map(|row| -dot(row, &gradient)).collect();
            prop_assert!(close(&direction, &expected), "{direction:?} {expected:?}");
            prop_assert!(dot(&direction, &gradient) < 0.0);
        }

        #[test]
        fn the_newest_pair_satisfies_the_secant_equation(moves in vectors(1..12)) {
            let mut both = both(5, &moves, None);
            prop_assume!(both.newest.is_some());
            let (s, y) = both.newest.unwrap();
            let minus_s: Vec<f64> = s.iter().map(|s| -s).collect();
            prop_assert!(close(&direction(&mut both.history, &y), &minus_s));
        }

        #[test]
        fn the_direction_is_linear_in_the_gradient(
            moves in vectors(1..8),
            gradients in vectors(2..3),
            weight in -2.0..2.0f64,
        ) {
            let mut both = both(5, &moves, None);
            let [a, b] = [0, 1].map(|i| direction(&mut both.history, &gradients[i]));
            let mix = |a: &[f64], b: &[f64]| -> Vec<f64> {
                a.iter().zip(b).map(|(a, b)| a + weight * b).collect()
            };
            let sum = direction(&mut both.history, &mix(&gradients[0], &gradients[1]));
            let (expected, size) = (mix(&a, &b), dot(&a, &a).sqrt() + dot(&b, &b).sqrt());
            let error: f64 = sum.iter().zip(&expected).map(|(a, b)| (a - b).abs()).sum();
            prop_assert!(error <= 1e-10 * size);
        }
    }

    /// One pair of negative curvature after a good one, under each guard.
    fn offer_negative_curvature(guard: CurvatureGuard) -> History {
        let mut history = History::new(3, guard, InitialScaling::Short, DType::F64);
        let zero = tensor(&[0.0; 2]);
        for y in [[2.0, 0.0], [-1.0, 0.5]] {
            let new = Move {
                direction: &tensor(&[1.0, 0.0]),
                step: 1.0,
                before: &zero,
                after: &tensor(&y),
                damping: (1.0, 0.0),
            };
            history
                .extend(new, &zero, &mut VectorPasses::default())
                .unwrap();
        }
        history
    }

    #[test]
    fn negative_curvature_is_skipped_or_damped() {
        for guard in [
            CurvatureGuard::Absolute(1e-10),
            CurvatureGuard::Cautious(1e-8),
        ] {
            let counts = offer_negative_curvature(guard).counts;
            assert_eq!((counts.stored, counts.skipped, counts.damped), (1, 1, 0));
        }
        let history = offer_negative_curvature(CurvatureGuard::Powell(0.2));
        let counts = history.counts;
        assert_eq!((counts.stored, counts.skipped, counts.damped), (2, 0, 1));
        // sᵀB₀s = 2, so damping makes sᵀy = 0.2·2.
        let s_y = history.pairs[1].row.s_y[1];
        assert!((s_y - 0.4).abs() < 1e-15, "{s_y}");
    }
}
