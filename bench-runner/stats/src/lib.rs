//! Seeded random streams ([`random`]), and statistics over runs: location, intervals, comparisons,
//! power, profiles and fits. Pure functions of numbers.
//!
//! Conventions, the same everywhere:
//! - A missed target costs `f64::INFINITY`. Whatever depends on order alone (medians, quantiles,
//!   inter-quartile means, ranks, signs, profiles) accepts infinities; what needs sums of all values
//!   (variances, t intervals, fits) refuses them.
//! - A NaN is a defect of the data. Measures of location return NaN for it, everything else an
//!   [`Error`].
//! - Random results depend on the seed and the input alone, not on the number of threads.

mod bootstrap;
mod comparison;
mod correction;
mod error;
mod fit;
mod interval;
mod location;
mod power;
mod profile;
pub mod random;
mod rank;

pub use bootstrap::Bootstrap;
pub use comparison::{
    Alternative, Test, fisher_exact_test, paired_differences, probability_of_improvement,
    probability_of_improvement_interval, sign_flip_test, sign_test, signed_rank_test, spread_test,
};
pub use correction::{benjamini_hochberg, holm};
pub use error::{Error, Result};
pub use fit::{BandVerdict, Line, exponent, judge, least_squares, linear_rate};
pub use interval::{Estimate, Interval, clopper_pearson, median_interval, student_t};
pub use location::{
    interquartile_mean, mean, median, median_or_infinite, population_variance, quantile,
    sample_variance,
};
pub use power::{Design, detectable_share, trials_for_share};
pub use profile::{Ecdf, data_profiles, performance_profiles, score_profile, times_to_targets};
pub use rank::average_ranks;
