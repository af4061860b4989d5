"""Pictures and what is in them: one by one as a `Record`, or all as arrays: `GroundTruth`, and a `Table` of files."""

import json
import os
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from itertools import accumulate
from pathlib import PurePath
from typing import Protocol, TypeVar

import numpy as np

from yolo9000_jax.files import shown
from yolo9000_jax.images import reading

AT_ONCE = 4096  # records

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


class Some(Indexed[Item]):
    """Some of the items, fetched when asked for."""

    def __init__(self, items: Indexed[Item], indexes: Sequence[int] | np.ndarray):
        self.items, self.indexes = items, indexes

    def __len__(self) -> int:
        return len(self.indexes)

    def __getitem__(self, index: int) -> Item:
        return self.items[int(self.indexes[index])]

    def origins(self) -> list[Origin]:
        """Of records: where the pictures are from."""
        found = origins_of(self.items)  # type: ignore[arg-type]
        return [found[index] for index in self.indexes]


class Joined(Indexed[Item]):
    """The items of several one after the other; nothing is fetched before it is asked for."""

    def __init__(self, parts: Sequence[Indexed[Item]]):
        self.parts, self._ends = parts, list(accumulate(map(len, parts)))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Item:
        part, place = self.place(index)
        return self.parts[part][place]

    def place(self, index: int) -> tuple[int, int]:
        """Which part an item is in, and its place there."""
        place = range(len(self))[index]
        part = bisect_right(self._ends, place)
        return part, place - self._ends[part] + len(self.parts[part])

    def origins(self) -> list[Origin]:
        """Of records: where the pictures are from."""
        return [origin for part in self.parts for origin in origins_of(part)]  # type: ignore[arg-type]


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
    areas: np.ndarray | None = None  # float64 [N], square pixels, as COCO states them, of outlines; None: the boxes'
    image_id: int | str | None = None  # what the data set itself calls the picture: COCO's id, a file's name
    file_name: str | None = None  # of a picture that is part of a file: what its own was called
    clipped: np.ndarray | None = None  # bool [N]: which boxes, as labelled, stuck out by over a pixel; None: none did

    @property
    def picture_name(self) -> str:
        """What the picture's file is called, or else the record."""
        return PurePath(self.image).name if self.image else self.file_name or self.name


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

    @classmethod
    def one_label_each(cls, sizes_wh: np.ndarray, labels: np.ndarray) -> "GroundTruth":
        """Of a classification set; what is the same of all pictures takes no memory."""
        count = len(labels)
        no, zero, one = (np.broadcast_to(value, count) for value in (np.bool_(False), np.int64(0), np.int64(1)))
        return cls(sizes_wh, np.zeros((0, 4), np.float32), labels, no, zero, one)

    @property
    def boxed(self) -> np.ndarray:
        """Which labels are those of boxes: bool [M]."""
        return np.repeat(self.boxes_of > 0, self.labels_of)

    def take(self, indexes: np.ndarray) -> "GroundTruth":
        """The pictures at these places, in this order."""
        if is_constant(self.labels_of):
            return GroundTruth.one_label_each(self.sizes_wh[indexes], self.labels[indexes])
        boxes, labels = (items_of(indexes, counts) for counts in (self.boxes_of, self.labels_of))
        return GroundTruth(
            self.sizes_wh[indexes],
            self.boxes_xyxy[boxes],
            self.labels[labels],
            self.difficult[labels],
            self.boxes_of[indexes],
            self.labels_of[indexes],
        )

    @classmethod
    def joined(cls, parts: Sequence["GroundTruth"]) -> "GroundTruth":
        """The pictures of several, one after the other."""
        whole = cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))
        one_each = all(is_constant(part.labels_of) for part in parts) and not len(whole.boxes_xyxy)
        return cls.one_label_each(whole.sizes_wh, whole.labels) if one_each else whole


class Texts(Indexed[bytes]):
    """Many short byte strings, as parts of a long one.

    Args:
        blob: uint8 [bytes].
        starts: int64 [N], where each begins.
        lengths: int32 [N], bytes.
    """

    def __init__(self, blob: np.ndarray, starts: np.ndarray, lengths: np.ndarray):
        self.blob, self.starts, self.lengths = blob, starts, lengths

    @classmethod
    def of(cls, texts: Sequence[bytes]) -> "Texts":
        """Puts them together."""
        return cls.adjoining(
            np.frombuffer(b"".join(texts), np.uint8), np.array([len(text) for text in texts], np.int32)
        )

    @classmethod
    def adjoining(cls, blob: np.ndarray, lengths: np.ndarray) -> "Texts":
        """Those of these lengths (bytes), one after the other."""
        return cls(blob, starts_of(lengths)[:-1], lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> bytes:
        start = int(self.starts[index])
        return self.blob[start : start + int(self.lengths[index])].tobytes()

    def take(self, indexes: np.ndarray) -> "Texts":
        """Those at these places, in this order."""
        return Texts(self.blob, self.starts[indexes], self.lengths[indexes])


@dataclass(frozen=True, eq=False)
class Table(Indexed[Record]):
    """Records of R picture files, made when they are asked for: some 50 bytes each, where a `Record` takes 2700."""

    folders: Sequence[bytes]  # as a file name of one is put behind them: with a slash at the end, or empty
    folder_of: np.ndarray  # int32 [R]
    files: Texts  # the names of the R files in their folders
    names: Sequence[str] | None  # of the R records; None: TITLE/FILE
    truth: GroundTruth
    plain: np.ndarray  # bool [R]
    titles: Sequence[str] = ()  # what stands for each folder in the names
    crowd: np.ndarray | None = None  # bool [M], as of `Record`
    numbers: np.ndarray | None = None  # int64 [R], the same where a record is there again; None: none is
    contents: np.ndarray | None = None  # uint64 [R], the same of files of the same bytes; None: not looked at
    areas: np.ndarray | None = None  # float64 [M], as of `Record`
    image_ids: Sequence[int | str | None] | None = None  # of the R records
    clipped: np.ndarray | None = None  # bool [M], as of `Record`

    @classmethod
    def of(cls, records: Indexed[Record]) -> "Table":
        """Of records that are files (`image`) and are read as such."""
        paths = [os.path.split(os.fsencode(record.image or "")) for record in records]
        prefixes = {folder: os.path.join(folder, b"") if folder else b"" for folder, _ in paths}
        places = {folder: place for place, folder in enumerate(prefixes)}
        return cls(
            list(prefixes.values()),
            np.array([places[folder] for folder, _ in paths], np.int32),
            Texts.of([file for _, file in paths]),
            [record.name for record in records],
            GroundTruth.of(records),
            np.array([record.plain for record in records], bool),
            crowd=_joined_flags([(record.crowd, record.labels) for record in records]),
            areas=_joined_areas([(record.areas, record.boxes_xyxy) for record in records]),
            image_ids=None if all(each.image_id is None for each in records) else [each.image_id for each in records],
            clipped=_joined_flags([(record.clipped, record.labels) for record in records]),
        )

    def __len__(self) -> int:
        return len(self.folder_of)

    def __getitem__(self, index: int) -> Record:
        index = range(len(self))[index]
        path, truth = self.path(index), self.truth
        boxes, labels = (slice(*map(int, ends[index : index + 2])) for ends in self._ends)
        return Record(
            self.name(index),
            path,
            int(truth.sizes_wh[index, 0]),
            int(truth.sizes_wh[index, 1]),
            truth.boxes_xyxy[boxes],
            truth.labels[labels],
            truth.difficult[labels],
            partial(reading.read, path),
            crowd=None if self.crowd is None else self.crowd[labels],
            plain=bool(self.plain[index]),
            areas=None if self.areas is None else self.areas[labels],
            image_id=None if self.image_ids is None else self.image_ids[index],
            clipped=None if self.clipped is None else self.clipped[labels],
        )

    def name(self, index: int) -> str:
        """What messages call a record."""
        if self.names is not None:
            return self.names[index]
        return f"{self.titles[self.folder_of[index]]}/{shown(os.fsdecode(self.files[index]))}"

    def path(self, index: int) -> str:
        """The path of a picture."""
        return os.fsdecode(self.folders[self.folder_of[index]] + self.files[index])

    def described(self) -> Iterator[bytes]:
        """What is known of the records but where they lie, in order: name, size, boxes, labels, difficult flags."""
        truth, encode = self.truth, json.JSONEncoder().encode
        for start in range(0, len(self), AT_ONCE):
            part = truth.take(np.arange(start, min(start + AT_ONCE, len(self))))
            arrays = ((part.boxes_xyxy, "<f4"), (part.labels, "<i4"), (part.difficult, "|u1"))
            boxes, labels, difficult = (array.astype(kind).tobytes() for array, kind in arrays)
            box = label = 0
            pieces = []
            for index, (size, more, most) in enumerate(
                zip(part.sizes_wh.tolist(), part.boxes_of.tolist(), part.labels_of.tolist(), strict=True), start
            ):
                pieces.append(encode([self.name(index), *size, more, most]).encode())
                pieces.append(boxes[16 * box : 16 * (box + more)])
                pieces.append(labels[4 * label : 4 * (label + most)])
                pieces.append(difficult[label : label + most])
                box, label = box + more, label + most
            yield b"".join(pieces)

    def origins(self) -> list[Origin]:
        """The paths of all pictures."""
        return [self.path(index) for index in range(len(self))]

    @cached_property
    def _ends(self) -> tuple[Sequence[int] | np.ndarray, ...]:
        return _small_starts(self.truth.boxes_of), _small_starts(self.truth.labels_of)

    def take(self, places: Sequence[int] | np.ndarray) -> "Table":
        """The records at these places, in this order."""
        indexes = np.asarray(places, np.int64)
        numbers = indexes if self.numbers is None else self.numbers[indexes]
        return Table(
            self.folders,
            self.folder_of[indexes],
            self.files.take(indexes),
            None if self.names is None else [self.names[index] for index in indexes],
            self.truth.take(indexes),
            self.plain[indexes],
            self.titles,
            None if self.crowd is None else self.crowd[items_of(indexes, self.truth.labels_of)],
            numbers if len(np.unique(numbers)) < len(numbers) else None,
            None if self.contents is None else self.contents[indexes],
            None if self.areas is None else self.areas[items_of(indexes, self.truth.labels_of)],
            None if self.image_ids is None else [self.image_ids[index] for index in indexes],
            None if self.clipped is None else self.clipped[items_of(indexes, self.truth.labels_of)],
        )

    def once(self) -> "Table":
        """Without repetitions: a record that is there several times comes once, in the place of the first."""
        if self.numbers is None:
            return self
        first = np.sort(np.unique(self.numbers, return_index=True)[1])
        return self if len(first) == len(self) else self.take(first)

    @classmethod
    def joined(cls, parts: Sequence["Table"]) -> "Table":
        """The records of several, one after the other."""
        folders = starts_of(np.array([len(part.folders) for part in parts]))
        blobs = starts_of(np.array([len(part.files.blob) for part in parts]))
        numbers = [np.arange(len(part)) if part.numbers is None else part.numbers for part in parts]
        firsts = starts_of(np.array([found.max(initial=-1) + 1 for found in numbers]))
        truths = [part.truth for part in parts]
        titled = all(part.names is None for part in parts)
        ids = [part.image_ids is not None for part in parts]
        known = [part.contents for part in parts if part.contents is not None]
        return cls(
            [folder for part in parts for folder in part.folders],
            np.concatenate([part.folder_of + np.int32(first) for part, first in zip(parts, folders, strict=False)]),
            Texts(
                np.concatenate([part.files.blob for part in parts]),
                np.concatenate([part.files.starts + first for part, first in zip(parts, blobs, strict=False)]),
                np.concatenate([part.files.lengths for part in parts]),
            ),
            None if titled else [part.name(index) for part in parts for index in range(len(part))],
            GroundTruth.joined(truths),
            np.concatenate([part.plain for part in parts]),
            [title for part in parts for title in part.titles],
            _joined_flags([(part.crowd, part.truth.labels) for part in parts]),
            np.concatenate([found + first for found, first in zip(numbers, firsts, strict=False)]),
            np.concatenate(known) if len(known) == len(parts) else None,
            _joined_areas([(part.areas, part.truth.boxes_xyxy) for part in parts]),
            [own for part in parts for own in part.image_ids or [None] * len(part)] if any(ids) else None,
            _joined_flags([(part.clipped, part.truth.labels) for part in parts]),
        )

    def relabelled(self, ids: np.ndarray) -> "Table":
        """With the label ids[label] instead of each; without the boxes of labels for which that is below 0."""
        truth, labels = self.truth, ids[self.truth.labels].astype(np.int32)
        kept = labels >= 0
        if kept.all():
            return replace(self, truth=replace(truth, labels=labels))
        pictures = np.repeat(np.arange(len(self)), truth.labels_of)
        labels_of = np.bincount(pictures[kept], minlength=len(self))
        boxes_of = np.where(truth.boxes_of > 0, labels_of, 0)
        boxes = truth.boxes_xyxy[kept[truth.boxed]]
        chosen = GroundTruth(truth.sizes_wh, boxes, labels[kept], truth.difficult[kept], boxes_of, labels_of)
        rows = (self.crowd, self.areas, self.clipped)
        crowd, areas, clipped = (None if each is None else each[kept] for each in rows)
        return replace(self, truth=chosen, crowd=crowd, areas=areas, clipped=clipped)


def origins_of(records: Indexed[Record]) -> list[Origin]:
    """As its records know them that are made when asked for; of others, which are in memory, the files."""
    known: Callable[[], list[Origin]] | None = getattr(records, "origins", None)
    return known() if known is not None else [record.image or (record.name, 0) for record in records]


def _joined_areas(parts: Sequence[tuple[np.ndarray | None, np.ndarray]]) -> np.ndarray | None:
    """The areas that are stated, or else those of the boxes [N, 4], one part after the other; None: none is stated."""
    if all(areas is None for areas, _ in parts):
        return None
    found = [np.prod(boxes[:, 2:] - boxes[:, :2], -1) if areas is None else areas for areas, boxes in parts]
    return np.concatenate(found).astype(np.float64)


def _joined_flags(parts: Sequence[tuple[np.ndarray | None, np.ndarray]]) -> np.ndarray | None:
    """The flags of labels [M], False where a part has none, one part after the other; None: no part has any."""
    if all(flags is None for flags, _ in parts):
        return None
    return np.concatenate([np.zeros(len(labels), bool) if flags is None else flags for flags, labels in parts])


def is_constant(counts: np.ndarray) -> bool:
    """Whether they are one number, kept once for all (np.broadcast_to)."""
    return counts.strides == (0,)


def starts_of(counts: np.ndarray) -> np.ndarray:
    """Where the items of each picture begin if it has so many, and where the last end: int64 [R + 1]."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


def _small_starts(counts: np.ndarray) -> Sequence[int] | np.ndarray:
    """As `starts_of`, in no memory where all pictures have the same number."""
    if not is_constant(counts) or not len(counts):
        return starts_of(counts)
    step = int(counts[0])
    return range(0, len(counts) * step + 1, step) if step else np.broadcast_to(np.int64(0), len(counts) + 1)


def items_of(indexes: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The places of the items of these pictures, one picture after the other, if they have so many: int64 [items]."""
    chosen = counts[indexes]
    return np.arange(chosen.sum()) + np.repeat(starts_of(counts)[indexes] - starts_of(chosen)[:-1], chosen)
