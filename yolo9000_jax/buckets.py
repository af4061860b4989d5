"""Paths in a bucket of Google Cloud Storage.

A bucket has objects, no folders: an object's name may have slashes, and what stands before one counts as a folder as
long as an object is in it. An object is written whole or not at all, and never changed afterwards, only replaced.

Needs gcsfs and etils, and is imported where a path in a bucket is named: see `places.as_path`.
"""

import asyncio
import errno
import fnmatch
import functools
import inspect
import io
import os
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import google.auth.exceptions
import requests
from etils import epath
from etils.epath.gpath import PosixGPath
from etils.epath.stat_utils import StatResult
from gcsfs.core import GCSFileSystem
from gcsfs.retry import HttpError

PATIENCE_S = 120.0  # of one request, all its attempts together
REQUEST_S = 60.0  # without a whole answer: that attempt has failed
FIRST_DELAY_S, MOST_DELAY_S = 0.5, 16.0  # between two attempts
PASSING = {408, 429, 500, 502, 503, 504}  # answers that may be others a little later
LOST = (  # of attempts that got no answer
    aiohttp.ClientError,
    requests.exceptions.RequestException,
    google.auth.exceptions.TransportError,
    asyncio.TimeoutError,
    ConnectionError,
)


async def persistent(attempt: Callable[[], Awaitable[Any]]) -> Any:
    """What `attempt()` gives; tried again, less and less often, for `PATIENCE_S` at most, where waiting may help.

    Raises:
        OSError: with the reason as its `strerror`: FileNotFoundError, FileExistsError, PermissionError, or another.
    """
    began, delay_s = time.monotonic(), FIRST_DELAY_S
    while True:
        try:
            return await attempt()
        except Exception as error:
            waited_s = time.monotonic() - began
            if not _may_pass(error) or waited_s + delay_s > PATIENCE_S:
                raise _explained(error, waited_s) from error
        await asyncio.sleep(delay_s * random.uniform(0.5, 1))  # so that many hosts do not all come back at once
        delay_s = min(2 * delay_s, MOST_DELAY_S)


def _may_pass(error: Exception) -> bool:
    return isinstance(error, LOST) or (isinstance(error, HttpError) and _code(error) in PASSING)


def _code(error: HttpError) -> int:
    return int(error.code or 0)


def _explained(error: Exception, waited_s: float) -> Exception:
    """The error as an OSError that says what is wrong; another as it is."""
    said = " ".join(str(error).split())[:150] or type(error).__name__
    if _may_pass(error):
        return OSError(errno.EIO, f"the bucket did not answer as it should within {waited_s:.0f} s: {said}")
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(errno.ENOENT, "no such object, or no such bucket")
    if isinstance(error, FileExistsError):
        return FileExistsError(errno.EEXIST, "it is there already")
    if isinstance(error, HttpError) and _code(error) not in (401, 403):
        return OSError(errno.EIO, f"the bucket refuses: {said}")
    if isinstance(error, HttpError | google.auth.exceptions.GoogleAuthError) or said.startswith("Forbidden"):
        return PermissionError(errno.EACCES, f"no permission: {said}")
    return error


class _Store(GCSFileSystem):
    """gcsfs without its memory of what lay where, which other hosts change, and with our patience in place of its."""

    _once = staticmethod(inspect.unwrap(GCSFileSystem._request))

    async def _request(self, *arguments: Any, **options: Any) -> Any:
        return await persistent(lambda: self._once(self, *arguments, **options))


@functools.cache
def _store(process: int) -> _Store:
    """The one connection of a process; what is forked from it makes its own."""
    timeout = aiohttp.ClientTimeout(total=REQUEST_S)
    token = "anon" if os.environ.get("STORAGE_EMULATOR_HOST") else None
    return _Store(token=token, use_listings_cache=False, requests_timeout=timeout, skip_instance_cache=True)


@dataclass
class Stat(StatResult):
    """What `pathlib.Path.stat` gives, as far as a bucket knows it."""

    @property
    def st_mtime(self) -> float:
        return self.mtime

    @property
    def st_size(self) -> int:
        return self.length


class _Whole:
    """A file to write: its content becomes an object when it is closed, unless something went wrong before."""

    put: Callable[[bytes], Any]

    def discard(self) -> None:
        super().close()  # type: ignore[misc]

    def close(self) -> None:
        if not self.closed:  # type: ignore[attr-defined]
            content = self.getvalue()  # type: ignore[attr-defined]
            self.discard()
            self.put(content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace"))

    def __exit__(self, kind: Any, *rest: Any) -> None:
        if kind is not None:
            self.discard()
        self.close()

    __del__ = discard  # nobody closed it: it is not whole


class _Upload(_Whole, io.BytesIO):
    pass


class _TextUpload(_Whole, io.StringIO):
    pass


@epath.register_path_cls(SCHEME := "gs://")
class BucketPath(PosixGPath):
    """A path in a bucket, with the methods of `pathlib.Path`. All of them raise OSError, with its `strerror` set."""

    @property
    def _fs(self) -> _Store:
        return _store(os.getpid())

    def _info(self) -> dict[str, Any] | None:
        """What is known of the object or folder; None where there is none. Not knowing is an error."""
        try:
            return self._fs.info(str(self))
        except FileNotFoundError:
            return None

    def exists(self) -> bool:
        return self._info() is not None

    def is_dir(self) -> bool:
        return (self._info() or {}).get("type") == "directory"

    def is_file(self) -> bool:
        return (self._info() or {}).get("type") == "file"

    def stat(self) -> Stat:
        if (info := self._info()) is None:
            raise _missing(self)
        modified = info.get("mtime")
        return Stat(info["type"] == "directory", info["size"], modified.timestamp() if modified else 0)

    def iterdir(self) -> Iterator["BucketPath"]:
        entries = self._fs.ls(str(self), detail=True)
        names = {entry["name"].rstrip("/").rpartition("/")[2]: entry for entry in entries}
        here = str(self).removeprefix(SCHEME)
        return iter([self / name for name, entry in names.items() if entry["name"].rstrip("/") != here])

    def glob(self, pattern: str) -> Iterator["BucketPath"]:
        first, _, rest = str(pattern).partition("/")
        try:
            found = [path for path in self.iterdir() if fnmatch.fnmatchcase(path.name, first)]
        except FileNotFoundError:
            return iter([])
        return iter([inner for path in found for inner in path.glob(rest)] if rest else found)

    def walk(self, *, top_down: bool = True, on_error: Any = None) -> Iterator[tuple["BucketPath", list, list]]:
        try:
            paths = list(self.iterdir())
        except OSError as error:
            if on_error is not None:
                on_error(error)
            return
        folders = [path for path in paths if path.is_dir()]
        here = self, [path.name for path in folders], [path.name for path in paths if path not in folders]
        if top_down:
            yield here
        for folder in folders:
            yield from folder.walk(top_down=top_down, on_error=on_error)
        if not top_down:
            yield here

    def resolve(self, strict: bool = False) -> "BucketPath":
        return self

    def mkdir(self, mode: int | None = None, parents: bool = False, exist_ok: bool = False) -> None:
        """Makes nothing: a folder is there with its first object."""
        if not exist_ok and self.exists():
            raise FileExistsError(errno.EEXIST, "it is there already", str(self))

    def rmdir(self) -> None:
        """Removes nothing: a folder is gone with its last object."""

    def rmtree(self, missing_ok: bool = False) -> None:
        try:
            self._fs.rm(str(self), recursive=True)
        except FileNotFoundError:
            if not missing_ok:
                raise _missing(self) from None

    def unlink(self, missing_ok: bool = False) -> None:
        try:
            self._fs.rm_file(str(self))
        except FileNotFoundError:
            if not missing_ok:
                raise _missing(self) from None

    def open(self, mode: str = "r", **options: Any) -> Any:
        """For reading ("r"), writing ("w") or making what is not there yet ("x"), whole at the end; no appending."""
        kind, binary = mode.replace("b", "").replace("t", ""), "b" in mode
        if kind == "r":
            return io.BytesIO(self.read_bytes()) if binary else io.StringIO(self.read_text(**options))
        if kind not in ("w", "x"):
            raise ValueError(f"{self}: an object of a bucket can be replaced, not opened as {mode!r}")
        upload: Any = _Upload() if binary else _TextUpload(newline="")
        upload.put = self.write_bytes if kind == "w" else self._make
        return upload

    def read_bytes(self) -> bytes:
        return self._fs.cat_file(str(self))

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def write_bytes(self, data: bytes) -> int:
        self._fs.pipe_file(str(self), bytes(data))
        return len(data)

    def write_text(self, data: str, encoding: str | None = None, errors: str | None = None, **_: Any) -> int:
        return self.write_bytes(data.encode(encoding or "utf-8", errors or "strict"))

    def _make(self, content: bytes) -> None:
        """Makes an object that is not there yet; of several that try, one does. Raises FileExistsError for the others.

        An attempt whose answer was lost is one's own: the object then holds this very content.
        """
        try:
            self._fs.pipe_file(str(self), content, mode="create")  # if-generation-match: 0
        except FileExistsError as error:
            try:
                mine = bool(content) and self.read_bytes() == content
            except FileNotFoundError:
                mine = False  # it has just gone
            if not mine:
                raise FileExistsError(errno.EEXIST, "it is there already", str(self)) from error

    def touch(self, mode: int = 0o666, exist_ok: bool = True) -> None:
        if self.exists():
            if not exist_ok:
                raise FileExistsError(errno.EEXIST, "it is there already", str(self))
            self.refresh()
        else:
            self.write_bytes(b"")

    def refresh(self) -> None:
        """Sets the time of an object that is there to now."""
        self._fs.setxattrs(str(self), refreshed=str(time.time()))

    def copy(self, dst: Any, overwrite: bool = False) -> "BucketPath":
        target = BucketPath(dst)
        if not overwrite and target.exists():
            raise FileExistsError(errno.EEXIST, "it is there already", str(target))
        self._fs.cp_file(str(self), str(target))
        return target

    def rename(self, target: Any) -> "BucketPath":
        """Object by object, where this is a folder: who looks meanwhile sees a part in either place."""
        place = BucketPath(target)
        if self.is_dir():
            for path in list(self.iterdir()):
                path.rename(place / path.name)
        else:
            self.copy(place, overwrite=True)
            self.unlink()
        return place

    def replace(self, target: Any) -> "BucketPath":
        return self.rename(target)


def _missing(path: BucketPath) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "no such object, or no such bucket", str(path))
