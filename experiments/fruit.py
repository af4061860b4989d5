"""Fruit: YOLOv2 from scratch on photographs of apples, bananas and oranges, a fifth of the 240 held out.

    yolo9000 train --config fruit --workdir runs/fruit

Data: pictures with Pascal VOC XML beside them, in ../shared/data/fruit or where --config.data.source=voc:DIR says. Of
these XML files 33 state no size (0 x 0); the pictures' own is used. No number of the paper belongs to this experiment.

Ours, seed 0, 2026-11-22, two cores of an AMD EPYC (Zen 5) virtual machine that also ran other jobs: voc_ap50 0.675
(apple 0.816, banana 0.555, orange 0.654; 48 pictures), recall50 0.976, after 2400 steps and 9.2 minutes of training.
"""

from ml_collections import ConfigDict

from yolo9000_jax import config


def get_config(row: str | None = None) -> ConfigDict:
    if row:
        raise config.unknown_row(row)
    c = config.from_scratch()
    c.steps = 2400
    c.image_size = 256
    c.checkpoint_every = 500
    c.data.source = "voc:../shared/data/fruit"
    c.data.split = "all[:80%]"
    c.augment.jitter = 0.3
    c.evaluation.split = "all[80%:]"
    return c
