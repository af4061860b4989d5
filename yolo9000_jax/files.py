"""Writing files that others may be reading."""

import os
from pathlib import Path

from yolo9000_jax.errors import UserError


def write_whole(path: Path, text: str) -> None:
    """Writes a file so that who reads it sees the old or the new one, never a part."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text)
        part.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose another workdir") from error
