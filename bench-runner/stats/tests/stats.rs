//! The statistics against SciPy, NumPy and statsmodels (`golden/stats.py`), closed forms and
//! invariants.

#![allow(clippy::unwrap_used)]

use bench_stats::*;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde_json::Value;

const MISS: f64 = f64::INFINITY;

mod golden {
    use super::*;

    /// Calls `check` on each case of a section.
    fn each(section: &str, check: impl Fn(&Value)) {
        let golden: Value = serde_json::from_str(include_str!("golden/stats.json")).unwrap();
        let cases = golden[section].as_array().unwrap();
        assert!(!cases.is_empty());
        cases.iter().for_each(check);
    }

    fn number(value: &Value) -> f64 {
        match value {
            Value::String(text) => text.parse().unwrap(),
            Value::Number(number) => number.as_f64().unwrap(),
            Value::Null => f64::NAN,
            other => panic!("not a number: {other}"),
        }
    }

    fn numbers(value: &Value) -> Vec<f64> {
        value.as_array().unwrap().iter().map(number).collect()
    }

    fn rows(value: &Value) -> Vec<Vec<f64>> {
        value.as_array().unwrap().iter().map(numbers).collect()
    }

    fn alternative(case: &Value) -> Alternative {
        match case["alternative"].as_str().unwrap() {
            "two-sided" => Alternative::TwoSided,
            "less" => Alternative::Less,
            "greater" => Alternative::Greater,
            other => panic!("unknown alternative {other}"),
        }
    }

    /// Within 10⁻¹¹ of the larger of 1 and the expected size.
    fn assert_close(found: f64, expected: f64, case: &Value) {
        let close = (found - expected).abs() <= 1e-11 * expected.abs().max(1.0);
        assert!(
            found == expected || (found.is_nan() && expected.is_nan()) || close,
            "{found} instead of {expected} in {case}"
        );
    }

    fn assert_interval(estimate: &Estimate, case: &Value) {
        assert_close(estimate.interval.low, number(&case["low"]), case);
        assert_close(estimate.interval.high, number(&case["high"]), case);
    }

    #[test]
    fn location() {
        each("location", |case| {
            let values = numbers(&case["values"]);
            assert_close(mean(&values), number(&case["mean"]), case);
            assert_close(
                sample_variance(&values),
                number(&case["sample_variance"]),
                case,
            );
            assert_close(
                population_variance(&values),
                number(&case["population_variance"]),
                case,
            );
            assert_close(median(&values), number(&case["median"]), case);
            assert_close(
                interquartile_mean(&values),
                number(&case["interquartile_mean"]),
                case,
            );
            for pair in rows(&case["quantiles"]) {
                assert_close(quantile(&values, pair[0]), pair[1], case);
            }
        });
    }

    #[test]
    fn closed_form_intervals() {
        each("student_t", |case| {
            let estimate = student_t(&numbers(&case["values"]), number(&case["level"])).unwrap();
            assert_interval(&estimate, case);
        });
        each("clopper_pearson", |case| {
            let (successes, trials) = (
                case["successes"].as_u64().unwrap(),
                case["trials"].as_u64().unwrap(),
            );
            let estimate = clopper_pearson(successes, trials, number(&case["level"])).unwrap();
            assert_interval(&estimate, case);
            assert_eq!(estimate.value, successes as f64 / trials as f64);
        });
        each("median_interval", |case| {
            let level = number(&case["level"]);
            let estimate = median_interval(&numbers(&case["values"]), level).unwrap();
            assert_interval(&estimate, case);
            assert_close(estimate.interval.level, number(&case["coverage"]), case);
            if case["attained"].as_bool().unwrap() {
                assert!(estimate.interval.level >= level, "{case}");
            }
        });
    }

    #[test]
    fn bootstrap_intervals_over_all_resamples() {
        each("bootstrap", |case| {
            let values = numbers(&case["values"]);
            let bootstrap = Bootstrap {
                level: number(&case["level"]),
                ..Bootstrap::default()
            };
            let statistic = match case["statistic"].as_str().unwrap() {
                "mean" => mean,
                "median" => median,
                "interquartile_mean" => interquartile_mean,
                other => panic!("unknown statistic {other}"),
            };
            let estimate = match case["method"].as_str().unwrap() {
                "BCa" => bootstrap.bca(&values, statistic),
                _ => bootstrap.percentile(&values, statistic),
            };
            assert_interval(&estimate.unwrap(), case);
        });
        each("stratified", |case| {
            let bootstrap = Bootstrap {
                level: number(&case["level"]),
                ..Bootstrap::default()
            };
            let estimate = bootstrap
                .stratified(&rows(&case["tasks"]), |tasks| {
                    interquartile_mean(&tasks.concat())
                })
                .unwrap();
            assert_interval(&estimate, case);
            assert_close(estimate.value, number(&case["interquartile_mean"]), case);
        });
    }

    #[test]
    fn probabilities_of_improvement() {
        each("probability_of_improvement", |case| {
            let (x, y) = (rows(&case["x"]), rows(&case["y"]));
            let value = number(&case["value"]);
            assert_close(probability_of_improvement(&x, &y).unwrap(), value, case);
            if case.get("low").is_some() {
                let estimate =
                    probability_of_improvement_interval(&x, &y, &Bootstrap::default()).unwrap();
                assert_interval(&estimate, case);
                assert_close(estimate.value, value, case);
            }
        });
    }

    #[test]
    fn paired_tests() {
        each("tests", |case| {
            let differences = numbers(&case["differences"]);
            let side = alternative(case);
            let sign = sign_test(&differences, side).unwrap();
            assert_close(sign.p_value, number(&case["sign"]), case);
            let rank = signed_rank_test(&differences, side).unwrap();
            assert_close(rank.p_value, number(&case["signed_rank"]), case);
            assert_close(rank.statistic, number(&case["rank_sum"]), case);
            let flip = sign_flip_test(&differences, side, 10_000, 0).unwrap();
            assert_close(flip.p_value, number(&case["sign_flip"]), case);
            assert_close(flip.statistic, number(&case["mean"]), case);
        });
    }

    #[test]
    fn spread_tests() {
        each("spreads", |case| {
            let (x, y) = (numbers(&case["x"]), numbers(&case["y"]));
            let test = spread_test(&x, &y, alternative(case)).unwrap();
            assert_close(test.statistic, number(&case["statistic"]), case);
            assert_close(test.p_value, number(&case["p_value"]), case);
        });
    }

    #[test]
    fn fisher_exact_tests() {
        each("fisher", |case| {
            let count = |key: &str| {
                let counts = case[key].as_array().unwrap();
                [0, 1].map(|place: usize| counts[place].as_u64().unwrap())
            };
            let test = fisher_exact_test(count("first"), count("other")).unwrap();
            assert_close(test.p_value, number(&case["p_value"]), case);
        });
    }

    #[test]
    fn adjusted_p_values() {
        each("corrections", |case| {
            let p_values = numbers(&case["p_values"]);
            for (found, key) in [
                (holm(&p_values), "holm"),
                (benjamini_hochberg(&p_values), "benjamini_hochberg"),
            ] {
                let (found, expected) = (found.unwrap(), numbers(&case[key]));
                assert_eq!(found.len(), expected.len());
                for (found, expected) in found.iter().zip(expected) {
                    assert_close(*found, expected, case);
                }
            }
        });
    }

    #[test]
    fn a_detectable_share_is_found_by_the_exact_interval_with_the_power() {
        use bench_stats::detectable_share;
        // scipy 1.17.1: binomtest(k, n).proportion_ci(level, "exact").low > 1/2 first at this k; p from
        // brentq on binom.sf(k - 1, n, p) - 0.8.
        for (trials, level, expected) in [
            (20, 0.95, Some(0.7987204987728965)),
            (20, 0.9975, Some(0.9222902879939594)),
            (10, 0.95, Some(0.9167400634441292)),
            (100, 0.9975, Some(0.6936074891388989)),
            (5, 0.9975, None),
        ] {
            let found = detectable_share(trials, level, 0.8).unwrap();
            match (found, expected) {
                (Some(found), Some(expected)) => {
                    let expected: f64 = expected;
                    assert!((found - expected).abs() < 1e-9, "{found} {expected}");
                }
                _ => assert_eq!(found, expected),
            }
        }
    }

    #[test]
    fn as_many_trials_are_asked_for_as_the_power_takes() {
        use bench_stats::trials_for_share;
        // scipy 1.17.1: one more than the largest n whose power, binom.sf(k - 1, n, share), is below 0.8, k being
        // the fewest successes with binomtest(k, n).proportion_ci(level, "exact").low > 1/2.
        for (share, level, expected) in [
            (0.75, 0.95, 35),
            (0.75, 1.0 - 0.05 / 21.0, 61),
            (0.75, 0.99, 47),
            (0.9, 0.95, 12),
            (0.6, 0.95, 210),
        ] {
            assert_eq!(trials_for_share(share, level, 0.8).unwrap(), expected);
        }
        assert!(trials_for_share(0.5, 0.95, 0.8).is_err());
        assert!(trials_for_share(0.501, 0.95, 0.8).is_err());
    }

    #[test]
    fn power_of_the_t_test() {
        each("power", |case| {
            let design = Design {
                pairs: case["pairs"].as_u64().unwrap() as usize,
                significance: number(&case["significance"]),
                alternative: alternative(case),
            };
            for pair in rows(&case["powers"]) {
                assert_close(design.t_power(pair[0]).unwrap(), pair[1], case);
            }
            if !case["detectable"].is_null() {
                // The search stops at a relative 10⁻¹⁰.
                let found = design.t_detectable_effect(0.8).unwrap();
                let expected = number(&case["detectable"]);
                assert!((found / expected - 1.0).abs() < 2e-10, "{found} in {case}");
            }
        });
    }

    #[test]
    fn distributions_and_profiles() {
        each("ecdf", |case| {
            let ecdf = Ecdf::new(&numbers(&case["values"])).unwrap();
            for pair in rows(&case["points"]) {
                assert_close(ecdf.at(pair[0]), pair[1], case);
            }
        });
        each("profiles", |case| {
            let check = |profiles: Vec<Ecdf>, points: &str, expected: &str| {
                let (points, expected) = (numbers(&case[points]), rows(&case[expected]));
                assert_eq!(profiles.len(), expected.len());
                for (profile, expected) in profiles.iter().zip(expected) {
                    for (&point, expected) in points.iter().zip(expected) {
                        assert_close(profile.at(point), expected, case);
                    }
                }
            };
            let costs = rows(&case["costs"]);
            let dimensions: Vec<usize> = numbers(&case["dimensions"])
                .iter()
                .map(|&dimension| dimension as usize)
                .collect();
            check(performance_profiles(&costs).unwrap(), "taus", "performance");
            check(
                data_profiles(&costs, &dimensions).unwrap(),
                "alphas",
                "data",
            );
            for pair in rows(&case["score_profile"]) {
                assert_close(
                    score_profile(&rows(&case["scores"]), pair[0]),
                    pair[1],
                    case,
                );
            }
        });
    }

    #[test]
    fn fits() {
        each("lines", |case| {
            let fit = least_squares(&numbers(&case["x"]), &numbers(&case["y"])).unwrap();
            assert_close(fit.slope, number(&case["slope"]), case);
            assert_close(fit.intercept, number(&case["intercept"]), case);
            assert_close(fit.r_squared, number(&case["r_squared"]), case);
            assert_close(fit.slope_error, number(&case["slope_error"]), case);
        });
        each("exponents", |case| {
            let estimate = exponent(
                &numbers(&case["sizes"]),
                &rows(&case["costs"]),
                &Bootstrap::default(),
            )
            .unwrap();
            assert_close(estimate.value, number(&case["value"]), case);
            assert_interval(&estimate, case);
        });
    }
}

/// Normal draws of mean 0 and variance 1.
fn normal_sample(rng: &mut ChaCha8Rng, n: usize) -> Vec<f64> {
    (0..n).map(|_| rng.sample(StandardNormal)).collect()
}

/// The share of 2,000 samples of `n` normal draws whose interval contains 0.
fn coverage(n: usize, interval: impl Fn(&[f64]) -> Interval) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let hits = (0..2000).filter(|_| interval(&normal_sample(&mut rng, n)).contains(0.0));
    hits.count() as f64 / 2000.0
}

mod simulation {
    use super::*;

    // Standard errors of these shares are about 0.005 at 0.95: the tolerance is four of them.
    const TOLERANCE: f64 = 0.02;

    #[test]
    fn exact_intervals_cover_as_often_as_they_say() {
        for level in [0.8, 0.95] {
            let share = coverage(3, |x| student_t(x, level).unwrap().interval);
            assert!((share - level).abs() < 2.0 * TOLERANCE, "{share}");
        }
        for n in [3, 6, 11] {
            let level = median_interval(&normal_sample(&mut ChaCha8Rng::seed_from_u64(0), n), 0.9)
                .unwrap()
                .interval
                .level;
            let share = coverage(n, |x| median_interval(x, 0.9).unwrap().interval);
            assert!((share - level).abs() < 2.0 * TOLERANCE, "{share} at {n}");
        }
    }

    #[test]
    fn the_bootstrap_falls_short_at_three_values_and_recovers() {
        let bootstrap = Bootstrap {
            resamples: 500,
            ..Bootstrap::default()
        };
        let percentile = |x: &[f64]| bootstrap.percentile(x, mean).unwrap().interval;
        let at_3 = coverage(3, percentile);
        let at_40 = coverage(40, percentile);
        assert!((0.62..0.72).contains(&at_3), "{at_3}");
        assert!((at_40 - 0.94).abs() < TOLERANCE, "{at_40}");
    }

    #[test]
    fn clopper_pearson_covers_every_share() {
        // Exact: over all numbers of successes, for the numbers of problems that claims rest on.
        for trials in [6, 8, 27, 60] {
            for share in [0.05, 0.3, 0.5, 0.62, 0.75, 0.9] {
                let covered: f64 = (0..=trials)
                    .filter(|&k| {
                        let estimate = clopper_pearson(k, trials, 0.95).unwrap();
                        estimate.interval.contains(share)
                    })
                    .map(|k| binomial(k, trials, share))
                    .sum();
                assert!(covered >= 0.95, "{covered} of {trials} at {share}");
            }
        }
    }

    /// P(B = k), B binomial(n, p).
    fn binomial(k: u64, n: u64, p: f64) -> f64 {
        let ways: f64 = (1..=k).map(|i| (n - k + i) as f64 / i as f64).product();
        ways * p.powi(k as i32) * (1.0 - p).powi((n - k) as i32)
    }

    /// The share of samples of `problems` problems with five seeds each whose interval contains the true mean
    /// of all problems, 0; problems differ by a normal effect as large as the seeds' noise.
    fn coverage_over_problems(problems: usize, interval: impl Fn(&[Vec<f64>]) -> Interval) -> f64 {
        let mut rng = ChaCha8Rng::seed_from_u64(17);
        let hits = (0..1000).filter(|_| {
            let groups: Vec<Vec<f64>> = (0..problems)
                .map(|_| {
                    let effect: f64 = rng.sample(StandardNormal);
                    let noise = normal_sample(&mut rng, 5);
                    noise.into_iter().map(|noise| effect + noise).collect()
                })
                .collect();
            interval(&groups).contains(0.0)
        });
        hits.count() as f64 / 1000.0
    }

    #[test]
    fn the_hierarchical_bootstrap_covers_problems_and_the_stratified_one_only_seeds() {
        let bootstrap = Bootstrap {
            resamples: 400,
            ..Bootstrap::default()
        };
        let of_means =
            |groups: &[Vec<f64>]| mean(&groups.iter().map(|group| mean(group)).collect::<Vec<_>>());
        // A standard error of these shares is 0.007. Seeds are drawn within problems that are drawn themselves,
        // which counts their noise twice: the interval may be a little too wide, never too narrow.
        for problems in [6, 8, 27, 60] {
            let share = coverage_over_problems(problems, |groups| {
                bootstrap.hierarchical(groups, of_means).unwrap().interval
            });
            assert!((0.93..0.99).contains(&share), "{share} of {problems}");
        }
        let seeds_only = coverage_over_problems(8, |groups| {
            bootstrap.stratified(groups, of_means).unwrap().interval
        });
        assert!(seeds_only < 0.75, "{seeds_only}");
    }

    #[test]
    fn the_sign_flip_test_keeps_its_size_at_the_numbers_of_problems_used() {
        // Skewed differences that are symmetric around 0: those of a pair whose methods are the same.
        let mut rng = ChaCha8Rng::seed_from_u64(23);
        for problems in [8, 27, 60] {
            let rejected = (0..1000).filter(|&index| {
                let differences: Vec<f64> = (0..problems)
                    .map(|_| {
                        let [x, y]: [f64; 2] =
                            std::array::from_fn(|_| rng.sample::<f64, _>(StandardNormal).exp());
                        x - y
                    })
                    .collect();
                sign_flip_test(&differences, Alternative::TwoSided, 999, index)
                    .unwrap()
                    .p_value
                    <= 0.05
            });
            let size = rejected.count() as f64 / 1000.0;
            assert!(size < 0.05 + TOLERANCE, "{size} at {problems}");
        }
    }

    #[test]
    fn tests_reject_no_more_often_than_they_say() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut rejections = [0; 3];
        for seed in 0..2000 {
            let differences = normal_sample(&mut rng, 10);
            let side = Alternative::TwoSided;
            // 2¹⁰ > 400, so that the random patterns are what is tested.
            let p_values = [
                sign_flip_test(&differences, side, 400, seed).unwrap(),
                sign_test(&differences, side).unwrap(),
                signed_rank_test(&differences, side).unwrap(),
            ];
            for (count, test) in rejections.iter_mut().zip(p_values) {
                *count += usize::from(test.p_value <= 0.1);
            }
        }
        let shares = rejections.map(|count| f64::from(count as u32) / 2000.0);
        // The attainable levels below 0.1 at 10 pairs: the binomial's 22/1024, the ranks' 0.084.
        for (share, level) in shares.iter().zip([0.1, 22.0 / 1024.0, 0.084]) {
            assert!((share - level).abs() < 0.03, "{shares:?}");
        }
    }

    #[test]
    fn random_resamples_follow_the_binomial_distribution() {
        // The number of ones in a resample of 15 zeros and 5 ones is binomial(20, ¼), whose 0.05 and 0.95
        // quantiles are 2 and 8 (P(≤ 1) = 0.024, P(≤ 2) = 0.091, P(≤ 7) = 0.898, P(≤ 8) = 0.959).
        let mut values = [0.0; 20];
        values[15..].fill(1.0);
        for seed in 0..10 {
            let bootstrap = Bootstrap {
                level: 0.9,
                seed,
                ..Bootstrap::default()
            };
            for values in [
                values,
                [&values[10..], &values[..10]].concat().try_into().unwrap(),
            ] {
                let interval = bootstrap.percentile(&values, mean).unwrap().interval;
                assert_eq!((interval.low, interval.high), (0.1, 0.4));
            }
        }
    }

    #[test]
    fn random_sign_flips_agree_with_all_of_them() {
        let differences = [0.5, -1.0, 2.0, 3.5, 1.5, 0.25, -0.75, 1.0];
        let side = Alternative::Greater;
        let exact = sign_flip_test(&differences, side, 256, 0).unwrap().p_value;
        let p_values: Vec<f64> = (0..400)
            .map(|seed| {
                sign_flip_test(&differences, side, 255, seed)
                    .unwrap()
                    .p_value
            })
            .collect();
        // Of B random patterns 1 + B·p count on average, over 1 + B.
        let expected = (1.0 + 255.0 * exact) / 256.0;
        let error = (exact * (1.0 - exact) / 255.0 / 400.0).sqrt();
        assert!((mean(&p_values) - expected).abs() < 4.0 * error);
        assert!(sample_variance(&p_values) > 0.0);
    }

    #[test]
    fn sign_flip_power_matches_its_closed_form() {
        // At 6 pairs, two-sided at 0.05, only equal signs are significant: Φ(d)⁶ + Φ(−d)⁶. Φ(1) = 0.8413…
        let design = Design {
            pairs: 6,
            significance: 0.05,
            alternative: Alternative::TwoSided,
        };
        let phi: f64 = 0.841_344_746_068_542_9;
        let expected = phi.powi(6) + (1.0 - phi).powi(6);
        let power = design.sign_flip_power(1.0, 20_000, 1).unwrap();
        assert!((power - expected).abs() < 0.015, "{power} {expected}");

        let effect = design
            .sign_flip_detectable_effect(expected, 20_000, 1)
            .unwrap();
        assert!((effect - 1.0).abs() < 0.05, "{effect}");
        let t = design.t_detectable_effect(expected).unwrap();
        assert!(t < effect, "the t test is the more powerful: {t} {effect}");
    }
}

mod edges {
    use super::*;

    #[test]
    fn misses_count_at_the_top() {
        assert_eq!(median(&[1.0, MISS]), MISS);
        assert_eq!(median(&[MISS, 1.0, 2.0]), 2.0);
        assert_eq!(quantile(&[1.0, MISS, MISS], 0.75), MISS);
        assert_eq!(
            quantile(&[f64::NEG_INFINITY, 1.0, 2.0], 0.25),
            f64::NEG_INFINITY
        );
        assert_eq!(interquartile_mean(&[4.0, 1.0, 2.0, MISS]), 3.0);
        assert_eq!(interquartile_mean(&[1.0, 2.0, MISS]), MISS);
        assert!(sample_variance(&[1.0, MISS]).is_nan());
        assert_eq!(
            paired_differences(&[MISS, 1.0, MISS], &[MISS, MISS, 1.0]).unwrap(),
            [0.0, -MISS, MISS]
        );
        let estimate = median_interval(&[3.0, MISS, 1.0, MISS, 2.0, 5.0], 0.95).unwrap();
        assert_eq!(estimate.interval.low, 1.0);
        assert_eq!(estimate.interval.high, MISS);
        // −∞ and ∞ are the largest in size, with ranks 2.5 each.
        let test = signed_rank_test(&[-MISS, MISS, 1.0], Alternative::TwoSided).unwrap();
        assert_eq!(test.statistic, 3.5);
    }

    #[test]
    fn nothing_yields_nan() {
        for location in [mean, median, interquartile_mean, population_variance] {
            assert!(location(&[]).is_nan());
            assert!(location(&[1.0, f64::NAN, 2.0]).is_nan());
        }
        assert!(sample_variance(&[1.0]).is_nan());
        assert!(quantile(&[1.0], 1.5).is_nan());
        assert!(score_profile(&[], 0.0).is_nan());
        assert!(score_profile(&[vec![1.0], vec![f64::NAN]], 0.0).is_nan());
    }

    #[test]
    fn bad_input_is_refused_by_name() {
        let message = |error: Error| error.to_string();
        assert_eq!(
            message(student_t(&[1.0], 0.95).unwrap_err()),
            "sample: got 1, needs at least 2"
        );
        assert_eq!(
            message(student_t(&[1.0, MISS], 0.95).unwrap_err()),
            "sample: value 1 is inf, expected a finite number (statistics of order and rank accept \
             infinities)"
        );
        assert_eq!(
            message(student_t(&[1.0, 2.0], 95.0).unwrap_err()),
            "level = 95 is out of range: expected a number strictly between 0 and 1"
        );
        assert_eq!(
            message(paired_differences(&[1.0], &[]).unwrap_err()),
            "y: got 0, expected 1 to match the other input"
        );
        assert_eq!(
            message(clopper_pearson(3, 2, 0.95).unwrap_err()),
            "successes = 3 is out of range: expected at most the number of trials"
        );
        assert_eq!(
            message(least_squares(&[1.0, 1.0], &[1.0, 2.0]).unwrap_err()),
            "the slope is undefined: all x are equal"
        );
        let refused = [
            clopper_pearson(0, 0, 0.95).is_err(),
            median_interval(&[1.0, f64::NAN], 0.95).is_err(),
            sign_test(&[], Alternative::Less).is_err(),
            sign_flip_test(&[1.0, MISS], Alternative::Less, 10, 0).is_err(),
            sign_flip_test(&[1.0], Alternative::Less, 0, 0).is_err(),
            holm(&[0.1, 1.1]).is_err(),
            benjamini_hochberg(&[f64::NAN]).is_err(),
            Bootstrap::default().stratified(&[], |_| 0.0).is_err(),
            Bootstrap::default().bca(&[1.0, 2.0, MISS], mean).is_err(),
            Bootstrap::default()
                .percentile(&[-MISS, MISS], mean)
                .is_err(),
            probability_of_improvement(&[vec![]], &[vec![1.0]]).is_err(),
            performance_profiles(&[]).is_err(),
            performance_profiles(&[vec![1.0], vec![1.0, 2.0]]).is_err(),
            performance_profiles(&[vec![-1.0]]).is_err(),
            data_profiles(&[vec![1.0]], &[]).is_err(),
            times_to_targets(&[2.0, 1.0], &[0.0, 0.0], &[]).is_err(),
            linear_rate(&[0.0, 1.0], &[1.0, 0.0]).is_err(),
            exponent(
                &[1.0, 2.0],
                &[vec![1.0; 2], vec![1.0; 2]],
                &Bootstrap::default(),
            )
            .is_err(),
            exponent(&[2.0; 3], &vec![vec![1.0; 2]; 3], &Bootstrap::default()).is_err(),
        ];
        assert_eq!(refused, [true; 19]);
    }

    #[test]
    fn values_that_do_not_vary_have_intervals_of_no_width() {
        for estimate in [
            Bootstrap::default().bca(&[2.0; 4], mean).unwrap(),
            Bootstrap::default().percentile(&[2.0; 9], median).unwrap(),
            student_t(&[2.0; 3], 0.95).unwrap(),
        ] {
            assert_eq!((estimate.interval.low, estimate.interval.high), (2.0, 2.0));
        }
    }

    #[test]
    fn bca_ends_stay_in_order_beyond_the_pole_of_the_correction() {
        let mut values = [0.0; 30];
        values[0] = 1.0;
        let bootstrap = Bootstrap {
            level: 1.0 - 1e-12,
            ..Bootstrap::default()
        };
        let interval = bootstrap.bca(&values, mean).unwrap().interval;
        assert!(interval.low < interval.high, "{interval:?}");
    }

    #[test]
    fn too_few_pairs_never_reach_significance() {
        let mut design = Design {
            pairs: 5,
            significance: 0.05,
            alternative: Alternative::TwoSided,
        };
        assert_eq!(design.smallest_p_value(), 0.0625);
        assert_eq!(design.sign_flip_power(10.0, 100, 0).unwrap(), 0.0);
        assert!(design.sign_flip_detectable_effect(0.8, 100, 0).is_err());
        design.pairs = 6;
        assert_eq!(design.sign_flip_power(10.0, 100, 0).unwrap(), 1.0);
        let differences = [1.0; 6];
        for test in [
            sign_test(&differences, design.alternative).unwrap(),
            signed_rank_test(&differences, design.alternative).unwrap(),
            sign_flip_test(&differences, design.alternative, 64, 0).unwrap(),
        ] {
            assert_eq!(test.p_value, design.smallest_p_value());
        }
    }

    #[test]
    fn many_signs_do_not_underflow() {
        // scipy.stats.binom.sf(1559, 3000, 0.5)
        let mut differences = vec![1.0; 1560];
        differences.resize(3000, -1.0);
        let p_value = sign_test(&differences, Alternative::Greater)
            .unwrap()
            .p_value;
        assert!(
            (p_value - 0.014_895_524_021_630_496).abs() < 1e-9,
            "{p_value}"
        );
    }

    #[test]
    fn profiles_of_degenerate_costs() {
        let profiles = performance_profiles(&[vec![0.0, MISS], vec![3.0, MISS]]).unwrap();
        assert_eq!(profiles[0].steps(), [(1.0, 0.5)]);
        assert!(profiles[1].steps().is_empty());
        assert_eq!(profiles[1].at(MISS), 0.0);
    }

    #[test]
    fn targets_are_reached_at_the_first_value_below() {
        let times = times_to_targets(
            &[0.0, 10.0, 20.0, 30.0],
            &[5.0, f64::NAN, 1.0, 2.0],
            &[10.0, 5.0, 2.0, 0.5],
        );
        assert_eq!(times.unwrap(), [0.0, 0.0, 20.0, MISS]);
    }

    #[test]
    fn rates_and_exponents_notice_an_extra_factor() {
        let iterations: Vec<f64> = (0..20).map(f64::from).collect();
        let errors: Vec<f64> = iterations.iter().map(|&k| 7.0 * 0.3_f64.powf(k)).collect();
        let rate = linear_rate(&iterations, &errors).unwrap();
        assert!((rate.slope.exp() - 0.3).abs() < 1e-12);
        assert!((rate.r_squared - 1.0).abs() < 1e-12);

        let sizes: Vec<f64> = (4..10).map(|k| 2.0_f64.powi(k)).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let mut verdict = |cost: fn(f64) -> f64| {
            let costs: Vec<Vec<f64>> = sizes
                .iter()
                .map(|&n| {
                    (0..10)
                        .map(|_| cost(n) * rng.random_range(0.9..1.1))
                        .collect()
                })
                .collect();
            let fit = exponent(&sizes, &costs, &Bootstrap::default()).unwrap();
            judge(&fit.interval, 0.9..=1.1)
        };
        assert_eq!(verdict(|n| 5.0 * n), BandVerdict::Reproduced);
        assert_eq!(verdict(|n| 5.0 * n * n.ln()), BandVerdict::NotReproduced);
        assert_eq!(verdict(|n| 5.0 * n.powf(1.1)), BandVerdict::Inconclusive);
    }

    #[test]
    fn results_do_not_depend_on_the_number_of_threads() {
        let values: Vec<f64> = (0..40).map(|i| f64::from(i).sin()).collect();
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| {
                let bca = Bootstrap::default().bca(&values, mean).unwrap();
                let design = Design {
                    pairs: 7,
                    significance: 0.05,
                    alternative: Alternative::Greater,
                };
                (bca, design.sign_flip_power(0.7, 500, 2).unwrap())
            })
        };
        assert_eq!(with(1), with(4));
        let other_seed = Bootstrap {
            seed: 1,
            ..Bootstrap::default()
        };
        assert_ne!(other_seed.bca(&values, mean).unwrap(), with(1).0);
    }
}

/// Numbers of moderate size, some of them misses.
fn costs(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<f64>> {
    let cost = prop_oneof![8 => -1e3..1e3, 1 => Just(MISS)];
    prop::collection::vec(cost, length)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn quantiles_ascend_and_ignore_order(values in costs(1..20), p in 0.0..1.0, q in 0.0..1.0) {
        let (low, high) = if p < q { (p, q) } else { (q, p) };
        prop_assert!(quantile(&values, low) <= quantile(&values, high));
        let mut reversed = values.clone();
        reversed.reverse();
        prop_assert_eq!(quantile(&values, p), quantile(&reversed, p));
        prop_assert_eq!(interquartile_mean(&values), interquartile_mean(&reversed));
    }

    #[test]
    fn bootstrap_intervals_are_ordered_and_follow_scale_and_shift(
        values in prop::collection::vec(-100.0..100.0, 2..12),
        seed: u64,
    ) {
        let bootstrap = Bootstrap { resamples: 200, level: 0.9, seed };
        // Powers of two and short fractions keep the arithmetic comparable.
        let moved: Vec<f64> = values.iter().map(|x| 4.0 * x + 8.0).collect();
        let intervals = |x: &[f64]| [
            bootstrap.percentile(x, median).unwrap(),
            bootstrap.percentile(x, mean).unwrap(),
        ];
        for (a, b) in intervals(&values).iter().zip(&intervals(&moved)) {
            prop_assert!(a.interval.low <= a.interval.high);
            prop_assert!((4.0 * a.interval.low + 8.0 - b.interval.low).abs() < 1e-9);
            prop_assert!((4.0 * a.interval.high + 8.0 - b.interval.high).abs() < 1e-9);
        }
        if let Ok(bca) = bootstrap.bca(&values, mean) {
            prop_assert!(bca.interval.low <= bca.interval.high);
        }
    }

    #[test]
    fn tests_mirror_under_a_change_of_sign(differences in costs(1..12)) {
        let mirrored: Vec<f64> = differences.iter().map(|d| -d).collect();
        for test in [sign_test, signed_rank_test] {
            let less = test(&differences, Alternative::Less).unwrap().p_value;
            let greater = test(&mirrored, Alternative::Greater).unwrap().p_value;
            prop_assert!((less - greater).abs() < 1e-12);
            let both = test(&differences, Alternative::TwoSided).unwrap().p_value;
            prop_assert!((0.0..=1.0).contains(&both) && both >= less.min(1.0 - less) - 1e-12);
        }
    }

    #[test]
    fn adjusted_p_values_keep_order_and_never_shrink(p in prop::collection::vec(0.0..=1.0, 1..15)) {
        let (holm, bh) = (holm(&p).unwrap(), benjamini_hochberg(&p).unwrap());
        for i in 0..p.len() {
            prop_assert!(p[i] <= bh[i] && bh[i] <= holm[i] && holm[i] <= 1.0);
            for j in 0..p.len() {
                prop_assert!(p[i] > p[j] || (holm[i] <= holm[j] && bh[i] <= bh[j]));
            }
        }
    }

    #[test]
    fn improvement_probabilities_complement_and_ignore_monotone_maps(
        x in costs(1..8),
        y in costs(1..8),
    ) {
        let cube = |values: &[f64]| values.iter().map(|v| v.powi(3)).collect::<Vec<_>>();
        let (x, y, cubes) = ([x.clone()], [y.clone()], ([cube(&x)], [cube(&y)]));
        let value = probability_of_improvement(&x, &y).unwrap();
        let reverse = probability_of_improvement(&y, &x).unwrap();
        prop_assert!((value + reverse - 1.0).abs() < 1e-12);
        prop_assert_eq!(probability_of_improvement(&cubes.0, &cubes.1).unwrap(), value);
    }

    #[test]
    fn profiles_ascend_within_the_unit_interval(
        rows in prop::collection::vec(prop::collection::vec(
            prop_oneof![4 => 0.5..1e3, 1 => Just(MISS)], 5), 1..4),
        scale in 0.1..10.0,
    ) {
        let profiles = performance_profiles(&rows).unwrap();
        let best: f64 = profiles.iter().map(|profile| profile.at(1.0)).sum();
        let solved = (0..5).filter(|&p| rows.iter().any(|row| row[p] < MISS)).count();
        prop_assert!(best >= solved as f64 / 5.0 - 1e-12, "each solved problem has a best solver");
        for (profile, row) in profiles.iter().zip(&rows) {
            let steps = profile.steps();
            prop_assert!(steps.windows(2).all(|s| s[0].0 < s[1].0 && s[0].1 < s[1].1));
            let reached = row.iter().filter(|cost| **cost < MISS).count() as f64 / 5.0;
            prop_assert!((profile.at(MISS) - reached).abs() < 1e-12);
        }
        let scaled: Vec<Vec<f64>> = rows
            .iter()
            .map(|row| row.iter().map(|cost| cost * scale).collect())
            .collect();
        for (a, b) in profiles.iter().zip(performance_profiles(&scaled).unwrap()) {
            prop_assert_eq!(a.at(2.0), b.at(2.0));
        }
    }

    #[test]
    fn t_power_grows_with_effect_and_pairs(effect in 0.0..3.0, pairs in 2usize..40) {
        let design = |pairs| Design {
            pairs,
            significance: 0.05,
            alternative: Alternative::Greater,
        };
        let power = design(pairs).t_power(effect).unwrap();
        prop_assert!((0.05 - 1e-9..=1.0 + 1e-9).contains(&power));
        prop_assert!(design(pairs).t_power(effect + 0.1).unwrap() >= power - 1e-12);
        prop_assert!(design(pairs + 1).t_power(effect).unwrap() >= power - 1e-9);
    }
}

#[test]
fn spreads_without_variance_are_equal_or_surely_different() {
    let test = |x: &[f64], y: &[f64]| spread_test(x, y, Alternative::Greater).unwrap();
    // All equal; and the same distances.
    assert_eq!(test(&[1.0; 4], &[2.0; 3]).statistic, 0.0);
    assert_eq!(test(&[1.0; 4], &[2.0; 3]).p_value, 0.5);
    let equal = test(&[0.0, 1.0, 2.0], &[5.0, 6.0, 7.0]);
    assert_eq!((equal.statistic, equal.p_value), (0.0, 0.5));
    for (x, y, needle) in [
        (&[1.0, 2.0][..], &[1.0, 2.0, 3.0][..], "x"),
        (&[1.0, 2.0, 3.0], &[1.0, f64::INFINITY, 2.0], "y"),
    ] {
        let said = spread_test(x, y, Alternative::Greater)
            .unwrap_err()
            .to_string();
        assert!(said.contains(needle), "{said}");
    }
    assert!(fisher_exact_test([3, 2], [0, 5]).is_err());
    assert!(fisher_exact_test([0, 0], [0, 5]).is_err());
}
