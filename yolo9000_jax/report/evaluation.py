"""The report of an evaluation: a folder of pictures and tables, and metrics.json."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.result import Evaluation, Example
from yolo9000_jax.evaluation.voc import ImageDetections
from yolo9000_jax.files import to_json, write_whole
from yolo9000_jax.report.draw import contact_sheet, draw_against_truth, save_picture
from yolo9000_jax.report.page import classes_table, evaluation_page, stopping_table
from yolo9000_jax.report.plots import plot_confusion, plot_precision_recall

PAGE = "index.html"
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
        save_picture(sheet, folder / "detections.png")
    write_whole(folder / PAGE, evaluation_page(evaluation, "Evaluation"))
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
