"""Read Darknet's network descriptions (.cfg files) into a checked plan of layers.

`parse_cfg` is the only entry. Sections and options are read by `options.py`, the layers are described in `layers.py`;
here they are put together: sources found, shapes worked out, sizes and order checked before anybody allocates anything.
"""

import math
from dataclasses import dataclass, replace
from os import PathLike
from typing import Literal

from yolo9000_jax.darknet.layers import LAYERS, MAX_LAYERS, MAX_OUTPUTS, Cost, Layer, Net, Route, Shape
from yolo9000_jax.darknet.options import Remarks, Section, read_options, read_sections
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import stand_in, to_text

MAX_FILE_BYTES = 1 << 20
MAX_PARAMETERS = 1 << 31


@dataclass(frozen=True)
class Cfg:
    """A network description.

    name: where it came from. sections, without [net], and text: as it is written; the text has neither comments nor
    blanks. net, layers: as it is planned.
    """

    name: str
    net: Net
    sections: tuple[Section, ...]
    layers: tuple[Layer, ...]
    warnings: tuple[str, ...]
    text: str

    @property
    def head(self) -> Layer:
        """The layer that says what kind of network this is: the last one that is not [cost]."""
        return next((layer for layer in reversed(self.layers) if layer.type != "cost"), self.layers[-1])

    @property
    def resize(self) -> Literal["letterbox", "stretch", "crop"]:
        """How Darknet brings a picture to the network's size; of YOLOv2's AlexeyAB's `letter_box=0` stretches it."""
        if self.head.type in ("region", "detection"):
            return "letterbox" if self.head.type == "region" and self.net.letter_box else "stretch"
        return "crop"


def parse_cfg(path_or_text: str | PathLike) -> Cfg:
    """Read a .cfg file, or its text.

    Args:
        path_or_text: the file's path; a string with a line break in it is taken as the text itself.

    Returns:
        The Cfg; its `warnings` name options that are not known, those of training that cannot be read (they have their
        defaults, and `darknet.recipe` refuses them), and lines with comments behind values.

    Raises:
        UserError: naming the file, the line, what is wrong and what to do.
    """
    if isinstance(path_or_text, str) and "\n" in path_or_text:
        name, text = "cfg text", path_or_text
    else:
        name, text = str(path_or_text), _read_text(path_or_text)
    remarks = Remarks(name)
    sections = read_sections(name, text, remarks)
    if not sections or sections[0].type != "net":
        raise UserError(f"{name}: the first section is not [net]: is this a Darknet .cfg file?")
    if not 2 <= len(sections) <= MAX_LAYERS + 1:
        raise UserError(f"{name}: {len(sections) - 1} layers after [net]; there must be 1 to {MAX_LAYERS}")
    net = _read_net(sections[0], remarks)
    layers = _plan(net, sections[1:], remarks)
    written = "\n".join(map(_as_text, sections))
    return Cfg(name, net, tuple(sections[1:]), tuple(layers), remarks.lines(), written)


def _as_text(section: Section) -> str:
    return "".join([f"[{section.type}]\n", *(f"{key}={value}\n" for key, value in section.options.items())])


def _read_text(path: str | PathLike) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UserError(f"{str(path)!r}: can't read this cfg file ({getattr(error, 'strerror', error)})") from None
    if what := stand_in(data):
        raise UserError(f"{path} is {what}")
    text = to_text(data, errors="replace")  # comments may be in any encoding
    if len(data) > MAX_FILE_BYTES or "\0" in text:
        raise UserError(f"{path}: this is not a text file: give the .cfg file here, not the .weights file")
    return text


def _read_net(section: Section, remarks: Remarks) -> Net:
    net = Net(**read_options(section, Net, remarks))
    if not net.inputs:
        section.fail("the input has no size: give width, height and channels, or inputs")
    if math.prod(net.shape) != net.inputs:
        section.fail(f"inputs={net.inputs} is not height*width*channels = {math.prod(net.shape)}", "inputs")
    if net.inputs > MAX_OUTPUTS:
        section.fail(f"an input of {net.inputs} numbers is too large: at most {MAX_OUTPUTS}")
    if net.policy == "steps" and len(net.steps) != len(net.scales):
        uneven = f"{len(net.steps)} steps but {len(net.scales)} scales"
        remarks.training.append(f"{uneven} (line {section.option_lines.get('steps', section.line)})")
        return replace(net, unread=(*net.unread, uneven))
    return net


def _plan(net: Net, sections: list[Section], remarks: Remarks) -> list[Layer]:
    """Every section as a layer with its inputs and shapes; checks sizes and order."""
    layers: list[Layer] = []
    parameters = 0
    for index, section in enumerate(sections):
        kind = LAYERS.get(section.type)
        if kind is None:
            section.fail(f"a type that is not known (YOLOv3 and later can't be read): use one of {', '.join(LAYERS)}")
        if layers and layers[-1].last and (kind is not Cost or layers[-1].type == "cost"):
            section.fail(f"nothing but [cost] may follow [{layers[-1].type}]: it must come last")
        options = read_options(section, kind, remarks)
        inputs = _route_inputs(section, index, options["layers"]) if kind is Route else (index - 1,)
        in_shape = _join([layers[i].out_shape if i >= 0 else net.shape for i in inputs], section)
        layer = kind(index=index, line=section.line, inputs=inputs, in_shape=in_shape, out_shape=in_shape, **options)
        layer = replace(layer, out_shape=layer.check(section))
        if math.prod(layer.out_shape) > MAX_OUTPUTS:
            section.fail(f"an output of {math.prod(layer.out_shape)} numbers is too large: at most {MAX_OUTPUTS}")
        parameters += sum(map(math.prod, layer.parameters().values()))
        if parameters > MAX_PARAMETERS:
            section.fail(f"the network has {parameters} parameters up to here: at most {MAX_PARAMETERS}")
        layers.append(layer)
    return layers


def _route_inputs(section: Section, index: int, listed: tuple[int, ...]) -> tuple[int, ...]:
    """Absolute indices of a route's sources; negative ones count back from the route itself."""
    if not listed:
        section.fail("names no layers: give layers=-1,-4 or the like")
    inputs = tuple(i + index if i < 0 else i for i in listed)
    for written, absolute in zip(listed, inputs, strict=True):
        if not 0 <= absolute < index:
            section.fail(
                f"layers={written}: a route can name only the {index} layers before it, 0 to {index - 1}", "layers"
            )
    return inputs


def _join(shapes: list[Shape], section: Section) -> Shape:
    """Shape of feature maps put together by channels."""
    if len({shape[:2] for shape in shapes}) > 1:
        sizes = ", ".join(f"{height}x{width}" for height, width, _ in shapes)
        section.fail(f"its layers differ in height x width ({sizes}): they can't be put together", "layers")
    return (*shapes[0][:2], sum(shape[2] for shape in shapes))
