"""Darknet-19 on WordTree1k: ImageNet's 1000 classes and the concepts above them (paper, section 4).

    yolo9000 wordtree build --labels tfds:imagenet2012 --collapse --output wordtree1k.tree
    yolo9000 train --config wordtree1k --workdir …

The paper: 1369 nodes; top-1/top-5 71.9/90.4 % with "the same training parameters as before", at 224. Our tree has 1373
nodes with --collapse, as above, and 1785 without, where inner nodes with a single child stay. Accuracies: not run (no
ImageNet and no accelerator at hand); the same code was run on tiny pictures (tests/experiments/test_experiments.py).
Besides top-1 and top-5 of the leaves, `yolo9000 evaluate` says how often an answer that stops early is right.
"""

import darknet19  # beside this file
from ml_collections import ConfigDict

ROWS = darknet19.ROWS


def get_config(row: str = "224") -> ConfigDict:
    c = darknet19.get_config(row)
    c.name = f"wordtree1k_{row}"
    c.model.tree = "wordtree1k.tree"
    if c.pretraining:
        c.pretraining = get_config("224")
    return c
