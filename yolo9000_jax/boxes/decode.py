"""From a network's raw output to boxes, scores and detections (darknet.md 5.1, 5.2, 7, 12)."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from yolo9000_jax.boxes.nms import CANDIDATES, PaddedDetections, nms_by_objectness, nms_per_class
from yolo9000_jax.errors import UserError
from yolo9000_jax.shapes import Array, check_shapes

Anchors = Array | Sequence[Sequence[float]]
Threshold = float | jax.Array


class Decoded(NamedTuple):
    """What an output says about its N = rows * columns * A boxes, in the order row, column, anchor.

    boxes_cxcywh float32 [B, N, 4] fractions of the network input, objectness float32 [B, N],
    class_probabilities float32 [B, N, C], given that there is an object.
    """

    boxes_cxcywh: jax.Array
    objectness: jax.Array
    class_probabilities: jax.Array


def place_boxes(
    rows: Array, cell_xy: Array, anchors_cells: Array, grid_wh: Array, location: str = "direct"
) -> jax.Array:
    """Boxes from raw x, y, w, h, ...: the two box parametrisations of the paper's section 2.

    "direct" is the paper's "Direct location prediction" (darknet.md 5.2): the centre lies in the box's own cell, at the
    sigmoid of (x, y). "offset" is that of region proposal networks, with which the paper compares: the centre is the
    cell's, moved by (x, y) times the anchor's width and height, to wherever that is in the picture: x = 1 moves it one
    width to the right, as the paper's example says (its formula has a minus for a plus). In both the size is the anchor
    times exp(w, h).

    Args:
        rows: [..., 4 or more], x, y, w, h, ... before activation.
        cell_xy: [..., 2] column and row of each box's cell.
        anchors_cells: [..., 2] width and height of each box's anchor in grid cells.
        grid_wh: [2] columns and rows of the grid.
        location: "direct" or "offset".

    Returns:
        boxes_cxcywh [..., 4], fractions of the network input.

    Raises:
        UserError: location is neither.
    """
    if location == "direct":
        in_cell: Array = jax.nn.sigmoid(rows[..., :2])
    elif location == "offset":
        in_cell = 0.5 + rows[..., :2] * anchors_cells
    else:
        raise UserError(f"unknown location {location!r}; choose 'direct' or 'offset'")
    centre = (cell_xy + in_cell) / grid_wh
    return jnp.concatenate([centre, anchors_cells * jnp.exp(rows[..., 2:4]) / grid_wh], axis=-1)


def decode_boxes(raw: Array, anchors_cells: Anchors, location: str = "direct") -> jax.Array:
    """Boxes from a raw grid.

    Args:
        raw: [B, rows, columns, A, 4 or more], last axis x, y, w, h, ... before activation.
        anchors_cells: [A, 2] widths and heights in grid cells.
        location: what x and y say, "direct" or "offset"; see place_boxes.

    Returns:
        boxes_cxcywh float32 [B, rows * columns * A, 4], fractions of the network input, N in the order row,
        column, anchor.

    Raises:
        UserError: an unknown location, or an array of another shape.
    """
    check_shapes("decode_boxes", raw=(raw, "B rows columns A 4+"), anchors_cells=(anchors_cells, "A 2"))
    batch, rows, columns = raw.shape[:3]
    cell_xy = jnp.stack(jnp.meshgrid(jnp.arange(columns), jnp.arange(rows)), axis=-1)[:, :, None]
    sizes_cells, grid_wh = jnp.asarray(anchors_cells, jnp.float32), jnp.array([columns, rows], jnp.float32)
    boxes_cxcywh = place_boxes(raw[..., :4].astype(jnp.float32), cell_xy, sizes_cells, grid_wh, location)
    return boxes_cxcywh.reshape(batch, -1, 4)


def decode(
    raw: Array,
    anchors_cells: Anchors,
    class_activation: str = "softmax",
    background: bool = False,
    location: str = "direct",
) -> Decoded:
    """Boxes, objectness and class probabilities from a raw grid (darknet.md 5.1).

    Args:
        raw: [B, rows, columns, A, 5 + C], last axis x, y, w, h, objectness, classes, before activation.
        anchors_cells: [A, 2] widths and heights in grid cells.
        class_activation: "softmax" for one class a box, "logistic" for classes that do not exclude each other.
        background: the fifth entry is one more class, "nothing here", in the softmax; the objectness is then 1.
        location: what x and y say, "direct" or "offset"; see place_boxes.

    Returns:
        Decoded.

    Raises:
        UserError: class_activation or location is unknown, background goes with a class_activation other than
            "softmax", or an array has another shape.
    """
    check_shapes("decode", raw=(raw, "B rows columns A 5+C"), anchors_cells=(anchors_cells, "A 2"))
    entries = raw[..., 4:].astype(jnp.float32).reshape(raw.shape[0], -1, raw.shape[-1] - 4)
    boxes_cxcywh = decode_boxes(raw, anchors_cells, location)
    if background and class_activation != "softmax":
        raise UserError("background=True needs class_activation='softmax'")
    if background:
        return Decoded(boxes_cxcywh, jnp.ones(entries.shape[:2]), jax.nn.softmax(entries)[..., 1:])
    if class_activation not in _CLASS_ACTIVATIONS:
        raise UserError(f"unknown class_activation {class_activation!r}; choose 'softmax' or 'logistic'")
    classes = _CLASS_ACTIVATIONS[class_activation](entries[..., 1:])
    return Decoded(boxes_cxcywh, jax.nn.sigmoid(entries[..., 0]), classes)


_CLASS_ACTIVATIONS = {"softmax": jax.nn.softmax, "logistic": jax.nn.sigmoid}


def split_yolo_v1(
    vector: Array, side: int, boxes_per_cell: int, num_classes: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The parts of YOLOv1's output vector (darknet.md 12), cells in the order row, column.

    Args:
        vector: [B, side * side * (C + 5 * boxes_per_cell)], C = num_classes.
        side: rows and columns of the grid.

    Returns:
        Class scores [B, side * side, C], objectness [B, side * side, boxes_per_cell], and x, y, w, h as the network
        gives them [B, side * side, boxes_per_cell, 4].

    Raises:
        UserError: the vector has another length.
    """
    check_shapes("split_yolo_v1", vector=(vector, "B N"))
    cells = side * side
    if vector.shape[1] != cells * (num_classes + 5 * boxes_per_cell):
        raise UserError(
            f"an output of {vector.shape[1]} numbers is not {side}*{side} cells of {num_classes} classes and "
            f"{boxes_per_cell} boxes: that takes {cells * (num_classes + 5 * boxes_per_cell)}"
        )
    classes, objectness, boxes = jnp.split(vector, [cells * num_classes, cells * (num_classes + boxes_per_cell)], 1)
    return (
        classes.reshape(-1, cells, num_classes),
        objectness.reshape(-1, cells, boxes_per_cell),
        boxes.reshape(-1, cells, boxes_per_cell, 4),
    )


def decode_yolo_v1(
    vector: Array, side: int, boxes_per_cell: int, num_classes: int, sqrt: bool = True, softmax: bool = False
) -> Decoded:
    """Boxes, objectness and class probabilities from YOLOv1's output vector (darknet.md 12).

    The network has no activation at its end: objectness and probabilities may lie outside 0..1, and with sqrt=False
    sizes may be negative. Darknet's scores are objectness * class probability wherever that is above the threshold,
    whatever the objectness alone.

    Args:
        vector, side, boxes_per_cell, num_classes: as for split_yolo_v1.
        sqrt: the network gives square roots of widths and heights.
        softmax: the class scores are logits.

    Returns:
        Decoded of N = side * side * boxes_per_cell boxes; the boxes of a cell share its class probabilities.

    Raises:
        UserError: the vector has another length.
    """
    classes, objectness, boxes = split_yolo_v1(vector.astype(jnp.float32), side, boxes_per_cell, num_classes)
    corner_of_cell = jnp.stack(jnp.meshgrid(jnp.arange(side), jnp.arange(side)), axis=-1).reshape(-1, 1, 2)
    centre = (corner_of_cell + boxes[..., :2]) / side
    size = jnp.square(boxes[..., 2:]) if sqrt else boxes[..., 2:]
    boxes_cxcywh = jnp.concatenate([centre, size], axis=-1).reshape(vector.shape[0], -1, 4)
    classes = jax.nn.softmax(classes) if softmax else classes
    return Decoded(boxes_cxcywh, objectness.reshape(vector.shape[0], -1), jnp.repeat(classes, boxes_per_cell, axis=1))


_STATIC = ("candidates", "class_activation", "background", "location", "suppression")


@partial(jax.jit, static_argnames=_STATIC)
def detect(
    raw: Array,
    anchors_cells: Anchors,
    score_threshold: Threshold,
    iou_threshold: Threshold,
    *,
    candidates: int = CANDIDATES,
    class_activation: str = "softmax",
    background: bool = False,
    location: str = "direct",
    suppression: str = "class",
) -> PaddedDetections:
    """Detections from a raw grid, by Darknet's rules (darknet.md 7.1, 7.2, 7.6).

    A box's score for a class is objectness * class probability; only scores (and objectness) above score_threshold
    count, and one box can be detected as several classes. Compiled once for each shape of raw, not for each threshold.

    Args:
        raw, anchors_cells, class_activation, background, location: as for decode.
        score_threshold: Darknet uses .5 to look at pictures, .005 to evaluate.
        iou_threshold: Darknet uses .45.
        candidates: how many pairs (box, class) enter the suppression, and rows of the result; see nms.nms_per_class.
        suppression: "class" (within each class), "score" (across classes, in the order of scores) or "objectness"
            (across classes, in the order of objectness; a box that stays keeps all its classes).

    Returns:
        PaddedDetections.

    Raises:
        UserError: an unknown class_activation, location or suppression, or an array of another shape.
    """
    boxes_cxcywh, objectness, probabilities = decode(raw, anchors_cells, class_activation, background, location)
    objectness, scores = threshold_scores(objectness, probabilities, score_threshold)
    if suppression in ("class", "score"):
        agnostic = suppression == "score"
        return nms_per_class(boxes_cxcywh, scores, iou_threshold, class_agnostic=agnostic, candidates=candidates)
    if suppression == "objectness":
        return nms_by_objectness(boxes_cxcywh, objectness, scores, iou_threshold, candidates=candidates)
    raise UserError(f"unknown suppression {suppression!r}; choose 'class', 'score' or 'objectness'")


def detect_yolo_v1(
    decoded: Decoded,
    score_threshold: Threshold,
    iou_threshold: Threshold,
    *,
    candidates: int = CANDIDATES,
    class_agnostic: bool = False,
) -> PaddedDetections:
    """Detections from what decode_yolo_v1 gives, by Darknet's rules for YOLOv1 (darknet.md 7.6, 12).

    They differ from those of `detect` in one thing: only the score, objectness * class probability, has to be above
    the threshold.

    Args:
        decoded: Decoded.
        score_threshold: Darknet uses .2 to look at pictures, .001 to evaluate.
        iou_threshold: Darknet uses .4 and .5.
        candidates: as for detect.
        class_agnostic: suppress across classes.

    Returns:
        PaddedDetections.
    """
    boxes_cxcywh, objectness, class_probabilities = decoded
    scores = objectness[..., None] * class_probabilities
    scores = jnp.where(scores > score_threshold, scores, 0)
    return nms_per_class(boxes_cxcywh, scores, iou_threshold, class_agnostic=class_agnostic, candidates=candidates)


def threshold_scores(
    objectness: jax.Array, class_probabilities: jax.Array, score_threshold: Threshold
) -> tuple[jax.Array, jax.Array]:
    """Objectness [B, N] and scores [B, N, C], each 0 unless above the threshold (darknet.md 7.1, 7.2: strictly)."""
    objectness = jnp.where(objectness > score_threshold, objectness, 0)
    scores = objectness[..., None] * class_probabilities
    return objectness, jnp.where(scores > score_threshold, scores, 0)
