"""Classification: one folder a class, `DIR/CLASS/*.jpg`, or `DIR/SPLIT/CLASS/*.jpg` where there are splits.

A record has no boxes and one label, that of the whole picture. A class folder named like n01443537 is a WordNet synset.
A folder without splits is taken whole under any split name, which a note says.
"""

from pathlib import Path

from yolo9000_jax.data.annotations import Annotation, Notes, class_id, make_records
from yolo9000_jax.data.messages import nearest, quote
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.splits import NO_SPLITS, Split
from yolo9000_jax.errors import UserError
from yolo9000_jax.images.reading import EXTENSIONS
from yolo9000_jax.labels import synsets_of


def open_folders(location: str, split: Split, classes: tuple[str, ...] | None) -> Dataset:
    """Reads a folder of class folders (see the module).

    Args:
        location: the folder.
        split: which part of it; "" or "all" joins all splits there are.
        classes: class names in the order wanted; None: the sorted folder names of all splits.

    Raises:
        UserError: names the folder or picture that is wrong.
    """
    root = Path(location).expanduser()
    if not root.is_dir():
        raise UserError(f"folders:{location}: there is no such folder")
    splits, notes = _splits(root), Notes()
    lines = []
    if not splits:
        chosen = [root]
        lines = [] if split.is_all else [NO_SPLITS.format(quote(split.name))]
    elif split.is_all:
        chosen = splits
    else:
        chosen = [folder for folder in splits if folder.name == split.name]
        if not chosen:
            names = [folder.name for folder in splits]
            known = ", ".join(names)
            raise UserError(
                f"{root} has no folder {quote(split.name)}{nearest(split.name, names)}: the splits are {known}"
            )
    if classes is None:
        classes = class_names(location)
    ids = {name: index for index, name in enumerate(classes)}
    images = [image for part in chosen for folder in _subfolders(part) for image in _images(folder)]
    picked = split.pick(images, key=lambda image: f"{image.stem}/{image.parent.name}")
    records = make_records([_annotation(image, ids) for image in picked], notes)
    return Dataset(f"folders:{location}", split.text, classes, records, synsets_of(classes), (*lines, *notes.lines()))


def class_names(location: str) -> tuple[str, ...]:
    """The sorted names of the class folders, those of all splits; no picture is looked at.

    Raises:
        UserError: there is no such folder, or it holds no folders.
    """
    root = Path(location).expanduser()
    if not root.is_dir():
        raise UserError(f"folders:{location}: there is no such folder")
    return tuple(sorted({folder.name for part in _splits(root) or [root] for folder in _subfolders(part)}))


def _subfolders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    return sorted(image for image in folder.iterdir() if image.suffix.lower() in EXTENSIONS)


def _splits(root: Path) -> list[Path]:
    """The split folders: those that hold folders; none where the folders of `root` hold the pictures themselves."""
    folders = _subfolders(root)
    if not folders:
        raise UserError(f"folders:{root} has no folders: put the pictures into one folder a class")
    if any(_images(folder) for folder in folders):
        return []
    return [folder for folder in folders if _subfolders(folder)]


def _annotation(image: Path, ids: dict[str, int]) -> Annotation:
    label = class_id(image.parent.name, ids, str(image))
    return Annotation(f"{image.parent.name}/{image.name}", str(image), image, [], [label], [False], [])
