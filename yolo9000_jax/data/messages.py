"""How messages show what stands in a file, and what may have been meant."""

import difflib
from collections.abc import Iterable
from itertools import islice

COMPARED = 20_000  # names; more would take long, and a message is all it is for


def quote(value: object, limit: int = 60) -> str:
    """A value out of a file, quoted on one line and cut to a readable length."""
    if isinstance(value, str | float | bool | None) or isinstance(value, int) and value.bit_length() <= 64:
        text = repr(value)
    else:
        text = f"a value of type {type(value).__name__}"  # printing it could take for ever
    return text if len(text) <= limit else text[:limit] + "…"


def nearest(name: str, names: Iterable[str]) -> str:
    """ " (did you mean 'x'?)" with the most similar of `names`, or "" where none is similar."""
    by_lower = {known.lower(): known for known in islice(names, COMPARED)}
    close = difflib.get_close_matches(name.lower(), list(by_lower), n=1)
    return f" (did you mean {quote(by_lower[close[0]])}?)" if close else ""
