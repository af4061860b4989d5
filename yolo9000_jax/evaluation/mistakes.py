"""What a detector gets wrong, and what each kind of mistake costs, as TIDE defines it (arXiv 2008.08115), in NumPy.

The hundred best detections of an image are matched with its truths at IoU .5: each takes, best first, the free truth of
its class that it overlaps most. Those that take none are, by the first of these that fits,

- poorly placed: they overlap a truth of their class by .1 to .5;
- of the wrong class: they overlap a truth of another class by .5 or more;
- duplicates: they overlap a truth of their class that a better one has;
- background: they overlap nothing by more than .1;
- both: of the wrong class and poorly placed.

A truth that no detection takes, poorly placed ones and those of the wrong class included, is missed. Crowds and
difficult objects excuse what would be a mistake and lies in them by more than half.

What a kind costs is how much the average precision (at IoU .5, 101 recalls, mean over the classes that have truths or
detections) would gain if a magic hand put right these mistakes alone: the best detection of a wrong class or place that
has a free truth becomes right, all others of the kind vanish, and missed truths are no longer asked for. The costs
do not add up to anything.

With a tree a wrong class is a sibling of the true one, on another branch, too coarse (above it) or too deep (below it).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from yolo9000_jax.evaluation.coco import RECALLS
from yolo9000_jax.evaluation.voc import GroundTruth, ImageDetections, overlaps
from yolo9000_jax.wordtree.tree import WordTree

IOU_THRESHOLD, BACKGROUND_IOU = 0.5, 0.1
MOST = 100  # detections in an image
RIGHT, WRONG_CLASS, POORLY_PLACED, BOTH, DUPLICATE, BACKGROUND, EXCUSED = range(7)
KINDS = {
    "wrong_class": WRONG_CLASS,
    "poorly_placed": POORLY_PLACED,
    "both": BOTH,
    "duplicate": DUPLICATE,
    "background": BACKGROUND,
}
RELATIONS = ("sibling", "other_branch", "too_coarse", "too_deep")


class Judged(NamedTuple):
    """What the detections that count are, and which truths are missed; of one image, or of all one after the other.

    labels, scores [D]. kinds [D]: RIGHT, WRONG_CLASS, …, what a mistake is even if it is excused. excused bool [D].
    targets [D]: the truth that is found, or that a poorly placed detection, or one of the wrong class, might have been;
    else -1. places [D]: of the detections among those of their image.
    true_labels [M], counting bool [M]: no crowd, not difficult. found bool [M]: taken by a detection that is right.
    """

    labels: np.ndarray
    scores: np.ndarray
    kinds: np.ndarray
    excused: np.ndarray
    targets: np.ndarray
    places: np.ndarray
    true_labels: np.ndarray
    counting: np.ndarray
    found: np.ndarray


def judge(detections: ImageDetections, truth: GroundTruth, depths: np.ndarray | None = None) -> Judged:
    """The mistakes of one image.

    Args:
        detections, truth: as voc.checked gives them.
        depths: with a tree, how deep each class lies: of truths in one place, such as a dog that is a poodle, a wrong
            class is compared with the deepest. None: with the first.
    """
    places = np.argsort(-detections.scores, kind="stable")[:MOST]
    labels, scores = detections.labels[places], detections.scores[places]
    counting = ~(truth.difficult | truth.crowd)
    own = np.flatnonzero(counting)
    if depths is not None:
        own = own[np.argsort(-depths[truth.labels[own]], kind="stable")]
    chosen = ImageDetections(detections.boxes_xyxy[places], scores, labels)
    iou = overlaps(chosen, GroundTruth(truth.boxes_xyxy[own], truth.labels[own], truth.difficult[own]))
    same = labels[:, None] == truth.labels[own]
    kinds, targets, taken = np.full(len(labels), BACKGROUND), np.full(len(labels), -1), np.zeros(len(own), bool)
    for detection in np.flatnonzero((iou * same >= IOU_THRESHOLD).any(1)):
        shares = iou[detection] * same[detection] * ~taken
        if shares[best := shares.argmax()] >= IOU_THRESHOLD:
            kinds[detection], targets[detection], taken[best] = RIGHT, own[best], True
    if len(own):
        _name_mistakes(kinds, targets, iou, same, taken, own)
    found = np.zeros(len(counting), bool)
    found[own] = taken
    excused = (kinds != RIGHT) & _excused(chosen, truth, ~counting)
    return Judged(labels, scores, kinds, excused, targets, places, truth.labels, counting, found)


def _name_mistakes(
    kinds: np.ndarray, targets: np.ndarray, iou: np.ndarray, same: np.ndarray, taken: np.ndarray, own: np.ndarray
) -> None:
    """Sets the kinds and targets [D] of the detections that are not right, which are BACKGROUND so far.

    Args:
        kinds, targets: are changed.
        iou, same: [D, N], the overlap with each of the truths that count, and whether the class is the same.
        taken, own: [N], whether a detection has it, and its place among all truths.
    """
    same_iou, other_iou = iou * same, iou * ~same
    placed = (same_iou.max(1) >= BACKGROUND_IOU) & (same_iou.max(1) <= IOU_THRESHOLD)
    named = other_iou.max(1) >= IOU_THRESHOLD
    again = (same_iou * taken).max(1) >= IOU_THRESHOLD
    nowhere = iou.max(1) <= BACKGROUND_IOU
    wrong = kinds != RIGHT
    fits = [placed, named, again, nowhere]
    kinds[wrong] = np.select(fits, [POORLY_PLACED, WRONG_CLASS, DUPLICATE, BACKGROUND], BOTH)[wrong]
    nearest = np.select(fits[:2], [own[same_iou.argmax(1)], own[other_iou.argmax(1)]], -1)
    targets[wrong] = nearest[wrong]


def _excused(detections: ImageDetections, truth: GroundTruth, regions: np.ndarray) -> np.ndarray:
    """Which detections [D] lie by more than half in a region [M] of their class."""
    inside = GroundTruth(truth.boxes_xyxy[regions], truth.labels[regions], *[np.ones(regions.sum(), bool)] * 2)
    share = overlaps(detections, inside) * (detections.labels[:, None] == inside.labels)
    return (share > IOU_THRESHOLD).any(1)


def gather(judged: Sequence[Judged]) -> Judged:
    """Those of all images one after the other; `targets` then count through all truths."""
    columns = [np.concatenate(arrays) for arrays in zip(_NOTHING, *judged, strict=True)]
    first_true = np.cumsum([0, *(len(each.true_labels) for each in judged)])[:-1]
    shifts = np.repeat(first_true, [len(each.targets) for each in judged]).astype(int)
    every = Judged(*columns)
    return every._replace(targets=np.where(every.targets < 0, -1, every.targets + shifts))


_NOTHING = Judged(
    np.zeros(0, int),
    np.zeros(0),
    np.zeros(0, int),
    np.zeros(0, bool),
    np.zeros(0, int),
    np.zeros(0, int),
    np.zeros(0, int),
    np.zeros(0, bool),
    np.zeros(0, bool),
)


def measure(every: Judged, num_classes: int, tree: WordTree | None = None, nodes: np.ndarray | None = None) -> dict:
    """What kinds of mistakes there are in all images, and what each costs.

    Args:
        every: as `gather` gives it.
        num_classes: labels are 0 … num_classes - 1.
        tree, nodes: the tree of the classes, and the node of each.

    Returns:
        {"ap50": average precision as it is, then for each kind, "wrong_class", "poorly_placed", "both", "duplicate",
        "background" and "missed": {"count", "cost"}}; "wrong_class" has with a tree also {"relations": {"sibling",
        "other_branch", "too_coarse", "too_deep": the same}}. ap50 and cost are None where there is neither a truth
        nor a detection.
    """
    truths = np.bincount(every.true_labels[every.counting], minlength=num_classes)
    unfound = every.counting & ~every.found
    best = _best_for(every, unfound)
    missed = unfound.copy()
    missed[every.targets[best]] = False
    right, counts = every.kinds == RIGHT, ~every.excused
    ap50 = _mean_ap(every.labels[counts], every.scores[counts], right[counts], truths)

    def kind(chosen: np.ndarray) -> dict[str, Any]:
        mended = chosen & best
        labels = every.labels.copy()
        labels[mended] = every.true_labels[every.targets[mended]]
        kept = mended | (counts & ~chosen)
        return _kind(chosen, _mean_ap(labels[kept], every.scores[kept], (right | mended)[kept], truths), ap50)

    found: dict[str, Any] = {"ap50": ap50} | {name: kind(every.kinds == number) for name, number in KINDS.items()}
    if tree is not None and nodes is not None:
        wrong = every.kinds == WRONG_CLASS
        relations = np.full(len(wrong), -1)
        relations[wrong] = _relations(tree, nodes[every.labels[wrong]], nodes[every.true_labels[every.targets[wrong]]])
        found["wrong_class"]["relations"] = {name: kind(relations == place) for place, name in enumerate(RELATIONS)}
    fewer = truths - np.bincount(every.true_labels[missed], minlength=num_classes)
    without = _mean_ap(every.labels[counts], every.scores[counts], right[counts], fewer)
    return found | {"missed": _kind(missed, without, ap50)}


def _kind(chosen: np.ndarray, mended: float | None, ap50: float | None) -> dict[str, Any]:
    cost = None if ap50 is None or mended is None else max(mended - ap50, 0.0)
    return {"count": int(chosen.sum()), "cost": cost}


def _best_for(every: Judged, unfound: np.ndarray) -> np.ndarray:
    """The best detection of each truth that none has found, of those poorly placed or of the wrong class: bool [D]."""
    best = np.zeros(len(every.targets), bool)
    candidates = np.flatnonzero((every.kinds != RIGHT) & (every.targets >= 0))
    candidates = candidates[unfound[every.targets[candidates]]]
    candidates = candidates[np.argsort(-every.scores[candidates], kind="stable")]
    best[candidates[np.unique(every.targets[candidates], return_index=True)[1]]] = True
    return best


def _mean_ap(labels: np.ndarray, scores: np.ndarray, right: np.ndarray, truths: np.ndarray) -> float | None:
    """The mean over the classes that have a truth or a detection; that of one without truths is 0."""
    present = np.flatnonzero(np.bincount(labels, minlength=len(truths)) + truths)
    order = np.lexsort((-scores, labels))
    bounds = np.searchsorted(labels[order], np.arange(len(truths) + 1))
    values = [_ap(right[order[bounds[label] : bounds[label + 1]]], truths[label]) for label in present]
    return float(np.mean(values)) if values else None


def _ap(right: np.ndarray, truths: int) -> float:
    if truths == 0:
        return 0.0
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    best_from_here = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(best_from_here[np.searchsorted(hits / truths, RECALLS)].mean())


def _relations(tree: WordTree, found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """How each node found stands to the true one: int [N], a place in RELATIONS."""
    pairs = set(zip(found.tolist(), true.tolist(), strict=True))
    known = {pair: RELATIONS.index(relation(tree, *pair)) for pair in pairs}
    return np.array([known[pair] for pair in zip(found.tolist(), true.tolist(), strict=True)], int)


def relation(tree: WordTree, found: int, true: int) -> str:
    """How a wrong node stands to the true one: one of RELATIONS."""
    if found in tree.ancestors(true):
        return "too_coarse"
    if true in tree.ancestors(found):
        return "too_deep"
    return "sibling" if tree.parents[found] == tree.parents[true] else "other_branch"
