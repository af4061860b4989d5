"""Which module a config asks for, and what no module can do."""

import jax
import numpy as np
import pytest

from yolo9000_jax import config as configs
from yolo9000_jax.errors import UserError
from yolo9000_jax.models.build import build_classifier, build_detector, build_head, build_model
from yolo9000_jax.models.darknet19 import Darknet19
from yolo9000_jax.models.extraction import Extraction
from yolo9000_jax.models.layers import BatchNormOptions
from yolo9000_jax.models.yolo_v1 import YoloV1
from yolo9000_jax.models.yolo_v2 import YoloV2
from yolo9000_jax.wordtree.tree import WordTree

WIDTH = 1 / 32
ANCHORS = ((1.0, 2.0), (3.0, 1.0))
V1 = {"architecture": "yolo_v1", "trunk": "extraction"}


def config(**changes):
    """A config of two classes; `changes` are keys of config.model, or else of the config."""
    c = configs.detection()
    c.model.classes = ("a", "b")
    c.model.width, c.model.anchors_cells = WIDTH, ANCHORS
    c.image_size = 64
    for key, value in changes.items():
        (c.model if key in c.model else c)[key] = value
    return c


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, YoloV2(2, ANCHORS, WIDTH)),
        ({"trunk": "extraction", "passthrough": False}, YoloV2(2, ANCHORS, WIDTH, False, "extraction")),
        ({"use_batch_norm": False}, YoloV2(2, ANCHORS, WIDTH, norm=None)),
        (V1 | {"head": "local", "hidden": 6, "dropout": 0.1}, YoloV1(2, 7, 2, WIDTH, "extraction", "local", 6, 0.1)),
        (V1 | {"trunk": "tiny", "side": 3, "boxes_per_cell": 4}, YoloV1(2, 3, 4, WIDTH, "tiny")),
        ({"task": "classification"}, Darknet19(2, WIDTH)),
        ({"task": "classification", "trunk": "extraction", "logits": "leaky"}, Extraction(2, WIDTH, "leaky")),
    ],
)
def test_every_network_can_be_asked_for(changes, expected):
    model = build_model(config(**changes))
    assert (model.norm is None) == (expected.norm is None)
    assert model.norm is None or model.norm == BatchNormOptions(momentum=0.99)
    assert model.clone(norm=None) == expected.clone(norm=None)


@pytest.mark.parametrize(
    "changes", [V1 | {"trunk": "tiny", "hidden": 8, "side": 2}, {"box_parametrisation": "offset"}], ids=["v1", "offset"]
)
def test_detectors_find_boxes(changes):
    picture = np.random.default_rng(0).integers(0, 255, (50, 80, 3), np.uint8)
    c = config(**changes)
    variables = jax.jit(build_model(c).init)(jax.random.key(0), np.zeros((1, 64, 64, 3), np.float32))
    detector = build_detector(c, variables)
    assert detector.head == build_head(c)
    assert getattr(detector.head, "location", None) == changes.get("box_parametrisation")
    assert len(detector(picture, threshold=0))


def test_a_classifier_of_yolos_trunk():
    c = config(task="classification", trunk="extraction")
    variables = jax.jit(build_model(c).init)(jax.random.key(0), np.zeros((1, 64, 64, 3), np.float32))
    ranking = build_classifier(c, variables)(np.zeros((50, 80, 3), np.uint8))
    assert set(ranking.labels) == {"a", "b"}


def test_what_no_network_has():
    tree = WordTree(("a", "b"), np.array([-1, -1]))
    for changes, message, *others in (
        ({"task": "classification", "trunk": "tiny"}, "a classifier can have 'darknet19' or 'extraction'"),
        (V1 | {"multi_scale": (64, 96)}, "one input size, not at 64, 96"),
        (V1, "form no tree", None, tree),
        ({"compute_dtype": "int8"}, "compute_dtype is 'int8'"),
    ):
        with pytest.raises(UserError, match=message):
            build_model(config(**changes), *others)
