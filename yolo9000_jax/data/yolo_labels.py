"""The rows of a YOLO label file, without the picture: text in, boxes out."""

import math
import re
from typing import NamedTuple

from yolo9000_jax.data.messages import quote
from yolo9000_jax.errors import UserError

MOST = 2  # of a fraction's size: what is above states pixels
_DIGIT = re.compile(r"\d")
_DECIMAL_COMMAS = re.compile(r"\d+(?:\s+[-+]?(?:\d+(?:,\d+)?|,\d+))+")  # "0 0,5 0,5 0,25 1", as some countries write

Corners = tuple[float, float, float, float]


class Row(NamedTuple):
    """One object: the number of its line, its class, its corners in fractions of the picture, and its first form."""

    line: int
    label: int
    corners: Corners
    is_polygon: bool


def parse_labels(text: str, name: str, classes: int, keypoints: int = 0) -> list[Row]:
    """The objects that a label file states.

    A row is `class x y w h`, centre and size, or a polygon `class x y x y x y …`, of which the box around it is taken
    (so of the four corners of a turned box). Blanks, tabs, commas or semicolons part the columns.

    Args:
        text: of the file.
        name: of the file, for messages.
        classes: how many there are.
        keypoints: columns that follow a row's box, of a set for poses: they are not used.

    Raises:
        UserError: names the line that is wrong.
    """
    if "\0" in text:
        raise UserError(f"{name}: not UTF-8 text, perhaps UTF-16: save it as UTF-8")
    lines = enumerate(text.split("\n"), 1)
    return [_row(f"{name}:{number}", number, line, classes, keypoints) for number, line in lines if line.strip()]


def _row(place: str, number: int, line: str, classes: int, keypoints: int) -> Row:
    if "#" in line:
        raise UserError(f"{place}: {_quoted(line)} holds a comment, which a label file cannot: remove it")
    if not _DIGIT.search(line) and line.upper() != line.lower():
        raise UserError(f"{place}: {_quoted(line)} is a heading, which a label file has none of: remove it")
    columns = _columns(line)
    if keypoints and len(columns) == 5 + keypoints:
        columns = columns[:5]
    _check_count(place, len(columns))
    values = [_number(place, line, column) for column in columns[1:]]
    label = _label(place, columns[0], classes)
    if max(map(abs, values)) > MOST:
        raise UserError(
            f"{place}: {_quoted(line)} is not in fractions of the picture: divide pixels by its width and height"
        )
    if len(values) > 4:
        return Row(number, label, (min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])), True)
    x, y, w, h = values
    if w < 0 or h < 0:
        raise UserError(f"{place}: width or height is negative ({w:g}, {h:g}): correct it")
    return Row(number, label, (x - w / 2, y - h / 2, x + w / 2, y + h / 2), False)


def _columns(line: str) -> list[str]:
    if _DECIMAL_COMMAS.fullmatch(line.strip()):
        return line.replace(",", ".").split()
    return re.split(r"[\s,;]+", line.strip(" \t\r\f\v,;"))


def _check_count(place: str, count: int) -> None:
    if count == 6:
        raise UserError(
            f"{place}: 6 columns: the sixth is a confidence, as predictions have it, or an angle; "
            "a label is 'class x y w h': remove the sixth, and keep only boxes that you trust"
        )
    if count != 5 and (count < 7 or count % 2 == 0):
        raise UserError(f"{place}: {count} columns: write 'class x y w h', or a polygon 'class x y x y x y …'")


def _number(place: str, line: str, column: str) -> float:
    try:
        value = float(column)
    except ValueError:
        raise UserError(f"{place}: {quote(column)} in {_quoted(line)} is no number: correct it") from None
    if not math.isfinite(value):
        raise UserError(f"{place}: {_quoted(line)} is not made of finite numbers: correct it")
    return value


def _label(place: str, column: str, classes: int) -> int:
    try:
        value = float(column)
    except ValueError:
        raise UserError(f"{place}: class {quote(column)} is no number: write the class's number, from 0") from None
    if not value.is_integer():
        raise UserError(f"{place}: class {quote(column)} is no whole number: the class's number comes first in a row")
    if not 0 <= value < classes:
        raise UserError(
            f"{place}: class {value:.15g} is outside 0 to {classes - 1} (names are counted from 0, of {classes}): "
            "correct it, or add its name"
        )
    return int(value)


def _quoted(line: str) -> str:
    return quote(line.strip()[:61])
