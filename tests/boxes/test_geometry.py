import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.helpers import golden_path
from yolo9000_jax.boxes.geometry import cxcywh_to_xyxy, iou_cxcywh, iou_xyxy, shape_iou, xyxy_to_cxcywh

sides = st.just(0.0) | st.floats(0.01, 100)
boxes = hnp.arrays(np.float64, (5, 4), elements=sides)


def plain_iou(a, b):
    """IoU of two centre boxes, one overlap per axis."""
    overlaps = []
    for axis in (0, 1):
        low = max(a[axis] - a[axis + 2] / 2, b[axis] - b[axis + 2] / 2)
        high = min(a[axis] + a[axis + 2] / 2, b[axis] + b[axis + 2] / 2)
        overlaps.append(max(high - low, 0))
    intersection = overlaps[0] * overlaps[1]
    union = a[2] * a[3] + b[2] * b[3] - intersection
    return intersection / union if union > 0 else 0.0


@settings(deadline=None)
@given(boxes, boxes)
def test_iou_agrees_with_plain_arithmetic_and_is_symmetric(a, b):
    pairwise = iou_cxcywh(a[:, None], b)
    expected = [[plain_iou(one, other) for other in b] for one in a]
    np.testing.assert_allclose(pairwise, expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(pairwise, iou_cxcywh(b[:, None], a).T)
    assert ((pairwise >= 0) & (pairwise <= 1 + 1e-9)).all()


@settings(deadline=None)
@given(boxes)
def test_conversions_are_inverse(centre_boxes):
    corners = cxcywh_to_xyxy(centre_boxes)
    np.testing.assert_allclose(xyxy_to_cxcywh(corners), centre_boxes, atol=1e-9)
    np.testing.assert_allclose(corners[:, 2:] - corners[:, :2], centre_boxes[:, 2:], atol=1e-9)


@settings(deadline=None)
@given(boxes)
def test_shape_iou_is_iou_of_boxes_with_the_same_centre(centre_boxes):
    concentric = np.concatenate([np.zeros((5, 2)), centre_boxes[:, 2:]], axis=-1)
    shapes = centre_boxes[:, 2:]
    np.testing.assert_allclose(
        shape_iou(shapes[:, None], shapes), iou_cxcywh(concentric[:, None], concentric), rtol=1e-9
    )


def test_corner_convention_has_no_extra_pixel():
    a, b = np.array([0.0, 0, 2, 2]), np.array([1.0, 0, 3, 2])
    assert iou_xyxy(a, b) == pytest.approx(1 / 3)
    assert iou_xyxy(a, np.array([2.0, 0, 4, 2])) == 0, "boxes that only touch do not overlap"
    assert iou_xyxy(np.zeros(4), np.zeros(4)) == 0, "a box without area overlaps nothing, itself included"


def test_numpy_in_numpy_out_and_jax_in_jax_out():
    box = np.array([0.5, 0.5, 0.2, 0.4], np.float32)
    for function in (cxcywh_to_xyxy, xyxy_to_cxcywh):
        assert isinstance(function(box), np.ndarray)
        assert isinstance(function(jnp.asarray(box)), jnp.ndarray)
        np.testing.assert_allclose(function(box), function(jnp.asarray(box)), rtol=1e-6)
    assert iou_cxcywh(jnp.asarray(box), box) == pytest.approx(1, rel=1e-5)


def test_golden_iou():
    golden = np.load(golden_path("unit/iou.npz"))
    np.testing.assert_allclose(iou_cxcywh(golden["a"], golden["b"]), golden["iou"], rtol=1e-5, atol=1e-7)
