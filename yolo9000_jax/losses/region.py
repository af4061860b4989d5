"""The loss of YOLOv2's region layer (paper, section 2; Darknet's behaviour: darknet.md 5.5 and 5.7)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from yolo9000_jax.boxes.decode import Anchors, place_boxes
from yolo9000_jax.boxes.geometry import iou_cxcywh, shape_iou
from yolo9000_jax.errors import UserError
from yolo9000_jax.losses.class_box import CLASS_BOXES, choose_box
from yolo9000_jax.shapes import Array, check_labels, check_shapes
from yolo9000_jax.wordtree.softmax import path_cross_entropies
from yolo9000_jax.wordtree.tree import WordTree

WARMUP_SCALE = 0.01
ASSUMED_IOU = 0.3


class RegionLoss(NamedTuple):
    """What `region_loss` returns: scalars. Losses are summed over the boxes and averaged over the images."""

    total: jax.Array  # xy + wh + objectness + classes: the one to differentiate
    xy: jax.Array
    wh: jax.Array
    objectness: jax.Array
    classes: jax.Array
    avg_iou: jax.Array  # of the responsible boxes with their truths, over the truths; 0 where there are none
    recall50: jax.Array  # fraction of the truths whose responsible box has IoU > .5
    responsible_objectness: jax.Array  # mean over the truths
    mean_objectness: jax.Array  # over all boxes of the batch, those of classification images counted as 0
    class_probability: jax.Array  # of the true class at its box, over the truths and the classification images
    count: jax.Array  # type: ignore[assignment]  # number of truths in the batch


class _Assignment(NamedTuple):
    """Which box each truth trains; arrays [B,T,...], constants in the gradient."""

    box: jax.Array  # its place in row, column, anchor order
    anchor: jax.Array  # the prior that the truth chose
    cell_xy: jax.Array  # column and row of the cell of the centre
    inside: jax.Array  # a real truth with a box in the grid
    same_box: jax.Array  # [B,T,T]: both truths have this box
    owns: jax.Array  # inside, and no later truth has the same box
    class_only: jax.Array  # the row stands for a classification image that has a box chosen by `choose_box`


def region_loss(
    raw: Array,
    boxes_cxcywh: Array,
    labels: Array,
    mask: Array,
    anchors_cells: Anchors,
    *,
    seen: int | Array,
    coord_scale: float = 1.0,
    object_scale: float = 5.0,
    noobject_scale: float = 1.0,
    class_scale: float = 1.0,
    ignore_threshold: float = 0.6,
    warmup_images: int = 12800,
    rescore: bool = True,
    bias_match: bool = True,
    background: bool = False,
    class_activation: str = "softmax",
    location: str = "direct",
    tree: WordTree | None = None,
    image_labels: Array | None = None,
    class_box: str = "darknet",
    class_objectness: str = "darknet",
    class_box_floor: float = 0.1,
) -> RegionLoss:
    """Loss of a batch of detection images and, with a `tree`, of classification images among them.

    Every truth trains one responsible box: of the priors in the cell of its centre, the one whose shape overlaps
    most. Where two truths claim one box, the later wins. All other boxes learn objectness 0, unless one overlaps
    some truth by more than `ignore_threshold`. For the first `warmup_images` images all boxes without a truth are
    also pulled to their priors. A classification image trains the classes of one box, the best for its label, and
    no coordinates (paper, section 4; darknet.md 5.6).

    Args:
        raw: [B,H,W,A,5+C] network output before any activation: x, y, w, h, objectness, classes.
        boxes_cxcywh: [B,T,4] truths as fractions of the network input, sizes > 0 where `mask`; T > 0.
        labels: [B,T] int, classes of the truths; nodes of the tree, if there is one.
        mask: [B,T] bool, which rows are real.
        anchors_cells: [A,2] width and height of the priors in grid cells.
        seen: int scalar, images seen in training, this batch included.
        coord_scale, object_scale, noobject_scale, class_scale: weights of the terms.
        rescore: responsible boxes learn their IoU as objectness (paper: Pr(object) * IOU) instead of 1.
        bias_match: choose the anchor by the prior's shape; False: by the predicted shape.
        background: objectness is the first entry of a softmax over background and classes, as Darknet has it.
        class_activation: "softmax" or "logistic"; the latter lets a box have several labels. Unused with a tree.
        location: what x and y say. "direct": where in its cell the centre is, through a sigmoid; "offset": how far from
            the middle of its cell, in widths and heights of the prior and without bounds, as in region proposal
            networks (paper, "Direct location prediction"; decode.place_boxes). Their errors are squared either way.
        tree: a WordTree of C nodes: one softmax per group of siblings, trained along the path of the label.
        image_labels: [B] int, a classification image's node, -1 for a detection image; None: all are detection images.
        class_box: which box a classification image trains, one of class_box.CLASS_BOXES.
        class_objectness: in a classification image, "darknet" leaves the trained box's objectness alone and pushes all
            others to 0; "paper" assumes that the trained box overlaps the object by .3, so pulls a lower objectness up
            to that, and leaves all others alone; "none" leaves all alone.
        class_box_floor: the least objectness of that box by some of these rules (class_box.choose_box).

    Returns:
        A RegionLoss. The gradient of its total times -B is Darknet's delta with respect to `raw`.

    Raises:
        UserError: unknown or conflicting options, an array of another shape, or a label outside the classes; while JAX
            traces (jit, grad), labels have no values to check.
    """
    _check_options(class_activation, location, background, tree, image_labels, class_box, class_objectness)
    _check_arrays(raw, boxes_cxcywh, labels, mask, anchors_cells, tree, image_labels)
    batch, height, width, anchors, entries = raw.shape
    raw = jnp.asarray(raw)
    anchors_cells, grid_wh = jnp.asarray(anchors_cells, raw.dtype), jnp.asarray([width, height], raw.dtype)
    rows = raw.reshape(batch, -1, entries)
    class_only = jnp.zeros(batch, bool) if image_labels is None else image_labels >= 0
    mask = jnp.asarray(mask) & ~class_only[:, None]
    boxes_cxcywh = jnp.where(mask[..., None], boxes_cxcywh, 0.5)
    predicted = jax.lax.stop_gradient(_all_boxes(raw, anchors_cells, location))  # [B,N,4]
    truth = _assign(predicted, boxes_cxcywh, mask, anchors_cells, (height, width), bias_match)
    if image_labels is not None and tree is not None:
        scores = jax.lax.stop_gradient(rows)
        chosen = choose_box(scores, predicted, image_labels, anchors, tree, class_box, class_box_floor)
        truth, labels = _add_classification_images(truth, labels, image_labels, *chosen)

    owner = jnp.take_along_axis(rows, truth.box[..., None], axis=1)  # [B,T,5+C]
    owned = _any_at(truth.box, truth.owns | truth.class_only, rows.shape[1])  # [B,N]
    prior_wh = anchors_cells[truth.anchor]
    responsible = jax.lax.stop_gradient(place_boxes(owner, truth.cell_xy, prior_wh, grid_wh, location))
    iou = iou_cxcywh(responsible, boxes_cxcywh)

    pulled = ~owned & ~class_only[:, None] & (seen < warmup_images)
    middle = 0.5 if location == "direct" else 0.0
    xy, wh = _coordinate_losses(rows, jnp.where(pulled, WARMUP_SCALE, 0), middle, 0.0, location)
    weight = jnp.where(truth.owns, coord_scale * (2 - boxes_cxcywh[..., 2] * boxes_cxcywh[..., 3]), 0)
    target_xy = boxes_cxcywh[..., :2] * grid_wh - truth.cell_xy
    if location == "offset":
        target_xy = (target_xy - 0.5) / prior_wh
    target_wh = jnp.log(boxes_cxcywh[..., 2:] * grid_wh / prior_wh)
    own = _coordinate_losses(owner, weight, target_xy, target_wh, location)
    xy, wh = xy + own[0], wh + own[1]

    empty = ~owned & (_best_iou(predicted, boxes_cxcywh, mask) <= ignore_threshold)
    weight = jnp.where(truth.owns, object_scale, 0)
    target, empty_target = iou if rescore else 1.0, 0.0
    if background:
        target, empty_target = 0.0, 1.0  # the entry says "nothing here"
    learns = ~class_only
    if class_objectness == "darknet":
        learns |= jnp.any(truth.class_only, axis=1)
    empty &= learns[:, None]
    if class_objectness == "paper":
        low = truth.class_only & (_objectness(owner, background) < ASSUMED_IOU)
        weight, target = jnp.where(low, object_scale, weight), jnp.where(low, ASSUMED_IOU, target)
    objectness = _objectness_loss(rows, jnp.where(empty, noobject_scale, 0), empty_target, background)
    objectness += _objectness_loss(owner, weight, target, background)

    if tree is not None:
        classes, probability = _tree_classes(owner, labels, truth, tree)
    else:
        classes, probability = _flat_classes(owner, labels, truth, class_activation, background)
    classes = class_scale * jnp.sum(classes)

    total, xy, wh, objectness, classes = (
        value / batch for value in (xy + wh + objectness + classes, xy, wh, objectness, classes)
    )
    return RegionLoss(
        total,
        xy,
        wh,
        objectness,
        classes,
        avg_iou=_mean(iou, truth.inside),
        recall50=_mean(iou > 0.5, truth.inside),
        responsible_objectness=_mean(_objectness(owner, background), truth.inside),
        mean_objectness=jnp.mean(jnp.where(class_only[:, None], 0, _objectness(rows, background))),
        class_probability=_mean(probability, truth.inside | truth.class_only),
        count=jnp.sum(truth.inside),
    )


def _check_options(
    class_activation: str,
    location: str,
    background: bool,
    tree: WordTree | None,
    image_labels: Array | None,
    class_box: str,
    class_objectness: str,
) -> None:
    options = {
        "class_activation": (class_activation, ("softmax", "logistic")),
        "location": (location, ("direct", "offset")),
        "class_box": (class_box, CLASS_BOXES),
        "class_objectness": (class_objectness, ("darknet", "paper", "none")),
    }
    for name, (value, choices) in options.items():
        if value not in choices:
            raise UserError(f"{name} is {value!r}; choose {' or '.join(map(repr, choices))}")
    if background and (tree is not None or class_activation != "softmax"):
        raise UserError("background=True needs class_activation='softmax' and no tree")
    if image_labels is not None and tree is None:
        raise UserError("image_labels need a tree: classification images are trained on its paths")


def _check_arrays(
    raw: Array,
    boxes_cxcywh: Array,
    labels: Array,
    mask: Array,
    anchors_cells: Anchors,
    tree: WordTree | None,
    image_labels: Array | None,
) -> None:
    sizes = check_shapes(
        "region_loss",
        raw=(raw, "B H W A 5+C"),
        anchors_cells=(anchors_cells, "A 2"),
        boxes_cxcywh=(boxes_cxcywh, "B T 4"),
        labels=(labels, "B T"),
        mask=(mask, "B T"),
        image_labels=(image_labels, "B"),
    )
    if not all(sizes.values()):
        empty = ", ".join(f"{letter} = 0" for letter, length in sizes.items() if not length)
        raise UserError(f"region_loss: {empty}; give at least one of each (a picture without boxes has mask False)")
    if tree is not None and len(tree) != sizes["C"]:
        raise UserError(f"region_loss: raw is of {sizes['C']} classes, but the tree has {len(tree)} nodes")
    check_labels("region_loss", "labels", labels, sizes["C"], mask)
    if image_labels is not None:
        check_labels("region_loss", "image_labels", image_labels, sizes["C"], lowest=-1)


def _all_boxes(raw: jax.Array, anchors_cells: jax.Array, location: str) -> jax.Array:
    batch, height, width = raw.shape[:3]
    cell_xy = jnp.stack(jnp.meshgrid(jnp.arange(width), jnp.arange(height)), axis=-1)[:, :, None]
    grid_wh = jnp.asarray([width, height], raw.dtype)
    return place_boxes(raw, cell_xy, anchors_cells, grid_wh, location).reshape(batch, -1, 4)


def _assign(
    predicted: jax.Array,
    boxes_cxcywh: jax.Array,
    mask: jax.Array,
    anchors_cells: jax.Array,
    grid: tuple[int, int],
    bias_match: bool,
) -> _Assignment:
    """Each truth's responsible box. `predicted`: [B,N,4]."""
    (height, width), anchors = grid, len(anchors_cells)
    cell_xy = jnp.trunc(boxes_cxcywh[..., :2] * jnp.asarray([width, height], boxes_cxcywh.dtype)).astype(jnp.int32)
    cell = cell_xy[..., 1] * width + cell_xy[..., 0]
    if bias_match:
        shapes_wh = anchors_cells / jnp.asarray([width, height], anchors_cells.dtype)
    else:
        boxes = cell[..., None] * anchors + jnp.arange(anchors)  # [B,T,A]
        shapes_wh = jax.vmap(lambda image, index: image[index, 2:])(predicted, boxes)
    anchor = jnp.argmax(shape_iou(shapes_wh, boxes_cxcywh[..., None, 2:]), axis=-1)
    # Darknet's memory order is anchor, row, column, unchecked: a centre at x >= 1 falls into column 0 of the next row.
    place = anchor * (height * width) + cell
    inside = mask & (place >= 0) & (place < anchors * height * width)
    index = jnp.where(inside, place % (height * width) * anchors + place // (height * width), 0)
    same_box = (index[:, :, None] == index[:, None, :]) & inside[:, :, None] & inside[:, None, :]
    owns = inside & ~jnp.any(jnp.triu(same_box, 1), axis=-1)
    return _Assignment(index, anchor, cell_xy, inside, same_box, owns, jnp.zeros_like(owns))


def _add_classification_images(
    truth: _Assignment, labels: Array, image_labels: Array, chosen: jax.Array, is_there: jax.Array
) -> tuple[_Assignment, jax.Array]:
    """Let the first row of a classification image, which has no truths, stand for its label, if a box is chosen."""
    class_only = (jnp.asarray(image_labels >= 0) & is_there)[:, None] & (jnp.arange(labels.shape[1]) == 0)
    index = jnp.where(class_only, chosen[:, None], truth.box)
    return truth._replace(box=index, class_only=class_only), jnp.where(class_only, image_labels[:, None], labels)


def _any_at(index: jax.Array, flags: jax.Array, size: int) -> jax.Array:
    """[B,size] bool: which places some flagged index [B,T] names."""
    return jnp.any((index[:, None, :] == jnp.arange(size)[:, None]) & flags[:, None, :], axis=-1)


def _best_iou(predicted: jax.Array, boxes_cxcywh: jax.Array, mask: Array) -> jax.Array:
    """Highest IoU of each predicted box [B,N,4] with a real truth [B,T,4]: [B,N]."""
    iou = iou_cxcywh(predicted[:, :, None], boxes_cxcywh[:, None])
    return jnp.max(jnp.where(mask[:, None], iou, 0), axis=-1)


def _coordinate_losses(
    rows: jax.Array, weight: jax.Array, target_xy: jax.Array | float, target_wh: jax.Array | float, location: str
) -> tuple[jax.Array, jax.Array]:
    """Half the weighted squares of the errors in (x, y), after the sigmoid if there is one, and in (w, h)."""
    xy = jax.nn.sigmoid(rows[..., :2]) if location == "direct" else rows[..., :2]
    errors = target_xy - xy, target_wh - rows[..., 2:4]
    xy_loss, wh_loss = (jnp.sum(weight[..., None] * jnp.square(error)) / 2 for error in errors)
    return xy_loss, wh_loss


def _objectness(rows: jax.Array, background: bool) -> jax.Array:
    return jax.nn.softmax(rows[..., 4:])[..., 0] if background else jax.nn.sigmoid(rows[..., 4])


def _objectness_loss(rows: jax.Array, weight: jax.Array, target: jax.Array | float, background: bool) -> jax.Array:
    """Half the weighted squares of the errors of entry 4; with a background class, its cross-entropy."""
    if not background:
        return jnp.sum(weight * jnp.square(target - jax.nn.sigmoid(rows[..., 4]))) / 2
    # The class logits are constants here, as in Darknet's delta.
    logit = rows[..., 4] - jax.lax.stop_gradient(jax.nn.logsumexp(rows[..., 5:], axis=-1))
    return jnp.sum(weight * (jax.nn.softplus(logit) - target * logit))


def _flat_classes(
    owner: jax.Array, labels: Array, truth: _Assignment, class_activation: str, background: bool
) -> tuple[jax.Array, jax.Array]:
    """Class loss of each truth's box and the probability of the true class there, both [B,T]; `owner`: [B,T,5+C]."""
    logits = owner[..., 5:]
    if class_activation == "softmax":
        if background:
            logits = jnp.concatenate([jax.lax.stop_gradient(owner[..., 4:5]), logits], axis=-1)
            labels = labels + 1
        log_probability = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], axis=-1)[..., 0]
        return jnp.where(truth.owns, -log_probability, 0), jnp.exp(log_probability)
    onehot = labels[..., None] == jnp.arange(logits.shape[-1])
    targets = jnp.any(truth.same_box[..., None] & onehot[:, None], axis=2)  # the labels of all truths of the box
    losses = jnp.sum(jax.nn.softplus(logits) - targets * logits, axis=-1)
    return jnp.where(truth.owns, losses, 0), jnp.sum(onehot * jax.nn.sigmoid(logits), axis=-1)


def _tree_classes(owner: jax.Array, labels: Array, truth: _Assignment, tree: WordTree) -> tuple[jax.Array, jax.Array]:
    """As `_flat_classes`, along the labels' paths. Of a box's truths, the last on whose path a group lies trains it."""
    terms = path_cross_entropies(owner[..., 5:], labels, tree)  # [B,T,levels]
    path = jnp.asarray(tree.paths)[labels]
    groups = jnp.where(path >= 0, jnp.asarray(tree.groups)[path], -1)
    later = jnp.triu(truth.same_box, 1)[..., None]
    replaced = jnp.any(later & (groups[:, :, None] == groups[:, None]), axis=2)
    used = (truth.inside | truth.class_only)[..., None] & ~replaced
    return jnp.where(used, terms, 0), jnp.exp(-jnp.sum(terms, axis=-1))


def _mean(values: jax.Array, mask: jax.Array) -> jax.Array:
    return jnp.sum(jnp.where(mask, values, 0)) / jnp.maximum(jnp.sum(mask), 1)
