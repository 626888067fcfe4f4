//! How large a difference a comparison can see with so many seeds.

use std::f64::consts::LN_2;

use rand::Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use statrs::function::gamma::ln_gamma;

use crate::comparison::sign_flip;
use crate::error::check_probability;
use crate::interval::{clopper_pearson, normal_cdf, share_with, t_quantile};
use crate::random::{Stream, stream};
use crate::{Alternative, Error, Result};

/// Where the search for a detectable effect gives up.
const LARGEST_EFFECT: f64 = 1000.0;

/// A planned comparison of n pairs.
///
/// Effects are standardised: the mean of the paired differences over their standard deviation (Cohen's
/// d_z), the differences being normal.
///
/// ```
/// use bench_stats::{Alternative, Design};
///
/// let three_seeds = Design { pairs: 3, significance: 0.05, alternative: Alternative::TwoSided };
/// assert_eq!(three_seeds.smallest_p_value(), 0.25);
/// assert!(three_seeds.t_detectable_effect(0.8)? > 3.0);
/// assert!(three_seeds.sign_flip_detectable_effect(0.8, 1000, 0).is_err());
/// # Ok::<(), bench_stats::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Design {
    /// How many pairs, one per seed.
    pub pairs: usize,
    /// The significance level: the difference is called real at a p-value of at most this.
    pub significance: f64,
    /// What is tested for.
    pub alternative: Alternative,
}

impl Design {
    /// The smallest p-value that n pairs can give in a test on signs, signed ranks or sign flips: 2⁻ⁿ, and
    /// 2¹⁻ⁿ two-sided. Where it exceeds the significance level, no difference however large is found:
    /// two-sided at 0.05 takes 6 pairs.
    pub fn smallest_p_value(&self) -> f64 {
        let one_sided = (-(self.pairs as f64)).exp2();
        match self.alternative {
            Alternative::TwoSided => (2.0 * one_sided).min(1.0),
            Alternative::Less | Alternative::Greater => one_sided,
        }
    }

    /// The probability that the paired t test finds an effect: with T noncentral t at n − 1 degrees of
    /// freedom and noncentrality effect·√n, P(T beyond the critical value), on both sides if two-sided.
    /// `statsmodels.stats.power.TTestPower().power`.
    ///
    /// # Errors
    /// For fewer than two pairs, a significance level outside (0, 1) or an effect that is not finite.
    pub fn t_power(&self, effect: f64) -> Result<f64> {
        self.check(effect)?;
        let n = self.pairs as f64;
        let (freedom, shift) = (n - 1.0, effect * n.sqrt());
        let above = |critical: f64| noncentral_t_cdf(-critical, freedom, -shift);
        let below = |critical: f64| noncentral_t_cdf(-critical, freedom, shift);
        let critical = |tail: f64| t_quantile(freedom, 1.0 - tail);
        Ok(match self.alternative {
            Alternative::TwoSided => {
                let critical = critical(self.significance / 2.0)?;
                above(critical) + below(critical)
            }
            Alternative::Less => below(critical(self.significance)?),
            Alternative::Greater => above(critical(self.significance)?),
        })
    }

    /// The size of the effect, in the direction tested, that the paired t test finds with probability
    /// `power`: the minimum detectable effect. `statsmodels.stats.power.TTestPower().solve_power`.
    ///
    /// # Errors
    /// As [`t_power`](Self::t_power); also for a power that is not above the significance level and
    /// below 1.
    pub fn t_detectable_effect(&self, power: f64) -> Result<f64> {
        self.detectable_effect(power, |effect| self.t_power(effect))
    }

    /// The probability that the sign-flip test finds an effect, estimated as the share of `simulations`
    /// samples of normal differences in which it does. Its standard error is at most ½/√simulations. Up
    /// to 12 pairs each test is exact, beyond that it draws 4,096 patterns of signs.
    ///
    /// # Errors
    /// As [`t_power`](Self::t_power); also for no simulations.
    pub fn sign_flip_power(&self, effect: f64, simulations: usize, seed: u64) -> Result<f64> {
        const RESAMPLES: usize = 4096;
        self.check(effect)?;
        if simulations == 0 {
            return Err(Error::Setting {
                name: "simulations",
                value: 0.0,
                expected: "at least 1",
            });
        }
        let found = (0..simulations as u64).into_par_iter().filter(|&index| {
            let mut rng = stream(seed, Stream::Bootstrap, index);
            let differences: Vec<f64> = (0..self.pairs)
                .map(|_| effect + rng.sample::<f64, _>(StandardNormal))
                .collect();
            sign_flip(&differences, self.alternative, RESAMPLES, &mut rng).p_value
                <= self.significance
        });
        Ok(found.count() as f64 / simulations as f64)
    }

    /// The size of the effect, in the direction tested, that the sign-flip test finds with probability
    /// `power`, by bisection on [`sign_flip_power`](Self::sign_flip_power) with the same random numbers.
    ///
    /// # Errors
    /// As [`sign_flip_power`](Self::sign_flip_power) and [`t_detectable_effect`](Self::t_detectable_effect);
    /// [`Error::Undefined`] when the [`smallest_p_value`](Self::smallest_p_value) exceeds the
    /// significance level.
    pub fn sign_flip_detectable_effect(
        &self,
        power: f64,
        simulations: usize,
        seed: u64,
    ) -> Result<f64> {
        if self.smallest_p_value() > self.significance {
            return Err(Error::Undefined {
                what: "the detectable effect",
                reason: "so few pairs cannot reach the significance level, whatever the effect",
            });
        }
        self.detectable_effect(power, |effect| {
            self.sign_flip_power(effect, simulations, seed)
        })
    }

    fn check(&self, effect: f64) -> Result<()> {
        check_probability("significance", self.significance)?;
        if self.pairs < 2 {
            return Err(Error::TooFew {
                what: "pairs",
                found: self.pairs,
                needed: 2,
            });
        }
        if effect.is_finite() {
            return Ok(());
        }
        Err(Error::Setting {
            name: "effect",
            value: effect,
            expected: "a finite number",
        })
    }

    /// The size at which a power that grows with the effect crosses `target`.
    fn detectable_effect(&self, target: f64, power_at: impl Fn(f64) -> Result<f64>) -> Result<f64> {
        self.check(0.0)?;
        if !(target > self.significance && target < 1.0) {
            return Err(Error::Setting {
                name: "power",
                value: target,
                expected: "a number above the significance level and below 1",
            });
        }
        let direction = match self.alternative {
            Alternative::Less => -1.0,
            Alternative::TwoSided | Alternative::Greater => 1.0,
        };
        let power_at = |size: f64| power_at(direction * size);

        let (mut low, mut high) = (0.0, 1.0);
        while power_at(high)? < target {
            low = high;
            high *= 2.0;
            if high > LARGEST_EFFECT {
                return Err(Error::Undefined {
                    what: "the detectable effect",
                    reason: "it is beyond any of practical meaning",
                });
            }
        }
        while high - low > 1e-10 * high {
            let middle = low + (high - low) / 2.0;
            if power_at(middle)? < target {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(high)
    }
}

/// The fewest successes in so many trials whose [`clopper_pearson`] interval lies above ½; `None` where not even
/// success in all of them suffices.
fn decisive_successes(trials: u64, level: f64) -> Result<Option<u64>> {
    let decides = |successes| -> Result<bool> {
        Ok(clopper_pearson(successes, trials, level)?.interval.low > 0.5)
    };
    if !decides(trials)? {
        return Ok(None);
    }
    // The interval's lower end grows with the successes.
    let (mut too_few, mut enough) = (trials / 2, trials);
    while enough - too_few > 1 {
        let middle = too_few + (enough - too_few) / 2;
        if decides(middle)? {
            enough = middle;
        } else {
            too_few = middle;
        }
    }
    Ok(Some(enough))
}

/// The smallest probability of success at which [`clopper_pearson`]'s interval of so many trials lies above ½
/// with probability `power`. `None` where not even success in all trials suffices.
///
/// # Errors
/// For no trials, or a level or power outside (0, 1).
pub fn detectable_share(trials: u64, level: f64, power: f64) -> Result<Option<f64>> {
    check_probability("power", power)?;
    let needed = decisive_successes(trials, level)?;
    Ok(needed.map(|needed| share_with(needed, trials, power)))
}

/// The fewest trials from which on [`clopper_pearson`]'s interval lies above ½ with probability `power` or more,
/// if each succeeds with probability `share`: how many problems a claim of "most problems" takes. As successes
/// are whole, the power falls a little between one number of trials and the next; this is the fewest after which
/// it never falls below `power` again, within the largest number tried, 5,000.
///
/// # Errors
/// For a level or power outside (0, 1), or a share that is not above ½ and at most 1; [`Error::Undefined`] when
/// 5,000 trials do not suffice.
pub fn trials_for_share(share: f64, level: f64, power: f64) -> Result<u64> {
    const MOST: u64 = 5000;
    check_probability("power", power)?;
    if !(share > 0.5 && share <= 1.0) {
        return Err(Error::Setting {
            name: "share",
            value: share,
            expected: "a number above 0.5 and at most 1",
        });
    }
    let suffices = |trials: u64| -> Result<bool> {
        Ok(detectable_share(trials, level, power)?.is_some_and(|least| least <= share))
    };
    let mut least = MOST + 1;
    // From above, so that the first number that does not suffice ends the search. Far above the answer every
    // number suffices: begin where twice as many would.
    let mut most = 1;
    while most < MOST && !(suffices(most)? && suffices((2 * most).min(MOST))?) {
        most *= 2;
    }
    for trials in (1..=(2 * most).min(MOST)).rev() {
        if !suffices(trials)? {
            break;
        }
        least = trials;
    }
    if least > MOST {
        return Err(Error::Undefined {
            what: "the number of trials",
            reason: "5,000 do not suffice",
        });
    }
    Ok(least)
}

/// P(T ≤ t) for T noncentral t.
///
/// With s = e^u the chi-distributed scale, it is the mean of Φ(t·s − shift): an integral over u of a
/// smooth function that vanishes fast on both sides, for which the trapezoidal rule converges
/// exponentially. The step resolves the density of u (width 1/√(2ν)), Φ (width 1/shift) and the
/// singularity of e^(−e^2u) at distance π/4 from the real line.
fn noncentral_t_cdf(t: f64, freedom: f64, shift: f64) -> f64 {
    let half = freedom / 2.0;
    let ln_scale = LN_2 + half * half.ln() - ln_gamma(half);
    let density = |u: f64| (ln_scale + freedom * u - half * (2.0 * u).exp()).exp();
    // Beyond these the density is below e⁻⁴⁰ of its peak, at u = 0.
    let (low, high) = (-0.5 - 40.0 / freedom, (40.0 / freedom).sqrt());
    let step = (0.5 / shift.abs())
        .min(0.5 / (2.0 * freedom).sqrt())
        .min(0.1);
    let terms = ((low / step) as i64..=(high / step) as i64).map(|k| {
        let u = k as f64 * step;
        density(u) * normal_cdf(t * u.exp() - shift)
    });
    step * terms.sum::<f64>()
}
