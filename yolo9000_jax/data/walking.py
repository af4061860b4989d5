"""The folders and files below a folder: each folder once, none that is hidden or a system's, none above it."""

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from yolo9000_jax.errors import UserError
from yolo9000_jax.files import is_system_file, shown


class Folder(NamedTuple):
    """A folder as it was found."""

    path: Path
    modified_ns: int  # when something in it came, went or got another name, before it was looked into
    files: list[Path]  # what is in it and is no folder, hidden files among it


def walk(folder: Path, deepest: int | None = None) -> Iterator[Folder]:
    """A folder and those below it, those nearest to it first.

    Links to folders are followed, but each folder is entered once, and none that holds `folder` itself: a circle of
    links ends, and what lies beside the folder stays out.

    Args:
        folder: where to begin.
        deepest: levels of folders below it that are entered; None: all.

    Raises:
        UserError: a folder cannot be read.
    """
    entered, waiting = _with_those_above(folder), deque([(folder, 0)])
    while waiting:
        here, level = waiting.popleft()
        modified_ns, entries = _modified_ns(here), _entries(here)
        yield Folder(here, modified_ns, [place for place, is_folder in entries if not is_folder])
        for place, is_folder in entries:
            if is_folder and level != deepest and not is_system_file(place.name):
                real = os.path.realpath(place)
                if real not in entered:
                    entered.add(real)
                    waiting.append((place, level + 1))


def files_below(folder: Path, deepest: int | None = None) -> Iterator[Path]:
    """The files in a folder and the folders below it, as `walk` finds them; hidden files are among them."""
    for found in walk(folder, deepest):
        yield from found.files


def check_folder(folder: Path, name: str) -> None:
    """Raises `UserError` where there is no folder; `name` is what the message calls it."""
    if os.path.isfile(folder):
        raise UserError(f"{name} is a file: give a folder; an archive is to be unpacked first")
    if not os.path.isdir(folder):
        raise UserError(f"{name}: there is no such folder")


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder, sorted: neither hidden nor a system's, nor links to one that holds `folder`.

    Raises:
        UserError: the folder cannot be read.
    """
    above = _with_those_above(folder)
    return sorted(
        place
        for place, is_folder in _entries(folder)
        if is_folder and not is_system_file(place.name) and os.path.realpath(place) not in above
    )


def files_in(folder: Path) -> list[Path]:
    """What is in a folder and is no folder, sorted, hidden files among it.

    Raises:
        UserError: the folder cannot be read.
    """
    return sorted(place for place, is_folder in _entries(folder) if not is_folder)


def _entries(folder: Path) -> list[tuple[Path, bool]]:
    """What is in a folder, and whether it is a folder; links last: a folder is found under its own name first."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: (entry.is_symlink(), entry.name))
            return [(folder / entry.name, _is_folder(entry)) for entry in entries]
    except OSError as error:
        raise UserError(f"{shown(folder)}: this folder cannot be read ({error.strerror}); check the path") from None


def _modified_ns(folder: Path) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0  # it cannot be read, which is said when that is tried


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()  # a link to itself is none


def _with_those_above(folder: Path) -> set[str]:
    """The real paths of a folder and of those that hold it, as it is written and as it is."""
    real = os.path.realpath(folder)
    return {real, *map(str, Path(real).parents), *map(os.path.realpath, folder.absolute().parents)}
