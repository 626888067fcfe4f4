//! Confidence intervals with a closed form.

use std::f64::consts::SQRT_2;

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};
use statrs::function::beta::beta_reg;

use crate::error::{check_finite, check_numbers, check_probability};
use crate::location::{mean, median, sample_variance, sorted};
use crate::{Error, Result};

/// A confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end; not below `low`.
    pub high: f64,
    /// The confidence level, strictly between 0 and 1.
    pub level: f64,
}

impl Interval {
    /// Whether `value` lies in the interval, ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// A statistic of a sample and an interval for what it estimates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The statistic.
    pub value: f64,
    /// The interval; some methods do not promise that it contains `value`.
    pub interval: Interval,
}

/// The mean with Student's interval x̄ ± t·s/√n, t the (1 + level)/2 quantile at n − 1 degrees of
/// freedom.
///
/// Exact for normal values. At 3 values and 95 % it is x̄ ± 2.48 s: wide, and rightly so.
///
/// # Errors
/// For fewer than two values, one that is not finite, or a level outside (0, 1).
pub fn student_t(values: &[f64], level: f64) -> Result<Estimate> {
    check_finite("sample", values, 2)?;
    check_probability("level", level)?;
    let n = values.len() as f64;
    let half = t_quantile(n - 1.0, (1.0 + level) / 2.0)? * (sample_variance(values) / n).sqrt();
    let value = mean(values);
    Ok(Estimate {
        value,
        interval: Interval {
            low: value - half,
            high: value + half,
            level,
        },
    })
}

/// The share of successes with the interval of Clopper and Pearson (1934): it ends where so many successes, or
/// more, and so many, or fewer, have the probability (1 − level)/2. It covers the true share with probability
/// `level` or more, whatever the share and the number of trials.
///
/// ```
/// use bench_stats::clopper_pearson;
///
/// let won_all_of_six = clopper_pearson(6, 6, 0.95)?;
/// assert!(won_all_of_six.interval.low > 0.5);
/// # Ok::<(), bench_stats::Error>(())
/// ```
///
/// # Errors
/// For no trials, more successes than trials, or a level outside (0, 1).
pub fn clopper_pearson(successes: u64, trials: u64, level: f64) -> Result<Estimate> {
    check_probability("level", level)?;
    if trials == 0 {
        return Err(Error::TooFew {
            what: "trials",
            found: 0,
            needed: 1,
        });
    }
    if successes > trials {
        return Err(Error::Setting {
            name: "successes",
            value: successes as f64,
            expected: "at most the number of trials",
        });
    }
    let tail = (1.0 - level) / 2.0;
    let low = match successes {
        0 => 0.0,
        k => share_with(k, trials, tail),
    };
    let high = match successes {
        k if k == trials => 1.0,
        k => share_with(k + 1, trials, 1.0 - tail),
    };
    Ok(Estimate {
        value: successes as f64 / trials as f64,
        interval: Interval { low, high, level },
    })
}

/// The share p at which P(B ≥ k) = probability, B binomial(trials, p) and 0 < k ≤ trials: by bisection of
/// P(B ≥ k) = I_p(k, n − k + 1), the regularised incomplete beta function, which grows with p.
pub(super) fn share_with(k: u64, trials: u64, probability: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while high - low > 1e-14 * high {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            break;
        }
        if beta_reg(k as f64, (trials - k + 1) as f64, middle) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The median with the narrowest interval between two order statistics, x₍k₎ and x₍n₊₁₋k₎, that
/// covers the median with probability `level` or more, whatever the distribution: the coverage is
/// 1 − 2·P(B < k) with B binomial(n, ½) (David and Nagaraja, *Order Statistics*, 2003, § 7.1).
///
/// The interval's `level` is the coverage it has, not the one asked for. Few values cannot reach every
/// level: from smallest to largest value the coverage is 1 − 2^(1−n), which is 0.5 at 2 values, 0.75
/// at 3, 0.9375 at 5 and 0.96875 at 6. Where that is below `level`, this widest interval is returned,
/// and its lower `level` says so; state it beside the interval.
///
/// ```
/// use bench_stats::median_interval;
///
/// let at_three_seeds = median_interval(&[0.61, 0.64, 0.58], 0.95)?;
/// assert_eq!(at_three_seeds.interval.level, 0.75);
/// # Ok::<(), bench_stats::Error>(())
/// ```
///
/// # Errors
/// For fewer than two values, NaN, or a level outside (0, 1). Infinities are accepted.
pub fn median_interval(values: &[f64], level: f64) -> Result<Estimate> {
    check_numbers("sample", values, 2)?;
    check_probability("level", level)?;
    let sorted = sorted(values).unwrap_or_default();
    let n = sorted.len();
    let coverage = |k: usize| 1.0 - 2.0 * fair_coin_cdf(k - 1, n);
    let k = (1..=n / 2)
        .rev()
        .find(|&k| coverage(k) >= level)
        .unwrap_or(1);
    Ok(Estimate {
        value: median(values),
        interval: Interval {
            low: sorted[k - 1],
            high: sorted[n - k],
            level: coverage(k),
        },
    })
}

/// P(B ≤ k) for B binomial(n, ½): at most `k` heads in `n` tosses.
pub(super) fn fair_coin_cdf(k: usize, n: usize) -> f64 {
    if k >= n {
        return 1.0;
    }
    if n > 1000 {
        // 2⁻ⁿ would underflow.
        return beta_reg((n - k) as f64, k as f64 + 1.0, 0.5);
    }
    // Summed term by term, so that small cases such as 1/16 are exact and compare with levels as they
    // should.
    let mut term = 0.5_f64.powi(n as i32);
    let mut sum = term;
    for i in 0..k {
        term = term * (n - i) as f64 / (i + 1) as f64;
        sum += term;
    }
    sum
}

/// The quantile of Student's t distribution.
pub(super) fn t_quantile(degrees_of_freedom: f64, probability: f64) -> Result<f64> {
    Ok(t_distribution(degrees_of_freedom)?.inverse_cdf(probability))
}

/// The probability that Student's t is at most `t`.
pub(super) fn t_probability(degrees_of_freedom: f64, t: f64) -> Result<f64> {
    Ok(t_distribution(degrees_of_freedom)?.cdf(t))
}

fn t_distribution(degrees_of_freedom: f64) -> Result<StudentsT> {
    StudentsT::new(0.0, 1.0, degrees_of_freedom).map_err(|_| Error::Setting {
        name: "degrees of freedom",
        value: degrees_of_freedom,
        expected: "a positive number",
    })
}

/// Φ, the distribution function of the standard normal distribution.
pub(super) fn normal_cdf(x: f64) -> f64 {
    // statrs' own is good to 10 digits only.
    0.5 * libm::erfc(-x / SQRT_2)
}

/// Φ⁻¹; infinite at 0 and 1.
pub(super) fn normal_quantile(probability: f64) -> f64 {
    Normal::standard().inverse_cdf(probability)
}
