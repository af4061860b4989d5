"""Lists of labels: out of files, data sets or Python."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from yolo9000_jax.errors import UserError
from yolo9000_jax.files import read_text
from yolo9000_jax.labels import SYNSET, parse_label

_NAME_AND_SYNSET = re.compile(r"\s*(.*[^\s=])\s*[\s=]\s*(n\d{8})\s*")
_COMMENT = re.compile(r"(?:^|\s)#.*")
_HEADERS = {"synset", "wnid"}


class Label(NamedTuple):
    """A line of a label list: a name, a synset, or both, and where it stands."""

    name: str | None
    synset: str | None
    place: str


@dataclass(frozen=True)
class LabelList:
    """The classes of one data set, in their order."""

    source: str
    labels: tuple[Label, ...]

    def __len__(self) -> int:
        return len(self.labels)


def read_label_list(path: str | Path) -> LabelList:
    """The labels of a file.

    Args:
        path: a text file of one label a line: "dog", "n02084071", or both, separated by a tab, a blank or "="; where
            there are more columns, the first synset and the first other column that is no number. Blank lines, a line
            of column titles, and what follows a "#" are left out.

    Raises:
        UserError: the file cannot be read, has no label, or a line is no label.
    """
    source = str(path)
    labels = []
    for number, line in enumerate(read_text(Path(path)).split("\n"), 1):
        line = _COMMENT.sub("", line)
        titles = number == 1 and not _HEADERS.isdisjoint(line.lower().split("\t"))
        if line.strip() and not titles:
            labels.append(label_of(line, f"{source}, line {number}"))
    return _not_empty(LabelList(source, tuple(labels)))


def label_list(labels: Sequence[str | Label], source: str = "labels") -> LabelList:
    """A list of the labels given, each written as in a file.

    Raises:
        UserError: there is none, or one is no label.
    """
    places = (f"{source}, label {number}" for number in range(1, len(labels) + 1))
    found = [
        label if isinstance(label, Label) else label_of(label, place)
        for label, place in zip(labels, places, strict=True)
    ]
    return _not_empty(LabelList(source, tuple(found)))


def class_list(classes: Sequence[str], synsets: Sequence[str | None], source: str) -> LabelList:
    """The classes of a data set as a list of labels.

    Args:
        classes: their names; one that is a synset's id is no name.
        synsets: the WordNet synset of each, or None.
        source: what messages call the data set.

    Raises:
        UserError: there is none.
    """
    pairs = zip(classes, synsets, strict=True)
    labels = (
        Label(None, synset or name, source) if SYNSET.fullmatch(name) else Label(name, synset, source)
        for name, synset in pairs
    )
    return _not_empty(LabelList(source, tuple(labels)))


def label_of(line: str, place: str) -> Label:
    """The label of one line.

    Raises:
        UserError: it is blank or not printable.
    """
    match = _NAME_AND_SYNSET.fullmatch(line) if "\t" not in line else None
    name, synset = (match[1], match[2]) if match else parse_label(line, place)
    if SYNSET.fullmatch(name):
        name, synset = None, synset or name
    return Label(name, synset, place)


def _not_empty(labels: LabelList) -> LabelList:
    if not labels.labels:
        raise UserError(f"{labels.source}: there is no label in it; give one a line")
    return labels
