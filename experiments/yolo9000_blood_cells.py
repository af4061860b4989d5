"""YOLO9000 on real pictures: boxes of white, red cells and platelets; the kinds of white cells only as labels.

    python experiments/yolo9000_blood_cells_data.py ../shared/data/blood_cells runs/blood_cells_data
    yolo9000 train --config experiments/yolo9000_blood_cells.py --workdir runs/yolo9000_blood_cells

Half of the training pictures have boxes of erythrocyte, leukocyte and platelet; from the other half come squares about
one white cell each, with its kind and no box. Judged on the validation pictures: does it find white cells, and call
them by a kind of which it was never shown a box? report/confusion_leukocyte.png says.
"""

from yolo9000_jax import config


def get_config(row="joint"):
    if row != "joint":
        raise config.unknown_row(row, ("joint",))
    c = config.from_scratch()
    c.name = "blood_cells_joint"
    c.task = "joint"
    c.steps = 2600
    c.image_size = 416
    c.evaluate_every = 650
    c.checkpoint_every = 650
    c.model.tree = "experiments/trees/blood_cells.tree"
    c.data.source = "voc:runs/blood_cells_data/boxes"
    c.data.classes = ("erythrocyte", "leukocyte", "platelet")
    c.classification.source = "folders:runs/blood_cells_data/crops"
    c.augment.flip_vertical = 0.5
    c.augment.hue = 0.02
    c.augment.saturation = 1.3
    c.augment.exposure = 1.3
    c.evaluation.split = "val"
    return c
