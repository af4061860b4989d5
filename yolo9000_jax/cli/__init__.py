"""`yolo9000 VERB …`: finds the verb and runs it. The other modules hold the verbs, each group's arguments and work."""

import argparse
import errno
import io
import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from yolo9000_jax import logs
from yolo9000_jax.cli import (
    arguments,
    comparing,
    conversion,
    data,
    evaluation,
    export,
    planning,
    prediction,
    training,
    wordtree,
)
from yolo9000_jax.errors import Stopped, UserError
from yolo9000_jax.files import shown
from yolo9000_jax.places import as_path

STATUS = """exit status:
  0    done
  1    something given is wrong: one line on stderr says what, where, and what to do
  2    the command line itself is wrong
  130  stopped by Ctrl-C
  143  stopped by SIGTERM, as by a machine that is to be taken away: `train` has
       saved its state, and the same command carries on from there; or another
       host of the run is lost"""


def main(command_line: list[str] | None = None) -> int:
    """Runs one verb, of the program's own arguments or those given; returns the exit status.

    0, or 1 after one line that says what is wrong and what to do (UserError). A run that was asked to stop (Stopped)
    gives 128 + the signal, as shells count it: 143 for SIGTERM, 130 for Ctrl-C. It is not 0, as the work is not
    done, so whatever restarts failed runs carries on; nor 1, which no restart helps. Raises SystemExit(2), as
    argparse does, where the arguments fit no verb.
    """
    _prepare_streams()
    try:
        try:
            return _run(command_line)
        finally:
            sys.stdout.flush()
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.EPIPE, errno.ENOSPC):
            raise
        _discard(sys.stdout)
        if error.errno == errno.EPIPE:  # `yolo9000 … | head`: nobody reads on
            _discard(sys.stderr)
            return 128 + signal.SIGPIPE
        return _failed(f"what it prints cannot be written ({error.strerror}); free some space", 1)


def _run(command_line: list[str] | None) -> int:
    options = _parse(command_line)
    try:
        _prepare_process()
        arguments.check_json(options)
        with arguments.free_stdout(options):
            options.run(options)
    except UserError as error:
        return _failed(str(error), 1)
    except Stopped as stopped:
        logs.logger.info(stopped)
        return stopped.status
    except KeyboardInterrupt:
        return _failed("stopped", 128 + signal.SIGINT)
    return 0


def _failed(why: str, status: int) -> int:
    """Says in one line why a verb was not done; gives its status, also where nobody listens any more."""
    try:
        print(shown(f"yolo9000: {why}"), file=sys.stderr, flush=True)
    except OSError:
        _discard(sys.stderr)
    return status


def _prepare_streams() -> None:
    """Whatever is printed can be: what a console cannot show appears as escapes, and there is always a stream."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed, or a program without a console
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _discard(stream: TextIO) -> None:
    """What is left in a stream that nobody reads, and what still comes, must not fail once more at exit."""
    with suppress(OSError, ValueError):  # it has no descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _parse(command_line: list[str] | None) -> argparse.Namespace:
    """The arguments; `rest` holds those of --config.KEY=VALUE, which only verbs with a config take."""
    options, rest = _parser().parse_known_args(command_line)
    options.rest = rest
    if rest and "config" not in options:
        options.parser.error(arguments.unknown(rest[0], options.parser))
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="yolo9000",
        description="YOLOv2 and YOLO9000: train, evaluate, predict. `yolo9000 VERB --help` explains a verb.",
        epilog=STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for group in (training, planning, evaluation, comparing, prediction, data, conversion, export, wordtree):
        group.add(verbs)
    return parser


def _prepare_process() -> None:
    """This process is ours: our messages are shown, other libraries' remarks are not, compiled programs are kept."""
    logs.show()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    logging.getLogger("absl").setLevel(logging.CRITICAL)  # Orbax: it warns of much, and raises what it logs as an error
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # it announces them on stderr, where only mistakes belong
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(home / "yolo9000_jax" / "xla")
    as_path(os.environ["JAX_COMPILATION_CACHE_DIR"])  # JAX finds one in a bucket only once a path there was made
