"""TIDE's kinds of mistakes: the same counts and costs as the package tidecv; what a wrong class is in a tree."""

import importlib.util
import sys
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from yolo9000_jax.evaluation import mistakes
from yolo9000_jax.evaluation.voc import GroundTruth, ImageDetections, checked
from yolo9000_jax.wordtree.tree import WordTree

THEIR_NAMES = {
    **{"Cls": "wrong_class", "Loc": "poorly_placed", "Both": "both"},
    **{"Dupe": "duplicate", "Bkg": "background", "Miss": "missed"},
}


@pytest.fixture(scope="module")
def tidecv():
    """The package, without what it draws and downloads with, which these tests need not."""
    names = [name for name in ("cv2", "seaborn", "pandas", "appdirs") if importlib.util.find_spec(name) is None]
    with mock.patch.dict(sys.modules, {name: mock.MagicMock() for name in names}):
        yield pytest.importorskip("tidecv")


def theirs(tidecv, detections, truths):
    """{"ap50": …, kind: {"count", "cost"}} by tidecv."""
    truth, found = tidecv.Data("truth"), tidecv.Data("found")
    for image, (each, there) in enumerate(zip(detections, truths, strict=True)):
        truth.add_image(image, str(image))
        found.add_image(image, str(image))
        for box, label, difficult, crowd in zip(*there[:4], strict=True):
            add = truth.add_ignore_region if difficult or crowd else truth.add_ground_truth
            add(image, int(label), box=[*box[:2], *(box[2:] - box[:2])])
        for box, score, label in zip(*each, strict=True):
            found.add_detection(image, int(label), float(score), box=[*box[:2], *(box[2:] - box[:2])])
    run = tidecv.TIDE().evaluate(truth, found, mode=tidecv.TIDE.BOX)
    costs, counts = run.fix_main_errors(), run.count_errors()
    kinds = {THEIR_NAMES[kind.short_name]: {"count": counts[kind], "cost": cost / 100} for kind, cost in costs.items()}
    return {"ap50": run.ap / 100} | kinds


def ours(detections, truths, num_classes, tree=None):
    nodes = None if tree is None else np.arange(num_classes)
    pairs = zip(*checked(detections, truths, num_classes), strict=True)
    judged = [mistakes.judge(*pair, None if tree is None else tree.depths) for pair in pairs]
    return mistakes.measure(mistakes.gather(judged), num_classes, tree, nodes)


@st.composite
def scenes(draw):
    """Boxes near each other, of three classes; all scores differ, since tidecv orders equal ones by how it has them.

    The first image has a truth that is found, without which tidecv divides by 0 where mending leaves nothing.
    """

    def boxes(count):
        low = draw(hnp.arrays(int, (count, 2), elements=st.integers(0, 4)))
        return np.concatenate([low, low + draw(hnp.arrays(int, (count, 2), elements=st.integers(2, 7)))], 1).astype(
            float
        )

    certain, no = np.float64([[0, 0, 5, 5]]), np.zeros(1, bool)
    detections = [ImageDetections(certain, np.array([0.5]), np.array([0]))]
    truths = [GroundTruth(certain, np.array([0]), no, no)]
    scores = iter(draw(st.permutations(range(1, 50))))
    for _ in range(draw(st.integers(0, 4))):
        n, m = draw(st.integers(0, 12)), draw(st.integers(0, 5))
        labels = [draw(hnp.arrays(int, k, elements=st.integers(0, 2))) for k in (n, m)]
        difficult, crowd = draw(hnp.arrays(bool, (2, m), elements=st.sampled_from([False, False, False, True])))
        detections.append(ImageDetections(boxes(n), np.array([next(scores) / 51 for _ in range(n)]), labels[0]))
        truths.append(GroundTruth(boxes(m), labels[1], difficult, crowd))
    return detections, truths


def assert_theirs(tidecv, detections, truths, num_classes):
    found, expected = ours(detections, truths, num_classes), theirs(tidecv, detections, truths)
    assert found.pop("ap50") == pytest.approx(expected.pop("ap50"), abs=1e-9)
    assert found.keys() == expected.keys()
    for kind, numbers in expected.items():
        assert found[kind] == {"count": numbers["count"], "cost": pytest.approx(numbers["cost"], abs=1e-9)}, kind
    return found


@settings(max_examples=80, deadline=None)
@given(scene=scenes())
def test_agrees_with_tidecv(tidecv, scene):
    assert_theirs(tidecv, *scene, 3)


def test_agrees_with_tidecv_on_many(tidecv):
    """Of 130 detections in an image a hundred count; every kind happens, and costs something."""
    rng = np.random.default_rng(5)
    detections, truths = [], []
    for _ in range(6):
        low = rng.uniform(0, 200, (12, 2))
        true = np.concatenate([low, low + rng.uniform(10, 90, (12, 2))], 1)
        labels, flags = rng.integers(0, 4, 12), rng.random((2, 12)) < 0.1
        near = rng.integers(0, 10, 130)  # the last two are missed
        boxes = true[near] + rng.normal(0, 0.15, (130, 4)) * np.tile(true[near, 2:] - true[near, :2], 2)
        boxes = np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:] - 1), boxes[:, 2:]], 1)
        boxes[rng.random(130) < 0.2] += 500
        found = np.where(rng.random(130) < 0.7, labels[near], rng.integers(0, 4, 130))
        detections.append(ImageDetections(boxes, rng.random(130), found))
        truths.append(GroundTruth(true, labels, *flags))
    found = assert_theirs(tidecv, detections, truths, 4)
    assert all(numbers["count"] > 5 and numbers["cost"] > 0 for numbers in found.values())


def test_one_of_each_kind():
    """By hand: truths of classes 0, 1, 2, and one more of class 0 that is missed."""
    truth = GroundTruth([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10]], [0, 1, 2, 0], [False] * 4)
    boxes, labels = zip(
        ([0, 0, 10, 10], 0),  # right
        ([0, 0, 10, 9], 0),  # again
        ([20, 0, 30, 10], 2),  # of another class
        ([40, 0, 43, 10], 2),  # too small
        ([22, 0, 30, 4], 0),  # both
        ([0, 90, 5, 95], 1),  # nothing there
        strict=True,
    )
    found = ours([ImageDetections(boxes, np.linspace(0.9, 0.4, 6), labels)], [truth], 3)
    assert {kind: numbers["count"] for kind, numbers in found.items() if kind != "ap50"} == {
        **{"wrong_class": 1, "poorly_placed": 1, "both": 1, "duplicate": 1, "background": 1, "missed": 1}
    }
    assert found["ap50"] == pytest.approx(51 / 101 / 3)
    # Class 1 gains its only truth, behind the better ranked of its own: none. Class 2 loses a false positive: nothing.
    assert found["wrong_class"]["cost"] == pytest.approx(1 / 3)
    assert found["poorly_placed"]["cost"] == pytest.approx(0.5 / 3)
    assert found["missed"]["cost"] == pytest.approx(50 / 101 / 3)


def test_a_wrong_class_in_a_tree():
    """animal > dog > poodle, pug; animal > cat. Of a dog that is also called poodle the poodle is what it is."""
    tree = WordTree(("animal", "dog", "cat", "poodle", "pug"), (-1, 0, 0, 1, 1))
    animal, dog, cat, poodle, pug = range(5)
    pairs = {(pug, poodle): "sibling", (cat, poodle): "other_branch", (dog, poodle): "too_coarse"}
    pairs |= {(pug, dog): "too_deep", (cat, dog): "sibling", (poodle, animal): "too_deep", (animal, cat): "too_coarse"}
    for (found, true), expected in pairs.items():
        assert mistakes.relation(tree, found, true) == expected
    box = [[0, 0, 10, 10]]
    detections = [ImageDetections(box, [0.5], [pug])] * 2 + [ImageDetections(box, [0.4], [cat])]
    truths = [GroundTruth(box * 2, [dog, poodle], [False] * 2), GroundTruth(box, [dog], [False])]
    truths.append(GroundTruth(box, [animal], [False]))
    found = ours(detections, truths, 5, tree)["wrong_class"]
    counts = {name: numbers["count"] for name, numbers in found["relations"].items()}
    assert found["count"] == 3 and counts == {"sibling": 1, "other_branch": 0, "too_coarse": 0, "too_deep": 2}
    # Put right, poodle and animal are found whole, and half of the dogs. Before, pugs and cats have AP 0.
    assert found["cost"] == pytest.approx((1 + 1 + 51 / 101) / 3)
    assert 0 < found["relations"]["sibling"]["cost"] < found["cost"]


@pytest.mark.parametrize("with_detections", [False, True])
def test_nothing_to_find(with_detections):
    detections = ImageDetections([[0, 0, 4, 4]] * with_detections, [0.5] * with_detections, [0] * with_detections)
    found = ours([detections], [GroundTruth([], [], [])], 2)
    assert found["ap50"] == (0.0 if with_detections else None)
    assert found["background"] == {"count": int(with_detections), "cost": None}
    assert ours([], [], 2)["missed"] == {"count": 0, "cost": None}
