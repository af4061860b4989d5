"""A network is not judged on the pictures that it learns from, unless the config says that it may be."""

import json
import shutil

import pytest
from PIL import Image

from tests import tiny
from yolo9000_jax import config as configs
from yolo9000_jax.data.sources import open_source
from yolo9000_jax.errors import UserError
from yolo9000_jax.tasks import detection
from yolo9000_jax.tasks.task import check_judged, open_set


def judged(source, data="train", evaluation="val", evaluation_source="", may=False, **options):
    """What check_judged says of a config: the one line that stops it, or ""."""
    c = tiny.tiny_config(source)
    c.data.split, c.evaluation.source, c.evaluation.split = data, evaluation_source, evaluation
    c.evaluation.may_share_pictures = may
    trained = open_source(source, data, **options)
    try:
        check_judged(c, open_source(evaluation_source or source, evaluation, **options), trained)
    except UserError as error:
        assert "\n" not in str(error)
        return str(error)
    return ""


@pytest.fixture(scope="module")
def voc(tmp_path_factory):
    """Eight pictures, each in the splits train and val."""
    return tiny.make_voc(tmp_path_factory.mktemp("judged") / "data")


def test_the_same_pictures_under_another_name(voc):
    message = judged(voc)
    assert message.startswith(
        f"{voc} val: 8 of the 8 pictures to be judged on are also trained on, in train "
        f"(first: {voc.removeprefix('voc:')}/JPEGImages/0.jpg): hold a part out, "
    )
    assert message.endswith("or allow it: --config.evaluation.may_share_pictures=True")
    assert "--config.data.split='train[:80%]' --config.evaluation.split='train[80%:]'" in message
    assert not judged(voc, may=True)


def test_parts_that_overlap(voc):
    assert not judged(voc, "train[:75%]", "train[75%:]")
    message = judged(voc, "train[:75%]", "train[4:]")
    assert "2 of the 4 pictures" in message and "'train[4:]' counts pictures, a share has a %" in message
    assert "3 of the 4 pictures" in judged(voc, "all[:7]", "train[50%:]")


def test_who_names_the_training_set_means_it(voc, said):
    assert not judged(voc, "train", "train")
    assert said == ["evaluated on the pictures that it is trained on, as evaluation.split says: expect less of others"]
    assert judged(voc, "val", "val")  # which evaluation.split is by default: nobody has said it


def test_the_same_content_elsewhere(voc, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(voc.removeprefix("voc:"), folder)
    shutil.copyfile(folder / "JPEGImages/3.jpg", folder / "JPEGImages/5.jpg")
    for name, pictures in (("train", "0\n1\n2\n3\n"), ("val", "4\n5\n6\n7\n")):
        (folder / f"ImageSets/Main/{name}.txt").write_text(pictures)
    message = judged(f"voc:{folder}")
    assert "1 of the 4 pictures" in message
    assert f"(first: {folder}/JPEGImages/5.jpg, the same as {folder}/JPEGImages/3.jpg)" in message
    message = judged(f"voc:{folder}", evaluation_source=voc, evaluation="val")
    assert "4 of the 8 pictures" in message and "take them out of one of the two" in message
    with Image.open(folder / "JPEGImages/5.jpg") as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "JPEGImages/5.jpg")
    assert not judged(f"voc:{folder}")


def test_a_set_without_anything_to_find_gives_no_number(tmp_path):
    for split, lines in (("train", "0 .5 .5 .5 .5\n"), ("val", "")):
        for part in ("images", "labels"):
            (tmp_path / split / part).mkdir(parents=True)
        Image.new("RGB", (64, 64)).save(tmp_path / split / "images/a.jpg")
        (tmp_path / split / "labels/a.txt").write_text(lines)
    (tmp_path / "data.yaml").write_text("train: train/images\nval: val/images\nnames: [block]\n")
    assert not judged(f"yolo:{tmp_path}/data.yaml")
    (tmp_path / "val/labels/a.txt").write_text("0 .5 .5 .5 .5\n")
    assert "1 of the 1 pictures" in judged(f"yolo:{tmp_path}/data.yaml")


def test_labelled_pictures_count_as_well(tmp_path, voc):
    boxes = open_source(voc, "train")
    judged_set = open_source(voc, "val")
    other = boxes.take([])
    c = tiny.tiny_config(voc)
    c.evaluation.may_share_pictures = False
    check_judged(c, judged_set, other, other)
    with pytest.raises(UserError, match="8 of the 8 pictures"):
        check_judged(c, judged_set, other, boxes)


def test_one_coco_file(tmp_path):
    """README's command on it trained and judged on the same pictures."""
    (tmp_path / "images").mkdir()
    for number in range(3):
        Image.new("RGB", (64, 64), (number, 0, 0)).save(tmp_path / f"images/{number}.png")
    content = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 64, "height": 64} for n in range(3)],
        "annotations": [{"id": n + 1, "image_id": n, "category_id": 1, "bbox": [8, 8, 9, 9]} for n in range(3)],
        "categories": [{"id": 1, "name": "block"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    message = judged(f"coco:{tmp_path}/a.json,{tmp_path}/images")
    assert "3 of the 3 pictures" in message and "evaluation.split='train[80%:]'" in message


@pytest.mark.parametrize("place", ["{split}.json,images", "{split}/_annotations.coco.json,{split}"])
def test_two_coco_files(tmp_path, place):
    """As README and experiments/my_data.py give them; the second is Roboflow's export."""
    annotations, _, pictures = place.partition(",")
    for number, split in enumerate(("train", "valid")):
        folder = tmp_path / pictures.format(split=split)
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (64, 64), (number, 0, 0)).save(folder / f"{split}.png")
        content = {
            "images": [{"id": 1, "file_name": f"{split}.png"}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [8, 8, 9, 9]}],
            "categories": [{"id": 1, "name": "block"}],
        }
        (tmp_path / annotations.format(split=split)).write_text(json.dumps(content))
    source = f"coco:{tmp_path}/{annotations},{tmp_path}/{pictures}"
    assert not judged(source)
    validation = open_source(source, "val")
    assert validation[0].image == str(tmp_path / pictures.format(split="valid") / "valid.png")
    assert validation.notes[0] == "split 'val' is called valid here"
    with pytest.raises(UserError, match=r"has no split 'tset': the splits are train, valid"):
        open_source(source, "tset")


def test_a_set_without_val_is_told_how_to_part_it(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "images/a.png")
    (tmp_path / "images/a.txt").write_text("0 .5 .5 .5 .5\n")
    (tmp_path / "data.yaml").write_text("names: [a]\ntrain: images\n")
    with pytest.raises(UserError, match=r"has no split 'val'.*hold a part out: --config.data.split='train\[:80%\]'"):
        open_set("evaluation.source", f"yolo:{tmp_path}/data.yaml", "val", ())
    with pytest.raises(UserError, match="has no split 'tarin' .did you mean 'train'.*the splits are train$"):
        open_set("data.source", f"yolo:{tmp_path}/data.yaml", "tarin", ())


def test_nothing_to_learn(tmp_path, voc):
    folder = tmp_path / "data"
    shutil.copytree(voc.removeprefix("voc:"), folder)
    files = sorted((folder / "Annotations").iterdir())
    texts = [file.read_text() for file in files]
    c = configs.complete(tiny.tiny_config(f"voc:{folder}"))
    with c.unlocked():
        c.data.classes = tiny.CLASSES
    for file, text in zip(files, texts, strict=True):
        file.write_text(text.replace("<difficult>0", "<difficult>1"))
    with pytest.raises(UserError, match="all 8 boxes are marked difficult.*data.include_difficult=True"):
        detection.Detection(c)
    for file, text in zip(files, texts, strict=True):
        file.write_text(text[: text.index("<object>")] + "</annotation>")
    with pytest.raises(UserError, match="none of its 8 pictures has a box"):
        detection.Detection(c)
