"""Non-maximum suppression as Darknet does it (darknet.md 7.6), compiled: static shapes and no loop over boxes.

Boxes are compared in the network's coordinates; the way back to the picture scales each axis, which changes no IoU.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from yolo9000_jax.boxes.geometry import cxcywh_to_xyxy, iou_xyxy
from yolo9000_jax.errors import UserError
from yolo9000_jax.shapes import Array, check_shapes


class PaddedDetections(NamedTuple):
    """The K best detections of each picture, best first; rows where `valid` is False hold zeros.

    boxes_cxcywh float32 [B, K, 4] fractions of the network input, scores float32 [B, K], labels int32 [B, K],
    valid bool [B, K], places int32 [B, K] of the boxes among the N that went in. One box may appear several times,
    with different labels. path_probabilities float32 [B, K, levels], where a tree's labels were chosen: each node's on
    the label's path, given its parent, 1 below the label.
    """

    boxes_cxcywh: jax.Array
    scores: jax.Array
    labels: jax.Array
    valid: jax.Array
    places: jax.Array
    path_probabilities: jax.Array | None = None


@partial(jax.jit, static_argnames=("max_detections", "candidates"))
def nms_per_class(
    boxes_cxcywh: Array,
    scores: Array,
    iou_threshold: float | jax.Array,
    *,
    labels: Array | None = None,
    paths: Array | None = None,
    takes_part: Array | None = None,
    max_detections: int = 100,
    candidates: int = 1000,
) -> PaddedDetections:
    """Greedy suppression among the boxes of each class, in the order of that class's scores (Darknet's do_nms_sort).

    Only the `candidates` best (box, class) pairs of a picture enter. Since a pair is suppressed by better ones only,
    the result is exactly what the full greedy suppression keeps of these pairs; a limit of N * C changes nothing.
    Among equal scores the earlier box goes first.

    Args:
        boxes_cxcywh: [B, N, 4].
        scores: [B, N, C]; a score that is not positive is no detection.
        iou_threshold: a pair is suppressed by a better one whose box overlaps its box by more than this.
        labels: int32 [B, N, C], the class of each score; without it the last index. [B, N, 1] gives each box one class.
        paths: int32 [classes, levels], nodes of a tree from the root down to each class, then -1; classes that lie on
            one path then compete too, such as a dog and a poodle.
        takes_part: bool [B, N]; the other boxes neither suppress nor are suppressed (darknet.md 7.6: those of
        objectness 0).
        max_detections: rows of the result.
        candidates: the limit above; memory grows with its square.

    Returns:
        PaddedDetections.

    Raises:
        UserError: an array of another shape, or a limit that is not positive.
    """
    check_shapes(
        "nms_per_class",
        boxes_cxcywh=(boxes_cxcywh, "B N 4"),
        scores=(scores, "B N C"),
        labels=(labels, "B N C"),
        takes_part=(takes_part, "B N"),
        paths=(paths, "classes levels"),
    )
    _check_limits(max_detections, candidates)
    if labels is None:
        labels = jnp.broadcast_to(jnp.arange(scores.shape[-1], dtype=jnp.int32), scores.shape)
    if takes_part is None:
        takes_part = jnp.ones(boxes_cxcywh.shape[:2], bool)
    limit = min(candidates, scores.shape[1] * scores.shape[2])

    def one_picture(boxes: jax.Array, scores: jax.Array, labels: jax.Array, takes_part: jax.Array) -> PaddedDetections:
        order, picked_scores = _best(scores.reshape(-1), limit)
        box_index = order // scores.shape[-1]
        boxes, labels, part = boxes[box_index], labels.reshape(-1)[order], takes_part[box_index]
        competes = part[:, None] & part & _same_class(labels, paths)
        keep = _greedy(boxes, picked_scores > 0, competes, iou_threshold)
        return _detections(boxes, jnp.where(keep, picked_scores, 0), labels, box_index, max_detections)

    return jax.vmap(one_picture)(*map(jnp.asarray, (boxes_cxcywh, scores, labels, takes_part)))


@partial(jax.jit, static_argnames=("max_detections", "candidates"))
def nms_by_objectness(
    boxes_cxcywh: Array,
    objectness: Array,
    scores: Array,
    iou_threshold: float | jax.Array,
    *,
    max_detections: int = 100,
    candidates: int = 1000,
) -> PaddedDetections:
    """Greedy suppression among all boxes whatever their class, in the order of objectness (Darknet's do_nms_obj).

    Args:
        boxes_cxcywh: [B, N, 4].
        objectness: [B, N]; boxes where it is not positive are dropped.
        scores: [B, N, C]; a score that is not positive is no detection.
        iou_threshold: a box is suppressed by a better one that overlaps it by more than this.
        max_detections: rows of the result.
        candidates: only that many boxes of highest objectness are looked at; a limit of N changes nothing.

    Returns:
        PaddedDetections.

    Raises:
        UserError: an array of another shape, or a limit that is not positive.
    """
    check_shapes(
        "nms_by_objectness",
        boxes_cxcywh=(boxes_cxcywh, "B N 4"),
        objectness=(objectness, "B N"),
        scores=(scores, "B N C"),
    )
    _check_limits(max_detections, candidates)
    keep = keep_by_objectness(boxes_cxcywh, objectness, iou_threshold, candidates=candidates)
    scores = jnp.where(keep[..., None], scores, 0)

    def one_picture(boxes: jax.Array, scores: jax.Array) -> PaddedDetections:
        order, picked_scores = _best(scores.reshape(-1), min(max_detections, scores.size))
        box_index, classes = jnp.divmod(order, scores.shape[-1])
        return _detections(boxes[box_index], picked_scores, classes, box_index, max_detections)

    return jax.vmap(one_picture)(jnp.asarray(boxes_cxcywh), scores)


@partial(jax.jit, static_argnames="candidates")
def keep_by_objectness(
    boxes_cxcywh: Array, objectness: Array, iou_threshold: float | jax.Array, *, candidates: int = 1000
) -> jax.Array:
    """Which boxes survive nms_by_objectness: bool [B, N]. Arguments as there."""
    limit = min(candidates, objectness.shape[1])

    def one_picture(boxes: jax.Array, objectness: jax.Array) -> jax.Array:
        order, picked = _best(objectness, limit)
        keep = _greedy(boxes[order], picked > 0, True, iou_threshold)
        return jnp.zeros(objectness.shape, bool).at[order].set(keep)

    return jax.vmap(one_picture)(jnp.asarray(boxes_cxcywh), jnp.asarray(objectness))


def _check_limits(max_detections: int, candidates: int) -> None:
    if max_detections < 1 or candidates < 1:
        raise UserError(f"max_detections {max_detections}, candidates {candidates}: both must be 1 or more")


def _best(scores: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
    """Indices and values of the highest scores [M], best first; whatever is not positive (or NaN) counts as 0."""
    values, indices = lax.top_k(jnp.where(scores > 0, scores, 0), count)
    return indices.astype(jnp.int32), values


def _same_class(labels: jax.Array, paths: Array | None) -> jax.Array:
    """Which of the labels [K] compete: bool [K, K]; with a tree's `paths` also one that is above the other."""
    if paths is None:
        return labels[:, None] == labels
    paths = jnp.asarray(paths)[labels]
    depth = jnp.sum(paths >= 0, axis=1) - 1
    shared = jnp.minimum(depth[:, None], depth)
    node = jnp.take_along_axis(paths, shared, axis=1)  # [i, j]: on i's path, as deep as the shallower of i and j
    return node == node.T


def _greedy(
    boxes_cxcywh: jax.Array, present: jax.Array, competes: jax.Array | bool, iou_threshold: float | jax.Array
) -> jax.Array:
    """Which of the boxes [K, 4], best first, greedy suppression keeps: bool [K].

    Keeping is defined by itself: a box stays if it is present and no kept better box suppresses it. Applying that
    sentence to all boxes at once settles the first box, then all whose suppressors are settled, and so on; when nothing
    changes any more, everything is settled. That takes as many rounds as the longest chain of suppressions, usually a
    handful.
    """
    corners = cxcywh_to_xyxy(boxes_cxcywh)
    better = jnp.tri(len(corners), k=-1, dtype=bool)  # [i, j]: j comes before i
    suppresses = (iou_xyxy(corners[:, None], corners) > iou_threshold) & better & competes
    suppresses = suppresses.astype(jnp.float32)  # so that "any" is a matrix product, the fastest way on every device

    def settle(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        keep, _ = state
        settled = present & (suppresses @ keep.astype(jnp.float32) == 0)
        return settled, (settled != keep).any()

    return lax.while_loop(lambda state: state[1], settle, (present, jnp.array(True)))[0]


def _detections(
    boxes_cxcywh: jax.Array, scores: jax.Array, labels: jax.Array, places: jax.Array, max_detections: int
) -> PaddedDetections:
    """The best of the rows, cut or padded to max_detections; rows of score 0 become zeros."""
    count = min(max_detections, len(scores))
    order, scores = _best(scores, count)
    valid = scores > 0
    labels, places = (jnp.where(valid, values[order], 0) for values in (labels, places))
    rows = PaddedDetections(jnp.where(valid[:, None], boxes_cxcywh[order], 0), scores, labels, valid, places)
    missing = max_detections - count
    return jax.tree.map(lambda row: jnp.pad(row, [(0, missing)] + [(0, 0)] * (row.ndim - 1)), rows)
