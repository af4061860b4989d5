"""Read and write Darknet's .weights files (darknet.md 2).

A file is a header and then plain float32 numbers, layer after layer, with no names and no sizes: only the cfg says
which number is which. So the file's length is checked against the cfg before anything is read, the arrays afterwards.
"""

import contextlib
import math
import os
import struct
from dataclasses import dataclass
from os import PathLike
from typing import BinaryIO

import numpy as np

from yolo9000_jax.darknet.cfg import Cfg
from yolo9000_jax.darknet.layers import Layer
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import START_BYTES, stand_in
from yolo9000_jax.places import as_path, is_in_bucket

Arrays = dict[int, dict[str, np.ndarray]]


@dataclass(frozen=True)
class WeightsHeader:
    """Head of a .weights file: Darknet's version, and how many images the network has seen in training."""

    major: int = 0
    minor: int = 2
    revision: int = 0
    seen: int = 0

    @property
    def transposed(self) -> bool:
        """Whether connected weights are stored inputs x outputs, as files older than version numbers have them."""
        return self.major > 1000 or self.minor > 1000

    @property
    def format(self) -> str:
        """`struct` format: `seen` is 64 bits wide from version 0.2 on."""
        return "<iiiQ" if self.major * 10 + self.minor >= 2 and not self.transposed else "<iiii"

    @property
    def bytes(self) -> int:
        """Length of the header: 16 or 20."""
        return struct.calcsize(self.format)


def read_weights(path: str | PathLike, cfg: Cfg, allow_partial: bool = False) -> tuple[WeightsHeader, Arrays]:
    """Read the weights of a network.

    Args:
        path: the .weights file.
        cfg: the network it belongs to.
        allow_partial: accept a file that ends after any whole layer (such as darknet19_448.conv.23).

    Returns:
        The header, and for every layer with parameters {layer index: {name: float32 array}} in Darknet's layouts
        (`Layer.parameters`); with `allow_partial` only for the layers that are in the file.

    Raises:
        UserError: for a file that is too short or too long for the cfg, that is no .weights file, or that holds numbers
            no training writes (not finite, or variances below 0).
    """
    try:
        with open(path, "rb") as file:
            header = _read_header(path, file)
            numbers, odd = divmod(os.fstat(file.fileno()).st_size - header.bytes, 4)
            if odd:
                raise UserError(f"{path}: ends in the middle of a number: the file is damaged, copy it again")
            layers = [layer for layer in cfg.layers if layer.parameters() and not layer.dontload]
            layers = _layers_in_file(path, cfg, layers, numbers, allow_partial)
            return header, {layer.index: _read_layer(path, file, layer, header.transposed) for layer in layers}
    except (OSError, ValueError) as error:
        raise UserError(f"{str(path)!r}: can't read this weights file ({getattr(error, 'strerror', error)})") from None


def count_numbers(path: str | PathLike) -> int:
    """How many numbers a .weights file holds after its header; raises UserError where it is no such file."""
    try:
        with open(path, "rb") as file:
            return (os.fstat(file.fileno()).st_size - _read_header(path, file).bytes) // 4
    except (OSError, ValueError) as error:
        raise UserError(f"{str(path)!r}: can't read this weights file ({getattr(error, 'strerror', error)})") from None


def write_weights(
    path: str | PathLike,
    cfg: Cfg,
    arrays: Arrays,
    header: WeightsHeader | None = None,
    allow_partial: bool = False,
) -> None:
    """Write the weights of a network; what `read_weights` has read comes out byte for byte.

    The file appears whole or not at all: it is written beside its place and then renamed.

    Args:
        path: the .weights file.
        cfg: the network.
        arrays: {layer index: {name: array}} in Darknet's layouts, as `read_weights` gives them.
        header: version 0.2.0 and seen=0 if there is none.
        allow_partial: write only the first layers if `arrays` holds no more.

    Raises:
        UserError: for arrays that are missing or of another shape than the cfg says, or a place that can't be written.
    """
    header = header or WeightsHeader()
    layers = [layer for layer in cfg.layers if layer.parameters() and not layer.dontsave]
    if allow_partial:
        layers = layers[: next((i for i, layer in enumerate(layers) if layer.index not in arrays), len(layers))]
    blocks = [block for layer in layers for block in _blocks(path, cfg, layer, arrays, header.transposed)]
    place = as_path(path)
    # In a bucket every write is whole.
    temporary = place if is_in_bucket(place) else place.with_name(f"{place.name}.{os.getpid()}.partial")
    try:
        with temporary.open("wb") as file:
            file.write(struct.pack(header.format, header.major, header.minor, header.revision, header.seen))
            for block in blocks:
                file.write(block.tobytes())
        if temporary != place:
            temporary.replace(place)
    except (OSError, ValueError, struct.error) as error:
        raise UserError(f"{str(path)!r}: can't write this weights file ({getattr(error, 'strerror', error)})") from None
    finally:
        if temporary != place:
            with contextlib.suppress(OSError, ValueError):
                temporary.unlink()


def _read_header(path: str | PathLike, file: BinaryIO) -> WeightsHeader:
    data = file.read(START_BYTES)
    if what := stand_in(data):
        raise UserError(f"{path} is {what}")
    file.seek(0)
    data = file.read(20)
    if len(data) < 16:
        raise UserError(
            f"{path}: {len(data)} bytes are too few for a .weights file: the file is damaged or no such file"
        )
    versions = struct.unpack("<iii", data[:12])
    if not all(map(_plausible_version, versions)):
        words = ".".join(map(str, versions))
        raise UserError(f"{path}: this is not a .weights file (its version would be {words}): give Darknet's own file")
    header = WeightsHeader(*versions)
    if len(data) < header.bytes:
        raise UserError(f"{path}: ends in its header: the file is damaged, copy it again")
    file.seek(header.bytes)
    return WeightsHeader(*struct.unpack(header.format, data[: header.bytes]))


def _plausible_version(word: int) -> bool:
    """A small number; or, in files older than version numbers, the bits of a learning rate, momentum or decay."""
    as_float = struct.unpack("<f", struct.pack("<i", word))[0]
    return 0 <= word < 10_000 or 1e-9 < as_float < 10


def _count(layer: Layer) -> int:
    return sum(math.prod(shape) for shape in layer.parameters().values())


def _layers_in_file(
    path: str | PathLike, cfg: Cfg, layers: list[Layer], numbers: int, allow_partial: bool
) -> list[Layer]:
    """The layers that a file of `numbers` float32 numbers holds; raises UserError unless it ends where it may."""
    need = sum(map(_count, layers))
    fault = f"{path}: {cfg.name} needs {need} numbers, the file holds {numbers}"
    advice = "give the .cfg this file was trained with, or copy the file again"
    if numbers > need:
        raise UserError(f"{fault}: {numbers - need} are left after the last layer; {advice}")
    left = numbers
    for position, layer in enumerate(layers):
        if left < _count(layer):
            where = f"layer {layer.index} [{layer.type}] (line {layer.line} of the cfg)"
            if left:
                raise UserError(f"{fault}: it ends after {left} of the {_count(layer)} numbers of {where}; {advice}")
            if not allow_partial:
                raise UserError(f"{fault}: it ends before {where}; {advice}")
            return layers[:position]
        left -= _count(layer)
    return layers


def _stored_shape(name: str, shape: tuple[int, ...], layer: Layer, transposed: bool) -> tuple[int, ...]:
    return shape[::-1] if transposed and layer.type == "connected" and name == "weights" else shape


def _read_layer(path: str | PathLike, file: BinaryIO, layer: Layer, transposed: bool) -> dict[str, np.ndarray]:
    arrays = {}
    for name, shape in layer.parameters().items():
        stored = _stored_shape(name, shape, layer, transposed)
        values = np.fromfile(file, "<f4", math.prod(shape)).reshape(stored)
        if not np.isfinite(values).all():
            raise UserError(f"{path}: {name} of layer {layer.index} [{layer.type}] holds NaN or infinity: {_BROKEN}")
        if name == "rolling_variance" and (values < 0).any():
            raise UserError(f"{path}: {name} of layer {layer.index} [{layer.type}] holds numbers below 0: {_BROKEN}")
        arrays[name] = values if stored == shape else np.ascontiguousarray(values.T)
    return arrays


_BROKEN = "the training that wrote it has diverged, or the file belongs to another .cfg"


def _blocks(path: str | PathLike, cfg: Cfg, layer: Layer, arrays: Arrays, transposed: bool) -> list[np.ndarray]:
    """One layer's arrays as the file holds them."""
    blocks = []
    for name, shape in layer.parameters().items():
        where = f"{path}: {name} of layer {layer.index} [{layer.type}] (line {layer.line} of {cfg.name})"
        if name not in arrays.get(layer.index, {}):
            raise UserError(f"{where} is missing: give the arrays of every layer")
        values = np.asarray(arrays[layer.index][name])
        if values.shape != shape:
            raise UserError(f"{where} has shape {values.shape}, the cfg says {shape}")
        stored = _stored_shape(name, shape, layer, transposed)
        blocks.append(np.ascontiguousarray(values if stored == shape else values.T, "<f4"))
    return blocks
