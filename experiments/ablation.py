"""The path from YOLO to YOLOv2: the paper's table 2, every row its predecessor and one change, and a few beside them.

    yolo9000 ablation --config ablation --workdir runs/ablation          all of it, on VOC 2007 + 2012
    yolo9000 train --config ablation:passthrough --workdir …               one row
    yolo9000 ablation --config ablation --config.dataset=emoji --workdir runs/ablation_emoji
    yolo9000 ablation --config ablation --config.dataset=blood_cells --workdir runs/ablation_blood_cells

The paper: 63.4 % mAP for `yolo`, 78.6 for `hi_res_detector` (PAPER below). Ours on VOC: not run (no ImageNet, no VOC
and no accelerator at hand); every row compiles at full size, and narrow ones train (tests/training/test_ablation.py).

`voc` is the paper's recipe: pre-training of experiments/extraction.py and darknet19.py, then that of experiments/voc.py
for all rows, YOLOv1's too, so that a row differs from the one above in its switches alone. Batch norm takes dropout
out, as in the paper. `hi_res_detector` trains nothing: it is the weights of `multi_scale` at 544.

The rows below the path (BASES) are compared with a row of it: priors by k-means and direct location each alone, of
which the paper gives only both, and Darknet's narrower passthrough instead of the paper's.

YOLOv1 was trained otherwise: --config.yolo_schedule=yolov1 gives the rows on its network the schedule of
yolov1/yolo.train.cfg (40000 steps, up to 5e-3), whose rates add up to 6.3 times those of the 160 epochs, the default
`paper160`. The paper does not say which its first three numbers are of; ours, where there are any, say it.

`emoji` and `blood_cells` are the same path at reduced width and length, for two cores: pre-training on pictures of one
emoji each, then emoji scenes (sizes 3/7 of the paper's), or photographs of blood (the paper's sizes). Blood
pictures have no labels without boxes, so their rows start from emoji as well: unlike them, and the same for every row.
--config.length=0.1 makes every training a tenth as long (on VOC in epochs, on the others in steps).

Ours, seed 0, one run a row, 2026-11-22, AMD EPYC (Zen 5) virtual machine; voc07_ap50 and recall at IoU .5 in %, the
recall whatever the class. They ran with Darknet's passthrough, head_init="calm" and, on blood cells, dropout beside
batch norm, emoji's `yolo` without dropout: the rows of today differ in these. With seeds 1 and 2 on emoji:
`new_network` 55.7 and 59.7, `dimension_priors` 59.9 and 60.9.

                        emoji   recall   blood cells   recall
    yolo                 18.6     62.7           2.6     58.6
    batch_norm           20.8     42.8           9.1     54.6
    hi_res_classifier    19.5     42.6           4.1     55.8
    convolutional        60.1     81.9          54.3     93.1
    new_network          57.2     81.4          50.5     91.8
    dimension_priors     60.4     79.9          47.7     93.3
    passthrough          79.3     91.7          66.8     95.3
    multi_scale          73.1     89.3          68.4     95.7
    hi_res_detector      83.9     97.2          70.4     96.6
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import blood_cells  # these five are beside this file
import darknet19
import demo
import extraction
import voc
from ml_collections import ConfigDict

from yolo9000_jax import config
from yolo9000_jax.errors import UserError

o, X = False, True
COLUMNS = (
    *("batch_norm", "hi_res_classifier", "convolutional", "anchor_boxes", "new_network"),
    *("dimension_priors", "location_prediction", "passthrough", "multi_scale", "hi_res_detector"),
)
# fmt: off
TABLE = {
    "yolo":              (o, o, o, o, o, o, o, o, o, o),
    "batch_norm":        (X, o, o, o, o, o, o, o, o, o),
    "hi_res_classifier": (X, X, o, o, o, o, o, o, o, o),
    "convolutional":     (X, X, X, X, o, o, o, o, o, o),
    "new_network":       (X, X, X, X, X, o, o, o, o, o),
    "dimension_priors":  (X, X, X, o, X, X, X, o, o, o),
    "passthrough":       (X, X, X, o, X, X, X, X, o, o),
    "multi_scale":       (X, X, X, o, X, X, X, X, X, o),
    "hi_res_detector":   (X, X, X, o, X, X, X, X, X, X),
    "priors_only":         (X, X, X, X, X, X, o, o, o, o),
    "location_only":       (X, X, X, X, X, o, X, o, o, o),
    "passthrough_darknet": (X, X, X, o, X, X, X, "darknet", o, o),
}
# fmt: on
# The row that each of those below the path is compared with; one of the path is compared with the row above it.
BASES = {
    "priors_only": "new_network",
    "location_only": "new_network",
    "passthrough_darknet": "dimension_priors",
}
# Cited, not ours: mAP and recall on VOC 2007's test set.
PAPER = {
    "yolo": {"voc07_ap50": 0.634},
    "batch_norm": {"voc07_ap50": 0.658},
    "hi_res_classifier": {"voc07_ap50": 0.695, "recall50": 0.81},
    "convolutional": {"voc07_ap50": 0.692, "recall50": 0.88},
    "new_network": {"voc07_ap50": 0.696},
    "dimension_priors": {"voc07_ap50": 0.744},
    "passthrough": {"voc07_ap50": 0.754},
    "multi_scale": {"voc07_ap50": 0.768},
    "hi_res_detector": {"voc07_ap50": 0.786},
}
PAPER_SOURCE = "arXiv 1612.08242, table 2: VOC 2007 test, full width and length"
# What `darknet ops` prints for a cfg of the same layers, 20 classes. With the paper's passthrough, yolo-voc.2.0.cfg, it
# is 34.90 at 416, the number that Darknet's authors give for YOLOv2 on VOC; at 544 it is (544 / 416)² times that.
DARKNET_GFLOP = {
    **dict.fromkeys(("yolo", "batch_norm", "hi_res_classifier"), 40.57),
    "convolutional": 41.87,
    "new_network": 28.55,
    "location_only": 28.55,
    **dict.fromkeys(("dimension_priors", "priors_only"), 28.52),
    **dict.fromkeys(("passthrough", "multi_scale"), 34.90),
    "passthrough_darknet": 29.36,
    "hi_res_detector": 59.68,
}

EMOJI = (
    *("poodle", "domestic cat", "lion", "tiger", "giant panda", "penguin", "butterfly", "ladybug", "apple", "banana"),
    *("strawberry", "watermelon", "carrot", "taxi", "fire engine", "helicopter", "sailboat", "electric guitar"),
    *("soccer ball", "basketball"),
)
TEN_EMOJI = EMOJI[::2]


def get_config(
    row: str = "hi_res_detector", dataset: str = "voc", length: float = 1.0, yolo_schedule: str = "paper160"
) -> ConfigDict:
    """A row's experiment; `length` multiplies the lengths of all its trainings; `yolo_schedule` as above."""
    if row not in TABLE:
        raise config.unknown_row(row, TABLE)
    if dataset not in SETS:
        raise UserError(f"there is no dataset {dataset!r}; the ablation has {', '.join(SETS)}")
    if yolo_schedule not in ("paper160", "yolov1")[: 2 if dataset == "voc" else 1]:
        raise UserError(f"yolo_schedule is {yolo_schedule!r}; it can be paper160 or, with dataset=voc, yolov1")
    sets, on = SETS[dataset], dict(zip(COLUMNS, TABLE[row], strict=True))
    c = sets.detector()
    c.name = f"ablation_{dataset}"
    c.multi_scale = ()
    c.model.trunk = "extraction"
    c.model.use_batch_norm = on["batch_norm"]
    if on["convolutional"]:
        c.image_size = sets.size
        c.model.head_init = "darknet"  # whose unsteadiness direct location is to cure
        c.model.passthrough = {o: "none", X: "paper"}.get(on["passthrough"], on["passthrough"])
    else:
        _as_yolo_v1(c, sets)
        if yolo_schedule == "yolov1":
            _schedule_of_yolo_v1(c)
    if on["anchor_boxes"]:  # as in region proposal networks
        c.model.priors, c.model.box_parametrisation = "hand_picked", "offset"
    if on["new_network"]:
        c.model.trunk = "darknet19"
    if on["dimension_priors"]:
        c.model.priors = "kmeans"
    if on["location_prediction"]:
        c.model.box_parametrisation = "direct"
    if on["multi_scale"]:
        c.multi_scale = sets.scales
    if on["hi_res_detector"]:
        c.evaluation.image_size = sets.hi_res_size
    c.pretraining = sets.classifier(c.model.trunk, on["batch_norm"], on["hi_res_classifier"])
    return _shorten(c, length)


def _as_yolo_v1(c: ConfigDict, sets: "Sets") -> None:
    """YOLOv1's network and loss, which has no warm-up."""
    c.image_size = sets.yolo_size
    c.model.architecture = "yolo_v1"
    c.model.side = sets.yolo_size // 64
    c.model.dropout = 0.0 if c.model.use_batch_norm else 0.5  # the one takes the other's place (paper, section 2)
    c.loss = config.detection().loss


def _schedule_of_yolo_v1(c: ConfigDict) -> None:
    """That of yolov1/yolo.train.cfg."""
    c.steps, c.epochs = 40_000, 0
    c.optimizer.learning_rate = 5e-4
    c.optimizer.boundaries = tuple(step / c.steps for step in (200, 400, 600, 20_000, 30_000))
    c.optimizer.factors = (2.5, 2.0, 2.0, 0.1, 0.1)


def _shorten(c: ConfigDict, length: float) -> ConfigDict:
    for _, stage in config.stages(c):
        stage.steps = stage.steps and max(1, round(stage.steps * length))
        stage.epochs *= length
    return c


def _imagenet(trunk: str, batch_norm: bool, hi_res: bool) -> ConfigDict:
    """The paper's pre-training: experiments/extraction.py and darknet19.py."""
    row = ("448" if hi_res else "224") if batch_norm else "no_batch_norm"
    return {"extraction": extraction, "darknet19": darknet19}[trunk].get_config(row)


def _pictures(
    classes: tuple[str, ...],
    low: int,
    high: int,
    low_steps: int,
    high_steps: int,
    trunk: str,
    batch_norm: bool,
    hi_res: bool,
) -> ConfigDict:
    """Pre-training on emoji pictures of some classes, at `low` pixels and then, with `hi_res`, at `high`."""
    c = config.classifier_from_scratch()
    c.steps = high_steps if hi_res else low_steps
    c.image_size = high if hi_res else low
    c.checkpoint_every = 200
    c.model.trunk = trunk
    c.model.use_batch_norm = batch_norm
    if not batch_norm:
        c.optimizer.learning_rate = 0.02  # at .05 it learnt nothing in 380 steps
    c.data.source = "emoji:pictures"
    c.data.classes = classes
    if hi_res:
        c.optimizer.learning_rate, c.optimizer.burn_in = 0.01, 20
    c.evaluation.split = "test[:500]"
    c.name = f"{trunk}_{c.image_size}" + ("" if batch_norm else "_no_batch_norm")
    if hi_res:
        c.pretraining = _pictures(classes, low, high, low_steps, high_steps, trunk, batch_norm, False)
    return demo.plain_colours(c)


def _emoji() -> ConfigDict:
    """Scenes of ten classes of emoji."""
    c = config.from_scratch()
    c.steps = 4500
    c.data.source = "emoji"
    c.data.classes = TEN_EMOJI
    c.data.max_boxes = 8
    c.evaluation.split = "test[:500]"
    return demo.plain_colours(c)


def _blood_cells() -> ConfigDict:
    """experiments/blood_cells.py with fewer steps."""
    c = blood_cells.get_config()
    c.steps = 600
    c.evaluate_every, c.checkpoint_every = 0, 500
    return c


class Sets(NamedTuple):
    """What the rows are trained and judged on: the recipe of the detector, its pre-training, sizes in pixels."""

    detector: Callable[[], ConfigDict]
    classifier: Callable[[str, bool, bool], ConfigDict]  # (trunk, batch_norm, hi_res)
    yolo_size: int  # of the input of YOLOv1, 64 times its grid
    size: int  # of the convolutional networks: an odd number of cells
    scales: tuple[int, ...]
    hi_res_size: int


PAPER_SIZES = (448, 416, tuple(range(320, 609, 32)), 544)
SETS = {
    "voc": Sets(voc.get_config, _imagenet, *PAPER_SIZES),
    "emoji": Sets(
        _emoji,
        partial(_pictures, TEN_EMOJI, 96, 192, 1200, 200),
        *(192, 160, tuple(range(128, 225, 32)), 224),
    ),
    "blood_cells": Sets(_blood_cells, partial(_pictures, EMOJI, 224, 448, 450, 80), *PAPER_SIZES),
}
