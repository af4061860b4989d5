"""Pascal VOC: one XML file a picture.

Two layouts are read:

    DIR/ImageSets/Main/SPLIT.txt, DIR/Annotations/*.xml, DIR/JPEGImages/    the devkit's
    DIR/SPLIT/*.xml, or DIR/*.xml                                          XML files beside their pictures

In the second the pictures may also be in a folder `images` or `JPEGImages` next to the one of the XML files.
Split "" or "all" is every XML file. A folder that has no splits at all (`DIR/*.xml`) is taken whole under any name,
which a note says; where splits exist, an unknown name is an error.

Boxes: VOC's pixels count from 1 and the far one belongs to the box, so (xmin, ymin, xmax, ymax) is boxes_xyxy =
(xmin - 1, ymin - 1, xmax, ymax). A box stated with xmin == xmax or ymin == ymax is one without area, and is dropped.
"""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from yolo9000_jax.data.annotations import Annotation, Notes, class_id, make_records
from yolo9000_jax.data.messages import nearest, quote
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.splits import NO_SPLITS, Split
from yolo9000_jax.errors import UserError
from yolo9000_jax.images.reading import EXTENSIONS

CORNERS = ("xmin", "ymin", "xmax", "ymax")
UNLABELLED = ("picture without an XML file is not used", "pictures without an XML file are not used")


def open_voc(location: str, split: Split, classes: tuple[str, ...] | None) -> Dataset:
    """Reads a folder in a VOC layout (see the module).

    Args:
        location: the folder.
        split: which part of it.
        classes: class names in the order wanted; None: the sorted set of the names in all XML files of the folder.

    Raises:
        UserError: names the XML file and the object that is wrong.
    """
    folder = Path(location).expanduser()
    if not folder.is_dir():
        raise UserError(f"voc:{location}: there is no such folder")
    notes = Notes()
    files, lines = _split_files(folder, split, notes)
    files = split.pick(files, key=lambda file: file.stem)
    parsed = _parse_all(files if classes is not None else {*files, *_all_files(folder)})
    if classes is None:
        classes = tuple(sorted({name for one in parsed.values() for name in one.names}))
    ids = {name: index for index, name in enumerate(classes)}
    pictures = _Pictures()
    annotations = [_annotation(file, parsed[file], ids, pictures) for file in files]
    records = make_records(annotations, notes)
    return Dataset(f"voc:{location}", split.text, classes, records, notes=(*lines, *notes.lines()))


def _all_files(folder: Path) -> list[Path]:
    if (folder / "Annotations").is_dir():
        return sorted((folder / "Annotations").glob("*.xml"))
    return sorted(folder.rglob("*.xml"))


def _split_files(folder: Path, split: Split, notes: Notes) -> tuple[list[Path], list[str]]:
    """The XML files of the split, and what to tell the user about the choice."""
    lists = folder / "ImageSets" / "Main"
    if (listed := lists / f"{split.name}.txt").is_file():
        return _listed_files(folder, listed), []
    if split.is_all:
        files = _all_files(folder)
        _note_unlabelled(files, notes)
        return files, []
    if lists.is_dir():
        names = sorted((file.stem for file in lists.glob("*.txt")), key=lambda name: ("_" in name, name))
        raise _unknown_split(f"{lists} has no {split.name}.txt", split.name, names)
    if (folder / "Annotations").is_dir():
        return _all_files(folder), [NO_SPLITS.format(quote(split.name))]
    here = folder / split.name
    if not here.is_dir():
        names = sorted({file.parent.name for file in _all_files(folder)} - {folder.name})
        if names:
            raise _unknown_split(f"{folder} has no folder {quote(split.name)}", split.name, names)
        here = folder
    files = sorted(here.glob("*.xml"))
    if not files:
        raise UserError(f"voc:{folder}: no XML files in {here}, and no ImageSets/Main: give the folder that holds them")
    _note_unlabelled(files, notes)
    return files, [NO_SPLITS.format(quote(split.name))] if here == folder else []


def _note_unlabelled(files: list[Path], notes: Notes) -> None:
    """Counts the pictures beside the XML files that have none."""
    labelled = {file.with_suffix("") for file in files}
    for folder in sorted({file.parent for file in files}):
        for picture in sorted(folder.iterdir()):
            if picture.suffix.lower() in EXTENSIONS and picture.with_suffix("") not in labelled:
                notes.add(UNLABELLED, picture.name)


def _unknown_split(what: str, name: str, names: list[str]) -> UserError:
    known = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return UserError(f"{what}{nearest(name, names)}: the splits are {known}, or all")


def _listed_files(folder: Path, listed: Path) -> list[Path]:
    try:
        lines = listed.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{listed} is not UTF-8 text: write one picture name a line") from None
    files = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            file = folder / "Annotations" / f"{line.strip()}.xml"
            if not os.path.isfile(file):
                raise UserError(f"{listed}:{number}: there is no Annotations/{quote(line.strip())[1:-1]}.xml")
            files.append(file)
    return files


@dataclass(frozen=True)
class _Parsed:
    """An XML file as stated; `objects` holds (place, class name, corners in pixels, difficult)."""

    filename: str
    size: tuple[int, int]
    objects: tuple[tuple[str, str, tuple[float, float, float, float], bool], ...]

    @property
    def names(self) -> Iterable[str]:
        return (name for _, name, _, _ in self.objects)


def _parse_all(files: Iterable[Path]) -> dict[Path, _Parsed]:
    files = sorted(files)
    with ThreadPoolExecutor() as pool:
        return dict(zip(files, pool.map(parse_xml, files), strict=True))


def parse_xml(file: Path) -> _Parsed:
    """Reads one XML file; raises `UserError` for malformed XML, missing or malformed values, and any declaration."""
    try:
        root = fromstring(file.read_bytes(), forbid_dtd=True)
    except DefusedXmlException:
        raise UserError(f"{file}: document type and entity declarations are refused: remove them") from None
    except (ParseError, ValueError, LookupError) as error:
        raise UserError(f"{file} is not well-formed XML ({error}): correct or remove it") from None
    if root.tag != "annotation":
        raise UserError(f"{file}: the outermost element is <{quote(root.tag)[1:-1]}>, not <annotation>: not a VOC file")
    size = root.find("size")
    stated = (0, 0) if size is None else (_whole(file, size, "width"), _whole(file, size, "height"))
    objects = tuple(_object(file, f"object {i}", element) for i, element in enumerate(root.findall("object"), 1))
    return _Parsed((root.findtext("filename") or "").strip(), stated, objects)


def _object(file: Path, place: str, element: Element) -> tuple[str, str, tuple[float, float, float, float], bool]:
    name = (element.findtext("name") or "").strip()
    if not name:
        raise UserError(f"{file}, {place}: <name> is missing or empty: name its class")
    box = element.find("bndbox")
    if box is None:
        raise UserError(f"{file}, {place}: <bndbox> is missing: give its xmin, ymin, xmax, ymax")
    x0, y0, x1, y1 = (_number(file, place, box, corner) for corner in CORNERS)
    first = 1 if x1 > x0 and y1 > y0 else 0  # leave a box without area, or inverted, as it is stated
    difficult = (element.findtext("difficult") or "0").strip()
    if difficult not in ("0", "1"):
        raise UserError(f"{file}, {place}: <difficult> is {quote(difficult)}: write 0 or 1")
    return place, name, (x0 - first, y0 - first, x1, y1), difficult == "1"


def _number(file: Path, place: str, box: Element, corner: str) -> float:
    text = box.findtext(corner)
    try:
        return float(text or "")
    except ValueError:
        stated = "missing" if text is None else quote(text)
        raise UserError(f"{file}, {place}: <{corner}> is {stated}: give a number of pixels") from None


def _whole(file: Path, size: Element, key: str) -> int:
    text = (size.findtext(key) or "0").strip() or "0"
    try:
        return int(text)
    except ValueError:
        raise UserError(f"{file}: <size> states {key} {quote(text)}: give a whole number of pixels") from None


def _annotation(file: Path, parsed: _Parsed, ids: dict[str, int], pictures: "_Pictures") -> Annotation:
    return Annotation(
        name=file.name,
        source=str(file),
        image=_picture_of(file, parsed.filename, pictures),
        boxes_xyxy=[box for _, _, box, _ in parsed.objects],
        labels=[class_id(name, ids, f"{file}, {place}") for place, name, _, _ in parsed.objects],
        difficult=[difficult for *_, difficult in parsed.objects],
        places=[place for place, *_ in parsed.objects],
        size=parsed.size,
    )


class _Pictures:
    """Finds pictures by name or stem, in any case; lists each folder once."""

    def __init__(self) -> None:
        self._folders: dict[Path, tuple[dict[str, Path], dict[str, Path]]] = {}

    def find(self, folder: Path, name: str, stem: str) -> tuple[Path | None, Path | None]:
        """The picture called `name`, and the one whose stem is `stem`."""
        if folder not in self._folders:
            files = sorted(folder.iterdir(), reverse=True) if folder.is_dir() else []
            files = [file for file in files if file.suffix.lower() in EXTENSIONS]
            lower = {file.name.lower(): file for file in files}
            names = lower | {file.name: file for file in files}
            stems = {file.stem.lower(): file for file in files} | {file.stem: file for file in files}
            self._folders[folder] = names, stems
        names, stems = self._folders[folder]
        return names.get(name) or names.get(name.lower()), stems.get(stem) or stems.get(stem.lower())


def _picture_of(file: Path, filename: str, pictures: _Pictures) -> Path:
    """The picture that <filename> names, or the one with the XML file's own stem where that is missing."""
    stated = filename.replace("\\", "/").rpartition("/")[2]
    for folder in (file.parent, file.parent.parent / "JPEGImages", file.parent.parent / "images"):
        named, own = pictures.find(folder, stated, file.stem)
        if named and own and named.stem != own.stem:
            raise UserError(f"{file}: <filename> is {named.name}, but {own.name} is there too: correct <filename>")
        if found := named or own:
            return found
    names = f"{file.stem}.jpg" if Path(stated).stem in ("", file.stem) else f"{quote(stated)[1:-1]} or {file.stem}.jpg"
    raise UserError(f"{file}: there is no picture {names}, here or in ../JPEGImages: fetch it, or remove the XML file")
