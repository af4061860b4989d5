"""Classification: one folder a class, `DIR/CLASS/*.jpg`, or `DIR/SPLIT/CLASS/*.jpg` where there are splits.

A record has no boxes and one label, that of the whole picture: the name of the class folder, which may have folders in
it. A class folder named like n01443537 is a WordNet synset. A folder without splits is taken whole under any split
name, which a note says. Pictures beside the class folders, or directly in a folder `test` beside a `train` of class
folders, have no class: they are left out and counted. Hidden and system files and folders are no data.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from yolo9000_jax.data.annotations import TURNED_AS_SHOWN, Notes, note_remark
from yolo9000_jax.data.index import look_at
from yolo9000_jax.data.messages import quote
from yolo9000_jax.data.pictures import holds_pictures, pictures_of
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.splits import NO_SPLITS, TRAINING, Split, find_splits
from yolo9000_jax.data.table import GroundTruth, Table
from yolo9000_jax.data.walking import check_folder, files_in, folders_in
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import shown, without_scheme
from yolo9000_jax.images.reading import Header
from yolo9000_jax.labels import synsets_of

NO_CLASS = ("picture in no class folder is not used", "pictures in no class folder are not used")


def open_folders(location: str, split: Split) -> Dataset:
    """Reads a folder of class folders (see the module).

    Args:
        location: the folder.
        split: which part of it; "" or "all" joins all splits there are, A+B these.

    Raises:
        UserError: names the folder or picture that is wrong.
    """
    root = _root(location)
    splits, notes = _splits(root), Notes()
    for place in (root, *_without_classes(root)):
        for picture in pictures_of(files_in(place), Notes()):
            notes.add(NO_CLASS, shown(picture.name), key=picture)
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
    classes_of = [folders[place].name for place in pictures.class_of]  # of each folder that pictures are in
    labels = np.array([ids[name] for name in classes_of], np.int32)
    table = Table(
        pictures.folders,
        pictures.folder_of,
        pictures.files,
        None,
        GroundTruth.one_label_each(pictures.sizes_wh, labels[pictures.folder_of]),
        np.array([header.plain for header in pictures.headers], bool)[pictures.header_of],
        titles=list(map(shown, classes_of)),
        contents=pictures.contents,
    )
    headers = pictures.header_of
    if split.is_slice:
        files, folder_of = pictures.files, pictures.folder_of
        stems = (os.path.splitext(os.fsdecode(file))[0] for file in files)
        places = split.places(f"{stem}/{classes_of[folder]}" for stem, folder in zip(stems, folder_of, strict=True))
        table, headers = table.take(places), headers[places]
    _note_headers(pictures.headers, headers, table, notes)
    return Dataset(f"folders:{location}", split.text, classes, table, synsets_of(classes), (*lines, *notes.lines()))


def class_names(location: str) -> tuple[str, ...]:
    """The sorted names of the class folders, those of all splits; no picture is looked at.

    Raises:
        UserError: there is no such folder, or it holds no folders.
    """
    root = _root(location)
    return tuple(sorted({folder.name for part in _splits(root) or [root] for folder in folders_in(part)}))


def _root(location: str) -> Path:
    """The folder, by its path or by the address that a file manager gives it."""
    path = without_scheme(location)
    root = Path(os.path.expanduser(path if os.path.exists(path) else path.strip()))
    check_folder(root, f"folders:{location}")
    return root


def _splits(root: Path) -> list[Path]:
    """The split folders: those that hold folders; none where the folders of `root` hold the pictures themselves."""
    folders = folders_in(root)
    if not folders:
        raise UserError(f"folders:{root} has no folders: put the pictures into one folder a class")
    rest = [folder for folder in folders if folder not in _without_classes(root)]
    if any(map(holds_pictures, rest)):
        return []
    return [folder for folder in rest if folders_in(folder)]


def _without_classes(root: Path) -> list[Path]:
    """The folders test of pictures that nobody labelled, beside a train that holds the class folders."""
    folders = folders_in(root)
    training = [folder for folder in folders if folder.name.lower() in TRAINING]
    if not any(folders_in(folder) and not holds_pictures(folder) for folder in training):
        return []
    return [
        folder
        for folder in folders
        if folder.name.lower().startswith("test") and holds_pictures(folder) and not folders_in(folder)
    ]


def _note_headers(headers: Sequence[Header], header_of: np.ndarray, table: Table, notes: Notes) -> None:
    """Counts the pictures that have more to them than most."""
    numbers, first, counts = np.unique(header_of, return_index=True, return_counts=True)
    for place in np.argsort(first):
        header, count = headers[numbers[place]], int(counts[place])
        name = shown(Path(table.path(int(first[place]))).name)
        if header.orientation != 1:
            notes.add(TURNED_AS_SHOWN, name, count)
        note_remark(header, name, notes, count)
