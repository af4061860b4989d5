"""Detections of a region network whose classes form a WordTree: YOLO9000 (darknet.md 7.3)."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp

from yolo9000_jax.boxes.decode import Anchors, Threshold, decode_boxes, threshold_scores
from yolo9000_jax.boxes.nms import CANDIDATES, PaddedDetections, nms_per_class
from yolo9000_jax.shapes import Array
from yolo9000_jax.wordtree.softmax import (
    absolute_log_probabilities,
    as_nodes,
    check_entries,
    group_log_softmax,
    predict_top_down,
    restrict,
)
from yolo9000_jax.wordtree.tree import Node, WordTree


def detect_tree(
    raw: Array,
    anchors_cells: Anchors,
    tree: WordTree,
    score_threshold: Threshold,
    iou_threshold: Threshold,
    hierarchical_threshold: float | Array = 0.5,
    *,
    nodes: Array | Sequence[Node] | None = None,
    allowed: tuple[int, ...] | None = None,
    class_agnostic: bool = False,
    candidates: int = CANDIDATES,
    rule: str = "darknet",
    location: str = "direct",
) -> PaddedDetections:
    """Detections from a raw grid, by Darknet's rules for trees.

    Without `nodes` every box gets one label, the deepest node that is sure enough, and the score of a box is its
    objectness alone; under the rule "conditional" a box also suppresses one whose label is above or below its own.
    With `nodes`, for evaluation on a data set's classes, a box's score for a class is objectness times the absolute
    probability of the class's node.

    Args:
        raw: [B, rows, columns, A, 5 + n], last axis x, y, w, h, objectness, nodes, before activation.
        anchors_cells: [A, 2] widths and heights in grid cells.
        tree: WordTree of n nodes.
        score_threshold, iou_threshold, candidates: as for decode.detect.
        hierarchical_threshold, rule: how sure; the threshold and rule of wordtree.softmax.predict_top_down.
        allowed: the nodes that a box may be, each with what is below it (softmax.restrict); None: all.
        nodes: the nodes of the C classes that are looked for: int32 [C], or their numbers, synsets or names.
        class_agnostic: suppress across classes.
        location: as for decode.decode_boxes.

    Returns:
        nms.PaddedDetections; labels are nodes, and their path_probabilities given, or, with `nodes`, places in it.

    Raises:
        UserError: an array of another shape, an unknown node, rule or location.
    """
    check_entries("detect_tree", "raw", raw, "B rows columns A 5+n", tree)
    nodes = None if nodes is None else as_nodes(nodes, tree)
    return _detect_tree(
        raw,
        anchors_cells,
        tree,
        score_threshold,
        iou_threshold,
        hierarchical_threshold,
        nodes,
        allowed=allowed,
        class_agnostic=class_agnostic,
        candidates=candidates,
        rule=rule,
        location=location,
    )


@partial(jax.jit, static_argnames=("tree", "allowed", "class_agnostic", "candidates", "rule", "location"))
def _detect_tree(
    raw: jax.Array,
    anchors_cells: jax.Array,
    tree: WordTree,
    score_threshold: jax.Array,
    iou_threshold: jax.Array,
    hierarchical_threshold: jax.Array,
    nodes: jax.Array | None,
    *,
    allowed: tuple[int, ...] | None,
    class_agnostic: bool,
    candidates: int,
    rule: str,
    location: str,
) -> PaddedDetections:
    boxes_cxcywh = decode_boxes(raw, anchors_cells, location)
    entries = raw[..., 4:].astype(jnp.float32).reshape(raw.shape[0], -1, raw.shape[-1] - 4)
    objectness = jax.nn.sigmoid(entries[..., 0])
    conditional = group_log_softmax(entries[..., 1:], tree)
    if allowed is not None:
        conditional = restrict(conditional, tree, allowed)
    suppress = partial(nms_per_class, class_agnostic=class_agnostic, candidates=candidates)
    if nodes is None:
        labels, _ = predict_top_down(jnp.exp(conditional), tree, hierarchical_threshold, rule)
        scores = jnp.where(objectness > score_threshold, objectness, 0)[..., None]
        paths = None if rule == "darknet" else tree.paths
        found = suppress(boxes_cxcywh, scores, iou_threshold, labels=labels[..., None], paths=paths)
        return found._replace(path_probabilities=_along_paths(conditional, found, tree))
    absolute = jnp.exp(absolute_log_probabilities(conditional, tree))[..., nodes]
    _, scores = threshold_scores(objectness, absolute, score_threshold)
    return suppress(boxes_cxcywh, scores, iou_threshold)


def _along_paths(conditional: jax.Array, found: PaddedDetections, tree: WordTree) -> jax.Array:
    """Conditional probabilities of the nodes on the found labels' paths [B, K, levels], 1 where a path has ended."""
    path = jnp.asarray(tree.paths)[found.labels]
    # One gather of single numbers: whole rows would be K times the nodes.
    chosen = jax.vmap(lambda rows, places, nodes: rows[places[:, None], nodes])(
        conditional, found.places, jnp.maximum(path, 0)
    )
    return jnp.where(path >= 0, jnp.exp(chosen), 1)
