"""Which module a network is, and what no module can do; network.json there and back."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest

from yolo9000_jax.errors import UserError
from yolo9000_jax.models.build import build_head, build_model
from yolo9000_jax.models.darknet19 import Darknet19
from yolo9000_jax.models.extraction import Extraction
from yolo9000_jax.models.layers import BatchNormOptions
from yolo9000_jax.models.network import Network, differences
from yolo9000_jax.models.yolo_v1 import YoloV1
from yolo9000_jax.models.yolo_v2 import YoloV2
from yolo9000_jax.predict.loading import make_predictor
from yolo9000_jax.wordtree.tree import WordTree

WIDTH = 1 / 32
ANCHORS = ((1.0, 2.0), (3.0, 1.0))
V1 = {"architecture": "yolo_v1", "trunk": "extraction"}
CLASSIFIER = {"task": "classification", "resize": "crop"}


def network(**changes):
    """A network of two classes."""
    return replace(Network("detection", ("a", "b"), 64, width=WIDTH, anchors_cells=ANCHORS), **changes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, YoloV2(2, ANCHORS, WIDTH)),
        ({"trunk": "extraction", "passthrough": "none"}, YoloV2(2, ANCHORS, WIDTH, "none", "extraction")),
        ({"passthrough": "darknet"}, YoloV2(2, ANCHORS, WIDTH, "darknet")),
        ({"use_batch_norm": False}, YoloV2(2, ANCHORS, WIDTH, norm=None)),
        (V1 | {"head": "local", "hidden": 6, "dropout": 0.1}, YoloV1(2, 7, 2, WIDTH, "extraction", "local", 6, 0.1)),
        (V1 | {"trunk": "tiny", "side": 3, "boxes_per_cell": 4}, YoloV1(2, 3, 4, WIDTH, "tiny")),
        (CLASSIFIER, Darknet19(2, WIDTH)),
        (CLASSIFIER | {"trunk": "extraction", "logits": "leaky"}, Extraction(2, WIDTH, "leaky")),
    ],
)
def test_every_network_can_be_asked_for(changes, expected):
    model = build_model(network(**changes))
    assert (model.norm is None) == (expected.norm is None)
    assert model.norm is None or model.norm == BatchNormOptions(momentum=0.99)
    assert model.clone(norm=None) == expected.clone(norm=None)


@pytest.mark.parametrize(
    "changes", [V1 | {"trunk": "tiny", "hidden": 8, "side": 2}, {"box_parametrisation": "offset"}], ids=["v1", "offset"]
)
def test_detectors_find_boxes(changes):
    picture = np.random.default_rng(0).integers(0, 255, (50, 80, 3), np.uint8)
    facts = network(**changes)
    variables = jax.jit(build_model(facts).init)(jax.random.key(0), np.zeros((1, 64, 64, 3), np.float32))
    detector = make_predictor(facts, variables)
    assert detector.head == build_head(facts)
    assert getattr(detector.head, "location", None) == changes.get("box_parametrisation")
    assert len(detector(picture, threshold=0))


@pytest.mark.parametrize("start", ["darknet", "calm"])
def test_how_the_last_layer_starts(start):
    model = build_model(network(width=1 / 8, compute_dtype="float32"), head_init=start)
    boxes = jax.jit(model.init)(jax.random.key(0), np.zeros((1, 32, 32, 3), np.float32))["params"]["boxes"]
    kernel, bias = np.asarray(boxes["kernel"]), np.asarray(boxes["bias"]).reshape(2, 7)
    assert abs(kernel.mean()) < 0.1 * kernel.std()
    if start == "darknet":  # as every other layer
        assert kernel.std() == pytest.approx((2 / 128) ** 0.5, rel=0.05) and not bias.any()
    else:
        assert kernel.std() == pytest.approx(0.01, rel=0.05)
        assert (bias[:, 4] == -2).all() and not np.delete(bias, 4, 1).any()


def test_a_start_that_is_none():
    with pytest.raises(UserError, match="head_init is 'warm'; it can be darknet, calm"):
        jax.eval_shape(build_model(network(), head_init="warm").init, jax.random.key(0), np.zeros((1, 32, 32, 3)))


def test_a_classifier_of_yolos_trunk():
    facts = network(**CLASSIFIER, trunk="extraction")
    variables = jax.jit(build_model(facts).init)(jax.random.key(0), np.zeros((1, 64, 64, 3), np.float32))
    ranking = make_predictor(facts, variables)(np.zeros((50, 80, 3), np.uint8))
    assert set(ranking.names) == {"a", "b"}


def test_what_no_network_has():
    tree = WordTree(("a", "b"), np.array([-1, -1]))
    for changes, message in (
        (CLASSIFIER | {"trunk": "tiny"}, "a classifier can have 'darknet19' or 'extraction'"),
        (V1 | {"tree": tree}, "form no tree"),
        ({"compute_dtype": "int8"}, "compute_dtype is 'int8'"),
    ):
        with pytest.raises(UserError, match=message):
            build_model(network(**changes))


@pytest.mark.parametrize("tree", [None, WordTree(("x", "y"), np.array([-1, 0]), ("a", "b"))], ids=["flat", "tree"])
def test_there_and_back(tree):
    original = network(tree=tree, synsets=("x", None), nodes_with_boxes=None if tree is None else (1,))
    again = Network.from_json(json.loads(json.dumps(original.to_json())), tree, "here")
    assert again == original and hash(again) == hash(original)
    assert again.seen == (None if tree is None else ["y"])


@pytest.mark.parametrize(("before", "today"), [(True, "darknet"), (False, "none"), ("paper", "paper")])
def test_passthrough_before_it_had_names(before, today):
    values = network().to_json() | {"passthrough": before}
    assert Network.from_json(json.loads(json.dumps(values)), None, "here").passthrough == today


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, "there is no key 'colour' in 'network'; the keys are task, classes, "),
        ({"classes": None}, "network.classes is None; it must be a list: "),
        ({"anchors_cells": "1,2"}, "network.anchors_cells is '1,2'; it must be a list: "),
        ({"anchors_cells": [[1, 2, 3]]}, r"network.anchors_cells\[0\] is \[1, 2, 3\]; it must be a list of 2: "),
        ({"anchors_cells": [[1, "2"]]}, r"network.anchors_cells\[0\]\[1\] is '2'; it must be a number: "),
        ({"width": float("nan")}, "network.width is nan; it must be a number: "),
        ({"side": True}, "network.side is True; it must be a whole number: "),
        ({"architecture": "q"}, "network.architecture is 'q'; it can be yolo_v2, yolo_v1, cfg"),
        ({"box_parametrisation": "foo"}, "network.box_parametrisation is 'foo'; it can be direct, offset"),
        ({"hierarchy_rule": "zz"}, "network.hierarchy_rule is 'zz'; it can be conditional, darknet"),
        ({"sampling": "zz"}, "network.sampling is 'zz'; it can be half_pixel, darknet"),
        ({"resize": "zz"}, "network.resize is 'zz', which it cannot be; "),
        ({"dropout": 7.0}, "network.dropout is 7.0; it must be 0 or more and below 1"),
        ({"image_size": 0}, "network.image_size is 0, which it cannot be; "),
        ({"synsets": ["x"]}, r"network.synsets is \('x',\), which it cannot be; "),
    ],
)
def test_facts_that_are_none(changes, message):
    with pytest.raises(UserError, match=f"^here: {message}"):
        Network.from_json(network().to_json() | changes, None, "here")


def test_facts_that_are_missing():
    values = network().to_json()
    del values["classes"]
    with pytest.raises(UserError, match="^here: the key 'classes' is missing in 'network'; restore the file"):
        Network.from_json(values, None, "here")


def test_differences():
    assert differences(network(), network(image_size=96, resize="letterbox")) == []
    assert differences(network(), network(width=0.5)) == ["width: 0.03125 -> 0.5"]
    flat = WordTree(("x", "y"), np.array([-1, -1]), ("a", "b"))
    deep = WordTree(("x", "y"), np.array([-1, 0]), ("a", "b"))
    assert differences(network(tree=flat), network(tree=flat)) == []
    assert differences(network(tree=flat), network(tree=deep)) == ["tree: its nodes or their names differ"]
    assert differences(network(tree=flat), network()) == ["tree: there was one"]
    assert differences(network(), network(tree=flat)) == ["tree: there was none"]
