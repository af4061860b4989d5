"""Data sets of TensorFlow Datasets: `tfds:voc/2007`, `tfds:coco/2017`, `tfds:imagenet2012`.

NAME is that of TensorFlow Datasets, with its configuration and, if wanted, its version: `tfds:coco/2017:1.1.0`. The
data must have been prepared: nothing is ever downloaded here. They are looked for where TensorFlow Datasets looks for
them: in the folder that the environment variable TFDS_DATA_DIR names (it may be a gs:// one), else in
~/tensorflow_datasets. A line such as this one prepares them there, in a format that can be read at random:

    python -c "import tensorflow_datasets as tfds; \\
        tfds.builder('voc/2007', file_format='array_record').download_and_prepare()"

Data that lie there as TFRecord files are read too, from a local disk or mount.

Two kinds of data sets are read: for detection, those with the features `image` and `objects` (with `bbox` and `label`);
for classification, those with `image` and `label`. A split may join several: `train+validation`. Records are read when
they are asked for, so that a data set of a million pictures opens at once: boxes that stick out are clipped and those
without area dropped without being counted. Classes go by name, never by number, since the numbers of one data set are
not those of another. TensorFlow Datasets keeps VOC's corners as they are stated, counted from 1; they become boxes_xyxy
as in voc.py. Its decoder ignores EXIF's orientation, so boxes are taken as drawn on the stored pixels; both are turned.
"""

import json
import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import Any  # what TensorFlow Datasets gives has no types

import numpy as np

from yolo9000_jax.data.annotations import Annotation, Notes, clean_boxes, stated_areas
from yolo9000_jax.data.coco_classes import coco_classes
from yolo9000_jax.data.messages import nearest, quote
from yolo9000_jax.data.orientation import upright_boxes
from yolo9000_jax.data.packed import EXACT, EXACT_AREA, OWN_ID, PACKED, read_about, read_orders
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.splits import CALLED, Split, find_splits
from yolo9000_jax.data.table import Indexed, Origin, Record, starts_of
from yolo9000_jax.data.tfrecord import RecordFiles
from yolo9000_jax.errors import UserError
from yolo9000_jax.images import reading
from yolo9000_jax.images.pixels import SWAPPED
from yolo9000_jax.labels import SYNSET
from yolo9000_jax.places import as_path

FILE_NAMES = ("image/filename", "file_name", "filename")  # features that hold the name of the picture
DIFFICULT, CROWD = "is_difficult", "is_crowd"
AREA = "area"  # COCO's, of the outline
OF_A_BOX = ("bbox", "label", DIFFICULT, CROWD, EXACT, AREA, EXACT_AREA)
FILES_OPEN_BESIDES = 256  # what a training run may have open beside its data
UNCOUNTED = "boxes are checked as they are read: those without area are dropped, and not counted here"


def open_tfds(location: str, split: Split) -> Dataset:
    """Opens a prepared data set of TensorFlow Datasets (see the module).

    Args:
        location: its name, such as "voc/2007".
        split: which part of it; several joined by "+". Slices are of a fixed pseudo-random order.

    Raises:
        UserError: there is no such data set or split, it is not prepared, its files are incomplete, or it is neither
            for detection nor for classification.
    """
    builder = _builder(location)
    name = _split_name(location, builder, split)
    features = _features(location, builder.info.features)
    packed = _packed(builder)
    classes, synsets = _known_classes(builder, features, packed)
    source = _random_access(location, builder, name)
    files = [(str(shard.filename), shard.examples_in_shard) for shard in builder.info.splits[name].file_instructions]
    records = Examples(f"tfds:{location} {name}", source, features, builder.name == "voc", files)
    if len(records):
        records[0]  # what is wrong with all of them shows now
    notes = [CALLED.format(quote(split.name), name)] if name != split.name and not split.is_all else []
    notes += [UNCOUNTED] if "objects" in features else []
    dataset = Dataset(
        f"tfds:{location}",
        split.text,
        classes,
        records,
        synsets,
        notes,
        lazy=True,
        identity=f"tfds:{builder.info.full_name} {name}",
        category_ids=None if packed is None else packed["category_ids"],
    )
    return dataset.take(_places(location, builder, name, split, packed, len(dataset))) if split.is_slice else dataset


def _places(location: str, builder: Any, name: str, split: Split, packed: dict[str, Any] | None, count: int) -> Any:
    """The places of a slice; of a packed set those of the same slice of its source, part by part where it has some."""
    orders = _orders(builder, name, packed, count)
    if len(orders) > 1 and split.counts_pictures:
        raise UserError(
            f"tfds:{location}: split {quote(split.text)}: it is joined of {len(orders)} parts, each of which gives its "
            f"share: take a slice in percent, such as {split.name}[:10%]"
        )
    starts = starts_of(np.array(list(map(len, orders))))
    parts = zip(orders, starts, strict=False)
    return np.concatenate([start + order[split.indexes(len(order))] for order, start in parts])


def _orders(builder: Any, name: str, packed: dict[str, Any] | None, count: int) -> list[np.ndarray]:
    """The places in the order that slices are taken from, of each part that gives its share, from 0 in each."""
    if packed is None:
        return [Split.parse("[:100%]").places(map(str, range(count)))]
    return [order for each in name.split("+") for order in read_orders(builder.data_path, each, packed)]


def tfds_orders(location: str, split: Split) -> list[np.ndarray]:
    """As `sources.slice_orders`, of a whole split or several joined; no record is read. Errors as of open_tfds."""
    builder = _builder(location)
    name = _split_name(location, builder, split)
    return _orders(builder, name, _packed(builder), int(builder.info.splits[name].num_examples))


def tfds_classes(location: str) -> tuple[tuple[str, ...], tuple[str | None, ...]]:
    """The class names of a prepared data set and their WordNet synsets; no record is read. Errors as of open_tfds."""
    builder = _builder(location)
    return _known_classes(builder, _features(location, builder.info.features), _packed(builder))


def _builder(location: str) -> Any:
    """The read-only builder of the files, which brings no code that could download or generate."""
    try:
        from tensorflow_datasets.core.read_only_builder import builder_from_files
        from tensorflow_datasets.core.registered import DatasetNotFoundError
    except ImportError as error:
        raise UserError(
            f"tfds:{location}: {error.name} is not installed; pip install yolo9000_jax[demo], [tpu] or [cuda]"
        ) from None
    folder = _data_dir()
    as_path(folder)  # from here on TensorFlow Datasets finds those in a bucket, too
    try:
        return builder_from_files(location, data_dir=folder)
    except DatasetNotFoundError:
        raise _not_found(location, folder) from None
    except ValueError as error:
        raise UserError(f"tfds:{location}: {_reason(error)}; write tfds:NAME, such as tfds:voc/2007") from None
    except Exception as error:  # whatever a file system raises
        raise UserError(f"tfds:{location}: {folder} cannot be read ({_reason(error)}); see TFDS_DATA_DIR") from None


def _data_dir() -> str:
    return os.path.expanduser(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")


def _not_found(location: str, folder: str) -> UserError:
    import tensorflow_datasets as tfds

    name, known = re.split("[/:]", location)[0], tfds.list_builders(with_community_datasets=False)
    if name not in known and not (as_path(folder) / name).is_dir():
        return UserError(
            f"tfds:{location}: there is no data set {quote(name)} in TensorFlow Datasets, nor in {folder}"
            f"{nearest(name, known)}; correct the name, or set TFDS_DATA_DIR"
        )
    return UserError(f"tfds:{location} is not prepared in {folder}: set TFDS_DATA_DIR, or prepare it: {_how(location)}")


def _how(location: str) -> str:
    """The command that prepares a data set where TFDS_DATA_DIR says."""
    code = f"tfds.builder({location!r}, file_format='array_record').download_and_prepare()"
    return f'python -c "import tensorflow_datasets as tfds; {code}"'


def _split_name(location: str, builder: Any, split: Split) -> str:
    """The name of a split, or of several joined by "+", as TensorFlow Datasets writes them."""
    known = list(builder.info.splits)
    if split.is_all and len(known) == 1:
        return known[0]
    if split.is_all:
        raise UserError(f"tfds:{location}: name a split ({', '.join(known)}), or several joined with +")
    return "+".join(find_splits(split.name, known, f"tfds:{location}")[0])


def _features(location: str, features: Any) -> Any:
    """The features a record is made of, without others: `image`, and `objects` or `label`."""
    import tensorflow_datasets as tfds

    found, kinds = _inner(features), tfds.features
    inner = _inner(getattr(found.get("objects"), "feature", None))
    image, box = found.get("image"), inner.get("bbox")
    if isinstance(box, kinds.BBoxFeature) and isinstance(inner.get("label"), kinds.ClassLabel):
        order = getattr(box.bbox_format, "value", box.bbox_format)
        if order not in (None, "REL_YXYX"):
            raise UserError(f"tfds:{location}: its boxes are {order}; only fractions, REL_YXYX, are read")
        label = {"objects": kinds.Sequence({key: inner[key] for key in OF_A_BOX if key in inner})}
    elif isinstance(found.get("label"), kinds.ClassLabel):
        label = {"label": found["label"]}
    else:
        label = None
    if label is None or not isinstance(image, kinds.Image) or image.np_dtype != np.uint8:
        raise UserError(
            f"tfds:{location} is neither for detection (features image and objects, with bbox and label) nor for "
            f"classification (image and label): its features are {', '.join(sorted(found)) or type(features).__name__}"
        )
    names = {name: found[name] for name in (*FILE_NAMES, OWN_ID) if isinstance(found.get(name), kinds.Text)}
    return kinds.FeaturesDict({"image": image} | label | names)


def _inner(features: Any) -> dict[str, Any]:
    """The features by name; none where these are no dictionary of features."""
    import tensorflow_datasets as tfds

    return dict(features.items()) if isinstance(features, tfds.features.FeaturesDict) else {}


def _packed(builder: Any) -> dict[str, Any] | None:
    """What is written beside a packed set; None of others."""
    return read_about(builder.data_path) if (builder.data_path / PACKED).exists() else None


def _known_classes(
    builder: Any, features: Any, packed: dict[str, Any] | None
) -> tuple[tuple[str, ...], tuple[str | None, ...]]:
    """Names of the classes and their synsets."""
    if packed is None:
        return _classes(builder.name, features)
    return tuple(packed["classes"]), tuple(packed["synsets"])


def _classes(builder_name: str, features: Any) -> tuple[tuple[str, ...], tuple[str | None, ...]]:
    """Names of the classes and their synsets. ImageNet's are named by their synsets; COCO's may be without names."""
    label = features["objects"].feature["label"] if "objects" in features else features["label"]
    names = tuple(label.names)
    if builder_name != "coco":
        return names, tuple(name if SYNSET.fullmatch(name) else None for name in names)
    coco = coco_classes()
    if names == tuple(map(str, range(len(coco)))):
        names = tuple(coco)
    return names, tuple(coco.get(name) for name in names)


def _random_access(location: str, builder: Any, split: str) -> Indexed[bytes]:
    """The serialised examples of a split, read when asked for."""
    import tensorflow_datasets as tfds

    info = builder.info
    formats = {each.value for each in info.available_file_formats()}
    kind = next((kind for kind in ("array_record", "tfrecord") if kind in formats), None)
    if kind is None:
        raise UserError(
            f"tfds:{location} is prepared as {' and '.join(sorted(formats))}, which cannot be read at random: "
            f"move {info.data_dir} away, or set another TFDS_DATA_DIR, and prepare it: {_how(location)}"
        )
    if info.file_format.value != kind:
        info.set_file_format(kind, override=True, override_if_initialized=True)
    shards = info.splits[split].file_instructions
    _check_files(location, builder, shards)
    if not shards:
        return ()
    if kind == "tfrecord":
        if "://" in str(info.data_dir):
            raise UserError(
                f"tfds:{location}: the TFRecord files in {info.data_dir} can be read at random from a local disk or "
                f"mount only: copy or mount them, or set another TFDS_DATA_DIR and prepare it: {_how(location)}"
            )
        return RecordFiles([(shard.filename, shard.examples_in_shard) for shard in shards])
    _allow_open_files(len(shards))
    raw = tfds.decode.DeserializeMethod.RAW_BYTES
    return builder.as_data_source(split, file_format=kind, deserialize_method=raw)


def _check_files(location: str, builder: Any, shards: Sequence[Any]) -> None:
    there = {path.name for path in builder.data_path.iterdir()}
    missing = [shard.filename for shard in shards if os.path.basename(shard.filename) not in there]
    if missing:
        raise UserError(
            f"tfds:{location}: {len(missing)} of {len(shards)} files are missing, the first is {missing[0]}: "
            "copy or prepare the data set again"
        )


def _allow_open_files(count: int) -> None:
    """Raises the process's limit of open files, as every file of array_record stays open once it was read."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + FILES_OPEN_BESIDES
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise UserError(f"the data set has {count} files to keep open, the limit is {hard}: ulimit -n {needed}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


class Examples(Indexed[Record]):
    """Makes a `Record` of each serialised example when asked for it, which holds the bytes of its picture."""

    def __init__(
        self,
        name: str,
        source: Indexed[bytes],
        features: Any,
        from_one: bool,
        files: Sequence[tuple[str, int]],
    ):
        import tensorflow_datasets as tfds

        self._files = files  # with the number of examples in each
        self.features, self.from_one = features, from_one
        self._name, self._source = name, source
        self._decoders = {"image": tfds.decode.SkipDecoding()}

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Record:
        index = range(len(self))[index]
        example, name, file = self._example(index)
        header = reading.inspect_bytes(example["image"], f"the picture of {name}")
        size = header.width, header.height
        if "objects" in self.features:
            boxes, labels, difficult, crowd, areas = self._objects(example["objects"], header, name)
        else:
            boxes, labels = np.zeros((0, 4), np.float32), np.array([example["label"]], np.int32)
            difficult, crowd, areas = np.zeros(1, bool), None, None
        if (labels < 0).any():
            raise UserError(f"{name} has no label: choose a split that has them")
        picture = partial(self._picture, example["image"], name)
        image_id = PurePath(file).stem if file else None
        if OWN_ID in example:
            image_id = json.loads(example[OWN_ID])
        return Record(
            name,
            None,
            *size,
            boxes,
            labels,
            difficult,
            picture,
            lambda: example["image"],
            crowd,
            header.plain,
            areas,
            image_id,
            file,
        )

    def serialized(self, index: int) -> bytes:
        """An example as its file has it. Raises UserError where that cannot be read."""
        try:
            return self._source[index]
        except UserError:
            raise
        except Exception as error:  # a broken file: array_record has its own
            raise self._unreadable(index, error) from None

    def _unreadable(self, index: int, error: Exception) -> UserError:
        why = f"{self._name} {index} cannot be read ({_reason(error)})"
        return UserError(f"{why}: copy or prepare the data again")

    def _picture(self, data: bytes, name: str) -> np.ndarray:
        return reading.decode(data, f"the picture of {name}")

    def origins(self) -> list[Origin]:
        return [(file, place) for file, count in self._files for place in range(count)]

    def _example(self, index: int) -> tuple[dict[str, Any], str, str | None]:
        """The features of an example, its picture still encoded; what messages call it; and the picture's file name."""
        name = f"{self._name} {index}"
        data = self.serialized(index)
        try:
            example = self.features.deserialize_example_np(data, decoders=self._decoders)
        except Exception as error:  # protobuf and NumPy each raise their own
            raise self._unreadable(index, error) from None
        if any(example.get(key) is None for key in self.features):
            raise UserError(f"{name} cannot be read (its file is truncated): copy or prepare the data again")
        file = next((example[key].decode("utf-8", "replace") for key in FILE_NAMES if example.get(key)), None)
        return example, f"{name} ({file})" if file else name, file

    def _objects(
        self, objects: dict[str, Any], picture: reading.Header, name: str
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
        """boxes_xyxy float32 [N, 4] in pixels, labels int32 [N] of the data set, difficult, crowd, areas."""
        labels = np.array(objects["label"], np.int32)
        crowd = np.array(objects.get(CROWD, [False] * len(labels)), bool)
        difficult = np.array(objects.get(DIFFICULT, [False] * len(labels)), bool) | crowd
        if EXACT in objects:
            boxes: np.ndarray = np.array(objects[EXACT], np.float32).reshape(-1, 4)
            areas = None
            if EXACT_AREA in objects:
                stated = np.array(objects[EXACT_AREA], np.int64).view(np.float64)
                areas = None if np.isnan(stated).all() else stated_areas(stated, boxes)
            return boxes, labels, difficult, crowd, areas
        size = picture.width, picture.height
        stored = size[::-1] if picture.orientation in SWAPPED else size
        boxes = np.array(objects["bbox"], np.float64).reshape(-1, 4)[:, [1, 0, 3, 2]] * [*stored, *stored]
        if self.from_one:
            boxes[:, :2] -= (boxes[:, 2:] > boxes[:, :2]).all(1, keepdims=True)  # others have no area, and are dropped
        boxes = upright_boxes(boxes, *stored, picture.orientation)
        places = [f"object {number}" for number in range(1, len(boxes) + 1)]
        flags = difficult.tolist(), crowd.tolist()
        annotation = Annotation(name, name, Path(), [], labels.tolist(), flags[0], places, crowd=flags[1])
        boxes, kept = clean_boxes(boxes, *size, annotation, Notes())
        areas = stated_areas(np.array(objects[AREA], np.float64)[kept], boxes) if AREA in objects else None
        return boxes.astype(np.float32), labels[kept], difficult[kept], crowd[kept], areas


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
