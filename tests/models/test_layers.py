"""Layers: against plain NumPy, against each other, and against Darknet's values and gradients (golden unit/)."""

import json
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers import golden_dir, golden_json, golden_root
from yolo9000_jax.errors import UserError
from yolo9000_jax.models import layers
from yolo9000_jax.models.layers import (
    BatchNorm,
    BatchNormOptions,
    Conv,
    leaky_relu,
    max_pool,
    reorg,
    scaled,
    space_to_depth,
)

ACTIVATIONS = {"leaky": leaky_relu, "linear": None, "logistic": jax.nn.sigmoid, "relu": jax.nn.relu}
NORMS = {
    "cpu": BatchNormOptions(epsilon=1e-6, epsilon_outside_root=True, unbiased=True),
    "cudnn": BatchNormOptions(),
}


def random(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# Batch norm


def norm_variables(channels):
    scale, bias, mean, var = random(0, 4, channels)
    return {"params": {"scale": scale, "bias": bias}, "batch_stats": {"mean": mean, "var": np.exp(var)}}


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("epsilon_outside_root", [False, True])
def test_batch_norm_is_its_formula(epsilon_outside_root, unbiased):
    x, variables = 3 * random(1, 2, 3, 4, 5) + 1, norm_variables(5)
    # A large epsilon, so that its place shows.
    norm = BatchNorm(momentum=0.9, epsilon=0.1, epsilon_outside_root=epsilon_outside_root, unbiased=unbiased)

    def expected(mean, var):
        root = np.sqrt(var) + 0.1 if epsilon_outside_root else np.sqrt(var + 0.1)
        return (x - mean) / root * variables["params"]["scale"] + variables["params"]["bias"]

    old = variables["batch_stats"]
    np.testing.assert_allclose(norm.apply(variables, x), expected(old["mean"], old["var"]), rtol=1e-4, atol=1e-5)
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2), ddof=1)
    y, updates = norm.apply(variables, x, True, mutable=["batch_stats"])
    np.testing.assert_allclose(y, expected(mean, x.var((0, 1, 2), ddof=int(unbiased))), rtol=1e-4, atol=1e-5)
    new = updates["batch_stats"]
    np.testing.assert_allclose(new["mean"], 0.9 * old["mean"] + 0.1 * mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(new["var"], 0.9 * old["var"] + 0.1 * var, rtol=1e-5)  # unbiased in any case


def test_batch_norm_shared_over_devices_is_that_of_the_whole_batch():
    x, variables, weights = random(1, 4, 2, 3, 3, 5), norm_variables(5), random(2, 4, 2, 3, 3, 5)

    def run(norm, x):
        y, updates = norm.apply(variables, x, True, mutable=["batch_stats"])
        return y, updates["batch_stats"]

    def devices(x):
        return jax.vmap(partial(run, BatchNorm(axis_name="batch")), axis_name="batch")(x)

    def whole(x):
        return run(BatchNorm(), x.reshape(8, 3, 3, 5))

    (y, stats), (y_whole, stats_whole) = jax.jit(devices)(x), jax.jit(whole)(x)
    np.testing.assert_allclose(y.reshape(y_whole.shape), y_whole, atol=2e-5)
    for key in ("mean", "var"):
        for device in range(4):
            np.testing.assert_allclose(stats[key][device], stats_whole[key], rtol=1e-5, atol=1e-6)
    gradient = jax.jit(jax.grad(lambda x: (devices(x)[0] * weights).sum()))(x)
    gradient_whole = jax.jit(jax.grad(lambda x: (whole(x)[0].reshape(x.shape) * weights).sum()))(x)
    np.testing.assert_allclose(gradient, gradient_whole, atol=2e-5)
    alone = jax.jit(jax.vmap(partial(run, BatchNorm())))(x)[0]
    assert np.abs(alone - y).max() > 0.1  # without the axis each device has its own


def test_batch_norm_starts_as_the_identity_anywhere():
    x = random(1, 2, 3, 3, 5)
    norm = BatchNorm(axis_name="batch")  # outside the mapped axis
    variables = norm.init(jax.random.key(0), x, True)
    assert not variables["batch_stats"]["mean"].any() and (variables["batch_stats"]["var"] == 1).all()
    np.testing.assert_allclose(norm.apply(variables, x), x / np.sqrt(1 + 1e-5), rtol=1e-6)


def test_batch_norm_in_bfloat16_keeps_its_statistics_in_float32():
    x, variables = random(1, 4, 8, 8, 5) + 3, norm_variables(5)
    y, updates = BatchNorm().apply(variables, jnp.asarray(x, jnp.bfloat16), True, mutable=["batch_stats"])
    expected, updates32 = BatchNorm().apply(variables, x, True, mutable=["batch_stats"])
    assert y.dtype == jnp.bfloat16 and updates["batch_stats"]["var"].dtype == jnp.float32
    np.testing.assert_allclose(updates["batch_stats"]["var"], updates32["batch_stats"]["var"], rtol=1e-3)
    np.testing.assert_allclose(y.astype(np.float32), expected, atol=0.1)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("ratio", [0.1, 1, 10, 30])
def test_batch_norm_in_bfloat16_is_as_exact_as_flax(ratio, train):
    """Whatever the mean divided by the standard deviation: no large numbers are rounded before they cancel."""
    x = jnp.asarray(random(1, 8, 16, 16, 5) + ratio, jnp.bfloat16)
    wide = np.asarray(x, np.float64)
    mean, var = wide.mean((0, 1, 2)), wide.var((0, 1, 2))
    variables = {"params": {"scale": np.ones(5), "bias": np.zeros(5)}, "batch_stats": {"mean": mean, "var": var}}
    variables = jax.tree.map(np.float32, variables)
    exact = (wide - mean) / np.sqrt(var + 1e-5)
    flax = nn.BatchNorm(use_running_average=not train, dtype=jnp.bfloat16)

    def error(y):
        return np.sqrt(np.mean((np.asarray(y, np.float64) - exact) ** 2))

    ours = BatchNorm().apply(variables, x, train, mutable=["batch_stats"])[0]
    assert ours.dtype == jnp.bfloat16
    assert error(ours) <= 1.05 * error(flax.apply(variables, x, mutable=["batch_stats"])[0]) < 0.003


# Max pooling


def pool_oracle(x, gradient, size, stride, padding):
    """darknet.md 4.3, window by window: values [B, H', W', C] and the gradient for x, of `gradient` [B, H', W', C]."""
    batch, height, width, channels = x.shape
    total = size - 1 if padding is None else padding
    rows, columns = ((side + total - size) // stride + 1 for side in (height, width))
    y, dx = np.full((batch, rows, columns, channels), -np.inf, x.dtype), np.zeros_like(x)
    for b, i, j, c in np.ndindex(y.shape):
        best = None
        for row in range(i * stride - total // 2, i * stride - total // 2 + size):
            for column in range(j * stride - total // 2, j * stride - total // 2 + size):
                if 0 <= row < height and 0 <= column < width and x[b, row, column, c] > y[b, i, j, c]:
                    best, y[b, i, j, c] = (row, column), x[b, row, column, c]
        dx[(b, *best, c)] += 0 if gradient is None else gradient[b, i, j, c]
    return y, dx


POOLS = [  # height, width, size, stride, padding
    (6, 8, 2, 2, None),
    (6, 8, 2, 2, 0),
    (6, 8, 2, 2, 1),
    (6, 8, 2, 2, 2),
    (7, 9, 2, 2, None),
    (7, 9, 2, 2, 0),
    (7, 6, 2, 2, None),
    (5, 7, 2, 1, None),
    (5, 7, 2, 1, 0),
    (7, 8, 3, 2, None),
    (7, 8, 3, 2, 0),
    (7, 8, 3, 3, 1),
    (5, 6, 3, 1, None),
    (9, 8, 4, 2, 3),
]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("height", "width", "size", "stride", "padding"), POOLS)
def test_max_pool_is_its_loop(height, width, size, stride, padding, ties):
    x = random(0, 2, height, width, 3)
    x = np.round(x) if ties else x
    expected, _ = pool_oracle(x, None, size, stride, padding)
    y, pullback = jax.vjp(lambda x: max_pool(x, size, stride, padding), x)
    np.testing.assert_array_equal(y, expected)
    gradient = random(1, *y.shape)
    _, expected = pool_oracle(x, gradient, size, stride, padding)
    np.testing.assert_allclose(pullback(jnp.asarray(gradient))[0], expected, atol=1e-6)


def test_fast_max_pool_is_flaxs():
    x, gradient = random(0, 2, 8, 12, 5), random(1, 2, 4, 6, 5)
    ours, theirs = (jax.vjp(pool, x) for pool in (max_pool, lambda x: nn.max_pool(x, (2, 2), (2, 2))))
    np.testing.assert_array_equal(ours[0], theirs[0])
    np.testing.assert_array_equal(ours[1](gradient)[0], theirs[1](gradient)[0])


def test_each_window_gives_its_gradient_once():
    gradient = random(1, 2, 4, 6, 5)
    dx = jax.vjp(max_pool, jnp.ones((2, 8, 12, 5)))[1](gradient)[0]
    np.testing.assert_array_equal(dx[:, ::2, ::2], gradient)
    assert np.count_nonzero(dx) == gradient.size


# reorg and the rest


def test_reorg_is_spec_4_5():
    x = random(0, 2, 4, 6, 8)
    flat = np.moveaxis(x, -1, 1).reshape(2, 2, 8, 12)  # Z of darknet.md 4.5: (C / 4, 2 H, 2 W)
    expected = np.zeros((2, 8, 4, 6), np.float32)
    for k, j, i in np.ndindex(8, 4, 6):
        expected[:, k, j, i] = flat[:, k % 2, 2 * j + k // 2 // 2, 2 * i + k // 2 % 2]
    np.testing.assert_array_equal(np.moveaxis(reorg(x), -1, 1), expected.reshape(2, 32, 2, 3))


@pytest.mark.parametrize("shape", [(1, 4, 4, 6), (1, 5, 4, 8), (1, 4, 5, 8)])
def test_reorg_refuses_what_it_cannot_divide(shape):
    with pytest.raises(UserError, match="cannot divide"):
        reorg(jnp.zeros(shape))


def test_leaky_relu_and_its_slope_at_zero():
    x = np.float32([-2, 0, 3])
    np.testing.assert_allclose(leaky_relu(x), [-0.2, 0, 3])
    np.testing.assert_allclose(jax.vmap(jax.grad(leaky_relu))(x), [0.1, 0.1, 1])


def test_conv_starts_as_darknets():
    """darknet.md 4.1: normal weights of standard deviation sqrt(2 / fan-in), bias 0."""
    params = Conv(64, 3, norm=None).init(jax.random.key(0), jnp.zeros((1, 8, 8, 32)))["params"]
    assert params["kernel"].shape == (3, 3, 32, 64) and not params["bias"].any()
    assert np.std(params["kernel"]) == pytest.approx(np.sqrt(2 / (9 * 32)), rel=0.03)
    assert abs(np.mean(params["kernel"])) < 0.002


@pytest.mark.parametrize(
    ("filters", "width", "expected"), [(32, 1, 32), (32, 1 / 16, 4), (64, 0.25, 16), (1024, 1 / 3, 340), (32, 1.5, 48)]
)
def test_scaled(filters, width, expected):
    assert scaled(filters, width) == expected


# Darknet's own values and gradients


def cases(*sections):
    path = golden_root() / "misc.json"
    entries = json.loads(path.read_text()) if path.is_file() else {}
    names = [name for name, entry in entries.items() if entry.get("section") in sections]
    return names or [pytest.param(None, marks=pytest.mark.skip(reason="no golden files"))]


def load(name):
    """Options, and arrays in float64, those of pictures as [B, H, W, C]."""
    entry = json.loads((golden_dir() / "misc.json").read_text())[name]
    arrays = {key: value.astype(np.float64) for key, value in np.load(golden_dir() / f"{name}.npz").items()}
    return entry, {key: np.moveaxis(value, 1, -1) if value.ndim == 4 else value for key, value in arrays.items()}


def assert_close(ours, expected, what):
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max(), err_msg=what)


@pytest.mark.parametrize(("shape", "stride"), [((2, 4, 6, 3), 2), ((1, 6, 3, 2), 3), ((1, 2, 2, 1), 1)])
def test_space_to_depth_stacks_neighbours(shape, stride):
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    found = np.asarray(space_to_depth(jnp.asarray(x), stride))
    for batch, row, column in np.ndindex(*found.shape[:3]):
        block = x[batch, row * stride : (row + 1) * stride, column * stride : (column + 1) * stride]
        np.testing.assert_array_equal(found[batch, row, column], block.ravel())
    with pytest.raises(UserError, match="cannot divide a 3x4 input evenly"):
        space_to_depth(jnp.zeros((1, 3, 4, 4)))


@pytest.mark.parametrize("name", cases("maxpool", "reorg"))
def test_golden_rearrangement(name):
    entry, arrays = load(name)
    layer = partial({"maxpool": max_pool, "reorg": reorg}[entry["section"]], **entry["options"])
    y, pullback = jax.vjp(layer, arrays["x"].astype(np.float32))
    np.testing.assert_array_equal(y, arrays["y"])
    assert_close(pullback(arrays["dy"].astype(np.float32))[0], arrays["dx"], name)


def test_golden_reorg_permutation():
    entries = golden_json("misc.json")
    names = [name for name in entries if name.startswith("unit/reorg_perm")]
    if not names:
        pytest.skip("this golden folder has no table of reorg")
    for name in names:
        channels, height, width = map(int, name.rsplit("_", 1)[1].split("x"))
        numbers = np.arange(channels * height * width).reshape(1, channels, height, width)
        ours = np.moveaxis(reorg(jnp.asarray(np.moveaxis(numbers, 1, -1))), -1, 1)
        np.testing.assert_array_equal(ours.ravel(), np.load(golden_dir() / f"{name}.npz")["perm"])


def conv_case(name, variant):
    """The layer, its variables and its arrays; `variant` "cpu" or "cudnn" (darknet.md 4.2), "" without batch norm."""
    entry, arrays = load(name)
    options, size = entry["options"], entry["options"]["size"]
    padding = size // 2 if options.get("pad") else options.get("padding", 0)
    activation = ACTIVATIONS[options["activation"]]
    conv = Conv(options["filters"], size, options["stride"], padding, activation, NORMS.get(variant))
    conv = conv.clone(dtype=jnp.float64, param_dtype=jnp.float64)
    weights = arrays["weights"].reshape(options["filters"], entry["chw"][0], size, size).transpose(2, 3, 1, 0)
    if not variant:
        return conv, entry, arrays, {"params": {"kernel": weights, "bias": arrays["biases"]}}
    norm = {"scale": arrays["scales"], "bias": arrays["biases"]}
    stats = {"norm": {"mean": arrays["rmean"], "var": arrays["rvar"]}}
    return conv, entry, arrays, {"params": {"kernel": weights, "norm": norm}, "batch_stats": stats}


@pytest.mark.parametrize("name", cases("convolutional"))
def test_golden_convolution(name):
    variants = ("cpu", "cudnn") if load(name)[0]["options"].get("batch_normalize") else ("",)
    for variant in variants:
        check_convolution(name, variant)


def check_convolution(name, variant):
    with jax.enable_x64(True):
        conv, entry, arrays, variables = conv_case(name, variant)
        train, rest = bool(entry["train"]), {key: value for key, value in variables.items() if key != "params"}

        @jax.jit
        def run(params, x, dy):
            def forward(params, x):
                return conv.apply({"params": params, **rest}, x, train, mutable=["batch_stats"])

            y, pullback, updates = jax.vjp(forward, params, x, has_aux=True)
            return y, updates, pullback(dy)

        y, updates, (gradients, dx) = run(variables["params"], arrays["x"], arrays["dy"])
        assert y.dtype == jnp.float64
    suffix = f"_{variant}" if variant else ""
    assert_close(y, arrays[f"y{suffix}"], f"{name} y{suffix}")
    if train:
        for ours, theirs in (("mean", "rolling_mean"), ("var", "rolling_variance")):
            assert_close(updates["batch_stats"]["norm"][ours], arrays[f"{theirs}{suffix}"], f"{name} {theirs}{suffix}")
    if variant and not train:
        return  # Darknet's gradients there mix running statistics with the rules of training
    bias, scale = (gradients["norm"]["bias"], gradients["norm"]["scale"]) if variant else (gradients["bias"], None)
    assert_close(bias, arrays[f"db{suffix}"], f"{name} db{suffix}")
    if variant:
        assert_close(scale, arrays[f"ds{suffix}"], f"{name} ds{suffix}")
    if variant != "cpu":  # its rule is not the exact derivative (darknet.md 4.2)
        assert_close(gradients["kernel"].transpose(3, 2, 0, 1).ravel(), arrays[f"dw{suffix}"], f"{name} dw{suffix}")
        assert_close(dx, arrays[f"dx{suffix}"], f"{name} dx{suffix}")


def test_the_fast_pool_is_used_where_it_can_be(monkeypatch):
    used = []
    monkeypatch.setattr(layers, "_max_pool_2x2", lambda x: used.append(x.shape))
    max_pool(jnp.zeros((1, 4, 6, 1)))
    assert used == [(1, 4, 6, 1)]
