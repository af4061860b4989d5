"""Blood cells: YOLOv2 from scratch on 205 photographs of stained blood (3 classes), judged on 87 others.

    yolo9000 train --config experiments/blood_cells.py --workdir runs/blood_cells

Data: the BCCD pictures in Pascal VOC layout, in ../shared/data/blood_cells or where --config.data.source=voc:DIR says.
No number of the paper belongs to this experiment.

Ours, seed 0, two cores of an AMD EPYC (Zen 5) virtual machine, @RUN@

What it took: 416 (platelets are 40 of 640 pixels), a quarter of the width, priors by k-means (average IoU 0.85),
mirroring both ways since cells have no up, and little change of colour since the stain tells the classes apart.
Many detections that count as wrong are red cells that nobody labelled.
"""

from yolo9000_jax import config


def get_config(row=None):
    c = config.from_scratch()
    c.steps = 2600
    c.image_size = 416
    c.evaluate_every = 650
    c.checkpoint_every = 650
    c.data.source = "voc:../shared/data/blood_cells"
    c.augment.flip_vertical = 0.5
    c.augment.hue = 0.02
    c.augment.saturation = 1.3
    c.augment.exposure = 1.3
    c.evaluation.split = "val"
    return c
