"""Experiments in which several switches vary at once: what each of them does, and every two together.

Box, Hunter, Hunter, "Statistics for Experimenters", chapters 5 and 6; Lenth, "Quick and easy analysis of unreplicated
factorials", Technometrics 31 (1989).
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.statistics import t_quantile


class Effect(NamedTuple):
    """The effect of a switch, or of two together: mean of the runs at +1 minus that of the runs at -1.

    factors: one or two places in the list of the switches. Of two the sign of a run is the product of theirs: half of
    what the one does more where the other is on than where it is off. margin: half the width of the interval.
    """

    factors: tuple[int, ...]
    value: float
    margin: float


def contrasts(signs: np.ndarray) -> dict[tuple[int, ...], np.ndarray]:
    """{switches: the signs [runs] of their effect} of every switch, then of every two.

    Raises:
        UserError: two of them are the same, or not balanced: then the runs cannot tell them apart.
    """
    places = range(signs.shape[1])
    chosen = [*itertools.combinations(places, 1), *itertools.combinations(places, 2)]
    found = {factors: signs[:, factors].prod(1) for factors in chosen}
    columns = np.stack([np.ones(len(signs)), *found.values()], 1)
    if not np.array_equal(columns.T @ columns, len(signs) * np.eye(columns.shape[1])):
        raise UserError("these runs cannot tell the effects of the switches apart: take a whole or a half factorial")
    return found


def effects(signs: np.ndarray, responses: np.ndarray, confidence: float = 0.95) -> list[Effect]:
    """Effects of every switch and of every two, with intervals.

    Of one run each, the margin is Lenth's: most effects are taken to be nothing but noise, whose size their median
    tells; it is a little wide (of fifteen effects that are nothing 97 % lie inside). Of several seeds it is that of t,
    from what is left when each run's mean and each seed's are taken away. Each is for one effect by itself.

    Args:
        signs: [runs, k], +1 or -1: where a switch is on, and where off.
        responses: [runs, seeds].
        confidence: of the intervals.
    """
    responses = np.asarray(responses, float)
    columns = contrasts(np.asarray(signs))
    values = {factors: float(2 * column @ responses.mean(1) / len(column)) for factors, column in columns.items()}
    if responses.shape[1] == 1:
        margin = lenth_margin(list(values.values()), confidence)
    else:
        margin = _replicated_margin(responses, confidence)
    return [Effect(factors, value, margin) for factors, value in values.items()]


def lenth_margin(values: Sequence[float], confidence: float = 0.95) -> float:
    """Half the width of an effect's interval, from the effects alone (Lenth's margin of error)."""
    sizes = np.abs(np.asarray(values, float))
    first = 1.5 * np.median(sizes)
    inert = sizes[sizes < 2.5 * first]
    pseudo_error = 1.5 * np.median(inert) if len(inert) else 0.0
    return float(t_quantile((1 + confidence) / 2, len(sizes) / 3) * pseudo_error)


def _replicated_margin(responses: np.ndarray, confidence: float) -> float:
    runs, seeds = responses.shape
    left = responses - responses.mean(1, keepdims=True) - responses.mean(0) + responses.mean()
    freedom = (runs - 1) * (seeds - 1)
    error = 2 * np.sqrt((left**2).sum() / freedom / (runs * seeds))
    return float(t_quantile((1 + confidence) / 2, freedom) * error)
