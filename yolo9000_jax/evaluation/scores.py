"""What a detector's scores are worth: how often it is right at each, and the threshold of the best F1."""

from typing import Any

import numpy as np

from yolo9000_jax.evaluation.voc import FALSE_POSITIVE, IGNORED, TRUE_POSITIVE, Outcomes

BINS = 10


def calibration(every: Outcomes, bins: int = BINS) -> dict[str, Any]:
    """How far the scores are from the share of detections that are right (VOC's rule; ignored ones left out).

    Returns:
        {"ece": expected calibration error, the mean over the detections of |mean score - share right| of their bin,
        None without detections; "bins": [{"from", "to", "detections", "mean_score", "precision"}]}, equally wide bins
        of scores from 0 to 1; the last two are None in an empty one.
    """
    counts = every.outcomes != IGNORED
    scores, right = every.scores[counts], every.outcomes[counts] == TRUE_POSITIVE
    places = np.clip((scores * bins).astype(int), 0, bins - 1)
    numbers = np.bincount(places, minlength=bins)
    divisors = np.maximum(numbers, 1)
    means = np.bincount(places, scores, bins) / divisors
    shares = np.bincount(places, right, bins) / divisors
    listed = [
        {
            "from": place / bins,
            "to": (place + 1) / bins,
            "detections": int(number),
            "mean_score": float(means[place]) if number else None,
            "precision": float(shares[place]) if number else None,
        }
        for place, number in enumerate(numbers)
    ]
    ece = float(np.sum(np.abs(means - shares) * numbers) / len(scores)) if len(scores) else None
    return {"ece": ece, "bins": listed}


def best_f1(every: Outcomes, label: int | None = None) -> dict[str, float] | None:
    """The score from which on keeping detections gives the best F1 = 2 P R / (P + R), by VOC's rule.

    Args:
        every: the detections, judged, and the truths.
        label: of this class alone; None: of all classes with one threshold.

    Returns:
        {"threshold", "f1", "precision", "recall"}, the highest of equally good ones; None where there is no truth, or
        no detection that counts.
    """
    own = every.outcomes != IGNORED
    truths = len(every.true_labels)
    if label is not None:
        own &= every.labels == label
        truths = int((every.true_labels == label).sum())
    if not truths or not own.any():
        return None
    order = np.argsort(-every.scores[own], kind="stable")
    scores, outcomes = every.scores[own][order], every.outcomes[own][order]
    hits, misses = np.cumsum(outcomes == TRUE_POSITIVE), np.cumsum(outcomes == FALSE_POSITIVE)
    last = np.append(scores[1:] != scores[:-1], True)  # equal scores stay or go together
    f1 = np.where(last, 2 * hits / (hits + misses + truths), -1.0)
    best = int(f1.argmax())
    return {
        "threshold": float(scores[best]),
        "f1": float(f1[best]),
        "precision": float(hits[best] / (hits[best] + misses[best])),
        "recall": float(hits[best] / truths),
    }
