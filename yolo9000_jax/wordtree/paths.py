"""One parent for each concept: the paper's choice among the paths of WordNet, which is no tree (paper, section 4).

Concepts are strings here; `hypernyms` and `above` say what is above them.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from yolo9000_jax.errors import UserError

Above = dict[str, tuple[str, ...]]  # each concept with the concepts above it
Parents = dict[str, str | None]  # each node with the one node above it, None for a root


def climb(labels: Iterable[str], roots: Sequence[str], hypernyms: Callable[[str], Sequence[str]]) -> Above:
    """What lies on the paths from `labels` up to `roots`.

    Returns:
        Each concept on such a path with its hypernyms that are on one too; none for a root. A label that is missing
        has no path to a root.

    Raises:
        UserError: a concept is above itself.
    """
    above: dict[str, tuple[str, ...] | None] = {root: () for root in roots}
    climbing = set()

    def visit(concept: str) -> bool:
        if concept in climbing:
            raise UserError(f"WordNet: {concept} is above itself; the files are damaged, get them anew")
        if concept not in above:
            climbing.add(concept)
            above[concept] = tuple(other for other in hypernyms(concept) if visit(other)) or None
            climbing.remove(concept)
        return above[concept] is not None

    for label in labels:
        visit(label)
    return {concept: others for concept, others in above.items() if others is not None}


def reached_roots(above: Above) -> dict[str, frozenset[str]]:
    """The roots at the upper end of each concept's paths."""
    found: dict[str, frozenset[str]] = {}

    def visit(concept: str) -> frozenset[str]:
        if concept not in found:
            found[concept] = frozenset().union(*map(visit, above[concept])) if above[concept] else frozenset({concept})
        return found[concept]

    for concept in above:
        visit(concept)
    return found


def grow(labels: Sequence[str], above: Above) -> tuple[Parents, int]:
    """The paper's tree: first the labels with one path to a root, then whichever path adds the fewest nodes.

    A path ends where it meets the tree. Of labels that add equally many the one with the lowest synset number comes
    first; of a label's equally short paths the one that meets the tree on the lowest level, where the company is
    closest (a cat goes to the felines, not to the domestic animals), then the one whose numbers are lowest, compared
    from the top down. So the order of `labels` changes nothing.

    Args:
        labels: keys of `above`.
        above: what `climb` gives.

    Returns:
        The parents of the labels and of all nodes above them, and how many labels had several paths.
    """
    counts, ends = _count_paths(above), reached_roots(above)
    parents: Parents = {root: None for label in labels for root in ends[label]}
    waiting = {label for label in labels if counts[label] > 1}
    several = len(waiting)
    for label in set(labels) - waiting:
        _add(_shortest(label, above, parents), parents)
    below = _waiting_below(waiting, above)
    queue = [(len(_shortest(label, above, parents)), label) for label in waiting]
    heapq.heapify(queue)
    while queue:
        length, label = heapq.heappop(queue)
        if label not in waiting:
            continue
        path = _shortest(label, above, parents)
        if len(path) < length:  # stands in the queue a second time, further up
            continue
        waiting.remove(label)
        for node in _add(path, parents):
            for other in below[node] & waiting:  # a new node may have brought the tree nearer to these
                heapq.heappush(queue, (len(_shortest(other, above, parents)), other))
    return parents, several


def _count_paths(above: Above) -> dict[str, int]:
    counts: dict[str, int] = {}

    def visit(concept: str) -> int:
        if concept not in counts:
            counts[concept] = sum(map(visit, above[concept])) or 1
        return counts[concept]

    for concept in above:
        visit(concept)
    return counts


def _shortest(label: str, above: Above, parents: Parents) -> tuple[str, ...]:
    """From the nearest node of the tree down to the label, both included; the label alone if it is in the tree."""
    front: dict[str, tuple[str, ...]] = {label: (label,)}
    while not (met := front.keys() & parents.keys()):
        further: dict[str, tuple[str, ...]] = {}
        for concept, path in front.items():
            for hypernym in above[concept]:
                longer = (hypernym, *path)
                further[hypernym] = min(longer, further.get(hypernym, longer))
        front = further
    return front[min(met, key=lambda node: (-_depth(node, parents), node))]


def _depth(node: str, parents: Parents) -> int:
    above = parents[node]
    return 0 if above is None else _depth(above, parents) + 1


def _add(path: Sequence[str], parents: Parents) -> list[str]:
    """Hangs a path, given from the top, into the tree; returns the nodes that are new."""
    new = [node for node in path if node not in parents]
    for node, parent in zip(path, (None, *path[:-1]), strict=True):
        parents.setdefault(node, parent)
    return new


def _waiting_below(waiting: Iterable[str], above: Above) -> Mapping[str, set[str]]:
    below: dict[str, set[str]] = defaultdict(set)
    for label in waiting:
        stack = [label]
        while stack:
            concept = stack.pop()
            if label not in below[concept]:
                below[concept].add(label)
                stack.extend(above[concept])
    return below


def collapsed(parents: Parents, labels: Iterable[str]) -> Parents:
    """Without the nodes that have a single child and are no labels: a group of one says nothing."""
    children = Counter(parents.values())
    kept = set(labels) | {node for node in parents if children[node] != 1}

    def kept_above(node: str) -> str | None:
        above = parents[node]
        while above is not None and above not in kept:
            above = parents[above]
        return above

    return {node: kept_above(node) for node in parents if node in kept}


def breadth_first(parents: Parents) -> list[str]:
    """The nodes level by level, siblings in a row and sorted: the order that Darknet's files need."""
    children: dict[str | None, list[str]] = defaultdict(list)
    for node in sorted(parents):
        children[parents[node]].append(node)
    order = list(children[None])
    for node in order:  # grows while it is read
        order.extend(children[node])
    return order
