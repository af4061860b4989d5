"""The weights reader and writer: Darknet's own files byte for byte, every damage noticed, nothing but UserError."""

import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers import GOLDEN, golden_json, golden_net, published_networks
from yolo9000_jax.darknet.cfg import parse_cfg
from yolo9000_jax.darknet.weights import WeightsHeader, read_weights, write_weights
from yolo9000_jax.errors import UserError

SMALL = parse_cfg(
    """[net]
width=4
height=3
channels=2
[convolutional]
batch_normalize=1
filters=2
activation=leaky
[maxpool]
[local]
filters=1
activation=linear
[batchnorm]
[connected]
output=3
batch_normalize=1
activation=linear
"""
)
SHAPES = [
    (0, "biases", (2,)),
    (0, "scales", (2,)),
    (0, "rolling_mean", (2,)),
    (0, "rolling_variance", (2,)),
    (0, "weights", (2, 2, 1, 1)),
    (2, "biases", (1, 3, 4)),
    (2, "weights", (3, 4, 1, 2, 1, 1)),
    (3, "scales", (1,)),
    (3, "rolling_mean", (1,)),
    (3, "rolling_variance", (1,)),
    (4, "biases", (3,)),
    (4, "weights", (3, 12)),
    (4, "scales", (3,)),
    (4, "rolling_mean", (3,)),
    (4, "rolling_variance", (3,)),
]
NUMBERS = 12 + 36 + 3 + 48
HEADER = struct.pack("<iiiQ", 0, 2, 0, 77)
BODY = np.arange(NUMBERS, dtype="<f4").tobytes()


def _file(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "net.weights"
    path.write_bytes(data)
    return path


def test_order_of_the_numbers(tmp_path):
    header, arrays = read_weights(_file(tmp_path, HEADER + BODY), SMALL)
    assert (header, header.bytes) == (WeightsHeader(0, 2, 0, 77), 20)
    flat = iter(range(NUMBERS))
    for layer, name, shape in SHAPES:
        expected = np.array([next(flat) for _ in range(np.prod(shape))], np.float32).reshape(shape)
        np.testing.assert_array_equal(arrays[layer][name], expected)
    assert next(flat, None) is None


HEADERS = [
    ((0, 2, 0), "Q", 2**40),
    ((0, 2, 5), "Q", 0),
    ((1, 0, 0), "Q", 9),
    ((0, 1, 0), "i", 204_800_000),
    ((0, 1, 0), "i", -5),
    ((0, 0, 0), "i", 3),
    ((1001, 0, 0), "i", 3),
    ((0, 9999, 1), "i", 3),
    (struct.unpack("<iii", struct.pack("<fff", 0.001, 0.9, 0.0005)), "i", 64),
]


@pytest.mark.parametrize(("version", "seen_format", "seen"), HEADERS)
def test_headers(tmp_path, version, seen_format, seen):
    data = struct.pack("<iii" + seen_format, *version, seen) + BODY
    header, arrays = read_weights(_file(tmp_path, data), SMALL)
    assert header == WeightsHeader(*version, seen)
    write_weights(tmp_path / "again.weights", SMALL, arrays, header)
    assert (tmp_path / "again.weights").read_bytes() == data
    plain = np.arange(54, 54 + 36).reshape(3, 12)
    old = max(version) > 1000
    assert header.transposed == old
    np.testing.assert_array_equal(arrays[4]["weights"], plain.reshape(12, 3).T if old else plain)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "too few"),
        (HEADER[:16], "ends in its header"),
        (HEADER + BODY + b"\0\0", "middle of a number"),
        (HEADER + BODY[:-4], "needs 99 numbers, the file holds 98: it ends after 47 of the 48 numbers of layer 4"),
        (HEADER + BODY[: 12 * 4], r"needs 99 numbers, the file holds 12: it ends before layer 2 \[local\] \(line 10"),
        (HEADER + BODY + bytes(8), "holds 101: 2 are left"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (struct.pack("<iiiQ", -1, 2, 0, 0) + BODY, "not a .weights file"),
        (HEADER + b"\0\0\xc0\x7f" * NUMBERS, "biases of layer 0 .* NaN"),
        (HEADER + struct.pack("<f", -1) * NUMBERS, "rolling_variance of layer 0 .* below 0"),
    ],
)
def test_damaged_files(tmp_path, data, says):
    with pytest.raises(UserError, match=says):
        read_weights(_file(tmp_path, data), SMALL)
    with pytest.raises(UserError, match="can't read"):
        read_weights(tmp_path / "missing", SMALL)


@pytest.mark.parametrize(("numbers", "layers"), [(0, []), (12, [0]), (48, [0, 2]), (51, [0, 2, 3]), (99, [0, 2, 3, 4])])
def test_partial_files(tmp_path, numbers, layers):
    data = HEADER + BODY[: 4 * numbers]
    header, arrays = read_weights(_file(tmp_path, data), SMALL, allow_partial=True)
    assert sorted(arrays) == layers
    write_weights(tmp_path / "again.weights", SMALL, arrays, header, allow_partial=True)
    assert (tmp_path / "again.weights").read_bytes() == data
    for wrong in (data[:-4] if numbers else data + bytes(4), HEADER + BODY + bytes(4)):
        with pytest.raises(UserError, match="numbers"):
            read_weights(_file(tmp_path, wrong), SMALL, allow_partial=True)


def test_write_refuses_and_leaves_nothing_behind(tmp_path):
    _, arrays = read_weights(_file(tmp_path, HEADER + BODY), SMALL)
    for path in tmp_path.iterdir():
        path.unlink()
    cases = [
        (arrays | {4: {}}, WeightsHeader(), "biases of layer 4 .* is missing"),
        (arrays | {0: arrays[0] | {"biases": np.zeros(3)}}, WeightsHeader(), r"has shape \(3,\), the cfg says \(2,\)"),
        (arrays, WeightsHeader(seen=-1), "can't write"),
    ]
    for given_arrays, header, says in cases:
        with pytest.raises(UserError, match=says):
            write_weights(tmp_path / "net.weights", SMALL, given_arrays, header)
    with pytest.raises(UserError, match="can't write"):
        write_weights(tmp_path / "missing" / "net.weights", SMALL, arrays)
    assert list(tmp_path.iterdir()) == []
    write_weights(tmp_path / "net.weights", SMALL, arrays)
    assert [path.name for path in tmp_path.iterdir()] == ["net.weights"]
    assert (tmp_path / "net.weights").read_bytes() == struct.pack("<iiiQ", 0, 2, 0, 0) + BODY


def test_dontload_and_dontsave(tmp_path):
    text = "[net]\ninputs=1\n[connected]\nactivation=linear\n{}\n[connected]\nactivation=linear\n"
    skipping = parse_cfg(text.format("dontload=1"))
    _, arrays = read_weights(_file(tmp_path, HEADER + BODY[:8]), skipping)
    assert {layer: float(values["weights"][0, 0]) for layer, values in arrays.items()} == {1: 1.0}
    write_weights(tmp_path / "net.weights", parse_cfg(text.format("dontsave=1")), arrays)
    assert (tmp_path / "net.weights").read_bytes()[20:] == BODY[:8]


def _nets() -> list[str]:
    """Networks of the golden folder but those of full size."""
    return [name for name, net in golden_json("nets.json").items() if (GOLDEN / "cfg" / net["cfg"]).is_file()]


@pytest.mark.parametrize("name", _nets())
def test_darknets_files_byte_for_byte(name, tmp_path):
    net = golden_json("nets.json")[name]
    cfg, path = golden_net(name, tmp_path)
    header, arrays = read_weights(path, parse_cfg(cfg))
    write_weights(tmp_path / "again.weights", parse_cfg(cfg), arrays, header)
    written = (tmp_path / "again.weights").read_bytes()
    assert written == path.read_bytes()
    assert len(written) == net["weights_bytes"] and hashlib.sha256(written).hexdigest() == net["weights_sha256"]


@pytest.mark.parametrize("path", published_networks())
def test_real_files_byte_for_byte(path, tmp_path):
    cfg = parse_cfg(path.with_suffix(".cfg"))
    header, arrays = read_weights(path, cfg)
    write_weights(tmp_path / "again.weights", cfg, arrays, header)
    assert (tmp_path / "again.weights").read_bytes() == path.read_bytes()


@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(
    header=st.one_of(st.sampled_from([HEADER, struct.pack("<iiii", 0, 1, 0, 5)]), st.binary(max_size=20)),
    cut=st.integers(0, len(BODY)),
    tail=st.binary(max_size=24),
    allow_partial=st.booleans(),
)
def test_fuzz_files(tmp_path_factory, header, cut, tail, allow_partial):
    path = tmp_path_factory.getbasetemp() / "fuzz.weights"
    path.write_bytes(header + BODY[:cut] + tail)
    try:
        read_header, arrays = read_weights(path, SMALL, allow_partial)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        write_weights(path, SMALL, arrays, read_header, allow_partial)
        assert path.read_bytes() == header + BODY[:cut] + tail
