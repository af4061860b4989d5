"""The report of an evaluation: a folder with a page, index.html, and metrics.json."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from yolo9000_jax.evaluation.result import Evaluation, Example
from yolo9000_jax.evaluation.voc import ImageDetections
from yolo9000_jax.files import to_json, write_whole
from yolo9000_jax.report import run
from yolo9000_jax.report.draw import LEGEND, below, contact_sheet, draw_against_truth
from yolo9000_jax.report.found import FOUND, write_found
from yolo9000_jax.report.frame import save_page
from yolo9000_jax.report.page import evaluation_page

METRICS = "metrics.json"
SCORE_THRESHOLD = 0.25  # of the detections on the sheet of examples
TREE_SCORE_THRESHOLD = 0.4  # their captions are longer
TREE_ENLARGEMENT = 2  # so that the captions take less of the picture
COLUMNS, TILE, TREE_TILE = 4, 320, 480


def write_report(
    folder: Path,
    evaluation: Evaluation,
    step: int | None = None,
    workdir: Path | None = None,
    facts: Mapping[str, object] | None = None,
) -> None:
    """Writes the page, of a detector also found.json, and metrics.json, which comes last: where it is, all is there.

    Args:
        folder, evaluation, step, workdir, facts: as for `write_page`; step stands in both JSON files too.

    Raises:
        UserError: the folder or a file cannot be written.
    """
    write_page(folder, evaluation, step, workdir, facts)
    if evaluation.compared is not None:
        write_found(folder / FOUND, evaluation.compared, evaluation.class_names, step)
    content = evaluation.metrics if step is None else evaluation.metrics | {"step": step}
    write_whole(folder / METRICS, to_json(content))


def write_page(
    folder: Path,
    evaluation: Evaluation,
    step: int | None = None,
    workdir: Path | None = None,
    facts: Mapping[str, object] | None = None,
) -> None:
    """Writes index.html, one file that needs no other and no network.

    Args:
        folder: is made where it is missing.
        evaluation: of a detector or a classifier.
        step: of the state that was evaluated, where a training run is meant.
        workdir: of the run, whose config, time and learning curves the page tells; None: there is none.
        facts: what else the page is to say of the run, {name: value}.

    Raises:
        UserError: the folder or the file cannot be written.
    """
    known = {"data": evaluation.data or None, "state after step": step, **(facts or {})}
    curves = run.learning_curves(workdir) if workdir is not None else {}
    save_page(folder, evaluation_page(evaluation, run.sections(known, workdir, step), curves))


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
    if examples[0].top_down is not None:
        return contact_sheet(pictures, COLUMNS, TREE_TILE)
    return below(contact_sheet(pictures, COLUMNS, TILE), list(LEGEND.items()))
