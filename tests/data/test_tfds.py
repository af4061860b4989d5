"""Data sets of TensorFlow Datasets: what is read is what was put in, at random, from either file format."""

import io
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from tests.data.test_pipeline import assert_same, batches, configuration
from tests.data.tfds_sets import (
    FORMATS,
    SYNSETS,
    VOC,
    VOC_CLASSES,
    assert_is_voc,
    box,
    coco,
    features,
    labelled,
    number,
    picture,
    prepare,
    tfds,
    voc_example,
    voc_objects,
)
from tests.helpers import data_dir
from yolo9000_jax.data import tfds as source
from yolo9000_jax.data.coco_classes import coco_classes
from yolo9000_jax.data.counts import empty_classes, fullest, left_out
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.shared import shared_pictures
from yolo9000_jax.data.sources import open_classes, open_source
from yolo9000_jax.data.tfrecord import RecordFiles
from yolo9000_jax.errors import UserError

# What is read


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("train", range(10)),
        ("validation", range(10, 14)),
        ("train+validation", range(14)),
        ("validation+train", range(14)),
    ],
)
def test_detection(either_format, split, expected):
    dataset = open_source("tfds:voc/2007", split)
    assert dataset.lazy and not dataset.rendered and dataset.classes == VOC_CLASSES and dataset.synsets == (None,) * 3
    assert sorted(map(number, dataset)) == list(expected)
    for record in dataset:
        assert_is_voc(record)
    assert dataset[0].name.startswith(f"tfds:voc/2007 {split} 0 (")


def test_records_in_any_order_and_from_many_threads(either_format):
    dataset = open_source("tfds:voc/2007", "train+validation")
    order = [number(record) for record in dataset]
    places = np.random.default_rng(0).integers(-14, 14, 300)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda place: dataset[int(place)], places))
        assert [number(record) for record in found] == [order[place] for place in places]
        for record, pixels in zip(found, pool.map(lambda record: record.read(), found), strict=True):
            np.testing.assert_array_equal(pixels, picture(number(record)))
    for place in (14, -15):
        with pytest.raises(IndexError):
            dataset[place]


def test_both_file_formats_hold_the_same(prepared, monkeypatch):
    found = []
    for kind in FORMATS:
        monkeypatch.setenv("TFDS_DATA_DIR", str(prepared / kind))
        found.append([number(record) for record in open_source("tfds:voc/2007", "train")])
    assert found[0] == found[1]


def test_slices(either_format):
    def numbers(split):
        return [number(record) for record in open_source("tfds:voc/2007", split)]

    first, last = numbers("train+validation[:50%]"), numbers("train+validation[50%:]")
    assert len(first) == len(last) == 7 and sorted(first + last) == list(range(14))
    assert numbers("train+validation[:50%]") == first
    assert {index > 9 for index in first} == {True, False}  # of both splits


@pytest.mark.parametrize("spec", ["tfds:voc/2007+voc/2012", "tfds:voc/2007+tfds:voc/2012"])
def test_joined(either_format, spec):
    dataset = open_source(spec, "train")
    assert sorted(map(number, dataset)) == [*range(10), 20, 21, 22] and dataset.lazy and not dataset.rendered
    assert_is_voc(dataset[11])


def test_the_latest_version_or_the_one_named(array_record):
    assert len(open_source("tfds:voc/2007:1.0.0", "train")) == 10
    with pytest.raises(UserError, match="tfds:voc/2007:2.0.0 is not prepared"):
        open_source("tfds:voc/2007:2.0.0", "train")


@pytest.mark.parametrize("config", ["2017", "named"])
def test_coco(array_record, config):
    dataset = open_source(f"tfds:coco/{config}")  # it has one split only
    known = coco_classes()
    assert dataset.classes == tuple(known)[:: 1 if config == "2017" else -1]
    assert dict(zip(dataset.classes, dataset.synsets, strict=True)) == known
    assert known["person"] == "n00007846" and known["toothbrush"] == "n04453156"
    records = {int(record.labels[0]): record for record in dataset}
    assert sorted(records) == [0, 1, 2, 3]
    for index, record in records.items():
        np.testing.assert_array_equal(record.read(), picture(index))
        crowd = index == 1
        boxes = [(0, 0, 10.5, 20), (4, 2, 30, 18)][: 1 + crowd]
        np.testing.assert_allclose(record.boxes_xyxy, boxes, atol=1e-4)
        assert record.labels.tolist() == [index, 79][: 1 + crowd]
        assert record.difficult.tolist() == record.crowd.tolist() == [False, True][: 1 + crowd]


def test_names_of_coco():
    folder = data_dir("coco128")
    listed = open_source(f"coco:{folder}/instances_train2017.json,{folder}/images/train2017", "all").classes
    assert tuple(coco_classes()) == listed


def test_photographs_are_those_of_coco_py(tmp_path, monkeypatch):
    folder = data_dir("coco128")
    expected = open_source(f"coco:{folder}/instances_train2017.json,{folder}/images/train2017", "all")[:16]

    def example(index, record):
        fractions = np.clip(record.boxes_xyxy / np.float64([record.width, record.height] * 2), 0, 1).tolist()
        objects = [
            {"bbox": features.BBox(y0, x0, y1, x1), "label": int(label), "is_crowd": bool(difficult)}
            for (x0, y0, x1, y1), label, difficult in zip(fractions, record.labels, record.difficult, strict=True)
        ]
        return {"image": record.image, "image/id": index, "objects": objects}

    examples = {"train": [example(*each) for each in enumerate(expected)]}
    prepare(tmp_path, "coco", coco(num_classes=80), examples, config="2017")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    found = {record.read().tobytes(): record for record in open_source("tfds:coco/2017")}
    for record in expected:
        ours = found.pop(record.read().tobytes())
        assert (ours.width, ours.height) == (record.width, record.height)
        np.testing.assert_allclose(ours.boxes_xyxy, record.boxes_xyxy, atol=1e-3)
        np.testing.assert_array_equal(ours.labels, record.labels)
        np.testing.assert_array_equal(ours.difficult, record.difficult)
    assert not found


def test_a_turned_picture(tmp_path, monkeypatch):
    """TensorFlow's decoder leaves it as it is stored, so that is where the boxes are."""
    exif = Image.Exif()
    exif[0x0112] = 6  # what is stored on the left is shown at the top
    Image.fromarray(picture(0)).save(tmp_path / "a.png", exif=exif)
    objects = [{"bbox": box(0, 5, 10, 20), "label": 0, "is_crowd": False}]
    example = {"image": str(tmp_path / "a.png"), "image/id": 0, "objects": objects}
    prepare(tmp_path, "coco", coco(num_classes=80), {"train": [example]}, config="2017")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    (record,) = dataset = open_source("tfds:coco/2017")
    assert (record.width, record.height) == (20, 40)
    np.testing.assert_array_equal(record.read(), np.rot90(picture(0), -1))
    np.testing.assert_allclose(record.boxes_xyxy, [[0, 0, 15, 10]], atol=1e-5)
    [batch] = batches(dataset, configuration(steps=1, batch_size=1))
    np.testing.assert_allclose(batch["boxes_cxcywh"][0, 0], [7.5 / 20, 5 / 40, 15 / 20, 10 / 40], atol=1e-6)


@pytest.mark.parametrize("classes", [None, SYNSETS[::-1], ("n00000001", *SYNSETS)])
def test_classification_goes_by_synset(array_record, classes):
    """The two data sets number their classes differently."""
    for spec in ("tfds:imagenet2012", "tfds:imagenet_resized/64x64"):
        dataset = open_source(spec, "train", classes)
        assert set(dataset.classes) >= set(SYNSETS) and (classes is None or dataset.classes == classes)
        assert [synset for synset in dataset.synsets if synset] == [name for name in dataset.classes if name in SYNSETS]
        for record in dataset:
            index = int(record.name.rpartition("(")[2].removesuffix(".JPEG)"))
            assert dataset.classes[record.labels[0]] == SYNSETS[index % 3]
            assert (record.boxes_xyxy.shape, record.labels.shape, record.difficult.tolist()) == ((0, 4), (1,), [False])
            np.testing.assert_array_equal(record.read(), picture(index))


@pytest.mark.parametrize(
    ("name", "count", "synset"),
    [("voc/2007", 20, None), ("coco/2017", 80, "n00007846"), ("imagenet2012", 1000, "n01440764")]
    + [("imagenet_resized/64x64", 1000, "n02119789")],
)
def test_the_real_definitions(tmp_path, name, count, synset):
    """What TensorFlow Datasets itself says of these data sets, which are too large to prepare here."""
    builder = tfds.builder(name, data_dir=tmp_path)
    chosen = source._features(name, builder.info.features)
    names, synsets = source._classes(builder.name, chosen)
    assert len(set(names)) == len(synsets) == count and synsets[0] == synset
    assert ("objects" in chosen, "label" in chosen) == ((True, False) if count < 100 else (False, True))
    if count < 100:
        assert len(set(chosen["objects"].feature) & {source.DIFFICULT, source.CROWD}) == 1


def encoded(mode, kind="JPEG", of=0, **options):
    stream = io.BytesIO()
    Image.fromarray(picture(of)).convert(mode).save(stream, kind, **options)
    stream.seek(0)
    return stream


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_pictures_are_decoded_to_rgb(tmp_path, monkeypatch, mode):
    examples = [{"image": encoded(mode), "label": 0, "file_name": "a"}]
    prepare(tmp_path, "one", labelled(["a"]), {"train": examples})
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    [record] = open_source("tfds:one")
    np.testing.assert_array_equal(record.read(), np.array(Image.open(encoded(mode)).convert("RGB")))


def test_the_picture_is_decoded_by_read_only(tmp_path, monkeypatch):
    cut = io.BytesIO(encoded("RGB").getvalue()[:-200])
    prepare(tmp_path, "one", labelled(["a"]), {"train": [{"image": cut, "label": 0, "file_name": "cut.jpg"}]})
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    [record] = open_source("tfds:one")
    assert (record.width, record.height) == (40, 20)
    with pytest.raises(UserError, match=r"the picture of tfds:one train 0 \(cut.jpg\) is broken or truncated"):
        record.read()


def test_only_the_features_needed_are_read(tmp_path, monkeypatch):
    """A data set with a second picture that nothing could decode."""
    inner = labelled(["a"]) | {"mask": features.Image(), "id": np.int64}
    example = {"image": picture(0), "label": 0, "file_name": "a", "mask": io.BytesIO(b"no picture"), "id": 3}
    prepare(tmp_path, "masked", inner, {"train": [example]})
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    np.testing.assert_array_equal(open_source("tfds:masked")[0].read(), picture(0))


def test_all_labels_are_found_without_decoding(either_format, monkeypatch):
    monkeypatch.setattr(source.reading, "decode", None)
    dataset = open_source("tfds:voc/2007", "train+validation")
    truth = dataset.ground_truth()
    numbers = [number(record) for record in dataset]
    assert truth.labels_of.tolist() == truth.boxes_of.tolist() == [index % 4 for index in numbers]
    expected = [(label, difficult) for index in numbers for *_, label, difficult in voc_objects(index)]
    assert list(zip(truth.labels.tolist(), truth.difficult.tolist(), strict=True)) == expected
    assert fullest(dataset) == 3 and empty_classes(dataset) == []
    assert len(dataset.box_shapes(include_difficult=True)) == len(expected)
    assert len(dataset.box_shapes()) == sum(not difficult for _, difficult in expected)
    assert left_out(dataset, 2) == (3, 3)


def test_empty_classes(array_record):
    assert empty_classes(open_source("tfds:voc/2007", "train", ("cow", *VOC_CLASSES))) == ["cow"]
    assert empty_classes(open_source("tfds:imagenet2012", "train", ("n00000001", *SYNSETS))) == ["n00000001"]


def test_encoded_is_the_file_that_was_put_in(array_record):
    record = open_source("tfds:voc/2007", "train")[0]
    np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(record.encoded()))), picture(number(record)))


def test_classes_are_known_without_a_split(array_record):
    assert open_classes("tfds:voc/2007") == (VOC_CLASSES, (None,) * 3)
    assert open_classes("tfds:imagenet2012") == (SYNSETS, SYNSETS)


def test_fingerprints(prepared, array_record, tmp_path, monkeypatch):
    def found(spec, split, **options):
        return open_source(spec, split, **options).fingerprint()

    splits = "train", "validation", "train+validation", "train[:50%]", "train[50%:]"
    first = [found("tfds:voc/2007", split) for split in splits]
    first += [found("tfds:voc/2012", "train"), found("tfds:voc/2007+voc/2012", "train")]
    assert len(set(first)) == len(first)
    assert found("tfds:voc/2007:1.0.0", "train") == first[0] and found("tfds:voc/2007", "val") == first[1]
    assert found("tfds:voc/2007", "train", classes=VOC_CLASSES[::-1]) != first[0]
    shutil.copytree(array_record / "voc", tmp_path / "voc")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert [found("tfds:voc/2007", split) for split in splits] == first[:5]


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [
        ("train", "validation", 0),
        ("train", "train", 10),
        ("train+validation", "valid", 4),
        ("train+validation[:50%]", "validation+train[50%:]", None),
        ("train[:50%]", "train[50%:]", 0),
        ("train[:70%]", "train[50%:]", 2),
    ],
)
def test_pictures_that_two_sets_share(either_format, monkeypatch, one, other, count):
    """Known without reading them, by where they are."""
    sets = [open_source("tfds:voc/2007+voc/2012" if "valid" not in one else "tfds:voc/2007", one)]
    sets.append(open_source("tfds:voc/2007", other))
    names = [[number(record) for record in each] for each in sets]
    with monkeypatch.context() as patch:
        patch.setattr(RecordFiles, "__getitem__", None)
        found = shared_pictures(*sets)
    assert {names[1][place] for _, place in found} == set(names[0]) & set(names[1])
    assert all(names[0][ours] == names[1][place] for ours, place in found)
    assert count in (None, len(found))


def test_other_names_of_the_validation_split(array_record):
    dataset = open_source("tfds:voc/2007", "dev")
    assert sorted(map(number, dataset)) == list(range(10, 14))
    assert dataset.notes[0] == "split 'dev' is called validation here"
    assert dataset.fingerprint() == open_source("tfds:voc/2007", "validation").fingerprint()


# Training and the commands


def test_batches(either_format):
    """The same batches as from records that lie in memory."""
    dataset = open_source("tfds:voc/2007", "train+validation")
    kept = Dataset("", "", dataset.classes, [*dataset], rendered=True)
    config = configuration(augment={"jitter": 0.2}, steps=8)
    found = batches(dataset, config)
    for ours, expected in zip(found, batches(kept, config), strict=True):
        assert_same(ours, expected)
    assert_same(batches(dataset, config, start=5)[0], found[5])
    assert sum(int(batch["mask"].sum()) for batch in found) > 8


def jpegs():
    """VOC's examples with JPEGs in them, and what is left to Python: turned, CMYK, PNG, a box that is there twice.

    One box sticks out, and one is without area. 6 is grey, 7 progressive.
    """

    exif = Image.Exif()
    exif[0x112] = 6
    kinds = {1: {"exif": exif}, 5: {"mode": "CMYK"}, 6: {"mode": "L"}, 7: {"progressive": True}}
    pictures = [encoded(**{"mode": "RGB", "of": index} | kinds.get(index, {})) for index in range(10)]
    examples = [voc_example(index) | {"image": image} for index, image in enumerate(pictures)]
    examples[2]["objects"] *= 2
    examples[3]["objects"][0]["bbox"] = features.BBox(ymin=0.25, xmin=0.5, ymax=1.0, xmax=1.0)
    examples[3]["objects"][1]["bbox"] = features.BBox(ymin=0.0, xmin=0.0, ymax=0.3, xmax=1.0)  # begins before 1
    examples[4]["image"] = picture(4)
    return examples


def test_batches_of_jpegs_are_those_of_the_records(tmp_path, monkeypatch):
    """Of some classes, of a slice, of two sets that are joined."""
    for name, variant in (("voc", "2007"), ("other", None)):  # VOC's corners count from 1
        prepare(tmp_path, name, VOC, {"train": jpegs()}, config=variant)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    config = configuration(augment={"jitter": 0.2}, steps=10, include_difficult=True)
    dataset = open_source("tfds:voc/2007+tfds:other", "train[:90%]", ("person", "aeroplane"))
    kept = Dataset("", "", dataset.classes, [*dataset], rendered=True)
    for ours, expected in zip(batches(dataset, config), batches(kept, config), strict=True):
        assert_same(ours, expected)
    assert len(dataset) == 18


def test_flags_that_are_numbers(tmp_path, monkeypatch):
    inner = coco(names=["a", "b"])
    box_features = dict(inner["objects"].feature.items())
    inner["objects"] = features.Sequence(box_features | {"is_crowd": np.int64, "is_difficult": np.int32})
    objects = [
        {"bbox": box(4 * place, 2, 30, 18), "label": 1, "is_crowd": int(place == 1), "is_difficult": int(place == 2)}
        for place in range(4)
    ]
    prepare(tmp_path, "numbers", inner, {"train": [{"image": encoded("RGB"), "image/id": 0, "objects": objects}]})
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    dataset = open_source("tfds:numbers")
    assert dataset[0].difficult.tolist() == [False, True, True, False] and dataset[0].plain
    (batch,) = batches(dataset, configuration(batch_size=1), count=1, max_boxes=4)
    assert batch["mask"].sum() == 2


def test_check(array_record, run):
    status, printed, _ = run("check", "--dataset", "tfds:voc/2007", "--split", "train")
    boxes = sum(index % 4 for index in range(10))
    assert status == 0 and f"tfds:voc/2007 train: 10 pictures, {boxes} boxes, 3 classes" in printed
    assert "pictures that do not decode: 0" in printed
