"""Classification: one folder a class, `DIR/CLASS/*.jpg`, or `DIR/SPLIT/CLASS/*.jpg` where there are splits.

A record has no boxes and one label, that of the whole picture: the name of the class folder, which may have folders in
it. A class folder named like n01443537 is a WordNet synset. A folder without splits is taken whole under any split
name, which a note says. Hidden and system files and folders are no data.
"""

import os
from pathlib import Path

from yolo9000_jax.data.annotations import Annotation, Notes, make_records
from yolo9000_jax.data.messages import quote
from yolo9000_jax.data.pictures import holds_pictures, pictures_in
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.splits import NO_SPLITS, Split, find_splits
from yolo9000_jax.data.walking import check_folder, folders_in
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import shown
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
    check_folder(root, f"folders:{location}")
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
    images = [
        (folder.name, image) for part in chosen for folder in folders_in(part) for image in pictures_in(folder, notes)
    ]
    picked = split.pick(images, key=lambda pair: f"{pair[1].stem}/{pair[0]}")
    records = make_records([_annotation(image, name, ids[name]) for name, image in picked], notes)
    return Dataset(f"folders:{location}", split.text, classes, records, synsets_of(classes), (*lines, *notes.lines()))


def class_names(location: str) -> tuple[str, ...]:
    """The sorted names of the class folders, those of all splits; no picture is looked at.

    Raises:
        UserError: there is no such folder, or it holds no folders.
    """
    root = Path(os.path.expanduser(location))
    check_folder(root, f"folders:{location}")
    return tuple(sorted({folder.name for part in _splits(root) or [root] for folder in folders_in(part)}))


def _splits(root: Path) -> list[Path]:
    """The split folders: those that hold folders; none where the folders of `root` hold the pictures themselves."""
    folders = folders_in(root)
    if not folders:
        raise UserError(f"folders:{root} has no folders: put the pictures into one folder a class")
    if any(map(holds_pictures, folders)):
        return []
    return [folder for folder in folders if folders_in(folder)]


def _annotation(image: Path, class_name: str, label: int) -> Annotation:
    name = shown(f"{class_name}/{image.name}")
    return Annotation(name, str(image), image, [], [label], [False], [])
