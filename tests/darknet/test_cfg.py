"""The cfg reader: shapes against Darknet's own, every kind of mistake, and nothing but UserError for any text."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers import golden_root
from yolo9000_jax.darknet.cfg import parse_cfg
from yolo9000_jax.darknet.layers import Convolutional, MaxPool
from yolo9000_jax.darknet.recipe import training_of
from yolo9000_jax.errors import UserError

DETECTOR = """[net]
# comment
; another
width = 64
height=96
channels=3
batch=8
batch=1
policy=steps
steps=-1,100
scales=.1,10
[convolutional]
batch_normalize=1
filters=8
size=3
stride=1
pad=1
activation=leaky
[maxpool]
size=2
stride=2
[reorg]
stride=2
[route]
layers=-1
[route]
layers=-1,2
[convolutional]
filters=14
size=1
activation=linear
[region]
anchors = 1,2,  3.5,4e0
classes=2
num=2
softmax=1
absolute=1
"""

CLASSIFIER = """[network]
width=9
height=7
channels=3
[conv]
filters=4
size=3
padding=1
stride=2
activation=relu
[max]
size=2
stride=1
[local]
size=3
pad=1
filters=5
activation=leaky
[batchnorm]
[dropout]
probability=.5
[connected]
output=6
batch_normalize=1
activation=logistic
[avg]
[softmax]
[cost]
type=sse
"""


def test_detector_plan():
    cfg = parse_cfg(DETECTOR)
    assert [layer.out_shape for layer in cfg.layers] == [
        (96, 64, 8), (48, 32, 8), (24, 16, 32), (24, 16, 32), (24, 16, 64), (24, 16, 14), (24, 16, 14),
    ]  # fmt: skip
    assert [layer.inputs for layer in cfg.layers] == [(-1,), (0,), (1,), (2,), (3, 2), (4,), (5,)]
    assert cfg.net.batch == 8, "of an option given twice the first counts"
    assert (cfg.net.steps, cfg.net.scales) == ((-1, 100), (0.1, 10.0))
    assert (cfg.net.min_crop, cfg.net.max_crop) == (64, 128)
    conv = cfg.layers[0]
    assert isinstance(conv, Convolutional)
    assert (conv.padding, conv.activation, conv.batch_normalize, conv.groups) == (1, "leaky", True, 1)
    assert (cfg.layers[0].line, cfg.sections[0].options["filters"]) == (12, "8")
    assert cfg.head.anchors == (1.0, 2.0, 3.5, 4.0)
    assert cfg.warnings == ("cfg text, line 8: `batch` is given twice in one section; the first counts",)


def test_classifier_plan():
    cfg = parse_cfg(CLASSIFIER)
    assert [layer.out_shape for layer in cfg.layers] == [
        (4, 5, 4), (4, 5, 4), (4, 5, 5), (4, 5, 5), (4, 5, 5), (1, 1, 6), (1, 1, 6), (1, 1, 6), (1, 1, 6),
    ]  # fmt: skip
    assert cfg.head.type == "softmax"
    assert cfg.layers[1] == MaxPool(
        index=1, line=11, inputs=(0,), in_shape=(4, 5, 4), out_shape=(4, 5, 4), dontload=False, dontsave=False,
        stopbackward=False, learning_rate=1.0, stride=1, size=2, padding=1,
    )  # fmt: skip
    assert list(cfg.layers[5].parameters()) == ["biases", "weights", "scales", "rolling_mean", "rolling_variance"]
    assert cfg.layers[5].parameters()["weights"] == (6, 100)
    assert cfg.layers[2].parameters() == {"biases": (5, 4, 5), "weights": (4, 5, 5, 4, 3, 3)}
    assert list(cfg.layers[3].parameters()) == ["scales", "rolling_mean", "rolling_variance"]


def test_unknown_options_warn(tmp_path):
    path = tmp_path / "net.cfg"
    path.write_bytes(b"\xef\xbb\xbf" + CLASSIFIER.replace("padding=1", "padding=1\nfliters=4").encode())
    cfg = parse_cfg(path)
    assert cfg.warnings == (f"{path}, line 9: [convolutional] option `fliters` is not used here",)


TIDY = [
    ("batch=8", "batch=8 ; testing", 7),
    ("filters=8", "filters=8   # num*(classes+5)", 14),
    ("filters=8", "filters=8#num", 14),
    ("filters=8", "filters=8 // num", 14),
    ("filters=8", "filters = 8\t; none", 14),
    ("activation=leaky", "activation=leaky ; not linear", 18),
    ("[region]", "[region]   # head", 31),
    ("[region]", "[region]; head [old]", 31),
    ("layers=-1,2", "layers = -1, 2, # both", 28),
    ("1,2,  3.5,4e0", "1,2, 3.5,4,", 32),
    ("classes=2", "classes=2,", 33),
]


@pytest.mark.parametrize(("old", "new", "line"), TIDY)
def test_comments_behind_values_and_commas_behind_lists(old, new, line):
    text = DETECTOR.replace("batch=1\n", "", 1)
    cfg = parse_cfg(text.replace(old, new, 1))
    plain = parse_cfg(text)
    assert (cfg.net, cfg.layers) == (plain.net, plain.layers)
    (warning,) = cfg.warnings
    assert warning.startswith("cfg text: comments behind values, and commas behind lists, are left out: line ")
    assert plain.warnings == ()


def test_one_warning_for_all_that_is_tidied():
    text = DETECTOR.replace("batch=1\n", "").replace("size=3", "size=3 # a").replace("pad=1", "pad=1,")
    (warning,) = parse_cfg(text).warnings
    assert warning.endswith("line 14, 16")


def test_a_path_may_hold_the_sign_of_a_comment():
    cfg = parse_cfg(DETECTOR.replace("absolute=1", "tree=data/c#;/my.tree # mine\nmap=x#1.map"))
    assert (cfg.head.tree, cfg.head.map) == ("data/c#;/my.tree", "x#1.map")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_files_of_other_systems(tmp_path, encoding, ends):
    text = DETECTOR.replace("# comment", "# größe").replace("[region]", "[Region]").replace("=", "\t = ")
    (tmp_path / "a.cfg").write_bytes(text.replace("\n", ends).encode(encoding))
    assert parse_cfg(tmp_path / "a.cfg").layers == parse_cfg(DETECTOR).layers


TRAINING = """policy=sgdr
sgdr_cycle=1000
mosaic=1
steps=400,,900
momentum=much
max_batches=500 200x
"""


def test_options_of_training_do_not_stop_prediction():
    text = DETECTOR.replace("policy=steps\nsteps=-1,100\nscales=.1,10\n", TRAINING).replace("batch=1\n", "")
    text = text.replace("absolute=1", "random=1.4\nfocal_loss=1")
    cfg = parse_cfg(text)
    assert cfg.layers[:-1] == parse_cfg(text.replace("random=1.4", "")).layers[:-1]
    (warning,) = cfg.warnings
    for part in (
        "policy=sgdr (line 8)",
        "sgdr_cycle=1000",
        "mosaic=1",
        "steps=400,,900",
        "momentum=much",
    ):
        assert part in warning
    for part in ("max_batches=500200x", "random=1.4", "focal_loss=1"):
        assert part in warning
    assert (cfg.net.policy, cfg.net.momentum, cfg.net.steps) == ("constant", 0.9, ())
    with pytest.raises(UserError, match="momentum=much, policy=sgdr, .*cannot be trained with") as error:
        training_of(cfg)
    assert "mosaic" not in str(error.value), "which Darknet does not know either"
    assert "random=1.4: cannot be trained with" in str(error.value)


@pytest.mark.parametrize(
    "option, resize", [("", "letterbox"), ("letter_box=1", "letterbox"), ("letter_box=0", "stretch")]
)
def test_letter_box_is_an_option_of_prediction(option, resize):
    cfg = parse_cfg(DETECTOR.replace("batch=1\n", f"batch=1\n{option}\n"))
    assert (cfg.resize, cfg.warnings) == (resize, parse_cfg(DETECTOR).warnings)


def test_steps_without_their_scales():
    cfg = parse_cfg(DETECTOR.replace("scales=.1,10", "scales=.1"))
    assert "2 steps but 1 scales (line 10)" in cfg.warnings[-1]
    with pytest.raises(UserError, match="2 steps but 1 scales"):
        training_of(cfg)


MISTAKES = [
    ("size=3", "size=x", 15, "'x' is not a whole number"),
    ("size=3", "size=3.5", 15, "whole number"),
    ("size=3\nstride=1\npad=1", "size=200", 12, "larger than its input"),
    ("filters=8", "filters=65537", 14, "out of range"),
    ("filters=8", "filters=-1", 14, "out of range"),
    ("filters=8", "filters=" + "9" * 5000, 14, "whole number"),
    ("filters=8", "filters", 14, "neither [section] nor key=value"),
    ("activation=leaky", "activation=mish", 18, "leaky, linear, logistic, relu"),
    ("[maxpool]", "[upsample]", 19, "not known"),
    ("[maxpool]", "[maxpool", 19, "closing bracket"),
    ("stride=2\n[reorg]", "stride=2\npadding=9\n[reorg]", 22, "windows with no input"),
    ("[reorg]\nstride=2", "[reorg]\nstride=5", 22, "split"),
    ("[reorg]\nstride=2", "[reorg]\nreverse=1", 23, "not supported"),
    ("layers=-1\n", "layers=-5\n", 25, "can name only"),
    ("layers=-1\n", "layers=3\n", 25, "can name only"),
    ("layers=-1\n", "layers=\n", 25, "whole number"),
    ("layers=-1\n", "\n", 24, "names no layers"),
    ("layers=-1,2", "layers=-1,0", 27, "differ in height x width"),
    ("classes=2", "classes=3", 32, "2*(3+4+1) = 16 channels, its input has 14: set `filters`"),
    ("1,2,  3.5,4e0", "1,2,3.5", 33, "holds 3 numbers"),
    ("1,2,  3.5,4e0", "1,2,3.5,nan", 33, "not a number"),
    ("1,2,  3.5,4e0", "1,2,3.5,0", 33, "out of range"),
    ("absolute=1", "coords=5", 37, "out of range"),
    ("absolute=1", "[cost]\n[maxpool]\n", 38, "must come last"),
    ("[net]", "[convolutional]", None, "first section is not [net]"),
    ("[net]", "width=3\n[net]", 1, "start with [net]"),
    ("width = 64", "", 1, "no size"),
    ("width = 64", "width=64\ninputs=7", 5, "not height*width*channels"),
    ("width = 64", "width=65536\nheight=65536", 1, "too large"),
    ("pad=1", "pad=true", 17, "'true' is not 0 or 1"),
    ("pad=1", "dilation=2", 17, "out of range"),
    ("pad=1", "stride_x=2", 17, "not supported"),
    ("filters=8", "filters=#8", 14, "'' is not a whole number"),
]


@pytest.mark.parametrize(("old", "new", "line", "says"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_name_the_line(old, new, line, says):
    text = DETECTOR.replace(old, new, 1)
    assert text != DETECTOR
    with pytest.raises(UserError) as error:
        parse_cfg(text)
    message = str(error.value)
    assert says in message and "\n" not in message
    assert line is None or message.startswith(f"cfg text, line {line}:")


def test_huge_networks_are_refused_before_anything_is_allocated():
    wide = "[net]\ninputs=65536\n" + "[connected]\noutput=32768\nactivation=linear\n" * 3
    with pytest.raises(UserError, match="parameters"):
        parse_cfg(wide)
    with pytest.raises(UserError, match="layer.* after"):
        parse_cfg("[net]\ninputs=3\n" + "[dropout]\n" * 1001)
    with pytest.raises(UserError, match="an output of .* is too large"):
        parse_cfg("[net]\nwidth=4096\nheight=4096\nchannels=3\n[convolutional]\nfilters=64\nactivation=linear\n")


def test_files_that_are_no_cfg(tmp_path):
    binary = tmp_path / "net.weights"
    binary.write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match="give the .cfg file here"):
        parse_cfg(binary)
    binary.write_bytes(b"#" * (1 << 21))
    with pytest.raises(UserError, match="not a text file"):
        parse_cfg(binary)
    for path in (tmp_path, tmp_path / "missing.cfg", "", "a\0b"):
        with pytest.raises(UserError, match="can't read"):
            parse_cfg(path)


def _golden_nets() -> list[str]:
    path = golden_root() / "nets.json"
    if not path.is_file():
        return []
    nets = json.loads(path.read_text())
    return [name for name, net in nets.items() if (golden_root() / "cfg" / net["cfg"]).is_file()]


@pytest.mark.parametrize("name", _golden_nets())
def test_shapes_are_darknets(name):
    net = json.loads((golden_root() / "nets.json").read_text())[name]
    cfg = parse_cfg(golden_root() / "cfg" / net["cfg"])
    assert cfg.warnings == ()
    assert [layer.type for layer in cfg.layers] == [kind for kind, _, _ in net["layers"]]
    for layer, (_, shape_chw, outputs) in zip(cfg.layers, net["layers"], strict=True):
        height, width, channels = layer.out_shape
        assert height * width * channels == outputs
        assert shape_chw in ([channels, height, width], [0, 0, 0])  # Darknet sets none for softmax, cost, detection


@pytest.mark.parametrize("path", sorted((golden_root() / "unit").glob("*.cfg")), ids=lambda path: path.stem)
def test_single_layer_shapes(path: Path):
    layer = parse_cfg(path).layers[0]
    with np.load(path.with_suffix(".npz")) as arrays:
        y = next(arrays[key] for key in arrays if key.startswith("y"))
    height, width, channels = layer.out_shape
    assert y[0].size == height * width * channels
    assert y.ndim != 4 or y.shape[1:] == (channels, height, width)


KEYS = [
    "size",
    "stride",
    "pad",
    "padding",
    "filters",
    "groups",
    "layers",
    "classes",
    "num",
    "anchors",
    "output",
    "steps",
    "policy",
    "momentum",
    "mosaic",
]
SECTIONS = ["net", "convolutional", "maxpool", "route", "region", "reorg", "softmax", "local", "connected", "detection"]
VALUES = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.integers(-3, 9).map(str),
    st.floats().map(str),
    st.lists(st.integers(-9, 40), max_size=5).map(lambda values: ",".join(map(str, values))),
    st.text(max_size=8),
    st.sampled_from(["1,2,", "6 # num", "3;", "1 // one", ",", "#", "true", "steps"]),
)
LINES = st.one_of(
    st.builds("{}={}".format, st.sampled_from(KEYS), VALUES),
    st.sampled_from(SECTIONS).map("[{}]".format),
    st.text(max_size=12),
)


def _only_user_errors(text: str) -> None:
    try:
        cfg = parse_cfg(text)
    except UserError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
    else:
        assert all(min(layer.out_shape) > 0 for layer in cfg.layers)
        assert all("\n" not in warning and len(warning) < 2500 for warning in cfg.warnings)


@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(
    text=st.sampled_from([DETECTOR, CLASSIFIER]),
    changes=st.lists(
        st.tuples(st.integers(0, 60), st.sampled_from(["insert", "replace", "delete"]), LINES), max_size=4
    ),
)
def test_fuzz_changed_cfg(text, changes):
    lines = text.splitlines()
    for position, action, line in changes:
        position %= len(lines)
        lines[position : position + (action != "insert")] = [] if action == "delete" else [line]
        lines = lines or [""]
    _only_user_errors("\n".join(lines) + "\n")


@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(lines=st.lists(LINES, max_size=12), start=st.sampled_from(["", "[net]\nwidth=8\nheight=8\nchannels=4\n"]))
def test_fuzz_random_text(lines, start):
    _only_user_errors(start + "\n".join(lines) + "\n")
