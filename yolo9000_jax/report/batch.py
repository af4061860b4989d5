"""A training batch as the network sees it."""

from collections.abc import Sequence

import numpy as np

from yolo9000_jax.boxes.geometry import cxcywh_to_xyxy
from yolo9000_jax.report.draw import class_color, contact_sheet, draw_boxes
from yolo9000_jax.report.fonts import drawable
from yolo9000_jax.tasks.task import Preview

COLUMNS = 4


def draw_batch(pictures: Sequence[Preview]) -> np.ndarray:
    """A contact sheet of the pictures, with their boxes and captions: uint8 [H, W, 3]."""
    drawn = []
    for picture in pictures:
        boxes_xyxy = cxcywh_to_xyxy(picture.boxes_cxcywh) * picture.image.shape[0]
        names = [drawable(name, f"class {label}") for name, label in zip(picture.names, picture.labels, strict=True)]
        drawn.append(draw_boxes(picture.image, boxes_xyxy, names, list(map(class_color, picture.labels))))
    captions = [picture.caption for picture in pictures]
    return contact_sheet(drawn, columns=min(COLUMNS, len(drawn)), captions=captions if any(captions) else None)
