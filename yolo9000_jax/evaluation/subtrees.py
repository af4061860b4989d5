"""Mean average precision of the classes below each node of a tree: animals, clothing, equipment (paper, section 4)."""

from collections.abc import Mapping, Sequence
from typing import Any

from yolo9000_jax.evaluation.classes import SharedClasses
from yolo9000_jax.evaluation.voc import mean_of
from yolo9000_jax.wordtree.tree import WordTree


def subtrees(
    tree: WordTree, classes: SharedClasses, scores: Mapping[str, Sequence[float | None]]
) -> list[dict[str, Any]]:
    """The means over the classes that lie below each node, or are the node, where there are several.

    A node all of whose classes lie below one child says nothing more than that, and is left out.

    Args:
        tree: whose nodes the detector's classes are.
        classes: the C that are evaluated.
        scores: for each metric the value of each class [C], None where it has no truth.

    Returns:
        For each node, from the top down, what is below it following: {"name", "synset", "level", "classes", and each
        metric's mean}. "level" counts the nodes above it in the list; "classes" how many lie below.
    """
    members: dict[tuple[int, ...], list[int]] = {}
    for place, node in enumerate(classes.model_labels.tolist()):
        path = tree.path(node)
        for length in range(1, len(path) + 1):
            members.setdefault(path[:length], []).append(place)
    largest: dict[tuple[int, ...], int] = {}  # number of classes below the fullest child
    for path, places in members.items():
        largest[path[:-1]] = max(largest.get(path[:-1], 0), len(places))
    shown = {path for path, places in members.items() if len(places) > max(1, largest.get(path, 0))}
    return [
        {
            "name": tree.names[path[-1]],
            "synset": tree.synsets[path[-1]],
            "level": sum(path[:length] in shown for length in range(1, len(path))),
            "classes": len(members[path]),
            **{name: mean_of(values[place] for place in members[path]) for name, values in scores.items()},
        }
        for path in sorted(shown)
    ]
