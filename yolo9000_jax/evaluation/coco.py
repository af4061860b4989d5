"""Average precision and recall as COCO measures them, in NumPy: the twelve numbers that pycocotools prints.

Of each class and image the hundred best detections count. They go down by score; each takes, of the truths of its class
that no better one has and that it overlaps by the threshold, the one that it overlaps most. It does not count where
that is a crowd, or a truth that is to be ignored; nor, if it takes none, where it is itself of a size that is not asked
for. Precision is taken at 101 recalls; an average precision is the mean over ten thresholds, .50 to .95. With a crowd
the overlap is the share of the detection that lies in it, and it can be taken many times.

COCO knows no difficult objects: they count as others do. Whether an object is small is told by the area that its file
states, that of its outline; where none is stated, by that of its box.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from yolo9000_jax.evaluation.voc import GroundTruth, ImageDetections, overlaps

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
MOST = (1, 10, 100)  # detections of a class in an image
EVERYTHING = (0.0, 1e10)
# Square pixels, both ends included.
SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
_UNMATCHED, _IGNORED, _MATCHED = 0, -1, 1


class Precision(NamedTuple):
    """What `Matching.precision` gives, for A groups of truths, K classes and T thresholds; NaN without truths.

    ap [A, K, T]: average precision. recall [A, K, T, 3]: share of the truths found, with 1, 10 and 100 detections of a
    class in an image. truths [A, K]: how many there are, found [A, K, T] how many of them are found.
    """

    ap: np.ndarray
    recall: np.ndarray
    truths: np.ndarray
    found: np.ndarray


class Matching:
    """All detections and truths of a data set, and how much they overlap; `precision` judges them by COCO's rule.

    Args:
        detections, truths: of each image, as voc.checked gives them.
        num_classes: labels are 0 … num_classes - 1.

    Attributes, for whoever groups them: boxes_xyxy [D, 4] and images [D] of the detections that count; true_xyxy
    [M, 4], true_areas [M] and crowd [M] of the truths, those of the first image first.
    """

    def __init__(self, detections: Sequence[ImageDetections], truths: Sequence[GroundTruth], num_classes: int):
        self._num_classes = num_classes
        self.true_xyxy = np.concatenate([np.zeros((0, 4)), *(truth.boxes_xyxy for truth in truths)])
        self.true_labels = np.concatenate([np.zeros(0, int), *(truth.labels for truth in truths)])
        self.true_areas = np.concatenate([np.zeros(0), *(truth.areas for truth in truths)])
        self.crowd = np.concatenate([np.zeros(0, bool), *(truth.crowd for truth in truths)])
        pairs = [_image_pairs(*pair) for pair in zip(detections, truths, strict=True)]
        first_found = np.cumsum([0, *(len(found.labels) for found in detections)])
        first_true = np.cumsum([0, *(len(truth.labels) for truth in truths)])
        places = zip(pairs, first_found, first_true, strict=False)
        joined = [(rows + found, columns + true, shares) for (rows, columns, shares), found, true in places]
        rows, columns, shares = map(np.concatenate, zip((np.zeros(0, int),) * 2 + (np.zeros(0),), *joined, strict=True))
        images = np.repeat(np.arange(len(detections)), np.diff(first_found))
        labels = np.concatenate([np.zeros(0, int), *(found.labels for found in detections)])
        scores = np.concatenate([np.zeros(0), *(found.scores for found in detections)])
        order = np.lexsort((-scores, images, labels))
        starts = np.flatnonzero(np.diff(labels[order] * len(detections) + images[order], prepend=-1))
        ranks = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
        order, self._ranks = order[ranks < MOST[-1]], ranks[ranks < MOST[-1]]
        self._labels, self._scores, self.images = labels[order], scores[order], images[order]
        self.boxes_xyxy = np.concatenate([np.zeros((0, 4)), *(found.boxes_xyxy for found in detections)])[order]
        self._pairs = _by_detection(order, len(scores), rows, columns, shares)

    def precision(self, ignored: np.ndarray, outside: np.ndarray, thresholds: np.ndarray) -> Precision:
        """Judges every class for each of A groups of truths.

        Args:
            ignored: bool [A, M], the truths that do not belong to the group; crowds never do.
            outside: bool [A, D], the detections that do not count where they match nothing.
            thresholds: [T], the overlaps that make a match.
        """
        ignored = ignored | self.crowd
        outcomes = self._judge(ignored, outside, np.minimum(thresholds, 1 - 1e-10))
        groups, count = len(ignored), len(thresholds)
        truths = np.array([np.bincount(self.true_labels[~row], minlength=self._num_classes) for row in ignored])
        ap = np.full((groups, self._num_classes, count), np.nan)
        recall, found = np.full((*ap.shape, len(MOST)), np.nan), np.zeros(ap.shape, int)
        bounds = np.searchsorted(self._labels, np.arange(self._num_classes + 1))
        for label in np.flatnonzero(truths.any(0)):
            own = np.arange(bounds[label], bounds[label + 1])
            own = own[np.argsort(-self._scores[own], kind="stable")]
            for group in np.flatnonzero(truths[:, label]):
                right, wrong = (outcomes[group][:, own] == kind for kind in (_MATCHED, _UNMATCHED))
                within = [(right & (self._ranks[own] < most)).sum(1) for most in MOST]
                recall[group, label] = np.stack(within, -1) / truths[group, label]
                found[group, label] = within[-1]
                ap[group, label] = _average_precision(right, wrong, truths[group, label])
        return Precision(ap, recall, truths, found)

    def _judge(self, ignored: np.ndarray, outside: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
        """What each detection is: int8 [A, T, D], _MATCHED, _UNMATCHED or _IGNORED."""
        groups, count = len(ignored), len(thresholds)
        cases = np.tile(thresholds, groups)[:, None]  # a row for each group and threshold
        ignored = np.repeat(ignored, count, 0)
        outcomes = np.repeat(np.where(outside, _IGNORED, _UNMATCHED).astype(np.int8), count, 0)
        taken, rows = np.zeros(ignored.shape, bool), np.arange(len(cases))
        for detection, columns, shares in self._pairs:
            free = (shares >= cases) & ~taken[:, columns]
            aside = ignored[:, columns]
            counting = free & ~aside
            free &= aside == ~counting.any(1, keepdims=True)  # those to be ignored come last
            place = len(columns) - 1 - np.where(free, shares, -1.0)[:, ::-1].argmax(1)  # of equals the last
            hit = rows[free.any(1)]
            chosen = columns[place[hit]]
            outcomes[hit, detection] = np.where(ignored[hit, chosen], _IGNORED, _MATCHED)
            taken[hit, chosen] = ~self.crowd[chosen]
        return outcomes.reshape(groups, count, -1)


def evaluate_coco(matching: Matching) -> tuple[dict[str, float | None], list[float | None]]:
    """COCO's twelve numbers, and the average precision (`coco_ap`) of each class; None where there is nothing to find.

    Returns:
        {"coco_ap": mean over ten thresholds, "coco_ap50", "coco_ap75": at one, "coco_ap_small", "coco_ap_medium",
        "coco_ap_large": of the objects of a size; "coco_ar1", "coco_ar10", "coco_ar100": the recall with so many
        detections of a class in an image, "coco_ar_small", …: with 100, of a size}, 0..1, and a list.
    """
    ranges = (EVERYTHING, *SIZES.values())
    areas = np.prod(matching.boxes_xyxy[:, 2:] - matching.boxes_xyxy[:, :2], -1)
    ignored = np.array([_outside(matching.true_areas, *limits) for limits in ranges])
    found = matching.precision(ignored, np.array([_outside(areas, *limits) for limits in ranges]), IOU_THRESHOLDS)
    ap, recall = found.ap, found.recall
    numbers = {"coco_ap": ap[0], "coco_ap50": ap[0, :, 0], "coco_ap75": ap[0, :, 5]}
    numbers |= {f"coco_ap_{size}": ap[place] for place, size in enumerate(SIZES, 1)}
    numbers |= {f"coco_ar{most}": recall[0, ..., place] for place, most in enumerate(MOST)}
    numbers |= {f"coco_ar_{size}": recall[place, ..., -1] for place, size in enumerate(SIZES, 1)}
    return {name: mean(values) for name, values in numbers.items()}, [mean(values) for values in ap[0]]


def mean(values: np.ndarray) -> float | None:
    """The mean of the numbers that are none of NaN; None where there are none."""
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else None


def _outside(areas: np.ndarray, low: float, high: float) -> np.ndarray:
    return (areas < low) | (areas > high)


def _image_pairs(found: ImageDetections, truth: GroundTruth) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The detections and truths of one image and class that overlap by the least threshold: rows, columns, overlaps."""
    shares = overlaps(found, truth)
    rows, columns = np.nonzero((shares >= IOU_THRESHOLDS[0]) & (found.labels[:, None] == truth.labels[None]))
    return rows, columns, shares[rows, columns]


def _by_detection(
    order: np.ndarray, count: int, rows: np.ndarray, columns: np.ndarray, shares: np.ndarray
) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """The pairs by detection: its place in `order`, the truths that it overlaps and how much; in that order.

    Args:
        order: the detections that count, of `count`.
        rows, columns, shares: the detection, the truth and the overlap of each pair.
    """
    places = np.full(count, -1)
    places[order] = np.arange(len(order))
    rows = places[rows]
    by_place = np.argsort(rows, kind="stable")
    by_place = by_place[rows[by_place] >= 0]
    rows, columns, shares = rows[by_place], columns[by_place], shares[by_place]
    detections, starts = np.unique(rows, return_index=True)
    parts = np.split(columns, starts[1:]), np.split(shares, starts[1:])
    return list(zip(detections.tolist(), *parts, strict=False))


def _average_precision(right: np.ndarray, wrong: np.ndarray, truths: int) -> np.ndarray:
    """Average precision at 101 recalls: [T] of bool [T, D], the best detection first."""
    hits, misses = np.cumsum(right, 1), np.cumsum(wrong, 1)
    precision = hits / (hits + misses + np.spacing(1))
    best_from_here = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    best_from_here = np.pad(best_from_here, ((0, 0), (0, 1)))
    pairs = zip(best_from_here, hits / truths, strict=True)
    return np.array([best[np.searchsorted(recall, RECALLS)].mean() for best, recall in pairs])
