"""Pictures without content, as many as one says: to plan, or to try machines, where the data are not at hand.

    blank:20,16551           16551 pictures, one box in each, of 20 classes
    blank:1000,1281167,labels   as many, each with a label and no box
    blank:FILE.tree,1000     the classes are the leaves of a WordTree

Every split has the same number of them.
"""

import io
from functools import cached_property

import numpy as np
from PIL import Image

from yolo9000_jax.data.messages import quote
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.splits import Split
from yolo9000_jax.data.table import Indexed, Origin, Record
from yolo9000_jax.errors import UserError
from yolo9000_jax.images import reading
from yolo9000_jax.wordtree.tree import WordTree

WIDTH, HEIGHT = 500, 375  # of a picture, as most of VOC's
GREY = 128


def open_blank(location: str, split: Split) -> Dataset:
    """`blank:LOCATION` (see the module). Raises UserError where the location says something else."""
    classes, _, rest = location.partition(",")
    pictures, _, kind = rest.partition(",")
    if not pictures.isdecimal() or not int(pictures) or kind not in ("", "labels"):
        raise _mistyped(location)
    names, synsets = _classes(location, classes)
    records = _Blank(len(names), int(pictures), kind == "", split.name)
    dataset = Dataset(
        f"blank:{location}", split.text, names, records, synsets, lazy=True, identity=f"blank:{location} {split.name}"
    )
    return dataset.take(split.indexes(len(dataset))) if split.is_slice else dataset


def _classes(location: str, classes: str) -> tuple[tuple[str, ...], tuple[str | None, ...]]:
    if classes.isdecimal() and int(classes):
        return tuple(f"class {number}" for number in range(int(classes))), (None,) * int(classes)
    if not classes.endswith(".tree"):
        raise _mistyped(location)
    tree = WordTree.load_with_names(classes)
    leaves = [tree.synsets[leaf] for leaf in np.flatnonzero(tree.leaves)]
    return tuple(leaves), tuple(leaves)


def _mistyped(location: str) -> UserError:
    return UserError(
        f"blank:{location}: {quote(location)} is not CLASSES,PICTURES: write two numbers, such as blank:20,16551, or "
        "FILE.tree and a number; with ,labels behind them for pictures without boxes"
    )


class _Blank(Indexed[Record]):
    """The records, made when they are asked for."""

    def __init__(self, classes: int, pictures: int, boxes: bool, split: str):
        self._classes, self._pictures, self._boxes, self._split = classes, pictures, boxes, split

    def __len__(self) -> int:
        return self._pictures

    def __getitem__(self, index: int) -> Record:
        index = range(self._pictures)[index]
        # Widths and heights vary, so that priors can be found.
        sides = (1 + np.array([index % 7, index % 5])) / 8 * [WIDTH, HEIGHT]
        boxes = np.array([[0, 0, *sides]] if self._boxes else np.zeros((0, 4)), np.float32)
        labels = np.array([index % self._classes], np.int32)
        name = f"blank {self._split} {index}"
        file, plain = self._file
        picture = (None, WIDTH, HEIGHT, boxes, labels, np.zeros(1, bool))
        return Record(name, *picture, lambda: reading.decode(file, name), lambda: file, plain=plain)

    @cached_property
    def _file(self) -> tuple[bytes, bool]:
        """The bytes of the picture, and whether every decoder makes the same of it."""
        content = io.BytesIO()
        Image.new("RGB", (WIDTH, HEIGHT), (GREY, GREY, GREY)).save(content, "JPEG")
        return content.getvalue(), reading.inspect_bytes(content.getvalue(), "a blank picture").plain

    def origins(self) -> list[Origin]:
        return [(f"blank {self._split}", place) for place in range(self._pictures)]
