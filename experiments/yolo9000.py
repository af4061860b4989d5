"""YOLO9000: joint training on COCO's boxes and ImageNet's labels, on one WordTree (paper, section 4).

    yolo9000 wordtree build --labels tfds:coco/2017 --labels folders:IMAGENET_9K/train --output yolo9000.tree
    yolo9000 train --config yolo9000 --workdir runs/yolo9000
    yolo9000 evaluate --workdir runs/yolo9000 --dataset voc:ILSVRC_DET --split val

The paper: 19.7 mAP on ImageNet's detection task, 16.0 on the 156 classes of it that have no boxes in COCO. Ours: not
run (no COCO, no ImageNet and no accelerator at hand). The same code was run on tiny data of the same formats
(tests/experiments/test_experiments.py), and for numbers at small scale on emoji and blood cells
(experiments/yolo9000_emoji.py, yolo9000_blood_cells.py).

Rows: `9k`, with the top 9000 classes of the full ImageNet in folders named by synset; `1k`, with TensorFlow Datasets'
imagenet2012 instead; `darknet`, what Darknet's cfg does otherwise (darknet.md 14): nothing between trunk and boxes,
hence no passthrough, and the .3 rule left out.
The paper gives no schedule for YOLO9000: size, steps, rates and priors are those of Darknet's yolo9000.cfg.
"""

import wordtree1k  # beside this file
from ml_collections import ConfigDict

from yolo9000_jax import config

ROWS = ("9k", "1k", "darknet")


def get_config(row: str = "9k") -> ConfigDict:
    if row not in ROWS:
        raise config.unknown_row(row, ROWS)
    c = config.detection()
    c.name = f"yolo9000_{row}"
    c.task = "joint"
    c.pretraining = _classifier(row)
    c.steps = 500_200
    c.batch_size = 64
    c.image_size = 544
    c.multi_scale = tuple(range(320, 609, 32))
    c.log_every = 100
    c.checkpoint_every = 5000
    c.model.tree = "yolo9000.tree"
    c.model.anchors_cells = ((0.77871, 1.14074), (3.00525, 4.31277), (9.22725, 9.61974))
    c.data.source = "tfds:coco/2017"
    c.data.max_boxes = 100
    c.classification.source = c.pretraining.data.source
    c.optimizer.boundaries = (400_000 / c.steps, 450_000 / c.steps)
    c.optimizer.burn_in = 1000
    c.evaluation.split = "validation"
    if row == "darknet":
        c.model.head_convolutions = False
        c.loss.class_box = c.loss.class_objectness = "darknet"
    return c


def _classifier(row: str) -> ConfigDict:
    """Darknet-19 on the same tree, from which the detector starts."""
    c = wordtree1k.get_config("224")
    c.name = f"yolo9000_classifier_{'1k' if row == '1k' else '9k'}"
    c.model.tree = "yolo9000.tree"
    if row != "1k":
        c.data.source = "folders:imagenet_9k"
    return c
