"""YOLO9000: joint training on COCO's boxes and ImageNet's labels, on one WordTree (paper, section 4).

    yolo9000 wordtree build --labels tfds:coco/2017 --labels folders:imagenet_9k --labels voc:ILSVRC \\
        --collapse --output yolo9000.tree
    yolo9000 train --config yolo9000 --workdir runs/yolo9000
    yolo9000 evaluate --workdir runs/yolo9000 --dataset voc:ILSVRC --split val --iou-rule ilsvrc --json det.json

The paper: 19.7 mAP on the validation set of ImageNet's detection task, 16.0 on the 156 of its 200 classes that have no
boxes in COCO; cited, arXiv 1612.08242. Ours: not run (no COCO, no ImageNet and no accelerator at hand). These very
commands were run on tiny data of the same layouts, for two steps (tests/experiments/test_experiments.py), and the
same code for numbers at small scale on emoji and blood cells (experiments/yolo9000_emoji.py, yolo9000_blood_cells.py).

The last command gives mAP twice, as voc_ap50 and, by the task's own rule of a smaller IoU for small boxes, as
ilsvrc_ap: the paper does not say which its numbers are. It tells the classes that had boxes from the others by three
rules (`seen_rules`): of the 200 classes in the maps that were released with YOLO9000, 38 are nodes that COCO has boxes
of, 56 are that or lie below one, 57 also lie above one; no rule gives the paper's 44. So name the rule with a number.
`subtrees` has the mean below each node: animals, clothing, equipment.

Data: `imagenet_9k` holds a folder a synset, in train/ and validation/: the 9000 with most pictures in the full ImageNet
release, and those of the detection task that are not among them. `ILSVRC` holds Annotations/DET and Data/DET; the tree
has the task's 200 classes by the third list. Of the ImageNet nodes of Darknet's 9k.tree, COCO's and the task's classes
the first command makes 9417 nodes (the paper: 9418; tests/wordtree/test_build.py).

Rows: `9k`, as above; `1k`, with TensorFlow Datasets' imagenet2012 in place of imagenet_9k, in the first command too;
`darknet`, as Darknet's yolo9000.cfg and darknet9000.cfg have it (darknet.md 14): nothing between trunk and boxes, hence
no passthrough, the .3 rule left out, whole pictures on grey with stronger colours, 30 boxes a picture, letterboxed test
pictures, and a start from the classifier fine-tuned at 448 for 100000 steps.
The paper gives no schedule for YOLO9000: size, steps, rates and priors are those of Darknet's yolo9000.cfg.
"""

import voc  # beside this file
import wordtree1k
from ml_collections import ConfigDict

from yolo9000_jax import config

ROWS = ("9k", "1k", "darknet")
ANCHORS_CELLS = ((0.77871, 1.14074), (3.00525, 4.31277), (9.22725, 9.61974))


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
    c.model.anchors_cells = ANCHORS_CELLS
    c.data.source = "tfds:coco/2017"
    c.data.max_boxes = 100
    c.classification.source = c.pretraining.data.source
    c.optimizer.boundaries = (400_000 / c.steps, 450_000 / c.steps)
    c.optimizer.burn_in = 1000
    c.evaluation.split = "validation"
    if row == "darknet":
        voc.as_darknet(c, c.steps, (400_000, 450_000), ANCHORS_CELLS)
        c.augment.jitter = 0.2
        c.augment.saturation = c.augment.exposure = 0.75
        c.model.head_convolutions = False
        c.loss.class_box = c.loss.class_objectness = "darknet"
        c.evaluation.hierarchy_rule = "darknet"
    return c


def _classifier(row: str) -> ConfigDict:
    """Darknet-19 on the same tree, from which the detector starts."""
    c = wordtree1k.get_config("448" if row == "darknet" else "224")
    c.name = f"yolo9000_classifier_{'1k' if row == '1k' else '9k'}"
    if row == "darknet":
        c.steps, c.epochs = 100_000, 0
    for _, stage in config.stages(c):
        stage.model.tree = "yolo9000.tree"
        if row != "1k":
            stage.data.source = "folders:imagenet_9k"
    return c
