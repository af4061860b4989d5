"""Where files lie: in a folder, or in a bucket of Google Cloud Storage (gs://…).

`as_path` makes a path of what a user typed. The rest of the package uses the methods that both kinds of path have, and
so do Orbax, JAX's compilation cache and TensorFlow Datasets, which take paths through etils: once a bucket was named,
theirs are `BucketPath` too.
"""

import functools
import importlib
import logging
import os
import re
from pathlib import Path
from typing import Any, cast

from yolo9000_jax.errors import UserError

SCHEME = "gs://"
EMULATOR = "STORAGE_EMULATOR_HOST"  # address of a server on this machine that stands in for Google's
# What else reads buckets finds that server by names of its own: TensorStore, which Orbax writes with, and ArrayRecord.
OTHER_NAMES = ("TENSORSTORE_GCS_HTTP_URL", "CLOUD_STORAGE_EMULATOR_ENDPOINT")


def as_path(text: str | os.PathLike[str]) -> Path:
    """The path of a file or folder, here or in a bucket.

    Args:
        text: a path, or gs://BUCKET/PATH.

    Returns:
        A `pathlib.Path`; of gs:// a `buckets.BucketPath`, which has those methods of it that the package uses.

    Raises:
        UserError: another URL, which would be a folder of that name here, or what reads buckets is not installed.
    """
    if is_in_bucket(text):
        return cast(Path, _bucket_path()(text))
    if url := re.match(r"\w{2,}:/+([^/]*)", str(text)):
        raise UserError(
            f"{text}: not a folder, nor gs://BUCKET/PATH, the one kind of URL that can be written to: mount what it "
            f"names ({url[1] or 'BUCKET'}), or choose a file system that all hosts share, and give the path there"
        )
    return Path(text)


def is_in_bucket(path: str | os.PathLike[str]) -> bool:
    """Whether a path, or what a user typed as one, lies in a bucket."""
    return os.fspath(path).startswith(SCHEME)


def refresh(path: Path) -> None:
    """Sets a file's time to now. Raises FileNotFoundError where there is none: it is not made."""
    if is_in_bucket(path):
        cast(Any, path).refresh()
    else:
        os.utime(path)


@functools.cache
def _bucket_path() -> type:
    """The class of paths in buckets, from now on also that of etils for gs://."""
    emulator = os.environ.get(EMULATOR, "")
    for name in OTHER_NAMES if emulator else ():
        os.environ.setdefault(name, emulator if "://" in emulator else f"http://{emulator}")
    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # it logs with a traceback what it raises as well
    try:
        return importlib.import_module("yolo9000_jax.buckets").BucketPath
    except ImportError as error:
        raise UserError(f"gs:// needs {error.name}, which is not installed: pip install yolo9000_jax[gcs]") from None
