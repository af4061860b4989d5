"""COCO's twelve numbers are pycocotools': scenes with crowds, equal overlaps and scores, and the golden cases."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.evaluation.test_voc import GOLDEN, golden_case
from tests.helpers import golden_path
from yolo9000_jax.evaluation.coco import Matching, evaluate_coco
from yolo9000_jax.evaluation.voc import GroundTruth, ImageDetections, checked

NAMES = (
    *("coco_ap", "coco_ap50", "coco_ap75", "coco_ap_small", "coco_ap_medium", "coco_ap_large"),
    *("coco_ar1", "coco_ar10", "coco_ar100", "coco_ar_small", "coco_ar_medium", "coco_ar_large"),
)
FASTER_NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


def official(truth, results):
    """pycocotools' numbers, -1 where there are none, of the contents of a truth file and a results file."""
    coco, cocoeval = (pytest.importorskip(f"pycocotools.{name}") for name in ("coco", "cocoeval"))
    with contextlib.redirect_stdout(io.StringIO()):
        api = coco.COCO()
        api.dataset = truth
        api.createIndex()
        found = api.loadRes(results) if results else coco.COCO()
        if not results:
            found.dataset = {"images": truth["images"], "annotations": [], "categories": truth["categories"]}
            found.createIndex()
        evaluation = cocoeval.COCOeval(api, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(NAMES, evaluation.stats.tolist(), strict=True))


def as_files(detections, truths, num_classes):
    """What the two files of COCO hold."""
    annotations, results = [], []
    for image, (found, truth) in enumerate(zip(*checked(detections, truths, num_classes), strict=True)):
        sides = [np.concatenate([rows[:, :2], rows[:, 2:] - rows[:, :2]], 1) for rows in (found[0], truth[0])]
        for box, score, label in zip(sides[0].tolist(), found.scores.tolist(), found.labels.tolist(), strict=True):
            results.append({"image_id": image, "category_id": label, "bbox": box, "score": score})
        rest = map(np.ndarray.tolist, truth[3:])
        for box, label, crowd, area in zip(sides[1].tolist(), truth.labels.tolist(), *rest, strict=True):
            annotation = {"id": len(annotations) + 1, "image_id": image, "category_id": label, "bbox": box}
            annotations.append(annotation | {"area": area, "iscrowd": int(crowd)})
    lists = {"images": [{"id": image} for image in range(len(truths))], "annotations": annotations}
    return lists | {"info": {}, "categories": [{"id": label} for label in range(num_classes)]}, results


def assert_official(detections, truths, num_classes):
    expected = official(*as_files(detections, truths, num_classes))
    numbers, per_class = evaluate_coco(Matching(*checked(detections, truths, num_classes), num_classes))
    assert tuple(numbers) == NAMES
    for name, value in numbers.items():
        assert (-1 if value is None else value) == pytest.approx(expected[name], abs=1e-9), name
    present = [ap for ap in per_class if ap is not None]
    assert numbers["coco_ap"] == (pytest.approx(np.mean(present)) if present else None)
    return numbers


@st.composite
def scenes(draw):
    """Whole-number boxes of all three sizes, so that equal scores, equal overlaps and those on a threshold happen."""
    unit = draw(st.sampled_from([4, 16, 32]))

    def boxes(count):
        low = draw(hnp.arrays(int, (count, 2), elements=st.integers(0, 3)))
        return unit * np.concatenate([low, low + draw(hnp.arrays(int, (count, 2), elements=st.integers(1, 5)))], 1)

    detections, truths = [], []
    for _ in range(draw(st.integers(1, 3))):
        n, m = draw(st.integers(0, 14)), draw(st.integers(0, 5))
        labels = [draw(hnp.arrays(int, k, elements=st.integers(0, 1))) for k in (n, m)]
        scores = draw(hnp.arrays(float, n, elements=st.sampled_from([0.1, 0.25, 0.5, 0.75, 0.9])))
        difficult, crowd = draw(hnp.arrays(bool, (2, m)))
        areas = draw(st.sampled_from([None, np.linspace(900, 9300, m)]))
        detections.append(ImageDetections(boxes(n), scores, labels[0]))
        truths.append(GroundTruth(boxes(m), labels[1], difficult, crowd, areas))
    return detections, truths


@settings(max_examples=80, deadline=None)
@given(scenes())
def test_agrees_with_pycocotools(scene):
    assert_official(*scene, 3)


def test_only_a_hundred_detections_of_a_class_count():
    """The one that is right comes after a hundred others of its class; one of another class is not among these."""
    boxes = np.float64([*([[200, 200, 240, 240]] * 103), [0, 0, 40, 40], [0, 0, 40, 40]])
    scores, labels = np.linspace(0.9, 0.1, 105), np.array([0] * 104 + [1])
    truth = GroundTruth(np.float64([[0, 0, 40, 40]] * 2), np.array([0, 1]), np.zeros(2, bool))
    numbers = assert_official([ImageDetections(boxes, scores, labels)], [truth], 2)
    assert numbers["coco_ap"] == pytest.approx(0.5) and numbers["coco_ar100"] == 0.5


@pytest.mark.parametrize("name", GOLDEN["cases"])
def test_golden_cases(name):
    """The golden numbers are faster-coco-eval's; difficult objects count, as COCO knows none."""
    golden_path("map/map.json")
    detections, truths = golden_case(name)
    case = GOLDEN["cases"][name]
    numbers, _ = evaluate_coco(Matching(*checked(detections, truths, case["classes"]), case["classes"]))
    if golden := case["coco_faster_coco_eval_1_8_0_difficult_as_ordinary"]:
        for ours, theirs in zip(numbers.values(), (golden[each] for each in FASTER_NAMES), strict=True):
            assert (-1 if ours is None else ours) == pytest.approx(theirs, abs=1e-9)
    assert_official(detections, truths, case["classes"])


def test_nothing_to_find():
    """No image, no truth, crowds only, and a class without either."""
    box, no = np.float64([[0, 0, 8, 8]]), np.zeros(1, bool)
    found = ImageDetections(box, np.array([0.5]), np.array([0]))
    for detections, truths in (
        ([], []),
        ([found], [GroundTruth(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0, bool))]),
        ([found], [GroundTruth(box, np.array([0]), no, ~no)]),
    ):
        numbers, per_class = evaluate_coco(Matching(*checked(detections, truths, 2), 2))
        assert set(numbers.values()) == {None} and per_class == [None, None]
    numbers, per_class = evaluate_coco(Matching(*checked([found], [GroundTruth(box, np.array([0]), no)], 2), 2))
    assert numbers["coco_ap"] == numbers["coco_ap_small"] == pytest.approx(1) and per_class == [pytest.approx(1), None]
    assert numbers["coco_ap_large"] is None
