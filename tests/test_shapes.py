"""One line for arguments that do not fit together, instead of broadcasting or nan."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import yolo9000_jax as y9
from yolo9000_jax.boxes.decode import decode, decode_boxes, decode_yolo_v1, detect
from yolo9000_jax.boxes.heads import RegionHead
from yolo9000_jax.boxes.nms import nms_by_objectness, nms_per_class
from yolo9000_jax.boxes.priors import average_iou, kmeans_priors, to_cells
from yolo9000_jax.boxes.tree import detect_tree
from yolo9000_jax.errors import UserError
from yolo9000_jax.losses.classification import softmax_loss, tree_softmax_loss
from yolo9000_jax.losses.region import region_loss
from yolo9000_jax.losses.yolo_v1 import yolo_v1_loss
from yolo9000_jax.models.darknet19 import Darknet19
from yolo9000_jax.models.yolo_v1 import YoloV1
from yolo9000_jax.models.yolo_v2 import YoloV2
from yolo9000_jax.shapes import check_labels, check_shapes
from yolo9000_jax.wordtree.softmax import class_probabilities, group_log_softmax, path_loss, predict_top_down
from yolo9000_jax.wordtree.tree import WordTree

TREE = WordTree(("n1", "n2", "n3", "n4"), [-1, 0, 0, 1], ("animal", "dog", "cat", "pug"))
ANCHORS = np.ones((5, 2), np.float32)


def zeros(*shape):
    return np.zeros(shape, np.float32)


def refused(function, *arguments, **options) -> str:
    with pytest.raises(UserError) as caught:
        function(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "shapes, lengths",
    [
        ({"a": ((4, 2), "N 2"), "b": ((4,), "N")}, {"N": 4}),
        ({"a": ((3, 4, 25), "... 5+C")}, {"C": 20}),
        ({"a": ((7,), "... C"), "b": ((7,), "C")}, {"C": 7}),
        ({"a": ((2, 6), "B 4+"), "b": ((2, 4), "B 4+")}, {"B": 2}),
        ({"a": ((0, 4), "N 4")}, {"N": 0}),
    ],
)
def test_shapes_that_fit(shapes, lengths):
    assert check_shapes("f", **{name: (zeros(*shape), axes) for name, (shape, axes) in shapes.items()}) == lengths


@pytest.mark.parametrize(
    "shapes, message",
    [
        ({"a": ((4, 3), "N 2")}, "f: a has the shape [4, 3]; give [N, 2]"),
        ({"a": ((4, 2), "N 2"), "b": ((5,), "N")}, "f: b has the shape [5]; give [N] with N = 4"),
        ({"a": ((5,), "5+C")}, "f: a has the shape [5]; give [5+C]"),
        ({"a": ((2, 3), "B 4+")}, "f: a has the shape [2, 3]; give [B, 4+]"),
        ({"a": ((), "... C")}, "f: a has the shape []; give [..., C]"),
        ({"a": ((2, 2, 2), "N 2")}, "f: a has the shape [2, 2, 2]; give [N, 2]"),
        ({"a": ((3, 2), "A 2"), "b": ((2, 7, 5), "B A 5")}, "give [B, A, 5] with A = 3"),
    ],
)
def test_shapes_that_do_not_fit(shapes, message):
    arguments = {name: (zeros(*shape), axes) for name, (shape, axes) in shapes.items()}
    assert message in refused(check_shapes, "f", **arguments)


def test_ragged_rows_and_arrays_that_are_not_there():
    assert "rows of a differ" in refused(check_shapes, "f", a=([[1, 2], [3]], "N 2"))
    assert check_shapes("f", a=(None, "N 2"), b=([[1, 2]], "N 2")) == {"N": 1}


def test_labels():
    check_labels("f", "labels", np.array([0, 4]), 5)
    check_labels("f", "labels", np.array([0, 9]), 5, mask=np.array([True, False]))
    check_labels("f", "labels", jnp.array([-1, 4]), 5, lowest=-1)
    assert "f: labels hold 5; 5 classes go from 0 to 4" in refused(check_labels, "f", "labels", jnp.array([1, 5]), 5)
    assert "hold -1" in refused(check_labels, "f", "labels", np.array([-1]), 5)
    assert "float32; give whole numbers" in refused(check_labels, "f", "labels", zeros(3), 5)
    jax.jit(lambda labels: check_labels("f", "labels", labels, 5))(jnp.array([9]))  # traced: no values yet


def region(**changes):
    """region_loss of two pictures with three truths each, five anchors and four classes."""
    arguments = {"raw": zeros(2, 3, 3, 5, 9), "boxes_cxcywh": zeros(2, 3, 4) + 0.5, "labels": np.zeros((2, 3), int)}
    arguments |= {"mask": np.ones((2, 3), bool), "anchors_cells": ANCHORS} | changes
    return region_loss(**arguments, seen=1)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"anchors_cells": ANCHORS[:3]}, "region_loss: anchors_cells has the shape [3, 2]; give [A, 2] with A = 5"),
        ({"anchors_cells": [1.0] * 10}, "anchors_cells has the shape [10]"),
        ({"raw": zeros(2, 3, 3, 45)}, "raw has the shape [2, 3, 3, 45]; give [B, H, W, A, 5+C]"),
        ({"raw": zeros(3, 3, 3, 5, 9)}, "boxes_cxcywh has the shape [2, 3, 4]; give [B, T, 4] with B = 3"),
        ({"labels": np.zeros((2, 2), int)}, "labels has the shape [2, 2]; give [B, T] with B = 2, T = 3"),
        ({"labels": np.full((2, 3), 4)}, "labels hold 4; 4 classes go from 0 to 3"),
        ({"labels": zeros(2, 3)}, "labels are of type float32"),
        ({"mask": np.ones((2, 3, 1), bool)}, "mask has the shape [2, 3, 1]"),
        ({"tree": TREE, "raw": zeros(2, 3, 3, 5, 8)}, "raw is of 3 classes, but the tree has 4 nodes"),
        ({"tree": TREE, "image_labels": np.array([0, 4])}, "image_labels hold 4"),
        ({"tree": TREE, "image_labels": np.array([0])}, "image_labels has the shape [1]; give [B] with B = 2"),
    ],
)
def test_region_loss(changes, message):
    assert message in refused(region, **changes)


def test_region_loss_of_what_fits():
    assert np.isfinite(region().total) and np.isfinite(region(tree=TREE, image_labels=np.array([-1, 3])).total)
    outside = np.where(np.arange(3) < 2, 1, 77) + np.zeros((2, 1), int)
    assert np.isfinite(region(labels=outside, mask=np.arange(3) < np.full((2, 1), 2)).total), "a row without a truth"


def test_yolo_v1_loss():
    sizes = {"side": 2, "boxes_per_cell": 2, "num_classes": 3}
    boxes, labels, mask = zeros(1, 3, 4) + 0.5, np.zeros((1, 3), int), np.ones((1, 3), bool)
    assert np.isfinite(yolo_v1_loss(zeros(1, 52), boxes, labels, mask, **sizes).total)
    assert "boxes_cxcywh has the shape [1, 3, 5]" in refused(
        yolo_v1_loss, zeros(1, 52), zeros(1, 3, 5), labels, mask, **sizes
    )
    assert "labels hold 3" in refused(yolo_v1_loss, zeros(1, 52), boxes, labels + 3, mask, **sizes)
    assert "an output of 50 numbers" in refused(yolo_v1_loss, zeros(1, 50), boxes, labels, mask, **sizes)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: decode(zeros(1, 3, 3, 5, 9), ANCHORS[:3]), "decode: anchors_cells has the shape [3, 2]; give [A, 2]"),
        (lambda: decode(zeros(1, 3, 3, 45), ANCHORS), "decode: raw has the shape [1, 3, 3, 45]"),
        (lambda: decode_boxes(zeros(1, 3, 3, 5, 3), ANCHORS), "decode_boxes: raw has the shape [1, 3, 3, 5, 3]"),
        (lambda: detect(zeros(1, 3, 3, 5, 9), ANCHORS[:, :1], 0.5, 0.5), "anchors_cells has the shape [5, 1]"),
        (lambda: decode_yolo_v1(zeros(52), 2, 2, 3), "vector has the shape [52]; give [B, N]"),
        (lambda: RegionHead((1.0, 2.0)), "RegionHead: anchors_cells has the shape [2]"),
        (lambda: detect_tree(zeros(1, 3, 3, 5, 8), ANCHORS, TREE, 0.5, 0.5), "raw are of 3 nodes, but the tree has 4"),
        (lambda: detect_tree(zeros(1, 3, 3, 5, 9), ANCHORS, TREE, 0.5, 0.5, nodes=[7]), "nodes hold 7"),
        (lambda: nms_per_class(zeros(1, 9, 4), zeros(1, 8, 3), 0.5), "scores has the shape [1, 8, 3]"),
        (lambda: nms_per_class(zeros(1, 9, 4), zeros(1, 9, 3), 0.5, candidates=0), "candidates 0"),
        (lambda: nms_by_objectness(zeros(1, 9, 4), zeros(9), zeros(1, 9, 3), 0.5), "objectness has the shape [9]"),
        (lambda: kmeans_priors(zeros(9, 3), 2), "boxes must be rows of (width, height)"),
        (lambda: average_iou(zeros(9, 2), zeros(4)), "anchors has the shape [4]"),
        (lambda: average_iou(zeros(0, 2), zeros(4, 2)), "0 boxes and 4 shapes"),
        (lambda: to_cells(zeros(4, 1), 416), "anchors_fraction has the shape [4, 1]"),
        (lambda: softmax_loss(zeros(3, 4), np.zeros(2, int)), "labels has the shape [2]; give [B] with B = 3"),
        (lambda: softmax_loss(zeros(3, 4), np.array([0, 4, 0])), "labels hold 4"),
        (lambda: tree_softmax_loss(zeros(3, 5), np.zeros(3, int), TREE), "of 5 nodes, but the tree has 4"),
        (lambda: tree_softmax_loss(zeros(3, 4), ["cat", "dog"], TREE), "labels has the shape [2]; give [B]"),
        (lambda: path_loss(zeros(3), 0, TREE), "logits are of 3 nodes, but the tree has 4"),
        (lambda: path_loss(zeros(4), "horse", TREE), "no node is called 'horse'"),
        (lambda: path_loss(zeros(2, 4), np.array([0, 4]), TREE), "nodes hold 4"),
        (lambda: group_log_softmax(zeros(2, 5), TREE), "logits are of 5 nodes"),
        (lambda: predict_top_down(zeros(2, 5), TREE, 0.5), "probabilities are of 5 nodes"),
    ],
)
def test_functions(call, message):
    assert message in refused(call)


@pytest.mark.parametrize("network", [Darknet19(10, 1 / 32), YoloV2(2, width=1 / 32), YoloV1(2, width=1 / 32)])
def test_images_of_networks(network):
    name = type(network).__name__

    def start(images):
        return jax.eval_shape(network.init, jax.random.key(0), images)

    start(zeros(1, 64, 64, 3))
    for wrong, message in (
        (zeros(64, 64, 3), "images has the shape [64, 64, 3]; give [B, H, W, 3]"),
        (zeros(1, 3, 64, 64), "images has the shape [1, 3, 64, 64]"),
        (zeros(1, 64, 64, 4), "images has the shape [1, 64, 64, 4]"),
        (np.zeros((1, 64, 64, 3), np.uint8), "images are of type uint8; give floats from 0 to 1"),
    ):
        assert f"{name}: {message}" in refused(start, wrong)


def test_anchors_of_a_network():
    """However they are given, equal networks are equal and can be hashed."""
    given = [[(1.0, 2.0)], ((1, 2),), np.array([[1, 2]])]
    networks = [YoloV2(2, anchors, width=1 / 32) for anchors in given]
    assert len(set(networks)) == 1 and networks[0].clone(width=1.0) not in networks
    assert "YoloV2: anchors_cells has the shape [2]" in refused(YoloV2, 2, (1.0, 2.0))


def test_nodes_by_name_in_the_softmax():
    logits = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    by_name = path_loss(logits, ["pug", "n3", "animal"], TREE)
    np.testing.assert_array_equal(by_name, path_loss(logits, np.array([3, 2, 0]), TREE))
    np.testing.assert_allclose(path_loss(logits[0], "pug", TREE), by_name[0])
    np.testing.assert_array_equal(
        tree_softmax_loss(logits, ["pug", "n3", "animal"], TREE), tree_softmax_loss(logits, np.array([3, 2, 0]), TREE)
    )
    probabilities = np.asarray(class_probabilities(logits, TREE))
    np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-6)
    np.testing.assert_array_equal(probabilities[:, [0, 1]], 0)


def test_priors_of_a_data_set():
    """The boxes of a data set are clustered as fractions of their pictures."""
    dataset = y9.open_source("emoji", "val")[:40]
    shapes = [(box[2:] - box[:2]) / (record.width, record.height) for record in dataset for box in record.boxes_xyxy]
    found, expected = kmeans_priors(dataset, 3, restarts=1), kmeans_priors(np.array(shapes), 3, restarts=1)
    np.testing.assert_allclose(found.anchors, expected.anchors, rtol=1e-5)
    assert average_iou(dataset, found.anchors) == pytest.approx(found.average_iou)
