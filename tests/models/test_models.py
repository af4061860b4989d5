"""The networks: shapes, sizes in parameters, options, and Darknet's own outputs with its own weights."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers import golden_dir, golden_json, golden_net
from yolo9000_jax.errors import UserError
from yolo9000_jax.models.darknet19 import Darknet19
from yolo9000_jax.models.layers import BatchNormOptions
from yolo9000_jax.models.yolo_v2 import YoloV2

SMALL = 1 / 16
DETECTOR = YoloV2(num_classes=3, width=SMALL)

# Input channels, output channels and kernel size of every convolution with batch norm (paper, table 6).
TRUNK = [
    *[(3, 32, 3), (32, 64, 3), (64, 128, 3), (128, 64, 1), (64, 128, 3), (128, 256, 3), (256, 128, 1), (128, 256, 3)],
    *[(256, 512, 3), (512, 256, 1), (256, 512, 3), (512, 256, 1), (256, 512, 3)],
    *[(512, 1024, 3), (1024, 512, 1), (512, 1024, 3), (1024, 512, 1), (512, 1024, 3)],
]
HEAD = [(1024, 1024, 3), (1024, 1024, 3), (512, 64, 1), (1024 + 4 * 64, 1024, 3)]
PAPER_HEAD = [(1024, 1024, 3), (1024, 1024, 3), (1024 + 4 * 512, 1024, 3)]
PLAIN_HEAD = [(1024, 1024, 3)] * 3  # without the passthrough


@functools.cache
def variables(side=64):
    key = jax.random.key(1, impl="rbg")  # compiles several times faster than the default
    return jax.jit(DETECTOR.init)(key, jnp.zeros((1, side, side, 3)))


@functools.cache
def applied(model=DETECTOR):
    return jax.jit(model.apply)


def images(*shape):
    return np.random.default_rng(0).random((*shape, 3), np.float32)


def shape_of(model, *shape):
    blank = jax.ShapeDtypeStruct((*shape, 3), jnp.float32)
    return jax.eval_shape(lambda x: model.init_with_output(jax.random.key(0), x)[0], blank)


def count(model, collection="params"):
    blank = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    leaves = jax.tree.leaves(jax.eval_shape(lambda x: model.init(jax.random.key(0), x), blank)[collection])
    return sum(leaf.size for leaf in leaves)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 96), (416, 416), (608, 320)])
def test_detector_shapes(height, width):
    raw = shape_of(YoloV2(num_classes=20, width=SMALL), 2, height, width)
    assert raw.shape == (2, height // 32, width // 32, 5, 25) and raw.dtype == jnp.float32
    raw = shape_of(YoloV2(num_classes=7, anchors_cells=((1, 2), (3, 4), (5, 6)), width=SMALL), 1, height, width)
    assert raw.shape == (1, height // 32, width // 32, 3, 12)


@pytest.mark.parametrize(("height", "width"), [(224, 224), (448, 448), (96, 160), (100, 75)])
def test_classifier_shapes(height, width):
    logits = shape_of(Darknet19(num_classes=10, width=SMALL), 2, height, width)
    assert logits.shape == (2, 10) and logits.dtype == jnp.float32


@pytest.mark.parametrize(("height", "width"), [(100, 64), (64, 100), (0, 64), (16, 16)])
def test_detector_refuses_other_sizes(height, width):
    with pytest.raises(UserError, match=f"{height}x{width}.*multiples of 32"):
        shape_of(DETECTOR, 1, height, width)


def test_parameter_counts():
    def convolutions(table):
        return sum(inputs * outputs * size**2 + 2 * outputs for inputs, outputs, size in table)

    darknet = YoloV2(num_classes=20, passthrough="darknet")
    detector = convolutions(TRUNK + HEAD) + (1024 + 1) * 125
    classifier = convolutions(TRUNK) + (1024 + 1) * 1000
    assert count(darknet) == detector == 50_655_389
    assert count(YoloV2(num_classes=20)) == convolutions(TRUNK + PAPER_HEAD) + (1024 + 1) * 125
    assert count(Darknet19()) == classifier
    assert classifier == pytest.approx(20.8e6, rel=0.005)
    assert count(YoloV2(num_classes=20, passthrough="none")) == convolutions(TRUNK + PLAIN_HEAD) + (1024 + 1) * 125
    running = 2 * sum(outputs for _, outputs, _ in TRUNK + HEAD)
    assert count(darknet, "batch_stats") == running
    half = [(3, 16, 3)] + [(inputs // 2, outputs // 2, size) for inputs, outputs, size in (TRUNK + HEAD)[1:]]
    assert count(darknet.clone(width=0.5)) == convolutions(half) + (512 + 1) * 125


def test_classifier_and_detector_share_their_trunk():
    """What a detector takes from a classifier must have its names and shapes."""

    def trunk(model):
        tree = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
        return {name: jax.tree.map(lambda leaf: leaf.shape, tree[name]["trunk"]) for name in ("params", "batch_stats")}

    assert trunk(Darknet19(width=SMALL)) == trunk(YoloV2(width=SMALL))


def test_init_does_not_depend_on_the_size():
    jax.tree.map(np.testing.assert_array_equal, variables(64), variables(96))


def test_pictures_of_a_batch_do_not_mix():
    batch = images(2, 64, 96)
    raw = applied()(variables(), batch)
    np.testing.assert_allclose(applied()(variables(), batch[::-1])[::-1], raw, atol=1e-5)
    assert np.isfinite(raw).all() and np.std(raw) > 0.01


def test_bfloat16_computes_roughly_the_same_in_float32_out():
    batch = images(2, 64, 96)
    raw, rough = (applied(model)(variables(), batch) for model in (DETECTOR, DETECTOR.clone(dtype=jnp.bfloat16)))
    assert rough.dtype == jnp.float32
    assert 0 < np.abs(raw - rough).max() < 0.1 * np.abs(raw).max()
    blank = jnp.zeros((1, 64, 64, 3))
    tree = jax.eval_shape(DETECTOR.clone(dtype=jnp.bfloat16).init, jax.random.key(0), blank)
    assert {leaf.dtype for leaf in jax.tree.leaves(tree)} == {jnp.dtype("float32")}


def test_training_reaches_every_parameter_and_statistic():
    weights = np.random.default_rng(1).normal(size=(4, 2, 2, 5, 8)).astype(np.float32)

    @jax.jit
    def step(params, stats, batch):
        def objective(params):
            raw, updates = DETECTOR.apply(
                {"params": params, "batch_stats": stats}, batch, train=True, mutable=["batch_stats"]
            )
            return (raw * weights).sum(), updates["batch_stats"]

        return jax.grad(objective, has_aux=True)(params)

    stats = variables()["batch_stats"]
    gradients, updates = step(variables()["params"], stats, images(4, 64, 64))
    for path, leaf in jax.tree.leaves_with_path(gradients):
        assert np.isfinite(leaf).all() and leaf.any(), jax.tree_util.keystr(path)
    changed = jax.tree.map(lambda old, new: bool((old != new).any()), stats, updates)
    assert all(jax.tree.leaves(changed))


# Darknet's outputs: its weights, read in the order of its cfg files (darknet.md 2), give its numbers.

CONVOLUTIONS = [f"trunk/conv{number}" for number in range(1, 19)]
ORDER = {
    "darknet19": [*CONVOLUTIONS, "logits"],
    "yolov2-voc": [*CONVOLUTIONS, "conv19", "conv20", "passthrough", "conv21", "boxes"],
}
NETWORK = re.compile(r"(darknet19|yolov2-voc)-s(\d+)")


def golden_networks():
    names = [name for name in golden_json("nets.json") if NETWORK.match(name)]
    return names or [pytest.param(None, marks=pytest.mark.skip(reason="no golden files"))]


def read_weights(path, layers, blank):
    """The variables `blank` (shapes) filled from a .weights file of format 0.2 that holds `layers` in this order."""
    numbers = np.frombuffer(path.read_bytes(), np.float32, offset=20)
    place = 0

    def take(*shape):
        nonlocal place
        place += int(np.prod(shape))
        return numbers[place - int(np.prod(shape)) : place].reshape(shape)

    params, stats = {}, {}
    for layer in layers:
        *outer, name = layer.split("/")
        kernel = functools.reduce(dict.__getitem__, [*outer, name], blank["params"])["kernel"]
        size, _, inputs, filters = kernel.shape
        here = functools.reduce(lambda tree, key: tree.setdefault(key, {}), outer, params)
        bias = take(filters)
        if layer == layers[-1]:
            here[name] = {"bias": bias}
        else:
            here[name] = {"norm": {"bias": bias, "scale": take(filters)}}
            there = functools.reduce(lambda tree, key: tree.setdefault(key, {}), outer, stats)
            there[name] = {"norm": {"mean": take(filters), "var": take(filters)}}
        here[name]["kernel"] = take(filters, inputs, size, size).transpose(2, 3, 1, 0)
    assert place == len(numbers)
    return {"params": params, "batch_stats": stats}


@pytest.mark.parametrize("name", golden_networks())
def test_golden_output(name, tmp_path):
    net = golden_json("nets.json")[name]
    arrays = np.load(golden_dir() / f"net_{name}.npz")
    kind, shrink = NETWORK.match(name).groups()
    options = {"width": 1 / int(shrink), "norm": BatchNormOptions(epsilon=1e-6, epsilon_outside_root=True)}
    if kind == "darknet19":
        model = Darknet19(num_classes=arrays["final_raw"].size, **options)
    else:
        model = YoloV2(num_classes=net["final_shape"][0] // 5 - 5, passthrough="darknet", **options)
    image = np.load(golden_dir() / net["input"])["u8"].transpose(1, 2, 0)[None] / np.float32(255)
    blank = jax.eval_shape(model.init, jax.random.key(0), image)
    weights = read_weights(golden_net(name, tmp_path)[1], ORDER[kind], blank)
    output = np.asarray(jax.jit(model.apply)(weights, image))
    expected = arrays["final_raw"]
    if kind != "darknet19":
        channels, height, width = net["final_shape"]
        expected = expected.reshape(channels, height, width).transpose(1, 2, 0).reshape(output.shape)
    assert np.abs(output - expected.reshape(output.shape)).max() < 1e-4 * expected.std()
