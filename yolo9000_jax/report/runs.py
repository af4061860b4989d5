"""Runs beside each other: their numbers, configs, curves, and the pictures on which they differ most."""

import json
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from yolo9000_jax.config.keys import flat
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.result import main_numbers
from yolo9000_jax.places import as_path
from yolo9000_jax.report.evaluation import METRICS
from yolo9000_jax.report.found import FOUND, THRESHOLD, Found, Kept, read_found
from yolo9000_jax.report.run import learning_curves
from yolo9000_jax.report.table import Table
from yolo9000_jax.text import printable
from yolo9000_jax.workdir.checkpoints import read_scores
from yolo9000_jax.workdir.facts import CONFIG, GOODPUT, REPORT, load_facts, read_config

LISTED = 10  # classes and pictures in text
DIFFERENT = 1e-9  # of F1
LONG = 60  # characters of a value


class Run(NamedTuple):
    """What a workdir holds of a run. config: {key: value}. metrics: of the last report, or of the last evaluation where
    that is later. best: (step, score) by the metric `best_by`. time: {state: seconds}. pictures: what was found in
    each at that step, in the data set's order, () where it is not kept; classes: their names; data: the fingerprint of
    what it was evaluated on, None where it is not known."""

    name: str
    workdir: Path
    config: Mapping[str, Any]
    metrics: Mapping[str, Any]
    step: int
    end: int
    best_by: str
    best: tuple[int, float] | None
    time: Mapping[str, float]
    curves: Mapping[str, list[list[float | None]]]
    classes: tuple[str, ...]
    pictures: Sequence[Found]
    data: str | None


class Comparison(NamedTuple):
    """Two or more runs. numbers: {what: a value a run}; per_class: {class: a value of `metric` a run} of the classes
    that all have; configs: {key: a value a run} where they differ; pictures: places in the data set of those that tell
    them apart, those with the most different F1 first."""

    runs: Sequence[Run]
    numbers: Mapping[str, Sequence[float | None]]
    metric: str
    per_class: Mapping[str, Sequence[float | None]]
    configs: Mapping[str, Sequence[Any]]
    pictures: Sequence[int]

    def text(self) -> str:
        """All of it, for a terminal."""
        parts = [self.numbers_table().text()]
        if self.per_class:
            parts.append(self.classes_table(LISTED).text())
        parts.append(self.configs_table().text() if self.configs else "their configs are the same")
        if self.pictures:
            parts.append(self.pictures_table(LISTED).text())
        else:
            parts.append(self.no_pictures())
        return "\n\n".join(parts)

    def no_pictures(self) -> str:
        """Why there is no picture on which they differ."""
        if without := ", ".join(run.name for run in self.runs if not run.pictures):
            return (
                f"no comparison by picture: {printable(without)} kept no {REPORT}/{FOUND} of the step compared, which "
                "a detector's training leaves when it ends"
            )
        if not _same_data(self.runs):
            return "no comparison by picture: they were not evaluated on the same data set"
        return f"no picture that all were judged on tells them apart, by scores of {THRESHOLD:g} or more"

    def numbers_table(self) -> Table:
        """A row a number; of two runs with the difference, second less first."""
        return Table(
            ["", *self._names(), *self._change_head()],
            [[name, *map(_number, values), *self._change(values)] for name, values in self.numbers.items()],
            "Numbers (shares from 0 to 1)",
        )

    def classes_table(self, most: int | None = None) -> Table:
        """A row a class, the most different first."""
        names = sorted(self.per_class, key=lambda name: -_range(self.per_class[name]))[:most]
        rows = [[printable(name), *map(_number, self.per_class[name])] for name in names]
        rows = [[*row, *self._change(self.per_class[name])] for row, name in zip(rows, names, strict=True)]
        title = f"Classes by {self.metric}, the most different first"
        return Table(["class", *self._names(), *self._change_head()], rows, title)

    def configs_table(self) -> Table:
        """A row a key."""
        rows = [[key, *(_short(value) for value in values)] for key, values in self.configs.items()]
        return Table(["key", *self._names()], rows, "Where their configs differ")

    def pictures_table(self, most: int | None = None) -> Table:
        """A row a picture: right / wrong / missed of each run."""
        rows = [
            [printable(self.runs[0].pictures[place].name)]
            + [f"{found.right}/{found.wrong}/{found.missed}" for found in self._found(place)]
            for place in self.pictures[:most]
        ]
        note = f"right/wrong/missed, of detections with scores of {THRESHOLD:g} or more"
        return Table(["picture", *self._names()], rows, "Pictures on which they differ most, by F1", note)

    def to_json(self) -> dict[str, Any]:
        """For a file."""
        pictures = [
            {"picture": self.runs[0].pictures[place].name, "place": place}
            | {key: [getattr(each, key) for each in self._found(place)] for key in ("right", "wrong", "missed", "f1")}
            for place in self.pictures
        ]
        return {
            "compared": [str(run.workdir) for run in self.runs],
            "steps": [run.step for run in self.runs],
            "best": [None if run.best is None else {"by": run.best_by, "step": run.best[0]} for run in self.runs],
            "numbers": self.numbers,
            "metric": self.metric,
            "per_class": self.per_class,
            "configs": self.configs,
            "curves": [run.curves for run in self.runs],
            "pictures": pictures,
        }

    def _names(self) -> list[str]:
        return [printable(run.name) for run in self.runs]

    def _change_head(self) -> list[str]:
        return ["change"] if len(self.runs) == 2 else []

    def _change(self, values: Sequence[float | None]) -> list[str | None]:
        if len(self.runs) != 2:
            return []
        one, other = values
        return [None if one is None or other is None else _number(other - one, "+")]

    def _found(self, place: int) -> list[Found]:
        return [run.pictures[place] for run in self.runs]


def compare_runs(workdirs: Sequence[str | PathLike[str]]) -> Comparison:
    """Reads the workdirs and compares their runs; a run that still trains is compared as far as it is.

    Raises:
        UserError: there are fewer than two, one holds no run, or none of them has measured anything yet.
    """
    places = [as_path(each) for each in workdirs]
    if len(places) < 2:
        for each in places:
            load_facts(each)  # one that is not there is said first
        raise UserError("compare wants two workdirs or more")
    runs = [_read(place, name) for place, name in zip(places, _names(places), strict=True)]
    judged = zip(*(run.pictures for run in runs), strict=True) if _same_data(runs) else ()
    apart = [np.ptp([each.f1 for each in found]) for found in judged]
    different = sorted((place for place, by in enumerate(apart) if by > DIFFERENT), key=lambda place: -apart[place])
    metric = "voc_ap50" if "voc_ap50" in runs[0].metrics else "top1"
    classes = [run.metrics.get("per_class", {}) for run in runs]
    common = [name for name in classes[0] if all(name in each for each in classes)]
    per_class = {name: [each[name].get(metric) for each in classes] for name in common}
    keys = dict.fromkeys(key for run in runs for key in run.config)
    values = {key: [run.config.get(key) for run in runs] for key in keys}
    configs = {key: each for key, each in values.items() if any(value != each[0] for value in each)}
    return Comparison(runs, _numbers(runs), metric, per_class, configs, different)


def _same_data(runs: Sequence[Run]) -> bool:
    """Whether their pictures are the same, so that a place is one picture in all."""
    data = runs[0].data
    return data is not None and all((run.data, len(run.pictures)) == (data, len(runs[0].pictures)) for run in runs)


def _read(workdir: Path, name: str) -> Run:
    facts = load_facts(workdir)
    if facts.run is None or not (workdir / CONFIG).is_file():
        raise UserError(f"{workdir}: its network was not trained there, so there is no run to compare")
    scores = read_scores(workdir)
    step = max(scores, default=0)
    metrics = scores.get(step, {})
    try:
        report = json.loads((workdir / REPORT / METRICS).read_text())
        if int(report["step"]) >= step:  # or else it trains on since then
            step, metrics = int(report["step"]), report
    except (OSError, ValueError, KeyError, TypeError):  # it still trains
        pass
    if not metrics:
        raise UserError(f"{workdir}: nothing of it has been evaluated yet; wait, or set evaluate_every")
    best_by = facts.run.best_by
    judged = [(each, values[best_by]) for each, values in scores.items() if best_by in values]
    kept = Kept(None, (), ())
    if (workdir / REPORT / FOUND).is_file():
        kept = read_found(workdir / REPORT / FOUND)
    return Run(
        name,
        workdir,
        flat(read_config(workdir)),
        metrics,
        step,
        facts.run.phase.end,
        best_by,
        max(judged, key=lambda each: each[1]) if judged else None,
        _time(workdir),
        learning_curves(workdir),
        kept.classes,
        kept.pictures if kept.step == step else (),
        facts.run.data.get("evaluation"),
    )


def _time(workdir: Path) -> dict[str, float]:
    try:
        return {name: float(value) for name, value in json.loads((workdir / GOODPUT).read_text())["seconds"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _numbers(runs: Sequence[Run]) -> dict[str, list[float | None]]:
    """The main numbers of the last evaluation, the best, the last loss, speed and time; what no run has is left out."""
    names = dict.fromkeys(name for run in runs for name in main_numbers(run.metrics) if name not in ("images", "step"))
    rows: dict[str, list[float | None]] = {name: [run.metrics.get(name) for run in runs] for name in names}
    best_by = dict.fromkeys(run.best_by for run in runs)
    rows |= {
        f"best {name}": [run.best[1] if run.best and run.best_by == name else None for run in runs] for name in best_by
    }
    rows["loss"] = [_last(run, "loss") for run in runs]
    rows["images_per_s"] = [_median(run, "images_per_s") for run in runs]
    rows["step"] = [run.step for run in runs]
    rows["training_s"] = [run.time.get("steps") for run in runs]
    rows["all_s"] = [sum(run.time.values()) or None for run in runs]
    return {name: values for name, values in rows.items() if any(value is not None for value in values)}


def _last(run: Run, name: str) -> float | None:
    values = [value for _, value in run.curves.get(name, ()) if value is not None]
    return values[-1] if values else None


def _median(run: Run, name: str) -> float | None:
    values = [value for _, value in run.curves.get(name, ()) if value is not None]
    return float(np.median(values)) if values else None


def _names(places: Sequence[Path]) -> list[str]:
    """The last part of each path, and as many more as tell them apart."""
    parts = [[part for part in place.absolute().parts if part != "/"] for place in places]
    longest = max(map(len, parts))
    for count in range(1, longest + 1):
        names = ["/".join(each[-count:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    raise UserError(f"{places[0]}: is there twice; name each workdir once")


def _number(value: float | None, sign: str = "") -> str | None:
    if value is None:
        return None
    return format(value, f"{sign}d") if isinstance(value, int) else format(value, f"{sign}.4g")


def _range(values: Sequence[float | None]) -> float:
    present = [value for value in values if value is not None]
    return max(present) - min(present) if len(present) > 1 else 0.0


def _short(value: Any) -> str | None:
    text = None if value is None else printable(" ".join(str(value).split()))
    return text if text is None or len(text) <= LONG else f"{text[:LONG]}…"
