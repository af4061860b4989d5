"""Dimension priors: shapes a detector starts from, found by k-means over the boxes of a data set (paper, section 2).

Shapes are (width, height). As fractions of the picture, the boxes of pictures of any size can be clustered together:
what a detector that stretches its input sees. One that letterboxes sees smaller boxes: then give fractions of the
canvas (a box's pixels over the picture's longer side, for a square network).
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.html import Html, card, centred, table
from yolo9000_jax.shapes import Array, check_shapes

CHUNK = 1 << 12  # boxes handled at once, so that the temporaries stay in the processor's cache
# Faster R-CNN's nine anchors: areas of 128², 256² and 512² pixels in a picture of 800 x 600 (VOC's shape, its shorter
# side brought to 600), each at three ratios of the sides; here as fractions of the picture.
HAND_PICKED_SIZES = tuple(side / (800 * 600) ** 0.5 for side in (128, 256, 512))
HAND_PICKED_RATIOS = (0.5, 1.0, 2.0)
STILL = 1e-5  # a restart ends when no side of an anchor changes by more than this fraction of itself


@runtime_checkable
class HasBoxes(Protocol):
    """A data set, as far as priors need one."""

    def box_shapes(self) -> np.ndarray: ...


Boxes = Array | Sequence[Sequence[float]] | HasBoxes  # shapes [N, 2], or a data set


class Priors(NamedTuple):
    """Shapes `anchors` float64 [k, 2], smallest area first, and the mean IoU of the boxes with their best shape."""

    anchors: np.ndarray
    average_iou: float

    def _repr_html_(self) -> Html:
        shapes = [f"{width:.3g} x {height:.3g}" for width, height in self.anchors.tolist()]
        title = f"{len(shapes)} priors, average IoU {self.average_iou:.3f}"
        return card(title, None, centred(self.anchors, shapes), table((), [[shape] for shape in shapes]))


def kmeans_priors(
    boxes_wh: Boxes, k: int, *, distance: str = "iou", seed: int = 0, restarts: int = 5, iterations: int = 300
) -> Priors:
    """Cluster box shapes into k priors.

    A centroid is the mean of its members for both distances (for "iou" a heuristic, but the usual one). Each restart
    begins with k-means++ under the same distance and ends when the priors stand still; the restart with the least mean
    distance wins. A cluster that loses all its boxes stays where it is. The order of the boxes does not matter.

    Args:
        boxes_wh: [N, 2] widths and heights, any one unit, all positive; or a data set, whose boxes are taken as
            fractions of their pictures (`box_shapes`).
        k: number of priors.
        distance: "iou" for 1 - IoU of the shapes (the paper's), "sse" for squared Euclidean distance (Table 1, row 1).
        seed: of all random choices.
        restarts: number of starts, at least 1.
        iterations: most steps of one restart.

    Returns:
        Priors, in the unit of boxes_wh; `to_cells` brings fractions of the picture to grid cells.

    Raises:
        UserError: k < 1, a box without area, or fewer distinct boxes than k.
    """
    if distance not in _DISTANCES:
        raise UserError(f"priors: unknown distance {distance!r}; choose one of {', '.join(_DISTANCES)}")
    if restarts < 1:
        raise UserError(f"priors: {restarts} restarts cannot cluster anything; ask for at least 1")
    boxes_wh = _sorted_boxes(box_shapes(boxes_wh), k)
    generator = np.random.default_rng(seed)
    results = []
    for _ in range(restarts):
        start = _spread_start(boxes_wh, k, distance, generator)
        results.append(_lloyd(boxes_wh, start, distance, iterations))
    _, anchors = min(results, key=lambda result: result[0])
    anchors = _by_area(anchors)
    return Priors(anchors, average_iou(boxes_wh, anchors))


def box_shapes(boxes_wh: Boxes) -> np.ndarray:
    """Shapes of boxes [N, 2] as they are; of a data set, those of its boxes as fractions of their pictures."""
    return boxes_wh.box_shapes() if isinstance(boxes_wh, HasBoxes) else np.asarray(boxes_wh)


def average_iou(boxes_wh: Boxes, anchors: Array | Sequence[Sequence[float]]) -> float:
    """Mean over the boxes [N, 2] of the IoU with the best of the shapes [k, 2], same unit: the paper's Table 1.

    As for `kmeans_priors`, the boxes may be a data set. Raises UserError for arrays of other shapes, or no box.
    """
    boxes_wh, anchors = box_shapes(boxes_wh).astype(np.float64), np.asarray(anchors, np.float64)
    check_shapes("average_iou", boxes_wh=(boxes_wh, "N 2"), anchors=(anchors, "k 2"))
    if not (len(boxes_wh) and len(anchors)):
        raise UserError(f"average_iou: {len(boxes_wh)} boxes and {len(anchors)} shapes; give at least one of each")
    _, distances = _assign(boxes_wh, anchors, "iou")
    return float(1 - distances.mean())


def hand_picked_anchors(
    sizes: Sequence[float] = HAND_PICKED_SIZES, ratios: Sequence[float] = HAND_PICKED_RATIOS
) -> np.ndarray:
    """Every size with every ratio; by default the nine of the paper's "Anchor Boxes" row, as fractions of the picture.

    Args:
        sizes: square roots of the areas, any unit.
        ratios: width over height.

    Returns:
        float64 [len(sizes) * len(ratios), 2] in the unit of sizes, smallest area first.

    Raises:
        UserError: no size, no ratio, or one that is not positive.
    """
    sides, shapes = np.asarray(sizes, np.float64), np.asarray(ratios, np.float64)
    if not (sides.size and shapes.size and (sides > 0).all() and (shapes > 0).all()):
        raise UserError("anchors: sizes and ratios must be lists of positive numbers; give at least one of each")
    stretch = np.sqrt(shapes)
    return _by_area(np.stack([np.outer(sides, stretch), np.outer(sides, 1 / stretch)], axis=-1).reshape(-1, 2))


def to_cells(
    anchors_fraction: Array | Sequence[Sequence[float]], input_size: int | Sequence[int], stride: int = 32
) -> np.ndarray:
    """Shapes [k, 2] from fractions of the network's input to grid cells, the unit of models and losses.

    Args:
        anchors_fraction: [k, 2].
        input_size: pixels of the network's input, one number or (width, height).
        stride: pixels of one grid cell.

    Returns:
        float64 [k, 2].
    """
    check_shapes("to_cells", anchors_fraction=(anchors_fraction, "k 2"))
    return np.asarray(anchors_fraction, np.float64) * (np.asarray(input_size, np.float64) / stride)


def _sorted_boxes(boxes_wh: np.ndarray, k: int) -> np.ndarray:
    """The boxes in a fixed order as float64, after checking that k clusters can be made of them."""
    boxes_wh = np.asarray(boxes_wh, np.float64)
    if boxes_wh.ndim != 2 or boxes_wh.shape[1] != 2:
        raise UserError(f"priors: boxes must be rows of (width, height), got an array of shape {boxes_wh.shape}")
    if k < 1:
        raise UserError(f"priors: k = {k}; ask for at least one prior (--config.model.num_anchors, or -k of `anchors`)")
    if not len(boxes_wh):
        raise UserError("priors: there are no boxes to cluster; choose a data set or split that has some")
    without_area = np.flatnonzero(~((boxes_wh > 0) & np.isfinite(boxes_wh)).all(-1))
    if without_area.size:
        width, height = boxes_wh[without_area[0]]
        raise UserError(
            f"priors: {without_area.size} boxes have no area, the first is box {without_area[0]} "
            f"({width:g} x {height:g}); remove them"
        )
    return boxes_wh[np.lexsort(boxes_wh.T)]


def _spread_start(boxes_wh: np.ndarray, k: int, distance: str, generator: np.random.Generator) -> np.ndarray:
    """k-means++: boxes drawn one after the other, the farther from those drawn the likelier."""
    anchors = boxes_wh[generator.integers(len(boxes_wh))][None]
    _, nearest = _assign(boxes_wh, anchors, distance)
    while len(anchors) < k:
        if not nearest.any():
            raise UserError(
                f"priors: k = {k}, but there are only {len(anchors)} distinct boxes: ask for fewer (of a config "
                "--config.model.num_anchors, of `anchors` -k), or give them (--config.model.anchors_cells)"
            )
        drawn = generator.choice(len(boxes_wh), p=nearest / nearest.sum())
        anchors = np.concatenate([anchors, boxes_wh[drawn][None]])
        nearest = np.minimum(nearest, _assign(boxes_wh, anchors[-1:], distance)[1])
    return anchors


def _lloyd(boxes_wh: np.ndarray, anchors: np.ndarray, distance: str, iterations: int) -> tuple[float, np.ndarray]:
    """Alternate between assigning boxes and averaging them; returns (mean distance, anchors)."""
    for _ in range(iterations):
        before = anchors
        clusters, _ = _assign(boxes_wh, before, distance)
        anchors = _means(boxes_wh, clusters, before)
        if np.allclose(anchors, before, rtol=STILL, atol=0):
            break
    return _assign(boxes_wh, anchors, distance)[1].mean(), anchors


def _assign(boxes_wh: np.ndarray, anchors: np.ndarray, distance: str) -> tuple[np.ndarray, np.ndarray]:
    """The nearest anchor of each box, the first of equals, and the distance to it: int [N], float64 [N]."""
    clusters = np.empty(len(boxes_wh), np.intp)
    nearest = np.empty(len(boxes_wh))
    for begin in range(0, len(boxes_wh), CHUNK):
        chunk = slice(begin, begin + CHUNK)
        distances = _DISTANCES[distance](boxes_wh[chunk], anchors)
        clusters[chunk] = distances.argmin(0)
        nearest[chunk] = distances.min(0)
    return clusters, nearest


def _iou_distances(boxes_wh: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """1 - IoU of shapes, [k, N]. boxes.shape_iou gives the same numbers, eight times slower for a million boxes."""
    width, height = boxes_wh.T.copy()
    anchor_width, anchor_height = anchors.T[..., None]
    distances = np.minimum(width, anchor_width)
    distances *= np.minimum(height, anchor_height)
    distances /= width * height + anchor_width * anchor_height - distances
    return np.subtract(1, distances, out=distances)


def _squared_distances(boxes_wh: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances, [k, N]."""
    width, height = boxes_wh.T.copy()
    anchor_width, anchor_height = anchors.T[..., None]
    return (width - anchor_width) ** 2 + (height - anchor_height) ** 2


_DISTANCES = {"iou": _iou_distances, "sse": _squared_distances}


def _means(boxes_wh: np.ndarray, clusters: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    counts = np.bincount(clusters, minlength=len(anchors))
    sums = [np.bincount(clusters, weights=side, minlength=len(anchors)) for side in boxes_wh.T]
    return np.where(counts[:, None] > 0, np.stack(sums, axis=-1) / np.maximum(counts, 1)[:, None], anchors)


def _by_area(anchors: np.ndarray) -> np.ndarray:
    return anchors[np.argsort(anchors.prod(-1), kind="stable")]
