//! The L-BFGS direction in coefficient space.
//!
//! The two-loop recursion (Nocedal & Wright 2006, algorithm 7.4) only ever needs inner products of
//! the stored vectors and the gradient. Given those, the same recursion runs on numbers alone and
//! yields d as a linear combination of the vectors, so that they are read once to take the products
//! and once to combine them ("vector-free L-BFGS", Chen et al., NIPS 2014) instead of four times.

use crate::kernels::lbfgs::Weights;

/// The inner products of one stored pair (sⱼ, yⱼ), D being the diagonal of H₀ = γ·D.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct PairRow {
    /// sᵢᵀyⱼ for the pairs i ≤ j, oldest first.
    pub(crate) s_y: Vec<f64>,
    /// yᵢᵀDyⱼ for the pairs i ≤ j.
    pub(crate) y_dy: Vec<f64>,
    /// sⱼᵀg.
    pub(crate) s_g: f64,
    /// yⱼᵀDg.
    pub(crate) y_dg: f64,
}

/// The weights of all pairs in the direction, oldest first.
///
/// ```text
/// for i = n-1 … 0:  αᵢ = (sᵢᵀg - Σ_{j>i} αⱼ·sᵢᵀyⱼ) / sᵢᵀyᵢ
/// for i = 0 … n-1:  βᵢ = (γ·(yᵢᵀDg - Σⱼ αⱼ·yᵢᵀDyⱼ) + Σ_{j<i} (αⱼ - βⱼ)·sⱼᵀyᵢ) / sᵢᵀyᵢ
/// d = -(γ·D·(g - Σ αᵢ·yᵢ) + Σ (αᵢ - βᵢ)·sᵢ)
/// ```
pub(crate) fn weights(rows: &[&PairRow], gamma: f64) -> Vec<Weights> {
    let n = rows.len();
    let mut alpha = vec![0.0; n];
    for i in (0..n).rev() {
        let later: f64 = (i + 1..n).map(|j| alpha[j] * rows[j].s_y[i]).sum();
        alpha[i] = (rows[i].s_g - later) / rows[i].s_y[i];
    }
    let mut weights = Vec::with_capacity(n);
    for i in 0..n {
        let all: f64 = (0..n)
            .map(|j| alpha[j] * rows[i.max(j)].y_dy[i.min(j)])
            .sum();
        let earlier: f64 = weights
            .iter()
            .zip(&rows[i].s_y)
            .map(|(weights, s_y): (&Weights, &f64)| weights.s * s_y)
            .sum();
        let beta = (gamma * (rows[i].y_dg - all) + earlier) / rows[i].s_y[i];
        weights.push(Weights {
            s: alpha[i] - beta,
            y: alpha[i],
        });
    }
    weights
}
