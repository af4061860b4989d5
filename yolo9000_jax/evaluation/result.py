"""What an evaluation gives: the numbers, and what a report makes pictures of."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from yolo9000_jax.evaluation.mistakes import Judged
from yolo9000_jax.evaluation.models import Drawable
from yolo9000_jax.evaluation.voc import GroundTruth, ImageDetections, VocResult, counted, listed
from yolo9000_jax.wordtree.tree import WordTree


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


class Picture(NamedTuple):
    """A picture of the data set: the name of its file, or what messages call it; width and height in pixels; and the
    id by which the data set itself knows it, None where there is none."""

    name: str
    width: int
    height: int
    image_id: int | str | None = None


class Compared(NamedTuple):
    """All that was compared: the pictures, and of each what was found and what is there; labels are places in
    `Evaluation.class_names`. split: of the data set. category_ids: of these classes in a COCO file.

    judged: of each picture what its best detections are. read: gets a picture's place and reads it again, uint8
    [H, W, 3]. tree, nodes: the tree of the classes, and the node of each; None where they form none. own: of each
    picture what the detector says by itself, going down the tree, its labels being nodes; empty where it was not asked.
    own_ids: the data are a COCO file, so the pictures' ids are COCO's too, whatever they look like.
    """

    pictures: Sequence[Picture]
    detections: Sequence[ImageDetections]
    truths: Sequence[GroundTruth]
    split: str
    category_ids: Sequence[int | str]
    judged: Sequence[Judged] = ()
    read: Callable[[int], np.ndarray] | None = None
    tree: WordTree | None = None
    nodes: Sequence[int] = ()
    own: Sequence[ImageDetections] = ()
    own_ids: bool = False


@dataclass(frozen=True, repr=False)
class Evaluation:
    """The evaluation of a detector or a classifier on a data set.

    metrics: the numbers, as JSON has them (see `evaluate`). class_names: the classes it was evaluated on. data: the
    source and the split of the data set, as the user named them. Of a
    detector also voc: precision and recall of each of these classes, examples: a few pictures, and compared: all of
    them, without pixels.
    """

    metrics: dict[str, Any]
    class_names: tuple[str, ...]
    voc: VocResult | None = None
    examples: tuple[Example, ...] = ()
    compared: Compared | None = None
    data: str = ""

    def __repr__(self) -> str:
        numbers = {name: value for name, value in main_numbers(self.metrics).items() if name != "images"}
        counts = counted(self.metrics.get("images", 0), "image"), counted(len(self.class_names), "class", "classes")
        return f"<Evaluation: {', '.join([*listed(numbers), *counts])}>"


def main_numbers(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    """The numbers among the metrics that say most; of COCO's twelve the first."""
    single = {name: value for name, value in metrics.items() if isinstance(value, int | float | None)}
    return {name: value for name, value in single.items() if name == "coco_ap" or not re.match("coco_a[pr]", name)}
