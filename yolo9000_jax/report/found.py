"""What a network found in each picture, kept beside a report so that networks can be compared picture by picture."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.mistakes import RIGHT
from yolo9000_jax.evaluation.result import Compared
from yolo9000_jax.evaluation.voc import ImageDetections
from yolo9000_jax.files import write_whole

FOUND = "found.json"  # beside a report's metrics.json
THRESHOLD = 0.25  # of the scores of what is kept and counted


class Found(NamedTuple):
    """What was found in a picture with scores of .25 or more: how many are right and wrong, how many objects are
    missed, and the detections, labels being places in the report's classes."""

    right: int
    wrong: int
    missed: int
    detections: ImageDetections

    @property
    def f1(self) -> float:
        """1 where nothing is there and nothing was found."""
        counted = 2 * self.right + self.wrong + self.missed
        return 2 * self.right / counted if counted else 1.0


def write_found(path: Path, compared: Compared, class_names: tuple[str, ...]) -> None:
    """Writes {"classes", "threshold", "pictures": {name: {"right", "wrong", "missed", "detections": [[x0, y0, x1, y1,
    score, label], …]}}}; of pictures of one name the last."""
    pictures = {}
    for picture, found, judged in zip(compared.pictures, compared.detections, compared.judged, strict=True):
        sure = judged.scores >= THRESHOLD
        right = int((sure & (judged.kinds == RIGHT)).sum())
        kept = found.scores >= THRESHOLD
        rows = np.column_stack([found.boxes_xyxy[kept].round(1), found.scores[kept].round(4)]).tolist()
        pictures[picture.name] = {
            "right": right,
            "wrong": int((sure & (judged.kinds != RIGHT) & ~judged.excused).sum()),
            "missed": int(judged.counting.sum()) - right,
            "detections": [[*row, int(label)] for row, label in zip(rows, found.labels[kept], strict=True)],
        }
    content = {"classes": class_names, "threshold": THRESHOLD, "pictures": pictures}
    write_whole(path, json.dumps(content, separators=(",", ":")) + "\n")


def read_found(path: Path) -> tuple[tuple[str, ...], dict[str, Found]]:
    """The classes and {name of a picture: what was found in it}. Raises UserError where it is no such file."""
    try:
        content = json.loads(path.read_text())
        return tuple(map(str, content["classes"])), {name: _found(each) for name, each in content["pictures"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: cannot be read ({' '.join(str(error).split())}); evaluate that run again") from error


def _found(values: dict[str, Any]) -> Found:
    rows = np.array(values["detections"], float).reshape(-1, 6)
    detections = ImageDetections(rows[:, :4], rows[:, 4], rows[:, 5].astype(int))
    return Found(int(values["right"]), int(values["wrong"]), int(values["missed"]), detections)
