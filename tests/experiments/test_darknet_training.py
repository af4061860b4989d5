"""The comparison of trainings with Darknet's library: live where it is installed, and its own parts."""

import argparse
import importlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers import DARKNET_CFG, ROOT
from yolo9000_jax.models.layers import BatchNorm


@pytest.fixture
def training(monkeypatch):
    """The module experiments/benchmarks/darknet_training.py."""
    monkeypatch.syspath_prepend(ROOT / "experiments/benchmarks")
    return importlib.import_module("darknet_training")


@pytest.mark.parametrize("name", ["yolov2-tiny-voc", "yolov1-tiny", "darknet19"])
def test_the_first_losses_are_darknets(training, name, tmp_path):
    """The first is of the same weights; the second also of gradients, which a random network magnifies."""
    cfg = DARKNET_CFG / f"{name}.cfg"
    if not (training.LIBRARY.is_dir() and cfg.is_file() and shutil.which("cc")):
        pytest.skip("the library of darknet, its cfg files or a C compiler are not installed")
    arguments = {"cfg": cfg, "narrow": 32, "size": 64, "batch": 4, "rate": 1e-4, "steps": 2, "seed": 0}
    options = argparse.Namespace(**arguments, as_it_is=False, batch_norm="darknet")
    losses, _ = training.compare(options, tmp_path)
    np.testing.assert_allclose(losses[0, 0], losses[0, 1], rtol=5e-3)
    np.testing.assert_allclose(losses[1, 0], losses[1, 1], rtol=0.1)


def test_the_batch_norm_of_a_cpu(training):
    """Forward as our own with a CPU's options; backward by the formula of darknet.md 4.2, written as a loop."""
    random = np.random.default_rng(0)
    x, slope = (random.normal(size=(2, 3, 3, 2)).astype(np.float32) for _ in range(2))
    module, own = training.CpuBatchNorm(), BatchNorm(epsilon=1e-6, epsilon_outside_root=True, unbiased=True)
    variables = own.init(jax.random.key(0), x)
    variables["params"]["scale"] = jnp.array([0.7, 1.3])

    def output(module, x):
        return module.apply(variables, x, train=True, mutable=["batch_stats"])

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), output(module, x), output(own, x))
    found = jax.grad(lambda x: jnp.sum(slope * output(module, x)[0]))(x)
    for channel, gamma in enumerate((0.7, 1.3)):
        values, g = x[..., channel].astype(float), gamma * slope[..., channel]
        count, mean, variance = values.size, values.mean(), values.var(ddof=1) + 1e-5
        dv, dm = -0.5 * variance**-1.5 * (g * (values - mean)).sum(), -g.sum() / np.sqrt(variance)
        expected = g / np.sqrt(variance) + 2 * dv * (values - mean) / count + dm / count
        np.testing.assert_allclose(found[..., channel], expected, rtol=1e-4, atol=1e-5)
