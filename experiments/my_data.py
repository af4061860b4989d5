"""A start for your own pictures: from scratch, a narrow network, as long as you like.

    yolo9000 check --dataset voc:DIR
    yolo9000 train --config my_data --workdir runs/mine --config.data.source=voc:DIR
    yolo9000 predict PICTURES --workdir runs/mine --output found

The source is voc:DIR, yolo:data.yaml or coco:ANNOTATIONS.json,IMAGES_DIR. Where the data have no split "val", hold
a part out: --config.data.split=train[:80%] --config.evaluation.split=train[80%:]. The best of four states on that part
is the network that is used, so its number is a little too good: keep pictures back for a last `evaluate`, or give
--config.evaluation.checkpoint=last.
"""

from ml_collections import ConfigDict

from yolo9000_jax import config


def get_config(row: str | None = None) -> ConfigDict:
    if row:
        raise config.unknown_row(row)
    c = config.from_scratch()
    c.steps = 2600
    c.evaluate_every = 650
    return c
