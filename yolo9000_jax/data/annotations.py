"""What label files state, checked against the pictures: the one gate that the data of every file source go through.

A source (voc.py, coco.py, yolo.py, folders.py) parses its label files into `Annotation`s; `make_records` makes records
of them: boxes that stick out are clipped and counted, boxes without area are dropped and counted, anything else that is
wrong is a `UserError`. What is readable but not plausible (boxes under a pixel, a box or a picture that is there twice)
is counted as well.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from yolo9000_jax.data.orientation import upright_boxes
from yolo9000_jax.data.table import Record, Table
from yolo9000_jax.errors import UserError
from yolo9000_jax.images import reading
from yolo9000_jax.images.pixels import SWAPPED

THREADS = 16  # looking at pictures waits for the disk
CLIP_TOLERANCE_PIXELS = 0.01  # decimals of a label file round to this much; less than it is not worth a note
FRACTION_TOLERANCE = 0.01  # of the picture: rounding at its edge
LARGEST_FRACTION = 2  # where no value of a data set is larger, and some are not whole, they are no pixels

FRACTIONS = ("box is read as fractions of its picture", "boxes are read as fractions of their pictures, not as pixels")
NO_AREA = ("box without area dropped", "boxes without area dropped")
CLIPPED = ("box clipped to the picture", "boxes clipped to the picture")
NO_SIZE = ("label states no size; the picture's own is used", "labels state no size; the picture's own is used")
TURNED_AS_SHOWN = (
    "picture has an EXIF orientation: read, with its boxes, as a viewer shows it",
    "pictures have an EXIF orientation: read, with their boxes, as a viewer shows them",
)
TURNED_AS_STORED = (
    "picture has an EXIF orientation and, by the size stated, boxes on the stored pixels: both are turned",
    "pictures have an EXIF orientation and, by the sizes stated, boxes on the stored pixels: both are turned",
)
TURNED_UNCLEAR = (
    "picture has an EXIF orientation; its boxes are taken as drawn on what a viewer shows (no size tells)",
    "pictures have an EXIF orientation; their boxes are taken as drawn on what a viewer shows (no size tells)",
)
UNDER_A_PIXEL = (
    "box is narrower or lower than a pixel (a fraction taken for pixels?)",
    "boxes are narrower or lower than a pixel (fractions taken for pixels?)",
)
BOX_TWICE = (
    "box stands there twice with the same label; one is dropped",
    "boxes stand there twice with the same label; one of each is dropped",
)
BOX_OF_TWO_LABELS = (
    "box stands there again with another label; each counts",
    "boxes stand there again with another label; each counts",
)
PICTURE_TWICE = (
    "picture is listed or labelled more than once; each time counts",
    "pictures are listed or labelled more than once; each time counts",
)


@dataclass
class Annotation:
    """What a label file states about one picture, not yet compared with the picture.

    `boxes_xyxy` are pixels, or fractions of the picture where `fractions` is set; `places` says for messages where each
    box stands in the file ("object 5"). A picture label without box has one label and no boxes. `crowd` says which of
    the difficult boxes are crowds; empty: none. `areas` are square pixels as stated, NaN for not; empty: none.
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
    crowd: list[bool] = field(default_factory=list)
    areas: list[float] = field(default_factory=list)
    image_id: int | str | None = None


class Notes:
    """Counts what was put right while reading, and remembers the first place of each kind."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], tuple[int, str]] = {}
        self._counted: set[Hashable] = set()

    def add(self, kind: tuple[str, str], place: str, number: int = 1, key: Hashable = None) -> None:
        """Counts one more, or `number`, of `kind` = (text after "1", text after a larger number).

        What has a `key` is counted once, however often it is met: a folder may be train's and val's.
        """
        if key is not None and (kind, key) in self._counted:
            return
        self._counted.add((kind, key))
        count, first = self._found.get(kind, (0, place))
        self._found[kind] = (count + number, first)

    def counts(self) -> list[tuple[tuple[str, str], int, str]]:
        """(kind, number, first place) of each kind."""
        return [(kind, *found) for kind, found in self._found.items()]

    def lines(self) -> tuple[str, ...]:
        """For example "2 boxes without area dropped (first: BloodImage_00338.xml, object 5)"."""
        return tuple(
            f"{count} {one if count == 1 else many} (first: {first})"
            for (one, many), (count, first) in self._found.items()
        )


def are_fractions(boxes_xyxy: Sequence[tuple[float, float, float, float]], what: str, advice: str) -> bool:
    """Whether corners, all that a data set states, are fractions of the pictures: none of them can be in pixels.

    Args:
        boxes_xyxy: as they are stated.
        what: the subject of a message, such as "a.json: every 'bbox'".
        advice: what its author is to write.

    Raises:
        UserError: they are neither.
    """
    boxes = np.array(boxes_xyxy).reshape(-1, 4)
    if not len(boxes) or np.abs(boxes).max() > LARGEST_FRACTION or (boxes == boxes.round()).all():
        return False
    if boxes.min() < -FRACTION_TOLERANCE or boxes.max() > 1 + FRACTION_TOLERANCE:
        near = f"lies within {LARGEST_FRACTION} pixels of the corner, but not all within 0 to 1"
        raise UserError(f"{what} {near}: {advice}")
    return True


def make_records(annotations: Sequence[Annotation], notes: Notes) -> Table:
    """Checks annotations against their pictures and makes records of them, in the same order.

    Raises:
        UserError: a picture is missing, broken or truncated, or not of the stated size; a box is not finite or has
            its corners in the wrong order.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(_inspect, annotations))
    for image, times in Counter(annotation.image for annotation in annotations).items():
        if times > 1:
            notes.add(PICTURE_TWICE, image.name)
    return Table.of(
        [_record(annotation, picture, notes) for annotation, picture in zip(annotations, found, strict=True)]
    )


def _inspect(annotation: Annotation) -> reading.Header:
    try:
        return reading.inspect(annotation.image)
    except UserError as error:
        if annotation.source == str(annotation.image):
            raise
        raise UserError(f"{annotation.source}: {error}") from None


def _record(annotation: Annotation, picture: reading.Header, notes: Notes) -> Record:
    width, height = picture.width, picture.height
    as_stored = _on_stored_pixels(annotation, picture, notes)
    labelled = (height, width) if as_stored and picture.orientation in SWAPPED else (width, height)
    note_remark(picture, annotation.image.name, notes)
    boxes = np.array(annotation.boxes_xyxy, np.float64).reshape(-1, 4)
    if annotation.fractions:
        boxes = boxes * [*labelled, *labelled]
    if as_stored:
        boxes = upright_boxes(boxes, *labelled, picture.orientation)
    labels, difficult = np.array(annotation.labels, np.int32), np.array(annotation.difficult, bool)
    crowd = np.array(annotation.crowd, bool) if annotation.crowd else None
    areas = np.array(annotation.areas) if annotation.areas and not annotation.fractions else None
    clipped = None
    if annotation.places:
        stated = boxes
        boxes, kept = clean_boxes(boxes, width, height, annotation, notes)
        clipped = (np.abs(stated[kept] - boxes) > 1).any(1)
        labels, difficult, crowd = labels[kept], difficult[kept], None if crowd is None else crowd[kept]
        areas = None if areas is None else stated_areas(areas[kept], boxes)
    return Record(
        annotation.name,
        str(annotation.image),
        width,
        height,
        boxes.astype(np.float32),
        labels,
        difficult,
        partial(reading.read, annotation.image),
        crowd=crowd,
        plain=picture.plain,
        areas=areas,
        image_id=annotation.image_id,
        clipped=clipped if clipped is not None and clipped.any() else None,
    )


def note_remark(picture: reading.Header, name: str, notes: Notes, number: int = 1) -> None:
    """Counts what a picture, or `number` of them, has that other programs would see otherwise, if there is anything."""
    if picture.remark:
        notes.add((f"picture has {picture.remark}", f"pictures have {picture.remark}"), name, number)


def _on_stored_pixels(annotation: Annotation, picture: reading.Header, notes: Notes) -> bool:
    """Whether the boxes were drawn on the pixels as stored, not as EXIF asks to show them: the stated size tells.

    Raises `UserError` where the stated size is neither's. Sizes that could be either's, or are not stated, are taken to
    be those of the picture shown.
    """
    shown = picture.width, picture.height
    stored = shown[::-1] if picture.orientation in SWAPPED else shown
    stated = annotation.size
    if stated is not None and 0 in stated:
        notes.add(NO_SIZE, annotation.name)
        stated = None
    if stated not in (None, shown, stored):
        raise UserError(
            f"{annotation.source} says {stated[0]}x{stated[1]} but {annotation.image.name} is {shown[0]}x{shown[1]}: "
            "correct the stated size, and the boxes if they were drawn on another size"
        )
    if picture.orientation == 1:
        return False
    unclear = bool(annotation.places) and (stated is None or shown == stored)
    as_stored = shown != stored == stated
    kind = TURNED_UNCLEAR if unclear else TURNED_AS_STORED if as_stored else TURNED_AS_SHOWN
    notes.add(kind, annotation.image.name)
    return as_stored


def clean_boxes(
    boxes_xyxy: np.ndarray, width: int, height: int, annotation: Annotation, notes: Notes
) -> tuple[np.ndarray, np.ndarray]:
    """Clips boxes to their picture, drops those without area and those that are there twice; all counted in `notes`.

    Args:
        boxes_xyxy: float64 [N, 4], pixels.
        width, height: of the picture, pixels.
        annotation: names the label file, the place and the label of each box, and which are difficult.
        notes: counts what was done, and boxes under a pixel.

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
    sides = clipped[:, 2:] - clipped[:, :2]
    flags = annotation.difficult, annotation.crowd or [False] * len(annotation.labels)
    again = _again(boxes_xyxy, annotation.labels, *flags)
    relabelled = _again(boxes_xyxy) & ~_again(boxes_xyxy, annotation.labels)
    kept = (sides > 0).all(1)
    for wrong, kind in (
        (~kept, NO_AREA),
        (kept & (np.abs(clipped - boxes_xyxy) > CLIP_TOLERANCE_PIXELS).any(1), CLIPPED),
        (kept & (sides < 1 - CLIP_TOLERANCE_PIXELS).any(1), UNDER_A_PIXEL),
        (kept & again, BOX_TWICE),
        (kept & relabelled, BOX_OF_TWO_LABELS),
    ):
        for index in np.flatnonzero(wrong):
            notes.add(kind, f"{annotation.name}, {annotation.places[index]}")
    kept &= ~again
    return clipped[kept], kept


def stated_areas(areas: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
    """The areas [N] that are stated, and those of the boxes [N, 4] where one is NaN."""
    return np.where(np.isnan(areas), np.prod(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], -1), areas)


def _again(boxes_xyxy: np.ndarray, *labels: Sequence[int]) -> np.ndarray:
    """Which boxes stand there before with the same of all labels: bool [N]."""
    seen: set[tuple] = set()
    again = np.zeros(len(boxes_xyxy), bool)
    for index, (box, *rest) in enumerate(zip(boxes_xyxy.tolist(), *labels, strict=True)):
        key = (*box, *rest)
        again[index] = key in seen
        seen.add(key)
    return again
