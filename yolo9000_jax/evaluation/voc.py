"""Average precision as PASCAL VOC measures it (darknet.md 13), in NumPy.

Detections go down by score over all images. Each is compared with the truth of its class in its image that it overlaps
most: it is a true positive if that IoU reaches the threshold and the truth was not taken by a better detection; it does
not count at all if that truth is marked difficult; else it is a false positive. Equal scores keep the order of the
images, and inside an image the order given.

VOC has no crowds. Where the truth does, as COCO's, they are judged by COCO's rule: what would be a false positive does
not count if the part of it that lies in a crowd of its class reaches the threshold, however many others do as well.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from yolo9000_jax.boxes.geometry import iou_xyxy
from yolo9000_jax.errors import UserError

TRUE_POSITIVE, FALSE_POSITIVE, IGNORED = 1, 0, -1
ELEVEN_RECALLS = np.linspace(0, 1, 11)


class ImageDetections(NamedTuple):
    """What a detector found in one image, for the comparison with its truth.

    boxes_xyxy [N, 4] pixels, scores [N], labels [N] int.
    """

    boxes_xyxy: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


class GroundTruth(NamedTuple):
    """What really is in one image: boxes_xyxy [M, 4] pixels, labels [M] int, difficult and crowd [M] bool.

    A crowd is one box round many objects; it does not count, be it marked difficult or not. None: there are no crowds.
    areas [M], square pixels: as COCO states them, of outlines; None: those of the boxes.
    """

    boxes_xyxy: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray
    crowd: np.ndarray | None = None
    areas: np.ndarray | None = None


@dataclass(frozen=True, repr=False)
class ClassResult:
    """One class over all images.

    ap, ap07: average precision by area and by 11 points, 0..1; None if the class has no truth that counts.
    recall, precision, scores: [D], after each of the class's D detections, best score first; recall is NaN without
        truths, precision is 0 before the first detection that counts.
    truths: how many truths count (neither difficult nor a crowd). detections: D.
    """

    ap: float | None
    ap07: float | None
    recall: np.ndarray
    precision: np.ndarray
    scores: np.ndarray
    truths: int
    detections: int

    def __repr__(self) -> str:
        counts = counted(self.truths, "truth"), counted(self.detections, "detection")
        return f"<ClassResult: {', '.join([*listed({'ap': self.ap, 'ap07': self.ap07}), *counts])}>"


class Outcomes(NamedTuple):
    """Every detection, judged, and every truth that counts, so that other pictures can be drawn from those there are.

    images, labels, scores, outcomes: [D], a detection's picture, class and score, and TRUE_POSITIVE, … of it.
    true_images, true_labels: [T], a truth's picture and class.
    """

    images: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    outcomes: np.ndarray
    true_images: np.ndarray
    true_labels: np.ndarray


@dataclass(frozen=True, repr=False)
class VocResult:
    """The evaluation of one data set.

    voc_ap50, voc07_ap50: means of `ap` and `ap07` over the classes that have a truth that counts; None if none has.
    recall50: share of the truths that count that any detection of any class overlaps enough; None without truths.
    outcomes: of every detection.
    All at `iou_threshold`, which the names take to be .5.
    """

    per_class: tuple[ClassResult, ...]
    voc_ap50: float | None
    voc07_ap50: float | None
    recall50: float | None
    images: int
    outcomes: Outcomes
    iou_threshold: float = 0.5

    def metrics(self, class_names: Sequence[str]) -> dict[str, Any]:
        """The numbers as a dict for JSON; a missing number is None. Names end in the IoU threshold in percent.

        Args:
            class_names: one name a class; where two classes share a name, their ids are added.
        Raises:
            UserError: as many names as classes are wanted.
        """
        if len(class_names) != len(self.per_class):
            raise UserError(f"{len(class_names)} class names for {len(self.per_class)} classes: give one name a class")
        area, eleven, _ = self._keys()
        uses = Counter(class_names)
        per_class = {
            name if uses[name] == 1 else f"{name} ({class_id})": {
                area: result.ap,
                eleven: result.ap07,
                "truths": result.truths,
                "detections": result.detections,
            }
            for class_id, (name, result) in enumerate(zip(class_names, self.per_class, strict=True))
        }
        return {**self._means(), "images": self.images, "per_class": per_class}

    def _means(self) -> dict[str, float | None]:
        area, eleven, recall = self._keys()
        return {area: self.voc_ap50, eleven: self.voc07_ap50, recall: self.recall50}

    def _keys(self) -> tuple[str, str, str]:
        percent = round(100 * self.iou_threshold)
        return f"voc_ap{percent}", f"voc07_ap{percent}", f"recall{percent}"

    def __repr__(self) -> str:
        counts = counted(self.images, "image"), counted(len(self.per_class), "class", "classes")
        return f"<VocResult: {', '.join([*listed(self._means()), *counts])}>"


def listed(numbers: Mapping[str, float | None]) -> list[str]:
    """["voc_ap50 0.7123", …], for a repr; a missing number is "-"."""
    return [f"{name} {'-' if value is None else format(value, '.4f')}" for name, value in numbers.items()]


def counted(count: int, one: str, many: str = "") -> str:
    """ "1 image", "2 images", for a repr."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def interpolated_precision(recall: np.ndarray, precision: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The best precision at any recall >= each of `at` [K]; 0 where no detection gets there.

    Args:
        recall, precision: [D], after each detection, best score first (so recall never falls).
    """
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    return np.append(best_from_here, 0.0)[np.searchsorted(recall, at)]


def average_precision(recall: ArrayLike, precision: ArrayLike, method: str = "area") -> float:
    """Average precision of one curve, 0..1.

    Args:
        recall, precision: [D], after each detection, best score first; D may be 0.
        method: "area", the area under the interpolated curve (VOC from 2010 on), or "11point", the mean of the
            interpolated precision at recall 0, .1, …, 1 (VOC 2007). The eleven thresholds are the floating-point steps
            of the reference (its 0.3 is 3 × 0.1, a little above 3/10, so a recall of exactly 3/10 falls short of it).
    """
    recall, precision = np.asarray(recall, float), np.asarray(precision, float)
    if method == "area":
        return float(np.sum(np.diff(recall, prepend=0.0) * interpolated_precision(recall, precision, recall)))
    if method == "11point":
        return float(np.mean(interpolated_precision(recall, precision, ELEVEN_RECALLS)))
    raise UserError(f"average precision by {method!r} is unknown: choose 'area' or '11point'")


def match_detections(
    detections: ImageDetections, truth: GroundTruth, iou_threshold: float = 0.5, inclusive: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Judges the detections of one image.

    Args as in `evaluate_detections`, for one image.
    Returns:
        outcomes [N] int8: TRUE_POSITIVE (1), FALSE_POSITIVE (0) or IGNORED (-1, on a difficult truth or in a crowd);
        and the truth that each matches [N] int, -1 for none. A false positive may match: then a better detection had
        that truth.
    """
    return _match(detections, truth, overlaps(detections, truth, inclusive), iou_threshold)


def evaluate_detections(
    detections: Sequence[ImageDetections],
    truths: Sequence[GroundTruth],
    num_classes: int,
    iou_threshold: float = 0.5,
    inclusive: bool = False,
) -> VocResult:
    """Average precision of every class and the means.

    Args:
        detections: of each image.
        truths: of each image, in the same order.
        num_classes: how many classes there are; labels are 0 … num_classes - 1.
        iou_threshold: the IoU that makes a match, itself included.
        inclusive: False for continuous boxes; True for the devkit's whole pixels, whose width is x1 - x0 + 1.
    Raises:
        UserError: the arrays do not fit together, or a label or a score is impossible.
    """
    detections, truths = checked(detections, truths, num_classes)
    outcomes, covered = [], []
    for found, truth in zip(detections, truths, strict=True):
        shares = overlaps(found, truth, inclusive)
        outcomes.append(_match(found, truth, shares, iou_threshold)[0])
        covered.append(np.any(shares >= iou_threshold, axis=0)[~truth.difficult])
    every = gather(detections, truths, outcomes)
    per_class = class_results(every, num_classes)
    return VocResult(
        per_class=tuple(per_class),
        voc_ap50=mean_of(result.ap for result in per_class),
        voc07_ap50=mean_of(result.ap07 for result in per_class),
        recall50=mean_of(_join(covered, bool)),
        images=len(detections),
        outcomes=every,
        iou_threshold=iou_threshold,
    )


def checked(
    detections: Sequence[ImageDetections], truths: Sequence[GroundTruth], num_classes: int
) -> tuple[list[ImageDetections], list[GroundTruth]]:
    """Both as arrays of the right kind, with no field None; crowds are difficult. Errors as `evaluate_detections`."""
    if len(detections) != len(truths):
        raise UserError(f"detections of {len(detections)} images, truth of {len(truths)}: give one of each an image")
    pairs = [_check(index, *pair, num_classes) for index, pair in enumerate(zip(detections, truths, strict=True))]
    return [found for found, _ in pairs], [truth for _, truth in pairs]


def gather(
    detections: Sequence[ImageDetections], truths: Sequence[GroundTruth], outcomes: Sequence[np.ndarray]
) -> Outcomes:
    """The detections and truths of all images one after the other.

    Args:
        detections, truths: of each image, as arrays.
        outcomes: of each image what its detections were judged to be, as of `match_detections`.
    """
    true_labels = [truth.labels[~truth.difficult] for truth in truths]
    return Outcomes(
        images=np.repeat(np.arange(len(detections)), [len(found.labels) for found in detections]),
        labels=_join([found.labels for found in detections], int),
        scores=_join([found.scores for found in detections], float),
        outcomes=_join(outcomes, np.int8),
        true_images=np.repeat(np.arange(len(truths)), list(map(len, true_labels))),
        true_labels=_join(true_labels, int),
    )


def class_results(every: Outcomes, num_classes: int) -> list[ClassResult]:
    """The result of every class, of detections that have been judged."""
    order = np.lexsort((-every.scores, every.labels))
    starts = np.searchsorted(every.labels[order], np.arange(num_classes + 1))
    counts = np.bincount(every.true_labels, minlength=num_classes)
    own = [order[starts[class_id] : starts[class_id + 1]] for class_id in range(num_classes)]
    return [
        _class_result(every.scores[rows], every.outcomes[rows], int(count))
        for rows, count in zip(own, counts, strict=True)
    ]


def overlaps(detections: ImageDetections, truth: GroundTruth, inclusive: bool = False) -> np.ndarray:
    """How much every detection overlaps every truth, whatever the class: [N, M].

    Their IoU; where the truth is a crowd, the share of the detection's area that lies in it.
    """
    far_edge = np.array([0, 0, 1, 1]) if inclusive else 0
    found = np.asarray(detections.boxes_xyxy, float).reshape(-1, 4) + far_edge
    true = np.asarray(truth.boxes_xyxy, float).reshape(-1, 4) + far_edge
    shares = iou_xyxy(found[:, None], true[None])
    if len(crowds := np.flatnonzero(crowds_of(truth))):
        shares[:, crowds] = _share_inside(found[:, None], true[None, crowds])
    return shares


def _share_inside(boxes_xyxy: np.ndarray, others_xyxy: np.ndarray) -> np.ndarray:
    """Intersection over the area of the first box, 0 where that has none; [..., 4] broadcast against [..., 4]."""
    low, high = np.maximum(boxes_xyxy, others_xyxy)[..., :2], np.minimum(boxes_xyxy, others_xyxy)[..., 2:]
    area = np.prod(boxes_xyxy[..., 2:] - boxes_xyxy[..., :2], -1)
    return np.prod(np.maximum(high - low, 0), -1) / np.where(area > 0, area, np.inf)


def crowds_of(truth: GroundTruth) -> np.ndarray:
    """Which of the truths of one image are crowds: bool [M]."""
    return np.zeros(len(truth.labels), bool) if truth.crowd is None else np.asarray(truth.crowd, bool).reshape(-1)


def areas_of(truth: GroundTruth) -> np.ndarray:
    """The areas of the truths of one image [M], square pixels: as stated, else those of their boxes."""
    if truth.areas is not None:
        return np.asarray(truth.areas, float).reshape(-1)
    boxes = np.asarray(truth.boxes_xyxy, float).reshape(-1, 4)
    return np.prod(boxes[:, 2:] - boxes[:, :2], -1)


def _match(
    detections: ImageDetections, truth: GroundTruth, shares: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """As `match_detections`, from the overlaps of every detection with every truth [N, M]."""
    outcomes = np.full(len(shares), FALSE_POSITIVE, np.int8)
    if shares.size == 0:
        return outcomes, np.full(len(shares), -1)
    shares = np.where(np.asarray(detections.labels)[:, None] == np.asarray(truth.labels)[None], shares, -1)
    crowd = crowds_of(truth)
    iou, inside = np.where(crowd, -1, shares), np.where(crowd, shares, -1)
    matched = np.where(iou.max(axis=1) >= threshold, iou.argmax(axis=1), -1)
    best_first = np.argsort(-np.asarray(detections.scores), kind="stable")
    _, first = np.unique(matched[best_first], return_index=True)
    outcomes[best_first[first]] = TRUE_POSITIVE
    outcomes[matched < 0] = FALSE_POSITIVE
    outcomes[(matched >= 0) & np.asarray(truth.difficult, bool)[matched]] = IGNORED
    excused = (outcomes == FALSE_POSITIVE) & (inside.max(axis=1) >= threshold)
    outcomes[excused], matched[excused] = IGNORED, inside.argmax(axis=1)[excused]
    return outcomes, matched


def _class_result(scores: np.ndarray, outcomes: np.ndarray, truths: int) -> ClassResult:
    """The result of one class from its detections, best first, and the number of truths that count."""
    right, wrong = np.cumsum(outcomes == TRUE_POSITIVE), np.cumsum(outcomes == FALSE_POSITIVE)
    precision = right / np.maximum(right + wrong, 1)
    recall = right / truths if truths else np.full(len(right), np.nan)
    ap, ap07 = (average_precision(recall, precision, way) if truths else None for way in ("area", "11point"))
    return ClassResult(ap, ap07, recall, precision, scores, truths, len(scores))


def _check(
    index: int, detections: ImageDetections, truth: GroundTruth, num_classes: int
) -> tuple[ImageDetections, GroundTruth]:
    """Both as arrays of the right kind; `index` is the image's, for the message."""
    found = ImageDetections(
        np.asarray(detections.boxes_xyxy, float).reshape(-1, 4),
        np.asarray(detections.scores, float).reshape(-1),
        np.asarray(detections.labels, int).reshape(-1),
    )
    true = GroundTruth(
        np.asarray(truth.boxes_xyxy, float).reshape(-1, 4),
        np.asarray(truth.labels, int).reshape(-1),
        np.asarray(truth.difficult, bool).reshape(-1),
        crowds_of(truth),
        areas_of(truth),
    )
    for what, arrays in (("detections", found), ("truth", true)):
        lengths = [len(np.asarray(array)) for array in arrays]
        if len(set(lengths)) > 1:
            parts = ", ".join(f"{n} {name}" for n, name in zip(lengths, arrays._fields, strict=True))
            raise UserError(f"image {index}: {what} with {parts}: they must be equally many")
        outside = arrays.labels[(arrays.labels < 0) | (arrays.labels >= num_classes)]
        if len(outside):
            raise UserError(
                f"image {index}: {what} with label {outside[0]}, but there are {num_classes} classes "
                f"(0 to {num_classes - 1}): evaluate on the classes the detector was made for"
            )
    if np.isnan(found.scores).any():
        raise UserError(f"image {index}: a detection's score is NaN: has the training diverged?")
    return found, true._replace(difficult=true.difficult | true.crowd)


def _join(arrays: Sequence[np.ndarray], dtype: DTypeLike) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype), *arrays]).astype(dtype)


def mean_of(values: Iterable[float | None]) -> float | None:
    """The mean of the numbers among `values`; None where there are none."""
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present else None
