"""The files for official tools: pycocotools finds our numbers in them; VOC's are what its reader takes."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.test_coco import NAMES as COCO_NAMES
from tests.evaluation.test_coco import official
from tests.evaluation.test_detection import BOX, dataset, record
from tests.helpers import data_dir
from tests.predict.test_detector import NAMES, detector
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.sources import open_source
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation import evaluate
from yolo9000_jax.evaluation.result import Compared, Picture
from yolo9000_jax.evaluation.voc import ImageDetections
from yolo9000_jax.predict.result import Result
from yolo9000_jax.report import results_files
from yolo9000_jax.report.coco import coco_table, read_metrics


def written(evaluation, folder):
    results_files.write_coco_results(folder / "found.json", evaluation.compared)
    results_files.write_coco_truth(folder / "truth.json", evaluation.compared, evaluation.class_names)
    return [json.loads((folder / name).read_text()) for name in ("truth.json", "found.json")]


def assert_same_numbers(metrics, truth, found):
    for name, value in official(truth, found).items():
        assert (-1 if metrics[name] is None else metrics[name]) == pytest.approx(value, abs=1e-6), name


def test_pycocotools_finds_our_numbers(tmp_path):
    records = [record(n, [[8, 6, 40, 30 + n], [50, 40, 70, 55]], [1, 0], [False, n == 2]) for n in range(4)]
    found = evaluate(detector((*BOX, 0.9, 1), resize="stretch"), dataset(*records))
    truth, results = written(found, tmp_path)
    assert_same_numbers(found.metrics, truth, results)
    assert [each["name"] for each in truth["categories"]] == list(NAMES) and found.metrics["coco_ap"] > 0
    table = coco_table({"mine": found.metrics})
    assert table.rows[0] == ["AP", f"{100 * found.metrics['coco_ap']:.1f}", "21.6"] and "cited" in table.note


def test_what_is_no_evaluation_of_a_detector_has_no_table(tmp_path):
    for text in (None, "{", "[]", '{"top1": 0.5}'):
        path = tmp_path / "m.json"
        path.unlink(missing_ok=True) if text is None else path.write_text(text)
        with pytest.raises(UserError, match=r"m\.json: (cannot be read|has no numbers of COCO)"):
            read_metrics(str(path))


class Guess:
    """A detector that moves the truth of each picture, and confuses some."""

    synsets, tree = None, None

    def __init__(self, data):
        self.classes, self._rng = data.classes, np.random.default_rng(3)

    def stream(self, records, **_):
        for each in records:
            count = len(each.labels)
            sides = np.tile(each.boxes_xyxy[:, 2:] - each.boxes_xyxy[:, :2], 2)
            boxes = np.tile(each.boxes_xyxy, (3, 1)) + self._rng.normal(0, 0.1, (3 * count, 4)) * np.tile(sides, (3, 1))
            boxes = np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:] - 1), boxes[:, 2:]], 1).astype(np.float32)
            labels = np.where(self._rng.random(3 * count) < 0.8, np.tile(each.labels, 3), 0)
            order = np.argsort(-(scores := self._rng.random(3 * count).astype(np.float32)))
            image = np.zeros((1, 1, 3), np.uint8)
            yield Result(image, boxes[order], scores[order], labels[order].astype(np.int32), self.classes)


def test_coco128_with_its_own_file(tmp_path):
    """The official program finds our numbers with COCO's own annotations: ids, crowds, areas of outlines."""
    folder = data_dir("coco128")
    data = open_source(f"coco:{folder}/instances_train2017.json,{folder}/images/train2017")
    found = evaluate(Guess(data), data, examples=0)
    truth, results = written(found, tmp_path)
    own = json.loads((folder / "instances_train2017.json").read_text())
    assert_same_numbers(found.metrics, truth, results)
    assert_same_numbers(found.metrics, own, results)
    assert {each["category_id"] for each in results} <= {each["id"] for each in own["categories"]}
    assert {each["id"] for each in truth["images"]} == {each["id"] for each in own["images"]}
    assert set(COCO_NAMES) <= found.metrics.keys() and 0.1 < found.metrics["coco_ap"] < 0.9
    yolo = evaluate(Guess(data), open_source(f"yolo:{folder}/data.yaml"), examples=0)
    _, same_ids = written(yolo, tmp_path)
    assert {each["category_id"] for each in same_ids} == {each["category_id"] for each in results}
    assert {each["image_id"] for each in same_ids} == {each["image_id"] for each in results}


def compared(*names, classes=1, split="val"):
    found = ImageDetections(np.float64([[0, 1, 10.5, 20]]), np.array([0.25]), np.array([0]))
    pictures = [Picture(name, 40, 30) for name in names]
    return Compared(pictures, [found] * len(names), [], split, range(1, classes + 1))


def test_vocs_files(tmp_path):
    """Pixels count from 1, the last one is inside; a class that was not found has an empty file; no name leaves DIR."""
    results_files.write_voc_results(tmp_path, compared("a.jpg", "b.png", classes=2), ["../<b>", "dog"])
    files = {file.name: file.read_text() for file in tmp_path.iterdir()}
    line = "0.250000 1.000000 2.000000 10.500000 20.000000\n"
    assert files == {"comp4_det_val_..__b_.txt": f"a {line}b {line}", "comp4_det_val_dog.txt": ""}


@pytest.mark.parametrize(
    ("names", "classes", "message"),
    [
        (["a.jpg", "a.png"], ["cat"], "several pictures are called 'a'"),
        (["a b.jpg"], ["cat"], "'a b' has a blank"),
        (["a.jpg"], ["cat/dog", "cat_dog"], "would be one file"),
    ],
)
def test_what_vocs_files_cannot_hold(tmp_path, names, classes, message):
    """Said of the data set too, before the work of an evaluation."""
    with pytest.raises(UserError, match=message):
        results_files.write_voc_results(tmp_path, compared(*names, classes=2), classes)
    records = [replace(record(0, [], []), image=f"/data/{name}") for name in names]
    with pytest.raises(UserError, match=message):
        results_files.check_voc_names(Dataset("test", "all", NAMES, records), classes)


def test_names_with_dots_and_of_many_bytes(tmp_path):
    """The data set's own name of a picture is used whole; the file of a class keeps to what a file system takes."""
    found = compared("tfds 0", "tfds 1")
    pictures = [each._replace(image_id=own) for each, own in zip(found.pictures, ("a.v2", "a.v3"), strict=True)]
    results_files.write_voc_results(tmp_path, found._replace(pictures=pictures), ["犬" * 120])
    (file,) = tmp_path.iterdir()
    assert file.name == f"comp4_det_val_{'犬' * 33}.txt"
    assert [line.split()[0] for line in file.read_text().splitlines()] == ["a.v2", "a.v3"]


def test_text_ids_of_a_coco_file_stay_text(tmp_path):
    """As its own annotations have them; the names of other files count as numbers where all are."""
    found = compared("1.jpg", "2.jpg")
    texts = [each._replace(image_id=f"00{each.name[0]}") for each in found.pictures]
    for own_ids, expected in ((True, ["001", "002"]), (False, [1, 2])):
        results_files.write_coco_results(tmp_path / "a.json", found._replace(pictures=texts, own_ids=own_ids))
        assert [each["image_id"] for each in json.loads((tmp_path / "a.json").read_text())] == expected
