"""What a single key of a config may hold."""

import math
from typing import Any, NamedTuple

from yolo9000_jax.config.keys import without_stage
from yolo9000_jax.errors import UserError

CHOICES = {
    "task": ("detection", "classification", "joint"),
    "model.architecture": ("yolo_v2", "yolo_v1", "cfg"),
    "model.trunk": ("darknet19", "extraction", "tiny"),
    "model.box_parametrisation": ("direct", "offset"),
    "model.priors": ("kmeans", "hand_picked"),
    "model.logits": ("linear", "leaky"),
    "model.head": ("connected", "local", "direct"),
    "model.passthrough": ("paper", "darknet", "none"),
    "model.head_init": ("darknet", "calm"),
    "model.batch_norm": ("gpu", "cpu"),
    "model.compute_dtype": ("float32", "bfloat16"),
    "augment.geometry": ("crop", "place", "rotate_crop", "none"),
    "augment.crop": ("relative", "darknet"),
    "optimizer.schedule": ("steps", "polynomial", "cosine", "exponential", "sigmoid", "constant"),
    "optimizer.learning_rate_scaling": ("none", "linear"),
    "loss.class_box": ("paper", "darknet", "detection", "max_size", "max_objectness"),
    "loss.class_objectness": ("paper", "darknet", "none"),
    "evaluation.checkpoint": ("best", "last"),
    "evaluation.resize": ("stretch", "letterbox"),
    "evaluation.sampling": ("half_pixel", "darknet"),
    "evaluation.iou_rule": ("voc", "ilsvrc"),
    "evaluation.hierarchy_rule": ("conditional", "darknet"),
}


class Range(NamedTuple):
    """The numbers from `low` to `high` that are a multiple of `multiple`.

    `above` and `below` leave out `low` and `high` themselves.
    """

    low: float
    high: float = math.inf
    above: bool = False
    below: bool = False
    multiple: int = 1

    def holds(self, value: float) -> bool:
        """Whether a number lies in it; an infinite one never does."""
        low = value > self.low if self.above else value >= self.low
        high = value < self.high if self.below else value <= self.high
        return math.isfinite(value) and low and high and not (self.multiple > 1 and value % self.multiple)

    def nearest(self, value: float) -> str:
        """ ": 384 or 416" where a value between the limits is no multiple and these are the next ones; else ""."""
        if self.multiple == 1 or not math.isfinite(value):
            return ""
        below = int(value // self.multiple) * self.multiple
        near = [str(number) for number in (below, below + self.multiple) if self.holds(number)]
        return f": {' or '.join(near)}" if near else ""

    def __str__(self) -> str:
        low = f"above {self.low:g}" if self.above else f"{self.low:g} or more"
        high = f"below {self.high:g}" if self.below else f"at most {self.high:g}"
        limits = low if self.high == math.inf else f"{low} and {high}"
        return limits + (f", a multiple of {self.multiple}" if self.multiple > 1 else "")


COUNT, POSITIVE, NOT_NEGATIVE = Range(1), Range(0, above=True), Range(0)
SHARE, SHARE_BELOW_1 = Range(0, 1), Range(0, 1, below=True)
SIZE = Range(32, 4096, multiple=32)
# Of every key that is a number, or holds some.
RANGES = {
    "seed": Range(0, 2**31 - 1),
    "steps": NOT_NEGATIVE,
    "epochs": NOT_NEGATIVE,
    "minutes": NOT_NEGATIVE,
    "batch_size": COUNT,
    "accumulate": COUNT,
    "image_size": SIZE,
    "multi_scale": SIZE,
    "multi_scale_every": COUNT,
    "log_every": COUNT,
    "evaluate_every": NOT_NEGATIVE,
    "checkpoint_every": COUNT,
    "profile_steps": COUNT,
    "model.hidden": NOT_NEGATIVE,
    "model.dropout": SHARE_BELOW_1,
    "model.side": COUNT,
    "model.boxes_per_cell": COUNT,
    "model.width": POSITIVE,
    "model.anchors_cells": POSITIVE,
    "model.num_anchors": COUNT,
    "model.batch_norm_momentum": SHARE_BELOW_1,
    "model.batch_norm_batches": NOT_NEGATIVE,
    "model.sync_batch_norm_group": NOT_NEGATIVE,
    "data.max_boxes": NOT_NEGATIVE,
    "classification.ratio": POSITIVE,
    "augment.jitter": Range(0, 0.5, below=True),  # both edges moved by half would leave nothing of the picture
    "augment.flip": SHARE,
    "augment.flip_vertical": SHARE,
    "augment.hue": SHARE,
    "augment.saturation": POSITIVE,
    "augment.exposure": POSITIVE,
    "augment.angle": Range(0, 180),
    "augment.aspect": POSITIVE,
    "augment.min_crop": COUNT,
    "augment.max_crop": COUNT,
    "optimizer.learning_rate": NOT_NEGATIVE,
    "optimizer.reference_batch_size": COUNT,
    "optimizer.momentum": SHARE_BELOW_1,
    "optimizer.weight_decay": SHARE_BELOW_1,
    "optimizer.clip_norm": NOT_NEGATIVE,
    "optimizer.boundaries": SHARE,
    "optimizer.factors": NOT_NEGATIVE,
    "optimizer.power": NOT_NEGATIVE,
    "optimizer.decay_rate": NOT_NEGATIVE,
    "optimizer.decay_steps": COUNT,
    "optimizer.burn_in": NOT_NEGATIVE,
    "optimizer.burn_in_power": NOT_NEGATIVE,
    "optimizer.average_decay": SHARE_BELOW_1,
    "loss.coord_scale": NOT_NEGATIVE,
    "loss.object_scale": NOT_NEGATIVE,
    "loss.noobject_scale": NOT_NEGATIVE,
    "loss.class_scale": NOT_NEGATIVE,
    "loss.ignore_threshold": SHARE,
    "loss.class_box_floor": SHARE,
    "loss.warmup_images": NOT_NEGATIVE,
    "yolo_v1_loss.coord_scale": NOT_NEGATIVE,
    "yolo_v1_loss.object_scale": NOT_NEGATIVE,
    "yolo_v1_loss.noobject_scale": NOT_NEGATIVE,
    "yolo_v1_loss.class_scale": NOT_NEGATIVE,
    "evaluation.image_size": Range(0, 4096, multiple=32),
    "evaluation.batch_size": COUNT,
    "evaluation.score_threshold": SHARE,
    "evaluation.nms_threshold": SHARE,
}


def check_value(value: Any, name: str, where: str, key: str = "") -> None:
    """Raises UserError unless a value of the right type is one that its key can have.

    Args:
        value, name, where: what the file `where` gives for the key that it calls `name`.
        key: the same key as a config calls it; empty: so, too.
    """
    key = key or without_stage(name)
    if key in CHOICES and value not in CHOICES[key]:
        raise UserError(f"{where}: {name} is {value!r}; it can be {', '.join(CHOICES[key])}")
    wrong = [number for number in _numbers(value) if key in RANGES and not RANGES[key].holds(number)]
    if wrong:
        raise UserError(f"{where}: {name} is {value!r}; it must be {RANGES[key]}{RANGES[key].nearest(wrong[0])}")


def _numbers(value: Any) -> list[float]:
    return [number for item in value for number in _numbers(item)] if isinstance(value, tuple) else [value]
