//! Order with ties.

/// Whether two results of the same sums, taken in different order, count as equal: within 10⁻¹² of
/// their size, well above rounding and well below any difference of interest.
pub(super) fn tied(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
}

/// The ranks from 1, ties sharing the mean of theirs (`scipy.stats.rankdata`). The values are free of
/// NaN.
pub fn average_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for ties in order.chunk_by(|&a, &b| values[a] == values[b]) {
        // The mean of the ranks start + 1 to start + ties.len().
        let rank = start as f64 + (ties.len() + 1) as f64 / 2.0;
        for &index in ties {
            ranks[index] = rank;
        }
        start += ties.len();
    }
    ranks
}
