"""Non-maximum suppression as Darknet does it (darknet.md 7.6), compiled: static shapes and no loop over boxes.

Boxes are compared in the network's coordinates; the way back to the picture scales each axis, which changes no IoU.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from yolo9000_jax.boxes.geometry import cxcywh_to_xyxy, iou_xyxy
from yolo9000_jax.errors import UserError
from yolo9000_jax.shapes import Array, check_shapes

CANDIDATES = 1024  # rows of a result, unless told otherwise
BLOCK = 1024  # boxes that are compared with as many others at a time


class PaddedDetections(NamedTuple):
    """The detections of each picture, best first, in K rows; rows where `valid` is False hold zeros.

    boxes_cxcywh float32 [B, K, 4] fractions of the network input, scores float32 [B, K], labels int32 [B, K],
    valid bool [B, K], places int32 [B, K] of the boxes among the N that went in. One box may appear several times,
    with different labels. pairs int32 [B]: how many pairs (box, class) had a score; where they are more than K, some
    may be missing, those of the lowest scores. path_probabilities float32 [B, K, levels], where a tree's labels were
    chosen: each node's on the label's path, given its parent, 1 below the label.
    """

    boxes_cxcywh: jax.Array
    scores: jax.Array
    labels: jax.Array
    valid: jax.Array
    places: jax.Array
    pairs: jax.Array
    path_probabilities: jax.Array | None = None


@partial(jax.jit, static_argnames=("class_agnostic", "candidates"))
def nms_per_class(
    boxes_cxcywh: Array,
    scores: Array,
    iou_threshold: float | jax.Array,
    *,
    labels: Array | None = None,
    paths: Array | None = None,
    takes_part: Array | None = None,
    class_agnostic: bool = False,
    candidates: int = CANDIDATES,
) -> PaddedDetections:
    """Greedy suppression among the boxes of each class, in the order of that class's scores (Darknet's do_nms_sort).

    The result is what the full greedy suppression keeps of the `candidates` best (box, class) pairs of a picture, which
    better ones alone can suppress. Above BLOCK candidates the classes go one by one, and it is the best of all; where
    `pairs` of the result is not above its number of rows, nothing was left out. Among equal scores the earlier box goes
    first.

    Args:
        boxes_cxcywh: [B, N, 4].
        scores: [B, N, C]; a score that is not positive is no detection.
        iou_threshold: a pair is suppressed by a better one whose box overlaps its box by more than this.
        labels: int32 [B, N, C], the class of each score; without it the last index. [B, N, 1] gives each box one class.
        paths: int32 [classes, levels], nodes of a tree from the root down to each class, then -1; classes that lie on
            one path then compete too, such as a dog and a poodle.
        takes_part: bool [B, N]; the other boxes neither suppress nor are suppressed (darknet.md 7.6: those of
        objectness 0).
        class_agnostic: all pairs compete, whatever their classes.
        candidates: the limit above; time grows with the square of how many pairs there are within it.

    Returns:
        PaddedDetections of K = candidates rows, or N * C if these are fewer.

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
    limit = _limit(candidates, scores)
    by_class = limit > BLOCK and labels is None and paths is None and not class_agnostic
    if labels is None:
        labels = jnp.broadcast_to(jnp.arange(scores.shape[-1], dtype=jnp.int32), scores.shape)
    if takes_part is None:
        takes_part = jnp.ones(boxes_cxcywh.shape[:2], bool)

    def one_picture(boxes: jax.Array, scores: jax.Array, labels: jax.Array, takes_part: jax.Array) -> PaddedDetections:
        pairs = (scores > 0).sum(dtype=jnp.int32)
        if by_class:  # each class by itself: of many pairs nearly all are of other classes
            left = jnp.where(_keep_within_classes(boxes, scores, takes_part, iou_threshold), scores, 0)
            order, picked_scores = _best(left.reshape(-1), limit)
            box_index, classes = jnp.divmod(order, scores.shape[-1])
            return _detections(boxes[box_index], picked_scores, classes, box_index)._replace(pairs=pairs)
        order, picked_scores = _best(scores.reshape(-1), limit)
        box_index = order // scores.shape[-1]
        boxes, labels = boxes[box_index], labels.reshape(-1)[order]
        classes = jnp.zeros_like(labels) if class_agnostic else labels
        competitors = _Competitors(cxcywh_to_xyxy(boxes), classes, takes_part[box_index])
        keep = _greedy(competitors, picked_scores > 0, iou_threshold, None if class_agnostic else paths)
        found = _detections(boxes, jnp.where(keep, picked_scores, 0), labels, box_index)
        return found._replace(pairs=pairs)

    return _each(one_picture, limit, *map(jnp.asarray, (boxes_cxcywh, scores, labels, takes_part)))


@partial(jax.jit, static_argnames="candidates")
def nms_by_objectness(
    boxes_cxcywh: Array,
    objectness: Array,
    scores: Array,
    iou_threshold: float | jax.Array,
    *,
    candidates: int = CANDIDATES,
) -> PaddedDetections:
    """Greedy suppression among all boxes whatever their class, in the order of objectness (Darknet's do_nms_obj).

    Args:
        boxes_cxcywh: [B, N, 4].
        objectness: [B, N]; boxes where it is not positive are dropped.
        scores: [B, N, C]; a score that is not positive is no detection.
        iou_threshold: a box is suppressed by a better one that overlaps it by more than this.
        candidates: rows of the result; the best pairs of the boxes that are left.

    Returns:
        PaddedDetections of K = candidates rows, or N * C if these are fewer; its `pairs` are those that are left.

    Raises:
        UserError: an array of another shape, or a limit that is not positive.
    """
    check_shapes(
        "nms_by_objectness",
        boxes_cxcywh=(boxes_cxcywh, "B N 4"),
        objectness=(objectness, "B N"),
        scores=(scores, "B N C"),
    )
    limit = _limit(candidates, scores)
    keep = keep_by_objectness(boxes_cxcywh, objectness, iou_threshold)
    scores = jnp.where(keep[..., None], scores, 0)

    def one_picture(boxes: jax.Array, scores: jax.Array) -> PaddedDetections:
        order, picked_scores = _best(scores.reshape(-1), limit)
        box_index, classes = jnp.divmod(order, scores.shape[-1])
        found = _detections(boxes[box_index], picked_scores, classes, box_index)
        return found._replace(pairs=(scores > 0).sum(dtype=jnp.int32))

    return jax.vmap(one_picture)(jnp.asarray(boxes_cxcywh), scores)


@jax.jit
def keep_by_objectness(boxes_cxcywh: Array, objectness: Array, iou_threshold: float | jax.Array) -> jax.Array:
    """Which boxes survive nms_by_objectness: bool [B, N]. Arguments and errors as there."""
    check_shapes("keep_by_objectness", boxes_cxcywh=(boxes_cxcywh, "B N 4"), objectness=(objectness, "B N"))
    count = objectness.shape[1]

    def one_picture(boxes: jax.Array, objectness: jax.Array) -> jax.Array:
        order, picked = _best(objectness, count)
        competitors = _Competitors(cxcywh_to_xyxy(boxes[order]), jnp.zeros(count, jnp.int32))
        keep = _greedy(competitors, picked > 0, iou_threshold)
        return jnp.zeros(objectness.shape, bool).at[order].set(keep)

    return _each(one_picture, count, jnp.asarray(boxes_cxcywh), jnp.asarray(objectness))


def _keep_within_classes(
    boxes_cxcywh: jax.Array, scores: jax.Array, takes_part: jax.Array, iou_threshold: float | jax.Array
) -> jax.Array:
    """Which pairs of a box [N, 4] and a class greedy suppression within each class keeps: bool [N, C]."""
    corners = cxcywh_to_xyxy(boxes_cxcywh)

    def one_class(scores: jax.Array) -> jax.Array:
        order, picked = _best(scores, len(scores))
        competitors = _Competitors(corners[order], jnp.zeros_like(order), takes_part[order])
        return jnp.zeros(scores.shape, bool).at[order].set(_greedy(competitors, picked > 0, iou_threshold))

    return lax.map(one_class, scores.T).T


def _limit(candidates: int, scores: Array) -> int:
    if candidates < 1:
        raise UserError(f"candidates {candidates}: it must be 1 or more")
    return min(candidates, scores.shape[1] * scores.shape[2])


def _each(function: Callable[..., Any], boxes: int, *arrays: jax.Array) -> Any:
    """The function of each picture of a batch: of all at once, or, where so many boxes fill the memory, in turn."""
    if boxes <= BLOCK:
        return jax.vmap(function)(*arrays)
    return lax.map(lambda rows: function(*rows), arrays)


def _best(scores: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
    """Indices and values of the highest scores [M], best first; whatever is not positive (or NaN) counts as 0."""
    values, indices = lax.top_k(jnp.where(scores > 0, scores, 0), count)
    return indices.astype(jnp.int32), values


class _Competitors(NamedTuple):
    """Boxes, best first: corners_xyxy [K, 4], the class of each int32 [K], and whether it takes part, bool [K]."""

    corners_xyxy: jax.Array
    classes: jax.Array
    takes_part: jax.Array | None = None

    def block(self, start: jax.Array) -> "_Competitors":
        return jax.tree.map(lambda rows: lax.dynamic_slice_in_dim(rows, start, BLOCK), self)

    def suppressible_by(self, others: "_Competitors", iou_threshold: float | jax.Array, paths: Array | None) -> Any:
        """float32 [K, K'], 1 where a box would have to go if the other one is better: they compete and overlap.

        Floats, so that "any" is a matrix product, the fastest way on every device.
        """
        found = iou_xyxy(self.corners_xyxy[:, None], others.corners_xyxy) > iou_threshold
        found &= _same_class(self.classes, others.classes, paths)
        if self.takes_part is not None and others.takes_part is not None:
            found &= self.takes_part[:, None] & others.takes_part
        return found.astype(jnp.float32)


def _same_class(classes: jax.Array, others: jax.Array, paths: Array | None) -> jax.Array:
    """Which of the classes [K] compete with which of [K']: bool [K, K']; in a tree also one above the other."""
    if paths is None:
        return classes[:, None] == others
    ours, theirs = jnp.asarray(paths)[classes], jnp.asarray(paths)[others]
    depth, other_depth = (jnp.sum(rows >= 0, axis=1) - 1 for rows in (ours, theirs))
    shared = jnp.minimum(depth[:, None], other_depth)  # as deep as the shallower of the two
    return jnp.take_along_axis(ours, shared, axis=1) == jnp.take_along_axis(theirs, shared.T, axis=1).T


def _greedy(
    boxes: _Competitors, present: jax.Array, iou_threshold: float | jax.Array, paths: Array | None = None
) -> jax.Array:
    """Which of the boxes, best first, greedy suppression keeps: bool [K]; those that are `present` must come first.

    Of more than `BLOCK` boxes one block after the other: what the kept boxes of the blocks before it leave of it is
    settled within. Time depends on how many are present, memory on the block alone.
    """
    count = len(present)
    if count <= BLOCK:
        return _settle(boxes.suppressible_by(boxes, iou_threshold, paths), present)
    missing = -count % BLOCK
    boxes, present = jax.tree.map(
        lambda rows: jnp.pad(rows, [(0, missing)] + [(0, 0)] * (rows.ndim - 1)), (boxes, present)
    )

    def settle_block(number: jax.Array, keep: jax.Array) -> jax.Array:
        start = number * BLOCK
        block = boxes.block(start)

        def suppress(earlier: jax.Array, left: jax.Array) -> jax.Array:
            kept = lax.dynamic_slice_in_dim(keep, earlier * BLOCK, BLOCK)
            hits = block.suppressible_by(boxes.block(earlier * BLOCK), iou_threshold, paths)
            return left & (hits @ kept.astype(jnp.float32) == 0)

        left = lax.fori_loop(0, number, suppress, lax.dynamic_slice_in_dim(present, start, BLOCK))
        settled = _settle(block.suppressible_by(block, iou_threshold, paths), left)
        return lax.dynamic_update_slice_in_dim(keep, settled, start, 0)

    filled = -(-jnp.sum(present, dtype=jnp.int32) // BLOCK)
    return lax.fori_loop(0, filled, settle_block, jnp.zeros_like(present))[:count]


def _settle(suppressible: jax.Array, present: jax.Array) -> jax.Array:
    """Which boxes stay, of `present` bool [K], best first; suppressible [K, K] as `suppressible_by` gives it.

    Keeping is defined by itself: a box stays if it is present and no kept better box suppresses it. Applying that
    sentence to all boxes at once settles the first box, then all whose suppressors are settled, and so on; when nothing
    changes any more, everything is settled. That takes as many rounds as the longest chain of suppressions, usually a
    handful.
    """
    suppresses = jnp.tril(suppressible, -1)  # [i, j]: j comes before i

    def settle(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        keep, _ = state
        settled = present & (suppresses @ keep.astype(jnp.float32) == 0)
        return settled, (settled != keep).any()

    return lax.while_loop(lambda state: state[1], settle, (present, jnp.array(True)))[0]


def _detections(boxes_cxcywh: jax.Array, scores: jax.Array, labels: jax.Array, places: jax.Array) -> PaddedDetections:
    """The rows, best first; those of score 0 become zeros. `pairs` is how many are left."""
    order, scores = _best(scores, len(scores))
    valid = scores > 0
    labels, places = (jnp.where(valid, values[order], 0) for values in (labels, places))
    boxes_cxcywh = jnp.where(valid[:, None], boxes_cxcywh[order], 0)
    return PaddedDetections(boxes_cxcywh, scores, labels, valid, places, valid.sum(dtype=jnp.int32))
