"""Judges a classifier whose classes form a WordTree: at the leaves, and when it stops early (paper, section 4)."""

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import islice

import jax
import jax.numpy as jnp
import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.classification import SAY_EVERY, TOP, judged_pictures, rates
from yolo9000_jax.evaluation.detection import read_ahead
from yolo9000_jax.predict.classifier import RESIZES, Classifier, probabilities
from yolo9000_jax.predict.detector import to_inputs, to_pixels
from yolo9000_jax.wordtree.softmax import group_log_softmax, predict_top_down
from yolo9000_jax.wordtree.tree import WordTree

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def evaluate_tree(
    classifier: Classifier,
    dataset,
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    batch_size: int = 32,
    say=None,
) -> dict:
    """Classifies every picture of the data set, by its best leaf and by walks down the tree.

    A walk goes to the most probable child while its absolute probability is above the threshold (the paper's reading;
    wordtree.softmax.predict_top_down), so it may end at an inner node, "dog". That is correct if the node is the
    picture's class or above it. Where the class is an inner node itself, whatever lies below it is taken for it.

    Args:
        classifier: one with a tree.
        dataset, batch_size, say: as for classification.evaluate.
        thresholds: where walks stop.

    Returns:
        {"top1", "top5", "images", "stopping": {threshold: {"correct", "depth"}}, "per_class": {name: the same}}. top1
        and top5 are shares of the pictures, by the absolute probability of the leaves; "correct" is the share of the
        walks that are; "depth" how far down the correct ones went: the mean share of the nodes from the root to the
        class, both included, that they reached. None without pictures, or correct ones.

    Raises:
        UserError: the classifier has no tree, and as classification.evaluate.
    """
    tree = classifier.tree
    if tree is None:
        raise UserError("the classifier's classes form no tree: take classification.evaluate")
    judged = judged_pictures(classifier, dataset, say)
    leaves, stops = _answers(classifier, read_ahead(judged.dataset, batch_size), tuple(thresholds), batch_size, say)
    hits = _is_above(tree, judged.wanted[:, None], leaves)
    ranks = np.where(hits.any(1), hits.argmax(1), TOP)
    correct = _is_above(tree, stops, judged.wanted[:, None]) | _is_above(tree, judged.wanted[:, None], stops)
    nodes = tree.depths + 1  # on the path from the root
    reached = np.minimum(nodes[stops] / nodes[judged.wanted][:, None], 1)

    def of(which: np.ndarray) -> dict:
        columns = zip(thresholds, correct[which].T, reached[which].T, strict=True)
        stopping = {f"{threshold:g}": _stopping(right, depth) for threshold, right, depth in columns}
        return rates(ranks[which]) | {"stopping": stopping}

    return judged.metrics(of)


def _answers(classifier, pictures: Iterable, thresholds, batch_size: int, say) -> tuple[np.ndarray, np.ndarray]:
    """Of each picture the best leaves [n, TOP or fewer], and the node at which each walk stops [n, thresholds]."""
    tree = classifier.tree
    top = min(TOP, int(tree.leaves.sum()))
    leaves, stops = np.zeros((0, top), int), np.zeros((0, len(thresholds)), int)
    pictures = iter(pictures)
    while batch := list(islice(pictures, batch_size)):
        pixels = [to_pixels(picture) for picture in batch]
        inputs = to_inputs(pixels, RESIZES[classifier.resize], classifier.size_wh, batch_size)
        found = _answer(classifier.model, classifier.variables, inputs, jnp.array(thresholds), tree=tree, top=top)
        best, ends = (rows[: len(batch)] for rows in jax.device_get(found))
        leaves, stops = np.concatenate([leaves, best]), np.concatenate([stops, ends])
        if say and len(leaves) // SAY_EVERY > (len(leaves) - len(batch)) // SAY_EVERY:
            say(f"evaluated {len(leaves)} pictures")
    return leaves, stops


@partial(jax.jit, static_argnames=("model", "tree", "top"))
def _answer(model, variables, inputs, thresholds, *, tree, top):
    logits = model.apply(variables, inputs).reshape(len(inputs), -1)
    _, leaves = jax.lax.top_k(probabilities(logits, tree), top)
    conditional = jnp.exp(group_log_softmax(logits, tree))
    stops = jax.vmap(lambda threshold: predict_top_down(conditional, tree, threshold)[0], out_axes=-1)(thresholds)
    return leaves, stops


def _is_above(tree: WordTree, above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Whether the first node lies on the path to the second (or is it), for arrays that broadcast."""
    return (tree.paths[below] == above[..., None]).any(-1)


def _stopping(correct: np.ndarray, reached: np.ndarray) -> dict:
    return {
        "correct": float(correct.mean()) if len(correct) else None,
        "depth": float(reached[correct].mean()) if correct.any() else None,
    }
