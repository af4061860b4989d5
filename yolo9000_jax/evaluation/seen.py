"""Classes whose boxes a detector was trained on, and the others: the paper's 19.7 and 16.0 mAP (section 4).

The paper speaks of 44 classes of ImageNet's detection task that are in COCO and of 156 that are not, and gives no rule.
In the maps that were released, no rule gives 44: hence three are reported, each with its classes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from yolo9000_jax.data.records import Dataset
from yolo9000_jax.evaluation.classes import SharedClasses
from yolo9000_jax.evaluation.models import Detector
from yolo9000_jax.evaluation.voc import mean_of
from yolo9000_jax.labels import canonical
from yolo9000_jax.wordtree.tree import WordTree

# When a class counts as seen; the last two with a tree only. Of the released maps: 38, 56 and 57 of ImageNet's 200.
RULES = {
    "same": "it had boxes itself",
    "below": "it or a class above it had boxes",
    "related": "it or a class above or below it had boxes",
}

Scores = Mapping[str, Sequence[float | None]]  # {name of a metric: its value for each shared class}


def seen_and_unseen(
    scores: Scores, seen: Sequence[str], detector: Detector, dataset: Dataset, classes: SharedClasses
) -> dict[str, Any]:
    """The means over the classes that were trained with boxes and over the others, and which these are.

    Args:
        scores: of each shared class.
        seen: names or synsets of the classes that were trained with boxes.

    Returns:
        {"voc_ap50_seen", "voc_ap50_unseen", "seen_classes", "unseen_classes"}, the first two for each of `scores`, by
        the rule "same"; with a tree also "seen_rules": the same for each of RULES.
    """
    known = {canonical(name) for name in seen} | set(seen)
    same = _were_seen(known, detector, dataset, classes)
    metrics = _divided(scores, classes, same)
    if detector.tree is not None:
        nodes = _nodes(known, detector)
        below, related = seen_nodes(detector.tree, nodes, classes.model_labels.tolist())
        rules = {"same": same, "below": _either(same, below), "related": _either(same, related)}
        metrics["seen_rules"] = {rule: _divided(scores, classes, were_seen) for rule, were_seen in rules.items()}
    return metrics


def seen_nodes(tree: WordTree, nodes: set[int], classes: Sequence[int]) -> tuple[list[bool], list[bool]]:
    """Whether each of `classes` is one of `nodes` or below one; and whether it is that or above one."""
    above = {ancestor for node in nodes for ancestor in tree.ancestors(node)}
    below = [not nodes.isdisjoint(tree.path(node)) for node in classes]
    return below, [is_below or node in above for node, is_below in zip(classes, below, strict=True)]


def _divided(scores: Scores, classes: SharedClasses, were_seen: Sequence[bool]) -> dict[str, Any]:
    metrics: dict[str, Any] = {}
    for kind, wanted in (("seen", True), ("unseen", False)):
        chosen = [place for place, was_seen in enumerate(were_seen) if was_seen == wanted]
        for name, values in scores.items():
            metrics[f"{name}_{kind}"] = mean_of(values[place] for place in chosen)
        metrics[f"{kind}_classes"] = [classes.names[place] for place in chosen]
    return metrics


def _were_seen(known: set[str], detector: Detector, dataset: Dataset, classes: SharedClasses) -> list[bool]:
    """Whether each shared class has a known name or synset, in the data set or in the detector."""
    synsets = detector.synsets or [None] * len(detector.classes)
    spellings = zip(
        map(canonical, classes.names),
        (dataset.synsets[label] for label in classes.dataset_labels),
        (synsets[label] for label in classes.model_labels),
        strict=True,
    )
    return [not known.isdisjoint(words) for words in spellings]


def _nodes(known: set[str], detector: Detector) -> set[int]:
    """The detector's classes that have a known name or synset."""
    synsets = detector.synsets or [None] * len(detector.classes)
    pairs = zip(map(canonical, detector.classes), synsets, strict=True)
    return {node for node, words in enumerate(pairs) if not known.isdisjoint(words)}


def _either(one: Sequence[bool], other: Sequence[bool]) -> list[bool]:
    return [a or b for a, b in zip(one, other, strict=True)]
