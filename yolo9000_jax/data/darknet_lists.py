"""Classification: Darknet's .data file, whose lists name pictures, each of the class whose label is part of its path.

    classes = 1000
    train   = imagenet.train.list
    valid   = imagenet.val.list
    labels  = imagenet.labels.list          n02084071 … as they stand in the paths
    names   = imagenet.shortnames.list      what people call them; the labels, where there are none

Of labels and names that are more than `classes` the first count. Where the paths are looked for says yolo_places.py.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from yolo9000_jax.data.annotations import Annotation, Notes, make_records
from yolo9000_jax.data.messages import quote
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.splits import Split, find_splits
from yolo9000_jax.data.yolo import listed_images
from yolo9000_jax.data.yolo_description import MOST_LIST_BYTES, SPLITS, Value, parse_data, read_limited
from yolo9000_jax.data.yolo_places import Places
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import shown, without_comment
from yolo9000_jax.labels import synsets_of, told_apart


@dataclass(frozen=True)
class Lists:
    """A .data file.

    file: its path. labels, names: of the classes, as many of the one as of the other. splits: the lists of train, val
    and test that there are, as they are written.
    """

    file: str
    labels: tuple[str, ...]
    names: tuple[str, ...]
    splits: dict[str, str]

    @property
    def judges_apart(self) -> bool:
        """Whether it names other pictures to be judged on than those that are trained."""
        return self.splits.get("val", self.splits["train"]) != self.splits["train"]


def read_lists(location: str) -> Lists:
    """Reads a .data file.

    Raises:
        UserError: it is not there or no such file, names no classes, or has no list of pictures to train on.
    """
    file = Path(os.path.expanduser(location))
    if not file.is_file():
        raise UserError(f"{shown(location)}: there is no such file; give Darknet's .data file")
    name = shown(file)
    entries = parse_data(read_limited(file), name)
    splits = {split: str(entries[split]) for split in SPLITS if entries.get(split)}
    if "train" not in splits:
        raise UserError(f"{name}: names no pictures to train on: write train = LIST.txt, a picture's path a line")
    if not (entries.get("names") or entries.get("labels")):
        raise UserError(f"{name}: names no classes: write names = FILE.names, a file of one name a line")
    places = Places([file.parent, file.parent / "..", Path()], Notes())
    names = _lines_of(name, "names", entries.get("names") or entries["labels"], places)
    labels = _lines_of(name, "labels", entries.get("labels") or entries["names"], places)
    count = _count(name, entries.get("nc"), names, labels)
    return Lists(name, labels[:count], told_apart(names[:count], labels), splits)


def _lines_of(file: str, key: str, written: Value, places: Places) -> tuple[str, ...]:
    found = places.find(str(written), Path.is_file)
    if found is None:
        raise UserError(f"{file}: {key}: there is no file {quote(written, 200)}: correct the path")
    lines = [line.strip() for line in read_limited(found, MOST_LIST_BYTES).rstrip().split("\n")]
    if not all(lines):
        raise UserError(f"{shown(found)}:{lines.index('') + 1}: blank; give one class a line")
    return tuple(lines)


def _count(file: str, stated: Value, names: tuple[str, ...], labels: tuple[str, ...]) -> int:
    """How many classes there are."""
    if stated is None and len(names) != len(labels):
        raise UserError(f"{file}: {len(names)} names, but {len(labels)} labels: say how many count, classes = N")
    if stated is not None and not str(stated).isdecimal():
        raise UserError(f"{file}: classes is {quote(stated)}, no number: correct it")
    count = len(names) if stated is None else int(str(stated))
    for key, lines in (("names", names), ("labels", labels)):
        if not 0 < count <= len(lines):
            raise UserError(f"{file}: classes is {count}, but {key} has {len(lines)} lines: correct one of them")
    return count


def open_darknet(location: str, split: Split) -> Dataset:
    """Reads the pictures that the lists of a .data file name (see the module).

    Args:
        location: the file.
        split: which list; "" or "all" joins all, A+B these.

    Raises:
        UserError: names the file and line that is wrong, or a picture with no label in its path, or several.
    """
    lists, notes = read_lists(location), Notes()
    names, lines = (list(lists.splits), []) if split.is_all else find_splits(split.name, list(lists.splits), lists.file)
    folder = Path(os.path.expanduser(location)).parent
    places = Places([folder, folder / "..", Path()], notes)
    find_label = _Finder(lists.labels)
    labelled: list[tuple[Path, int]] = []
    for name in names:
        listed = places.find(lists.splits[name], Path.is_file, keep_split=True)
        if listed is None:
            written = quote(lists.splits[name], 200)
            raise UserError(f"{lists.file}: {name}: there is no list {written}: correct the path")
        images = listed_images(listed, places.roots, notes)
        labelled += [(image, find_label(line, shown(listed))) for line, image in images]
    picked = split.pick(labelled, key=lambda pair: str(pair[0]))
    records = make_records([_annotation(image, label) for image, label in picked], notes)
    synsets = synsets_of(lists.labels)
    return Dataset(f"darknet:{location}", split.text, lists.names, records, synsets, (*lines, *notes.lines()))


class _Finder:
    """Finds the one label that is part of a picture's path as a list has it: there Darknet looks for it.

    So a label that is also the name of a folder above the list, or of one that a link leads to, does no harm.

    Args:
        labels: of the classes in order.
    """

    def __init__(self, labels: Iterable[str]):
        self._places = {label: place for place, label in enumerate(labels)}
        self._lengths = sorted(set(map(len, self._places)))

    def __call__(self, line: str, listed: str) -> int:
        path = without_comment(line)
        parts = (path[at : at + length] for length in self._lengths for at in range(len(path) - length + 1))
        found = {part: self._places[part] for part in parts if part in self._places}
        if len(found) != 1:
            what = f"several labels ({', '.join(map(quote, list(found)[:3]))})" if found else "no label"
            raise UserError(f"{listed}: the path {shown(path)[-200:]} holds {what}: give it that of its class alone")
        return next(iter(found.values()))


def _annotation(image: Path, label: int) -> Annotation:
    return Annotation(shown(image.name), str(image), image, [], [label], [False], [])
