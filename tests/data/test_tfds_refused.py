"""Data sets of TensorFlow Datasets that are refused: names, features, and files that are not whole."""

import resource
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tests.data.tfds_sets import SHARDS, SYNSETS, VOC_CLASSES, features, picture, prepare, tfds
from yolo9000_jax.data import tfds as source
from yolo9000_jax.data.sources import open_source
from yolo9000_jax.errors import UserError


@pytest.mark.parametrize(
    ("spec", "split", "text"),
    [
        ("tfds:voq/2007", "train", "no data set 'voq'.*did you mean 'voc'.*TFDS_DATA_DIR"),
        (
            "tfds:coco/2014",
            "train",
            r"not prepared in .*array_record: .*tfds.builder\('coco/2014', file_format='array_r",
        ),
        ("tfds:voc 2007", "train", "Parsing builder name string voc 2007 failed"),
        ("tfds:", "train", "say where the data are"),
        ("tfds:voc/2007", "trainval", "no split 'trainval'.*did you mean 'train'.*train, validation"),
        ("tfds:voc/2007", "train+test", "no split 'test'.*train, validation"),
        ("tfds:voc/2007", "all", "name a split .*train, validation"),
        ("tfds:voc/2007", "train[3:3]", "no pictures"),
        ("tfds:imagenet2012", "test", r"test 0 \(test.JPEG\) has no label"),
        ("tfds:voc/2007+imagenet2012", "train", "has not the classes of tfds:voc/2007"),
    ],
)
def test_bad_sources(array_record, spec, split, text):
    with pytest.raises(UserError, match=text) as error:
        open_source(spec, split)
    assert "\n" not in str(error.value)


def test_a_name_is_looked_for_without_a_network(monkeypatch, tmp_path):
    """The community's data sets are listed in a bucket, which a machine without a network asks for minutes."""
    from tensorflow_datasets.core import community

    monkeypatch.setattr(community, "community_register", lambda: pytest.fail("asked the network"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(UserError, match="did you mean 'voc'"):
        open_source("tfds:voq/2007", "train")


def test_some_of_the_classes(array_record):
    """Boxes of the others are left out as they are read; pictures that have a label only go with it."""
    whole = open_source("tfds:voc/2007", "train")
    wanted = (VOC_CLASSES[2], VOC_CLASSES[0])
    part = open_source("tfds:voc/2007", "train", wanted)
    assert part.classes == wanted and len(part) == len(whole) and part.lazy
    assert any(f"left out as they are read, and not counted here: {VOC_CLASSES[1]!r}" in note for note in part.notes)
    left = 0
    for record, full in zip(part, whole, strict=True):
        expected = [wanted.index(VOC_CLASSES[label]) for label in full.labels if VOC_CLASSES[label] in wanted]
        assert record.labels.tolist() == expected and len(record.boxes_xyxy) == len(expected)
        left += len(full.labels) - len(expected)
    assert left > 0
    with pytest.raises(UserError, match="class 'persons' is not among the 3 classes .*'person'"):
        open_source("tfds:voc/2007", "train", ("cat", "persons"))
    labelled = open_source("tfds:imagenet2012", "train", SYNSETS[1:2])
    assert 0 < len(labelled) < 6 and all(record.labels.tolist() == [0] for record in labelled)
    assert labelled.synsets == SYNSETS[1:2]


@pytest.mark.parametrize(
    ("inner", "example", "text"),
    [
        ({"text": features.Text(), "label": np.int64}, {"text": "a", "label": 0}, "its features are label, text"),
        (
            {"image": features.Image(), "label": np.int64},
            {"image": picture(0), "label": 0},
            "features are image, label",
        ),
        (
            {
                "image": features.Image(shape=(None, None, 1), dtype=np.float32),
                "label": features.ClassLabel(num_classes=1),
            },
            {"image": np.zeros((4, 4, 1), np.float32), "label": 0},
            "its features are image, label",
        ),
        (
            {
                "image": features.Image(),
                "objects": features.Sequence(
                    {"bbox": features.BBoxFeature(bbox_format="XYWH"), "label": features.ClassLabel(num_classes=1)}
                ),
            },
            {"image": picture(0), "objects": []},
            "boxes are XYWH",
        ),
    ],
)
def test_other_features(tmp_path, monkeypatch, inner, example, text):
    prepare(tmp_path, "odd", inner, {"train": [example]})
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(UserError, match=text):
        open_source("tfds:odd", "train")


def copied(folder, tmp_path, monkeypatch):
    """A copy of the VOC-like data that may be broken; its train files."""
    shutil.copytree(folder / "voc", tmp_path / "voc")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    return sorted((tmp_path / "voc/2007/1.0.0").glob("voc-train*"))


def test_missing_file(either_format, tmp_path, monkeypatch):
    first, *_ = copied(either_format, tmp_path, monkeypatch)
    first.unlink()
    with pytest.raises(UserError, match=f"1 of {SHARDS} files are missing, the first is .*{first.name}"):
        open_source("tfds:voc/2007", "train")


@pytest.mark.parametrize("damage", ["empty", "half", "zeros"])
def test_broken_file(either_format, tmp_path, monkeypatch, damage):
    first, *_ = copied(either_format, tmp_path, monkeypatch)
    size = first.stat().st_size
    first.write_bytes({"empty": b"", "half": first.read_bytes()[: size // 2], "zeros": bytes(size)}[damage])
    with pytest.raises(UserError, match="copy"):
        for record in open_source("tfds:voc/2007", "train"):
            record.read()


def test_a_record_that_breaks_later_is_named(prepared, tmp_path, monkeypatch):
    *_, last = copied(prepared / "tfrecord", tmp_path, monkeypatch)
    dataset = open_source("tfds:voc/2007", "train")
    data = bytearray(last.read_bytes())
    data[12:40] = bytes(28)
    last.write_bytes(bytes(data))
    with pytest.raises(UserError, match=r"tfds:voc/2007 train \d cannot be read .*: copy or prepare"):
        list(dataset)


def test_formats_without_random_access(array_record, monkeypatch):
    builder = source._builder("voc/2007")
    builder.info.set_file_format("riegeli", override=True, override_if_initialized=True)
    monkeypatch.setattr(source, "_builder", lambda location: builder)
    with pytest.raises(UserError, match="prepared as riegeli, which cannot be read at random.*array_record"):
        open_source("tfds:voc/2007", "train")


def test_tfrecord_in_a_bucket(tmp_path):
    (tmp_path / "a").touch()
    kind, shard = tfds.core.FileFormat.TFRECORD, SimpleNamespace(filename="gs://bucket/voc/a", examples_in_shard=1)
    splits = {"train": SimpleNamespace(file_instructions=[shard])}
    info = SimpleNamespace(
        available_file_formats=lambda: {kind}, file_format=kind, splits=splits, data_dir="gs://bucket/voc"
    )
    with pytest.raises(UserError, match="gs://bucket/voc can be read at random from a local disk or mount only"):
        source._random_access("voc/2007", SimpleNamespace(info=info, data_path=tmp_path), "train")


def test_without_tensorflow_datasets(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "tensorflow_datasets"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(UserError, match=r"tfds:voc/2007: .*pip install yolo9000_jax\[demo\]"):
        open_source("tfds:voc/2007", "train")


def test_a_file_for_every_shard_can_be_open():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 500), hard))
        source._allow_open_files(300)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (300 + source.FILES_OPEN_BESIDES, hard)
        source._allow_open_files(10)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 300 + source.FILES_OPEN_BESIDES
        with pytest.raises(UserError, match=f"limit is {hard}: ulimit -n"):
            source._allow_open_files(hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
