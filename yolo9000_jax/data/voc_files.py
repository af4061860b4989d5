"""The XML files of a data set of Pascal VOC's kind, and of its splits."""

import os
import re
from collections import Counter
from functools import cached_property
from pathlib import Path, PurePosixPath

from yolo9000_jax.data.annotations import Notes
from yolo9000_jax.data.messages import nearest, quote
from yolo9000_jax.data.pictures import SYSTEM_FILE, has_picture_ending
from yolo9000_jax.data.splits import CALLED, NO_SPLITS, NoSplitError, Split, joined_splits, same_split
from yolo9000_jax.data.walking import files_below, files_in, folders_in
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import MARKED, is_system_file, one_form, read_text, without_comment, without_flags
from yolo9000_jax.images.reading import EXTENSIONS

ANNOTATIONS = ("annotations", "annotation", "annots", "xml", "xmls", "labels")  # folders of XML files, in any case
PICTURES = ("jpegimages", "images", "data", "image", "img", "imgs", "pictures")  # and of the pictures beside them
TASKS = ("det", "cls-loc")  # ImageNet's, whose files are a level lower
IMAGENET_ANNOTATIONS = "annotations"  # the folder that holds its tasks
SYNSET_NAMES = ("devkit/data/map_det.txt", "map_det.txt", "LOC_synset_mapping.txt")  # ImageNet's
# What may stand in a list before the path below Annotations: CVAT's data/, the devkit's folders, Darknet's.
PREFIXES = (".", "..", "obj_train_data", *ANNOTATIONS, *PICTURES)
_SYNSET_NAME = re.compile(r"(n\d{8})\s+(?:\d+\s+)?(.+)")

UNLABELLED = ("picture without an XML file is not used", "pictures without an XML file are not used")
TWICE = ("picture listed twice is read once", "pictures listed twice are read once")
NOT_THERE = ("listed picture has no XML file and is left out", "listed pictures have no XML file and are left out")

Found = tuple[list[Path], list[str]]  # XML files, and lines for the user


class VocFiles:
    """The XML files of a data set, none of a system's or an editor's. Links are followed, each folder once.

    Whatever paths its lists state, only files below the folder are found: of these paths the ends count.

    Args:
        folder: the data set's.
    """

    def __init__(self, folder: Path):
        self._folder = folder

    @cached_property
    def _base(self) -> Path:
        """The folder of the XML files: Annotations, or that of ImageNet's task in it, else the data set's own."""
        annotations = _child(self._folder, ANNOTATIONS)
        if annotations is None or not any(map(_is_xml, files_below(annotations))):
            return self._folder
        return _child(annotations, TASKS) or annotations

    @cached_property
    def _lists(self) -> dict[str, Path]:
        """The devkit's lists by their names."""
        if (image_sets := _child(self._folder, ("imagesets",))) is None:
            return {}
        for place in (*(_child(image_sets, (name,)) for name in ("main", *TASKS)), image_sets):
            files = sorted(place.glob("*.txt")) if place is not None else []
            if found := {file.stem: file for file in files if not is_system_file(file.name)}:
                return found
        return {}

    @property
    def list_names(self) -> list[str]:
        """The names of the devkit's lists, those of one class each (dog_train) left out."""
        return sorted(name for name in self._lists if "_" not in name)

    @cached_property
    def _by_path(self) -> dict[str, Path]:
        return {one_form(file.relative_to(self._base).with_suffix("").as_posix()): file for file in self.all}

    @cached_property
    def all(self) -> list[Path]:
        """The XML files of all splits, sorted."""
        return _xml_files(self._base)

    @cached_property
    def naming(self) -> list[Path]:
        """The files that name the classes: all; of ImageNet's task those of val, few and of all classes."""
        val = self._base / "val"
        return _xml_files(val) if self._base.name.lower() in TASKS and val.is_dir() else self.all

    def short_name(self, file: Path) -> str:
        """What notes call an XML file: its path below the folder Annotations, its name where there is none."""
        return file.name if self._base == self._folder else file.relative_to(self._base).as_posix()

    def synset_names(self) -> dict[str, str]:
        """{synset: name} by ImageNet's own list of them, if it is there; names that two synsets share are left out."""
        for file in (self._folder / place for place in SYNSET_NAMES):
            if os.path.isfile(file):
                matches = (_SYNSET_NAME.fullmatch(line.strip()) for line in read_text(file).split("\n"))
                names = {match[1]: match[2].split(",")[0].replace("_", " ") for match in matches if match}
                uses = Counter(names.values())
                return {synset: name for synset, name in names.items() if uses[name] == 1}
        return {}

    def of_split(self, split: Split, notes: Notes) -> Found:
        """The XML files of a split, slices apart, and what to tell the user about the choice.

        A split is a list ImageSets/Main/NAME.txt, or a folder NAME of XML files, or several joined by "+".

        Raises:
            UserError: there is no such split, or a list names what is not there.
        """
        if split.name in self._lists:
            return self._listed(self._lists[split.name], notes)
        if split.is_all:
            if not self.all:
                raise self._no_files("so no pictures")
            _note_unlabelled(self.all, notes)
            return self.all, [said] if (said := self._said_of_devkits()) else []
        found: dict[Path, None] = {}
        lines: list[str] = []
        together = split.name in (place.name for place in folders_in(self._base))  # a folder with a "+" in its name
        for name in [split.name] if together else joined_splits(split.name):
            files, more = self._named(name, notes) or self._whole(name, notes)
            found |= dict.fromkeys(files)
            lines += more
        return list(found), lines

    def _named(self, name: str, notes: Notes) -> Found | None:
        """The files of the list or folder that is called `name`, or means it; None where there is neither."""
        folders = {place.name: place for place in folders_in(self._base)}
        for known in sorted((self._lists, folders), key=lambda known: name not in known):
            called = same_split(name, known)
            if called is None:
                continue
            lines = [] if called == name else [CALLED.format(quote(name), called)]
            if known is self._lists:
                files, more = self._listed(known[called], notes)
                return files, [*lines, *more]
            if files := _xml_files(known[called]):
                _note_unlabelled(files, notes)
                return files, lines
        return None

    def _whole(self, name: str, notes: Notes) -> Found:
        """All files, where there are no splits; where there are some, `name` is a mistake."""
        folder, known = self._folder, sorted(self._lists, key=lambda known: ("_" in known, known))
        if known:
            raise _unknown_split(f"{self._lists[known[0]].parent} has no {name}.txt", name, known)
        if said := self._said_of_devkits():
            raise NoSplitError(f"voc:{folder}: {said}")
        if not self.all:
            raise self._no_files("and no ImageSets/Main")
        inner = {file.relative_to(folder).parts[0] for file in self.all if file.parent != folder}
        if inner and self._base == folder:
            raise _unknown_split(f"{folder} has no folder {quote(name)}", name, sorted(inner))
        _note_unlabelled(self.all, notes)
        return self.all, [NO_SPLITS.format(quote(name))]

    def _said_of_devkits(self) -> str:
        """Which folders here, or one level lower, are data sets with lists of their own: VOCdevkit/VOC2007; or ""."""
        if self._lists or self._base != self._folder:
            return ""
        levels = [below := folders_in(self._folder), [sub for folder in below for sub in folders_in(folder)]]
        devkits = next(filter(None, ([sub for sub in level if VocFiles(sub)._lists] for level in levels)), [])
        names = ", ".join(sub.relative_to(self._folder).as_posix() for sub in devkits)
        say = "say which, or join them" if len(devkits) > 1 else "give that"
        return f"it holds {names}: for splits {say}: {'+'.join(f'voc:{sub}' for sub in devkits)}" if devkits else ""

    def _no_files(self, more: str) -> UserError:
        return UserError(
            f"voc:{self._folder}: no XML files in {self._folder}, {more}: give the folder that holds them; text files "
            "of boxes are read as yolo:data.yaml, one folder of pictures a class as folders:DIR"
        )

    def _listed(self, file: Path, notes: Notes) -> Found:
        """The XML files that a list names, and what to say of it.

        Of one with a flag on each line the pictures that it marks with 1 (`files.without_flags`).
        """
        part = re.split(r"[_.]", file.stem)[0]
        lines = [(number, line.strip()) for number, line in enumerate(read_text(file).split("\n"), 1)]
        rows = [(number, line if self._find(line, part) else without_comment(line)) for number, line in lines]
        rows = [(number, row) for number, row in rows if row]
        names = without_flags([row for _, row in rows], lambda row: self._find(row, part) is not None)
        files: dict[Path, None] = {}
        for (number, row), name in zip(rows, names, strict=True):
            if name is None:
                continue
            if is_system_file(PurePosixPath(name.replace("\\", "/")).name):
                notes.add(SYSTEM_FILE, quote(name))
                continue
            label = self._find(row, part) or self._find(name, part)
            if label is None and self._base.name.lower() not in TASKS:
                missing = f"{self._base.name}/{quote(name)[1:-1]}.xml"
                raise UserError(f"{file}:{number}: there is no {missing}: add it, or take the line out of the list")
            if label is None or label in files:
                notes.add(NOT_THERE if label is None else TWICE, name)
            else:
                files[label] = None
        left_out = names.count(None)
        return list(files), [MARKED.format(file.name, len(names) - left_out, len(names))] if left_out else []

    def _find(self, entry: str, part: str) -> Path | None:
        r"""The XML file of a picture in a list: `cam1/f0`, `data\cam1\f0.jpg`, `/home/me/VOC/JPEGImages/f0.jpg`.

        Args:
            entry: as the list has it.
            part: the first word of the list's name, as ImageNet calls the folder that its paths are in.
        """
        name = one_form(entry.replace("\\", "/"))
        stem, _, ending = name.rpartition(".")
        parts = (stem if f".{ending.lower()}" in (*EXTENSIONS, ".xml") else name).split("/")
        from_anywhere = parts[0] == "" or parts[0].endswith(":")
        for start in range(len(parts)):
            if start and not from_anywhere and parts[start - 1].lower() not in PREFIXES:
                break
            tail = "/".join(parts[start:])
            for path in (tail, f"{part}/{tail}"):
                if path in self._by_path:
                    return self._by_path[path]
        return None


def is_imagenet(file: Path) -> bool:
    """Whether an XML file is one of ImageNet's tasks: the last folder Annotations above it holds it in DET or CLS-LOC.

    Folders of these names further up, as where a data set of VOC's kind is kept among others, say nothing.
    """
    folders = [part.lower() for part in file.absolute().parts[:-1]]
    places = [place for place, name in enumerate(folders) if name == IMAGENET_ANNOTATIONS]
    return bool(places) and folders[places[-1] + 1 : places[-1] + 2] in ([task] for task in TASKS)


def _xml_files(folder: Path) -> list[Path]:
    return sorted(filter(_is_xml, files_below(folder)))


def _is_xml(file: Path) -> bool:
    return file.suffix.lower() == ".xml" and not is_system_file(file.name)


def _child(folder: Path, wanted: tuple[str, ...]) -> Path | None:
    """The first of these folders (lower case) that `folder` holds, whatever the case of its name."""
    there = {entry.name.lower(): entry for entry in folders_in(folder)}
    return next((there[name] for name in wanted if name in there), None)


def _note_unlabelled(files: list[Path], notes: Notes) -> None:
    """Counts the pictures beside the XML files that have none."""
    labelled = {file.with_suffix("") for file in files}
    for folder in sorted({file.parent for file in files}):
        for picture in files_in(folder):
            is_one = has_picture_ending(picture) and not is_system_file(picture.name)
            if is_one and picture.with_suffix("") not in labelled:
                notes.add(UNLABELLED, picture.name)


def _unknown_split(what: str, name: str, names: list[str]) -> NoSplitError:
    known = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return NoSplitError(f"{what}{nearest(name, names)}: the splits are {known}, or all")
