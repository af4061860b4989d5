"""Writing files that others may be reading."""

import os
from contextlib import suppress
from pathlib import Path

from yolo9000_jax.errors import UserError


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file so that who reads it sees the old or the new one, never a part.

    Args:
        path: its folder is made if need be.
        content: text, written as UTF-8, or bytes.

    Raises:
        UserError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content.encode() if isinstance(content, str) else content)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); free some space, or choose another place"
        ) from error
