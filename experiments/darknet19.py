"""Darknet-19, the paper's classifier on ImageNet (section 3, table 6): trained at 224, then ten epochs at 448.

    yolo9000 train --config darknet19 --workdir runs/darknet19              both, 224 first
    yolo9000 train --config darknet19:224 --workdir runs/darknet19_224      the first alone

A workdir is a folder; on several hosts one that all of them see, such as a mounted bucket.

The paper: top-1/top-5 72.9/91.2 % at 224, 76.5/93.3 % at 448. Ours: not run (no ImageNet and no accelerator at hand).
The same code was run on tiny pictures in folders named by synset (tests/experiments/test_experiments.py).

Data: TensorFlow Datasets' imagenet2012, or --config.data.source=folders:DIR, with the splits train and validation.

Darknet's own recipe differs (darknet.md 14, item 16): pictures at 256, half as many epochs, a burn-in: row `darknet`.
"""

from ml_collections import ConfigDict

from yolo9000_jax import config

ROWS = ("448", "224", "darknet")


def get_config(row: str = "448") -> ConfigDict:
    if row not in ROWS:
        raise config.unknown_row(row, ROWS)
    c = config.classification()
    c.name = f"darknet19_{row}"
    c.data.source = "tfds:imagenet2012"
    c.evaluation.split = "validation"
    c.batch_size = 128
    c.log_every = 100
    c.checkpoint_every = 5000
    c.epochs = 160  # of 1281167 pictures: 1601458 steps
    if row == "448":
        c.pretraining = get_config("224")
        c.image_size = 448
        c.epochs = 10
        c.optimizer.learning_rate = 1e-3
        c.augment.min_crop, c.augment.max_crop = 224, 256  # of 224: 448 … 512 here, as in darknet19_448.cfg
    elif row == "darknet":
        c.image_size = 256
        c.steps, c.epochs = 800_000, 0
        c.optimizer.burn_in = 1000
        c.augment.crop = "darknet"
    return c
