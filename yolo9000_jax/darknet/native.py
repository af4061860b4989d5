"""Our own networks, YoloV2 and Darknet19, as Darknet's cfg files describe them.

`sections` is the one description of both: the cfg's text is written from it, and it says which of our convolutions is
which of Darknet's layers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from flax.traverse_util import flatten_dict, unflatten_dict

from yolo9000_jax.darknet.cfg import Cfg, parse_cfg
from yolo9000_jax.darknet.layers import Layer
from yolo9000_jax.darknet.network import to_arrays, to_variables
from yolo9000_jax.darknet.weights import Arrays
from yolo9000_jax.errors import UserError
from yolo9000_jax.models.darknet19 import STAGES
from yolo9000_jax.models.layers import scaled

ModulePath = tuple[str, ...]  # as flax.traverse_util.flatten_dict names variables


@dataclass(frozen=True)
class Native:
    """One of our networks: task "detection" (YoloV2) or "classification" (Darknet19), and what sizes its layers.

    outputs: filters of the last convolution.
    """

    task: str
    outputs: int
    width: float = 1.0
    passthrough: bool = True


def sections(native: Native) -> Iterator[tuple[str, dict, ModulePath | None]]:
    """The layers in order: type, options, and for a convolution the path of its module in our variables."""

    def conv(filters: int, size: int, *path: str):
        filters = scaled(filters, native.width)
        norm = {"batch_normalize": 1, "filters": filters, "size": size, "stride": 1, "pad": 1, "activation": "leaky"}
        return "convolutional", norm, path

    def last(name: str):
        options = {"filters": native.outputs, "size": 1, "stride": 1, "pad": 1, "activation": "linear"}
        return "convolutional", options, (name,)

    number = 0
    for stage, layers in enumerate(STAGES):
        if stage:
            yield "maxpool", {"size": 2, "stride": 2}, None
        for filters, size in layers:
            number += 1
            yield conv(filters, size, "trunk", f"conv{number}")
    if native.task == "classification":
        yield last("logits")
        yield "avgpool", {}, None
        return
    yield conv(1024, 3, "conv19")
    yield conv(1024, 3, "conv20")
    if native.passthrough:
        yield "route", {"layers": "-9"}, None
        yield conv(64, 1, "passthrough")
        yield "reorg", {"stride": 2}, None
        yield "route", {"layers": "-1,-4"}, None
    yield conv(1024, 3, "conv21")
    yield last("boxes")


def write_cfg(native: Native, net: dict, head: tuple[str, dict] | None = None) -> str:
    """The text of a cfg: [net] with the options `net`, the layers, and the last section `head` = (type, options)."""
    listed = [("net", net), *((kind, options) for kind, options, _ in sections(native)), *([head] if head else [])]
    blocks = ("".join([f"[{kind}]\n", *(f"{k}={v}\n" for k, v in options.items())]) for kind, options in listed)
    return "\n".join(blocks)


def recognise(cfg: Cfg) -> Native:
    """Which of our networks a cfg describes.

    Raises:
        UserError: it is neither of them at any width; the message names the first layer that differs.
    """
    head = cfg.head
    if head.type not in ("region", "softmax", "avgpool"):
        raise UserError(f"{cfg.name}: ends in [{head.type}]; only YOLOv2 and Darknet-19 can be converted")
    task = "detection" if head.type == "region" else "classification"
    passthrough = any(layer.type == "reorg" for layer in cfg.layers)
    filters = [layer.filters for layer in cfg.layers if layer.type == "convolutional"]
    native = Native(task, filters[-1] if filters else 1, _width(task, passthrough, filters[:-1]), passthrough)
    height, width, channels = cfg.net.shape
    ours = parse_cfg(write_cfg(native, {"width": width, "height": height, "channels": channels}))
    body = [layer for layer in cfg.layers if layer.type not in ("region", "softmax", "cost")]
    for own, theirs in zip_longest(ours.layers, body):
        if own is None or theirs is None or _key(own) != _key(theirs):
            where = f"layer {theirs.index} [{theirs.type}] on line {theirs.line}" if theirs else "its end"
            name = "YOLOv2" if task == "detection" else "Darknet-19"
            raise UserError(f"{cfg.name}: differs from {name} at {where}: such a network can be run, but not converted")
    return native


def _key(layer: Layer) -> tuple:
    """What makes two layers the same."""
    names = ("type", "inputs", "out_shape", "size", "stride", "padding", "activation", "groups", "dontload", "dontsave")
    return *(getattr(layer, name, None) for name in names), *layer.parameters().items()


def _width(task: str, passthrough: bool, filters: list[int]) -> float:
    """The width multiplier that gives these filters, as round as it can be; 1 where there is none."""
    if not filters:
        return 1.0
    full = [options["filters"] for _, options, path in sections(Native(task, 1, 1.0, passthrough)) if path]
    pairs = list(zip(full[:-1], filters, strict=False))
    middle = sum(limit((own + way) / base for base, own in pairs) for limit, way in ((max, -2), (min, 2))) / 2
    candidates = [own / base for base, own in pairs] + [middle]
    fits = (width for width in candidates if all(scaled(base, width) == own for base, own in pairs))
    return next(fits, 1.0)


def from_arrays(native: Native, cfg: Cfg, arrays: Arrays) -> dict:
    """Our variables {"params", "batch_stats"} from Darknet's arrays; layers that are not in `arrays` are left out."""
    paths = _paths(native)
    flat = flatten_dict(to_variables(cfg, arrays))
    moved = {(key[0], *paths[key[1]], *key[2:]): value for key, value in flat.items() if len(key) > 1}
    return {"params": {}, "batch_stats": {}} | unflatten_dict(moved)


def as_arrays(native: Native, cfg: Cfg, variables: dict) -> Arrays:
    """Darknet's arrays from our variables; the inverse of `from_arrays`."""
    flat = flatten_dict(variables)
    moved = {}
    for name, path in _paths(native).items():
        for key, value in flat.items():
            if key[1 : 1 + len(path)] == path:
                moved[(key[0], name, *key[1 + len(path) :])] = value
    return to_arrays(cfg, unflatten_dict(moved))


def _paths(native: Native) -> dict[str, ModulePath]:
    """Path of each convolution in our variables, by its name in those of darknet.network."""
    return {f"layer{index}": path for index, (_, _, path) in enumerate(sections(native)) if path}
