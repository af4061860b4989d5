"""The picture and the labels of a record, read by TensorFlow's operations; Python is asked for bytes in files alone.

What a program draws, and what is unusual in a record of `tfds:`, is left to Python, as a `Record`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from yolo9000_jax.data.choosing import Relabelled
from yolo9000_jax.data.packed import EXACT
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.table import Indexed, Joined, Record, Some, Table, is_constant, starts_of
from yolo9000_jax.data.tfds import CROWD, DIFFICULT, Examples
from yolo9000_jax.images import reading

CACHE_BYTES = 2 << 30  # of a rendered data set that is kept in memory
NO_PIXELS = np.zeros((0, 0, 3), np.uint8)

Read = tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]
Load = Callable[[tf.Tensor, tf.Tensor], Read]
Example = dict[str, tf.Tensor]


class Loader(NamedTuple):
    """How pictures are read: the bytes that only Python can fetch, of many in one call, and then each.

    fetch: indexes (int64 [K]) -> of each the bytes of an example of `tfds:`, and what Python saw in them: string
        [K, 2]; of other pictures nothing.
    load: index (int64), what was fetched (string [2]) -> (image uint8 [H, W, 3], boxes_xyxy float32 [N, 4] pixels,
        labels int32 [M], difficult bool [M]).
    """

    fetch: Callable[[tf.Tensor], tf.Tensor]
    load: Load


def loader(dataset: Dataset) -> Loader:
    """The loader of a data set's pictures."""

    def fetch(indexes: np.ndarray) -> np.ndarray:
        found = np.empty((len(indexes), 2), object)
        for row, index in enumerate(indexes.tolist()):
            data = _serialized(dataset, index)
            found[row] = data, reading.plain_jpeg_head(data)
        return found

    def fetch_all(indexes: tf.Tensor) -> tf.Tensor:
        if not _has_examples(dataset):
            return tf.fill([tf.size(indexes), 2], "")
        return tf.ensure_shape(tf.numpy_function(fetch, [indexes], tf.string, stateful=False), [None, 2])

    return Loader(fetch_all, _load_of(dataset))


def _has_examples(records: Indexed[Record]) -> bool:
    if isinstance(records, Dataset):
        return not records.rendered and _has_examples(records.maker)
    if isinstance(records, Joined):
        return any(map(_has_examples, records.parts))
    inner = records.items if isinstance(records, Some) else records.records if isinstance(records, Relabelled) else None
    return isinstance(records, Examples) if inner is None else _has_examples(inner)


def _serialized(records: Indexed[Record], index: int) -> bytes:
    """The bytes of an example; b"" where the record is none."""
    if isinstance(records, Dataset):
        return b"" if records.rendered else _serialized(records.maker, index)
    if isinstance(records, Some):
        return _serialized(records.items, int(records.indexes[index]))
    if isinstance(records, Joined):
        part, place = records.place(index)
        return _serialized(records.parts[part], place)
    if isinstance(records, Relabelled):
        return _serialized(records.records, index)
    return records.serialized(index) if isinstance(records, Examples) else b""


def _load_of(records: Indexed[Record]) -> Load:
    if isinstance(records, Dataset):
        return _from_records(records, _is_kept(records)) if records.rendered else _load_of(records.maker)
    if isinstance(records, Table):
        return _from_files(records)
    if isinstance(records, Some):
        inner, indexes = _load_of(records.items), tf.constant(np.asarray(records.indexes, np.int64))
        return lambda index, fetched: inner(indexes[index], fetched)
    if isinstance(records, Joined):
        return _from_parts(records)
    if isinstance(records, Relabelled):
        return _relabelled(records)
    return _from_examples(records) if isinstance(records, Examples) else _from_records(records)


def decode(data: tf.Tensor, is_plain: tf.Tensor) -> tf.Tensor:
    """The bytes of a picture file -> uint8 [H, W, 3], the same pixels as `images.reading.decode` gives.

    JPEG and PNG are decoded by TensorFlow's own operation (whose default for JPEG is faster and less exact), unless
    there is more to them than any decoder sees: `is_plain` is what the file's header says (`images.reading.Header`).
    The others, and all other formats, go through Pillow.
    """
    image = tf.cond(
        is_plain,
        lambda: _decode_plain(data),
        lambda: tf.numpy_function(lambda content: reading.decode(content, "a picture"), [data], tf.uint8),
    )
    return tf.ensure_shape(image, [None, None, 3])


def _decode_plain(data: tf.Tensor) -> tf.Tensor:
    return tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")  # which takes PNG as well


def _from_files(table: Table) -> Load:
    """By tables in memory: no Python while it runs."""
    truth = table.truth
    boxes, labels = tf.constant(truth.boxes_xyxy), tf.constant(truth.labels.astype(np.int32))
    difficult = tf.constant(truth.difficult)
    boxes_of, labels_of = _parts(truth.boxes_of), _parts(truth.labels_of)
    path, plain = _paths(table), tf.constant(table.plain)

    def load(index: tf.Tensor, fetched: tf.Tensor) -> Read:
        data, own = tf.io.read_file(path(index)), labels_of(index)
        return decode(data, plain[index]), boxes[boxes_of(index)], labels[own], difficult[own]

    return load


def _parts(counts: np.ndarray) -> Callable[[tf.Tensor], slice]:
    """index -> where its items are, if each picture has so many."""
    if is_constant(counts) and len(counts):
        return lambda index: slice(index * int(counts[0]), (index + 1) * int(counts[0]))
    ends = tf.constant(starts_of(counts))
    return lambda index: slice(ends[index], ends[index + 1])


def _paths(table: Table) -> Callable[[tf.Tensor], tf.Tensor]:
    """index -> the path of a picture, as bytes: it may be no UTF-8. They are put together when they are asked for."""
    folders, folder_of = tf.constant(list(table.folders), tf.string), tf.constant(table.folder_of)
    files = table.files
    blob, starts, lengths = tf.constant(files.blob.tobytes()), tf.constant(files.starts), tf.constant(files.lengths)

    def path(index: tf.Tensor) -> tf.Tensor:
        file = tf.strings.substr(blob, starts[index], tf.cast(lengths[index], tf.int64))
        return folders[folder_of[index]] + file

    return path


def _from_parts(joined: Joined[Record]) -> Load:
    loads = [_load_of(part) for part in joined.parts]
    starts = starts_of(np.array([len(part) for part in joined.parts]))

    def load(index: tf.Tensor, fetched: tf.Tensor) -> Read:
        part = tf.searchsorted(tf.constant(starts[1:]), index[None], side="right", out_type=tf.int32)[0]
        branches = [
            partial(lambda one, start: one(index - start, fetched), *pair) for pair in zip(loads, starts, strict=False)
        ]
        return tuple(tf.switch_case(part, branches))

    return load


def _relabelled(records: Relabelled) -> Load:
    inner, ids = _load_of(records.records), tf.constant(records.ids)

    def load(index: tf.Tensor, fetched: tf.Tensor) -> Read:
        image, boxes, labels, difficult = inner(index, fetched)
        labels = tf.gather(ids, labels)
        kept = labels >= 0
        boxes = tf.boolean_mask(boxes, kept[: tf.shape(boxes)[0]])  # a picture with a label and no box has none
        return image, boxes, tf.boolean_mask(labels, kept), tf.boolean_mask(difficult, kept)

    return load


def _from_examples(examples: Examples) -> Load:
    """Of most the picture is a plain JPEG, as its head says, and nothing is wrong with the labels."""
    from tensorflow_datasets.core.example_parser import ExampleParser

    parse = ExampleParser(examples.features.get_serialized_info()).parse_example
    unusual = _from_records(examples)

    def load(index: tf.Tensor, fetched: tf.Tensor) -> Read:
        example, head = parse(fetched[0]), fetched[1]
        length = tf.strings.length(head)
        has_head = (length > 0) & (tf.strings.substr(example["image"], 0, length) == head)
        is_usual = has_head & _are_usual(example)
        usual, other = partial(_usual, example, examples.from_one), partial(unusual, index, fetched)
        return _shaped(*tf.cond(is_usual, usual, other))

    return load


def _are_usual(example: Example) -> tf.Tensor:
    """Whether the labels are there, and no box is wrong, or there twice (`annotations.clean_boxes`)."""
    if "objects" not in example:
        return example["label"] >= 0
    objects = example["objects"]
    labelled = tf.reduce_all(objects["label"] >= 0)
    if EXACT in objects:
        return labelled
    box = objects["bbox"]
    ordered = tf.reduce_all(tf.math.is_finite(box)) & tf.reduce_all(box[:, 2:] >= box[:, :2])
    flags = [tf.cast(objects[key], tf.float32)[:, None] for key in ("label", DIFFICULT, CROWD) if key in objects]
    rows = tf.concat([box, *flags], 1)
    same = tf.reduce_all(rows[:, None] == rows[None], -1)
    return labelled & ordered & (tf.math.count_nonzero(same, dtype=tf.int32) == tf.shape(rows)[0])


def _usual(example: Example, from_one: bool) -> Read:
    """As the `Record` has it (`tfds.Examples`), of a picture that is stored as it is shown."""
    image = _decode_plain(example["image"])
    if "objects" not in example:
        return image, tf.zeros((0, 4)), tf.cast(example["label"], tf.int32)[None], tf.zeros(1, tf.bool)
    objects = example["objects"]
    labels, no = tf.cast(objects["label"], tf.int32), tf.zeros_like(objects["label"], tf.bool)
    flags = [tf.cast(objects.get(key, no), tf.bool) for key in (DIFFICULT, CROWD)]  # a data set may have numbers there
    difficult = flags[0] | flags[1]
    if EXACT in objects:
        return image, objects[EXACT], labels, difficult
    sides = tf.cast(tf.tile(tf.shape(image)[1::-1], [2]), tf.float64)
    boxes = tf.cast(tf.gather(objects["bbox"], [1, 0, 3, 2], axis=1), tf.float64) * sides
    if from_one:
        has_area = tf.reduce_all(boxes[:, 2:] > boxes[:, :2], 1, keepdims=True)
        boxes -= tf.cast(has_area, tf.float64) * tf.constant([1, 1, 0, 0], tf.float64)
    boxes = tf.clip_by_value(boxes, tf.zeros_like(sides), sides)
    kept = tf.reduce_all(boxes[:, 2:] > boxes[:, :2], 1)
    boxes, labels, difficult = (tf.boolean_mask(rows, kept) for rows in (boxes, labels, difficult))
    return image, tf.cast(boxes, tf.float32), labels, difficult


def _from_records(records: Indexed[Record], is_kept: bool = False) -> Load:
    """By the `Record`, which Python makes; where `is_kept`, once, and is kept then with its pixels."""
    kept: dict[int, tuple[np.ndarray, ...]] = {}

    def fetch(index: np.ndarray) -> Sequence[bytes | np.bool_ | np.ndarray]:
        number = int(index)
        if number in kept:
            return b"", np.bool_(False), *kept[number]
        record = records[number]
        labels = record.boxes_xyxy, record.labels, record.difficult
        if record.encoded is not None:
            return record.encoded(), np.bool_(record.plain), NO_PIXELS, *labels
        image = record.read()
        if is_kept:
            kept[number] = image, *labels
        return b"", np.bool_(False), image, *labels

    def load(index: tf.Tensor, fetched: tf.Tensor) -> Read:
        types = [tf.string, tf.bool, tf.uint8, tf.float32, tf.int32, tf.bool]
        data, is_plain, image, *labels = tf.numpy_function(fetch, [index], types, stateful=False)
        data, is_plain = tf.ensure_shape(data, []), tf.ensure_shape(is_plain, [])
        image = tf.cond(tf.strings.length(data) > 0, lambda: decode(data, is_plain), lambda: image)
        return _shaped(image, *labels)

    return load


def _shaped(image: tf.Tensor, boxes: tf.Tensor, labels: tf.Tensor, difficult: tf.Tensor) -> Read:
    shaped = tf.ensure_shape(image, [None, None, 3]), tf.ensure_shape(boxes, [None, 4])
    return *shaped, tf.ensure_shape(labels, [None]), tf.ensure_shape(difficult, [None])


def _is_kept(dataset: Dataset, sample: int = 20) -> bool:
    """Whether the pictures of a data set fit into CACHE_BYTES, as one may guess from the first ones."""
    first = [dataset[index] for index in range(min(sample, len(dataset)))]
    pixels = sum(record.width * record.height for record in first) / max(len(first), 1)
    return len(dataset) * 3 * pixels <= CACHE_BYTES
