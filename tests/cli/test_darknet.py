"""The commands on Darknet's files."""

import json

import numpy as np
import pytest
from PIL import Image

from tests import tiny
from tests.darknet.test_convert import classifier, detector
from tests.predict.test_loading import NET, REGION, write_net
from yolo9000_jax.darknet.cfg import parse_cfg
from yolo9000_jax.darknet.convert import from_workdir
from yolo9000_jax.darknet.weights import write_weights


@pytest.fixture
def files(tmp_path):
    """Arguments that name a network of 2 classes that finds a box of class 1 in each cell, and a picture."""
    head = "[maxpool]\nsize=8\nstride=8\npadding=0\n" + REGION.format("softmax=1")
    cfg, weights = write_net(tmp_path, head, 7, [0, 0, 0, 0, 3, 0, 9])
    (tmp_path / "a.names").write_text("cat\ndog\n")
    return ["--cfg", cfg, "--weights", weights, "--names", tmp_path / "a.names"]


@pytest.fixture
def picture(tmp_path):
    Image.fromarray(np.zeros((40, 80, 3), np.uint8)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_predict(files, picture, tmp_path, run):
    """Each box is one cell, a quarter of the network's input: letterboxed that is a square of the picture."""
    for resize, height in (("letterbox", 20), ("stretch", 10)):
        arguments = ("--resize", resize, "--json", tmp_path / "p.json", "--threshold", 0.5, "--nms", 0.9)
        status, _, error = run("predict", picture, *files, *arguments)
        assert (status, error) == (0, "")
        (item,) = json.loads((tmp_path / "p.json").read_text())
        assert {(found["class"], found["label"]) for found in item["detections"]} == {(1, "dog")}
        boxes = np.array([found["box_xyxy"] for found in item["detections"]])
        assert boxes.min() >= 0 and boxes[:, 2].max() <= 80 and boxes[:, 3].max() <= 40
        np.testing.assert_allclose((boxes[:, 2:] - boxes[:, :2]).max(0), [20, height], atol=0.011)
    _, output, _ = run("predict", picture, *files, "--size", 64, "--threshold", 0.5)
    assert "a.png: " in output and "dog" in output


def test_json_on_standard_output(files, picture, tmp_path, run, monkeypatch):
    """It stands there alone; what else is printed goes to the other stream. No file called - is made."""
    monkeypatch.chdir(tmp_path)
    status, output, error = run("predict", picture, *files, "--json", "-", "--threshold", 0.5)
    run("predict", picture, *files, "--json", "p.json", "--threshold", 0.5)
    assert (status, output) == (0, (tmp_path / "p.json").read_text())
    assert "a.png: " in error and "dog" in error and not (tmp_path / "-").exists()
    status, output, error = run("predict", tmp_path / "none.png", *files, "--json", "-")
    assert status == 1 and "error" in json.loads(output)[0] and error.endswith("none.png: no such file or folder\n")
    spec = tiny.make_voc(tmp_path / "voc")
    status, output, error = run("anchors", "--dataset", spec, "-k", 2, "--json", "-")
    assert status == 0 and len(json.loads(output)["anchors_cells"]) == 2 and "2 priors for 8 boxes" in error


def test_wrong_files(files, picture, tmp_path, refused):
    cfg, weights = files[1], files[3]
    (tmp_path / "three.names").write_text("cat\ndog\nbird\n")
    message = refused("predict", picture, *files[:4], "--names", tmp_path / "three.names")
    assert "three.names: 3 names, but the network has 2 classes" in message
    assert "none.cfg" in refused("predict", picture, "--cfg", tmp_path / "none.cfg", "--weights", weights)
    assert "none.weights" in refused("predict", picture, "--cfg", cfg, "--weights", tmp_path / "none.weights")
    assert "say which network: --workdir D, or --cfg F --weights F" in refused("predict", picture, "--cfg", cfg)
    assert "say which network" in refused("predict", picture)
    assert "say which network" in refused("predict", picture, *files, "--workdir", tmp_path)
    (tmp_path / "more").mkdir()
    other = write_net(tmp_path / "more", "[avgpool]\n[softmax]\n", 9)
    assert "needs 28 numbers" in refused("predict", picture, "--cfg", cfg, "--weights", other[1])
    assert "is a classifier" in refused("predict", picture, "--cfg", other[0], "--weights", other[1])
    assert "is a detector" in refused("classify", picture, *files)
    assert "form no tree" in refused("predict", picture, *files, "--hierarchical-threshold", 0.5)
    message = refused("evaluate", "--cfg", other[0], "--weights", other[1], "--hierarchical-threshold", 0.5)
    assert "--hierarchical-threshold is for detectors" in message
    message = refused("evaluate", "--cfg", other[0], "--weights", other[1], "--iou-rule", "ilsvrc")
    assert "--iou-rule is for detectors" in message
    message = refused("evaluate", "--cfg", other[0], "--weights", other[1], "--class-agnostic")
    assert "--class-agnostic is for detectors" in message
    assert "--size 33" in refused("predict", picture, *files, "--size", 33)
    assert "say what to evaluate it on" in refused("evaluate", *files)
    assert "'crop'" in refused("evaluate", *files, "--dataset", "emoji", "--resize", "crop")


def test_classify(tmp_path, picture, run, refused):
    cfg, weights = write_net(tmp_path, "[avgpool]\n[softmax]\n", 3, [0, 2, 1])
    (tmp_path / "a.names").write_text("n00000001 cat\nn00000002 dog\nn00000003 bird\n")
    arguments = ["--cfg", cfg, "--weights", weights, "--names", tmp_path / "a.names"]
    status, output, error = run("classify", picture, *arguments, "--top", 2, "--json", tmp_path / "c.json")
    assert (status, error) == (0, "") and f"{picture}: dog 0.665, bird 0.245" in output
    (item,) = json.loads((tmp_path / "c.json").read_text())
    assert list(item) == ["image", "top"] and item["image"] == str(picture)
    assert [(found["class"], found["label"]) for found in item["top"]] == [(1, "dog"), (2, "bird")]
    assert item["top"][0]["score"] == pytest.approx(np.exp(2) / (1 + np.e + np.exp(2)), abs=1e-6)
    assert "no.png: no such file" in refused("classify", tmp_path / "no.png", *arguments)
    for name in ("n00000002", "n00000003"):
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.new("RGB", (40, 40)).save(tmp_path / "data" / name / "a.png")
    arguments += ["--dataset", f"folders:{tmp_path / 'data'}", "--json", tmp_path / "e.json"]
    status, output, error = run("evaluate", *arguments)
    assert (status, error) == (0, "") and "top1 0.5000\ntop5 1.0000\nimages 2" in output
    assert json.loads((tmp_path / "e.json").read_text())["per_class"]["n00000003"]["top1"] == 0
    assert run("evaluate", *arguments, "--report", tmp_path / "r")[0] == 0
    assert json.loads((tmp_path / "r/metrics.json").read_text()) == json.loads((tmp_path / "e.json").read_text())
    assert "n00000003" in (tmp_path / "r/index.html").read_text()


def test_a_yolo_v1_network(tmp_path, picture, run, refused):
    """One cell of two boxes over a black picture: the biases of the last layer are its output."""
    head = "[connected]\noutput=12\nactivation=linear\n[detection]\nclasses=2\nnum=2\ncoords=4\nside=1\nsqrt=1\n"
    cfg = parse_cfg(NET.format(1) + head)
    arrays = {layer.index: {k: np.zeros(v) for k, v in layer.parameters().items()} for layer in cfg.layers[:2]}
    left, right = (0.25, 0.5, 0.5**0.5, 0.5), (0.75, 0.5, 0.5**0.5, 0.5)  # half the picture wide, a quarter of it high
    arrays[1]["biases"] = np.array([0.1, 0.9, 0.8, 0.5, *left, *right])
    (tmp_path / "v1.cfg").write_text(NET.format(1) + head)
    write_weights(tmp_path / "v1.weights", cfg, arrays)
    (tmp_path / "a.names").write_text("cat\ndog\n")
    arguments = ["--cfg", tmp_path / "v1.cfg", "--weights", tmp_path / "v1.weights", "--names", tmp_path / "a.names"]
    status, _, error = run("predict", picture, *arguments, "--threshold", 0.4, "--json", tmp_path / "p.json")
    assert (status, error) == (0, "")
    ((best, other),) = (item["detections"] for item in json.loads((tmp_path / "p.json").read_text()))
    assert best == {"box_xyxy": [0.0, 15.0, 40.0, 25.0], "score": 0.72, "class": 1, "label": "dog"}, "stretched"
    assert other["box_xyxy"] == [40.0, 15.0, 80.0, 25.0] and other["score"] == 0.45
    (tmp_path / "data/Annotations").mkdir(parents=True)
    (tmp_path / "data/JPEGImages").mkdir()
    picture.rename(tmp_path / "data/JPEGImages/a.png")
    (tmp_path / "data/Annotations/a.xml").write_text(ANNOTATION)
    data = ["--dataset", f"voc:{tmp_path / 'data'}"]
    status, output, error = run("evaluate", *arguments, *data, "--json", tmp_path / "e.json")
    assert (status, error) == (0, "") and "dog" in output
    assert json.loads((tmp_path / "e.json").read_text())["voc_ap50"] == 1
    letterboxed = json.loads((tmp_path / "e.json").read_text())
    run("evaluate", *arguments, *data, "--json", tmp_path / "e.json", "--resize", "letterbox")
    assert json.loads((tmp_path / "e.json").read_text()) != letterboxed
    assert "takes [batch, 32, 32, 3]" in refused("evaluate", *arguments, *data, "--size", 64)


ANNOTATION = """<annotation><filename>a.png</filename><size><width>80</width><height>40</height><depth>3</depth></size>
<object><name>dog</name><difficult>0</difficult><bndbox><xmin>1</xmin><ymin>16</ymin><xmax>40</xmax><ymax>25</ymax>
</bndbox></object></annotation>"""


def test_evaluate_as_the_workdir_it_comes_from(trained, tmp_path, run):
    """The tiny trained detector as Darknet's files gives its own numbers, up to batch norm's epsilon."""
    from_workdir(trained, tmp_path / "t.weights")
    files = ["--cfg", tmp_path / "t.cfg", "--weights", tmp_path / "t.weights", "--names", tmp_path / "t.names"]
    data = ["--dataset", f"voc:{trained.parent / 'data'}", "--split", "val", "--resize", "stretch"]
    status, output, error = run("evaluate", *files, *data, "--json", tmp_path / "m.json", "--report", tmp_path / "r")
    assert (status, error) == (0, "") and "disc" in output
    found, expected = (json.loads(p.read_text()) for p in (tmp_path / "m.json", trained / "report/metrics.json"))
    assert [*found, "step"] == list(expected) and list(found["per_class"]) == list(tiny.CLASSES)
    assert found["voc_ap50"] == pytest.approx(expected["voc_ap50"], abs=0.02)
    assert (tmp_path / "r/index.html").is_file()


def test_convert(tmp_path, picture, run, refused):
    cfg, weights = detector(tmp_path / "d")
    (tmp_path / "d/a.names").write_text("cat\ndog\nbird\n")
    there = ("convert", "--cfg", cfg, "--weights", weights, "--workdir", tmp_path / "run")
    status, output, error = run(*there, "--names", tmp_path / "d/a.names")
    assert (status, error) == (0, "") and output == f"workdir {tmp_path / 'run'}\n"
    assert run("predict", picture, "--workdir", tmp_path / "run")[0] == 0
    status, output, _ = run("convert", "--workdir", tmp_path / "run", "--weights", tmp_path / "b.weights")
    assert status == 0 and all(str(tmp_path / f"b.{suffix}") in output for suffix in ("weights", "cfg", "names"))
    assert (tmp_path / "b.weights").read_bytes() == weights.read_bytes()
    assert (tmp_path / "b.names").read_text() == "cat\ndog\nbird\n"
    assert "holds a run already" in refused(*there)
    assert "--names goes with --cfg" in refused(
        "convert", "--workdir", tmp_path / "run", "--weights", tmp_path / "b.weights", "--names", "x"
    )
    assert "say what to evaluate it on" in refused("evaluate", "--workdir", tmp_path / "run")


def test_a_converted_classifier(tmp_path, picture, run, refused):
    cfg, weights = classifier(tmp_path / "c")
    assert run("convert", "--cfg", cfg, "--weights", weights, "--workdir", tmp_path / "run")[0] == 0
    for which in (["--workdir", tmp_path / "run"], ["--cfg", cfg, "--weights", weights]):
        status, _, error = run("classify", picture, *which, "--json", tmp_path / f"{which[0]}.json")
        assert (status, error) == (0, "")
    ours, theirs = (json.loads((tmp_path / f"{name}.json").read_text())[0]["top"] for name in ("--workdir", "--cfg"))
    assert [item["class"] for item in ours] == [item["class"] for item in theirs]
    np.testing.assert_allclose([i["score"] for i in ours], [i["score"] for i in theirs], atol=2e-6)
    assert "is a classifier" in refused("predict", picture, "--workdir", tmp_path / "run")
