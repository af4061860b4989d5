"""The photographs of the ablation, made from a few made-up pictures in the layout of tiny-imagenet-200."""

import csv
import hashlib
import importlib.util
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from tests.helpers import ROOT
from yolo9000_jax.data.sources import open_source
from yolo9000_jax.errors import UserError
from yolo9000_jax.wordtree.tree import WordTree

SCRIPT = ROOT / "experiments" / "photos_data.py"
# Two coarse classes of two and three kinds, and one of a single kind.
KINDS = ("n10000001", "n10000002", "n20000001", "n20000002", "n20000003", "n30000001")
COARSE = {kind: {"1": "cat", "2": "dog"}[kind[1]] for kind in KINDS[:5]}
TREE = WordTree(
    ("n00000000", "n10000000", "n20000000", "n30000001", *KINDS[:5]),
    np.array([-1, 0, 0, 0, 1, 1, 2, 2, 2]),
    ("thing", "cat", "dog", "rock", "siamese", "persian", "poodle", "pug", "husky"),
)
CANVASES = {"train": 6, "val": 4}
TRAIN, VAL = 10, 4  # photographs a kind


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("photos_data", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Pictures whose object is a bright rectangle on dark noise; the first one's box in each set is a line."""
    folder, rng = tmp_path_factory.mktemp("tiny"), np.random.default_rng(0)
    listed = {}
    for kind in KINDS:
        for split, count in (("train", TRAIN), ("val", VAL)):
            place = folder / (f"train/{kind}/images" if split == "train" else "val/images")
            place.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                x0, y0 = rng.integers(0, 30, 2)
                x1, y1 = x0 + rng.integers(8, 33), y0 + rng.integers(8, 33)
                if kind == KINDS[0] and number == 0:
                    x1 = x0
                pixels = rng.integers(0, 60, (64, 64, 3), np.uint8)
                pixels[y0 : y1 + 1, x0 : x1 + 1] = 255
                name = f"{kind}_{number}.JPEG" if split == "train" else f"val_{kind}_{number}.JPEG"
                Image.fromarray(pixels if number % 2 else pixels[..., 0]).save(place / name, quality=95)
                row = (name, x0, y0, x1, y1) if split == "train" else (name, kind, x0, y0, x1, y1)
                path = folder / (f"train/{kind}/{kind}_boxes.txt" if split == "train" else "val/val_annotations.txt")
                listed.setdefault(path, []).append("\t".join(map(str, row)) + "\n")
    for path, rows in listed.items():
        path.write_text("".join(rows))
    (folder / "wnids.txt").write_text("".join(f"{kind}\n" for kind in KINDS))
    return folder


@pytest.fixture(scope="module")
def made(script, source, tmp_path_factory):
    """What the script makes of coarse classes of at most three kinds, and what it says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(script, "MOST_KINDS", 3)
        return _made(script, source, tmp_path_factory)


def _made(script, source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "photos"
    return folder, script.make(source, folder, CANVASES, TREE)


@pytest.fixture(scope="module")
def placed(made):
    """The rows of the table."""
    with (made[0] / "placed.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def numbers(row, *names):
    return [int(row[name]) for name in names]


def test_what_is_made(script, made):
    folder, said = made
    classified = open_source(f"folders:{folder / 'classify'}", "train")
    assert classified.classes == KINDS and Counter(int(record.labels[0]) for record in classified) == dict.fromkeys(
        range(6), 6
    )
    for split, count in CANVASES.items():
        canvases = open_source(f"voc:{folder / 'detect'}", split)
        assert len(canvases) == count and set(canvases.classes) == {"cat", "dog"} and not canvases.notes
        assert {record.read().shape for record in canvases} == {(224, 224, 3)}
        assert all(1 <= len(record.boxes_xyxy) <= script.PHOTOGRAPHS[1] for record in canvases)
    assert said[-1] == "2 coarse classes of 5 kinds" and "36 photographs of 6 kinds" in said[0]
    thin = [line for line in said if "thinner" in line]
    assert thin and all(line.startswith("  1 object thinner than 2 pixels is left out") for line in thin)


def test_no_photograph_is_in_two_sets(made, placed):
    classified = {path.name for path in (made[0] / "classify").rglob("*.JPEG")}
    on = {split: {row["photograph"] for row in placed if row["canvas"].startswith(split)} for split in CANVASES}
    assert not classified & (on["train"] | on["val"]) and not on["train"] & on["val"]
    assert all(name.startswith("val_") for name in on["val"])
    # Each is taken once before any is taken again; those with a line for a box, or of a single kind, never are.
    usage = Counter(row["photograph"] for row in placed if row["canvas"].startswith("val"))
    assert max(usage.values()) - min(usage.values()) <= 1 and len(usage) in (sum(usage.values()), 5 * VAL - 1)
    assert {row["kind"] for row in placed} == set(COARSE)


def test_boxes_are_those_of_the_objects(script, made, placed):
    """In the middle of each box it is bright, where no later photograph covers it, and dark outside."""
    records = {
        record.name.removesuffix(".xml"): record
        for split in CANVASES
        for record in open_source(f"voc:{made[0] / 'detect'}", split, ("cat", "dog"))
    }
    seen = 0
    for name, record in records.items():
        rows = [row for row in placed if row["canvas"] == name]
        boxes = [numbers(row, "xmin", "ymin", "xmax", "ymax") for row in rows]
        assert record.boxes_xyxy.tolist() == boxes
        assert [("cat", "dog")[label] for label in record.labels] == [COARSE[row["kind"]] for row in rows]
        pixels = record.read()
        hidden = np.zeros((224, 224), bool)
        for row, (x0, y0, x1, y1) in reversed(list(zip(rows, boxes, strict=True))):
            left, top, side = numbers(row, "left", "top", "side")
            assert (
                script.SIDES[0] <= side <= script.SIDES[1]
                and left <= x0 < x1 <= left + side
                and top <= y0 < y1 <= top + side
            )
            square = np.s_[top : top + side, left : left + side]
            bright = (pixels.mean(2) > 157)[square]
            inside = np.zeros((224, 224), bool)
            inside[y0:y1, x0:x1] = True
            free = ~hidden[square]
            assert np.mean((bright == inside[square])[free]) > 0.93  # but for the edges, which are blurred
            hidden[square] = True
            seen += free.sum()
    assert seen > 50_000


def test_photographs_overlap_by_little(placed):
    by_canvas = {}
    for row in placed:
        by_canvas.setdefault(row["canvas"], []).append(numbers(row, "left", "top", "side"))
    for squares in by_canvas.values():
        for place, (x, y, side) in enumerate(squares):
            for left, top, other in squares[:place]:
                shared = [min(a + side, b + other) - max(a, b) for a, b in ((x, left), (y, top))]
                assert min(shared) <= 0 or shared[0] * shared[1] <= 0.1 * min(side, other) ** 2


def digests(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_made_twice_the_bytes_are_the_same(script, source, made, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "MOST_KINDS", 3)
    script.make(source, tmp_path / "again", CANVASES, TREE)
    found = digests(made[0])
    assert found == digests(tmp_path / "again") and len(found) == 1 + 36 + 2 * 10 + 2


def test_scaled_boxes_and_pieces(script):
    assert script.scaled((0, 16, 64, 64), (64, 64), (100, 10, 132, 42)) == (100, 18, 132, 42)
    assert script.scaled((10, 10, 14, 14), (64, 64), (0, 0, 32, 32)) == (5, 5, 7, 7)
    assert script.scaled((10, 10, 12, 12), (64, 64), (0, 0, 32, 32)) == (5, 5, 7, 7)  # never without area
    assert script.scaled((62, 0, 64, 2), (64, 64), (0, 0, 32, 32)) == (30, 0, 32, 2)
    assert script.beside((20, 0, 64, 64)) == (0, 0, 20, 64) and script.beside((0, 30, 64, 64)) == (0, 0, 64, 30)
    assert script.beside((5, 5, 60, 60)) is None


def test_the_trees_classes(script):
    """Those of the shipped tree, which holds tiny-imagenet's kinds and all above them."""
    tree = WordTree.load_with_names(script.TREE)
    kinds = [tree.synsets[node] for node in np.flatnonzero(tree.leaves)]
    classes = script.coarse_nodes(tree, kinds)
    assert len(kinds) == 200 and len(classes) == 164 and len(set(classes.values())) == 35
    assert len({tree.names[node] for node in classes.values()}) == 35
    for node in set(classes.values()):
        below = sum(node in tree.path(kind) for kind in kinds)
        above = sum(int(tree.parents[node]) in tree.path(kind) for kind in kinds)
        assert 2 <= below <= 10 < above, tree.names[node]


@pytest.mark.parametrize(
    "file, old, new, message",
    [
        ("wnids.txt", "n10000001", "n99999999", "n99999999"),
        ("val/val_annotations.txt", "n20000001\t", "", "line 9: 5 fields, not 6"),
        ("train/n20000001/n20000001_boxes.txt", "_3.JPEG\t", "_3.JPEG\tx", "the box of n20000001_3.JPEG is not"),
        ("train/n20000001/n20000001_boxes.txt", "_3.JPEG", "_33.JPEG", "n20000001_33.JPEG"),
    ],
)
def test_wrong_sources(script, source, tmp_path, file, old, new, message):
    broken = tmp_path / "broken"
    subprocess.run(["cp", "-r", source, broken], check=True)
    (broken / file).write_text((broken / file).read_text().replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        script.make(broken, tmp_path / "out", CANVASES, TREE)


def test_command(made, tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, "--source", tmp_path / "nowhere", "--output", tmp_path / "out"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and done.stderr.startswith("photos_data: ")
    assert not (tmp_path / "out").exists()
