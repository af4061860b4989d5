"""What a run has measured, number by number: its metrics.jsonl read."""

import json
from os import PathLike

import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.places import as_path

METRICS_FILE = "metrics.jsonl"  # of a workdir

Series = dict[str, tuple[np.ndarray, np.ndarray]]  # {name: (steps [n], values [n])}


def read_series(path: str | PathLike) -> tuple[Series, int]:
    """The number series of a metrics file: {name: (steps [n], values [n])}, and how many lines were not whole.

    A line that is not whole (its run was killed while writing) is left out. Where a resumed run did a step again, the
    later line counts.

    Args:
        path: a file of one JSON object a line, each with "step" and numbers: "loss", "loss_…", "learning_rate",
            "images_per_s", and evaluations such as "voc_ap50" (0..1).

    Raises:
        UserError: the file cannot be read.
    """
    try:
        lines = as_path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: give the metrics.jsonl that a training run wrote") from error
    values: dict[str, dict[int, float]] = {}
    broken = 0
    for line in filter(str.strip, lines):
        try:
            entry = json.loads(line)
            step = int(entry["step"])
        except (ValueError, KeyError, TypeError, OverflowError):
            broken += 1
            continue
        for name, value in entry.items():
            if name != "step" and isinstance(value, int | float):
                values.setdefault(name, {})[step] = float(value)
    series = {}
    for name, by_step in values.items():
        steps, of_steps = np.array(sorted(by_step.items())).T
        series[name] = (steps, of_steps)
    return series, broken
