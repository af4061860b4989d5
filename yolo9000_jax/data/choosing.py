"""Some of a data set's classes, in the order wanted. Boxes of the others are left out and counted; their pictures stay.

A picture that has one label and no boxes (`folders:`) goes with its label.
"""

import copy
import difflib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import numpy as np

from yolo9000_jax.data.messages import nearest, quote
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.table import Indexed, Origin, Record
from yolo9000_jax.errors import UserError
from yolo9000_jax.labels import canonical, spelt_alike

MISSPELT = 0.81  # likeness by difflib; boat and boot have .75, horse and house .80, dogs and dog .86
LEFT_OUT = -1  # instead of the label of a class that is not wanted
NAMES_SHOWN = 10


def with_classes(
    dataset: Dataset, classes: tuple[str, ...], elsewhere: Collection[str] = (), learnt: bool = False
) -> Dataset:
    """A data set of these classes only, whose labels are their places.

    Args:
        dataset: with all of its own classes.
        classes: those wanted, by name or by synset. The data set may lack some, which a note then says.
        elsewhere: classes that other data sets, joined to this one, have.
        learnt: the classes are those of a network or of what it is trained on, so that no name of them is misspelt.

    Raises:
        UserError: the data set has none of the classes; it lacks one that is not `learnt` and is another of its own,
            misspelt; or boxes that would be left out are of a class whose name differs only in spelling from one that
            is wanted.
    """
    if dataset.classes == classes:
        return dataset
    dataset = _called_as_wanted(dataset, set(classes))
    places = {name: place for place, name in enumerate(classes)}
    ids = np.array([places.get(name, LEFT_OUT) for name in dataset.classes], np.int32)
    notes = [*dataset.notes, *_missing(dataset, classes, elsewhere, learnt), *_left_out(dataset, classes, ids)]
    synset_of = dict(zip(dataset.classes, dataset.synsets, strict=True))
    synsets = [synset_of.get(name) for name in classes]
    if (ids < 0).any() and _is_labelled(dataset):
        dataset = dataset.take(np.flatnonzero(ids[dataset.ground_truth().labels] >= 0).tolist())
    return Dataset(
        dataset.spec,
        dataset.split,
        classes,
        Relabelled(dataset, ids) if dataset.table is None else dataset.table.relabelled(ids),
        synsets,
        notes,
        dataset.rendered,
        dataset.lazy,
        dataset.identity,
        _category_ids(dataset, classes),
    )


def _category_ids(dataset: Dataset, classes: Sequence[str]) -> list[int | str] | None:
    """The ids of these classes in the data set's COCO file; None where one of them has none."""
    ids = dict(zip(dataset.classes, dataset.category_ids or (), strict=False))
    return [ids[name] for name in classes] if ids.keys() >= set(classes) else None


def _called_as_wanted(dataset: Dataset, wanted: Collection[str]) -> Dataset:
    """The data set, its classes named by their synsets where these are what is asked for."""
    named = copy.copy(dataset)
    pairs = zip(dataset.classes, dataset.synsets, strict=True)
    named.classes = tuple(
        synset if synset and synset in wanted and name not in wanted else name for name, synset in pairs
    )
    return named


def alike(classes: Iterable[str]) -> list[str]:
    """A note on classes that have one name but for its spelling ("dog", "Dog "), if there are any."""
    groups = [" and ".join(map(quote, group)) for group in spelt_alike(classes)]
    more = "; …" if len(groups) > NAMES_SHOWN else ""
    some = "; ".join(groups[:NAMES_SHOWN]) + more
    return [f"classes with nearly the same name: {some} (if they are one, correct the labels)"] if groups else []


def _missing(dataset: Dataset, classes: Sequence[str], elsewhere: Collection[str], learnt: bool) -> list[str]:
    """A note on the classes wanted that the data set lacks, if there are any, with what each may mean."""
    own, wanted = set(dataset.classes), set(classes)
    missing = [name for name in classes if name not in own and name not in elsewhere]
    others = [name for name in dataset.classes if name not in wanted]
    for name in missing if others and not learnt else ():
        if meant := _misspelt(name, others):
            raise UserError(
                f"{dataset.spec}: class {quote(name)} is not among the {len(own)} classes of the data "
                f"(did you mean {quote(meant)}?); correct the class list, or leave the class out: nothing is to be "
                "learnt of it"
            )
    some = ", ".join(quote(name) + nearest(name, others) for name in missing[:NAMES_SHOWN])
    some += ", …" if len(missing) > NAMES_SHOWN else ""
    if own and len(missing) == len(wanted):
        raise UserError(
            f"{dataset.spec}: none of the classes asked for ({some}) is among those of the data "
            f"({_some(dataset.classes)}); correct the class list"
        )
    return [f"the data have no class {some}"] if missing else []


def _misspelt(name: str, others: Sequence[str]) -> str | None:
    """Which of the data's other classes is meant by a name that is none; None where it is likelier a class of its own.

    One letter too many or too few, or two neighbours exchanged, are a mistake ("dogs", "bicylce"). A number that is
    another is not, nor, in a name of up to five letters, a letter that is another: so do zone 10 and zone 11, boat and
    boot, horse and house differ. In a longer name it is taken for a mistake ("tomata").
    """
    by_form = {canonical(other): other for other in reversed(others)}
    form = canonical(name)
    if form in by_form:
        return by_form[form]
    close = difflib.get_close_matches(form, by_form, n=3, cutoff=MISSPELT)
    close += [other for other in by_form if _neighbours_exchanged(other, form)]
    return next((by_form[other] for other in close if _numbers(other) == _numbers(form)), None)


def _neighbours_exchanged(one: str, other: str) -> bool:
    places = [place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b]
    return len(places) == 2 and places[1] - places[0] == 1 and sorted(one) == sorted(other)


def _numbers(name: str) -> list[str]:
    return re.findall(r"\d+", name)


def _left_out(dataset: Dataset, classes: Sequence[str], ids: np.ndarray) -> list[str]:
    """A note on the boxes, or labelled pictures, of other classes, if there are any."""
    others = np.flatnonzero(ids < 0)
    if not len(others):
        return []
    is_labelled = _is_labelled(dataset)
    if dataset.lazy and not is_labelled:
        names = [dataset.classes[label] for label in others]
        _check_spelling(dataset, classes, names)
        return [f"boxes of other classes are left out as they are read, and not counted here: {_some(names)}"]
    counts = np.bincount(dataset.ground_truth().labels, minlength=len(ids))
    used = others[counts[others] > 0]
    _check_spelling(dataset, classes, [dataset.classes[label] for label in used])
    if not len(used):
        return []
    total, many = int(counts[used].sum()), ("picture" if is_labelled else "box")
    if total > 1:
        many = "pictures" if is_labelled else "boxes"
    each = ", ".join(f"{counts[label]} {quote(dataset.classes[label])}" for label in used[:NAMES_SHOWN])
    more = ", …" if len(used) > NAMES_SHOWN else ""
    return [f"{total} {many} of classes that are not asked for left out: {each}{more}"]


def _check_spelling(dataset: Dataset, classes: Sequence[str], others: Iterable[str]) -> None:
    wanted = {canonical(name): name for name in classes}
    for name in others:
        if same := wanted.get(canonical(name)):
            raise UserError(
                f"{dataset.spec}{_first_with(dataset, name)}: class {quote(name)} is not among the {len(classes)} "
                f"classes asked for (did you mean {quote(same)}?); correct the label, or add the class to the list"
            )


def _first_with(dataset: Dataset, name: str) -> str:
    label = dataset.classes.index(name)
    return "" if dataset.lazy else next((f", {each.name}" for each in dataset if label in each.labels), "")


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(quote, names[:NAMES_SHOWN])) + (", …" if len(names) > NAMES_SHOWN else "")


def _is_labelled(dataset: Dataset) -> bool:
    """Whether the pictures have one label each and no boxes."""
    return len(dataset) > 0 and len(dataset[0].labels) == 1 and not len(dataset[0].boxes_xyxy)


class Relabelled(Indexed[Record]):
    """Records whose labels go through a table, without the boxes of classes that are left out there.

    Args:
        records: with labels of the data set's own classes.
        ids: int32 [own classes], the new label of each, or LEFT_OUT.
    """

    def __init__(self, records: Dataset, ids: np.ndarray):
        self.records, self.ids = records, ids

    def origins(self) -> list[Origin]:
        return self.records.origins()

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Record:
        record = self.records[index]
        labels = self.ids[record.labels]
        kept = labels >= 0
        boxes = record.boxes_xyxy[kept] if len(record.boxes_xyxy) else record.boxes_xyxy
        crowd = None if record.crowd is None else record.crowd[kept]
        difficult = record.difficult[kept]
        areas = None if record.areas is None else record.areas[kept]
        clipped = None if record.clipped is None else record.clipped[kept]
        changed = {"boxes_xyxy": boxes, "labels": labels[kept], "difficult": difficult, "crowd": crowd, "areas": areas}
        return replace(record, **changed, clipped=clipped)
