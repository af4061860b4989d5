"""Boxes that a person should look at before training: odd in size or shape for their class, or there twice."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from yolo9000_jax.boxes.geometry import iou_xyxy
from yolo9000_jax.data.table import GroundTruth, starts_of

KINDS = {
    "tiny": "a side under 3 pixels, or a quarter of what their class usually has",
    "huge": "all of the picture, or four times the sides that their class usually has",
    "outside": "stuck out of the picture by more than a pixel as labelled; clipped to it",
    "odd_aspect": "far narrower or lower than their class usually is",
    "doubled": "nearly on another box with the same label",
    "two_labels": "nearly on another box with another label",
}
LEAST_SIDE = 3.0  # pixels
WHOLE, USUALLY_LESS = 0.98, 0.7  # shares of the picture: covered by a box, and by the median box of its class
ENOUGH = 20  # boxes of a class, of which one can say what is usual
SIDES_APART, ASPECT_APART = 4.0, 3.0  # factors to the class's median
DEVIATIONS = 5.0  # and as many robust standard deviations, as some classes have all sizes
AT_BORDER = 0.005  # of the picture: what is cut off there may have any shape
SAME_IOU, OTHER_IOU = 0.85, 0.9
# Boxes of a picture that are compared with each other: where there are more in all, evenly spread pictures are taken.
MOST_PAIRS, PAIRS_AT_ONCE = 50_000_000, 1_000_000


class Suspect(NamedTuple):
    """A box to look at: why (a key of `KINDS`), its picture's place and its own among that picture's boxes, its class,
    the box as xyxy in pixels, and how odd it is, to sort by: larger is odder."""

    kind: str
    picture: int
    box: int
    label: int
    box_xyxy: tuple[float, float, float, float]
    oddness: float


def suspicious_boxes(truth: GroundTruth, classes: int, clipped: np.ndarray | None = None) -> dict[str, list[Suspect]]:
    """The boxes of each of `KINDS`, the oddest first; difficult ones and crowds are not looked at.

    Usual is the median over the boxes of a class, of classes with 20 or more; a box is odd that is both far from it
    (`SIDES_APART`, `ASPECT_APART`) and farther than five robust standard deviations (1.4826 times the median distance).

    Args:
        truth: of a detection set.
        classes: how many there are.
        clipped: bool [M], which labels are of boxes that stuck out of their pictures; None: none.
    """
    pictures = np.repeat(np.arange(len(truth)), truth.boxes_of)
    places = np.arange(len(pictures)) - np.repeat(starts_of(truth.boxes_of)[:-1], truth.boxes_of)
    boxed = truth.boxed
    labels, counted = truth.labels[boxed], ~truth.difficult[boxed]
    boxes, sizes = truth.boxes_xyxy.astype(float), truth.sizes_wh[pictures].astype(float)
    sides = boxes[:, 2:] - boxes[:, :2]
    shares = (sides / sizes).prod(1)
    size_apart, size_medians = _apart(np.log(np.maximum(shares, 1e-12)) / 2, labels, counted, classes, SIDES_APART)
    aspect_apart, _ = _apart(np.log(sides[:, 0] / sides[:, 1]), labels, counted, classes, ASPECT_APART)
    inside = ((boxes[:, :2] > AT_BORDER * sizes) & (boxes[:, 2:] < (1 - AT_BORDER) * sizes)).all(1)
    usual = np.exp(2 * size_medians)[labels]  # NaN of a class with few boxes: all that is compared with it is False
    narrow = np.maximum(0, LEAST_SIDE - sides.min(1))
    whole = (shares >= WHOLE) & (usual < USUALLY_LESS)
    odd = {
        "tiny": np.where(narrow > 0, 10 * narrow, np.where(inside, np.maximum(0, -size_apart), 0)),
        "huge": np.where(whole, 10.0, np.maximum(0, size_apart)),
        "outside": np.zeros(len(boxes)) if clipped is None else clipped[boxed].astype(float),
        "odd_aspect": np.where(inside & (narrow <= 0), np.abs(aspect_apart), 0),
    }
    odd |= _again(truth, boxes, labels, counted)
    found = {}
    for kind in KINDS:
        chosen = np.flatnonzero((odd[kind] > 0) & counted)
        chosen = chosen[np.argsort(-odd[kind][chosen], kind="stable")]
        found[kind] = [
            Suspect(
                kind, int(pictures[i]), int(places[i]), int(labels[i]), tuple(boxes[i].tolist()), float(odd[kind][i])
            )
            for i in chosen
        ]
    return found


def _apart(
    values: np.ndarray, labels: np.ndarray, counted: np.ndarray, classes: int, factor: float
) -> tuple[np.ndarray, np.ndarray]:
    """How far each value lies from its class's median, in robust deviations, 0 where that is usual; and the medians."""
    apart, medians = np.zeros(len(values)), np.full(classes, np.nan)
    order = np.flatnonzero(counted)[np.argsort(labels[counted], kind="stable")]
    for rows in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        if len(rows) < ENOUGH:
            continue
        median = np.median(values[rows])
        off = values[rows] - median
        deviation = 1.4826 * np.median(np.abs(off))
        medians[labels[rows[0]]] = median
        far = np.abs(off) > max(DEVIATIONS * deviation, np.log(factor))
        apart[rows[far]] = off[far] / max(deviation, np.log(factor) / DEVIATIONS)
    return apart, medians


def _again(truth: GroundTruth, boxes: np.ndarray, labels: np.ndarray, counted: np.ndarray) -> dict[str, np.ndarray]:
    """The IoU of each box with one before it in its picture, where that is nearly the same; 0 elsewhere."""
    found = {kind: np.zeros(len(boxes)) for kind in ("doubled", "two_labels")}
    starts, counts = starts_of(truth.boxes_of), truth.boxes_of
    several = np.flatnonzero(counts > 1)
    share = min(1.0, MOST_PAIRS / max(1, int((counts[several] ** 2).sum())))
    several = spread(several, math.ceil(share * len(several)))
    for count in np.unique(counts[several]).tolist():
        group = several[counts[several] == count]
        for some in np.array_split(group, math.ceil(len(group) * count**2 / PAIRS_AT_ONCE)):
            places = starts[some][:, None] + np.arange(count)
            own, own_labels = boxes[places], labels[places]
            overlaps = np.tril(iou_xyxy(own[:, :, None], own[:, None]), -1) * counted[places][:, None]
            same = own_labels[:, :, None] == own_labels[:, None]
            found["doubled"][places] = np.where(same & (overlaps >= SAME_IOU), overlaps, 0).max(2)
            found["two_labels"][places] = np.where(~same & (overlaps >= OTHER_IOU), overlaps, 0).max(2)
    return found


def spread(items: Sequence[int] | np.ndarray, most: int) -> np.ndarray:
    """So many of the items, evenly spread over them; all where there are not more."""
    items = np.asarray(items)
    return items if len(items) <= most else items[np.arange(most) * len(items) // most]
