"""What differences between trained networks can be told from noise: t-intervals over seeds, and their planning."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

POWER, SIGNIFICANCE = 0.8, 0.05


class Estimate(NamedTuple):
    """A mean over seeds, its interval (infinite of one seed), the probability of a mean as far from 0 by chance, and
    the deviation of single seeds (NaN of one)."""

    mean: float
    low: float
    high: float
    p: float
    deviation: float
    seeds: int


def t_quantile(share: float, freedom: float) -> float:
    """The quantile of Student's t with that many degrees of freedom."""
    return float(special.stdtrit(freedom, share))


def estimate(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """The mean of one value a seed, such as differences paired by seed, with Student's interval (two-sided).

    Args:
        values: at least one.
    """
    numbers = np.asarray(values, float)
    count, mean = len(numbers), float(np.mean(numbers))
    if count < 2:
        return Estimate(mean, -math.inf, math.inf, 1.0, math.nan, count)
    deviation = float(np.std(numbers, ddof=1))
    error = deviation / math.sqrt(count)
    reach = t_quantile((1 + confidence) / 2, count - 1) * error
    if error == 0:
        p = 0.0 if mean else 1.0
    else:
        p = float(2 * special.stdtr(count - 1, -abs(mean) / error))
    return Estimate(mean, mean - reach, mean + reach, p, deviation, count)


def holm(probabilities: Sequence[float]) -> list[float]:
    """The probabilities of a family of tests, adjusted so that any below .05 is so by chance in 5 % of families (Holm).

    The smallest is multiplied by how many there are, the next by one less, and so on; none falls below one before it.
    """
    adjusted = [0.0] * len(probabilities)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(probabilities)), key=lambda place: probabilities[place])):
        highest = max(highest, min(1.0, (len(probabilities) - rank) * probabilities[place]))
        adjusted[place] = highest
    return adjusted


def detectable_difference(deviation: float, seeds: int, tests: int = 1) -> float:
    """The least true difference that so many seeds show in four of five experiments (power .8, two-sided t-test).

    Args:
        deviation: of the difference between single seeds.
        tests: how many are made, in a family that is adjusted by `holm`: one is tested at .05 / tests, the strictest
            of Holm's levels, at which a difference is shown whatever the others come to.
    """
    if seeds < 2:
        return math.inf
    freedom = seeds - 1
    critical = t_quantile(1 - SIGNIFICANCE / tests / 2, freedom)

    def power(shift: float) -> float:
        return 1 - float(special.nctdtr(freedom, shift, critical))

    low, high = 0.0, 1.0
    while power(high) < POWER:
        low, high = high, 2 * high
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if power(middle) < POWER else (low, middle)
    return deviation * high / math.sqrt(seeds)
