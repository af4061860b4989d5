"""`yolo9000 evaluate` and `benchmark`."""

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from yolo9000_jax.cli.arguments import (
    SOURCES,
    Verbs,
    add_class_agnostic,
    add_distributed,
    add_hierarchical_threshold,
    add_json,
    add_network,
    add_size,
    add_verb,
    check_folder,
    check_plot,
    check_report,
    hierarchical_threshold,
    load_network,
    write_json,
)
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import check_earlier_result
from yolo9000_jax.logs import logger
from yolo9000_jax.places import as_path, is_in_bucket

if TYPE_CHECKING:
    from yolo9000_jax.evaluation import Evaluation
    from yolo9000_jax.predict.classifier import Classifier
    from yolo9000_jax.predict.detector import Detector

OFFICIAL_MARKS = {
    "coco_results": r'\A\[(\]|\{"image_id": [^\n]*"score": )',
    "coco_truth": r'\A\{\n  "info": \{\n    "description": "written by yolo9000 ',
}
TOLD = ("score_threshold", "nms_threshold", "hierarchical_threshold", "class_agnostic", "iou_rule")  # on the page
SPLIT = "default: the one it was evaluated on in training; with --cfg all"


def add(verbs: Verbs) -> None:
    """Adds the verbs of this module."""
    _add_evaluate(verbs)
    _add_benchmark(verbs)


def _add_evaluate(verbs: Verbs) -> None:
    verb = add_verb(verbs, "evaluate", evaluate, "measure a trained detector or classifier on a data set")
    add_network(verb, ("letterbox", "stretch", "crop"))
    verb.add_argument("--dataset", metavar="SOURCE", help=f"{SOURCES} (default: as in training)")
    verb.add_argument("--split", metavar="NAME", help=SPLIT)
    add_size(verb)
    add_class_agnostic(verb)
    add_hierarchical_threshold(verb, "of a detector with a tree, how sure the report's names must be")
    verb.add_argument(
        "--iou-rule",
        choices=("voc", "ilsvrc"),
        help="ilsvrc: also the average precision by the rule of ImageNet's detection task (default: as in training)",
    )
    add_json(verb, "the metrics", r'\A\{\n  "(voc_ap50|top1)": ')
    verb.add_argument("--report", metavar="DIR", help="folder for a page of the numbers, curves, mistakes and pictures")
    official = verb.add_argument_group("files for the official tools and servers, of a detector")
    official.add_argument("--coco-results", metavar="FILE", help="all detections, as COCO takes them")
    official.add_argument("--coco-truth", metavar="FILE", help="the truth as a COCO file, with the same ids")
    official.add_argument("--voc-results", metavar="DIR", help="folder for a file a class, as VOC takes them")
    add_distributed(verb, "share the pictures")


def evaluate(options: argparse.Namespace) -> None:
    """Prints the metrics of a network on a data set; of several hosts the first does."""
    import jax

    from yolo9000_jax import hosts
    from yolo9000_jax.evaluation import evaluate as evaluate_model
    from yolo9000_jax.training import parallel

    if options.distributed is not None:
        parallel.join(options.distributed)
    _check_outputs(options)
    model, dataset, given = hosts.on_all(lambda: _prepare(options))
    parallel.check_same([dataset.fingerprint(), given], "the data set, or how it is evaluated,")
    model.devices = jax.local_devices()
    result = evaluate_model(model, dataset, **given)
    if parallel.is_first():
        _show(options, result, given)
    hosts.meet()  # or else the others give up while it writes


def _show(options: argparse.Namespace, result: "Evaluation", given: dict[str, Any]) -> None:
    """Prints the metrics, and writes what is asked for; `given` is what it was evaluated with."""
    if result.voc is None:
        _print_classification(result.metrics)
    else:
        _print_detection(result.metrics)
    write_json(options.json, result.metrics)
    if options.report:
        from yolo9000_jax.report.evaluation import write_report

        facts = {name.replace("_", " "): value for name, value in given.items() if name in TOLD}
        workdir = as_path(options.workdir) if options.workdir else None
        write_report(as_path(options.report), result, workdir=workdir, facts=facts)
    _write_official(options, result)


def _check_outputs(options: argparse.Namespace) -> None:
    """Raises UserError for a place that cannot be written, before the work for it is done."""
    check_folder("--voc-results", options.voc_results)
    if options.report:
        from yolo9000_jax.report.evaluation import METRICS
        from yolo9000_jax.report.found import FOUND, FOUND_MARK
        from yolo9000_jax.workdir.facts import FACTS, REPORT

        folder = as_path(options.report)
        if folder.name == REPORT and (folder.parent / FACTS).is_file():
            raise UserError(f"--report {options.report}: is what its training reports to; name another folder")
        check_report(options.report, {METRICS: options.json_mark, FOUND: FOUND_MARK})
    for name, mark in OFFICIAL_MARKS.items():
        path = getattr(options, name)
        if path and is_in_bucket(path):
            check_earlier_result(as_path(path), mark)
        elif path:
            place = as_path(path).absolute()
            near = next(each for each in place.parents if each.exists())
            if not near.is_dir() or not os.access(near, os.W_OK) or place.is_dir():
                flag = f"--{name.replace('_', '-')}"
                raise UserError(f"{flag} {path}: cannot be written; name a file of yours")
            check_earlier_result(place, mark)


def _write_official(options: argparse.Namespace, result: "Evaluation") -> None:
    """Writes the files that COCO's and VOC's tools and servers take."""
    from yolo9000_jax.report import results_files

    if result.compared is None:
        return
    if options.coco_results:
        results_files.write_coco_results(as_path(options.coco_results), result.compared)
    if options.coco_truth:
        results_files.write_coco_truth(as_path(options.coco_truth), result.compared, result.class_names)
    if options.voc_results:
        results_files.write_voc_results(as_path(options.voc_results), result.compared, result.class_names)


def _prepare(options: argparse.Namespace) -> tuple["Detector | Classifier", Any, dict[str, Any]]:
    """The network, the data set, and the arguments to evaluate it with."""
    from yolo9000_jax.labels import match_classes
    from yolo9000_jax.predict.classifier import Classifier
    from yolo9000_jax.report.results_files import check_voc_names
    from yolo9000_jax.workdir.facts import load_facts

    model, settings = load_network(options), _settings(options)
    if isinstance(model, Classifier) and options.hierarchical_threshold is not None:
        why = "the evaluation of a classifier with a tree takes .1, .2, … .9 in turn, without one there is none"
        raise UserError(f"--hierarchical-threshold is for detectors: {why}; leave it out")
    if isinstance(model, Classifier) and options.iou_rule is not None:
        raise UserError("--iou-rule is for detectors, and this network is a classifier: leave it out")
    official = [name for name in ("coco_results", "coco_truth", "voc_results") if getattr(options, name)]
    if isinstance(model, Classifier) and official:
        flag = f"--{official[0].replace('_', '-')}"
        raise UserError(f"{flag} is for detectors, and this network is a classifier: leave it out")
    if isinstance(model, Classifier) and options.class_agnostic:
        raise UserError("--class-agnostic is for detectors, and this network is a classifier: leave it out")
    dataset = _evaluation_set(options, model, settings)
    if isinstance(model, Classifier):
        return model, dataset, {}
    if options.voc_results:
        matches = match_classes(dataset.classes, model.classes, dataset.synsets, model.synsets)
        shared = [name for name, match in zip(dataset.classes, matches, strict=True) if match is not None]
        check_voc_names(dataset, shared)
    given: dict[str, Any] = {
        "batch_size": settings.evaluation.batch_size,
        "score_threshold": settings.evaluation.score_threshold,
        "nms_threshold": settings.evaluation.nms_threshold,
        "class_agnostic": options.class_agnostic,
        "iou_rule": options.iou_rule or settings.evaluation.iou_rule,
        "seen": load_facts(as_path(options.workdir)).network.seen if options.workdir else None,
    }
    return model, dataset, given | hierarchical_threshold(options, model)


def _settings(options: argparse.Namespace) -> Any:
    """The config of the workdir's run; the defaults where there is none, as of a converted network."""
    from yolo9000_jax import config

    path = as_path(options.workdir) / "config.json" if options.workdir else None
    return config.read(path) if path is not None and path.is_file() else config.detection()


def _evaluation_set(options: argparse.Namespace, model: "Detector | Classifier", settings: Any) -> Any:
    """The data set of --dataset and --split, or the one that the workdir's run was evaluated on."""
    from yolo9000_jax.data.sources import open_source
    from yolo9000_jax.tasks.trees import by_number

    source = options.dataset or settings.evaluation.source or settings.data.source
    if not source:
        raise UserError("say what to evaluate it on: --dataset SOURCE, such as voc:DIR")
    split = options.split or (settings.evaluation.split if settings.data.source else "all")
    classes = None if options.dataset else settings.evaluation.classes or None
    if settings.data.source and model.tree is None:
        classes = model.classes  # it was trained here: other classes are left out
    dataset = open_source(source, split, classes, learnt=classes is model.classes)
    dataset = by_number(dataset, model.tree, settings)
    for note in dataset.notes:
        logger.info(note)
    return dataset


def _print_classification(metrics: dict[str, Any]) -> None:
    from yolo9000_jax.report.diagnosis import severity_line

    for key in ("top1", "top5"):
        print(f"{key} {'-' if metrics[key] is None else format(metrics[key], '.4f')}")
    print(f"images {metrics['images']}")
    for threshold, answer in metrics.get("stopping", {}).items():
        right, depth = ("-" if answer[key] is None else format(answer[key], ".4f") for key in ("correct", "depth"))
        print(f"  going down while at least {threshold} sure: {right} right, {depth} of the way to the label")
    if "severity" in metrics:
        print(f"best leaves: {severity_line(metrics['severity'])}")


def _print_detection(metrics: dict[str, Any]) -> None:
    from yolo9000_jax.report.diagnosis import diagnosis

    scores = [name for name in ("voc_ap50", "ilsvrc_ap", "coco_ap") if name in metrics]
    divided = [f"{name}_{kind}" for name in scores for kind in ("seen", "unseen")]
    coco = [name for name in metrics if name.startswith(("coco_ap", "coco_ar")) and "seen" not in name]
    for key in ("voc_ap50", "voc07_ap50", "recall50", *scores[1:-1], *coco, *divided):
        if key in metrics:
            print(f"{key} {_number(metrics[key])}" + (", whatever the class" if key == "recall50" else ""))
    print(f"each class: {', '.join(scores)}")
    for name, numbers in metrics["per_class"].items():
        print(f"  {name:<20} {_numbers(numbers, scores)}  ({numbers['truths']} objects)")
    for line in diagnosis(metrics):
        print(line)
    if metrics.get("subtrees"):
        print(f"mean of the classes below each node of the tree: {', '.join(scores)}")
    for node in metrics.get("subtrees", ()):
        print(f"  {'  ' * node['level'] + node['name']:<28} {_numbers(node, scores)}  ({node['classes']} classes)")
    for rule, numbers in metrics.get("seen_rules", {}).items():
        _print_rule(rule, numbers, scores)


def _print_rule(rule: str, numbers: dict[str, Any], scores: Sequence[str]) -> None:
    """The classes with and without boxes by one rule."""
    from yolo9000_jax.evaluation.seen import RULES

    print(f"seen by the rule {rule!r} ({RULES[rule]}), mean {', '.join(scores)}:")
    for kind in ("seen", "unseen"):
        names = numbers[f"{kind}_classes"]
        values = " ".join(_number(numbers[f"{name}_{kind}"]) for name in scores)
        print(f"  {kind} {values}  ({len(names)} classes: {', '.join(names)})")


def _numbers(values: dict[str, Any], names: Sequence[str]) -> str:
    return " ".join(_number(values[name]) for name in names)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _add_benchmark(verbs: Verbs) -> None:
    verb = add_verb(verbs, "benchmark", benchmark, "frames a second, and mAP, at several sizes (the paper's table 3)")
    add_network(verb, ("letterbox", "stretch"))
    verb.add_argument(
        "--sizes", default="288,352,416,480,544", metavar="N,N,…", help="multiples of 32 (default: %(default)s)"
    )
    verb.add_argument("--dataset", metavar="SOURCE", help=f"to measure mAP on: {SOURCES} (default: speed only)")
    verb.add_argument("--split", metavar="NAME", help=SPLIT)
    verb.add_argument("--batch-size", type=int, default=1, metavar="N", help="pictures at once (default: 1)")
    add_json(verb, "the numbers", r'\A\{\n  "machine": ')
    verb.add_argument(
        "--plot", metavar="FILE", help="picture of mAP against speed (the paper's figure 4); of speed without data"
    )


def benchmark(options: argparse.Namespace) -> None:
    """Prints how fast a detector is at several sizes, and how right."""
    from yolo9000_jax.evaluation import speed
    from yolo9000_jax.predict.detector import Detector
    from yolo9000_jax.report.speed import speed_curves, speed_table

    sizes = speed.read_sizes(options.sizes)
    check_plot(options.plot)
    detector, dataset = load_network(options), None
    if not isinstance(detector, Detector):
        raise UserError("this network is a classifier, it finds no boxes: benchmark is for detectors")
    settings = _settings(options)
    if options.dataset:
        dataset = _evaluation_set(options, detector, settings)
    result = speed.benchmark(
        detector,
        sizes,
        dataset,
        batch_size=options.batch_size,
        score_threshold=settings.evaluation.score_threshold,
        nms_threshold=settings.evaluation.nms_threshold,
    )
    print(speed_table(result).text())
    write_json(options.json, result)
    if options.plot:
        from yolo9000_jax.report.comparisons import plot_accuracy_speed

        plot_accuracy_speed(*speed_curves(result), options.plot)
        print(f"plot in {options.plot}")
