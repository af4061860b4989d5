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
from yolo9000_jax.wordtree.tree import WordTree


class Confusion(NamedTuple):
    """Objects of all images one after the other, and the detections that are on none.

    images, true_labels [M]: neither difficult ones nor crowds; of truths with one box, as with a tree a dog that is a
    poodle, only the deepest. found_labels, scores [M]: of the detection on each, -1 and 0 where there is none.
    coarse_labels, coarse_scores [M]: with a tree the same of detections as a class that has others below it, which the
    first two leave out: what is said where nothing finer is. alone: of each image the places of the detections that
    overlap nothing that is there by .5.
    """

    images: np.ndarray
    true_labels: np.ndarray
    found_labels: np.ndarray
    scores: np.ndarray
    coarse_labels: np.ndarray
    coarse_scores: np.ndarray
    alone: list[np.ndarray]


def confusion(
    detections: Sequence[ImageDetections],
    truths: Sequence[GroundTruth],
    judged: Sequence[Judged],
    tree: WordTree | None = None,
    nodes: Sequence[int] = (),
) -> Confusion:
    """The confusion of a data set.

    Args:
        detections, truths: of each image, as voc.checked gives them.
        judged: of each image, which names the detections that count.
        tree, nodes: the tree of the classes, and the node of each.
    """
    depths = None if tree is None else tree.depths[np.array(nodes, int)]
    above = set() if tree is None else {ancestor for node in nodes for ancestor in tree.ancestors(node)}
    inner = np.array([node in above for node in nodes], bool)
    columns: list[tuple[np.ndarray, ...]] = [(np.zeros(0, int), np.zeros(0, int), *_NOBODY, *_NOBODY)]
    alone = []
    for image, (found, truth, each) in enumerate(zip(detections, truths, judged, strict=True)):
        chosen = ImageDetections(found.boxes_xyxy[each.places], each.scores, each.labels)
        objects = _objects(truth, depths)
        is_coarse = inner[each.labels] if len(inner) else np.zeros(len(each.labels), bool)
        said = _said(chosen, ~is_coarse, truth.boxes_xyxy[objects])
        coarse = _said(chosen, is_coarse, truth.boxes_xyxy[objects])
        columns.append((np.full(len(objects), image), truth.labels[objects], *said, *coarse))
        alone.append(each.places[~(overlaps(chosen, truth) >= IOU_THRESHOLD).any(1)])
    arrays = [np.concatenate(parts) for parts in zip(*columns, strict=True)]
    return Confusion(arrays[0], arrays[1], arrays[2], arrays[3], arrays[4], arrays[5], alone)


_NOBODY = (np.zeros(0, int), np.zeros(0))


def _said(found: ImageDetections, chosen: np.ndarray, true_xyxy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The class and the score of the detection on each object, of those chosen; -1 and 0 where there is none."""
    owners = assign(found.boxes_xyxy[chosen], true_xyxy, IOU_THRESHOLD)
    labels, scores = np.append(found.labels[chosen], -1), np.append(found.scores[chosen], 0.0)
    return labels[owners], scores[owners]


def _objects(truth: GroundTruth, depths: np.ndarray | None) -> np.ndarray:
    """The places of the truths that count, of those with one box the deepest."""
    places = np.flatnonzero(~(truth.difficult | truth.crowd))
    if depths is None or not len(places):
        return places
    places = places[np.argsort(-depths[truth.labels[places]], kind="stable")]
    _, first = np.unique(truth.boxes_xyxy[places], axis=0, return_index=True)
    return np.sort(places[first])
