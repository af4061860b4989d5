"""The picture of a confusion matrix."""

import warnings

import numpy as np
import pytest
from PIL import Image

from yolo9000_jax.errors import UserError
from yolo9000_jax.report.plots import plot_confusion


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


def test_a_large_matrix(tmp_path):
    """Twelve classes and three answers more; one row is empty, one name is hard to draw."""
    matrix = np.random.default_rng(0).integers(0, 90, (12, 15))
    matrix[3] = 0
    rows = ["$money$", *(f"class {n}" for n in range(11))]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_confusion(matrix.tolist(), rows, [*rows, "undecided", "other", "missed"], tmp_path / "a/b.png")
    assert min(pixels(tmp_path / "a/b.png").shape[:2]) >= 500


def test_counts_and_shares_are_drawn(tmp_path):
    """The same shares with other counts, and the same counts in another order, are other pictures."""
    names = ["cat", "dog"]
    for name, matrix in (("a", [[3, 1], [0, 4]]), ("b", [[6, 2], [0, 8]]), ("c", [[1, 3], [0, 4]])):
        plot_confusion(matrix, names, names, tmp_path / f"{name}.png")
    first, *others = (pixels(tmp_path / f"{name}.png") for name in "abc")
    assert all(other.shape != first.shape or (other != first).any() for other in others)


def test_nothing_to_draw(tmp_path):
    with pytest.raises(UserError, match="no class to draw"):
        plot_confusion([], [], ["missed"], tmp_path / "c.png")
