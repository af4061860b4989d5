"""Networks from Darknet's files against Darknet's own numbers, layer by layer."""

from functools import cache
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.golden.cases import as_darknet, layer_case, network_input, network_output
from tests.helpers import golden_dir, golden_json, golden_net, golden_nets, golden_path, golden_root, published_networks
from yolo9000_jax.darknet.cfg import Cfg, parse_cfg
from yolo9000_jax.darknet.network import build_network, load_network, to_arrays, to_variables
from yolo9000_jax.darknet.weights import write_weights
from yolo9000_jax.errors import UserError

TOLERANCE = 1e-4  # of a layer's standard deviation
# For the worst of a whole output's numbers: Darknet's own float32 is 1.2e-4 from float64 in the full-size YOLOv2.
TOLERANCE_WHOLE = 2e-4


@cache
def _tree_groups(name: str) -> list[slice]:
    """Sibling groups of a tree file: runs of lines with one parent."""
    parents = [line.split()[1] for line in (golden_dir() / "data" / name).read_text().splitlines() if line]
    starts = [i for i, parent in enumerate(parents) if i == 0 or parent != parents[i - 1]]
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], len(parents)], strict=True)]


def _softmax(x, axis, tree):
    groups = _tree_groups(Path(tree).name) if tree else [slice(None)]
    y = np.empty_like(x)
    for group in groups:
        index = (slice(None),) * (axis % x.ndim) + (group,)
        e = np.exp(x[index] - x[index].max(axis, keepdims=True))
        y[index] = e / e.sum(axis, keepdims=True)
    return y


def _as_darknet(layer, x: np.ndarray) -> np.ndarray:
    """A captured output [1, H, W, C] as Darknet's flat C, H, W, with the activation of the last layers."""
    x = np.array(x, np.float64).transpose(0, 3, 1, 2)[0]
    if layer.type == "region":
        x = x.reshape(layer.num, -1, *x.shape[1:])
        sigmoid = [0, 1, 4] + ([] if layer.softmax or layer.tree else list(range(5, x.shape[1])))
        x[:, sigmoid] = 1 / (1 + np.exp(-x[:, sigmoid]))
        if layer.softmax or layer.tree:
            x[:, 5:] = _softmax(x[:, 5:], 1, layer.tree)
    elif layer.type == "softmax":
        x = _softmax(x / layer.temperature, 0, layer.tree)
    return x.ravel()


def _forward(cfg: Cfg, weights: Path, images: np.ndarray):
    module, variables = load_network(cfg, weights)
    return jax.jit(lambda v, x: module.apply(v, x, capture=True))(variables, images)


@pytest.mark.parametrize("name", golden_nets())
def test_every_layer_is_darknets(name, tmp_path):
    net = golden_json("nets.json")[name]
    path, weights = golden_net(name, tmp_path)
    cfg = parse_cfg(path)
    with np.load(golden_dir() / f"net_{name}.npz") as stored:
        golden = dict(stored)
    result, outputs = _forward(cfg, weights, network_input(golden_dir() / net["input"]))
    for layer, output in zip(cfg.layers, outputs, strict=True):
        if layer.type == "cost" or layer.index > net["output_layer"]:
            continue
        x, stats = _as_darknet(layer, output), golden["layer_stats"][layer.index]
        limit = TOLERANCE * stats[1]
        where = f"layer {layer.index} [{layer.type}]"
        assert np.abs([x.mean(), x.std(), x.min(), x.max()] - stats).max() < limit, where
        assert np.abs(x[:8] - golden["layer_first8"][layer.index][: x.size]).max() < limit, where
        samples = x[golden["sample_index"][layer.index]]
        assert np.abs(samples - golden["sample_value"][layer.index]).max() < limit, where
        if f"layer{layer.index}" in golden:
            assert np.abs(x - golden[f"layer{layer.index}"].ravel()).max() < TOLERANCE_WHOLE * stats[1], where
    head = cfg.layers[net["output_layer"]]
    final = _as_darknet(head, outputs[head.index])
    index = slice(None) if golden["final"].size else golden["final_index"]
    expected = golden["final"] if golden["final"].size else golden["final_value"]
    assert np.abs(final[index] - expected).max() < TOLERANCE_WHOLE * expected.std()
    _check_result(cfg.head, result, outputs[cfg.head.index])
    raw = network_output(golden_dir(), name, net)
    if raw.size:  # not stored of large networks
        assert np.abs(as_darknet(result) - raw).max() < TOLERANCE_WHOLE * raw.std()


def _check_result(head, result, raw):
    """The module's result is the raw output of its last layer, in the shape promised."""
    height, width, channels = raw.shape[1:]
    if head.type == "region":
        assert result.shape == (1, height, width, head.num, 5 + head.classes)
    else:
        assert result.shape == (1, channels * height * width)
    np.testing.assert_array_equal(np.ravel(result), np.ravel(raw))


@pytest.mark.parametrize("path", sorted((golden_root() / "unit").glob("*.cfg")), ids=lambda path: path.stem)
def test_single_layers(path):
    cfg, golden, train, variables, x = case = layer_case(path)
    for batch_norm, suffix in [("gpu", "_cudnn"), ("cpu", "_cpu")]:
        if train and batch_norm == "cpu":
            continue  # Darknet's CPU training differs in the batch statistics too: tested with the layers
        module = build_network(cfg, batch_norm=batch_norm)
        output, updates = module.apply(variables, x, train=train, capture=True, mutable=["batch_stats"])
        y = np.asarray(output[1][0]).transpose(0, 3, 1, 2)
        np.testing.assert_allclose(y, case.y(suffix).reshape(y.shape), atol=2e-6, rtol=1e-5)
        if train:
            moved = to_arrays(cfg, {"params": variables["params"], **updates})[0]
            for name in ("rolling_mean", "rolling_variance"):
                np.testing.assert_allclose(moved[name], golden[name + suffix], atol=1e-6, rtol=1e-5)


SMALL = """[net]
width=8
height=8
channels=3
[convolutional]
batch_normalize=1
filters=4
size=3
pad=1
activation=leaky
[batchnorm]
[local]
filters=4
size=3
pad=1
activation=linear
[dropout]
[connected]
batch_normalize=1
output=5
activation=relu
[connected]
output=6
activation=logistic
[softmax]
temperature=2
[cost]
"""


def _small_arrays(cfg: Cfg) -> dict:
    rng = np.random.default_rng(0)
    return {
        layer.index: {name: rng.uniform(0.1, 1, shape).astype(np.float32) for name, shape in layer.parameters().items()}
        for layer in cfg.layers
        if layer.parameters()
    }


def test_variables_and_darknets_arrays_are_one(tmp_path):
    cfg = parse_cfg(SMALL)
    arrays = _small_arrays(cfg)
    write_weights(tmp_path / "net.weights", cfg, arrays)
    module, variables = load_network(cfg, tmp_path / "net.weights")
    jax.tree.map(np.testing.assert_array_equal, to_arrays(cfg, variables), arrays)
    expected = jax.eval_shape(module.init, jax.random.key(0), np.zeros((1, 8, 8, 3), np.float32))
    assert jax.tree.map(lambda x: x.shape, variables) == jax.tree.map(lambda x: x.shape, expected)
    images = np.linspace(0, 1, 2 * 8 * 8 * 3, dtype=np.float32).reshape(2, 8, 8, 3)
    logits, outputs = module.apply(variables, images, capture=True)
    assert logits.shape == (2, 6)
    np.testing.assert_allclose(logits, outputs[5][:, 0, 0] / 2, rtol=1e-6)


def test_partial_weights_keep_the_other_layers_random(tmp_path):
    cfg = parse_cfg("[net]\ninputs=3\n[connected]\nactivation=linear\noutput=2\n[connected]\nactivation=linear\n")
    arrays = _small_arrays(cfg)
    write_weights(tmp_path / "start.conv.1", cfg, {0: arrays[0]}, allow_partial=True)
    with pytest.raises(UserError, match=r"ends before layer 1 \[connected\]"):
        load_network(cfg, tmp_path / "start.conv.1")
    _, loaded = load_network(cfg, tmp_path / "start.conv.1", allow_partial=True)
    np.testing.assert_array_equal(loaded["params"]["layer0"]["kernel"], arrays[0]["weights"].T)
    assert loaded["params"]["layer1"]["kernel"].shape == (2, 1) and np.any(loaded["params"]["layer1"]["kernel"])


def test_what_cannot_be_run_is_refused():
    cfg = parse_cfg(SMALL)
    module, variables = build_network(cfg), to_variables(cfg, _small_arrays(cfg))
    for shape in [(1, 16, 16, 3), (1, 8, 8, 1), (8, 8, 3)]:
        with pytest.raises(UserError, match=r"takes \[batch, 8, 8, 3\]"):
            jax.eval_shape(module.apply, variables, np.zeros(shape, np.float32))
    with pytest.raises(UserError, match="cpu, gpu"):
        build_network(cfg, batch_norm="tpu")
    with pytest.raises(UserError, match="line 5: .* can be read but not run"):
        build_network(parse_cfg("[net]\nwidth=4\nheight=4\nchannels=4\n[conv]\nfilters=2\ngroups=2\n"))
    variables["params"]["layer1"]["bias"] = np.ones(4)
    with pytest.raises(UserError, match="biases"):
        to_arrays(cfg, variables)
    with pytest.raises(UserError, match="no variable params/layer0/norm/bias"):
        to_arrays(cfg, {"params": {}})


def test_image_sizes_that_branches_round_differently():
    halves = "[max]\nstride=2\n[route]\nlayers=-2\n[conv]\nsize=2\nstride=2\nactivation=linear\n[route]\nlayers=-1,-3\n"
    module = build_network(parse_cfg("[net]\nwidth=8\nheight=8\nchannels=4\n[dropout]\n" + halves))
    init = jax.eval_shape(
        lambda x: module.init_with_output(jax.random.key(0), x)[0], np.zeros((1, 6, 4, 4), np.float32)
    )
    assert init.shape == (1, 3, 2, 5)
    with pytest.raises(UserError, match="joins maps of 4x4, 5x5: choose another image size"):
        jax.eval_shape(module.init, jax.random.key(0), np.zeros((1, 9, 9, 4), np.float32))


@pytest.mark.parametrize("path", published_networks())
def test_real_networks_see_what_is_there(path):
    """Published weights on a photograph of an Alaskan malamute, a bicycle and a car."""
    cfg = parse_cfg(path.with_suffix(".cfg"))
    _, outputs = _forward(cfg, path, network_input(golden_path("input_dog_224x224.npz")))
    final = _as_darknet(cfg.head, outputs[cfg.head.index])
    if cfg.head.type == "region":
        grid = final.reshape(cfg.head.num, 5 + cfg.head.classes, -1)
        scores = (grid[:, 4:5] * grid[:, 5:]).max((0, 2))
        assert set(np.argsort(-scores)[:3]) == {1, 6, 11}, "bicycle, car, dog in VOC's order"
    else:
        assert np.argmax(final) == 14, "malamute in Darknet's order of ImageNet's classes"
