"""COCO instances: `coco:ANNOTATIONS.json,IMAGES_DIR`.

One JSON file is one split, so write `{split}` where the names differ:
`coco:annotations/instances_{split}2017.json,{split}2017`, or of an export with a folder a split
`coco:{split}/_annotations.coco.json,{split}`. Without it any split name means the whole file, which a note says.
Category ids may have gaps: class ids are their order. A crowd (iscrowd 1) is kept, as difficult. Pictures without
annotations are kept.
"""

import json
import os
import sys
from pathlib import Path, PurePosixPath
from typing import TypeVar

from yolo9000_jax.data.annotations import Annotation, Notes, class_id, make_records
from yolo9000_jax.data.messages import nearest, quote
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.splits import CALLED, WHOLE_FILE, Split, fill_split, splits_in
from yolo9000_jax.errors import UserError

Kind = TypeVar("Kind", int, str, list)


def open_coco(location: str, split: Split, classes: tuple[str, ...] | None) -> Dataset:
    """Reads COCO instance annotations (see the module).

    Args:
        location: `ANNOTATIONS.json,IMAGES_DIR`, perhaps with `{split}` in it.
        split: which part of it.
        classes: class names in the order wanted; None: the categories by id.

    Raises:
        UserError: names the file and the image or annotation id that is wrong.
    """
    per_split = "{split}" in location
    if per_split and split.is_all:
        raise UserError(f"coco:{location}: name a split for {{split}}, such as train")
    path, comma, pictures = location.rpartition(",")
    if not comma:
        raise UserError(f"coco:{location}: write coco:ANNOTATIONS.json,IMAGES_DIR")
    (file, called), (folder, _) = (fill_split(os.path.expanduser(part), split.name) for part in (path, pictures))
    if per_split and not file.exists() and (present := splits_in(os.path.expanduser(path))):
        known = f"{nearest(split.name, present)}: the splits are {', '.join(present)}"
        raise UserError(f"coco:{location} has no split {quote(split.name)}{known}")
    if not folder.is_dir():
        raise UserError(f"coco:{location}: there is no folder {folder}: give the folder of the pictures")
    content = _read_json(file)
    names = _categories(file, content["categories"])
    wanted = tuple(names.values()) if classes is None else classes
    ids = {name: index for index, name in enumerate(wanted)}
    annotations = _images(file, folder, content["images"])
    seen: set[int] = set()
    for position, item in enumerate(content["annotations"]):
        place = _place(file, "annotation", position, item)
        if _value(place, item, "id", int) in seen:
            raise UserError(f"{place} stands there twice: give each annotation its own id")
        seen.add(item["id"])
        _add_object(place, item, annotations, names, ids)
    picked = split.pick(list(annotations.values()), key=lambda annotation: annotation.image.stem)
    notes = Notes()
    records = make_records(picked, notes)
    lines = [CALLED.format(quote(split.name), called)] if per_split and called != split.name else []
    lines += [] if per_split or split.is_all else [WHOLE_FILE.format(quote(split.name))]
    return Dataset(f"coco:{location}", split.text, wanted, records, notes=(*lines, *notes.lines()))


def _read_json(file: Path) -> dict:
    if not os.path.isfile(file):
        raise UserError(f"coco:{file}: there is no such file")
    try:
        content = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        reason = (
            f"line {error.lineno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else type(error).__name__
        )
        raise UserError(f"{file} is not readable as JSON ({reason}): fetch it again") from None
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise UserError(f"{file}: the list {quote(key)} is missing: give a COCO instances file")
    return content


def _value(place: str, item: object, key: str, kind: type[Kind]) -> Kind:
    value = item.get(key) if isinstance(item, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        stated = "missing" if value is None else f"{quote(value)}, not {kind.__name__}"
        raise UserError(f"{place}: {quote(key)} is {stated}: correct it")
    return value


def _place(file: Path, what: str, position: int, item: object) -> str:
    """Names an entry by its id, or by its position in the list where it has none."""
    identity = item.get("id") if isinstance(item, dict) else None
    return f"{file}, {what} {quote(identity)}" if identity is not None else f"{file}, {what} number {position + 1}"


def _categories(file: Path, items: list) -> dict[int, str]:
    """Category id -> name, by ascending id."""
    names: dict[int, str] = {}
    for position, item in enumerate(items):
        place = _place(file, "category", position, item)
        identity, name = _value(place, item, "id", int), _value(place, item, "name", str)
        if identity in names or name in names.values():
            raise UserError(f"{place} ({quote(name)}) stands there twice: give each id and each name once")
        names[identity] = name
    return dict(sorted(names.items()))


def _images(file: Path, folder: Path, items: list) -> dict[int, Annotation]:
    """Image id -> annotation without objects yet."""
    images: dict[int, Annotation] = {}
    for position, item in enumerate(items):
        place = _place(file, "image", position, item)
        identity, name = _value(place, item, "id", int), _value(place, item, "file_name", str)
        if identity in images:
            raise UserError(f"{place} ({quote(name)}) stands there twice: give each image its own id")
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise UserError(f"{place}: 'file_name' {quote(name)} leaves the picture folder: give a name inside it")
        width, height = (_value(place, item, key, int) if key in item else 0 for key in ("width", "height"))
        images[identity] = Annotation(
            f"{file.name}, image {identity}", place, folder / name, [], [], [], [], (width, height)
        )
    return images


def _add_object(
    place: str, item: dict, images: dict[int, Annotation], names: dict[int, str], ids: dict[str, int]
) -> None:
    image_id, category_id = _value(place, item, "image_id", int), _value(place, item, "category_id", int)
    if image_id not in images:
        raise UserError(f"{place}: there is no image {quote(image_id)} in the list of images: correct 'image_id'")
    if category_id not in names:
        raise UserError(
            f"{place}: there is no category {quote(category_id)} in the list of categories: correct 'category_id'"
        )
    crowd = item.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise UserError(f"{place}: 'iscrowd' is {quote(crowd)}: write 0 or 1")
    image = images[image_id]
    image.boxes_xyxy.append(_box(place, _value(place, item, "bbox", list)))
    image.labels.append(class_id(names[category_id], ids, place))
    image.difficult.append(crowd == 1)
    image.places.append(f"annotation {item['id']}")


def _box(place: str, bbox: list) -> tuple[float, float, float, float]:
    """Corners of a stated (x, y, width, height), pixels."""
    if len(bbox) != 4 or any(isinstance(value, bool) or not isinstance(value, int | float) for value in bbox):
        raise UserError(f"{place}: 'bbox' is not four numbers: write [x, y, width, height] in pixels")
    if not all(abs(value) <= sys.float_info.max for value in bbox):
        raise UserError(f"{place}: 'bbox' is not made of finite numbers: correct it")
    x, y, width, height = map(float, bbox)
    if width < 0 or height < 0:
        raise UserError(f"{place}: 'bbox' has a negative width or height ({width:g}, {height:g}): correct it")
    return x, y, x + width, y + height
