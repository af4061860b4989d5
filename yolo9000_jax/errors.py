"""The one exception that a user's mistake raises."""


class UserError(Exception):
    """Something the user gave us is wrong; the message is one line that says what, where, and what to do.

    The command line prints the message and exits with status 1; anything else that escapes is a bug of ours.
    """


class Stopped(Exception):
    """A run was told to stop (SIGTERM, Ctrl-C) and has saved its state: no mistake. The message says how to go on."""
