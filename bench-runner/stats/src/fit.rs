//! Laws fitted to measurements, and the decision whether they agree with a claim.

use std::ops::RangeInclusive;

use crate::error::{check, check_finite, check_length};
use crate::location::mean;
use crate::{Bootstrap, Error, Estimate, Interval, Result};

/// A straight line fitted by least squares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// The slope b of y ≈ a + b·x.
    pub slope: f64,
    /// The intercept a.
    pub intercept: f64,
    /// The coefficient of determination, the share of the variance of y that the line explains. NaN where
    /// y does not vary.
    pub r_squared: f64,
    /// The standard error of the slope, √(Σrᵢ²/(n − 2) / Σ(xᵢ − x̄)²), if residuals r are independent and
    /// equally spread. NaN for two points.
    pub slope_error: f64,
}

/// The line of least squares through (xᵢ, yᵢ): b = Σ(xᵢ − x̄)(yᵢ − ȳ) / Σ(xᵢ − x̄)², a = ȳ − b·x̄.
/// `scipy.stats.linregress`.
///
/// # Errors
/// For fewer than two points, different lengths, a coordinate that is not finite, or equal xᵢ throughout.
pub fn least_squares(x: &[f64], y: &[f64]) -> Result<Line> {
    check_finite("x", x, 2)?;
    check_finite("y", y, 2)?;
    check_length("y", y.len(), x.len())?;
    let (center_x, center_y) = (mean(x), mean(y));
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        let (x, y) = (x - center_x, y - center_y);
        xx += x * x;
        xy += x * y;
        yy += y * y;
    }
    if xx == 0.0 {
        return Err(Error::Undefined {
            what: "the slope",
            reason: "all x are equal",
        });
    }
    let slope = xy / xx;
    let intercept = center_y - slope * center_x;
    let residuals: f64 = x
        .iter()
        .zip(y)
        .map(|(x, y)| (y - center_y - slope * (x - center_x)).powi(2))
        .sum();
    let freedom = x.len() as f64 - 2.0;
    Ok(Line {
        slope,
        intercept,
        r_squared: 1.0 - residuals / yy,
        slope_error: (residuals / freedom / xx).sqrt(),
    })
}

/// The exponent b of a power law cost ≈ a·size^b: the slope of ln cost, averaged over runs at each size,
/// against ln size. The interval is the stratified bootstrap's, runs resampled within each size.
///
/// `costs[i]` are the costs of the runs at `sizes[i]`. Sizes in geometric progression weigh every octave
/// alike; whoever decides on an exponent should have 6 or more of them. The interval shows how the fit
/// varies over runs, not whether a power law holds: a factor ln size goes unnoticed except that it raises
/// the exponent.
///
/// ```
/// use bench_stats::{Bootstrap, exponent};
///
/// let sizes = [16.0, 32.0, 64.0, 128.0];
/// let costs = sizes.map(|n: f64| vec![2.9 * n * n, 3.0 * n * n, 3.1 * n * n]);
/// let fit = exponent(&sizes, &costs, &Bootstrap::default())?;
/// assert!((fit.value - 2.0).abs() < 1e-12);
/// # Ok::<(), bench_stats::Error>(())
/// ```
///
/// # Errors
/// For fewer than three sizes, equal sizes throughout, fewer than two runs at one, a size or cost that is
/// not positive and finite, or as [`Bootstrap::stratified`].
pub fn exponent(sizes: &[f64], costs: &[Vec<f64>], bootstrap: &Bootstrap) -> Result<Estimate> {
    check_positive("sizes", sizes, 3)?;
    check_length("costs", costs.len(), sizes.len())?;
    for runs in costs {
        check_positive("costs of a size", runs, 2)?;
    }
    let log_sizes = logarithms(sizes);
    let log_costs: Vec<Vec<f64>> = costs.iter().map(|runs| logarithms(runs)).collect();
    let slope = |log_costs: &[Vec<f64>]| {
        let means: Vec<f64> = log_costs.iter().map(|runs| mean(runs)).collect();
        least_squares(&log_sizes, &means).map(|line| line.slope)
    };
    slope(&log_costs)?;
    bootstrap.stratified(&log_costs, |log_costs| slope(log_costs).unwrap_or(f64::NAN))
}

/// The R-linear rate of a sequence: the line through ln errorᵢ against iterations. The error shrinks by
/// the factor exp(slope) per iteration.
///
/// `errors` are, for example, f(xᵢ) − f* or ‖∇f(xᵢ)‖; leave out what lies on the floor of the arithmetic.
///
/// # Errors
/// As [`least_squares`]; also for an error that is not positive.
pub fn linear_rate(iterations: &[f64], errors: &[f64]) -> Result<Line> {
    check_positive("errors", errors, 2)?;
    least_squares(iterations, &logarithms(errors))
}

fn check_positive(what: &'static str, values: &[f64], needed: usize) -> Result<()> {
    check(
        what,
        values,
        needed,
        |value| value > 0.0 && value.is_finite(),
        "a positive finite number",
    )
}

fn logarithms(values: &[f64]) -> Vec<f64> {
    values.iter().map(|value| value.ln()).collect()
}

/// What an interval says about a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BandVerdict {
    /// The whole interval lies in the band.
    Reproduced,
    /// The whole interval lies outside.
    NotReproduced,
    /// The interval crosses an end of the band: more runs are needed.
    Inconclusive,
}

/// Compares an interval with the band of values that agree with a claim, ends included. An interval with
/// a NaN end is inconclusive.
///
/// ```
/// use bench_stats::{Interval, BandVerdict, judge};
///
/// let interval = Interval { low: 0.97, high: 1.04, level: 0.95 };
/// assert_eq!(judge(&interval, 0.9..=1.1), BandVerdict::Reproduced);
/// assert_eq!(judge(&interval, 1.0..=1.1), BandVerdict::Inconclusive);
/// assert_eq!(judge(&interval, 1.4..=1.6), BandVerdict::NotReproduced);
/// ```
pub fn judge(interval: &Interval, band: RangeInclusive<f64>) -> BandVerdict {
    if band.contains(&interval.low) && band.contains(&interval.high) {
        BandVerdict::Reproduced
    } else if interval.high < *band.start() || interval.low > *band.end() {
        BandVerdict::NotReproduced
    } else {
        BandVerdict::Inconclusive
    }
}
