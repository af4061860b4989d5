"""What the package raises on purpose: a user's mistake, and a stop that was asked for."""

import signal

from yolo9000_jax.text import printable


class UserError(Exception):
    """Something the user gave us is wrong; the message is one line that says what, where, and what to do.

    The command line prints the message and exits with status 1; anything else that escapes is a bug of ours. What
    cannot be printed as it is, as in the name of a file, stands in the message as an escape.
    """

    def __init__(self, message: str):
        super().__init__(printable(message))

    def _render_traceback_(self) -> list[str]:
        """What IPython shows of it, in a notebook, in place of a traceback."""
        return [f"UserError: {self}"]


class Stopped(Exception):
    """A run ended early because it was asked to, and has saved what it learnt; the message says how to carry on.

    Args:
        message: one line.
        number: the signal that asked: SIGTERM, as from a machine that is to be taken away, or SIGINT, Ctrl-C.

    The command line prints the message as it prints progress, and exits with `status`.
    """

    def __init__(self, message: str, number: int = signal.SIGTERM):
        super().__init__(message)
        self.status = 128 + number  # as shells count it; not 0, so that whatever restarts failed runs carries on
