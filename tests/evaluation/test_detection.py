"""Evaluating a detector over a data set, with a network that finds the same box in every picture."""

import json

import numpy as np
import pytest

from tests import tiny
from tests.predict.test_detector import NAMES, detector
from yolo9000_jax.data.records import Dataset, Indexed, Record
from yolo9000_jax.data.sources import open_source
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation import evaluate
from yolo9000_jax.report.evaluation import write_report

BOX = (0.3, 0.3, 0.4, 0.4)  # cx, cy, w, h in fractions: pixels 8, 6, 40, 30 of 80x60


def record(number, boxes_xyxy, labels, difficult=None):
    pixels = np.full((60, 80, 3), 10 * number, np.uint8)
    boxes, labels = np.float32(boxes_xyxy).reshape(-1, 4), np.int32(labels)
    difficult = np.zeros(len(labels), bool) if difficult is None else np.array(difficult)
    return Record(str(number), None, 80, 60, boxes, labels, difficult, lambda: pixels)


def dataset(*records):
    return Dataset("test", "all", NAMES, records, rendered=True)


@pytest.mark.parametrize("batch_size", [1, 4, 8])
def test_the_last_batch_counts_fully(batch_size):
    """Six pictures; the box is right in all but the last, which holds it elsewhere."""
    right = [record(n, [[8, 6, 40, 30]], [1]) for n in range(5)]
    found = evaluate(
        detector((*BOX, 0.9, 1), resize="stretch"),
        dataset(*right, record(5, [[50, 40, 70, 55]], [1])),
        batch_size=batch_size,
    ).metrics
    assert found["images"] == 6 and found["recall50"] == pytest.approx(5 / 6)
    assert found["voc_ap50"] == pytest.approx(5 / 6)
    assert found["per_class"]["dog"]["truths"] == 6 and found["per_class"]["dog"]["detections"] == 6
    assert found["per_class"]["cat"]["voc_ap50"] is None


def test_class_agnostic():
    """Two boxes of two classes on one object: one of them is a mistake, unless only the better stays."""
    detect = detector((0.45, 0.25, 0.6, 0.4, 0.8, 1), (0.55, 0.25, 0.6, 0.4, 0.7, 0), resize="stretch")
    for class_agnostic, cats in ((False, 1), (True, 0)):
        found = evaluate(detect, dataset(record(0, [[12, 3, 60, 27]], [1])), class_agnostic=class_agnostic).metrics
        assert found["per_class"]["dog"] | {"voc_ap50": 1.0, "detections": 1} == found["per_class"]["dog"]
        assert found["per_class"]["cat"]["detections"] == cats


def test_a_picture_that_is_there_several_times_counts_once():
    """As lists for training have it, which repeat the rare."""
    right, wrong = record(0, [[8, 6, 40, 30]], [1]), record(1, [[50, 40, 70, 55]], [1])
    repeated = Dataset("test", "all", NAMES, [right, right, wrong, right])
    found = evaluate(detector((*BOX, 0.9, 1), resize="stretch"), repeated).metrics
    assert found["images"] == 2 and found["recall50"] == 0.5


def test_difficult_boxes_do_not_count():
    found = evaluate(
        detector((*BOX, 0.9, 1), resize="stretch"),
        dataset(record(0, [[8, 6, 40, 30]], [1]), record(1, [[8, 6, 40, 30]], [1], [True])),
    ).metrics
    assert found["voc_ap50"] == 1.0 and found["per_class"]["dog"]["truths"] == 1


@pytest.mark.parametrize("examples", [0, 1, 3, 5, 16])
def test_examples_are_spread_over_the_data_set(examples):
    """Each is kept with the picture's own detections and truth; there are never more than asked for."""
    records = [record(n, [[8, 6, 40, 30], [50, 40, 70, 55]][: 1 + n % 2], [1, 0][: 1 + n % 2]) for n in range(10)]
    found = evaluate(detector((*BOX, 0.9, 1), resize="stretch"), dataset(*records), examples=examples, batch_size=4)
    numbers = [int(example.image[0, 0, 0]) // 10 for example in found.examples]
    assert numbers == {0: [], 1: [0], 3: [0, 3, 6], 5: [0, 2, 4, 6, 8], 16: list(range(10))}[examples]
    for number, example in zip(numbers, found.examples, strict=True):
        assert example.truth.labels.tolist() == records[number].labels.tolist() and example.top_down is None
        np.testing.assert_array_equal(example.truth.boxes_xyxy, records[number].boxes_xyxy)
        assert example.detections.labels.tolist() == [1] and example.detections.scores == pytest.approx(0.9)
    assert found.class_names == NAMES and found.voc.voc_ap50 == found.metrics["voc_ap50"]


def test_reprs_are_short_and_say_the_main_numbers():
    records = [record(n, [[8, 6, 40, 30]] * n, [1] * n) for n in range(3)]
    found = evaluate(detector((*BOX, 0.9, 1), resize="stretch"), dataset(*records))
    numbers = ", ".join(f"{key} {found.metrics[key]:.4f}" for key in ("voc_ap50", "voc07_ap50", "recall50"))
    ours = f"{numbers}, coco_ap {found.metrics['coco_ap']:.4f}"
    assert repr(found) == f"<Evaluation: {ours}, 3 images, {len(NAMES)} classes>"
    assert repr(found.voc) == f"<VocResult: {numbers}, 3 images, {len(NAMES)} classes>"
    assert repr(found.examples[1]) == "<Example 80x60: 1 detection, 1 truth>"
    assert repr(found.voc.per_class[0]).startswith("<ClassResult: ap -, ap07 -, 0 truths, ")


@pytest.mark.parametrize("pictures", [0, 1, 3])
def test_nothing_to_find_gives_no_number(pictures, tmp_path):
    """None, JSON's null, and no plot; also with no picture at all."""
    empty = dataset(*(record(n, [], []) for n in range(pictures)))
    found = evaluate(detector((*BOX, 0.9, 1), resize="stretch"), empty)
    numbers = {key: found.metrics[key] for key in ("voc_ap50", "voc07_ap50", "recall50", "images")}
    assert numbers == {"voc_ap50": None, "voc07_ap50": None, "recall50": None, "images": pictures}
    assert found.metrics["per_class"]["dog"]["detections"] == pictures
    json.dumps(found.metrics, allow_nan=False)
    write_report(tmp_path / "report", found)
    assert (tmp_path / "report/index.html").is_file()
    assert (tmp_path / "report/metrics.json").is_file()


def test_progress_is_said(said, monkeypatch):
    monkeypatch.setattr("yolo9000_jax.evaluation.detection.LOG_EVERY", 2)
    evaluate(detector((*BOX, 0.9, 1), resize="stretch"), dataset(*[record(n, [[8, 6, 40, 30]], [1]) for n in range(5)]))
    assert [line.split("  ")[0] for line in said] == ["evaluated 2/5", "evaluated 4/5"]


def test_picture_that_breaks_after_opening(tmp_path):
    tiny.make_voc(tmp_path / "data")
    opened = open_source(f"voc:{tmp_path / 'data'}", "val")
    (tmp_path / "data/JPEGImages/6.jpg").unlink()
    detect = detector()
    detect.classes = opened.classes
    with pytest.raises(UserError, match="6.jpg"):
        evaluate(detect, opened, batch_size=2)


def test_a_record_of_a_lazy_set_is_fetched_once():
    """Its picture and its truth come from the same one; the order is that of the set."""
    records = [record(n, [[8, 6, 40, 30]], [1]) for n in range(11)]
    fetched = []

    class Lazy(Indexed):
        def __len__(self):
            return len(records)

        def __getitem__(self, index):
            fetched.append(index)
            return records[index]

    lazy = Dataset("test", "all", NAMES, Lazy(), lazy=True)
    found = evaluate(detector((*BOX, 0.9, 1), resize="stretch"), lazy, batch_size=2)
    assert sorted(fetched) == list(range(11)) and found.metrics["voc_ap50"] == 1.0
    assert [int(example.image[0, 0, 0]) // 10 for example in found.examples] == list(range(11))


def test_a_record_that_cannot_be_read():
    class Broken(Indexed):
        def __len__(self):
            return 5

        def __getitem__(self, index):
            if index == 3:
                raise UserError("record 3 is broken")
            return record(index, [[8, 6, 40, 30]], [1])

    with pytest.raises(UserError, match="record 3 is broken"):
        evaluate(detector((*BOX, 0.9, 1)), Dataset("test", "all", NAMES, Broken(), lazy=True), batch_size=2)


def test_what_is_no_data_set_for_a_detector():
    found = detector((*BOX, 0.9, 1))
    with pytest.raises(UserError, match="a picture has a label and no box"):
        evaluate(found, dataset(record(0, [], [1])))
    with pytest.raises(UserError, match="dataset is the text 'voc:x'; give what y9.open_source"):
        evaluate(found, "voc:x")
    for name in ("threshold", "nms", "hierarchical_threshold"):
        with pytest.raises(UserError, match=f"{name} 2: it must be from 0 to 1"):
            found(np.zeros((8, 8, 3), np.uint8), **{name: 2})
