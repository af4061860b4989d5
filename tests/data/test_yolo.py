"""The YOLO reader: label rows, descriptions, lists and places as users and other tools write them."""

import codecs
import re
import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.test_sources import write_picture
from yolo9000_jax.data.annotations import Notes
from yolo9000_jax.data.sources import open_source
from yolo9000_jax.data.yolo import label_places
from yolo9000_jax.data.yolo_description import describe, parse_description_yaml
from yolo9000_jax.data.yolo_labels import parse_labels
from yolo9000_jax.data.yolo_yaml import parse_yaml
from yolo9000_jax.errors import UserError

ROW = "0 0.5 0.5 0.5 0.5\n"  # in a picture of 20 x 10: (5, 2.5, 15, 7.5)
many = settings(max_examples=2000, deadline=None)


def write_labelled(picture: Path, labels: Path | None = None, rows: str = ROW) -> Path:
    """A picture and its label file, beside it or where it is said."""
    write_picture(picture)
    labels = labels or picture.with_suffix(".txt")
    labels.parent.mkdir(parents=True, exist_ok=True)
    labels.write_text(rows)
    return picture


def opened(folder: Path, description: str | bytes, split: str = "train", name: str = "data.yaml"):
    (folder / name).write_bytes(description if isinstance(description, bytes) else description.encode())
    return open_source(f"yolo:{folder / name}", split)


def pictures(dataset):
    return [Path(record.image).name for record in dataset]


def is_noted(dataset, *parts):
    return any(all(part in note for part in parts) for note in dataset.notes)


# Rows of a label file.


def loop_corners(columns):
    """Corners of a row by hand: a box by centre and size, or around a polygon."""
    if len(columns) == 4:
        x, y, w, h = columns
        return x - w / 2, y - h / 2, x + w / 2, y + h / 2
    x0, y0, x1, y1 = 9, 9, -9, -9
    for place in range(0, len(columns), 2):
        x0, x1 = min(x0, columns[place]), max(x1, columns[place])
        y0, y1 = min(y0, columns[place + 1]), max(y1, columns[place + 1])
    return x0, y0, x1, y1


@pytest.mark.parametrize("label", ["1", "1.0", "1.000000", "+1", "1.000000000000000000e+00"])
@pytest.mark.parametrize("between", [" ", "\t", ",", ", ", ";", " \t "])
@pytest.mark.parametrize("points", [(0.5, 0.25, 0.5, 0.125), (0.1, 0.2, 0.9, 0.3, 0.4, 0.8), (0.1,) * 8])
def test_forms_of_a_row(label, between, points):
    line = between.join([label, *map(str, points)])
    (row,) = parse_labels(f"\n{line} \n\n", "a.txt", 2)
    assert (row.line, row.label, row.is_polygon) == (2, 1, len(points) > 4)
    np.testing.assert_allclose(row.corners, loop_corners(points))


def test_numbers_with_commas():
    (row,) = parse_labels("0 0,5 0,5 0,25 1", "a.txt", 1)
    assert row.corners == (0.375, 0, 0.625, 1)


def test_keypoints_are_left_out():
    (row,) = parse_labels("0 .5 .5 .5 .5 .9 .9 2 .1 .1 0", "a.txt", 1, keypoints=6)
    assert row.corners == (0.25, 0.25, 0.75, 0.75) and not row.is_polygon


@pytest.mark.parametrize(
    "line, part",
    [
        ("0 .5 .5 .5 .5 .9", "6 columns: the sixth is a confidence"),
        ("0 .5 .5 .5", "4 columns: write 'class x y w h'"),
        ("0 .1 .1 .2 .2 .3 .3 .4", "8 columns"),
        ("2 .5 .5 .5 .5", "class 2 is outside 0 to 1 (names are counted from 0, of 2)"),
        ("-1 .5 .5 .5 .5", "class -1 is outside"),
        ("0.5 .5 .5 .5 .5", "class '0.5' is no whole number"),
        ("dog .5 .5 .5 .5", "class 'dog' is no number"),
        ("nan .5 .5 .5 .5", "class 'nan' is no whole number"),
        ("0 320 240 50 50", "not in fractions of the picture"),
        ("0 10 10 20 10 20 20 10 20", "not in fractions of the picture"),
        ("0 .5 .5 nan .5", "not made of finite numbers"),
        ("0 .5 .5 -.5 .5", "negative"),
        (",,,", "1 columns"),
        ("0 .5 .5 .5 .5 # cat", "holds a comment"),
        ("class x y w h", "is a heading"),
    ],
)
def test_rows_that_are_refused(line, part):
    with pytest.raises(UserError, match=r"^a\.txt:2: ") as caught:
        parse_labels(f"{ROW}{line}", "a.txt", 2)
    assert part in str(caught.value) and "\n" not in str(caught.value)


def test_labels_in_utf_16_without_a_mark():
    with pytest.raises(UserError, match=r"^a\.txt: not UTF-8 text, perhaps UTF-16"):
        parse_labels(ROW.encode("utf-16-le").decode(), "a.txt", 2)


tokens = st.one_of(
    st.sampled_from(
        ["0", "1", "0.0", "1.5", "nan", "inf", "1e999", "0,5", ",", ";", "\t", "x", "1_0", "\x00", "٣", "-"]
    ),
    st.floats(-0.5, 1.5).map(str),
)


@many
@given(st.one_of(st.text(max_size=60), st.lists(tokens, max_size=9).map(" ".join)), st.integers(1, 3))
def test_any_text_as_labels(text, classes):
    """Boxes of known classes in finite numbers near the picture, or one line that names the file and the line."""
    try:
        rows = parse_labels(text, "a.txt", classes)
    except UserError as error:
        assert str(error).startswith("a.txt:") and len(str(error).splitlines()) == 1
        return
    assert len(rows) <= text.count("\n") + 1
    for row in rows:
        assert 0 <= row.label < classes and np.abs(row.corners).max() <= 3
        assert row.corners[0] <= row.corners[2] and row.corners[1] <= row.corners[3]


# Descriptions.


lines = st.sampled_from(
    """names: [a, b]|names: [no, ~, 1.0]|names: {0: a, 1: b}|names: {a: 0}|names: x.names|names: [[a], {b: c}]
names: a, b
- a|  - b|names:|nc: 2|nc: 1e999|nc: [1]|path: .|path: /|path: {}|train: images|train: [a, [b], ~]|train: &x [*x]
val: 'a\tb'|val: "a\\tb"|valid: a|validation: b|kpt_shape: [17, 3]|kpt_shape: [-1, x]|kpt_shape: [99999999999, 9]|{|}
names = x.names|classes = 2|train = a.txt|= a|# x|; x|*x|? a|!!python/x y|---|...|\ttrain: a|labels = x""".replace(
        "\n", "|"
    ).split("|")
)
characters = "!:-[]{}&*#'\"\n\t 0antesrilm=,~?|>%\0\x85\u2028é"


@many
@given(st.one_of(st.text(characters, max_size=60), st.lists(lines, max_size=6).map("\n".join)))
def test_any_text_as_description(text):
    """Names and paths that are texts, or one line that names the file; as either kind of file."""
    for name in ("d.yaml", "d.data"):
        try:
            description = describe(text, Path("nowhere") / name, Notes())
        except UserError as error:
            assert str(error).startswith(f"nowhere/{name}") and len(str(error).splitlines()) == 1
        else:
            assert all(isinstance(each, str) and each.strip() for each in description.names) and description.names
            assert all(isinstance(path, str) for paths in description.splits.values() for path in paths)


def test_scalars_are_the_texts_that_stand_there():
    text = "names: [no, 1.10, 007, 2020-01-01, 'null', ~]\n'val': \"x\"\ntest:\n"
    expected = ["no", "1.10", "007", "2020-01-01", "null", None]
    assert parse_yaml(text, "d") == {"names": expected, "val": "x", "test": None}


@pytest.mark.parametrize(
    "names",
    [
        "[cat, dog]",
        "{0: cat, 1: dog}",
        "{'1': dog, \"0\": cat}",
        "\n\t- cat\n\t- dog",
        "obj.names",
        "data/obj.names",
        ".\\obj.names",
        "[cat, dog]\nnc: '2'",
        "[cat, dog]\nnc: ~\n!!python/object/apply:os.abort x: []",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_names_in_all_forms(tmp_path, names, encoding):
    write_labelled(tmp_path / "images/a.jpg", rows="1 0.5 0.5 0.5 0.5")
    (tmp_path / "obj.names").write_bytes("cat\r\ndog\r\n\r\n".encode(encoding))
    dataset = opened(tmp_path, f"'train': images\nnames: {names}\n".replace("\n", "\r\n").encode(encoding))
    assert dataset.classes == ("cat", "dog") and dataset[0].labels.tolist() == [1]


@pytest.mark.parametrize("key", ["val", "valid", "validation", "Val"])
@pytest.mark.parametrize("asked", ["val", "valid", "validation"])
def test_words_for_validation(tmp_path, key, asked):
    write_labelled(tmp_path / "v/a.jpg")
    assert pictures(opened(tmp_path, f"{key}: v\nnames: [a]", asked)) == ["a.jpg"]


def test_a_great_many_classes(tmp_path):
    """A number that is claimed costs nothing; names are read in linear time."""
    write_labelled(tmp_path / "images/a.jpg", rows="199999 .5 .5 .5 .5")
    start = time.monotonic()
    with pytest.raises(UserError, match="nc is 1000000, but names has 1 names"):
        opened(tmp_path, "train: images\nnames: [a]\nnc: 1000000")
    (tmp_path / "x.names").write_text("".join(f"n{number}\n" for number in range(200_000)))
    dataset = opened(tmp_path, "train = images\nnames = x.names\nclasses = 200000\n", name="x.data")
    assert len(dataset.classes) == 200_000 and dataset[0].labels.tolist() == [199_999]
    assert time.monotonic() - start < 60


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "- " * 100_000, "a: {" * 100_000, "a: &a [*a]", "a: [*b]", "? [a]\n: b"]
)
def test_yaml_that_does_harm(text):
    start = time.monotonic()
    try:
        assert list(parse_description_yaml(text, "d")) == []
    except UserError as error:
        assert "\n" not in str(error)
    assert time.monotonic() - start < 20


# Darknet's .data file, its lists and its places.


DATA = "# a set\nclasses= 1\ntrain  = {0}train.txt\r\nvalid = {0}valid.txt\nnames = {0}obj.names\nbackup = backup/\n"


@pytest.mark.parametrize("folder, prefix", [("", ""), ("", "data/"), ("cfg/", ""), ("cfg/", "data/"), ("", "C:\\x\\")])
def test_darknets_description(tmp_path, folder, prefix, monkeypatch):
    """Paths from the .data file's folder, the one above, or with a first folder that is not there."""
    root = tmp_path / ("data" if prefix == "data/" and folder else "")
    for name in ("a", "b"):
        write_labelled(root / f"obj_train_data/{name}.jpg")
    (root / "train.txt").write_text(f"\ufeff{prefix}obj_train_data/a.jpg\r\n")
    (root / "valid.txt").write_bytes(f"{prefix}obj_train_data\\b.jpg\n".encode("utf-16"))
    (root / "obj.names").write_text("cat\n")
    (tmp_path / folder).mkdir(exist_ok=True)
    for split, picture in (("train", "a.jpg"), ("val", "b.jpg"), ("valid", "b.jpg")):
        dataset = opened(tmp_path / folder, DATA.format(prefix), split, "obj.data")
        assert pictures(dataset) == [picture] and dataset.classes == ("cat",)
        np.testing.assert_allclose(dataset[0].boxes_xyxy, [[5, 2.5, 15, 7.5]])
        moved = bool(prefix) and not folder
        assert is_noted(dataset, "found without their first folders") == moved


def test_darknets_working_directory(tmp_path, monkeypatch):
    write_labelled(tmp_path / "darknet/build/a.jpg")
    (tmp_path / "darknet/build/train.txt").write_text("build/a.jpg\n")
    (tmp_path / "x.names").write_text("cat\n")
    monkeypatch.chdir(tmp_path / "darknet")
    assert pictures(opened(tmp_path, "train = build/train.txt\nnames = x.names", name="x.data")) == ["a.jpg"]


@pytest.mark.parametrize("line", ["classes", "= 3", "names obj.names"])
def test_lines_that_are_none(tmp_path, line):
    with pytest.raises(UserError, match=r"x\.data:2: .* is not 'key = value'"):
        opened(tmp_path, f"train = a.txt\n{line}\n", name="x.data")


def test_a_folder_stands_for_its_description(tmp_path):
    write_labelled(tmp_path / "images/a.jpg")
    opened(tmp_path, "train: images\nnames: [a]")
    assert pictures(open_source(f"yolo:{tmp_path}", "train")) == ["a.jpg"]
    with pytest.raises(UserError, match="name its data.yaml"):
        open_source(f"yolo:{tmp_path / 'images'}", "train")


def test_repetitions_count_in_training_once_in_an_evaluation(tmp_path):
    for name in ("a", "b", "c"):
        write_labelled(tmp_path / f"{name}.jpg")
    (tmp_path / "one.txt").write_text(f"a.jpg\nb.jpg\n../{tmp_path.name}/b.jpg\n")
    (tmp_path / "two.txt").write_text("b.jpg\nc.jpg\n")
    description = "train: [one.txt, two.txt]\nval: two.txt\nnames: [a]"
    dataset = opened(tmp_path, description)
    assert pictures(dataset) == ["a.jpg", "b.jpg", "b.jpg", "b.jpg", "c.jpg"]
    assert is_noted(dataset, "1 picture is listed several times", "first: b.jpg, 3 times")
    assert pictures(dataset.once()) == pictures(open_source(dataset.spec, "all")) == ["a.jpg", "b.jpg", "c.jpg"]
    assert pictures(dataset[1:].once()) == ["b.jpg", "c.jpg"]
    parts = [set(pictures(open_source(dataset.spec, split))) for split in ("train[:60%]", "train[60%:]")]
    assert parts[0].isdisjoint(parts[1]) and parts[0] | parts[1] == {"a.jpg", "b.jpg", "c.jpg"}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("listed", ["NFC", "NFD"])
def test_names_of_other_systems(tmp_path, form, listed):
    """Composed and decomposed, blanks, quotes; picture, label file and list may each be written another way."""
    name = "Käse brot"
    picture = write_picture(tmp_path / "images" / unicodedata.normalize(form, f"{name}.JPG"), format="JPEG")
    labels = tmp_path / "labels" / unicodedata.normalize(listed, f"{name}.txt")
    labels.parent.mkdir()
    labels.write_bytes(codecs.BOM_UTF8 + ROW.replace("\n", "\r\n").encode())
    (tmp_path / "list.txt").write_text(f'"images\\{unicodedata.normalize(listed, name)}.JPG"\n')
    dataset = opened(tmp_path, "train: list.txt\nval: .\\images\nnames: [a]", "all")
    assert [record.image for record in dataset] == [str(picture)] and len(dataset[0].labels) == 1
    assert dataset.notes == ()


@pytest.mark.parametrize(
    "picture, labels",
    [
        ("images/train/a.jpg", "labels/train/a.txt"),
        ("images/images/a.jpg", "images/labels/a.txt"),
        ("images/images/a.jpg", "labels/images/a.txt"),
        ("images/x/images/a.jpg", "labels/x/labels/a.txt"),
        ("VOC2007/JPEGImages/a.jpg", "VOC2007/labels/a.txt"),
        ("set/raw/a.jpg", "set/labels/a.txt"),
        ("my_images/a.jpg", "my_labels/a.txt"),
        ("images/a.jpg", "images/a.txt"),
        ("train/a.b.jpg", "train/a.b.txt"),
        ("Images/a.jpg", "labels/a.txt"),
    ],
)
def test_where_labels_are(tmp_path, picture, labels):
    write_labelled(tmp_path / picture, tmp_path / labels)
    dataset = opened(tmp_path, f"train: {picture.split('/')[0]}\nnames: [a]")
    assert len(dataset[0].labels) == 1 and dataset.notes == ()


def test_a_label_file_of_two_pictures_is_said(tmp_path):
    write_labelled(tmp_path / "images/a.jpg", tmp_path / "labels/a.txt")
    write_picture(tmp_path / "images/a.png")
    write_labelled(tmp_path / "images/b.jpg", tmp_path / "labels/b.txt")
    dataset = opened(tmp_path, "train: images\nnames: [a]")
    assert [len(record.labels) for record in dataset] == [1, 1, 1]
    (note,) = dataset.notes
    assert note.startswith("1 label file is that of several pictures") and "a.txt of a.jpg and a.png" in note


@pytest.mark.parametrize("line", ["{}  # blurred, see b.jpg", "{}\t#1", '"{}" # x', "{} # was images/b.jpg"])
def test_comments_behind_paths(tmp_path, line):
    for name in ("a", "b"):
        write_labelled(tmp_path / f"images/{name}.jpg", tmp_path / f"labels/{name}.txt")
    write_labelled(tmp_path / "images/c #1.jpg", tmp_path / "labels/c #1.txt")
    (tmp_path / "list.txt").write_text(f"# a list\n{line.format('images/a.jpg')}\nimages/c #1.jpg\n")
    dataset = opened(tmp_path, "train: list.txt\nnames: [a]")
    assert pictures(dataset) == ["a.jpg", "c #1.jpg"] and dataset.notes == ()


def test_paths_in_other_capitals(tmp_path):
    picture = write_labelled(tmp_path / "images/IMG_1.JPG", tmp_path / "labels/IMG_1.txt")
    (tmp_path / "list.txt").write_text("Images/img_1.jpg\n")
    assert [record.image for record in opened(tmp_path, "train: list.txt\nnames: [a]")] == [str(picture)]


def test_the_likeliest_place_of_labels_comes_first():
    assert label_places(Path("/images/x/images/a.jpg"))[0] == Path("/images/x/labels/a.txt")
    assert label_places(Path("/x/a.jpg")) == [Path("/x/a.txt")]


def test_roboflows_export(tmp_path):
    """Folders a split, written from one folder below, and a test folder that is not there."""
    for split in ("train", "valid"):
        write_labelled(tmp_path / split / f"images/{split}.jfif", tmp_path / split / f"labels/{split}.txt")
    description = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnc: 1\nnames: ['a']\n"
    dataset = opened(tmp_path, description, "all")
    assert pictures(dataset) == ["train.jfif", "valid.jfif"]
    assert is_noted(dataset, "1 split", "test: there is no folder or list '../test/images'")
    with pytest.raises(UserError, match="test: there is no folder or list"):
        open_source(dataset.spec, "test")
    (tmp_path / "images").mkdir()
    with pytest.raises(UserError, match="test: there is no folder or list"):  # that folder is not the test pictures'
        open_source(dataset.spec, "test")


def test_a_path_from_another_machine(tmp_path):
    write_labelled(tmp_path / "train/images/a.jpg", tmp_path / "train/labels/a.txt")
    dataset = opened(tmp_path, "path: /content/set\ntrain: /content/set/train/images\nnames: [a]")
    assert pictures(dataset) == ["a.jpg"]
    assert is_noted(dataset, "path is not there", "/content/set") and is_noted(dataset, "without its first folders")


@pytest.mark.parametrize("scheme", ["yolo", "folders"])
@pytest.mark.parametrize("place", ["~nobody/x", "a\0b", "x" * 5000])
def test_places_that_cannot_be(scheme, place):
    with pytest.raises(UserError, match="there is no such"):
        open_source(f"{scheme}:{place}")


# Hidden and system files, links.


def test_hidden_and_system_files_are_no_data(tmp_path):
    write_labelled(tmp_path / "images/a.ppm", tmp_path / "labels/a.txt")
    for name in ("._a.ppm", ".ipynb_checkpoints/a-checkpoint.jpg", "__MACOSX/a.jpg", "x/.b.jpg"):
        (tmp_path / "images" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "images" / name).write_bytes(b"nothing")
    for name in ("._a.txt", "classes.txt", ".DS_Store"):
        (tmp_path / "labels" / name).write_bytes(b"\xff\x00")
    lines = ["images/a.ppm", "images/._a.ppm", "images/.ipynb_checkpoints/a-checkpoint.jpg", "/x/__MACOSX/a.jpg"]
    (tmp_path / "list.txt").write_text("\n".join([*lines, f"{tmp_path}/images/.a.jpg"]))
    for source, count in (("images", 2), ("list.txt", 4)):
        dataset = opened(tmp_path, f"train: {source}\nnames: [a]")
        assert pictures(dataset) == ["a.ppm"] and len(dataset[0].labels) == 1
        assert [note.split(" (")[0] for note in dataset.notes] == [f"{count} hidden or system files are not used"]


def test_a_list_may_name_a_hidden_place(tmp_path):
    """What lies above the pictures is the user's own business."""
    picture = write_labelled(tmp_path / ".cache/set/a.jpg")
    (tmp_path / "list.txt").write_text(f"{picture}\n")
    dataset = opened(tmp_path, "train: list.txt\nnames: [a]")
    assert pictures(dataset) == ["a.jpg"] and dataset.notes == ()


def test_circles_of_links_end(tmp_path):
    write_labelled(tmp_path / "set/images/a.jpg", tmp_path / "set/labels/a.txt")
    write_labelled(tmp_path / "far/b.jpg")
    write_picture(tmp_path / "set/other.jpg")
    for name, target in (("self", "."), ("up", ".."), ("top", "../.."), ("far", "../../far"), ("far2", "far")):
        (tmp_path / "set/images" / name).symlink_to(target)
    (tmp_path / "far/back").symlink_to("../set/images")
    dataset = opened(tmp_path / "set", "train: images\nnames: [a]")
    assert sorted(pictures(dataset)) == ["a.jpg", "b.jpg"]


def test_classes_of_folders(tmp_path):
    """Hidden folders, a system's and links back are no classes; a class's folder may have folders in it."""
    for name in ("train/cat/a.jpg", "train/dog/deep/b.jpg", "valid/cat/c.jpg", "train/.ipynb_checkpoints/d.jpg"):
        write_picture(tmp_path / name)
    for name in ("train/__MACOSX/e.jpg", "train/cat/._a.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"nothing")
    (tmp_path / "train/cat/loop").symlink_to("../..")
    (tmp_path / "train/loop").symlink_to("..")
    dataset = open_source(f"folders:{tmp_path}", "train")
    assert dataset.classes == ("cat", "dog") and pictures(dataset) == ["a.jpg", "b.jpg"]
    assert [record.labels.tolist() for record in dataset] == [[0], [1]]
    assert is_noted(dataset, "1 hidden or system file is not used")
    assert pictures(open_source(f"folders:{tmp_path}", "val")) == ["c.jpg"]


@pytest.mark.parametrize("folder", ["labels", "Labels", "LABELS"])
@pytest.mark.parametrize("ending", [".txt", ".TXT", ".Txt"])
def test_label_files_in_capitals(tmp_path, folder, ending):
    write_labelled(tmp_path / "Images/a.PNG", tmp_path / f"{folder}/a{ending}")
    dataset = opened(tmp_path, "train: Images\nnames: [cat]\n")
    assert len(dataset[0].labels) == 1


def test_a_text_beside_a_picture_comes_last(tmp_path):
    write_labelled(tmp_path / "images/a.jpg", tmp_path / "Labels/a.txt")
    (tmp_path / "images/a.txt").write_text(ROW + "0 .5 .5 .2 .2\n")
    assert len(opened(tmp_path, "train: images\nnames: [cat]\n")[0].labels) == 1
    (tmp_path / "Labels/a.txt").unlink()
    assert len(opened(tmp_path, "train: images\nnames: [cat]\n")[0].labels) == 2


PATTERNS = {
    "images/cam*": ["a.jpg", "b.jpg", "c.jpg"],
    "images/cam?/*.jpg": ["a.jpg", "c.jpg"],
    "images/**/*.jpg": ["a.jpg", "c.jpg"],
    "../images/cam[1]*/*": ["a.jpg", "b.jpg"],
    "images\\cam2\\*": ["c.jpg"],
    "list_?.txt": ["c.jpg"],
    "[images/cam2/*.jpg, 'images/cam1/b*']": ["c.jpg", "b.jpg"],
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns(tmp_path, pattern):
    """They name folders, pictures or lists; hidden and system files are none, nor are the labels beside."""
    for name in ("cam1/a.jpg", "cam1/b.jpg", "cam2/c.jpg", "cam2/._c.jpg"):
        write_labelled(tmp_path / f"images/{name}")
    (tmp_path / "images/cam1/b.jpg").rename(tmp_path / "images/cam1/b.jpeg")
    (tmp_path / "images/cam1/Thumbs.db").write_text("x")
    (tmp_path / "list_1.txt").write_text("images/cam2/c.jpg\n")
    expected = [name.replace("b.jpg", "b.jpeg") for name in PATTERNS[pattern]]
    assert pictures(opened(tmp_path, f"train: {pattern}\nnames: [cat]\n")) == expected
    for nothing in ("pictures/*", "img[1]"):
        with pytest.raises(UserError, match=rf"there is no folder or list '{re.escape(nothing)}'"):
            opened(tmp_path, f"train: {nothing}\nnames: [cat]\n")
    with pytest.raises(UserError, match=r"data.yaml: train: /\*\*/none\*: would look through the whole disk"):
        opened(tmp_path, "train: /**/none*\nnames: [cat]\n")


def test_a_folder_of_two_splits_is_told_of_once(tmp_path):
    write_labelled(tmp_path / "images/a.jpg")
    for name in ("x.psd", "y.psd", "._z.jpg"):
        (tmp_path / f"images/{name}").write_text("")
    dataset = opened(tmp_path, "train: images\nval: images\nnames: [cat]\n", "all")
    assert is_noted(dataset, "2 pictures are of kinds that are not read") and is_noted(
        dataset, "1 hidden or system file"
    )


def test_a_box_with_two_labels(tmp_path):
    rows = "0 .5 .5 .5 .5\n1 .5 .5 .5 .5\n1 .5 .5 .5 .5\n1 .5 .5 .2 .5\n"
    write_labelled(tmp_path / "images/a.jpg", rows=rows)
    dataset = opened(tmp_path, "train: images\nnames: [cat, dog]\n")
    assert dataset[0].labels.tolist() == [0, 1, 1]
    assert is_noted(dataset, "1 box stands there again with another label; each counts (first: a.txt, line 2)")
    assert is_noted(dataset, "1 box stands there twice with the same label", "line 3")


@pytest.mark.parametrize("line", ["# old/b.jpg", "#old/b.jpg", "images/a.jpg  # see old/b.jpg"])
def test_paths_in_comments_are_not_read(tmp_path, line):
    """Their ends would be found without the first folders, as those of paths of another machine are."""
    for name in ("a.jpg", "b.jpg"):
        write_labelled(tmp_path / f"images/{name}")
        write_labelled(tmp_path / name)
    (tmp_path / "list.txt").write_text(f"images/a.jpg\n{line.replace('images/a', 'images/gone')}\n")
    description = "train: list.txt\nnames: [cat]\n"
    if line.startswith("#"):
        assert pictures(opened(tmp_path, description)) == ["a.jpg"]
    else:
        with pytest.raises(UserError, match="list.txt:2: there is no picture"):
            opened(tmp_path, description)
