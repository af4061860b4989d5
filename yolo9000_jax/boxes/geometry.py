"""Conversions and overlaps of boxes. Every function takes NumPy or JAX arrays and returns the same kind."""

from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np

from yolo9000_jax.shapes import Array

AnyArray = TypeVar("AnyArray", bound=Array)


def _array_module(*arrays: Array) -> Any:
    """NumPy where all are NumPy arrays, else jax.numpy."""
    return np if all(isinstance(array, np.ndarray) for array in arrays) else jnp


def cxcywh_to_xyxy(boxes_cxcywh: AnyArray) -> AnyArray:
    """Corners of boxes given by centre and size: [..., 4] -> [..., 4], same unit."""
    xp = _array_module(boxes_cxcywh)
    centre, half = boxes_cxcywh[..., :2], boxes_cxcywh[..., 2:] / 2
    return xp.concatenate([centre - half, centre + half], axis=-1)


def xyxy_to_cxcywh(boxes_xyxy: AnyArray) -> AnyArray:
    """Centre and size of boxes given by corners: [..., 4] -> [..., 4], same unit."""
    xp = _array_module(boxes_xyxy)
    low, high = boxes_xyxy[..., :2], boxes_xyxy[..., 2:]
    return xp.concatenate([(low + high) / 2, high - low], axis=-1)


def iou_xyxy(a: Array, b: Array) -> Any:
    """Intersection over union of corner boxes [..., 4] and [..., 4], broadcast against each other.

    No +1 and no epsilon (darknet.md 5.4); two boxes without area have IoU 0.
    """
    xp = _array_module(a, b)
    overlap = xp.minimum(a[..., 2:], b[..., 2:]) - xp.maximum(a[..., :2], b[..., :2])
    return _ratio(
        xp, xp.prod(xp.maximum(overlap, 0), -1), _area(a[..., 2:] - a[..., :2]), _area(b[..., 2:] - b[..., :2])
    )


def iou_cxcywh(a: Array, b: Array) -> Any:
    """Intersection over union of centre boxes [..., 4] and [..., 4], broadcast against each other."""
    return iou_xyxy(cxcywh_to_xyxy(a), cxcywh_to_xyxy(b))


def shape_iou(a_wh: Array, b_wh: Array) -> Any:
    """IoU of two shapes (width, height) [..., 2] laid centre on centre, as priors are chosen (paper, section 2)."""
    xp = _array_module(a_wh, b_wh)
    return _ratio(xp, xp.prod(xp.minimum(a_wh, b_wh), -1), _area(a_wh), _area(b_wh))


def _area(sides: Array) -> Array:
    return sides[..., 0] * sides[..., 1]


def _ratio(xp: Any, intersection: Array, area_a: Array, area_b: Array) -> Any:
    union = area_a + area_b - intersection
    return xp.where(union > 0, intersection / xp.where(union > 0, union, 1), 0)
