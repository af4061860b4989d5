"""ImageNet's rule for small boxes, against a plain loop over the kit's rule."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolo9000_jax.evaluation.ilsvrc import average_precisions, iou_thresholds, match_detections
from yolo9000_jax.evaluation.voc import FALSE_POSITIVE, IGNORED, TRUE_POSITIVE, GroundTruth, ImageDetections


def drawn(seed):
    """Up to six detections (box, score, label) and four truths (box, label, difficult), many of them overlapping."""
    random = Random(seed)

    def box():
        (x0, x1), (y0, y1) = (sorted(random.choices(range(31), k=2)) for _ in range(2))
        return x0, y0, x1, y1

    detections = [(box(), random.choice([0.2, 0.5, 0.5, 0.9]), random.randrange(2)) for _ in range(random.randrange(7))]
    truths = [(box(), random.randrange(2), random.random() < 0.2) for _ in range(random.randrange(5))]
    return detections, truths


def arrays(detections, truths):
    boxes, scores, labels = zip(*detections, strict=True) if detections else ((), (), ())
    true, true_labels, difficult = zip(*truths, strict=True) if truths else ((), (), ())
    return (
        ImageDetections(np.array(boxes, float).reshape(-1, 4), np.array(scores, float), np.array(labels, int)),
        GroundTruth(np.array(true, float).reshape(-1, 4), np.array(true_labels, int), np.array(difficult, bool)),
    )


def loop(detections, truths):
    """One detection after the other, best first, each looking at every truth that is free."""
    outcomes, taken = [FALSE_POSITIVE] * len(detections), set()
    for place in sorted(range(len(detections)), key=lambda place: -detections[place][1]):
        (x0, y0, x1, y1), _, label = detections[place]
        best, chosen = 0.0, None
        for k, ((a0, b0, a1, b1), true_label, _) in enumerate(truths):
            wide, high = min(x1, a1) - max(x0, a0), min(y1, b1) - max(y0, b0)
            if true_label != label or k in taken or wide <= 0 or high <= 0:
                continue
            w, h = a1 - a0, b1 - b0
            iou = wide * high / ((x1 - x0) * (y1 - y0) + w * h - wide * high)
            if iou >= min(0.5, w * h / ((w + 10) * (h + 10))) and iou > best:
                best, chosen = iou, k
        if chosen is not None:
            difficult = truths[chosen][2]
            outcomes[place] = IGNORED if difficult else TRUE_POSITIVE
            taken |= set() if difficult else {chosen}
    return outcomes


@settings(max_examples=2000)
@given(st.integers(0, 2**32))
def test_agrees_with_a_loop(seed):
    detections, truths = drawn(seed)
    assert match_detections(*arrays(detections, truths)).tolist() == loop(detections, truths)


def test_thresholds():
    """A box of 10 x 10 wants a quarter; from about 24 x 24 on it is a half, as VOC's."""
    boxes = [(0, 0, 10, 10), (5, 5, 6, 6), (0, 0, 24, 24), (0, 0, 25, 25), (0, 0, 500, 5)]
    expected = [0.25, 1 / 121, 576 / 1156, 0.5, 2500 / (510 * 15)]
    np.testing.assert_allclose(iou_thresholds(np.array(boxes)), expected)


def test_a_small_box_that_voc_calls_missed():
    """And a second detection takes the truth that is left, where VOC's rule looks only at the one it overlaps most."""
    truths = [arrays([], [((0, 0, 10, 10), 0, False), ((0, 0, 10, 12), 0, False)])[1]]
    detections = [arrays([((0, 0, 10, 10), 0.9, 0), ((0, 0, 10, 10), 0.8, 0), ((4, 0, 14, 10), 0.7, 0)], [])[0]]
    assert match_detections(detections[0], truths[0]).tolist() == [TRUE_POSITIVE, TRUE_POSITIVE, FALSE_POSITIVE]
    assert average_precisions(detections, truths, 2) == [pytest.approx(1.0), None]
