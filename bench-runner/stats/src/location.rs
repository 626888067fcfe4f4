//! Where values lie and how far they spread.
//!
//! Nothing here fails: NaN stands for "no such value", as in NumPy, when the input is empty, too short
//! or contains NaN.

/// The arithmetic mean Σxᵢ/n. NaN for no values or for infinities of both signs.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The unbiased variance Σ(xᵢ − x̄)²/(n − 1), NumPy's `var(ddof=1)`. NaN for fewer than two values or
/// any infinity.
pub fn sample_variance(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return f64::NAN;
    }
    squared_deviations(values) / (values.len() - 1) as f64
}

/// The variance Σ(xᵢ − x̄)²/n, NumPy's `var()`. NaN for no values or any infinity.
pub fn population_variance(values: &[f64]) -> f64 {
    squared_deviations(values) / values.len() as f64
}

fn squared_deviations(values: &[f64]) -> f64 {
    let center = mean(values);
    values.iter().map(|value| (value - center).powi(2)).sum()
}

/// The median; the mean of the middle two for an even number of values.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// As [`median`], infinite for no values: where a cost that was never measured counts as one never met.
pub fn median_or_infinite(values: &[f64]) -> f64 {
    let median = median(values);
    if median.is_nan() {
        f64::INFINITY
    } else {
        median
    }
}

/// The quantile at `q` from 0 to 1, by linear interpolation: Hyndman and Fan's type 7 (1996), NumPy's
/// default. With x sorted, h = (n − 1)q and g = h − ⌊h⌋ it is (1 − g)·x₍⌊h⌋₎ + g·x₍⌊h⌋₊₁₎, indices
/// from 0.
///
/// A neighbour of weight 0 does not count, even if infinite; one of positive weight makes the result
/// infinite. NaN for no values, a NaN among them, or `q` outside [0, 1].
///
/// ```
/// use bench_stats::quantile;
///
/// let costs = [120.0, f64::INFINITY, 80.0];
/// assert_eq!(quantile(&costs, 0.5), 120.0);
/// assert_eq!(quantile(&costs, 0.75), f64::INFINITY);
/// ```
pub fn quantile(values: &[f64], q: f64) -> f64 {
    match sorted(values) {
        Some(sorted) => quantile_of_sorted(&sorted, q),
        None => f64::NAN,
    }
}

/// [`quantile`] of values that are in order and free of NaN.
pub(super) fn quantile_of_sorted(sorted: &[f64], q: f64) -> f64 {
    if sorted.is_empty() || !(0.0..=1.0).contains(&q) {
        return f64::NAN;
    }
    let position = (sorted.len() - 1) as f64 * q;
    let below = sorted[position.floor() as usize];
    let above = sorted[position.ceil() as usize];
    let weight = position.fract();
    if below == above {
        // Also where both are the same infinity, whose difference is NaN.
        below
    } else if below.is_infinite() || above.is_infinite() {
        (1.0 - weight) * below + weight * above
    } else {
        below + weight * (above - below)
    }
}

/// The inter-quartile mean: the mean of what is left when the ⌊n/4⌋ smallest and the ⌊n/4⌋ largest
/// values are dropped (`scipy.stats.trim_mean` at 0.25, the aggregate recommended by Agarwal et al.,
/// "Deep RL at the Edge of the Statistical Precipice", 2021).
///
/// With fewer than 4 values nothing is dropped: it is the mean. NaN for no values or a NaN among them.
pub fn interquartile_mean(values: &[f64]) -> f64 {
    match sorted(values) {
        Some(sorted) => {
            let cut = sorted.len() / 4;
            mean(&sorted[cut..sorted.len() - cut])
        }
        None => f64::NAN,
    }
}

/// The values in ascending order; `None` if one is NaN.
pub(super) fn sorted(values: &[f64]) -> Option<Vec<f64>> {
    if values.iter().any(|value| value.is_nan()) {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    Some(sorted)
}
