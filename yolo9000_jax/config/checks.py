"""Whether the keys of a config agree with each other."""

from collections.abc import Callable
from typing import NamedTuple

from ml_collections import ConfigDict

from yolo9000_jax.config.keys import RECIPES, detection, flat, stages
from yolo9000_jax.errors import UserError

DETECTION_METRICS = ("voc_ap50", "voc07_ap50", "recall50", "coco_ap", "coco_ap50", "coco_ap75")
# What evaluation.metric may name, the task's own first; the last two of "joint" are of classes with and without boxes.
METRICS = {
    "detection": DETECTION_METRICS,
    "joint": (*DETECTION_METRICS, "voc_ap50_seen", "voc_ap50_unseen"),
    "classification": ("top1", "top5"),
}
LENGTHS = ("steps", "epochs", "minutes")


class Unused(NamedTuple):
    """Keys, or groups of them, that some experiments do not look at: for such an experiment they stay as they are.

    So does what a recipe (keys.RECIPES) says of them: it is no wish of the user's.

    `here` says of a config whether it is one, `why` when they are not used, `instead` what to do where they are meant.
    """

    keys: tuple[str, ...]
    here: Callable[[ConfigDict], bool]
    why: str
    instead: str


UNUSED = (
    Unused(
        (
            *("model.trunk", "model.use_batch_norm", "model.box_parametrisation", "model.logits", "model.head"),
            *("model.hidden", "model.dropout", "model.side", "model.boxes_per_cell", "model.width"),
            *("model.head_convolutions", "model.passthrough", "model.head_init"),
            *("model.anchors_cells", "model.priors", "model.num_anchors", "model.rematerialise"),
        ),
        lambda c: c.model.architecture == "cfg",
        "with model.architecture=cfg, whose cfg says it",
        "change the cfg",
    ),
    Unused(
        ("model.architecture",),
        lambda c: c.task == "classification" and c.model.architecture != "cfg",
        "with task=classification",
        "choose task=detection",
    ),
    Unused(
        ("model.cfg",),
        lambda c: c.model.architecture != "cfg",
        "without model.architecture=cfg",
        "choose it",
    ),
    Unused(
        (
            *("model.box_parametrisation", "model.head", "model.hidden", "model.dropout"),
            *("model.side", "model.boxes_per_cell", "model.head_convolutions", "model.passthrough"),
            *("model.head_init", "model.anchors_cells", "model.priors", "model.num_anchors"),
            *("data.include_difficult", "data.max_boxes"),
            *("loss", "yolo_v1_loss", "evaluation.resize", "evaluation.score_threshold", "evaluation.nms_threshold"),
            "evaluation.iou_rule",
        ),
        lambda c: c.task == "classification",
        "with task=classification",
        "choose task=detection",
    ),
    Unused(
        ("classification", "loss.class_box", "loss.class_box_floor", "loss.class_objectness"),
        lambda c: c.task != "joint",
        "without task=joint",
        "choose task=joint",
    ),
    Unused(
        ("loss.class_box_floor",),
        lambda c: c.loss.class_box not in ("max_size", "max_objectness"),
        "without loss.class_box=max_size or max_objectness",
        "choose one",
    ),
    Unused(
        (
            *("model.head", "model.hidden", "model.dropout", "model.side", "model.boxes_per_cell"),
            "yolo_v1_loss",
        ),
        lambda c: c.task != "classification" and c.model.architecture == "yolo_v2",
        "with model.architecture=yolo_v2",
        "choose model.architecture=yolo_v1",
    ),
    Unused(
        (
            *("model.anchors_cells", "model.priors", "model.num_anchors", "model.passthrough"),
            *("model.head_convolutions", "model.head_init", "model.box_parametrisation", "loss"),
        ),
        lambda c: c.task != "classification" and c.model.architecture == "yolo_v1",
        "with model.architecture=yolo_v1",
        "choose model.architecture=yolo_v2",
    ),
    Unused(
        ("model.logits",),
        lambda c: c.task != "classification" or c.model.trunk != "extraction",
        "without task=classification and model.trunk=extraction",
        "choose these",
    ),
    Unused(
        ("model.priors",),
        lambda c: bool(c.model.anchors_cells),
        "with model.anchors_cells, which gives the priors",
        "empty model.anchors_cells",
    ),
    Unused(
        ("model.num_anchors",),
        lambda c: bool(c.model.anchors_cells) and len(c.model.anchors_cells) != c.model.num_anchors,
        "with model.anchors_cells, which gives the priors",
        "empty model.anchors_cells",
    ),
    Unused(
        ("model.num_anchors",),
        lambda c: c.model.priors == "hand_picked",
        "with model.priors=hand_picked",
        "choose model.priors=kmeans",
    ),
    Unused(
        ("model.hidden", "model.dropout"),
        lambda c: c.task != "classification" and c.model.architecture == "yolo_v1" and c.model.head == "direct",
        "with model.head=direct, which has no such layer",
        "choose model.head=connected or local",
    ),
    Unused(
        (
            *("model.batch_norm", "model.batch_norm_momentum", "model.batch_norm_batches"),
            *("model.sync_batch_norm", "model.sync_batch_norm_group"),
        ),
        lambda c: not c.model.use_batch_norm,
        "with model.use_batch_norm=False",
        "choose model.use_batch_norm=True",
    ),
    Unused(
        ("model.sync_batch_norm_group",),
        lambda c: not c.model.sync_batch_norm,
        "without model.sync_batch_norm",
        "choose model.sync_batch_norm=True",
    ),
    Unused(("multi_scale_every",), lambda c: not c.multi_scale, "without multi_scale", "give its sizes"),
    Unused(("evaluation.hierarchy_rule",), lambda c: not c.model.tree, "without model.tree", "give one"),
    Unused(
        ("augment.angle", "augment.aspect", "augment.crop", "augment.min_crop", "augment.max_crop"),
        lambda c: c.augment.geometry != "rotate_crop",
        "without augment.geometry=rotate_crop",
        "choose it",
    ),
    Unused(
        ("augment.jitter",),
        lambda c: c.augment.geometry in ("rotate_crop", "none"),
        "with augment.geometry=rotate_crop or none",
        "choose augment.geometry=crop or place",
    ),
    Unused(
        ("augment.flip_vertical",),
        lambda c: c.augment.geometry == "rotate_crop",
        "with augment.geometry=rotate_crop",
        "choose another augment.geometry, or augment.angle=180",
    ),
    Unused(
        ("optimizer.power",),
        lambda c: c.optimizer.schedule != "polynomial",
        "without optimizer.schedule=polynomial",
        "choose it",
    ),
    Unused(
        ("optimizer.decay_rate", "optimizer.decay_steps"),
        lambda c: c.optimizer.schedule not in ("exponential", "sigmoid"),
        "without optimizer.schedule=exponential or sigmoid",
        "choose one",
    ),
    Unused(
        ("data.map",),
        lambda c: not c.model.tree,
        "without model.tree",
        "give one",
    ),
    Unused(
        ("optimizer.boundaries", "optimizer.factors"),
        lambda c: c.optimizer.schedule != "steps",
        "without optimizer.schedule=steps",
        "choose it",
    ),
    Unused(
        ("optimizer.burn_in_power",),
        lambda c: not c.optimizer.burn_in,
        "without optimizer.burn_in",
        "give its steps",
    ),
)


def check(config: ConfigDict, where: str = "config") -> None:
    """Raises UserError unless the keys of a complete config agree, in each stage of its pre-training and between them.

    Refused are: no length or two, parts of a step, keys that the experiment does not look at, an unknown
    evaluation.metric, limits in the wrong order, two ways to begin, pre-training whose weights do not fit.
    """
    for prefix, stage in stages(config):
        _check_length(stage, prefix, where)
        _check_evaluations(stage, prefix, where)
        _check_unused(stage, prefix, where)
        _check_together(stage, prefix, where)
        _check_start(stage, prefix, where)


def _check_length(config: ConfigDict, prefix: str, where: str) -> None:
    given = [key for key in LENGTHS if config[key]]
    if not given:
        raise UserError(f"{where}: {prefix}steps, epochs and minutes are all 0: say with one of them how long to train")
    if len(given) > 1:
        values = " and ".join(f"{prefix}{key} is {config[key]:g}" for key in given)
        raise UserError(f"{where}: {values}, but a run has one length: set the others to 0")


def _check_evaluations(config: ConfigDict, prefix: str, where: str) -> None:
    every = config.evaluate_every
    if every > 1 and every % 1:
        raise UserError(
            f"{where}: {prefix}evaluate_every is {every:g}: give whole steps, or a share of the run, such as 0.1"
        )


def _check_unused(config: ConfigDict, prefix: str, where: str) -> None:
    values, defaults = flat(config), flat(detection())
    recipes = [flat(recipe()) for recipe in RECIPES]
    for rule in UNUSED:
        if not rule.here(config):
            continue
        for key, default in defaults.items():
            named = any(key == other or key.startswith(f"{other}.") for other in rule.keys)
            if named and all(values[key] != recipe[key] for recipe in recipes):
                raise UserError(
                    f"{where}: {prefix}{key} is {values[key]!r}, which is not used {rule.why}: "
                    f"leave it at {default!r}, or {rule.instead}"
                )


def _check_together(config: ConfigDict, prefix: str, where: str) -> None:
    metrics, metric = METRICS[config.task], config.evaluation.metric
    if config.evaluation.iou_rule == "ilsvrc":
        metrics += tuple(name.replace("voc_ap50", "ilsvrc_ap") for name in metrics if name.startswith("voc_ap50"))
    if metric and metric not in metrics:
        hint = " (ilsvrc_ap with evaluation.iou_rule=ilsvrc)" if metric.startswith("ilsvrc_ap") else ""
        raise UserError(f"{where}: {prefix}evaluation.metric is {metric!r}; here it can be {', '.join(metrics)}{hint}")
    if config.augment.geometry == "rotate_crop" and config.task != "classification":
        raise UserError(
            f"{where}: {prefix}augment.geometry is 'rotate_crop', which is for classifiers; it can be crop, place, none"
        )
    if config.augment.min_crop > config.augment.max_crop:
        raise UserError(
            f"{where}: {prefix}augment.min_crop is {config.augment.min_crop}, "
            f"more than max_crop, {config.augment.max_crop}: exchange them"
        )
    profiled = config.profile_steps
    if profiled and (len(profiled) != 2 or profiled[0] > profiled[1]):
        raise UserError(
            f"{where}: {prefix}profile_steps is {profiled}: give the first and the last step, as (100, 110)"
        )
    boundaries, factors = config.optimizer.boundaries, config.optimizer.factors
    if len(boundaries) != len(factors) or list(boundaries) != sorted(boundaries):
        raise UserError(
            f"{where}: {prefix}optimizer.boundaries is {boundaries} and factors {factors}: "
            "give as many of the one as of the other, the boundaries in rising order"
        )


def _check_start(config: ConfigDict, prefix: str, where: str) -> None:
    first = config.pretraining
    if not first:
        return
    if config.init_from:
        raise UserError(
            f"{where}: {prefix}init_from is {config.init_from!r}, but it starts from its pre-training: "
            f"leave it out, or give --config.{prefix}pretraining=none"
        )
    for key in ("width", "trunk"):
        if first.model[key] != config.model[key]:
            raise UserError(
                f"{where}: {prefix}pretraining.model.{key} is {first.model[key]!r} and {prefix}model.{key} "
                f"{config.model[key]!r}, so that its weights would not fit: give both the same, or another "
                f"--config.{prefix}pretraining=NAME, or none"
            )
    if first.pretraining and first.name == first.pretraining.name:
        raise UserError(
            f"{where}: {prefix}pretraining and {prefix}pretraining.pretraining are both named {first.name!r}, "
            "which is the folder that they train in: give them different names"
        )
