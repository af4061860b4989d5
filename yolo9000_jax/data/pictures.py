"""The picture files in a folder, not those of an operating system."""

from collections.abc import Iterable
from pathlib import Path, PurePath

from yolo9000_jax.data.annotations import Notes
from yolo9000_jax.data.walking import files_below, files_in
from yolo9000_jax.files import is_system_file, shown
from yolo9000_jax.images.reading import EXTENSIONS, RAW

UNREAD = frozenset(".heic .heif .avif .jp2 .jxl .psd .svg .eps .pcx .exr .hdr .dcm".split() + list(RAW)) - {*EXTENSIONS}
UNREAD_PICTURE = (
    "picture is of a kind that is not read, and not used: save it as JPEG or PNG",
    "pictures are of kinds that are not read, and not used: save them as JPEG or PNG",
)
SYSTEM_FILE = ("hidden or system file is not used", "hidden or system files are not used")


def has_picture_ending(file: PurePath) -> bool:
    """Whether a file's ending is that of a picture."""
    return file.suffix.lower() in EXTENSIONS


def pictures_in(folder: Path, notes: Notes) -> list[Path]:
    """The pictures in a folder and the folders below it, sorted; hidden and system files are left out and counted.

    Raises:
        UserError: a folder cannot be read.
    """
    return pictures_of(files_below(folder), notes)


def pictures_of(files: Iterable[Path], notes: Notes) -> list[Path]:
    """The pictures among files, sorted; hidden and system files are left out and counted."""
    found: list[Path] = []
    for place in files:
        if has_picture_ending(place):
            if is_system_file(place.name):
                notes.add(SYSTEM_FILE, shown(place.name), key=place)
            else:
                found.append(place)
        elif place.suffix.lower() in UNREAD and not is_system_file(place.name):
            notes.add(UNREAD_PICTURE, shown(place.name), key=place)
    return sorted(found)


def holds_pictures(folder: Path) -> bool:
    """Whether there are pictures in a folder itself."""
    return any(has_picture_ending(place) and not is_system_file(place.name) for place in files_in(folder))
