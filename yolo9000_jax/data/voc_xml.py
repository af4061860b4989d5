"""One XML file of Pascal VOC's kind: what it states about a picture. No picture is looked at here.

Boxes: VOC's pixels count from 1 and the far one belongs to the box, so <bndbox>'s (xmin, ymin, xmax, ymax) is
boxes_xyxy = (xmin - 1, ymin - 1, xmax, ymax). ImageNet's pixels are taken to count from 0, the far one again belonging
to the box: (xmin, ymin, xmax + 1, ymax + 1). That is a guess. Its development kit (ILSVRC2015) calls the files "PASCAL
VOC format" and takes a width as xmax - xmin + 1, which fits either; it states no origin. For 0 speaks an annotation
with xmin 0, which VOC's cannot have, but it is of the task in videos, and we know it from a quotation by others only.
Of two other readers, seen in excerpts whose source was not certain, one takes the numbers as they are and one takes 1
off.

A box stated with xmin == xmax or ymin == ymax is one without area. Where there is no <bndbox>, an outline will do
(LabelMe's and CVAT's <polygon>, roLabelImg's turned <robndbox>): the box is the one round it.
"""

import codecs
import math
import re
from dataclasses import dataclass
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from yolo9000_jax.data.messages import quote
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import stand_in

MAX_BYTES = 1 << 22  # of a file: ten thousand boxes have place in it
MAX_SIDE = 1 << 31  # of a picture, pixels
MAX_NUMBER_LENGTH = 60
CORNERS = ("xmin", "ymin", "xmax", "ymax")
YES, NO = ("1", "true", "yes"), ("", "0", "false", "no", "unspecified")
TEXT_ENCODINGS = re.compile("utf-8|ascii|iso8859|latin|cp[0-9]|gb|big5|shift_jis|euc|koi8|mac")
_DECLARED = re.compile(rb"""\s*<\?xml[^>]{0,200}?\sencoding\s*=\s*["']([\w.:-]{1,40})["']""")
_COORDINATE = re.compile(r"([xy])\d*")

NO_BOX = ("object without a box is left out", "objects without a box are left out")
DELETED = ("object marked as deleted is left out", "objects marked as deleted are left out")
OUTLINE = ("outline made into the box round it", "outlines made into the boxes round them")

Corners = tuple[float, float, float, float]


class Object(NamedTuple):
    """One <object>: where it stands in the file ("object 5"), its class, corners x0, y0, x1, y1 in pixels.

    `stated` are the numbers of the file, which may be fractions of the picture.
    """

    place: str
    name: str
    corners: Corners
    difficult: bool
    stated: Corners


@dataclass(frozen=True)
class Parsed:
    """What a file states: size is (width, height), 0 where it is not stated; notes are (kind, place) for `Notes`."""

    filename: str
    size: tuple[int, int]
    objects: tuple[Object, ...]
    notes: tuple[tuple[tuple[str, str], str], ...] = ()


def parse(content: bytes, name: str, first_pixel: int = 1) -> Parsed:
    """Reads the content of an XML file.

    Args:
        content: its bytes.
        name: what messages call it.
        first_pixel: the number of a picture's first column and row in <bndbox>: 1 of VOC, 0 of ImageNet.

    Raises:
        UserError: it is too large, not in the encoding that it states, not well-formed XML or another kind of file, has
            a document type or entity declaration, or a value in it is missing or malformed.
    """
    if len(content) > MAX_BYTES:
        raise UserError(f"{name} has more than {MAX_BYTES >> 20} MiB: no picture has so many boxes; remove it")
    if what := stand_in(content):
        raise UserError(f"{name} is {what}")
    try:
        root = fromstring(_text(content, name), forbid_dtd=True)
    except DefusedXmlException:
        raise UserError(f"{name}: document type and entity declarations are refused: remove them") from None
    except (ParseError, ValueError, LookupError) as error:
        raise UserError(f"{name} is not well-formed XML ({error}): correct or remove it") from None
    if root.tag != "annotation":
        hint = "; of CVAT export the format Pascal VOC" if root.tag == "annotations" else ""
        raise UserError(
            f"{name}: the outermost element is <{quote(root.tag)[1:-1]}>, not <annotation>: not a VOC file{hint}"
        )
    notes: list[tuple[tuple[str, str], str]] = []
    elements = enumerate(root.findall("object"), 1)
    found = [_object(name, f"object {number}", element, first_pixel, notes) for number, element in elements]
    width, height = (
        _side(name, key, root.findtext(f"size/{key}") or root.findtext(f"imagesize/{other}"))
        for key, other in (("width", "ncols"), ("height", "nrows"))  # LabelMe's
    )
    filename = (root.findtext("filename") or "").strip()
    return Parsed(filename, (width, height), tuple(each for each in found if each is not None), tuple(notes))


def _text(content: bytes, name: str) -> str:
    """The text of a file, by its byte order mark, else in the encoding that it states, else in UTF-8."""
    declared = _DECLARED.match(content)
    stated = declared[1].decode("ascii", "replace").lower() if declared else "utf-8"
    if content.startswith(codecs.BOM_UTF8) or stated.startswith(("utf-16", "utf16", "ucs")):
        stated = "utf-8-sig"  # what can be read so far is no UTF-16, whatever it says
    for start, encoding in ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        stated = encoding if content.startswith(start) else stated
    for start, encoding in ((b"<\0", "utf-16-le"), (b"\0<", "utf-16-be")):
        stated = encoding if content.startswith(start) else stated
    try:
        known = codecs.lookup(stated).name
    except LookupError:
        known = ""
    if not TEXT_ENCODINGS.match(known) and not known.startswith("utf-16"):
        raise UserError(f"{name}: its first line states encoding {quote(stated)}, which is not read: save it as UTF-8")
    try:
        text = content.decode("gb18030" if known in ("gb2312", "gbk") else known)
    except UnicodeDecodeError:
        says = ", as its first line says" if declared else ""
        raise UserError(f"{name} is not {stated.removesuffix('-sig')} text{says}: save it as UTF-8") from None
    return text.lstrip("\ufeff \t\r\n")


def _object(
    file: str, place: str, element: Element, first_pixel: int, notes: list[tuple[tuple[str, str], str]]
) -> Object | None:
    """One object, or None where it is to be left out, which is noted."""
    where = f"{file}, {place}"
    if (element.findtext("deleted") or "").strip() == "1":
        notes.append((DELETED, place))
        return None
    name = " ".join((element.findtext("name") or "").split())
    if not name:
        raise UserError(f"{where}: <name> is missing or empty: name its class")
    stated = _corners(where, element)
    if stated is None:
        notes.append((NO_BOX, place))
        return None
    if element.find("bndbox") is None:
        notes.append((OUTLINE, place))
    difficult = (element.findtext("difficult") or "").strip()
    if difficult.lower() not in YES + NO:
        raise UserError(f"{where}: <difficult> is {quote(difficult)}: write 0 or 1")
    x0, y0, x1, y1 = corners = stated
    if element.find("bndbox") is not None and x0 < x1 and y0 < y1:  # else it stays without area, or inverted
        corners = x0 - first_pixel, y0 - first_pixel, x1 - first_pixel + 1, y1 - first_pixel + 1
    return Object(place, name, corners, difficult.lower() in YES, stated)


def _corners(where: str, element: Element) -> Corners | None:
    """The numbers of an object's box, or the corners of the one round its outline; None where it has neither."""
    if (box := element.find("bndbox")) is not None:
        x0, y0, x1, y1 = (_number(where, corner, box.findtext(corner)) for corner in CORNERS)
        return x0, y0, x1, y1
    if (turned := element.find("robndbox")) is not None:
        cx, cy, w, h, angle = (_number(where, key, turned.findtext(key)) for key in ("cx", "cy", "w", "h", "angle"))
        cos, sin = abs(math.cos(angle)), abs(math.sin(angle))  # of radians
        half_x, half_y = (w * cos + h * sin) / 2, (w * sin + h * cos) / 2
        return cx - half_x, cy - half_y, cx + half_x, cy + half_y
    if (polygon := element.find("polygon")) is None:
        return None
    values: dict[str, list[float]] = {"x": [], "y": []}
    for point in polygon.iter():  # <pt><x>, <x1> … <xN>, or plain <x>
        if match := _COORDINATE.fullmatch(point.tag):
            values[match[1]].append(_number(where, point.tag, point.text))
    xs, ys = values["x"], values["y"]
    return (min(xs), min(ys), max(xs), max(ys)) if xs and ys else None


def _number(where: str, key: str, text: str | None) -> float:
    """The finite number of an element's text."""
    value = _parsed(text)
    if value is None:
        stated = "missing" if text is None else quote(text)
        raise UserError(f"{where}: <{key}> is {stated}: give a number of pixels")
    return value


def _side(file: str, key: str, text: str | None) -> int:
    """A stated width or height; 0 where there is none. "96.0" is 96."""
    value = _parsed(text) if text and text.strip() else 0.0
    if value is None or value != int(value) or not 0 <= value < MAX_SIDE:
        raise UserError(f"{file}: <size> states {key} {quote(text)}: give a whole number of pixels")
    return int(value)


def _parsed(text: str | None) -> float | None:
    """The finite number that a text is, or None. Python's own "1_0" is none here."""
    try:
        value = float(text) if text is not None and len(text) < MAX_NUMBER_LENGTH and "_" not in text else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None
