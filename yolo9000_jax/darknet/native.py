"""Our own networks as Darknet's cfg files describe them.

`sections` is the one description of both: the cfg's text is written from it, and it says which of our modules is which
of Darknet's layers.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from flax.traverse_util import flatten_dict, unflatten_dict

from yolo9000_jax.darknet.cfg import Cfg, parse_cfg
from yolo9000_jax.darknet.layers import Connected, Convolutional, Dropout, Layer, Local
from yolo9000_jax.darknet.network import to_arrays, to_variables
from yolo9000_jax.darknet.weights import Arrays
from yolo9000_jax.errors import UserError
from yolo9000_jax.models import yolo_v1, yolo_v2
from yolo9000_jax.models.layers import scaled
from yolo9000_jax.models.trunk import Trunk, names_after

TRUNKS: dict[str, type[Trunk]] = {name: trunk for name, (trunk, _) in (yolo_v1.TRUNKS | yolo_v2.TRUNKS).items()}

ModulePath = tuple[str, ...]  # as flax.traverse_util.flatten_dict names variables
Section = tuple[str, dict[str, Any], ModulePath | None]  # type, options, and the module of a layer that learns


@dataclass(frozen=True)
class Native:
    """One of our networks, and what sizes its layers.

    task: "detection" (YoloV2, or YoloV1), or "classification" (Darknet19, or Extraction).
    outputs: filters, or units, of the last layer.
    architecture: of a detector, "yolo_v2" or "yolo_v1".
    trunk: "darknet19", "extraction" or "tiny".
    batch_norm: whether the convolutions have it.
    head_convolutions, passthrough: of YoloV2. "paper" is written as yolo-voc.2.0.cfg has it, with Darknet's reorg: as
        many weights, but the layer behind it has them in another order of channels. No cfg is recognised as it.
    head, hidden, dropout: of YoloV1; `hidden` is never 0.
    logits: of Extraction.
    """

    task: str
    outputs: int
    width: float = 1.0
    head_convolutions: bool = True
    passthrough: str = "darknet"
    architecture: str = "yolo_v2"
    trunk: str = "darknet19"
    batch_norm: bool = True
    head: str = "connected"
    hidden: int = 4096
    dropout: float = 0.5
    logits: str = "linear"

    @property
    def title(self) -> str:
        """What people call it."""
        if self.task == "detection":
            return {"yolo_v1": "YOLOv1", "yolo_v2": "YOLOv2"}[self.architecture]
        return {"darknet19": "Darknet-19"}.get(self.trunk, "Extraction")

    def conv(self, filters: int, size: int, *path: str, stride: int = 1) -> Section:
        """A convolution that `width` and `batch_norm` are for: type, options, path."""
        norm = {"batch_normalize": 1} if self.batch_norm else {}
        options = {"filters": scaled(filters, self.width), "size": size, "stride": stride}
        return "convolutional", norm | options | {"pad": 1, "activation": "leaky"}, path

    def last(self, name: str, activation: str = "linear") -> Section:
        """The 1x1 convolution to the outputs."""
        options = {"filters": self.outputs, "size": 1, "stride": 1, "pad": 1, "activation": activation}
        return "convolutional", options, (name,)


def sections(native: Native) -> Iterator[Section]:
    """The layers in order: type, options, and for one that learns the path of its module in our variables."""
    trunk = TRUNKS[native.trunk]
    number = 0
    for stage, layers in enumerate(trunk.stages):
        if stage:
            yield "maxpool", {"size": 2, "stride": 2}, None
        for filters, size in layers:
            number += 1
            stride = trunk.first_stride if number == 1 else 1
            yield native.conv(filters, size, "trunk", f"conv{number}", stride=stride)
    if native.task == "classification":
        yield native.last("logits", native.logits)
        yield "avgpool", {}, None
    elif native.architecture == "yolo_v1":
        yield from _yolo_v1_head(native, trunk)
    else:
        yield from _yolo_v2_head(native, trunk)


def _yolo_v2_head(native: Native, trunk: type[Trunk]) -> Iterator[Section]:
    *names, last = names_after(trunk, yolo_v2.TRUNKS[native.trunk][1])
    if native.head_convolutions:
        for name in names:
            yield native.conv(1024, 3, name)
        if native.passthrough != "none":
            yield "route", {"layers": f"-{len(names) + len(trunk.stages[-1]) + 2}"}, None  # before the last max pool
            if native.passthrough == "darknet":
                yield native.conv(64, 1, "passthrough")
            yield "reorg", {"stride": 2}, None
            yield "route", {"layers": "-1,-4" if native.passthrough == "darknet" else "-1,-3"}, None
        yield native.conv(1024, 3, last)
    yield native.last("boxes")


def _yolo_v1_head(native: Native, trunk: type[Trunk]) -> Iterator[Section]:
    _, convolutions = yolo_v1.TRUNKS[native.trunk]
    for name, (filters, stride) in zip(names_after(trunk, len(convolutions)), convolutions, strict=True):
        yield native.conv(filters, 3, name, stride=stride)
    if native.head == "connected":
        yield "connected", {"output": native.hidden, "activation": "leaky"}, ("hidden",)
    elif native.head == "local":
        options = {"size": 3, "stride": 1, "pad": 1, "filters": native.hidden, "activation": "leaky"}
        yield "local", options, ("hidden",)
    if native.head != "direct":
        yield "dropout", {"probability": native.dropout}, None
    yield "connected", {"output": native.outputs, "activation": "linear"}, ("output",)


def write_cfg(native: Native, net: dict, head: tuple[str, dict] | None = None) -> str:
    """The text of a cfg: [net] with the options `net`, the layers, and the last section `head` = (type, options)."""
    listed = [("net", net), *((kind, options) for kind, options, _ in sections(native)), *([head] if head else [])]
    blocks = ("".join([f"[{kind}]\n", *(f"{k}={v}\n" for k, v in options.items())]) for kind, options in listed)
    return "\n".join(blocks)


def recognise(cfg: Cfg) -> Native:
    """Which of our networks a cfg describes.

    Raises:
        UserError: it is none of them at any width; the message names the first layer that differs.
    """
    native = _guess(cfg)
    height, width, channels = cfg.net.shape
    ours = parse_cfg(write_cfg(native, {"width": width, "height": height, "channels": channels}))
    body = [layer for layer in cfg.layers if layer.type not in ("region", "detection", "softmax", "cost")]
    for own, theirs in zip_longest(ours.layers, body):
        if own is None or theirs is None or _key(own) != _key(theirs):
            where = f"layer {theirs.index} [{theirs.type}] on line {theirs.line}" if theirs else "its end"
            raise UserError(
                f"{cfg.name}: differs from {native.title} at {where}: such a network can be run, but not converted"
            )
    return native


def _guess(cfg: Cfg) -> Native:
    """The network that a cfg describes, if it is one of ours."""
    kind = cfg.head.type
    if kind not in ("region", "detection", "softmax", "avgpool"):
        known = "YOLOv1, YOLOv2, Extraction and Darknet-19"
        raise UserError(f"{cfg.name}: ends in [{kind}]; only {known} can be converted")
    convolutions = [layer for layer in cfg.layers if isinstance(layer, Convolutional)]
    if not convolutions:
        return Native("classification" if kind in ("softmax", "avgpool") else "detection", 1)
    first, last = convolutions[0], convolutions[-1]
    trunk = "extraction" if first.size == 7 else "tiny" if kind == "detection" else "darknet19"
    common: dict[str, Any] = {"trunk": trunk, "batch_norm": first.batch_normalize}
    if kind == "detection":
        native = Native("detection", architecture="yolo_v1", **common, **_guess_head(cfg))
    elif kind == "region":
        passthrough = "darknet" if any(layer.type == "reorg" for layer in cfg.layers) else "none"
        more = len(convolutions) > 1 + sum(map(len, yolo_v2.TRUNKS[trunk][0].stages))
        native = Native("detection", last.filters, head_convolutions=more, passthrough=passthrough, **common)
    else:
        logits = last.activation if trunk == "extraction" else "linear"
        native = Native("classification", last.filters, logits=logits, **common)
    return replace(native, width=_width(native, [layer.filters for layer in convolutions]))


def _guess_head(cfg: Cfg) -> dict[str, Any]:
    """What follows YOLOv1's convolutions, as fields of a Native."""
    connected = [layer.output for layer in cfg.layers if isinstance(layer, Connected)]
    local = [layer.filters for layer in cfg.layers if isinstance(layer, Local)]
    dropout = [layer.probability for layer in cfg.layers if isinstance(layer, Dropout)]
    head = "local" if local else "connected" if len(connected) > 1 else "direct"
    hidden = [*local, *connected[:-1], 1][0]
    return {"outputs": [1, *connected][-1], "head": head, "hidden": hidden, "dropout": [*dropout, 0.0][0]}


def _key(layer: Layer) -> tuple:
    """What makes two layers the same."""
    names = (
        "type",
        "inputs",
        "out_shape",
        "size",
        "stride",
        "padding",
        "activation",
        "groups",
        "dontload",
        "dontsave",
        "probability",
    )
    return *(getattr(layer, name, None) for name in names), *layer.parameters().items()


def _width(native: Native, filters: list[int]) -> float:
    """The width multiplier that gives the convolutions these filters, as round as it can be; 1 where there is none."""
    full = [
        options["filters"]
        for kind, options, path in sections(replace(native, width=1.0))
        if kind == "convolutional" and path not in (("logits",), ("boxes",))  # which don't depend on it
    ]
    pairs = list(zip(full, filters, strict=False))
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
    """Path of each layer that learns in our variables, by its name in those of darknet.network."""
    return {f"layer{index}": path for index, (_, _, path) in enumerate(sections(native)) if path}
