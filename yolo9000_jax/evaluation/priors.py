"""How well priors fit the boxes of data sets: the paper's Table 1 and Figure 2."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from yolo9000_jax.boxes.priors import average_iou, hand_picked_anchors, kmeans_priors, to_cells

CURVE = "k-means, IoU"
PAPER_SOURCE = "arXiv 1612.08242, Table 1: VOC 2007"
MAX_PRIORS = 15  # of Figure 2


class MethodFit(NamedTuple):
    """A row of Table 1: how priors are made, how many, average IoU of the boxes with the closest, and the paper's."""

    method: str
    k: int
    average_iou: float
    paper: float


class PriorFit(NamedTuple):
    """How many boxes there are, the four rows of Table 1, Figure 2's curve {k: average IoU}, and the priors asked for:
    [k, 2], widths and heights as fractions of the picture."""

    boxes: int
    rows: tuple[MethodFit, ...]
    iou_by_k: dict[int, float]
    anchors: np.ndarray

    def marks(self) -> dict[str, tuple[int, float]]:
        """The rows that are no point of the curve: {method: (k, average IoU)}."""
        return {row.method: (row.k, row.average_iou) for row in self.rows if row.method != CURVE}


def compare_priors(boxes_wh: np.ndarray, k: int = 5, *, seed: int = 0) -> PriorFit:
    """Fits priors to boxes in the ways that the paper compares.

    Args:
        boxes_wh: [N, 2] widths and heights as fractions of the picture, all positive.
        k: how many priors `anchors` has.
        seed: of k-means.

    Returns:
        PriorFit; its curve ends at 15, or at the number of distinct boxes.

    Raises:
        UserError: k < 1, no boxes, a box without area, or fewer distinct boxes than k or than Table 1's 9.
    """
    chosen = kmeans_priors(boxes_wh, k, seed=seed)
    hand_picked = hand_picked_anchors()
    sse = kmeans_priors(boxes_wh, 5, distance="sse", seed=seed)
    rows = (
        MethodFit("k-means, squared distance", 5, sse.average_iou, 0.587),
        MethodFit(CURVE, 5, kmeans_priors(boxes_wh, 5, seed=seed).average_iou, 0.610),
        MethodFit("hand-picked (Faster R-CNN)", 9, average_iou(boxes_wh, hand_picked), 0.609),
        MethodFit(CURVE, 9, kmeans_priors(boxes_wh, 9, seed=seed).average_iou, 0.672),
    )
    return PriorFit(len(boxes_wh), rows, iou_curve(boxes_wh, seed=seed), chosen.anchors)


def iou_curve(boxes_wh: np.ndarray, *, seed: int = 0) -> dict[int, float]:
    """{k: average IoU of the boxes [N, 2] with k priors}, k from 1 to 15 or to the number of distinct boxes."""
    most = min(MAX_PRIORS, len(np.unique(boxes_wh, axis=0)))
    return {k: kmeans_priors(boxes_wh, k, seed=seed).average_iou for k in range(1, most + 1)}


def to_json(fits: Mapping[str, PriorFit], image_size: int) -> dict[str, Any]:
    """The numbers for a file; the priors in grid cells of an input of `image_size` pixels."""
    sets = [
        {
            "dataset": name,
            "boxes": fit.boxes,
            "table1": [row._asdict() for row in fit.rows],
            "iou_by_k": fit.iou_by_k,
            "anchors_cells": to_cells(fit.anchors, image_size).round(4).tolist(),
        }
        for name, fit in fits.items()
    ]
    return {"datasets": sets, "image_size": image_size, "paper": PAPER_SOURCE}
