"""The comparison of trainings with Darknet's library, live where that is installed."""

import argparse
import importlib
import shutil

import numpy as np
import pytest

from tests.helpers import DARKNET_CFG, ROOT


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
    options = argparse.Namespace(**arguments, as_it_is=False, batch_norm="cpu")
    losses, _ = training.compare(options, tmp_path)
    np.testing.assert_allclose(losses[0, 0], losses[0, 1], rtol=5e-3)
    np.testing.assert_allclose(losses[1, 0], losses[1, 1], rtol=0.1)
