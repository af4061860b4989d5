"""The page of `yolo9000 compare`."""

from PIL import Image

from yolo9000_jax.data.records import Dataset
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import shown
from yolo9000_jax.html import Html, element
from yolo9000_jax.report.draw import draw_against_truth
from yolo9000_jax.report.frame import Section, page, picture, table
from yolo9000_jax.report.runs import Comparison
from yolo9000_jax.text import printable

DRAWN, SIDE_PX = 24, 360  # pictures, and the longer side of each


def compare_page(comparison: Comparison, dataset: Dataset | None = None) -> str:
    """The page of a comparison, an HTML file.

    Args:
        comparison: of runs.
        dataset: what they were judged on, to show the pictures; None: it is not at hand.
    """
    names = [printable(run.name) for run in comparison.runs]
    states = [
        f"{name}: {shown(str(run.workdir))}, step {run.step} of {run.end}"
        for name, run in zip(names, comparison.runs, strict=True)
    ]
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
    data = {"runs": names, "curves": [run.curves for run in comparison.runs]}
    return page(f"Comparison of {', '.join(names)}", sections, data=data, scripts=("runs.js",))


def _drawn(comparison: Comparison, dataset: Dataset) -> list[Html]:
    """The most different pictures, as each run sees them, right, wrong and missed marked as in other reports."""
    records, parts = dataset.once(), []
    for place in comparison.pictures[:DRAWN]:
        name = comparison.runs[0].pictures[place].name
        if place >= len(records) or (record := records[place]).picture_name != name:
            continue  # it is another data set by now
        try:
            image = record.read()
        except UserError:
            continue
        figures = []
        for run in comparison.runs:
            seen = run.pictures[place]
            drawing = draw_against_truth(image, seen.detections, seen.truth, run.classes)
            words = f"{printable(run.name)}: {seen.right} right, {seen.wrong} wrong, {seen.missed} missed"
            drawn = picture(Image.fromarray(drawing), f"{name}, {words}", SIDE_PX)
            figures.append(element("figure", drawn, element("p", words, class_="note")))
        parts.append(element("div", element("h3", shown(name)), element("div", *figures, class_="row")))
    return parts
