"""Darknet's files as a Detector or a Classifier: Darknet's own detections, and one line for each mistake."""

from contextlib import contextmanager
from pathlib import Path

import jax
import numpy as np
import pytest

import yolo9000_jax as y9
from tests.helpers import golden_dir, golden_json, golden_net, golden_nets
from yolo9000_jax.boxes.geometry import cxcywh_to_xyxy, iou_cxcywh
from yolo9000_jax.boxes.tree import detect_tree
from yolo9000_jax.errors import UserError
from yolo9000_jax.images.resizing import Resize, letterboxed_size
from yolo9000_jax.predict.loading import load_darknet
from yolo9000_jax.wordtree.tree import WordTree

SCORE_TOLERANCE = 1e-4  # of a score, or of 1 where that is more: YOLOv1's may be 10
BOX_TOLERANCE = 1e-4  # of the network's input


def _letterboxed(rows, net) -> np.ndarray:
    """Golden boxes, relative to the picture, as boxes_xyxy in pixels of the letterboxed input."""
    inner = np.array(letterboxed_size(*net["image_wh"], *net["size_wh"]))
    return cxcywh_to_xyxy(rows[:, 4:8]) * np.tile(inner, 2) + np.tile((net["size_wh"] - inner) / 2, 2)


def _stretched(rows, net) -> np.ndarray:
    """The same of YOLOv1: golden boxes are in pixels of the picture, and the way back knows no letterbox."""
    return cxcywh_to_xyxy(rows[:, 4:8]) * np.tile(np.divide(net["size_wh"], net["image_wh"]), 2)


def _expected(rows, boxes_xyxy, net) -> list[tuple]:
    """Golden rows as sorted (class, score, box cut at the input's border)."""
    boxes_xyxy = boxes_xyxy.clip(0, np.tile(net["size_wh"], 2))
    return sorted(zip(rows[:, 1].astype(int), rows[:, 2], map(tuple, boxes_xyxy), strict=True))


def _suppress(rows, iou_threshold: float):
    """Golden rows after greedy suppression within each class, as a plain loop."""
    kept = []
    for row in rows[np.argsort(-rows[:, 2])]:
        rivals = [other for other in kept if other[1] == row[1]]
        if all(iou_cxcywh(other[4:8], row[4:8]) <= iou_threshold for other in rivals):
            kept.append(row)
    return np.array(kept)


def _match(found, expected, threshold: float, side: int) -> int:
    """How many rows have no partner; raises where more than those near the threshold have none."""
    rows = list(zip(found.labels, found.scores, found.boxes_xyxy, strict=True))
    missing = 0
    for label, score, box in expected:
        near = SCORE_TOLERANCE * max(1, score)
        partner = next(
            (
                i
                for i, (c, s, b) in enumerate(rows)
                if c == label and abs(s - score) < near and np.abs(b - box).max() < BOX_TOLERANCE * side
            ),
            None,
        )
        if partner is None:
            assert abs(score - threshold) < SCORE_TOLERANCE, f"class {label}, score {score} is missing"
            missing += 1
        else:
            rows.pop(partner)
    assert all(abs(score - threshold) < SCORE_TOLERANCE for _, score, _ in rows), f"{len(rows)} too many"
    return missing


@pytest.mark.parametrize("name", golden_nets("region", "detection"))
def test_detections_are_darknets(name, tmp_path):
    """The input is a picture of the network's own size, which no resize changes."""
    net = golden_json("nets.json")[name]
    options = net["dets"]
    detector = load_darknet(*golden_net(name, tmp_path))
    old = net["layers"][net["output_layer"]][0] == "detection"
    assert detector.size_wh == tuple(net["size_wh"]) and detector.resize == ("stretch" if old else "letterbox")
    with np.load(golden_dir() / net["input"]) as stored:
        picture = stored["u8"].transpose(1, 2, 0)
    with np.load(golden_dir() / f"net_{name}.npz") as stored:
        raw, kept = stored["dets_raw"], stored["dets_nms"]
    if detector.tree is not None:  # Darknet multiplied twice down the tree for the second of these (darknet.md 7.3)
        kept = _suppress(raw, options["nms"])
    for iou, rows in ((1.0, raw), (options["nms"], kept)):
        (found,) = detector.stream(
            [picture],
            threshold=options["thresh"],
            nms=iou,
            hierarchical_threshold=options["hier_thresh"],
            batch_size=1,
        )
        expected = _expected(rows, (_stretched if old else _letterboxed)(rows, net), net)
        assert len(expected) == len(rows) and (len(rows) or not options["raw"])
        assert _match(found, expected, options["thresh"], max(net["size_wh"])) < 3
    if detector.tree is None:
        assert found.paths is None and all(name.startswith("class ") for name in found.names)
    else:
        assert found.names[0] == detector.tree.synsets[found.labels[0]] == found.paths[0][-1]
        assert len(found.paths[0]) == detector.tree.depths[found.labels[0]] + 1
        assert found.to_json()["detections"][0]["path"] == list(found.paths[0])


def _tree_cases() -> list:
    """(case, number of its inference) of the golden region layers with trees."""
    cases = golden_json("loss/loss.json").items()
    return [
        (name, n)
        for name, case in cases
        if case.get("region", {}).get("tree")
        for n in range(len(case.get("dets", [])))
    ]


@pytest.mark.parametrize("name, number", _tree_cases())
def test_tree_detections_are_darknets(name, number):
    case = golden_json("loss/loss.json")[name]
    options, region = case["dets"][number], case["region"]
    tree = WordTree.load(golden_dir() / region["tree"])
    nodes = np.array(options["map"]) if "map" in options else None
    with np.load(golden_dir() / f"loss/{name}.npz") as stored:
        x, golden = stored["x"][:1], {key: stored[key] for key in stored if key.startswith(f"det{number}_")}
    raw = x.reshape(1, region["num"], -1, *x.shape[2:]).transpose(0, 3, 4, 1, 2)
    anchors = np.reshape(case["anchors"], (-1, 2))
    found = detect_tree(
        raw, anchors, tree, options["thresh"], options.get("nms", 0.45), options.get("hier", 0.5), nodes=nodes
    )
    valid = np.asarray(found.valid[0])
    expected = golden[f"det{number}_nms"]
    assert valid.sum() == len(expected)
    grid_wh = case["grid_hw"][::-1]
    found_cxcywh = np.asarray(found.boxes_cxcywh[0])[valid]
    boxes = Resize("letterbox").to_picture(found_cxcywh, options["image_wh"], grid_wh, clip=False)
    got = sorted(zip(found.labels[0][valid].tolist(), np.asarray(found.scores[0])[valid], boxes.sum(1), strict=True))
    by_index = cxcywh_to_xyxy(golden[f"det{number}_bbox"])
    if options["relative"]:
        by_index = by_index * np.tile(options["image_wh"], 2)
    wanted = sorted((int(row[1]), row[2], by_index[int(row[0])].sum()) for row in expected)
    np.testing.assert_array_equal([row[0] for row in got], [row[0] for row in wanted])
    np.testing.assert_allclose([row[1] for row in got], [row[1] for row in wanted], atol=1e-5)


@pytest.mark.parametrize("name", golden_nets("softmax"))
def test_a_classifier_gives_darknets_probabilities(name, tmp_path):
    net = golden_json("nets.json")[name]
    with np.load(golden_dir() / f"net_{name}.npz") as stored:
        expected = stored["final"]
    files = golden_net(name, tmp_path)
    if "tree" in files[0].read_text():
        pytest.skip("conditional probabilities")
    classifier = load_darknet(*files)
    assert isinstance(classifier, y9.Classifier) and classifier.resize == "crop"
    with np.load(golden_dir() / net["input"]) as stored:
        ranking = classifier(stored["u8"].transpose(1, 2, 0))
    order = np.argsort(-expected)[:5]
    np.testing.assert_array_equal(ranking.labels, order)
    np.testing.assert_allclose(ranking.scores, expected[order], atol=1e-5)
    assert ranking.to_json()["top"][0]["label"] == f"class {order[0]}"


# A classifier with a tree, and what cannot be loaded.

NET = "[net]\nwidth=32\nheight=32\nchannels=3\n[convolutional]\nfilters={}\nsize=1\nactivation=linear\n"


def write_net(folder, head: str, filters: int, numbers=None) -> tuple[Path, Path]:
    """A network of one 1x1 convolution; its biases are `numbers`, its weights 0."""
    (folder / "a.cfg").write_text(NET.format(filters) + head)
    values = np.concatenate([np.zeros(filters) if numbers is None else numbers, np.zeros(3 * filters)])
    (folder / "a.weights").write_bytes(np.array([0, 1, 0, 0], "<i4").tobytes() + values.astype("<f4").tobytes())
    return folder / "a.cfg", folder / "a.weights"


def refused(*arguments, **options) -> str:
    with pytest.raises(UserError) as caught:
        load_darknet(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


PICTURE = np.zeros((32, 32, 3), np.uint8)
TREE = "top -1\nleft 0\nright 0\n"
TREE_HEAD = "[avgpool]\n[softmax]\ntree=data/a.tree\n"


@pytest.mark.parametrize("place", ["net/data", "data", "net"])
def test_a_tree_beside_the_cfg_or_one_above(tmp_path, place):
    (tmp_path / "net").mkdir()
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / "a.tree").write_text(TREE)
    classifier = load_darknet(*write_net(tmp_path / "net", TREE_HEAD, 3, [5, 0, np.log(3)]))
    ranking = classifier(PICTURE, top=3)
    np.testing.assert_allclose(ranking.scores, [0.75, 0.25, 0], atol=1e-5)
    assert ranking.names == ("right", "left", "top"), "inner nodes count nothing"


def test_a_tree_in_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "deep/net").mkdir(parents=True)
    (tmp_path / "data/a.tree").write_text(TREE)
    files = write_net(tmp_path / "deep/net", TREE_HEAD, 3)
    message = refused(*files)
    assert "a.cfg, line" in message and "no tree data/a.tree" in message
    monkeypatch.chdir(tmp_path)
    assert load_darknet(*files, names=["a", "b", "c"]).tree.names == ("a", "b", "c")
    (tmp_path / "data/a.tree").write_text("top -1\nleft 0\n")
    assert "3 classes, but its tree data/a.tree has 2 nodes" in refused(*files)


REGION = "[region]\nclasses=2\nnum=1\nanchors=1,1\n{}"


def test_class_activation_is_that_of_the_cfg(tmp_path):
    logits = [0, 0, 0, 0, 20, 2, 2]
    logistic = load_darknet(*write_net(tmp_path, REGION.format(""), 7, logits))
    assert logistic(PICTURE, nms=0.0).scores[0] == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-5)
    softmax = load_darknet(*write_net(tmp_path, REGION.format("softmax=1"), 7, logits))
    assert softmax(PICTURE, nms=0.0).scores[0] == pytest.approx(0.5, abs=1e-5)
    background = load_darknet(*write_net(tmp_path, REGION.format("softmax=1\nbackground=1"), 7, [0, 0, 0, 0, 2, 2, 2]))
    assert background(PICTURE, nms=0.0).scores[0] == pytest.approx(1 / 3, abs=1e-5)


def test_names(tmp_path):
    files = write_net(tmp_path, REGION.format("surprise=1"), 7)
    assert load_darknet(*files).classes == ("class 0", "class 1")
    assert "surprise" in load_darknet(*files).notes[0]
    (tmp_path / "a.names").write_text("n02121620 cat\nn02084071 dog\n")
    detector = load_darknet(*files, names=tmp_path / "a.names")
    assert detector.classes == ("cat", "dog") and detector.synsets == ("n02121620", "n02084071")
    (tmp_path / "a.names").write_text("cat\ndog\nbird\n")
    assert "3 names, but the network has 2 classes" in refused(*files, names=tmp_path / "a.names")
    assert "1 names, but" in refused(*files, names=["cat"])
    assert "b.names: cannot be read" in refused(*files, names=tmp_path / "b.names")


def test_files_that_do_not_belong_together(tmp_path):
    cfg, weights = write_net(tmp_path, REGION.format(""), 7)
    assert "b.cfg" in refused(tmp_path / "b.cfg", weights)
    assert "b.weights" in refused(cfg, tmp_path / "b.weights")
    (tmp_path / "other").mkdir()
    _, other = write_net(tmp_path / "other", "[avgpool]\n", 9)
    assert "needs 28 numbers, the file holds 36" in refused(cfg, other)


def test_networks_that_are_neither(tmp_path):
    assert "ends in [maxpool]" in refused(*write_net(tmp_path, "[maxpool]\n", 3))


# The same network again.


@contextmanager
def compilations():
    """The names of the programs that are compiled meanwhile."""
    names = []

    def listen(event, seconds, fun_name="", **_):
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(fun_name)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield names
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


TREE_REGION = "[region]\nclasses=3\nnum=1\nanchors=1,1\nsoftmax=1\ntree=a.tree\n"


@pytest.mark.parametrize("head, filters", [(REGION.format("softmax=1"), 7), (TREE_REGION, 8), (TREE_HEAD, 3)])
def test_a_network_that_is_loaded_again_compiles_nothing(tmp_path, head, filters):
    for folder in (tmp_path, tmp_path / "data"):
        folder.mkdir(exist_ok=True)
        (folder / "a.tree").write_text(TREE)
    cfg, weights = write_net(tmp_path, head, filters)
    cfg.write_text(cfg.read_text().replace("[convolutional]\n", "[convolutional]\nbatch_normalize=1\n"))
    numbers = np.concatenate([np.zeros(filters), np.ones(2 * filters), np.ones(4 * filters)])
    weights.write_bytes(np.array([0, 1, 0, 0], "<i4").tobytes() + numbers.astype("<f4").tobytes())
    with compilations() as names:
        first = load_darknet(cfg, weights)
        first(PICTURE)
    assert sum("_apply" in name for name in names) == 1
    with compilations() as names:
        again = load_darknet(cfg, weights)
        again(PICTURE)
    assert names == []
    assert again.model == first.model and hash(again.model) == hash(first.model) and again.model is not first.model
    assert len(repr(first)) < 100 and len(repr(first.model)) < 100


def test_a_workdir_that_is_loaded_again_compiles_nothing(trained):
    y9.load(trained)(PICTURE)
    with compilations() as names:
        y9.load(trained)(PICTURE)
    assert names == []
