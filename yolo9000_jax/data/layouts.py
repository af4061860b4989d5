"""What a folder or file of data may be, for messages: which SOURCE the user would write for it."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from yolo9000_jax.data.splits import same_split
from yolo9000_jax.data.voc_files import PICTURES
from yolo9000_jax.data.walking import files_below
from yolo9000_jax.data.yolo import NO_LABELS, PICTURE_FOLDERS, find_labels
from yolo9000_jax.data.yolo_description import SPLITS
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import is_system_file, shown
from yolo9000_jax.images.reading import EXTENSIONS

LOOKED_AT = 5000  # files of a folder
DEPTH = 3  # folders below it
FOLDERS_ASKED = 100  # of pictures, for labels
ROW_BYTES = 1000
JSON_BYTES = 1 << 16
_ROW = re.compile(r"\s*\d+(\.0*)?([\s,;]+[-+.\deE]+){4}")
YOLO = (".yaml", ".yml", ".data")  # files that describe a set


def maybe(path: str, scheme: str = "") -> str:
    """ "; it looks like voc:DIR" of data that are there and go by another source than `scheme`:`path`; else "".

    Of data that are pictures without labels it says that.
    """
    place = Path(os.path.expanduser(path.partition(",")[0] or "."))
    try:
        if scheme == "yolo" and not place.exists():
            place = place.parent
        if not place.exists() or place.is_file() and "," in path:
            return ""
        found = layouts(place)
    except (OSError, ValueError, UserError):  # no name that a file can have, or a folder that cannot be looked into
        return ""
    if labelled := _yolo_labels(place) if not found or found == [f"folders:{place}"] else "":
        return labelled
    own = [spec for spec in found if spec.partition(":")[0] == scheme]
    if any(Path(spec.partition(":")[2]) == place for spec in own):
        return ""
    if not found:
        return f"; {shown(place)} holds pictures, and nothing that labels them" if _has_pictures(place) else ""
    return f"; it looks like {' or '.join(map(shown, own or found))}"


def _yolo_labels(place: Path) -> str:
    """What to write for a folder of YOLO's label files that has no data.yaml; "" where it holds none.

    The first pictures of some folders are asked.
    """
    files = list(_files(place)) if place.is_dir() else []
    firsts = {file.parent: file for file in reversed(files) if file.suffix.lower() in EXTENSIONS}
    labels = {folder: find_labels(file) for folder, file in sorted(firsts.items())[:FOLDERS_ASKED]}
    found = [folder.relative_to(place) for folder, file in labels.items() if file is not None and _is_labelling(file)]
    if not found:
        return ""
    splits: dict[str, str] = {}
    for folder in found:
        ends = [end for end, name in enumerate(folder.parts, 1) if _split_of(name) or name.lower() in PICTURE_FOLDERS]
        split = next(filter(None, map(_split_of, folder.parts)), "train")
        splits.setdefault(split, Path(*folder.parts[: max(ends, default=len(folder.parts))]).as_posix())
    listed = next((file.relative_to(place).as_posix() for file in files if file.name in NO_LABELS), "[NAME, NAME]")
    lines = [*(f"{split}: {shown(splits[split])}" for split in SPLITS if split in splits), f"names: {shown(listed)}"]
    file = shown(place / "data.yaml")
    return f"; it holds YOLO's label files: write {file} with the lines {' | '.join(lines)} and give yolo:{file}"


def _split_of(name: str) -> str | None:
    return next((split for split in SPLITS if same_split(split, [name])), None)


def _is_labelling(file: Path) -> bool:
    """Whether a text begins with a row of numbers."""
    with suppress(OSError), file.open("rb") as content:
        return _ROW.match(content.read(ROW_BYTES).decode("utf-8-sig", "replace")) is not None
    return False


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
    found += _coco([file for file in files if file.suffix.lower() == ".json" and _may_be_coco(file)])
    inner = {file.parent for file in files if file.suffix.lower() in EXTENSIONS and file.parent != place}
    if not found and not all(folder.name.lower() in PICTURES for folder in inner):
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


def _may_be_coco(file: Path) -> bool:
    """Whether a list of COCO's is named near the beginning of a JSON file, or near its end."""
    if not file.is_file():  # opening a pipe waits for ever
        return False
    with suppress(OSError), file.open("rb") as content:
        start = content.read(JSON_BYTES)
        content.seek(max(0, os.path.getsize(file) - JSON_BYTES))
        return any(f'"{name}"'.encode() in start + content.read() for name in ("images", "annotations"))
    return False


def _files(place: Path) -> Iterator[Path]:
    """The first files of a folder, hidden ones left out, those nearest to it first."""
    return islice((file for file in files_below(place, DEPTH) if not is_system_file(file.name)), LOOKED_AT)


def _has_pictures(place: Path) -> bool:
    return place.is_dir() and any(file.suffix.lower() in EXTENSIONS for file in _files(place))
