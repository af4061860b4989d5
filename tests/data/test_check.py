"""What `check` says of the splits of a set beside each other."""

import json
import os

import pytest
from PIL import Image

from tests.data.test_sources import write_picture, write_xml
from yolo9000_jax.data.check import compare_splits, usual_splits


@pytest.fixture
def coco(tmp_path):
    """train: a cat and a dog; valid: a copy of the cat, and a fox."""
    for split, pictures in {"train": {"cat": 1, "dog": 2}, "valid": {"cat": 1, "fox": 3}}.items():
        (tmp_path / split).mkdir()
        content = {"images": [], "annotations": [], "categories": []}
        for number, (name, shade) in enumerate(pictures.items(), 1):
            Image.new("RGB", (20 * number, 10), (shade, 0, 0)).save(tmp_path / split / f"{split}{number}.png")
            content["images"].append({"id": number, "file_name": f"{split}{number}.png"})
            content["categories"].append({"id": number, "name": name})
            box = {"id": number, "image_id": number, "category_id": number, "bbox": [1, 1, 5, 5]}
            content["annotations"].append(box)
        (tmp_path / f"{split}.json").write_text(json.dumps(content))
    return f"coco:{tmp_path}/{{split}}.json,{tmp_path}/{{split}}"


def test_splits_beside_each_other(coco, run):
    splits, faults = usual_splits(coco)
    assert faults == []
    folder = coco.rpartition(",")[2].removesuffix("/{split}")
    expected = [
        f"val: 1 of its 2 pictures are also in train (first: {folder}/valid/valid1.png = {folder}/train/train1.png); "
        "take them out of one of the two",
        "train has no picture of fox",
        "val has no picture of dog",
    ]
    assert list(splits) == ["train", "val"] and compare_splits(splits) == expected
    status, output, error = run("check", "--dataset", coco)
    assert (status, error) == (0, "") and output.endswith("\n".join(["", *expected, ""]))
    assert "train: 2 pictures" in output and "val: 2 pictures" in output
    assert "width 20 to 40, median 20; height 10 to 10, median 10" in output
    status, output, _ = run("check", "--dataset", coco, "--split", "train")
    assert status == 0 and "fox" not in output and "val" not in output


def test_files_of_other_names_are_looked_at_too(coco, run):
    """Also where there is none of the usual names."""
    folder = coco.rpartition(",")[2].removesuffix("/{split}")
    for name in ("train", "valid"):
        for ending in ("", ".json"):
            os.rename(f"{folder}/{name}{ending}", f"{folder}/fold_{name}{ending}")
    status, output, error = run("check", "--dataset", coco)
    assert (status, error) == (0, "") and "fold_train: 2 pictures" in output and "fold_valid: 2 pictures" in output
    os.remove(f"{folder}/fold_valid/valid2.png")
    status, _, error = run("check", "--dataset", coco)
    assert status == 1 and "fold_valid.json, image 2" in error and "valid2.png" in error


@pytest.fixture
def devkit(tmp_path):
    """Pictures a and b, each in a list of its own."""
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    for name, split in (("a", "train"), ("b", "val")):
        write_picture(tmp_path / f"JPEGImages/{name}.jpg")
        (tmp_path / "Annotations").mkdir(exist_ok=True)
        write_xml(tmp_path / f"Annotations/{name}.xml", [("cat", 0, 2, 2, 6, 6)])
        (tmp_path / f"ImageSets/Main/{split}.txt").write_text(f"{name}\n")
    return tmp_path


@pytest.mark.parametrize("name", ["train", "val", "test", "trainval", "mine"])
def test_a_fault_in_any_list_is_found(devkit, run, name):
    """As it stands in no XML file, who opens all of the set does not meet it."""
    arguments = ("check", "--dataset", f"voc:{devkit}")
    assert run(*arguments)[0] == 0
    with open(devkit / f"ImageSets/Main/{name}.txt", "a") as file:
        file.write("nowhere\n")
    status, output, error = run(*arguments)
    assert status == 1 and "2 pictures" in output and error.count("\n") == 1
    assert f"{name}.txt:" in error and "there is no Annotations/nowhere.xml" in error
    assert run(*arguments, "--split", "all")[0] == 0


def test_an_empty_list_is_a_fault(devkit, run):
    (devkit / "ImageSets/Main/test.txt").write_text("\n")
    status, _, error = run("check", "--dataset", f"voc:{devkit}")
    assert status == 1 and "split 'test' has no pictures" in error and "looks like" not in error


def test_a_test_folder_that_is_missing_is_none(tmp_path, run):
    """It is noted, as in training."""
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
    Image.new("RGB", (20, 10)).save(tmp_path / "images/a.png")
    (tmp_path / "labels/a.txt").write_text("0 .5 .5 .5 .5\n")
    (tmp_path / "data.yaml").write_text("train: images\nval: nowhere\ntest: nor_here\nnames: [block]\n")
    status, output, error = run("check", "--dataset", f"yolo:{tmp_path}/data.yaml")
    assert (status, error) == (0, "") and "2 splits of the description are not there" in output


def test_what_has_no_splits(coco, run):
    spec = coco.replace("{split}", "train")
    assert usual_splits(spec) == usual_splits("emoji") == ({}, [])
    status, output, error = run("check", "--dataset", spec)
    assert (status, error) == (0, "") and "also in" not in output


def test_a_data_yaml_that_names_a_folder_twice(tmp_path):
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
    Image.new("RGB", (20, 10)).save(tmp_path / "images/a.png")
    (tmp_path / "labels/a.txt").write_text("0 .5 .5 .5 .5\n")
    (tmp_path / "data.yaml").write_text("train: images\nval: images\nnames: [block]\n")
    (line,) = compare_splits(usual_splits(f"yolo:{tmp_path}/data.yaml")[0])
    assert line.startswith(f"val: 1 of its 1 pictures are also in train (first: {tmp_path}/images/a.png); ")


def test_a_fault_is_that_of_its_split_alone(coco, run):
    """The others are counted and compared, whatever is wrong with one; a JSON file of another kind is passed over."""
    folder = coco.rpartition(",")[2].removesuffix("/{split}")
    os.mkdir(f"{folder}/settings")
    for name, text in (("settings", '{"theme": "dark"}'), ("test", '{"images": []}'), ("notes", "{}")):
        with open(f"{folder}/{name}.json", "w") as file:
            file.write(text)
    os.mkdir(f"{folder}/test")
    status, output, error = run("check", "--dataset", coco)
    assert status == 1 and error.count("\n") == 1
    assert f"{folder}/test.json: the list 'annotations' is missing" in error
    assert "train: 2 pictures" in output and "val: 1 of its 2 pictures are also in train" in output
    assert f"note: {folder}/settings.json has none of the lists" in output
    assert "notes.json" not in output, "it has no folder, so it is no split"


def test_several_faults(devkit, run):
    (devkit / "ImageSets/Main/test.txt").write_text("")
    (devkit / "ImageSets/Main/mine.txt").write_text("nowhere\n")
    status, output, error = run("check", "--dataset", f"voc:{devkit}")
    assert status == 1 and "2 of its splits cannot be read; they are named above" in error
    assert "split 'test' has no pictures" in output and "there is no Annotations/nowhere.xml" in output
    assert "train has no picture" not in output


def test_a_picture_in_two_folders(tmp_path, run):
    """By content, and whether the labels agree."""
    write_picture(tmp_path / "cat/a.png", (20, 10))
    write_picture(tmp_path / "dog/b.png", (21, 10))
    for copy in ("cat/c.png", "dog/d.png"):
        (tmp_path / copy).write_bytes((tmp_path / "cat/a.png").read_bytes())
    status, output, _ = run("check", "--dataset", f"folders:{tmp_path}")
    first, second = f"{tmp_path}/cat/a.png = {tmp_path}/cat/c.png", f"{tmp_path}/cat/a.png = {tmp_path}/dog/d.png"
    assert status == 0 and f"note: 2 pictures are there before in another file (first: {first})" in output
    assert f"note: 1 picture is there before in another file, with other labels (first: {second})" in output
    for copy in ("cat/c.png", "dog/d.png"):
        (tmp_path / copy).unlink()
    assert "before in another file" not in run("check", "--dataset", f"folders:{tmp_path}")[1]


def test_the_order_of_boxes_does_not_matter(tmp_path, run):
    rows = ["0 .5 .5 .5 .5\n", "1 .3 .3 .2 .2\n"]
    for name, text in {"a": "".join(rows), "b": "".join(reversed(rows))}.items():
        write_picture(tmp_path / f"images/{name}.png")
        (tmp_path / f"images/{name}.txt").write_text(text)
    (tmp_path / "data.yaml").write_text("train: images\nnames: [cat, dog]\n")
    _, output, _ = run("check", "--dataset", f"yolo:{tmp_path}/data.yaml", "--split", "train")
    assert "1 picture is there before in another file (first" in output and "with other labels" not in output
    (tmp_path / "images/b.txt").write_text(rows[0])
    _, output, _ = run("check", "--dataset", f"yolo:{tmp_path}/data.yaml", "--split", "train")
    assert "with other labels" in output


def test_a_fault_in_the_labels_of_one_split(tmp_path, run):
    for split, row in {"train": "0 .5 .5 .5 .5\n", "val": "0 x .5 .5 .5\n"}.items():
        write_picture(tmp_path / f"{split}/a.png")
        (tmp_path / f"{split}/a.txt").write_text(row)
    (tmp_path / "data.yaml").write_text("train: train\nval: val\nnames: [cat]\n")
    status, output, error = run("check", "--dataset", f"yolo:{tmp_path}/data.yaml")
    assert status == 1 and "train: 1 pictures, 1 boxes" in output and "val/a.txt:1: 'x'" in error
