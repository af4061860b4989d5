"""Where everything that the package has to say goes: the standard logger "yolo9000_jax".

    logger.info(...)       progress and results of long work
    logger.warning(...)    something that may not be what the user wants

Importing the package changes nobody's logging. The command line and `train` call `show()`, so that the lines are seen;
a program that wants them elsewhere gives the logger a handler before.
"""

import logging
import math
import sys

logger = logging.getLogger("yolo9000_jax")


class _Printer(logging.Handler):
    """Prints each message on what `sys.stdout` is at that moment, which in a notebook or a test may change."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stdout, flush=True)


_said: set[str] = set()


def warn_once(kind: str, message: str) -> None:
    """Warns of the first case of a kind of which there may be many; the others of this process pass in silence."""
    if kind not in _said:
        _said.add(kind)
        logger.warning(f"{message} (said once)")


def show() -> None:
    """Prints the package's messages on stdout, unless its logger has been given a handler of its own.

    They are printed whatever the root logger is set to: notebooks and other packages set it for themselves.
    """
    if not logger.handlers:
        logger.addHandler(_Printer())
        logger.setLevel(logging.INFO)
        logger.propagate = False


def duration(seconds: float) -> str:
    """95 -> "1m35s"."""
    whole = round(seconds) if math.isfinite(seconds) else 0
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{whole % 60:02d}s"
