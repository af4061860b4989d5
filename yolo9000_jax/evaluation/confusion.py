"""Which classes a detector takes for which: every object, and what the detection on it says, whatever its class.

A detection has the object, of those that no better one has, that it overlaps most, by IoU .5 at least. Better ones are
never moved by worse ones, so what is said with a threshold is what is said without one less the detections below it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from yolo9000_jax.evaluation.mistakes import IOU_THRESHOLD, Judged
from yolo9000_jax.evaluation.naming import assign
from yolo9000_jax.evaluation.voc import GroundTruth, ImageDetections, overlaps


class Confusion(NamedTuple):
    """Objects of all images one after the other, and the detections that are on none.

    images, true_labels [M]: neither difficult ones nor crowds; of truths with one box, as with a tree a dog that is a
    poodle, only the deepest. found_labels, scores [M]: of the detection on each, -1 and 0 where there is none.
    alone: of each image the places of the detections that overlap nothing that is there by .5.
    """

    images: np.ndarray
    true_labels: np.ndarray
    found_labels: np.ndarray
    scores: np.ndarray
    alone: list[np.ndarray]


def confusion(
    detections: Sequence[ImageDetections],
    truths: Sequence[GroundTruth],
    judged: Sequence[Judged],
    depths: np.ndarray | None = None,
) -> Confusion:
    """The confusion of a data set.

    Args:
        detections, truths: of each image, as voc.checked gives them.
        judged: of each image, which names the detections that count.
        depths: with a tree, how deep each class lies.
    """
    columns: list[tuple[np.ndarray, ...]] = [(np.zeros(0, int),) * 3 + (np.zeros(0),)]
    alone = []
    for image, (found, truth, each) in enumerate(zip(detections, truths, judged, strict=True)):
        boxes, labels, scores = found.boxes_xyxy[each.places], each.labels, each.scores
        objects = _objects(truth, depths)
        owners = assign(boxes, truth.boxes_xyxy[objects], IOU_THRESHOLD)
        has = owners >= 0
        said = np.where(has, labels[owners], -1) if len(labels) else owners
        sure = np.where(has, scores[owners], 0.0) if len(labels) else np.zeros(len(owners))
        columns.append((np.full(len(objects), image), truth.labels[objects], said, sure))
        shares = overlaps(ImageDetections(boxes, scores, labels), truth)
        alone.append(each.places[~(shares >= IOU_THRESHOLD).any(1)])
    images, true_labels, found_labels, sures = (np.concatenate(arrays) for arrays in zip(*columns, strict=True))
    return Confusion(images, true_labels, found_labels, sures, alone)


def _objects(truth: GroundTruth, depths: np.ndarray | None) -> np.ndarray:
    """The places of the truths that count, of those with one box the deepest."""
    places = np.flatnonzero(~(truth.difficult | truth.crowd))
    if depths is None or not len(places):
        return places
    places = places[np.argsort(-depths[truth.labels[places]], kind="stable")]
    _, first = np.unique(truth.boxes_xyxy[places], axis=0, return_index=True)
    return np.sort(places[first])
