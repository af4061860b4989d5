"""A+B: several splits as one, of every source."""

import json
from pathlib import Path

import pytest

from tests.data.test_bad_data import assert_refused
from tests.data.test_sources import write_picture, write_xml
from yolo9000_jax.data.check import usual_splits
from yolo9000_jax.data.sources import open_source

SPLITS = {"train": ("a", "b", "c", "d"), "val": ("e", "f"), "test": ("g",)}


def voc(folder: Path) -> str:
    (folder / "ImageSets/Main").mkdir(parents=True)
    (folder / "Annotations").mkdir()
    for split, pictures in SPLITS.items():
        (folder / f"ImageSets/Main/{split}.txt").write_text("\n".join(pictures))
        for name in pictures:
            write_picture(folder / f"JPEGImages/{name}.jpg")
            write_xml(folder / f"Annotations/{name}.xml", [("cat", 0, 2, 2, 6, 6)])
    return f"voc:{folder}"


def yolo(folder: Path) -> str:
    for split, pictures in SPLITS.items():
        for name in pictures:
            write_picture(folder / f"{split}/images/{name}.jpg")
            (folder / f"{split}/labels").mkdir(exist_ok=True)
            (folder / f"{split}/labels/{name}.txt").write_text("0 .5 .5 .5 .5\n")
    keys = "".join(f"{split}: {split}/images\n" for split in SPLITS)
    (folder / "data.yaml").write_text(f"{keys}names: [cat]\n")
    return f"yolo:{folder}/data.yaml"


def coco(folder: Path) -> str:
    for split, pictures in SPLITS.items():
        content = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "cat"}]}
        for number, name in enumerate(pictures):
            write_picture(folder / f"{split}/{name}.jpg")
            content["images"].append({"id": number, "file_name": f"{name}.jpg"})
            content["annotations"].append({"image_id": number, "category_id": 1, "bbox": [1, 1, 5, 5]})
        (folder / f"{split}.json").write_text(json.dumps(content))
    return f"coco:{folder}/{{split}}.json,{folder}/{{split}}"


def folders(folder: Path) -> str:
    for split, pictures in SPLITS.items():
        for name in pictures:
            write_picture(folder / f"{split}/cat/{name}.jpg")
    return f"folders:{folder}"


SOURCES = [voc, yolo, coco, folders]


def pictures(dataset):
    return [Path(record.image).stem for record in dataset]


@pytest.mark.parametrize("make", SOURCES)
def test_several_splits_as_one(tmp_path, make):
    spec = make(tmp_path)
    assert pictures(open_source(spec, "train+val")) == list("abcdef")
    assert sorted(pictures(open_source(spec, "test+validation"))) == list("efg"), "by their other names too"
    assert pictures(open_source(spec, "val+val")) == ["e", "f"]
    parts = [pictures(open_source(spec, f"train+val[{part}]")) for part in (":50%", "50%:")]
    assert list(map(len, parts)) == [3, 3] and sorted(sum(parts, [])) == list("abcdef")
    assert list(usual_splits(spec)[0]) == list(SPLITS)


@pytest.mark.parametrize("make", SOURCES)
@pytest.mark.parametrize("split", ["train+vall", "vall+train"])
def test_one_that_is_not_there_is_named(tmp_path, make, split):
    odd = repr(split.replace("train", "").strip("+"))[1:-1]
    assert_refused(make(tmp_path), odd, "the splits are", "train", split=split)


@pytest.mark.parametrize("make", SOURCES)
@pytest.mark.parametrize("split", ["train+", "+train", "train++val", "+"])
def test_an_empty_side(tmp_path, make, split):
    assert_refused(make(tmp_path), f"split '{split}': nothing stands beside its +", split=split)


@pytest.mark.parametrize("make", [coco, folders])
def test_a_plus_sign_in_a_name(tmp_path, make):
    spec = make(tmp_path)
    for path in tmp_path.glob("val*"):
        path.rename(path.with_name(path.name.replace("val", "train+val")))
    assert pictures(open_source(spec, "train+val")) == ["e", "f"]


def test_yolo_counts_a_picture_of_two_splits_once(tmp_path):
    spec = yolo(tmp_path)
    (tmp_path / "list.txt").write_text("train/images/a.jpg\n" * 3 + "train/images/b.jpg\n")
    (tmp_path / "data.yaml").write_text("train: list.txt\nval: train/images\nnames: [cat]\n")
    assert pictures(open_source(spec, "train+val")) == list("aaabcd")


def test_of_joined_files_a_slice_is_a_share(tmp_path):
    spec = coco(tmp_path)
    assert_refused(spec, "take a slice in percent", split="train+val[:3]")
    other = tmp_path / "val.json"
    other.write_text(other.read_text().replace('"cat"', '"dog"'))
    assert_refused(spec, "val has not the classes of", split="train+val")


def test_emoji():
    dataset = open_source("emoji", "val+test")
    one, other = (len(open_source("emoji", split)) for split in ("val", "test"))
    assert len(dataset) == one + other and dataset.rendered
