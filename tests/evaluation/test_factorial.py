"""Factorial experiments: which effects the runs can tell apart, and their intervals."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.factorial import contrasts, effects, lenth_margin

FREE = np.array(np.meshgrid(*[(-1, 1)] * 4, indexing="ij")).reshape(4, -1).T
SIGNS = np.concatenate([FREE, FREE.prod(1, keepdims=True)], 1)  # 16 runs of five switches
PAIRS = list(combinations(range(5), 2))


def test_effects_are_found_by_least_squares():
    rng = np.random.default_rng(1)
    responses = rng.normal(size=(16, 3))
    products = np.stack([SIGNS[:, one] * SIGNS[:, other] for one, other in PAIRS], 1)
    design = np.concatenate([np.ones((16, 1)), SIGNS, products], 1)
    expected = 2 * np.linalg.lstsq(design, responses.mean(1), rcond=None)[0][1:]
    found = effects(SIGNS, responses)
    assert [effect.factors for effect in found] == [(k,) for k in range(5)] + PAIRS
    np.testing.assert_allclose([effect.value for effect in found], expected, atol=1e-12)


def test_an_effect_is_the_difference_of_means_and_an_interaction_half_of_differences():
    responses = (10 + 3 * (SIGNS[:, 1] > 0) + 4 * ((SIGNS[:, 0] > 0) & (SIGNS[:, 2] > 0)))[:, None]
    found = {effect.factors: effect.value for effect in effects(SIGNS, responses)}
    # Without the third the first does nothing, with it 4: on average 2, and half of the difference is 2.
    wanted = {(0,): 2, (1,): 3, (2,): 2, (0, 2): 2}
    assert found == pytest.approx({factors: wanted.get(factors, 0) for factors in found})


def test_runs_that_cannot_tell_effects_apart():
    assert len(contrasts(SIGNS)) == 15
    confounded = SIGNS.copy()
    confounded[:, 4] = confounded[:, 0] * confounded[:, 1]
    for signs in (confounded, SIGNS[:-1]):
        with pytest.raises(UserError, match="cannot tell the effects"):
            contrasts(signs)


def test_lenth():
    """By hand: the median size is 2, so 3; all but 20 are below 7.5; their median, 1.5, makes 2.25."""
    values = [1, -1, 1, -2, 2, 20, 5]
    s0 = 1.5 * 2
    inert = [1, 1, 1, 2, 2, 5]
    assert max(inert) < 2.5 * s0 < 20
    assert lenth_margin(values) == pytest.approx(stats.t.ppf(0.975, 7 / 3) * 1.5 * np.median(inert))


def test_intervals_of_seeds_are_those_of_the_analysis_of_variance():
    """The residual of runs and seeds as two factors: by least squares on dummies of both."""
    rng = np.random.default_rng(2)
    responses = rng.normal(size=(16, 3)) + rng.normal(size=(1, 3))
    dummies = np.concatenate([np.kron(np.eye(16), np.ones((3, 1))), np.kron(np.ones((16, 1)), np.eye(3))], 1)
    left = np.linalg.lstsq(dummies, responses.ravel(), rcond=None)[1]
    residual = responses.ravel() - dummies @ np.linalg.lstsq(dummies, responses.ravel(), rcond=None)[0]
    assert not len(left)  # the dummies are one too many
    error = np.sqrt((residual**2).sum() / 30 * (1 / 24 + 1 / 24))  # a difference of two means of 24
    margins = {effect.margin for effect in effects(SIGNS, responses)}
    assert len(margins) == 1 and margins.pop() == pytest.approx(stats.t.ppf(0.975, 30) * error)


@pytest.mark.parametrize("seeds, share", [(1, 0.97), (2, 0.95)])  # Lenth's are known to be wide
def test_intervals_cover_what_is_true(seeds, share):
    rng = np.random.default_rng(3)
    truth, hits = 0.5 * SIGNS[:, 0], []
    for _ in range(400):
        found = effects(SIGNS, truth[:, None] + rng.normal(0, 0.3, (16, seeds)))
        hits += [abs(effect.value - (1.0 if effect.factors == (0,) else 0)) < effect.margin for effect in found]
    assert np.mean(hits) == pytest.approx(share, abs=0.012)
