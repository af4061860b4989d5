"""The page of `yolo9000 check`: a data set's counts and faults, and the pictures behind them."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from yolo9000_jax.data.survey import AlikePictures, Survey
from yolo9000_jax.data.suspects import KINDS, Suspect, spread
from yolo9000_jax.data.table import Record
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import shown
from yolo9000_jax.html import Html, element
from yolo9000_jax.report.frame import Section, page, picture, table
from yolo9000_jax.report.table import Table

SHOWN = 24  # suspicious boxes of a kind, and pairs of pictures that look alike
CLASSES, OF_CLASS = 120, 10  # contact sheets, the most common classes first, and pictures on each
SHEET_PX, SIDE_PX, PAIR_PX = 88, 200, 170  # sides of a picture there, elsewhere, and of one that looks like another
AROUND = 3.0  # as many sides of a box are seen around it
MARK, EDGE = (255, 106, 31), (0, 0, 0)


def check_page(source: str, surveys: Sequence[Survey], alike: Sequence[AlikePictures], beside: Sequence[str]) -> str:
    """The page, an HTML file.

    Args:
        source: as the user typed it.
        surveys: of its splits, or of all of it.
        alike: pictures that look alike.
        beside: what there is to say of the splits beside each other.
    """
    sections = []
    for number, each in enumerate(surveys):
        split = each.report.split or "all"
        sections += [
            Section(f"counts{number}", split, _counts(each)),
            Section(f"boxes{number}", f"{split}: boxes to look at", _suspects(each)),
            Section(f"classes{number}", f"{split}: classes", _sheets(each)),
        ]
    first = [Section("splits", "Splits", [_list(beside)])] if beside else []
    pairs = [Section("alike", "Pictures that look alike", _pairs(alike))] if alike else []
    total = sum(each.report.pictures for each in surveys)
    return page(f"Check of {shown(source)}", [*first, *sections[:1], *pairs, *sections[1:]], lead=f"{total} pictures")


def _counts(survey: Survey) -> list[object]:
    report = survey.report
    numbers = {"pictures": report.pictures, "boxes": report.boxes, "classes": len(report.pictures_per_class)}
    numbers["without boxes" if report.boxes else "without label"] = report.pictures_without_label
    if report.broken is not None:
        numbers["do not decode"] = len(report.broken)
    tiles = [element("div", name, element("b", number), class_="tile") for name, number in numbers.items()]
    said = [*survey.lines(), *(f"note: {note}" for note in report.notes), *(report.broken or ())]
    shapes = [("widths", report.widths), ("heights", report.heights)]
    rows = [[name, *(f"{value}" for value in values)] for name, values in shapes if values]
    if report.area_quartiles:
        smallest, _, median, _, largest = report.area_quartiles
        rows.append(["box area, share of its picture", *(f"{value:.4f}" for value in (smallest, median, largest))])
    sizes = table(Table(["", "smallest", "median", "largest"], rows)) if rows else ""
    return [element("div", *tiles, class_="tiles"), _list(said), sizes]


def _list(lines: Iterable[str]) -> Html:
    return element("ul", *(element("li", shown(line)) for line in lines))


def _suspects(survey: Survey) -> list[object]:
    parts: list[object] = []
    for kind, found in survey.suspects.items():
        if found:
            more = f", the {SHOWN} oddest shown" if len(found) > SHOWN else ""
            parts.append(element("h3", f"{kind.replace('_', ' ')}: {len(found)}{more}"))
            parts.append(element("p", KINDS[kind], class_="note"))
            parts.append(element("div", *(_suspect(survey, each) for each in found[:SHOWN]), class_="row"))
    return parts or [element("p", "None.")]


def _suspect(survey: Survey, suspect: Suspect) -> Html:
    record, label = survey.dataset[suspect.picture], survey.dataset.classes[suspect.label]
    box = np.array(suspect.box_xyxy)

    def look(image: np.ndarray) -> Image.Image:
        return _cut(image, box, AROUND, SIDE_PX, mark=True)

    sides = " x ".join(f"{side:.0f}" for side in box[2:] - box[:2])
    return _figure(record, look, f"{shown(label)}, {sides} pixels: {_name(record)}", SIDE_PX)


def _pairs(alike: Sequence[AlikePictures]) -> list[object]:
    ordered = sorted(alike, key=lambda pair: not pair.leaks)
    note = f"{SHOWN} of {len(alike)} shown, those between splits first." if len(alike) > SHOWN else ""
    parts: list[object] = []
    for pair in ordered[:SHOWN]:
        splits = [" and ".join(names) for names in (pair.first_splits, pair.other_splits)]
        shared = [name for name in pair.first_splits if name in pair.other_splits]
        what = f"both in {' and '.join(shared)}" if shared else " and ".join(each or "no split" for each in splits)
        pictures = [_figure(record, _small, _name(record), PAIR_PX) for record in (pair.first, pair.other)]
        title = element("p", what + (", mirrored" if pair.mirrored else ""), class_="note")
        parts.append(element("div", title, element("div", *pictures, class_="row")))
    return [element("p", note, class_="note"), element("div", *parts, class_="columns")]


def _sheets(survey: Survey) -> list[object]:
    """A row of pictures of each class, and how many it has."""
    counts = survey.label_counts
    order = sorted((name for name in counts if counts[name]), key=lambda name: -counts[name])
    pictures = survey.report.pictures_per_class
    columns = {"boxes": counts, "pictures": pictures} if survey.report.boxes else {"pictures": pictures}
    rows = [[shown(name), *(str(column[name]) for column in columns.values())] for name in order]
    parts: list[object] = [table(Table(["class", *columns], rows), sortable=True)]
    if len(order) > CLASSES:
        parts.append(element("p", f"Pictures of the {CLASSES} most common classes.", class_="note"))
    truth, labels = survey.dataset.ground_truth(), {name: at for at, name in enumerate(survey.dataset.classes)}
    owners = np.repeat(np.arange(len(truth)), truth.labels_of)
    for name in order[:CLASSES]:
        places = spread(np.unique(owners[truth.labels == labels[name]]), OF_CLASS)
        cuts = [_of_class(survey.dataset[int(place)], labels[name]) for place in places]
        sheet = _sheet([cut for cut in cuts if cut is not None])
        if sheet is not None:
            caption = element("figcaption", f"{shown(name)} ({counts[name]})")
            parts.append(element("figure", caption, picture(sheet, f"{len(cuts)} pictures of {shown(name)}")))
    return parts


def _of_class(record: Record, label: int) -> Image.Image | None:
    """The largest box of a class in a picture; of a picture without boxes all of it."""
    image = _read(record)
    if image is None:
        return None
    boxes = record.boxes_xyxy[record.labels == label] if len(record.boxes_xyxy) else np.zeros((0, 4))
    if not len(boxes):
        return _small(image, SHEET_PX)
    sides = boxes[:, 2:] - boxes[:, :2]
    return _cut(image, boxes[sides.prod(1).argmax()], 0.15, SHEET_PX, mark=False)


def _sheet(pictures: Sequence[Image.Image]) -> Image.Image | None:
    if not pictures:
        return None
    sheet = Image.new("RGB", (len(pictures) * (SHEET_PX + 4), SHEET_PX), (127, 127, 127))
    for place, each in enumerate(pictures):
        sheet.paste(each, (place * (SHEET_PX + 4) + (SHEET_PX - each.width) // 2, (SHEET_PX - each.height) // 2))
    return sheet


def _cut(image: np.ndarray, box_xyxy: np.ndarray, around: float, side_px: int, mark: bool) -> Image.Image:
    """A part of a picture about a box, with so many of its sides around it, the box framed where it is asked for."""
    height, width = image.shape[:2]
    sides = np.maximum(box_xyxy[2:] - box_xyxy[:2], 4)
    reach = np.full(2, max(sides)) * around / 2 if mark else sides * around / 2
    x0, y0 = np.floor(np.maximum(box_xyxy[:2] - reach, 0)).astype(int).tolist()
    x1, y1 = np.ceil(np.minimum(box_xyxy[2:] + reach, (width, height))).astype(int).tolist()
    x0, y0 = min(x0, width - 1), min(y0, height - 1)
    part = Image.fromarray(image[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)])
    scale = side_px / max(part.size)
    part = part.resize([max(1, round(side * scale)) for side in part.size])
    if mark:
        corners = ((box_xyxy - [x0, y0, x0, y0]) * scale).round().astype(int)
        low, high = (
            np.clip(corners[:2], 0, np.array(part.size) - 1),
            np.clip(corners[2:] - 1, 0, np.array(part.size) - 1),
        )
        frame = [*low.tolist(), *np.maximum(low, high).tolist()]
        draw = ImageDraw.Draw(part)
        draw.rectangle([frame[0] - 1, frame[1] - 1, frame[2] + 1, frame[3] + 1], outline=EDGE, width=4)
        draw.rectangle(frame, outline=MARK, width=2)
    return part


def _small(image: np.ndarray, side_px: int = SIDE_PX) -> Image.Image:
    small = Image.fromarray(image)
    small.thumbnail((side_px, side_px))
    return small


def _figure(record: Record, look: Callable[[np.ndarray], Image.Image], caption: str, width_px: int) -> Html:
    image = _read(record)
    seen = element("p", "cannot be read") if image is None else picture(look(image), caption)
    return element("figure", seen, element("p", caption, class_="note"), style=f"width:{width_px}px")


def _read(record: Record) -> np.ndarray | None:
    try:
        return record.read()
    except UserError:
        return None  # which the counts name


def _name(record: Record) -> str:
    return shown(record.image or record.name).rpartition("/")[2]
