"""What a tree detector calls the objects it finds, with a detector that says what it is told."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.test_detection import BOX
from tests.predict.test_detector import ANCHOR, Fixed, grid
from yolo9000_jax.boxes.heads import RegionHead
from yolo9000_jax.data.records import Dataset, Record
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation import evaluate
from yolo9000_jax.evaluation.classes import shared_classes
from yolo9000_jax.evaluation.naming import NamedObjects, NamingConfusion, assign
from yolo9000_jax.predict.detector import Detector
from yolo9000_jax.wordtree.tree import WordTree

NAMES = ("cell", "platelet", "red", "white", "granulocyte", "lymphocyte", "neutrophil", "eosinophil")
TREE = WordTree(tuple(f"n{node:08d}" for node in range(8)), [-1, -1, 0, 0, 3, 3, 4, 4], NAMES)
CELL, PLATELET, RED, WHITE, GRANULOCYTE, LYMPHOCYTE, NEUTROPHIL, EOSINOPHIL = range(8)
CLASSES = ("red", "neutrophil", "white", "lymphocyte", "platelet", "eosinophil")
ROWS = ["neutrophil", "lymphocyte", "eosinophil"]
PIXELS = np.zeros((60, 80, 3), np.uint8)


def at(x):
    """A box of its own for each x."""
    return (20.0 * x, 0.0, 20.0 * x + 10, 10.0)


def record(*objects):
    """Objects are (box, name) or (box, name, difficult)."""
    boxes = np.float32([box for box, *_ in objects]).reshape(-1, 4)
    labels = np.int32([CLASSES.index(name) for _, name, *_ in objects])
    difficult = np.array([bool(hard) for _, _, *hard in objects], bool)
    return Record("a", None, 80, 60, boxes, labels, difficult, lambda: PIXELS)


@dataclass(frozen=True)
class Found:
    """What a detector says of a picture, one answer for both questions: for the classes, and going down the tree."""

    image: np.ndarray
    boxes_xyxy: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    @property
    def top_down(self):
        return self


def found(answer, image=PIXELS):
    """The result [(box, node)], best first, of scores from 1 down to .5."""
    boxes = np.float32([box for box, _ in answer]).reshape(-1, 4)
    nodes = np.array([node for _, node in answer], int)
    return Found(image, boxes, np.linspace(1, 0.5, len(answer)), nodes)


class Told:
    """A detector that gives the answers it was made with, and remembers what it was asked."""

    classes, synsets, tree = NAMES, TREE.synsets, TREE

    def __init__(self, *answers):
        self.answers, self.asked = answers, []

    def stream(self, pictures, **options):
        self.asked.append(options)
        for picture, answer in zip(pictures, self.answers, strict=True):
            yield found(answer, picture.read())


def dataset(records, classes=CLASSES):
    return Dataset("test", "all", classes, records, rendered=True)


def named_objects(records, answers, classes=CLASSES, **options):
    named = NamedObjects(TREE, classes, shared_classes(Told(), dataset(records, classes)), **options)
    for one, answer in zip(records, answers, strict=True):
        named.add(one, found(answer))
    return named


def confusion(records, answers, classes=CLASSES, groups=None, **options):
    naming = NamingConfusion(TREE, shared_classes(Told(), dataset(records, classes)), groups)
    return naming.metrics(named_objects(records, answers, classes, **options))


def test_every_kind_of_answer():
    """Truths are listed with both names, in either order, as data sets with both levels do."""
    truths = [(at(x), name) for x in range(4) for name in ("white", "neutrophil")]
    metrics = confusion(
        [record(*truths), record((at(0), "lymphocyte"), (at(0), "white"), (at(1), "red"), (at(2), "neutrophil"))],
        [
            [(at(0), NEUTROPHIL), (at(1), GRANULOCYTE), (at(2), CELL), (at(3), LYMPHOCYTE)],
            [(at(0), GRANULOCYTE), (at(1), RED), (at(3), NEUTROPHIL)],
        ],
    )
    (group,) = metrics["groups"]
    assert group["name"] == "white" and group["rows"] == ROWS
    assert group["columns"] == [*ROWS, "undecided", "other", "missed"]
    assert group["matrix"] == [[1, 1, 0, 2, 0, 1], [0, 0, 0, 0, 1, 0], [0] * 6]
    for numbers in (group, metrics):
        assert (numbers["truths"], numbers["detected"], numbers["right"]) == (6, 5, 1)
        assert numbers["right_of_detected"] == pytest.approx(1 / 5)
        assert numbers["balanced_of_detected"] == pytest.approx((1 / 4 + 0) / 2)
        assert numbers["right_of_all"] == pytest.approx(1 / 6)
        assert numbers["most_common_of_all"] == pytest.approx(5 / 6)
    assert metrics["images"] == 2


def test_red_and_white_are_no_group_of_their_own_unless_named():
    records = [record((at(0), "red"), (at(1), "neutrophil"), (at(2), "platelet"))]
    answers = [[(at(0), RED), (at(1), EOSINOPHIL), (at(2), PLATELET)]]
    assert confusion(records, answers)["truths"] == 1
    metrics = confusion(records, answers, groups=["cell", "n00000003"])
    assert [group["name"] for group in metrics["groups"]] == ["cell", "white"]
    assert metrics["groups"][0]["rows"] == ["red"] and metrics["groups"][0]["matrix"] == [[1, 0, 0, 0]]
    assert metrics["groups"][1]["rows"] == ROWS and (metrics["truths"], metrics["right"]) == (2, 1)


def test_a_better_detection_has_the_object():
    """Two detections of one object: the second is nobody's. One far from it is none of it."""
    near = (0.0, 0.0, 10.0, 9.0)
    answers = [[(near, EOSINOPHIL), (at(0), NEUTROPHIL)]]
    metrics = confusion([record((at(0), "neutrophil"))], answers)
    assert metrics["groups"][0]["matrix"][0] == [0, 0, 1, 0, 0, 0]
    far = (0.0, 0.0, 10.0, 4.0)
    assert confusion([record((at(0), "neutrophil"))], [[(far, NEUTROPHIL)]])["detected"] == 0
    metrics = confusion([record((at(0), "neutrophil"))], [[(far, NEUTROPHIL)]], iou_threshold=0.4)
    assert (metrics["detected"], metrics["right"]) == (1, 1)


def test_objects_of_other_classes_take_their_own_detections():
    """The red cell's detection also overlaps the white one; it belongs to the red cell, and the white one is missed."""
    shifted = (0.0, 0.0, 10.0, 8.0)
    metrics = confusion([record((at(0), "neutrophil"), (shifted, "red"))], [[(shifted, RED)]])
    assert metrics["groups"][0]["matrix"][0] == [0, 0, 0, 0, 0, 1]


def test_difficult_truths_do_not_count():
    records = [record((at(0), "neutrophil", True), (at(1), "neutrophil"))]
    assert confusion(records, [[(at(0), NEUTROPHIL)]])["truths"] == 1


def test_pictures_without_anything():
    metrics = confusion([record(), record((at(0), "red"))], [[(at(0), RED)], []])
    assert (metrics["truths"], metrics["right_of_detected"], metrics["right_of_all"]) == (0, None, None)
    assert metrics["groups"][0]["matrix"] == [[0] * 6] * 3


def test_only_detections_above_the_threshold_are_named():
    """The scores are 1 and .5."""
    records, answers = [record((at(0), "neutrophil"), (at(1), "neutrophil"))], [[(at(0), NEUTROPHIL), (at(1), RED)]]
    for threshold, row in ((0.4, [1, 0, 0, 0, 1, 0]), (0.5, [1, 0, 0, 0, 0, 1])):
        assert confusion(records, answers, score_threshold=threshold)["groups"][0]["matrix"][0] == row


def test_one_pass_over_the_data_set():
    """Average precision, confusion and examples come from one call of the detector, which reads each picture once."""
    reads = []
    records = [replace(record((at(0), "neutrophil")), read=lambda n=n: reads.append(n) or PIXELS) for n in range(5)]
    detector = Told(*[[(at(0), NEUTROPHIL)]] * 3, [(at(0), LYMPHOCYTE)], [])
    result = evaluate(detector, dataset(records), hierarchical_threshold=0.3, examples=2)
    assert reads == [0, 1, 2, 3, 4] and len(detector.asked) == 1
    (asked,) = detector.asked
    assert asked["also_top_down"] and asked["hierarchical_threshold"] == 0.3
    own = [RED, NEUTROPHIL, WHITE, LYMPHOCYTE, PLATELET, EOSINOPHIL]
    assert asked["nodes"].tolist() == [*own, CELL, GRANULOCYTE], "those above for the hierarchical AP"
    assert result.metrics["per_class"]["neutrophil"]["voc_ap50"] == pytest.approx(3 / 5)
    assert result.metrics["naming"]["groups"][0]["matrix"][0] == [3, 1, 0, 0, 0, 1]
    assert result.metrics["naming"]["images"] == 5
    hierarchy = result.metrics["hierarchy"]
    assert (hierarchy["objects"], hierarchy["found"], hierarchy["right"], hierarchy["undecided"]) == (5, 4, 3, 0)
    assert hierarchy["severity"] == {"wrong": 1, "mean": 2, "heights": {"2": 1}}
    assert [(node["name"], node["ap50"]) for node in hierarchy["nodes"]] == [
        *(("cell", 0), ("white", 0), ("granulocyte", 0)),  # the stub says nothing of them
        ("neutrophil", pytest.approx(3 / 5)),
    ]
    assert [example.top_down.labels.tolist() for example in result.examples] == [[NEUTROPHIL]] * 2


def test_without_finer_classes_no_group_is_compared():
    """Unless one is named; how near names are to the true ones is said of any tree."""
    data = dataset([record((at(0), "red"))] * 2, ("red", "neutrophil"))
    for options in ({}, {"groups": ["white"]}):
        metrics = evaluate(Told(*[[(at(0), RED)]] * 2), data, **options).metrics
        assert ("naming" in metrics) == ("groups" in options) and metrics["hierarchy"]["right_of_found"] == 1


def test_class_agnostic_evaluation_looks_for_the_classes_alone():
    """What is above them would suppress them."""
    detector = Told([(at(0), RED)])
    metrics = evaluate(detector, dataset([record((at(0), "red"))]), class_agnostic=True).metrics
    assert len(detector.asked[0]["nodes"]) == len(CLASSES) and "ap50" not in metrics["hierarchy"]


def test_what_does_not_count_excuses_its_detections():
    """A difficult object, a crowd, and one of a class that the tree lacks; of the rest one box belongs to nothing."""
    classes = ("red", "white", "bone")
    boxes = np.float32([at(0), at(1), at(2), at(3)])
    crowd, difficult = np.array([False, True, False, False]), np.array([True, False, False, False])
    one = Record("a", None, 80, 60, boxes, np.int32([0, 0, 2, 1]), difficult, lambda: PIXELS, crowd=crowd)
    within = (22.0, 1.0, 26.0, 4.0)  # in the crowd
    answer = [(at(0), RED), (within, RED), (at(2), PLATELET), (at(3), LYMPHOCYTE), ((70.0, 40.0, 80.0, 50.0), RED)]
    assert named_objects([one], [answer], classes).pairs == {(WHITE, LYMPHOCYTE): 1, (-1, RED): 1}


def test_the_detector_goes_down_the_tree():
    """A network, not a stub: sure of white, not of what kind, until the threshold is low enough."""
    classes = np.full(8, -20.0)
    classes[[CELL, WHITE, GRANULOCYTE, NEUTROPHIL]] = 20
    classes[EOSINOPHIL] = 19.5  # the neutrophil's conditional probability is 0.62
    raw = np.array(grid((*BOX, 0.9, 1)), np.float32)
    raw = np.concatenate([raw[..., :5], np.broadcast_to(classes, (*raw.shape[:3], 8))], -1)
    nested = tuple(tuple(tuple(tuple(map(float, a)) for a in cell) for cell in line) for line in raw)
    head = RegionHead([ANCHOR], tree=TREE, hierarchy_rule="conditional")
    detector = Detector(Fixed(nested), {}, NAMES, head, (64, 64), "stretch", synsets=TREE.synsets)
    data = dataset([record(((8, 6, 40, 30), "neutrophil"))] * 3)
    for threshold, right in ((0.5, 3), (0.7, 0)):
        result = evaluate(detector, data, hierarchical_threshold=threshold, batch_size=2)
        naming = result.metrics["naming"]
        assert (naming["detected"], naming["right"]) == (3, right)
        assert naming["groups"][0]["matrix"][0][:4] == [right, 0, 0, 3 - right]
        deepest = NEUTROPHIL if right else GRANULOCYTE
        assert [example.top_down.labels.tolist() for example in result.examples] == [[deepest]] * 3
        assert result.metrics["per_class"]["neutrophil"]["voc_ap50"] == 1, "whatever the threshold"


boxes = st.tuples(*[st.integers(0, 6)] * 2, *[st.integers(1, 6)] * 2).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


@given(st.lists(boxes, max_size=6), st.lists(boxes, max_size=5))
def test_assign_against_plain_loops(detected, true):
    owners = assign(np.array(detected, float).reshape(-1, 4), np.array(true, float).reshape(-1, 4), 0.3)
    expected = {}
    for place, box in enumerate(detected):
        overlaps = [(iou(box, other), -m) for m, other in enumerate(true) if m not in expected]
        if overlaps and max(overlaps)[0] >= 0.3:
            expected[-max(overlaps)[1]] = place
    assert owners.tolist() == [expected.get(m, -1) for m in range(len(true))]


def iou(a, b):
    width, height = (max(0, min(a[k + 2], b[k + 2]) - max(a[k], b[k])) for k in (0, 1))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


# Mistakes


def test_a_group_without_classes():
    with pytest.raises(UserError, match="group 'neutrophil': no class of the data set lies below"):
        confusion([record()], [[]], groups=["neutrophil"])
    with pytest.raises(UserError, match="no node is called 'bone'"):
        confusion([record()], [[]], groups=["bone"])


def test_no_groups_at_all():
    with pytest.raises(UserError, match="name the nodes to look below"):
        confusion([record()], [[]], classes=("red", "neutrophil", "platelet"))


def test_without_a_tree():
    detector = Told()
    detector.tree = None
    with pytest.raises(UserError, match="form no tree"):
        evaluate(detector, dataset([record()]), groups=["white"])
