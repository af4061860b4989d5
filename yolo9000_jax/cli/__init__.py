"""`yolo9000 VERB …`: finds the verb and runs it. The other modules hold the verbs, each group's arguments and work."""

import argparse
import logging
import os
import signal
import sys
from pathlib import Path

from yolo9000_jax import logs
from yolo9000_jax.cli import arguments, conversion, data, evaluation, prediction, training, wordtree
from yolo9000_jax.errors import Stopped, UserError

STATUS = """exit status:
  0    done
  1    something given is wrong: one line on stderr says what, where, and what to do
  2    the command line itself is wrong
  130  stopped by Ctrl-C
  143  stopped by SIGTERM, as by a machine that is to be taken away: `train` has
       saved its state, and the same command carries on from there"""


def main(command_line: list[str] | None = None) -> int:
    """Runs one verb, of the program's own arguments or those given; returns the exit status.

    0, or 1 after one line that says what is wrong and what to do (UserError). A run that was asked to stop (Stopped)
    gives 128 + the signal, as shells count it: 143 for SIGTERM, 130 for Ctrl-C. It is not 0, as the work is not
    done, so whatever restarts failed runs carries on; nor 1, which no restart helps. Raises SystemExit(2), as
    argparse does, where the arguments fit no verb.
    """
    options = _parse(command_line)
    _prepare_process()
    try:
        arguments.check_json(options)
        options.run(options)
        sys.stdout.flush()
    except UserError as error:
        print(f"yolo9000: {error}", file=sys.stderr)
        return 1
    except Stopped as stopped:
        logs.logger.info(stopped)
        return stopped.status
    except KeyboardInterrupt:
        print("yolo9000: stopped", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:  # `yolo9000 … | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left must not fail once more at exit
        return 128 + signal.SIGPIPE
    return 0


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
    for group in (training, evaluation, prediction, data, conversion, wordtree):
        group.add(verbs)
    return parser


def _prepare_process() -> None:
    """This process is ours: our messages are shown, other libraries' remarks are not, compiled programs are kept."""
    logs.show()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    logging.getLogger("absl").setLevel(logging.CRITICAL)  # Orbax: it warns of much, and raises what it calls an error
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # it announces them on stderr, where only mistakes belong
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(home / "yolo9000_jax" / "xla")
