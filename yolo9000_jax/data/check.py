"""What is in a data set, and whether every picture of it can be decoded. What one makes of that is in `survey`."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np

from yolo9000_jax.data.coco_json import NoCocoError
from yolo9000_jax.data.counts import empty_classes
from yolo9000_jax.data.likeness import MOST_COMPARED, Thumbnails, thumbnail
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.shared import repeated_pictures, shared_pictures
from yolo9000_jax.data.sources import open_source, split_names
from yolo9000_jax.data.splits import NoSplitError, is_whole, same_split
from yolo9000_jax.data.suspects import spread
from yolo9000_jax.data.table import Record
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import shown

NAMES_SHOWN = 40
HELD_OUT = ("val", "test")
SPLITS = ("train", *HELD_OUT)
QUARTILES = ("smallest", "25 %", "median", "75 %", "largest")


@dataclass(frozen=True)
class Report:
    """Counts over one split of a data set; `str(report)` is what a person reads.

    `boxes_per_class` and `pictures_per_class` map every class name to its number of boxes and of pictures with such a
    label (a set for classification has labels but no boxes). `area_quartiles` are box areas as fractions of their
    picture: smallest, three quartiles, largest; None without boxes. `widths` and `heights` are the smallest, median and
    largest of the pictures, in pixels; None without pictures. `broken` has a line for each picture that does not
    decode; None: not tried. `thumbnails` are of those that do, of large sets of some.
    """

    spec: str
    split: str
    pictures: int
    boxes: int
    boxes_per_class: dict[str, int]
    pictures_per_class: dict[str, int]
    area_quartiles: tuple[float, ...] | None
    widths: tuple[int, ...] | None
    heights: tuple[int, ...] | None
    pictures_without_label: int
    notes: tuple[str, ...]
    broken: tuple[str, ...] | None = None
    thumbnails: Thumbnails | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def check(dataset: Dataset) -> Report:
    """Counts what is in a data set and decodes every picture of it, in threads; `broken` names those that fail.

    Its notes also tell of pictures that are there in several files.
    """
    report = count(dataset)
    broken, thumbnails = _decoded(dataset)
    return replace(report, notes=(*report.notes, *_repeated(dataset)), broken=broken, thumbnails=thumbnails)


def summary(dataset: Dataset) -> str:
    """The counts as text, without decoding the pictures."""
    return str(count(dataset))


def count(dataset: Dataset) -> Report:
    """Counts what is in a data set, without decoding the pictures."""
    truth, classes = dataset.ground_truth(), len(dataset.classes)
    boxes = np.bincount(truth.labels[truth.boxed], minlength=classes)
    picture_and_label = np.repeat(np.arange(len(truth)), truth.labels_of) * classes + truth.labels
    pictures = np.bincount(np.unique(picture_and_label) % classes, minlength=classes)
    sides = (truth.boxes_xyxy[:, 2:] - truth.boxes_xyxy[:, :2]).astype(float)
    areas = sides.prod(1) / np.repeat(truth.sizes_wh.astype(float).prod(1), truth.boxes_of)
    quartiles = np.quantile(areas, [0, 0.25, 0.5, 0.75, 1]) if len(areas) else None
    return Report(
        spec=dataset.spec,
        split=dataset.split,
        pictures=len(dataset),
        boxes=int(boxes.sum()),
        boxes_per_class=dict(zip(dataset.classes, boxes.tolist(), strict=True)),
        pictures_per_class=dict(zip(dataset.classes, pictures.tolist(), strict=True)),
        area_quartiles=None if quartiles is None else tuple(quartiles.tolist()),
        widths=_spread(truth.sizes_wh[:, 0]),
        heights=_spread(truth.sizes_wh[:, 1]),
        pictures_without_label=int((truth.labels_of == 0).sum()),
        notes=dataset.notes,
    )


def usual_splits(spec: str) -> tuple[dict[str, Dataset], list[str]]:
    """The splits train, val and test of a data set in files, those that it has, and what is wrong with others of them.

    None of a data set without splits.
    """
    found, faults = {}, []
    for name in SPLITS:
        try:
            dataset = open_source(spec, name)
        except NoSplitError:
            continue
        except UserError as error:
            faults.append(str(error))
            continue
        if dataset.lazy or is_whole(dataset.notes):
            return {}, []
        found[name] = dataset
    return found, faults


def other_splits(spec: str) -> tuple[dict[str, Dataset], list[str], list[str]]:
    """The splits of other names, where a source has files for them: VOC's lists, COCO's files with {split}.

    Returns:
        Them, what is wrong with others of these files, and remarks on those that are no lists of pictures at all.
    """
    present = split_names(spec)
    usual = {same_split(name, present) for name in SPLITS}
    found, faults, remarks = {}, [], []
    for name in (name for name in present if name not in usual):
        try:
            found[name] = open_source(spec, name)
        except NoCocoError as error:
            remarks.append(f"note: {error}; it is passed over")
        except UserError as error:
            faults.append(str(error))
    return found, faults, remarks


def compare_splits(splits: Mapping[str, Dataset]) -> list[str]:
    """What a person should know of the splits beside each other: pictures that two share, classes that one lacks."""
    lines = []
    for (name, dataset), (other_name, other) in combinations(splits.items(), 2):
        if same := shared_pictures(dataset, other):
            place, other_place = same[0]
            records = other[other_place], dataset[place]
            first = " = ".join(dict.fromkeys(shown(record.image or record.name) for record in records))
            lines.append(
                f"{other_name}: {len(same)} of its {len(other)} pictures are also in {name} (first: {first}); "
                "take them out of one of the two"
            )
    classes = dict.fromkeys(each for dataset in splits.values() for each in dataset.classes)
    for name, dataset in splits.items():
        found = set(dataset.classes) - set(empty_classes(dataset))
        if empty := [each for each in classes if each not in found]:
            lines.append(f"{name} has no picture of {some(empty)}")
    return lines


def _spread(values: np.ndarray) -> tuple[int, ...] | None:
    return tuple(np.quantile(values, [0, 0.5, 1], method="lower").tolist()) if len(values) else None


def _repeated(dataset: Dataset) -> Iterator[str]:
    pairs = [(dataset[place], dataset[again]) for place, again in repeated_pictures(dataset)]
    different = [pair for pair in pairs if not _same_labels(*pair)]
    for found, how in ((pairs, ""), (different, ", with other labels")):
        if found:
            many = "picture is" if len(found) == 1 else "pictures are"
            first = " = ".join(shown(record.image or record.name) for record in found[0])
            yield f"{len(found)} {many} there before in another file{how} (first: {first})"


def _same_labels(one: Record, other: Record) -> bool:
    """Whether two pictures have the same labels and boxes, in whatever order."""
    return _sorted_rows(one) == _sorted_rows(other)


def _sorted_rows(record: Record) -> list[tuple[int, list[float]]]:
    boxes = record.boxes_xyxy.tolist() or [[]] * len(record.labels)  # of a classification's labels there are none
    return sorted(zip(record.labels.tolist(), boxes, strict=True))


def _decoded(dataset: Dataset) -> tuple[tuple[str, ...], Thumbnails]:
    """What is wrong with pictures that do not decode; the thumbnails of those that do, at most `MOST_COMPARED`."""
    kept = np.zeros(len(dataset), bool)
    kept[spread(range(len(dataset)), MOST_COMPARED)] = True
    faults, places, images = [], [], []
    with ThreadPoolExecutor() as pool:
        for place, found in enumerate(pool.map(_look, dataset, kept)):
            if isinstance(found, str):
                faults.append(found)
            elif found is not None:
                places.append(place)
                images.append(found)
    return tuple(faults), Thumbnails.of(places, images)


def _look(record: Record, kept: bool) -> np.ndarray | str | None:
    """What is wrong with a picture; else its thumbnail, where that is to be kept."""
    try:
        image = record.read()
    except UserError as error:
        return str(error)
    if image.shape != (record.height, record.width, 3):
        return f"{record.name}: decodes to {image.shape[1]}x{image.shape[0]}, not {record.width}x{record.height}"
    return thumbnail(image) if kept else None


def _lines(report: Report) -> Iterator[str]:
    classes = len(report.pictures_per_class)
    where = f"{report.spec} {report.split}".rstrip()
    yield f"{where}: {report.pictures} pictures, {report.boxes} boxes, {classes} classes"
    yield ""
    yield from _table(report)
    yield ""
    if report.area_quartiles:
        values = zip(QUARTILES, report.area_quartiles, strict=True)
        yield "box area, fraction of its picture: " + ", ".join(f"{name} {value:.4f}" for name, value in values)
    if report.widths and report.heights:
        sides = (f"{low} to {high}, median {middle}" for low, middle, high in (report.widths, report.heights))
        yield "picture sizes, pixels: width {}; height {}".format(*sides)
    yield f"pictures without {'boxes' if report.boxes else 'label'}: {report.pictures_without_label}"
    absent = [name for name, number in report.pictures_per_class.items() if not number]
    if absent:
        yield f"classes that no picture has ({len(absent)}): {some(absent)}"
    yield from (f"note: {note}" for note in report.notes)
    if report.broken is not None:
        yield f"pictures that do not decode: {len(report.broken)}"
        yield from report.broken


def _table(report: Report) -> Iterator[str]:
    present = [name for name, number in report.pictures_per_class.items() if number]
    width = max(map(len, ("class", *present)))
    yield f"{'class':{width}}  {'boxes':>8}  {'pictures':>8}"
    for name in present:
        yield f"{name:{width}}  {report.boxes_per_class[name]:8}  {report.pictures_per_class[name]:8}"


def some(names: Sequence[str], most: int = NAMES_SHOWN) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
