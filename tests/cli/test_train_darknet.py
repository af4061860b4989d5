"""`yolo9000 train --cfg --data`: what it makes of Darknet's files, a run of each kind, a line for each mistake."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image, ImageDraw

import yolo9000_jax as y9
from yolo9000_jax import config as configs
from yolo9000_jax.config import flat
from yolo9000_jax.darknet.building import plan_of
from yolo9000_jax.darknet.cfg import parse_cfg
from yolo9000_jax.darknet.recipe import read_recipe
from yolo9000_jax.darknet.weights import WeightsHeader, read_weights, write_weights
from yolo9000_jax.errors import UserError
from yolo9000_jax.predict.loading import load_darknet

NET = """[net]
# a comment
batch=4
subdivisions=2
width=64
height=64
channels=3
learning_rate=.01
momentum=.8
decay=.001
saturation=1.3
exposure=1.4
hue=.05
burn_in=2
max_batches=4
policy=steps
steps=3
scales=.1
"""
CONV = "[convolutional]\nbatch_normalize=1\nfilters={}\nsize=3\nstride=1\npad=1\nactivation=leaky\n"
POOL = "[maxpool]\nsize={0}\nstride={0}\n"
TINY = "[maxpool]\nsize=2\nstride=1\n"  # that of tiny YOLOv2, which no module of ours has
LAST = "[convolutional]\nfilters={}\nsize=1\nstride=1\npad=1\nactivation=linear\n"
REGION = """[region]
anchors=.5,.6,1,1.2
classes={}
num=2
softmax=1
jitter=.3
rescore=1
bias_match=1
thresh=.7
object_scale=4
"""
BODY = CONV.format(4) + POOL.format(8) + CONV.format(8) + POOL.format(4) + TINY
DETECTOR = NET + BODY + LAST.format(14) + REGION.format(2)
OUTPUTS = 4 * (2 + 5 * 2)
YOLO_V1 = f"""{NET}{BODY}[dropout]
[connected]
output={OUTPUTS}
activation=linear
[detection]
classes=2
coords=4
num=2
side=2
sqrt=1
jitter=.1
rescore=1
noobject_scale=.5
coord_scale=5
"""
POLY = NET.replace("policy=steps\nsteps=3\nscales=.1", "policy=poly\npower=3\nangle=5\naspect=.8\nmax_crop=90")
CLASSIFIER = POLY + BODY + LAST.format(2) + "[avgpool]\n[softmax]\n[cost]\ntype=sse\n"
TREE = "n00000001 -1\nn00000002 -1\nn00000003 0\nn00000004 0\n"
TREE_DETECTOR = NET + BODY + LAST.format(18) + REGION.format(4) + "tree=t.tree\nmap=t.map\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with pictures of discs and bars, their labels, and obj.data, as for Darknet."""
    monkeypatch.chdir(tmp_path)
    random, listed = np.random.default_rng(0), []
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    for number in range(8):
        image, kind = Image.fromarray(random.integers(90, 160, (48, 64, 3), np.uint8)), number % 2
        draw = ImageDraw.Draw(image)
        (draw.rectangle if kind else draw.ellipse)([8, 8, 40, 40], fill=(30, 200, 60) if kind else (220, 30, 30))
        listed.append(f"images/{number}_{('disc', 'bar')[kind]}.png")
        image.save(listed[-1])
        (tmp_path / f"labels/{number}_{('disc', 'bar')[kind]}.txt").write_text(f"{kind} .375 .5 .5 .667\n")
    (tmp_path / "train.txt").write_text("\n".join(listed[:6]) + "\n")
    (tmp_path / "valid.txt").write_text("\n".join(listed[6:]) + "\n")
    (tmp_path / "obj.names").write_text("disc\nbar\n")
    (tmp_path / "obj.data").write_text("classes=2\ntrain=train.txt\nvalid=valid.txt\nnames=obj.names\nbackup=backup\n")
    (tmp_path / "net.cfg").write_text(DETECTOR)
    return tmp_path


def changes(config):
    """{key: value} of what is not as in `config.detection()`."""
    default = flat(configs.detection())
    return {key: value for key, value in flat(config).items() if value != default[key]}


def test_what_a_detectors_files_say(folder):
    config = read_recipe("net.cfg", "obj.data", "first.weights")
    found = changes(config)
    assert found.pop("model.cfg") == parse_cfg("net.cfg").text and "comment" not in config.model.cfg
    assert found == {
        "name": "net", "steps": 4, "batch_size": 4, "accumulate": 2, "image_size": 64,
        "init_from": "darknet:first.weights",
        "model.architecture": "cfg", "data.source": "yolo:obj.data", "data.max_boxes": 30,
        "augment.geometry": "place", "augment.jitter": 0.3, "augment.hue": 0.05, "augment.saturation": 1.3,
        "augment.exposure": 1.4, "optimizer.learning_rate": 0.01, "optimizer.momentum": 0.8,
        "optimizer.weight_decay": 0.001, "optimizer.boundaries": (0.75,), "optimizer.factors": (0.1,),
        "optimizer.burn_in": 2, "loss.object_scale": 4, "loss.ignore_threshold": 0.7,
        "evaluation.resize": "letterbox", "evaluation.sampling": "darknet",
    }  # fmt: skip
    (folder / "net.cfg").write_text(DETECTOR + "random=1\n")
    assert read_recipe("net.cfg", "obj.data").multi_scale == tuple(range(320, 640, 32))


def test_what_the_files_of_other_kinds_say(folder):
    (folder / "net.cfg").write_text(YOLO_V1)
    found = changes(read_recipe("net.cfg", "obj.data"))
    assert found["augment.jitter"] == 0.1
    assert not {"data.max_boxes", "augment.geometry", "evaluation.resize"} & set(found)  # every box is looked at
    assert not [key for key in found if key.startswith("yolo_v1_loss")]  # as the paper's, which the cfg has too
    (folder / "net.cfg").write_text(CLASSIFIER)
    config = read_recipe("net.cfg", "obj.data")
    assert (config.task, config.data.source) == ("classification", "darknet:obj.data")
    assert (config.optimizer.schedule, config.optimizer.power, config.optimizer.burn_in_power) == ("polynomial", 3, 3)
    assert (config.augment.angle, config.augment.aspect, config.augment.crop) == (5, 0.8, "darknet")
    assert (config.augment.min_crop, config.augment.max_crop) == (64, 90)


def test_lists_to_judge_on(folder):
    data = (folder / "obj.data").read_text()
    for instead in ("valid=train.txt\n", ""):
        (folder / "obj.data").write_text(data.replace("valid=valid.txt\n", instead))
        assert read_recipe("net.cfg", "obj.data").evaluation.split == "train"


def test_a_detector_there_and_back(folder, run):
    """It starts from the first layers, goes on by the same command only, and is written as Darknet's files."""
    plan, random = parse_cfg("net.cfg"), np.random.default_rng(0)
    first = next(layer for layer in plan.layers if layer.parameters())
    arrays = {name: random.random(shape).astype(np.float32) for name, shape in first.parameters().items()}
    write_weights("first.weights", plan, {first.index: arrays}, allow_partial=True)
    command = ("train", "--cfg", "net.cfg", "--data", "obj.data", "--weights", "first.weights", "--workdir", "run")
    status, output, error = run(*command, "--config.optimizer.learning_rate=0")
    assert (status, error) == (0, "") and "step 4/4" in output and "starting from darknet:first.weights" in output
    message = run(*command)[2]
    assert "optimizer.learning_rate: 0.0 -> 0.01" in message and message.count("\n") == 1
    (folder / "net.cfg").write_text(DETECTOR.replace("filters=8", "filters=12"))
    message = run(*command, "--config.optimizer.learning_rate=0")[2]
    assert "model.cfg: 'filters=8' -> 'filters=12'" in message and message.count("\n") == 1
    assert run("convert", "--workdir", "run", "--weights", "out.weights")[0] == 0
    after = parse_cfg("out.cfg")
    assert after.text == plan.text and (folder / "out.names").read_text() == "disc\nbar\n"
    header, written = read_weights("out.weights", after)
    assert header.seen == 4 * 4
    kept = json.loads((folder / "run/network.json").read_text())["network"]
    assert (kept["architecture"], kept["cfg"]) == ("cfg", plan.text)
    np.testing.assert_array_equal(written[first.index]["weights"], arrays["weights"])  # at a rate of 0
    ours, theirs = y9.load("run"), load_darknet("out.cfg", "out.weights", "out.names", batch_norm="gpu")
    assert ours.head == theirs.head and ours.resize == theirs.resize == "letterbox"
    images = random.random((1, 64, 64, 3), np.float32)
    outputs = [np.asarray(jax.jit(each.model.apply)(each.variables, images)) for each in (ours, theirs)]
    np.testing.assert_array_equal(*outputs)
    assert ours("images/0_disc.png").to_json() == theirs("images/0_disc.png").to_json()


@pytest.mark.parametrize("text, layers", [(YOLO_V1, 3), (CLASSIFIER, 3)], ids=["YOLOv1", "classifier"])
def test_other_kinds_learn(folder, run, text, layers):
    (folder / "net.cfg").write_text(text)
    status, output, error = run("train", "--cfg", "net.cfg", "--data", "obj.data", "--workdir", "run")
    assert (status, error) == (0, "") and "step 4/4" in output
    assert run("convert", "--workdir", "run", "--weights", "out.weights")[0] == 0
    _, written = read_weights("out.weights", parse_cfg("out.cfg"))
    assert len(written) == layers
    assert ("[cost] behind [softmax] is left out" in output) == (text is CLASSIFIER)
    assert run("classify" if text is CLASSIFIER else "predict", "images/0_disc.png", "--workdir", "run")[0] == 0


def test_a_tree_and_its_map(folder, run):
    (folder / "net.cfg").write_text(TREE_DETECTOR)
    (folder / "t.tree").write_text(TREE)
    (folder / "t.map").write_text("2\n3\n")
    (folder / "t.names").write_text("thing\nthing\ndisc\nbar\n")  # two of one name, told apart by the labels
    (folder / "t.labels").write_text("".join(f"{line.split()[0]}\n" for line in TREE.splitlines()))
    (folder / "obj.data").write_text("classes=4\ntrain=train.txt\nvalid=valid.txt\nnames=t.names\nlabels=t.labels\n")
    status, output, error = run("train", "--cfg", "net.cfg", "--data", "obj.data", "--workdir", "run")
    assert (status, error) == (0, "") and "voc_ap50_seen" in output
    assert json.loads((folder / "run/network.json").read_text())["network"]["nodes_with_boxes"] == [2, 3]
    assert y9.load("run").classes == ("thing", "thing", "disc", "bar")
    assert run("evaluate", "--workdir", "run", "--json", "m.json")[0] == 0  # labels by the map, as in training
    found, own = (
        json.loads((folder / name).read_text())["per_class"] for name in ("m.json", "run/report/metrics.json")
    )
    assert [row["truths"] for row in found.values()] == [row["truths"] for row in own.values()]
    run("convert", "--workdir", "run", "--weights", "out.weights")
    assert (folder / "out.tree").read_text() == TREE and parse_cfg("out.cfg").head.tree == "out.tree"


def test_maps_and_labels_that_do_not_fit(folder, refused):
    (folder / "net.cfg").write_text(TREE_DETECTOR)
    (folder / "t.tree").write_text(TREE)
    (folder / "obj.names").write_text("a\nb\nc\nd\n")
    (folder / "obj.data").write_text("classes=4\ntrain=train.txt\nvalid=valid.txt\nnames=obj.names\n")
    command = ("train", "--cfg", "net.cfg", "--data", "obj.data", "--workdir", "run")
    assert "there is no map t.map" in refused(*command)
    (folder / "t.map").write_text("2\n")
    assert "has class 1, but t.map has lines for 0 to 0" in refused(*command)
    (folder / "t.map").write_text("2\n3\n")
    (folder / "labels/0_disc.txt").write_text("3 0 0 0 0\n")
    assert "pictures that have only a class" in refused(*command)


MISTAKES = [
    ({"net.cfg": ("[maxpool]", "[upsample]")}, "[upsample] a type that is not known"),
    ({"net.cfg": ("classes=2", "classes=3")}, "channels, its input has 14: set `filters`"),
    ({"net.cfg": ("filters=14", "filters=12")}, "set `filters` of the layer before it to 14"),
    ({"obj.names": ("bar\n", "bar\nbox\n"), "obj.data": ("classes=2", "classes=3")}, "set classes=3 and, in the layer"),
    ({"obj.data": ("names=obj.names\n", "")}, "obj.data: names no classes: write names ="),
    ({"obj.data": ("names=obj.names", "names=none.names")}, "names: there is no file 'none.names'"),
    ({"obj.data": ("classes=2", "classes=3")}, "classes is 3, but names has 2 lines"),
    ({"obj.data": ("train=train.txt\n", "")}, "names no pictures to train on"),
    ({"obj.data": ("train=train.txt", "train=none.txt")}, "there is no folder or list 'none.txt'"),
    ({"net.cfg": ("max_batches=4\n", "")}, "no max_batches"),
    ({"net.cfg": ("policy=steps", "policy=random")}, "policy=random"),
    ({"net.cfg": ("policy=steps", "policy=sgdr")}, "policy=sgdr: cannot be trained with"),
    ({"net.cfg": ("width=64", "width=96")}, "the input is 96x64x3"),
    ({"net.cfg": (REGION.format(2), "")}, "ends in [convolutional], which learns nothing"),
    ({"net.cfg": ("steps=3", "steps=3,2"), "obj.data": ("", "")}, "2 steps but 1 scales"),
]


@pytest.mark.parametrize("files, message", MISTAKES, ids=[message for _, message in MISTAKES])
def test_mistakes(folder, refused, files, message):
    for name, (old, new) in files.items():
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))
    assert message in refused("train", "--cfg", "net.cfg", "--data", "obj.data", "--workdir", "run")
    assert not (folder / "run").exists()


def test_mistaken_arguments(folder, refused):
    assert "say what to train" in refused("train", "--workdir", "run")
    assert "say what to train" in refused("train", "--workdir", "run", "--cfg", "net.cfg")
    assert "say what to train" in refused("train", "--workdir", "run", "--config", "demo", "--data", "obj.data")
    files = ("train", "--workdir", "run", "--cfg", "net.cfg", "--data")
    assert "none.data: there is no such file" in refused(*files, "none.data")
    message = refused(*files, "obj.data", "--config.model.width=.5")
    assert "model.width is 0.5, which is not used with model.architecture=cfg" in message


def write_ones(name, text):
    """NAME.cfg of this text, and NAME.weights of nothing but ones, which has seen 9 pictures."""
    Path(f"{name}.cfg").write_text(text)
    cfg = parse_cfg(f"{name}.cfg")
    arrays = {
        layer.index: {key: np.ones(shape, np.float32) for key, shape in layer.parameters().items()}
        for layer in cfg.layers
        if layer.parameters()
    }
    write_weights(f"{name}.weights", cfg, arrays, WeightsHeader(seen=9))


def test_weights_of_another_cfg(folder, refused):
    """With other outputs of the last layer they serve; all else is another network."""
    write_ones("other", DETECTOR.replace("filters=4", "filters=5", 1))
    files = ("train", "--workdir", "run", "--cfg", "net.cfg", "--data", "obj.data")
    message = refused(*files, "--weights", "other.weights")
    assert "other.weights" in message and "give the .cfg this file was trained with" in message
    assert "none.weights" in refused(*files, "--weights", "none.weights")


def test_a_detector_of_other_classes_is_a_start(folder, run):
    write_ones("other", DETECTOR.replace("filters=14", "filters=16").replace("classes=2", "classes=3"))
    files = ("--cfg", "net.cfg", "--data", "obj.data", "--weights", "other.weights")
    status, output, error = run("train", "--workdir", "run", *files)
    assert (status, error) == (0, "") and "has seen 9 pictures" in output and "10 of 12 arrays" in output


def test_a_classifiers_paths(folder, refused):
    (folder / "net.cfg").write_text(CLASSIFIER)
    files = ("train", "--cfg", "net.cfg", "--data", "obj.data", "--workdir", "run")
    (folder / "train.txt").write_text("images/0_disc.png\nimages/1.png\n")
    (folder / "images/1_bar.png").rename(folder / "images/1.png")
    assert "train.txt: the path images/1.png holds no label" in refused(*files)
    (folder / "images/1.png").rename(folder / "images/disc_bar.png")
    (folder / "train.txt").write_text("images/disc_bar.png\n")
    assert "holds several labels ('bar', 'disc')" in refused(*files)


def test_folders_above_a_classifiers_lists_are_no_labels(folder):
    (folder / "disc").symlink_to(folder)
    classes = [int("bar" in line) for line in (folder / "train.txt").read_text().split()]
    for place in ("disc/obj.data", "obj.data"):
        dataset = y9.open_source(f"darknet:{place}", "train")
        assert [int(record.labels[0]) for record in dataset] == classes and set(classes) == {0, 1}


def test_what_is_not_used_is_said(folder, said):
    text = DETECTOR.replace("policy=steps", "policy=steps\nmosaic=1\nblur=1").replace("steps=3\n", "steps=-1,3\n")
    (folder / "net.cfg").write_text(text.replace("scales=.1", "scales=.1,10"))
    assert read_recipe("net.cfg", "obj.data").optimizer.boundaries == (0, 0.75)
    for part in ("mosaic=1", "blur=1", "a negative number in steps counts"):
        assert any(part in line for line in said), part
    (folder / "net.cfg").write_text(DETECTOR.replace("batch=4\nsubdivisions=2", "batch=1"))
    assert read_recipe("net.cfg", "obj.data").batch_size == 1 and "batch=1 is for testing" in said[-1]


def test_a_text_is_no_path():
    with pytest.raises(UserError, match="not its path"):
        plan_of("net.cfg")
