"""The path from YOLO to YOLOv2: the paper's table 2, every row its predecessor and one change, and a few beside them.

    yolo9000 ablation --config ablation --workdir runs/ablation          all of it, on VOC 2007 + 2012
    yolo9000 train --config ablation:passthrough --workdir …               one row
    yolo9000 ablation --config ablation --config.dataset=emoji --workdir runs/ablation_emoji
    python experiments/photos_data.py --source DIR/tiny-imagenet-200 --output runs/photos
    yolo9000 ablation --config ablation --config.dataset=photos --seeds 3 --workdir runs/ablation_photos
    yolo9000 ablation --config ablation --config.dataset=photos --design factorial --workdir runs/ablation_photos
    yolo9000 ablation --config ablation --config.dataset=photos --design sizes --workdir runs/ablation_photos

The paper: 63.4 % mAP for `yolo`, 78.6 for `hi_res_detector` (PAPER below). Ours on VOC: not run (no ImageNet, no VOC
and no accelerator at hand); every row compiles at full size, and narrow ones train (tests/training/test_ablation.py).

`voc` is the paper's recipe: pre-training of experiments/extraction.py and darknet19.py, then that of experiments/voc.py
for all rows, YOLOv1's too, so that a row differs from the one above in its switches alone; but that without batch norm
the classifier learns at a lower rate, on every set. Batch norm takes dropout out, as in the paper. `hi_res_detector`
trains nothing: it is the weights of `multi_scale` at 544.

The rows below the path (BASES) are compared with a row of it: priors by k-means and direct location each alone, of
which the paper gives only both, and Darknet's narrower passthrough instead of the paper's.

YOLOv1 was trained otherwise: --config.yolo_schedule=yolov1 gives the rows on its network the schedule of
yolov1/yolo.train.cfg (40000 steps, up to 5e-3), whose rates add up to 6.3 times those of the 160 epochs, the default
`paper160`. The paper does not say which its first three numbers are of; ours, where there are any, say it.

`photos` is the same path for two cores, on what experiments/photos_data.py makes of tiny-imagenet-200 (in runs/photos,
or --config.photos=DIR): classifiers of 200 kinds at 64 pixels and then 128, the counterpart of 224 and 448; detectors
of 35 coarse classes on canvases of 224 pixels, composed of other photographs, at about .4 of the paper's sizes. Both
at a quarter of the width. A classifier sees 27 times the detector's pictures, and 4.5 times as many at the higher
resolution (the paper: 77 and 4.8). The same for all rows: steps, batch, width, burn-in and warm-up, no clipping, a
moving average of the weights (.995), the canvases; the last state is judged. There is no table of it yet.

What was tried, all of it row `passthrough`, seed 0, 2026-11-28, one core of a virtual machine that was busy with other
work. With 3 to 6 photographs of 32 to 128 pixels a canvas, and classifiers at 32 and 64 pixels, it learns nothing:
voc_ap50 .000 and recall50 .18 after 5,000 steps, whatever the rate (.0025 to .01); the median box is 23 pixels wide in
an input of 160, less than a cell of 32. With the 1 to 3 photographs of 80 to 176 pixels of today it finds, and does not
name yet. On the 800 judged canvases, from the same classifier of 11.6 %, with 1000 canvases to learn from except in the
last line:

                                                    voc_ap50  recall50
    1000 steps, rate .001                               .014       .60
    1000 steps, rate .005, clipped at 10, calm head     .029       .68
    2400 steps, rate .0025                              .027       .69
    1600 steps, rate .0025, 5000 canvases               .025       .67

So what is left is naming, for which the classifiers are now longer and at the sizes of the photographs; not run yet.

`emoji` is the quick one: pre-training on pictures of one emoji each, then emoji scenes, at about .4 of the paper's
sizes. --config.length=0.1 makes every training a tenth as long (on VOC in epochs, on the others in steps).

Designs (--design): `path` is the table. `factorial` are 16 runs on Darknet-19 in which five of its switches (FACTORS)
vary at once, each run's fifth being the product of its other four: every switch's effect is then the difference of two
means of eight runs, and no effect of two switches together is mixed up with it. `sizes` judges the row without
multi-scale training and the row with it at all of that row's sizes. Runs that two designs have in common are made once.

A seed is that of the detector and of its pre-training, which lies in stages/seedN/NAME of the workdir, or in
DIR/seedN/NAME with --stages DIR; a single row uses that of a seed with `train --stages DIR/seed0`.

Ours, emoji, seed 0, one run a row, 2026-11-22, AMD EPYC (Zen 5) virtual machine; voc07_ap50 and recall at IoU .5 in %,
the recall whatever the class. They ran with Darknet's passthrough, head_init="calm" and `yolo` without dropout: the
rows of today differ in these. With seeds 1 and 2: `new_network` 55.7 and 59.7, `dimension_priors` 59.9 and 60.9.

                        emoji   recall
    yolo                 18.6     62.7
    batch_norm           20.8     42.8
    hi_res_classifier    19.5     42.6
    convolutional        60.1     81.9
    new_network          57.2     81.4
    dimension_priors     60.4     79.9
    passthrough          79.3     91.7
    multi_scale          73.1     89.3
    hi_res_detector      83.9     97.2
"""

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import NamedTuple

import darknet19  # these four are beside this file
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
# Designs besides the table (see the top).
SHARED = ("hi_res_classifier",)  # of a seed, all runs with it start from one classifier, all without from another
FACTORS = ("hi_res_classifier", "dimension_priors", "location_prediction", "passthrough", "multi_scale")
BASE = ("batch_norm", "convolutional", "anchor_boxes", "new_network")  # on in every run; hand-picked priors and offsets
SIZES = ("passthrough", "multi_scale")  # rows that are judged at all sizes of the last
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

TEN_EMOJI = (
    *("poodle", "lion", "giant panda", "butterfly", "apple", "strawberry", "carrot", "fire engine", "sailboat"),
    "soccer ball",
)
PHOTOS, PHOTOS_STEPS = "runs/photos", 1600  # where experiments/photos_data.py wrote; updates of a detector


def _half_factorial() -> dict[str, tuple[bool, ...]]:
    """{name: a flag a column} of 16 of the 32 runs: the last switch's sign is the product of the others'."""
    table = {}
    for flags in product((o, X), repeat=len(FACTORS) - 1):
        signs = (*flags, sum(flags) % 2 == 0)
        on = [name for name, flag in zip(FACTORS, signs, strict=True) if flag]
        table["+".join(("base", *on))] = tuple(name in (*BASE, *on) for name in COLUMNS)
    return table


FACTORIAL = _half_factorial()


def get_config(
    row: str = "hi_res_detector",
    dataset: str = "voc",
    length: float = 1.0,
    yolo_schedule: str = "paper160",
    photos: str = PHOTOS,
) -> ConfigDict:
    """A row's experiment; `length` multiplies the lengths of all its trainings; the others as above."""
    if row not in (rows := TABLE | FACTORIAL):
        raise config.unknown_row(row, rows)
    if dataset not in SETS:
        raise UserError(f"there is no dataset {dataset!r}; the ablation has {', '.join(SETS)}")
    if yolo_schedule not in ("paper160", "yolov1")[: 2 if dataset == "voc" else 1]:
        raise UserError(f"yolo_schedule is {yolo_schedule!r}; it can be paper160 or, with dataset=voc, yolov1")
    sets, on = SETS[dataset], dict(zip(COLUMNS, rows[row], strict=True))
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
    return _adjust(c, length, photos)


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


def _adjust(c: ConfigDict, length: float, photos: str) -> ConfigDict:
    for _, stage in config.stages(c):
        stage.steps = stage.steps and max(1, round(stage.steps * length))
        stage.epochs *= length
        stage.data.source = stage.data.source.replace(PHOTOS, photos)
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


def _photos() -> ConfigDict:
    """Canvases of 35 coarse classes."""
    c = config.from_scratch()
    c.steps = PHOTOS_STEPS
    c.data.source = f"voc:{PHOTOS}/detect"
    c.data.max_boxes = 6
    c.model.head_init = "darknet"  # a calm start would hide what direct location cures
    c.optimizer.clip_norm = 0.0
    c.optimizer.learning_rate = 2.5e-3
    return c


def _photo_kinds(trunk: str, batch_norm: bool, hi_res: bool) -> ConfigDict:
    """Pre-training on 200 kinds at 64 pixels and then, with `hi_res`, at 128."""
    c = config.classifier_from_scratch()
    c.image_size = 128 if hi_res else 64
    c.steps = round((4.5 if hi_res else 27) * PHOTOS_STEPS * _photos().batch_size / c.batch_size)
    c.model.trunk = trunk
    c.model.use_batch_norm = batch_norm
    c.data.source = f"folders:{PHOTOS}/classify"
    c.data.split, c.evaluation.split = "train[:95%]", "train[95%:]"
    c.augment.geometry = "crop"
    c.augment.hue, c.augment.saturation, c.augment.exposure = 0.0, 1.0, 1.0  # ten epochs are too few to need more
    c.optimizer.clip_norm = 0.0
    c.optimizer.learning_rate = (0.02 if batch_norm else 0.01) / (5 if hi_res else 1)
    c.name = f"{trunk}_{c.image_size}" + ("" if batch_norm else "_no_batch_norm")
    if hi_res:
        c.pretraining = _photo_kinds(trunk, batch_norm, False)
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
    "photos": Sets(_photos, _photo_kinds, *(192, 160, tuple(range(128, 225, 32)), 224)),
}
