"""What `check` says of the splits of a set beside each other."""

import json

import pytest
from PIL import Image

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
    splits = usual_splits(coco)
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


def test_what_has_no_splits(coco, run):
    spec = coco.replace("{split}", "train")
    assert usual_splits(spec) == {} and usual_splits("emoji") == {}
    status, output, error = run("check", "--dataset", spec)
    assert (status, error) == (0, "") and "also in" not in output


def test_a_data_yaml_that_names_a_folder_twice(tmp_path):
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
    Image.new("RGB", (20, 10)).save(tmp_path / "images/a.png")
    (tmp_path / "labels/a.txt").write_text("0 .5 .5 .5 .5\n")
    (tmp_path / "data.yaml").write_text("train: images\nval: images\nnames: [block]\n")
    (line,) = compare_splits(usual_splits(f"yolo:{tmp_path}/data.yaml"))
    assert line.startswith(f"val: 1 of its 1 pictures are also in train (first: {tmp_path}/images/a.png); ")
