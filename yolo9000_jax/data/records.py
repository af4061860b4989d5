"""What every data source yields: a `Dataset` of `Record`s, and their labels as arrays."""

import copy
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar, overload

import numpy as np

from yolo9000_jax.labels import check_names
from yolo9000_jax.logs import logger
from yolo9000_jax.text import printable

READ_AHEAD = 256  # records of a lazy set that are fetched at once, by THREADS threads
THREADS = 8
RENDERED_BOXES = 20_000  # whose shapes stand for those of a rendered set
MANY = 20_000  # records of a lazy set: reading the labels of more than these is announced


Item = TypeVar("Item", covariant=True)
# Where a picture is from, by which it is known without being read: the path of its file, or the set that it is part of
# and its place there.
Origin = str | tuple[str, int]


class Indexed(Protocol[Item]):
    """Items that are fetched, perhaps made, by their number. A list is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Item: ...

    def __iter__(self) -> Iterator[Item]:
        return (self[index] for index in range(len(self)))


@dataclass(frozen=True)
class Record:
    """One picture and what is in it.

    A record for detection has N boxes with N labels. A record for classification (`folders:`) has no box and one
    label, that of the whole picture: boxes_xyxy [0, 4], labels [1], difficult [1].
    """

    name: str  # what messages call it: its label file, or "emoji train 17"
    image: str | None  # path of the picture, None if it is no file of its own
    width: int  # of the picture as a viewer shows it, pixels
    height: int
    boxes_xyxy: np.ndarray  # float32 [N, 4], pixel corners: x0, y0 inside, x1, y1 the far edge
    labels: np.ndarray  # int32 [N]
    difficult: np.ndarray  # bool [N]: too hard to count in an evaluation (VOC), or a crowd (COCO)
    read: Callable[[], np.ndarray]  # decodes or renders the picture: uint8 [height, width, 3], RGB
    encoded: Callable[[], bytes] | None = None  # reads the picture as a picture file has it, where it is part of a file
    crowd: np.ndarray | None = None  # bool [N]: which of the difficult are crowds (COCO); None: none
    plain: bool = False  # every decoder makes the same pixels of the file (images.reading.Header)


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """The labels of R pictures one after the other, without the pictures: N boxes and M labels in all.

    Of detection sets M = N; of classification sets N = 0 and M = R.
    """

    sizes_wh: np.ndarray  # int32 [R, 2], pixels
    boxes_xyxy: np.ndarray  # float32 [N, 4], pixels
    labels: np.ndarray  # int32 [M]
    difficult: np.ndarray  # bool [M]
    boxes_of: np.ndarray  # int64 [R], number of boxes of each picture
    labels_of: np.ndarray  # int64 [R], number of labels of each picture

    def __len__(self) -> int:
        return len(self.sizes_wh)

    @classmethod
    def of(cls, records: Iterable[Record], enough_boxes: int | None = None) -> "GroundTruth":
        """The labels of these records; of the first ones only, where they have `enough_boxes`."""
        sizes, boxes, labels, difficult, count = [], [], [], [], 0
        for record in records:
            sizes.append((record.width, record.height))
            boxes.append(record.boxes_xyxy)
            labels.append(record.labels)
            difficult.append(record.difficult)
            count += len(record.boxes_xyxy)
            if enough_boxes is not None and count >= enough_boxes:
                break
        return cls(
            np.array(sizes, np.int32).reshape(-1, 2),
            np.concatenate([np.zeros((0, 4), np.float32), *boxes]),
            np.concatenate([np.zeros(0, np.int32), *labels]),
            np.concatenate([np.zeros(0, bool), *difficult]),
            np.array([len(rows) for rows in boxes], np.int64),
            np.array([len(rows) for rows in labels], np.int64),
        )


class Dataset(Sequence[Record]):
    """The records of one split of one source, with their class names. A slice of it is again a `Dataset`.

    Args:
        spec: the source as the user typed it.
        split: the split as the user typed it.
        classes: class names; a label is an index into them.
        records: a list of `Record`, or whatever makes them when asked for.
        synsets: WordNet synset of each class ("n01443537") or None, in the order of `classes`; None: all unknown.
        notes: lines for the user: what was dropped, clipped or assumed while reading.
        rendered: the pictures are drawn by a program, each when it is asked for, as many as one likes.
        lazy: a record is read, or drawn, when it is asked for; otherwise all of them are in memory, without pictures.
        identity: what names the data, for `fingerprint`, where that is not to read all of them; None: their labels do.
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
    ):
        self.spec = spec
        self.split = split
        self.classes = tuple(classes)
        self.synsets = tuple(synsets) if synsets is not None else (None,) * len(self.classes)
        self.notes = tuple(map(printable, notes))
        self.rendered = rendered
        self.lazy = lazy or rendered
        self.identity = identity
        self._records = records
        self._ground_truth: GroundTruth | None = None
        if len(self.synsets) != len(self.classes):
            raise ValueError(f"{len(self.synsets)} synsets for {len(self.classes)} classes")
        check_names(self.classes, spec)

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

    def take(self, indexes: Sequence[int]) -> "Dataset":
        """The records at these places, in this order; those of a lazy set are still read only when asked for."""
        taken = copy.copy(self)
        taken._records, taken._ground_truth = _Chosen(self._records, indexes), None
        if self.identity is not None:
            places = np.asarray(indexes, "<i8").tobytes()
            taken.identity = f"{self.identity}, {hashlib.sha256(places).hexdigest()}"
        return taken

    def once(self) -> "Dataset":
        """Without repetitions: a record that is there several times, as oversampling lists have it, comes once."""
        if self.lazy:
            return self
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
        if self._ground_truth is None:
            if self.lazy and len(self) > MANY:
                logger.info(f"{self.spec} {self.split}: reading the labels of {len(self)} pictures")
            self._ground_truth = GroundTruth.of(self.records())
        return self._ground_truth

    def origins(self) -> list[Origin]:
        """Where each picture is from; of a lazy set none is read for it."""
        return _origins(self._records)

    def box_shapes(self, include_difficult: bool = False) -> np.ndarray:
        """Widths and heights of the boxes as fractions of their pictures: float32 [N, 2].

        Difficult boxes and crowds, which training leaves out as well, are among them where asked for. Of a rendered
        set, which has no end worth reaching, the first `RENDERED_BOXES` boxes or a few more.
        """
        truth = GroundTruth.of(self, RENDERED_BOXES) if self.rendered else self.ground_truth()
        sides = truth.boxes_xyxy[:, 2:] - truth.boxes_xyxy[:, :2]
        shapes = sides / np.repeat(truth.sizes_wh, truth.boxes_of, axis=0).astype(np.float32)
        difficult = truth.difficult[np.repeat(truth.boxes_of > 0, truth.labels_of)]
        return shapes[~difficult | include_difficult]

    def fingerprint(self) -> str:
        """Sixty-four hexadecimal digits that are the same for the same data, wherever they lie.

        They are a SHA-256 digest of the class names and the number of pictures with, for labels in files: the name,
        size, boxes, labels and difficult flags of every picture, in order. For `tfds:`: the data set's full name with
        its version, and the split. For `emoji`: the variant, the split, the seed and the size. Neither the folders in
        which files lie nor the pixels are part of it.
        """
        digest = hashlib.sha256(json.dumps([self.identity, len(self), self.classes]).encode())
        for record in self._records if self.identity is None else ():
            lengths = len(record.boxes_xyxy), len(record.labels)
            digest.update(json.dumps([record.name, record.width, record.height, *lengths]).encode())
            for values, kind in ((record.boxes_xyxy, "<f4"), (record.labels, "<i4"), (record.difficult, "|u1")):
                digest.update(values.astype(kind).tobytes())
        return digest.hexdigest()

    def __repr__(self) -> str:
        return f"<Dataset {self.spec} {self.split}: {len(self)} pictures, {len(self.classes)} classes>"


class _Chosen(Indexed[Record]):
    """Some of the records, fetched when asked for."""

    def __init__(self, items: Indexed[Record], indexes: Sequence[int]):
        self._items, self._indexes = items, indexes

    def __len__(self) -> int:
        return len(self._indexes)

    def __getitem__(self, index: int) -> Record:
        return self._items[self._indexes[index]]

    def origins(self) -> list[Origin]:
        origins = _origins(self._items)
        return [origins[index] for index in self._indexes]


def _origins(records: Indexed[Record]) -> list[Origin]:
    """As its records know them that are made when asked for; of others, which are in memory, the files."""
    known: Callable[[], list[Origin]] | None = getattr(records, "origins", None)
    return known() if known is not None else [record.image or (record.name, 0) for record in records]
