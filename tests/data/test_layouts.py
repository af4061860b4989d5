"""What data may be that were given under another scheme, or none."""

import json
import os
from pathlib import Path

import pytest

from tests.data.test_bad_data import assert_refused
from tests.data.test_sources import write_picture, write_xml
from yolo9000_jax.data.sources import open_source
from yolo9000_jax.errors import UserError


@pytest.fixture
def folder(tmp_path):
    """One folder of each kind."""
    write_picture(tmp_path / "plain/a.jpg")
    write_picture(tmp_path / "voc/JPEGImages/a.jpg")
    (tmp_path / "voc/Annotations").mkdir()
    write_xml(tmp_path / "voc/Annotations/a.xml")
    write_picture(tmp_path / "yolo/images/a.jpg")
    (tmp_path / "yolo/data.yaml").write_text("train: images\nnames: [cat]\n")
    for split in ("train", "valid"):
        write_picture(tmp_path / f"export/{split}/a.jpg")
        (tmp_path / f"export/{split}/_annotations.coco.json").write_text(json.dumps({"images": []}))
    write_picture(tmp_path / "coco/images/a.jpg")
    (tmp_path / "coco/all.json").write_text('{"images": []}')
    for split in ("train", "valid"):
        write_picture(tmp_path / f"pairs/{split}/a.jpg")
        (tmp_path / f"pairs/{split}.json").write_text('{"images": []}')
    write_picture(tmp_path / "folders/cat/a.jpg")
    (tmp_path / "folders/.idea").mkdir()
    (tmp_path / "folders/.idea/x.xml").write_text("")
    return tmp_path


SPECS = {
    "voc": "voc:{}/voc",
    "yolo": "yolo:{}/yolo/data.yaml",
    "export": "coco:{0}/export/{{split}}/_annotations.coco.json,{0}/export/{{split}}",
    "pairs": "coco:{0}/pairs/{{split}}.json,{0}/pairs/{{split}}",
    "coco": "coco:{0}/coco/all.json,{0}/coco/images",
    "folders": "folders:{}/folders",
}


@pytest.mark.parametrize("kind", SPECS)
def test_without_a_scheme(folder, kind):
    spec = SPECS[kind].format(folder)
    assert_refused(f"{folder}/{kind}", "named SCHEME:LOCATION", f"; it looks like {spec}")


@pytest.mark.parametrize(
    "given, meant",
    [
        ("voc:{}/folders", "folders"),
        ("voc:{}/yolo", "yolo"),
        ("yolo:{}/voc", "voc"),
        ("yolo:{}/yolo", "yolo"),
        ("coco:{}/coco", "coco"),
        ("coco:{}/yolo", "yolo"),
        ("coco:{}/export", "export"),
    ],
)
def test_under_another_scheme(folder, given, meant):
    assert_refused(given.format(folder), f"; it looks like {SPECS[meant].format(folder)}")


@pytest.mark.parametrize("kind", ["voc", "yolo", "coco", "export"])
def test_folders_of_another_source_are_said(folder, kind):
    """Their pictures would be read as a class called images."""
    dataset = open_source(f"folders:{folder}/{kind}")
    assert dataset.notes[-1] == f"each folder is taken as a class; it looks like {SPECS[kind].format(folder)}"
    assert open_source(f"folders:{folder}/folders").notes == ()


@pytest.mark.parametrize("kind", ["voc", "yolo", "folders"])
def test_a_split_that_is_not_there_is_no_other_source(folder, kind):
    """What is wrong is the split."""
    for split in ("train", "val"):
        write_picture(folder / f"{kind}/{split}/cat/a.jpg")
        write_xml(folder / f"{kind}/{split}/a.xml")
    (folder / "folders/cat/a.jpg").unlink()
    (folder / "yolo/data.yaml").write_text("train: images\nval: images\nnames: [cat]\n")
    (folder / "voc/ImageSets/Main").mkdir(parents=True)
    (folder / "voc/ImageSets/Main/val.txt").write_text("a\n")
    with pytest.raises(UserError, match="did you mean 'val'") as caught:
        open_source(SPECS[kind].format(folder), "vall")
    assert "looks like" not in str(caught.value)


def test_files(folder):
    assert_refused(f"{folder}/yolo/data.yaml", f"; it looks like yolo:{folder}/yolo/data.yaml")
    assert_refused(f"{folder}/coco/all.json", f"; it looks like coco:{folder}/coco/all.json,IMAGES_DIR")


def test_pictures_alone(folder):
    for spec in (f"voc:{folder}/plain", f"{folder}/plain"):
        assert_refused(spec, f"{folder}/plain holds pictures, and nothing that labels them")


def test_what_has_the_right_scheme_gets_no_hint(folder):
    (folder / "voc/Annotations/a.xml").write_text("<annotation>")
    for spec in (
        "voc:{}/voc/",
        "voc:{}/voc",
        "voc:{}/nowhere",
        "yolo:{}/yolo/data.yaml",
        "coco:{0}/coco/all.json,{0}/coco/images",
    ):
        with pytest.raises(AssertionError, match="it looks like"):
            assert_refused(spec.format(folder), "it looks like")


LABELLED = {
    "images/train images/val": "train: images/train | val: images/val | names: [NAME, NAME]",
    "train/images valid/images": "train: train/images | val: valid/images | names: [NAME, NAME]",
    "images/train/cam1 images/train/cam2": "train: images/train | names: [NAME, NAME]",
    "JPEGImages": "train: JPEGImages | names: [NAME, NAME]",
    ".": "train: . | names: classes.txt",
}


@pytest.mark.parametrize("folders", LABELLED)
def test_labels_of_yolo_s_kind_without_a_description(tmp_path, folders):
    """What is said can be written as it stands, and is then read."""
    for number, folder in enumerate(folders.split()):
        picture = write_picture(tmp_path / folder / f"{number}.jpg")
        labels = Path(*("labels" if part.lower().endswith("images") else part for part in (tmp_path / folder).parts))
        labels.mkdir(parents=True, exist_ok=True)
        (labels / f"{number}.txt").write_text("0 .5 .5 .5 .5\n")
        assert picture.is_file()
    if folders == ".":
        (tmp_path / "classes.txt").write_text("cat\n")
    file = tmp_path / "data.yaml"
    says = f"; it holds YOLO's label files: write {file} with the lines {LABELLED[folders]} and give yolo:{file}"
    for spec in (f"yolo:{tmp_path}", f"yolo:{file}", str(tmp_path)):
        assert_refused(spec, says)
    file.write_text(LABELLED[folders].replace("NAME, NAME", "cat").replace(" | ", "\n"))
    assert len(open_source(f"yolo:{file}")) == len(folders.split())


def test_texts_beside_pictures_that_are_no_labels(tmp_path):
    write_picture(tmp_path / "cat/a.jpg")
    (tmp_path / "cat/a.txt").write_text("A cat on a mat.")
    assert open_source(f"folders:{tmp_path}").notes == ()


def test_json_files_of_other_tools_are_not_coco_s(tmp_path):
    """LabelMe's beside the pictures; Label Studio's notes beside YOLO's labels."""
    write_picture(tmp_path / "one/a.jpg")
    (tmp_path / "one/a.json").write_text(json.dumps({"shapes": [], "imagePath": "a.jpg"}))
    assert_refused(f"{tmp_path}/one", "holds pictures, and nothing that labels them")
    write_picture(tmp_path / "two/images/a.jpg")
    assert_refused(f"{tmp_path}/two", "holds pictures, and nothing that labels them")  # images is no class
    (tmp_path / "two/labels").mkdir()
    (tmp_path / "two/labels/a.txt").write_text("0 .5 .5 .5 .5\n")
    (tmp_path / "two/notes.json").write_text(json.dumps({"categories": [], "info": {}}))
    assert_refused(f"{tmp_path}/two", "it holds YOLO's label files")


@pytest.mark.parametrize("ending", ["json", "xml", "yaml", "txt"])
def test_pipes_hang_no_message(tmp_path, ending):
    """Opening one waits for ever."""
    write_picture(tmp_path / "a.jpg")
    os.mkfifo(tmp_path / f"a.{ending}")
    for scheme in ("yolo", "folders", "voc"):
        assert_refused(f"{scheme}:{tmp_path}", str(tmp_path))


def test_files_in_place_of_folders_and_of_annotations(tmp_path):
    (tmp_path / "set.zip").write_bytes(b"PK\x03\x04")
    for scheme in ("voc", "folders"):
        assert_refused(f"{scheme}:{tmp_path}/set.zip", "is a file: give a folder; an archive is to be unpacked first")
    assert_refused(f"coco:{tmp_path}/set.zip,{tmp_path}", "set.zip is compressed: unpack it")
    (tmp_path / "results.json").write_text(json.dumps([{"image_id": 1, "bbox": [1, 1, 2, 2], "score": 0.5}]))
    assert_refused(f"coco:{tmp_path}/results.json,{tmp_path}", "as of a network's results: give the file of the annot")
