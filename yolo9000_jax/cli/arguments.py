"""What the verbs share: arguments that several take, what is made of them, and writing JSON."""

import argparse
import difflib
import math
import os
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias, TypeVar

from yolo9000_jax.errors import UserError
from yolo9000_jax.files import check_earlier_result, is_system_file, shown, takes_files, to_json
from yolo9000_jax.logs import logger
from yolo9000_jax.places import as_path, is_in_bucket

if TYPE_CHECKING:
    from yolo9000_jax.predict.classifier import Classifier
    from yolo9000_jax.predict.detector import Detector

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # what the arguments of a verb are added to

Number = TypeVar("Number", int, float)

SOURCES = (
    "voc:DIR, coco:ANNOTATIONS.json,IMAGES_DIR, yolo:data.yaml (or .data), folders:DIR, darknet:FILE.data, tfds:NAME, "
    "or emoji"
)
STANDARD_OUTPUT = "-"
OF_OTHERS = {  # arguments of other programs -> ours, of which a verb has one
    "conf": ("--threshold",), "conf-thres": ("--threshold",), "thresh": ("--threshold",), "iou": ("--nms",),
    "iou-thres": ("--nms",), "img": ("--size",), "img-size": ("--size",), "imgsz": ("--size",),
    "max-det": ("--max-detections",), "max_det": ("--max-detections",), "agnostic-nms": ("--class-agnostic",),
    "project": ("--output", "--workdir"), "save-dir": ("--output",), "out": ("--output",), "ext_output": ("--json",),
    "data": ("--dataset",), "model": ("--workdir",), "checkpoint": ("--workdir",), "topk": ("--top",),
}  # fmt: skip
JsonTarget: TypeAlias = "str | TextIO | None"  # a file, standard output, or nothing
SIZE_STEP, LARGEST_SIZE = 32, 4096  # pixels of the network's input


def add_verb(
    verbs: Verbs, name: str, run: Callable[[argparse.Namespace], None], summary: str, more: str = ""
) -> argparse.ArgumentParser:
    """A verb's parser.

    Args:
        verbs: where it is added.
        name: what the user types.
        run: does the work, given the parsed arguments; raises UserError for a mistake in them.
        summary: one line, for the list of verbs.
        more: sentences that only the verb's own help has.
    """
    description = f"{summary[0].upper()}{summary[1:]}. {more}".rstrip()
    parser = verbs.add_parser(name, help=summary, description=description, allow_abbrev=False)
    parser.set_defaults(run=run, parser=parser)
    return parser


def add_config(parser: argparse.ArgumentParser, what: str, required: bool = True) -> None:
    """--config, and with it --config.a.b=value, which `read_overrides` reads."""
    parser.add_argument(
        "--config", required=required, metavar="NAME|FILE.py", help=f"{what}; --config.KEY=VALUE changes a key of it"
    )


def add_experiment(parser: argparse.ArgumentParser, what: str) -> None:
    """--config, or Darknet's files in its place, of which `read_experiment` makes one."""
    add_config(parser, what, required=False)
    files = parser.add_argument_group("Darknet's files", "in place of --config, as `darknet detector train` has them")
    files.add_argument("--cfg", metavar="FILE", help="the network, and how it is trained")
    files.add_argument("--data", metavar="FILE", help="the .data file: names, and the lists of pictures")
    files.add_argument("--weights", metavar="FILE", help="weights to start from, all or the first layers")


def add_network(parser: argparse.ArgumentParser, resizes: Sequence[str]) -> None:
    """The arguments that say which network, and how it gets its pictures; `load_network` reads them."""
    network = parser.add_argument_group("which network", "--workdir, or --cfg and --weights and perhaps --names")
    network.add_argument("--workdir", metavar="DIR", help="what `yolo9000 train` or `yolo9000 convert` left")
    network.add_argument("--cfg", metavar="FILE", help="Darknet's description of a network")
    network.add_argument("--weights", metavar="FILE", help="Darknet's weights of it")
    network.add_argument("--names", metavar="FILE", help="the names of its classes, one a line")
    network.add_argument(
        "--resize", choices=resizes, help="how a picture is brought to the network's size (default: its own way)"
    )


def add_size(parser: argparse.ArgumentParser) -> None:
    """--size of the network's input; `load_network` reads it."""
    what = f"side of the network's input, a multiple of {SIZE_STEP} (default: the network's own)"
    parser.add_argument("--size", type=int, metavar="N", help=what)


def add_hierarchical_threshold(parser: argparse.ArgumentParser, what: str) -> None:
    """--hierarchical-threshold; `hierarchical_threshold` reads it."""
    parser.add_argument(
        "--hierarchical-threshold",
        action="append",
        type=_node_and_share,
        metavar="P|NODE=P",
        help=f"{what}, from 0 to 1 (default: .5); NODE=P, which may be given again and again, is for that node of the "
        "tree and all below it",
    )


def _node_and_share(text: str) -> tuple[str, float]:
    """("canine", 0.8) of "canine=.8", ("*", 0.8) of ".8"."""
    from yolo9000_jax.wordtree.limits import REST

    node, equals, number = text.rpartition("=")
    return (node or REST, share(number)) if equals else (REST, share(text))


def add_class_agnostic(parser: argparse.ArgumentParser) -> None:
    """--class-agnostic, as a detector takes it."""
    what = "of overlapping boxes keep one, whatever their classes (default: one a class)"
    parser.add_argument("--class-agnostic", action="store_true", help=what)


def add_distributed(parser: argparse.ArgumentParser, what: str) -> None:
    """--distributed, which `training.parallel.join` reads."""
    parser.add_argument(
        "--distributed",
        nargs="?",
        const="",
        metavar="HOST:PORT,N,I",
        help=f"one of N hosts that {what}, the I-th from 0; HOST is the first (default: ask the environment)",
    )


def add_json(parser: argparse.ArgumentParser, what: str, mark: str) -> None:
    """--json; `check_json`, `free_stdout` and `write_json`, or `JsonList`, read it.

    Args:
        parser: the verb's.
        what: is written.
        mark: by which an earlier result is known, a regular expression.
    """
    parser.set_defaults(json_mark=mark)
    parser.add_argument("--json", metavar="FILE", help=f"write {what} here (-: on standard output, all else on stderr)")


def check_plot(path: str | None) -> None:
    """Raises UserError for a --plot that could not be drawn or written, before the work for it is done."""
    if path is not None:
        from yolo9000_jax.report.style import check_output

        check_output(path)


def share(text: str) -> float:
    """The type of an argument that is a number from 0 to 1."""
    return _number(text, float, lambda number: 0 <= number <= 1, f"a number from 0 to 1{_percent(text)}")


def _percent(text: str) -> str:
    """ " (did you mean 0.25?)" for "25" or "25%"."""
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        return ""
    return f" (did you mean {number / 100:g}?)" if 2 <= number <= 100 else ""


def above_zero(text: str) -> float:
    """The type of an argument that is a finite number above 0."""
    return _number(text, float, lambda number: 0 < number < math.inf, "a number above 0")


def count(text: str) -> int:
    """The type of an argument that is a whole number, 1 or more."""
    return _number(text, int, lambda number: number >= 1, "a whole number, 1 or more")


def _number(text: str, kind: Callable[[str], Number], fits: Callable[[Number], bool], what: str) -> Number:
    try:
        number = kind(text)
    except ValueError:
        number = None
    if number is None or not fits(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return number


def read_overrides(options: argparse.Namespace) -> dict[str, str]:
    """{"a.b": "value"} of the arguments --config.a.b=value. Raises UserError where an argument is none of these."""
    overrides: dict[str, str] = {}
    for place, argument in enumerate(options.rest):
        key, equals, value = argument.partition("=")
        if not key.startswith("--config."):
            raise UserError(f"{unknown(argument, options.parser)}; keys of the config are written --config.KEY=VALUE")
        if not equals:
            after = options.rest[place + 1 : place + 2]
            value = after[0] if after and not after[0].startswith("--") else "VALUE"
            raise UserError(f"{key}: a key and its value are one argument, without spaces: {key}={value}")
        if key.removeprefix("--config.") in overrides:
            raise UserError(f"{key} is given twice; leave one out")
        overrides[key.removeprefix("--config.")] = value
    return overrides


def read_experiment(options: argparse.Namespace, overrides: dict[str, str]) -> Any:
    """The experiment that `add_experiment` asks for, a ConfigDict with the changes of `read_overrides`."""
    from yolo9000_jax import config

    if options.config and not (options.cfg or options.data or options.weights):
        return config.load(options.config, overrides)
    if options.config or not (options.cfg and options.data):
        raise UserError("say what to train: --config NAME|FILE.py, or Darknet's files: --cfg FILE --data FILE")
    from yolo9000_jax.darknet.recipe import read_recipe

    found = config.override(read_recipe(options.cfg, options.data, options.weights or ""), overrides)
    config.check(found, "--config")
    return found


def unknown(argument: str, parser: argparse.ArgumentParser) -> str:
    """Says that a verb has no such argument, and which one may have been meant."""
    known = [name for action in parser._actions for name in action.option_strings if name.startswith("--")]
    name = argument.partition("=")[0]
    meant = [other for other in OF_OTHERS.get(name.strip("-"), ()) if other in known]
    near = meant or difflib.get_close_matches(name, known, 1, 0.82)
    return f"{argument}: unknown argument" + (f" (did you mean {near[0]}?)" if near else "")


def load_network(options: argparse.Namespace) -> "Detector | Classifier":
    """The detector or classifier that `add_network` and `add_size` ask for, with its size and resize.

    What it runs on is said.
    """
    if options.workdir and not (options.cfg or options.weights or options.names):
        from yolo9000_jax import devices
        from yolo9000_jax.predict.loading import load

        logger.info(f"on {devices.described()}")
        model = load(options.workdir)
    elif options.cfg and options.weights and not options.workdir:
        from yolo9000_jax import devices
        from yolo9000_jax.predict.loading import load_darknet

        logger.info(f"on {devices.described()}")
        model = load_darknet(options.cfg, options.weights, options.names)
    elif options.workdir and options.names and not (options.cfg or options.weights):
        raise UserError("--names goes with --cfg; a workdir knows its classes: leave --names out")
    else:
        raise UserError("say which network: --workdir D, or --cfg F --weights F and perhaps --names F")
    for note in model.notes:
        logger.info(note)
    if (size := getattr(options, "size", None)) is not None:
        check_size(size)
        model.size_wh = (size, size)
    model.resize = options.resize or model.resize
    return model


def check_size(size: int) -> None:
    """Raises UserError where no network has an input of this side in pixels."""
    if size % SIZE_STEP or not SIZE_STEP <= size <= LARGEST_SIZE:
        raise UserError(f"--size {size}: it must be a multiple of {SIZE_STEP}, {LARGEST_SIZE} at most")


def check_folder(flag: str, path: str | None) -> None:
    """Raises UserError where the folder that a flag names cannot be made or written, before the work is done."""
    if path and not is_in_bucket(path):
        place = as_path(path).absolute()
        near = next(each for each in (place, *place.parents) if each.exists())
        if not near.is_dir() or not takes_files(near):
            raise UserError(f"{flag} {path}: cannot be written; name a folder of yours")


def check_report(path: str | None, marks: Mapping[str, str] | None = None) -> None:
    """As `check_folder` of --report, whose folder is new, empty, or holds a page of ours: no user's files beside it.

    marks: of the other files that come with the page, {name: what is found in each of ours}.
    """
    from yolo9000_jax.report.frame import PAGE, PAGE_MARK

    check_folder("--report", path)
    if not path:
        return
    folder = as_path(path)
    for name, mark in {PAGE: PAGE_MARK, **(marks or {})}.items():
        check_earlier_result(folder / name, mark)
    if is_in_bucket(path):
        return
    if folder.is_dir() and not (folder / PAGE).exists() and not all(map(is_system_file, folder.iterdir())):
        raise UserError(f"--report {path}: holds other files, and no page of ours; name a new or an empty folder")


def hierarchical_threshold(options: argparse.Namespace, model: "Detector | Classifier") -> dict[str, Any]:
    """{"hierarchical_threshold": how sure a name in a tree must be}, or {} where it was not given."""
    from yolo9000_jax.wordtree.limits import REST, node_thresholds

    given = options.hierarchical_threshold
    if given is None:
        return {}
    if model.tree is None:
        raise UserError("--hierarchical-threshold: this network's classes form no tree; leave it out")
    if twice := [node for node, count in Counter(node for node, _ in given).items() if count > 1]:
        what = "one number" if twice[0] == REST else f"{twice[0]}=P"
        raise UserError(f"--hierarchical-threshold: {what} is given twice; leave one out")
    node_thresholds(dict(given), model.tree)
    return {"hierarchical_threshold": dict(given)}


def check_json(options: argparse.Namespace) -> None:
    """Raises UserError where --json names a file that cannot be made, or is a user's, before the work is done."""
    path = getattr(options, "json", None)
    if path is None or path == STANDARD_OUTPUT:
        return
    if not path:
        raise UserError("--json is empty: name a file, or - for standard output")
    place = as_path(path)
    if not is_in_bucket(path):
        if place.is_dir() or not place.parent.is_dir():
            raise UserError(f"{path}: cannot be written (its folder must exist); choose another place")
        if not (os.access(place, os.W_OK) if place.exists() else takes_files(place.parent)):
            raise UserError(f"{path}: cannot be written; choose another place")
    check_earlier_result(place, options.json_mark)


@contextmanager
def free_stdout(options: argparse.Namespace) -> Iterator[None]:
    """Where the JSON goes to standard output (`--json -`), whatever else is printed meanwhile goes to stderr."""
    if getattr(options, "json", None) == STANDARD_OUTPUT:
        options.json = sys.stdout
        with redirect_stdout(sys.stderr):
            yield
    else:
        yield


def write_json(target: JsonTarget, value: Any) -> None:
    """Writes the value, if there is a file or stream for it."""
    if target is not None:
        with _writing_json(target):
            file = _opened(target)
            file.write(to_json(value))
            _close(file, target)


class JsonList:
    """A JSON file that grows by an item at a time, and is a whole list, as `write_json` writes it, when it is closed.

    Where the work fails before the first item, the file is not touched. No file or stream: nothing is written.
    """

    def __init__(self, target: JsonTarget):
        self._target = target
        self._file: TextIO | None = None

    def add(self, item: Any) -> None:
        text = textwrap.indent(to_json(item).rstrip("\n"), "  ")
        self._write(f"[\n{text}" if self._file is None else f",\n{text}")

    def __enter__(self) -> "JsonList":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None or self._file is not None:
            self._write("[]\n" if self._file is None else "\n]\n")
        if self._file is not None:
            _close(self._file, self._target)

    def _write(self, text: str) -> None:
        if self._target is not None:
            with _writing_json(self._target):
                self._file = self._file or _opened(self._target)
                self._file.write(text)
                self._file.flush()  # a camera's items can be followed


def _opened(target: str | TextIO) -> TextIO:
    return as_path(target).open("w", encoding="utf-8") if isinstance(target, str) else target


def _close(file: TextIO, target: JsonTarget) -> None:
    if file is not target:
        with _writing_json(str(target)):  # in a bucket it is written now
            file.close()


@contextmanager
def _writing_json(target: str | TextIO) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if not isinstance(target, str):  # as of all that is printed
            raise
        raise UserError(f"{shown(target)}: cannot be written ({error.strerror}); choose another place") from error
