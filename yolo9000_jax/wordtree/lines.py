"""Text files with one thing a line, such as a tree's nodes or their names, read so that nothing in them does harm."""

from collections.abc import Iterable
from os import PathLike

from yolo9000_jax.errors import UserError
from yolo9000_jax.files import stand_in, to_text
from yolo9000_jax.places import as_path

MAX_TEXT_LENGTH = 200
MAX_FILE_BYTES = 1 << 26

FilePath = str | PathLike[str]


def read_lines(path: FilePath) -> list[str]:
    """The lines of a text file, blank ones at the end left out.

    Raises:
        UserError: it cannot be read, is empty, larger than `MAX_FILE_BYTES` or no text (files.read_text).
    """
    try:
        with as_path(path).open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise UserError(f"{path}: larger than {MAX_FILE_BYTES >> 20} MiB; this is no tree, names or map file")
        if what := stand_in(content):
            raise UserError(f"{path} is {what}")
        text = to_text(content)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; check the path") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}, line {line}: not UTF-8 text; save the file as UTF-8") from None
    lines = text.rstrip().split("\n")
    if lines == [""]:
        raise UserError(f"{path}: the file is empty; give one line a node or label")
    return lines


def write_lines(path: FilePath, lines: Iterable[str]) -> None:
    """Writes a text file; raises UserError where that cannot be done."""
    try:
        with as_path(path).open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.writelines(f"{line}\n" for line in lines)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose another place") from None


def check_text(text: str, place: str) -> None:
    """Raises UserError unless the text is a name: not empty, not too long, printable. `place` is where it stands."""
    if not text or len(text) > MAX_TEXT_LENGTH or not text.isprintable():
        raise UserError(f"{place}: {short(text)} is no name; give 1 to {MAX_TEXT_LENGTH} printable characters")


def short(text: str) -> str:
    """The text in quotes, cut where it is long."""
    return repr(text if len(text) <= 60 else text[:57] + "...")
