"""The pictures in class folders and what their headers say, in an index, so that a million of them open in seconds.

The first time every picture is looked at. Where there are many (LEAST), what was seen is kept in a file, NAME in the
data's own folder or, where that cannot be written, one in `yolo9000_jax/index` of the user's cache folder. It is
written while the work goes on, so that whoever is interrupted carries on. From then on a class folder is looked at
again when it, or a folder in it, has changed: when a file there came, went or got another name. A picture that is
overwritten in place is not noticed, nor is what a link leads to: touch its folder, or delete the index.

An index is arrays that NumPy reads without pickle. One that is damaged, of another version, or says what cannot be, is
made anew.
"""

import hashlib
import io
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from yolo9000_jax.data.annotations import THREADS, Notes
from yolo9000_jax.data.pictures import UNREAD, pictures_of
from yolo9000_jax.data.table import Texts, starts_of
from yolo9000_jax.data.walking import walk
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import shown, write_whole
from yolo9000_jax.images import reading
from yolo9000_jax.images.reading import EXTENSIONS
from yolo9000_jax.logs import duration, logger

NAME = ".yolo9000_index.npz"
FORMAT = 1
LEAST = 10_000  # pictures; fewer take about a second, and no index
SAVE_EVERY_S, SAVING_SHARE = 30, 0.05  # the latter: of the time, at most
SAY_EVERY_S = 10
TOO_NEW_NS = 2_000_000_000  # a folder that has just changed may change again without another time
SAMPLE = 4096  # bytes of a file's middle
PICTURE = np.dtype(
    [
        ("size_wh", "<i4", 2),  # as a viewer shows it, pixels
        ("content", "<u8"),  # `content_of` its file
        ("folder", "<u4"),  # which of its class folder's
        ("header", "<u2"),  # which of those that the index lists
        ("name_bytes", "<u2"),  # of the file
    ]
)


@dataclass
class ClassFolder:
    """What was seen in one class folder, and in the folders in it."""

    folders: list[str]  # relative to it, "" first
    modified_ns: list[int]  # when each was changed last; 0: too lately to tell
    notes: list[tuple[tuple[str, str], int, str]]  # as `Notes.add` takes them, with their number
    pictures: np.ndarray  # PICTURE [n]
    names: np.ndarray  # uint8 [bytes], their file names one after the other

    def is_of(self, place: Path) -> bool:
        """Whether nothing has changed since."""
        try:
            now = [os.stat(os.path.join(place, folder)).st_mtime_ns for folder in self.folders]
        except (OSError, ValueError):
            return False
        return 0 not in now and now == self.modified_ns  # 0: changed too lately to tell, or a store without times


@dataclass
class Listed:
    """A class folder whose pictures are yet to be looked at."""

    folder: Path
    seen: ClassFolder  # without pictures
    count: int
    paths: str  # of the pictures in it, sorted, a zero byte between two: there may be millions


@dataclass
class Pictures:
    """The pictures of class folders, in the order of these."""

    folders: list[bytes]  # paths, with a slash at the end
    class_of: np.ndarray  # int32 [folders], the place of each one's class folder in the list asked for
    folder_of: np.ndarray  # int32 [R]
    files: Texts
    sizes_wh: np.ndarray  # int32 [R, 2]
    headers: list[reading.Header]  # of size 0: what is in them besides
    header_of: np.ndarray  # uint16 [R]
    contents: np.ndarray | None  # uint64 [R]; None: not looked at


def look_at(root: Path, folders: Sequence[Path], notes: Notes) -> Pictures:
    """The pictures in class folders, those of each sorted, all of them looked at now or before.

    Args:
        root: the folder of the data set, whose index is read and written.
        folders: the class folders.
        notes: gets what was found beside the pictures.

    Raises:
        UserError: names the picture that is broken, or the folder that cannot be read.
    """
    index = _Index(root)
    with ThreadPoolExecutor(THREADS) as pool:
        keys = [str(folder.relative_to(root)) for folder in folders]
        known = [index.classes.get(key) for key in keys]
        fresh = pool.map(
            lambda pair: pair[0] is not None and pair[0].is_of(str(pair[1])), zip(known, folders, strict=True)
        )
        stale = [place for place, is_fresh in enumerate(fresh) if not is_fresh]
        for place in stale:
            index.classes.pop(keys[place], None)
        if stale:
            index.add({keys[place]: folders[place] for place in stale}, pool)
    found = [index.classes[key] for key in keys]
    for kind, count, first in (note for each in found for note in each.notes):
        notes.add(kind, first, count)
    return _joined(root, keys, found, index)


def content_of(path: str) -> int:
    """A number of 64 bits, made of a file's length and some bytes of its middle, that tells nearly all files apart."""
    with open(path, "rb", buffering=0) as file:
        length = os.fstat(file.fileno()).st_size
        sample = os.pread(file.fileno(), SAMPLE, max(0, length - SAMPLE) // 2)
    digest = hashlib.blake2b(sample, digest_size=8, key=length.to_bytes(8, "little"))
    return int.from_bytes(digest.digest(), "little")


class _Index:
    """What is known of the class folders of a data set; `headers` are those that its pictures name by number."""

    def __init__(self, root: Path):
        self.root = root
        self.classes: dict[str, ClassFolder] = {}
        self.headers: dict[reading.Header, int] = {}
        self.whole: tuple[np.ndarray, np.ndarray] | None = None  # pictures, names of all classes, as they were read
        times = {place: found for place in self._places() if (found := _modified_ns(place)) is not None}
        # The one in the folder may lie where it could not be written again when the pictures changed.
        for place in sorted(times, key=lambda place: times[place], reverse=True):
            try:
                self._read(place)
                return
            except Exception as error:  # whatever a damaged or foreign file makes NumPy, zipfile, json raise
                self.classes, self.headers, self.whole = {}, {}, None
                logger.info(f"{shown(place)} is of no use ({_reason(error)}), and made anew")

    def add(self, folders: dict[str, Path], pool: ThreadPoolExecutor) -> None:
        """Looks at the pictures of these folders, and keeps what was seen where they are many."""
        listed = dict(zip(folders, pool.map(_list, folders.values()), strict=True))
        new = sum(each.count for each in listed.values())
        many = bool(self.classes) or new >= LEAST
        if many:
            logger.info(f"looking at {new} pictures in {shown(self.root)}, once: what is seen is kept in an index")
        self.whole, done = None, 0
        began = said = saved = time.monotonic()
        saving = 0.0
        try:
            looks = pool.map(partial(_look, contents=many), listed.values())
            for (key, each), found in zip(listed.items(), looks, strict=True):
                self.classes[key] = self._seen(each, found)
                done, now = done + each.count, time.monotonic()
                if many and now - said > SAY_EVERY_S:
                    said, left = now, (now - began) / max(done, 1) * (new - done)
                    logger.info(f"  {done} of {new} pictures, {duration(left)} to go")
                if many and now - saved > max(SAVE_EVERY_S, saving / SAVING_SHARE):
                    self._write()
                    saved = time.monotonic()
                    saving = saved - now
        finally:
            if many:
                self._write()

    def _seen(self, listed: Listed, found: list[tuple[str, reading.Header, int]]) -> ClassFolder:
        places = {folder: place for place, folder in enumerate(listed.seen.folders)}
        rows, names = [], []
        for path, header, content in found:
            folder, name = os.path.split(path)
            names.append(os.fsencode(name))
            number = self.headers.setdefault(_without_size(header), len(self.headers))
            rows.append(((header.width, header.height), content, places[folder], number, len(names[-1])))
        joined = np.frombuffer(b"".join(names), np.uint8)
        return replace(listed.seen, pictures=np.array(rows, PICTURE), names=joined)

    def _places(self) -> tuple[Path, Path]:
        """Where an index may lie, the first that can be written."""
        name = hashlib.sha256(os.fsencode(os.path.realpath(self.root))).hexdigest()
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return self.root / NAME, cache / "yolo9000_jax" / "index" / f"{name}.npz"

    def _read(self, place: Path) -> None:
        with np.load(place, allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            if about["made_with"] != _made_with():
                raise ValueError("it was made with other settings, or by another version")
            pictures, names = arrays["pictures"], arrays["names"]
        headers = [reading.Header(0, 0, *values) for values in about["headers"]]
        classes = about["classes"]
        _check(pictures, names, len(headers), classes)
        ends = np.cumsum([count for *_, count in classes], dtype=np.int64)
        name_starts = starts_of(pictures["name_bytes"])
        for (key, folders, modified_ns, notes, count), end in zip(classes, ends.tolist(), strict=True):
            part = slice(end - count, end)
            part_names = names[name_starts[part.start] : name_starts[part.stop]]
            noted = [((one, many), number, first) for one, many, number, first in notes]
            self.classes[key] = ClassFolder(folders, modified_ns, noted, pictures[part], part_names)
        self.headers = {header: place for place, header in enumerate(headers)}
        self.whole = pictures, names

    def _write(self) -> None:
        about = {
            "made_with": _made_with(),
            "headers": [[header.orientation, header.remark, header.plain] for header in self.headers],
            "classes": [
                [
                    key,
                    each.folders,
                    each.modified_ns,
                    [(*kind, *rest) for kind, *rest in each.notes],
                    len(each.pictures),
                ]
                for key, each in self.classes.items()
            ],
        }
        content = io.BytesIO()
        np.savez(
            content,
            about=np.frombuffer(json.dumps(about).encode(), np.uint8),
            pictures=np.concatenate([np.zeros(0, PICTURE), *(each.pictures for each in self.classes.values())]),
            names=np.concatenate([np.zeros(0, np.uint8), *(each.names for each in self.classes.values())]),
        )
        for place in self._places():
            try:
                return write_whole(place, content.getvalue())
            except UserError as error:
                why = str(error)
        logger.warning(f"no index can be kept, so every start looks at all pictures of {shown(self.root)}: {why}")


def _modified_ns(place: Path) -> int | None:
    """When a file was changed last; None where there is none, or where one may not look."""
    try:
        return place.stat().st_mtime_ns
    except OSError:
        return None


def _list(folder: Path) -> Listed:
    """What is in a class folder, no picture looked at yet."""
    notes, folders, modified_ns = Notes(), [], []
    files: list[Path] = []
    for here in walk(folder):
        folders.append(_inside(str(here.path), folder))
        modified_ns.append(here.modified_ns if time.time_ns() - here.modified_ns > TOO_NEW_NS else 0)
        files += here.files
    paths = [_inside(str(file), folder) for file in pictures_of(files, notes)]
    seen = ClassFolder(folders, modified_ns, notes.counts(), np.zeros(0, PICTURE), np.zeros(0, np.uint8))
    return Listed(folder, seen, len(paths), "\0".join(paths))


def _look(listed: Listed, contents: bool) -> list[tuple[str, reading.Header, int]]:
    """The pictures of a class folder: path in it, header, and number of the content, 0 where that is not wanted."""
    found = []
    for path in listed.paths.split("\0") if listed.count else ():
        place = str(listed.folder / path)
        found.append((path, reading.inspect(place), content_of(place) if contents else 0))
    return found


def _joined(root: Path, keys: Sequence[str], found: Sequence[ClassFolder], index: _Index) -> Pictures:
    if index.whole is not None and list(map(id, found)) == list(map(id, index.classes.values())):
        pictures, names = index.whole
    else:
        pictures = np.concatenate([np.zeros(0, PICTURE), *(each.pictures for each in found)])
        names = np.concatenate([np.zeros(0, np.uint8), *(each.names for each in found)])
    folders = [
        os.path.join(root, key, folder, "") for key, each in zip(keys, found, strict=True) for folder in each.folders
    ]
    folders_in = np.array([len(each.folders) for each in found], np.int64)
    first = np.repeat(starts_of(folders_in)[:-1].astype(np.int32), [len(each.pictures) for each in found])
    return Pictures(
        list(map(os.fsencode, folders)),
        np.repeat(np.arange(len(found)), folders_in),
        pictures["folder"].astype(np.int32) + first,
        Texts.adjoining(names, pictures["name_bytes"]),
        pictures["size_wh"],
        list(index.headers),
        pictures["header"],
        pictures["content"] if pictures["content"].all() else None,
    )


def _check(pictures: np.ndarray, names: np.ndarray, headers: int, classes: list[list[Any]]) -> None:
    """Raises ValueError where an index says what cannot be; what it says of a picture is believed."""
    counts = np.array([count for *_, count in classes], np.int64)
    folders = np.repeat([len(each) for _, each, *_ in classes], counts)
    places = (place for key, each, *_ in classes for place in (key, *each))
    if (
        pictures.dtype != PICTURE
        or names.dtype != np.uint8
        or (counts < 0).any()
        or counts.sum() != len(pictures)
        or pictures["name_bytes"].sum(dtype=np.int64) != len(names)
        or (pictures["header"] >= headers).any()
        or (pictures["folder"] >= folders).any()
        or (pictures["size_wh"] < 1).any()
        or np.isin(names, np.frombuffer(b"/\0", np.uint8)).any()
        or any(".." in Path(place).parts or os.path.isabs(place) for place in places)
    ):
        raise ValueError("its numbers do not fit each other")


def _made_with() -> list[Any]:
    """What an index depends on besides the pictures."""
    return [FORMAT, sorted(EXTENSIONS), sorted(UNREAD), Image.MAX_IMAGE_PIXELS]


def _inside(path: str, folder: Path) -> str:
    """A path in a folder, as it is called there; "" for the folder."""
    return path[len(str(folder)) + 1 :]


def _without_size(header: reading.Header) -> reading.Header:
    return replace(header, width=0, height=0)


def _reason(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
