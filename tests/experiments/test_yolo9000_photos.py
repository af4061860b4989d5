"""Kinds without boxes on photographs: the data, made of a few made-up pictures, and a few narrow steps of each row."""

import csv
import importlib
import json
from collections import Counter

import numpy as np
import pytest

from tests.experiments.test_experiments import EXPERIMENTS, SMALL
from tests.experiments.test_photos_data import KINDS, TREE, digests, source  # noqa: F401  (a fixture)
from yolo9000_jax import config as configs
from yolo9000_jax.data.sources import open_source
from yolo9000_jax.errors import UserError
from yolo9000_jax.training.loop import train
from yolo9000_jax.wordtree.tree import WordTree

CANVASES = {"boxes": 6, "oracle": 6, "judged": 4}
LABELLED = 3  # canvases a kind
ROWS_APART = ("detection", "oracle", "flat")  # trained with -m slow: each compiles a program of its own
CAT, DOG = "n10000000", "n20000000"
SIAMESE, PERSIAN, POODLE, PUG, HUSKY = KINDS[:5]


@pytest.fixture(scope="module")
def script():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXPERIMENTS))
        module = importlib.import_module("yolo9000_photos_data")
        patch.setattr(module.photos, "MOST_KINDS", 3)
        yield module


@pytest.fixture(scope="module")
def made(script, source, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("made") / "photos"
    return folder, script.make(source, folder, CANVASES, LABELLED, TREE)


@pytest.fixture(scope="module")
def placed(made):
    """The rows of placed.tsv of each set, and in it of each canvas."""
    found = {}
    with (made[0] / "placed.tsv").open() as file:
        for row in csv.DictReader(file, delimiter="\t"):
            name, _, canvas = row["canvas"].partition("/")
            found.setdefault(name, {}).setdefault(canvas, []).append(row)
    return found


def test_which_kinds_have_boxes(script):
    """Of the shipped tree, by the rule; and where every second class is left out."""
    tree = WordTree.load_with_names(script.photos.TREE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(script.photos, "MOST_KINDS", 10)
        classes = script.photos.coarse_nodes(tree, [tree.synsets[node] for node in np.flatnonzero(tree.leaves)])
    sets = script.divide_kinds(tree, classes)
    by_class = {}
    for kind, name in sets.items():
        by_class.setdefault(classes[kind], Counter())[name] += 1
    assert len(sets) == 164 and len(by_class) == 35
    assert sum("S3" in names for names in by_class.values()) == 7
    for names in by_class.values():
        assert set(names) == {"S3"} or names["S1"] >= max(1, names["S2"]) and "S3" not in names
        assert sum(names.values()) < 3 or "S2" in names or "S3" in names
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(script, "UNBOXED_CLASS", 2)
        nodes = {kind: TREE.find(CAT if kind in (SIAMESE, PERSIAN) else DOG) for kind in KINDS[:5]}
        expected = dict.fromkeys((SIAMESE, PERSIAN), "S1") | dict.fromkeys((POODLE, PUG, HUSKY), "S3")
        assert script.divide_kinds(TREE, nodes) == expected


def test_what_is_made(made, placed):
    folder, said = made
    kinds = {row["kind"]: row for row in csv.DictReader((folder / "kinds.tsv").open(), delimiter="\t")}
    assert {kind: row["set"] for kind, row in kinds.items()} == dict.fromkeys(KINDS[:5], "S1") | {PUG: "S2"}
    assert kinds[PUG] == {"kind": PUG, "name": "pug", "class": DOG, "set": "S2"}
    assert (
        "S1: 4 kinds, S2: 1 kinds, S3: 0 kinds" in said and "  2 objects thinner than 2 pixels are left out" in said[-1]
    )
    boxes = open_source(f"voc:{folder / 'boxes'}", "train")
    assert boxes.classes == (CAT, DOG) and len(boxes) == 6 and not boxes.notes
    on = {name: {row["kind"] for rows in canvases.values() for row in rows} for name, canvases in placed.items()}
    assert on["boxes"] == set(KINDS[:5]) - {PUG} and on["oracle"] == set(KINDS[:5])
    assert set(open_source(f"voc:{folder / 'oracle'}", "train").classes) == set(KINDS[:5])
    judged = open_source(f"voc:{folder / 'judged'}", "val")
    for record in judged:
        names = [judged.classes[label] for label in record.labels]
        assert names[::2] == [kinds[kind]["class"] for kind in names[1::2]]
        np.testing.assert_array_equal(record.boxes_xyxy[::2], record.boxes_xyxy[1::2])
    assert open_source(f"folders:{folder / 'classify'}", "train").classes == KINDS[:5]


def test_labelled_canvases(made, placed):
    """One photograph of the label; the others are of other classes, some of them larger; place and size differ."""
    folder, _ = made
    labelled = open_source(f"folders:{folder / 'labelled'}", "train")
    assert Counter(labelled.classes[record.labels[0]] for record in labelled) == dict.fromkeys(KINDS[:5], LABELLED)
    rows = placed["labelled"]
    sizes = Counter(len(each) for each in rows.values())
    assert set(sizes) == {1, 2, 3} and len(rows) == 15
    larger = 0
    for name, (own, *others) in rows.items():
        assert own["kind"] == name.split("_")[0] and all(other["class"] != own["class"] for other in others)
        larger += any(int(other["side"]) > int(own["side"]) for other in others)
    assert 0 < larger < sum(sizes[count] for count in (2, 3)), "the largest is neither always the label's nor never"
    assert len({(row[0]["left"], row[0]["top"], row[0]["side"]) for row in rows.values()}) == 15


def test_no_photograph_is_in_two_pools(made, placed):
    names = {
        name: {row["photograph"] for rows in canvases.values() for row in rows} for name, canvases in placed.items()
    }
    pools = [
        {path.name for path in (made[0] / "classify").rglob("*.JPEG")},
        names["boxes"] | names["oracle"],
        names["judged"],
    ]
    assert names["labelled"] <= pools[0] and sum(map(len, pools)) == len(set().union(*pools))


def test_made_twice_the_bytes_are_the_same(script, source, made, tmp_path):  # noqa: F811
    script.make(source, tmp_path / "again", CANVASES, LABELLED, TREE)
    assert digests(tmp_path / "again") == digests(made[0])


@pytest.mark.parametrize("row", ["joint", *(pytest.param(row, marks=pytest.mark.slow) for row in ROWS_APART)])
def test_a_few_narrow_steps(made, row):
    """Its tree is that of the made-up pictures; pre-training is shared."""
    folder, _ = made
    place, values = folder.parent, {"photos": str(folder)}
    TREE.save_with_names(place / "made.tree")
    for prefix, stage in configs.stages(configs.load(f"yolo9000_photos:{row}")):
        values |= {prefix + key: repr(value) for key, value in SMALL.items()} | {f"{prefix}epochs": "0.0"}
        if stage.model.tree != "flat":
            values[f"{prefix}model.tree"] = str(place / "made.tree")
    values |= {"pretraining.data.split": "train", "pretraining.evaluation.split": "train"}
    train(configs.load(f"yolo9000_photos:{row}", values), place / row, stages=place / "stages")
    metrics = json.loads((place / row / "report/metrics.json").read_text())
    nodes = {node["synset"] for node in metrics["hierarchy"]["nodes"]}
    assert {CAT, DOG} < nodes <= {CAT, DOG, *KINDS[:5]}


def test_the_table(script, made, tmp_path):
    """Of results as `evaluate --json` writes them: half of what there is to gain."""
    folder, _ = made
    for name, s1 in (("joint", 0.4), ("detection", 0.2), ("oracle", 0.6)):
        ap = dict.fromkeys(KINDS[:5], s1) | {PUG: 0.1, CAT: 0.8, DOG: 0.9}
        nodes = [{"synset": synset, "ap50": value} for synset, value in ap.items()]
        (tmp_path / f"{name}.json").write_text(json.dumps({"hierarchy": {"nodes": nodes}}))
    lines = script.table(folder, [tmp_path / f"{name}.json" for name in ("joint", "detection", "oracle")])
    assert lines[0].split("\t") == ["", "S1", "S2", "S3", "coarse", "coarse without boxes"]
    assert lines[1].split("\t") == ["joint", "0.4000", "0.1000", "-", "0.8500", "-"]
    assert lines[-1] == "S1: 0.500 of what there is to gain"
    (tmp_path / "joint.json").write_text("[]")
    with pytest.raises(UserError, match="joint.json: not what"):
        script.table(folder, [tmp_path / "joint.json"])


# Mistakes


def test_wrong_kinds(script, source, made, tmp_path):  # noqa: F811
    with pytest.raises(UserError, match="coarse class 'cat' has no kinds below it"):
        script.divide_kinds(TREE, {CAT: TREE.find(CAT)})
    outside = WordTree(TREE.synsets[:-1], TREE.parents[:-1], TREE.names[:-1])
    with pytest.raises(UserError, match="no node is called 'n20000003'"):
        script.make(source, tmp_path / "out", CANVASES, LABELLED, outside)
    with pytest.raises(UserError, match="is there already"):
        script.make(source, made[0], CANVASES, LABELLED, TREE)
