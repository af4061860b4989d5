"""How the boxes of a data set fit a network: its grid, its priors, and the input size and length that they ask for."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from yolo9000_jax.boxes.geometry import shape_iou
from yolo9000_jax.boxes.priors import kmeans_priors, to_cells
from yolo9000_jax.data.suspects import spread
from yolo9000_jax.data.table import GroundTruth

CELL = 32  # pixels of the input that a cell of the grid stands for
SMALL_PX = 16.0  # half a cell, and a cell of the finer features that pass through
SMALL_SHARE, LOST_SHARE = 0.05, 0.01  # of the boxes, that a proposed size may leave small, or without a prior
SIZES = tuple(range(288, 801, 64))  # those with an odd number of cells, so that one is the middle (paper, section 2)
PRIORS, SAME_SHAPE = 5, 0.7  # IoU from which on two priors are hardly different
WORTH_A_PRIOR = 0.02  # of average IoU, that one more has to add
BOXES_CLUSTERED, BOXES_PLACED, RESTARTS = 5_000, 50_000, 2  # of more boxes, evenly spread ones
SEED = 0
DECIMALS = 6  # of a shape, as a fraction of its picture
# A rule of thumb, not a measurement: steps of 64 pictures for each class that there is (AlexeyAB's Darknet: README,
# "max_batches", with its least), but those for classes no more than 1000 passes; the paper's 160 where that is more; at
# most those of Darknet's yolov2.cfg for COCO.
STEPS_PER_CLASS, LEAST_STEPS, MOST_STEPS, BATCH_SIZE = 2000, 6000, 500_200, 64
PAPER_EPOCHS, MOST_EPOCHS = 160, 1000


@dataclass(frozen=True)
class AtSize:
    """The boxes in a network's input of `size` pixels, to which pictures are stretched, as shares of all boxes.

    median_wh: pixels there. small: narrower or lower than half a cell. shares_cell: their middle lies in a cell with
    the middle of another box. lost: another box of the same cell also has the same closest prior, so that only one of
    them is learnt.
    """

    size: int
    median_wh: tuple[float, float]
    small: float
    shares_cell: float
    lost: float

    @property
    def suits(self) -> bool:
        """Whether few boxes are small or lost."""
        return self.small <= SMALL_SHARE and self.lost <= LOST_SHARE


@dataclass(frozen=True)
class Fitness:
    """What the boxes of a detection set mean for a network.

    at: at the size asked for. boxes: how many there are that training uses; looked_at: of how many the shares are.
    priors_cells: by k-means, in cells at `at.size`; average_iou: of the boxes with the closest. different: how many of
    them are shapes of their own, no other within an IoU of .7. iou_by_k: the average IoU of 1, 2, … priors; worth: how
    many of these are worth having, each adding .02 or more. proposed: the smallest size at which few boxes are small or
    lost, and `enough`, whether there is one; else it is the largest looked at. steps: a length of training, at 64
    pictures a step, and how many epochs that is. priors_given: boxes are lost by the priors of a network, not by these.
    """

    at: AtSize
    boxes: int
    looked_at: int
    priors_cells: tuple[tuple[float, float], ...]
    average_iou: float
    different: int
    iou_by_k: Mapping[int, float]
    worth: int
    proposed: AtSize
    enough: bool
    steps: int
    epochs: float
    priors_given: bool = False

    def short(self) -> list[str]:
        """A line or two for a person who is about to train."""
        at, (width, height) = self.at, self.at.median_wh
        lines = [
            f"boxes at {at.size}x{at.size}: median {width:.0f}x{height:.0f} pixels, {_percent(at.small)} narrower or "
            f"lower than {SMALL_PX:.0f}; {_percent(at.shares_cell)} share a cell with another, {_percent(at.lost)} its "
            f"prior too{self._by_kmeans}, so that one of them is not learnt"
        ]
        if self.proposed.size > at.size and not at.suits:
            lines.append(f"a larger input would suit them better: {self._size()}")
        return lines

    def lines(self) -> list[str]:
        """All of it for a person to read."""
        at, count = self.at, len(self.priors_cells)
        priors = " ".join(f"{width:.2f}x{height:.2f}" for width, height in self.priors_cells)
        by_k = ", ".join(f"{k}: {iou:.3f}" for k, iou in self.iou_by_k.items())
        enough = f"; {self.worth} would do, as one more adds less than {WORTH_A_PRIOR:g}" if self.worth < count else ""
        slower = (self.proposed.size / at.size) ** 2
        lines = [
            self.short()[0],
            f"priors by k-means, in cells of {CELL} pixels at {at.size}: {priors}; average IoU {self.average_iou:.3f}",
            f"{self.different} of these {count} differ (IoU below {SAME_SHAPE:g}); average IoU by their number "
            f"{by_k}{enough} (model.num_anchors)",
            f"proposed image_size {self._size()}"
            + (f"; a step takes {slower:.1f} times as long as at {at.size}" if slower != 1 else ""),
            f"proposed steps {self.steps} of {BATCH_SIZE} pictures, {self.epochs:.0f} epochs (a rule of thumb: "
            f"{STEPS_PER_CLASS} a class, but of these no more than {MOST_EPOCHS} epochs; however few pictures, "
            f"{LEAST_STEPS} steps at least; the paper's {PAPER_EPOCHS} epochs where that is more; never more than "
            f"{MOST_STEPS} steps)",
        ]
        if self.looked_at < self.boxes:
            lines.append(f"(of {self.looked_at} of {self.boxes} boxes, evenly spread)")
        return lines

    @property
    def _by_kmeans(self) -> str:
        return "" if self.priors_given else f" (with {len(self.priors_cells)} priors by k-means)"

    def _size(self) -> str:
        best = self.proposed
        what = f"{_percent(best.small)} of the boxes under {SMALL_PX:.0f} pixels, {_percent(best.lost)} not learnt"
        if self.enough:
            return f"{best.size} ({what})"
        return f"{best.size}, and there too {what}: larger, or cut the pictures into parts"


def fitness(
    truth: GroundTruth, size: int, priors: int = PRIORS, anchors_cells: Sequence[tuple[float, float]] = ()
) -> Fitness | None:
    """How the boxes fit; None without boxes that training uses (neither difficult nor a crowd).

    Args:
        truth: of a detection set.
        size: the side of the network's input in pixels.
        priors: how many to propose, fewer where there are fewer shapes.
        anchors_cells: the priors of the network at `size`, in cells, by which boxes are lost; none: those proposed.
    """
    counted = np.flatnonzero(~truth.difficult[truth.boxed])
    if not len(counted):
        return None
    pictures = np.repeat(np.arange(len(truth)), truth.boxes_of)
    boxes_xyxy, sizes_wh = truth.boxes_xyxy.astype(float), truth.sizes_wh[pictures]
    wh = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) / sizes_wh
    middles = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2 / sizes_wh
    # Corners in float32 leave sides of one length a little apart: k-means counts those as one shape, and so it is here.
    clustered = np.maximum(wh[spread(counted, BOXES_CLUSTERED)].round(DECIMALS), 10.0**-DECIMALS)
    shapes = len(np.unique(clustered, axis=0))
    found = {k: kmeans_priors(clustered, k, seed=SEED, restarts=RESTARTS) for k in range(1, min(priors, shapes) + 1)}
    best = found[max(found)]
    anchors = np.array(anchors_cells) * CELL / size if len(anchors_cells) else best.anchors
    with_boxes = np.unique(pictures[counted])
    share = min(1.0, BOXES_PLACED / len(counted))
    chosen = np.isin(pictures, spread(with_boxes, max(1, int(share * len(with_boxes)))))
    chosen[np.setdiff1d(np.arange(len(pictures)), counted)] = False
    placed = _Placed(pictures[chosen], middles[chosen], wh[chosen], anchors)
    sizes = [placed.at(each) for each in SIZES]
    good = [each for each in sizes if each.suits]
    by_k = {k: each.average_iou for k, each in found.items()}
    classes = len(np.unique(truth.labels[truth.boxed][counted]))
    of_classes = min(STEPS_PER_CLASS * classes, _steps(MOST_EPOCHS, truth))
    steps = min(max(of_classes, LEAST_STEPS, _steps(PAPER_EPOCHS, truth)), MOST_STEPS)
    return Fitness(
        placed.at(size),
        len(counted),
        int(chosen.sum()),
        tuple((round(w, 3), round(h, 3)) for w, h in to_cells(best.anchors, size).tolist()),
        best.average_iou,
        _different(best.anchors),
        by_k,
        next((k for k in by_k if by_k.get(k + 1, 1.0) - by_k[k] < WORTH_A_PRIOR), max(by_k)),
        good[0] if good else sizes[-1],
        bool(good),
        steps,
        steps * BATCH_SIZE / len(truth),
        len(anchors_cells) > 0,
    )


def _steps(epochs: float, truth: GroundTruth) -> int:
    return math.ceil(epochs * len(truth) / BATCH_SIZE)


class _Placed:
    """Boxes as fractions of their pictures, middles and sides [N, 2], the pictures they are in [N], and the closest
    prior of each."""

    def __init__(self, pictures: np.ndarray, middles: np.ndarray, wh: np.ndarray, anchors: np.ndarray):
        self._pictures = np.unique(pictures, return_inverse=True)[1]
        self._middles, self._wh = middles, wh
        self._priors = np.argmax([shape_iou(self._wh, anchor) for anchor in anchors], axis=0)
        self._anchors = len(anchors)

    def at(self, size: int) -> AtSize:
        cells = size // CELL
        columns, rows = np.minimum((self._middles * cells).astype(int), cells - 1).T
        cell = (self._pictures * cells + rows) * cells + columns
        wh = self._wh * size
        return AtSize(
            size,
            tuple(np.median(wh, axis=0).tolist()),
            float((wh.min(1) < SMALL_PX).mean()),
            float((_times(cell) > 1).mean()),
            1 - len(np.unique(cell * self._anchors + self._priors)) / len(cell),
        )


def _times(values: np.ndarray) -> np.ndarray:
    """How often each value is there."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return counts[places]


def _different(anchors: np.ndarray) -> int:
    """How many shapes are left when those that are nearly one kept before are dropped."""
    kept: list[np.ndarray] = []
    for anchor in anchors:
        if all(shape_iou(anchor, other) < SAME_SHAPE for other in kept):
            kept.append(anchor)
    return len(kept)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
