"""Evaluates a classifier whose classes form a WordTree: at the leaves, and stopping early (paper, section 4)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from yolo9000_jax.data.records import Dataset
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.ancestors import is_above, set_scores, severity
from yolo9000_jax.evaluation.classification import TOP, classify, top_k_accuracies
from yolo9000_jax.evaluation.models import Classifier
from yolo9000_jax.evaluation.result import Evaluation
from yolo9000_jax.wordtree.softmax import class_probabilities, group_log_softmax, predict_top_down
from yolo9000_jax.wordtree.tree import WordTree

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def evaluate_tree_classifier(
    classifier: Classifier, dataset: Dataset, *, batch_size: int = 32, thresholds: Sequence[float] = THRESHOLDS
) -> Evaluation:
    """Classifies every picture of the data set, by its best leaf and by going down the tree.

    Going down takes the most probable child while its absolute probability is above the threshold (the paper's reading;
    wordtree.softmax.predict_top_down), so it may stop at an inner node, "dog". That is correct if the node is the
    picture's class or above it. Where the class is an inner node itself, whatever lies below it is taken for it.

    Args:
        classifier: one with a tree.
        dataset, batch_size: as for `evaluate`.
        thresholds: how sure each of the ways down must stay.

    Returns:
        Evaluation; its metrics are {"top1", "top5", "images", "stopping": {threshold: {"correct", "depth", "precision",
        "recall", "f1"}}, "severity", "per_class": {name: the same}}. top1 and top5 are shares of the pictures, by the
        absolute probability of the leaves; "correct" is the share of the pictures whose way down ended correctly;
        "depth" how far down these went: the mean share of the nodes from the root to the class, both included, that
        they reached; "precision", "recall" and "f1" are hierarchical, of where the ways down ended
        (ancestors.set_scores); "severity" is that of the best leaves that are wrong (ancestors.severity). None without
        pictures, or correct ones.

    Raises:
        UserError: the classifier has no tree, and as `evaluate`.
    """
    tree = classifier.tree
    if tree is None:
        raise UserError("the classifier's classes form no tree: use evaluation.evaluate, which takes any classifier")
    answer = _Answer(tree, tuple(thresholds), min(TOP, int(tree.leaves.sum())))

    def answers(chosen: Dataset) -> Iterator[np.ndarray]:
        return map(np.concatenate, classifier.outputs(chosen.records(), answer, batch_size))

    pictures, found = classify(classifier, dataset, answers, answer.top + len(thresholds))
    wanted, leaves, stops = pictures.model_labels, found[:, : answer.top], found[:, answer.top :]
    hits = is_above(tree, wanted[:, None], leaves)
    ranks = np.where(hits.any(1), hits.argmax(1), TOP)
    correct = is_above(tree, stops, wanted[:, None]) | is_above(tree, wanted[:, None], stops)
    nodes = tree.depths + 1  # on the path from the root
    reached = np.minimum(nodes[stops] / nodes[wanted][:, None], 1)

    def measure(chosen: np.ndarray) -> dict[str, Any]:
        true, once = wanted[chosen], np.ones(len(wanted[chosen]), int)
        columns = zip(thresholds, stops[chosen].T, correct[chosen].T, reached[chosen].T, strict=True)
        stopping = {
            f"{threshold:g}": _stopping(right, depth) | set_scores(tree, found, true, once)
            for threshold, found, right, depth in columns
        }
        severities = severity(tree, leaves[chosen][:, 0], true, once)
        return top_k_accuracies(ranks[chosen]) | {"stopping": stopping, "severity": severities}

    return pictures.evaluation(measure)


@dataclass(frozen=True)
class _Answer:
    """From logits [B, C] the `top` best leaves [B, top] and the node where each way down stops [B, thresholds].

    Equal by value, so that the evaluations of one training run share the compiled function.
    """

    tree: WordTree
    thresholds: tuple[float, ...]
    top: int

    def __call__(self, logits: jax.Array) -> tuple[jax.Array, jax.Array]:
        _, leaves = jax.lax.top_k(class_probabilities(logits, self.tree), self.top)
        conditional = jnp.exp(group_log_softmax(logits, self.tree))

        def stop(threshold: jax.Array) -> jax.Array:
            return predict_top_down(conditional, self.tree, threshold)[0]

        return leaves, jax.vmap(stop, out_axes=-1)(jnp.array(self.thresholds))


def _stopping(correct: np.ndarray, reached: np.ndarray) -> dict[str, float | None]:
    return {
        "correct": float(correct.mean()) if len(correct) else None,
        "depth": float(reached[correct].mean()) if correct.any() else None,
    }
