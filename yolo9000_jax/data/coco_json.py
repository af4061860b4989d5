"""What a COCO instances file says, without a look at its pictures.

Tools write the format in many ways. Where it is clear what is meant it is read: ids that are 1, 1.0, "1" or other text;
sizes and flags as fractions, text or nothing; polygons, or a mask's run lengths, instead of a box; boxes in fractions
of the picture. Ids of annotations mean nothing. What is left out or put right is counted.
"""

import json
import math
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from yolo9000_jax.data.annotations import FRACTIONS, Annotation, Notes, are_fractions
from yolo9000_jax.data.coco_values import Box, flag, identity, is_missing, number, outline
from yolo9000_jax.data.messages import quote
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import stand_in
from yolo9000_jax.labels import SYNSET
from yolo9000_jax.text import is_printable

LISTS = ("images", "annotations", "categories")
COMPRESSED = (b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd")  # gzip, zip, bzip2, xz, zstd
NAME_KEYS = ("file_name", "coco_url", "flickr_url")  # where the name of a picture is; LVIS has addresses only
SURROGATES = re.compile(r"[\ud800-\udfff]")
REASONS = {
    UnicodeDecodeError: "not UTF-8 or UTF-16",
    RecursionError: "nested too deeply",
    MemoryError: "too large",
    ValueError: "a number with too many digits",
}
LARGEST_SIDE = 10**7  # pixels; more is no picture's

NO_BOX = ("annotation without a box or polygon is left out", "annotations without a box or polygon are left out")
OUTLINED = ("annotation has no box: that round its polygon", "annotations have no box: those round their polygons")
SAME_ID = ("annotation's id is another's too, which is no harm", "annotations' ids are others' too, which is no harm")
SAME_IMAGE = ("picture is listed again; its boxes are joined", "pictures are listed again; their boxes are joined")
GROUP = (
    "category without boxes is left out: it only groups others, or is called like one of them",
    "categories without boxes are left out: they only group others, or are called like some of them",
)
UNUSED = ("category has no box in this file", "categories have no box in this file")


class Category(NamedTuple):
    """An entry of the list of categories."""

    name: str
    group: str  # the supercategory, "" where it has none
    synset: str | None
    place: str


@dataclass(frozen=True)
class Instances:
    """The content of a file: its classes by id, their synsets and ids, and an annotation a picture.

    The annotations go by the names that the file has for their pictures; their own `image` is not known yet.
    """

    classes: tuple[str, ...]
    synsets: tuple[str | None, ...]
    category_ids: tuple[int | str, ...]
    annotations: dict[str, Annotation]


class NoCocoError(UserError):
    """A JSON file is of another kind."""


class _TwiceError(ValueError):
    """A key stands twice in one object, with two values."""


def load(file: Path) -> dict[str, Any]:
    """The three lists of a COCO file: UTF-8, or UTF-16 or UTF-32, with or without a byte order mark.

    Raises:
        UserError: there is no such file, it is no JSON, or a list is missing.
    """
    if not os.path.isfile(file):
        raise UserError(f"coco:{file}: there is no such file")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); check the file") from None
    return decode(content, file)


def decode(data: bytes, file: Path) -> dict[str, Any]:
    """As `load`, of the bytes of a file."""
    if data.startswith(COMPRESSED):
        raise UserError(f"{file} is compressed: unpack it, and give the JSON file")
    if what := stand_in(data):
        raise UserError(f"{file} is {what}")
    try:
        content = json.loads(data, object_pairs_hook=_object)
    except (ValueError, RecursionError, MemoryError) as error:
        reason = str(error) if isinstance(error, _TwiceError) else REASONS.get(type(error), type(error).__name__)
        if isinstance(error, json.JSONDecodeError):
            reason = f"line {error.lineno}: {error.msg}"
        raise UserError(f"{file} is not readable as JSON ({reason}): correct it, or fetch it again") from None
    if isinstance(content, list) and all(isinstance(item, dict) and "score" in item for item in content[:1]):
        raise NoCocoError(f"{file} is a list, as of a network's results: give the file of the annotations")
    if not isinstance(content, dict) or content.keys().isdisjoint(LISTS):
        raise NoCocoError(f"{file} has none of the lists {', '.join(LISTS)}, so it is no COCO file")
    for key in LISTS:
        if not isinstance(content.get(key), list):
            raise UserError(f"{file}: the list {quote(key)} is missing: give a COCO instances file")
    return content


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        for key, value in pairs:
            if found[key] != value:
                raise _TwiceError(f"the key {quote(key)} stands twice in one object")
    return found


def parse(content: dict[str, Any], file: Path, notes: Notes) -> Instances:
    """Reads the lists of a file.

    Args:
        content: as `load` gives it.
        file: what messages call it.
        notes: counts what was left out or put right.

    Raises:
        UserError: names the file and the entry that is wrong.
    """
    categories = _categories(file, content["categories"])
    by_id, by_name = _images(file, content["images"], notes)
    used = _add_objects(file, content["annotations"], by_id, categories, notes)
    own = _classes(categories, used, notes)
    _number_labels(by_name.values(), categories, own)
    _find_fractions(file, by_name.values(), notes)
    synsets = tuple(categories[key].synset for key in own.values())
    return Instances(tuple(own), synsets, tuple(own.values()), by_name)


def _place(file: Path, what: str, position: int, item: object) -> str:
    """Names an entry by its id, or by its position in the list where it has none."""
    stated = item.get("id") if isinstance(item, dict) else None
    return f"{file}, {what} {f'number {position + 1}' if identity(stated) is None else quote(stated)}"


def _identity(place: str, item: object, key: str) -> int | str:
    stated = item.get(key) if isinstance(item, dict) else None
    found = identity(stated)
    if found is None:
        wrong = "missing" if is_missing(stated) else f"{quote(stated)}, neither a whole number nor text"
        raise UserError(f"{place}: {quote(key)} is {wrong}: correct it")
    return found


def _text(place: str, item: dict, *keys: str) -> str:
    """The text of the first of `keys` that has any."""
    key = next((key for key in keys if not is_missing(item.get(key))), keys[0])
    text = item.get(key)
    if not isinstance(text, str) or not text.strip():
        wrong = "missing" if is_missing(text) else f"{quote(text)}, not a text"
        raise UserError(f"{place}: {quote(key)} is {wrong}: correct it")
    if not is_printable(text):
        raise UserError(f"{place}: {quote(key)} {quote(text)} is not printable: correct it")
    return text


def _categories(file: Path, items: list) -> dict[int | str, Category]:
    """Category id -> category, by ascending id, numbers before texts."""
    found: dict[int | str, Category] = {}
    for position, item in enumerate(items):
        place = _place(file, "category", position, item)
        own, name = _identity(place, item, "id"), _text(place, item, "name")
        if own in found:
            raise UserError(f"{place} ({quote(name)}) stands there twice: give each id and each name once")
        if SURROGATES.search(name):
            raise UserError(f"{place}: 'name' {quote(name)} is not printable: correct it")
        group, synset = item.get("supercategory"), item.get("synset")
        synset = next((text for text in (synset, name) if isinstance(text, str) and SYNSET.fullmatch(text)), None)
        group = group if isinstance(group, str) and group.lower() != "none" else ""
        found[own] = Category(name, group, synset, place)
    return dict(sorted(found.items(), key=lambda pair: (isinstance(pair[0], str), pair[0])))


def _images(file: Path, items: list, notes: Notes) -> tuple[dict[int | str, Annotation], dict[str, Annotation]]:
    """The annotations, without objects yet, by image id and by the picture's name; one that is listed twice is one."""
    by_id: dict[int | str, Annotation] = {}
    by_name: dict[str, Annotation] = {}
    for position, item in enumerate(items):
        place = _place(file, "image", position, item)
        own, name = _identity(place, item, "id"), _text(place, item, *NAME_KEYS)
        size = _side(place, item, "width"), _side(place, item, "height")
        first = by_name.get(name)
        if own in by_id and by_id[own] is not first:
            raise UserError(f"{place} ({quote(name)}) stands there twice: give each image its own id")
        if first is None:
            short = f"{file.name}, image {quote(item['id'])}"
            by_name[name] = Annotation(short, place, Path(), [], [], [], [], size, image_id=own)
        elif first.size == size:
            notes.add(SAME_IMAGE, quote(name))
        else:
            raise UserError(f"{place}: {quote(name)} is listed before, of another size: correct 'width' and 'height'")
        by_id[own] = by_name[name]
    return by_id, by_name


def _side(place: str, item: dict, key: str) -> int:
    """Pixels; 0 where nothing is stated."""
    stated = item.get(key)
    side = 0 if is_missing(stated) else number(stated)
    if side is None or not 0 <= side <= LARGEST_SIDE or side != int(side):
        raise UserError(f"{place}: {quote(key)} is {quote(stated)}: give a whole number of pixels")
    return int(side)


def _add_objects(
    file: Path,
    items: list,
    images: dict[int | str, Annotation],
    categories: dict[int | str, Category],
    notes: Notes,
) -> set[int | str]:
    """Adds the boxes to their pictures, each labelled by the position of its category; returns the categories used."""
    times = Counter(identity(item.get("id")) for item in items if isinstance(item, dict))
    numbers = {key: position for position, key in enumerate(categories)}
    used: set[int | str] = set()
    for position, item in enumerate(items):
        if not isinstance(item, dict):
            raise UserError(f"{file}, annotation number {position + 1} is {quote(item)}, not an object: correct it")
        own = identity(item.get("id"))
        unique = own is not None and times[own] == 1
        short = f"annotation {quote(item['id'])}" if unique else f"annotation number {position + 1}"
        place = f"{file}, {short}"
        if own is not None and not unique:
            notes.add(SAME_ID, f"{file.name}, {short}")
        box, round_polygon = _box(place, item)
        if box is None:
            notes.add(NO_BOX, f"{file.name}, {short}")
            continue
        if round_polygon:
            notes.add(OUTLINED, f"{file.name}, {short}")
        image = _referred(place, item, "image", images)
        category = _referred(place, item, "category", categories)
        used.add(category)
        annotation = images[image]
        annotation.boxes_xyxy.append(box)
        annotation.labels.append(numbers[category])
        annotation.crowd.append(_crowd(place, item))
        annotation.difficult.append(annotation.crowd[-1])
        annotation.areas.append(_area(item))
        annotation.places.append(short)
    if items and not used:
        raise UserError(f"{file}: none of its {len(items)} annotations has a box: give a COCO instances file")
    return used


def _referred(place: str, item: dict, what: str, known: dict[int | str, Any]) -> int | str:
    found = _identity(place, item, f"{what}_id")
    if found not in known:
        stated = quote(item[f"{what}_id"])
        many = "images" if what == "image" else "categories"
        raise UserError(f"{place}: there is no {what} {stated} in the list of {many}: correct '{what}_id'")
    return found


def _crowd(place: str, item: dict) -> bool:
    stated = item.get("iscrowd")
    crowd = False if is_missing(stated) else flag(stated)
    if crowd is None:
        raise UserError(f"{place}: 'iscrowd' is {quote(stated)}: write 0 or 1")
    return crowd


def _area(item: dict) -> float:
    """The area that is stated, square pixels; NaN for none. The official evaluation knows small from large by it."""
    area = number(item.get("area"))
    return math.nan if area is None or area < 0 else area


def _box(place: str, item: dict) -> tuple[Box | None, bool]:
    """Corners of the stated (x, y, width, height), or round the polygon where there is none; and whether the latter."""
    bbox = item.get("bbox")
    if is_missing(bbox) or isinstance(bbox, list) and all(map(is_missing, bbox)) and len(bbox) in (0, 4):
        found = outline(item.get("segmentation"))
        return found, found is not None
    if not isinstance(bbox, list) or len(bbox) != 4:
        raise UserError(f"{place}: 'bbox' is not four numbers: write [x, y, width, height] in pixels")
    x, y, width, height = values = [number(value) for value in bbox]
    if x is None or y is None or width is None or height is None:
        wrong = quote(bbox[values.index(None)])
        raise UserError(f"{place}: 'bbox' holds {wrong}, not a finite number: write [x, y, width, height] in pixels")
    if width < 0 or height < 0:
        raise UserError(f"{place}: 'bbox' has a negative width or height ({width:g}, {height:g}): correct it")
    return (x, y, x + width, y + height), False


def _classes(categories: dict[int | str, Category], used: set[int | str], notes: Notes) -> dict[str, int | str]:
    """Class name -> category id, of the categories that are classes.

    Roboflow's exports have one more that only groups the others, and may share its name with one of these.
    """
    groups = {category.group for category in categories.values()}
    called = Counter(category.name for category in categories.values())
    with_boxes = {categories[key].name for key in used}
    found: dict[str, int | str] = {}
    for key, category in categories.items():
        name = category.name
        shadowed = called[name] > 1 and (name in with_boxes or name in found)
        if key not in used and (shadowed or (not category.group and name in groups)):
            notes.add(GROUP, quote(name))
        elif name in found:
            raise UserError(f"{category.place} ({quote(name)}) stands there twice: give each id and each name once")
        else:
            found[name] = key
            if key not in used:
                notes.add(UNUSED, quote(name))
    return found


def _number_labels(
    annotations: Iterable[Annotation], categories: dict[int | str, Category], classes: Iterable[str]
) -> None:
    """Replaces the positions of categories by class ids."""
    ids = {name: index for index, name in enumerate(classes)}
    names = [category.name for category in categories.values()]
    for annotation in annotations:
        annotation.labels = [ids[names[label]] for label in annotation.labels]


def _find_fractions(file: Path, annotations: Collection[Annotation], notes: Notes) -> None:
    """Marks all annotations where no box of the file can be in pixels."""
    boxes = [box for annotation in annotations for box in annotation.boxes_xyxy]
    if not are_fractions(boxes, f"{file}: every 'bbox'", "write [x, y, width, height] of the near corner in pixels"):
        return
    for annotation in annotations:
        annotation.fractions = True
        for place in annotation.places:
            notes.add(FRACTIONS, f"{annotation.name}, {place}")
