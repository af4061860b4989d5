"""The layers a Darknet .cfg file may hold: their options, shapes and parameters (darknet.md 3 to 5 and 12).

The fields are Darknet's options under Darknet's names. Shapes are (height, width, channels); a vector is (1, 1, n).
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from yolo9000_jax.darknet.options import MAX_BATCHES, MAX_SIDE, Section, option

MAX_LAYERS = 1000
MAX_OUTPUTS = 1 << 28  # numbers in one layer's output for one image: 1 GiB

ACTIVATIONS = ("leaky", "linear", "logistic", "relu")
POLICIES = ("constant", "exp", "poly", "random", "sigmoid", "step", "steps")

Shape = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Net:
    """Options of [net]; those of training are described in darknet.md 8 to 11.

    `unread` names those of training that could not be read and have their defaults, such as "policy=sgdr".
    """

    unused: ClassVar[tuple[str, ...]] = ()
    refused: ClassVar[tuple[str, ...]] = ()
    unread: tuple[str, ...] = ()

    batch: int = option(1, 1, training=True)
    subdivisions: int = option(1, 1, training=True)
    height: int = option(0)
    width: int = option(0)
    channels: int = option(0)
    inputs: int = option(lambda read: read["height"] * read["width"] * read["channels"], 1, MAX_OUTPUTS)
    learning_rate: float = option(0.001, training=True)
    momentum: float = option(0.9, training=True)
    decay: float = option(0.0001, training=True)
    policy: str = option("constant", choices=POLICIES, training=True)
    burn_in: int = option(0, 0, MAX_BATCHES, training=True)
    power: float = option(4.0, training=True)
    max_batches: int = option(0, 0, MAX_BATCHES, training=True)
    steps: tuple[int, ...] = option((), -1, MAX_BATCHES, training=True)
    scales: tuple[float, ...] = option((), training=True)
    step: int = option(1, 1, MAX_BATCHES, training=True)
    scale: float = option(1.0, training=True)
    gamma: float = option(1.0, training=True)
    angle: float = option(0.0, training=True)
    aspect: float = option(1.0, training=True)
    saturation: float = option(1.0, training=True)
    exposure: float = option(1.0, training=True)
    hue: float = option(0.0, training=True)
    min_crop: int = option(lambda read: read["width"], training=True)
    max_crop: int = option(lambda read: 2 * read["width"], training=True)
    random: bool = option(False, training=True)
    letter_box: bool = option(True)  # AlexeyAB's, whose own default is 0; Darknet has no such option, and letterboxes

    @property
    def shape(self) -> Shape:
        """Shape of one input."""
        if self.height and self.width and self.channels:
            return self.height, self.width, self.channels
        return 1, 1, self.inputs


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What every layer has. `inputs` holds the absolute indices of its sources; -1 is the network's input.

    `unread` is as of `Net`.
    """

    type: ClassVar[str]
    last: ClassVar[bool] = False  # nothing but [cost] may follow
    unused: ClassVar[tuple[str, ...]] = ()  # read by Darknet, without effect
    refused: ClassVar[tuple[str, ...]] = ()  # change the numbers, and are not supported here

    index: int
    line: int
    inputs: tuple[int, ...]
    in_shape: Shape
    out_shape: Shape
    unread: tuple[str, ...] = ()
    dontload: bool = option(False)
    dontsave: bool = option(False)
    stopbackward: bool = option(False, training=True)
    learning_rate: float = option(1.0, training=True)

    def check(self, section: Section) -> Shape:
        """The shape of the output; raises UserError where the options do not fit the input."""
        return self.in_shape

    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every array a .weights file holds for this layer, in the order of the file."""
        return {}


def _windows(in_size: int, size: int, stride: int, padding: int, section: Section) -> int:
    """How many windows of `size` fit, `padding` being the total of both sides."""
    if in_size + padding < size:
        section.fail(f"its window of {size} is larger than its input of {in_size} with padding: make `size` smaller")
    return (in_size + padding - size) // stride + 1


_BATCH_NORM = ("scales", "rolling_mean", "rolling_variance")


@dataclass(frozen=True, kw_only=True)
class Convolutional(Layer):
    """Convolution, optional batch norm, activation (darknet.md 4.1). `padding` is resolved: pixels on every side."""

    type = "convolutional"
    unused = ("flip",)
    refused = (
        *("binary", "xnor", "flipped", "dontloadscales", "numload", "dot"),
        *("stride_x", "stride_y", "antialiasing", "coordconv", "share_index", "sway", "rotate", "stretch"),
    )
    filters: int = option(1, 1)
    size: int = option(1, 1)
    stride: int = option(1, 1)
    pad: bool = option(False)
    padding: int = option(0)
    dilation: int = option(1, 1, 1)
    groups: int = option(1, 1)
    activation: str = option("logistic", choices=ACTIVATIONS)
    batch_normalize: bool = option(False)

    def __post_init__(self) -> None:
        if self.pad:
            object.__setattr__(self, "padding", self.size // 2)

    def check(self, section: Section) -> Shape:
        height, width, channels = self.in_shape
        if channels % self.groups or self.filters % self.groups:
            section.fail(f"groups={self.groups} divides not both its {channels} inputs and {self.filters} filters")
        rows, columns = (_windows(side, self.size, self.stride, 2 * self.padding, section) for side in (height, width))
        return rows, columns, self.filters

    def parameters(self) -> dict[str, tuple[int, ...]]:
        norm = {name: (self.filters,) for name in _BATCH_NORM} if self.batch_normalize else {}
        weights = (self.filters, self.in_shape[2] // self.groups, self.size, self.size)
        return {"biases": (self.filters,), **norm, "weights": weights}


@dataclass(frozen=True, kw_only=True)
class Connected(Layer):
    """Fully connected layer on the input flattened as channel, row, column (darknet.md 4.6)."""

    type = "connected"
    refused = ("dontloadscales",)
    output: int = option(1, 1)
    activation: str = option("logistic", choices=ACTIVATIONS)
    batch_normalize: bool = option(False)

    def check(self, section: Section) -> Shape:
        return 1, 1, self.output

    def parameters(self) -> dict[str, tuple[int, ...]]:
        norm = {name: (self.output,) for name in _BATCH_NORM} if self.batch_normalize else {}
        return {"biases": (self.output,), "weights": (self.output, math.prod(self.in_shape)), **norm}


@dataclass(frozen=True, kw_only=True)
class Local(Layer):
    """Convolution with its own filters at every position; `pad` adds one pixel, whatever the size (darknet.md 4.7)."""

    type = "local"
    filters: int = option(1, 1)
    size: int = option(1, 1)
    stride: int = option(1, 1)
    pad: bool = option(False)
    activation: str = option("logistic", choices=ACTIVATIONS)

    def check(self, section: Section) -> Shape:
        height, width, _ = self.in_shape
        padding = self.size - 1 if self.pad else 0
        rows, columns = (_windows(side, self.size, self.stride, padding, section) for side in (height, width))
        return rows, columns, self.filters

    def parameters(self) -> dict[str, tuple[int, ...]]:
        height, width, filters = self.out_shape
        bank = (filters, self.in_shape[2], self.size, self.size)
        return {"biases": (filters, height, width), "weights": (height, width, *bank)}


@dataclass(frozen=True, kw_only=True)
class BatchNorm(Layer):
    """Batch norm of its own; a .weights file holds no biases for it."""

    type = "batchnorm"

    def parameters(self) -> dict[str, tuple[int, ...]]:
        return {name: (self.in_shape[2],) for name in _BATCH_NORM}


@dataclass(frozen=True, kw_only=True)
class MaxPool(Layer):
    """Maximum over windows; `padding` is the total of both sides (darknet.md 4.3)."""

    type = "maxpool"
    refused = ("stride_x", "stride_y", "antialiasing", "maxpool_depth", "out_channels")
    stride: int = option(1, 1)
    size: int = option(lambda read: read["stride"], 1)
    padding: int = option(lambda read: read["size"] - 1)

    def check(self, section: Section) -> Shape:
        height, width, channels = self.in_shape
        if self.padding > 2 * (self.size - 1):
            section.fail(
                f"padding={self.padding} makes windows with no input: at most {2 * (self.size - 1)}", "padding"
            )
        rows, columns = (_windows(side, self.size, self.stride, self.padding, section) for side in (height, width))
        return rows, columns, channels


@dataclass(frozen=True, kw_only=True)
class AvgPool(Layer):
    """Mean over rows and columns."""

    type = "avgpool"

    def check(self, section: Section) -> Shape:
        return 1, 1, self.in_shape[2]


@dataclass(frozen=True, kw_only=True)
class Route(Layer):
    """Channels of earlier layers, one after the other. `layers` is as written, `inputs` absolute."""

    type = "route"
    refused = ("groups", "group_id", "stream")
    layers: tuple[int, ...] = option((), -MAX_LAYERS, MAX_LAYERS)


@dataclass(frozen=True, kw_only=True)
class Reorg(Layer):
    """Darknet's permutation of `stride` x `stride` pixels into channels (darknet.md 4.5)."""

    type = "reorg"
    refused = ("reverse", "flatten", "extra")
    stride: int = option(1, 1)

    def check(self, section: Section) -> Shape:
        height, width, channels = self.in_shape
        if height % self.stride or width % self.stride or channels % self.stride**2:
            section.fail(
                f"input {height}x{width}x{channels} (height x width x channels) can't be split by stride="
                f"{self.stride}: height and width must be divisible by it, channels by its square"
            )
        return height // self.stride, width // self.stride, channels * self.stride**2


@dataclass(frozen=True, kw_only=True)
class Dropout(Layer):
    """Zeroes a share of its input in training; the identity at inference."""

    type = "dropout"
    probability: float = option(0.5, 0, 0.999)


@dataclass(frozen=True, kw_only=True)
class Softmax(Layer):
    """Softmax of the whole vector or, with `tree`, of every group of siblings (darknet.md 4.8 and 11)."""

    type = "softmax"
    last = True
    refused = ("spatial",)
    groups: int = option(1, 1, 1)
    temperature: float = option(1.0, 1e-6)
    tree: str = option("")


@dataclass(frozen=True, kw_only=True)
class Cost(Layer):
    """A loss written as a layer; without effect on the network's output."""

    type = "cost"
    last = True
    unused = ("type", "scale", "ratio", "noobj", "thresh")


@dataclass(frozen=True, kw_only=True)
class Region(Layer):
    """Head of YOLOv2 and YOLO9000 (darknet.md 5). `anchors` are (w, h), one after the other, in grid cells."""

    type = "region"
    last = True
    unused = ("absolute", "classfix", "log", "sqrt")
    coords: int = option(4, 4, 4)
    classes: int = option(20, 1)
    num: int = option(1, 1)
    anchors: tuple[float, ...] = option(lambda read: (0.5,) * (2 * read["num"]), 1e-6, MAX_SIDE)
    softmax: bool = option(False)
    background: bool = option(False)
    max: int = option(30, 1, training=True)
    jitter: float = option(0.2, training=True)
    rescore: bool = option(False, training=True)
    thresh: float = option(0.5, training=True)
    coord_scale: float = option(1.0, training=True)
    object_scale: float = option(1.0, training=True)
    noobject_scale: float = option(1.0, training=True)
    class_scale: float = option(1.0, training=True)
    mask_scale: float = option(1.0, training=True)
    bias_match: bool = option(False, training=True)
    random: bool = option(False, training=True)
    tree: str = option("")
    map: str = option("")

    def check(self, section: Section) -> Shape:
        need, found = self.num * (self.classes + self.coords + 1), self.in_shape[2]
        if need != found:
            section.fail(
                f"needs num*(classes+coords+1) = {self.num}*({self.classes}+{self.coords}+1) = {need} channels, its "
                f"input has {found}: set `filters` of the layer before it to {need}"
            )
        if len(self.anchors) != 2 * self.num:
            section.fail(f"`anchors` holds {len(self.anchors)} numbers, num={self.num} needs {2 * self.num}", "anchors")
        return self.in_shape


@dataclass(frozen=True, kw_only=True)
class Detection(Layer):
    """Head of YOLOv1 (darknet.md 12)."""

    type = "detection"
    last = True
    refused = ("reorg",)
    unused = ("max",)  # its loader looks at every box
    coords: int = option(1, 4, 4)
    classes: int = option(1, 1)
    num: int = option(1, 1)
    side: int = option(7, 1)
    rescore: bool = option(False, training=True)
    softmax: bool = option(False)
    sqrt: bool = option(False)
    jitter: float = option(0.2, training=True)
    coord_scale: float = option(1.0, training=True)
    object_scale: float = option(1.0, training=True)
    noobject_scale: float = option(1.0, training=True)
    class_scale: float = option(1.0, training=True)
    forced: bool = option(False)
    random: bool = option(False, training=True)

    def check(self, section: Section) -> Shape:
        need, found = self.side**2 * (self.classes + self.num * (self.coords + 1)), math.prod(self.in_shape)
        if need != found:
            section.fail(
                f"needs side*side*(classes+num*(coords+1)) = {need} inputs, it gets {found}: set `output` of the "
                f"layer before it to {need}"
            )
        return self.in_shape


LAYERS = {
    layer.type: layer
    for layer in (
        Convolutional, Connected, Local, BatchNorm, MaxPool, AvgPool, Route, Reorg, Dropout, Softmax, Cost, Region,
        Detection,
    )
}  # fmt: skip
