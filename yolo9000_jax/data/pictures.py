"""The picture files in a folder: not those of an operating system, and each folder once."""

import os
from pathlib import Path

from yolo9000_jax.data.annotations import Notes
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import is_system_file, shown
from yolo9000_jax.images.reading import EXTENSIONS, RAW

UNREAD = frozenset(".heic .heif .avif .jp2 .jxl .psd .svg .eps .pcx .exr .hdr .dcm".split() + list(RAW)) - {*EXTENSIONS}
UNREAD_PICTURE = (
    "picture is of a kind that is not read, and not used: save it as JPEG or PNG",
    "pictures are of kinds that are not read, and not used: save them as JPEG or PNG",
)
SYSTEM_FILE = ("hidden or system file is not used", "hidden or system files are not used")


def has_picture_ending(file: Path) -> bool:
    """Whether a file's ending is that of a picture."""
    return file.suffix.lower() in EXTENSIONS


def pictures_in(folder: Path, notes: Notes) -> list[Path]:
    """The pictures in a folder and the folders below it, sorted; hidden and system files are left out and counted.

    Links to folders are followed, but each folder is entered once, and none that holds `folder` itself: a circle of
    links ends, and what lies beside the folder stays out.

    Raises:
        UserError: a folder cannot be read.
    """
    found: list[Path] = []
    entered, waiting = _with_those_above(folder), [folder]
    while waiting:
        for place in _entries(waiting.pop()):
            if os.path.isdir(place):
                if not is_system_file(place.name) and (real := os.path.realpath(place)) not in entered:
                    entered.add(real)
                    waiting.append(place)
            elif has_picture_ending(place):
                if is_system_file(place.name):
                    notes.add(SYSTEM_FILE, shown(place.name))
                else:
                    found.append(place)
            elif place.suffix.lower() in UNREAD and not is_system_file(place.name):
                notes.add(UNREAD_PICTURE, shown(place.name))
    return sorted(found)


def holds_pictures(folder: Path) -> bool:
    """Whether there are pictures in a folder itself."""
    return any(has_picture_ending(place) and not is_system_file(place.name) for place in _entries(folder))


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder, sorted: neither hidden nor a system's, nor links to one that holds `folder`.

    Raises:
        UserError: the folder cannot be read.
    """
    above = _with_those_above(folder)
    return sorted(
        place
        for place in _entries(folder)
        if os.path.isdir(place) and not is_system_file(place.name) and os.path.realpath(place) not in above
    )


def _entries(folder: Path) -> list[Path]:
    """What is in a folder, links last, so that a folder is found under its own name first."""
    try:
        return sorted(folder.iterdir(), key=lambda place: (os.path.islink(place), place))
    except OSError as error:
        raise UserError(f"{shown(folder)}: this folder cannot be read ({error.strerror}); check the path") from None


def _with_those_above(folder: Path) -> set[str]:
    """The real paths of a folder and of those that hold it, as it is written and as it is."""
    real = os.path.realpath(folder)
    return {real, *map(str, Path(real).parents), *map(os.path.realpath, folder.absolute().parents)}
