"""The classes of the embedded data set: 98 fine ones under 19 coarse ones (`emoji_classes.tsv`)."""

import csv
import functools
import importlib.resources
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from yolo9000_jax.data.messages import nearest, quote
from yolo9000_jax.errors import UserError


@dataclass(frozen=True)
class EmojiClass:
    """One row of the class table."""

    name: str
    synset: str  # WordNet 3.0, "n02121808"
    coarse: str
    coarse_synset: str
    code_points: tuple[str, ...]  # the emoji that show it: "1f408", or "1f415-200d-1f9ba" for a sequence


@dataclass(frozen=True)
class Choice:
    """The classes of one data set, which rows of the table it draws from, and remarks for the user."""

    classes: tuple[str, ...]
    synsets: tuple[str, ...]
    rows: tuple[EmojiClass, ...]
    notes: tuple[str, ...]


@functools.lru_cache
def read_classes() -> tuple[EmojiClass, ...]:
    """The class table, in the order of the class ids."""
    text = importlib.resources.files("yolo9000_jax.data").joinpath("emoji_classes.tsv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    return tuple(
        EmojiClass(row["name"], row["synset"], row["coarse"], row["coarse_synset"], tuple(row["code_points"].split()))
        for row in rows
    )


def choose_classes(names: Sequence[str] | None, labels: str, spec: str) -> Choice:
    """What a data set of these names draws, and what its classes are.

    Args:
        names: fine names, coarse ones, or both, each once; None for all. The fine classes among them are drawn or,
            where none is named, all of the coarse ones.
        labels: level of the classes: "fine", the fine ones in the order of `names`; "coarse", the coarse ones of all
            names in their order; or "levels", these and then those.
        spec: the data set, for messages.

    Raises:
        UserError: unknown labels or name, a name given twice, or none.
    """
    table = read_classes()
    coarse_of = {row.name: row.coarse for row in table}
    synsets = {row.coarse: row.coarse_synset for row in table} | {row.name: row.synset for row in table}
    names = tuple(synsets if names is None else names)
    _check_names(names, synsets, spec)
    coarse = tuple(dict.fromkeys(coarse_of.get(name, name) for name in names))
    named = tuple(name for name in names if name in coarse_of)
    fine = named or tuple(row.name for row in table if row.coarse in coarse)
    levels = {"fine": fine, "coarse": coarse, "levels": coarse + fine}
    if labels not in levels:
        raise UserError(f"{spec}: labels are {', '.join(levels)}, not {quote(labels)}")
    rows = tuple(row for row in table if row.name in fine)
    empty = [name for name in coarse if name in levels[labels] and not any(row.coarse == name for row in rows)]
    notes = (f"never drawn, for want of a fine class in the class list: {', '.join(empty)}",) if empty else ()
    return Choice(levels[labels], tuple(synsets[name] for name in levels[labels]), rows, notes)


def _check_names(names: Sequence[str], known: Collection[str], spec: str) -> None:
    if not names or len(set(names)) < len(names):
        raise UserError(f"{spec}: give each class once, and at least one")
    for name in names:
        if name not in known:
            raise UserError(f"{spec}: there is no class {quote(name)} among its {len(known)}{nearest(name, known)}")
