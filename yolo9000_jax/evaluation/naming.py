"""How well a detector with a WordTree names what it finds, apart from how well it finds it.

A YOLO9000 detector is shown boxes of "leukocyte" and pictures of "neutrophil" without boxes. Of the boxes it finds, how
many does it call by the finer name, and which names does it confuse?
"""

from collections.abc import Sequence

import numpy as np

from yolo9000_jax.boxes.geometry import iou_xyxy
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.detection import matched_classes, read_ahead
from yolo9000_jax.predict.detector import Detector
from yolo9000_jax.wordtree.tree import WordTree

UNDECIDED, OTHER, MISSED = "undecided", "other", "missed"
NO_GROUPS = "no class of the data set lies below another in the tree: name the nodes to look below, groups=[…]"


def naming_confusion(
    detector: Detector,
    dataset,
    threshold: float = 0.25,
    hierarchical_threshold: float = 0.5,
    *,
    groups: Sequence[str] | None = None,
    nms_threshold: float = 0.45,
    iou_threshold: float = 0.5,
    batch_size: int = 8,
    say=None,
) -> dict:
    """Detects in every picture, going down the tree, and compares the names of what was found with the true ones.

    A detection belongs to the object, of those that no better detection has, that it overlaps most, whatever the two
    are called. Truths with the same box are one object, called by its deepest name. What is judged are the objects
    with a lowest class of the data set; they fall into groups, by the node that they are below.

    Args:
        detector: one with a tree.
        dataset: records with boxes.
        threshold, hierarchical_threshold, nms_threshold: as for a call of the detector.
        groups: names or synsets of the nodes. None: the data set's own classes that have others of it below.
        iou_threshold: the least overlap of a detection with its object.
        batch_size: of the detector.
        say: called with a line of text about classes left out.

    Returns:
        {"images", "truths", "detected", "right", "right_of_detected", "right_of_all", "most_common_of_all", "groups"}.
        Counts of objects and shares of them; the last is the share that answering the group's most common name always
        would have right. "groups" has a dict for each with the same numbers, "name", and the confusion "matrix": a
        row for each true name ("rows"), its columns ("columns") those names, "undecided" (the detector stopped above
        the true name), "other" (any other node) and "missed" (not detected). Difficult truths do not count.

    Raises:
        UserError: the detector has no tree, a group is none of its nodes or has no class of the data set below it, or
            there is no group at all; a picture cannot be read, or the classes do not fit (labels.match_classes).
    """
    tree = detector.tree
    if tree is None:
        raise UserError("the detector's classes form no tree, so there are no finer and coarser names to compare")
    matched, _ = matched_classes(detector, dataset, say)
    names = {node: dataset.classes[label] for label, node in matched}
    nodes = np.full(len(dataset.classes), -1)
    nodes[[label for label, _ in matched]] = list(names)
    families = _families(tree, list(names), groups)
    top_of = {node: top for top, family in families.items() for node in family}
    matrices = {top: np.zeros((len(family), len(family) + 3), int) for top, family in families.items()}
    results = detector.stream(
        read_ahead(dataset, batch_size),
        threshold=threshold,
        nms=nms_threshold,
        hierarchical_threshold=hierarchical_threshold,
        batch_size=batch_size,
    )
    for index, result in enumerate(results):
        boxes_xyxy, true_nodes, difficult = _objects(dataset[index], nodes, tree)
        owners = assign(result.boxes_xyxy, boxes_xyxy, iou_threshold)
        for true_node, owner, hard in zip(true_nodes, owners, difficult, strict=True):
            if true_node in top_of and not hard:
                top = top_of[true_node]
                found = None if owner < 0 else int(result.classes[owner])
                matrices[top][families[top].index(true_node), _column(tree, families[top], true_node, found)] += 1
    groups = [_group(tree.names[top], [names[node] for node in families[top]], matrices[top]) for top in families]
    return {"images": len(dataset)} | _shares(list(matrices.values())) | {"groups": groups}


def has_groups(detector: Detector, dataset) -> bool:
    """Whether some classes of the data set lie below others in the detector's tree, so that they can be confused."""
    matched, _ = matched_classes(detector, dataset)
    nodes = {node for _, node in matched}
    return any(not nodes.isdisjoint(detector.tree.ancestors(node)) for node in nodes)


def assign(found_xyxy, true_xyxy, iou_threshold: float) -> np.ndarray:
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
    for place, iou in enumerate(iou_xyxy(np.asarray(found_xyxy)[:, None], np.asarray(true_xyxy)[None])):
        free = np.where(owners < 0, iou, -1)
        if free.max() >= iou_threshold:
            owners[free.argmax()] = place
    return owners


def _families(tree: WordTree, nodes: list[int], groups) -> dict[int, list[int]]:
    """The lowest of `nodes`, in their order, by the first node above each that is a group's."""
    families = {} if groups is None else {tree.find(group): [] for group in groups}
    tops = set(families) if groups is not None else set(nodes)
    above = {ancestor for node in nodes for ancestor in tree.ancestors(node)}
    for node in nodes:
        top = next((ancestor for ancestor in tree.ancestors(node) if ancestor in tops), None)
        if node not in above and top is not None:
            families.setdefault(top, []).append(node)
    for top, family in families.items():
        if not family:
            raise UserError(f"group {tree.names[top]!r}: no class of the data set lies below it; name a node above one")
    if not families:
        raise UserError(NO_GROUPS)
    return families


def _objects(record, nodes: np.ndarray, tree: WordTree) -> tuple[np.ndarray, list[int], list[bool]]:
    """A picture's boxes, each once, the deepest node of each (-1 if the tree has none), and whether it is difficult."""
    deepest = {}
    for box, label, hard in zip(record.boxes_xyxy, record.labels, record.difficult, strict=True):
        node = int(nodes[label])
        depth = -1 if node < 0 else int(tree.depths[node])
        deepest[tuple(box)] = max(deepest.get(tuple(box), (-2,)), (depth, node, bool(hard)))
    boxes = np.array(list(deepest), np.float32).reshape(-1, 4)
    return boxes, [node for _, node, _ in deepest.values()], [hard for *_, hard in deepest.values()]


def _column(tree: WordTree, family: list[int], true_node: int, found: int | None) -> int:
    """The column of the confusion matrix for an object that was called `found`, None if it was not detected."""
    if found is None:
        return len(family) + 2
    named = next((node for node in tree.path(found) if node in family), None)
    if named is not None:
        return family.index(named)
    return len(family) + (0 if found in tree.ancestors(true_node) else 1)


def _group(name: str, rows: list[str], matrix: np.ndarray) -> dict:
    table = {"rows": rows, "columns": [*rows, UNDECIDED, OTHER, MISSED], "matrix": matrix.tolist()}
    return {"name": name} | _shares([matrix]) | table


def _shares(matrices: list[np.ndarray]) -> dict:
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
