"""How well a detector with a WordTree names what it finds, apart from how well it finds it.

A YOLO9000 detector is shown boxes of "leukocyte" and pictures of "neutrophil" without boxes. Of the boxes it finds, how
many does it call by the finer name, and which names does it confuse?
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from yolo9000_jax.boxes.geometry import iou_xyxy
from yolo9000_jax.data.table import Record
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.classes import SharedClasses
from yolo9000_jax.evaluation.models import DetectorResult
from yolo9000_jax.hosts import of_all
from yolo9000_jax.wordtree.tree import WordTree

UNDECIDED, OTHER, MISSED = "undecided", "other", "missed"
SCORE_THRESHOLD = 0.25  # of the detections whose names are compared
NO_GROUPS = "no class of the data set lies below another in the tree: name the nodes to look below, groups=[…]"


class NamingConfusion:
    """Compares, picture by picture, the names that a detector gave going down its tree with the true ones.

    A detection belongs to the object, of those that no better detection has, that it overlaps most, whatever the two
    are called. Truths with the same box are one object, called by its deepest name. The objects that count are those
    with a lowest class of the data set; they fall into groups, by the node that they are below.

    Args:
        tree: of the detector.
        dataset_classes: names of all the data set's classes.
        classes: those that are nodes of the tree.
        groups: names or synsets of the nodes. None: the data set's own classes that have others of it below.
        score_threshold: the detections above it are compared.
        iou_threshold: the least overlap of a detection with its object.

    Raises:
        UserError: a group is none of the tree's nodes or has no class of the data set below it, or there is no group.
    """

    def __init__(
        self,
        tree: WordTree,
        dataset_classes: Sequence[str],
        classes: SharedClasses,
        groups: Sequence[str] | None = None,
        *,
        score_threshold: float = SCORE_THRESHOLD,
        iou_threshold: float = 0.5,
    ):
        self._tree = tree
        self._score_threshold, self._iou_threshold = score_threshold, iou_threshold
        self._names = dict(zip(classes.model_labels.tolist(), classes.names, strict=True))
        self._nodes = np.full(len(dataset_classes), -1)
        self._nodes[classes.dataset_labels] = classes.model_labels
        self._members = _group_members(tree, list(self._names), groups)
        self._group_of = {node: group for group, members in self._members.items() for node in members}
        self._matrices = {g: np.zeros((len(m), len(m) + 3), int) for g, m in self._members.items()}
        self._images = 0

    def add(self, record: Record, result: DetectorResult) -> None:
        """Counts one picture: what is in it, and what the detector found going down the tree."""
        self._images += 1
        sure = result.scores > self._score_threshold
        boxes_xyxy, found_nodes = result.boxes_xyxy[sure], result.labels[sure]
        true_xyxy, true_nodes, difficult = _objects(record, self._nodes, self._tree)
        owners = assign(boxes_xyxy, true_xyxy, self._iou_threshold)
        for true_node, owner, is_difficult in zip(true_nodes, owners, difficult, strict=True):
            if true_node in self._group_of and not is_difficult:
                group = self._group_of[true_node]
                members = self._members[group]
                found = None if owner < 0 else int(found_nodes[owner])
                column = _column(self._tree, members, true_node, found)
                self._matrices[group][members.index(true_node), column] += 1

    def join_hosts(self) -> None:
        """Adds what the other hosts have counted, each its own pictures."""
        counts = {str(group): matrix for group, matrix in self._matrices.items()}
        shares = of_all(lambda: counts | {"images": np.array(self._images)})
        self._matrices = {group: np.sum([share[str(group)] for share in shares], 0) for group in self._matrices}
        self._images = int(sum(share["images"] for share in shares))

    def metrics(self) -> dict[str, Any]:
        """The counts so far.

        Returns:
            {"images", "truths", "detected", "right", "right_of_detected", "right_of_all", "most_common_of_all",
            "groups"}. Counts of objects and shares of them; the last is the share that answering the group's most
            common name always would have right. "groups" has a dict for each with the same numbers, "name", and the
            confusion "matrix": a row for each true name ("rows"), its columns ("columns") those names, "undecided" (the
            detector stopped above the true name), "other" (any other node) and "missed" (not detected). Difficult
            truths do not count.
        """
        groups = [
            _group_metrics(self._tree.names[group], [self._names[node] for node in members], self._matrices[group])
            for group, members in self._members.items()
        ]
        return {"images": self._images} | _shares(list(self._matrices.values())) | {"groups": groups}


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


def _objects(record: Record, nodes: np.ndarray, tree: WordTree) -> tuple[np.ndarray, list[int], list[bool]]:
    """A picture's boxes, each once, the deepest node of each (-1 if the tree has none), and whether it is difficult."""
    deepest: dict[tuple[float, ...], tuple[int, int, bool]] = {}
    for box, label, difficult in zip(record.boxes_xyxy.tolist(), record.labels, record.difficult, strict=True):
        node = int(nodes[label])
        depth = -1 if node < 0 else int(tree.depths[node])
        named = (depth, node, bool(difficult))
        deepest[tuple(box)] = max(deepest.get(tuple(box), named), named)
    boxes = np.array(list(deepest), np.float32).reshape(-1, 4)
    return boxes, [node for _, node, _ in deepest.values()], [difficult for *_, difficult in deepest.values()]


def _column(tree: WordTree, members: list[int], true_node: int, found: int | None) -> int:
    """The column of the confusion matrix for an object that was called `found`, None if it was not detected."""
    if found is None:
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
    return {
        "truths": truths,
        "detected": detected,
        "right": right,
        "right_of_detected": right / detected if detected else None,
        "right_of_all": right / truths if truths else None,
        "most_common_of_all": most_common / truths if truths else None,
    }
