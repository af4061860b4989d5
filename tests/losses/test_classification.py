"""The classification losses against Darknet's numbers (golden c*) and a plain loop."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers import golden_dir, golden_root
from yolo9000_jax.losses.classification import softmax_loss, tree_softmax_loss
from yolo9000_jax.wordtree.softmax import absolute_log_probabilities, group_log_softmax, predict_top_down
from yolo9000_jax.wordtree.tree import WordTree


def _cases(has_tree):
    path = golden_root() / "loss/loss.json"
    cases = json.loads(path.read_text()) if path.is_file() else {}
    names = [name for name, case in cases.items() if name.startswith("c") and ("tree" in case) == has_tree]
    return names or [pytest.param(None, marks=pytest.mark.skip(reason="no golden files"))]


def _load(name):
    return json.loads((golden_dir() / "loss/loss.json").read_text())[name], np.load(golden_dir() / f"loss/{name}.npz")


def _assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", _cases(has_tree=False))
def test_golden_softmax(name):
    case, arrays = _load(name)
    logits, labels = arrays["x"], np.argmax(arrays["truth"], axis=1)
    loss, gradient = jax.value_and_grad(softmax_loss)(logits, labels)
    np.testing.assert_allclose(loss * len(labels), case["cost"], rtol=1e-5)
    _assert_close(-gradient * len(labels), arrays["delta"])
    _assert_close(jax.nn.softmax(logits), arrays["output"])


@pytest.mark.parametrize("name", _cases(has_tree=True))
def test_golden_tree_softmax(name):
    """Loss, delta, conditional and absolute probabilities, and the top-down prediction under both rules."""
    case, arrays = _load(name)
    tree = WordTree.load(golden_dir() / case["tree"])
    logits, labels = jnp.asarray(arrays["x"]) / case["temperature"], jnp.asarray(arrays["label"], jnp.int32)
    loss, gradient = jax.jit(jax.value_and_grad(lambda x: tree_softmax_loss(x, labels, tree)))(logits)
    np.testing.assert_allclose(loss * len(labels), case["cost"], rtol=1e-5)
    _assert_close(-gradient * len(labels), arrays["delta"])  # Darknet's delta is with respect to logits / temperature

    log_conditional = group_log_softmax(logits, tree)
    conditional, absolute = jnp.exp(log_conditional), jnp.exp(absolute_log_probabilities(log_conditional, tree))
    np.testing.assert_allclose(conditional, arrays["output"], rtol=1e-5)
    np.testing.assert_allclose(absolute, arrays["absolute"], rtol=1e-5, atol=1e-30)
    np.testing.assert_allclose(jnp.where(tree.leaves, absolute, 0), arrays["leaves"], rtol=1e-5, atol=1e-30)
    predict = jax.jit(predict_top_down, static_argnums=(1, 3))
    for column, rule in [(1, "conditional"), (2, "darknet")]:
        for row in range(arrays["top"].shape[1]):
            threshold = arrays["top"][:, row, 0].astype(np.float32)
            assert np.all(threshold == threshold[0])
            nodes, probabilities = predict(conditional, tree, threshold[0], rule)
            np.testing.assert_array_equal(nodes, arrays["top"][:, row, column])
            np.testing.assert_allclose(probabilities, np.asarray(absolute)[np.arange(len(nodes)), nodes], rtol=1e-5)
