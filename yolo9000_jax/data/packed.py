"""What `yolo9000 pack` adds to the records of TensorFlow Datasets, in them and beside them."""

import io
import json
from typing import Any

import numpy as np

from yolo9000_jax.data.table import starts_of
from yolo9000_jax.errors import UserError

EXACT = "box_xyxy"  # pixels of the picture shown, as the source had them (pack.py)
EXACT_AREA = "area_bits"  # square pixels, as COCO states it: a float64 as int64, as records hold none; NaN: not stated
OWN_ID = "image_id_json"  # what the source itself calls the picture
PACKED = "yolo9000.json"  # beside the records: what is known of them, classes and synsets among it


def read_about(folder: Any) -> dict[str, Any]:
    """What `yolo9000 pack` wrote beside its records in `folder`; raises UserError where that is damaged."""
    try:
        about: dict[str, Any] = json.loads((folder / PACKED).read_text("utf-8"))
        lists = [about["classes"], about["synsets"], about["category_ids"]]
        if len({len(each) for each in lists if each is not None}) != 1 or not isinstance(about["splits"], dict):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        advice = "copy it again, or pack the data to another place"
        raise UserError(f"{folder / PACKED} is damaged, or of an earlier version: {advice}") from None
    return about


def orders_name(split: str) -> str:
    """The file, beside the records of a packed split, that says in which order slices are taken from it."""
    return f"{split}.slices.npy"


def read_orders(folder: Any, split: str, about: dict[str, Any]) -> list[np.ndarray]:
    """The places of a packed split's pictures in the order that slices are taken from, of each part of its source."""
    file = folder / orders_name(split)
    try:
        orders = np.load(io.BytesIO(file.read_bytes()), allow_pickle=False)
        lengths = about["splits"][split]["parts"]
        starts = starts_of(np.array(lengths))
        found = [orders[start:end] for start, end in zip(starts, starts[1:], strict=False)]
        if any((np.sort(order) != np.arange(len(order))).any() for order in found) or starts[-1] != len(orders):
            raise ValueError
    except (EOFError, KeyError, OSError, TypeError, ValueError):
        raise UserError(f"{file} is damaged: copy it again, or pack the data again") from None
    return found
