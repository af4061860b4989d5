"""Losses of the image classifiers: flat, and on a WordTree (paper, section 4; darknet.md 11)."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from yolo9000_jax.shapes import Array, check_labels, check_shapes
from yolo9000_jax.wordtree.softmax import as_nodes, path_loss
from yolo9000_jax.wordtree.tree import Node, WordTree


def softmax_loss(logits: Array, labels: Array) -> jax.Array:
    """Softmax cross-entropy, the mean over the images.

    Args:
        logits: [B,C].
        labels: [B] int.

    Returns:
        A scalar. Its gradient times -B is Darknet's delta.

    Raises:
        UserError: an array of another shape, or a label outside; while JAX traces, labels have no values to check.
    """
    sizes = check_shapes("softmax_loss", logits=(logits, "B C"), labels=(labels, "B"))
    check_labels("softmax_loss", "labels", labels, sizes["C"])
    log_probabilities = jax.nn.log_softmax(logits)
    return -jnp.mean(jnp.take_along_axis(log_probabilities, labels[:, None], axis=1))


def tree_softmax_loss(logits: Array, labels: Array | Sequence[Node], tree: WordTree) -> jax.Array:
    """Cross-entropies of the sibling groups on the label's path, summed; the mean over the images.

    A label that is an inner node trains nothing below it (paper, section 4).

    Args:
        logits: [B,n].
        labels: [B] int, nodes; or their synsets or names.
        tree: with n nodes.

    Returns:
        A scalar. Its gradient times -B is Darknet's delta on the GPU path.

    Raises:
        UserError: an array of another shape, or a node that is none; while JAX traces, labels have no values to check.
    """
    labels = as_nodes(labels, tree)
    check_shapes("tree_softmax_loss", logits=(logits, "B n"), labels=(labels, "B"))
    return jnp.mean(path_loss(logits, labels, tree))
