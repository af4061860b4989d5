"""The demo: a narrow YOLO9000 learns emoji from scratch on this machine.

    yolo9000 demo --workdir runs/demo                        the same, as long as the minutes it is given
    yolo9000 train --config demo --workdir runs/demo         with the numbers of steps that stand here

Boxes are given for coarse classes only (canine, edible fruit, motor vehicle, …); the fine ones (poodle, banana, taxi,
…) are known from pictures with a label and no box. It then names things by kinds that no box bore, though all of them
had boxes under their coarse name: chance on the kinds is about the coarse AP divided by four, and not 0.
"""

from ml_collections import ConfigDict

from yolo9000_jax import config

# Four fine classes of each of six coarse ones: all 98 take longer than a newcomer waits.
FINE = (
    *("poodle", "guide dog", "wolf", "fox"),
    *("domestic cat", "lion", "tiger", "leopard"),
    *("apple", "banana", "strawberry", "watermelon"),
    *("taxi", "fire engine", "police car", "motorcycle"),
    *("accordion", "electric guitar", "trumpet", "drum"),
    *("basketball", "soccer ball", "baseball", "football"),
)


def get_config(row: str | None = None) -> ConfigDict:
    """YOLO9000 on `emoji`; `yolo9000 demo` fits the numbers of steps to the minutes it has."""
    if row:
        raise config.unknown_row(row)
    c = config.from_scratch()
    c.name = "emoji_joint"
    c.task = "joint"
    c.pretraining = get_classifier()
    c.steps = 2000
    c.image_size = 192
    c.evaluate_every = 0.1  # of the run: so soon the first detections are shown
    c.model.tree = "emoji"
    c.model.num_anchors = 3
    c.data.source = "emoji:coarse"
    c.data.split = "train[:4%]"  # few enough to be kept in memory: drawing them takes as long as learning from them
    c.data.classes = FINE
    c.data.max_boxes = 8
    c.classification.source = "emoji:pictures"
    c.classification.split = "train[:6%]"
    c.classification.ratio = 1 / 3  # the trunk knows the labels from its pre-training: boxes are what takes time
    c.classification.classes = FINE
    c.loss.class_box = "detection"
    c.optimizer.learning_rate = 0.01
    c.evaluation.source = "emoji:levels"
    c.evaluation.classes = FINE
    c.evaluation.split = "test[:300]"
    return plain_colours(c)


def get_classifier() -> ConfigDict:
    """The pre-training: which of the fine classes is the one emoji of a picture?"""
    c = config.classifier_from_scratch()
    c.name = "emoji_classifier"
    c.steps = 1000
    c.image_size = 128
    c.model.tree = "emoji"
    c.data.source = "emoji:pictures"
    c.data.split = "train[:6%]"
    c.data.classes = FINE
    c.optimizer.average_decay = 0.99
    c.evaluation.split = "test[:500]"
    return plain_colours(c)


def plain_colours(c: ConfigDict) -> ConfigDict:
    """Pictures never run out, so colours are left as they are drawn: training is shorter without changing them."""
    c.augment.geometry = "crop"
    c.augment.jitter = 0.1
    c.augment.hue = 0.0
    c.augment.saturation = 1.0
    c.augment.exposure = 1.0
    return c
