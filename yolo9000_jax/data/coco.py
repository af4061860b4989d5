"""COCO instances: `coco:ANNOTATIONS.json,IMAGES_DIR`.

One JSON file is one split, so write `{split}` where the names differ:
`coco:annotations/instances_{split}2017.json,{split}2017`, or of an export with a folder a split
`coco:{split}/_annotations.coco.json,{split}`. Without it any split name means the whole file, which a note says.
Category ids may have gaps: class ids are their order. A crowd (iscrowd 1) is kept, as difficult and as a crowd.
Pictures without annotations are kept. What the file may look like is in coco_json.py.

A picture is looked for in IMAGES_DIR by its `file_name`, which may repeat the last folders of IMAGES_DIR, differ in
capitals, lack the ending or have %20 for a blank, where only one picture can be meant. Of an absolute path, an address
(`coco_url`, as LVIS has) or a path that leads out of IMAGES_DIR (`../images/a.jpg`) the longest end that lies in it is
taken. No name leads out of it, but for links that lie in it. Several names of one picture are joined; where they may be
those of two, with other boxes each, they are refused.
"""

import os
import posixpath
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from yolo9000_jax.data import coco_json
from yolo9000_jax.data.annotations import THREADS, Annotation, Notes, make_records
from yolo9000_jax.data.messages import nearest, quote
from yolo9000_jax.data.pictures import SYSTEM_FILE, has_picture_ending
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.splits import CALLED, WHOLE_FILE, NoSplitError, Split, fill_split, splits_in
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import find, is_system_file, one_form, shown
from yolo9000_jax.images.reading import EXTENSIONS

ELSEWHERE = (
    "picture is named with an absolute path, an address or a path out of the folder; that of this name in it is used",
    "pictures are named with absolute paths, addresses or paths out of the folder; those of these names in it are used",
)
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
ABSOLUTE = re.compile(r"[A-Za-z]:/|/")
SPLIT = "{split}"
FOLDERS_KEPT = 8  # of an absolute path or an address


def open_coco(location: str, split: Split) -> Dataset:
    """Reads COCO instance annotations (see the module).

    Args:
        location: `ANNOTATIONS.json,IMAGES_DIR`, perhaps with `{split}` in it.
        split: which part of it.

    Raises:
        UserError: names the file and the image or annotation id that is wrong.
    """
    per_split = SPLIT in location
    if per_split and split.is_all:
        known = ", ".join(coco_splits(location)) or "none"
        raise UserError(f"coco:{location}: name a split for {{split}}: the splits are {known}")
    places = file_and_folder(location, split.name)
    if places is None:
        raise UserError(f"coco:{location}: write coco:ANNOTATIONS.json,IMAGES_DIR")
    file, folder, called = places
    if per_split and not file.exists() and (present := coco_splits(location)):
        known = f"{nearest(split.name, present)}: the splits are {', '.join(present)}"
        raise NoSplitError(f"coco:{location} has no split {quote(split.name)}{known}")
    if not folder.is_dir():
        raise UserError(f"coco:{location}: there is no folder {folder}: give the folder of the pictures")
    notes = Notes()
    instances = coco_json.parse(coco_json.load(file), file, notes)
    annotations = _located(folder, instances.annotations, notes)
    picked = split.pick(annotations, key=lambda annotation: annotation.image.stem)
    records = make_records(picked, notes)
    lines = [CALLED.format(quote(split.name), called)] if per_split and called != split.name else []
    lines += [] if per_split or split.is_all else [WHOLE_FILE.format(quote(split.name))]
    lines += notes.lines()
    return Dataset(
        f"coco:{location}",
        split.text,
        instances.classes,
        records,
        instances.synsets,
        lines,
        category_ids=instances.category_ids,
    )


def coco_splits(location: str) -> list[str]:
    """The names that there are for `{split}` in a location; none where it has no such place."""
    file, _, folder = (os.path.expanduser(part) for part in location.rpartition(","))
    names = splits_in(file)
    return [name for name in names if SPLIT not in folder or fill_split(folder, name)[0].is_dir()] or names


def file_and_folder(location: str, split: str = SPLIT) -> tuple[Path, Path, str] | None:
    """The two places in `FILE,FOLDER` and what the split is called in the file's name; None without a comma.

    They are parted at the comma that makes both exist, or one of them; where none does, at the last one.
    """
    found = []
    for comma in reversed(list(re.finditer(",", location))):
        parts = location[: comma.start()], location[comma.end() :]
        (file, called), (folder, _) = (fill_split(os.path.expanduser(part), split) for part in parts)
        found.append((file, folder, called))
    return max(found, key=lambda places: places[0].is_file() + places[1].is_dir(), default=None)


def _located(folder: Path, annotations: dict[str, Annotation], notes: Notes) -> list[Annotation]:
    """The annotations of the pictures, by their names, with the paths of these; a system's own files are left out."""
    ends = _ends(folder.resolve())
    for name in [name for name in annotations if _is_hidden(name)]:
        notes.add(SYSTEM_FILE, quote(name))
        annotations.pop(name)
    for name, annotation in annotations.items():
        if _is_elsewhere(name):
            notes.add(ELSEWHERE, annotation.name)
    with ThreadPoolExecutor(THREADS) as pool:  # they wait for the disk
        images = list(pool.map(lambda pair: _locate(folder, ends, *pair), annotations.items()))
    by_image: dict[Path, dict[str, Annotation]] = {}
    for (name, annotation), image in zip(annotations.items(), images, strict=True):
        by_image.setdefault(image, {})[name] = replace(annotation, image=image)
    return [_one_of(folder, ends, image, named, notes) for image, named in by_image.items()]


def _one_of(folder: Path, ends: set[str], image: Path, named: dict[str, Annotation], notes: Notes) -> Annotation:
    """The annotation of a picture, of those of all names by which it is there.

    Raises:
        UserError: names that may be those of two pictures lead to it, with other boxes each.
    """
    (name, first), *others = named.items()
    path = one_form(image.relative_to(folder).as_posix())
    for other_name, other in others:
        if (other.size, other.boxes_xyxy, other.labels) != (first.size, first.boxes_xyxy, first.labels):
            are_plain = all(
                not _is_elsewhere(each) and path in map(_plain, _names(each, ends)) for each in (name, other_name)
            )
            if not are_plain or other.size != first.size:
                raise UserError(
                    f"{other.source}: {quote(other_name)} leads to {shown(image)}, as {quote(name)} does, but states "
                    "other boxes or another size: correct one of the names, or remove an entry"
                )
            for key in ("boxes_xyxy", "labels", "difficult", "crowd", "areas", "places"):
                getattr(first, key).extend(getattr(other, key))
        notes.add(coco_json.SAME_IMAGE, quote(other_name))
    return first


def _plain(name: str) -> str:
    return one_form(PurePosixPath(name.replace("\\", "/")).as_posix())


def _is_hidden(name: str) -> bool:
    """Whether a picture is a system's own file; of one that is named from elsewhere its own name tells."""
    parts = _folders(name)
    return is_system_file("/".join(parts[-1:] if _is_elsewhere(name) else parts))


def _locate(folder: Path, ends: set[str], name: str, annotation: Annotation) -> Path:
    """The path of a picture; where it is not there, the likeliest."""
    names = _names(name, ends)
    if found := next((place for each in names if (place := find(folder, each, Path.is_file, any_case=True))), None):
        return found
    if not has_picture_ending(PurePosixPath(names[0])):
        endings = [f"{each}{ending}" for each in names if each for ending in EXTENSIONS]
        with_ending = (find(folder, each, Path.is_file, any_case=True) for each in endings)
        several = list(dict.fromkeys(place for place in with_ending if place))
        if len(several) > 1:
            there = " and ".join(shown(place.name) for place in several)
            raise UserError(f"{annotation.source}: 'file_name' {quote(name)} may be {there}: write its ending")
        if several:
            return several[0]
    if _leads_out(name):
        why = f"leads out of {shown(folder)}, and no picture in it is called so: give a name inside it"
        raise UserError(f"{annotation.source}: 'file_name' {quote(name)} {why}")
    return folder / names[0]


def _names(name: str, ends: set[str]) -> list[str]:
    """Where in the folder the picture of this name may lie, the likeliest first."""
    if not _is_elsewhere(name):
        found = []
        for spelling in dict.fromkeys((name, unquote(name))):
            path = spelling if ".." not in spelling else posixpath.normpath(spelling.replace("\\", "/"))
            if _is_elsewhere(path):
                continue  # what %2e%2e or %2F hides
            parts = _folders(path)
            repeated = [count for count in range(1, len(parts)) if "/".join(parts[:count]) in ends]
            found += [path, *("/".join(parts[count:]) for count in repeated)]
        return found
    spellings = list(dict.fromkeys((name, unquote(name))))
    if ADDRESS.match(name):
        path = name.partition("://")[2].partition("/")[2].partition("?")[0]
        spellings = [path, unquote(path)]
    found = []
    for parts in map(_folders, spellings):
        found += ["/".join(parts[start:]) for start in range(max(0, len(parts) - FOLDERS_KEPT), len(parts))]
    return found or [""]


def _folders(name: str) -> list[str]:
    return [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]


def _is_elsewhere(name: str) -> bool:
    return bool(ADDRESS.match(name) or ABSOLUTE.match(name.replace("\\", "/"))) or _leads_out(name)


def _leads_out(name: str) -> bool:
    """Whether a relative path begins above the folder, be it after some turns."""
    return posixpath.normpath(name.replace("\\", "/")).split("/")[0] == ".."


def _ends(folder: Path) -> set[str]:
    """The last folder of a path, the last two, and so on: {"train", "images/train", …}."""
    return {"/".join(folder.parts[-count:]) for count in range(1, len(folder.parts))}
