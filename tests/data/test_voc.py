"""VOC files as users hand them in: what stands in an XML file, where the files lie, what is left out and counted."""

import math
import os
import time
import unicodedata
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.test_bad_data import assert_refused
from tests.data.test_sources import write_picture, write_xml
from yolo9000_jax.data.sources import open_classes, open_source
from yolo9000_jax.data.voc_xml import MAX_BYTES, parse
from yolo9000_jax.errors import UserError

BOX = ("cat", 0, 2, 2, 6, 6)
BOX_XML = (
    "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)
CAT = BOX_XML.format("cat", 2, 2, 6, 6)


def annotation(*inner: str) -> bytes:
    return f"<annotation>{''.join(inner)}</annotation>".encode()


def opened(folder, split="all", **options):
    """The data set, and its notes as one text."""
    dataset = open_source(f"voc:{folder}", split, **options)
    return dataset, "\n".join(dataset.notes)


def names(dataset):
    return [record.name for record in dataset]


def images(dataset, folder):
    return [os.path.relpath(record.image, folder) for record in dataset]


# The XML file.


@pytest.mark.parametrize("text, side", [("96.0", 96), (" 96 ", 96), ("9.6e1", 96), ("0", 0), ("", 0), ("\n", 0)])
def test_size(text, side):
    assert parse(annotation(f"<size><width>{text}</width></size>"), "a.xml").size == (side, 0)


@pytest.mark.parametrize("text", ["96.5", "wide", "-1", "nan", "1e999", "9" * 70, "9_6", "1e300"])
def test_size_that_is_none(text):
    with pytest.raises(UserError, match=r"^a\.xml: <size> states width .*whole number"):
        parse(annotation(f"<size><width>{text}</width></size>"), "a.xml")


def test_corners():
    """Decimals, exponents and blanks; a part's box is not the object's."""
    part = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"
    text = BOX_XML.format("cat", " 2.5 ", "1e0", "6.25", "+7").replace("<bndbox>", part + "<bndbox>", 1)
    (found,) = parse(annotation(text), "a.xml").objects
    assert found == ("object 1", "cat", (1.5, 0.0, 6.25, 7.0), False, (2.5, 1.0, 6.25, 7.0))
    for text in ("2,5", "1_0", "0x10", "1e999", "9" * 100):
        with pytest.raises(UserError, match="a.xml, object 1: <xmin> is .*: give a number of pixels"):
            parse(annotation(BOX_XML.format("cat", text, 1, 2, 2)), "a.xml")


@pytest.mark.parametrize("text, difficult", [("true", True), ("1", True), ("Unspecified", False), (" ", False)])
def test_difficult(text, difficult):
    content = annotation(CAT.replace("</object>", f"<difficult>{text}</difficult></object>"))
    assert parse(content, "a.xml").objects[0].difficult is difficult


def test_outlines_and_objects_without_a_box(tmp_path):
    """The box round LabelMe's points, RectLabel's numbered ones, and a turned box; the others are counted."""
    labelme = "<polygon><pt><x>3</x><y>8</y></pt><pt><x>5</x><y>2</y></pt><pt><x>9.5</x><y>4</y></pt></polygon>"
    numbered = "<polygon><x1>3</x1><y1>8</y1><x2>5</x2><y2>2</y2></polygon>"
    turned = "<robndbox><cx>10</cx><cy>5</cy><w>4</w><h>2</h><angle>1.5707963267948966</angle></robndbox>"
    objects = [
        f"<object><name>cat</name>{outline}</object>" for outline in (labelme, numbered, turned, "", "<polygon/>")
    ]
    objects.append(CAT.replace("</object>", "<deleted>1</deleted></object>"))
    parsed = parse(annotation(*objects), "a.xml")
    np.testing.assert_allclose(
        [each.corners for each in parsed.objects], [(3, 2, 9.5, 8), (3, 2, 5, 8), (9, 3, 11, 7)], atol=1e-12
    )
    write_picture(tmp_path / "a.jpg")
    (tmp_path / "a.xml").write_bytes(annotation(*objects, "<object><name>dog</name></object>"))
    dataset, notes = opened(tmp_path)
    assert len(dataset[0].labels) == 3 and dataset.classes == ("cat",)
    for line in (
        "3 outlines made into the boxes round them (first: a.xml, object 1)",
        "3 objects without a box",
        "1 obj",
    ):
        assert line in notes
    sizes = "<imagesize><nrows>10</nrows><ncols>20</ncols></imagesize>"
    assert parse(annotation(sizes), "a.xml").size == (20, 10)


DECLARATION = '<?xml version="1.0" encoding="{}"?>\n'


@pytest.mark.parametrize(
    "content",
    [
        ("\ufeff" + DECLARATION.format("utf-8")).encode() + annotation(CAT),
        (DECLARATION.format("UTF-16") + annotation(CAT).decode()).encode("utf-16"),
        annotation(CAT).decode().encode("utf-16-le"),
        DECLARATION.format("utf-16").encode() + annotation(CAT),  # as .NET writes it: not UTF-16 at all
        b"\r\n  " + DECLARATION.format("utf-8").encode() + annotation(CAT),
        DECLARATION.format("gb2312").encode() + annotation(CAT),
    ],
)
def test_encodings(content):
    assert [each.name for each in parse(content, "a.xml").objects] == ["cat"]


def test_encodings_of_names():
    for encoding, name in (("GBK", "猫"), ("windows-1251", "кошка"), ("iso-8859-1", "kätzchen"), ("Shift_JIS", "猫")):
        content = (DECLARATION.format(encoding) + annotation(CAT.replace("cat", name)).decode()).encode(encoding)
        assert parse(content, "a.xml").objects[0].name == name


@pytest.mark.parametrize(
    "content, says",
    [
        (annotation(CAT.replace("cat", "кот")).decode().encode("cp1251"), "not utf-8 text: save it as UTF-8"),
        (DECLARATION.format("big5").encode() + b"<annotation>\xff\xff</annotation>", "as its first line says"),
        (DECLARATION.format("zip").encode() + annotation(), "encoding 'zip', which is not read"),
        (DECLARATION.format("klingon").encode() + annotation(), "encoding 'klingon', which is not read"),
        (b"<annotations><image/></annotations>", "of CVAT export the format Pascal VOC"),
        (b"<annotation>" + b"<a>" * MAX_BYTES, "has more than 4 MiB"),
    ],
)
def test_files_that_are_refused(content, says):
    with pytest.raises(UserError, match=says) as caught:
        parse(content, "a.xml")
    assert "\n" not in str(caught.value)


def test_depth_and_size_are_bounded():
    """A file as large and as deep as any that is read, in bounded time."""
    depth = MAX_BYTES // 16
    start = time.process_time()
    content = b"<annotation>" + b"<a b='1'>" * depth + b"</a>" * depth + b"</annotation>"
    assert parse(content, "a.xml").objects == ()
    assert time.process_time() - start < 10


TAGS = ["annotation", "object", "name", "bndbox", "xmin", "ymin", "xmax", "ymax", "size", "width", "height", "part"]
TAGS += ["polygon", "pt", "x", "y", "x1", "y1", "robndbox", "cx", "cy", "w", "h", "angle", "difficult", "deleted"]
TEXTS = ["", "1", "0", "5", "20", "-3", "1e400", "nan", "inf", "1e308", "-1e308", "cat", "кот", "9" * 80, "&#9;", "1_0"]


def element(random: Random, depth: int = 0) -> str:
    """An element of plausible tags, perhaps with others in it; often an object with a box that may be a good one."""
    if random.random() < 0.4:
        corners = random.choices(TEXTS if random.random() < 0.5 else ["1", "5", "20"], k=4)
        inner = element(random, depth + 1) if random.random() < 0.3 else ""
        return BOX_XML.format(random.choice(TEXTS), *corners).replace("</object>", f"{inner}</object>")
    count = 0 if depth > 4 else random.choice([0, 0, 1, 2, 6])
    tag, inner = random.choice(TAGS), "".join(element(random, depth + 1) for _ in range(count))
    return f"<{tag}>{inner or random.choice(TEXTS)}</{tag}>"


contents = st.one_of(
    st.binary(max_size=80),
    st.binary(max_size=40).map(lambda data: b"<annotation>" + data + b"</annotation>"),
    st.binary(max_size=40).map(lambda data: (b"\xff\xfe", b"\xfe\xff", b"<\0", b"<?xml ")[len(data) % 4] + data),
    st.integers(0, 2**64).map(lambda seed: annotation(*(element(Random(seed + n)) for n in range(seed % 4)))),
    st.integers(0, 2**64).map(lambda seed: annotation(*(element(Random(seed + n)) for n in range(seed % 4)))),
)


@settings(max_examples=2000)
@given(contents)
def test_any_content(content):
    """Finite boxes and whole sizes, or one line that names the file."""
    try:
        parsed = parse(content, "a.xml")
    except UserError as error:
        assert "\n" not in str(error) and str(error).startswith("a.xml")
        return
    assert all(math.isfinite(value) for each in parsed.objects for value in each.corners)
    assert all(each.name for each in parsed.objects) and all(isinstance(side, int) for side in parsed.size)


# Where the files lie.


@pytest.mark.parametrize(
    "row",
    [
        "cam1/f0",
        r"cam1\f0",
        "cam1/f0.jpg",
        "data/cam1/f0.png",
        "/home/me/x/JPEGImages/cam1/f0.jpg",
        r"C:\x\cam1\f0.xml",
    ],
)
def test_subfolders(tmp_path, row):
    """Pictures of one name in two folders keep their own boxes, however a list writes them."""
    for camera, x in (("cam1", 4), ("cam2", 7)):
        write_picture(tmp_path / f"JPEGImages/{camera}/f0.jpg")
        write_xml(tmp_path / f"Annotations/{camera}/f0.xml", [("cat", 0, 2, 2, x, 6)])
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    (tmp_path / "ImageSets/Main/default.txt").write_text(f"{row}\ncam2/f0\n{row}\n")
    dataset, notes = opened(tmp_path, "default")
    assert names(dataset) == ["cam1/f0.xml", "cam2/f0.xml"] and [r.boxes_xyxy[0, 2] for r in dataset] == [4, 7]
    assert images(dataset, tmp_path) == ["JPEGImages/cam1/f0.jpg", "JPEGImages/cam2/f0.jpg"]
    assert "1 picture listed twice is read once" in notes
    assert images(opened(tmp_path)[0], tmp_path) == images(dataset, tmp_path)
    (tmp_path / "ImageSets/Main/bad.txt").write_text("cam1/f0\ncam3/f0\n")
    assert_refused(f"voc:{tmp_path}", "bad.txt:2", "Annotations/cam3/f0.xml", split="bad")


def test_lists_of_one_class(tmp_path):
    """The devkit's flags: 1 for pictures with the class, 0 for difficult ones only, -1 for the others."""
    for stem in ("1", "2", "3", "frame 1"):
        write_picture(tmp_path / f"JPEGImages/{stem}.jpg")
        write_xml(tmp_path / f"Annotations/{stem}.xml", [BOX])
    lists = tmp_path / "ImageSets/Main"
    lists.mkdir(parents=True)
    (lists / "cat_train.txt").write_text("1  1\n2 -1\n3  0\n")
    (lists / "counted.txt").write_text("1 1\n2 2\n3 3\n")
    (lists / "blanks.txt").write_text("frame 1\n")
    (lists / "07++12.txt").write_text("2\n")
    (lists / "val.txt").write_text("3\n")
    dataset, notes = opened(tmp_path, "cat_train")
    assert names(dataset) == ["1.xml"] and "cat_train.txt marks 1 of its 3 pictures with 1" in notes
    assert names(opened(tmp_path, "counted")[0]) == ["1.xml", "2.xml", "3.xml"]
    assert names(opened(tmp_path, "blanks")[0]) == ["frame 1.xml"]
    assert names(opened(tmp_path, "07++12")[0]) == ["2.xml"]
    assert names(opened(tmp_path, "blanks+val+counted")[0]) == ["frame 1.xml", "3.xml", "1.xml", "2.xml"]
    dataset, notes = opened(tmp_path, "valid")
    assert names(dataset) == ["3.xml"] and "split 'valid' is called val here" in notes
    assert_refused(f"voc:{tmp_path}", "has no vul.txt", "did you mean 'val'", split="vul")


def test_files_of_systems_and_editors(tmp_path):
    write_picture(tmp_path / "train/a.jpg")
    write_xml(tmp_path / "train/a.xml", [BOX])
    for place in (".idea/workspace.xml", "train/._a.xml", "__MACOSX/train/a.xml", "train/.ipynb_checkpoints/a.xml"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("<project/>")
    (tmp_path / "train/._a.jpg").write_bytes(b"x")
    for split in ("train", "all"):
        dataset, notes = opened(tmp_path, split)
        assert names(dataset) == ["a.xml"] and notes.count("\n") == 0


@pytest.mark.parametrize(
    "filename, picture",
    [
        ("a", "a.jpg"),  # no ending
        ("a.v2", "a.v2.JPG"),
        ("a.bmp", "a.png"),  # another ending
        (r"C:\pictures\b.jpg", "b.jpg"),
        ("/home/me/b.jpg", "b.jpg"),
        ("sub/b.jpg", "sub/b.jpg"),
        ("../../b.jpg", "b.jpg"),
        (unicodedata.normalize("NFD", "ä.jpg"), unicodedata.normalize("NFC", "ä.jpg")),
        (unicodedata.normalize("NFC", "ö.jpg"), unicodedata.normalize("NFD", "ö.jpg")),
        ("B.JPG", "b.jpeg"),
    ],
)
def test_filename(tmp_path, filename, picture):
    for folder, place in (("beside", ""), ("devkit", "JPEGImages/"), ("images", "Images/")):
        write_picture(tmp_path / folder / (place + picture))
        xml = "x.xml" if folder == "beside" else "Annotations/x.xml"
        write_xml(tmp_path / folder / xml, [BOX], filename=filename)
        dataset, _ = opened(tmp_path / folder)
        assert images(dataset, tmp_path / folder) == [place + picture]


@pytest.mark.parametrize("filename, expected", [("a.png", "a.png"), ("a.jpg", "a.jpg"), ("a", None), ("a.bmp", None)])
def test_two_pictures_of_one_name(tmp_path, filename, expected):
    for ending in ("jpg", "png"):
        write_picture(tmp_path / f"a.{ending}")
    write_xml(tmp_path / "a.xml", [BOX], filename=filename)
    if expected:
        assert images(opened(tmp_path)[0], tmp_path) == [expected]
    else:
        assert_refused(f"voc:{tmp_path}", "a.xml: it may be of a.jpg and a.png: name one of them in <filename>")


def test_comments_in_lists(tmp_path):
    for name in ("a", "b #1"):
        write_picture(tmp_path / f"JPEGImages/{name}.jpg")
        (tmp_path / "Annotations").mkdir(exist_ok=True)
        write_xml(tmp_path / f"Annotations/{name}.xml", [BOX])
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    (tmp_path / "ImageSets/Main/train.txt").write_text("# mine\na  # blurred\nb #1\n")
    assert names(opened(tmp_path, "train")[0]) == ["a.xml", "b #1.xml"]


def test_paths_that_leave_the_folder(tmp_path):
    """Neither a list nor <filename> reaches a file elsewhere."""
    write_picture(tmp_path / "secret/s.jpg")
    write_xml(tmp_path / "secret/s.xml", [BOX])
    write_picture(tmp_path / "voc/JPEGImages/a.jpg")
    write_xml(tmp_path / "voc/Annotations/a.xml", [BOX])
    (tmp_path / "voc/ImageSets/Main").mkdir(parents=True)
    for row in ("../../secret/s", str(tmp_path / "secret/s")):
        (tmp_path / "voc/ImageSets/Main/train.txt").write_text(f"{row}\n")
        assert_refused(f"voc:{tmp_path}/voc", "train.txt:1", "there is no", split="train")
    for filename in ("../../secret/s.jpg", str(tmp_path / "secret/s.jpg")):
        write_xml(tmp_path / "voc/Annotations/a.xml", [BOX], filename=filename)
        assert images(opened(tmp_path / "voc")[0], tmp_path) == ["voc/JPEGImages/a.jpg"]
        (tmp_path / "voc/Annotations/a.xml").rename(tmp_path / "voc/Annotations/c.xml")
        assert_refused(f"voc:{tmp_path}/voc", "c.xml: there is no picture s.jpg")
        (tmp_path / "voc/Annotations/c.xml").rename(tmp_path / "voc/Annotations/a.xml")


def test_links(tmp_path):
    """Linked folders are read; links to folders above, or to themselves, are not."""
    write_picture(tmp_path / "far/a.jpg")
    write_xml(tmp_path / "far/a.xml", [BOX])
    (tmp_path / "voc/train").mkdir(parents=True)
    (tmp_path / "voc/train/link").symlink_to(tmp_path / "far")
    (tmp_path / "voc/train/loop").symlink_to(tmp_path / "voc")
    (tmp_path / "voc/train/above").symlink_to(tmp_path)
    (tmp_path / "voc/above").symlink_to(tmp_path)
    (tmp_path / "voc/train/itself").symlink_to(tmp_path / "voc/train/itself")
    write_picture(tmp_path / "beside/b.jpg")
    write_xml(tmp_path / "beside/b.xml", [("dog", 0, 1, 1, 5, 5)])
    for split in ("train", "all"):
        dataset, _ = opened(tmp_path / "voc", split)
        assert names(dataset) == ["a.xml"] and dataset.classes == ("cat",)
    assert open_classes(f"voc:{tmp_path}/voc")[0] == ("cat",)


def test_several_files_of_one_picture(tmp_path):
    write_picture(tmp_path / "a.jpg")
    for stem, box in (("a", BOX), ("a copy", BOX), ("a other", ("cat", 0, 1, 1, 9, 9))):
        write_xml(tmp_path / f"{stem}.xml", [box], filename="a.jpg")
    dataset, notes = opened(tmp_path)
    assert len(dataset) == 2
    assert "1 XML file repeats what another says" in notes and "1 picture is listed or labelled more than once" in notes


def test_other_layouts(tmp_path):
    """Folders written in another case or called otherwise, splits as folders below Annotations, endings in capitals."""
    write_picture(tmp_path / "lower/images/a.jpg")
    write_xml(tmp_path / "lower/annotations/a.XML", [BOX])
    assert names(opened(tmp_path / "lower", "train")[0]) == ["a.XML"]
    for split in ("train", "validation"):
        write_picture(tmp_path / f"inner/JPEGImages/{split}/a.jpg")
        write_xml(tmp_path / f"inner/Annotations/{split}/a.xml", [BOX])
    (tmp_path / "inner/ImageSets/Main").mkdir(parents=True)
    (tmp_path / "inner/ImageSets/Main/dev.txt").write_text("train/a\n")
    assert images(opened(tmp_path / "inner", "validation")[0], tmp_path) == ["inner/JPEGImages/validation/a.jpg"]
    (tmp_path / "inner/ImageSets/Main/dev.txt").unlink()
    assert images(opened(tmp_path / "inner", "val")[0], tmp_path) == ["inner/JPEGImages/validation/a.jpg"]
    for year in ("VOC2007", "VOC2012"):
        write_picture(tmp_path / f"kit/{year}/JPEGImages/a.jpg")
        write_xml(tmp_path / f"kit/{year}/Annotations/a.xml", [BOX])
        (tmp_path / f"kit/{year}/ImageSets/Main").mkdir(parents=True)
        for split in ("train", "test"):
            (tmp_path / f"kit/{year}/ImageSets/Main/{split}.txt").write_text("a\n")
    kit = [f"voc:{tmp_path}/kit/{year}" for year in ("VOC2007", "VOC2012")]
    assert_refused(f"voc:{tmp_path}/kit", "holds VOC2007, VOC2012", "+".join(kit), split="train")
    above = open_source(f"voc:{tmp_path}")
    assert any("holds kit/VOC2007, kit/VOC2012: for splits" in note for note in above.notes)
    assert_refused(f"voc:{tmp_path}", "holds kit/VOC2007, kit/VOC2012", "+".join(kit), split="train")
    assert len(open_source("+".join(kit), "train+test,train")) == 2
    assert_refused("+".join(kit), "3 splits for 2 joined sources", split="train,test,train")
    assert_refused(kit[0], "2 splits for 1", split="train,test")
    write_picture(tmp_path / "pictures/a.jpg")
    assert_refused(f"voc:{tmp_path}/pictures", "no XML files", "folders:DIR")


def make_ilsvrc(folder) -> None:
    """ImageNet's detection task: two pictures to train, of which one has no XML file, and two to judge."""
    objects = {"train/ILSVRC2013_train/n1/p_1": "n02084071", "val/v_1": "n02121808", "val/v_2": "n02084071"}
    for place, synset in objects.items():
        write_picture(folder / f"Data/DET/{place}.JPEG", format="JPEG")
        write_xml(folder / f"Annotations/DET/{place}.xml", [(synset, 0, 2, 2, 6, 6)], filename=place.split("/")[-1])
    write_picture(folder / "Data/DET/train/extra0/x.JPEG", format="JPEG")
    (folder / "ImageSets/DET").mkdir(parents=True)
    (folder / "ImageSets/DET/val.txt").write_text("v_1 1\nv_2 2\n")
    (folder / "ImageSets/DET/train_1.txt").write_text("ILSVRC2013_train/n1/p_1 1\nextra0/x -1\n")
    (folder / "ImageSets/DET/train_2.txt").write_text("ILSVRC2013_train/n1/p_1 1\nextra0/x 1\n")


def test_imagenet_detection(tmp_path):
    make_ilsvrc(tmp_path)
    dataset, notes = opened(tmp_path, "val")
    assert images(dataset, tmp_path) == ["Data/DET/val/v_1.JPEG", "Data/DET/val/v_2.JPEG"] and "XML" not in notes
    assert dataset.classes == dataset.synsets == ("n02084071", "n02121808")
    assert [record.labels.tolist() for record in dataset] == [[1], [0]]
    trained = ["Data/DET/train/ILSVRC2013_train/n1/p_1.JPEG"]
    assert images(opened(tmp_path, "train")[0], tmp_path) == images(opened(tmp_path, "train_1")[0], tmp_path) == trained
    dataset, notes = opened(tmp_path, "train_2")
    assert images(dataset, tmp_path) == trained and "1 listed picture has no XML file and is left out" in notes
    assert len(opened(tmp_path)[0]) == 3
    assert len(opened(tmp_path / "Annotations/DET", "train")[0]) == 1
    assert len(opened(tmp_path / "Annotations/DET/val")[0]) == 2
    assert images(opened(tmp_path / "Annotations/DET/train/ILSVRC2013_train/n1")[0], tmp_path) == trained


@pytest.mark.parametrize("opened_at", ["", "Annotations/DET", "Annotations/DET/val"])
def test_imagenets_boxes_count_from_0(tmp_path, opened_at):
    """However the same files are opened; VOC's count from 1."""
    make_ilsvrc(tmp_path)
    for place, box in {"v_1": (0, 0, 19, 9), "v_2": (2, 3, 6, 8)}.items():
        write_xml(tmp_path / f"Annotations/DET/val/{place}.xml", [("n02084071", 0, *box)])
    dataset, notes = opened(tmp_path / opened_at, "all" if opened_at.endswith("val") else "val")
    boxes = [record.boxes_xyxy.tolist() for record in dataset]
    assert boxes == [[[0, 0, 20, 10]], [[2, 3, 7, 9]]] and "clipped" not in notes
    assert "boxes are taken to count pixels from 0" in notes
    (tmp_path / "Annotations/DET").rename(tmp_path / "Annotations/cam1")
    (tmp_path / "Data/DET").rename(tmp_path / "Data/cam1")
    assert opened(tmp_path / "Annotations/cam1/val")[0][1].boxes_xyxy.tolist() == [[1, 2, 6, 8]]


@pytest.mark.parametrize("above", ["labels/det", "Annotations/DET"])
def test_folders_above_a_set_do_not_make_it_imagenets(tmp_path, above):
    """Its own Annotations counts, not where it is kept."""
    folder = tmp_path / above / "VOC2007"
    write_picture(folder / "JPEGImages/a.jpg")
    (folder / "Annotations").mkdir()
    write_xml(folder / "Annotations/a.xml", [("cat", 0, 3, 4, 6, 8)])
    dataset, notes = opened(folder)
    assert dataset[0].boxes_xyxy.tolist() == [[2, 3, 6, 8]] and "from 0" not in notes


def test_names_of_synsets(tmp_path):
    """From the kit's own list, and by name or synset where the classes are given."""
    make_ilsvrc(tmp_path)
    (tmp_path / "devkit/data").mkdir(parents=True)
    (tmp_path / "devkit/data/map_det.txt").write_text("n02084071 58 dog\nn02121808 62 domestic_cat\nn1 2\n")
    dataset, _ = opened(tmp_path, "val")
    assert dataset.classes == ("dog", "domestic cat") and dataset.synsets == ("n02084071", "n02121808")
    assert open_classes(f"voc:{tmp_path}") == (dataset.classes, dataset.synsets)
    for classes in (("domestic cat", "dog"), ("n02121808", "n02084071")):
        dataset, _ = opened(tmp_path, "val", classes=classes)
        assert dataset.classes == classes and [record.labels.tolist() for record in dataset] == [[0], [1]]
        assert dataset.synsets == ("n02121808", "n02084071")


def test_classes_without_a_look_at_the_pictures(tmp_path):
    write_xml(tmp_path / "a.xml", [BOX, ("dog", 0, 1, 1, 4, 4)])
    assert open_classes(f"voc:{tmp_path}") == (("cat", "dog"), (None, None))


def test_boxes_in_fractions(tmp_path, run):
    """As COCO's: where no box of any file can be in pixels. anchors says so too."""
    write_picture(tmp_path / "a.jpg", (20, 10))
    write_xml(tmp_path / "a.xml", [("cat", 0, 0.1, 0.2, 0.6, 1), ("dog", 0, 0, 0, 1, 1)])
    dataset = open_source(f"voc:{tmp_path}")
    np.testing.assert_allclose(dataset[0].boxes_xyxy, [[2, 2, 12, 10], [0, 0, 20, 10]], atol=1e-6)
    note = "2 boxes are read as fractions of their pictures, not as pixels (first: a.xml, object 1)"
    assert note in dataset.notes
    status, output, _ = run("anchors", "--dataset", f"voc:{tmp_path}", "-k", 1)
    assert status == 0 and note in output and "'train' is all of it" in output
    write_xml(tmp_path / "a.xml", [("cat", 0, 0.1, 0.2, 1.6, 1)])
    with pytest.raises(UserError, match="not all within 0 to 1: write xmin, ymin, xmax, ymax in pixels"):
        open_source(f"voc:{tmp_path}")
    write_xml(tmp_path / "a.xml", [("cat", 0, 0.1, 0.2, 0.6, 1), ("dog", 0, 1, 1, 20, 10)])
    np.testing.assert_allclose(open_source(f"voc:{tmp_path}")[0].boxes_xyxy[1], [0, 0, 20, 10])
