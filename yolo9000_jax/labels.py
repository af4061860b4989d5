"""Names of classes: reading the files that hold them, and finding a data set's classes among a model's."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from yolo9000_jax.errors import UserError
from yolo9000_jax.files import one_form, read_text
from yolo9000_jax.text import is_printable

SYNSET = re.compile(r"n\d{8}")
_NUMBERED_SYNSET = re.compile(r"(?:\d+\s+)?(n\d{8})(?:\s+(.*))?")

# Each line: spellings of one class. Case, blanks, underscores and hyphens count for nothing.
SPELLINGS = (
    ("airplane", "aeroplane"),
    ("motorcycle", "motorbike"),
    ("couch", "sofa"),
    ("tv", "tvmonitor", "television"),
    ("donut", "doughnut"),
    ("cell phone", "mobile phone", "cellphone"),
    ("hair drier", "hair dryer"),
    ("gray", "grey"),
)


# What other programs write around the names, if they do it on every line.
DECORATIONS = {
    "list marks": re.compile(r"\s*-\s+(?P<name>.+)"),
    "numbers": re.compile(r"\s*\d+\s*:\s*(?P<name>.+)"),
    "quotes": re.compile(r"""\s*(["'])(?P<name>.*)\1\s*,?\s*"""),
}


class Labels(NamedTuple):
    """Names of a model's classes in order, their WordNet synsets where known, and a remark for the user or None."""

    names: tuple[str, ...]
    synsets: tuple[str | None, ...]
    note: str | None = None


def read_labels(path: str | PathLike, count: int) -> Labels:
    """The names of `count` classes.

    Args:
        path: a text file of one class a line: "dog", "n02084071", "n02084071 dog", any of them after its number, or
            columns parted by tabs, of which one is the synset and the first other one that is no number the name.
            Quotes, list marks and "0:" are left out where they are on every line.
            A list of synsets alone may be longer than `count`, as Darknet's imagenet.labels.list is: the model's
            classes are its first.
        count: classes of the model.

    Raises:
        UserError: the file cannot be read, a line is blank, or the number of lines is another.
    """
    lines = read_text(Path(path)).rstrip().split("\n")
    decorations = []
    for what, form in DECORATIONS.items():
        if all(form.fullmatch(line) for line in lines):
            lines = [form.sub(r"\g<name>", line) for line in lines]
            decorations.append(what)
    note = f"{path}: the {' and '.join(decorations)} are left out of the names" if decorations else None
    found = [parse_label(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]
    if len(found) > count and all(name == synset for name, synset in found):
        note = f"{path} lists {len(found)} synsets; the first {count} are the network's classes"
        found = found[:count]
    if len(found) != count:
        raise UserError(f"{path}: {len(found)} names, but the network has {count} classes; give one name a line")
    names, synsets = zip(*found, strict=True)
    return Labels(names, synsets, note)


def parse_label(line: str, place: str) -> tuple[str, str | None]:
    """Name and synset of one line, as `read_labels` describes it; the name is the synset where there is no other.

    Raises:
        UserError: the line is blank or not printable; `place` is what the message calls it.
    """
    fields = [field.strip() for field in line.split("\t")]
    if len(fields) > 1:
        synset = next((field for field in fields if SYNSET.fullmatch(field)), None)
        name = next((field for field in fields if field and field != synset and not field.isdigit()), synset)
    elif match := _NUMBERED_SYNSET.fullmatch(fields[0]):
        synset, name = match[1], match[2] or match[1]
    else:
        synset, name = None, fields[0]
    if not name or not is_printable(name):
        raise UserError(f"{place}: {name[:40]!r} is no name; give one class name a line" if name else f"{place}: blank")
    return name, synset


def told_apart(names: Sequence[str], labels: Sequence[str]) -> tuple[str, ...]:
    """The names, with the class's label behind each that several classes have: ImageNet has two cranes."""
    counts = Counter(names)
    pairs = zip(names, labels, strict=False)
    return tuple(f"{name} ({label})" if counts[name] > 1 else name for name, label in pairs)


def check_names(names: Iterable[str], place: str) -> None:
    """Raises UserError where a class name is blank or cannot be printed; `place` is where they are from."""
    for name in names:
        if not name.strip() or not is_printable(name):
            raise UserError(f"{place}: class {name[:40]!r} is no name that can be printed: rename it")


def synsets_of(names: Iterable[str]) -> tuple[str | None, ...]:
    """For each name the WordNet synset that it is itself, such as "n02084071", or None."""
    return tuple(name if SYNSET.fullmatch(name) else None for name in names)


def canonical(name: str) -> str:
    """One spelling of a class name, whatever its case, blanks, underscores, hyphens, form of accents or spelling."""
    bare = _bare(name)
    return _SPELLING.get(bare, bare)


def _bare(name: str) -> str:
    return re.sub(r"[\s_-]+", "", one_form(name)).lower()


_SPELLING = {_bare(spelling): _bare(line[0]) for line in SPELLINGS for spelling in line}


def spelt_alike(names: Iterable[str]) -> list[list[str]]:
    """Groups of names that are one but for case, blanks, underscores, hyphens or usual spelling."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(canonical(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def match_classes(
    dataset_classes: Sequence[str],
    model_classes: Sequence[str],
    dataset_synsets: Sequence[str | None] | None = None,
    model_synsets: Sequence[str | None] | None = None,
) -> list[int | None]:
    """The model's class for each class of a data set.

    A class with a synset goes by that where the model's synsets are known, else by its name: the same name or, if the
    model has none, the same but for spelling (`canonical`). A name that several of the model's classes share is none.

    Args:
        dataset_classes, model_classes: names.
        dataset_synsets, model_synsets: WordNet synset or None for each, None if unknown altogether.

    Returns:
        A class of the model, or None where it has no such class, for each of the data set's.

    Raises:
        UserError: two of the data set's classes are one of the model's, or not one is found.
    """
    dataset_synsets = dataset_synsets or [None] * len(dataset_classes)
    by_synset = _unique(model_synsets or ())
    by_name, by_spelling = _unique(model_classes), _unique(map(canonical, model_classes))
    found: list[int | None] = []
    for name, synset in zip(dataset_classes, dataset_synsets, strict=True):
        if synset and by_synset:
            found.append(by_synset.get(synset))
        else:
            found.append(by_name.get(name, by_spelling.get(canonical(name))))
    _check_matches(found, dataset_classes, model_classes)
    return found


def _unique(names: Iterable[str | None]) -> dict[str, int]:
    """Place of each name that stands there once."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        if name is not None:
            places.setdefault(name, []).append(place)
    return {name: where[0] for name, where in places.items() if len(where) == 1}


def _check_matches(found: Sequence[int | None], dataset_classes: Sequence[str], model_classes: Sequence[str]) -> None:
    if not any(place is not None for place in found):
        theirs, ours = (", ".join(map(repr, names[:3])) for names in (dataset_classes, model_classes))
        raise UserError(
            f"none of the data set's classes ({theirs}, …) is among the model's ({ours}, …); "
            "give the model's names, or their synsets, with --names"
        )
    first: dict[int, str] = {}
    for name, place in zip(dataset_classes, found, strict=True):
        if place is not None and first.setdefault(place, name) != name:
            raise UserError(
                f"the data set's classes {first[place]!r} and {name!r} are both the model's {model_classes[place]!r}; "
                "merge them in the data set, or rename one"
            )
