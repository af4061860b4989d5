"""What a user names to be looked at: files, folders, lists of files, addresses, cameras; and what of it is there."""

import errno
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from yolo9000_jax import files
from yolo9000_jax.data.annotations import Notes
from yolo9000_jax.data.yolo_places import QUOTES, Places
from yolo9000_jax.errors import UserError
from yolo9000_jax.images.reading import EXTENSIONS, HEIC, is_picture
from yolo9000_jax.images.video import MOTION_JPEG, VIDEO_EXTENSIONS, is_address, is_camera, is_video
from yolo9000_jax.logs import logger
from yolo9000_jax.text import printable, shown

LISTS = (".txt", ".list", ".lst")
NO_LIST = "a list in a list is not read; give it itself"
STANDARD_INPUT = "-"
NO_PIPE = ": save what comes from it, a picture or a list of paths, to a file and give that"
STEM_BYTES = 200  # of the name of a drawing: file systems take 255, the ending and a number among them
ENDINGS_SHOWN = 8

_SURROGATES = re.compile(r"[\udc80-\udcff]")

Input = str | PathLike[str]


class Source(NamedTuple):
    """One thing to look at: a path, an address or a camera's number, as text; whether it is a video.

    Where nothing can be looked at, `error` is one line that says so.
    """

    name: str
    is_video: bool = False
    error: str | None = None

    @property
    def shown(self) -> str:
        """The name as text that JSON takes."""
        return shown(self.name)

    @property
    def told(self) -> str:
        """The name in a message: on one line, and nothing that a console would obey."""
        return printable(self.name)

    @property
    def is_remote(self) -> bool:
        """Whether the name is an address or a camera, and no path."""
        return is_address(self.name) or is_camera(self.name)


def find_sources(inputs: Iterable[Input], *, videos: bool) -> list[Source]:
    """The pictures, and videos where these are wanted, that the inputs stand for, each once.

    A folder stands for the files in it, without hidden and system files, a list (`.txt`) for those that it names, one a
    line, as Darknet's lists do.

    Args:
        inputs: paths, addresses, or numbers of cameras.
        videos: whether videos are looked at.
    """
    found: dict[str, Source] = {}
    again = 0
    for given in inputs:
        for source in _given(os.fspath(given), videos):
            key = source.name if source.is_remote or source.error else os.path.realpath(source.name)
            again += key in found
            found.setdefault(key, source)
    if again:
        logger.info(f"{again} input{'s' * (again > 1)} named more than once: looked at once")
    return list(found.values())


def targets(sources: Sequence[Source], folder: Path) -> list[Path]:
    """A file in the folder for the drawing of each source, named after it.

    None is named twice, on systems that do not tell capitals apart either, and none is itself a source.
    """

    def plain(name: str) -> str:
        return unicodedata.normalize("NFC", name).casefold()

    paths = [Path(source.name) for source in sources if not source.is_remote and source.error is None]
    taken = {plain(path.name) for path in paths if path.parent.resolve() == folder.resolve()}
    found = []
    for source in sources:
        stem, suffix = _stem(source), ".mp4" if source.is_video else ".jpg"
        name, count = stem + suffix, 1
        while plain(name) in taken:
            count += 1
            name = f"{stem}-{count}{suffix}"
        taken.add(plain(name))
        found.append(folder / name)
    return found


def _stem(source: Source) -> str:
    if not source.is_remote:
        stem = Path(source.name).stem
    elif is_camera(source.name):
        stem = f"camera{Path(source.name).name.removeprefix('video')}"
    else:
        try:
            address = urlsplit(source.name)
            stem = PurePosixPath(unquote(address.path)).stem or address.netloc
        except ValueError:
            stem = "picture"
        stem = re.sub(r'[\x00-\x1f/\\:*?"<>|]', "_", stem)
    while len(stem.encode(errors="replace")) > STEM_BYTES:
        stem = stem[:-1]
    return stem


def _given(given: str, videos: bool) -> Iterator[Source]:
    """The sources of one input: of a pattern, what it matches, for a shell that has not done it, as Windows'."""
    given = files.without_scheme(given)
    try:
        found = [] if is_address(given) or os.path.lexists(given) else files.matching(Path(), given)
    except UserError as error:
        yield Source(given, error=str(error))
        return
    for place in map(str, found) if found else [given]:
        yield from _expand(place, videos)


def _expand(given: str, videos: bool, listed_in: Path | None = None) -> Iterator[Source]:
    """The sources of one path, address or camera, which a list may name."""
    path, name = Path(given), printable(given)
    where = f"; {printable(str(listed_in))} names it" if listed_in else ""
    if is_address(given) or is_camera(given):
        yield _source(given, _is_remote_video(given), videos)
    elif not given.strip():
        yield Source(given, error=f"an empty input{where}: name a file, a folder or an address")
    elif _is(Path.is_dir, path):
        yield from _in_folder(path, videos)
    elif _is(Path.is_file, path) and path.suffix.lower() in LISTS and not is_picture(path):
        yield from _in_list(path, videos) if listed_in is None else [Source(given, error=f"{name}: {NO_LIST}{where}")]
    elif _is(Path.exists, path) and not _is(Path.is_file, path):  # a pipe, or a device: reading it may never end
        yield Source(given, error=f"{name}: neither a file nor a folder{NO_PIPE if _is(Path.is_fifo, path) else ''}")
    elif _is(Path.exists, path):
        yield _source(given, _is_video_file(path), videos)
    elif given == STANDARD_INPUT:
        yield Source(given, error=f"{name}: standard input is not read{NO_PIPE}")
    else:
        yield Source(given, error=f"{name}: {_what_is_missing(path)}{where}")


def _is_video_file(path: Path) -> bool:
    """By its content; of pictures one behind the other, which begin as one does, by its ending."""
    return path.suffix.lower() in MOTION_JPEG or (not is_picture(path) and is_video(path))


def _what_is_missing(path: Path) -> str:
    try:
        os.stat(path)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "is a link that leads to itself"
    except ValueError:  # a name with a zero byte
        pass
    return "is a link to a file that is not there" if _is(Path.is_symlink, path) else "no such file or folder"


def _is_remote_video(given: str) -> bool:
    try:
        return is_video(given)
    except ValueError:  # no address that can be taken apart; fetching it will say so
        return False


def _is(test: Callable[[Path], bool], path: Path) -> bool:
    try:
        return test(path)
    except (OSError, ValueError):  # too long a name, or one with a zero byte, is that of no file
        return False


def _source(given: str, is_video: bool, videos: bool) -> Source:
    wrong = is_video and not videos
    return Source(given, is_video, f"{printable(given)} is a video: give pictures, or use predict" if wrong else None)


def _in_folder(folder: Path, videos: bool) -> Iterator[Source]:
    name = printable(str(folder))
    try:
        entries = sorted(entry for entry in folder.iterdir() if not files.is_system_file(entry.name))
    except OSError as error:
        yield Source(str(folder), error=f"{name}: this folder cannot be read ({error.strerror})")
        return
    wanted = (*EXTENSIONS, *VIDEO_EXTENSIONS) if videos else EXTENSIONS
    is_folder = {entry: _is(Path.is_dir, entry) for entry in entries}
    chosen = [entry for entry in entries if not is_folder[entry] and entry.suffix.lower() in wanted]
    others = Counter(entry.suffix.lower() or entry.name for entry in entries if not is_folder[entry])
    others = Counter({ending: count for ending, count in others.items() if ending not in wanted})
    deeper = [entry.name for entry in entries if is_folder[entry] and _has_some(entry, wanted)]
    remarks = []
    if others:
        some = ", ".join(f"{count} {printable(ending)}" for ending, count in others.most_common(ENDINGS_SHOWN))
        more = ", …" if len(others) > ENDINGS_SHOWN else ""
        count, are = others.total(), "is" if others.total() == 1 else "are"
        heic = f"; {HEIC}" if {".heic", ".heif"} & others.keys() else ""
        remarks.append(f"{count} of its files {are} of a kind that is not read ({some}{more}){heic}")
    if deeper:
        some = ", ".join(printable(entry) for entry in deeper[:ENDINGS_SHOWN])
        remarks.append(f"the folders in it are not looked into; give them too ({some})")
    if not chosen:
        what = "pictures or videos" if videos else "pictures"
        why = "; ".join(remarks) or f"what is read: {' '.join(wanted)}"
        yield Source(str(folder), error=f"{name}: no {what} in this folder; {why}")
        return
    for remark in remarks:
        logger.info(f"{name}: {remark}")
    yield from (source for entry in chosen for source in _expand(str(entry), videos))


def _has_some(folder: Path, wanted: Collection[str]) -> bool:
    try:
        return any(
            entry.suffix.lower() in wanted and not files.is_system_file(entry.name) for entry in folder.iterdir()
        )
    except OSError:
        return False


def _in_list(path: Path, videos: bool) -> Iterator[Source]:
    """The sources that a list names, beside the list or from the working directory.

    Lines may have quotes, comments and flags, as those of the lists of data sets (`Places`, `without_flags`); a pattern
    (`photos/*.jpg`) is what it matches, an address (http, rtsp, file) what it leads to, and a name in VOC's devkit,
    without folder and ending, the picture in JPEGImages.
    """
    name = printable(str(path))
    try:
        content = path.read_bytes()
        text = files.to_text(content, "surrogateescape")
    except OSError as error:
        yield Source(str(path), error=f"{name}: this list cannot be read ({error.strerror})")
        return
    except UnicodeError:  # it is no UTF-16, as which it begins
        text = "\0"
    if what := files.stand_in(content):
        yield Source(str(path), error=f"{name} is {what}")
        return
    if "\0" in text:
        yield Source(str(path), error=f"{name}: this list is no text; write one path a line, as UTF-8")
        return
    notes = Notes()
    listed = _Listed(path, notes)
    rows = [_without_scheme(line) for raw in text.split("\n") if (line := raw.strip())]
    rows = [row for row in rows if files.without_comment(row) or listed.find(row)]
    names = files.without_flags(rows, lambda row: listed.find(row) is not None)
    for entry in filter(None, names):
        bare = files.without_comment(entry).strip(QUOTES)
        try:
            found = listed.all_of(entry)
        except UserError as error:
            yield Source(bare, error=f"{error}; {name} names it")
            continue
        for place in map(str, found) if found else [bare]:
            yield from _expand(place, videos, path)
    if rows and not any(names):
        flags = f"this list marks none of its {len(rows)} pictures with 1"
        yield Source(str(path), error=f"{name}: {flags}; take the numbers away to have them all")
    elif left_out := names.count(None):
        logger.info(files.MARKED.format(name, len(names) - left_out, len(names)))
    for line in notes.lines():
        logger.info(f"{name}: {line}")
    if not rows:
        yield Source(str(path), error=f"{name}: this list names no pictures; write one path a line")


class _Listed:
    """Finds what the lines of a list name: beside it, from the working directory, or in a devkit's JPEGImages.

    Only beside the list a path may lack its first folders: a namesake in the working directory is another picture.
    """

    def __init__(self, path: Path, notes: Notes):
        self._places = Places([Path(), path.parent], notes, moved=[path.parent])
        self._devkit = [each.parent / "JPEGImages" for each in path.absolute().parents if each.name == "ImageSets"]
        self._known: dict[str, Path | None] = {}

    def find(self, line: str) -> Path | None:
        """The file or folder of this name; None where there is none, or it is an address."""
        if line not in self._known:
            self._known[line] = next(filter(None, map(self._find, _spellings(line))), None)
        return self._known[line]

    def all_of(self, line: str) -> list[Path]:
        """As `find`, and of a pattern all that it matches."""
        if found := self.find(line):
            return [found]
        if _is_remote_line(line):
            return []
        several = (self._places.matching(spelling, _has_ending_that_is_read) for spelling in _spellings(line))
        return next(filter(None, several), [])

    def _find(self, line: str) -> Path | None:
        if _is_remote_line(line):
            return None
        names = (files.find(folder, f"{line}{end}", Path.is_file) for folder in self._devkit for end in EXTENSIONS)
        return self._places.find(line, Path.exists) or next(filter(None, names), None)


def _is_remote_line(line: str) -> bool:
    return is_address(line.strip(QUOTES))


def _without_scheme(line: str) -> str:
    """A line of a list, `file:///…` as a path."""
    bare = line.strip(QUOTES)
    path = files.without_scheme(bare)
    return line if path == bare else path


def _has_ending_that_is_read(place: Path) -> bool:
    return place.suffix.lower() in (*EXTENSIONS, *VIDEO_EXTENSIONS)


def _spellings(line: str) -> list[str]:
    return list(dict.fromkeys((line, _of_windows(line))))


def _of_windows(line: str) -> str:
    """A line whose bytes are no UTF-8 as Windows of western countries reads it (Latin-1 and more)."""
    return os.fsencode(line).decode("cp1252", "replace") if not line.isascii() and _SURROGATES.search(line) else line
