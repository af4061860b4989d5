"""The page of `yolo9000 compare`."""

import numpy as np
from PIL import Image

from yolo9000_jax.data.records import Dataset
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.voc import GroundTruth
from yolo9000_jax.files import shown
from yolo9000_jax.html import Html, element
from yolo9000_jax.report.draw import draw_against_truth
from yolo9000_jax.report.frame import Section, page, picture, table
from yolo9000_jax.report.runs import Comparison

DRAWN, SIDE_PX = 24, 360  # pictures, and the longer side of each


def compare_page(comparison: Comparison, dataset: Dataset | None = None) -> str:
    """The page of a comparison, an HTML file.

    Args:
        comparison: of runs.
        dataset: what they were judged on, to show the pictures; None: it is not at hand.
    """
    states = [f"{run.name}: {shown(str(run.workdir))}, step {run.step} of {run.end}" for run in comparison.runs]
    places = [element("p", each) for each in states]
    sections = [Section("numbers", "Numbers", [*places, table(comparison.numbers_table())])]
    sections.append(Section("curves", "Curves", [element("div", id="compared-curves")]))
    if comparison.per_class:
        sections.append(Section("classes", "Classes", [table(comparison.classes_table(), sortable=True)]))
    configs = table(comparison.configs_table()) if comparison.configs else element("p", "They are the same.")
    sections.append(Section("configs", "Configs", [configs]))
    if comparison.pictures:
        drawn = [] if dataset is None else _drawn(comparison, dataset)
        note = f"The {len(drawn)} most different are shown." if drawn else "The pictures themselves are not at hand."
        parts = [element("p", note, class_="note"), *drawn, table(comparison.pictures_table())]
        sections.append(Section("pictures", "Pictures on which they differ most", parts))
    else:
        sections.append(Section("pictures", "Pictures", [element("p", comparison.no_pictures())]))
    names = [run.name for run in comparison.runs]
    data = {"runs": names, "curves": [run.curves for run in comparison.runs]}
    return page(f"Comparison of {', '.join(names)}", sections, data=data, scripts=("runs.js",))


def _drawn(comparison: Comparison, dataset: Dataset) -> list[Html]:
    """The most different pictures, as each run sees them, right, wrong and missed marked as in other reports."""
    names = {record.picture_name: place for place, record in enumerate(dataset)}
    parts = []
    for name in comparison.pictures[:DRAWN]:
        if name not in names:
            continue
        record = dataset[names[name]]
        try:
            image = record.read()
        except UserError:
            continue
        figures = []
        for run in comparison.runs:
            seen, labels = run.pictures[name], {own: label for label, own in enumerate(run.classes)}
            known = np.array([labels.get(each, -1) for each in dataset.classes], int)[record.labels]
            kept = known >= 0
            crowd = np.zeros(len(kept), bool) if record.crowd is None else record.crowd
            truth = GroundTruth(record.boxes_xyxy[kept], known[kept], record.difficult[kept], crowd[kept])
            drawing = draw_against_truth(image, seen.detections, truth, run.classes)
            words = f"{run.name}: {seen.right} right, {seen.wrong} wrong, {seen.missed} missed"
            drawn = picture(Image.fromarray(drawing), f"{name}, {words}", SIDE_PX)
            figures.append(element("figure", drawn, element("p", words, class_="note")))
        parts.append(element("div", element("h3", shown(name)), element("div", *figures, class_="row")))
    return parts
