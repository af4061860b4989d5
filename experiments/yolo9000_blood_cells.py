"""YOLO9000 on real pictures: boxes of white, red cells and platelets; the kinds of white cells only as labels.

    python experiments/yolo9000_blood_cells_data.py ../shared/data/blood_cells runs/blood_cells_data
    yolo9000 train --config experiments/yolo9000_blood_cells.py --workdir runs/yolo9000_blood_cells

Half of the training pictures have boxes of erythrocyte, leukocyte and platelet; from the other half come squares about
one white cell each, with its kind and no box. Judged on the validation pictures: does it find white cells, and call
them by a kind of which it was never shown a box? report/confusion_leukocyte.png says.

Ours, seed 0, 2026-11-22, two cores of an AMD EPYC (Zen 5) virtual machine, about 10 minutes, pre-training included:
voc_ap50 0.979 of leukocytes, 0.72 of erythrocytes, 0.37 of platelets (half the boxes, and 320 pixels instead of 416).
**The kinds are not told apart well**: all 85 white cells of a known kind are found, 41 of them (48 %) called by it at
the usual threshold of .5, 27 left at leukocyte, 17 called by another kind; without a threshold 50 (59 %) are right. To
answer neutrophil always would be right for 53 (62 %). Rows: what they are; columns: what they are called.

                 eosinophil  lymphocyte  monocyte  neutrophil  leukocyte
    eosinophil        0           0          0         12          6
    lymphocyte        0           0          0          0          9
    monocyte          0           0          0          5          0
    neutrophil        0           0          0         41         12

Without pre-training (1500 steps) it was 52 neutrophils and nothing else. The classifier itself is right for 81 % of its
own training pictures only: it wants longer pre-training, and perhaps rare kinds shown more often. Not tried yet.
"""

from yolo9000_jax import config

ROWS = ("joint", "classifier")


def get_config(row="joint"):
    if row not in ROWS:
        raise config.unknown_row(row, ROWS)
    if row == "classifier":
        return classifier()
    c = config.from_scratch()
    c.name = "blood_cells_joint"
    c.task = "joint"
    c.pretraining = classifier()
    c.steps = 1200
    c.image_size = 320
    c.evaluate_every = 600
    c.checkpoint_every = 600
    c.model.tree = "experiments/trees/blood_cells.tree"
    c.data.source = "voc:runs/blood_cells_data/boxes"
    c.data.classes = ("erythrocyte", "leukocyte", "platelet")
    c.classification.source = "folders:runs/blood_cells_data/crops"
    c.loss.class_box = "detection"
    c.evaluation.split = "val"
    return _stain(c)


def classifier():
    """Pre-training: of what kind is the white cell in the middle?"""
    c = config.classifier_from_scratch()
    c.name = "blood_cells_classifier"
    c.steps = 600
    c.image_size = 128
    c.model.tree = "experiments/trees/blood_cells.tree"
    c.data.source = "folders:runs/blood_cells_data/crops"
    c.augment.angle = 180.0
    c.augment.aspect = 0.9
    c.augment.min_crop, c.augment.max_crop = 110, 150  # the cell may lie at an edge
    c.evaluation.split = "train"
    return _stain(c)


def _stain(c):
    """Cells have no up; and little change of colour, since the stain tells them apart."""
    c.augment.flip_vertical = 0.5
    c.augment.hue = 0.02
    c.augment.saturation = 1.3
    c.augment.exposure = 1.3
    return c
