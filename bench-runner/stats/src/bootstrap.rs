//! Bootstrap intervals: what a statistic would be over other runs, judged by resampling these.

use rand::Rng;
use rayon::prelude::*;

use crate::error::{check_numbers, check_probability};
use crate::interval::{normal_cdf, normal_quantile, t_quantile};
use crate::location::{mean, quantile_of_sorted, sorted};
use crate::random::{Stream, stream};
use crate::rank::tied;
use crate::{Error, Estimate, Interval, Result};

/// The settings of a bootstrap (Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993).
///
/// Where there are no more than `resamples` different ways to draw, all are taken, each once, and the
/// result is exact and independent of the seed: up to 5 values at 10,000 resamples. Else resample b is
/// drawn from its own random stream.
///
/// Bootstrap intervals are too narrow for small samples: at 3 runs a nominal 95 % covers the mean of
/// normal values about 2 times in 3. Prefer [`student_t`](crate::student_t) or
/// [`median_interval`](crate::median_interval) there.
///
/// ```
/// use bench_stats::{Bootstrap, median};
///
/// let bootstrap = Bootstrap::default();
/// let estimate = bootstrap.percentile(&[3.0, 1.0, 2.0, f64::INFINITY, 2.5], median)?;
/// assert_eq!(estimate.value, 2.5);
/// assert_eq!(estimate.interval.low, 1.0);
/// assert_eq!(estimate.interval.high, f64::INFINITY);
/// # Ok::<(), bench_stats::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// How many resamples to draw.
    pub resamples: usize,
    /// The confidence level, strictly between 0 and 1.
    pub level: f64,
    /// The seed of the draws.
    pub seed: u64,
}

impl Default for Bootstrap {
    /// 10,000 resamples, 95 %, seed 0.
    fn default() -> Self {
        Self {
            resamples: 10_000,
            level: 0.95,
            seed: 0,
        }
    }
}

impl Bootstrap {
    /// The percentile interval: the (1 ∓ level)/2 quantiles of the statistic over resamples.
    /// `scipy.stats.bootstrap(method="percentile")`.
    ///
    /// # Errors
    /// For fewer than two values, a NaN among them or in the statistic, no resamples, or a level outside
    /// (0, 1). Infinities are accepted if the statistic accepts them.
    pub fn percentile(
        &self,
        values: &[f64],
        statistic: impl Fn(&[f64]) -> f64 + Sync,
    ) -> Result<Estimate> {
        self.stratified(&[values.to_vec()], |strata| statistic(&strata[0]))
    }

    /// The bias-corrected and accelerated interval (Efron 1987; Efron and Tibshirani 1993, § 14.3):
    /// the quantiles at Φ(z₀ + (z₀ ± z)/(1 − a(z₀ ± z))), where z₀ = Φ⁻¹ of the share of resamples below
    /// the statistic (ties count half) and a = Σdᵢ³ / 6(Σdᵢ²)^(3/2), dᵢ being the mean of the
    /// leave-one-out statistics less the i-th. `scipy.stats.bootstrap(method="BCa")`.
    ///
    /// Where no value matters (all dᵢ are 0), a is 0.
    ///
    /// # Errors
    /// As [`percentile`](Self::percentile); also when a leave-one-out statistic is not finite, or all
    /// resamples lie on one side of the statistic.
    pub fn bca(
        &self,
        values: &[f64],
        statistic: impl Fn(&[f64]) -> f64 + Sync,
    ) -> Result<Estimate> {
        let (value, distribution) =
            self.distribution(&[values.to_vec()], |strata| statistic(&strata[0]))?;
        let undefined = |reason| Error::Undefined {
            what: "the BCa interval",
            reason,
        };

        let equal = distribution.iter().filter(|&&x| tied(x, value)).count() as f64;
        let below = distribution
            .iter()
            .filter(|&&x| x < value && !tied(x, value))
            .count() as f64;
        let bias = normal_quantile((below + equal / 2.0) / distribution.len() as f64);
        if !bias.is_finite() {
            return Err(undefined("all resamples lie on one side of the statistic"));
        }

        let left_out: Vec<f64> = (0..values.len())
            .map(|i| statistic(&[&values[..i], &values[i + 1..]].concat()))
            .collect();
        if !left_out.iter().all(|x| x.is_finite()) {
            return Err(undefined("a leave-one-out statistic is not finite"));
        }
        let center = mean(&left_out);
        let moment = |power| {
            left_out
                .iter()
                .map(|x| (center - x).powi(power))
                .sum::<f64>()
        };
        let spread = moment(2);
        let acceleration = if spread > 0.0 {
            moment(3) / (6.0 * spread.powf(1.5))
        } else {
            0.0
        };

        let quantile = |probability: f64| {
            let z = bias + normal_quantile(probability);
            // Beyond the pole of the correction, at levels no one asks for, its limit.
            let scale = (1.0 - acceleration * z).max(0.0);
            quantile_of_sorted(&distribution, normal_cdf(bias + z / scale))
        };
        Ok(Estimate {
            value,
            interval: Interval {
                low: quantile((1.0 - self.level) / 2.0),
                high: quantile((1.0 + self.level) / 2.0),
                level: self.level,
            },
        })
    }

    /// The percentile interval of a statistic of several strata, each resampled by itself. With one
    /// stratum per task and one value per run, this is the stratified bootstrap of Agarwal et al. (2021):
    /// it says how the statistic varies over seeds, for these tasks.
    ///
    /// ```
    /// use bench_stats::{Bootstrap, interquartile_mean};
    ///
    /// let tasks = [vec![0.91, 0.93, 0.92], vec![0.64, 0.70, 0.67]];
    /// let iqm = |tasks: &[Vec<f64>]| interquartile_mean(&tasks.concat());
    /// let estimate = Bootstrap::default().stratified(&tasks, iqm)?;
    /// assert!(estimate.interval.contains(estimate.value));
    /// # Ok::<(), bench_stats::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`percentile`](Self::percentile), for each stratum; also for no strata.
    pub fn stratified(
        &self,
        strata: &[Vec<f64>],
        statistic: impl Fn(&[Vec<f64>]) -> f64 + Sync,
    ) -> Result<Estimate> {
        let (value, distribution) = self.distribution(strata, statistic)?;
        Ok(Estimate {
            value,
            interval: Interval {
                low: quantile_of_sorted(&distribution, (1.0 - self.level) / 2.0),
                high: quantile_of_sorted(&distribution, (1.0 + self.level) / 2.0),
                level: self.level,
            },
        })
    }

    /// The interval of a statistic of groups, problems for example, that are themselves a sample: each resample
    /// draws groups, and then values within each drawn group (two-stage bootstrap; Davison and Hinkley 1997,
    /// § 3.8). It says how the statistic varies over other problems of the kind, not over seeds alone.
    ///
    /// The quantiles are those of the expanded percentile interval (Hesterberg 2015, § 4.4), Φ(∓√(n/(n − 1))·t),
    /// t the (1 + level)/2 quantile of Student's distribution at n − 1 degrees of freedom, n groups: the plain
    /// percentile interval is too narrow for few of them.
    ///
    /// ```
    /// use bench_stats::{Bootstrap, mean};
    ///
    /// // The logarithms of a ratio of costs on three problems, two seeds each.
    /// let problems = [vec![0.1, 0.2], vec![-0.1, 0.0], vec![0.3, 0.3]];
    /// let overall = |problems: &[Vec<f64>]| {
    ///     mean(&problems.iter().map(|seeds| mean(seeds)).collect::<Vec<_>>())
    /// };
    /// let estimate = Bootstrap::default().hierarchical(&problems, overall)?;
    /// assert!(estimate.interval.contains(0.0));
    /// # Ok::<(), bench_stats::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`percentile`](Self::percentile), but that a group may have a single value; also for fewer than two
    /// groups.
    pub fn hierarchical(
        &self,
        groups: &[Vec<f64>],
        statistic: impl Fn(&[Vec<f64>]) -> f64 + Sync,
    ) -> Result<Estimate> {
        self.check()?;
        if groups.len() < 2 {
            return Err(Error::TooFew {
                what: "groups",
                found: groups.len(),
                needed: 2,
            });
        }
        for group in groups {
            check_numbers("group", group, 1)?;
        }
        let (value, distribution) = ordered(statistic(groups), self.resamples, |index| {
            let mut rng = stream(self.seed, Stream::Bootstrap, index as u64);
            let drawn: Vec<Vec<f64>> = (0..groups.len())
                .map(|_| groups[rng.random_range(0..groups.len())].clone())
                .collect();
            statistic(&resample(&drawn, |n| rng.random_range(0..n)))
        })?;
        let n = groups.len() as f64;
        let t = t_quantile(n - 1.0, (1.0 + self.level) / 2.0)?;
        let tail = normal_cdf(-(n / (n - 1.0)).sqrt() * t);
        Ok(Estimate {
            value,
            interval: Interval {
                low: quantile_of_sorted(&distribution, tail),
                high: quantile_of_sorted(&distribution, 1.0 - tail),
                level: self.level,
            },
        })
    }

    fn check(&self) -> Result<()> {
        check_probability("level", self.level)?;
        if self.resamples == 0 {
            return Err(Error::Setting {
                name: "resamples",
                value: 0.0,
                expected: "at least 1",
            });
        }
        Ok(())
    }

    /// The statistic, and those of the resamples of the strata in ascending order.
    fn distribution(
        &self,
        strata: &[Vec<f64>],
        statistic: impl Fn(&[Vec<f64>]) -> f64 + Sync,
    ) -> Result<(f64, Vec<f64>)> {
        self.check()?;
        if strata.is_empty() {
            return Err(Error::TooFew {
                what: "strata",
                found: 0,
                needed: 1,
            });
        }
        for stratum in strata {
            check_numbers("sample", stratum, 2)?;
        }
        let enumerated = ways_to_draw(strata).filter(|&ways| ways <= self.resamples);
        ordered(
            statistic(strata),
            enumerated.unwrap_or(self.resamples),
            |index| {
                statistic(&if enumerated.is_some() {
                    nth_resample(strata, index)
                } else {
                    random_resample(strata, self.seed, index as u64)
                })
            },
        )
    }
}

/// A statistic's value, and its values over `count` resamples in ascending order.
fn ordered(
    value: f64,
    count: usize,
    of_resample: impl Fn(usize) -> f64 + Sync,
) -> Result<(f64, Vec<f64>)> {
    let distribution: Vec<f64> = (0..count).into_par_iter().map(&of_resample).collect();
    match sorted(&distribution) {
        Some(distribution) if !value.is_nan() => Ok((value, distribution)),
        _ => Err(Error::Undefined {
            what: "the statistic",
            reason: "it is NaN for the sample or a resample (do infinities cancel?)",
        }),
    }
}

/// ∏ nᵢ^nᵢ, the number of different ordered draws; `None` beyond `usize`.
fn ways_to_draw(strata: &[Vec<f64>]) -> Option<usize> {
    strata.iter().try_fold(1usize, |ways, stratum| {
        let exponent = u32::try_from(stratum.len()).ok()?;
        ways.checked_mul(stratum.len().checked_pow(exponent)?)
    })
}

/// The draw whose positions are the digits of `index`, each in base n of its stratum.
fn nth_resample(strata: &[Vec<f64>], mut index: usize) -> Vec<Vec<f64>> {
    resample(strata, |n| {
        let position = index % n;
        index /= n;
        position
    })
}

fn random_resample(strata: &[Vec<f64>], seed: u64, index: u64) -> Vec<Vec<f64>> {
    let mut rng = stream(seed, Stream::Bootstrap, index);
    resample(strata, |n| rng.random_range(0..n))
}

fn resample(strata: &[Vec<f64>], mut draw: impl FnMut(usize) -> usize) -> Vec<Vec<f64>> {
    strata
        .iter()
        .map(|stratum| {
            (0..stratum.len())
                .map(|_| stratum[draw(stratum.len())])
                .collect()
        })
        .collect()
}
