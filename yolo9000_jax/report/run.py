"""What a page says of the run behind it: its config, its time, the machine, and how it learnt."""

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from yolo9000_jax import config as configs
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.speed import machine
from yolo9000_jax.html import element
from yolo9000_jax.logs import duration
from yolo9000_jax.report.frame import Section, table
from yolo9000_jax.report.series import METRICS_FILE, read_series
from yolo9000_jax.report.table import Table
from yolo9000_jax.text import printable
from yolo9000_jax.workdir.facts import CONFIG, GOODPUT, load_facts, read_config, version

POINTS = 600  # of a learning curve
RECIPES = {
    "detection": (configs.detection, configs.from_scratch),
    "classification": (configs.classification, configs.classifier_from_scratch),
}
STATES = {
    "starting": "Python, JAX and the hosts' meeting, until the first step",
    "compiling": "making the programs of the steps",
    "waiting": "the devices waited for pictures",
    "steps": "the devices trained; its share of all is the goodput",
    "saving": "writing checkpoints",
    "evaluating": "evaluation and report",
    "lost": "steps that were done again after a stop",
}


def sections(evaluated: Mapping[str, object], workdir: Path | None = None, step: int | None = None) -> list[Section]:
    """The part of a page on the run.

    Args:
        evaluated: what was evaluated, and how: {name: value}.
        workdir: of the run; None: the network is from other files.
        step: of the state that was evaluated; None: it is not known.
    """
    facts: dict[str, object] = {name: value for name, value in evaluated.items() if value is not None}
    parts: list[object] = []
    if workdir is not None:
        facts |= _network(workdir, step)
        parts = [_config(workdir), _goodput(workdir)]
    facts |= {"made": time.strftime("%Y-%m-%d %H:%M:%S %z"), **_machine()}
    rows = [[name, printable(str(value))] for name, value in facts.items()]
    return [Section("run", "The run", [table(Table(["what", ""], rows)), *parts])]


def learning_curves(workdir: Path) -> dict[str, list[list[float | None]]]:
    """{name: [[step, value], …]} of what a run has measured so far, long ones as means of their parts; {} without."""
    try:
        series, _ = read_series(workdir / METRICS_FILE)
    except UserError:
        return {}
    return {name: _thinned(steps, values) for name, (steps, values) in series.items()}


def _thinned(steps: np.ndarray, values: np.ndarray) -> list[list[float | None]]:
    parts = min(len(steps), POINTS)
    means = [
        (float(part_steps.mean()), float(part.mean()))
        for part_steps, part in zip(np.array_split(steps, parts), np.array_split(values, parts), strict=True)
    ]
    return [[round(step, 1), float(f"{value:.5g}") if np.isfinite(value) else None] for step, value in means]


def _network(workdir: Path, step: int | None) -> dict[str, object]:
    facts = load_facts(workdir)
    network = facts.network
    found: dict[str, object] = {
        "network": f"{network.architecture}, {len(network.classes)} classes, {network.resize} to {network.image_size}"
    }
    if facts.run is not None:
        phase = facts.run.phase
        found["planned steps"] = f"{phase.end}, the last {phase.steps} as {phase.name!r}" if phase.name else phase.end
        if step is not None:
            found["pictures trained on"] = facts.run.pictures_seen(step)
        found["best checkpoint by"] = facts.run.best_by
        for name, fingerprint in facts.run.data.items():
            found[f"fingerprint of {name}"] = fingerprint[:16]
    return found


def _config(workdir: Path) -> object:
    """Keys of the config that differ from the recipe it is nearest to."""
    if not (workdir / CONFIG).is_file():
        return ""
    config = read_config(workdir)
    task = "classification" if config.task == "classification" else "detection"
    given = configs.flat(config)
    compared = [(recipe, configs.flat(recipe())) for recipe in RECIPES[task]]
    recipe, usual = min(compared, key=lambda pair: len(_different(given, pair[1])))
    rows: list[list[str | None]] = [
        [key, printable(_value(given[key])), printable(_value(usual[key])) if key in usual else None]
        for key in _different(given, usual)
    ]
    title = f"The config where it differs from config.{recipe.__name__}()"
    return table(Table(["key", "here", "recipe"], rows, title)) if rows else element("p", f"{title}: nowhere.")


def _different(given: Mapping[str, Any], usual: Mapping[str, Any]) -> list[str]:
    return [key for key, value in given.items() if key not in usual or value != usual[key]]


def _value(value: object) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _goodput(workdir: Path) -> object:
    """Where the time went, of all starts."""
    try:
        account = json.loads((workdir / GOODPUT).read_text())
        seconds = {state: float(account["seconds"][state]) for state in STATES}
        starts, away = int(account["starts"]), float(account["away_s"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    total = sum(seconds.values()) or 1.0
    rows = [[state, duration(spent), f"{100 * spent / total:.1f}"] for state, spent in seconds.items()]
    note = f"{starts} start{'s' * (starts != 1)}; {duration(away)} between a stop and the next start not counted."
    return table(Table(["time spent", "how long", "%"], rows, "Where the time went", note), STATES)


def _machine() -> dict[str, object]:
    here = machine()
    return {
        "machine": f"{here['devices']} {here['device']}, {here['cpu']}, {here['cores']} cores",
        "versions": f"yolo9000_jax {version()}, jax {here['jax']}",
        **({"commit": commit} if (commit := _commit()) else {}),
    }


def _commit() -> str | None:
    """The commit of the clone that this runs from; None where it is none."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commands = (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        commit, changes = (
            subprocess.run(["git", "-C", str(root), *each], capture_output=True, text=True, check=True).stdout.strip()
            for each in commands
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}, with changes that are in no commit" if changes else commit
