"""What a user asks of answers on a tree: how sure they must be, in which subtree, and which labels may be given."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.text import printable
from yolo9000_jax.wordtree.lists import Label, read_label_list
from yolo9000_jax.wordtree.tree import Node, WordTree

REST = "*"  # stands for the nodes that are in no subtree with a threshold of its own
DEFAULT = 0.5

# How sure a label must be: one number, or one for each of some subtrees, {"canine": .8, "*": .5}.
HierarchicalThreshold = float | Mapping[Node, float]


def is_share(value: Any) -> bool:
    """Whether this is a number from 0 to 1."""
    try:
        return bool(0 <= value <= 1)
    except (TypeError, ValueError):
        return False


def node_thresholds(threshold: HierarchicalThreshold, tree: WordTree | None) -> np.ndarray:
    """How sure an answer must be of each node, for wordtree.softmax.predict_top_down.

    Args:
        threshold: one number for all; or {node: number}, each for the node and all below it, of several the nearest
            one's; "*" is for all other nodes, .5 where it is not given.
        tree: of the nodes, which are given by number, synset or name; None: there is none, and no subtree.

    Returns:
        float32, a scalar or [n].

    Raises:
        UserError: a node is none of the tree or given twice, there is no tree, or a number is not from 0 to 1.
    """
    each = dict(threshold) if isinstance(threshold, Mapping) else {REST: threshold}
    for node, value in each.items():
        if not is_share(value):
            where = "" if node == REST else f" of {node!r}"
            raise UserError(f"hierarchical_threshold{where} {printable(str(value))}: it must be from 0 to 1")
    rest = each.pop(REST, DEFAULT)
    if not each:
        return np.float32(rest)  # type: ignore[return-value]
    if tree is None:
        raise UserError(f"hierarchical_threshold of {next(iter(each))!r}: the classes form no tree; give one number")
    try:
        numbers = {tree.find(node): value for node, value in each.items()}
    except UserError as error:
        raise UserError(f"hierarchical_threshold: {error}") from None
    if len(numbers) < len(each):
        twice = next(s for number in numbers if len(s := [node for node in each if tree.find(node) == number]) > 1)
        raise UserError(f"hierarchical_threshold: {' and '.join(map(repr, twice))} are one node; leave one out")
    found = np.full(len(tree), rest, np.float32)
    for node, parent in enumerate(tree.parents.tolist()):  # parents come first
        found[node] = numbers.get(node, rest if parent < 0 else found[parent])
    return found


def read_allowed(text: str, tree: WordTree) -> tuple[int, ...]:
    """The nodes that a user allows.

    Args:
        text: the name of a file of labels (lists.read_label_list), or labels with commas between them.
        tree: of which they are nodes, given by synset or name.

    Raises:
        UserError: there is no label, or one is no node of the tree.
    """
    labels = (
        read_label_list(text).labels
        if _is_file(text)
        else [Label(label.strip(), None, "allow") for label in text.split(",") if label.strip()]
    )
    return allowed_nodes([_node_of(label, tree) for label in labels], tree)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # longer than a file's name may be
        return False


def _node_of(label: Label, tree: WordTree) -> int:
    names = [name for name in (label.synset, label.name) if name is not None]
    known = [name for name in names if name in tree.synsets]
    try:
        return tree.find((known or names[::-1])[0])
    except UserError as error:
        raise UserError(f"{label.place}: {error}") from None


def allowed_nodes(labels: Iterable[Node], tree: WordTree) -> tuple[int, ...]:
    """The highest of the nodes given, by number, synset or name: what is below an allowed node is allowed as well.

    Raises:
        UserError: there is none, or one is no node of the tree.
    """
    nodes = set(tree.find_all(labels).tolist())
    if not nodes:
        raise UserError("allow: no label is left to give; name at least one label of the tree")
    return tuple(sorted(node for node in nodes if nodes.isdisjoint(tree.ancestors(node))))
