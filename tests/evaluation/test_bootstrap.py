"""Average precision on pictures drawn anew, against the evaluation of the drawn pictures themselves."""

import numpy as np
import pytest

from yolo9000_jax.evaluation.bootstrap import draw_weights, interval, mean_ap07
from yolo9000_jax.evaluation.voc import GroundTruth, ImageDetections, evaluate_detections


def random_pictures(rng, count, classes=3):
    detections, truths = [], []
    for _ in range(count):
        corner, side = rng.uniform(0, 50, (4, 2)), rng.uniform(10, 40, (4, 2))
        boxes, labels = np.concatenate([corner, corner + side], 1), rng.integers(0, classes, 4)
        truths.append(GroundTruth(boxes, labels, rng.random(4) < 0.2))
        near = np.repeat(boxes, 2, 0) + rng.normal(0, 3, (8, 4))
        guessed = np.where(rng.random(8) < 0.7, np.repeat(labels, 2), rng.integers(0, classes, 8))
        detections.append(ImageDetections(near, rng.random(8), guessed))
    return detections, truths


def test_weights_are_the_pictures_given_as_often():
    rng = np.random.default_rng(0)
    detections, truths = random_pictures(rng, 12)
    outcomes = evaluate_detections(detections, truths, 3).outcomes
    weights = draw_weights(12, draws=5)
    assert weights.shape == (5, 12) and (weights.sum(1) == 12).all()
    found = mean_ap07(outcomes, np.concatenate([weights, np.ones((1, 12), int)]))
    for row, value in zip([*weights, np.ones(12, int)], found, strict=True):
        drawn = np.repeat(np.arange(12), row)
        expected = evaluate_detections([detections[k] for k in drawn], [truths[k] for k in drawn], 3)
        assert value == pytest.approx(expected.voc07_ap50, abs=1e-12)


def test_a_class_without_an_object_in_a_draw_is_left_out():
    box = np.array([[0, 0, 10, 10.0]])
    found = [ImageDetections(box, np.array([0.9]), np.array([label])) for label in (0, 1)]
    truth = [GroundTruth(box, np.array([label]), np.array([False])) for label in (0, 1)]
    found[1] = ImageDetections(box + 50, np.array([0.9]), np.array([1]))  # in the wrong place
    outcomes = evaluate_detections(found, truth, 2).outcomes
    assert mean_ap07(outcomes, np.array([[1, 1], [2, 0], [0, 2]])) == pytest.approx([0.5, 1, 0])


def test_draws_are_the_same_for_all_and_their_interval_is_the_middle():
    assert np.array_equal(draw_weights(7), draw_weights(7))
    assert interval(np.arange(1001) / 1000) == pytest.approx((0.025, 0.975))
