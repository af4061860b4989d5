"""Where everything that the package has to say goes: the standard logger "yolo9000_jax".

    logger.info(...)       progress and results of long work
    logger.warning(...)    something that may not be what the user wants

Importing the package changes nobody's logging. A program that wants to see the lines without configuring logging itself
calls `show()`, as the command line and `train` do.
"""

import logging
import math
import sys

logger = logging.getLogger("yolo9000_jax")


class _Printer(logging.Handler):
    """Prints each message on what `sys.stdout` is at that moment, which in a notebook or a test may change."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stdout, flush=True)


def show(always: bool = False) -> None:
    """Prints the package's messages on stdout.

    Args:
        always: also where the program has configured logging for itself, whose handlers then get nothing.
    """
    if logger.handlers or not always and logger.hasHandlers():
        return
    logger.addHandler(_Printer())
    logger.setLevel(logging.INFO)
    logger.propagate = False


def duration(seconds: float) -> str:
    """95 -> "1m35s"."""
    whole = round(seconds) if math.isfinite(seconds) else 0
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{whole % 60:02d}s"
