"""`yolo9000 VERB …`: each verb parses, calls one library function, prints."""

import argparse
import json
import os
import sys
from pathlib import Path

from yolo9000_jax.errors import UserError


def main(arguments: list[str] | None = None) -> int:
    """Runs one verb; returns the exit status: 0, or 1 after one line that says what is wrong and what to do."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and options.verb != "train":
        parser.error(f"unknown argument {rest[0]}")
    try:
        _set_environment()
        options.run(options, rest) if options.verb == "train" else options.run(options)
    except UserError as error:
        print(f"yolo9000: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("yolo9000: stopped", file=sys.stderr)
        return 1
    return 0


def _set_environment() -> None:
    """Compiled programs are kept between runs, unless JAX_COMPILATION_CACHE_DIR says where; TensorFlow says nothing."""
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # it announces them on stderr, where only mistakes belong
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(home / "yolo9000_jax" / "xla")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="yolo9000", description="YOLOv2 and YOLO9000: train, evaluate, predict.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    demo = verbs.add_parser("demo", help="train a small detector here, now, and look at what it finds")
    demo.add_argument("--workdir", default="demo", help="where the results go (default: demo)")
    demo.add_argument("--minutes", type=float, default=8.0, help="minutes of training (default: 8)")
    demo.set_defaults(run=_demo)

    train = verbs.add_parser("train", help="train what a config describes, or carry on", allow_abbrev=False)
    train.add_argument("--config", required=True, help="FILE.py or FILE.py:ROW; change a key with --config.a.b=value")
    train.add_argument("--workdir", required=True, help="the same workdir carries on where the run stopped")
    train.set_defaults(run=_train)

    evaluate = verbs.add_parser("evaluate", help="measure a trained detector or classifier on a data set")
    _add_model(evaluate, ("letterbox", "stretch", "crop"))
    evaluate.add_argument("--dataset", help="SOURCE; default: the one it was evaluated on in training")
    evaluate.add_argument("--split", help="default: the one it was evaluated on in training; with --cfg all")
    evaluate.add_argument("--size", type=int, help="side of the network's input, a multiple of 32")
    evaluate.add_argument("--json", help="write the metrics here")
    evaluate.add_argument("--report", help="folder for the precision/recall plot and the pictures")
    evaluate.set_defaults(run=_evaluate)

    predict = verbs.add_parser("predict", help="find objects in pictures, folders of pictures, or videos")
    predict.add_argument("inputs", nargs="+", metavar="IMAGE|FOLDER|VIDEO")
    _add_model(predict, ("letterbox", "stretch"))
    predict.add_argument("--size", type=int, help="side of the network's input, a multiple of 32")
    predict.add_argument("--threshold", type=float, default=0.25, help="least score (default: .25)")
    predict.add_argument("--nms", type=float, default=0.45, help="IoU above which the weaker box goes (default: .45)")
    predict.add_argument(
        "--hierarchical-threshold", type=float, help="with a tree of classes, how sure a label must be (default: .5)"
    )
    predict.add_argument("--json", help="write the detections here")
    predict.add_argument("--output", help="folder for the pictures with boxes")
    predict.set_defaults(run=_predict)

    classify = verbs.add_parser("classify", help="say what is in pictures or folders of pictures")
    classify.add_argument("inputs", nargs="+", metavar="IMAGE|FOLDER")
    _add_model(classify, ("crop", "letterbox", "stretch"))
    classify.add_argument("--top", type=int, default=5, help="how many classes a picture (default: 5)")
    classify.add_argument("--json", help="write the classes here")
    classify.set_defaults(run=_classify)

    anchors = verbs.add_parser("anchors", help="choose priors by k-means on a data set's boxes")
    anchors.add_argument("--dataset", required=True, help="SOURCE")
    anchors.add_argument("--split", default="train")
    anchors.add_argument("-k", type=int, default=5, help="how many (default: 5)")
    anchors.add_argument("--size", type=int, default=416, help="side of the network's input (default: 416)")
    anchors.add_argument("--json", help="write the priors here")
    anchors.add_argument("--plot", help="picture of average IoU against k (the paper's figure 2)")
    anchors.set_defaults(run=_anchors)

    convert = verbs.add_parser("convert", help="Darknet's files to a workdir (with --cfg), or a workdir to them")
    convert.add_argument("--cfg", help="Darknet's network, to be made a workdir")
    convert.add_argument("--weights", required=True, help="its weights; without --cfg, where to write them")
    convert.add_argument("--workdir", required=True, help="the folder to make; without --cfg, the one to read")
    convert.add_argument("--names", help="the names of the network's classes, one a line")
    convert.set_defaults(run=_convert)

    check = verbs.add_parser("check", help="read a whole data set and say what is in it and what is wrong")
    check.add_argument("--dataset", required=True, help="SOURCE")
    check.add_argument("--split", default="all")
    check.set_defaults(run=_check)
    return parser


def _add_model(verb, resizes: tuple[str, ...]) -> None:
    """The arguments that say which network, and how it gets its pictures."""
    verb.add_argument("--workdir", help="a workdir of `yolo9000 train`; or else:")
    verb.add_argument("--cfg", help="Darknet's description of a network")
    verb.add_argument("--weights", help="Darknet's weights of it")
    verb.add_argument("--names", help="the names of its classes, one a line")
    verb.add_argument("--resize", choices=resizes, help="how a picture is brought to the network's size")


def _demo(options) -> None:
    from yolo9000_jax.demo import demo

    demo(Path(options.workdir), options.minutes)


def _train(options, rest: list[str]) -> None:
    from yolo9000_jax import config
    from yolo9000_jax.train import train

    overrides = {}
    for argument in rest:
        key, equals, value = argument.partition("=")
        if not key.startswith("--config.") or not equals:
            raise UserError(f"{argument}: unknown argument; config keys are changed with --config.a.b=value")
        overrides[key.removeprefix("--config.")] = value
    train(config.load(options.config, overrides), options.workdir)


def _load(options):
    """The detector or classifier, at the size and with the resize asked for."""
    if options.workdir and not (options.cfg or options.weights or options.names):
        from yolo9000_jax.detector import load

        model = load(options.workdir)
    elif options.cfg and options.weights and not options.workdir:
        from yolo9000_jax.darknet.load import load_darknet

        model = load_darknet(options.cfg, options.weights, options.names)
    else:
        raise UserError("say which network: --workdir D, or --cfg F --weights F and perhaps --names F")
    for note in model.notes:
        print(note)
    if (size := getattr(options, "size", None)) is not None:
        if size < 32 or size % 32:
            raise UserError(f"--size {size}: it must be a multiple of 32")
        model.size_wh = (size, size)
    model.resize = options.resize or model.resize
    return model


def _evaluate(options) -> None:
    from yolo9000_jax import config
    from yolo9000_jax.classifier import Classifier
    from yolo9000_jax.data.sources import open_source
    from yolo9000_jax.evaluation import classification, detection

    model = _load(options)
    settings = config.read(Path(options.workdir) / "config.json") if options.workdir else config.detection()
    source = options.dataset or settings.evaluation.source or settings.data.source
    if not source:
        raise UserError("say what to evaluate it on: --dataset SOURCE, such as voc:DIR")
    trained_here = bool(settings.data.source)  # then a class that it lacks is a mistake in the labels
    split = options.split or (settings.evaluation.split if options.workdir else "all")
    dataset = open_source(source, split, model.classes if trained_here else None)
    for note in dataset.notes:
        print(note)
    if isinstance(model, Classifier):
        if options.report:
            raise UserError("--report is for detectors; a classifier's numbers for each class are in --json FILE")
        metrics = classification.evaluate(model, dataset, say=print)
        print("".join(f"{key} {metrics[key]:.4f}\n" for key in ("top1", "top5")) + f"images {metrics['images']}")
    else:
        metrics = detection.evaluate(
            model,
            dataset,
            batch_size=settings.evaluation.batch_size,
            score_threshold=settings.evaluation.score_threshold,
            nms_threshold=settings.evaluation.nms_threshold,
            report=Path(options.report) if options.report else None,
            say=print,
        )
        _print_detection(metrics)
    _write_json(options.json, metrics)


def _print_detection(metrics: dict) -> None:
    for key in ("voc_ap50", "voc07_ap50", "recall50"):
        print(f"{key} {metrics[key]:.4f}" if metrics[key] is not None else f"{key} -")
    for name, numbers in metrics["per_class"].items():
        value = numbers["voc_ap50"]
        print(f"  {name:<20} {'-' if value is None else format(value, '.4f')}  ({numbers['truths']} objects)")


def _predict(options) -> None:
    from yolo9000_jax.detector import Detector
    from yolo9000_jax.predict import predict

    detector = _load(options)
    if not isinstance(detector, Detector):
        raise UserError("this network is a classifier, it finds no boxes: use `yolo9000 classify`")
    thresholds = {"threshold": options.threshold, "nms": options.nms}
    if options.hierarchical_threshold is not None:
        if detector.tree is None:
            raise UserError("--hierarchical-threshold: this network's classes form no tree; leave it out")
        thresholds["hierarchical_threshold"] = options.hierarchical_threshold
    items = predict(detector, options.inputs, output=options.output, say=print, **thresholds)
    _write_json(options.json, items)


def _classify(options) -> None:
    from yolo9000_jax.classifier import Classifier, classify

    classifier = _load(options)
    if not isinstance(classifier, Classifier):
        raise UserError("this network is a detector: use `yolo9000 predict`")
    _write_json(options.json, classify(classifier, options.inputs, top=options.top, say=print))


def _convert(options) -> None:
    from yolo9000_jax.darknet.convert import from_workdir, to_workdir

    if options.cfg:
        to_workdir(options.cfg, options.weights, options.workdir, options.names)
        print(f"workdir {options.workdir}")
    elif options.names:
        raise UserError("--names goes with --cfg; a workdir knows its classes")
    else:
        print("written: " + ", ".join(str(path) for path in from_workdir(options.workdir, options.weights)))


def _anchors(options) -> None:
    from yolo9000_jax.data.sources import open_source
    from yolo9000_jax.priors import kmeans_priors, to_cells
    from yolo9000_jax.tasks import shapes

    boxes_wh = shapes(open_source(options.dataset, options.split))
    priors = kmeans_priors(boxes_wh, options.k)
    cells = to_cells(priors.anchors, options.size)
    anchors = [[round(float(w), 4), round(float(h), 4)] for w, h in cells]
    print(f"{options.k} priors for {len(boxes_wh)} boxes, average IoU {priors.average_iou:.4f}")
    print(f"anchors_cells at {options.size}: " + ", ".join(f"({w}, {h})" for w, h in anchors))
    _write_json(
        options.json,
        {"anchors_cells": anchors, "image_size": options.size, "average_iou": round(priors.average_iou, 6)},
    )
    if options.plot:
        from yolo9000_jax.report.plots import plot_anchors

        counts = range(1, min(15, len(boxes_wh)) + 1)
        plot_anchors({k: kmeans_priors(boxes_wh, k).average_iou for k in counts}, options.plot)
        print(f"plot in {options.plot}")


def _check(options) -> None:
    from yolo9000_jax.data.check import check
    from yolo9000_jax.data.sources import open_source

    report = check(open_source(options.dataset, options.split))
    print(report)
    if report.broken:
        raise UserError(f"{options.dataset}: {len(report.broken)} pictures cannot be read; they are named above")


def _write_json(path: str | None, value) -> None:
    if path:
        try:
            Path(path).write_text(json.dumps(value, indent=2) + "\n")
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
