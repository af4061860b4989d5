"""Exported files, read back without anything of ours, give what the network gives here."""

import json
import re
import sys
import zipfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import yolo9000_jax as y9
from tests.helpers import ROOT, golden_net
from yolo9000_jax.errors import UserError
from yolo9000_jax.export.program import Reading, make_program, to_picture
from yolo9000_jax.export.save import FORMATS, save
from yolo9000_jax.export.to_onnx import METADATA, to_onnx
from yolo9000_jax.export.to_tensorflow import to_tflite
from yolo9000_jax.images.resizing import Resize
from yolo9000_jax.models.build import build_model
from yolo9000_jax.models.network import Network
from yolo9000_jax.predict.loading import load, load_darknet, make_predictor

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/export.md").read_text(), re.DOTALL)
RUNTIMES = {"stablehlo": "jax", "onnx": "onnxruntime", "savedmodel": "tensorflow", "tflite": "tensorflow"}
SIZES_WH = np.array([[200, 120], [77, 301], [640, 480]], np.float32)


@pytest.fixture(scope="module")
def picture(tmp_path_factory, trained) -> Path:
    """One that the network was not trained on, in other proportions."""
    path = tmp_path_factory.mktemp("picture") / "wide.png"
    with Image.open(trained.parent / "data/JPEGImages/1.jpg") as image:
        image.resize((150, 90)).save(path)
    return path


def printed_by_the_document(file: Path, format: str, picture: Path, capsys, monkeypatch) -> list[list[str]]:
    """What the program in docs/export.md prints of a file and a picture: rows of name, score, box."""
    (block,) = (block for block in BLOCKS[1:] if {"onnx": "onnxruntime", "tflite": "lite.", "savedmodel": "saved_model",
                                                   "stablehlo": "export.deserialize"}[format] in block)  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["detect.py", str(file), str(picture)])
    capsys.readouterr()
    exec(compile(BLOCKS[0] + block, "docs/export.md", "exec"), {})
    return [line.split("\t") for line in capsys.readouterr().out.splitlines() if "\t" in line]


@pytest.mark.parametrize("format", FORMATS)
def test_the_documents_loader_finds_what_the_detector_finds(
    format, trained, picture, tmp_path, run, capsys, monkeypatch
):
    pytest.importorskip(RUNTIMES[format])
    file = tmp_path / "deep" / f"network.{format}"
    options = ("--threshold", ".02", "--max-detections", 20)
    status, output, _ = run("export", "--workdir", trained, "--format", format, "--output", file, *options)
    assert status == 0 and output.endswith(f"written: {file}\n")
    expected = load(trained)(picture, threshold=0.02, max_detections=20)
    assert len(expected.scores) > 5
    found = printed_by_the_document(file, format, picture, capsys, monkeypatch)
    assert [name for name, *_ in found] == list(expected.names)
    np.testing.assert_allclose([float(score) for _, score, _ in found], expected.scores, atol=1e-5)
    boxes_xyxy = [[float(number) for number in box.split()] for *_, box in found]
    np.testing.assert_allclose(boxes_xyxy, expected.boxes_xyxy, atol=0.01)


def network_of(name: str, folder: Path) -> "y9.Detector | y9.Classifier":
    if name.startswith("golden "):
        cfg, weights = golden_net(name.removeprefix("golden "), folder)
        return load_darknet(cfg, weights)
    tree = y9.WordTree(("animal", "thing", "dog", "cat", "poodle"), np.array([-1, -1, 0, 0, 2], np.int32))
    shared = {"image_size": 64, "anchors_cells": ((1.0, 1.0), (2.0, 1.5)), "width": 1 / 32, "resize": "letterbox"}
    network = Network("detection", tree.names, tree=tree, box_parametrisation="offset", **shared)
    return with_random_weights(network)


def with_random_weights(network: Network) -> "y9.Detector | y9.Classifier":
    model, rng = build_model(network), np.random.default_rng(3)
    images = jnp.zeros((1, network.image_size, network.image_size, 3))
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)

    def fill(path, leaf):
        if path[-1].key == "kernel":
            return rng.normal(0, np.sqrt(2 / np.prod(leaf.shape[:-1])), leaf.shape).astype(np.float32)
        return rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32)

    return make_predictor(network, jax.tree_util.tree_map_with_path(fill, shapes), model)


FAMILIES = (
    "golden yolov2-voc-s16",
    "golden yolo9000-s16-t33",
    "golden yolov1-s16",
    "golden darknet9000-s16-t33",
    "ours",
)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory):
    """A program of a network of each family, its inputs, three pictures, and what it gives of them."""
    predictor = network_of(request.param, tmp_path_factory.mktemp("family"))
    program = make_program(predictor, Reading(threshold=0.02, max_detections=40))
    width, height = predictor.size_wh
    images = np.random.default_rng(1).uniform(size=(3, height, width, 3)).astype(np.float32)
    inputs = [images, SIZES_WH][: len(program.inputs)]
    expected = [np.asarray(output) for output in jax.jit(program.function)(*inputs)]
    assert (expected[min(1, len(expected) - 1)] > 0).sum() > 20  # scores
    return program, inputs, expected


def assert_same(outputs, expected):
    for found, wanted in zip(outputs, expected, strict=True):
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, atol=1e-2 if wanted.ndim == 3 else 1e-5)


def test_every_family_is_the_same_in_onnx(family):
    runtime = pytest.importorskip("onnxruntime")
    program, inputs, expected = family
    session = runtime.InferenceSession(to_onnx(program), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map[METADATA] == program.facts
    given_inputs = dict(zip(program.inputs, inputs, strict=True))
    assert_same(session.run(list(program.outputs), given_inputs), expected)


@pytest.mark.parametrize("family", FAMILIES[:2], indirect=True)
def test_a_grid_and_a_tree_are_the_same_in_tflite(family):
    lite = pytest.importorskip("tensorflow").lite
    program, inputs, expected = family
    runner = lite.Interpreter(model_content=to_tflite(program)).get_signature_runner()
    found = runner(**{name: values[:1] for name, values in zip(program.inputs, inputs, strict=True)})
    assert_same([found[name] for name in program.outputs], [output[:1] for output in expected])


def test_int8_is_smaller_and_nearly_the_same(trained, picture, tmp_path, run):
    lite = pytest.importorskip("tensorflow").lite
    detector, file = load(trained), tmp_path / "int8"
    options = ("--format", "tflite", "--int8", "--threshold", ".02", "--output", file)
    assert run("export", "--workdir", trained, *options)[0] == 0
    count = sum(np.size(leaf) for leaf in jax.tree.leaves(detector.variables["params"]))
    assert file.stat().st_size < 0.7 * 4 * count  # bytes of float32
    inputs = {"images": detector.to_inputs([picture]), "sizes_wh": np.array([[150, 90]], np.float32)}
    found = lite.Interpreter(str(file)).get_signature_runner()(**inputs)["scores"].max()
    best = detector(picture, threshold=0.02).scores.max()
    assert found != best and abs(found - best) < 0.1 * best


def test_the_facts_travel(trained, tmp_path):
    save(load(trained), tmp_path / "network", "stablehlo", threshold=0.5)
    facts = json.loads(zipfile.ZipFile(tmp_path / "network").read("network.json"))
    network = json.loads((trained / "network.json").read_text())["network"]
    for name in ("classes", "resize", "sampling", "task"):
        assert facts[name] == network[name]
    np.testing.assert_allclose(facts["anchors_cells"], network["anchors_cells"], rtol=1e-6)
    assert facts["size_wh"] == [64, 64] and facts["reading"]["threshold"] == 0.5


@pytest.fixture(scope="module")
def on_a_tree(tmp_path_factory):
    return network_of("ours", tmp_path_factory.mktemp("tree"))


def labels_of(predictor, **reading) -> set[str]:
    program = make_program(predictor, Reading(threshold=0.001, nms=1, **reading))
    json.loads(program.facts)
    images = np.random.default_rng(1).uniform(size=(3, 64, 64, 3)).astype(np.float32)
    _, scores, labels = program.function(images, SIZES_WH)
    return {predictor.classes[label] for label in labels[scores > 0]}


def test_subtrees_have_thresholds_of_their_own(on_a_tree, tmp_path):
    assert labels_of(on_a_tree, hierarchical_threshold={"*": 0}) == {"thing", "cat", "poodle"}
    assert labels_of(on_a_tree, hierarchical_threshold={"*": 0, "dog": 1}) == {"thing", "cat", "animal"}
    with pytest.raises(UserError, match="no node is called 'eel'"):
        save(on_a_tree, tmp_path / "out", "onnx", hierarchical_threshold={"eel": 0.5})


def test_the_threshold_of_the_command_line(on_a_tree, tmp_path, run, monkeypatch):
    monkeypatch.setattr("yolo9000_jax.cli.export.load_network", lambda options: on_a_tree)
    options = ("--hierarchical-threshold", ".25", "--hierarchical-threshold", "dog=.75")
    status, *_ = run("export", "--workdir", "any", "--format", "stablehlo", "--output", tmp_path / "out", *options)
    assert status == 0
    facts = json.loads(zipfile.ZipFile(tmp_path / "out").read("network.json"))
    assert facts["reading"]["hierarchical_threshold"] == {"*": 0.25, "dog": 0.75}


@settings(max_examples=30)
@given(
    st.sampled_from([("stretch", "darknet"), ("letterbox", "darknet"), ("letterbox", "half_pixel")]),
    st.tuples(st.integers(1, 8000), st.integers(1, 8000)),
    st.sampled_from([(64, 64), (96, 160), (608, 608)]),
)
def test_boxes_come_back_to_the_picture_as_with_resize(way, image_wh, net_wh):
    boxes_cxcywh = np.array([[0.5, 0.4, 0.3, 0.2], [0.1, 0.9, 0.5, 0.5], [0, 0, 0, 0]], np.float32)
    expected = Resize(*way).to_picture(boxes_cxcywh, image_wh, net_wh)
    found = to_picture(
        boxes_cxcywh[None], np.array([[True, True, False]]), np.array([image_wh], np.float32), net_wh, Resize(*way)
    )[0]
    np.testing.assert_allclose(found[:2], expected[:2], atol=1e-5 * max(image_wh))
    assert not np.any(found[2])


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--format", "caffe"), "format 'caffe': choose stablehlo, savedmodel, tflite or onnx"),
        (("--format", "onnx", "--int8"), "int8 is for tflite, not for onnx"),
        (("--format", "onnx", "--hierarchical-threshold", ".5"), "this network's classes form no tree"),
        (("--format", "onnx", "--max-detections", "1025"), "max_detections 1025: it must be from 1 to 1024"),
        (("--format", "onnx", "--resize", "crop"), "resize 'crop': choose letterbox or stretch"),
    ],
)
def test_what_cannot_be_is_said(arguments, line, trained, tmp_path, refused):
    assert line in refused("export", "--workdir", trained, "--output", tmp_path / "out/file", *arguments)
    assert not (tmp_path / "out").exists()


def test_no_file_is_lost_and_none_written_where_it_cannot_be(trained, tmp_path, refused):
    (tmp_path / "mine").write_text("mine")
    for output, line in (("mine", "is there already: choose another name"), ("mine/x.onnx", "cannot be written")):
        assert line in refused("export", "--workdir", trained, "--format", "onnx", "--output", tmp_path / output)
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize(
    ("format", "module", "extra"), [("onnx", "onnx", "onnx"), ("tflite", "tensorflow", "tensorflow")]
)
def test_a_missing_package_is_named(format, module, extra, trained, tmp_path, refused, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    line = refused("export", "--workdir", trained, "--format", format, "--output", tmp_path / "out")
    assert f"pip install yolo9000_jax[{extra}]" in line


def test_numbers_that_a_format_does_not_hold_are_named(tmp_path):
    pytest.importorskip("onnx")
    network = Network("classification", ("a", "b"), 32, width=1 / 64, compute_dtype="bfloat16", resize="crop")
    classifier = with_random_weights(network)
    with pytest.raises(UserError, match="onnx: holds no numbers of type bfloat16"):
        save(classifier, tmp_path / "out", "onnx")
