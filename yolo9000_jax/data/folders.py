"""Classification: one folder a class, `DIR/CLASS/*.jpg`, or `DIR/SPLIT/CLASS/*.jpg` where there are splits.

A record has no boxes and one label, that of the whole picture: the name of the class folder, which may have folders in
it. A class folder named like n01443537 is a WordNet synset. A folder without splits is taken whole under any split
name, which a note says. Hidden and system files and folders are no data.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from yolo9000_jax.data.annotations import TURNED_AS_SHOWN, Notes, note_remark
from yolo9000_jax.data.index import Pictures, look_at
from yolo9000_jax.data.messages import quote
from yolo9000_jax.data.pictures import holds_pictures
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.splits import NO_SPLITS, Split, find_splits
from yolo9000_jax.data.table import GroundTruth, Indexed, Table
from yolo9000_jax.data.walking import folders_in
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import shown
from yolo9000_jax.images.reading import Header
from yolo9000_jax.labels import synsets_of


def open_folders(location: str, split: Split) -> Dataset:
    """Reads a folder of class folders (see the module).

    Args:
        location: the folder.
        split: which part of it; "" or "all" joins all splits there are, A+B these.

    Raises:
        UserError: names the folder or picture that is wrong.
    """
    root = Path(os.path.expanduser(location))
    if not os.path.isdir(root):
        raise UserError(f"folders:{location}: there is no such folder")
    splits, notes = _splits(root), Notes()
    lines: list[str] = []
    if not splits:
        chosen = [root]
        lines = [] if split.is_all else [NO_SPLITS.format(quote(split.name))]
    elif split.is_all:
        chosen = splits
    else:
        names, lines = find_splits(split.name, [folder.name for folder in splits], f"folders:{root}")
        chosen = [root / name for name in names]
    classes = class_names(location)
    ids = {name: index for index, name in enumerate(classes)}
    folders = [folder for part in chosen for folder in folders_in(part)]
    pictures = look_at(root, folders, notes)
    labels = np.array([ids[folder.name] for folder in folders], np.int32)
    table = Table(
        pictures.folders,
        pictures.folder_of,
        pictures.files,
        _Names([shown(folder.name) for folder in folders], pictures),
        GroundTruth.one_label_each(pictures.sizes_wh, labels[pictures.class_of]),
        np.array([header.plain for header in pictures.headers], bool)[pictures.header_of],
        contents=pictures.contents,
    )
    headers = pictures.header_of
    if split.is_slice:
        places = split.pick(range(len(table)), key=lambda place: _key(table, place, folders[pictures.class_of[place]]))
        table, headers = table.take(places), headers[places]
    _note_headers(pictures.headers, headers, table, notes)
    return Dataset(f"folders:{location}", split.text, classes, table, synsets_of(classes), (*lines, *notes.lines()))


def class_names(location: str) -> tuple[str, ...]:
    """The sorted names of the class folders, those of all splits; no picture is looked at.

    Raises:
        UserError: there is no such folder, or it holds no folders.
    """
    root = Path(os.path.expanduser(location))
    if not os.path.isdir(root):
        raise UserError(f"folders:{location}: there is no such folder")
    return tuple(sorted({folder.name for part in _splits(root) or [root] for folder in folders_in(part)}))


def _splits(root: Path) -> list[Path]:
    """The split folders: those that hold folders; none where the folders of `root` hold the pictures themselves."""
    folders = folders_in(root)
    if not folders:
        raise UserError(f"folders:{root} has no folders: put the pictures into one folder a class")
    if any(map(holds_pictures, folders)):
        return []
    return [folder for folder in folders if folders_in(folder)]


def _key(table: Table, place: int, class_folder: Path) -> str:
    """What a slice shuffles by."""
    return f"{Path(table.path(place)).stem}/{class_folder.name}"


def _note_headers(headers: Sequence[Header], header_of: np.ndarray, table: Table, notes: Notes) -> None:
    """Counts the pictures that have more to them than most."""
    numbers, first, counts = np.unique(header_of, return_index=True, return_counts=True)
    for place in np.argsort(first):
        header, count = headers[numbers[place]], int(counts[place])
        name = shown(Path(table.path(int(first[place]))).name)
        if header.orientation != 1:
            notes.add(TURNED_AS_SHOWN, name, count)
        note_remark(header, name, notes, count)


class _Names(Indexed[str]):
    """The names of records: CLASS/FILE."""

    def __init__(self, classes: Sequence[str], pictures: Pictures):
        self._classes, self._class_of, self._files = classes, pictures.class_of, pictures.files

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> str:
        return f"{self._classes[self._class_of[index]]}/{shown(os.fsdecode(self._files[index]))}"
