"""Table 1 and Figure 2 against a plain loop."""

import numpy as np
import pytest

from yolo9000_jax.boxes.priors import HAND_PICKED_SIZES, kmeans_priors
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.priors import compare_priors, to_json

BOXES = np.random.default_rng(3).uniform(0.02, 0.9, (300, 2))


@pytest.fixture(scope="module")
def fit():
    return compare_priors(BOXES, 3)


def plain_average_iou(boxes_wh, anchors):
    best = []
    for width, height in boxes_wh:
        ious = []
        for anchor_width, anchor_height in anchors:
            shared = min(width, anchor_width) * min(height, anchor_height)
            ious.append(shared / (width * height + anchor_width * anchor_height - shared))
        best.append(max(ious))
    return sum(best) / len(best)


def test_rows_are_those_of_the_papers_table(fit):
    anchors = [
        kmeans_priors(BOXES, 5, distance="sse").anchors,
        kmeans_priors(BOXES, 5).anchors,
        [(side * ratio**0.5, side / ratio**0.5) for side in HAND_PICKED_SIZES for ratio in (0.5, 1, 2)],
        kmeans_priors(BOXES, 9).anchors,
    ]
    assert [row.k for row in fit.rows] == [5, 5, 9, 9] == [len(shapes) for shapes in anchors]
    assert [row.average_iou for row in fit.rows] == pytest.approx([plain_average_iou(BOXES, a) for a in anchors])
    assert [row.paper for row in fit.rows] == [0.587, 0.61, 0.609, 0.672]
    assert len(fit.marks()) == 2 and set(fit.marks().values()) == {tuple(fit.rows[i][1:3]) for i in (0, 2)}


def test_curve_and_anchors(fit):
    assert sorted(fit.iou_by_k) == list(range(1, 16)) and fit.boxes == 300
    for k in (1, 7):
        assert fit.iou_by_k[k] == pytest.approx(plain_average_iou(BOXES, kmeans_priors(BOXES, k).anchors))
    np.testing.assert_array_equal(fit.anchors, kmeans_priors(BOXES, 3).anchors)
    few = compare_priors(np.repeat(BOXES[:11], 4, axis=0))
    assert sorted(few.iou_by_k) == list(range(1, 12)) and few.iou_by_k[11] == pytest.approx(1)


def test_hand_picked_sizes_are_fractions_of_a_picture():
    """256 x 256 pixels are 32 % of the width and 42.7 % of the height of 800 x 600."""
    assert HAND_PICKED_SIZES[1] ** 2 == pytest.approx(0.32 * 0.4267, rel=1e-3)


def test_json(fit):
    (item,) = to_json({"one": fit}, 320)["datasets"]
    np.testing.assert_allclose(item["anchors_cells"], fit.anchors * 10, atol=1e-4)


def test_too_few_boxes():
    with pytest.raises(UserError, match="k = 9, but there are only 8 distinct boxes"):
        compare_priors(np.repeat(BOXES[:8], 2, axis=0))
    with pytest.raises(UserError, match="no boxes"):
        compare_priors(np.zeros((0, 2)))
