"""Classifiers on a tree, against plain NumPy that walks down it one picture at a time."""

import threading
from dataclasses import replace

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from yolo9000_jax.data.records import Dataset, Indexed, Record
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation import evaluate
from yolo9000_jax.evaluation.classification import evaluate_classifier
from yolo9000_jax.evaluation.hierarchical import THRESHOLDS, evaluate_tree_classifier
from yolo9000_jax.predict.classifier import Classifier
from yolo9000_jax.wordtree.tree import WordTree

PARENTS = [-1, -1, 0, 0, 0, 1, 1, 2, 2, 2, 5, 5]
TREE = WordTree(tuple(f"n{node:08d}" for node in range(12)), PARENTS, tuple("abcdefghijkl"))
CLASSES = (9, 3, 6, 10, 2)  # nodes of the data set's classes; the last is an inner one
LEAVES = [3, 4, 6, 7, 8, 9, 10, 11]


class Table(nn.Module):
    """Logits [12] that belong to the picture's brightness: row red of `rows`."""

    rows: tuple

    @nn.compact
    def __call__(self, images, train=False):
        which = jnp.round(255 * images.mean((1, 2, 3))).astype(int)
        return jnp.asarray(self.rows, jnp.float32)[which]


def picture(number, label):
    nothing = np.zeros((0, 4), np.float32)
    pixels = np.full((32, 32, 3), number, np.uint8)
    return Record(str(number), None, 32, 32, nothing, np.int32([label]), np.zeros(1, bool), lambda: pixels)


@pytest.fixture(scope="module")
def case():
    """41 pictures of five classes and of one that the classifier lacks, and logits that often favour the true path."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, len(CLASSES) + 1, 41)
    logits = rng.normal(0, 1.5, (41, 12))
    for row, label in zip(logits, labels, strict=True):
        if label < len(CLASSES):
            row[list(TREE.path(CLASSES[label]))] += rng.choice([0, 2, 4])
    classifier = Classifier(
        Table(tuple(map(tuple, logits.tolist()))), {}, TREE.names, (32, 32), tree=TREE, synsets=TREE.synsets
    )
    synsets = (*(TREE.synsets[node] for node in CLASSES), "n99999999")
    records = [picture(number, label) for number, label in enumerate(labels)]
    dataset = Dataset("test", "all", ("one", "two", "three", "four", "five", "none"), records, synsets, rendered=True)
    return classifier, dataset, logits, labels


def conditionals(logits):
    found = np.exp(logits)
    for parent in set(PARENTS):
        group = [node for node in range(12) if PARENTS[node] == parent]
        found[group] /= found[group].sum()
    return found


def walk(conditional, threshold):
    """The nodes from the root to where the walk stops; the first is taken whatever the threshold."""
    path, confidence, children = [], 1.0, [0, 1]
    while children:
        best = max(children, key=lambda node: conditional[node])
        confidence *= conditional[best]
        if path and confidence <= threshold:
            break
        path.append(best)
        if confidence <= threshold:
            break
        children = [node for node in range(12) if PARENTS[node] == best]
    return path


def oracle(logits, labels, threshold):
    """top1, top5, correct and depth, by their definitions."""
    hits1, hits5, right, depths = [], [], [], []
    for row, label in zip(logits, labels, strict=True):
        conditional, true = conditionals(row), TREE.path(CLASSES[label])
        scores = {leaf: np.prod([conditional[node] for node in TREE.path(leaf)]) for leaf in LEAVES}
        ranking = sorted(LEAVES, key=lambda leaf: -scores[leaf])
        counts = [true[-1] in TREE.path(leaf) for leaf in ranking]
        hits1.append(counts[0])
        hits5.append(any(counts[:5]))
        path = walk(conditional, threshold)
        shared = min(len(path), len(true))
        right.append(tuple(path[:shared]) == true[:shared])
        depths.append(shared / len(true))
    depths = [depth for depth, good in zip(depths, right, strict=True) if good]
    return np.mean(hits1), np.mean(hits5), np.mean(right), np.mean(depths) if depths else None


def hierarchical_f1(logits, labels, threshold):
    """Of the sets of nodes on the walks and on the paths to the classes, below which nothing is judged."""
    shared, sizes = 0, 0
    for row, label in zip(logits, labels, strict=True):
        true = TREE.path(CLASSES[label])
        path = walk(conditionals(row), threshold)
        path = path[: len(true)] if tuple(path[: len(true)]) == true else path
        shared, sizes = shared + len(set(path) & set(true)), sizes + len(path) + len(true)
    return 2 * shared / sizes


@pytest.mark.parametrize("batch_size", [7, 64])
def test_against_walks_one_by_one(case, batch_size):
    classifier, dataset, logits, labels = case
    found = evaluate(classifier, dataset, batch_size=batch_size).metrics
    known = labels < len(CLASSES)
    assert found["images"] == known.sum() and found["left_out"] == ["none"]
    assert list(found["stopping"]) == [f"{threshold:g}" for threshold in THRESHOLDS]
    assert list(found["per_class"]) == ["one", "two", "three", "four", "five"]
    groups = [(found, known)] + [(found["per_class"][dataset.classes[k]], labels == k) for k in range(len(CLASSES))]
    for numbers, which in groups:
        assert numbers["images"] == which.sum()
        for threshold in THRESHOLDS:
            top1, top5, correct, depth = oracle(logits[which], labels[which], threshold)
            stopping = numbers["stopping"][f"{threshold:g}"]
            expected = (top1, top5, correct, depth)
            assert stopping["f1"] == pytest.approx(hierarchical_f1(logits[which], labels[which], threshold))
            assert (numbers["top1"], numbers["top5"], stopping["correct"], stopping["depth"]) == pytest.approx(expected)
    correct = [stopping["correct"] for stopping in found["stopping"].values()]
    assert 0 < found["top1"] < found["top5"] < 1 and min(correct) < max(correct), "the case tells nothing"


def test_stopping_earlier_is_safer_and_says_less(case):
    stopping = evaluate(*case[:2]).metrics["stopping"]
    correct = [stopping[f"{threshold:g}"]["correct"] for threshold in THRESHOLDS]
    assert all(a <= b for a, b in zip(correct, correct[1:], strict=False))
    assert stopping["0.1"]["depth"] > stopping["0.9"]["depth"]


def test_leaves_agree_with_the_evaluation_of_plain_classifiers(case):
    """On classes that are leaves."""
    classifier, dataset, _, labels = case
    leaves = dataset.take(np.flatnonzero(labels < 4))
    found = evaluate_tree_classifier(classifier, leaves, thresholds=[0.5]).metrics
    plain = evaluate_classifier(classifier, leaves, batch_size=8).metrics
    assert (found["top1"], found["top5"]) == (plain["top1"], plain["top5"])
    assert found["per_class"]["two"]["top5"] == plain["per_class"]["two"]["top5"]
    assert list(found["stopping"]) == ["0.5"]


def test_a_class_without_pictures(case):
    classifier, dataset, _, labels = case
    found = evaluate(classifier, dataset.take(np.flatnonzero(labels == 0))).metrics
    nothing = ("correct", "depth", "precision", "recall", "f1")
    assert found["per_class"]["two"] == {
        "top1": None,
        "top5": None,
        "images": 0,
        "stopping": {f"{threshold:g}": dict.fromkeys(nothing) for threshold in THRESHOLDS},
        "severity": {"wrong": 0, "mean": None, "heights": {}},
    }


def test_without_a_tree(case):
    classifier, dataset, *_ = case
    flat = Classifier(classifier.model, {}, classifier.classes, (32, 32), synsets=classifier.synsets)
    with pytest.raises(UserError, match="form no tree"):
        evaluate_tree_classifier(flat, dataset)


@pytest.mark.parametrize("tree", [TREE, None])
def test_a_lazy_set_is_read_ahead_by_threads(case, tree):
    """For the labels, once for all evaluations, and for the pictures."""
    classifier, dataset, *_ = case
    model = Classifier(classifier.model, {}, TREE.names, (32, 32), tree=tree, synsets=TREE.synsets)
    fetched, threads = [], set()

    class Lazy(Indexed):
        def __len__(self):
            return len(dataset)

        def __getitem__(self, index):
            fetched.append(index)
            threads.add(threading.get_ident())
            return dataset[index]

    lazy = Dataset("test", "all", dataset.classes, Lazy(), dataset.synsets, lazy=True)
    expected = evaluate(model, dataset).metrics
    assert evaluate(model, lazy).metrics == expected and evaluate(model, lazy).metrics == expected
    assert threading.get_ident() not in threads
    assert len(fetched) == len(dataset) + 2 * expected["images"]


def test_pictures_with_boxes(case):
    classifier, dataset, *_ = case
    boxed = replace(dataset[2], name="the third", boxes_xyxy=np.float32([[1, 2, 3, 4]]))
    mixed = Dataset("test", "all", dataset.classes, [dataset[0], dataset[1], boxed], dataset.synsets)
    with pytest.raises(UserError, match="the third: has boxes"):
        evaluate(classifier, mixed)
