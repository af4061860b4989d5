"""Which classes count as seen, by each rule, and the means below the nodes of a tree."""

import numpy as np
import pytest

from tests.evaluation.test_naming import TREE, Told, at, dataset, record
from tests.wordtree.wordnet_files import labels_dir
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation import evaluate
from yolo9000_jax.evaluation.classes import SharedClasses
from yolo9000_jax.evaluation.seen import RULES, seen_nodes
from yolo9000_jax.evaluation.subtrees import subtrees
from yolo9000_jax.labels import match_classes
from yolo9000_jax.wordtree.tree import WordTree, load_map

RED, WHITE, LYMPHOCYTE, NEUTROPHIL = (TREE.find(name) for name in ("red", "white", "lymphocyte", "neutrophil"))


def evaluated(seen, **options):
    """Red and neutrophil are found, white and lymphocyte are not."""
    objects = [(at(0), "red"), (at(1), "neutrophil"), (at(2), "white"), (at(3), "lymphocyte")]
    told = Told([(at(0), RED), (at(1), NEUTROPHIL)])
    return evaluate(told, dataset([record(*objects)]), seen=seen, **options).metrics


def test_rules():
    """Boxes of lymphocytes and red cells only: white is above a seen one; with boxes of white, the others are below."""
    rules = evaluated(["lymphocyte", TREE.synsets[RED]])["seen_rules"]
    assert list(rules) == list(RULES)
    assert {rule: sorted(numbers["seen_classes"]) for rule, numbers in rules.items()} == {
        "same": ["lymphocyte", "red"],
        "below": ["lymphocyte", "red"],
        "related": ["lymphocyte", "red", "white"],
    }
    metrics = evaluated(["white"])
    rules = metrics["seen_rules"]
    assert sorted(rules["below"]["seen_classes"]) == ["eosinophil", "lymphocyte", "neutrophil", "white"]
    assert sorted(rules["below"]["unseen_classes"]) == ["platelet", "red"]
    # Lymphocyte and white 0, neutrophil 1; eosinophil and platelet have no truth.
    assert rules["below"]["voc_ap50_seen"] == pytest.approx(1 / 3) and rules["below"]["voc_ap50_unseen"] == 1
    same = {key: metrics[key] for key in rules["same"]}
    assert same == rules["same"] and same["voc_ap50_seen"] == 0 and same["voc_ap50_unseen"] == pytest.approx(2 / 3)


def test_without_boxes_or_question():
    assert evaluated([])["seen_rules"]["related"]["voc_ap50_seen"] is None
    assert "seen_rules" not in evaluated(None)
    with pytest.raises(UserError, match="iou_rule is 'imagenet'; it can be voc, ilsvrc"):
        evaluated(None, iou_rule="imagenet")


def test_both_iou_rules():
    """The second stands beside the first everywhere: boxes of 10 x 10 pixels want an IoU of a quarter only."""
    shifted = [(4.0, 0.0, 14.0, 10.0), RED]
    told, truth = Told([shifted]), dataset([record((at(0), "red"))])
    metrics = evaluate(told, truth, seen=["red"], iou_rule="ilsvrc").metrics
    assert (metrics["voc_ap50"], metrics["ilsvrc_ap"]) == (0.0, 1.0)  # the IoU is 60 / 140
    assert metrics["per_class"]["red"]["ilsvrc_ap"] == metrics["ilsvrc_ap_seen"] == 1.0
    assert metrics["seen_rules"]["same"]["ilsvrc_ap_seen"] == 1.0 and metrics["ilsvrc_ap_unseen"] is None
    assert metrics["subtrees"][0]["ilsvrc_ap"] == 1.0
    assert "ilsvrc_ap" not in str(evaluate(Told([shifted]), truth, seen=["red"]).metrics)


def test_released_maps():
    """38 of ImageNet's 200 classes are nodes that COCO has, 56 those or below one, 57 also above one."""
    folder = labels_dir()
    tree = WordTree.load(folder / "9k.tree")
    coco, imagenet = (load_map(folder / f"{name}9k.map", tree).tolist() for name in ("coco", "inet"))
    below, related = seen_nodes(tree, set(coco), imagenet)
    assert (len(set(imagenet) & set(coco)), sum(below), sum(related), len(imagenet)) == (38, 56, 57, 200)
    # A data set's synsets lead to the same nodes.
    synsets = [line.split("\t")[1] for line in (folder / "ilsvrc_det200_wnids.tsv").read_text().splitlines()]
    assert match_classes(synsets, tree.names, synsets, tree.synsets) == imagenet


def test_subtrees():
    """animal > (dog > (poodle, terrier), cat), thing > only > chair: means where there are several classes."""
    synsets = ("animal", "thing", "dog", "cat", "only", "poodle", "terrier", "chair")
    tree = WordTree(synsets, np.array([-1, -1, 0, 0, 1, 2, 2, 4]))
    nodes = np.array([7, 5, 3, 2, 6])  # chair, poodle, cat, dog, terrier
    classes = SharedClasses(np.arange(5), nodes, tuple(synsets[node] for node in nodes), ())
    found = subtrees(tree, classes, {"ap": [0.9, 0.1, 0.2, None, 0.6], "other": [None] * 5})
    assert found == [
        {"name": "animal", "synset": "animal", "level": 0, "classes": 4, "ap": pytest.approx(0.3), "other": None},
        {"name": "dog", "synset": "dog", "level": 1, "classes": 3, "ap": pytest.approx(0.35), "other": None},
    ]
    alone = SharedClasses(np.arange(1), np.array([7]), ("chair",), ())
    assert subtrees(tree, alone, {"ap": [1.0]}) == []
