"""Pictures that two data sets have in common."""

import os
from pathlib import Path

import numpy as np
import pytest

from yolo9000_jax.data import index, shared
from yolo9000_jax.data.choosing import with_classes
from yolo9000_jax.data.records import Dataset, Record
from yolo9000_jax.data.shared import shared_pictures
from yolo9000_jax.data.sources import open_source


def dataset(paths) -> Dataset:
    nothing = np.zeros((0, 4), np.float32), np.zeros(0, np.int32), np.zeros(0, bool)
    return Dataset("s", "", ("a",), [Record(str(path), str(path), 1, 1, *nothing, read=lambda: None) for path in paths])


def by_reading_all(ours, others):
    """The definition: of each of the others the first of ours that is the same file, or else has the same bytes."""
    found = []
    for place, other in enumerate(others):
        same = [our for our in ours if os.path.samefile(our, other)]
        same += [our for our in ours if our.read_bytes() == other.read_bytes()]
        found += [(ours.index(same[0]), place)] if same else []
    return found


def test_against_reading_all(tmp_path):
    """Many files of few contents: of one size, of one middle, links of both kinds."""
    rng = np.random.default_rng(3)
    middle = rng.bytes(index.SAMPLE + 2)
    contents = [b"", b"a", b"b", *(a + middle + b for a in (b"x", b"y") for b in (b"x", b"y")), rng.bytes(9000)]
    files: list[Path] = []
    for number in range(120):
        path = tmp_path / f"{number}.jpg"
        kind = rng.integers(8)
        if kind == 0 and files:
            path.symlink_to(files[rng.integers(len(files))])
        elif kind == 1 and files:
            os.link(files[rng.integers(len(files))].resolve(), path)
        else:
            path.write_bytes(contents[rng.integers(len(contents))] + rng.bytes(rng.integers(2)))
        files.append(path)
    counts = set()
    for start in range(0, 120, 12):
        ours, others = files[start : start + 8], files[start + 8 : start + 12]
        expected = by_reading_all(ours, others)
        assert shared_pictures(dataset(ours), dataset(others)) == expected
        counts.add(len(expected))
    assert len(counts) > 2


def test_only_what_may_be_the_same_is_read(tmp_path, monkeypatch):
    read: list[str] = []
    real = shared._digest
    monkeypatch.setattr(shared, "_digest", lambda file: read.append(Path(file).name) or real(file))
    for name, content in {"a": b"x" * 9000, "b": b"y" * 9000, "c": b"z" * 8000, "d": b"x" * 9000, "e": b"w"}.items():
        (tmp_path / name).write_bytes(content)
    found = shared_pictures(dataset(tmp_path / name for name in "abc"), dataset(tmp_path / name for name in "de"))
    assert found == [(0, 0)] and sorted(read) == ["a", "d"]
    read.clear()
    assert len(shared_pictures(dataset([tmp_path / "a"]), dataset([tmp_path / "a"]))) == 1 and not read


def test_a_file_that_is_gone_is_no_other(tmp_path):
    assert shared_pictures(dataset([tmp_path / "a"]), dataset([tmp_path / "b"])) == []


@pytest.mark.parametrize(
    "one, other, count",
    [
        (("emoji", "train[:30]"), ("emoji", "train[20:40]"), 10),
        (("emoji", "train[:30]"), ("emoji:levels", "train[20:40]"), 10),  # the same scenes under other labels
        (("emoji", "train[:30]"), ("emoji", "val[:30]"), 0),
        (("emoji", "val[:30]"), ("emoji", "valid[:30]"), 30),
        (("emoji", "train[:30]"), ("emoji:pictures", "train[:30]"), 0),
    ],
)
def test_what_is_drawn(one, other, count):
    assert len(shared_pictures(open_source(*one), open_source(*other))) == count


def test_other_classes_are_other_scenes():
    some = open_source("emoji", "val[:9]", ("poodle", "wolf"))
    assert shared_pictures(some, open_source("emoji", "val[:9]")) == []
    assert len(shared_pictures(some, open_source("emoji:coarse", "val[:9]", ("wolf", "poodle")))) == 9
    assert len(shared_pictures(some, open_source("emoji:levels", "val[:9]", ("poodle", "wolf")))) == 9


def test_origins_of_some_classes_are_those_of_all(monkeypatch):
    """Nothing is read for them, and the pictures are known again."""
    dataset = open_source("emoji", "val[:9]")
    some = with_classes(dataset, dataset.classes[:2])
    monkeypatch.setattr(type(dataset), "__getitem__", None)
    assert some.origins() == dataset.origins() and len(set(some.origins())) == 9
