"""Darknet's files to workdirs and back: the same outputs and the same bytes; weights to start a run from."""

import json
import math
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest

import yolo9000_jax as y9
from tests.helpers import golden_net
from tests.predict.test_loading import PICTURE, REGION, TREE, write_net
from yolo9000_jax import config as configs
from yolo9000_jax.darknet import native
from yolo9000_jax.darknet.cfg import parse_cfg
from yolo9000_jax.darknet.convert import from_workdir, read_start, to_workdir
from yolo9000_jax.darknet.weights import WeightsHeader, write_weights
from yolo9000_jax.errors import UserError
from yolo9000_jax.models.build import build_model
from yolo9000_jax.models.layers import scaled
from yolo9000_jax.models.network import Network
from yolo9000_jax.predict.loading import load_darknet
from yolo9000_jax.training.start import start_variables
from yolo9000_jax.workdir.facts import load_facts

SMALL = 1 / 32
ANCHORS = {
    "anchors": "1,2,3,2",
    "num": 2,
    "coords": 4,
    "softmax": 1,
    "rescore": 1,
    "thresh": 0.6,
    "object_scale": 5,
    "random": 0,
}
IMAGES = np.random.default_rng(3).random((1, 64, 64, 3), np.float32)


def random_arrays(layer, rng) -> dict[str, np.ndarray]:
    """Parameters that keep activations near 1, also where a variance is so small that batch norm's epsilon decides."""
    arrays = {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in layer.parameters().items()}
    arrays["weights"] *= np.sqrt(8 / math.prod(arrays["weights"].shape[1:][-3:]))
    if "rolling_variance" in arrays:
        arrays["scales"] += 1
        arrays["rolling_variance"] = np.exp(arrays["rolling_variance"])
        arrays["rolling_variance"][0], arrays["scales"][0] = 1e-8, 1e-4
    return arrays


def write(folder, network: native.Native, head=None, seed=0):
    """Darknet's files of one of our networks, with random numbers in them; some variances are tiny."""
    folder.mkdir(exist_ok=True)
    net = {"batch": 4, "width": 64, "height": 64, "channels": 3}
    (folder / "a.cfg").write_text(native.write_cfg(network, net, head))
    plan, rng = parse_cfg(folder / "a.cfg"), np.random.default_rng(seed)
    arrays = {layer.index: random_arrays(layer, rng) for layer in plan.layers if layer.parameters()}
    write_weights(folder / "a.weights", plan, arrays, WeightsHeader(seen=4 * 1000))
    return folder / "a.cfg", folder / "a.weights"


def detector(folder, classes=3, **options):
    network = native.Native("detection", 2 * (5 + classes), options.pop("width", SMALL), **options)
    return write(folder, network, ("region", {"classes": classes, **ANCHORS}))


def classifier(folder, classes=7, **options):
    return write(folder, native.Native("classification", classes, options.pop("width", SMALL)), ("softmax", {}))


def yolo_v1(folder, classes=3, **options):
    options = {"trunk": "extraction", "hidden": 5} | options
    network = native.Native("detection", 4 * (classes + 10), SMALL, architecture="yolo_v1", **options)
    scales = {"coord_scale": 5, "noobject_scale": 0.5, "rescore": 1}
    return write(
        folder, network, ("detection", {"classes": classes, "side": 2, "num": 2, "coords": 4, "sqrt": 1} | scales)
    )


def extraction(folder, classes=7, **options):
    network = native.Native("classification", classes, SMALL, trunk="extraction", **options)
    return write(folder, network, ("softmax", {}))


@pytest.mark.parametrize(
    "make",
    [
        detector,
        lambda folder: detector(folder, passthrough="none"),
        lambda folder: detector(folder, width=0.07),
        classifier,
        lambda folder: detector(folder, trunk="extraction", batch_norm=False),
        yolo_v1,
        lambda folder: yolo_v1(folder, head="local", dropout=0.25, batch_norm=False),
        lambda folder: yolo_v1(folder, trunk="tiny", head="direct", dropout=0.0),
        lambda folder: extraction(folder, logits="leaky"),
    ],
    ids=[
        "detector",
        "without passthrough",
        "odd width",
        "classifier",
        "convolutional",
        "YOLOv1",
        "YOLOv1 of Darknet",
        "Fast YOLO",
        "Extraction",
    ],
)
def test_there_and_back(tmp_path, make):
    cfg, weights = make(tmp_path / "darknet")
    to_workdir(cfg, weights, tmp_path / "run")
    theirs, ours = load_darknet(cfg, weights), y9.load(tmp_path / "run")
    assert type(theirs) is type(ours) and ours.classes == theirs.classes and ours.size_wh == theirs.size_wh
    detects = isinstance(ours, y9.Detector)
    assert type(ours.model).__name__ in (("YoloV1", "YoloV2") if detects else ("Darknet19", "Extraction"))
    assert ours.resize == theirs.resize
    expected = np.asarray(jax.jit(theirs.model.apply)(theirs.variables, IMAGES))
    found = np.asarray(jax.jit(ours.model.apply)(ours.variables, IMAGES))
    assert np.isfinite(expected).all() and expected.std() > 1e-3
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    if detects:
        assert ours.head == theirs.head
        assert ours(PICTURE).to_json() == theirs(PICTURE).to_json()

    for _ in range(2):
        files = from_workdir(tmp_path / "run", tmp_path / "back.weights")
    assert [path.name for path in files] == ["back.weights", "back.cfg", "back.names"]
    assert (tmp_path / "back.weights").read_bytes() == weights.read_bytes()
    before, after = parse_cfg(cfg), parse_cfg(tmp_path / "back.cfg")
    assert native.recognise(after) == native.recognise(before)
    for key in (*"type anchors classes rescore thresh object_scale softmax side num sqrt coord_scale".split(),):
        assert getattr(before.head, key, None) == getattr(after.head, key, None), key
    again = load_darknet(tmp_path / "back.cfg", tmp_path / "back.weights", tmp_path / "back.names")
    assert again.classes == ours.classes


@pytest.mark.parametrize("name", ["yolov2-voc-s16", "darknet19-s16", "yolov1-s16"])
def test_darknets_own_cfg_files(name, tmp_path):
    cfg, weights = golden_net(name, tmp_path)
    to_workdir(cfg, weights, tmp_path / "run")
    from_workdir(tmp_path / "run", tmp_path / "back.weights")
    assert (tmp_path / "back.weights").read_bytes()[20:] == weights.read_bytes()[20:]
    assert y9.load(tmp_path / "run").model.width == 1 / 16


def test_a_trained_workdir_gives_darknets_files(trained, tmp_path):
    from_workdir(trained, tmp_path / "tiny.weights")
    theirs = load_darknet(tmp_path / "tiny.cfg", tmp_path / "tiny.weights", tmp_path / "tiny.names", batch_norm="gpu")
    ours = y9.load(trained)
    assert theirs.classes == ours.classes == ("disc", "rectangle") and theirs.size_wh == ours.size_wh
    assert theirs.head.anchors_cells == ours.head.anchors_cells
    a, b = (np.asarray(jax.jit(each.model.apply)(each.variables, IMAGES)) for each in (theirs, ours))
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("make, option", [(detector, "softmax=1\n"), (classifier, "[softmax]\n")])
def test_a_tree_there_and_back(tmp_path, make, option):
    """The workdir needs no other file; with the files made of it Darknet's outputs are the same again."""
    cfg, weights = make(tmp_path / "darknet", classes=3)
    cfg.write_text(cfg.read_text().replace(option, f"{option}tree=a.tree\n"))
    (tmp_path / "darknet/a.tree").write_text(TREE)
    (tmp_path / "darknet/a.names").write_text("all\nthis\nthat\n")
    to_workdir(cfg, weights, tmp_path / "run", tmp_path / "darknet/a.names")
    written = from_workdir(tmp_path / "run", tmp_path / "b.weights")
    assert [path.name for path in written] == ["b.weights", "b.cfg", "b.names", "b.tree"]
    assert (tmp_path / "b.weights").read_bytes() == weights.read_bytes()
    assert (tmp_path / "b.tree").read_text() == TREE
    theirs = load_darknet(cfg, weights, tmp_path / "darknet/a.names")
    again = load_darknet(tmp_path / "b.cfg", tmp_path / "b.weights", tmp_path / "b.names")
    shutil.rmtree(tmp_path / "darknet")
    ours = y9.load(tmp_path / "run")
    options = {"threshold": 0.0} if make is detector else {"top": 3}
    for other in (ours, again):
        assert other.tree.names == ("all", "this", "that") and other.tree.synsets == theirs.tree.synsets
        expected, found = theirs(PICTURE, **options), other(PICTURE, **options)
        assert len(found.labels) and found.names == expected.names
        np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5, atol=1e-6)
    assert load_facts(tmp_path / "run").network.seen is None


@pytest.mark.parametrize("width", [1, 0.75, 0.5, 0.3, 0.25, 1 / 16, 0.07])
def test_width_is_found_again(width):
    network = native.Native("detection", 24, width)
    net = {"width": 64, "height": 64, "channels": 3}
    found = native.recognise(parse_cfg(native.write_cfg(network, net, ("region", {"classes": 3, "num": 3}))))
    for filters in (32, 64, 128, 256, 512, 1024):
        assert scaled(filters, found.width) == scaled(filters, width)
    if width in (1, 0.75, 0.5, 0.25, 1 / 16):
        assert found.width == width


def refused(action, *arguments) -> str:
    with pytest.raises(UserError) as caught:
        action(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_converted(tmp_path):
    plain = tmp_path / "plain"
    plain.mkdir()
    message = refused(to_workdir, *write_net(plain, REGION.format("softmax=1"), 7), tmp_path / "run")
    assert "differs from YOLOv2 at layer 0 [convolutional] on line 5" in message
    assert "ends in [maxpool]" in refused(to_workdir, *write_net(plain, "[maxpool]\n", 3), tmp_path / "run")
    cfg, weights = detector(tmp_path / "d")
    text = cfg.read_text()
    for old, new, part in (
        ("softmax=1", "softmax=0", "softmax=0 can be run, not converted"),
        ("width=64", "width=96", "96x64; a workdir's is square and a multiple of 32"),
        ("[region]", "[maxpool]\nsize=1\nstride=1\n[region]", "differs from YOLOv2 at layer 31 [maxpool]"),
        ("layers=-1,-4", "layers=-4,-1", "differs from YOLOv2 at layer 28 [route]"),
        ("activation=leaky", "activation=relu", "differs from YOLOv2 at layer 0 [convolutional]"),
        ("random=", "tree=x\nrandom=", "there is no tree x in the working directory"),
        ("random=", "background=1\nrandom=", "background or temperature can be run, not converted"),
    ):
        assert old in text
        cfg.write_text(text.replace(old, new))
        assert part in refused(to_workdir, cfg, weights, tmp_path / "run")
    old_cfg, old_weights = yolo_v1(tmp_path / "old")
    old_cfg.write_text(old_cfg.read_text().replace("sqrt=1", "sqrt=0"))
    assert "sqrt=0 or forced=1 can be run" in refused(to_workdir, old_cfg, old_weights, tmp_path / "run")
    cfg.write_text(text)
    (tmp_path / "three.names").write_text("a\nb\n")
    assert "2 names, but" in refused(to_workdir, cfg, weights, tmp_path / "run", tmp_path / "three.names")
    assert not (tmp_path / "run").exists()
    to_workdir(cfg, weights, tmp_path / "run")
    assert "holds a run already" in refused(to_workdir, cfg, weights, tmp_path / "run")
    assert "can't write" in refused(from_workdir, tmp_path / "run", tmp_path / "none/a.weights")
    assert "no network.json" in refused(from_workdir, tmp_path, tmp_path / "a.weights")
    values = json.loads((tmp_path / "run/network.json").read_text())
    before = (tmp_path / "run/network.json").read_bytes()
    assert "network.json is there, without a .cfg" in refused(
        from_workdir, tmp_path / "run", tmp_path / "run/network.json"
    )
    assert (tmp_path / "run/network.json").read_bytes() == before
    for ending in ("cfg", "names", "TREE"):
        message = refused(from_workdir, tmp_path / "run", tmp_path / f"a.{ending}")
        assert "name FILE.weights" in message and not (tmp_path / f"a.{ending}").exists()
        if ending != "TREE":
            (tmp_path / f"mine.{ending}").write_text("mine")
            message = refused(from_workdir, tmp_path / "run", tmp_path / "mine.weights")
            assert f"mine.{ending} is there, with other content" in message
            assert (tmp_path / f"mine.{ending}").read_text() == "mine" and not (tmp_path / "mine.weights").exists()
            (tmp_path / f"mine.{ending}").unlink()
    for fact, value in (("box_parametrisation", "offset"), ("passthrough", "paper")):
        changed = values | {"network": values["network"] | {fact: value}}
        (tmp_path / "run/network.json").write_text(json.dumps(changed))
        message = refused(from_workdir, tmp_path / "run", tmp_path / "a.weights")
        assert f"model.{fact}='{value}' cannot be written" in message


# Weights to start a run from.


def fresh(network):
    return jax.device_get(jax.jit(build_model(network).init)(jax.random.key(5), IMAGES))


@pytest.fixture(scope="module")
def network():
    return Network(
        "detection", ("a", "b", "c"), 416, width=SMALL, passthrough="darknet", anchors_cells=((1.0, 2.0), (3.0, 2.0))
    )


@pytest.fixture(scope="module")
def start(network):
    return fresh(network)


def taken(network, start, path):
    """Names of the convolutions that come from the file, after checking that each comes whole."""
    chosen = start_variables(f"darknet:{path}", start, network)
    same = jax.tree.map(lambda a, b: bool(np.array_equal(a, b)), chosen, start)
    params = same["params"] | same["params"]["trunk"]
    del params["trunk"]
    assert all(len(set(jax.tree.leaves(layer))) == 1 for layer in params.values())
    return {name for name, layer in params.items() if not layer["kernel"]}


TRUNK = {f"conv{n}" for n in range(1, 19)}
DETECTOR = TRUNK | {"conv19", "conv20", "conv21", "passthrough", "boxes"}


def test_whole_files(tmp_path, network, start):
    assert taken(network, start, detector(tmp_path / "same")[1]) == DETECTOR
    assert taken(network, start, detector(tmp_path / "other", classes=5)[1]) == DETECTOR - {"boxes"}
    assert taken(network, start, classifier(tmp_path / "classifier")[1]) == TRUNK
    for way in ("none", "paper"):
        others = DETECTOR - {"passthrough", "conv21"}
        assert taken(network, start, detector(tmp_path / way, passthrough=way)[1]) == others


def test_the_papers_passthrough_takes_no_layer_behind_darknets_reorg(network, tmp_path):
    """Not even one of the same shape, yolo-voc.2.0.cfg's: its channels are in another order."""
    paper = replace(network, passthrough="paper")
    start = fresh(paper)
    for way in ("paper", "darknet", "none"):
        found = taken(paper, start, detector(tmp_path / way, passthrough=way)[1])
        assert found == DETECTOR - {"passthrough", "conv21"}


def test_reorg_of_all_channels_is_not_the_papers_passthrough(tmp_path):
    """yolo-voc.2.0.cfg has as many weights, but for an order of channels that our network does not have."""
    cfg, weights = detector(tmp_path / "d", passthrough="paper")
    assert "differs from YOLOv2 at layer" in refused(to_workdir, cfg, weights, tmp_path / "run")


def test_yolo_v1_starts_from_whole_files(tmp_path):
    options = {"architecture": "yolo_v1", "trunk": "extraction", "width": SMALL, "hidden": 5, "side": 2}
    c = Network("detection", ("a", "b", "c"), 64, **options)
    start, trunk = fresh(c), {f"conv{n}" for n in range(1, 21)}
    whole = trunk | {"conv21", "conv22", "conv23", "conv24", "hidden", "output"}
    assert taken(c, start, yolo_v1(tmp_path / "same")[1]) == whole
    assert taken(c, start, yolo_v1(tmp_path / "other", classes=5)[1]) == whole - {"output"}
    assert taken(c, start, extraction(tmp_path / "classifier")[1]) == trunk


def test_first_layers(tmp_path, network, start):
    """As darknet19_448.conv.23, and one layer more."""
    _, weights = detector(tmp_path / "d")
    plan = parse_cfg(tmp_path / "d/a.cfg")
    counts = [sum(int(np.prod(s)) for s in layer.parameters().values()) for layer in plan.layers]
    for layers, names in ((23, TRUNK), (24, TRUNK | {"conv19"})):
        (tmp_path / "part").write_bytes(weights.read_bytes()[: 20 + 4 * sum(counts[:layers])])
        assert taken(network, start, tmp_path / "part") == names
    (tmp_path / "part").write_bytes(weights.read_bytes()[: 20 + 4 * sum(counts[:23]) + 40])
    message = refused(read_start, tmp_path / "part", network)
    assert "it ends after 10 of" in message and "a model of width 0.03125 needs" in message
    assert "none" in refused(start_variables, f"darknet:{tmp_path / 'none'}", start, network)


def test_a_run_starts_from_it(trained, tmp_path):
    from yolo9000_jax.training.loop import train

    from_workdir(trained, tmp_path / "tiny.weights")
    config = configs.read(trained / "config.json")
    config.init_from, config.steps = f"darknet:{tmp_path / 'tiny.weights'}", 1
    config.optimizer.learning_rate = 0.0
    config.model.anchors_cells = load_facts(trained).network.anchors_cells
    config.model.num_anchors = len(config.model.anchors_cells)
    state = train(config, tmp_path / "run")
    before = y9.load(trained).variables["params"]
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(state.params), jax.device_get(before))
