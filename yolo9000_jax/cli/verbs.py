"""What each verb of `yolo9000` does: one library call, and what it prints."""

import json
from pathlib import Path

from yolo9000_jax.errors import UserError


def demo(options) -> None:
    from yolo9000_jax.demo import demo

    demo(Path(options.workdir), options.minutes)


def train(options, rest: list[str]) -> None:
    from yolo9000_jax import config
    from yolo9000_jax.training import parallel
    from yolo9000_jax.training.loop import train

    if options.distributed is not None:
        parallel.join(options.distributed)
    train(config.load(options.config, _overrides(rest)), options.workdir)


def ablation(options, rest: list[str]) -> None:
    from yolo9000_jax.training.ablation import ablation

    ablation(
        options.config,
        options.workdir,
        rows=options.rows.split(",") if options.rows else None,
        seeds=options.seeds,
        overrides=_overrides(rest),
        stages=options.stages,
        only_show=options.show,
    )


def _overrides(rest: list[str]) -> dict[str, str]:
    """{"a.b": "value"} of the arguments --config.a.b=value."""
    overrides = {}
    for argument in rest:
        key, equals, value = argument.partition("=")
        if not key.startswith("--config.") or not equals:
            raise UserError(f"{argument}: unknown argument; config keys are changed with --config.a.b=value")
        overrides[key.removeprefix("--config.")] = value
    return overrides


def _load(options):
    """The detector or classifier, at the size and with the resize asked for."""
    if options.workdir and not (options.cfg or options.weights or options.names):
        from yolo9000_jax.predict.detector import load

        model = load(options.workdir)
    elif options.cfg and options.weights and not options.workdir:
        from yolo9000_jax.predict.darknet import load_darknet

        model = load_darknet(options.cfg, options.weights, options.names)
    else:
        raise UserError("say which network: --workdir D, or --cfg F --weights F and perhaps --names F")
    for note in model.notes:
        print(note)
    if (size := getattr(options, "size", None)) is not None:
        if size % 32 or not 32 <= size <= 4096:
            raise UserError(f"--size {size}: it must be a multiple of 32, 4096 at most")
        model.size_wh = (size, size)
    model.resize = options.resize or model.resize
    return model


def evaluate(options) -> None:
    from yolo9000_jax import evaluation
    from yolo9000_jax.predict.classifier import Classifier
    from yolo9000_jax.report.evaluation import write_report
    from yolo9000_jax.tasks.trees import load_seen

    model, settings = _load(options), _settings(options)
    dataset = _evaluation_set(options, model, settings)
    if isinstance(model, Classifier):
        result = evaluation.evaluate(model, dataset)
        _print_classification(result.metrics)
    else:
        result = evaluation.evaluate(
            model,
            dataset,
            batch_size=settings.evaluation.batch_size,
            score_threshold=settings.evaluation.score_threshold,
            nms_threshold=settings.evaluation.nms_threshold,
            **_hierarchical(options, model),
            seen=load_seen(Path(options.workdir)) if options.workdir else None,
        )
        _print_detection(result.metrics)
    _write_json(options.json, result.metrics)
    if options.report:
        write_report(Path(options.report), result)


def _hierarchical(options, model) -> dict:
    """The threshold for going down a tree, if it was given."""
    if options.hierarchical_threshold is None:
        return {}
    if model.tree is None:
        raise UserError("--hierarchical-threshold: this network's classes form no tree; leave it out")
    return {"hierarchical_threshold": options.hierarchical_threshold}


def _settings(options):
    """The config of the workdir; the defaults without one."""
    from yolo9000_jax import config

    return config.read(Path(options.workdir) / "config.json") if options.workdir else config.detection()


def _evaluation_set(options, model, settings):
    """The data set of --dataset and --split, or the one that the workdir's run was evaluated on."""
    from yolo9000_jax.data.sources import open_source

    source = options.dataset or settings.evaluation.source or settings.data.source
    if not source:
        raise UserError("say what to evaluate it on: --dataset SOURCE, such as voc:DIR")
    split = options.split or (settings.evaluation.split if options.workdir else "all")
    classes = None if options.dataset else settings.evaluation.classes or None
    if settings.data.source and model.tree is None:
        classes = model.classes  # it was trained here: a class that it lacks is a mistake in the labels
    dataset = open_source(source, split, classes)
    for note in dataset.notes:
        print(note)
    return dataset


def _print_classification(metrics: dict) -> None:
    print("".join(f"{key} {metrics[key]:.4f}\n" for key in ("top1", "top5")) + f"images {metrics['images']}")
    for threshold, answer in metrics.get("stopping", {}).items():
        right, depth = ("-" if answer[key] is None else format(answer[key], ".4f") for key in ("correct", "depth"))
        print(f"  going down while at least {threshold} sure: {right} right, {depth} of the way to the label")


def _print_detection(metrics: dict) -> None:
    for key in ("voc_ap50", "voc07_ap50", "recall50", "voc_ap50_seen", "voc_ap50_unseen"):
        if key in metrics:
            print(f"{key} {metrics[key]:.4f}" if metrics[key] is not None else f"{key} -")
    for name, numbers in metrics["per_class"].items():
        value = numbers["voc_ap50"]
        print(f"  {name:<20} {'-' if value is None else format(value, '.4f')}  ({numbers['truths']} objects)")


def predict(options) -> None:
    from yolo9000_jax.predict.detector import Detector
    from yolo9000_jax.predict.files import predict

    detector = _load(options)
    if not isinstance(detector, Detector):
        raise UserError("this network is a classifier, it finds no boxes: use `yolo9000 classify`")
    thresholds = {"threshold": options.threshold, "nms": options.nms} | _hierarchical(options, detector)
    items = predict(detector, options.inputs, output=options.output, say=print, **thresholds)
    _write_json(options.json, items)


def classify(options) -> None:
    from yolo9000_jax.predict.classifier import Classifier, classify

    classifier = _load(options)
    if not isinstance(classifier, Classifier):
        raise UserError("this network is a detector: use `yolo9000 predict`")
    _write_json(options.json, classify(classifier, options.inputs, top=options.top, say=print))


def convert(options) -> None:
    from yolo9000_jax.darknet.convert import from_workdir, to_workdir

    if options.cfg:
        to_workdir(options.cfg, options.weights, options.workdir, options.names)
        print(f"workdir {options.workdir}")
    elif options.names:
        raise UserError("--names goes with --cfg; a workdir knows its classes")
    else:
        print("written: " + ", ".join(str(path) for path in from_workdir(options.workdir, options.weights)))


def anchors(options) -> None:
    from yolo9000_jax.boxes.priors import kmeans_priors, to_cells
    from yolo9000_jax.evaluation.priors import iou_curve
    from yolo9000_jax.report.comparisons import plot_anchors
    from yolo9000_jax.report.table import short_names

    boxes = _boxes(options)
    if options.compare:
        return _compare_anchors(options, boxes)
    (boxes_wh,) = boxes.values()
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
        (name,) = short_names(boxes)
        plot_anchors({name: iou_curve(boxes_wh)}, options.plot, anchors={name: priors.anchors})
        print(f"plot in {options.plot}")


def _compare_anchors(options, boxes: dict) -> None:
    from yolo9000_jax.evaluation import priors
    from yolo9000_jax.report.comparisons import plot_anchors
    from yolo9000_jax.report.priors import priors_table
    from yolo9000_jax.report.table import short_names

    fits = {name: priors.compare_priors(boxes_wh, options.k) for name, boxes_wh in boxes.items()}
    _write_json(options.json, priors.to_json(fits, options.size))
    fits = dict(zip(short_names(fits), fits.values(), strict=True))
    print(priors_table(fits).text())
    if options.plot:
        curves = {name: fit.iou_by_k for name, fit in fits.items()}
        marks = {name: fit.marks() for name, fit in fits.items()}
        plot_anchors(curves, options.plot, marks, {name: fit.anchors for name, fit in fits.items()})
        print(f"plot in {options.plot}")


def _boxes(options) -> dict:
    """The shapes of the boxes of each data set: {"SOURCE split": [N, 2]}. A plot that cannot be written is refused."""
    from yolo9000_jax.data.sources import open_source
    from yolo9000_jax.report.style import check_output
    from yolo9000_jax.tasks.detection import shapes

    sources, splits = options.dataset, options.split or ["train"]
    if len(sources) > 1 and not options.compare:
        raise UserError(f"{len(sources)} data sets are for --compare; to cluster them together, join them with +")
    if len(splits) not in (1, len(sources)):
        raise UserError(f"{len(splits)} splits for {len(sources)} data sets: give --split once, or once for each")
    check_output(options.plot)
    pairs = zip(sources, splits * (len(sources) if len(splits) == 1 else 1), strict=True)
    return {f"{source} {split}": shapes(open_source(source, split)) for source, split in pairs}


def benchmark(options) -> None:
    from yolo9000_jax.evaluation import speed
    from yolo9000_jax.predict.detector import Detector
    from yolo9000_jax.report.comparisons import plot_accuracy_speed
    from yolo9000_jax.report.speed import speed_curves, speed_table
    from yolo9000_jax.report.style import check_output

    sizes = speed.read_sizes(options.sizes)
    check_output(options.plot)
    detector, dataset = _load(options), None
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
    _write_json(options.json, result)
    if options.plot:
        plot_accuracy_speed(*speed_curves(result), options.plot)
        print(f"plot in {options.plot}")


def check(options) -> None:
    from yolo9000_jax.data.check import check
    from yolo9000_jax.data.sources import open_source

    report = check(open_source(options.dataset, options.split))
    print(report)
    if report.broken:
        raise UserError(f"{options.dataset}: {len(report.broken)} pictures cannot be read; they are named above")


def wordtree_build(options) -> None:
    from yolo9000_jax.wordtree.build import build
    from yolo9000_jax.wordtree.lists import read_label_list
    from yolo9000_jax.wordtree.meanings import UnclearLabels

    try:
        built = build([read_label_list(spec) for spec in options.labels], options.roots, options.collapse)
    except UnclearLabels as error:
        print(f"lines for the label lists, the commonest meaning first:\n{error.candidates}")
        raise
    for note in built.notes:
        print(note)
    print("written: " + ", ".join(map(str, built.save(options.output, options.maps))))


def wordtree_show(options) -> None:
    tree = _open_tree(options.tree)
    node = None if options.node is None else tree.find(options.node)
    if node is not None:
        print(" > ".join(tree.names[step] for step in tree.path(node)))
    print(tree.show(node, options.depth))


def wordtree_compare(options) -> None:
    from yolo9000_jax.wordtree.compare import compare_trees

    print(compare_trees(_open_tree(options.tree), _open_tree(options.reference)))


def wordtree_merge(options) -> None:
    from yolo9000_jax.wordtree.merge import merge_trees

    tree = merge_trees([_open_tree(path) for path in options.trees])
    written = tree.save_with_names(options.output)
    print(f"{len(tree)} nodes; written: " + ", ".join(map(str, written)))


def _open_tree(path: str):
    from yolo9000_jax.wordtree.tree import WordTree

    return WordTree.packaged(path) if path == "emoji" else WordTree.load_with_names(path)


def _write_json(path: str | None, value) -> None:
    if path:
        try:
            Path(path).write_text(json.dumps(value, indent=2) + "\n")
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
