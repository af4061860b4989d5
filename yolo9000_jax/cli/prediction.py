"""`yolo9000 predict` and `classify`."""

import argparse

from yolo9000_jax.cli.arguments import (
    Verbs,
    add_hierarchical_threshold,
    add_json,
    add_network,
    add_size,
    add_verb,
    hierarchical_threshold,
    load_network,
    share,
    write_json,
)
from yolo9000_jax.errors import UserError


def add(verbs: Verbs) -> None:
    """Adds the verbs of this module."""
    _add_predict(verbs)
    _add_classify(verbs)


def _add_predict(verbs: Verbs) -> None:
    verb = add_verb(verbs, "predict", predict, "find objects in pictures, folders of pictures, or videos")
    verb.add_argument(
        "inputs", nargs="+", metavar="IMAGE|FOLDER|VIDEO", help="files and folders; an IMAGE may be an http(s) address"
    )
    add_network(verb, ("letterbox", "stretch"))
    add_size(verb)
    verb.add_argument(
        "--threshold", type=share, default=0.25, metavar="P", help="least score, from 0 to 1 (default: .25)"
    )
    verb.add_argument(
        "--nms", type=share, default=0.45, metavar="IOU", help="overlap above which the weaker box goes (default: .45)"
    )
    add_hierarchical_threshold(verb, "with a tree of classes, how sure a label must be")
    add_json(verb, "the detections")
    verb.add_argument("--output", metavar="DIR", help="folder for the pictures with boxes")


def predict(options: argparse.Namespace) -> None:
    """Finds the objects in `inputs`, and draws and writes them where asked to."""
    from yolo9000_jax.predict.detector import Detector
    from yolo9000_jax.predict.files import predict

    detector = load_network(options)
    if not isinstance(detector, Detector):
        raise UserError("this network is a classifier, it finds no boxes: use `yolo9000 classify`")
    thresholds = {"threshold": options.threshold, "nms": options.nms} | hierarchical_threshold(options, detector)
    items = predict(detector, options.inputs, output=options.output, **thresholds)
    write_json(options.json, items)


def _add_classify(verbs: Verbs) -> None:
    verb = add_verb(verbs, "classify", classify, "say what is in pictures or folders of pictures")
    verb.add_argument(
        "inputs", nargs="+", metavar="IMAGE|FOLDER", help="files and folders; an IMAGE may be an http(s) address"
    )
    add_network(verb, ("crop", "letterbox", "stretch"))
    verb.add_argument("--top", type=int, default=5, metavar="N", help="how many classes a picture (default: 5)")
    add_json(verb, "the classes")


def classify(options: argparse.Namespace) -> None:
    """Names the likeliest classes of `inputs`, and writes them where asked to."""
    from yolo9000_jax.predict.classifier import Classifier
    from yolo9000_jax.predict.files import classify

    classifier = load_network(options)
    if not isinstance(classifier, Classifier):
        raise UserError("this network is a detector: use `yolo9000 predict`")
    write_json(options.json, classify(classifier, options.inputs, top=options.top))
