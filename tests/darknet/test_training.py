"""Darknet's learning rates, updates and whole training steps against its own numbers (golden train/, in float64)."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.helpers import golden_dir, golden_json, golden_weights
from tests.losses.test_yolo_v1 import truths_of_cells
from yolo9000_jax.darknet.cfg import parse_cfg
from yolo9000_jax.darknet.network import build_network, to_arrays, to_variables
from yolo9000_jax.darknet.train import learning_rate, loss_options, optimizer
from yolo9000_jax.darknet.weights import read_weights
from yolo9000_jax.errors import UserError
from yolo9000_jax.losses.classification import softmax_loss
from yolo9000_jax.losses.region import region_loss
from yolo9000_jax.losses.yolo_v1 import yolo_v1_loss
from yolo9000_jax.models.layers import BatchNormOptions
from yolo9000_jax.wordtree.tree import WordTree, load_map

TOLERANCE = 1e-7  # relative, unless a case says another: golden arrays are float64 results stored in float32
# Batch norm as Darknet trains on a CPU. Its backward pass is not the exact derivative (darknet.md 4.2).
CPU_NORM = BatchNormOptions(epsilon=1e-6, epsilon_outside_root=True, unbiased=True)


def _params(names):
    return names or [pytest.param(None, marks=pytest.mark.skip(reason="no golden files"))]


def _training_cases(*bn_modes):
    cases = golden_json("train/train.json")
    names = [name.removeprefix("train/") for name, case in cases.items() if case.get("bn_mode") in bn_modes]
    return _params([name for name in names if not name.endswith("_acts")])


def _assert_close(actual, expected, tolerance, where=""):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * np.abs(expected).max(), err_msg=where)


class Training:
    """A golden training: its network in float64, its images, and its loss as a function of the raw output."""

    def __init__(self, name, folder):
        self.case = golden_json("train/train.json")[f"train/{name}"]
        self.stem, self.tolerance = name.removesuffix("_bn_cpu"), self.case.get("tolerance", TOLERANCE)
        cfg_path = golden_dir() / "cfg" / self.case["cfg"]
        weights = golden_weights(cfg_path, self.case["weights_seed"], folder)
        self.cfg = parse_cfg(cfg_path)
        stored = self.arrays("input")
        self.images = jnp.asarray(stored["u8"].transpose(0, 2, 3, 1) / 255.0)
        self.variables = jax.tree.map(
            lambda x: jnp.asarray(x, jnp.float64), to_variables(self.cfg, read_weights(weights, self.cfg)[1])
        )
        self.module = build_network(self.cfg, jnp.float64, "gpu", jnp.float64)
        if self.case["bn_mode"] == "cpu":
            self.module = self.module.clone(norm=CPU_NORM)
        self.loss = {"region": _region, "detection": _detection}.get(self.cfg.head.type, _softmax)(
            self.cfg.head, stored["truth"]
        )

    def arrays(self, kind):
        path = golden_dir() / f"train/{self.stem}_{kind}.npz"
        return dict(np.load(path)) if path.is_file() else {}

    def forward(self, params, batch_stats):
        variables = {"params": params, "batch_stats": batch_stats}
        raw, updates = self.module.apply(variables, self.images, train=True, mutable=["batch_stats"])
        return raw, updates["batch_stats"]

    def loss_of(self, params, batch_stats, seen):
        raw, _ = self.forward(params, batch_stats)
        loss, raw_gradient = jax.value_and_grad(self.loss)(raw, seen)
        return loss, raw, raw_gradient

    def gradients(self, params, batch_stats, seen):
        raw, backward, batch_stats = jax.vjp(lambda params: self.forward(params, batch_stats), params, has_aux=True)
        loss, raw_gradient = jax.value_and_grad(self.loss)(raw, seen)
        return loss, raw, raw_gradient, backward(raw_gradient)[0], batch_stats

    def cost(self, loss, raw, raw_gradient):
        """Darknet's cost: of a detector the sum of its delta's squares (darknet.md 5.8, 12), of a softmax the loss."""
        if self.cfg.head.type == "detection":
            return np.sum(np.square(len(raw) * raw_gradient))
        if self.cfg.head.type == "region":
            return np.sum(np.square(_delta(raw, raw_gradient)))
        return loss * len(raw)


def _region(head, rows):
    """The region loss of truth rows (B,30,5): the list ends at x == 0, 999999 marks a class alone."""
    options, files = loss_options(head), {}
    mask = np.cumsum(rows[..., 0] == 0, axis=1) == 0
    boxes, labels = rows[..., :4].astype(np.float64), rows[..., 4].astype(np.int32)
    if head.tree:
        tree = _tree(golden_dir() / head.tree)
        only_class = mask & (rows[..., 0] > 100000)
        image_labels = np.where(only_class.any(1), labels[np.arange(len(rows)), only_class.argmax(1)], -1)
        mask &= ~only_class
        if head.map:
            labels = load_map(golden_dir() / head.map, tree)[np.where(mask, labels, 0)]
        files = {"tree": tree, "image_labels": image_labels}
    return lambda raw, seen: region_loss(raw, boxes, labels, mask, seen=seen, **options, **files).total


@cache
def _tree(path):
    return WordTree.load(path)


def _detection(head, cells):
    """YOLOv1's loss of truths by cell."""
    options = loss_options(head)
    truths = truths_of_cells(cells, options)
    return lambda raw, seen: yolo_v1_loss(raw, *truths, **options).total


def _softmax(head, truth):
    labels = truth.argmax(1)
    return lambda logits, seen: softmax_loss(logits, labels)


def _delta(raw, raw_gradient):
    """Darknet's delta, with respect to the activated output, from the gradient of the mean over the images."""
    output = 1 / (1 + np.exp(-raw[..., [0, 1, 4]]))
    delta = -raw_gradient * len(raw)
    delta[..., [0, 1, 4]] /= output * (1 - output)
    return delta


def _planes(grid):
    """[B,H,W,A,E] -> (B,A*E,H,W)."""
    batch, height, width = grid.shape[:3]
    return grid.transpose(0, 3, 4, 1, 2).reshape(batch, -1, height, width)


@pytest.mark.parametrize("name", _training_cases("cudnn", "none"))
def test_two_golden_steps(name, tmp_path):
    with jax.enable_x64(True):
        training = Training(name, tmp_path)
        update_rule = optimizer(training.cfg, training.case["seen_before_first_step"])
        params, batch_stats = training.variables["params"], training.variables["batch_stats"]
        state = update_rule.init(params)
        gradients_of = jax.jit(training.gradients)
        for number, step in enumerate(training.case["steps"]):
            loss, raw, raw_gradient, gradients, batch_stats = jax.device_get(
                gradients_of(params, batch_stats, step["seen"])
            )
            np.testing.assert_allclose(training.cost(loss, raw, raw_gradient), step["cost"], rtol=training.tolerance)
            if number == 0:
                _check_first_step(training, raw, raw_gradient, {"params": gradients, "batch_stats": batch_stats})
            updates, state = update_rule.update(gradients, state, params)
            _check_norms(training, params, batch_stats, state, step["update_norms_before_update"])
            params = optax.apply_updates(params, updates)
            rate = learning_rate(training.cfg.net)(step["seen"] // training.cfg.net.batch)
            np.testing.assert_allclose(rate, step["learning_rate"], rtol=min(training.tolerance, 1e-6))
        _check_result(training, {"params": params, "batch_stats": batch_stats})


def _check_first_step(training, raw, raw_gradient, gradients):
    images, near = len(raw), training.tolerance
    acts = training.arrays("acts")
    if acts:
        _assert_close(_planes(raw), acts["raw"], near)
        _assert_close(_planes(_delta(raw, raw_gradient)), acts["delta"], near)
        _assert_close(-images * _planes(raw_gradient), acts["neg_grad_last_conv_preact"], near)
    expected = training.arrays("grads")
    for index, arrays in to_arrays(training.cfg, gradients).items():
        for key, name in [("dw", "weights"), ("db", "biases"), ("ds", "scales")]:
            if f"{key}{index}" in expected:
                _assert_close(-images * arrays[name].ravel(), expected[f"{key}{index}"], near, f"{key}{index}")


def _check_norms(training, params, batch_stats, state, norms):
    """Darknet's weight_updates, momentum included, as they are before the decay joins them."""
    momentum = to_arrays(
        training.cfg, {"params": optax.tree_utils.tree_get(state, "trace"), "batch_stats": batch_stats}
    )
    weights = to_arrays(training.cfg, {"params": params, "batch_stats": batch_stats})
    for index, expected in norms.items():
        arrays = dict(momentum[int(index)])
        arrays["weights"] = arrays["weights"] - training.cfg.net.decay * weights[int(index)]["weights"]
        for name, value in zip(("weights", "biases", "scales"), expected, strict=True):
            if value is not None:
                norm = np.linalg.norm(arrays[name]) * len(training.images)
                np.testing.assert_allclose(norm, value, rtol=training.tolerance, err_msg=f"{name} of layer {index}")


def _check_result(training, variables):
    path = golden_dir() / f"train/{training.stem}_after2.weights"
    if not path.is_file():
        return
    header, expected = read_weights(path, training.cfg)
    assert header.seen == training.case["steps"][-1]["seen"]
    actual = to_arrays(training.cfg, variables)
    assert actual.keys() == expected.keys()
    for index, arrays in expected.items():
        for name, values in arrays.items():
            _assert_close(actual[index][name], values, training.tolerance, f"{name} of layer {index}")


@pytest.mark.parametrize("name", _training_cases("cpu"))
def test_first_cost_with_the_batch_norm_of_a_cpu(name, tmp_path):
    with jax.enable_x64(True):
        training, step = Training(name, tmp_path), golden_json("train/train.json")[f"train/{name}"]["steps"][0]
        cost = training.cost(*jax.device_get(jax.jit(training.loss_of)(**training.variables, seen=step["seen"])))
    np.testing.assert_allclose(cost, step["cost"], rtol=training.tolerance)


def _net(**options):
    lines = [f"{key}={value}" for key, value in options.items()]
    return parse_cfg("\n".join(["[net]", "inputs=1", *lines, "[dropout]", ""])).net


@pytest.mark.parametrize("name", _params(list(golden_json("unit/learning_rate.json"))))
def test_golden_learning_rates(name):
    case = golden_json("unit/learning_rate.json")[name]
    rate = jax.jit(learning_rate(_net(**case["options"]), unsigned=True))
    for number, expected in case["batch_rate"]:
        # Near its end Darknet's polynomial loses digits in float32; the rate is nothing there.
        np.testing.assert_allclose(rate(number), expected, rtol=2e-6, atol=1e-20, err_msg=f"batch {number}")


def test_steps_and_sigmoid_as_meant():
    rate = learning_rate(_net(policy="steps", steps="-1,100,20000", scales=".1,10,.1"))
    np.testing.assert_allclose([rate(n) for n in (1, 99, 100, 20000)], [1e-4, 1e-4, 1e-3, 1e-4], rtol=1e-6)
    rate = learning_rate(_net(policy="sigmoid", gamma=0.01, step=300))
    np.testing.assert_allclose(rate(200), 1e-3 / (1 + np.exp(-1)), rtol=1e-6)


@pytest.mark.parametrize("options", [{"policy": "random"}, {"policy": "poly"}])
def test_policies_that_cannot_be_followed_are_refused(options):
    with pytest.raises(UserError, match=f"policy={options['policy']}"):
        learning_rate(_net(**options))


UPDATED = """[net]
batch=4
inputs=3
learning_rate=.1
momentum=.5
decay=.01
policy=step
step=1
scale=.5
[connected]
output=2
stopbackward=1
[connected]
output=2
learning_rate=3
[connected]
output=2
"""


def test_updates_of_single_layers_against_a_plain_loop():
    cfg = parse_cfg(UPDATED)
    random = np.random.default_rng(0)
    shapes = {"layer0": (3, 2), "layer1": (2, 2), "layer2": (2, 2)}
    params = {name: {"kernel": random.normal(size=s), "bias": random.normal(size=2)} for name, s in shapes.items()}
    expected = jax.tree.map(np.copy, params)
    velocity = jax.tree.map(np.zeros_like, params)
    update_rule = optimizer(cfg, seen=6)
    state = update_rule.init(params)
    for number in (2, 3):  # (6 + 4) div 4 and (10 + 4) div 4
        gradients = jax.tree.map(lambda x: random.normal(size=x.shape), params)
        updates, state = update_rule.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
        for name, factor in [("layer0", 1), ("layer1", 3), ("layer2", 1)]:
            for kind, decay in [("kernel", 0.01), ("bias", 0)]:
                gradient = 0 if name == "layer0" else gradients[name][kind]
                velocity[name][kind] = 0.5 * velocity[name][kind] + gradient + decay * expected[name][kind]
                expected[name][kind] -= 0.1 * 0.5**number * factor * velocity[name][kind]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), params, expected)


def test_loss_options():
    text = "[net]\nwidth=1\nheight=1\nchannels={}\n[{}]\nclasses=2\nnum=1\nrescore=1\n{}\n"
    head = parse_cfg(text.format(7, "region", "anchors=3,4\nthresh=.6\nobject_scale=5\nsoftmax=1")).head
    options = loss_options(head)
    assert options.pop("anchors_cells").tolist() == [[3, 4]]
    scales = {"coord_scale": 1, "object_scale": 5, "noobject_scale": 1, "class_scale": 1, "rescore": True}
    assert options == scales | {
        "ignore_threshold": 0.6, "bias_match": False, "background": False, "class_activation": "softmax"
    }  # fmt: skip
    detection = "coords=4\nside=1\nobject_scale=5\nsqrt=1"
    assert loss_options(parse_cfg(text.format(7, "detection", detection)).head) == scales | {
        "side": 1, "boxes_per_cell": 1, "num_classes": 2, "sqrt": True, "softmax": False, "forced": False
    }  # fmt: skip
    with pytest.raises(UserError, match="random=1"):
        loss_options(parse_cfg(text.format(7, "detection", detection + "\nrandom=1")).head)
