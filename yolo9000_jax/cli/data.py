"""`yolo9000 anchors`, `check` and `pack`: what a data set is like, and other files of it."""

import argparse
from typing import TYPE_CHECKING

from yolo9000_jax.cli.arguments import (
    SOURCES,
    Verbs,
    add_json,
    add_verb,
    check_plot,
    check_report,
    check_size,
    count,
    write_json,
)
from yolo9000_jax.errors import UserError
from yolo9000_jax.logs import logger

if TYPE_CHECKING:
    import numpy as np


def add(verbs: Verbs) -> None:
    """Adds the verbs of this module."""
    _add_anchors(verbs)
    _add_check(verbs)
    _add_pack(verbs)


def _add_anchors(verbs: Verbs) -> None:
    verb = add_verb(verbs, "anchors", anchors, "choose priors by k-means on a data set's boxes")
    verb.add_argument(
        "--dataset",
        required=True,
        action="append",
        metavar="SOURCE",
        help=f"{SOURCES}; with --compare several, one --dataset each",
    )
    verb.add_argument(
        "--split", action="append", metavar="NAME", help="default: train; once for all data sets, or once for each"
    )
    verb.add_argument("-k", type=int, default=5, metavar="K", help="how many (default: 5)")
    verb.add_argument("--size", type=count, default=416, metavar="N", help="side of the network's input (default: 416)")
    add_json(verb, "the priors", r'\A\{\n  "(anchors_cells|datasets)": ')
    verb.add_argument("--plot", metavar="FILE", help="picture of average IoU against k (the paper's figure 2)")
    verb.add_argument("--compare", action="store_true", help="with other ways to choose them (the paper's table 1)")


def anchors(options: argparse.Namespace) -> None:
    """Prints the priors that fit a data set's boxes best."""
    from yolo9000_jax.boxes.priors import kmeans_priors, to_cells
    from yolo9000_jax.evaluation.priors import iou_curve
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
    write_json(
        options.json,
        {"anchors_cells": anchors, "image_size": options.size, "average_iou": round(priors.average_iou, 6)},
    )
    if options.plot:
        from yolo9000_jax.report.comparisons import plot_anchors

        (name,) = short_names(boxes)
        plot_anchors({name: iou_curve(boxes_wh)}, options.plot, anchors={name: priors.anchors})
        print(f"plot in {options.plot}")


def _compare_anchors(options: argparse.Namespace, boxes: "dict[str, np.ndarray]") -> None:
    from yolo9000_jax.evaluation import priors
    from yolo9000_jax.report.priors import priors_table
    from yolo9000_jax.report.table import short_names

    fits = {name: priors.compare_priors(boxes_wh, options.k) for name, boxes_wh in boxes.items()}
    write_json(options.json, priors.to_json(fits, options.size))
    fits = dict(zip(short_names(fits), fits.values(), strict=True))
    print(priors_table(fits).text())
    if options.plot:
        from yolo9000_jax.report.comparisons import plot_anchors

        curves = {name: fit.iou_by_k for name, fit in fits.items()}
        marks = {name: fit.marks() for name, fit in fits.items()}
        plot_anchors(curves, options.plot, marks, {name: fit.anchors for name, fit in fits.items()})
        print(f"plot in {options.plot}")


def _boxes(options: argparse.Namespace) -> "dict[str, np.ndarray]":
    """The shapes of the boxes of each data set: {"SOURCE split": [N, 2]}. A plot that cannot be written is refused."""
    from yolo9000_jax.data.sources import open_source

    sources, splits = options.dataset, options.split or ["train"]
    if len(sources) > 1 and not options.compare:
        raise UserError(f"{len(sources)} data sets are for --compare; to cluster them together, join them with +")
    if len(splits) not in (1, len(sources)):
        raise UserError(f"{len(splits)} splits for {len(sources)} data sets: give --split once, or once for each")
    check_plot(options.plot)
    check_size(options.size)
    pairs = zip(sources, splits * (len(sources) if len(splits) == 1 else 1), strict=True)
    found = {}
    for source, split in pairs:
        dataset = open_source(source, split)
        for note in dataset.notes:
            logger.info(note)
        found[f"{source} {split}"] = dataset.box_shapes()
    return found


def _add_check(verbs: Verbs) -> None:
    more = "Of large sets some parts look at evenly spread pictures only, and say so."
    verb = add_verb(
        verbs, "check", check, "read a whole data set, say what is in it, what is odd and what it needs", more
    )
    verb.add_argument("--dataset", required=True, metavar="SOURCE", help=SOURCES)
    verb.add_argument("--split", metavar="NAME", help="default: all, and what the splits have in common")
    verb.add_argument("--size", type=count, default=416, metavar="N", help="side of the network's input (default: 416)")
    add_json(verb, "all that is found", r'\A\{\n  "checked": ')
    verb.add_argument("--report", metavar="DIR", help="folder for a page with the pictures, index.html")


def check(options: argparse.Namespace) -> None:
    """Prints what is in a data set; a picture that cannot be read is a mistake."""
    from yolo9000_jax.data.check import HELD_OUT, compare_splits, other_splits, usual_splits
    from yolo9000_jax.data.sources import open_source
    from yolo9000_jax.data.survey import LISTED, alike_lines, alike_pictures, survey
    from yolo9000_jax.report.check import check_page
    from yolo9000_jax.report.frame import save_page

    check_size(options.size)
    check_report(options.report)
    source, split = options.dataset, options.split
    usual, faults = usual_splits(source) if split is None else ({}, [])
    others, more_faults, remarks = other_splits(source) if split is None else ({}, [], [])
    has_whole = "{split}" not in source  # else there is no name for all of it
    faults += more_faults
    if not has_whole and faults and not usual and not others:
        raise UserError(faults[0])
    splits = [*usual.values(), *others.values()]
    if has_whole or not splits:
        try:
            splits = [open_source(source, split or "all")]
        except UserError:
            if not (faults and splits):
                raise  # else it is a fault of a split, which is named below the counts of the others
    surveys = [survey(each, options.size, each.split in HELD_OUT and "train" in usual) for each in splits]
    print(*surveys, sep="\n\n")
    alike, not_all = alike_pictures(surveys, usual | others)
    beside = [*compare_splits(usual), *alike_lines(alike, not_all), *remarks]
    for line in beside:
        print(line)
    listed = [each.to_json() for each in alike[:LISTED]]
    found = {
        "checked": source,
        "splits": [each.to_json() for each in surveys],
        "alike_count": len(alike),
        "alike": listed,
    }
    write_json(options.json, found | {"beside": beside, "faults": faults})
    if options.report:
        print(f"page in {save_page(options.report, check_page(source, surveys, alike, [*beside, *faults]))}")
    if len(faults) > 1:
        print(*faults, sep="\n")
        raise UserError(f"{source}: {len(faults)} of its splits cannot be read; they are named above")
    if faults:
        raise UserError(faults[0])
    if broken := sum(len(each.report.broken or ()) for each in surveys):
        raise UserError(f"{options.dataset}: {broken} pictures cannot be read; they are named above")


def _add_pack(verbs: Verbs) -> None:
    more = "The same command carries on where it was interrupted; other splits go into the same folder."
    verb = add_verb(verbs, "pack", pack, "write a data set as records of TensorFlow Datasets, read as tfds:", more)
    verb.add_argument("--dataset", required=True, metavar="SOURCE", help=SOURCES)
    verb.add_argument("--split", required=True, metavar="NAME", help="which part of it")
    verb.add_argument("--output", required=True, metavar="DIR", help="PARENT/NAME, or gs://…/NAME; read as tfds:NAME")
    verb.add_argument("--shards", type=count, metavar="N", help="files (default: one for every 1000 pictures)")


def pack(options: argparse.Namespace) -> None:
    """Writes a data set as records, and says how they are read."""
    from yolo9000_jax.data.pack import pack
    from yolo9000_jax.data.sources import open_source

    split = pack(open_source(options.dataset, options.split), options.output, options.shards)
    parent, _, name = options.output.rstrip("/").rpartition("/")
    print(f"packed; with TFDS_DATA_DIR={parent or '.'} it is tfds:{name}, split {split}")
