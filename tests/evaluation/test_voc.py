"""The VOC evaluator against the reference's numbers and against a plain loop."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.helpers import golden_dir, golden_path, golden_root
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.voc import (
    FALSE_POSITIVE,
    IGNORED,
    TRUE_POSITIVE,
    GroundTruth,
    ImageDetections,
    average_precision,
    evaluate_detections,
    match_detections,
)

MAP_JSON = golden_root() / "map/map.json"
GOLDEN = json.loads(MAP_JSON.read_text()) if MAP_JSON.is_file() else {"cases": {None: {}}}
READINGS = {
    "chainercv_area": (True, "ap"),
    "chainercv_07_11point": (True, "ap07"),
    "devkit_reading_area": (True, "ap"),
    "devkit_reading_07_11point": (True, "ap07"),
    "devkit_reading_no_plus1_area": (False, "ap"),
    "devkit_reading_no_plus1_07_11point": (False, "ap07"),
}


def golden_case(name):
    """(detections, truths) of a golden case, one of each an image."""
    arrays = np.load(golden_dir() / f"map/{name}.npz")
    columns = {kind: GOLDEN["columns"][kind].split() for kind in ("gt", "det")}
    corners = ["xmin", "ymin", "xmax", "ymax"]

    def take(kind, image, names):
        rows = arrays[kind][arrays[kind][:, columns[kind].index("image")] == image]
        return rows[:, [columns[kind].index(name) for name in names]]

    detections, truths = [], []
    for image in range(GOLDEN["cases"][name]["images"]):
        scores, labels = take("det", image, ["score", "class"]).T
        detections.append(ImageDetections(take("det", image, corners), scores, labels.astype(int)))
        labels, difficult = take("gt", image, ["class", "difficult"]).T
        truths.append(GroundTruth(take("gt", image, corners), labels.astype(int), difficult.astype(bool)))
    return detections, truths


@pytest.mark.parametrize("name", GOLDEN["cases"])
def test_agrees_with_the_reference(name):
    golden_path("map/map.json")
    case = GOLDEN["cases"][name]
    detections, truths = golden_case(name)
    assert sum(len(d.scores) for d in detections) == case["n_det"]
    compared = 0
    for reading, (inclusive, field) in READINGS.items():
        if reading not in case["ap"]:
            continue
        result = evaluate_detections(detections, truths, case["classes"], GOLDEN["iou"], inclusive)
        for class_id, expected in enumerate(case["ap"][reading]):
            got = getattr(result.per_class[class_id], field)
            assert got == (None if expected is None else pytest.approx(expected, abs=1e-9)), (reading, class_id)
        mean = {"ap": result.voc_ap50, "ap07": result.voc07_ap50}[field]
        assert mean == pytest.approx(case["map"][reading], abs=1e-9), reading
        compared += 1
    assert compared >= 2


def loop_iou(a, b, plus):
    width = min(a[2], b[2]) - max(a[0], b[0]) + plus
    height = min(a[3], b[3]) - max(a[1], b[1]) + plus
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0] + plus) * (box[3] - box[1] + plus) for box in (a, b)]
    return width * height / (areas[0] + areas[1] - width * height)


def loop_class(detections, truths, class_id, threshold, plus):
    """(area AP, 11-point AP) of one class by the rules, one detection at a time; None without truths."""
    count = sum(int(c == class_id and not d) for t in truths for c, d in zip(t.labels, t.difficult, strict=True))
    if count == 0:
        return None, None
    rows = [(s, i, b) for i, d in enumerate(detections) for b, s, c in zip(*d, strict=True) if c == class_id]
    rows.sort(key=lambda row: -row[0])
    taken, right, wrong, curve = set(), 0, 0, []
    for _, image, box in rows:
        best, best_iou = None, -1.0
        for j, (true_box, label, _) in enumerate(zip(*truths[image][:3], strict=True)):
            if label == class_id and loop_iou(box, true_box, plus) > best_iou:
                best, best_iou = j, loop_iou(box, true_box, plus)
        if best is None or best_iou < threshold:
            wrong += 1
        elif not truths[image].difficult[best]:
            right, wrong = (right, wrong + 1) if (image, best) in taken else (right + 1, wrong)
            taken.add((image, best))
        if right + wrong:
            curve.append((right / count, right / (right + wrong)))
    eleven = sum(max([p for r, p in curve if r >= 0.1 * step], default=0) for step in range(11)) / 11
    area, reached = 0.0, 0.0
    for recall in sorted({r for r, _ in curve}):
        area += (recall - reached) * max(p for r, p in curve if r >= recall)
        reached = recall
    return area, eleven


@st.composite
def scenes(draw):
    """A few images of small whole-number boxes, so that equal scores, equal IoUs and IoU .5 all happen."""

    def boxes(count):
        low = draw(hnp.arrays(int, (count, 2), elements=st.integers(0, 3)))
        return np.concatenate([low, low + draw(hnp.arrays(int, (count, 2), elements=st.integers(1, 3)))], 1)

    detections, truths = [], []
    for _ in range(draw(st.integers(0, 3))):
        n, m = draw(st.integers(0, 7)), draw(st.integers(0, 4))
        labels = [draw(hnp.arrays(int, k, elements=st.integers(0, 2))) for k in (n, m)]
        scores = draw(hnp.arrays(float, n, elements=st.sampled_from([0.1, 0.25, 0.5, 0.75, 0.9])))
        detections.append(ImageDetections(boxes(n), scores, labels[0]))
        truths.append(GroundTruth(boxes(m), labels[1], draw(hnp.arrays(bool, m))))
    return detections, truths


@settings(max_examples=150, deadline=None)
@given(scenes(), st.sampled_from([0.3, 0.5, 0.75]), st.booleans())
def test_agrees_with_a_plain_loop(scene, threshold, inclusive):
    detections, truths = scene
    result = evaluate_detections(detections, truths, 4, threshold, inclusive)
    for class_id, got in enumerate(result.per_class):
        expected = loop_class(detections, truths, class_id, threshold, int(inclusive))
        for mine, plain in zip((got.ap, got.ap07), expected, strict=True):
            assert mine == (None if plain is None else pytest.approx(plain, abs=1e-12))
        assert got.detections == sum(int(np.sum(d.labels == class_id)) for d in detections) == len(got.scores)
    wanted = [
        any(loop_iou(box, true_box, int(inclusive)) >= threshold for box in found.boxes_xyxy)
        for found, truth in zip(detections, truths, strict=True)
        for true_box, hard in zip(truth.boxes_xyxy, truth.difficult, strict=True)
        if not hard
    ]
    assert result.recall50 == (pytest.approx(np.mean(wanted)) if wanted else None)
    json.dumps(result.metrics(["a", "b", "c", "d"]), allow_nan=False)


def test_outcomes_of_one_image():
    """A hit, a second one with a worse score, another class, IoU exactly .5, a difficult truth, an empty place."""
    truth = GroundTruth([[0, 0, 10, 10], [20, 20, 30, 40], [50, 50, 60, 60]], [0, 1, 0], [False, False, True])
    detections = ImageDetections(
        [[0, 0, 10, 9], [0, 0, 10, 10], [0, 0, 10, 10], [20, 20, 30, 30], [50, 50, 60, 60], [80, 80, 90, 90]],
        [0.8, 0.9, 0.95, 0.5, 0.4, 0.3],
        [0, 0, 1, 1, 0, 0],
    )
    outcomes, matched = match_detections(detections, truth)
    assert outcomes.tolist() == [FALSE_POSITIVE, TRUE_POSITIVE, FALSE_POSITIVE, TRUE_POSITIVE, IGNORED, FALSE_POSITIVE]
    assert matched.tolist() == [0, 0, -1, 1, 2, -1]


def test_names_of_the_numbers():
    truth = GroundTruth([[0, 0, 10, 10], [0, 0, 4, 4]], [0, 1], [False, True])
    detections = ImageDetections([[0, 0, 10, 9]], [0.5], [0])
    metrics = evaluate_detections([detections], [truth], 2).metrics(["cat", "dog"])
    assert metrics == {
        "voc_ap50": 1.0,
        "voc07_ap50": 1.0,
        "recall50": 1.0,
        "images": 1,
        "per_class": {
            "cat": {"voc_ap50": 1.0, "voc07_ap50": 1.0, "truths": 1, "detections": 1},
            "dog": {"voc_ap50": None, "voc07_ap50": None, "truths": 0, "detections": 0},
        },
    }
    strict = evaluate_detections([detections], [truth], 2, iou_threshold=0.95).metrics(["crane", "crane"])
    assert strict["voc_ap95"] == strict["recall95"] == 0.0
    assert set(strict["per_class"]) == {"crane (0)", "crane (1)"}


def test_nothing_at_all():
    result = evaluate_detections([], [], 3)
    assert (result.voc_ap50, result.voc07_ap50, result.recall50, result.images) == (None, None, None, 0)
    assert average_precision([], []) == average_precision([], [], "11point") == 0


@pytest.mark.parametrize(
    ("detections", "truths", "message"),
    [
        ([], [GroundTruth([], [], [])], "0 images, truth of 1"),
        (
            [ImageDetections([[0, 0, 1, 1]], [0.5, 0.5], [0])],
            [GroundTruth([], [], [])],
            "image 0: detections with 1 boxes_xyxy, 2",
        ),
        ([ImageDetections([[0, 0, 1, 1]], [0.5], [2])], [GroundTruth([], [], [])], "label 2, but there are 2 classes"),
        ([ImageDetections([[0, 0, 1, 1]], [np.nan], [0])], [GroundTruth([], [], [])], "NaN"),
        ([ImageDetections([], [], [])], [GroundTruth([[0, 0, 1, 1]], [-1], [False])], "image 0: truth with label -1"),
    ],
)
def test_bad_input_is_named(detections, truths, message):
    with pytest.raises(UserError, match=message):
        evaluate_detections(detections, truths, 2)


def test_bad_method_and_bad_names():
    with pytest.raises(UserError, match="'trapezoid'"):
        average_precision([1.0], [1.0], "trapezoid")
    with pytest.raises(UserError, match="1 class names for 2 classes"):
        evaluate_detections([], [], 2).metrics(["cat"])
