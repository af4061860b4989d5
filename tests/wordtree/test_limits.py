"""How sure, in which subtree, and which labels may be given: against plain loops over leaves and walks."""

import jax
import numpy as np
import pytest

from tests.wordtree.test_softmax import _conditionals, _tree, _walk
from yolo9000_jax.errors import UserError
from yolo9000_jax.wordtree.limits import allowed_nodes, node_thresholds, read_allowed
from yolo9000_jax.wordtree.softmax import predict_top_down, restrict
from yolo9000_jax.wordtree.tree import WordTree

NAMES = ("canine", "feline", "dog", "wolf", "cat", "tiger, Bengal", "poodle", "pug")
TREE = WordTree(tuple(f"n{node:08d}" for node in range(8)), np.array([-1, -1, 0, 0, 1, 1, 2, 2]), NAMES)
CANINE, FELINE, DOG, WOLF, CAT, TIGER, POODLE, PUG = range(8)


@pytest.mark.parametrize("labels", [[6, 11], [2, 4, 13], [0, 9], list(range(14))])
def test_restricted_probabilities_are_those_given_that_an_allowed_leaf_is_right(labels):
    tree = _tree([-1, -1, -1, 0, 0, 1, 1, 1, 3, 3, 6, 6, 10, 10])
    allowed = allowed_nodes(labels, tree)
    log_conditional = _conditionals(np.random.default_rng(1).normal(0, 4, (3, len(tree))), tree)
    found = np.exp(jax.jit(restrict, static_argnums=(1, 2))(log_conditional.astype(np.float32), tree, allowed))
    for row, conditional in zip(found, np.exp(log_conditional), strict=True):
        leaves = {
            leaf: np.prod(conditional[list(tree.path(leaf))])
            for leaf in np.flatnonzero(tree.leaves).tolist()
            if set(tree.path(leaf)) & set(allowed)
        }
        for node in range(len(tree)):
            mass = sum(p for leaf, p in leaves.items() if node in tree.path(leaf))
            parent = tree.parents[node]
            below = sum(p for leaf, p in leaves.items() if parent < 0 or parent in tree.path(leaf))
            assert row[node] == pytest.approx(mass / below if below else 0, rel=1e-3, abs=1e-6)


def test_the_worked_example():
    """What docs/wordtree.md says of a picture where only wolves and cats are possible."""
    conditional = np.array([0.8, 0.2, 0.75, 0.25, 0.5, 0.5, 0.5, 0.5])
    found = np.exp(restrict(np.log(conditional), TREE, allowed_nodes(["wolf", "cat"], TREE)))
    np.testing.assert_allclose(found, [2 / 3, 1 / 3, 0, 1, 1, 0, 0, 0], rtol=1e-5)


def test_what_is_hardly_possible_is_still_shared_out():
    """All that is allowed has a probability that is 0 in 32 bits."""
    log_conditional = np.float32([0, -200, 0, -20, -0.7, -0.7, -0.7, -0.7])
    found = np.exp(restrict(log_conditional, TREE, allowed_nodes(["feline"], TREE)))
    np.testing.assert_allclose(found, [0, 1, 0, 0, 0.4966, 0.4966, 0, 0], atol=1e-4)


def test_what_is_below_an_allowed_node_is_allowed():
    assert allowed_nodes(["pug", "canine", CAT, "n00000003"], TREE) == (CANINE, CAT)


def test_every_node_takes_the_threshold_of_the_nearest_node_above_that_has_one():
    thresholds = {"canine": 0.8, "*": 0.25, "n00000002": 0.125, POODLE: 0.5}
    expected = np.float32([0.8, 0.25, 0.125, 0.8, 0.25, 0.25, 0.5, 0.125])
    assert node_thresholds(thresholds, TREE).tolist() == expected.tolist()
    assert node_thresholds({"dog": 0.75}, TREE)[[CANINE, DOG, PUG]].tolist() == [0.5, 0.75, 0.75]
    assert node_thresholds(0.5, None) == node_thresholds({"*": 0.5}, TREE) == np.float32(0.5)


def test_going_down_by_thresholds_of_nodes():
    """Against the walk that asks each node's own."""
    conditional = np.exp(_conditionals(np.random.default_rng(2).normal(0, 2, (50, 8)), TREE))
    thresholds = node_thresholds({"canine": 0.6, "dog": 0.1, "tiger, Bengal": 0.9, "*": 0.3}, TREE)
    nodes, _ = jax.jit(predict_top_down, static_argnums=1)(conditional.astype(np.float32), TREE, thresholds)

    def walk(row):
        p, members, reached = 1.0, [0, 1], None
        while members:
            best = max(members, key=lambda node: row[node])
            if p * row[best] <= thresholds[best]:
                return best if reached is None else reached
            p, reached, members = p * row[best], best, list(TREE.children(best))
        return reached

    assert nodes.tolist() == [walk(row) for row in conditional]
    plain = [_walk(row, TREE, 0.3, "conditional") for row in conditional]
    assert nodes.tolist() != plain, "the case tells nothing"


def test_a_file_of_allowed_labels(tmp_path):
    path = tmp_path / "here.txt"
    path.write_text("# species of this forest\nwolf\n\ntiger, Bengal\tn00000005\nn00000004\n")
    assert read_allowed(str(path), TREE) == (WOLF, CAT, TIGER)
    assert read_allowed("wolf, cat", TREE) == (WOLF, CAT)
    assert read_allowed(",".join(["wolf", "cat"] * 100), TREE) == (WOLF, CAT), "longer than the name of a file"
    path.write_text("wolf\nlion\n")
    with pytest.raises(UserError, match=r"here.txt, line 2: .*no node is called 'lion'"):
        read_allowed(str(path), TREE)


# Mistakes


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: allowed_nodes([], TREE), "no label is left"),
        (lambda: read_allowed(" , ", TREE), "no label is left"),
        (lambda: read_allowed("wolf,wlof", TREE), "no node is called 'wlof'; did you mean 'wolf'"),
        (lambda: node_thresholds({"lion": 0.5}, TREE), "hierarchical_threshold: .*no node is called 'lion'"),
        (lambda: node_thresholds("x", TREE), "hierarchical_threshold x: it must be from 0 to 1"),
        (lambda: node_thresholds({"wolf": 1.5}, TREE), "hierarchical_threshold of 'wolf' 1.5: it must be from 0 to 1"),
        (lambda: node_thresholds({"dog": 0.9, "n00000002": 0.1}, TREE), "'dog' and 'n00000002' are one node"),
        (lambda: node_thresholds(float("nan"), TREE), "hierarchical_threshold nan"),
        (lambda: node_thresholds({"wolf": 0.5}, None), "'wolf': the classes form no tree"),
    ],
)
def test_wrong_limits(call, message):
    with pytest.raises(UserError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
