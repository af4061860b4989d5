"""Detections of a region network whose classes form a WordTree: YOLO9000 (SPEC 7.3)."""

from functools import partial

import jax
import jax.numpy as jnp

from yolo9000_jax.decode import decode_boxes, threshold_scores
from yolo9000_jax.nms import nms_per_class
from yolo9000_jax.wordtree.softmax import absolute_log_probabilities, group_log_softmax, predict_top_down


@partial(jax.jit, static_argnames=("tree", "max_detections", "candidates", "rule"))
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
):
    """Detections from a raw grid, by Darknet's rules for trees.

    Without `nodes` every box gets one label, the deepest node that is sure enough, and the score of a box is its
    objectness alone. With `nodes`, for evaluation on a data set's classes, a box's score for a class is objectness
    times the absolute probability of the class's node.

    Args:
        raw: [B, rows, columns, A, 5 + n], last axis x, y, w, h, objectness, nodes, before activation.
        anchors_cells: [A, 2] widths and heights in grid cells.
        tree: WordTree of n nodes.
        score_threshold, iou_threshold, max_detections, candidates: as for decode.detect.
        hierarchical_threshold, rule: how sure; the threshold and rule of wordtree.softmax.predict_top_down.
        nodes: int32 [C], the node of each class that is looked for.

    Returns:
        nms.Detections of K = max_detections rows; labels are nodes or, with `nodes`, places in it.
    """
    boxes_cxcywh = decode_boxes(raw, anchors_cells)
    entries = raw[..., 4:].astype(jnp.float32).reshape(raw.shape[0], -1, raw.shape[-1] - 4)
    objectness = jax.nn.sigmoid(entries[..., 0])
    conditional = group_log_softmax(entries[..., 1:], tree)
    limits = {"max_detections": max_detections, "candidates": candidates}
    if nodes is None:
        labels, _ = predict_top_down(jnp.exp(conditional), tree, hierarchical_threshold, rule)
        scores = jnp.where(objectness > score_threshold, objectness, 0)[..., None]
        return nms_per_class(boxes_cxcywh, scores, iou_threshold, labels=labels[..., None], **limits)
    absolute = jnp.exp(absolute_log_probabilities(conditional, tree))[..., nodes]
    _, scores = threshold_scores(objectness, absolute, score_threshold)
    return nms_per_class(boxes_cxcywh, scores, iou_threshold, **limits)
