"""What a person needs to know of a data set before training: `yolo9000 check`, and in a few lines each training."""

import filecmp
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from yolo9000_jax.data.balance import RARE, NearNames, balance, near_names, rare_classes
from yolo9000_jax.data.check import SPLITS, Report, check, count, some
from yolo9000_jax.data.counts import empty_classes
from yolo9000_jax.data.fitness import Fitness, fitness
from yolo9000_jax.data.likeness import MOST_COMPARED, Alike, alike
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.suspects import KINDS, Suspect, spread, suspicious_boxes
from yolo9000_jax.data.table import Record
from yolo9000_jax.files import shown

NAMED = 12  # classes in a line
LISTED = 1000  # suspicious boxes of a kind, and pictures that look alike, in JSON
SIZE = 416  # pixels of the network's input, where nothing else is said


@dataclass(frozen=True)
class Survey:
    """One split of a data set: its counts, boxes to look at by kind, how its boxes fit a network (None without boxes),
    classes too rare to learn, classes whose names may be one, and whether it is there to judge, not to train, so that
    it has no say in priors, size and length."""

    dataset: Dataset
    report: Report
    suspects: Mapping[str, Sequence[Suspect]]
    fitness: Fitness | None
    rare: Mapping[str, int]
    names: Sequence[NearNames]
    held_out: bool = False

    def __str__(self) -> str:
        return "\n".join([str(self.report), *self.lines()])

    @property
    def label_counts(self) -> dict[str, int]:
        """Boxes of each class, or labelled pictures where there are no boxes."""
        return label_counts(self.report)

    def lines(self) -> list[str]:
        """What there is to say besides the counts."""
        lines = class_lines(self.label_counts, self.names)
        if self.fitness is not None:
            lines += self.fitness.lines()[: 1 if self.held_out else None]
        for kind, found in self.suspects.items():
            if found:
                first = found[0]
                where = f"{self.dataset[first.picture].name}, {self.dataset.classes[first.label]} at {pixels(first)}"
                lines.append(
                    f"boxes to look at: {len(found)} {kind.replace('_', ' ')}, {KINDS[kind]} (oddest: {where})"
                )
        return lines

    def to_json(self) -> dict[str, Any]:
        """Everything, for a file; of long lists the first `LISTED`."""
        report = self.report
        classes = {
            name: {"boxes": report.boxes_per_class[name], "pictures": report.pictures_per_class[name]}
            for name in report.pictures_per_class
        }
        return {
            "source": report.spec,
            "split": report.split,
            "pictures": report.pictures,
            "boxes": report.boxes,
            "pictures_without_label": report.pictures_without_label,
            "classes": classes,
            "area_quartiles": report.area_quartiles,
            "widths": report.widths,
            "heights": report.heights,
            "rare_classes": self.rare,
            "near_names": [each._asdict() for each in self.names],
            "fitness": None if self.fitness is None else asdict(self.fitness),
            "suspects": {
                kind: {
                    "meaning": KINDS[kind],
                    "count": len(found),
                    "boxes": [self._described(each) for each in found[:LISTED]],
                }
                for kind, found in self.suspects.items()
            },
            "notes": report.notes,
            "broken": report.broken,
        }

    def _described(self, suspect: Suspect) -> dict[str, Any]:
        record = self.dataset[suspect.picture]
        box = [round(value, 2) for value in suspect.box_xyxy]
        return {"picture": _called(record), "label": self.dataset.classes[suspect.label], "box_xyxy": box}


class AlikePictures(NamedTuple):
    """Two pictures, in different files, that look the same, the splits that each is in (none: no list has it), and
    whether one is the other's mirror."""

    first: Record
    other: Record
    first_splits: tuple[str, ...]
    other_splits: tuple[str, ...]
    mirrored: bool

    @property
    def leaks(self) -> bool:
        """Whether each is in a split, but none has both."""
        return self.listed and not set(self.first_splits) & set(self.other_splits)

    @property
    def listed(self) -> bool:
        """Whether each is in a split."""
        return bool(self.first_splits and self.other_splits)

    def to_json(self) -> dict[str, Any]:
        """For a file."""
        return {
            "first": _called(self.first),
            "other": _called(self.other),
            "first_splits": self.first_splits,
            "other_splits": self.other_splits,
            "mirrored": self.mirrored,
        }

    def __str__(self) -> str:
        return f"{_called(self.first)} and {_called(self.other)}{', mirrored' if self.mirrored else ''}"


def survey(dataset: Dataset, size: int = SIZE, held_out: bool = False) -> Survey:
    """Reads a whole split, every picture included.

    Args:
        dataset: opened.
        size: the side of the network's input in pixels, for which its boxes are judged.
        held_out: it is not to be trained on.
    """
    report, truth = check(dataset), dataset.ground_truth()
    clipped = None if dataset.table is None else dataset.table.clipped
    counts = label_counts(report)
    return Survey(
        dataset,
        report,
        suspicious_boxes(truth, len(dataset.classes), clipped),
        fitness(truth, size),
        rare_classes(counts),
        near_names(counts),
        held_out,
    )


def in_short(
    trained: Dataset, judged: Dataset, size: int, anchors_cells: Sequence[tuple[float, float]] = ()
) -> list[str]:
    """A few lines on what is to be trained on, from the labels alone.

    None of a lazy set, which would have to be read from end to end before the first step, nor of one that is rendered.

    Args:
        trained: the training set.
        judged: the evaluation set.
        size: the side of the network's input in pixels.
        anchors_cells: the network's priors at that size; none: those that k-means makes stand for them.
    """
    if trained.lazy:
        return []
    counts = label_counts(count(trained))
    fit = fitness(trained.ground_truth(), size, anchors_cells=anchors_cells)
    lines = [*class_lines(counts, near_names(counts)), *(fit.short() if fit is not None else ())]
    if not judged.lazy and (absent := [name for name in empty_classes(judged) if counts.get(name)]):
        lines.append(f"{judged.split} has no picture of {some(absent)}: of these nothing is measured")
    return lines


def alike_pictures(surveys: Sequence[Survey], splits: Mapping[str, Dataset]) -> tuple[list[AlikePictures], str]:
    """Pictures that look like another one, inside and between splits; those of the same bytes are not among them.

    Args:
        surveys: all of these are compared with each other.
        splits: {name: data set}, which may be parts of what was surveyed, and overlap; without any, what was surveyed.

    Returns:
        The pairs, and a remark where not all pictures were compared ("": all were).
    """
    places = [
        (number, int(place))
        for number, each in enumerate(surveys)
        if each.report.thumbnails is not None
        for place in each.report.thumbnails.places
    ]
    images = [each.report.thumbnails.images for each in surveys if each.report.thumbnails is not None]
    chosen = spread(np.arange(len(places)), MOST_COMPARED)
    names: dict[object, list[str]] = {}
    for name, dataset in splits.items():
        for origin in dataset.origins():
            names.setdefault(origin, []).append(name)
    origins = [each.dataset.origins() for each in surveys]

    def pair(found: Alike) -> AlikePictures:
        records, known = [], []
        for number, place in (places[chosen[found.first]], places[chosen[found.other]]):
            records.append(surveys[number].dataset[place])
            whole = [] if splits else [surveys[number].report.split or "all"]
            known.append(tuple(names.get(origins[number][place], whole)))
        # Two of train and val are no less apart for a list of both, such as trainval.
        usual = [tuple(name for name in each if name in SPLITS) for each in known]
        first, other = usual if all(usual) else known
        return AlikePictures(records[0], records[1], first, other, found.mirrored)

    pairs = list(map(pair, alike(np.concatenate(images)[chosen]))) if len(chosen) else []
    total = sum(len(each.dataset) for each in surveys)
    some_only = f"{len(chosen)} of {total} pictures, evenly spread, were compared with each other by their looks"
    return [each for each in pairs if not _same_bytes(each)], some_only if len(chosen) < len(places) else ""


def alike_lines(pairs: Sequence[AlikePictures], remark: str) -> list[str]:
    """What a person should know of pictures that look alike."""
    lines = [remark] if remark else []
    between, unlisted = [each for each in pairs if each.leaks], [each for each in pairs if not each.listed]
    inside = [each for each in pairs if each.listed and not each.leaks]
    if inside:
        lines.append(f"{_look(inside)} like another one of their split (first: {inside[0]})")
    if unlisted:
        lines.append(
            f"{_look(unlisted)} like another one, and at least one of the two is in no split (first: {unlisted[0]})"
        )
    if between:
        one, other = (" and ".join(names) for names in between[0][2:4])
        lines.append(
            f"{_look(between)} like one of another split: judged on these a network seems better than it is (first: "
            f"{between[0]}; {one} and {other})"
        )
    return lines


def _look(pairs: Sequence[AlikePictures]) -> str:
    return "1 picture looks" if len(pairs) == 1 else f"{len(pairs)} pictures look"


def label_counts(report: Report) -> dict[str, int]:
    """Boxes of each class, or labelled pictures where there are no boxes."""
    return report.boxes_per_class if report.boxes else report.pictures_per_class


def class_lines(counts: Mapping[str, int], names: Sequence[NearNames]) -> list[str]:
    """Balance, rare classes and names nearly alike, a line each."""
    lines = [line for line in [balance(counts)] if line]
    if rare := rare_classes(counts):
        listed = some([f"{name} {number}" for name, number in rare.items()], NAMED)
        lines.append(
            f"classes with fewer than {RARE}, of which little can be learnt or measured ({len(rare)}): {listed}"
        )
    if names:
        listed = some([f"{', '.join(each.classes)} ({each.why})" for each in names], NAMED)
        lines.append(f"classes whose names may mean one thing: {listed}")
    return lines


def pixels(suspect: Suspect) -> str:
    """The box in whole pixels."""
    return "[" + ", ".join(f"{value:.0f}" for value in suspect.box_xyxy) + "]"


def _called(record: Record) -> str:
    return shown(record.image or record.name)


def _same_bytes(pair: AlikePictures) -> bool:
    one, other = pair.first.image, pair.other.image
    try:
        return bool(one and other and filecmp.cmp(one, other, shallow=False))
    except OSError:
        return False
