"""YOLOv1 and its trunk: sizes from the paper's table, options, training with dropout."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from yolo9000_jax.boxes.decode import split_yolo_v1
from yolo9000_jax.errors import UserError
from yolo9000_jax.losses.yolo_v1 import yolo_v1_loss
from yolo9000_jax.models.extraction import Extraction
from yolo9000_jax.models.layers import leaky_relu
from yolo9000_jax.models.yolo_v1 import YoloV1
from yolo9000_jax.models.yolo_v2 import YoloV2

SMALL = {"width": 1 / 16, "num_classes": 3}
SIDE = 3
DETECTOR = YoloV1(side=SIDE, hidden=24, **SMALL)

# Input channels, output channels and kernel size of every convolution (YOLOv1 paper, figure 3).
TRUNK = [
    *[(3, 64, 7), (64, 192, 3), (192, 128, 1), (128, 256, 3), (256, 256, 1), (256, 512, 3)],
    *[(512, 256, 1), (256, 512, 3)] * 4,
    *[(512, 512, 1), (512, 1024, 3), (1024, 512, 1), (512, 1024, 3), (1024, 512, 1), (512, 1024, 3)],
]
HEAD = [(1024, 1024, 3)] * 4
TINY = [
    (3, 16, 3),
    (16, 32, 3),
    (32, 64, 3),
    (64, 128, 3),
    (128, 256, 3),
    (256, 512, 3),
    (512, 1024, 3),
    (1024, 256, 3),
]


def shapes_of(model, side=448):
    blank = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    return jax.eval_shape(lambda x: model.init_with_output(jax.random.key(0), x), blank)


def count(model, side=448):
    return sum(leaf.size for leaf in jax.tree.leaves(shapes_of(model, side)[1]["params"]))


def convolutions(table, normed=True):
    return sum(inputs * outputs * size**2 + (1 + normed) * outputs for inputs, outputs, size in table)


def test_parameter_counts():
    assert count(Extraction(), 224) == convolutions(TRUNK) + 1025 * 1000
    assert count(Extraction(norm=None), 224) == convolutions(TRUNK, False) + 1025 * 1000
    papers = convolutions(TRUNK + HEAD, False) + (49 * 1024 + 1) * 4096 + 4097 * 1470
    assert count(YoloV1(norm=None)) == papers
    local = convolutions(TRUNK + HEAD) + 49 * (9 * 1024 + 1) * 256 + (49 * 256 + 1) * 1715
    assert count(YoloV1(head="local", boxes_per_cell=3)) == local
    assert count(YoloV1(trunk="tiny", head="direct")) == convolutions(TINY) + (49 * 256 + 1) * 1470
    boxes = 1025 * 9 * 25
    assert count(YoloV2(trunk="extraction", passthrough="none", anchors_cells=((1, 1),) * 9), 416) == (
        convolutions(TRUNK + HEAD) + boxes
    )


def test_shapes():
    assert shapes_of(YoloV1())[0].shape == (1, 7 * 7 * 30)
    assert shapes_of(YoloV1(side=4, boxes_per_cell=3, num_classes=5), 256)[0].shape == (1, 4 * 4 * 20)
    assert shapes_of(Extraction(num_classes=9), 224)[0].shape == (1, 9)
    convolutional = YoloV2(trunk="extraction", anchors_cells=((1, 1),) * 9)
    assert shapes_of(convolutional, 416)[0].shape == (1, 13, 13, 9, 25)
    assert shapes_of(YoloV1(dtype=jnp.bfloat16))[0].dtype == jnp.float32


@pytest.mark.parametrize("norm", [{}, {"norm": None}])
def test_classifier_and_detectors_share_their_trunk(norm):
    """What a detector takes from a classifier must have its names and shapes."""

    def trunk(model):
        tree = shapes_of(model, 64)[1]
        return {name: jax.tree.map(lambda leaf: leaf.shape, tree[name]["trunk"]) for name in tree}

    wanted = trunk(Extraction(**SMALL, **norm))
    assert trunk(YoloV1(**SMALL, **norm)) == trunk(YoloV2(trunk="extraction", **SMALL, **norm)) == wanted
    assert ("batch_stats" in wanted) == (not norm)


def test_the_convolutional_row_keeps_yolos_convolutions():
    """All but the fully connected layers: the names and shapes are the same."""
    yolo, convolutional = (
        jax.tree.map(lambda leaf: leaf.shape, shapes_of(model, 64)[1]["params"])
        for model in (YoloV1(**SMALL), YoloV2(trunk="extraction", passthrough="none", **SMALL))
    )
    del yolo["hidden"], yolo["output"], convolutional["boxes"]
    assert yolo == convolutional


def images(batch=4, side=128):
    return np.random.default_rng(0).random((batch, side, side, 3), np.float32)


@functools.cache
def variables(model, side=128):
    key = jax.random.key(1, impl="rbg")
    return jax.jit(model.init)(key, jnp.zeros((1, side, side, 3)))


@functools.cache
def applied(model):
    return jax.jit(model.apply)


def test_leaky_logits_are_the_mean_of_activated_ones():
    linear = Extraction(**SMALL, logits="linear")
    activated = Extraction(**SMALL, logits="leaky")
    one_place = images(2, 32)  # the mean over one position is that position
    expected = leaky_relu(applied(linear)(variables(linear), one_place))
    np.testing.assert_allclose(applied(activated)(variables(linear), one_place), expected, rtol=1e-5)
    with pytest.raises(UserError, match="'relu'; choose 'linear' or 'leaky'"):
        shapes_of(Extraction(logits="relu"))


def test_it_starts_with_a_box_in_the_middle_of_each_cell():
    vector = applied(DETECTOR)(variables(DETECTOR), images())
    classes, objectness, boxes = split_yolo_v1(vector, SIDE, 2, 3)
    np.testing.assert_allclose(boxes, 0.5, atol=0.4)
    np.testing.assert_allclose(classes, 0, atol=0.4)
    np.testing.assert_allclose(objectness, 0, atol=0.4)
    assert np.std(boxes[..., 0, :]) > 0 and not np.allclose(boxes[:, :, 0], boxes[:, :, 1])


OPTIONS = [
    DETECTOR,
    DETECTOR.clone(norm=None),
    DETECTOR.clone(head="local", hidden=4, norm=None),
    DETECTOR.clone(trunk="tiny", head="direct"),
]


@pytest.mark.parametrize("model", OPTIONS, ids=["paper", "no batch norm", "local", "tiny"])
def test_training_reaches_every_parameter(model):
    boxes = np.float32([[[0.2, 0.3, 0.4, 0.3]], [[0.6, 0.6, 0.5, 0.7]], [[0.5, 0.9, 0.2, 0.1]], [[0.9, 0.1, 0.1, 0.2]]])
    truths = boxes, np.int32([[0], [1], [2], [0]]), np.ones((4, 1), bool)

    @jax.jit
    def step(params, stats, key):
        def objective(params):
            tree = {"params": params, "batch_stats": stats}
            vector, updates = model.apply(tree, images(), True, mutable=["batch_stats"], rngs={"dropout": key})
            loss = yolo_v1_loss(vector, *truths, side=SIDE, boxes_per_cell=2, num_classes=3)
            return loss.total, (vector, updates)

        return jax.value_and_grad(objective, has_aux=True)(params)

    tree = variables(model)
    stats = tree.get("batch_stats", {})
    (loss, (vector, updates)), gradients = step(tree["params"], stats, jax.random.key(0))
    (_, (again, _)), _ = step(tree["params"], stats, jax.random.key(0))
    (_, (other, _)), _ = step(tree["params"], stats, jax.random.key(1))
    assert np.isfinite(loss) and loss > 0
    for path, leaf in jax.tree.leaves_with_path(gradients):
        assert np.isfinite(leaf).all() and leaf.any(), jax.tree_util.keystr(path)
    np.testing.assert_array_equal(vector, again)
    assert (model.head == "direct") == np.array_equal(vector, other)
    changed = jax.tree.map(lambda old, new: bool((old != new).any()), stats, updates.get("batch_stats", {}))
    assert all(jax.tree.leaves(changed)) and bool(changed) == (model.norm is not None)


def test_dropout_keeps_the_mean_and_spares_evaluation():
    """With a last layer that sums, an output in training is the sum of the units kept, times 1 / (1 - share)."""
    model = YoloV1(side=SIDE, hidden=24, trunk="tiny", norm=None, dropout=0.25, **SMALL)
    params = variables(model)["params"]
    ones = {"kernel": jnp.ones_like(params["output"]["kernel"]), "bias": jnp.zeros(SIDE**2 * 13)}
    tree = {"params": params | {"output": ones}}
    trained = jax.jit(lambda key: model.apply(tree, images(), True, rngs={"dropout": key})[:, 0])
    sums = np.stack([trained(jax.random.key(number)) for number in range(40)])
    assert np.std(sums, axis=0).min() > 0
    np.testing.assert_allclose(sums.mean(0), applied(model)(tree, images())[:, 0], atol=4 * np.std(sums) / np.sqrt(40))


def test_refused():
    with pytest.raises(UserError, match="images of 192x192: this YOLOv1 was made for another size"):
        jax.eval_shape(DETECTOR.apply, variables(DETECTOR), images(1, 192))
    for option in ("trunk", "head"):
        with pytest.raises(
            UserError, match=f"{option} is 'other'; choose 'extraction' or|{option} is 'other'; choose 'c"
        ):
            shapes_of(DETECTOR.clone(**{option: "other"}))
    with pytest.raises(UserError, match="trunk is 'tiny'; choose 'darknet19' or 'extraction'"):
        shapes_of(YoloV2(trunk="tiny"), 64)
