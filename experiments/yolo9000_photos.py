"""YOLO9000 on photographs: boxes of coarse classes, labels of 164 kinds, one tree; which kinds are then found?

    python experiments/yolo9000_photos_data.py --source DIR/tiny-imagenet-200 --output runs/yolo9000_photos
    yolo9000 train --config yolo9000_photos --workdir runs/photos_joint                 joint training
    yolo9000 train --config yolo9000_photos:detection --workdir runs/photos_detection   coarse boxes alone: chance
    yolo9000 train --config yolo9000_photos:oracle --workdir runs/photos_oracle         boxes of all kinds
    yolo9000 train --config yolo9000_photos:flat --workdir runs/photos_flat             joint, one softmax, no tree
    yolo9000 evaluate --workdir runs/photos_joint --json joint.json                     and so for the others
    python experiments/yolo9000_photos_data.py --output runs/yolo9000_photos \\
        --table joint.json detection.json oracle.json

The last command gives the mean AP50 of the kinds that were boxed under their coarse name alone (S1), of those that
were in no boxed canvas while their siblings were (S2), of those whose whole coarse class never had a box (S3), and of
the coarse classes. `detection` is what chance gives: a detector that knows its coarse classes and guesses the kind has
about their AP divided by the number of kinds. `oracle` is what boxes of all kinds would give, as many canvases seen.

The paper has no such experiment: it speaks of animals, which its network learnt well, and of clothing and equipment,
which it did not, and gives 19.7 and 16.0 mAP. Ours: **not run**, only a few narrow steps of each row
(tests/experiments/test_yolo9000_photos.py).

All rows start from the same classifier (row `classifier`), see as many boxed canvases (an epoch counts these alone) and
are judged on the same 800 canvases, which choose no state. What else the table is to compare is an option:
--config.loss.class_box=paper, darknet, detection, max_size or max_objectness, each with --config.loss.class_objectness=
paper (the .3 rule) or none; --config.classification.ratio=1, 2 or 4 labelled pictures to a boxed one;
--config.model.num_anchors=3 or 5; --config.seed=1. --config.photos=DIR says where the data are, --config.length=0.1
makes all trainings a tenth as long.
"""

import photos_data  # beside this file
from ml_collections import ConfigDict

from yolo9000_jax import config

ROWS = ("joint", "detection", "oracle", "flat", "classifier")
TREE = config.beside(__file__, "trees/tiny_imagenet.tree")
PHOTOS = "runs/yolo9000_photos"  # where experiments/yolo9000_photos_data.py wrote


def get_config(row: str = "joint", photos: str = PHOTOS, length: float = 1.0) -> ConfigDict:
    if row not in ROWS:
        raise config.unknown_row(row, ROWS)
    if row == "classifier":
        return classifier(photos, length)
    c = config.from_scratch()
    c.name = f"yolo9000_photos_{row}"
    c.pretraining = classifier(photos, length)
    c.epochs = 30.0 * length  # of the boxed canvases
    c.image_size = photos_data.SIDE
    c.model.tree = "flat" if row == "flat" else TREE
    c.data.source = f"voc:{photos}/{'oracle' if row == 'oracle' else 'boxes'}"
    c.data.max_boxes = photos_data.PHOTOGRAPHS[1]
    c.evaluation.source = f"voc:{photos}/judged"
    c.evaluation.checkpoint = "last"  # the canvases that it is judged on choose nothing
    if row in ("joint", "flat"):
        c.task = "joint"
        c.classification.source = f"folders:{photos}/labelled"
        c.classification.ratio = 1.0
        c.loss.class_box = "detection"
    return c


def classifier(photos: str = PHOTOS, length: float = 1.0) -> ConfigDict:
    """Pre-training on the same tree: which kind is the photograph of?"""
    c = config.classifier_from_scratch()
    c.name = "yolo9000_photos_classifier"
    c.epochs = 10.0 * length
    c.image_size = 64  # of a photograph
    c.model.tree = TREE
    c.data.source = f"folders:{photos}/classify"
    c.data.split, c.evaluation.split = "train[:95%]", "train[95%:]"
    c.augment.geometry = "crop"
    c.augment.hue, c.augment.saturation, c.augment.exposure = 0.0, 1.0, 1.0
    return c
