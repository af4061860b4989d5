"""Calibration and the best threshold against plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.test_voc import scenes
from yolo9000_jax.evaluation.scores import best_f1, calibration
from yolo9000_jax.evaluation.voc import IGNORED, TRUE_POSITIVE, evaluate_detections


def plain_f1(every, labels):
    """The best (f1, threshold) of every threshold there is."""
    rows = [(s, o) for s, o, c in zip(every.scores, every.outcomes, every.labels, strict=True) if c in labels]
    rows = [row for row in rows if row[1] != IGNORED]
    truths = sum(label in labels for label in every.true_labels)
    found = []
    for threshold in {score for score, _ in rows}:
        kept = [outcome == TRUE_POSITIVE for score, outcome in rows if score >= threshold]
        if truths:
            found.append((2 * sum(kept) / (len(kept) + truths), threshold))
    return max(found, default=None)


@given(scenes(), st.sampled_from([1, 4, 10]))
def test_agrees_with_plain_loops(scene, bins):
    every = evaluate_detections(*scene, 3).outcomes
    for label in (None, 0, 1, 2):
        got, expected = best_f1(every, label), plain_f1(every, {0, 1, 2} if label is None else {label})
        assert (got and (got["f1"], got["threshold"])) == (expected and pytest.approx(expected))
        if got and got["f1"]:
            p, r = got["precision"], got["recall"]
            assert got["f1"] == pytest.approx(2 * p * r / (p + r))
    found, gap, total = calibration(every, bins), 0.0, 0
    for each in found["bins"]:
        rows = [
            (s, o == TRUE_POSITIVE)
            for s, o in zip(every.scores, every.outcomes, strict=True)
            if o != IGNORED and each["from"] <= s < each["to"]
        ]
        assert each["detections"] == len(rows)
        if rows:
            score, right = np.mean(rows, axis=0)
            assert (each["mean_score"], each["precision"]) == (pytest.approx(score), pytest.approx(right))
            gap, total = gap + abs(score - right) * len(rows), total + len(rows)
    assert found["ece"] == (pytest.approx(gap / total) if total else None)
