"""Some of a data set's classes: what is left out, what is counted, and what is refused."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from tests.data.test_sources import write_picture, write_xml
from yolo9000_jax.data.sources import open_source
from yolo9000_jax.errors import UserError

OBJECTS = (("a", ("cat", "dog", "cat")), ("b", ("dog",)), ("c", ()), ("d", ("cow", "cow")))
OWN = ("cat", "cow", "dog")
WANTED = ("dog", "cat")
EXPECTED = [[1, 0, 1], [0], [], []]  # labels of the pictures of OBJECTS
LEFT_OUT = "2 boxes of classes that are not asked for left out: 2 'cow'"


def voc(folder: Path) -> str:
    for name, objects in OBJECTS:
        write_picture(folder / f"{name}.jpg")
        write_xml(folder / f"{name}.xml", [(each, 0, 2 + n, 2, 8 + n, 8) for n, each in enumerate(objects)])
    return f"voc:{folder}"


def yolo(folder: Path) -> str:
    for name, objects in OBJECTS:
        write_picture(folder / f"{name}.jpg")
        rows = (f"{OWN.index(each)} {(4 + n) / 20} .5 .3 .6\n" for n, each in enumerate(objects))
        (folder / f"{name}.txt").write_text("".join(rows))
    (folder / "data.yaml").write_text(f"train: .\nnames: {list(OWN)}\n")
    return f"yolo:{folder}/data.yaml"


def coco(folder: Path) -> str:
    content = {"images": [], "annotations": [], "categories": [{"id": 5 + n, "name": c} for n, c in enumerate(OWN)]}
    for number, (name, objects) in enumerate(OBJECTS):
        write_picture(folder / f"{name}.jpg")
        content["images"].append({"id": number, "file_name": f"{name}.jpg", "width": 20, "height": 10})
        for n, each in enumerate(objects):
            box = {"image_id": number, "category_id": 5 + OWN.index(each), "bbox": [1 + n, 1, 6, 6]}
            content["annotations"].append({"id": len(content["annotations"]) + 1} | box)
    (folder / "x.json").write_text(json.dumps(content))
    return f"coco:{folder}/x.json,{folder}"


@pytest.mark.parametrize("make", [voc, yolo, coco])
def test_boxes_of_other_classes_are_left_out_and_counted(tmp_path, make):
    spec = make(tmp_path)
    whole, part = open_source(spec), open_source(spec, "all", WANTED)
    assert part.classes == WANTED and LEFT_OUT in part.notes and LEFT_OUT not in whole.notes
    assert [record.labels.tolist() for record in part] == EXPECTED, "pictures without a box left are background"
    for record, full, (_, objects) in zip(part, whole, OBJECTS, strict=True):
        kept = [each in WANTED for each in objects]
        np.testing.assert_array_equal(record.boxes_xyxy, full.boxes_xyxy[kept])
        assert record.difficult.shape == record.labels.shape
    everything = open_source(spec, "all", OWN[::-1])
    assert [record.labels.tolist() for record in everything] == [[2, 0, 2], [0], [], [1, 1]]
    assert not any("left out" in note for note in everything.notes)


def test_labelled_pictures_go_with_their_label(tmp_path):
    for name in ("cat/a", "dog/b", "n02084071/c"):
        write_picture(tmp_path / f"{name}.jpg")
    dataset = open_source(f"folders:{tmp_path}", "all", ("n02084071", "cat"))
    assert [record.labels.tolist() for record in dataset] == [[1], [0]] and dataset.synsets == ("n02084071", None)
    assert dataset.notes == ("1 picture of classes that are not asked for left out: 1 'dog'",)


@pytest.mark.parametrize("make", [voc, yolo, coco])
@pytest.mark.parametrize(
    "classes, parts",
    [
        (("cat", "dogs"), ("class 'dogs' is not among the 3 classes", "did you mean 'dog'")),
        (("dog", "cta"), ("class 'cta' is not among the 3 classes", "did you mean 'cat'")),
        (("dog", "cows"), ("class 'cows' is not among the 3 classes", "did you mean 'cow'")),
        (("bird", "zebra"), ("none of the classes asked for ('bird', 'zebra')", "('cat', 'cow', 'dog')")),
        (("dog", "Cat"), ("class 'Cat' is not among", "did you mean 'cat'")),
    ],
)
def test_a_class_that_the_data_lack_is_named(tmp_path, make, classes, parts):
    with pytest.raises(UserError) as caught:
        open_source(make(tmp_path), "all", classes)
    assert all(part in str(caught.value) for part in parts) and "\n" not in str(caught.value)


def test_a_class_like_no_other_is_noted(tmp_path):
    assert "the data have no class 'zebra'" in open_source(voc(tmp_path), "all", (*OWN, "zebra")).notes


def labelled(folder: Path, *names: str) -> str:
    write_picture(folder / "a.jpg")
    write_xml(folder / "a.xml", [(name, 0, 2 + n, 2, 8 + n, 8) for n, name in enumerate(names)])
    return f"voc:{folder}"


@pytest.mark.parametrize(
    "asked, other",
    [
        ("boat", "boot"),
        ("boat", "goat"),
        ("car", "cat"),
        ("horse", "house"),
        ("traffic light", "traffic sign"),
        ("zone10", "zone11"),
        ("n02084071", "n02084072"),
    ],
)
def test_a_name_that_is_merely_similar_is_noted(tmp_path, asked, other):
    """As is what it may mean."""
    dataset = open_source(labelled(tmp_path, "hen", other), "all", ("hen", asked))
    assert dataset.classes == ("hen", asked) and dataset[0].labels.tolist() == [0]
    assert f"the data have no class '{asked}' (did you mean '{other}'?)" in dataset.notes
    assert f"1 box of classes that are not asked for left out: 1 '{other}'" in dataset.notes


def test_the_same_letters_in_another_order_are_another_name(tmp_path):
    dataset = open_source(labelled(tmp_path, "hen", "palm"), "all", ("hen", "lamp"))
    assert "the data have no class 'lamp'" in dataset.notes


def test_the_names_of_a_network_are_not_misspelt(tmp_path):
    """Whatever the data have; only what is spelt otherwise, and would be left out, is refused."""
    spec = labelled(tmp_path, "hen", "dogs")
    dataset = open_source(spec, "all", ("hen", "dog"), learnt=True)
    assert "the data have no class 'dog' (did you mean 'dogs'?)" in dataset.notes
    with pytest.raises(UserError, match="class 'dog' is not among the 2 classes of the data .*'dogs'.*leave the class"):
        open_source(spec, "all", ("hen", "dog"))
    with pytest.raises(UserError, match="class 'dogs' is not among the 2 classes asked for .*'DOGS'"):
        open_source(spec, "all", ("hen", "DOGS"), learnt=True)


def test_judged_on_a_set_of_similar_names(tmp_path):
    """The training set knows the name, so that the other set's is another."""
    from tests.tiny import tiny_config
    from yolo9000_jax.tasks.detection import Detection

    config = tiny_config(labelled(tmp_path / "one", "hen", "dog"))
    config.evaluation.source = labelled(tmp_path / "other", "hen", "dogs")
    config.model.num_anchors, config.evaluation.may_share_pictures = 1, True
    assert Detection(config).evaluation_set.classes == ("dog", "hen")
    config.evaluation.classes = ("hen", "dog")
    with pytest.raises(UserError, match="did you mean 'dogs'"):
        Detection(config)


def test_a_label_spelt_otherwise_is_not_left_out_in_silence(tmp_path):
    spec = voc(tmp_path)
    write_xml(tmp_path / "b.xml", [("Dog ", 0, 2, 2, 8, 8), ("hot-dog", 0, 2, 2, 8, 8)])
    write_xml(tmp_path / "c.xml", [("Hot Dog", 0, 2, 2, 8, 8)])
    with pytest.raises(UserError, match=r"c\.xml: class 'Hot Dog' .*did you mean 'hot-dog'"):
        open_source(spec, "all", ("cat", "hot-dog"))
    whole = open_source(spec)
    assert any("nearly the same name: " in note and "'Hot Dog' and 'hot-dog'" in note for note in whole.notes)


def test_joined_sources_share_the_classes_asked_for(tmp_path):
    spec = "+".join(make(tmp_path / make.__name__) for make in (voc, yolo))
    write_picture(tmp_path / "more/e.jpg")
    write_xml(tmp_path / "more/e.xml", [("hen", 0, 1, 1, 5, 5)])
    dataset = open_source(f"{spec}+voc:{tmp_path}/more", "all", ("hen", *WANTED))
    assert dataset.classes == ("hen", *WANTED) and len(dataset) == 9
    assert [record.labels.tolist() for record in dataset][3:] == [[], [2, 1, 2], [1], [], [], [0]]
    assert sum("2 'cow'" in note for note in dataset.notes) == 2


def test_some_classes_and_a_name_that_is_no_utf8_make_batches(tmp_path):
    """What `check` accepts also trains, on some of its classes."""
    from tests.tiny import tiny_config
    from yolo9000_jax.tasks.detection import Detection

    spec = yolo(tmp_path)
    odd = os.fsdecode(b"\xdd\xff")
    for ending in (".jpg", ".txt"):
        os.rename(tmp_path / f"a{ending}", tmp_path / f"{odd}{ending}")
    config = tiny_config(spec)
    config.data.classes, config.evaluation.split = ("dog",), "train"
    config.batch_size, config.multi_scale, config.model.num_anchors = 4, (), 1
    task = Detection(config)
    assert task.network.classes == task.evaluation_set.classes == ("dog",)
    assert "\\xdd\\xff.txt" in {record.name for record in task.dataset}
    (batch,) = task.batches(0, 1)
    assert sorted(batch["mask"].sum(1).tolist()) == [0, 0, 1, 1] and (batch["labels"] == 0).all()
