"""Text that can be printed: names of files and classes may hold what no console, log or file takes as it is."""

import re
from itertools import zip_longest
from pathlib import PurePath

# What moves a cursor, ends a line, or turns the direction of text; joiners and marks that scripts need are none.
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def shown(path: str | PurePath) -> str:
    """A path, or any text, as text that is UTF-8: bytes of a name that are none appear as `\\xdd`."""
    text = str(path)
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half of a pair, which JSON and Windows can hold
        return text.encode("utf-8", "backslashreplace").decode()


def printable(text: str) -> str:
    """The text on one line, as `shown`, its control characters as escapes: a line break is `\\n`, an escape `\\x1b`."""
    return CONTROLS.sub(lambda match: repr(match[0])[1:-1], shown(text))


def is_printable(text: str) -> bool:
    """Whether a text holds no control character."""
    return CONTROLS.search(text) is None


def changed(old: object, new: object) -> str:
    """'old' -> 'new' for a message; of texts of several lines the first line that differs."""
    if isinstance(old, str) and isinstance(new, str) and "\n" in old + new:
        pairs = zip_longest(old.split("\n"), new.split("\n"), fillvalue="")
        old, new = next(((one, other) for one, other in pairs if one != other), (old, new))
    return f"{old!r} -> {new!r}"
