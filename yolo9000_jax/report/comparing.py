"""Rows of an ablation compared with each other, seed by seed: what the tables of its designs share."""

import math
import statistics
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from yolo9000_jax.evaluation.bootstrap import interval
from yolo9000_jax.evaluation.statistics import detectable_difference, estimate
from yolo9000_jax.logs import duration

METRIC, RECALL = "voc07_ap50", "recall50"

Results = Mapping[int, dict[str, Any]]  # of a row: {seed: its result}


class Settings(NamedTuple):
    """The ablation's config file, the configs of its rows, and {name: seconds} of their pre-training."""

    module: ModuleType
    configs: Mapping[str, ConfigDict]
    stages: Mapping[str, float]


def scores(results: Results) -> dict[int, float]:
    """{seed: mean average precision}."""
    return {seed: result["metrics"][METRIC] for seed, result in results.items()}


def compare(one: Results, other: Results) -> dict[str, Any]:
    """How much better `one` is than `other`, over the seeds that both have; None where that cannot be said.

    Returns:
        change: the mean difference; interval: its 95 % interval over seeds (t, paired by seed) and p, the probability
        of such a difference by chance; detectable: the least difference that so many seeds would show in four of five
        experiments; pictures: the 95 % interval of the difference over judged pictures, of these very networks.
    """
    mine, theirs = scores(one), scores(other)
    both = sorted(set(mine) & set(theirs))
    found: dict[str, Any] = dict.fromkeys(("change", "interval", "p", "detectable", "pictures"))
    if not both:
        return found
    seen = estimate([mine[seed] - theirs[seed] for seed in both])
    found["change"] = seen.mean
    if len(both) > 1:
        found |= {"interval": [seen.low, seen.high], "p": seen.p}
        found["detectable"] = detectable_difference(seen.deviation, len(both))
    if all("draws" in row[seed] for row in (one, other) for seed in both):
        draws = np.mean([np.subtract(one[seed]["draws"], other[seed]["draws"]) for seed in both], 0)
        found["pictures"] = list(interval(draws))
    return found


def note(settings: Settings, results: Iterable[Results]) -> str:
    """What stands below a table: where the numbers come from, and what they cost."""
    cells = [result for row in results for result in row.values()]
    seeds = len({seed for row in results for seed in row})
    last = list(settings.configs.values())[-1]
    where = f"{last.evaluation.source or last.data.source} {last.evaluation.split}"
    parts = [f"mAP is {METRIC}, recall is {RECALL}, on {where}, width {last.model.width:g}, seeds: {seeds}."]
    if taken := sum(result.get("core_s", 0) for result in cells):
        parts.append(f"{taken / 3600:.1f} core-hours in all, pre-training, compiling and evaluation included.")
    if settings.stages:
        times = ", ".join(f"{name} {duration(seconds)}" for name, seconds in settings.stages.items())
        parts.append(f"Pre-training of a seed: {times}.")
    return "\n".join(parts)


def percent(share: float | None, form: str = ".1f") -> str | None:
    """A share in percent; None where there is none."""
    return None if share is None or not math.isfinite(share) else format(100 * share, form)


def percent_interval(ends: list[float] | None) -> str | None:
    """ "-0.5 to +3.1"."""
    return None if ends is None else " to ".join(format(100 * end, "+.1f") for end in ends)


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of those that are there."""
    present = [value for value in values if value is not None]
    return statistics.fmean(present) if present else None
