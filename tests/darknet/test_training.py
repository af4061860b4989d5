"""Darknet's learning rates, updates and whole training steps against its own numbers (golden train/, in float64)."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.helpers import golden_dir, golden_json, golden_weights
from tests.losses.test_yolo_v1 import truths_of_cells
from yolo9000_jax.darknet.building import head_of_cfg, layer_rates
from yolo9000_jax.darknet.cfg import Cfg, parse_cfg
from yolo9000_jax.darknet.network import build_network, to_arrays, to_variables
from yolo9000_jax.darknet.recipe import training_of
from yolo9000_jax.darknet.weights import read_weights
from yolo9000_jax.errors import UserError
from yolo9000_jax.losses.classification import softmax_loss
from yolo9000_jax.losses.region import region_loss
from yolo9000_jax.losses.yolo_v1 import yolo_v1_loss
from yolo9000_jax.models.layers import BatchNormOptions
from yolo9000_jax.models.network import Network
from yolo9000_jax.training import schedule
from yolo9000_jax.wordtree.tree import WordTree, load_map

LAST = 1_000_000  # max_batches where the cfg says none
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
        self.cfg = _endless(cfg_path.read_text())
        self.config = training_of(self.cfg)
        stored = self.arrays("input")
        self.images = jnp.asarray(stored["u8"].transpose(0, 2, 3, 1) / 255.0)
        self.variables = jax.tree.map(
            lambda x: jnp.asarray(x, jnp.float64), to_variables(self.cfg, read_weights(weights, self.cfg)[1])
        )
        self.module = build_network(self.cfg, jnp.float64, "gpu", jnp.float64)
        if self.case["bn_mode"] == "cpu":
            self.module = self.module.clone(norm=CPU_NORM)
        loss = {"region": _region, "detection": _detection}.get(self.cfg.head.type, _softmax)
        self.loss = loss(self.cfg, self.config, stored["truth"])

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


def _endless(text) -> Cfg:
    """The cfg, where it does not say for how many batches, trained for very many."""
    return parse_cfg(text if "max_batches" in text else text.replace("[net]", f"[net]\nmax_batches={LAST}", 1))


def _region(cfg, config, rows):
    """The region loss of truth rows (B,30,5): the list ends at x == 0, 999999 marks a class alone."""
    head, files = cfg.head, {}
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
    options = config.loss.to_dict() | {"class_box": "darknet", "class_objectness": "darknet"} | files
    options |= {name: getattr(head_of_cfg(cfg, None), name) for name in ("class_activation", "background")}
    anchors = np.reshape(head.anchors, (-1, 2))
    return lambda raw, seen: region_loss(raw, boxes, labels, mask, anchors, seen=seen, **options).total


@cache
def _tree(path):
    return WordTree.load(path)


def _detection(cfg, config, cells):
    """YOLOv1's loss of truths by cell."""
    names = ("side", "boxes_per_cell", "num_classes", "sqrt", "softmax")
    options = config.yolo_v1_loss.to_dict() | {name: getattr(head_of_cfg(cfg, None), name) for name in names}
    truths = truths_of_cells(cells, options)
    return lambda raw, seen: yolo_v1_loss(raw, *truths, **options).total


def _softmax(cfg, config, truth):
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
        update_rule = schedule.optimizer(training.config.optimizer)
        rate_of = schedule.learning_rate(training.config.optimizer)
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
            rate = rate_of(step["seen"] // training.cfg.net.batch - 1, (0, training.config.steps))
            params = optax.apply_updates(params, optax.tree.scale(-float(rate), updates))
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


def _rate(**options):
    """The rate of a cfg with these options of [net], as a function of Darknet's batch number, which starts at 1."""
    lines = [f"{key}={value}" for key, value in ({"max_batches": LAST} | options).items()]
    cfg = parse_cfg("\n".join(["[net]", "inputs=1", *lines, "[softmax]", ""]))
    config = training_of(cfg)
    rate = jax.jit(schedule.learning_rate(config.optimizer))
    return lambda number: rate(number - 1, (0, config.steps))


@pytest.mark.parametrize("name", _params(list(golden_json("unit/learning_rate.json"))))
def test_golden_learning_rates(name):
    case = golden_json("unit/learning_rate.json")[name]
    rate = _rate(**case["options"])
    for number, expected in case["batch_rate"]:
        if "-" in case["options"].get("steps", "") or (case["options"]["policy"] == "sigmoid" and number < 300):
            continue  # where Darknet's unsigned numbers give what is not meant (darknet.md 8)
        # Near its end a polynomial loses digits in float32; the rate is nothing there.
        near = 1e-10 if number > 0.99 * case["options"]["max_batches"] else 1e-20
        np.testing.assert_allclose(rate(number), expected, rtol=3e-6, atol=near, err_msg=f"batch {number}")


def test_steps_and_sigmoid_as_meant():
    rate = _rate(policy="steps", steps="-1,100,20000", scales=".1,10,.1")
    np.testing.assert_allclose([rate(n) for n in (1, 99, 100, 20000)], [1e-4, 1e-4, 1e-3, 1e-4], rtol=1e-6)
    rate = _rate(policy="sigmoid", gamma=0.01, step=300)
    np.testing.assert_allclose(rate(200), 1e-3 / (1 + np.exp(-1)), rtol=1e-6)


@pytest.mark.parametrize(
    "options, message", [({"policy": "random"}, "policy=random"), ({"max_batches": 0}, "no max_batches")]
)
def test_what_cannot_be_followed_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        _rate(**options)


UPDATED = """[net]
batch=4
width=1
height=1
channels=3
[connected]
output=2
stopbackward=1
[connected]
output=2
learning_rate=3
[connected]
output=2
[softmax]
"""


def test_updates_of_single_layers_against_a_plain_loop():
    """stopbackward=1 leaves a layer its decay alone, learning_rate=3 moves one three times as far."""
    cfg = _endless(UPDATED)
    network = Network("classification", ("a", "b"), 1, architecture="cfg", cfg=cfg.text)
    module, config, random = build_network(cfg), training_of(cfg), np.random.default_rng(0)
    images = random.random((4, 1, 1, 3), np.float32)
    params = module.init(jax.random.key(0), images)["params"]
    config.optimizer.momentum, config.optimizer.weight_decay = 0.5, 0.01
    update_rule = schedule.optimizer(config.optimizer, layer_rates(network))
    state, expected = update_rule.init(params), jax.tree.map(np.array, params)
    velocity = jax.tree.map(np.zeros_like, expected)
    for _ in range(2):
        loss = lambda params: softmax_loss(module.apply({"params": params}, images), np.array([0, 1, 0, 1]))  # noqa: E731
        gradients = jax.grad(loss)(params)
        updates, state = update_rule.update(gradients, state, params)
        params = jax.tree.map(lambda x, update: x - 0.1 * update, params, updates)
        for name, factor in [("layer0", 1), ("layer1", 3), ("layer2", 1)]:
            assert np.any(gradients[name]["kernel"]) == (name != "layer0")
            for kind, decay in [("kernel", 0.01), ("bias", 0)]:
                gradient = gradients[name][kind]
                velocity[name][kind] = 0.5 * velocity[name][kind] + gradient + decay * expected[name][kind]
                expected[name][kind] = expected[name][kind] - 0.1 * factor * velocity[name][kind]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), params, expected)
