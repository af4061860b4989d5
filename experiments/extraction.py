"""YOLOv1's classifier on ImageNet, from which the first rows of the ablation start (YOLOv1 paper, section 2.2).

    yolo9000 train --config extraction --workdir runs/extraction         both, 224 first
    yolo9000 train --config extraction:224 --workdir …                     the first alone

The papers: top-5 88.0 % at 224 (YOLO9000, section 3), which costs 8.52 GFLOP a picture. Ours: not run (no ImageNet and
no accelerator at hand). The same code was run on emoji (experiments/ablation.py).

Rows: `448` and `224`, with batch norm, by the recipe of experiments/darknet19.py; `no_batch_norm`, at 224, the one that
YOLOv1 started from; `darknet`, as extraction.cfg has it: 1.6 million steps, crops of pictures brought to 224 … 320, and
the activation at the end. The YOLOv1 paper does not give its recipe; without batch norm a rate of .1 is too high.
"""

import darknet19  # beside this file
from ml_collections import ConfigDict

from yolo9000_jax import config

ROWS = ("448", "224", "no_batch_norm", "darknet")


def get_config(row: str = "448") -> ConfigDict:
    if row not in ROWS:
        raise config.unknown_row(row, ROWS)
    c = darknet19.get_config("448" if row == "448" else "224")
    c.name = f"extraction_{row}"
    c.model.trunk = "extraction"
    if row == "448":
        c.pretraining = get_config("224")
    elif row == "no_batch_norm":
        c.model.use_batch_norm = False
        c.optimizer.learning_rate = 0.01
    elif row == "darknet":
        c.model.logits = "leaky"
        c.steps, c.epochs = 1_600_000, 0
        c.augment.crop = "darknet"
        c.augment.min_crop, c.augment.max_crop = 224, 320
    return c
