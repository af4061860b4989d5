"""Joins trees, hand-written ones or Darknet's, by the synsets that they share."""

from collections.abc import Sequence

import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.wordtree.paths import breadth_first
from yolo9000_jax.wordtree.tree import WordTree


def merge_trees(trees: Sequence[WordTree]) -> WordTree:
    """One tree with the nodes of all; nodes with the same synset are one.

    A node's parent is the nearest one that any tree gives it: a root of one tree goes under its parent in another, and
    a node whose parents in two trees are above one another goes under the lower (as where one tree leaves out inner
    nodes). Its name is the first that a tree has for it.

    Raises:
        UserError: no tree, two trees put a node on different branches, or one puts above what another puts below.
    """
    if not trees:
        raise UserError("there are no trees to merge; give at least one")
    wanted: dict[str, dict[str, WordTree]] = {}  # node: its parents, each with the first tree that says so
    names: dict[str, str] = {}
    for tree in trees:
        for node, (synset, parent, name) in enumerate(zip(tree.synsets, tree.parents, tree.names, strict=True)):
            above = wanted.setdefault(synset, {})
            if parent >= 0:
                above.setdefault(tree.synsets[parent], tree)
            if name != synset:
                names.setdefault(synset, tree.names[node])
    ancestors = _ancestors(wanted)
    parents = {node: _nearest(node, above, ancestors, names) for node, above in wanted.items()}
    order = breadth_first(parents)
    places = {None: -1} | {synset: place for place, synset in enumerate(order)}
    return WordTree(
        tuple(order),
        np.array([places[parents[node]] for node in order], np.int32),
        tuple(names.get(node, node) for node in order),
        "+".join(tree.source for tree in trees),
    )


def _ancestors(wanted: dict[str, dict[str, WordTree]]) -> dict[str, frozenset[str]]:
    """All nodes above each node, in whichever tree."""
    found: dict[str, frozenset[str]] = {}
    for start in wanted:
        stack = [(start, iter(wanted[start]))]
        while stack:  # no recursion: merged trees may be deep
            node, rest = stack[-1]
            following = next((parent for parent in rest if parent not in found), None)
            if following is None:
                stack.pop()
                found[node] = frozenset(wanted[node]).union(*(found[parent] for parent in wanted[node]))
            elif any(following == other for other, _ in stack):
                source = wanted[node][following].source
                raise UserError(
                    f"{source}: {following} is above {node}, but another tree has it below; take one of them out"
                )
            else:
                stack.append((following, iter(wanted[following])))
    return found


def _nearest(
    node: str, above: dict[str, WordTree], ancestors: dict[str, frozenset[str]], names: dict[str, str]
) -> str | None:
    lowest = [parent for parent in above if not any(parent in ancestors[other] for other in above)]
    if len(lowest) > 1:
        first, second = (f"{names.get(parent, parent)} {parent} in {above[parent].source}" for parent in lowest[:2])
        raise UserError(
            f"{names.get(node, node)} {node} is under {first}, but under {second}: change its parent in one of them"
        )
    return lowest[0] if lowest else None
