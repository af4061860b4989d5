"""Detections of a region network whose classes form a WordTree: YOLO9000 (darknet.md 7.3)."""

from functools import partial

import jax
import jax.numpy as jnp

from yolo9000_jax.boxes.decode import decode_boxes, threshold_scores
from yolo9000_jax.boxes.nms import nms_per_class
from yolo9000_jax.wordtree.softmax import absolute_log_probabilities, group_log_softmax, predict_top_down


@partial(jax.jit, static_argnames=("tree", "max_detections", "candidates", "rule", "location"))
def detect_tree(
    raw,
    anchors_cells,
    tree,
    score_threshold,
    iou_threshold,
    hierarchical_threshold=0.5,
    max_detections=100,
    *,
    nodes=None,
    candidates=1000,
    rule="darknet",
    location="direct",
):
    """Detections from a raw grid, by Darknet's rules for trees.

    Without `nodes` every box gets one label, the deepest node that is sure enough, and the score of a box is its
    objectness alone; under the rule "conditional" a box also suppresses one whose label is above or below its own.
    With `nodes`, for evaluation on a data set's classes, a box's score for a class is objectness times the absolute
    probability of the class's node.

    Args:
        raw: [B, rows, columns, A, 5 + n], last axis x, y, w, h, objectness, nodes, before activation.
        anchors_cells: [A, 2] widths and heights in grid cells.
        tree: WordTree of n nodes.
        score_threshold, iou_threshold, max_detections, candidates: as for decode.detect.
        hierarchical_threshold, rule: how sure; the threshold and rule of wordtree.softmax.predict_top_down.
        nodes: int32 [C], the node of each class that is looked for.
        location: as for decode.decode_boxes.

    Returns:
        nms.Detections of K = max_detections rows; labels are nodes, and their path_probabilities given, or, with
        `nodes`, places in it.
    """
    boxes_cxcywh = decode_boxes(raw, anchors_cells, location)
    entries = raw[..., 4:].astype(jnp.float32).reshape(raw.shape[0], -1, raw.shape[-1] - 4)
    objectness = jax.nn.sigmoid(entries[..., 0])
    conditional = group_log_softmax(entries[..., 1:], tree)
    limits = {"max_detections": max_detections, "candidates": candidates}
    if nodes is None:
        labels, _ = predict_top_down(jnp.exp(conditional), tree, hierarchical_threshold, rule)
        scores = jnp.where(objectness > score_threshold, objectness, 0)[..., None]
        limits |= {"labels": labels[..., None], "paths": None if rule == "darknet" else tree.paths}
        found = nms_per_class(boxes_cxcywh, scores, iou_threshold, **limits)
        return found._replace(path_probabilities=_along_paths(conditional, found, tree))
    absolute = jnp.exp(absolute_log_probabilities(conditional, tree))[..., nodes]
    _, scores = threshold_scores(objectness, absolute, score_threshold)
    return nms_per_class(boxes_cxcywh, scores, iou_threshold, **limits)


def _along_paths(conditional, found, tree):
    """Conditional probabilities of the nodes on the found labels' paths [B, K, levels], 1 where a path has ended."""
    path = jnp.asarray(tree.paths)[found.labels]
    rows = jnp.take_along_axis(conditional, found.places[..., None], axis=1)
    chosen = jnp.take_along_axis(rows, jnp.maximum(path, 0), axis=-1)
    return jnp.where(path >= 0, jnp.exp(chosen), 1)
