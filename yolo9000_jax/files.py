"""Files of users: writing those that others may be reading, and names and texts as other systems write them."""

import codecs
import errno
import json
import os
import re
import secrets
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any
from urllib.request import url2pathname

from yolo9000_jax.errors import UserError
from yolo9000_jax.text import shown

SYSTEM_NAMES = frozenset({"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "@eadir"})
START_BYTES = 64
FULL = (errno.ENOSPC, errno.EDQUOT)  # a disk, or a share of it
_PAGE = "a web page, perhaps one of an error, and not the file itself: check where it is from"
_STAND_INS = {  # what files in another's place begin with
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself: fetch that with `git lfs pull`",
    b"<!doctype html": _PAGE,
    b"<html": _PAGE,
}
MARKED = "{} marks {} of its {} pictures with 1: the others are left out"
MOST_FOLDERS = 40  # of a path or a pattern that is looked for
MOST_LOOKED_INTO = 100_000  # folders, for one pattern
_MAGIC = re.compile(r"[*?]")
_FLAGGED = re.compile(r"(\S.*?)\s+(-?\d{1,9})")


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file so that who reads it sees the old or the new one, never a part.

    Args:
        path: its folder is made if need be.
        content: text, written as UTF-8 (what is none, as `shown`), or bytes.

    Raises:
        UserError: it cannot be written.
    """
    whole = shown(content).encode() if isinstance(content, str) else content
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")  # processes of two machines may have one number
    try:
        if not isinstance(path, Path):  # in a bucket, where every write is whole
            path.write_bytes(whole)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(whole)
        part.replace(path)
    except OSError as error:
        if isinstance(path, Path):
            with suppress(OSError):
                part.unlink()
        space = "free some space, or " if error.errno in FULL else ""
        raise UserError(f"{path}: cannot be written ({error.strerror}); {space}choose another place") from error


def takes_files(folder: Path) -> bool:
    """Whether a file can be made in a folder: tried, as what rights say is not true of every one."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def check_earlier_result(path: Path, mark: str) -> None:
    """Refuses to write a result where a file is that is not an earlier one of the same kind: a user's own is kept.

    Args:
        path: where the result will be written.
        mark: a regular expression that is found in the first MiB of every such result. An empty file is one too.

    Raises:
        UserError: there is another file, or it cannot be read.
    """
    try:
        # Nothing, or what nothing can be lost from; of a place here os.path also knows where the name is none.
        if not (os.path.isfile(path) if isinstance(path, Path) else path.is_file()):
            return
        with path.open("rb") as file:
            start = file.read(1 << 20).decode("latin-1")
    except OSError as error:
        raise UserError(f"{shown(str(path))}: cannot be read ({error.strerror}); choose another place") from error
    if start and not re.search(mark, start):
        raise UserError(f"{shown(str(path))} is there, and no result of this command: choose another name")


def is_system_file(name: str | PurePath) -> bool:
    """Whether a file is hidden or an operating system's own, or in such a folder: `._a.jpg`, `.idea/x`, `Thumbs.db`.

    Args:
        name: a path within the folder that a user named; the folders above that are not asked.
    """
    parts = PurePath(name).parts
    return any((part.startswith(".") and part not in (".", "..")) or part.lower() in SYSTEM_NAMES for part in parts)


def to_json(value: Any) -> str:
    """A value as the text of a JSON file, the names in it as `shown`: other programs refuse what is no Unicode."""
    text = json.dumps(value, indent=2)
    return (json.dumps(_shown_within(value), indent=2) if "\\ud" in text else text) + "\n"


def _shown_within(value: Any) -> Any:
    if isinstance(value, dict):
        return {_shown_within(key): _shown_within(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shown_within(item) for item in value]
    return shown(value) if isinstance(value, str) else value


def stand_in(start: bytes) -> str | None:
    """What a file is that stands where another was to be, by its first START_BYTES: "a web page, …"; None: no such."""
    begins = start[:START_BYTES].lstrip().lower()
    return next((what for mark, what in _STAND_INS.items() if begins.startswith(mark)), None)


def read_text(path: Path) -> str:
    """The text of a file: UTF-8, with or without a byte order mark, or UTF-16 with one; every line ends in "\\n".

    Raises:
        UserError: it cannot be read, or is no such text.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{shown(path)}: cannot be read ({error.strerror}); check the path") from error
    if what := stand_in(content):
        raise UserError(f"{shown(path)} is {what}")
    try:
        return to_text(content)
    except UnicodeDecodeError:
        raise UserError(f"{shown(path)} is not UTF-8 text: save it as UTF-8, or fetch it again") from None


def to_text(content: bytes, errors: str = "strict") -> str:
    """What `read_text` makes of a file's content; `errors` as of `bytes.decode`."""
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    return content.decode(encoding, errors).replace("\r\n", "\n").replace("\r", "\n")


def without_comment(line: str) -> str:
    """A line of a list without what follows a # at its beginning or after a blank."""
    return re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()


def without_flags(lines: Sequence[str], is_there: Callable[[str], bool]) -> list[str | None]:
    """The names in the lines of a list, in order; None for those that their flags leave out.

    A list of VOC's devkit for one class has a flag on each line: 1 where the picture has the class, -1 where it has
    not, 0 where only difficult ones are in it. Then the pictures with 1 are meant. Other numbers, as in ImageNet's
    val.txt, count the lines.

    Args:
        lines: of the list, none empty.
        is_there: whether a whole line is the name of something.
    """
    each = dict.fromkeys(lines)
    flagged = {line: match for line in each if (match := _FLAGGED.fullmatch(line)) and not is_there(line)}
    are_flags = len(flagged) == len(each) and {int(match[2]) for match in flagged.values()} <= {-1, 0, 1}
    names = {line: match[1] if int(match[2]) == 1 or not are_flags else None for line, match in flagged.items()}
    return [names.get(line, line) for line in lines]


def without_scheme(path: str) -> str:
    """A path also where it is given as file managers do, `file:///home/me/a%20b.jpg`; all else as it is."""
    return url2pathname(path[len("file://") :]) if path.lower().startswith("file:///") else path


def find(folder: Path, name: str, test: Callable[[Path], bool] = Path.exists, *, any_case: bool = False) -> Path | None:
    """The file that another file calls `name`, or None.

    As it is written, else with Windows' backslashes as slashes, else composed or decomposed (a Mac writes "ä" as two
    characters, others as one).

    Args:
        folder: where a relative name begins.
        name: as the user's file has it.
        test: what the path must be, such as `Path.is_file`.
        any_case: whether capitals may differ, where only one name does, as systems have it that do not tell them apart.
    """
    for spelling in dict.fromkeys((name, name.replace("\\", "/"))):
        with suppress(OSError, ValueError):  # too long a name, or one with a zero byte, is that of no file
            if test(place := folder / spelling):
                return place
            differs = any_case or not spelling.isascii()
            if differs and (other := _in_other_form(folder, spelling, any_case)) and test(other):
                return other
    return None


def matching(folder: Path, pattern: str) -> list[Path]:
    """What a pattern with `*`, `?` or `**` names, sorted; nothing for what is no pattern.

    `[…]` counts only beside one of these, in the same name: files are called `a[1].jpg`. Files of systems, and hidden
    ones, are left out unless the pattern itself asks for such; `**` follows no links.

    Args:
        folder: where a relative pattern begins.
        pattern: with slashes, or Windows' backslashes.

    Raises:
        UserError: it would look through a whole disk or too much, or a folder cannot be read.
    """
    pure = PurePath(pattern.replace("\\", "/"))
    parts = pure.relative_to(pure.anchor).parts
    first = next((place for place, part in enumerate(parts) if _MAGIC.search(part)), None)
    if first is None:
        return []
    start, asked = Path(pure.anchor or folder, *parts[:first]), parts[first:]
    name = shown(pattern[:200])
    if len(asked) > MOST_FOLDERS:
        raise UserError(f"{name}: a pattern of {len(asked)} folders; {MOST_FOLDERS} at most")
    if ".." in asked:
        raise UserError(f"{name}: `..` may not stand behind a `*` or `?`; write where it leads")
    if asked[0] == "**" and start == Path(start.anchor):
        raise UserError(f"{name}: would look through the whole disk; write the first folders too")
    places, looked_into = [start] if _is_folder(start) else [], 0
    for part in asked:
        found: dict[Path, None] = {}
        for place in places:
            for match in _below(place) if part == "**" else _fitting(place, part):
                found[match] = None
                looked_into += part == "**"
                if looked_into > MOST_LOOKED_INTO:
                    break
            looked_into += 1
            if looked_into > MOST_LOOKED_INTO:
                raise UserError(f"{name}: leads through more than {MOST_LOOKED_INTO} folders; write more of them")
        places = list(found)
    return sorted(places)


def _fitting(folder: Path, part: str) -> Iterator[Path]:
    """What in a folder fits one part of a pattern."""
    if not _MAGIC.search(part):
        if os.path.lexists(folder / part):
            yield folder / part
        return
    for name in _names(folder):
        if fnmatch(name, part) and (is_system_file(part) or not is_system_file(name)):
            yield folder / name


def _below(folder: Path) -> Iterator[Path]:
    """A folder and all those below it, hidden ones, those of systems and links left out."""
    waiting = [folder] if _is_folder(folder) else []
    while waiting:
        yield (here := waiting.pop())
        inner = (here / name for name in _names(here) if not is_system_file(name))
        waiting += [place for place in inner if _is_folder(place) and not place.is_symlink()]


def _names(folder: Path) -> list[str]:
    if not _is_folder(folder):
        return []
    try:
        return os.listdir(folder)
    except OSError as error:
        raise UserError(f"{shown(folder)}: this folder cannot be read ({error.strerror})") from None


def _is_folder(place: Path) -> bool:
    return os.path.isdir(place)  # False too where a name is too long, has a zero byte, or is a link to itself


def one_form(name: str) -> str:
    """A name in which letters with accents are one character, as most systems write them; a Mac writes two."""
    return unicodedata.normalize("NFC", name)


def _in_other_form(folder: Path, name: str, any_case: bool) -> Path | None:
    place = folder
    for part in PurePath(name).parts:
        exact = place / part
        if not exact.exists():
            known = _names_by_form(place, place.stat().st_mtime_ns)
            found = known.get(one_form(part)) or (known.get(_SMALL + one_form(part).casefold()) if any_case else None)
            if found is None or len(found) > 1:
                return None
            exact = place / found[0]
        place = exact
    return place


_SMALL = "/"  # no name holds one


@lru_cache(maxsize=64)
def _names_by_form(folder: Path, modified_ns: int) -> dict[str, list[str]]:
    """The names in a folder by their composed form, and by _SMALL and that in small letters, which may be several's."""
    names = sorted(os.listdir(folder))
    found = {one_form(name): [name] for name in names}
    small: dict[str, list[str]] = {}
    for name in names:
        small.setdefault(_SMALL + one_form(name).casefold(), []).append(name)
    return small | found
