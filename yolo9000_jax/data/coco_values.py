"""Values of COCO files as tools write them: ids, numbers, flags, and the box round a polygon or a mask."""

import math
import re
import sys
from typing import TypeGuard

import numpy as np

Box = tuple[float, float, float, float]  # x0, y0, x1, y1

WHOLE = re.compile(r"(-?[0-9]{1,18})(\.0*)?")
LARGEST_MASK = 2**40  # pixels
FLAGS = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}


def is_missing(value: object) -> bool:
    """Whether a value says nothing: null, an empty text, or the NaN that pandas writes for none."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def identity(value: object) -> int | str | None:
    """An id: 7, 7.0, "7" and "007" are the same, other text is its own; None for what is no id."""
    if type(value) is int:  # nearly always
        return value
    if isinstance(value, str):
        whole = WHOLE.fullmatch(value.strip())
        return int(whole[1]) if whole else value.strip() or None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return None


def number(value: object) -> float | None:
    """A finite number, perhaps written as text; None for anything else."""
    if isinstance(value, str) and len(value) < 40:
        try:
            value = float(value)
        except ValueError:
            return None
    if type(value) is not float and type(value) is not int:
        return None
    return float(value) if -sys.float_info.max <= value <= sys.float_info.max else None


def flag(value: object) -> bool | None:
    """0 or 1 as a number, a text or a truth value; None for anything else."""
    if isinstance(value, str):
        return FLAGS.get(value.strip().lower())
    return bool(value) if isinstance(value, int | float) and value in (0, 1) else None


def outline(segmentation: object) -> Box | None:
    """The box round polygons or a mask; None where there are none.

    Args:
        segmentation: polygons, each [x, y, x, y, …] or [[x, y], …]; one such polygon; or a mask's run lengths,
            {"size": [height, width], "counts": [...]}, the counts perhaps packed into a text, as pycocotools does.
    """
    if isinstance(segmentation, dict):
        counts = segmentation.get("counts")
        return _round_mask(segmentation.get("size"), unpacked(counts) if isinstance(counts, str) else counts)
    if not isinstance(segmentation, list):
        return None
    flat: list[object] = []
    for part in segmentation if all(isinstance(part, list) for part in segmentation) else [segmentation]:
        points = [value for point in part for value in point] if all(isinstance(p, list) for p in part) else part
        if len(points) % 2:
            return None
        flat += points
    values = [number(value) for value in flat]
    if not values or any(value is None for value in values):
        return None
    corners = np.array(values, float).reshape(-1, 2)
    (x0, y0), (x1, y1) = corners.min(0).tolist(), corners.max(0).tolist()
    return x0, y0, x1, y1


def unpacked(text: str) -> list[int]:
    """The run lengths that a text holds: [] where it holds none.

    Each is written five bits a character, the lowest first, as its character's code less 48; a sixth bit says that more
    follow. From the fourth on it is the difference to the last but one before it.
    """
    counts: list[int] = []
    value = shift = 0
    for char in text:
        bits = ord(char) - 48
        if not 0 <= bits < 64 or shift > 60:
            return []
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return [] if shift or any(count < 0 for count in counts) else counts


def _round_mask(size: object, counts: object) -> Box | None:
    """Of runs of pixels, off and on in turn, down one column after the other."""
    if not _are_counts(size) or not _are_counts(counts) or len(size) != 2:
        return None
    height, width = size
    if not 0 < height * width <= LARGEST_MASK or sum(counts) > height * width:
        return None
    ends = np.cumsum(counts, dtype=np.int64)
    first, last = ends[0::2][: len(ends) // 2], ends[1::2] - 1
    first, last = first[last >= first], last[last >= first]
    if not len(first):
        return None
    x0, x1 = (first // height).min(), (last // height).max() + 1
    if (last // height > first // height).any():  # such a run reaches the bottom, and the next column's top
        return float(x0), 0.0, float(x1), float(height)
    return float(x0), float((first % height).min()), float(x1), float((last % height).max() + 1)


def _are_counts(values: object) -> TypeGuard[list[int]]:
    if not isinstance(values, list) or not values:
        return False
    return all(type(value) is int and 0 <= value <= LARGEST_MASK for value in values)
