"""Which pictures of a source are meant: `train`, `train[:80%]`, `all[10:20]`."""

import glob
import hashlib
import math
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import numpy as np

from yolo9000_jax.data.messages import nearest, quote
from yolo9000_jax.errors import UserError

VALIDATION = ("val", "valid", "validation", "dev")  # what people call the same part
TRAINING = ("train", "training")
SPLITS_SHOWN = 20  # in a message
CALLED = "split {} is called {} here"
NO_SPLITS = "the folder has no splits: {} is all of it (take slices, such as all[:80%] and all[80%:])"
WHOLE_FILE = "the file is one split: {} is all of it (take slices such as all[:80%], or write {{split}} in the source)"

Item = TypeVar("Item")
_BOUND = r"(-?\d+(?:\.\d+)?%|-?\d+)?"
_SPLIT = re.compile(rf"([^\[\]]*)(?:\[{_BOUND}:{_BOUND}\])?")


class NoSplitError(UserError):
    """A data set has no such split, or nothing is there of it."""


@dataclass(frozen=True)
class Split:
    """A split as the user types it: a name and perhaps a slice, `train[:80%]`, `train[80%:]`, `train[10:20]`.

    The slice is taken from a fixed pseudo-random order of the pictures, so it is a fair sample, the same on every
    machine, and complementary slices share no picture. The name "" or "all" is all there is.
    """

    text: str
    name: str
    start: str | None = None
    stop: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Split":
        """Raises `UserError` for what is neither NAME nor NAME[start:stop]."""
        match = _SPLIT.fullmatch(text)
        if match is None:
            raise UserError(f"split {quote(text)}: write NAME or a slice such as NAME[:80%], NAME[80%:], NAME[10:20]")
        split = cls(text, *match.groups())
        for bound in (split.start, split.stop):
            if bound and bound.endswith("%") and abs(float(bound[:-1])) > 100:
                raise UserError(f"split {quote(text)}: {bound} is outside -100% to 100%")
        return split

    @property
    def is_all(self) -> bool:
        return self.name in ("", "all")

    @property
    def is_slice(self) -> bool:
        return self.start is not None or self.stop is not None

    @property
    def counts_pictures(self) -> bool:
        """Whether a bound is a number of pictures, not a percentage."""
        return any(bound is not None and not bound.endswith("%") for bound in (self.start, self.stop))

    def indexes(self, length: int) -> range:
        """The indexes of the slice in a sequence of `length`, as Python's own slices count."""
        return range(length)[slice(_index(self.start, length), _index(self.stop, length))]

    def pick(self, items: Sequence[Item], key: Callable[[Item], str]) -> list[Item]:
        """The slice of `items` in the order of a hash of `key(item)`; all of them in their own order if unsliced."""
        return [items[place] for place in self.places(map(key, items))] if self.is_slice else list(items)

    def places(self, keys: Iterable[str]) -> np.ndarray:
        """The places of the slice among items of these keys, in the order of a hash of the key: int64."""
        digests = b"".join(hashlib.sha256(key.encode("utf-8", "replace")).digest() for key in keys)
        order = np.argsort(np.frombuffer(digests, "S32"), kind="stable")
        return order[self.indexes(len(order))]


def same_split(name: str, present: Collection[str]) -> str | None:
    """The split that is meant by `name` where a set has those `present`; None where it has no such split.

    It is the one of that name; else the only one of that name in other letters, or under another usual name.
    """
    if name in present:
        return name
    words = next((words for words in (VALIDATION, TRAINING) if name.lower() in words), (name.lower(),))
    others = [other for other in present if other.lower() in words]
    return others[0] if len(others) == 1 else None


def joined_splits(name: str) -> list[str]:
    """The splits that a name joins by "+". Raises `UserError` where it has nothing beside a "+"."""
    names = name.split("+")
    if len(names) > 1 and not all(names):
        raise UserError(f"split {quote(name)}: nothing stands beside its +: write one split, or two such as train+val")
    return names


def same_splits(name: str, present: Collection[str]) -> dict[str, str | None]:
    """The splits that are meant by `name`, as `same_split`: {as it is written: as it is called, None where it is not}.

    It is one split, or several joined by "+", where no split has that "+" in its name.
    """
    if found := same_split(name, present):
        return {name: found}
    return {part: same_split(part, present) for part in joined_splits(name)}


def find_splits(name: str, present: Sequence[str], place: str) -> tuple[list[str], list[str]]:
    """The splits that are meant by `name`, as they are called, and notes on those that are called otherwise.

    Args:
        name: one split, or several joined by "+".
        present: the names of those that there are.
        place: what the message calls the data set.

    Raises:
        NoSplitError: one of them is not there.
    """
    found = same_splits(name, present)
    for part, called in found.items():
        if called is None:
            some = ", ".join(present[:SPLITS_SHOWN]) + (", …" if len(present) > SPLITS_SHOWN else "")
            hint = nearest(part, present)
            raise NoSplitError(f"{place} has no split {quote(part)}{hint}: the splits are {some or 'none'}")
    names = [called for called in found.values() if called is not None]
    return list(dict.fromkeys(names)), [CALLED.format(quote(p), c) for p, c in found.items() if c and p != c]


def is_whole(notes: Iterable[str]) -> bool:
    """Whether these notes of a data set say that it has no splits, so that each is all of it."""
    return any(note.startswith(text.partition("{")[0]) for note in notes for text in (NO_SPLITS, WHOLE_FILE))


def fill_split(pattern: str, name: str) -> tuple[Path, str]:
    """The path that `pattern` is with the split's name in place of each {split}, and the name that it then has.

    Where there is none of this name, it is that of the same split under another (see `same_split`), if that is there.
    """
    called = name if Path(pattern.replace("{split}", name)).exists() else same_split(name, splits_in(pattern)) or name
    return Path(pattern.replace("{split}", called)), called


def splits_in(pattern: str) -> list[str]:
    """The names that are there in place of {split}."""
    before, *after = (re.escape(part) for part in pattern.split("{split}"))
    whole = re.compile(before + "([^/]+)" + r"\1".join(after))
    found = glob.glob("*".join(map(glob.escape, pattern.split("{split}")))) if after else []
    return sorted(match[1] for match in map(whole.fullmatch, found) if match)


def _index(bound: str | None, length: int) -> int | None:
    if bound is None:
        return None
    if not bound.endswith("%"):
        return int(bound)
    percent = Fraction(bound[:-1])  # exact, so that [:80%] and [-20%:] meet
    return math.floor(length * (100 + percent if bound.startswith("-") else percent) / 100)
