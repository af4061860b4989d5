"""Which box a picture without boxes trains (paper, section 4; darknet.md 5.6)."""

import jax
import jax.numpy as jnp

from yolo9000_jax.boxes.geometry import cxcywh_to_xyxy
from yolo9000_jax.shapes import Array
from yolo9000_jax.wordtree.softmax import path_loss
from yolo9000_jax.wordtree.tree import WordTree

CLASS_BOXES = ("paper", "darknet", "detection", "max_size", "max_objectness")
BY_LABEL = CLASS_BOXES[:3]  # these look at the label's probability, the others at no class


def choose_box(
    rows: jax.Array,
    predicted: jax.Array,
    image_labels: Array,
    anchors: int,
    tree: WordTree,
    class_box: str,
    floor: float,
) -> tuple[jax.Array, jax.Array]:
    """The box that each classification image trains.

    Args:
        rows: [B,N,5+C], x, y, w, h, objectness, classes before activation; N in row, column, anchor order.
        predicted: [B,N,4], their boxes, cxcywh as fractions of the network input.
        image_labels: [B] int, nodes; -1 for an image with boxes, of which the answer means nothing.
        anchors: boxes a cell.
        tree: of the C nodes.
        class_box: the box chosen is the one with the highest
            "paper": P(label);
            "darknet": objectness * P(label);
            "detection": objectness * P(the label's parent), ours: the box that would be detected under the name above;
                by the two other rules a box that knows the label may be chosen again and again, while the one detected
                learns nothing;
            "max_size": area within the picture, whatever its classes, as Detic has it (arXiv 2201.02605);
            "max_objectness": objectness, as Detic compares.
        floor: the objectness that a box must have more than by the last two rules, which would choose noise otherwise.

    Returns:
        The box's place among the N, and whether there is one: both [B]. Of equal boxes it is the first in Darknet's
        order: anchor, row, column.
    """
    score = _score(rows, predicted, image_labels, tree, class_box)
    if class_box not in BY_LABEL:
        score = jnp.where(jax.nn.sigmoid(rows[..., 4]) > floor, score, -jnp.inf)
    batch, cells = len(score), score.shape[1] // anchors
    place = jnp.argmax(score.reshape(batch, cells, anchors).swapaxes(1, 2).reshape(batch, -1), axis=1)
    index = place % cells * anchors + place // cells
    return index, jnp.any(score > -jnp.inf, axis=1)


def _score(rows: jax.Array, predicted: jax.Array, image_labels: Array, tree: WordTree, class_box: str) -> jax.Array:
    """What the chosen box has the most of: [B,N]."""
    if class_box == "max_size":
        corners_xyxy = jnp.clip(cxcywh_to_xyxy(predicted), 0, 1)
        return jnp.prod(corners_xyxy[..., 2:] - corners_xyxy[..., :2], axis=-1)
    if class_box == "max_objectness":
        return rows[..., 4]
    nodes = jnp.maximum(image_labels, 0)
    if class_box == "detection":
        nodes = jnp.asarray(tree.parents)[nodes]  # -1 above a root, which everything is
    log_probability = -path_loss(rows[..., 5:], jnp.maximum(nodes, 0)[:, None], tree)  # [B,N]
    score = jnp.where(nodes[:, None] < 0, 0, log_probability)
    return score if class_box == "paper" else score + jax.nn.log_sigmoid(rows[..., 4])
