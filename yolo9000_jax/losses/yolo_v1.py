"""The loss of YOLOv1's detection layer (first rows of the paper's table 2; Darknet's behaviour: darknet.md 12)."""

import jax
import jax.numpy as jnp

from yolo9000_jax.boxes.decode import split_yolo_v1
from yolo9000_jax.boxes.geometry import iou_cxcywh
from yolo9000_jax.errors import UserError
from yolo9000_jax.losses.region import RegionLoss
from yolo9000_jax.shapes import Array, check_labels, check_shapes

SMALL_AREA = 0.1  # with `forced`, truths below this share of the input train box 1


def yolo_v1_loss(
    vector: Array,
    boxes_cxcywh: Array,
    labels: Array,
    mask: Array,
    *,
    side: int,
    boxes_per_cell: int,
    num_classes: int,
    coord_scale: float = 5.0,
    object_scale: float = 1.0,
    noobject_scale: float = 0.5,
    class_scale: float = 1.0,
    rescore: bool = True,
    sqrt: bool = True,
    softmax: bool = False,
    forced: bool = False,
) -> RegionLoss:
    """Loss of a batch of detection images: half the weighted squares of all errors.

    The cell of a truth's centre learns its class, and one of the cell's boxes its place. That box is the one with the
    highest IoU, or, where none overlaps the truth, the nearest in x, y, w, h. All other boxes learn objectness 0. Where
    several truths share a cell, the first wins and the others are left out; so are truths with centres outside.

    Args:
        vector: [B, side * side * (C + 5 * boxes_per_cell)] output of the network, C = num_classes: all class scores,
            then all objectness, then all boxes, cells in the order row, column.
        boxes_cxcywh: [B,T,4] truths as fractions of the network input, sizes > 0 where `mask`; T > 0.
        labels: [B,T] int, classes of the truths.
        mask: [B,T] bool, which rows are real.
        side: rows and columns of the grid.
        coord_scale, object_scale, noobject_scale, class_scale: weights of the terms.
        rescore: responsible boxes learn their IoU as objectness instead of 1.
        sqrt: the network gives square roots of widths and heights, so that small boxes count more.
        softmax: the class scores are logits, trained by cross-entropy.
        forced: box 1 of the cell is responsible for truths of less than a tenth of the input's area, box 0 for the
            others. (Darknet's `random`, a random box for the first 64000 images, is not offered.)

    Returns:
        A RegionLoss; its truths are those that own their cell. The gradient of its total times -B is Darknet's delta.

    Raises:
        UserError: the vector has another length, an array another shape, a label is outside the classes (while JAX
            traces, labels have no values to check), or `forced` goes with one box a cell.
    """
    truths_shape = {"boxes_cxcywh": (boxes_cxcywh, "B T 4"), "labels": (labels, "B T"), "mask": (mask, "B T")}
    check_shapes("yolo_v1_loss", vector=(vector, "B N"), **truths_shape)
    check_labels("yolo_v1_loss", "labels", labels, num_classes, mask)
    if forced and boxes_per_cell < 2:
        raise UserError(f"forced=True needs 2 boxes a cell or more, boxes_per_cell is {boxes_per_cell}")
    batch = len(vector)
    classes, objectness, boxes = split_yolo_v1(vector, side, boxes_per_cell, num_classes)
    mask = jnp.asarray(mask)
    boxes_cxcywh = jnp.where(mask[..., None], boxes_cxcywh, 0.5)
    labels = jnp.where(mask, labels, 0)
    cell_xy = jnp.floor(boxes_cxcywh[..., :2] * side)
    cell, owns = _cells(cell_xy.astype(jnp.int32), mask, side)

    # Boxes and truths relative to the corner of their cell, which changes no IoU.
    target_xy, target_wh = boxes_cxcywh[..., :2] * side - cell_xy, boxes_cxcywh[..., 2:]
    truths = jnp.concatenate([target_xy / side, target_wh], axis=-1)
    cell_boxes = jnp.take_along_axis(boxes, cell[..., None, None], axis=1)  # [B,T,N,4]
    placed = jax.lax.stop_gradient(_placed(cell_boxes, side, sqrt))
    iou = iou_cxcywh(placed, truths[:, :, None])  # [B,T,N]
    if forced:
        responsible = jnp.where(jnp.prod(target_wh, axis=-1) < SMALL_AREA, 1, 0)
    else:
        distance = jnp.sum(jnp.square(placed - truths[:, :, None]), axis=-1)
        overlaps = jnp.max(iou, axis=-1) > 0
        responsible = jnp.where(overlaps, jnp.argmax(iou, axis=-1), jnp.argmin(distance, axis=-1))
    iou = _pick(iou, responsible)

    owner = jnp.take_along_axis(cell_boxes, responsible[..., None, None], axis=2)[:, :, 0]  # [B,T,4]
    weight = coord_scale * owns[..., None]
    xy = _half_squares(weight, target_xy - owner[..., :2])
    wh = _half_squares(weight, (jnp.sqrt(target_wh) if sqrt else target_wh) - owner[..., 2:])

    index = cell * boxes_per_cell + responsible
    every_objectness = objectness.reshape(batch, -1)
    owned = jnp.any((index[:, None] == jnp.arange(every_objectness.shape[1])[:, None]) & owns[:, None], axis=-1)
    owner_objectness = jnp.take_along_axis(every_objectness, index, axis=1)
    objectness_loss = _half_squares(noobject_scale * ~owned, every_objectness)
    objectness_loss += _half_squares(object_scale * owns, (iou if rescore else 1.0) - owner_objectness)

    cell_classes = jnp.take_along_axis(classes, cell[..., None], axis=1)  # [B,T,C]
    if softmax:
        log_probability = _pick(jax.nn.log_softmax(cell_classes), labels)
        class_loss, probability = jnp.sum(class_scale * owns * -log_probability), jnp.exp(log_probability)
    else:
        onehot = labels[..., None] == jnp.arange(num_classes)
        class_loss = _half_squares(class_scale * owns[..., None], onehot - cell_classes)
        probability = _pick(cell_classes, labels)

    total, xy, wh, objectness_loss, class_loss = (
        value / batch for value in (xy + wh + objectness_loss + class_loss, xy, wh, objectness_loss, class_loss)
    )
    count = jnp.sum(owns)

    def mean(values: jax.Array) -> jax.Array:
        return jnp.sum(jnp.where(owns, values, 0)) / jnp.maximum(count, 1)

    return RegionLoss(
        total,
        xy,
        wh,
        objectness_loss,
        class_loss,
        avg_iou=mean(iou),
        recall50=mean(iou > 0.5),
        responsible_objectness=mean(owner_objectness),
        mean_objectness=jnp.mean(objectness),
        class_probability=mean(probability),
        count=count,
    )


def _cells(cell_xy: jax.Array, mask: jax.Array, side: int) -> tuple[jax.Array, jax.Array]:
    """Each truth's cell, 0 if it is outside the grid, and whether the truth is the first there; both [B,T]."""
    inside = mask & jnp.all((cell_xy >= 0) & (cell_xy < side), axis=-1)
    cell = jnp.where(inside, cell_xy[..., 1] * side + cell_xy[..., 0], 0)
    same_cell = (cell[:, :, None] == cell[:, None, :]) & inside[:, None, :]
    return cell, inside & ~jnp.any(jnp.tril(same_cell, -1), axis=-1)


def _placed(boxes: jax.Array, side: int, sqrt: bool) -> jax.Array:
    """Predicted x, y, w, h [...,4] as fractions of the input, relative to the corner of their cell."""
    return jnp.concatenate([boxes[..., :2] / side, jnp.square(boxes[..., 2:]) if sqrt else boxes[..., 2:]], axis=-1)


def _pick(values: jax.Array, index: jax.Array) -> jax.Array:
    """values[..., index]: [B,T,n] and [B,T] -> [B,T]."""
    return jnp.take_along_axis(values, index[..., None], axis=-1)[..., 0]


def _half_squares(weight: jax.Array | float, error: jax.Array) -> jax.Array:
    return jnp.sum(weight * jnp.square(error)) / 2
