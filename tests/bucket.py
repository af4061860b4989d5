"""A bucket on this machine: gcp-storage-emulator, with preconditions and times as Google has them, and with faults."""

import io
import logging
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from http.server import ThreadingHTTPServer
from unittest import mock
from urllib.parse import parse_qs, unquote, urlsplit

from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers.buckets import create_bucket
from gcp_storage_emulator.server import RequestHandler, Router
from gcp_storage_emulator.storage import Storage

from yolo9000_jax import buckets

logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
logging.getLogger("api").setLevel(logging.CRITICAL)

NAME = "pod"


class _Storage(Storage):
    """Counts the objects that have been written, of however many requests each, and names the last."""

    writes, written = 0, ""

    def create_file(self, bucket: str, name: str, *arguments):
        super().create_file(bucket, name, *arguments)
        self.writes += 1  # one request at a time, by the bucket's lock
        self.written = name


class Bucket:
    """What is in it, and how it answers.

    fault: method, path -> a status to answer with instead, or None; answered: [(method, path)].
    """

    def __init__(self) -> None:
        self.storage = _Storage(use_memory_fs=True)
        create_bucket(NAME, self.storage)
        self.lock = threading.Lock()
        self.fault = lambda method, path: None
        self.answered: list[tuple[str, str]] = []
        self.address = ""

    def environment(self) -> dict[str, str]:
        """The variables that send a process here, and nowhere else."""
        names = ("STORAGE_EMULATOR_HOST", "TENSORSTORE_GCS_HTTP_URL", "CLOUD_STORAGE_EMULATOR_ENDPOINT")
        return dict.fromkeys(names, self.address) | {"NO_GCE_CHECK": "true"}


class _Handler(RequestHandler):
    def __init__(self, bucket: Bucket, *arguments):
        self.bucket = bucket
        super().__init__(bucket.storage, *arguments)

    def _answer(self, method: str) -> None:
        status = self.bucket.fault(method, self.path)
        with self.bucket.lock:
            self.bucket.answered.append((method, self.path))
            if status is None and self._is_taken():
                status = 412
            if status is not None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            with suppress(ConnectionError):  # who asked may have given up
                Router(self).handle(method)
            if method == "PATCH":
                self._renew()

    def _is_taken(self) -> bool:
        """Whether an upload is for another generation than the object has, 0 being none; the emulator asks nothing."""
        query = parse_qs(urlsplit(self.path).query)
        if not (wanted := query.get("ifGenerationMatch")):
            return False
        return wanted[0] != self._generation(self._name())

    def _name(self) -> str:
        """The object that is written, read or removed."""
        named = parse_qs(urlsplit(self.path).query).get("name")
        return named[0] if named else self._named_in_path() or self._name_in_body()

    def _named_in_path(self) -> str:
        return unquote(urlsplit(self.path).path.partition("/o/")[2])

    def _generation(self, name: str) -> str:
        try:
            return self.storage.get_file_obj(NAME, name)["generation"]
        except NotFound:
            return "0"

    def end_headers(self) -> None:
        """Says which generation of an object is read, which the emulator does not."""
        if self.command == "GET" and (name := self._named_in_path()):
            self.send_header("x-goog-generation", self._generation(name))
        super().end_headers()

    def _name_in_body(self) -> str:
        """Of a multipart upload, whose body is put back for the emulator."""

        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.rfile = io.BytesIO(body)
        found = re.search(rb'"name": "([^"]*)"', body)
        return found[1].decode() if found else ""

    def _renew(self) -> None:
        """A change of an object's metadata changes its time, which the emulator leaves."""
        name = self._named_in_path()
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self.storage.get_file_obj(NAME, name)["updated"] = now

    do_GET = lambda self: self._answer("GET")  # noqa: E731
    do_POST = lambda self: self._answer("POST")  # noqa: E731
    do_PUT = lambda self: self._answer("PUT")  # noqa: E731
    do_PATCH = lambda self: self._answer("PATCH")  # noqa: E731
    do_DELETE = lambda self: self._answer("DELETE")  # noqa: E731

    def log_message(self, *_):
        pass


@contextmanager
def serve() -> Iterator[Bucket]:
    """A bucket, to which this process and those that it starts are sent meanwhile."""
    bucket = Bucket()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, bucket))
    server.daemon_threads = True
    bucket.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with mock.patch.dict(os.environ, bucket.environment()):
            buckets._store.cache_clear()  # the connection of this process may be to another
            yield bucket
    finally:
        buckets._store.cache_clear()
        server.shutdown()
        thread.join()
        server.server_close()


def for_a_while(seconds: float, status: int):
    """A fault that is over after some seconds."""
    end = time.monotonic() + seconds
    return lambda method, path: status if time.monotonic() < end else None
