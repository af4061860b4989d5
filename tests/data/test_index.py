"""The index of a folder of many pictures: the same data set as without it, whatever happened to either."""

import json
import os
import shutil
import time

import numpy as np
import pytest
from PIL import Image

from tests.data.test_sources import write_picture
from yolo9000_jax.data import index
from yolo9000_jax.data.shared import shared_pictures
from yolo9000_jax.data.sources import open_source
from yolo9000_jax.errors import UserError

EXIF_ORIENTATION = 0x112


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch):
    monkeypatch.setattr(index, "LEAST", 3)


@pytest.fixture
def looked_at(monkeypatch):
    """The pictures that were looked at, by name."""
    found = []
    real = index.reading.inspect
    monkeypatch.setattr(index.reading, "inspect", lambda path: found.append(os.path.basename(path)) or real(path))
    return found


@pytest.fixture
def folder(tmp_path):
    """Two splits, a folder in a class's folder, names that are no UTF-8, and what notes are made of."""
    root = tmp_path / "set"
    for number, name in enumerate(("train/cat/b.jpg", "train/cat/in/a.png", "train/dog/c.jpg", "val/cat/d.jpg")):
        write_picture(root / name, size=(20 + number, 10))
    os.rename(os.fsencode(root / "train/dog/c.jpg"), os.fsencode(root / "train/dog") + b"/\xff.jpg")
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    Image.new("RGB", (30, 10)).save(root / "train/dog/turned.jpg", exif=exif)
    write_picture(root / "train/dog/seen through.png", mode="RGBA")
    (root / "train/dog/no.psd").write_bytes(b"")
    made_long_ago(root)
    return root


def made_long_ago(root):
    for place in (root, *root.rglob("*")):
        if place.is_dir():
            os.utime(place, (1e9, 1e9))


def described(root, split="all", **options):
    dataset = open_source(f"folders:{root}", split, **options)
    rows = [
        (each.name, each.image, each.width, each.height, each.labels.tolist(), each.plain, len(each.difficult))
        for each in dataset
    ]
    return rows, dataset.classes, dataset.notes, dataset.fingerprint()


SPLITS = ("all", "train", "val", "all[:50%]", "all[50%:]")


def test_with_and_without_an_index(folder, looked_at, monkeypatch):
    monkeypatch.setattr(index, "LEAST", 1000)
    expected = [described(folder, split) for split in SPLITS]
    assert len(expected[0][0]) == 6 and len(expected[0][2]) == 3 and not (folder / index.NAME).exists()
    sizes = {name: (width, height) for name, _, width, height, *_ in expected[0][0]}
    assert sizes["cat/a.png"] == (21, 10) and sizes["dog/turned.jpg"] == (10, 30)
    monkeypatch.setattr(index, "LEAST", 3)
    assert [described(folder, split) for split in SPLITS] == expected and (folder / index.NAME).exists()
    looked_at.clear()
    assert [described(folder, split) for split in SPLITS] == expected and looked_at == []
    assert described(folder, classes=("dog", "cat"))[0][0][4] == [1]


def test_what_changed_is_looked_at_again(folder, looked_at):
    described(folder)
    looked_at.clear()
    write_picture(folder / "train/cat/in/new.jpg")
    assert len(described(folder)[0]) == 7 and sorted(looked_at) == ["a.png", "b.jpg", "new.jpg"]
    made_long_ago(folder)
    described(folder)
    (folder / "train/cat/b.jpg").rename(folder / "train/cat/z.jpg")
    shutil.rmtree(folder / "val")
    write_picture(folder / "train/ant/e.jpg")
    looked_at.clear()
    rows, classes, *_ = described(folder)
    assert classes == ("ant", "cat", "dog") and sorted(looked_at) == ["a.png", "e.jpg", "new.jpg", "z.jpg"]
    assert [name for name, *_ in rows][:4] == ["ant/e.jpg", "cat/a.png", "cat/new.jpg", "cat/z.jpg"]


def test_a_picture_that_is_replaced_is_looked_at_again(folder, looked_at):
    """As `mv`, rsync and editors do it: another file takes the name."""
    described(folder)
    write_picture(folder.parent / "new.png", size=(33, 44))
    (folder.parent / "new.png").replace(folder / "train/cat/in/a.png")
    looked_at.clear()
    sizes = {name: (width, height) for name, _, width, height, *_ in described(folder)[0]}
    assert sizes["cat/a.png"] == (33, 44) and sorted(looked_at) == ["a.png", "b.jpg"]


@pytest.mark.parametrize("when", [time.time, float])
def test_a_folder_that_has_just_changed_or_has_no_time_is_not_trusted(folder, looked_at, when):
    """Its time may stay the same when it changes once more."""
    os.utime(folder / "val/cat", (when(), when()))
    described(folder)
    looked_at.clear()
    described(folder)
    assert looked_at == ["d.jpg"]


def test_a_broken_picture_is_refused_and_the_others_are_kept(folder, looked_at):
    broken = folder / "val/cat/d.jpg"
    content = broken.read_bytes()
    broken.write_bytes(content[:-9])
    for _ in range(2):
        with pytest.raises(UserError, match="d.jpg is truncated"):
            described(folder)
    assert looked_at.count("b.jpg") == 1
    broken.write_bytes(content)
    assert len(described(folder)[0]) == 6 and looked_at.count("b.jpg") == 1


def test_work_that_was_interrupted_carries_on(folder, looked_at, monkeypatch):
    expected = described(folder)
    (folder / index.NAME).unlink()
    looked_at.clear()
    real = index._look

    def interrupted(listed, contents):
        if "dog" in str(listed.folder):
            raise KeyboardInterrupt
        return real(listed, contents)

    monkeypatch.setattr(index, "_look", interrupted)
    with pytest.raises(KeyboardInterrupt):
        described(folder)
    monkeypatch.setattr(index, "_look", real)
    assert described(folder) == expected and looked_at.count("b.jpg") == looked_at.count("a.png") == 1


def changed(**arrays):
    def change(place):
        with np.load(place) as found:
            content = dict(found)
        for name, change in arrays.items():
            content[name] = change(content[name].copy())
        np.savez(place, **content)

    return change


def with_value(field, value):
    def change(pictures):
        pictures[field][-1] = value
        return pictures

    return change


def about(change):
    def changed(array):
        content = json.loads(array.tobytes())
        change(content)
        return np.frombuffer(json.dumps(content).encode(), np.uint8)

    return changed


DAMAGE = {
    "cut": lambda place: place.write_bytes(place.read_bytes()[:-50]),
    "a bit": lambda place: place.write_bytes(place.read_bytes().replace(b"turned.jpg", b"turned.jpf")),
    "empty": lambda place: place.write_bytes(b""),
    "pickle": lambda place: np.savez(place, pictures=np.array([{}], object)),
    "header": changed(pictures=with_value("header", 9)),
    "folder": changed(pictures=with_value("folder", 9)),
    "size": changed(pictures=with_value("size_wh", (0, 5))),
    "length": changed(pictures=with_value("name_bytes", 9)),
    "fewer": changed(pictures=lambda pictures: pictures[:-1]),
    "other numbers": changed(pictures=lambda pictures: pictures["content"]),
    "a path": changed(names=lambda names: np.where(names == ord("t"), np.uint8(ord("/")), names)),
    "above": changed(about=about(lambda content: content["classes"][0][1].append("../.."))),
    "of other settings": changed(about=about(lambda content: content.update(made_with=[]))),
    "of another kind": changed(about=about(lambda content: content.update(classes={"a": 1}))),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_or_foreign_is_made_anew(folder, damage, said):
    expected = described(folder)
    place = folder / index.NAME
    DAMAGE[damage](place)
    assert described(folder) == expected
    assert any("made anew" in line for line in said)
    said.clear()
    assert described(folder) == expected and said == []


def test_where_the_data_cannot_be_written(folder, tmp_path, monkeypatch, looked_at):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (folder / index.NAME).mkdir()  # so nobody can, not even root
    expected = described(folder)
    assert len(list((tmp_path / "cache/yolo9000_jax/index").iterdir())) == 1
    looked_at.clear()
    assert described(folder) == expected and looked_at == []


def test_a_cache_that_cannot_be_looked_into(folder, monkeypatch, looked_at):
    monkeypatch.setenv("XDG_CACHE_HOME", "/" + "x" * 300)  # refused even to root
    expected = described(folder)
    looked_at.clear()
    assert described(folder) == expected and looked_at == []


def test_a_stale_index_that_cannot_be_written_hides_no_newer_one(folder, tmp_path, monkeypatch, looked_at):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    described(folder)
    write_picture(folder / "train/cat/new.jpg")
    made_long_ago(folder)
    real = index.write_whole

    def write(path, content):
        if path.parent == folder:
            raise UserError(f"{path}: cannot be written")
        real(path, content)

    monkeypatch.setattr(index, "write_whole", write)
    expected = described(folder)
    looked_at.clear()
    assert described(folder) == expected and looked_at == []


def test_shared_pictures_by_the_index(folder, tmp_path, monkeypatch):
    """Only those that are alike by it are opened; a set without an index is compared all the same."""
    shutil.copy(folder / "train/cat/b.jpg", folder / "val/cat/copy.jpg")
    os.link(folder / "train/dog/turned.jpg", folder / "val/cat/link.jpg")
    train, val = (open_source(f"folders:{folder}", split) for split in ("train", "val"))
    assert train.table.contents is not None
    found = [(train[ours].name, val[theirs].name) for ours, theirs in shared_pictures(train, val)]
    assert found == [("cat/b.jpg", "cat/copy.jpg"), ("dog/turned.jpg", "cat/link.jpg")]
    monkeypatch.setattr(index, "LEAST", 1000)
    shutil.copytree(folder / "val", tmp_path / "other")
    other = open_source(f"folders:{tmp_path / 'other'}")
    assert other.table.contents is None and len(shared_pictures(train, other)) == 2
    assert len(shared_pictures(other, train)) == 2
