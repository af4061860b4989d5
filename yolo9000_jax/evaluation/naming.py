"""How well a detector with a WordTree names what it finds, apart from how well it finds it.

A YOLO9000 detector is shown boxes of "leukocyte" and pictures of "neutrophil" without boxes. Of the boxes it finds, how
many does it call by the finer name, which names does it confuse, and how far off are the wrong ones?
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from yolo9000_jax.boxes.geometry import iou_xyxy
from yolo9000_jax.data.table import Record
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.ancestors import NOTHING, is_above, set_scores, severity
from yolo9000_jax.evaluation.classes import SharedClasses
from yolo9000_jax.evaluation.models import DetectorResult
from yolo9000_jax.evaluation.voc import GroundTruth, ImageDetections, overlaps
from yolo9000_jax.hosts import of_all
from yolo9000_jax.wordtree.tree import WordTree

UNDECIDED, OTHER, MISSED = "undecided", "other", "missed"
SCORE_THRESHOLD = 0.25  # of the detections whose names are compared
EXCUSED_SHARE = 0.5  # of a detection, in a difficult object or a crowd
NO_GROUPS = "no class of the data set lies below another in the tree: name the nodes to look below, groups=[…]"


class NamedObjects:
    """Counts, picture by picture, by which node a detector, going down its tree, called each object.

    A detection belongs to the object, of those that no better detection has, that it overlaps most, whatever the two
    are called. Truths with the same box are one object, called by its deepest name. Those that are difficult, crowds,
    or of no class of the tree do not count, and nor do the detections that they have or that lie in them.

    Args:
        tree: of the detector.
        dataset_classes: names of all the data set's classes.
        classes: those that are nodes of the tree.
        score_threshold: the detections above it are compared.
        iou_threshold: the least overlap of a detection with its object.

    Attributes:
        images: how many pictures were counted.
        pairs: {(true node, node found): how often}; NOTHING is found of an object that is missed, and is true of a
            detection that belongs to none.
    """

    def __init__(
        self,
        tree: WordTree,
        dataset_classes: Sequence[str],
        classes: SharedClasses,
        *,
        score_threshold: float = SCORE_THRESHOLD,
        iou_threshold: float = 0.5,
    ):
        self._tree = tree
        self._score_threshold, self._iou_threshold = score_threshold, iou_threshold
        self._nodes = np.full(len(dataset_classes), NOTHING)
        self._nodes[classes.dataset_labels] = classes.model_labels
        self.images = 0
        self.pairs: Counter[tuple[int, int]] = Counter()

    def add(self, record: Record, result: DetectorResult) -> None:
        """Counts one picture: what is in it, and what the detector found going down the tree."""
        self.images += 1
        sure = result.scores > self._score_threshold
        boxes_xyxy, found_nodes = result.boxes_xyxy[sure], result.labels[sure]
        true_xyxy, true_nodes, counting = _objects(record, self._nodes, self._tree)
        owners = assign(boxes_xyxy, true_xyxy, self._iou_threshold)
        for true_node, owner in zip(true_nodes[counting].tolist(), owners[counting].tolist(), strict=True):
            self.pairs[true_node, NOTHING if owner < 0 else int(found_nodes[owner])] += 1
        unowned = ~np.isin(np.arange(len(found_nodes)), owners)
        excused = _lie_in(boxes_xyxy[unowned], true_xyxy[~counting])
        self.pairs.update((NOTHING, int(node)) for node in found_nodes[unowned][~excused])

    def join_hosts(self) -> None:
        """Adds what the other hosts have counted, each its own pictures."""

        def counts() -> dict[str, np.ndarray]:
            rows = [(*pair, count) for pair, count in self.pairs.items()]
            return {"rows": np.array(rows, np.int64).reshape(-1, 3), "images": np.array(self.images)}

        shares = of_all(counts)
        self.images = int(sum(share["images"] for share in shares))
        self.pairs = Counter()
        for share in shares:
            for true_node, found, count in share["rows"].tolist():
                self.pairs[true_node, found] += count

    def metrics(self) -> dict[str, Any]:
        """How near the names are to the true ones, by the tree (see ancestors.py).

        Returns:
            {"objects", "found", "right", "undecided", "right_of_found", "balanced_of_found", "of_found", "of_all",
            "severity"}. Counts of objects; of those found, "right" are called by their class or a node below it,
            "undecided" by a node above it. "balanced_of_found" is the mean over the classes of the share that is right.
            "of_found": hierarchical {"precision", "recall", "f1"} of the names of objects found; "of_all" of all
            objects and detections: one that is missed has no name, a detection that is no object's no true one.
            "severity": of the wrong names of objects found (ancestors.severity).
        """
        true, found, counts = np.array([(*pair, n) for pair, n in self.pairs.items()], int).reshape(-1, 3).T
        both = (true != NOTHING) & (found != NOTHING)
        pair = self._tree, found[both], true[both], counts[both]
        right = is_above(self._tree, true[both], found[both])
        undecided = ~right & is_above(self._tree, found[both], true[both])
        total, hits = (np.bincount(true[both], counts[both] * chosen) for chosen in (np.ones_like(right), right))
        return {
            "objects": int(counts[true != NOTHING].sum()),
            "found": int(counts[both].sum()),
            "right": int(counts[both][right].sum()),
            "undecided": int(counts[both][undecided].sum()),
            "right_of_found": float(hits.sum() / total.sum()) if total.sum() else None,
            "balanced_of_found": float(np.mean(hits[total > 0] / total[total > 0])) if total.sum() else None,
            "of_found": set_scores(*pair),
            "of_all": set_scores(self._tree, found, true, counts),
            "severity": severity(*pair),
        }


class NamingConfusion:
    """Which of the finer names of a group a detector gives for which.

    The objects that count are those with a lowest class of the data set; they fall into groups, by the node that they
    are below.

    Args:
        tree: of the detector.
        classes: those of the data set that are nodes of the tree.
        groups: names or synsets of the nodes. None: the data set's own classes that have others of it below.

    Raises:
        UserError: a group is none of the tree's nodes or has no class of the data set below it, or there is no group.
    """

    def __init__(self, tree: WordTree, classes: SharedClasses, groups: Sequence[str] | None = None):
        self._tree = tree
        self._names = dict(zip(classes.model_labels.tolist(), classes.names, strict=True))
        self._members = _group_members(tree, list(self._names), groups)

    def metrics(self, named: NamedObjects) -> dict[str, Any]:
        """The numbers of the objects that were counted.

        Returns:
            {"images", "truths", "detected", "right", "right_of_detected", "balanced_of_detected", "right_of_all",
            "most_common_of_all", "groups"}. Counts of objects and shares of them; the balanced one is the mean over the
            true names, the last is the share that answering the group's most common name always would have right.
            "groups" has a dict for each with the same numbers, "name", and the confusion "matrix": a row for each true
            name ("rows"), its columns ("columns") those names, "undecided" (the detector stopped above the true name),
            "other" (any other node) and "missed" (not detected).
        """
        matrices = [self._matrix(members, named.pairs) for members in self._members.values()]
        groups = [
            _group_metrics(self._tree.names[group], [self._names[node] for node in members], matrix)
            for (group, members), matrix in zip(self._members.items(), matrices, strict=True)
        ]
        return {"images": named.images} | _shares(matrices) | {"groups": groups}

    def _matrix(self, members: list[int], pairs: Counter[tuple[int, int]]) -> np.ndarray:
        matrix = np.zeros((len(members), len(members) + 3), int)
        for (true_node, found), count in pairs.items():
            if true_node in members:
                matrix[members.index(true_node), _column(self._tree, members, true_node, found)] += count
        return matrix


def has_groups(tree: WordTree, classes: SharedClasses) -> bool:
    """Whether some classes of the data set lie below others in the tree, so that finer names can be confused."""
    nodes = set(classes.model_labels.tolist())
    return any(not nodes.isdisjoint(tree.ancestors(node)) for node in nodes)


def assign(found_xyxy: np.ndarray, true_xyxy: np.ndarray, iou_threshold: float) -> np.ndarray:
    """Which detection has each object: the best first takes the free object that it overlaps most.

    Args:
        found_xyxy: detections [D, 4], best first.
        true_xyxy: objects [M, 4].
        iou_threshold: the least overlap.

    Returns:
        int [M], the place of its detection or -1.
    """
    owners = np.full(len(true_xyxy), -1)
    if not len(true_xyxy):
        return owners
    iou = iou_xyxy(np.asarray(found_xyxy)[:, None], np.asarray(true_xyxy)[None])
    for place in np.flatnonzero((iou >= iou_threshold).any(1)):
        free = np.where(owners < 0, iou[place], -1)
        if free.max() >= iou_threshold:
            owners[free.argmax()] = place
    return owners


def _group_members(tree: WordTree, nodes: list[int], groups: Sequence[str] | None) -> dict[int, list[int]]:
    """The lowest of `nodes`, in their order, by the first node above each that is a group's."""
    members: dict[int, list[int]] = {} if groups is None else {tree.find(group): [] for group in groups}
    possible = set(nodes) if groups is None else set(members)
    inner = {ancestor for node in nodes for ancestor in tree.ancestors(node)}
    for node in nodes:
        group = next((ancestor for ancestor in tree.ancestors(node) if ancestor in possible), None)
        if node not in inner and group is not None:
            members.setdefault(group, []).append(node)
    for group, of_group in members.items():
        if not of_group:
            name = tree.names[group]
            raise UserError(f"group {name!r}: no class of the data set lies below it; name a node above one")
    if not members:
        raise UserError(NO_GROUPS)
    return members


def _objects(record: Record, nodes: np.ndarray, tree: WordTree) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture's boxes, each once, the deepest node of each (NOTHING if the tree has none), and whether it counts."""
    crowd = np.zeros(len(record.labels), bool) if record.crowd is None else record.crowd
    deepest: dict[tuple[float, ...], tuple[int, int, bool]] = {}
    for box, label, uncertain in zip(record.boxes_xyxy.tolist(), record.labels, record.difficult | crowd, strict=True):
        node = int(nodes[label])
        depth = -1 if node == NOTHING else int(tree.depths[node])
        named = (depth, node, bool(uncertain))
        deepest[tuple(box)] = max(deepest.get(tuple(box), named), named)
    rows = list(deepest.values())
    boxes = np.array(list(deepest), np.float32).reshape(-1, 4)
    counting = np.array([node != NOTHING and not uncertain for _, node, uncertain in rows], bool)
    return boxes, np.array([node for _, node, _ in rows], int), counting


def _lie_in(boxes_xyxy: np.ndarray, regions_xyxy: np.ndarray) -> np.ndarray:
    """Which boxes [N, 4] lie by more than half in one of the regions [M, 4]: bool [N]."""
    labels, yes = np.zeros(len(regions_xyxy), int), np.ones(len(regions_xyxy), bool)
    found = ImageDetections(boxes_xyxy, np.zeros(len(boxes_xyxy)), np.zeros(len(boxes_xyxy), int))
    return np.any(overlaps(found, GroundTruth(regions_xyxy, labels, yes, crowd=yes)) > EXCUSED_SHARE, axis=1)


def _column(tree: WordTree, members: list[int], true_node: int, found: int) -> int:
    """The column of the confusion matrix for an object that was called `found`, NOTHING if it was not detected."""
    if found == NOTHING:
        return len(members) + 2
    named = next((node for node in tree.path(found) if node in members), None)
    if named is not None:
        return members.index(named)
    return len(members) + (0 if found in tree.ancestors(true_node) else 1)


def _group_metrics(name: str, rows: list[str], matrix: np.ndarray) -> dict[str, Any]:
    """The numbers of one group, as in `NamingConfusion.metrics`."""
    table = {"rows": rows, "columns": [*rows, UNDECIDED, OTHER, MISSED], "matrix": matrix.tolist()}
    return {"name": name} | _shares([matrix]) | table


def _shares(matrices: list[np.ndarray]) -> dict[str, Any]:
    """Counts and shares over the matrices of some groups."""
    truths = int(sum(matrix.sum() for matrix in matrices))
    detected = truths - int(sum(matrix[:, -1].sum() for matrix in matrices))
    right = int(sum(np.trace(matrix) for matrix in matrices))
    most_common = int(sum(matrix.sum(1).max() for matrix in matrices))
    found = np.concatenate([matrix[:, :-1].sum(1) for matrix in matrices])
    hits = np.concatenate([np.diagonal(matrix) for matrix in matrices])
    return {
        "truths": truths,
        "detected": detected,
        "right": right,
        "right_of_detected": right / detected if detected else None,
        "balanced_of_detected": float(np.mean(hits[found > 0] / found[found > 0])) if detected else None,
        "right_of_all": right / truths if truths else None,
        "most_common_of_all": most_common / truths if truths else None,
    }
