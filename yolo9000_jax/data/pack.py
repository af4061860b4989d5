"""A data set as records of TensorFlow Datasets, which `tfds:` reads: `yolo9000 pack`.

They lie in OUTPUT/1.0.0, as ArrayRecord files (shards), in the order of the source, with the bytes of the picture
files; what a program draws is stored as PNG. Besides what TensorFlow Datasets knows (`image` and `label`, or
`objects` with `bbox`, `label`, `is_difficult`, `is_crowd`) a box has `box_xyxy`, the very numbers that the source
gives, in pixels of the picture as a viewer shows it, and the area that COCO states; so the records train as the source
does, bit for bit, and are judged as it is. A picture has the id that the source gives it; ids of boxes, which nothing
here uses, are not kept.

A shard counts once it is whole, and a split once dataset_info.json, which is written last, lists it. A shard is written
anew where the files that it was made of have changed since, in size or time, or what labels state; the split is not
there until all are.
"""

import hashlib
import io
import json
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any  # what TensorFlow Datasets gives has no types

import numpy as np
from PIL import Image

from yolo9000_jax.data.messages import quote
from yolo9000_jax.data.orientation import upright_boxes
from yolo9000_jax.data.packed import EXACT, EXACT_AREA, OWN_ID, PACKED, orders_name, read_about
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.sources import slice_orders
from yolo9000_jax.data.table import Joined, Record
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import shown, to_json, write_whole
from yolo9000_jax.images import reading
from yolo9000_jax.images.pixels import SWAPPED
from yolo9000_jax.logs import logger
from yolo9000_jax.places import as_path, is_in_bucket

VERSION = "1.0.0"
INFO = "dataset_info.json"
PICTURES_A_SHARD, MOST_SHARDS = 1000, 1024  # by default
THREADS = 16  # reading pictures waits for the disk
TURNED_BACK = (0, 1, 2, 3, 4, 5, 8, 7, 6)  # by EXIF's orientation: the one that undoes it


def pack(dataset: Dataset, output: str, shards: int | None = None) -> str:
    """Writes a data set as records; what is there already of an interrupted call, and of the same files, is kept.

    Args:
        dataset: one split as `open_source` gives it, not a slice of it.
        output: PARENT/NAME, here or in a bucket: with TFDS_DATA_DIR=PARENT it is `tfds:NAME`. It may hold other splits.
        shards: number of files; None: one for every thousand pictures, 1024 at most.

    Returns:
        The name of the split in the records.

    Raises:
        UserError: a picture cannot be read, OUTPUT cannot be written, or holds something else.
    """
    place = as_path(os.path.expanduser(output.rstrip("/")))
    if not re.fullmatch("[a-z][a-z0-9_]*", place.name):
        raise UserError(f"{output}: {quote(place.name)} is no name of a data set: take small letters, digits and _")
    if "[" in dataset.split:
        raise UserError(f"split {quote(dataset.split)}: pack a whole split; slices are taken when it is read")
    split = re.sub(r"\W+", "_", dataset.split).strip("_")
    split = "train" if split in ("", "all") else split  # TensorFlow Datasets means by "all" those that there are
    folder, fingerprint = place / VERSION, dataset.fingerprint()
    about = _about(folder, dataset)
    known = about["splits"].get(split, {})
    if known.get("fingerprint", fingerprint) != fingerprint:
        raise UserError(f"{output} holds another {quote(split)}: choose another folder, or move that one away")
    orders = slice_orders(dataset)
    count = min(shards or min(-(-len(dataset) // PICTURES_A_SHARD), MOST_SHARDS), len(dataset))
    writing = _Split(dataset, folder, place.name, split, known.get("shards", count), fingerprint)
    if stale := writing.begin(known.get("sources", [])):
        about["splits"].pop(split, None)
        _write_info(folder, place.name, about)
        writing.remove(stale)
    writing.write()
    write_whole(folder / orders_name(split), _npy(np.concatenate(orders)))
    about["splits"][split] = {"parts": list(map(len, orders))} | writing.described()
    _write_info(folder, place.name, about)
    writing.plan.unlink()
    return split


def _about(folder: Path, dataset: Dataset) -> dict[str, Any]:
    """What is known of the records there, or of the first ones; raises UserError where they are of another kind."""
    own = {"classes": list(dataset.classes), "synsets": list(dataset.synsets), "boxes": _is_boxed(dataset)}
    own["category_ids"] = None if dataset.category_ids is None else list(dataset.category_ids)
    if not (folder / PACKED).exists():
        if (folder / INFO).exists():
            raise UserError(f"{folder} holds a data set that was not packed here: choose another folder")
        return own | {"splits": {}}
    about = read_about(folder)
    if any(about[key] != value for key, value in own.items()):
        raise UserError(f"{folder} holds splits with other classes, or of another kind: choose another folder")
    return about


def _is_boxed(dataset: Dataset) -> bool:
    """Whether the records are for detection; classification has one label a picture and no boxes."""
    if dataset.rendered:  # which has no end worth reaching: the first stands for all
        return bool(len(dataset[0].boxes_xyxy) or len(dataset[0].labels) != 1)
    truth = dataset.ground_truth()
    return bool(len(truth.boxes_xyxy) or (truth.labels_of != 1).any())


def _features(classes: list[str], boxed: bool) -> Any:
    import tensorflow_datasets as tfds

    kinds = tfds.features
    label = kinds.ClassLabel(names=classes)
    box = {"bbox": kinds.BBoxFeature(), "label": label, "is_difficult": np.bool_, "is_crowd": np.bool_}
    box |= {EXACT: kinds.Tensor(shape=(4,), dtype=np.float32), EXACT_AREA: np.int64}
    what = {"objects": kinds.Sequence(box)} if boxed else {"label": label}
    return kinds.FeaturesDict({"image": kinds.Image(), "file_name": kinds.Text(), OWN_ID: kinds.Text(), **what})


class _Split:
    """The files of one split while they are written."""

    def __init__(self, dataset: Dataset, folder: Path, name: str, split: str, shards: int, fingerprint: str):
        self.dataset, self.folder, self.split, self.shards = dataset, folder, split, shards
        self.name, self.fingerprint, self.boxed = name, fingerprint, _is_boxed(dataset)
        self.features = _features(list(dataset.classes), self.boxed)
        self.plan = folder / f".{split}.json"  # there while shards are missing
        self.sources = _sources(dataset, shards)

    def begin(self, known: Sequence[str]) -> list[Path]:
        """Says what is written, and finds the shards that hold what has changed since, or something unknown.

        Args:
            known: `sources` of the shards of a split that was whole; none where there is no such.
        """
        try:
            begun = {"fingerprint": self.fingerprint, "shards": self.shards, "sources": known}
            if self.plan.exists():
                begun = json.loads(self.plan.read_text("utf-8"))
                if not isinstance(begun, dict):
                    raise ValueError
            if begun.get("fingerprint") != self.fingerprint or begun.get("shards") != self.shards:
                raise UserError(
                    f"{self.folder} holds unfinished shards of other pictures, or of another number of shards: "
                    "give the same command, or choose another folder"
                )
            before: Any = begun.get("sources")
            before = before if isinstance(before, list) and len(before) == self.shards else [None] * self.shards
            pairs = zip(self._shards(), before, self.sources, strict=True)
            stale = [path for path, old, now in pairs if old != now and path.exists()]
            # While a stale shard may be there, the plan has what it was made of.
            self._write_plan(before if stale else self.sources)
        except OSError as error:
            raise UserError(f"{self.folder}: cannot be written ({error.strerror}); choose another folder") from None
        except ValueError:
            raise UserError(f"{self.plan} is damaged: remove it, and what it began is packed anew") from None
        return stale

    def remove(self, stale: Sequence[Path]) -> None:
        """Removes these shards, of a split that is not listed any more, so that `write` makes them."""
        logger.info(f"{self.folder}: {len(stale)} shards are written anew, as what they were made of has changed")
        try:
            for path in stale:
                path.unlink()
        except OSError as error:
            raise UserError(f"{self.folder}: cannot be written ({error.strerror}); choose another folder") from None
        self._write_plan(self.sources)

    def write(self) -> None:
        """Writes the shards that are not there yet."""
        from tensorflow_datasets.core.example_serializer import ExampleSerializer
        from tensorflow_datasets.core.file_adapters import FileFormat
        from tensorflow_datasets.core.writer import ExampleWriter

        serializer = ExampleSerializer(self.features.get_serialized_info())
        writer = ExampleWriter(FileFormat.ARRAY_RECORD)
        with ThreadPoolExecutor(THREADS) as pool:
            for target, indexes in zip(self._shards(), shard_ranges(len(self.dataset), self.shards), strict=True):
                if target.exists():
                    continue
                examples = zip(indexes, pool.map(self._example, indexes), strict=True)
                serialized = ((index, serializer.serialize_example(each)) for index, each in examples)
                with _Part(None if is_in_bucket(target) else target.parent) as part:
                    try:
                        writer.write(part, serialized)
                        _put(part, target)
                    except UserError:
                        raise
                    except Exception as error:  # of the disk, or the bucket: each library raises its own
                        lines = str(error).splitlines() or [type(error).__name__]
                        raise UserError(f"{target}: cannot be written ({lines[0]}); give the command again") from None
                logger.info(f"{target}: {indexes.stop} of {len(self.dataset)} pictures")

    def _write_plan(self, sources: Sequence[str | None]) -> None:
        content = {"fingerprint": self.fingerprint, "shards": self.shards, "sources": sources}
        write_whole(self.plan, to_json(content))

    def _shards(self) -> list[Path]:
        return [self.folder / shard_name(self.name, self.split, shard, self.shards) for shard in range(self.shards)]

    def described(self) -> dict[str, Any]:
        """What there is to be known of the split; TensorFlow Datasets, too, wants lengths and bytes."""
        return {
            "fingerprint": self.fingerprint,
            "shards": self.shards,
            "sources": self.sources,
            "lengths": list(map(len, shard_ranges(len(self.dataset), self.shards))),
            "bytes": sum(path.stat().st_size for path in self._shards()),
        }

    def _example(self, index: int) -> Any:
        record = self.dataset[index]
        data = _encoded(record)
        example: dict[str, Any] = {"image": data, "file_name": shown(record.picture_name)}
        example[OWN_ID] = json.dumps(record.image_id)
        if not self.boxed:
            return self.features.encode_example(example | {"label": int(record.labels[0])})
        header = reading.inspect_bytes(data, record.name)
        boxes = upright_boxes(
            record.boxes_xyxy.astype(np.float64), record.width, record.height, TURNED_BACK[header.orientation]
        )
        sides = (record.height, record.width) if header.orientation in SWAPPED else (record.width, record.height)
        fractions = np.clip(boxes / [*sides, *sides], 0, 1)
        crowd = np.zeros(len(boxes), bool) if record.crowd is None else record.crowd
        areas = np.full(len(boxes), np.nan) if record.areas is None else record.areas.astype(np.float64)
        example["objects"] = [
            {
                "bbox": _bbox(fraction),
                "label": int(record.labels[place]),
                "is_difficult": bool(record.difficult[place]),
                "is_crowd": bool(crowd[place]),
                EXACT: record.boxes_xyxy[place],
                EXACT_AREA: int(areas.view(np.int64)[place]),
            }
            for place, fraction in enumerate(fractions)
        ]
        return self.features.encode_example(example)


def _sources(dataset: Dataset, shards: int) -> list[str]:
    """A number for each shard that changes when what it is made of does: a file, by its size or time, or labels."""
    origins = dataset.origins()
    with ThreadPoolExecutor(THREADS) as pool:  # on a network disk this waits
        files = list(dict.fromkeys(origin if isinstance(origin, str) else origin[0] for origin in origins))
        known = dict(zip(files, pool.map(_state, files), strict=True))
    states = [known[origin if isinstance(origin, str) else origin[0]] for origin in origins]
    stated = list(zip(states, _stated(dataset), strict=True))
    ranges = shard_ranges(len(dataset), shards)
    return [hashlib.sha256(repr(stated[part.start : part.stop]).encode()).hexdigest() for part in ranges]


def _stated(dataset: Dataset) -> list[Any]:
    """What the labels of each picture state and `Dataset.fingerprint` leaves out; None where a record's file has it."""
    if isinstance(dataset.maker, Joined):
        return [each for part in dataset.maker.parts for each in _stated(part)]  # type: ignore[arg-type]
    if dataset.lazy:
        return [None] * len(dataset)
    flags = ((each.areas, each.crowd, each.image_id) for each in dataset)
    return [(_listed(areas), _listed(crowd), own) for areas, crowd, own in flags]


def _listed(array: np.ndarray | None) -> list[Any] | None:
    return None if array is None else array.tolist()


def _state(file: str) -> tuple[int, int]:
    """Size and time of a file; of what is drawn, or lies in a bucket, nothing."""
    try:
        found = os.stat(file)
    except (OSError, ValueError):
        return 0, 0
    return found.st_size, found.st_mtime_ns


def _npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array.astype("<i8"), allow_pickle=False)
    return content.getvalue()


class _Part(tempfile.TemporaryDirectory):
    """A file that is not there for others yet; on the disk where it will lie, if that is one."""

    def __init__(self, folder: Path | None):
        super().__init__(prefix=".pack", dir=folder, ignore_cleanup_errors=True)

    def __enter__(self) -> str:
        return os.path.join(super().__enter__(), "shard")


def _put(part: str, target: Path) -> None:
    if is_in_bucket(target):
        target.write_bytes(Path(part).read_bytes())
    else:
        os.replace(part, target)


def _bbox(fraction: np.ndarray) -> Any:
    import tensorflow_datasets as tfds

    x0, y0, x1, y1 = map(float, fraction)
    return tfds.features.BBox(ymin=y0, xmin=x0, ymax=y1, xmax=x1)


def _encoded(record: Record) -> bytes:
    """The bytes of the picture's file, or a PNG of what is drawn."""
    if record.encoded is not None:
        return record.encoded()
    if record.image is None:
        content = io.BytesIO()
        Image.fromarray(record.read()).save(content, "PNG")
        return content.getvalue()
    try:
        return Path(record.image).read_bytes()
    except OSError as error:
        raise UserError(f"{record.image}: this picture cannot be read ({error.strerror}); check the file") from None


def shard_ranges(pictures: int, shards: int) -> Iterator[range]:
    """The pictures of each shard."""
    return (range(pictures * n // shards, pictures * (n + 1) // shards) for n in range(shards))


def shard_name(name: str, split: str, shard: int, shards: int) -> str:
    """The name of a shard's file, as TensorFlow Datasets has it."""
    return f"{name}-{split}.array_record-{shard:05}-of-{shards:05}"


def _write_info(folder: Path, name: str, about: dict[str, Any]) -> None:
    """What TensorFlow Datasets and `tfds:` read first; the file that makes the split a part of the set comes last."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.dataset_info import DatasetIdentity, DatasetInfo
    from tensorflow_datasets.core.naming import ShardedFileTemplate

    identity = DatasetIdentity(
        name=name, version=tfds.core.Version(VERSION), data_dir=str(folder), module_name="", config_name=None
    )
    info = DatasetInfo(
        builder=identity,
        features=_features(about["classes"], about["boxes"]),
        description="Packed by yolo9000_jax.",
        disable_shuffling=True,
    )
    info.set_file_format(tfds.core.FileFormat.ARRAY_RECORD)
    splits = []
    for split, packed in about["splits"].items():
        template = ShardedFileTemplate(data_dir=folder, dataset_name=name, split=split, filetype_suffix="array_record")
        splits.append(
            tfds.core.SplitInfo(
                name=split, shard_lengths=packed["lengths"], num_bytes=packed["bytes"], filename_template=template
            )
        )
    info.set_splits(tfds.core.SplitDict(splits))
    with tempfile.TemporaryDirectory() as made:
        info.write_to_directory(made)
        written = {path.name: path.read_bytes() for path in Path(made).iterdir()}
    last = written.pop(INFO)
    if not splits:  # a set without any is none
        write_whole(folder / PACKED, to_json(about))
        for file in (INFO, *written):
            if (folder / file).exists():
                (folder / file).unlink()
        return
    for file, content in written.items():
        write_whole(folder / file, content)
    write_whole(folder / PACKED, to_json(about))
    write_whole(folder / INFO, last)
