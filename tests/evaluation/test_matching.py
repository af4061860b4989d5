"""Evaluating on a data set whose classes are not the model's, and classifiers."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from tests.evaluation.test_detection import BOX, record
from tests.predict.test_classifier import Colours, picture
from tests.predict.test_detector import ANCHOR, Fixed, detector, grid
from yolo9000_jax.boxes.heads import RegionHead
from yolo9000_jax.data.records import Dataset, Record
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation import evaluate
from yolo9000_jax.evaluation.classes import positions, shared_classes
from yolo9000_jax.predict.classifier import Classifier
from yolo9000_jax.predict.detector import Detector
from yolo9000_jax.wordtree.tree import WordTree

RIGHT = [8, 6, 40, 30]


def test_classes_are_found_by_name_and_the_others_left_out(said):
    """The detector knows (cat, dog); the data set numbers them otherwise and also has zebras."""
    records = [record(0, [RIGHT], [2]), record(1, [RIGHT, [50, 40, 70, 55]], [2, 0]), record(2, [RIGHT], [1])]
    found = evaluate(
        detector((*BOX, 0.9, 1), resize="stretch"),
        Dataset("test", "all", ("zebra", "Cat", "DOG"), records, rendered=True),
    ).metrics
    assert found["left_out"] == ["zebra"] and "left out 1 of 3" in said[0] and "zebra" in said[0]
    assert list(found["per_class"]) == ["Cat", "DOG"]
    assert found["per_class"]["DOG"]["truths"] == 2 and found["per_class"]["DOG"]["detections"] == 3
    assert found["voc_ap50"] == pytest.approx(0.5), "cats are never found, dogs always, zebras not counted"
    assert found["recall50"] == pytest.approx(1.0)


def test_detections_of_classes_that_the_data_set_lacks_do_not_count():
    found = evaluate(
        detector((*BOX, 0.9, 0), resize="stretch"),
        Dataset("test", "all", ("dog",), [record(0, [RIGHT], [0])], rendered=True),
    ).metrics
    assert list(found["per_class"]) == ["dog"]
    expected = {"voc_ap50": 0.0, "voc07_ap50": 0.0, "coco_ap": 0.0, "best_f1": None, "truths": 1, "detections": 0}
    assert found["per_class"]["dog"] == expected


def test_shared_classes():
    """By synset before name; the same classes in the same order are each other's, whatever they are called."""
    tree = WordTree(("n00000001", "n00000002", "n00000003"), [-1, 0, 0], ("animal", "cat", "dog"))
    model = Classifier(Colours(), {}, tree.names, (32, 32), tree=tree, synsets=tree.synsets)
    data = Dataset("test", "all", ("dog", "horse", "Animal"), [], ("n00000002", "n00000009", None))
    found = shared_classes(model, data)
    assert (found.dataset_labels.tolist(), found.model_labels.tolist()) == ([0, 2], [1, 0])
    assert (found.names, found.left_out) == (("dog", "Animal"), ("horse",))
    with pytest.raises(UserError, match="both the model's 'cat'"):
        shared_classes(model, Dataset("test", "all", ("dog", "cat"), [], ("n00000002", None)))
    cranes = Classifier(Colours(), {}, ("crane", "crane"), (32, 32))
    twins = shared_classes(cranes, Dataset("test", "all", cranes.classes, []))
    assert twins.model_labels.tolist() == [0, 1] and twins.left_out == ()
    assert positions(np.array([3, 0]), 5).tolist() == [1, -1, -1, 0, -1]


def test_two_classes_that_are_one():
    with pytest.raises(UserError, match="both the model's 'cat'"):
        evaluate(detector(), Dataset("test", "all", ("cat", "CAT"), [record(0, [RIGHT], [0])], rendered=True))


def test_a_tree_is_judged_by_the_nodes_of_the_classes():
    """The only box is a dog; without nodes it would be labelled by the walk down the tree."""
    tree = WordTree(("n00000001", "n00000002", "n00000003"), [-1, 0, 0], ("animal", "cat", "dog"))
    raw = np.array(grid((*BOX, 0.9, 1)), np.float32)  # two classes; a root before them
    raw = np.concatenate([raw[..., :5], np.zeros((*raw.shape[:3], 1)), raw[..., 5:]], -1)
    nested = tuple(tuple(tuple(tuple(map(float, a)) for a in cell) for cell in line) for line in raw)
    head = RegionHead([ANCHOR], tree=tree)
    detect = Detector(Fixed(nested), {}, tree.names, head, (64, 64), "stretch", synsets=tree.synsets)
    (first,) = detect.stream([np.zeros((60, 80, 3), np.uint8)], batch_size=1)
    assert first.names == ("dog",) and first.paths == (("animal", "dog"),)
    records = [record(0, [RIGHT], [1]), record(1, [RIGHT], [1])]
    found = evaluate(detect, Dataset("test", "all", ("cats", "dogs"), records, ("n00000002", "n00000003"))).metrics
    assert found["per_class"]["dogs"]["voc_ap50"] == 1.0 and found["per_class"]["cats"]["detections"] == 0


@pytest.mark.parametrize("seen", [("Cat", "sofa"), ("n00000002", "n00000009"), ("cat",)])
def test_seen_and_unseen_classes(seen):
    """Dogs are always found, cats never, horses are in no picture; zebras the detector lacks."""
    names, synsets = ("cat", "dog", "horse"), ("n00000002", "n00000003", "n00000004")
    raw = np.array(grid((*BOX, 0.9, 1)), np.float32)
    raw = np.concatenate([raw, np.full((*raw.shape[:3], 1), -20)], -1)
    nested = tuple(tuple(tuple(tuple(map(float, a)) for a in cell) for cell in line) for line in raw)
    detect = Detector(Fixed(nested), {}, names, RegionHead([ANCHOR]), (64, 64), "stretch", synsets=synsets)
    records = [record(0, [RIGHT], [1]), record(1, [RIGHT], [2])]
    data = Dataset("test", "all", ("zebra", "dog", "cat", "horse"), records, ("n00000008", *synsets[1::-1], synsets[2]))
    found = evaluate(detect, data, seen=seen).metrics
    assert (found["voc_ap50_seen"], found["voc_ap50_unseen"], found["voc_ap50"]) == (0.0, 1.0, 0.5)
    assert found["seen_classes"] == ["cat"] and found["unseen_classes"] == ["dog", "horse"]
    found = evaluate(detect, data, seen=[]).metrics
    assert (found["voc_ap50_seen"], found["voc_ap50_unseen"], found["seen_classes"]) == (None, 0.5, [])
    assert "voc_ap50_seen" not in evaluate(detect, data).metrics


def coloured(number, label, *rgb):
    nothing = np.zeros((0, 4), np.float32)
    return Record(str(number), None, 50, 40, nothing, np.int32([label]), np.zeros(1, bool), lambda: picture(*rgb))


class Seven(nn.Module):
    """Seven classes, the best first; the brighter the picture the flatter the scores."""

    @nn.compact
    def __call__(self, images, train=False):
        return jnp.tile(-jnp.arange(7.0), (len(images), 1))


def test_top1_and_top5():
    classifier = Classifier(Seven(), {}, [f"n0000000{n}" for n in range(7)], (32, 32))
    names = ("n00000000", "n00000004", "n00000005", "n00000099")
    labels = (0, 0, 1, 2, 3)
    records = [coloured(n, label, 9, 9, 9) for n, label in enumerate(labels)]
    found = evaluate(classifier, Dataset("test", "all", names, records, rendered=True), batch_size=3).metrics
    assert (found["top1"], found["top5"], found["images"]) == (0.5, 0.75, 4)
    assert found["left_out"] == ["n00000099"]
    assert found["per_class"]["n00000004"] == {"top1": 0.0, "top5": 1.0, "images": 1}


def test_a_classifier_needs_labels_of_whole_pictures():
    classifier = Classifier(Colours(), {}, ("cat", "dog", "x"), (32, 32))
    with pytest.raises(UserError, match="0: has boxes"):
        evaluate(classifier, Dataset("test", "all", ("cat",), [record(0, [RIGHT], [0])]))
