//! Corrections for testing several hypotheses at once: adjusted p-values, in the order of the input.

use crate::Result;
use crate::error::check;

/// Holm's step-down adjustment (1979), which bounds the probability of any false rejection whatever the
/// dependence: with p sorted, max over j ≤ i of (m − j + 1)·p₍ⱼ₎, at most 1.
/// `statsmodels.stats.multitest.multipletests(method="holm")`.
///
/// # Errors
/// For a p-value outside [0, 1].
pub fn holm(p_values: &[f64]) -> Result<Vec<f64>> {
    let order = ascending(p_values)?;
    let m = order.len();
    let mut adjusted = vec![0.0; m];
    let mut largest: f64 = 0.0;
    for (rank, &index) in order.iter().enumerate() {
        largest = largest.max((m - rank) as f64 * p_values[index]).min(1.0);
        adjusted[index] = largest;
    }
    Ok(adjusted)
}

/// Benjamini and Hochberg's step-up adjustment (1995), which bounds the expected share of false
/// rejections for independent or positively dependent tests: with p sorted, min over j ≥ i of m·p₍ⱼ₎/j.
/// `scipy.stats.false_discovery_control(method="bh")`.
///
/// # Errors
/// For a p-value outside [0, 1].
pub fn benjamini_hochberg(p_values: &[f64]) -> Result<Vec<f64>> {
    let order = ascending(p_values)?;
    let m = order.len();
    let mut adjusted = vec![0.0; m];
    let mut smallest: f64 = 1.0;
    for (rank, &index) in order.iter().enumerate().rev() {
        smallest = smallest.min(p_values[index] * (m as f64 / (rank + 1) as f64));
        adjusted[index] = smallest;
    }
    Ok(adjusted)
}

/// The indices of the p-values in ascending order.
fn ascending(p_values: &[f64]) -> Result<Vec<usize>> {
    check(
        "p-values",
        p_values,
        0,
        |p| (0.0..=1.0).contains(&p),
        "a number from 0 to 1",
    )?;
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    Ok(order)
}
