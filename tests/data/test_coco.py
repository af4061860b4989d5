"""COCO files as tools write them: what is read, what is put right and counted, and what is refused."""

import json
import math
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.data.test_sources import write_picture, write_xml
from yolo9000_jax.data.annotations import Notes
from yolo9000_jax.data.coco import file_and_folder
from yolo9000_jax.data.coco_json import decode, parse
from yolo9000_jax.data.coco_values import identity, outline, unpacked
from yolo9000_jax.data.sources import open_source
from yolo9000_jax.errors import UserError

IMAGE = {"id": 1, "file_name": "a.png", "width": 40, "height": 20}
BOX = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 2, 10, 6]}
CAT = {"id": 1, "name": "cat"}
CORNERS = [4, 2, 14, 8]


def content(images=(IMAGE,), annotations=(BOX,), categories=(CAT,)) -> dict:
    return {"images": list(images), "annotations": list(annotations), "categories": list(categories)}


def parsed(**lists):
    """The instances of a file, and the notes on it, without pictures."""
    notes = Notes()
    instances = parse(decode(json.dumps(content(**lists)).encode(), Path("ann.json")), Path("ann.json"), notes)
    return instances, notes.lines()


def only(**lists):
    """The one annotation of a file, and the notes."""
    instances, notes = parsed(**lists)
    (annotation,) = instances.annotations.values()
    return annotation, notes


def refused(*parts, **lists):
    with pytest.raises(UserError) as caught:
        parsed(**lists)
    message = str(caught.value)
    assert "\n" not in message and message.startswith("ann.json")
    for part in parts:
        assert part in message


def opened(folder: Path, name="a.png", pictures="images", classes=None, **lists):
    """A data set whose only picture has this path in the folder `pictures`."""
    write_picture(folder / pictures / name, (40, 20))
    (folder / "ann.json").write_text(json.dumps(content(**lists)))
    return open_source(f"coco:{folder}/ann.json,{folder}/{pictures}", "all", classes)


# Ids.


@pytest.mark.parametrize("image", [1, 1.0, "1", "1.0", "001", "0000_d", "Käse", -3, 2**70])
@pytest.mark.parametrize("category", [7, 7.0, "7", "seven"])
def test_ids_of_any_kind(image, category):
    annotation, notes = only(
        images=[IMAGE | {"id": image}],
        annotations=[BOX | {"image_id": image, "category_id": category}],
        categories=[CAT | {"id": category}],
    )
    assert (annotation.boxes_xyxy, annotation.labels, notes) == ([tuple(CORNERS)], [0], ())


@pytest.mark.parametrize("stated, meant", [("1", 1), (1, "1.0"), (1.0, "1"), ("0139", 139)])
def test_references_of_another_kind(stated, meant):
    annotation, _ = only(
        images=[IMAGE | {"id": stated}],
        annotations=[BOX | {"image_id": meant, "category_id": meant}],
        categories=[CAT | {"id": stated}],
    )
    assert annotation.labels == [0]


@given(st.integers(-(10**17), 10**17))
def test_numbers_are_one_id_however_written(value):
    assert identity(str(value)) == identity(f"{value}.0") == identity(value) == value
    assert abs(value) > 2**53 or identity(float(value)) == value


@pytest.mark.parametrize("wrong", [None, True, 1.5, math.nan, math.inf, [1], {}, "", "  "])
def test_what_is_no_id(wrong):
    assert identity(wrong) is None
    refused("image number 1", "'id'", images=[IMAGE | {"id": wrong}])
    refused("annotation 1", "'category_id'", annotations=[BOX | {"category_id": wrong}])


def test_ids_of_annotations_mean_nothing():
    """All 0, absent, or of any kind; those that repeat are said."""
    twice, notes = only(annotations=[BOX | {"id": 0}, BOX | {"id": 0, "bbox": [0, 0, 5, 5]}])
    assert len(twice.boxes_xyxy) == 2 and twice.places == ["annotation number 1", "annotation number 2"]
    assert notes == ("2 annotations' ids are others' too, which is no harm (first: ann.json, annotation number 1)",)
    without = {key: value for key, value in BOX.items() if key != "id"}
    annotation, notes = only(annotations=[without, without | {"id": [3]}])
    assert len(annotation.boxes_xyxy) == 2 and notes == ()


def test_classes_are_in_the_order_of_their_ids():
    categories = [{"id": key, "name": name} for key, name in (("10", "ten"), (9.0, "nine"), ("b", "text"), (2, "two"))]
    assert parsed(categories=categories, annotations=[])[0].classes == ("two", "nine", "ten", "text")


# Sizes, flags, boxes.


@pytest.mark.parametrize("size", [40, 40.0, "40", "40.0", None, "", math.nan, 0, "absent"])
def test_sizes(tmp_path, size):
    image = IMAGE | {"width": size}
    if size == "absent":
        del image["width"]
    dataset = opened(tmp_path, images=[image])
    assert (dataset[0].width, dataset[0].height) == (40, 20)
    assert any("no size" in note for note in dataset.notes) == (size not in (40, 40.0, "40", "40.0"))


@pytest.mark.parametrize("size", [-40, 40.5, "wide", True, [40], math.inf, 10**400, 1e300])
def test_impossible_sizes(size):
    refused("image 1", "'width'", images=[IMAGE | {"width": size}])


@pytest.mark.parametrize(
    "values, crowd", [((1, 1.0, True, "1", "true"), True), ((0, 0.0, False, None, "0", ""), False)]
)
def test_crowd_flags(values, crowd):
    for value in values:
        annotation, _ = only(annotations=[BOX | {"iscrowd": value}])
        assert annotation.crowd == annotation.difficult == [crowd]
    refused("annotation 1", "'iscrowd'", annotations=[BOX | {"iscrowd": 2}])


@pytest.mark.parametrize("nothing", [[], None, "", math.nan, [None] * 4, "absent"])
def test_polygons_instead_of_boxes(nothing):
    annotation = BOX | {"bbox": nothing}
    if nothing == "absent":
        del annotation["bbox"]
    polygon = annotation | {"id": 2, "segmentation": [[4, 3, 12.5, 2, 14, 8], [5, 5, 6, 5, 6, 6]]}
    found, notes = only(annotations=[annotation, polygon])
    assert found.boxes_xyxy == [tuple(CORNERS)] and found.places == ["annotation 2"]
    assert notes == (
        "1 annotation without a box or polygon is left out (first: ann.json, annotation 1)",
        "1 annotation has no box: that round its polygon (first: ann.json, annotation 2)",
    )
    refused("none of its 1 annotations has a box", annotations=[annotation])


@pytest.mark.parametrize(
    "segmentation",
    [
        [[4, 2, 14, 2, 14, 8]],
        [4, 2, 14, 2, 14, 8],
        [[4, 2], [14, 2], [14, 8]],
        [[[4, 2], [14, 8]], [[5, 5], [6, 6]]],
        [["4", "2.0", "14", "8"]],
    ],
)
def test_polygons_of_any_shape(segmentation):
    assert outline(segmentation) == tuple(CORNERS)


@pytest.mark.parametrize(
    "segmentation",
    [
        None,
        [],
        [[]],
        [1],
        [[1, 2, 3]],
        [[1, None]],
        [[math.inf, 1]],
        "x",
        {},
        {"size": [2, 2], "counts": "\x7f"},
        [{}, 1],
    ],
)
def test_what_has_no_outline(segmentation):
    assert outline(segmentation) is None


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.data())
def test_masks(height, width, data):
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width)))
    counts, last = [0], False
    for pixel in mask.tolist():
        if pixel != last:
            counts.append(0)
            last = pixel
        counts[-1] += 1
    rows, columns = np.nonzero(mask.reshape(width, height).T)
    expected = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) if mask.any() else None
    assert outline({"size": [height, width], "counts": counts}) == expected


@pytest.mark.parametrize("size", [[0, 2], [2], [2, 2, 2], [-1, 2], [2.0, 2], [10**9, 10**9], None])
def test_impossible_masks(size):
    assert outline({"size": size, "counts": [0, 1]}) is None
    assert outline({"size": [2, 2], "counts": [0, 5]}) is None


def test_fractions(tmp_path):
    """All within 0 to 1 and not all whole: fractions of the picture. One pixel at 0 is a pixel."""
    boxes = [[0.1, 0.1, 0.25, 0.3], [0.5, 0, 0.5, 1]]
    dataset = opened(tmp_path, annotations=[BOX | {"id": n, "bbox": box} for n, box in enumerate(boxes)])
    np.testing.assert_allclose(dataset[0].boxes_xyxy, [[4, 2, 14, 8], [20, 0, 40, 20]], atol=1e-5)
    assert [note.split(" (")[0] for note in dataset.notes] == [
        "2 boxes are read as fractions of their pictures, not as pixels"
    ]
    whole, notes = only(annotations=[BOX | {"bbox": [0, 0, 1, 1]}])
    assert not whole.fractions and notes == ()
    pixels, _ = only(annotations=[BOX | {"bbox": [0.1, 0.1, 0.5, 0.5]}, BOX | {"id": 2}])
    assert not pixels.fractions
    refused("write [x, y, width, height]", annotations=[BOX | {"bbox": [0.5, 0.5, 0.7, 0.2]}])


# Names of pictures.


def test_names_of_pictures(tmp_path):
    folder = tmp_path / "set/images/train"
    for index, name in enumerate(
        [
            "sub/a.png",
            "sub\\a.png",
            "./sub/a.png",
            "train/sub/a.png",
            "images/train/sub/a.png",
            "images\\train\\sub\\a.png",
            "/home/somebody/data/sub/a.png",
            "C:\\data\\sub\\a.png",
            "\\\\server\\data\\sub\\a.png",
            "http://images.cocodataset.org/train/sub/a.png",
            "https://host/sub/a.png?size=7",
            "https://host/sub%2Fa.png",
            "file:///data/images/sub/a.png",
            "gs://bucket/sub/a.png",
            "../images/train/sub/a.png",
            "..\\..\\sub\\a.png",
        ]
    ):
        write_picture(folder / "sub/a.png", (40, 20))
        (tmp_path / "ann.json").write_text(json.dumps(content(images=[IMAGE | {"file_name": name}])))
        dataset = open_source(f"coco:{tmp_path}/ann.json,{folder}")
        assert Path(dataset[0].image).samefile(folder / "sub/a.png"), name
        assert len(dataset.notes) == (index >= 6), "an absolute path or an address is said"


@pytest.mark.parametrize(
    "stated, stored",
    [
        ("sub/a", "sub/a.png"),
        ("000000000139", "000000000139.PNG"),
        ("IMG_1.JPG", "img_1.jpg"),
        ("Sub/img_1.jpg", "sub/IMG_1.JPG"),
        ("KÄSE.png", "Käse.PNG"),
        ("my%20cat.png", "my cat.png"),
        ("100%.png", "100%.png"),
        ("a%20b.png", "a%20b.png"),
        ("x/../a.png", "a.png"),
    ],
)
def test_names_that_are_nearly_right(tmp_path, stated, stored):
    dataset = opened(tmp_path, stored, images=[IMAGE | {"file_name": stated}])
    assert dataset[0].image == str(tmp_path / "images" / stored) and dataset.notes == ()


@pytest.mark.parametrize(
    "stated, stored, says",
    [
        ("a", ("a.png", "a.jpg"), "'a' may be a.jpg and a.png: write its ending"),
        ("IMG.png", ("img.png", "Img.png"), "there is no such picture"),
        ("a", ("b.png",), "there is no such picture"),
        ("../b.png", ("a.png",), "leads out of"),
        ("%2e%2e/x.png", ("a.png",), "image 1"),
    ],
)
def test_names_that_may_be_several_or_none(tmp_path, stated, stored, says):
    write_picture(tmp_path / "x.png", (40, 20))
    for name in stored:
        write_picture(tmp_path / "images" / name, (40, 20))
    with pytest.raises(UserError) as caught:
        opened(tmp_path, stored[0], images=[IMAGE | {"file_name": stated}])
    assert says in str(caught.value) and "ann.json, image 1" in str(caught.value)


def test_lvis_has_addresses(tmp_path):
    image = {"id": 139, "coco_url": "http://images.cocodataset.org/val2017/000000000139.png"}
    lists = {"images": [image], "annotations": [BOX | {"image_id": 139}]}
    categories = [CAT | {"synset": "cat.n.01"}, {"id": 2, "name": "dog", "synset": "n02084071"}]
    dataset = opened(tmp_path, "val2017/000000000139.png", ".", categories=categories, **lists)
    assert dataset[0].image.endswith("val2017/000000000139.png")
    assert dataset.synsets == (None, "n02084071")
    inside = opened(tmp_path, "000000000139.png", "val2017", categories=categories, **lists)
    assert inside[0].image.endswith("val2017/000000000139.png")


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_composed_and_decomposed_names(tmp_path, forms):
    stated, stored = (unicodedata.normalize(form, "Käse/ö.png") for form in forms)
    dataset = opened(tmp_path, stored, images=[IMAGE | {"file_name": stated}])
    assert dataset[0].read().shape == (20, 40, 3)


@pytest.mark.parametrize(
    "name",
    [
        *("../secret.png", "x/../../secret.png", "..\\secret.png", "https://host/%2e%2e/secret.png"),
        *("https://host/%2Fetc%2F..%2Fsecret.png", "{}/secret.png", "file://{}/secret.png", "secret.png", "", "a\nb"),
        *("{quoted}%2Fsecret.png", "{quoted}%2Fsecret", "{backslashes}%5Csecret.png"),
    ],
)
def test_no_name_leads_out_of_the_folder(tmp_path, name):
    write_picture(tmp_path / "secret.png", (40, 20))
    with pytest.raises(UserError, match=r"ann\.json, image 1:") as caught:
        places = {sign: str(tmp_path).replace("/", code) for sign, code in (("quoted", "%2F"), ("backslashes", "%5C"))}
        opened(tmp_path, images=[IMAGE | {"file_name": name.format(tmp_path, **places)}])
    assert "\n" not in str(caught.value)


def test_a_picture_listed_twice_is_one(tmp_path):
    images = [IMAGE, IMAGE | {"id": 2}, IMAGE]
    annotations = [BOX, BOX | {"id": 2, "image_id": 2, "bbox": [0, 0, 3, 3]}, BOX | {"id": 3, "image_id": 2}]
    dataset = opened(tmp_path, images=images, annotations=annotations)
    assert len(dataset) == 1
    np.testing.assert_array_equal(dataset[0].boxes_xyxy, [CORNERS, [0, 0, 3, 3]])
    again, box = dataset.notes
    assert again == "2 pictures are listed again; their boxes are joined (first: 'a.png')"
    assert box.startswith("1 box stands there twice with the same label; one is dropped") and "annotation 3" in box
    refused("image 1", "twice", images=[IMAGE, IMAGE | {"file_name": "b.png"}])
    refused("image 2", "another size", images=[IMAGE, IMAGE | {"id": 2, "width": 9}])


# Categories.


@pytest.mark.parametrize("none", ["none", "None", "", None])
def test_a_category_that_only_groups(none):
    group = {"id": 0, "name": "fish", "supercategory": none}
    others = [CAT | {"supercategory": "fish"}, {"id": 2, "name": "tench", "supercategory": "fish"}]
    boxes = [BOX, BOX | {"id": 2, "category_id": 2}]
    instances, notes = parsed(categories=[group, *others], annotations=boxes)
    assert instances.classes == ("cat", "tench") and instances.annotations["a.png"].labels == [0, 1]
    assert len(notes) == 1 and notes[0].endswith("or is called like one of them (first: 'fish')")
    used, _ = parsed(categories=[group, *others], annotations=[*boxes, BOX | {"id": 3, "category_id": 0}])
    assert used.classes == ("fish", "cat", "tench")


def test_a_group_called_like_its_class():
    categories = [{"id": 0, "name": "cat", "supercategory": "none"}, CAT | {"supercategory": "cat"}]
    instances, notes = parsed(categories=categories)
    assert instances.classes == ("cat",) and instances.annotations["a.png"].labels == [0] and "'cat'" in notes[0]
    refused("category 1 ('cat')", "twice", categories=categories, annotations=[BOX, BOX | {"id": 2, "category_id": 0}])


def test_coco_names_its_groups_after_classes():
    """`person` is in the group `person`; it is a class even where no picture has one."""
    categories = [CAT | {"supercategory": "animal"}, {"id": 2, "name": "person", "supercategory": "person"}]
    instances, notes = parsed(categories=categories)
    assert instances.classes == ("cat", "person")
    assert notes == ("1 category has no box in this file (first: 'person')",)


# The JSON.


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_encodings(encoding):
    text = json.dumps(content(categories=[CAT | {"name": "Käse"}]), ensure_ascii=False, indent=1).replace("\n", "\r\n")
    assert parse(decode(text.encode(encoding), Path("a")), Path("a"), Notes()).classes == ("Käse",)


def test_keys_that_stand_there_twice():
    text = json.dumps(content())
    same = text.replace('"name": "cat"', '"name": "cat", "name": "cat"')
    assert parse(decode(same.encode(), Path("a")), Path("a"), Notes()).classes == ("cat",)
    with pytest.raises(UserError, match="the key 'name' stands twice"):
        decode(text.replace('"name": "cat"', '"name": "cat", "name": "dog"').encode(), Path("a"))
    with pytest.raises(UserError, match="the key 'images' stands twice"):
        decode(text.replace('{"images"', '{"images": [], "images"').encode(), Path("a"))


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[" * 10**6, b'{"a":' * 10**5, b"1" * 10**5, b"\xff\xfe\x00", b"NaN", b"[1e999, Infinity]"]
)
def test_no_coco_file(data):
    with pytest.raises(UserError, match=r"^ann\.json") as caught:
        decode(data, Path("ann.json"))
    assert "\n" not in str(caught.value)


def test_a_great_many_categories():
    categories = [{"id": index, "name": str(index)} for index in range(10**4)]
    instances, _ = parsed(categories=categories, annotations=[BOX | {"category_id": 9_999}])
    assert len(instances.classes) == 10**4 and instances.annotations["a.png"].labels == [9_999]


ODD = [
    *(None, True, False, 0, 1, 2, -3, 7.0, 0.5, 1e308, math.nan, math.inf, 10**400, -(2**70)),
    *("", " ", "1", "1.0", "01", "none", "\n", "\ud800", "../a", "\0", "http://[", "C:\\a", "cat", "\u2028"),
    *([], {}, [[]], [1], [1, 2, 3, 4], [[1, 2, 3]], [None, 1], [{}], [math.nan] * 4, ["1", "2", "3", "4"]),
    *({"size": [2, 3], "counts": [1, 4]}, {"size": [0, 0], "counts": [1]}, {"counts": "\x7f", "size": None}),
]
LIKELY = {
    "images": {"file_name": ["a.png", "b.png"], "coco_url": ["http://h/a"], "width": [40, 40.0, "40"]},
    "annotations": {
        "image_id": [1, 1.0, "1"],
        "category_id": [1, "1", 1.0],
        "bbox": [[1, 2, 3, 4], [0.5, 0.5, 0.1, 0.1], []],
        "segmentation": [[[1, 2, 3, 4, 5, 6]], [1, 2, 3, 4]],
        "iscrowd": [0, 1],
    },
    "categories": {"name": ["cat", "Cat", "dog"], "supercategory": ["none", "cat"], "synset": ["n02084071"]},
}
TOKENS = [
    *'[]{},:"01-.',
    "e9",
    "null",
    "NaN",
    "Infinity",
    "\\ud800",
    '"images":[],',
    '"annotations":[],"categories":[]',
    " ",
]


def lists_of(choices: bytes) -> dict:
    """A COCO file of entries whose keys are absent, likely or odd, one byte for each choice."""
    rest = iter(choices)

    def pick(options):
        return options[next(rest, 0) % len(options)]

    def entry(likely, number):
        if pick(range(80)) == 79:
            return pick(ODD)
        kinds = {key: pick(range(60)) for key in likely}
        return {"id": number} | {
            key: pick(ODD if kind > 56 else likely[key]) for key, kind in kinds.items() if kind < 55 or kind > 56
        }

    counts = {key: 1 + pick(range(3)) for key in LIKELY}
    return {key: [entry(likely, number) for number in range(1, 1 + counts[key])] for key, likely in LIKELY.items()}


@settings(max_examples=3000, deadline=None)
@given(st.sampled_from(["bytes", "tokens", "lists", "lists"]), st.binary(max_size=100))
def test_any_file(kind, data):
    """Consistent annotations, or one line that names the file."""
    if kind == "tokens":
        data = "".join(TOKENS[byte % len(TOKENS)] for byte in data).encode()
    if kind == "lists":
        data = json.dumps(lists_of(data)).encode()
    notes = Notes()
    try:
        instances = parse(decode(data, Path("ann.json")), Path("ann.json"), notes)
    except UserError as error:
        assert str(error).startswith("ann.json") and "\n" not in str(error)
        return
    assert len(set(instances.classes)) == len(instances.classes) == len(instances.synsets)
    for annotation in instances.annotations.values():
        columns = annotation.boxes_xyxy, annotation.labels, annotation.difficult, annotation.crowd, annotation.places
        assert len({len(column) for column in columns}) == 1
        assert all(0 <= label < len(instances.classes) for label in annotation.labels)
        assert all(x1 >= x0 and y1 >= y0 for x0, y0, x1, y1 in annotation.boxes_xyxy)
    assert not any("\n" in line for line in notes.lines())


# The source.


def test_commas_and_plus_signs_in_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("a,b", "c+voc:d", "x:y", "c++ data"):
        opened(tmp_path / folder)
        assert len(open_source(f"coco:{folder}/ann.json,{folder}/images")) == 1
    Path("c+voc:d/ann.json").rename("c+voc:d/image.json")
    assert len(open_source("coco:a,b/ann.json,a,b/images+coco:c+voc:d/image.json,c+voc:d/images")) == 2
    assert len(open_source("coco:c+voc:d/{split}.json,c+voc:d/{split}s", "image")) == 1
    write_xml(Path("x:y/a.xml"), [("cat", 0, 2, 2, 6, 6)])
    write_picture(Path("x:y/a.jpg"))
    Path("x:y").rename("e+voc:f")
    assert len(open_source("voc:e+voc:f+coco:a,b/ann.json,a,b/images")) == 2
    assert file_and_folder("a,b/ann.json,none,at,all")[:2] == (Path("a,b/ann.json"), Path("none,at,all"))
    assert file_and_folder("no.json,a,b/images")[:2] == (Path("no.json"), Path("a,b/images"))
    assert file_and_folder("no.json,none")[:2] == (Path("no.json"), Path("none"))
    assert file_and_folder("no.json") is None


def packed(counts):
    """Run lengths as a text, written out from pycocotools' description of it."""
    text = ""
    for place, count in enumerate(counts):
        value, more = count - counts[place - 2] if place > 2 else count, True
        while more:
            bits, value = value & 0x1F, value >> 5
            more = value != (-1 if bits & 0x10 else 0)
            text += chr(bits + 0x20 * more + 48)
    return text


@given(st.lists(st.integers(0, 10**6), max_size=20))
def test_packed_run_lengths(counts):
    assert unpacked(packed(counts)) == counts


def test_a_mask_without_box_has_the_box_round_it():
    """Of pixels 20 to 59 across and 16 to 47 down, of 96 x 64."""
    column = [32, 32]
    counts = [20 * 64 + 16, *(column * 40)[:-1], 64 * 36 + 16]
    annotation, _ = only(
        annotations=[
            {"id": 1, "image_id": 1, "category_id": 1, "segmentation": {"size": [64, 96], "counts": packed(counts)}}
        ]
    )
    assert annotation.boxes_xyxy == [(20, 16, 60, 48)]


def test_a_system_s_own_files_are_left_out(tmp_path):
    names = ("a.png", ".ipynb_checkpoints/a-checkpoint.png", "._a.png")
    images = [{"id": number, "file_name": name, "width": 40, "height": 20} for number, name in enumerate(names, 1)]
    dataset = opened(tmp_path, images=images, annotations=[BOX, BOX | {"id": 2, "image_id": 2}])
    assert len(dataset) == 1 and any(note.startswith("2 hidden or system files are not used") for note in dataset.notes)


OTHER = {"id": 2, "file_name": "b.png", "width": 40, "height": 20}


@pytest.mark.parametrize("name", ["./a.png", "images/a.png", "sub/../a.png", "%61.png"])
def test_names_of_one_picture_are_joined(tmp_path, name):
    """As those of a picture that is listed twice under one name."""
    boxes = [BOX, BOX | {"id": 2, "image_id": 2, "bbox": [1, 1, 5, 5]}]
    dataset = opened(tmp_path, images=[IMAGE, OTHER | {"file_name": name}], annotations=boxes)
    assert len(dataset) == 1 and dataset[0].boxes_xyxy.tolist() == [CORNERS, [1, 1, 6, 6]]
    assert any("listed again; its boxes are joined" in note for note in dataset.notes)


@pytest.mark.parametrize(
    "names", [("a.png", "A.png"), ("C:/x/a.png", "C:/y/a.png"), ("a", "a.png"), ("../b/a.png", "a.png")]
)
def test_names_that_may_be_those_of_two_pictures_are_refused(tmp_path, names):
    """The labels of one would be taken for those of the other; where they are the same it is one picture."""
    images = [IMAGE | {"file_name": names[0]}, OTHER | {"file_name": names[1]}]
    boxes = [BOX, BOX | {"id": 2, "image_id": 2, "bbox": [1, 1, 5, 5]}]
    with pytest.raises(UserError, match="leads to .*a.png, as .* does, but states other boxes") as caught:
        opened(tmp_path, images=images, annotations=boxes)
    assert all(repr(name) in str(caught.value) for name in names) and "image 2" in str(caught.value)
    assert len(opened(tmp_path, images=images, annotations=[BOX, BOX | {"id": 2, "image_id": 2}])) == 1


def test_boxes_of_texts():
    annotation, _ = only(annotations=[BOX | {"bbox": ["4", "2.0", 10, "6"]}])
    assert annotation.boxes_xyxy == [tuple(CORNERS)]
    refused("annotation 1", "holds 'x', not a finite number", annotations=[BOX | {"bbox": ["4", "x", "10", "6"]}])


def test_areas_and_ids_are_the_files_own(tmp_path):
    """What is told of an outline's area, and COCO's ids, stay; an area that is not stated is that of the box."""
    Image.new("RGB", (40, 20)).save(tmp_path / "a.png")
    boxes = ([0, 0, 10, 10], [0, 0, 8, 8], [20, 0, 10, 20])
    annotations = [{"id": n, "image_id": 71, "category_id": 9, "bbox": box} for n, box in enumerate(boxes, 1)]
    annotations[0] |= {"area": 60.5}
    annotations[2] |= {"area": 150, "iscrowd": 1, "category_id": 4}
    categories = [{"id": 9, "name": "dog"}, {"id": 4, "name": "cat"}]
    images = [{"id": 71, "file_name": "a.png", "width": 40, "height": 20}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "a.json").write_text(json.dumps(content))
    source = f"coco:{tmp_path / 'a.json'},{tmp_path}"
    whole = open_source(source)
    assert whole.category_ids == (4, 9) and whole[0].image_id == 71 and whole[0].areas.tolist() == [60.5, 64, 150]
    joined = open_source(f"{source}+{source}")
    assert joined.category_ids == (4, 9) and joined[1].areas.tolist() == [60.5, 64, 150]
    dogs = open_source(source, classes=("dog",))
    assert dogs.category_ids == (9,) and dogs[0].areas.tolist() == [60.5, 64] and dogs[0].image_id == 71
