"""YOLOv2 on Pascal VOC 2007 and 2012, judged on the test set of 2007, or of 2012 (paper, section 2, tables 2 to 4).

    yolo9000 train --config voc --workdir runs/voc
    yolo9000 evaluate --workdir runs/voc --size 544
    yolo9000 benchmark --workdir runs/voc --dataset tfds:voc/2007 --split test       table 3 and figure 4

The paper: mAP 76.8 % at 416, 78.6 % at 544 (voc07_ap50 here). Ours: not run (no VOC and no accelerator at hand). The
same code was run on tiny pictures in VOC's format (tests/training/test_ablation.py) and on other data
(experiments/ablation.py).

Data: TensorFlow Datasets' voc/2007 and voc/2012, or folders: --config.data.source=voc:DIR/VOC2007+voc:DIR/VOC2012
--config.data.split=trainval --config.evaluation.source=voc:DIR/VOC2007. It starts from experiments/darknet19.py.

Rows: `paper`: 160 epochs, the rate divided by 10 after 60 and 90, crops, priors by k-means. `darknet2`, as
yolo-voc.2.0.cfg has it, the cfg of the paper's time: 45000 steps (174 epochs), the first 100 at a tenth of the rate,
divided by 10 at 25000 and 35000; its priors, 30 boxes a picture, one size (random=0). `darknet`, as the later
yolov2-voc.cfg (darknet.md 14): 80200 steps with a burn-in, the rate divided by 10 at 40000 and 60000, whole pictures on
grey, the priors of the cfg, the narrower passthrough, letterboxed test pictures. With another --config.batch_size the
first stays as many epochs long, the others as many steps.

`2012`, table 4: the recipe of `paper` on VOC 2007's trainval and test and 2012's trainval ("07++12"), judged on 2012's
test, by area (voc_ap50). The paper, at 544: 73.4 %; aero 86.3, bike 82.0, bird 74.8, boat 59.2, bottle 51.8, bus 79.8,
car 76.5, cat 90.6, chair 52.1, cow 78.2, table 58.5, dog 89.3, horse 82.5, mbike 83.4, person 81.3, plant 49.1, sheep
77.2, sofa 62.4, train 83.8, tv 68.7 (cited). Ours: not run; tiny pictures in the same folders went through it
(tests/experiments/test_experiments.py). The labels of that test set are with VOC's server and not in TensorFlow
Datasets: who has them as XML files gives --config.evaluation.source=voc:DIR/VOC2012; of folders to train on,
--config.data.source=voc:DIR/VOC2007+voc:DIR/VOC2012 --config.data.split=trainval+test,trainval.
"""

import darknet19  # beside this file
from ml_collections import ConfigDict

from yolo9000_jax import config
from yolo9000_jax.models.yolo_v2 import VOC_ANCHORS_CELLS

ROWS = ("paper", "darknet2", "darknet", "2012")
# Priors of yolo-voc.2.0.cfg (w, h in cells of 32 pixels).
ANCHORS_CELLS_2 = ((1.08, 1.19), (3.42, 4.41), (6.63, 11.38), (9.42, 5.11), (16.62, 10.52))
CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


def get_config(row: str = "paper") -> ConfigDict:
    if row not in ROWS:
        raise config.unknown_row(row, ROWS)
    c = config.detection()
    c.name = f"voc_{row}"
    c.pretraining = darknet19.get_config("448")
    c.epochs = 160  # of 16551 pictures, 5011 of 2007 and 11540 of 2012: 41377 steps
    c.batch_size = 64
    c.image_size = 416
    c.multi_scale = tuple(range(320, 609, 32))
    c.log_every = 100
    c.checkpoint_every = 1000
    c.data.source = "tfds:voc/2007+voc/2012"
    c.data.split = "train+validation"
    c.data.classes = CLASSES
    c.data.max_boxes = 50
    c.evaluation.source = "tfds:voc/2007"
    c.evaluation.split = "test"
    c.evaluation.metric = "voc07_ap50"
    if row == "2012":  # 21503 pictures: 53757 steps
        c.data.split = "train+validation+test,train+validation"
        c.evaluation.source = "tfds:voc/2012"
        c.evaluation.metric = "voc_ap50"
    elif row == "darknet":
        as_darknet(c, 80_200, (40_000, 60_000), VOC_ANCHORS_CELLS)
    elif row == "darknet2":
        as_darknet_2(c)
    return c


def as_darknet_2(c: ConfigDict) -> None:
    """Turns the paper's recipe into that of yolo-voc.2.0.cfg, all but the order of its reorg's channels."""
    c.steps, c.epochs = 45_000, 0
    c.multi_scale = ()
    c.optimizer.learning_rate = 1e-4
    c.optimizer.boundaries = tuple(step / c.steps for step in (100, 25_000, 35_000))
    c.optimizer.factors = (10.0, 0.1, 0.1)
    c.model.anchors_cells = ANCHORS_CELLS_2
    c.data.max_boxes = 30


def as_darknet(
    c: ConfigDict, steps: int, drops: tuple[int, ...], anchors_cells: tuple[tuple[float, float], ...]
) -> None:
    """Turns the paper's recipe into that of Darknet's cfgs (darknet.md 9, 14); the rate is divided by 10 at `drops`."""
    c.steps, c.epochs = steps, 0
    c.optimizer.boundaries = tuple(step / steps for step in drops)
    c.optimizer.burn_in = 1000
    c.model.anchors_cells = anchors_cells
    c.model.passthrough = "darknet"
    c.augment.geometry = "place"
    c.augment.jitter = 0.3
    c.data.max_boxes = 30
    c.evaluation.resize = "letterbox"
