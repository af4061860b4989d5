"""Rows of an ablation compared with each other, seed by seed: what the tables of its designs share."""

import math
import statistics
from collections.abc import Collection, Iterable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from yolo9000_jax.evaluation.bootstrap import interval
from yolo9000_jax.evaluation.statistics import estimate
from yolo9000_jax.logs import duration

METRIC, RECALL = "voc07_ap50", "recall50"

Results = Mapping[int, dict[str, Any]]  # of a row: {seed: its result}


class StageCost(NamedTuple):
    """What a stage of pre-training took: seconds of training, the mean of its seeds; processor seconds, evaluation and
    stopped attempts included, of all seeds together that have counted them (None: none has); how many have, and have
    not."""

    training_s: float
    core_s: float | None
    counted: int
    uncounted: int = 0


class Taken(NamedTuple):
    """Processor seconds of what is in a table, and of how many parts of it (runs, pre-trainings, judgings) they are
    not known and not in the sum."""

    core_s: float
    uncounted: int


class Settings(NamedTuple):
    """The ablation's config file, the configs of its rows, and {name: cost} of their pre-training."""

    module: ModuleType
    configs: Mapping[str, ConfigDict]
    stages: Mapping[str, StageCost]


def scores(results: Results) -> dict[int, float]:
    """{seed: mean average precision}."""
    return {seed: result["metrics"][METRIC] for seed, result in results.items()}


def compare(one: Results, other: Results) -> dict[str, Any]:
    """How much better `one` is than `other`, over the seeds that both have; None where that cannot be said.

    Returns:
        change: the mean difference; interval: its 95 % interval over seeds (t, paired by seed) and p, the probability
        of such a difference by chance, of this one test by itself; deviation: of the differences of pairs, and pairs,
        how many there are; pictures: the 95 % interval of the difference over judged pictures, of these very networks.
    """
    mine, theirs = scores(one), scores(other)
    both = sorted(set(mine) & set(theirs))
    found: dict[str, Any] = dict.fromkeys(("change", "interval", "p", "deviation", "pairs", "pictures"))
    if not both:
        return found
    seen = estimate([mine[seed] - theirs[seed] for seed in both])
    found["change"] = seen.mean
    if len(both) > 1:
        found |= {"interval": [seen.low, seen.high], "p": seen.p, "deviation": seen.deviation, "pairs": len(both)}
    if all("draws" in row[seed] for row in (one, other) for seed in both):
        draws = np.mean([np.subtract(one[seed]["draws"], other[seed]["draws"]) for seed in both], 0)
        found["pictures"] = list(interval(draws))
    return found


def note(settings: Settings, results: Collection[Results]) -> str:
    """What stands below a table: where the numbers come from, and what they cost."""
    seeds = len({seed for row in results for seed in row})
    last = list(settings.configs.values())[-1]
    where = f"{last.evaluation.source or last.data.source} {last.evaluation.split}"
    what = f"mAP is {METRIC}, recall is {RECALL}, whatever the class, on {where}"
    parts = [f"{what}, width {last.model.width:g}, seeds: {seeds}."]
    taken = taken_in_all(settings, results)
    if taken.core_s:
        missing = f", without {taken.uncounted} of them that counted none" if taken.uncounted else ""
        parts.append(
            f"{taken.core_s / 3600:.2f} core-hours in all, each run and each pre-training once{missing}, compiling, "
            "evaluation and stopped attempts included."
        )
    if settings.stages:
        parts.append(f"Pre-training of a seed: {', '.join(map(_stage, settings.stages.items()))}.")
    return "\n".join(parts)


def taken_in_all(settings: Settings, results: Collection[Results]) -> Taken:
    """What a table took: runs, which rows may share, their pre-training, and judging."""
    cells = [result for row in results for result in row.values()]
    runs = {result["run"]: result["run_core_s"] for result in cells if "run" in result}
    judging = [result.get("core_s") for result in cells]  # of results of before: also their runs'
    counts = [*runs.values(), *judging, *(cost.core_s for cost in settings.stages.values() if cost.counted)]
    known = [seconds for seconds in counts if seconds is not None]
    return Taken(sum(known), len(counts) - len(known) + sum(cost.uncounted for cost in settings.stages.values()))


def row_core_seconds(result: Mapping[str, Any]) -> float | None:
    """Processor seconds of a row's run and its judging, its pre-training apart; None where they were not counted."""
    run, judging = result.get("run_core_s"), result.get("core_s")
    return None if run is None or judging is None else run + judging


def _stage(item: tuple[str, StageCost]) -> str:
    name, cost = item
    hours = "" if cost.core_s is None else f" ({cost.core_s / 3600 / cost.counted:.2f} core-hours)"
    return f"{name} {duration(cost.training_s)}{hours}"


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
