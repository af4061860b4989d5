"""What label files state, checked against the pictures: the one gate that the data of every file source go through.

A source (voc.py, coco.py, yolo.py, folders.py) parses its label files into `Annotation`s; `make_records` makes records
of them: boxes that stick out are clipped and counted, boxes without area are dropped and counted, anything else that is
wrong is a `UserError`.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from yolo9000_jax.data.messages import nearest, quote
from yolo9000_jax.data.records import Record
from yolo9000_jax.errors import UserError
from yolo9000_jax.images import reading

THREADS = 16  # looking at pictures waits for the disk
CLIP_TOLERANCE_PIXELS = 0.01  # decimals of a label file round to this much; less than it is not worth a note

NO_AREA = ("box without area dropped", "boxes without area dropped")
CLIPPED = ("box clipped to the picture", "boxes clipped to the picture")
NO_SIZE = ("label states no size; the picture's own is used", "labels state no size; the picture's own is used")
TURNED = (
    "picture has an EXIF orientation and is seen turned, as viewers show it: its boxes are taken as drawn so",
    "pictures have an EXIF orientation and are seen turned, as viewers show them: their boxes are taken as drawn so",
)


@dataclass
class Annotation:
    """What a label file states about one picture, not yet compared with the picture.

    `boxes_xyxy` are pixels, or fractions of the picture where `fractions` is set; `places` says for messages where each
    box stands in the file ("object 5"). A picture label without box has one label and no boxes.
    """

    name: str  # short, for notes and `Record.name`
    source: str  # the path of the label file, and the record in it: for errors
    image: Path
    boxes_xyxy: list[tuple[float, float, float, float]]
    labels: list[int]
    difficult: list[bool]
    places: list[str]
    size: tuple[int, int] | None = None  # width, height as stated; None: the format has no such statement
    fractions: bool = False


class Notes:
    """Counts what was put right while reading, and remembers the first place of each kind."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], tuple[int, str]] = {}

    def add(self, kind: tuple[str, str], place: str) -> None:
        """Counts one more of `kind` = (text after "1", text after a larger number)."""
        count, first = self._found.get(kind, (0, place))
        self._found[kind] = (count + 1, first)

    def lines(self) -> tuple[str, ...]:
        """For example "2 boxes without area dropped (first: BloodImage_00338.xml, object 5)"."""
        return tuple(
            f"{count} {one if count == 1 else many} (first: {first})"
            for (one, many), (count, first) in self._found.items()
        )


def class_id(name: str, ids: dict[str, int], place: str) -> int:
    """The id of a class name found in a file; raises `UserError` that suggests the nearest name."""
    if name not in ids:
        raise UserError(
            f"{place}: class {quote(name)} is not among the {len(ids)} classes{nearest(name, ids)}; "
            "correct the label, or add the class to the list"
        )
    return ids[name]


def make_records(annotations: Sequence[Annotation], notes: Notes) -> list[Record]:
    """Checks annotations against their pictures and makes records of them, in the same order.

    Raises:
        UserError: a picture is missing, broken or truncated, or not of the stated size; a box is not finite or has
            its corners in the wrong order.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(_inspect, annotations))
    return [_record(annotation, picture, notes) for annotation, picture in zip(annotations, found, strict=True)]


def _inspect(annotation: Annotation) -> reading.Header:
    try:
        return reading.inspect(annotation.image)
    except UserError as error:
        if annotation.source == str(annotation.image):
            raise
        raise UserError(f"{annotation.source}: {error}") from None


def _record(annotation: Annotation, picture: reading.Header, notes: Notes) -> Record:
    width, height = picture.width, picture.height
    if annotation.size is not None:
        _check_size(annotation, annotation.size, (width, height), notes)
    if picture.orientation != 1:
        notes.add(TURNED, annotation.image.name)
    if picture.remark:
        notes.add((f"picture has {picture.remark}", f"pictures have {picture.remark}"), annotation.image.name)
    boxes = np.array(annotation.boxes_xyxy, np.float64).reshape(-1, 4)
    if annotation.fractions:
        boxes = boxes * [width, height, width, height]
    labels, difficult = np.array(annotation.labels, np.int32), np.array(annotation.difficult, bool)
    if annotation.places:
        boxes, kept = clean_boxes(boxes, width, height, annotation, notes)
        labels, difficult = labels[kept], difficult[kept]
    return Record(
        annotation.name,
        str(annotation.image),
        width,
        height,
        boxes.astype(np.float32),
        labels,
        difficult,
        partial(reading.read, annotation.image),
    )


def _check_size(annotation: Annotation, stated: tuple[int, int], found: tuple[int, int], notes: Notes) -> None:
    if 0 in stated:
        notes.add(NO_SIZE, annotation.name)
    elif stated != found:
        raise UserError(
            f"{annotation.source} says {stated[0]}x{stated[1]} but {annotation.image.name} is {found[0]}x{found[1]}: "
            "correct the stated size, and the boxes if they were drawn on another size"
        )


def clean_boxes(
    boxes_xyxy: np.ndarray, width: int, height: int, annotation: Annotation, notes: Notes
) -> tuple[np.ndarray, np.ndarray]:
    """Clips boxes to their picture and drops those without area; both are counted in `notes`.

    Args:
        boxes_xyxy: float64 [N, 4], pixels.
        width, height: of the picture, pixels.
        annotation: names the label file and the place of each box.
        notes: counts what was done.

    Returns:
        The boxes left [M, 4] and which of the N these are: bool [N].

    Raises:
        UserError: a corner is not a finite number, or the far corner lies before the near one.
    """
    low, high = boxes_xyxy[:, :2], boxes_xyxy[:, 2:]
    for wrong, what in (
        (~np.isfinite(boxes_xyxy).all(1), "is not made of finite numbers"),
        ((high < low).any(1), "has its corners in the wrong order (the far one lies before the near one)"),
    ):
        if wrong.any():
            first = int(np.argmax(wrong))
            box = ", ".join(f"{value:g}" for value in boxes_xyxy[first])
            raise UserError(f"{annotation.source}, {annotation.places[first]}: box [{box}] {what}: correct it")
    limits = np.array([width, height, width, height], np.float64)
    clipped = np.clip(boxes_xyxy, 0, limits)
    kept = (clipped[:, 2:] > clipped[:, :2]).all(1)
    sticks_out = (np.abs(clipped - boxes_xyxy) > CLIP_TOLERANCE_PIXELS).any(1)
    for place, keep, clip in zip(annotation.places, kept, sticks_out, strict=True):
        if not keep or clip:
            notes.add(CLIPPED if keep else NO_AREA, f"{annotation.name}, {place}")
    return clipped[kept], kept
