"""Maths on the tree against plain loops; Darknet's numbers are in tests/losses/test_classification.py."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wordtree.test_tree import parents_lists
from yolo9000_jax.errors import UserError
from yolo9000_jax.wordtree.softmax import (
    absolute_log_probabilities,
    group_log_softmax,
    path_cross_entropies,
    path_loss,
    predict_top_down,
)
from yolo9000_jax.wordtree.tree import WordTree


def _tree(parents):
    return WordTree(tuple(f"n{i}" for i in range(len(parents))), np.array(parents))


def _conditionals(logits, tree):
    """Log-softmax group by group, float64."""
    logits, result = np.asarray(logits, np.float64), np.empty(logits.shape)
    for offset, size in zip(tree.group_offsets, tree.group_sizes, strict=True):
        members = logits[..., offset : offset + size]
        members = members - members.max(axis=-1, keepdims=True)
        result[..., offset : offset + size] = members - np.log(np.exp(members).sum(axis=-1, keepdims=True))
    return result


def _absolutes(log_conditional, tree):
    columns = [log_conditional[..., list(tree.path(node))].sum(axis=-1) for node in range(len(tree))]
    return np.stack(columns, axis=-1)


@pytest.fixture(scope="module")
def tree():
    """Groups of 3, 1, 40, 5, 1, 2 nodes on four levels, labels of all depths."""
    return _tree([-1] * 3 + [0] + [2] * 40 + [3] * 5 + [10] + [47] * 2)


@pytest.fixture(scope="module")
def logits(tree):
    return np.random.default_rng(0).normal(0, 3, (2, 4, len(tree))).astype(np.float32)


@settings(max_examples=10, deadline=None)
@given(parents=parents_lists(), seed=st.integers(0, 99))
def test_random_trees(parents, seed):
    tree = _tree(parents)
    logits = np.random.default_rng(seed).normal(0, 4, (3, len(tree))).astype(np.float32)
    labels = np.random.default_rng(seed).integers(0, len(tree), 3).astype(np.int32)

    @jax.jit
    def everything(logits):
        conditional = group_log_softmax(logits, tree)
        return conditional, absolute_log_probabilities(conditional, tree), path_loss(logits, labels, tree)

    conditional, absolute, loss = everything(logits)
    np.testing.assert_allclose(conditional, _conditionals(logits, tree), atol=2e-5)
    expected = _absolutes(_conditionals(logits, tree), tree)
    np.testing.assert_allclose(absolute, expected, atol=1e-4)
    np.testing.assert_allclose(loss, -expected[np.arange(3), labels], atol=1e-4)


def test_batched_and_jitted(tree, logits):
    conditional = jax.jit(group_log_softmax, static_argnums=1)(logits, tree)
    np.testing.assert_allclose(conditional, _conditionals(logits, tree), atol=1e-5)
    absolute = jax.jit(absolute_log_probabilities, static_argnums=1)(conditional, tree)
    np.testing.assert_allclose(absolute, _absolutes(_conditionals(logits, tree), tree), atol=1e-5)
    assert conditional.dtype == np.float32
    np.testing.assert_array_equal(conditional[..., 3], 0)  # an only child


def test_huge_logits_stay_finite(tree, logits):
    conditional = group_log_softmax(logits * 1e4, tree)
    assert np.isfinite(conditional).all()
    np.testing.assert_allclose(conditional, _conditionals(logits * 1e4, tree), rtol=1e-5)
    assert np.isfinite(jax.grad(lambda x: path_loss(x, jnp.zeros((2, 4), jnp.int32), tree).sum())(logits * 1e4)).all()


def test_group_log_softmax_gradient(tree, logits):
    """The written-out gradient is that of the definition, found by differentiating group by group."""
    weights = np.random.default_rng(1).normal(size=logits.shape).astype(np.float32)

    def loop(x):
        bounds = zip(tree.group_offsets, tree.group_sizes, strict=True)
        parts = [jax.nn.log_softmax(x[..., offset : offset + size]) for offset, size in bounds]
        return jnp.sum(weights * jnp.concatenate(parts, axis=-1))

    expected = jax.jit(jax.grad(loop))(logits)
    actual = jax.jit(jax.grad(lambda x: jnp.sum(weights * group_log_softmax(x, tree))))(logits)
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_path_loss_touches_the_path_only(tree, logits):
    """Gradient p - onehot in the groups on the path, 0 elsewhere; nothing below an inner label."""
    labels = np.arange(len(tree), dtype=np.int32)
    rows = np.resize(logits, (len(tree), len(tree)))
    terms = path_cross_entropies(rows, labels, tree)
    gradient = jax.grad(lambda x: path_loss(x, labels, tree).sum())(jnp.asarray(rows))
    conditional = _conditionals(rows, tree)
    for label in labels:
        path = list(tree.path(label))
        np.testing.assert_allclose(terms[label, : len(path)], -conditional[label, path], atol=1e-5)
        np.testing.assert_array_equal(terms[label, len(path) :], 0)
        expected = np.where(np.isin(tree.groups, tree.groups[path]), np.exp(conditional[label]), 0)
        expected[path] -= 1
        np.testing.assert_allclose(gradient[label], expected, atol=1e-5)


def test_one_label_serves_many_boxes(tree, logits):
    labels = np.array([[7], [49]], np.int32)
    np.testing.assert_array_equal(
        path_loss(logits, labels, tree), path_loss(logits, np.broadcast_to(labels, (2, 4)), tree)
    )


def _walk(probabilities, tree, threshold, rule):
    """Darknet's walk, one node at a time (darknet.md 7.3), fed with conditional or absolute probabilities."""
    values = probabilities if rule == "conditional" else np.exp(_absolutes(np.log(probabilities), tree))
    p, group = 1.0, 0
    while True:
        members = range(tree.group_offsets[group], tree.group_offsets[group] + tree.group_sizes[group])
        best = max(members, key=lambda node: values[node])
        if p * values[best] <= threshold:
            return best if group == 0 else tree.parents[best]
        p, group = p * values[best], tree.child_groups[best]
        if group < 0:
            return best


@pytest.mark.parametrize("rule", ["conditional", "darknet"])
def test_predict_top_down(tree, logits, rule):
    conditional = np.exp(_conditionals(logits, tree))
    predict = jax.jit(functools.partial(predict_top_down, rule=rule), static_argnums=1)
    for threshold in (0.0, 0.02, 0.1, 0.3, 0.5, 0.9):
        nodes, probabilities = predict(conditional.astype(np.float32), tree, threshold)
        expected = [[_walk(row, tree, threshold, rule) for row in rows] for rows in conditional]
        np.testing.assert_array_equal(nodes, expected)
        absolute = np.exp(_absolutes(np.log(conditional), tree))
        expected = np.take_along_axis(absolute, np.asarray(nodes)[..., None], axis=-1)[..., 0]
        np.testing.assert_allclose(probabilities, expected, rtol=1e-4)


def test_predict_top_down_refuses_an_unknown_rule(tree, logits):
    with pytest.raises(UserError, match="rule is 'leaf'"):
        predict_top_down(logits, tree, 0.5, "leaf")
