"""How much an average precision owes to the pictures that were judged: they are drawn anew, with replacement."""

from collections.abc import Sequence

import numpy as np

from yolo9000_jax.evaluation.voc import ELEVEN_RECALLS, FALSE_POSITIVE, TRUE_POSITIVE, Outcomes

DRAWS = 400


def draw_weights(images: int, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """How often each picture comes in each draw of as many pictures: int [draws, images]."""
    return np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=draws)


def mean_ap07(outcomes: Outcomes, weights: np.ndarray) -> np.ndarray:
    """The mean over the classes of the 11-point average precision of each draw: [draws].

    Where a class has no object in a draw, it is left out of that draw's mean.

    Args:
        outcomes: of an evaluation.
        weights: [draws, images], how often each picture counts; all ones give `voc07_ap50`.
    """
    totals, classes = np.zeros(len(weights)), np.zeros(len(weights))
    for label in np.unique(outcomes.true_labels):
        own = np.flatnonzero(outcomes.labels == label)
        own = own[np.argsort(-outcomes.scores[own], kind="stable")]
        counts, results = weights[:, outcomes.images[own]], outcomes.outcomes[own]
        right = np.cumsum(counts * (results == TRUE_POSITIVE), 1)
        wrong = np.cumsum(counts * (results == FALSE_POSITIVE), 1)
        truths = weights[:, outcomes.true_images[outcomes.true_labels == label]].sum(1)
        precision = right / np.maximum(right + wrong, 1)
        best_from_here = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
        best_from_here = np.pad(best_from_here, ((0, 0), (0, 1)))
        recall = right / np.maximum(truths, 1)[:, None]
        ap = [row[np.searchsorted(at, ELEVEN_RECALLS)].mean() for row, at in zip(best_from_here, recall, strict=True)]
        totals += np.where(truths > 0, ap, 0)
        classes += truths > 0
    return totals / np.maximum(classes, 1)


def interval(values: Sequence[float] | np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """The middle share of the draws' values."""
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
