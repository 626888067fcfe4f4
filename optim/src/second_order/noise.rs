//! The size of the errors in a function's values, estimated from the values themselves.

/// What a set of values tells about their errors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Estimate {
    /// The root mean square of the errors.
    Level(f64),
    /// Half of the values or more are equal: the points are too close to each other.
    TooClose,
    /// The differences show the function rather than the errors: the points are too far apart.
    TooFar,
}

/// The errors in `values` at equally spaced points of a line.
///
/// A smooth function's differences of order k fall with the spacing to the power k, those of
/// independent errors of size σ have the mean square σ²·(2k)!/(k!)². So σ is read off the lowest
/// order from which on three orders in a row agree, up to a factor of 4, and whose differences have
/// both signs (Moré & Wild, "Estimating computational noise", SIAM J. Sci. Comput. 33 (2011),
/// algorithm ECnoise).
pub(super) fn estimate(values: &[f64]) -> Estimate {
    let (least, largest) = values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(*value), high.max(*value))
        });
    let size = least.abs().max(largest.abs());
    if !size.is_finite() || largest - least > 0.1 * size {
        return Estimate::TooFar;
    }
    let mut differences = values.to_vec();
    let (mut levels, mut both_signs) = (Vec::new(), Vec::new());
    let mut gamma = 1.0;
    for order in 1..values.len() {
        differences = differences
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .collect();
        let zeros = differences.iter().filter(|value| **value == 0.0).count();
        if order == 1 && 2 * zeros >= differences.len() {
            return Estimate::TooClose;
        }
        // (k!)²/(2k)!, from order to order.
        gamma *= 0.5 * order as f64 / (2 * order - 1) as f64;
        let squares: f64 = differences.iter().map(|value| value * value).sum();
        levels.push((gamma * squares / differences.len() as f64).sqrt());
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in &differences {
            (low, high) = (low.min(*value), high.max(*value));
        }
        both_signs.push(low * high < 0.0);
    }
    for (three, signs) in levels.windows(3).zip(&both_signs) {
        let largest = three.iter().copied().fold(0.0, f64::max);
        let least = three.iter().copied().fold(f64::INFINITY, f64::min);
        if largest <= 4.0 * least && *signs {
            return Estimate::Level(three[0]);
        }
    }
    Estimate::TooFar
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Errors between -1 and 1 that look random, by the fractional parts of a fast sequence.
    fn error(i: usize) -> f64 {
        let x = (i as f64 * 12.9898 + 78.233).sin() * 43_758.545_3;
        2.0 * (x - x.floor()) - 1.0
    }

    /// Seven values of cos around 1, `spacing` apart, with errors up to `size`.
    fn values(spacing: f64, size: f64, run: usize) -> Vec<f64> {
        (0..7)
            .map(|i| (1.0 + i as f64 * spacing).cos() + size * error(7 * run + i))
            .collect()
    }

    #[test]
    fn errors_of_known_size_are_found() {
        for size in [1e-3, 1e-6, 1e-9] {
            // The points close enough for the errors to be larger than the curvature.
            let found: Vec<f64> = (0..100)
                .filter_map(|run| match estimate(&values(size, size, run)) {
                    Estimate::Level(level) => Some(level),
                    _ => None,
                })
                .collect();
            assert!(found.len() > 60, "{}", found.len());
            // The root mean square of a uniform error.
            let exact = size / 3f64.sqrt();
            let close = found
                .iter()
                .filter(|level| (exact / 4.0..exact * 4.0).contains(*level));
            assert!(
                close.count() as f64 > 0.95 * found.len() as f64,
                "{found:?}"
            );
        }
    }

    #[test]
    fn without_errors_it_asks_for_another_spacing() {
        assert_eq!(estimate(&values(1e-2, 0.0, 0)), Estimate::TooFar);
        assert_eq!(estimate(&values(1e-17, 0.0, 0)), Estimate::TooClose);
        assert_eq!(estimate(&[1.0, f64::NAN, 1.0, 1.0]), Estimate::TooFar);
        assert_eq!(estimate(&[1.0, 2.0, 3.0, 4.0]), Estimate::TooFar);
    }

    #[test]
    fn a_table_by_hand() {
        // Differences 2, -2, 2, -2, 2, -2; then ∓4 …: squares 4ᵏ, and levels from (k!)²/(2k)!.
        let values = [101.0, 103.0, 101.0, 103.0, 101.0, 103.0, 101.0];
        // √(4·½), √(16/6), √(64/20): within a factor of 4 of each other.
        assert_eq!(estimate(&values), Estimate::Level(2f64.sqrt()));
    }
}
