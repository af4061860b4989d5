"""Our own modules against Darknet's numbers with Darknet's weights, and which networks are recognised as ours."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from tests.darknet.test_network import TOLERANCE_WHOLE
from tests.helpers import golden_dir, golden_json, golden_net, golden_nets
from yolo9000_jax.darknet import native
from yolo9000_jax.darknet.cfg import parse_cfg
from yolo9000_jax.darknet.weights import read_weights
from yolo9000_jax.errors import UserError
from yolo9000_jax.models.darknet19 import Darknet19
from yolo9000_jax.models.extraction import Extraction
from yolo9000_jax.models.layers import BATCH_NORMS, scaled
from yolo9000_jax.models.yolo_v1 import YoloV1
from yolo9000_jax.models.yolo_v2 import YoloV2

FAMILIES = ("yolov1", "extraction", "darknet19", "yolov2-voc", "yolov2-s")  # names of ours begin with these


def module(network: native.Native, head):
    """The module that a Native describes."""
    options = {"width": network.width, "norm": BATCH_NORMS["cpu"] if network.batch_norm else None}
    if network.task == "classification":
        options["num_classes"] = network.outputs
        if network.trunk == "extraction":
            return Extraction(logits=network.logits, **options)
        return Darknet19(**options)
    options |= {"num_classes": head.classes, "trunk": network.trunk}
    if network.architecture == "yolo_v1":
        options |= {name: getattr(network, name) for name in ("head", "hidden", "dropout")}
        return YoloV1(side=head.side, boxes_per_cell=head.num, **options)
    options |= {"passthrough": network.passthrough, "head_convolutions": network.head_convolutions}
    return YoloV2(anchors_cells=((1, 1),) * head.num, **options)


def cases() -> list:
    """Names of golden networks that are ours; those of full size are slow."""
    return [case for case in golden_nets() if case.values[0].startswith(FAMILIES) or case.values[0] in ("yolov2", "")]


def activated(output, head):
    """Our output [1, …] as Darknet's last layer gives it: flat, channel before row and column."""
    output = np.asarray(output, np.float64)[0]
    if head.type == "detection":
        return output.ravel()
    if head.type == "region":
        output[..., [0, 1, 4]] = 1 / (1 + np.exp(-output[..., [0, 1, 4]]))
        output[..., 5:] = _softmax(output[..., 5:])
        return output.transpose(2, 3, 0, 1).ravel()
    return _softmax(output)


def _softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@pytest.mark.parametrize("name", cases())
def test_golden(name, tmp_path):
    net = golden_json("nets.json")[name]
    path, weights = golden_net(name, tmp_path)
    cfg = parse_cfg(path)
    network = native.recognise(cfg)
    model = module(network, cfg.head)
    variables = native.from_arrays(network, cfg, read_weights(weights, cfg)[1])
    with np.load(golden_dir() / net["input"]) as stored:
        images = (stored["u8"].astype(np.float32) / 255).transpose(1, 2, 0)[None]
    made = jax.eval_shape(model.init, jax.random.key(0), images)
    assert jax.tree.map(np.shape, {"batch_stats": {}, **made}) == jax.tree.map(np.shape, variables)
    found = activated(jax.jit(model.apply)(variables, images), cfg.head)
    with np.load(golden_dir() / f"net_{name}.npz") as golden:
        index = slice(None) if golden["final"].size else golden["final_index"]
        expected = golden["final"] if golden["final"].size else golden["final_value"]
        assert np.abs(found[index] - expected).max() < TOLERANCE_WHOLE * expected.std()


NETWORKS = [
    native.Native("detection", 24),
    native.Native("detection", 24, 0.25, passthrough="none", batch_norm=False),
    native.Native("detection", 24, 0.5, head_convolutions=False, passthrough="none"),  # as yolo9000.cfg
    native.Native("detection", 24, 0.5, trunk="extraction"),
    native.Native("detection", 24, 0.07, passthrough="none", trunk="extraction"),
    native.Native("classification", 9, 0.5),
    native.Native("classification", 9, 0.5, trunk="extraction"),
    native.Native("classification", 9, trunk="extraction", logits="leaky", batch_norm=False),
    native.Native("detection", 117, 0.25, architecture="yolo_v1", trunk="extraction"),
    native.Native("detection", 117, 1 / 16, architecture="yolo_v1", trunk="extraction", head="local", hidden=5),
    native.Native("detection", 117, architecture="yolo_v1", trunk="tiny", head="direct", hidden=1, dropout=0.0),
    native.Native("detection", 117, 0.5, architecture="yolo_v1", trunk="tiny", hidden=7, dropout=0.25),
]
HEADS = {
    "yolo_v2": ("region", {"classes": 3, "num": 3}),
    "yolo_v1": ("detection", {"classes": 3, "num": 2, "side": 3, "coords": 4}),
}


def text(network: native.Native) -> str:
    head = HEADS[network.architecture] if network.task == "detection" else ("softmax", {})
    return native.write_cfg(network, {"width": 64, "height": 64, "channels": 3}, head)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: f"{network.title} {network.trunk} {network.width}")
def test_what_is_written_is_recognised(network):
    cfg = parse_cfg(text(network))
    found = native.recognise(cfg)
    widths = {filters: scaled(filters, found.width) for filters in (16, 64, 256, 1024)}
    assert widths == {filters: scaled(filters, network.width) for filters in widths}
    assert found == replace(network, width=found.width)
    shapes = jax.eval_shape(
        lambda x: module(found, cfg.head).init(jax.random.key(0), x), np.zeros((1, 64, 64, 3), np.float32)
    )
    arrays = {layer.index: {k: np.zeros(v, np.float32) for k, v in layer.parameters().items()} for layer in cfg.layers}
    variables = native.from_arrays(found, cfg, arrays)
    assert jax.tree.map(np.shape, {"batch_stats": {}, **shapes}) == jax.tree.map(np.shape, variables)
    again = native.as_arrays(found, cfg, variables)
    assert jax.tree.map(np.shape, again) == jax.tree.map(np.shape, {k: v for k, v in arrays.items() if v})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("stride=2\npad=1\nactivation", "stride=1\npad=1\nactivation", "differs from YOLOv1 at layer 0"),
        ("[dropout]\nprobability=0.5\n", "", "differs from YOLOv1 at layer 29 .connected."),
        ("output=5\nactivation=leaky", "output=5\nactivation=relu", "differs from YOLOv1 at layer 28 .connected."),
        ("[detection]", "[maxpool]\nsize=1\nstride=1\n[detection]", "differs from YOLOv1 at layer 31 .maxpool."),
    ],
)
def test_others_are_not(old, new, message):
    network = native.Native("detection", 117, 1 / 16, architecture="yolo_v1", trunk="extraction", hidden=5)
    assert old in text(network)
    with pytest.raises(UserError, match=message):
        native.recognise(parse_cfg(text(network).replace(old, new, 1)))
