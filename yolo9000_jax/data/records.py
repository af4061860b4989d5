"""What every data source yields: a `Dataset` of `Record`s."""

import copy
import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import overload

import numpy as np

from yolo9000_jax.data.table import GroundTruth, Indexed, Origin, Record, Some, Table, origins_of
from yolo9000_jax.errors import UserError
from yolo9000_jax.html import Html, card, folded, picture, text
from yolo9000_jax.labels import check_names
from yolo9000_jax.logs import logger
from yolo9000_jax.text import printable

READ_AHEAD = 256  # records of a lazy set that are fetched at once, by THREADS threads
THREADS = 8
RENDERED_BOXES = 20_000  # whose shapes stand for those of a rendered set
SHOWN, SHOWN_SIDE, LISTED = 4, 200, 50  # pictures in a notebook, pixels of one, and classes
MANY = 20_000  # records of a lazy set: reading the labels of more than these is announced


__all__ = ["Dataset", "GroundTruth", "Indexed", "Origin", "Record", "Table"]


class Dataset(Sequence[Record]):
    """The records of one split of one source, with their class names. A slice of it is again a `Dataset`.

    Args:
        spec: the source as the user typed it.
        split: the split as the user typed it.
        classes: class names; a label is an index into them.
        records: a `Table` of files, or whatever else makes records when asked for. A list of `Record` is one.
        synsets: WordNet synset of each class ("n01443537") or None, in the order of `classes`; None: all unknown.
        notes: lines for the user: what was dropped, clipped or assumed while reading.
        rendered: the pictures are drawn by a program, each when it is asked for, as many as one likes.
        lazy: a record is read, or drawn, when it is asked for; otherwise all labels are in memory, without pictures.
        identity: what names the data, for `fingerprint`, where that is not to read all of them; None: their labels do.
        category_ids: the id of each class in a COCO file, which may have gaps; None: another format.
    """

    def __init__(
        self,
        spec: str,
        split: str,
        classes: Sequence[str],
        records: Indexed[Record],
        synsets: Sequence[str | None] | None = None,
        notes: Sequence[str] = (),
        rendered: bool = False,
        lazy: bool = False,
        identity: str | None = None,
        category_ids: Sequence[int | str] | None = None,
    ):
        self.spec = spec
        self.split = split
        self.classes = tuple(classes)
        self.synsets = tuple(synsets) if synsets is not None else (None,) * len(self.classes)
        self.notes = tuple(map(printable, notes))
        self.rendered = rendered
        self.lazy = lazy or rendered
        self.identity = identity
        self.category_ids = None if category_ids is None else tuple(category_ids)
        self._records = records
        self._ground_truth: GroundTruth | None = None
        if len(self.synsets) != len(self.classes):
            raise ValueError(f"{len(self.synsets)} synsets for {len(self.classes)} classes")
        check_names(self.classes, spec)

    @property
    def table(self) -> Table | None:
        """The records as arrays, where they are files."""
        return self._records if isinstance(self._records, Table) else None

    @property
    def maker(self) -> Indexed[Record]:
        """What the records come from."""
        return self._records

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> "Dataset": ...
    def __getitem__(self, index: int | slice) -> "Record | Dataset":
        if isinstance(index, slice):
            return self.take(range(len(self))[index])
        return self._records[index]

    def take(self, indexes: Sequence[int] | np.ndarray) -> "Dataset":
        """The records at these places, in this order; those of a lazy set are still read only when asked for."""
        taken = copy.copy(self)
        taken._records = self.table.take(indexes) if self.table is not None else Some(self._records, indexes)
        taken._ground_truth = None
        if self.identity is not None:
            places = np.asarray(indexes, "<i8").tobytes()
            taken.identity = f"{self.identity}, {hashlib.sha256(places).hexdigest()}"
        return taken

    def once(self) -> "Dataset":
        """Without repetitions: a record that is there several times, as oversampling lists have it, comes once."""
        if self.lazy:
            return self
        if self.table is not None:
            once = copy.copy(self)
            once._records, once._ground_truth = self.table.once(), None
            return once
        first = {id(record): index for index, record in reversed(list(enumerate(self._records)))}
        return self if len(first) == len(self) else self.take(sorted(first.values()))

    def named(self, spec: str, split: str) -> "Dataset":
        """The same data under another name."""
        renamed = copy.copy(self)
        renamed.spec, renamed.split = spec, split
        return renamed

    def called(self, classes: Sequence[str], synsets: Sequence[str | None]) -> "Dataset":
        """The same data, its classes by other names; fewer where no label is of those left out."""
        renamed = copy.copy(self)
        renamed.classes, renamed.synsets = tuple(classes), tuple(synsets)
        return renamed

    def noted(self, notes: Sequence[str]) -> "Dataset":
        """The same data with more notes."""
        more = copy.copy(self)
        more.notes = (*self.notes, *map(printable, notes))
        return more

    def records(self) -> Iterator[Record]:
        """All records in order, those of a lazy set read ahead by several threads."""
        if not self.lazy or self.rendered:  # drawing is Python's own work: threads gain nothing
            yield from self._records
            return
        with ThreadPoolExecutor(THREADS) as pool:
            for start in range(0, len(self), READ_AHEAD):
                yield from pool.map(self._records.__getitem__, range(start, min(start + READ_AHEAD, len(self))))

    def ground_truth(self) -> GroundTruth:
        """The labels of all records; no picture is decoded. A lazy set is read once for it, from end to end."""
        if self.table is not None:
            return self.table.truth
        if self._ground_truth is None:
            if self.lazy and len(self) > MANY:
                logger.info(f"{self.spec} {self.split}: reading the labels of {len(self)} pictures")
            self._ground_truth = GroundTruth.of(self.records())
        return self._ground_truth

    def origins(self) -> list[Origin]:
        """Where each picture is from; of a lazy set none is read for it."""
        return origins_of(self._records)

    def box_shapes(self, include_difficult: bool = False) -> np.ndarray:
        """Widths and heights of the boxes as fractions of their pictures: float32 [N, 2].

        Difficult boxes and crowds, which training leaves out as well, are among them where asked for. Of a rendered
        set, which has no end worth reaching, the first `RENDERED_BOXES` boxes or a few more.
        """
        truth = GroundTruth.of(self, RENDERED_BOXES) if self.rendered else self.ground_truth()
        sides = truth.boxes_xyxy[:, 2:] - truth.boxes_xyxy[:, :2]
        shapes = sides / np.repeat(truth.sizes_wh, truth.boxes_of, axis=0).astype(np.float32)
        difficult = truth.difficult[truth.boxed]
        return shapes[~difficult | include_difficult]

    def fingerprint(self) -> str:
        """Sixty-four hexadecimal digits that are the same for the same data, wherever they lie.

        They are a SHA-256 digest of the class names and the number of pictures with, for labels in files: the name,
        size, boxes, labels and difficult flags of every picture, in order. For `tfds:`: the data set's full name with
        its version, and the split. For `emoji`: the variant, the split, the seed and the size. Neither the folders in
        which files lie nor the pixels are part of it.
        """
        digest = hashlib.sha256(json.dumps([self.identity, len(self), self.classes]).encode())
        if self.identity is None:
            for part in (self.table if self.table is not None else Table.of(self._records)).described():
                digest.update(part)
        return digest.hexdigest()

    def __repr__(self) -> str:
        return f"<Dataset {self.spec} {self.split}: {len(self)} pictures, {len(self.classes)} classes>"

    def _repr_html_(self) -> Html:
        facts: dict[str, object] = {"pictures": len(self), "classes": ", ".join(self.classes[:LISTED])}
        if len(self.classes) > LISTED:
            facts["more classes"] = len(self.classes) - LISTED
        first = [_shown(self[index], self.classes) for index in range(min(SHOWN, len(self)))]
        notes = (folded(f"{len(self.notes)} notes", text("\n".join(self.notes))),) if self.notes else ()
        return card(f"{self.spec} {self.split}", facts, *first, *notes)


def _shown(record: Record, classes: Sequence[str]) -> Html:
    """A record in a notebook; what is wrong with a picture that cannot be read stands in its place."""
    names = [classes[label] for label in record.labels]
    try:
        shown = picture(record.read(), record.boxes_xyxy, names[: len(record.boxes_xyxy)], SHOWN_SIDE)
    except UserError as error:
        return text(error)
    return shown if len(record.boxes_xyxy) else card("", None, shown, ", ".join(names))
