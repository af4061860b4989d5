"""YOLO9000 in small: boxes for 19 coarse classes of emoji, labels for 98 fine ones, one tree over both.

yolo9000 train --config experiments/yolo9000_emoji.py --workdir runs/emoji/joint                 joint training
yolo9000 train --config experiments/yolo9000_emoji.py:detection --workdir runs/emoji/detection   boxes alone
yolo9000 train --config experiments/yolo9000_emoji.py:flat --workdir runs/emoji/flat             one softmax, no tree
"""

from yolo9000_jax import config, demo

ROWS = ("joint", "detection", "flat", "classifier")


def get_config(row="joint"):
    if row not in ROWS:
        raise config.unknown_row(row, ROWS)
    if row == "classifier":
        return demo.get_classifier()
    c = demo.get_config()
    c.name = f"emoji_{row}"
    c.steps = 3000
    if row == "flat":
        c.model.tree = "flat"
    if row == "detection":
        c.task = "detection"
        c.classification.source = ""
    return c
