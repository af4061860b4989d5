"""`yolo9000 predict` and `classify`."""

import argparse
import signal
from collections.abc import Generator
from contextlib import closing
from typing import Any

from yolo9000_jax.cli.arguments import (
    JsonList,
    JsonTarget,
    Verbs,
    add_class_agnostic,
    add_hierarchical_threshold,
    add_json,
    add_network,
    add_size,
    add_verb,
    count,
    hierarchical_threshold,
    load_network,
    share,
)
from yolo9000_jax.errors import Stopped, UserError

ITEM = r'\A\[(\]|\n  \{\n    "image": "[^\n]*",\n    '  # how a list of them begins


def add(verbs: Verbs) -> None:
    """Adds the verbs of this module."""
    _add_predict(verbs)
    _add_classify(verbs)


def _add_predict(verbs: Verbs) -> None:
    verb = add_verb(verbs, "predict", predict, "find objects in pictures, folders of pictures, or videos")
    verb.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="pictures, videos, folders of them, lists of them (.txt, a path a line), http(s) or rtsp addresses, or "
        "the number of a camera",
    )
    add_network(verb, ("letterbox", "stretch"))
    add_size(verb)
    verb.add_argument(
        "--threshold", type=share, default=0.25, metavar="P", help="least score, from 0 to 1 (default: .25)"
    )
    verb.add_argument(
        "--nms", type=share, default=0.45, metavar="IOU", help="overlap above which the weaker box goes (default: .45)"
    )
    add_class_agnostic(verb)
    verb.add_argument("--max-detections", type=count, metavar="N", help="the best N of a picture (default: all)")
    add_hierarchical_threshold(verb, "with a tree of classes, how sure a label must be")
    verb.add_argument(
        "--allow",
        metavar="LABELS",
        help="with a tree of classes, the only labels that are possible, each with all below it: a file, a label a "
        "line, or labels with commas between (default: all)",
    )
    add_json(verb, "the detections", rf'{ITEM}"(frame|width|error)": )')
    verb.add_argument("--output", metavar="DIR", help="folder for the pictures with boxes")


def predict(options: argparse.Namespace) -> None:
    """Finds the objects in `inputs`, and draws and writes them where asked to."""
    from yolo9000_jax.predict.detector import Detector
    from yolo9000_jax.predict.files import predict
    from yolo9000_jax.wordtree.limits import read_allowed

    detector = load_network(options)
    if not isinstance(detector, Detector):
        raise UserError("this network is a classifier, it finds no boxes: use `yolo9000 classify`")
    how: dict[str, Any] = {"threshold": options.threshold, "nms": options.nms}
    how |= {"class_agnostic": options.class_agnostic, "max_detections": options.max_detections}
    how |= hierarchical_threshold(options, detector)
    if options.allow is not None:
        if detector.tree is None:
            raise UserError("--allow: this network's classes form no tree; leave it out")
        how["allow"] = read_allowed(options.allow, detector.tree)
    _write_all(predict(detector, options.inputs, output=options.output, **how), options.json)


def _add_classify(verbs: Verbs) -> None:
    verb = add_verb(verbs, "classify", classify, "say what is in pictures or folders of pictures")
    verb.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="pictures, folders of them, lists of them (.txt, a path a line), or http(s) addresses",
    )
    add_network(verb, ("crop", "letterbox", "stretch"))
    verb.add_argument("--top", type=count, default=5, metavar="N", help="how many classes a picture (default: 5)")
    add_json(verb, "the classes", rf'{ITEM}"(top|error)": )')


def classify(options: argparse.Namespace) -> None:
    """Names the likeliest classes of `inputs`, and writes them where asked to."""
    from yolo9000_jax.predict.classifier import Classifier
    from yolo9000_jax.predict.files import classify

    classifier = load_network(options)
    if not isinstance(classifier, Classifier):
        raise UserError("this network is a detector: use `yolo9000 predict`")
    _write_all(classify(classifier, options.inputs, top=options.top), options.json)


def _write_all(found: Generator[dict[str, Any], None, None], target: JsonTarget) -> None:
    """Writes each item as it is found, and of work that is stopped what there is.

    Raises:
        UserError: an input could not be read, or the file cannot be written.
        Stopped: by SIGTERM.
    """
    from yolo9000_jax.predict.files import Failures
    from yolo9000_jax.training.preemption import handle_signals

    failures = Failures()
    with handle_signals() as stop, closing(found), JsonList(target) as items:
        try:
            for number, item in enumerate(found):
                failures.add(item)
                with stop.deferred():
                    items.add(item)
                stop.check(number)
        except KeyboardInterrupt:
            if stop.number != signal.SIGTERM:
                raise
            found_so_far = f"; {target} has what was found" if isinstance(target, str) else ""
            raise Stopped(f"stopped{found_so_far}", stop.number) from None
    if (summary := failures.summary()) is not None:
        raise UserError(summary)
