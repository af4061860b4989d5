"""Answers on a tree by the nodes above them: plain loops over sets, and the worked example of docs/wordtree.md."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wordtree.test_tree import parents_lists
from yolo9000_jax.evaluation.ancestors import NOTHING, hierarchical_ap, set_scores, severity, with_ancestors
from yolo9000_jax.evaluation.voc import GroundTruth, ImageDetections
from yolo9000_jax.wordtree.tree import WordTree

NAMES = ("canine", "feline", "dog", "wolf", "cat", "tiger", "poodle", "pug")
TREE = WordTree(tuple(f"n{node}" for node in range(8)), np.array([-1, -1, 0, 0, 1, 1, 2, 2]), NAMES)
CANINE, FELINE, DOG, WOLF, CAT, TIGER, POODLE, PUG = range(8)
# What is true and what was found, as in the example: (poodle, pug) is a poodle that is called a pug.
PAIRS = [(POODLE, POODLE), (POODLE, PUG), (WOLF, CANINE), (TIGER, WOLF), (CAT, NOTHING), (NOTHING, CAT)]


def columns(pairs):
    true, found = np.array(pairs, int).reshape(-1, 2).T
    return found, true, np.ones(len(true), int)


def test_the_worked_example_of_names():
    scores = set_scores(TREE, *columns(PAIRS[:4]))
    assert scores == {"precision": pytest.approx(6 / 9), "recall": 6 / 10, "f1": pytest.approx(12 / 19)}
    scores = set_scores(TREE, *columns(PAIRS))
    assert scores == {"precision": pytest.approx(6 / 11), "recall": 6 / 12, "f1": pytest.approx(12 / 23)}
    assert severity(TREE, *columns(PAIRS[:4])) == {"wrong": 2, "mean": 2, "heights": {"1": 1, "3": 1}}


def ancestors(tree, node):
    """The set of a node and what is above it, but for a root that is alone."""
    above = set()
    while node >= 0:
        above.add(node)
        node = tree.parents[node]
    return above - ({0} if np.sum(tree.parents == -1) == 1 else set())


def height(tree, node):
    below = [other for other in range(len(tree)) if tree.parents[other] == node]
    return 1 + max(height(tree, other) for other in below) if below else 0


@settings(max_examples=25, deadline=None)
@given(parents=parents_lists(), seed=st.integers(0, 99))
def test_against_sets(parents, seed):
    tree, rng = WordTree(tuple(f"n{i}" for i in range(len(parents))), np.array(parents)), np.random.default_rng(seed)
    found, true = rng.integers(-1, len(tree), (2, 9))
    counts = rng.integers(1, 4, 9)
    shared = answered = wanted = 0
    wrong = []
    for one, other, count in zip(found, true, counts, strict=True):
        path = set(tree.path(int(one))) if one >= 0 else set()
        if one >= 0 and other >= 0 and other in path:
            one = other
        here, there = (ancestors(tree, node) if node >= 0 else set() for node in (one, other))
        shared, answered = shared + count * len(here & there), answered + count * len(here)
        wanted += count * len(there)
        if one >= 0 and other >= 0 and one != other and one not in tree.path(int(other)):
            lowest = tree.lowest_common_ancestor(int(one), int(other))
            roots = [node for node in range(len(tree)) if tree.parents[node] < 0]
            wrong += count * [1 + max(height(tree, r) for r in roots) if lowest is None else height(tree, lowest)]
    scores = set_scores(tree, found, true, counts)
    assert scores["precision"] == (pytest.approx(shared / answered) if answered else None)
    assert scores["recall"] == (pytest.approx(shared / wanted) if wanted else None)
    assert scores["f1"] == (pytest.approx(2 * shared / (answered + wanted)) if answered + wanted else None)
    both = (found >= 0) & (true >= 0)
    got = severity(tree, found[both], true[both], counts[both])
    assert got["wrong"] == len(wrong) and got["mean"] == (pytest.approx(np.mean(wrong)) if wrong else None)
    assert got["heights"] == {str(each): wrong.count(each) for each in sorted(set(wrong))}


A, B = (0.0, 0.0, 10.0, 10.0), (20.0, 0.0, 30.0, 10.0)


def image(nodes, *found):
    """Detections [(box, node, score)] with labels that are places in `nodes`."""
    boxes, labels, scores = zip(*found, strict=True) if found else ((), (), ())
    places = [nodes.tolist().index(label) for label in labels]
    return ImageDetections(np.array(boxes, float).reshape(-1, 4), np.array(scores, float), np.array(places, int))


def truth(nodes, *objects):
    boxes, labels = zip(*objects, strict=True) if objects else ((), ())
    places = np.array([nodes.tolist().index(label) for label in labels], int)
    return GroundTruth(np.array(boxes, float).reshape(-1, 4), places, np.zeros(len(labels), bool))


def test_the_worked_example_of_hierarchical_ap():
    """The poodle's box is less sure to be a poodle than the tiger's is, and surer to be a dog."""
    nodes = with_ancestors(TREE, [POODLE, TIGER])
    assert nodes.tolist() == [POODLE, TIGER, CANINE, FELINE, DOG]
    found = image(
        nodes,
        *((A, CANINE, 0.9), (A, DOG, 0.8), (A, POODLE, 0.3), (B, CANINE, 0.45), (B, DOG, 0.4), (B, POODLE, 0.35)),
        *((B, FELINE, 0.5), (B, TIGER, 0.5)),
    )
    result = hierarchical_ap(TREE, nodes, [found], [truth(nodes, (A, POODLE), (A, DOG), (B, TIGER))])
    expected = {"canine": 1.0, "feline": 1.0, "dog": 1.0, "tiger": 1.0, "poodle": 0.5}
    assert {node["name"]: node["ap50"] for node in result["nodes"]} == expected
    assert result["ap50"] == pytest.approx(0.9)
    assert {node["truths"] for node in result["nodes"]} == {1}, "the same box, twice a dog, is one dog"


def test_what_is_said_below_the_true_node_is_not_judged():
    """A box that is only known to be a dog is called a poodle, surer than the poodle is."""
    nodes = with_ancestors(TREE, [POODLE, DOG])
    found = image(nodes, (A, POODLE, 0.9), (A, DOG, 0.9), (B, POODLE, 0.8), (B, DOG, 0.8))
    result = hierarchical_ap(TREE, nodes, [found], [truth(nodes, (A, DOG), (B, POODLE))])
    aps = {node["name"]: (node["ap50"], node["truths"]) for node in result["nodes"]}
    assert aps["poodle"] == (1, 1) and aps["dog"] == (1, 2)


def test_hierarchical_ap_against_loops():
    """Boxes on a line of places that either agree or do not touch, a root alone, which counts nowhere."""
    tree = WordTree(tuple(f"n{i}" for i in range(7)), np.array([-1, 0, 0, 1, 1, 2, 2]))
    rng = np.random.default_rng(5)
    nodes = with_ancestors(tree, [3, 4, 5, 1])
    assert nodes.tolist() == [3, 4, 5, 1, 2]
    truths, founds = [], []
    for _ in range(6):
        places = rng.permutation(4)[: rng.integers(1, 4)]
        truths.append([(int(place), int(rng.choice([3, 4, 5, 1]))) for place in places])
        founds.append([(int(rng.integers(4)), int(node), rng.random()) for node in rng.choice(nodes, 8)])
    aps = {}
    for node in nodes.tolist():
        wanted = {(n, place) for n, objects in enumerate(truths) for place, own in objects if node in tree.path(own)}
        ranked = sorted((-s, n, place) for n, all_ in enumerate(founds) for place, label, s in all_ if label == node)
        unjudged = {
            (n, p) for n, all_ in enumerate(truths) for p, own in all_ if own in tree.path(node) and own != node
        }
        taken, precision, hits = set(), [], []
        for _, n, place in ranked:
            if (n, place) in unjudged:
                continue
            hits.append((n, place) in wanted - taken)
            taken |= {(n, place)}
            precision.append(sum(hits) / len(hits))
        aps[node] = sum(max(precision[k:]) for k, hit in enumerate(hits) if hit) / len(wanted) if wanted else None
    at = [(20.0 * place, 0.0, 20.0 * place + 9, 9.0) for place in range(4)]
    detections = [image(nodes, *((at[place], label, s) for place, label, s in each)) for each in founds]
    true = [truth(nodes, *((at[place], own) for place, own in each)) for each in truths]
    result = hierarchical_ap(tree, nodes, detections, true)
    assert {int(node["name"][1:]): node["ap50"] for node in result["nodes"]} == pytest.approx(
        {node: ap for node, ap in aps.items() if ap is not None}
    )
    assert result["ap50"] == pytest.approx(np.mean([ap for ap in aps.values() if ap is not None]))
