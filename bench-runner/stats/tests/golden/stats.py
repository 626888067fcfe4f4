"""Golden values for the statistics: python stats.py > stats.json

Everything comes from SciPy, NumPy and statsmodels; what they lack (profiles, aggregates over tasks) is
written here with their primitives, straight from the published formula. JSON has no infinity: it is
written as the string "inf".
"""

import itertools
import json
import math
import platform
from types import SimpleNamespace

import numpy as np
import scipy
import statsmodels
from scipy import optimize, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint

INF = math.inf
rng = np.random.default_rng(20240607)

SAMPLES = [
    [3.5],
    [2.0, -1.0],
    [0.61, 0.64, 0.58],
    [5.0, 5.0, 5.0, 5.0],
    list(rng.normal(size=9)),
    list(rng.lognormal(size=30)),
    # Far from 0, in few digits so that no JSON reader rounds them.
    [1e6 + round(64 * x) / 64 for x in rng.normal(size=7)],
]
MISSES = [
    [1.0, 2.0, INF],
    [4.0, INF, 2.0, 3.0, 1.0],
    [4.0, INF, 2.0, 3.0, 1.0, INF, 5.0, 8.0],
    [INF, INF, 1.0],
]
# Short binary fractions: sums are exact, so ties between resamples are ties in every summation order.
DYADIC = [
    [0.5, 2.0, 1.25],
    [0.0, 1.0, 4.0, 0.25],
    [3.0, 1.0, 2.0, 8.0, 2.5],
    [1.0, 1.0, 1.0, 5.0],
]


def location():
    for sample in SAMPLES:
        x = np.array(sample)
        yield dict(
            values=sample,
            mean=np.mean(x),
            sample_variance=np.var(x, ddof=1) if len(x) > 1 else None,
            population_variance=np.var(x),
            median=np.median(x),
            interquartile_mean=stats.trim_mean(x, 0.25),
            quantiles=[[q, np.quantile(x, q)] for q in (0, 0.025, 0.1, 0.25, 1 / 3, 0.5, 0.77, 0.975, 1)],
        )
    for sample in MISSES:
        x = np.array(sample)
        yield dict(
            values=sample,
            mean=np.mean(x),
            median=np.median(x),
            interquartile_mean=stats.trim_mean(x, 0.25),
            # Where the position is a whole number, NumPy's interpolation forms inf·0: leave those out.
            quantiles=[[q, np.sort(x)[int(q * (len(x) - 1))]] for q in (0, 1)],
        )


def student_t():
    for sample in SAMPLES:
        if len(sample) > 1 and np.var(sample) > 0:
            for level in (0.5, 0.8, 0.95, 0.999):
                low, high = stats.t.interval(level, len(sample) - 1, np.mean(sample), stats.sem(sample))
                yield dict(values=sample, level=level, low=low, high=high)


def clopper_pearson():
    for successes, trials in [(0, 5), (1, 1), (3, 10), (7, 7), (250, 500), (9999, 10000)]:
        for level in (0.8, 0.95, 0.99):
            interval = stats.binomtest(successes, trials).proportion_ci(level, method="exact")
            other = proportion_confint(successes, trials, alpha=1 - level, method="beta")
            assert np.allclose(interval, other, atol=1e-12)
            yield dict(successes=successes, trials=trials, level=level, low=interval.low, high=interval.high)


def median_interval():
    """scipy.stats.quantile_test's interval is made of one-sided bounds at (1 + level)/2, each an order
    statistic: for the median it is the symmetric interval, infinite where no order statistic will do."""
    for n in (2, 3, 5, 6, 9, 15, 40):
        sample = list(rng.normal(size=n))
        for level in (0.5, 0.75, 0.9, 0.95, 0.99):
            interval = stats.quantile_test(sample, q=0, p=0.5).confidence_interval(level)
            attained = np.isfinite(interval.low) and np.isfinite(interval.high)
            order = np.sort(sample)
            low, high = (interval.low, interval.high) if attained else (order[0], order[-1])
            below = int(np.searchsorted(order, low))
            yield dict(
                values=sample, level=level, attained=bool(attained), low=low, high=high,
                coverage=1 - 2 * stats.binom.cdf(below, n, 0.5),
            )


def enumerate_resamples(strata):
    """All resamples of each stratum, combined: a list of lists of strata."""
    ways = [[[s[i] for i in draw] for draw in itertools.product(range(len(s)), repeat=len(s))] for s in strata]
    return itertools.product(*ways)


STATISTICS = {
    "mean": np.mean,
    "median": np.median,
    "interquartile_mean": lambda x, axis=-1: stats.trim_mean(x, 0.25, axis=axis),
}


def bootstrap():
    """scipy.stats.bootstrap fed with the distribution over all nⁿ resamples instead of random ones."""
    for sample in DYADIC:
        for name, statistic in STATISTICS.items():
            distribution = np.array([statistic(np.array(r)) for (r,) in enumerate_resamples([sample])])
            for method in ("percentile", "BCa"):
                for level in (0.8, 0.95):
                    result = stats.bootstrap(
                        (np.array(sample),), statistic, n_resamples=0, confidence_level=level, method=method,
                        bootstrap_result=SimpleNamespace(bootstrap_distribution=distribution), vectorized=True,
                    )
                    interval = result.confidence_interval
                    if np.isfinite(interval.low):
                        yield dict(
                            values=sample, statistic=name, method=method, level=level,
                            low=interval.low, high=interval.high,
                        )


def stratified():
    """The stratified bootstrap of rliable over all resamples: percentiles of the aggregate."""
    for tasks in (
        [[1.0, 2.0], [4.0, 8.0], [0.5, 3.0]],
        [[1.0, 2.0, 6.0], [4.0, 8.0, 0.0]],
        [[1.0, 2.0, 6.0], [4.0, 8.0]],
    ):
        distribution = [stats.trim_mean(np.concatenate(r), 0.25) for r in enumerate_resamples(tasks)]
        for level in (0.8, 0.95):
            low, high = np.quantile(distribution, [(1 - level) / 2, (1 + level) / 2])
            yield dict(
                tasks=tasks, level=level, low=low, high=high,
                interquartile_mean=stats.trim_mean(np.concatenate(tasks), 0.25),
            )


def probability_of_improvement():
    cases = [
        ([[1.0, 2.0, 3.0]], [[1.0, 2.0, 3.0]]),
        ([[1.0, 2.0], [5.0, 5.0]], [[0.0, 2.0], [4.0, 6.0]]),
        ([[1.0, INF], [3.0, 3.0]], [[INF, INF], [3.0, 4.0]]),
        ([list(rng.normal(size=5)), list(rng.normal(size=4))], [list(rng.normal(size=3)), list(rng.normal(size=6))]),
    ]

    def rate(x, y):
        wins = [stats.mannwhitneyu(a, b, alternative="greater").statistic / (len(a) * len(b)) for a, b in zip(x, y)]
        return np.mean(wins)

    for x, y in cases:
        case = dict(x=x, y=y, value=rate(x, y))
        if sum(len(s) for s in x + y) <= 8 and all(len(s) == 2 for s in x + y):
            distribution = [rate(r[: len(x)], r[len(x) :]) for r in enumerate_resamples(x + y)]
            case["low"], case["high"] = np.quantile(distribution, [0.025, 0.975])
        yield case


SIDES = {"two-sided": "two-sided", "less": "smaller", "greater": "larger"}
DIFFERENCES = [
    [1.0, 2.0, 3.0],
    [0.5, -1.0, 2.0, 3.5, 1.5],
    [1.0, -1.0, 2.0, 2.0, -3.0, 0.5, 2.0],
    [1.0, 0.0, -2.0, 0.0, 4.0, 3.0],
    list(rng.normal(0.4, 1, size=12)),
    [-1.0, -2.0, -4.0, -8.0, -16.0, -32.0],
]


def tests():
    for differences in DIFFERENCES:
        d = np.array(differences)
        nonzero = d[d != 0]
        for side in SIDES:
            flip = stats.permutation_test(
                (d,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative=side, vectorized=True
            )
            tied = len(set(abs(nonzero))) < len(nonzero)
            # SciPy's exact null distribution assumes no ties; with them, permute the ranks.
            method = stats.PermutationMethod(n_resamples=100_000) if tied else "exact"
            yield dict(
                differences=differences,
                alternative=side,
                sign=stats.binomtest(int((d > 0).sum()), len(nonzero), alternative=side).pvalue,
                signed_rank=stats.wilcoxon(nonzero, alternative=side, method=method).pvalue,
                rank_sum=stats.rankdata(abs(nonzero))[nonzero > 0].sum(),
                sign_flip=flip.pvalue,
                mean=flip.statistic,
            )


def corrections():
    for p in ([0.01, 0.04, 0.03, 0.005], [0.2], [0.5, 0.5, 0.9, 1.0, 0.0], list(rng.uniform(0, 0.2, size=12))):
        adjusted = multipletests(p, method="fdr_bh")[1]
        assert np.allclose(adjusted, stats.false_discovery_control(p, method="bh"))
        yield dict(p_values=p, holm=multipletests(p, method="holm")[1], benjamini_hochberg=adjusted)


def power():
    test = TTestPower()
    for pairs in (2, 3, 5, 10, 30, 200):
        for significance in (0.01, 0.05, 0.2):
            for side, name in SIDES.items():
                direction = -1 if side == "less" else 1
                powers = []
                for effect in (0.0, 0.1, 0.5, 1.0, 3.0, 10.0):
                    effect *= direction
                    # SciPy's noncentral t, not statsmodels' wrapper, which drops the far tail for large n.
                    critical = stats.t.isf(significance / (2 if side == "two-sided" else 1), pairs - 1)
                    shift = effect * math.sqrt(pairs)
                    above = stats.nct.sf(critical, pairs - 1, shift)
                    below = stats.nct.cdf(-critical, pairs - 1, shift)
                    value = {"two-sided": above + below, "less": below, "greater": above}[side]
                    reference = test.power(effect, pairs, significance, alternative=name)
                    if np.isfinite(value) and np.isfinite(reference):
                        assert abs(value - reference) < 1e-6, (pairs, effect, value, reference)
                        powers.append([effect, value])
                # statsmodels' solve_power is off by 2 % at 3 pairs and 0.01, but its power is right, where
                # it is not NaN.
                missing = lambda size: test.power(direction * size, pairs, significance, alternative=name) - 0.8
                try:
                    detectable = optimize.brentq(missing, 0.01, 8 if pairs < 5 else 2, xtol=1e-14)
                except ValueError:
                    detectable = None
                yield dict(pairs=pairs, significance=significance, alternative=side, powers=powers, detectable=detectable)


def distribution(values):
    """scipy.stats.ecdf; a miss is an observation censored beyond all others."""
    values = np.array(values)
    missed = np.isinf(values)
    return stats.ecdf(stats.CensoredData.right_censored(np.where(missed, 1e12, values), missed)).cdf


def ecdf():
    for values in ([3.0, 1.0, 2.0, 2.0], [5.0, INF, 5.0, 0.0, INF], list(rng.exponential(size=20))):
        points = sorted({v for v in values if v < INF} | {0.5, 2.5, 100.0})
        yield dict(values=values, points=[[x, distribution(values).evaluate(x)] for x in points])


def profiles():
    """Dolan and Moré's and Moré and Wild's definitions, evaluated with the empirical distribution."""
    costs = np.array([
        [10.0, 40.0, INF, 7.0, INF, 100.0],
        [20.0, 20.0, 90.0, 7.0, INF, 300.0],
        [15.0, INF, 30.0, 70.0, INF, 100.0],
    ])
    dimensions = [1, 4, 9, 2, 3, 19]
    best = costs.min(axis=0)
    with np.errstate(invalid="ignore"):
        ratios = np.where(np.isinf(costs), INF, costs / best)
    units = costs / (np.array(dimensions) + 1)
    evaluate = lambda rows, points: [distribution(row).evaluate(points) for row in rows]
    taus, alphas = [1.0, 1.5, 2.0, 3.0, 10.0, 1e6], [0.5, 3.0, 4.0, 5.0, 9.0, 100.0]
    scores = [[0.2, 0.9, 0.5], [1.5, 0.7, 0.1]]
    yield dict(
        costs=costs.tolist(), dimensions=dimensions,
        taus=taus, performance=evaluate(ratios, taus), alphas=alphas, data=evaluate(units, alphas),
        scores=scores,
        score_profile=[[t, np.mean([np.mean(np.array(s) > t) for s in scores])] for t in (0.0, 0.2, 0.6, 1.5)],
    )


def lines():
    for x, y in (
        ([0.0, 1.0, 2.0], [1.0, 3.0, 4.0]),
        ([1.0, 2.0], [5.0, 3.0]),
        (list(rng.normal(size=25)), list(rng.normal(size=25))),
        (list(1e3 + np.arange(8.0)), list(-0.3 * np.arange(8.0) + rng.normal(size=8) / 10)),
    ):
        fit = stats.linregress(x, y)
        yield dict(
            x=x, y=y, slope=fit.slope, intercept=fit.intercept, r_squared=fit.rvalue**2,
            slope_error=fit.stderr if len(x) > 2 else None,
        )


def exponents():
    """Six geometric sizes, two runs each: all 4⁶ resamples are enumerated."""
    sizes = 2.0 ** np.arange(4, 10)
    costs = [list(3 * n**1.5 * rng.lognormal(sigma=0.1, size=2)) for n in sizes]
    slope = lambda runs: stats.linregress(np.log(sizes), [np.mean(np.log(r)) for r in runs]).slope
    distribution = [slope(r) for r in enumerate_resamples(costs)]
    low, high = np.quantile(distribution, [0.025, 0.975])
    yield dict(sizes=sizes.tolist(), costs=costs, value=slope(costs), low=low, high=high)


def spreads():
    """scipy.stats.levene's deviations from the medians, compared by the t-test: the square of its statistic is levene's."""
    for x, y in (
        ([1.0, 2.0, 4.0], [3.0, 3.5, 3.75]),
        ([0.0, 0.0, 1.0, 8.0, 9.0], [5.0, 5.0, 5.0]),
        (list(rng.normal(size=9)), list(3 * rng.normal(size=5))),
        (list(rng.normal(size=9)), list(rng.normal(size=20))),
        (list(100 * rng.standard_cauchy(size=9)), list(rng.normal(size=5))),
    ):
        deviations = [abs(np.array(values) - np.median(values)) for values in (x, y)]
        levene = stats.levene(x, y, center="median")
        for side in SIDES:
            test = stats.ttest_ind(*deviations, alternative=side)
            assert np.isclose(test.statistic**2, levene.statistic, rtol=1e-12)
            assert side != "two-sided" or np.isclose(test.pvalue, levene.pvalue, rtol=1e-9)
            yield dict(x=x, y=y, alternative=side, statistic=test.statistic, p_value=test.pvalue)


def fisher():
    for events, trials, other_events, other_trials in ((6, 9, 0, 5), (3, 9, 0, 5), (5, 9, 5, 10), (0, 4, 3, 3), (4, 4, 4, 4), (9, 9, 1, 30)):
        table = [[events, trials - events], [other_events, other_trials - other_events]]
        yield dict(
            first=[events, trials], other=[other_events, other_trials],
            p_value=stats.fisher_exact(table, alternative="greater").pvalue,
        )


def encode(value):
    if isinstance(value, dict):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value


SECTIONS = (
    location, student_t, clopper_pearson, median_interval, bootstrap, stratified, probability_of_improvement, tests,
    corrections, power, ecdf, profiles, lines, exponents, spreads,
    fisher,
)
golden = dict(
    versions=dict(
        python=platform.python_version(), numpy=np.__version__, scipy=scipy.__version__,
        statsmodels=statsmodels.__version__,
    ),
    **{section.__name__: list(section()) for section in SECTIONS},
)
print(json.dumps(encode(golden), allow_nan=False, separators=(",", ":")).replace('":[{', '":[\n{').replace("},{", "},\n{"))
