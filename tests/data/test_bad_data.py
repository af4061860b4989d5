"""Bad data sets: each is one `UserError`, on one line, that names file and record; or is counted in the notes."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.data.test_sources import write_picture, write_xml
from yolo9000_jax.data.annotations import Annotation, Notes, clean_boxes
from yolo9000_jax.data.sources import open_source
from yolo9000_jax.errors import UserError
from yolo9000_jax.images import reading as pictures

BOX = ("cat", 0, 2, 2, 6, 6)


def assert_refused(spec, *parts, classes=None, split="all"):
    """Opening raises one line that contains all `parts`."""
    with pytest.raises(UserError) as caught:
        open_source(spec, split, classes)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message, f"{part!r} is not in {message!r}"


def voc(folder: Path, *objects) -> str:
    write_picture(folder / "a.jpg")
    write_xml(folder / "a.xml", objects)
    return f"voc:{folder}"


def yolo(folder: Path, *lines: str) -> str:
    write_picture(folder / "images/a.jpg")
    (folder / "labels").mkdir(exist_ok=True)
    (folder / "labels/a.txt").write_text("\n".join(lines))
    (folder / "data.yaml").write_text("train: images\nnames: [cat, dog]\n")
    return f"yolo:{folder}/data.yaml"


def coco(folder: Path, *annotations: dict, **lists) -> str:
    write_picture(folder / "images/a.jpg")
    content = {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 20, "height": 10}],
        "annotations": [{"id": 50 + i, "image_id": 7, "category_id": 1} | item for i, item in enumerate(annotations)],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (folder / "ann.json").write_text(json.dumps(content | lists))
    return f"coco:{folder}/ann.json,{folder}/images"


# Pictures.


def test_missing_picture(tmp_path):
    spec = voc(tmp_path / "v", BOX)
    (tmp_path / "v/a.jpg").unlink()
    assert_refused(spec, "a.xml", "no picture a.jpg")
    spec = coco(tmp_path / "c")
    (tmp_path / "c/images/a.jpg").unlink()
    assert_refused(spec, "ann.json", "image 7", "a.jpg", "no such picture")
    spec = yolo(tmp_path / "y")
    (tmp_path / "y/list.txt").write_text("images/a.jpg\nimages/b.jpg\n")
    (tmp_path / "y/data.yaml").write_text("train: list.txt\nnames: [cat]\n")
    assert_refused(spec, "list.txt:2", "images/b.jpg")


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("suffix, marker", [("jpg", "JPEG has no end marker"), ("png", "PNG has no end chunk")])
def test_truncated_picture(tmp_path, keep, suffix, marker):
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    (tmp_path / "cat").mkdir()
    path = tmp_path / f"cat/a.{suffix}"
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: max(700, int(len(whole) * keep))])
    assert_refused(f"folders:{tmp_path}", f"a.{suffix} is truncated", marker)
    with pytest.raises(UserError, match="broken or truncated"):
        pictures.read(path)


def test_truncated_jpeg_with_whole_thumbnail(tmp_path):
    """The thumbnail's end marker must not pass for the picture's."""
    spec = voc(tmp_path, BOX)
    path = tmp_path / "a.jpg"
    thumbnail = path.read_bytes()
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    Image.fromarray(noise).save(path, comment=thumbnail)
    path.write_bytes(path.read_bytes()[:-500])
    assert_refused(spec, "a.xml", "a.jpg is broken or truncated")


@pytest.mark.parametrize("tail", [b"\0" * 100, b"\r\n", b"appended by a camera " * 20])
def test_bytes_after_the_end_are_no_fault(tmp_path, tail):
    path = write_picture(tmp_path / "cat/a.jpg")
    path.write_bytes(path.read_bytes() + tail)
    assert open_source(f"folders:{tmp_path}")[0].read().shape == (10, 20, 3)


@pytest.mark.parametrize("content, what", [(b"", "is empty"), (b"<html>not found</html>", "is a web page")])
def test_picture_that_is_none(tmp_path, content, what):
    spec = voc(tmp_path, BOX)
    (tmp_path / "a.jpg").write_bytes(content)
    assert_refused(spec, "a.xml", "a.jpg", what)


@pytest.mark.parametrize("limit", [99, 45])  # half of what the picture's 200 pixels are too many for
def test_decompression_bomb(tmp_path, monkeypatch, limit):
    spec = voc(tmp_path, BOX)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert_refused(spec, "a.jpg", f"more than {2 * limit} pixels")


def test_stated_size_that_is_not_the_pictures(tmp_path):
    spec = voc(tmp_path, BOX)
    size = "<size><width>1000</width><height>800</height></size></annotation>"
    (tmp_path / "a.xml").write_text((tmp_path / "a.xml").read_text().replace("</annotation>", size))
    assert_refused(spec, "a.xml says 1000x800 but a.jpg is 20x10")
    images = [{"id": 7, "file_name": "a.jpg", "width": 10, "height": 20}]
    assert_refused(coco(tmp_path / "c", images=images), "image 7 says 10x20 but a.jpg is 20x10")


def test_filename_of_another_picture(tmp_path):
    spec = voc(tmp_path, BOX)
    write_picture(tmp_path / "b.jpg")
    write_xml(tmp_path / "a.xml", [BOX], filename="b.jpg")
    assert_refused(spec, "a.xml", "<filename> is b.jpg")


# Boxes.


def test_boxes_that_stick_out_are_clipped_and_counted(tmp_path):
    expected = [[0, 1, 6, 6], [1, 1, 20, 10]]
    stated = voc(tmp_path / "v", ("cat", 0, -3, 2, 6, 6), ("cat", 0, 2, 2, 30, 40))
    fractions = yolo(tmp_path / "y", "0 0.05 0.35 0.5 0.5", "0 0.775 1.1 1.45 2")
    pixels = coco(tmp_path / "c", {"bbox": [-4, 1, 10, 5]}, {"bbox": [1, 1, 29, 39]})
    for spec, first in ((stated, "a.xml, object 1"), (fractions, "a.txt, line 1"), (pixels, "image 7, annotation 50")):
        dataset = open_source(spec)
        np.testing.assert_allclose(dataset[0].boxes_xyxy, expected, atol=1e-5)
        (note,) = [note for note in dataset.notes if "clipped" in note]
        assert note.startswith("2 boxes clipped to the picture (first: ") and first in note


def test_boxes_without_area_are_dropped_and_counted(tmp_path):
    """No width as stated, no height as stated, and wholly outside the picture."""
    stated = voc(tmp_path / "v", ("cat", 0, 4, 2, 4, 6), BOX, ("cat", 0, 2, 5, 6, 5), ("cat", 0, 50, 2, 60, 6))
    fractions = yolo(tmp_path / "y", "0 .5 .5 0 .5", "0 .175 .35 .25 .5", "0 .5 .5 .5 0", "0 1.5 .5 .1 .1")
    pixels = coco(tmp_path / "c", *({"bbox": b} for b in ([4, 2, 0, 4], [1, 1, 5, 5], [2, 5, 4, 0], [50, 2, 10, 4])))
    for spec, first in ((stated, "a.xml, object 1"), (fractions, "a.txt, line 1"), (pixels, "image 7, annotation 50")):
        dataset = open_source(spec)
        np.testing.assert_allclose(dataset[0].boxes_xyxy, [[1, 1, 6, 6]], atol=1e-5)
        assert dataset[0].labels.shape == dataset[0].difficult.shape == (1,)
        (note,) = [note for note in dataset.notes if "without area" in note]
        assert note.startswith("3 boxes without area dropped (first: ") and first in note


@pytest.mark.parametrize("corners", [(6, 2, 2, 6), (2, 6, 6, 2), (6, 2, 5, 6)])
def test_inverted_corners_voc(tmp_path, corners):
    assert_refused(voc(tmp_path, BOX, ("cat", 0, *corners)), "a.xml, object 2", "wrong order")


def test_inverted_corners(tmp_path):
    assert_refused(yolo(tmp_path, "0 .5 .5 .5 .5", "0 .5 .5 -.5 .5"), "a.txt:2", "negative")
    assert_refused(coco(tmp_path, {"bbox": [5, 5, -3, 2]}), "ann.json, annotation 50", "negative")


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "", "12px"])
def test_numbers_that_are_none(tmp_path, value):
    assert_refused(voc(tmp_path, BOX, ("cat", 0, value, 2, 6, 6)), "a.xml, object 2")
    assert_refused(yolo(tmp_path, "0 .5 .5 .5 .5", f"0 .5 .5 .5 {value}"), "a.txt:2")


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), pytest.param(10**400, id="10**400"), "five", None, True, [1]]
)
def test_numbers_that_are_none_coco(tmp_path, value):
    assert_refused(
        coco(tmp_path, {"bbox": [0, 0, 5, 5]}, {"bbox": [0, 0, value, 5]}), "ann.json, annotation 51", "bbox"
    )


@given(st.lists(st.tuples(*[st.floats(-50, 70)] * 4), max_size=8))
def test_clean_boxes_property(boxes):
    """Either an inverted box is refused, or what is left lies inside with area, and every box changed is counted."""
    stated = np.array(boxes, np.float64).reshape(-1, 4)
    places = [f"object {index}" for index in range(len(boxes))]
    labels, flags = list(range(len(boxes))), [False] * len(boxes)
    annotation, notes = Annotation("a", "a", Path("a"), [], labels, flags, places), Notes()
    inverted = [x1 < x0 or y1 < y0 for x0, y0, x1, y1 in boxes]
    if any(inverted):
        with pytest.raises(UserError, match=f"object {inverted.index(True)}:"):
            clean_boxes(stated, 20, 10, annotation, notes)
        return
    left, kept = clean_boxes(stated, 20, 10, annotation, notes)
    expected = [
        (max(x0, 0), max(y0, 0), min(x1, 20), min(y1, 10))
        for x0, y0, x1, y1 in boxes
        if min(x1, 20) > max(x0, 0) and min(y1, 10) > max(y0, 0)
    ]
    assert [tuple(box) for box in left] == expected and kept.sum() == len(expected)
    dropped = [line for line in notes.lines() if "without area" in line]
    assert dropped == [] if kept.all() else dropped[0].startswith(f"{(~kept).sum()} box")


# What is readable, and not plausible.


def test_boxes_under_a_pixel_are_counted(tmp_path):
    stated = voc(tmp_path / "v", ("cat", 0, 0.2, 0.3, 0.6, 0.9), BOX, ("cat", 0, 0.1, 2, 0.5, 9))
    fractions = yolo(tmp_path / "y", "0 .5 .5 .04 .5", "0 .5 .5 .5 .09", "0 .5 .5 .05 .1")
    pixels = coco(tmp_path / "c", {"bbox": [1, 1, 0.5, 4]}, {"bbox": [1, 1, 5, 5]}, {"bbox": [1, 1, 5, 0.5]})
    for spec, first in ((stated, "a.xml, object 1"), (fractions, "a.txt, line 1"), (pixels, "image 7, annotation 50")):
        dataset = open_source(spec)
        (note,) = [note for note in dataset.notes if "fractions taken for pixels?" in note]
        assert note.startswith("2 boxes are narrower or lower than a pixel") and first in note
        assert len(dataset[0].boxes_xyxy) == 3


def test_a_box_that_stands_there_twice_is_dropped(tmp_path):
    """The same box with another label, or another flag, is another one."""
    stated = voc(tmp_path / "v", BOX, BOX, ("dog", *BOX[1:]), BOX, ("cat", 1, *BOX[2:]))
    fractions = yolo(
        tmp_path / "y", "0 .5 .5 .5 .5", "1 .5 .5 .5 .5", "0 .5 .5 .5 .5", "0 .5 .5 .5 .4", "0 .5 .5 .5 .50"
    )
    box = {"bbox": [1, 1, 5, 5]}
    pixels = coco(tmp_path / "c", box, box, box | {"iscrowd": 1}, box, {"bbox": [1, 1, 5, 6]})
    for spec, second in ((stated, "a.xml, object 2"), (fractions, "a.txt, line 3"), (pixels, "image 7, annotation 51")):
        dataset = open_source(spec)
        (note,) = [note for note in dataset.notes if "twice" in note]
        assert note.startswith("2 boxes stand there twice with the same label") and second in note
        assert len(dataset[0].boxes_xyxy) == len(dataset[0].labels) == len(dataset[0].difficult) == 3


def test_a_picture_that_is_labelled_twice_is_said(tmp_path):
    write_picture(tmp_path / "images/a.jpg")
    for place, name in enumerate("abc"):
        write_xml(tmp_path / f"xml/{name}.xml", [("cat", 0, 1, 1, 4 + place, 4)], filename="a.jpg")
    dataset = open_source(f"voc:{tmp_path}/xml")
    assert len(dataset) == 3
    assert dataset.notes[0] == "1 picture is listed or labelled more than once; each time counts (first: a.jpg)"


# Labels.


def test_unknown_class(tmp_path):
    classes = ("cow", "dog")
    assert_refused(voc(tmp_path / "v", ("Dogs", 0, 1, 1, 4, 4)), f"{tmp_path}/v", "'Dogs'", "'dog'", classes=classes)
    assert_refused(yolo(tmp_path / "y", "2 .5 .5 .1 .1"), "a.txt:1", "class 2 is outside 0 to 1")
    assert_refused(coco(tmp_path / "c", {"bbox": [1, 1, 5, 5]}), "none of the classes", "'cat'", classes=classes)
    write_picture(tmp_path / "f/caw/a.jpg")
    assert_refused(
        f"folders:{tmp_path}/f", "none of the classes asked for ('cow' (did you mean 'caw'?), 'dog')", classes=classes
    )


def test_class_list_with_a_name_twice(tmp_path):
    assert_refused(voc(tmp_path, BOX), "class list", "'cat'", "twice", classes=("cat", "dog", "cat"))


XML_FAULTS = {
    b"": "not well-formed",
    b"<annotation><object>": "not well-formed",
    b"<other/>": "outermost element is <other>",
    b"<annotation><object/></annotation>": "object 1: <name>",
    b"<annotation><object><name>cat</name><bndbox><xmin>1</xmin></bndbox></object></annotation>": "<ymin> is missing",
    b"<annotation><size><width>wide</width></size></annotation>": "<size> states width 'wide'",
}


@pytest.mark.parametrize("content", XML_FAULTS)
def test_malformed_xml(tmp_path, content):
    spec = voc(tmp_path, BOX)
    (tmp_path / "a.xml").write_bytes(content)
    assert_refused(spec, "a.xml", XML_FAULTS[content])


def test_xml_entities_are_refused(tmp_path):
    spec = voc(tmp_path, BOX)
    levels = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    laughs = f'<!DOCTYPE a [<!ENTITY l0 "ha">{levels}]><annotation><filename>&l9;</filename></annotation>'
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    external = f'<!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]><annotation><filename>&x;</filename></annotation>'
    outside = f'<!DOCTYPE annotation SYSTEM "{secret.as_uri()}"><annotation/>'
    for content in (laughs, external, outside):
        (tmp_path / "a.xml").write_text(content)
        assert_refused(spec, "a.xml", "entity declarations are refused")


@pytest.mark.parametrize(
    "line",
    [
        "0 .5 .5 .5",
        "0 .5 .5 .5 .5 .5",
        "0 .5 .5 .5 .5 .5 .5 .5",
        "cat .5 .5 .1 .1",
        "0 320 240 50 50",
        "-1 .5 .5 .1 .1",
    ],
)
def test_malformed_txt(tmp_path, line):
    assert_refused(yolo(tmp_path, "", "0 .5 .5 .1 .1", line), "a.txt:3")


def test_yolo_without_any_label_file(tmp_path):
    spec = yolo(tmp_path)
    (tmp_path / "labels/a.txt").unlink()
    assert_refused(spec, "data.yaml", "no picture", str(tmp_path / "labels/a.txt"))


YAML_FAULTS = {
    "": "give the keys",
    "names: [": "not readable as YAML",
    "train: images\nnames: [a, }": "data.yaml:2: not readable as YAML",
    'path: "C:\\data"\nnames: [a]': "data.yaml:1: not readable as YAML (found unknown escape",
    "names: [*a]": "data.yaml:1: '*' refers to what is not there",
    "names: [a]\ntrain: images\ntrain: labels": "data.yaml:3: the key 'train' stands there twice",
    "names: [a]\nvalid: images\nval: labels": "val stands there twice",
    "names: cat, dog\ntrain: images": "write a list, names: [cat, dog]",
    "names: obj.names\ntrain: images": "there is no file 'obj.names'",
    "names: [a]\ntrain: test/images": "no folder or list 'test/images'",  # not images, which is another split's
    "train: images": "names is missing",
    "names: [~]\ntrain: images": "class 0 is None",
    "names: [a, a]\ntrain: images": "'a' stands there twice",
    "names: {cat: 0, dog: 1}\ntrain: images": "'cat' stands before its number: write 'number: name', 0: cat",
    "names: {0: a, 2: b}\ntrain: images": "keys are not 0 to 1",
    "names: [a]\nnc: 3\ntrain: images": "nc is 3",
    "names: [a]\ntrain: imagse": "imagse",
    "names: [a]\ntrain: {a: 1}": "train: a value of type dict is not a path",
    "names: [a]\nval: images": "no split 'train'",
    "names: [a]\ntrian: images": "none of the keys train, val, test names pictures",
    "names: {cat: 0}\ntrain: images": "write 'number: name'",
}


@pytest.mark.parametrize("content", YAML_FAULTS)
def test_malformed_yaml(tmp_path, content):
    spec = yolo(tmp_path)
    (tmp_path / "data.yaml").write_text(content)
    assert_refused(spec, "data.yaml", YAML_FAULTS[content], split="train")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"images": []}', b"\xff\xfe", b"[" * 100000])
def test_malformed_json(tmp_path, content):
    spec = coco(tmp_path)
    (tmp_path / "ann.json").write_bytes(content)
    assert_refused(spec, "ann.json")


def test_coco_entries(tmp_path):
    image, category = {"id": 7, "file_name": "a.jpg"}, {"id": 1, "name": "cat"}
    box = {"bbox": [1, 1, 5, 5]}
    assert_refused(coco(tmp_path, images=[image, image | {"file_name": "b.jpg"}]), "ann.json, image 7", "twice")
    assert_refused(coco(tmp_path, images=[{"id": 7}]), "ann.json, image 7", "'file_name' is missing")
    assert_refused(coco(tmp_path, images=[{"file_name": "a.jpg"}]), "ann.json, image number 1", "'id' is missing")
    assert_refused(coco(tmp_path, images=["a.jpg"]), "ann.json, image number 1")
    assert_refused(coco(tmp_path, images=[image | {"file_name": "../b.jpg"}]), "image 7", "leads out of")
    assert_refused(coco(tmp_path, categories=[category, category]), "category 1", "twice")
    assert_refused(coco(tmp_path, box | {"image_id": 8}), "annotation 50", "no image 8")
    assert_refused(coco(tmp_path, box | {"category_id": 8}), "annotation 50", "no category 8")
    assert_refused(coco(tmp_path, box | {"category_id": "cat"}), "annotation 50", "no category 'cat'")
    assert_refused(coco(tmp_path, {}), "ann.json", "none of its 1 annotations has a box")
    assert_refused(coco(tmp_path, {"bbox": [1, 2, 3]}), "annotation 50", "not four numbers")


@pytest.mark.parametrize(
    "spec", ["voc:{}/none", "yolo:{}/none.yaml", "coco:{}/a.json,{}", "coco:{}/a.json", "folders:{}/none"]
)
def test_missing_place(tmp_path, spec):
    assert_refused(spec.replace("{}", str(tmp_path)), str(tmp_path))


def test_empty_folders(tmp_path):
    assert_refused(f"folders:{tmp_path}", "no folders")
    assert_refused(f"voc:{tmp_path}", "no pictures")
    assert_refused(f"voc:{tmp_path}", "no XML files", split="train")


# Arbitrary bytes.

fuzz = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
number = st.one_of(st.floats(), st.integers(-5, 30), st.none(), st.text(max_size=3))


def opens_or_refuses(spec, split="all"):
    try:
        open_source(spec, split)
    except UserError as error:
        assert "\n" not in str(error)


@fuzz
@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(lambda t: f"<annotation>{t}</annotation>".encode())))
def test_any_bytes_as_xml(tmp_path, content):
    spec = voc(tmp_path)
    (tmp_path / "a.xml").write_bytes(content)
    opens_or_refuses(spec)


@fuzz
@given(
    st.one_of(st.binary(max_size=60), st.lists(number, max_size=7).map(lambda v: " ".join(map(str, v)).encode("utf-8")))
)
def test_any_bytes_as_txt(tmp_path, content):
    spec = yolo(tmp_path)
    (tmp_path / "labels/a.txt").write_bytes(content)
    opens_or_refuses(spec)


@fuzz
@given(st.one_of(st.binary(max_size=60), st.text(alphabet="!:-[]{}&*#'\"\n 0aintflobml", max_size=40).map(str.encode)))
def test_any_bytes_as_yaml(tmp_path, content):
    spec = yolo(tmp_path)
    (tmp_path / "data.yaml").write_bytes(content)
    opens_or_refuses(spec)


values = st.recursive(
    number, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


@fuzz
@given(st.one_of(st.binary(max_size=60), values.map(lambda value: json.dumps(value).encode())))
def test_any_bytes_as_json(tmp_path, content):
    spec = coco(tmp_path)
    (tmp_path / "ann.json").write_bytes(content)
    opens_or_refuses(spec)


@fuzz
@given(
    where=st.sampled_from(["images", "annotations", "categories"]),
    key=st.sampled_from(["id", "file_name", "width", "image_id", "category_id", "bbox", "iscrowd", "name"]),
    value=values,
)
def test_any_value_in_coco(tmp_path, where, key, value):
    spec = coco(tmp_path, {"bbox": [1, 1, 5, 5]})
    content = json.loads((tmp_path / "ann.json").read_text())
    content[where][0][key] = value
    (tmp_path / "ann.json").write_text(json.dumps(content))
    opens_or_refuses(spec)


@fuzz
@given(st.binary(max_size=80), st.booleans(), st.integers(0, 600))
def test_any_bytes_as_picture(tmp_path, content, patch, place):
    """Rubbish, and a good picture with bytes overwritten: refused on opening, or on reading, or read."""
    spec = voc(tmp_path, BOX)
    path = tmp_path / "a.jpg"
    if patch:
        good = path.read_bytes()
        content = good[:place] + content + good[place + len(content) :]
    path.write_bytes(content)
    try:
        assert open_source(spec, "all")[0].read().dtype == np.uint8
    except UserError as error:
        assert "\n" not in str(error) and "a.jpg" in str(error)
