"""What a folder or file of data may be, for messages: which SOURCE the user would write for it."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from yolo9000_jax.data.walking import files_below
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import is_system_file, shown
from yolo9000_jax.images.reading import EXTENSIONS

LOOKED_AT = 5000  # files of a folder
DEPTH = 3  # folders below it
YOLO = (".yaml", ".yml", ".data")  # files that describe a set


def maybe(path: str, scheme: str = "") -> str:
    """ "; it looks like voc:DIR" of data that are there and go by another source than `scheme`:`path`; else "".

    Of data that are pictures without labels it says that.
    """
    place = Path(os.path.expanduser(path.partition(",")[0] or "."))
    try:
        if not place.exists() or place.is_file() and "," in path:
            return ""
        found = layouts(place)
    except (OSError, ValueError, UserError):  # no name that a file can have, or a folder that cannot be looked into
        return ""
    own = [spec for spec in found if spec.partition(":")[0] == scheme]
    if any(Path(spec.partition(":")[2]) == place for spec in own):
        return ""
    if not found:
        return f"; {shown(place)} holds pictures, and nothing that labels them" if _has_pictures(place) else ""
    return f"; it looks like {' or '.join(map(shown, own or found))}"


def layouts(place: Path) -> list[str]:
    """The sources that a file, or the files of a folder, may be; empty where nothing is recognised."""
    if place.is_file():
        yolo = f"yolo:{place}"
        kinds = {".json": f"coco:{place},IMAGES_DIR", ".xml": f"voc:{place.parent}", **dict.fromkeys(YOLO, yolo)}
        return [kinds[suffix]] if (suffix := place.suffix.lower()) in kinds else []
    files = list(_files(place))
    found = [f"yolo:{file}" for file in files if file.suffix.lower() in YOLO][:1]
    if any(file.suffix.lower() == ".xml" for file in files):
        found.append(f"voc:{place}")
    found += _coco([file for file in files if file.suffix.lower() == ".json"])
    if not found and any(file.suffix.lower() in EXTENSIONS and file.parent != place for file in files):
        found.append(f"folders:{place}")
    return found


def _coco(files: list[Path]) -> list[str]:
    """Of annotation files the first one, or with {split} those that lie in a folder each or have one of their name."""
    if not files:
        return []
    first, folder = files[0], files[0].parent.parent
    if len(files) > 1 and {(file.parent.parent, file.name) for file in files} == {(folder, first.name)}:
        return [f"coco:{folder}/{{split}}/{first.name},{folder}/{{split}}"]
    if all((file.parent / file.stem).is_dir() and file.parent == first.parent for file in files):
        return [f"coco:{first.parent}/{{split}}.json,{first.parent}/{{split}}"]
    pictures = first.parent / "images"
    return [f"coco:{first},{pictures if pictures.is_dir() else first.parent}"]


def _files(place: Path) -> Iterator[Path]:
    """The first files of a folder, hidden ones left out, those nearest to it first."""
    return islice((file for file in files_below(place, DEPTH) if not is_system_file(file.name)), LOOKED_AT)


def _has_pictures(place: Path) -> bool:
    return place.is_dir() and any(file.suffix.lower() in EXTENSIONS for file in _files(place))
