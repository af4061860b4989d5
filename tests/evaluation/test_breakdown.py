"""Groups of objects: their recall against a plain loop, sizes against COCO's own numbers."""

import numpy as np
import pytest
from hypothesis import given, settings

from tests.evaluation.test_coco import as_files, official, scenes
from yolo9000_jax.evaluation.breakdown import breakdown
from yolo9000_jax.evaluation.coco import Matching, evaluate_coco
from yolo9000_jax.evaluation.voc import GroundTruth, ImageDetections, checked

SIZE = 400  # of the pictures


def broken_down(detections, truths, num_classes=3):
    detections, truths = checked(detections, truths, num_classes)
    matching = Matching(detections, truths, num_classes)
    return breakdown(matching, truths, np.full((len(truths), 2), SIZE)), evaluate_coco(matching)[0]


@settings(max_examples=40)
@given(scenes())
def test_groups_part_the_objects(scene):
    """Every object that is no crowd is in one group of each kind; a number is there where there are objects."""
    groups, coco = broken_down(*scene)
    count = sum(int((~truth.crowd).sum()) for truth in scene[1])
    for name in ("aspect", "border", "crowdedness", "difficulty"):
        assert sum(each["truths"] for each in groups[name].values()) == count
    for name, each in groups["size"].items():
        assert (each["coco_ap50"] is None) == (each["truths"] == 0) == (coco[f"coco_ap_{name}"] is None)
        assert (each["recall50"] is None) == (each["truths"] == 0)


def test_by_hand():
    """Tall, cut off and crowded ones, and what is found of them."""
    boxes = np.float64(
        [[0, 50, 20, 90], [100, 100, 140, 140], [130, 100, 170, 140], [300, 300, 390, 340], [0, 0, 9, 9]]
    )
    truth = GroundTruth(boxes, np.zeros(5, int), np.array([False, False, True, False, True]), np.arange(5) == 4)
    shifted = np.concatenate([boxes[[0, 2]], [[300, 10, 330, 20]]])
    found = ImageDetections(shifted, np.array([0.9, 0.8, 0.95]), np.zeros(3, int))
    groups, _ = broken_down([found], [truth])
    assert groups["aspect"]["tall"] == {"truths": 1, "recall50": 1.0, "coco_ap50": pytest.approx(1)}
    assert groups["aspect"]["square"]["truths"] == 2 and groups["aspect"]["square"]["recall50"] == 0.5
    assert groups["aspect"]["wide"] == {"truths": 1, "recall50": 0.0, "coco_ap50": 0.0}
    assert groups["border"]["cut"] == {"truths": 1, "recall50": 1.0, "coco_ap50": pytest.approx(1)}
    assert groups["border"]["inside"]["truths"] == 3 and groups["border"]["inside"]["coco_ap50"] < 0.5
    assert groups["crowdedness"] == {
        "alone": {"truths": 2, "recall50": 0.5},
        "few": {"truths": 2, "recall50": 0.5},
        "many": {"truths": 0, "recall50": None},
    }
    assert groups["difficulty"] == {
        "ordinary": {"truths": 3, "recall50": pytest.approx(1 / 3)},
        "difficult": {"truths": 1, "recall50": 1.0},
    }


def test_sizes_are_cocos():
    """Where what is found is found exactly, the numbers of a size are pycocotools' over all ten thresholds."""
    rng = np.random.default_rng(0)
    low = 150.0 * np.stack([np.arange(30) % 6, np.arange(30) // 6], 1)
    boxes = np.concatenate([low, low + rng.uniform(8, 130, (30, 2))], 1)
    truth = GroundTruth(boxes, np.zeros(30, int), np.zeros(30, bool))
    found = ImageDetections(boxes[::2], rng.random(15), np.zeros(15, int))
    groups, _ = broken_down([found], [truth])
    expected = official(*as_files([found], [truth], 3))
    for name, each in groups["size"].items():
        assert each["truths"] and each["recall50"] == pytest.approx(expected[f"coco_ar_{name}"])
        assert each["coco_ap50"] == pytest.approx(expected[f"coco_ap_{name}"])
