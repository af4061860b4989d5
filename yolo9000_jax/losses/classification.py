"""Losses of the image classifiers: flat, and on a WordTree (paper, section 4; darknet.md 11)."""

import jax
import jax.numpy as jnp

from yolo9000_jax.wordtree.softmax import path_loss
from yolo9000_jax.wordtree.tree import WordTree


def softmax_loss(logits, labels):
    """Softmax cross-entropy, the mean over the images.

    Args:
        logits: [B,C].
        labels: [B] int.

    Returns:
        A scalar. Its gradient times -B is Darknet's delta.
    """
    log_probabilities = jax.nn.log_softmax(logits)
    return -jnp.mean(jnp.take_along_axis(log_probabilities, labels[:, None], axis=1))


def tree_softmax_loss(logits, labels, tree: WordTree):
    """Cross-entropies of the sibling groups on the label's path, summed; the mean over the images.

    A label that is an inner node trains nothing below it (paper, section 4).

    Args:
        logits: [B,n].
        labels: [B] int, nodes.
        tree: with n nodes.

    Returns:
        A scalar. Its gradient times -B is Darknet's delta on the GPU path.
    """
    return jnp.mean(path_loss(logits, labels, tree))
