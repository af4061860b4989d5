"""What an evaluation gives: the numbers, and what a report makes pictures of."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from yolo9000_jax.evaluation.models import Drawable
from yolo9000_jax.evaluation.voc import GroundTruth, ImageDetections, VocResult, counted, listed


class Example(NamedTuple):
    """One picture of the data set, with what was found in it and what is there.

    image uint8 [H, W, 3]; detections and truth in its pixels, with labels that are places in `Evaluation.class_names`;
    top_down: of a detector with a tree, what it says by itself, going down the tree; None without one.
    """

    image: np.ndarray
    detections: ImageDetections
    truth: GroundTruth
    top_down: Drawable | None = None

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        found, there = len(self.detections.scores), len(self.truth.labels)
        return f"<Example {width}x{height}: {counted(found, 'detection')}, {counted(there, 'truth')}>"


@dataclass(frozen=True, repr=False)
class Evaluation:
    """The evaluation of a detector or a classifier on a data set.

    metrics: the numbers, as JSON has them (see `evaluate`). class_names: the classes it was evaluated on. Of a
    detector also voc: precision and recall of each of these classes, and examples: a few pictures.
    """

    metrics: dict[str, Any]
    class_names: tuple[str, ...]
    voc: VocResult | None = None
    examples: tuple[Example, ...] = ()

    def __repr__(self) -> str:
        numbers = {name: value for name, value in self.metrics.items() if value is None or isinstance(value, float)}
        counts = counted(self.metrics.get("images", 0), "image"), counted(len(self.class_names), "class", "classes")
        return f"<Evaluation: {', '.join([*listed(numbers), *counts])}>"
