"""Opens a data set by its name: `open_source("voc:VOCdevkit/VOC2007", "trainval[:80%]")`.

    voc:DIR                          Pascal VOC layout, or XML files beside the pictures (voc.py)
    coco:ANNOTATIONS.json,IMAGES_DIR COCO instances (coco.py)
    yolo:data.yaml                   or Darknet's .data: one text file a picture (yolo.py)
    folders:DIR                      classification: one folder a class (folders.py)
    darknet:FILE.data                classification: Darknet's lists, the class in each path (darknet_lists.py)
    tfds:NAME                        prepared data of TensorFlow Datasets (tfds.py)
    blank:CLASSES,PICTURES           blank pictures, where the data are not at hand (blank.py)
    emoji, emoji:VARIANT             the embedded set, rendered as it is read, and its variants (emoji.py): emoji:coarse
                                     emoji:levels emoji:pictures emoji:pictures,coarse

Sources with the same classes are joined with `+`: `voc:A/VOC2007+voc:A/VOC2012`, `tfds:voc/2007+voc/2012`.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from yolo9000_jax.data.blank import open_blank
from yolo9000_jax.data.choosing import alike, with_classes
from yolo9000_jax.data.coco import coco_splits, file_and_folder, open_coco
from yolo9000_jax.data.darknet_lists import open_darknet
from yolo9000_jax.data.folders import class_names, open_folders
from yolo9000_jax.data.layouts import maybe
from yolo9000_jax.data.messages import nearest, quote
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.splits import NoSplitError, Split, joined_splits
from yolo9000_jax.data.table import Joined, Origin, Record, Table
from yolo9000_jax.data.voc import open_voc, voc_classes, voc_splits
from yolo9000_jax.data.yolo import open_yolo
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import shown
from yolo9000_jax.labels import check_names, synsets_of

__all__ = ["SCHEMES", "Dataset", "Record", "is_source", "open_classes", "open_source"]


def _open_tfds(location: str, split: Split) -> Dataset:
    from yolo9000_jax.data.tfds import open_tfds

    return open_tfds(location, split)


# A new source is one file and one line here: (location, split) -> Dataset, with all of its classes.
SCHEMES: dict[str, Callable[[str, Split], Dataset]] = {
    "voc": open_voc,
    "coco": open_coco,
    "yolo": open_yolo,
    "folders": open_folders,
    "darknet": open_darknet,
    "tfds": _open_tfds,
    "blank": open_blank,
}
EMOJI = "emoji"  # draws the classes that it is asked for
KNOWN = (*SCHEMES, EMOJI)


def open_source(
    spec: str, split: str = "all", classes: Sequence[str] | None = None, *, learnt: bool = False
) -> Dataset:
    """Opens a data set and checks it: every label is parsed and every picture looked at before this returns.

    Args:
        spec: `SCHEME:LOCATION`, see the module; several joined with `+`.
        split: name of a split, or several joined by "+", perhaps with a slice; "" or "all" for everything (see
            `Split`). Of joined sources also one for each, separated by commas: "trainval+test,trainval".
        classes: the class names and their order; None takes the source's own. Boxes of other classes are left out and
            counted (choosing.with_classes).
        learnt: the classes are a network's, or what it is trained on: that the data lack some of them is no mistake.

    Returns:
        The records, with the class names and with notes for the user on what was clipped, dropped or assumed.

    Raises:
        UserError: anything wrong, in one line that names the file and the record.
    """
    classes = _checked_classes(classes)
    parts, pairs = _pairs(spec, split)
    datasets = [_open_one(part, each, classes) for part, each in pairs]
    for (part, each), dataset in zip(pairs, datasets, strict=True):
        if not len(dataset):
            scheme, _, location = part.partition(":")
            hint = maybe(location, scheme) if each.is_all else ""
            raise UserError(f"{part}: split {quote(each.text)} has no pictures{hint}")
    if classes is not None:
        own = {name for dataset in datasets for name in dataset.classes}
        datasets = [  # what is drawn is drawn of these classes
            dataset if dataset.rendered else with_classes(dataset, classes, own, learnt) for dataset in datasets
        ]
    dataset = datasets[0].named(spec, split) if len(datasets) == 1 else _join(spec, split, pairs, datasets)
    return dataset.noted(alike(dataset.classes))


def slice_orders(dataset: Dataset) -> list[np.ndarray]:
    """The order of a whole split's pictures that its slices are taken from, of each of the sources that it joins.

    Args:
        dataset: as `open_source` gives it, no slice. Its source is opened again, unless it is drawn.

    Returns:
        The places of the pictures, from 0 in each part: int64.
    """
    changing = UserError(f"{dataset.spec}: its files change while they are read; wait, and try again")
    if isinstance(dataset.maker, Joined):
        return [order for part in dataset.maker.parts for order in slice_orders(part)]  # type: ignore[arg-type]
    if dataset.rendered:
        return [np.arange(len(dataset))]
    scheme, _, location = dataset.spec.partition(":")
    if scheme == "tfds":
        from yolo9000_jax.data.tfds import tfds_orders

        orders = tfds_orders(location, Split.parse(dataset.split))
        if sum(map(len, orders)) != len(dataset):
            raise changing
        return orders
    origins, orders, start = dataset.origins(), [], 0
    for part, each in _pairs(dataset.spec, dataset.split)[1]:
        ordered = _open_one(part, Split.parse(f"{each.name}[:100%]"), None).origins()
        places: dict[Origin, list[int]] = {}
        for place, origin in reversed(list(enumerate(origins[start : start + len(ordered)]))):
            places.setdefault(origin, []).append(place)  # one that is there twice: the first is taken first
        try:
            orders.append(np.array([places[origin].pop() for origin in ordered], np.int64))
        except (KeyError, IndexError):
            raise changing from None
        start += len(ordered)
    return orders


def is_source(text: str) -> bool:
    """Whether a text names a data source, not a file: "emoji", or SCHEME:LOCATION."""
    return bool(re.fullmatch(r"emoji|[a-z]+:.*", text)) and not Path(text).exists()


def open_classes(spec: str) -> tuple[tuple[str, ...], tuple[str | None, ...]]:
    """The class names of a source and their WordNet synsets (or None), without a look at the pictures where it can.

    Raises:
        UserError: as `open_source`.
    """
    scheme, _, location = spec.partition(":")
    if len(_parts(spec)) == 1 and scheme == "folders":
        names = class_names(location)
        found = names, synsets_of(names)
    elif len(_parts(spec)) == 1 and scheme == "voc":
        found = voc_classes(location)
    elif len(_parts(spec)) == 1 and scheme == "tfds":
        from yolo9000_jax.data.tfds import tfds_classes

        found = tfds_classes(location)
    else:
        dataset = open_source(spec, "train" if scheme == "emoji" else "all")
        found = dataset.classes, dataset.synsets
    check_names(found[0], spec)
    return found


def split_names(spec: str) -> list[str]:
    """The splits that a source has as files of free names: VOC's lists, and what there is for COCO's `{split}`."""
    scheme, _, location = spec.partition(":")
    if len(_parts(spec)) > 1 or scheme not in ("voc", "coco"):
        return []
    return voc_splits(location) if scheme == "voc" else coco_splits(location)


def _pairs(spec: str, split: str) -> tuple[list[str], list[tuple[str, Split]]]:
    """The sources that `spec` joins, and the data sets that these are: a source with a split each."""
    parts = _parts(spec)
    wanted = [Split.parse(text) for text in split.split(",")]
    if len(wanted) not in (1, len(parts)):
        raise UserError(
            f"split {quote(split)}: {len(wanted)} splits for {len(parts)} joined sources: give one, or as many"
        )
    if len(parts) > len(wanted) and wanted[0].counts_pictures:
        name = wanted[0].name
        raise UserError(f"split {quote(split)}: of joined sources take a slice in percent, such as {name}[:10%]")
    splits = wanted * len(parts) if len(wanted) == 1 else wanted
    pairs = [(part, each) for part, given in zip(parts, splits, strict=True) for each in _apart(part, given)]
    return parts, pairs


def _apart(spec: str, split: Split) -> list[Split]:
    """The splits that A+B stands for, where each is a data set of its own; other sources put them together."""
    scheme, _, location = spec.partition(":")
    one_each = scheme == EMOJI or (scheme == "coco" and "{split}" in location)
    if not one_each or "+" not in split.name or split.name in split_names(spec):
        return [split]
    if split.counts_pictures:
        raise UserError(f"split {quote(split.text)}: of joined splits take a slice in percent, such as [:10%]")
    names = dict.fromkeys(joined_splits(split.name))
    return [replace(split, text=split.text.replace(split.name, name, 1), name=name) for name in names]


def _parts(spec: str) -> list[str]:
    """The sources joined in `spec`.

    A "+" in the name of what exists joins nothing. The names of TensorFlow Datasets hold no "+", so these need not
    repeat `tfds:`.
    """
    parts: list[str] = []
    pieces = re.split(r"\+(?=[A-Za-z]\w+:|emoji(?:\+|$))", spec)
    while pieces:
        count = next((n for n in range(len(pieces), 1, -1) if _exists("+".join(pieces[:n]))), 1)
        part = "+".join(pieces[:count])
        scheme, _, location = part.partition(":")
        parts += [f"tfds:{name}" for name in location.split("+")] if scheme == "tfds" else [part]
        del pieces[:count]
    return parts


def _exists(spec: str) -> bool:
    """Whether the files of one source are there."""
    scheme, _, location = spec.partition(":")
    places = (file_and_folder(location) or ())[:2] if scheme == "coco" else (Path(os.path.expanduser(location)),)
    return scheme in SCHEMES and bool(places) and all(map(_is_there, map(str, places)))


def _is_there(place: str) -> bool:
    """Whether a path exists; of one with `{split}` in it, the folder before that."""
    start, split, rest = place.partition("{split}")
    return os.path.exists(os.path.dirname(start) or ".") and "+" not in rest if split else os.path.exists(place)


def _open_one(spec: str, split: Split, classes: tuple[str, ...] | None) -> Dataset:
    scheme, _, location = spec.partition(":")
    if scheme == EMOJI:
        return _open_emoji(location, split, classes)
    if scheme not in SCHEMES:
        if os.path.exists(os.path.expanduser(spec)):
            raise UserError(f"{spec}: a data set is named SCHEME:LOCATION, known are {', '.join(KNOWN)}{maybe(spec)}")
        known = f"{nearest(scheme, KNOWN)}; known are {', '.join(KNOWN)} (SCHEME:LOCATION)"
        raise UserError(f"{spec}: there is no data source {quote(scheme)}{known}")
    if not location:
        raise UserError(f"{spec}: say where the data are, {scheme}:LOCATION")
    try:
        dataset = SCHEMES[scheme](location, split)
        other = maybe(location, scheme) if scheme == "folders" else ""  # reads pictures whatever labels them
        return dataset.noted([f"each folder is taken as a class{other}"]) if other else dataset
    except OSError as error:
        place = shown(error.filename or location)
        raise UserError(f"{shown(spec)[:200]}: {place[:200]} cannot be read ({error.strerror}); check it") from None
    except UserError as error:
        hint = "" if scheme == "tfds" or isinstance(error, NoSplitError) else maybe(location, scheme)
        if not hint:
            raise
        raise UserError(f"{error}{hint}") from None


def _open_emoji(location: str, split: Split, classes: tuple[str, ...] | None) -> Dataset:
    from yolo9000_jax.data.emoji import open_variant

    dataset = open_variant(location, split.name, classes)
    # A slice is of the pictures in their own order: they are random already.
    return dataset.take(split.indexes(len(dataset))) if split.is_slice else dataset


def _checked_classes(classes: Sequence[str] | None) -> tuple[str, ...] | None:
    if classes is None:
        return None
    twice = [name for name, count in Counter(classes).items() if count > 1]
    if twice:
        raise UserError(f"class list: {quote(twice[0])} stands there twice; name each class once")
    return tuple(classes)


def _join(spec: str, split: str, pairs: list[tuple[str, Split]], datasets: list[Dataset]) -> Dataset:
    """The data sets of (source, split) as one."""
    first = datasets[0]
    repeated = len({part for part, _ in pairs}) < len(pairs)
    parts = [f"{part} {each.text}" if repeated else part for part, each in pairs]
    for part, other in zip(parts, datasets, strict=True):
        if other.classes != first.classes:
            odd = sorted(set(first.classes) ^ set(other.classes))
            difference = f"{quote(odd[0])} is in one only" if odd else "their order differs"
            raise UserError(f"{part} has not the classes of {parts[0]} ({difference}): give the class list yourself")
    tables = [dataset.table for dataset in datasets if dataset.table is not None]
    notes = [f"{part}: {note}" for part, dataset in zip(parts, datasets, strict=True) for note in dataset.notes]
    return Dataset(
        spec,
        split,
        first.classes,
        Table.joined(tables) if len(tables) == len(datasets) else Joined(datasets),
        first.synsets,
        notes,
        rendered=any(dataset.rendered for dataset in datasets),
        lazy=any(dataset.lazy for dataset in datasets),
        identity="+".join(dataset.fingerprint() for dataset in datasets) if any(d.identity for d in datasets) else None,
        category_ids=first.category_ids if len({dataset.category_ids for dataset in datasets}) == 1 else None,
    )
