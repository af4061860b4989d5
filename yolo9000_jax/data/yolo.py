"""The YOLO text format, as Darknet and its successors have it: pictures, and one text file of boxes for each.

A data.yaml or Darknet's .data file names the classes and the pictures (yolo_description.py), as folders, as lists or as
patterns (`images/cam*`) of these (yolo_places.py says where they are looked for), and a row of a label file is `class x
y w h` in fractions of the picture, or a polygon (yolo_labels.py).

A picture's labels are found by putting `labels` in the place of a folder `images`, `JPEGImages` or `raw` of its path,
the last such folder or, where that gives no file, Darknet's way, another or all of them; else beside the picture. Their
folder may also be `Labels` or `LABELS`, their ending in capitals. A picture without label file has no objects; the
notes count these, and the label files without picture.

Lists may name pictures anywhere on the machine; folders are read with the folders in them, links followed, each once.
A picture that a list names several times counts as often, as in Darknet; in an evaluation once. Split "" or "all" is
train, val and test together, each picture once; A+B is these two.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from yolo9000_jax.data.annotations import Annotation, Notes, make_records
from yolo9000_jax.data.messages import quote
from yolo9000_jax.data.pictures import SYSTEM_FILE, has_picture_ending, pictures_in
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.splits import NoSplitError, Split, find_splits
from yolo9000_jax.data.yolo_description import MOST_LIST_BYTES, Description, read_description, read_limited
from yolo9000_jax.data.yolo_labels import parse_labels
from yolo9000_jax.data.yolo_places import Places
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import find, is_system_file, one_form, shown, without_comment
from yolo9000_jax.images.reading import EXTENSIONS

NO_FILE = (
    "picture has no label file: taken as without objects",
    "pictures have no label file: taken as without objects",
)
SHARED_FILE = (
    "label file is that of several pictures, which differ in their endings: each takes it",
    "label files are those of several pictures, which differ in their endings: each takes it",
)
NO_PICTURE = ("label file has no picture and is not used", "label files have no picture and are not used")
NO_SPLIT = ("split of the description is not there and is left out", "splits of the description are not there")
POLYGON = ("polygon is taken as the box around it", "polygons are taken as the boxes around them")
REPEATED = (
    "picture is listed several times: it counts as often in training, once in an evaluation",
    "pictures are listed several times: they count as often in training, once in an evaluation",
)
PICTURE_FOLDERS = ("images", "jpegimages", "raw")  # whose place `labels` takes; in lower case
LABEL_FOLDERS = ("labels", "Labels", "LABELS")
LABEL_ENDINGS = (".txt", ".TXT", ".Txt")
JUNK = frozenset({".ipynb_checkpoints", "__macosx"})  # folders that are never meant, wherever they lie
NO_LABELS = ("classes.txt", "predefined_classes.txt")  # LabelImg's, in a folder of labels


def open_yolo(location: str, split: Split) -> Dataset:
    """Reads the data set that a data.yaml or .data file describes (see the module).

    Args:
        location: the file, or a folder that holds one.
        split: which part of it.

    Raises:
        UserError: names the file and the line that is wrong.
    """
    notes = Notes()
    description = read_description(location, notes)
    listed = _split_images(description, split, notes)
    labels = {image: find_labels(image) for image in listed}
    if listed and not any(labels.values()):
        expected = shown(label_places(next(iter(listed)))[0])
        raise UserError(
            f"{description.name}: no picture of {quote(split.name)} has a label file: expected {expected} and so on"
        )
    _note_labels_without_picture(labels, notes)
    for file, several in _sharing(labels).items():
        notes.add(SHARED_FILE, f"{shown(file.name)} of {' and '.join(shown(image.name) for image in several)}")
    images = split.pick(list(listed), key=lambda image: image.stem)
    records = make_records([_annotation(image, labels[image], description, notes) for image in images], notes)
    times = [listed[image] for image in images]
    for image, number in zip(images, times, strict=True):
        if number > 1:
            notes.add(REPEATED, f"{shown(image.name)}, {number} times")
    records = records.take(np.repeat(np.arange(len(images)), times)) if sum(times) > len(times) else records
    return Dataset(f"yolo:{location}", split.text, description.names, records, description.synsets, notes.lines())


def label_places(image: Path, labels: str = "labels") -> list[Path]:
    """Where the labels of a picture may be, the likeliest first: `…/images/a/b.jpg` -> `…/labels/a/b.txt`."""
    folders, name = list(image.parts[:-1]), image.with_suffix(".txt").name
    places = [place for place, folder in enumerate(folders) if folder.lower() in PICTURE_FOLDERS][::-1]
    replaced = [{place} for place in places] + [set(places)] * bool(places)
    found = [Path(*(labels if n in at else folder for n, folder in enumerate(folders)), name) for at in replaced]
    darknet = str(image.parent / name)
    for word in ("images", "JPEGImages", "raw"):  # Darknet takes the first place, be it a part of a name
        darknet = darknet.replace(word, labels, 1)
    return list(dict.fromkeys([*found, Path(darknet), image.parent / name]))


def find_labels(image: Path) -> Path | None:
    """The label file of a picture; None where there is none."""
    places = dict.fromkeys(place for labels in LABEL_FOLDERS for place in label_places(image, labels))
    beside = image.with_suffix(".txt")
    places[beside] = places.pop(beside)  # the last
    names = ((place.parent, f"{place.stem}{ending}") for place in places for ending in LABEL_ENDINGS)
    found = (find(folder, name, Path.is_file) for folder, name in names)
    return next(filter(None, found), None)


def _split_images(description: Description, split: Split, notes: Notes) -> dict[Path, int]:
    """The pictures of a split, in order, and how often each counts."""
    names = list(description.splits)
    if not split.is_all:
        names, _ = find_splits(split.name, names, description.name)
    counts: Counter[Path] = Counter()
    first: dict[str, Path] = {}
    missing: list[_NothingThereError] = []
    for name in names:
        try:
            counts |= Counter(_images_of(description, name, first, notes))  # of two splits that have it, the more
        except _NothingThereError as error:
            if not split.is_all:
                raise
            missing.append(error)
            notes.add(NO_SPLIT, str(error))
    if missing and len(missing) == len(names):
        raise missing[0]
    return {image: 1 for image in counts} if split.is_all else dict(counts)


class _NothingThereError(NoSplitError):
    """A folder or list that a description names is not there, or holds no picture."""


def _images_of(description: Description, key: str, first: dict[str, Path], notes: Notes) -> dict[Path, int]:
    """The pictures of one key: those in folders once each, those in lists as often as they are listed.

    `first` has the path of each picture as it came first, by its absolute path: a picture has one path.
    """
    in_folders: list[Path] = []
    in_lists: list[Path] = []
    for place in _named_places(description, key):
        if os.path.isdir(place):
            found = pictures_in(place, notes)
            if not found:
                raise _NothingThereError(
                    f"{description.name}: {key}: {shown(place)} has no pictures ({' '.join(EXTENSIONS)})"
                )
            in_folders += found
        elif has_picture_ending(place):
            in_folders.append(place)
        else:
            in_lists += [image for _, image in listed_images(place, description.places.roots, notes)]
    in_folders, in_lists = (
        [first.setdefault(os.path.abspath(image), image) for image in images] for images in (in_folders, in_lists)
    )
    counts = Counter(in_lists)
    return {image: max(counts[image], 1) for image in (*in_folders, *in_lists)}


def _named_places(description: Description, key: str) -> Iterator[Path]:
    """The folders, lists and pictures that a key names, one by one or by a pattern."""
    places = description.places
    for entry in description.splits[key]:
        found = places.find(entry, Path.exists, keep_split=True)
        try:
            several = [found] if found is not None else places.matching(entry)
        except UserError as error:
            raise UserError(f"{description.name}: {key}: {error}") from None
        if not several:
            raise _NothingThereError(
                f"{description.name}: {key}: there is no folder or list {quote(entry, 200)}: correct {key} or path"
            )
        yield from several


def listed_images(listed: Path, roots: Iterable[Path], notes: Notes) -> list[tuple[str, Path]]:
    """The pictures that a list names, a line each: the line, and where the picture is."""
    images = []
    places = Places([listed.parent, *roots, Path()], notes)
    for number, line in enumerate(read_limited(listed, MOST_LIST_BYTES).split("\n"), 1):
        written = line.strip()
        if not written:
            continue
        if _is_system_file(written):
            notes.add(SYSTEM_FILE, written[:200], key=(listed, number))
            continue
        found = places.find(written, Path.is_file)
        if found is None and not without_comment(written):
            continue
        if found is None:
            raise UserError(f"{shown(listed)}:{number}: there is no picture {quote(written, 200)}: correct the path")
        images.append((written, found))
    return images


def _is_system_file(written: str) -> bool:
    """Whether a line of a list names a hidden or system file; a whole path may lead through hidden folders."""
    path = written.strip("\"' ").replace("\\", "/")
    if path.startswith(("/", "~")) or re.match("[A-Za-z]:", path):
        return is_system_file(path.rpartition("/")[2]) or not JUNK.isdisjoint(path.lower().split("/"))
    return is_system_file(path)


def _sharing(labels: dict[Path, Path | None]) -> dict[Path, list[Path]]:
    """The label files that several pictures have, a.jpg and a.png, with these."""
    pictures: dict[Path, list[Path]] = {}
    for image, file in labels.items():
        if file is not None:
            pictures.setdefault(file, []).append(image)
    return {file: several for file, several in pictures.items() if len(several) > 1}


def _note_labels_without_picture(labels: dict[Path, Path | None], notes: Notes) -> None:
    """Looks at the label folders of the pictures, unless the labels are among the pictures themselves."""
    folders = {image.parent: file.parent for image, file in labels.items() if file is not None}
    for image_folder, label_folder in folders.items():
        if label_folder != image_folder:
            stems = {one_form(image.stem) for image in image_folder.iterdir() if has_picture_ending(image)}
            for file in sorted(label_folder.glob("*.txt")):
                if one_form(file.stem) not in stems and file.name not in NO_LABELS and not is_system_file(file.name):
                    notes.add(NO_PICTURE, shown(file.name))


def _annotation(image: Path, file: Path | None, description: Description, notes: Notes) -> Annotation:
    if file is None:
        notes.add(NO_FILE, shown(image.name))
        return Annotation(shown(image.name), str(image), image, [], [], [], [])
    rows = parse_labels(read_limited(file), shown(file), len(description.names), description.keypoints)
    for row in rows:
        if row.is_polygon:
            notes.add(POLYGON, f"{shown(file.name)}, line {row.line}")
    return Annotation(
        name=shown(file.name),
        source=shown(file),
        image=image,
        boxes_xyxy=[row.corners for row in rows],
        labels=[row.label for row in rows],
        difficult=[False] * len(rows),
        places=[f"line {row.line}" for row in rows],
        fractions=True,
    )
