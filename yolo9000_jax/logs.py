"""Where everything that the package has to say goes: the standard logger "yolo9000_jax".

    logger.info(...)       progress and results of long work
    logger.warning(...)    something that may not be what the user wants

Importing the package changes nobody's logging. The command line and `train` call `show()`, so that the lines are seen;
a program that wants them elsewhere gives the logger a handler before.
"""

import logging
import math
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from yolo9000_jax.text import printable

logger = logging.getLogger("yolo9000_jax")
around: Callable[[], AbstractContextManager] = nullcontext  # of each printed message: what takes a bar out of its way


class _Printer(logging.Handler):
    """Prints each message on what `sys.stdout` is at that moment, which in a notebook or a test may change.

    Control characters, and what it cannot show, appear as escapes; where there is no stdout, as in a program without a
    console, or it is closed, the message is lost. Only a pipe that nobody reads any more is an error: BrokenPipeError.
    """

    def emit(self, record: logging.LogRecord) -> None:
        stream, text = sys.stdout, "\n".join(map(printable, self.format(record).split("\n")))
        if stream is None or getattr(stream, "closed", False):
            return
        encoding = getattr(stream, "encoding", None) or "utf-8"
        with around():
            print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


_said: set[str] = set()


def warn_once(kind: str, message: str) -> None:
    """Warns of the first case of a kind of which there may be many; the others of this process pass in silence."""
    if kind not in _said:
        _said.add(kind)
        logger.warning(f"{printable(message)} (said once)")


def show() -> None:
    """Prints the package's messages on stdout, unless its logger has been given a handler of its own.

    They are printed whatever the root logger is set to: notebooks and other packages set it for themselves.
    """
    if not logger.handlers:
        logger.addHandler(_Printer())
        logger.setLevel(logging.INFO)
        logger.propagate = False


def is_only_printed() -> bool:
    """Whether messages are printed as `show` has it, and go nowhere else."""
    return [type(handler) for handler in logger.handlers] == [_Printer]


def duration(seconds: float) -> str:
    """95 -> "1m35s"."""
    whole = round(seconds) if math.isfinite(seconds) else 0
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{whole % 60:02d}s"
