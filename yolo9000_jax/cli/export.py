"""`yolo9000 export`: a trained network as a file for other programs."""

import argparse

from yolo9000_jax.cli.arguments import (
    Verbs,
    add_class_agnostic,
    add_hierarchical_threshold,
    add_network,
    add_size,
    add_verb,
    count,
    hierarchical_threshold,
    load_network,
    share,
)
from yolo9000_jax.errors import UserError

READING = ("threshold", "nms", "max_detections", "class_agnostic")


def add(verbs: Verbs) -> None:
    """Adds the verb of this module."""
    verb = add_verb(
        verbs,
        "export",
        export,
        "write a network as a file for other programs",
        "What a detector's boxes go through, suppression included, is in the file: docs/export.md.",
    )
    add_network(verb, ("crop", "letterbox", "stretch"))
    add_size(verb)
    verb.add_argument("--format", required=True, metavar="FORMAT", help="stablehlo, savedmodel, tflite or onnx")
    verb.add_argument("--output", required=True, metavar="FILE", help="where to write it; a new folder of savedmodel")
    verb.add_argument(
        "--threshold", type=share, metavar="P", help="of a detector, least score, from 0 to 1 (default: .25)"
    )
    verb.add_argument("--nms", type=share, metavar="IOU", help="overlap above which the weaker box goes (default: .45)")
    add_class_agnostic(verb)
    verb.add_argument("--max-detections", type=count, metavar="N", help="the best N of a picture (default: 100)")
    add_hierarchical_threshold(verb, "with a tree of classes, how sure a label must be")
    verb.add_argument("--int8", action="store_true", help="of tflite: convolutions in int8, a quarter of the size")


def export(options: argparse.Namespace) -> None:
    """Writes the file, and says so."""
    from yolo9000_jax.export.save import check_target, save
    from yolo9000_jax.places import as_path
    from yolo9000_jax.predict.classifier import Classifier

    check_target(as_path(options.output), options.format)
    network = load_network(options)
    given = {name: getattr(options, name) for name in READING}
    given = {name: value for name, value in given.items() if value is not None and value is not False}
    given |= hierarchical_threshold(options, network)
    if given and isinstance(network, Classifier):
        raise UserError(f"--{next(iter(given)).replace('_', '-')}: this network is a classifier, it finds no boxes")
    save(network, options.output, options.format, int8=options.int8, **given)
    print(f"written: {options.output}")
