"""COCO's crowds: judged by COCO's rule beside VOC's, against a plain loop over detections and truths."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.evaluation.test_detection import BOX, dataset, record
from tests.evaluation.test_voc import loop_iou
from tests.predict.test_detector import detector
from yolo9000_jax.evaluation import evaluate
from yolo9000_jax.evaluation.voc import (
    FALSE_POSITIVE,
    IGNORED,
    TRUE_POSITIVE,
    GroundTruth,
    ImageDetections,
    evaluate_detections,
    match_detections,
)


def loop_share(box, crowd, plus):
    """Intersection over the area of the box."""
    width = min(box[2], crowd[2]) - max(box[0], crowd[0]) + plus
    height = min(box[3], crowd[3]) - max(box[1], crowd[1]) + plus
    area = (box[2] - box[0] + plus) * (box[3] - box[1] + plus)
    return max(width, 0) * max(height, 0) / area


def loop_outcomes(detections, truth, threshold, plus):
    """VOC's rule for the truths that are no crowds; then, for what is left over, COCO's for those that are."""
    outcomes, taken = [FALSE_POSITIVE] * len(detections.scores), set()
    for index in np.argsort(-detections.scores, kind="stable"):
        box, label = detections.boxes_xyxy[index], detections.labels[index]
        own = [j for j in range(len(truth.labels)) if truth.labels[j] == label]
        single, crowds = [j for j in own if not truth.crowd[j]], [j for j in own if truth.crowd[j]]
        best = max(single, key=lambda j: loop_iou(box, truth.boxes_xyxy[j], plus), default=None)
        if best is not None and loop_iou(box, truth.boxes_xyxy[best], plus) >= threshold:
            if truth.difficult[best]:
                outcomes[index] = IGNORED
            elif best not in taken:
                outcomes[index] = TRUE_POSITIVE
                taken.add(best)
        if outcomes[index] == FALSE_POSITIVE:
            if any(loop_share(box, truth.boxes_xyxy[j], plus) >= threshold for j in crowds):
                outcomes[index] = IGNORED
    return outcomes


@st.composite
def scenes(draw):
    """Small whole-number boxes, so that equal scores, equal overlaps and those of exactly .5 all happen."""

    def boxes(count):
        low = draw(hnp.arrays(int, (count, 2), elements=st.integers(0, 3)))
        return np.concatenate([low, low + draw(hnp.arrays(int, (count, 2), elements=st.integers(1, 4)))], 1)

    n, m = draw(st.integers(0, 6)), draw(st.integers(0, 4))
    labels = [draw(hnp.arrays(int, k, elements=st.integers(0, 1))) for k in (n, m)]
    scores = draw(hnp.arrays(float, n, elements=st.sampled_from([0.1, 0.25, 0.5, 0.9])))
    flags = draw(hnp.arrays(bool, (2, m)))
    return ImageDetections(boxes(n), scores, labels[0]), GroundTruth(boxes(m), labels[1], *flags)


@settings(max_examples=100, deadline=None)
@given(scenes(), st.sampled_from([0.3, 0.5, 0.75]), st.booleans())
def test_agrees_with_a_plain_loop(scene, threshold, inclusive):
    detections, truth = scene
    outcomes, matched = match_detections(detections, truth, threshold, inclusive)
    assert outcomes.tolist() == loop_outcomes(detections, truth, threshold, int(inclusive))
    same_class = [m < 0 or truth.labels[m] == label for m, label in zip(matched, detections.labels, strict=True)]
    assert all(same_class) and (matched[outcomes != FALSE_POSITIVE] >= 0).all()
    result = evaluate_detections([detections], [truth], 2, threshold, inclusive)
    counting = ~truth.difficult & ~truth.crowd
    assert [found.truths for found in result.per_class] == [int((truth.labels[counting] == c).sum()) for c in (0, 1)]


def test_many_in_a_crowd_count_neither_way():
    """Three inside, one half outside, one of another class; the object elsewhere has the lowest score."""
    truth = GroundTruth(
        np.float64([[0, 0, 48, 16], [40, 40, 48, 48]]),
        np.array([0, 0]),
        np.array([True, False]),
        np.array([True, False]),
    )
    boxes = [
        [0, 0, 8, 8],
        [8, 0, 16, 8],
        [16, 0, 24, 8],
        [0, 12, 8, 20],
        [0, 13, 8, 21],
        [8, 8, 16, 16],
        [40, 40, 48, 48],
    ]
    detections = ImageDetections(np.float64(boxes), np.linspace(0.9, 0.3, 7), np.array([0, 0, 0, 0, 0, 1, 0]))
    outcomes, matched = match_detections(detections, truth)
    assert outcomes.tolist() == [IGNORED] * 4 + [FALSE_POSITIVE, FALSE_POSITIVE, TRUE_POSITIVE]
    assert matched.tolist() == [0, 0, 0, 0, -1, -1, 1]
    inside = ImageDetections(*(array[[0, 1, 2, 3, 6]] for array in detections))
    assert evaluate_detections([inside], [truth], 2).voc_ap50 == 1.0
    voc = evaluate_detections([inside], [truth._replace(crowd=None)], 2)
    assert voc.voc_ap50 == pytest.approx(1 / 5), "VOC's rule wants half of the union"


def test_an_object_in_a_crowd_is_found_first():
    """A detection goes to a free truth before a crowd; the second one of that truth lies in the crowd."""
    truth = GroundTruth(np.float64([[0, 0, 40, 40], [0, 0, 8, 8]]), np.array([0, 0]), *np.array([[True, False]] * 2))
    detections = ImageDetections(np.float64([[0, 0, 8, 8], [0, 0, 8, 7]]), np.array([0.5, 0.9]), np.array([0, 0]))
    assert match_detections(detections, truth)[0].tolist() == [IGNORED, TRUE_POSITIVE]


def test_crowds_of_a_data_set():
    """The box that is found in every picture is a dog; in the second picture it lies in a crowd of dogs."""
    alone, difficult = record(0, [[8, 6, 40, 30]], [1]), record(1, [[0, 0, 80, 60]], [1], [True])
    find = detector((*BOX, 0.9, 1), resize="stretch")
    found = evaluate(find, dataset(replace(difficult, crowd=np.array([True])), alone)).metrics
    assert found["voc_ap50"] == 1.0 and found["per_class"]["dog"]["truths"] == 1
    assert evaluate(find, dataset(difficult, alone)).metrics["voc_ap50"] == 0.5
