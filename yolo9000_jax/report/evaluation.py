"""The report of an evaluation: a folder of pictures and tables, and metrics.json."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.result import Evaluation, Example
from yolo9000_jax.evaluation.voc import ImageDetections
from yolo9000_jax.files import to_json, write_whole
from yolo9000_jax.report.draw import contact_sheet, draw_against_truth, save_picture
from yolo9000_jax.report.plots import plot_confusion, plot_precision_recall
from yolo9000_jax.report.table import Table

DETECTIONS = "detections.png"
SCORE_THRESHOLD = 0.25  # of the detections on the sheet of examples
TREE_SCORE_THRESHOLD = 0.4  # their captions are longer
TREE_ENLARGEMENT = 2  # so that the captions take less of the picture
COLUMNS, TILE, TREE_TILE = 4, 320, 480


def write_report(folder: Path, evaluation: Evaluation, step: int | None = None) -> None:
    """Writes the report of an evaluation; metrics.json comes last, so where it is, all of it is there.

    Of a detector there are precision_recall.png, if the data set has truths at all, and detections.png: with a tree
    what the detector says going down it, else its detections beside the truth. With "naming" in the metrics
    there is a confusion_NAME.png for each of its groups. Of a classifier there is classes.md, the classes with the
    worst first, and with a tree stopping.md, how far down it may go.

    Args:
        folder: is made where it is missing.
        evaluation: of a detector or a classifier.
        step: of the state that was evaluated, where a training run is meant; stands in metrics.json.

    Raises:
        UserError: the folder or a file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot make this folder ({error.strerror}); choose another") from error
    metrics = evaluation.metrics
    if evaluation.voc is None:
        write_whole(folder / "classes.md", classes_table(metrics).markdown() + "\n")
    elif evaluation.voc.voc_ap50 is not None:
        plot_precision_recall(evaluation.voc, evaluation.class_names, folder / "precision_recall.png")
    if "stopping" in metrics:
        write_whole(folder / "stopping.md", stopping_table(metrics).markdown() + "\n")
    for group in metrics.get("naming", {}).get("groups", ()):
        name = re.sub(r"[\s/]", "_", group["name"])
        plot_confusion(group["matrix"], group["rows"], group["columns"], folder / f"confusion_{name}.png")
    if evaluation.examples:
        sheet = draw_examples(evaluation.examples, evaluation.class_names)
        save_picture(sheet, folder / DETECTIONS)
    content = metrics if step is None else metrics | {"step": step}
    write_whole(folder / "metrics.json", to_json(content))


def draw_examples(examples: Sequence[Example], class_names: Sequence[str]) -> np.ndarray:
    """A sheet of the pictures with what was found in them: uint8 [H, W, 3]."""
    pictures = []
    for image, found, truth, top_down in examples:
        if top_down is not None:
            sure = top_down[top_down.scores >= TREE_SCORE_THRESHOLD]
            pictures.append(sure.enlarged(TREE_ENLARGEMENT).draw())
        else:
            shown = ImageDetections(*(array[found.scores >= SCORE_THRESHOLD] for array in found))
            pictures.append(draw_against_truth(image, shown, truth, class_names))
    return contact_sheet(pictures, COLUMNS, TILE if examples[0].top_down is None else TREE_TILE)


def classes_table(metrics: dict[str, Any]) -> Table:
    """How often a classifier is right, a line a class, the worst first, in percent."""
    per_class = sorted(metrics["per_class"].items(), key=lambda item: (item[1]["top1"] is None, item[1]["top1"] or 0))
    rows = [
        [name, *(_percent(numbers[key]) for key in ("top1", "top5")), str(numbers["images"])]
        for name, numbers in (("all", metrics), *per_class)
    ]
    left_out = metrics.get("left_out", ())
    note = f"Left out, as the classifier lacks them: {', '.join(left_out)}." if left_out else ""
    return Table(["class", "top1 (%)", "top5 (%)", "images"], rows, "How often the classifier is right", note)


def stopping_table(metrics: dict[str, Any]) -> Table:
    """How often a classifier with a tree is right, and how far down it gets, for each threshold, in percent."""
    rows = [
        [threshold, _percent(numbers["correct"]), _percent(numbers["depth"])]
        for threshold, numbers in metrics["stopping"].items()
    ]
    note = (
        "The classifier goes down the tree while the next node is more probable than this. Correct: it stops at the "
        "class or above it. Depth: the part of the way to the class that it then has gone."
    )
    return Table(["probability", "correct (%)", "depth (%)"], rows, "Stopping on the way down the tree", note)


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.1f}"
