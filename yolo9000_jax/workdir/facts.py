"""`network.json` of a workdir: what its network is, and what the run that trains it has settled.

A workdir holds two descriptions. `config.json` is what was asked for, as it was asked. `network.json` is what came of
it: the classes, priors and settings that the weights have learnt, and how far the run is to go. Whoever uses the
weights (predict, evaluate, convert, another run) reads the facts; nothing is taken from the data again.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import flax
import jax
import numpy as np

from yolo9000_jax import config as configs
from yolo9000_jax.config.ranges import check_value
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import write_whole
from yolo9000_jax.models.network import ARCHITECTURE, Network
from yolo9000_jax.values import from_values
from yolo9000_jax.wordtree.tree import WordTree, load_map
from yolo9000_jax.workdir.checkpoints import load_variables

FACTS, CONFIG = "network.json", "config.json"
TREE, NAMES = "classes.tree", "classes.names"
MAP = "classes.map"  # of workdirs before network.json: the nodes that had boxes
GOODPUT = "goodput.json"  # where the run's time went
REPORT = "report"  # the folder of the last evaluation's page; metrics.json in it is written last
FORMAT = 1


@dataclass(frozen=True)
class Phase:
    """A stretch of a run with one config: the first has no name, the others were begun by `train --extend NAME`.

    start: steps done before it. steps: its length. config: what was asked for, as nested dicts.
    """

    name: str
    start: int
    steps: int
    config: dict[str, Any]

    @property
    def end(self) -> int:
        return self.start + self.steps


@dataclass(frozen=True)
class Run:
    """What a training run has settled: boxes a picture in a batch, the metric that says which checkpoint is the best,
    fingerprints of its data sets, its phases."""

    max_boxes: int
    best_by: str
    data: Mapping[str, str] = field(default_factory=dict)
    phases: tuple[Phase, ...] = ()

    @property
    def starts(self) -> tuple[int, ...]:
        """The steps after which its phases begin."""
        return tuple(phase.start for phase in self.phases)

    def pictures_seen(self, step: int) -> int:
        """How many pictures it was trained on until a step."""
        batch_sizes = [configs.from_saved(phase.config, FACTS).batch_size for phase in self.phases]
        steps = [max(0, min(step, phase.end) - phase.start) for phase in self.phases]
        return sum(size * count for size, count in zip(batch_sizes, steps, strict=True))

    @property
    def phase(self) -> Phase:
        """The one that it is in."""
        return self.phases[-1]


@dataclass(frozen=True)
class Facts:
    """What a workdir's network is, and its run; None where it was not trained here (converted from other files).

    pictures_seen: pictures that a converted network says it was trained on.
    """

    network: Network
    run: Run | None = None
    pictures_seen: int = 0


def save_facts(facts: Facts, workdir: Path) -> None:
    """Writes network.json, the tree's files before it."""
    if facts.network.tree is not None:
        facts.network.tree.save(workdir / TREE, workdir / NAMES)
    versions = {"yolo9000_jax": version(), "jax": jax.__version__, "flax": flax.__version__}
    content = {"format": FORMAT} | _content(facts) | {"versions": versions}
    write_whole(workdir / FACTS, json.dumps(content, indent=2) + "\n")


def load_facts(workdir: Path) -> Facts:
    """The facts of a workdir, also of one that an earlier version made.

    Raises:
        UserError: the folder holds no network, or its files are damaged or of a newer version.
    """
    path = workdir / FACTS
    if not path.is_file():
        if (workdir / CONFIG).is_file():
            return _of_an_earlier_version(workdir)
        raise UserError(f"{workdir}: no {FACTS}, so this is no workdir of `yolo9000 train` or `yolo9000 convert`")
    try:
        content = json.loads(path.read_text())
        version, network, run = content["format"], content["network"], content["run"]
        seen = int(content["pictures_seen"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: cannot be read ({' '.join(str(error).split())}); restore it from a copy") from error
    if version != FORMAT:
        raise UserError(f"{path}: has format {version}, this version reads {FORMAT}; install the newer version")
    return Facts(Network.from_json(network, load_tree(workdir), str(path)), _run(run, str(path)), seen)


def to_value(facts: Facts) -> dict[str, Any]:
    """The facts as one JSON value, for other hosts."""
    tree = facts.network.tree
    return _content(facts) | {"tree": tree and [tree.synsets, tree.parents.tolist(), tree.names, tree.source]}


def from_value(value: Mapping[str, Any]) -> Facts:
    """What `to_value` was given."""
    tree = None
    if value["tree"]:
        synsets, parents, names, source = value["tree"]
        tree = WordTree(tuple(synsets), np.array(parents, np.int32), tuple(names), source)
    return Facts(Network.from_json(value["network"], tree, "the first host"), _run(value["run"], "the first host"))


def _content(facts: Facts) -> dict[str, Any]:
    run = None if facts.run is None else asdict(facts.run)
    return {"network": facts.network.to_json(), "run": run, "pictures_seen": facts.pictures_seen}


def _run(content: dict | None, where: str) -> Run | None:
    if content is None:
        return None
    run = from_values(Run, content, where, "run")
    if not run.phases:
        raise UserError(f"{where}: run.phases is missing or empty, which it cannot be; restore the file from a copy")
    check_value(run.max_boxes, "run.max_boxes", where, "data.max_boxes")
    for number, phase in enumerate(run.phases):
        first = run.phases[number - 1].start if number else 0
        if phase.start < first:
            raise UserError(f"{where}: run.phases[{number}].start is {phase.start}; it must be {first} or more")
        check_value(phase.steps, f"run.phases[{number}].steps", where, "steps")
    return run


def _of_an_earlier_version(workdir: Path) -> Facts:
    """What config.json held before there was network.json. Such a run can be used, but not carried on with."""
    try:
        content = json.loads((workdir / CONFIG).read_text())
        model, evaluation = content["model"], content["evaluation"]
        tree = load_tree(workdir)
        classifies = content["task"] == "classification"
        boxed = load_map(workdir / MAP, tree) if tree is not None and (workdir / MAP).is_file() else None
        values = {name: model[name] for name in ARCHITECTURE} | {
            "task": "classification" if classifies else "detection",
            "classes": model["classes"] if tree is None else tree.names,
            "synsets": None if tree is None else tree.synsets,
            "nodes_with_boxes": None if boxed is None else [int(node) for node in boxed],
            "image_size": evaluation["image_size"] or content["image_size"],
            "resize": "crop" if classifies else evaluation["resize"],
            "sampling": "darknet",  # as all pictures were resized then
            "hierarchy_rule": evaluation["hierarchy_rule"],
            "anchors_cells": model["anchors_cells"],
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{workdir}: no {FACTS}, and {CONFIG} is not of a version that made none "
            f"({' '.join(str(error).split())}); restore {FACTS} from a copy"
        ) from error
    if not values["classes"]:
        raise UserError(f"{workdir}: its training had not begun when it stopped; train first")
    return Facts(Network.from_json(values, tree, str(workdir / CONFIG)))


def load_tree(workdir: Path) -> WordTree | None:
    """The tree of a workdir; None where its classes form none."""
    return WordTree.load(workdir / TREE, workdir / NAMES) if (workdir / TREE).is_file() else None


def read_config(workdir: Path) -> Any:
    """What was asked for: the config of a workdir's run. Raises UserError where there is none."""
    return configs.read(workdir / CONFIG)


def is_finished(workdir: Path) -> bool:
    """Whether the run of a workdir has done all its steps and written its report."""
    try:
        run = load_facts(workdir).run
        done = json.loads((workdir / REPORT / "metrics.json").read_text())
        return run is not None and done["step"] == run.phase.end
    except (UserError, OSError, ValueError, KeyError, TypeError):
        return False


def version() -> str:
    """Of this package, as it is installed."""
    try:
        return metadata.version("yolo9000_jax")
    except metadata.PackageNotFoundError:  # run from a clone that was not installed
        return "not installed"


def load_best(workdir: Path) -> tuple[dict[str, Any], int, Facts]:
    """The variables of a workdir's best checkpoint, by the metric that its run names, their step, and the facts."""
    facts = load_facts(workdir)
    if facts.run is None:
        return *load_variables(workdir), facts
    variables, step = load_variables(workdir, facts.run.best_by, facts.run.starts)
    return variables, step, facts
