"""The data of the joint experiment on blood cells, made from a few made-up pictures, and its tree."""

import hashlib
import importlib.util
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from tests.helpers import ROOT, data_dir
from yolo9000_jax.data.sources import open_source
from yolo9000_jax.errors import UserError
from yolo9000_jax.labels import match_classes
from yolo9000_jax.wordtree.tree import WordTree

SCRIPT = ROOT / "experiments" / "yolo9000_blood_cells_data.py"
TREE = ROOT / "experiments" / "trees" / "blood_cells"
LABELS = tuple(TREE.with_suffix(".txt").read_text().split())
WIDTH, HEIGHT = 64, 48
WHITE_BOX, CORNER_BOX, RED_BOX = (21, 11, 36, 26), (1, 1, 30, 8), (41, 5, 50, 14)
KINDS = ("neutrophil", "eosinophil", "lymphocyte", "monocyte")


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("blood_cells_data", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def data(tmp_path):
    """Ten pictures to train, four to judge; each has two white cells, the second of which often has no known kind."""
    folder = tmp_path / "data"
    for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / part).mkdir(parents=True)
    rows = ["image\tsplit\tsubtype\txmin\tymin\txmax\tymax"]
    for number in range(14):
        pixels = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
        smooth = Image.fromarray(pixels).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        smooth.save(folder / f"JPEGImages/cell & {number}.jpg")
        objects = [("WBC", WHITE_BOX), ("RBC", RED_BOX), ("WBC", CORNER_BOX), ("Platelets", (60, 40, 64, 48))]
        parts = [f"<annotation><filename>cell &amp; {number}.jpg</filename>"]
        for name, box in objects:
            corners = "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
            parts.append(f"<object><name>{name}</name><bndbox>{corners}</bndbox></object>")
        (folder / f"Annotations/cell & {number}.xml").write_text("".join([*parts, "</annotation>"]))
        split = "train" if number < 10 else "val"
        for box in (WHITE_BOX, CORNER_BOX)[: 1 + (number % 3 == 0)]:
            rows.append("\t".join(map(str, (f"cell & {number}", split, KINDS[number % 4], *box))))
    for split, numbers in (("train", range(10)), ("val", range(10, 14))):
        (folder / f"ImageSets/Main/{split}.txt").write_text("".join(f"cell & {number}\n" for number in numbers))
    (folder / "leukocyte_subtypes.tsv").write_text("\n".join(rows) + "\n")
    (folder / "LICENSE").write_text("Take it.\n")
    return folder


def digests(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def names_in(dataset):
    return Counter(dataset.classes[label] for record in dataset for label in record.labels)


def test_boxes(script, data, tmp_path):
    script.make(data, tmp_path / "out")
    train = open_source(f"voc:{tmp_path / 'out/boxes'}", "train", LABELS[:3])
    half = open_source(f"voc:{data}", "train[:50%]", ("RBC", "WBC", "Platelets"))
    assert names_in(train) == {"erythrocyte": 5, "leukocyte": 10, "platelet": 5}
    assert {record.name for record in train} == {record.name for record in half}
    for record, old in zip(sorted(train, key=lambda r: r.name), sorted(half, key=lambda r: r.name), strict=True):
        np.testing.assert_array_equal(record.boxes_xyxy, old.boxes_xyxy)
        np.testing.assert_array_equal(record.labels, old.labels)
        np.testing.assert_array_equal(record.read(), old.read())


def test_known_white_cells_are_listed_twice(script, data, tmp_path):
    script.make(data, tmp_path / "out")
    val = open_source(f"voc:{tmp_path / 'out/boxes'}", "val", LABELS)
    assert names_in(val)["leukocyte"] == 8 and names_in(val)["erythrocyte"] == 4
    for record in val:
        number = int(record.name.removeprefix("cell & ").removesuffix(".xml"))
        kind = LABELS.index(KINDS[number % 4])
        expected = [WHITE_BOX, CORNER_BOX][: 1 + (number % 3 == 0)]
        found = record.boxes_xyxy[record.labels == kind] + [1, 1, 0, 0]
        assert found.tolist() == [list(map(float, box)) for box in expected]


def test_crops_are_of_the_other_half(script, data, tmp_path):
    lines = script.make(data, tmp_path / "out", context=2.0)
    crops = open_source(f"folders:{tmp_path / 'out/crops'}", "train")
    other = open_source(f"voc:{data}", "train[50%:]", ("RBC", "WBC", "Platelets"))
    numbers = [int(record.name.removeprefix("cell & ").removesuffix(".xml")) for record in other]
    expected = Counter()
    for number in numbers:
        expected[KINDS[number % 4]] += 1 + (number % 3 == 0)
    assert names_in(crops) == expected and not crops.notes
    assert f"{expected['neutrophil']} neutrophil" in lines[1]
    pictures = {record.name.removesuffix(".xml"): record for record in other}
    for record in crops:
        stem, _, number = record.image.rpartition("/")[2].removesuffix(".jpg").rpartition("_")
        assert not len(record.boxes_xyxy) and record.read().shape == ((32, 32, 3) if number == "1" else (48, 48, 3))
        source = pictures[stem].read().astype(int)
        part = source[2:34, 12:44] if number == "1" else source[:, :48]
        assert np.abs(record.read() - part).mean() < 4, "compressed once more"


@pytest.mark.parametrize(
    "box, context, expected",
    [
        ((20, 10, 36, 26), 2.0, (12, 2, 32)),
        ((20, 10, 36, 18), 1.5, (16, 2, 24)),
        ((0, 0, 10, 10), 2.0, (0, 0, 20)),
        ((54, 38, 64, 48), 2.0, (44, 28, 20)),
        ((10, 10, 50, 40), 2.0, (6, 0, 48)),
    ],
)
def test_square(script, box, context, expected):
    assert script.square_about(box, WIDTH, HEIGHT, context) == expected


def test_made_twice_the_bytes_are_the_same(script, data, tmp_path):
    for out in ("a", "b", "a"):
        script.make(data, tmp_path / out)
    found = digests(tmp_path / "a")
    assert found == digests(tmp_path / "b") and len(found) > 20
    assert {"boxes/LICENSE", "crops/LICENSE"} <= set(found)


def test_command(data, tmp_path):
    def command(*arguments):
        return subprocess.run(
            [sys.executable, SCRIPT, *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            env={"PYTHONPATH": str(ROOT)},
        )

    done = command(data, tmp_path / "out")
    assert done.returncode == 0 and "train 5 pictures, val 4" in done.stdout, done.stderr
    for wrong in ([tmp_path / "nowhere", tmp_path / "out"], [data, tmp_path / "out", "--context", "nan"]):
        done = command(*wrong)
        assert done.returncode == 1 and done.stderr.count("\n") == 1 and not done.stdout
        assert done.stderr.startswith("yolo9000_blood_cells_data: ")


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("\t21\t", "\t22\t", "line 2: 'cell & 0' has no white cell with this box"),
        ("neutrophil", "neutrofil", "line 2: subtype 'neutrofil' is none of"),
        ("\t36\t", "\twide\t", "line 2: not a row of the columns"),
        ("subtype\t", "kind\t", "line 2: not a row of the columns"),
    ],
)
def test_wrong_table(script, data, tmp_path, old, new, message):
    table = data / "leukocyte_subtypes.tsv"
    table.write_text(table.read_text().replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        script.make(data, tmp_path / "out")
    table.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        script.make(data, tmp_path / "out")


def test_files_of_something_else_are_not_mixed_in(script, data, tmp_path):
    stray = tmp_path / "out/crops/train/neutrophil/mine.jpg"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"")
    with pytest.raises(UserError, match=r"mine.jpg is not of this data set \(1 such\)"):
        script.make(data, tmp_path / "out")


def test_tree():
    """By hand: what the seven labels are below."""
    tree = WordTree.load(f"{TREE}.tree", f"{TREE}.names")
    above = {"blood cell": "physical entity", "platelet": "physical entity"}
    above |= {"erythrocyte": "blood cell", "leukocyte": "blood cell"} | dict.fromkeys(KINDS, "leukocyte")
    found = {tree.names[node]: tree.names[parent] for node, parent in enumerate(tree.parents) if parent >= 0}
    assert found == above
    assert None not in match_classes(LABELS, tree.names, None, tree.synsets)


def test_tree_is_what_our_builder_makes(tmp_path):
    pytest.importorskip("nltk")
    from yolo9000_jax.wordtree.build import build_tree
    from yolo9000_jax.wordtree.wordnet import open_wordnet

    try:
        open_wordnet()
    except UserError as error:
        pytest.skip(str(error))
    tree = build_tree(LABELS, collapse=True)
    tree.save(tmp_path / "a.tree", tmp_path / "a.names")
    for ending in ("tree", "names"):
        assert (tmp_path / f"a.{ending}").read_bytes() == TREE.with_suffix(f".{ending}").read_bytes()


def test_real_pictures(script, tmp_path):
    script.make(data_dir("blood_cells"), tmp_path)
    train = open_source(f"voc:{tmp_path / 'boxes'}", "train", LABELS[:3])
    val = open_source(f"voc:{tmp_path / 'boxes'}", "val", LABELS)
    crops = open_source(f"folders:{tmp_path / 'crops'}", "train")
    assert set(crops.classes) == set(KINDS) and min(names_in(crops).values()) >= 5
    stems = {record.image.rpartition("/")[2].rpartition("_")[0] for record in crops}
    assert not stems & {record.name.removesuffix(".xml") for record in [*train, *val]}
    found = names_in(val)
    assert all(found[kind] for kind in KINDS) and sum(found[kind] for kind in KINDS) <= found["leukocyte"]
