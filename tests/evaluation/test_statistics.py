"""Intervals and tests over seeds, against printed tables, SciPy's own tests, and simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from yolo9000_jax.evaluation.statistics import detectable_difference, estimate, holm, t_quantile


@pytest.mark.parametrize("freedom, printed", [(1, 12.706), (2, 4.303), (5, 2.571), (30, 2.042)])
def test_quantiles_are_those_of_printed_tables(freedom, printed):
    assert t_quantile(0.975, freedom) == pytest.approx(printed, abs=5e-4)


@pytest.mark.parametrize("seeds", [2, 3, 7])
def test_estimate_is_the_paired_t_test(seeds):
    rng = np.random.default_rng(seeds)
    one, other = rng.normal(0.3, 0.1, (2, seeds))
    found, expected = estimate(one - other), stats.ttest_rel(one, other)
    ends = expected.confidence_interval(0.95)
    assert (found.low, found.high, found.p) == pytest.approx((ends.low, ends.high, expected.pvalue))
    assert found.seeds == seeds and found.mean == pytest.approx(np.mean(one - other))


def test_estimates_that_say_nothing_or_all():
    alone = estimate([0.25])
    assert (alone.mean, alone.low, alone.high, alone.p) == (0.25, -math.inf, math.inf, 1) and math.isnan(
        alone.deviation
    )
    assert estimate([0.5, 0.5]).p == 0 and estimate([0.0, 0.0]).p == 1


def test_holm():
    """By hand: .005 x 4, .01 x 3, .03 x 2, and .04, which may not fall below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == [] and holm([0.9, 0.8]) == [1, 1]


@pytest.mark.parametrize("seeds, tests", [(2, 1), (3, 1), (6, 1), (2, 11), (3, 11), (6, 11)])
def test_detectable_difference_is_found_four_times_in_five(seeds, tests):
    """By a test whose p, times the number of tests as Holm has the smallest, is below .05."""
    difference = detectable_difference(2.0, seeds, tests)
    draws = np.random.default_rng(0).normal(difference, 2.0, (100_000, seeds))
    t = draws.mean(1) / draws.std(1, ddof=1) * math.sqrt(seeds)
    p = 2 * stats.t.sf(np.abs(t), seeds - 1)
    assert np.mean((tests * p < 0.05) & (t > 0)) == pytest.approx(0.8, abs=0.005)
    assert detectable_difference(2.0, 1) == math.inf
