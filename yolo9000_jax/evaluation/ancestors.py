"""How right answers on a tree are, by the nodes above them: sets of ancestors, severity of mistakes, hierarchical AP.

A root that is alone is above everything and says nothing: it counts nowhere, as Open Images' "Entity" does not. What an
answer says below the true node cannot be judged: an answer there is taken for the true node itself.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from yolo9000_jax.evaluation.voc import GroundTruth, ImageDetections, evaluate_detections
from yolo9000_jax.wordtree.tree import WordTree

NOTHING = -1  # in place of a node: no answer, or no object


def is_above(tree: WordTree, above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Whether the first node lies on the path to the second (or is it), for arrays that broadcast."""
    return (tree.paths[below] == above[..., None]).any(-1)


def set_scores(tree: WordTree, found: np.ndarray, true: np.ndarray, counts: np.ndarray) -> dict[str, float | None]:
    """Hierarchical precision, recall and F1 (Kiritchenko et al. 2006): answer and truth are sets, each node with all
    above it, and precision and recall are shares of the nodes of all these sets together.

    Args:
        tree: of the nodes.
        found, true: int [N], nodes; NOTHING where nothing was found, or where nothing is.
        counts: int [N], how often each pair came up.

    Returns:
        {"precision", "recall", "f1"}; None where there is no answer, or no truth, to take a share of.
    """
    found, sizes = np.where(_is_below(tree, found, true), true, found), _set_sizes(tree)
    shared = np.sum(counts * _shared(tree, found, true))
    answered, wanted = np.sum(counts * sizes[found]), np.sum(counts * sizes[true])
    return {
        "precision": float(shared / answered) if answered else None,
        "recall": float(shared / wanted) if wanted else None,
        "f1": float(2 * shared / (answered + wanted)) if answered + wanted else None,
    }


def severity(tree: WordTree, found: np.ndarray, true: np.ndarray, counts: np.ndarray) -> dict[str, Any]:
    """How severe wrong answers are: the height of the lowest node above both (Bertinetto et al., arXiv 1912.09393).

    A node's height is the number of steps to the farthest leaf below it, so that of a leaf is 0. An answer above the
    true node says less and nothing wrong, and is no mistake. Two roots have the tree itself above them.

    Args:
        tree, found, true, counts: as for `set_scores`, without NOTHING.

    Returns:
        {"wrong": how many, "mean": of their heights, None without any, "heights": {height: how many have it}}.
    """
    wrong = ~_is_below(tree, found, true) & ~is_above(tree, found, true)
    found, true, counts = found[wrong], true[wrong], counts[wrong]
    depths = (tree.paths[found] == tree.paths[true]) & (tree.paths[found] >= 0)
    lowest = tree.paths[true, np.maximum(depths.sum(1) - 1, 0)]
    each = np.where(depths.any(1), heights(tree)[lowest], tree.levels)
    by_height = np.bincount(each, counts).astype(int) if len(each) else np.zeros(0, int)
    return {
        "wrong": int(counts.sum()),
        "mean": float(np.average(each, weights=counts)) if counts.sum() else None,
        "heights": {str(height): int(count) for height, count in enumerate(by_height) if count},
    }


def heights(tree: WordTree) -> np.ndarray:
    """[n] int: the number of steps from each node down to the farthest leaf below it."""
    found = np.zeros(len(tree), int)
    for node in range(len(tree) - 1, -1, -1):  # parents come before their children
        if (parent := tree.parents[node]) >= 0:
            found[parent] = max(found[parent], found[node] + 1)
    return found


def with_ancestors(tree: WordTree, nodes: Sequence[int] | np.ndarray) -> np.ndarray:
    """The nodes, and behind them what is above any of them and counts: int [N]."""
    own = list(map(int, nodes))
    above = {ancestor for node in own for ancestor in tree.ancestors(node)} - set(own) - _lone_root(tree)
    return np.array([*own, *sorted(above)], int)


def hierarchical_ap(
    tree: WordTree, nodes: np.ndarray, detections: Sequence[ImageDetections], truths: Sequence[GroundTruth]
) -> dict[str, Any]:
    """Average precision at IoU .5 where a truth counts for all that is above it too, as Open Images' challenge has it.

    Other than there, what is below the deepest label of an object cannot be judged: a detection of it there is ignored.

    Open Images scores a box for a class by what the detector says of that class, and lists that say a fine class must
    say those above it as well; here a node's score is objectness times its absolute probability, which does so.

    Args:
        tree: of the nodes.
        nodes: [N], as `with_ancestors` gives them.
        detections: of each picture; labels are places in `nodes`.
        truths: of each picture; labels are places in `nodes`. Truths of the same box are one object.

    Returns:
        {"ap50": the mean over the nodes that have truths, None without any, "nodes": for each of these, in the order of
        the tree, {"name", "synset", "ap50", "truths"}}.
    """
    chosen = nodes[~np.isin(nodes, list(_lone_root(tree)))]
    places = np.full(len(tree), -1)
    places[chosen] = np.arange(len(chosen))
    found = [_relabelled(each, places[nodes[each.labels]]) for each in detections]
    result = evaluate_detections(found, [_expanded(tree, nodes, each, places) for each in truths], len(chosen))
    rows = [
        {"name": tree.names[node], "synset": tree.synsets[node], "ap50": each.ap, "truths": each.truths}
        for node, each in sorted(zip(chosen.tolist(), result.per_class, strict=True), key=lambda pair: pair[0])
        if each.ap is not None
    ]
    return {"ap50": result.voc_ap50, "nodes": rows}


def _relabelled(found: ImageDetections, labels: np.ndarray) -> ImageDetections:
    kept = labels >= 0
    return ImageDetections(found.boxes_xyxy[kept], found.scores[kept], labels[kept])


def _expanded(tree: WordTree, nodes: np.ndarray, truth: GroundTruth, places: np.ndarray) -> GroundTruth:
    """The truths of a picture, each box once for every node on its paths; difficult, or a crowd, if all of it are.

    For the nodes below its deepest labels a box is difficult, so that detections of it as one of these are ignored.
    """
    crowd = np.zeros(len(truth.labels), bool) if truth.crowd is None else truth.crowd
    rows: dict[tuple[tuple[float, ...], int], tuple[bool, bool]] = {}
    for box, label, flags in zip(
        truth.boxes_xyxy.tolist(), truth.labels, zip(truth.difficult, crowd, strict=True), strict=True
    ):
        for node in tree.path(int(nodes[label])):
            if places[node] >= 0:
                key = (tuple(box), int(places[node]))
                before = rows.get(key, flags)
                rows[key] = (bool(before[0] and flags[0]), bool(before[1] and flags[1]))
    labels: dict[tuple[float, ...], set[int]] = {}
    for box, label in zip(truth.boxes_xyxy.tolist(), truth.labels, strict=True):
        labels.setdefault(tuple(box), set()).add(int(nodes[label]))
    for box, named in labels.items():
        deepest = named - {ancestor for node in named for ancestor in tree.ancestors(node)}
        for node in np.flatnonzero(places >= 0).tolist():
            if not deepest.isdisjoint(tree.ancestors(node)):
                rows.setdefault((box, int(places[node])), (True, False))
    return GroundTruth(
        np.array([box for box, _ in rows], np.float32).reshape(-1, 4),
        np.array([label for _, label in rows], int),
        np.array([difficult for difficult, _ in rows.values()], bool),
        np.array([is_crowd for _, is_crowd in rows.values()], bool),
    )


def _lone_root(tree: WordTree) -> set[int]:
    return {0} if tree.group_sizes[0] == 1 else set()


def _set_sizes(tree: WordTree) -> np.ndarray:
    """[n + 1]: how many nodes count on the path to each node; 0 at NOTHING."""
    return np.append(tree.depths + 1 - len(_lone_root(tree)), 0)


def _shared(tree: WordTree, found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """How many nodes that count the two paths share: int [N]."""
    same = (tree.paths[found] == tree.paths[true]) & (tree.paths[true] >= 0)
    shared = same.sum(1) - len(_lone_root(tree))
    return np.where((found == NOTHING) | (true == NOTHING), 0, shared)


def _is_below(tree: WordTree, found: np.ndarray, true: np.ndarray) -> np.ndarray:
    return (found != NOTHING) & (true != NOTHING) & is_above(tree, true, found)
