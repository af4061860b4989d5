"""Probabilities on a WordTree: one softmax per group of siblings (paper, section 4; darknet.md 6, 7.3 and 11).

All functions take any leading axes and a `WordTree` that is constant under `jax.jit`. They raise UserError where the
last axis is not that of the tree's nodes.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.shapes import Array, check_labels, check_shapes
from yolo9000_jax.wordtree.tree import Node, WordTree


def group_log_softmax(logits: Array, tree: WordTree) -> jax.Array:
    """Log of each node's probability given its parent: log-softmax within each group of siblings.

    Args:
        logits: [..., n].
        tree: with n nodes.

    Returns:
        [..., n], same dtype; exactly 0 for an only child.
    """
    check_entries("group_log_softmax", "logits", logits, "... n", tree)
    return _group_log_softmax(logits, tree)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _group_log_softmax(logits: jax.Array, tree: WordTree) -> jax.Array:
    return logits - _reduce_groups(logits, tree, jax.nn.logsumexp)[..., tree.groups]


def _group_log_softmax_forward(logits: jax.Array, tree: WordTree) -> tuple[jax.Array, jax.Array]:
    log_probabilities = _group_log_softmax(logits, tree)
    return log_probabilities, log_probabilities


def _group_log_softmax_backward(tree: WordTree, log_probabilities: jax.Array, cotangent: jax.Array) -> tuple[jax.Array]:
    # Written out because the transpose of a gather is a scatter-add, slow on CPU and TPU alike.
    sums = _reduce_groups(cotangent, tree, jnp.sum)[..., tree.groups]
    return (cotangent - jnp.exp(log_probabilities) * sums,)


_group_log_softmax.defvjp(_group_log_softmax_forward, _group_log_softmax_backward)


def absolute_log_probabilities(conditional_log_probabilities: Array, tree: WordTree) -> jax.Array:
    """Log of each node's probability: the sum of the conditional ones from the root down, [..., n] -> [..., n].

    Pointer doubling: after k steps each node has the sum over 2**k nodes of its path, so a few gathers do.
    """
    check_entries("absolute_log_probabilities", "log probabilities", conditional_log_probabilities, "... n", tree)
    n = len(tree)
    above = np.append(np.where(tree.parents < 0, n, tree.parents), n)  # node n: a virtual root of probability 1
    widths = [(0, 0)] * (conditional_log_probabilities.ndim - 1) + [(0, 1)]
    total = jnp.pad(conditional_log_probabilities, widths)
    while np.any(above < n):
        total, above = total + total[..., above.astype(np.int32)], above[above]
    return total[..., :n]


def restrict(conditional_log_probabilities: Array, tree: WordTree, allowed: Sequence[int]) -> jax.Array:
    """Conditional probabilities where it is known that one of the allowed nodes, or of those below them, is right.

    What is not allowed has probability 0, and the rest is divided by what is left of each parent; so a node above has
    what is allowed below it.

    Args:
        conditional_log_probabilities: [..., n], as group_log_softmax gives them.
        tree: with n nodes.
        allowed: nodes, none above another (limits.allowed_nodes).

    Returns:
        [..., n], log of each node's probability given its parent; -inf where that is 0.
    """
    check_entries("restrict", "log probabilities", conditional_log_probabilities, "... n", tree)
    nodes = np.asarray(allowed, np.int32)
    above = np.unique([node for each in allowed for node in tree.ancestors(each)]).astype(np.int32)
    is_below = (tree.paths[nodes][:, :, None] == above).any(1).astype(np.float32)  # [allowed, above]
    inside = np.asarray(np.any(np.isin(tree.paths, nodes), axis=1))
    absolute = absolute_log_probabilities(conditional_log_probabilities, tree)
    chosen = absolute[..., nodes]
    best = jnp.max(chosen, axis=-1, keepdims=True)  # or else the sums might vanish
    sums = jnp.log(jnp.matmul(jnp.exp(chosen - best), is_below, precision=jax.lax.Precision.HIGHEST)) + best
    logs = jnp.where(inside, absolute, -jnp.inf).at[..., above].set(sums)
    everything = jax.nn.logsumexp(chosen, axis=-1, keepdims=True)
    root = tree.parents < 0
    parents = np.where(root, 0, tree.parents)
    given = jnp.where(root, everything, logs[..., parents])
    found = jnp.where(jnp.isneginf(logs) | jnp.isneginf(given), -jnp.inf, logs - given)
    unchanged = inside & inside[parents] & ~root
    return jnp.where(unchanged, conditional_log_probabilities, found)


def class_probabilities(logits: Array, tree: WordTree | None = None) -> jax.Array:
    """Probabilities of classes that exclude each other, from logits [..., C]; same shape.

    Without a tree their softmax; with one, the absolute probabilities of its leaves, and 0 for the nodes above.
    """
    if tree is None:
        return jax.nn.softmax(logits)
    absolute = jnp.exp(absolute_log_probabilities(group_log_softmax(logits, tree), tree))
    return jnp.where(jnp.asarray(tree.leaves), absolute, 0)


def path_cross_entropies(logits: Array, labels: Array | Sequence[Node] | Node, tree: WordTree) -> jax.Array:
    """Cross-entropy of each group on the labels' paths.

    Only the groups on the path are read, at most 769 of the 9418 logits in YOLO9000's tree, so that their gradient is
    p - onehot and all other logits have none.

    Args:
        logits: [..., n].
        labels: [...] int, nodes (leaves or inner ones alike); axes of length 1 serve all logits along them. A node, or
            a list of them, may be given by synset or name. While JAX traces, numbers are not checked.

    Returns:
        [..., levels]: minus the log of the conditional probability of the path's node on each level, 0 below the label.
    """
    check_entries("path_loss", "logits", logits, "... n", tree)
    labels = as_nodes(labels, tree)
    starts, level, within = _path_layout(tree)
    path = jnp.asarray(tree.paths)[labels]  # [..., levels]
    on_path = path >= 0
    groups = jnp.asarray(tree.groups)[path]
    first, size = jnp.asarray(tree.group_offsets)[groups], jnp.asarray(tree.group_sizes)[groups]
    # A level without a node keeps one harmless logit, so that no -inf - -inf comes up.
    size = jnp.where(on_path, size, 1)
    index = jnp.minimum(first[..., level] + within, len(tree) - 1)
    members = jnp.take_along_axis(logits, index, axis=-1)
    members = jnp.where(within < size[..., level], members, -jnp.inf)
    bounds = zip(starts[:-1], starts[1:], strict=True)
    normalisers = [jax.nn.logsumexp(members[..., start:stop], axis=-1) for start, stop in bounds]
    chosen = jnp.take_along_axis(logits, jnp.maximum(path, 0), axis=-1)
    return jnp.where(on_path, jnp.stack(normalisers, axis=-1) - chosen, 0)


def path_loss(logits: Array, labels: Array | Sequence[Node] | Node, tree: WordTree) -> jax.Array:
    """The tree softmax loss: the sum of the cross-entropies on the labels' paths, [..., n] and [...] -> [...].

    It is also minus the log of the label's absolute probability.
    """
    return jnp.sum(path_cross_entropies(logits, labels, tree), axis=-1)


def predict_top_down(
    probabilities: Array, tree: WordTree, threshold: float | Array, rule: str = "conditional"
) -> tuple[jax.Array, jax.Array]:
    """Walk down from the root level to the most probable child while the walk's confidence stays above `threshold`.

    Args:
        probabilities: [..., n] conditional probabilities.
        tree: with n nodes.
        threshold: scalar, or [n], one for each node (limits.node_thresholds); Darknet's default is .5.
        rule: what the confidence is. "conditional": the node's absolute probability, the product of the conditional
            ones (the paper). "darknet": the product of the absolute probabilities on the path, which stops earlier
            (darknet.md 7.3).

    Returns:
        (nodes, absolute): int32 [...], the deepest node above the threshold, or the best root if none is; and its
        absolute probability [...].

    Raises:
        UserError: unknown rule.
    """
    if rule not in ("conditional", "darknet"):
        raise UserError(f"rule is {rule!r}; choose 'conditional' or 'darknet'")
    check_entries("predict_top_down", "probabilities", probabilities, "... n", tree)
    offsets, sizes = jnp.asarray(tree.group_offsets), jnp.asarray(tree.group_sizes)
    thresholds = jnp.broadcast_to(jnp.asarray(threshold, jnp.float32), (len(tree),))
    within = np.arange(tree.group_sizes.max(), dtype=np.int32)

    def best_member(group: jax.Array) -> tuple[jax.Array, jax.Array]:
        index = jnp.minimum(offsets[group][..., None] + within, len(tree) - 1)
        members = jnp.take_along_axis(probabilities, index, axis=-1)
        members = jnp.where(within < sizes[group][..., None], members, -1)
        return offsets[group] + jnp.argmax(members, axis=-1), jnp.max(members, axis=-1)

    node, absolute = best_member(jnp.zeros(probabilities.shape[:-1], jnp.int32))
    confidence = absolute
    going = confidence > thresholds[node]
    for _ in range(tree.paths.shape[1] - 1):
        group = jnp.asarray(tree.child_groups)[node]
        child, conditional = best_member(jnp.maximum(group, 0))
        child_absolute = absolute * conditional
        child_confidence = confidence * (child_absolute if rule == "darknet" else conditional)
        going &= (group >= 0) & (child_confidence > thresholds[child])
        node = jnp.where(going, child, node)
        absolute = jnp.where(going, child_absolute, absolute)
        confidence = jnp.where(going, child_confidence, confidence)
    return node, absolute


def as_nodes(nodes: Array | Sequence[Node] | Node, tree: WordTree) -> Array:
    """Nodes as an array of whole numbers: synsets and names are looked up, numbers checked unless JAX is tracing them.

    Raises:
        UserError: the tree has no such node.
    """
    if isinstance(nodes, str | int):
        return np.asarray(tree.find(nodes), np.int32)
    if isinstance(nodes, Sequence):
        nodes = tree.find_all(nodes) if any(isinstance(node, str) for node in nodes) else np.asarray(nodes)
    check_labels(tree.source, "nodes", nodes, len(tree))
    return nodes


def check_entries(function: str, name: str, array: Array, shape: str, tree: WordTree) -> None:
    """Raises UserError unless the array has this shape, in which n is the number of the tree's nodes."""
    n = check_shapes(function, **{name: (array, shape)})["n"]
    if n != len(tree):
        raise UserError(f"{function}: {name} are of {n} nodes, but the tree has {len(tree)}; give those of its network")


def _reduce_groups(values: jax.Array, tree: WordTree, reduce: Callable[..., jax.Array]) -> jax.Array:
    """[..., n] -> [..., g]: `reduce` of each group's members, groups of like size together in one padded gather."""
    buckets, order = _buckets(tree)
    results = [reduce(values[..., index], axis=-1, where=valid) for index, valid in buckets]
    return jnp.concatenate(results, axis=-1)[..., order]


@functools.lru_cache(maxsize=8)
def _buckets(tree: WordTree) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """Padded members of the groups, [(index [k,w], valid [k,w])] by size, and each group's place in that order."""
    widths = [1, 2, 3]
    while widths[-1] < tree.group_sizes.max():
        widths.append(widths[-2] * 2)
    bucket = np.searchsorted(widths, tree.group_sizes)
    buckets = []
    for number in np.unique(bucket):
        groups = np.flatnonzero(bucket == number)
        within = np.arange(tree.group_sizes[groups].max())
        index = np.minimum(tree.group_offsets[groups, None] + within, len(tree) - 1)
        buckets.append((index.astype(np.int32), within < tree.group_sizes[groups, None]))
    return buckets, np.argsort(np.argsort(bucket, kind="stable")).astype(np.int32)


@functools.lru_cache(maxsize=8)
def _path_layout(tree: WordTree) -> tuple[list[int], np.ndarray, np.ndarray]:
    """A row with room for any group of each level: bounds [levels + 1], each place's level and place in its group."""
    levels = tree.depths[tree.group_offsets]
    widths = [int(tree.group_sizes[levels == level].max()) for level in range(levels.max() + 1)]
    starts = np.concatenate([[0], np.cumsum(widths)])
    level = np.repeat(np.arange(len(widths)), widths)
    within = np.arange(starts[-1]) - starts[level]
    return starts.tolist(), level.astype(np.int32), within.astype(np.int32)
