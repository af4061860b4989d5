"""YOLOv2 on COCO (paper, table 5).

    yolo9000 train --config coco --workdir runs/coco
    yolo9000 evaluate --workdir runs/coco --size 544 --json coco.json --coco-results for_the_server.json
    python experiments/coco.py coco.json                                            table 5, the paper's numbers beside

The paper, on test-dev: AP 21.6, AP50 44.0, AP75 19.2 %. Ours: not run (no COCO and no accelerator at hand).

Data: TensorFlow Datasets' coco/2017, or the annotation files and the folders of the pictures,
--config.data.source='coco:DIR/annotations/instances_{split}2017.json,DIR/{split}2017' --config.evaluation.split=val.
The paper trained on the pictures of 2014's train and val, as many. It starts from experiments/darknet19.py.

Rows: `paper`, the recipe of experiments/voc.py on these pictures; `darknet`, as yolov2.cfg has it (darknet.md 14):
500200 steps, an input of 608, the priors of the cfg and the rest as in experiments/voc.py:darknet.
"""

import sys

import voc  # beside this file
from ml_collections import ConfigDict

from yolo9000_jax import config
from yolo9000_jax.errors import UserError
from yolo9000_jax.report.coco import coco_table, read_metrics

ROWS = ("paper", "darknet")
ANCHORS_CELLS = ((0.57273, 0.677385), (1.87446, 2.06253), (3.33843, 5.47434), (7.88282, 3.52778), (9.77052, 9.16828))


def get_config(row: str = "paper") -> ConfigDict:
    if row not in ROWS:
        raise config.unknown_row(row, ROWS)
    c = voc.get_config("paper")
    c.name = f"coco_{row}"
    c.epochs, c.steps = 160, 0  # of 118287 pictures: 295717 steps
    c.checkpoint_every = 5000
    c.data.source = c.evaluation.source = "tfds:coco/2017"
    c.data.split, c.evaluation.split = "train", "validation"
    c.data.classes = ()
    c.data.max_boxes = 100
    c.evaluation.metric = "coco_ap"
    if row == "darknet":
        voc.as_darknet(c, 500_200, (400_000, 450_000), ANCHORS_CELLS)
        c.image_size = 608
    return c


if __name__ == "__main__":
    try:
        print(coco_table({name: read_metrics(name) for name in sys.argv[1:]}).text())
    except UserError as error:
        sys.exit(str(error))
