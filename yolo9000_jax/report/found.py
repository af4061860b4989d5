"""What a network found in each picture, kept beside a report so that networks can be compared picture by picture."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.mistakes import RIGHT
from yolo9000_jax.evaluation.result import Compared
from yolo9000_jax.evaluation.voc import GroundTruth, ImageDetections
from yolo9000_jax.files import write_whole

FOUND = "found.json"  # beside a report's metrics.json
FOUND_MARK = r'\A\{"(found_at|classes)":'  # with which it begins, also one of an earlier version
THRESHOLD = 0.25  # of the scores of what is kept and counted


class Found(NamedTuple):
    """What was found in a picture with scores of .25 or more: how many are right and wrong, how many objects are
    missed, the detections, and what is there, labels being places in the report's classes."""

    name: str
    right: int
    wrong: int
    missed: int
    detections: ImageDetections
    truth: GroundTruth

    @property
    def f1(self) -> float:
        """1 where nothing is there and nothing was found."""
        counted = 2 * self.right + self.wrong + self.missed
        return 2 * self.right / counted if counted else 1.0


class Kept(NamedTuple):
    """What found.json holds: the step of the state that was evaluated, None where it was no training that did it; the
    classes; and the pictures, in the data set's order."""

    step: int | None
    classes: tuple[str, ...]
    pictures: tuple[Found, ...]


def write_found(path: Path, compared: Compared, class_names: tuple[str, ...], step: int | None = None) -> None:
    """Writes {"found_at": step, "classes", "threshold", "pictures": [{"name", "right", "wrong", "missed", "detections":
    [[x0, y0, x1, y1, score, label], …], "truth": [[x0, y0, x1, y1, label, difficult, crowd], …]}, …]}."""
    pictures = []
    every = zip(compared.pictures, compared.detections, compared.truths, compared.judged, strict=True)
    for picture, found, truth, judged in every:
        sure = judged.scores >= THRESHOLD
        right = int((sure & (judged.kinds == RIGHT)).sum())
        kept = found.scores >= THRESHOLD
        rows = np.column_stack([found.boxes_xyxy[kept].round(1), found.scores[kept].round(4)]).tolist()
        crowd = np.zeros(len(truth.labels), bool) if truth.crowd is None else truth.crowd
        there = np.column_stack([truth.labels, truth.difficult, crowd]).astype(int).tolist()
        boxes = truth.boxes_xyxy.astype(float).round(1).tolist()
        pictures.append(
            {
                "name": picture.name,
                "right": right,
                "wrong": int((sure & (judged.kinds != RIGHT) & ~judged.excused).sum()),
                "missed": int(judged.counting.sum()) - right,
                "detections": [[*row, int(label)] for row, label in zip(rows, found.labels[kept], strict=True)],
                "truth": [[*box, *row] for box, row in zip(boxes, there, strict=True)],
            }
        )
    content = {"found_at": step, "classes": class_names, "threshold": THRESHOLD, "pictures": pictures}
    write_whole(path, json.dumps(content, separators=(",", ":")) + "\n")


def read_found(path: Path) -> Kept:
    """What the file holds. Raises UserError where it is no such file."""
    try:
        content = json.loads(path.read_text())
        pictures = content["pictures"]
        if isinstance(pictures, dict):  # of earlier versions, by their names alone and without a step
            return Kept(None, (), ())
        return Kept(content["found_at"], tuple(map(str, content["classes"])), tuple(map(_found, pictures)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: cannot be read ({reason}); remove it, and the pictures are not compared") from error


def _found(values: dict[str, Any]) -> Found:
    rows = np.array(values["detections"], float).reshape(-1, 6)
    detections = ImageDetections(rows[:, :4], rows[:, 4], rows[:, 5].astype(int))
    there = np.array(values["truth"], float).reshape(-1, 7)
    truth = GroundTruth(there[:, :4], there[:, 4].astype(int), there[:, 5] > 0, there[:, 6] > 0)
    counts = int(values["right"]), int(values["wrong"]), int(values["missed"])
    return Found(str(values["name"]), *counts, detections, truth)
