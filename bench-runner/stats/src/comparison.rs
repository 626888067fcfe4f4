//! Whether one optimizer beats another: tests on paired differences, and the probability of
//! improvement.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use statrs::distribution::{DiscreteCDF, Hypergeometric};

use crate::error::{check, check_finite, check_length, check_numbers};
use crate::interval::{fair_coin_cdf, t_probability};
use crate::location::{mean, median, sample_variance};
use crate::random::{Stream, stream};
use crate::rank::average_ranks;
use crate::{Bootstrap, Error, Estimate, Result};

/// The hypothesis that a test holds against "differences lie symmetrically around 0".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alternative {
    /// They do not.
    TwoSided,
    /// They tend to be below 0.
    Less,
    /// They tend to be above 0.
    Greater,
}

impl Alternative {
    /// The p-value from the probabilities of a statistic at most, and at least, as large as the one
    /// seen. Two-sided, it is twice the smaller, at most 1.
    fn p_value(self, at_most: f64, at_least: f64) -> f64 {
        let p_value = match self {
            Self::TwoSided => 2.0 * at_most.min(at_least),
            Self::Less => at_most,
            Self::Greater => at_least,
        };
        p_value.clamp(0.0, 1.0)
    }
}

/// The outcome of a test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Test {
    /// The test's statistic.
    pub statistic: f64,
    /// The probability of such a statistic, or a more extreme one, if there is no difference.
    pub p_value: f64,
}

/// The differences xᵢ − yᵢ of paired results. Two infinities of one sign (both missed the target) differ
/// by 0: a tie.
///
/// # Errors
/// For different lengths, or NaN.
pub fn paired_differences(x: &[f64], y: &[f64]) -> Result<Vec<f64>> {
    check_numbers("x", x, 0)?;
    check_numbers("y", y, 0)?;
    check_length("y", y.len(), x.len())?;
    Ok(x.iter()
        .zip(y)
        .map(|(x, y)| if x == y { 0.0 } else { x - y })
        .collect())
}

/// The sign test: under the null hypothesis the number of positive differences, which is the statistic,
/// is binomial with probability ½ (`scipy.stats.binomtest`). Zeros are dropped.
///
/// Uses signs only, so infinities are fine.
///
/// # Errors
/// For no differences, or NaN.
pub fn sign_test(differences: &[f64], alternative: Alternative) -> Result<Test> {
    check_numbers("differences", differences, 1)?;
    let positive = differences.iter().filter(|&&d| d > 0.0).count();
    let negative = differences.iter().filter(|&&d| d < 0.0).count();
    let n = positive + negative;
    // P(at least k heads) = P(at most n − k heads).
    Ok(Test {
        statistic: positive as f64,
        p_value: alternative.p_value(fair_coin_cdf(positive, n), fair_coin_cdf(negative, n)),
    })
}

/// The Wilcoxon signed-rank test (1945). The statistic is the sum of the ranks of |dᵢ| over positive
/// dᵢ; its null distribution is computed exactly for the ranks at hand, ties included, in O(n³). Zeros
/// are dropped (`scipy.stats.wilcoxon(zero_method="wilcox")`).
///
/// Uses ranks only, so infinities are fine: they tie at the top.
///
/// # Errors
/// For no differences, or NaN.
pub fn signed_rank_test(differences: &[f64], alternative: Alternative) -> Result<Test> {
    check_numbers("differences", differences, 1)?;
    let differences: Vec<f64> = differences.iter().copied().filter(|&d| d != 0.0).collect();
    let sizes: Vec<f64> = differences.iter().map(|d| d.abs()).collect();
    // Mean ranks are multiples of ½, so doubled they are exact indices.
    let doubled: Vec<usize> = average_ranks(&sizes)
        .iter()
        .map(|rank| (2.0 * rank) as usize)
        .collect();

    // probability[s]: that the doubled ranks of positive signs add up to s. Each rank in turn counts
    // or does not, with probability ½ each.
    let mut probability = vec![0.0; doubled.iter().sum::<usize>() + 1];
    probability[0] = 1.0;
    for &rank in &doubled {
        for sum in (0..probability.len()).rev() {
            let with = if sum >= rank {
                probability[sum - rank]
            } else {
                0.0
            };
            probability[sum] = 0.5 * (probability[sum] + with);
        }
    }

    let observed: usize = doubled
        .iter()
        .zip(&differences)
        .filter_map(|(&rank, &d)| (d > 0.0).then_some(rank))
        .sum();
    Ok(Test {
        statistic: observed as f64 / 2.0,
        p_value: alternative.p_value(
            probability[..=observed].iter().sum(),
            probability[observed..].iter().sum(),
        ),
    })
}

/// The Brown–Forsythe test (1974) of whether `x` is spread as `y` is: Student's test of the mean distance from the median
/// in `x` less that in `y`, whose t is the statistic (`scipy.stats.levene(center="median")` has its square). Skewed and
/// heavy-tailed values do not raise its level. Of 9 against 5 normal values it finds a spread three times as large in
/// less than half of the cases.
///
/// ```
/// use bench_stats::{Alternative, spread_test};
///
/// let (wide, narrow) = ([1.0, 5.0, 9.0, 14.0, 16.0, 21.0], [9.0, 9.5, 10.0, 10.5, 11.0]);
/// assert!(spread_test(&wide, &narrow, Alternative::Greater)?.p_value < 0.05);
/// # Ok::<(), bench_stats::Error>(())
/// ```
///
/// # Errors
/// For fewer than three values of either (two are always equally far from their median), or one that is not finite.
pub fn spread_test(x: &[f64], y: &[f64], alternative: Alternative) -> Result<Test> {
    check_finite("x", x, 3)?;
    check_finite("y", y, 3)?;
    let distances = |values: &[f64]| -> Vec<f64> {
        let centre = median(values);
        values.iter().map(|value| (value - centre).abs()).collect()
    };
    let (x, y) = (distances(x), distances(y));
    let (n, m) = (x.len() as f64, y.len() as f64);
    let degrees = n + m - 2.0;
    let pooled = ((n - 1.0) * sample_variance(&x) + (m - 1.0) * sample_variance(&y)) / degrees;
    let difference = mean(&x) - mean(&y);
    let statistic = match difference {
        // Also where all distances are the same.
        0.0 => 0.0,
        _ => difference / (pooled * (1.0 / n + 1.0 / m)).sqrt(),
    };
    let at_most = t_probability(degrees, statistic)?;
    Ok(Test {
        statistic,
        p_value: alternative.p_value(at_most, t_probability(degrees, -statistic)?),
    })
}

/// Fisher's exact test of whether an event is more probable in a group in which it came `events` times of `trials` than in
/// another, in which it came `other_events` times of `other_trials`: the probability of so many events in the first, or
/// more, when all are spread over both at random (`scipy.stats.fisher_exact(alternative="greater")`). The statistic is
/// `events`.
///
/// ```
/// let test = bench_stats::fisher_exact_test([6, 9], [0, 5])?;
/// assert!((test.p_value - 84.0 / 3003.0).abs() < 1e-12);
/// # Ok::<(), bench_stats::Error>(())
/// ```
///
/// # Errors
/// For no trials of either, or more events than trials.
pub fn fisher_exact_test(
    [events, trials]: [u64; 2],
    [other_events, other_trials]: [u64; 2],
) -> Result<Test> {
    for (name, events, trials) in [
        ("events", events, trials),
        ("other events", other_events, other_trials),
    ] {
        if trials == 0 || events > trials {
            return Err(Error::Setting {
                name,
                value: events as f64,
                expected: "at most as many as trials, of which there must be one",
            });
        }
    }
    let all = trials + other_trials;
    let of_all = Hypergeometric::new(all, events + other_events, trials);
    let at_least = match (of_all, events) {
        (_, 0) => 1.0,
        (Ok(distribution), events) => distribution.sf(events - 1),
        (Err(_), _) => f64::NAN,
    };
    Ok(Test {
        statistic: events as f64,
        p_value: at_least,
    })
}

/// The sign-flip (paired permutation) test of the mean difference, which is the statistic: if x and y
/// are exchangeable within pairs, every pattern of signs was equally likely
/// (`scipy.stats.permutation_test(permutation_type="samples")`).
///
/// With 2ⁿ ≤ `resamples` all patterns are taken and the p-value is exact; else `resamples` random ones,
/// and it is (1 + extreme)/(1 + resamples), which keeps the test valid (Phipson and Smyth 2010). With
/// n pairs no p-value is below 2⁻ⁿ (two-sided 2¹⁻ⁿ): 3 seeds cannot reach 0.05, see
/// [`Design::smallest_p_value`](crate::Design::smallest_p_value).
///
/// # Errors
/// For no differences, one that is not finite (the mean is then no use; take [`sign_test`] or
/// [`signed_rank_test`]), or no resamples.
pub fn sign_flip_test(
    differences: &[f64],
    alternative: Alternative,
    resamples: usize,
    seed: u64,
) -> Result<Test> {
    check_finite("differences", differences, 1)?;
    if resamples == 0 {
        return Err(Error::Setting {
            name: "resamples",
            value: 0.0,
            expected: "at least 1",
        });
    }
    let mut rng = stream(seed, Stream::Bootstrap, 0);
    Ok(sign_flip(differences, alternative, resamples, &mut rng))
}

/// [`sign_flip_test`] of input that is valid.
pub(super) fn sign_flip(
    differences: &[f64],
    alternative: Alternative,
    resamples: usize,
    rng: &mut ChaCha8Rng,
) -> Test {
    let n = differences.len();
    let observed: f64 = differences.iter().sum();
    let enumerate = n < usize::BITS as usize && 1 << n <= resamples;
    let (sums, added) = if enumerate {
        (signed_sums(differences), 0.0)
    } else {
        let sums = (0..resamples).map(|_| {
            let flip = |d: &f64| if rng.random() { *d } else { -d };
            differences.iter().map(flip).sum()
        });
        (sums.collect(), 1.0)
    };

    // Sums that differ by rounding only are ties.
    let tolerance = 1e-12 * differences.iter().map(|d| d.abs()).sum::<f64>();
    let share = |extreme: &dyn Fn(f64) -> bool| {
        let count = sums.iter().filter(|&&sum| extreme(sum)).count() as f64;
        (count + added) / (sums.len() as f64 + added)
    };
    Test {
        statistic: observed / n as f64,
        p_value: alternative.p_value(
            share(&|sum| sum <= observed + tolerance),
            share(&|sum| sum >= observed - tolerance),
        ),
    }
}

/// The 2ⁿ sums ±d₁ ± … ± dₙ.
fn signed_sums(differences: &[f64]) -> Vec<f64> {
    differences.iter().fold(vec![0.0], |sums, d| {
        let minus = sums.iter().map(|sum| sum - d);
        let plus = sums.iter().map(|sum| sum + d);
        minus.chain(plus).collect()
    })
}

/// The probability of improvement of Agarwal et al. (2021): P(X > Y) + ½P(X = Y) for a random run of
/// each (the Mann–Whitney statistic over n·m), averaged over tasks. Above ½, x tends to be larger; for
/// costs swap the arguments.
///
/// `x[t]` and `y[t]` are the runs on task t; their numbers may differ. Uses order only, so infinities are
/// fine.
///
/// # Errors
/// For no tasks, different numbers of tasks, a task without runs, or NaN.
pub fn probability_of_improvement(x: &[Vec<f64>], y: &[Vec<f64>]) -> Result<f64> {
    check_tasks(x, y, 1)?;
    Ok(mean_win_rate(x, y))
}

/// [`probability_of_improvement`] with the stratified bootstrap interval over runs, those of x and of y
/// resampled independently within each task.
///
/// # Errors
/// As [`probability_of_improvement`]; also for a task with one run, and as [`Bootstrap::stratified`].
pub fn probability_of_improvement_interval(
    x: &[Vec<f64>],
    y: &[Vec<f64>],
    bootstrap: &Bootstrap,
) -> Result<Estimate> {
    check_tasks(x, y, 2)?;
    bootstrap.stratified(&[x, y].concat(), |strata| {
        let (x, y) = strata.split_at(x.len());
        mean_win_rate(x, y)
    })
}

fn check_tasks(x: &[Vec<f64>], y: &[Vec<f64>], runs: usize) -> Result<()> {
    if x.is_empty() {
        return Err(Error::TooFew {
            what: "tasks",
            found: 0,
            needed: 1,
        });
    }
    check_length("tasks of y", y.len(), x.len())?;
    for (what, tasks) in [("runs of x", x), ("runs of y", y)] {
        for runs_of_task in tasks {
            check(
                what,
                runs_of_task,
                runs,
                |value| !value.is_nan(),
                "a number",
            )?;
        }
    }
    Ok(())
}

fn mean_win_rate(x: &[Vec<f64>], y: &[Vec<f64>]) -> f64 {
    let rates = x.iter().zip(y).map(|(x, y)| win_rate(x, y));
    rates.sum::<f64>() / x.len() as f64
}

fn win_rate(x: &[f64], y: &[f64]) -> f64 {
    let points = x.iter().flat_map(|x| {
        y.iter().map(move |y| match x.total_cmp(y) {
            _ if x == y => 0.5,
            std::cmp::Ordering::Greater => 1.0,
            _ => 0.0,
        })
    });
    points.sum::<f64>() / (x.len() * y.len()) as f64
}
