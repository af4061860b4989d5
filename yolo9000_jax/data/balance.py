"""The classes of a data set beside each other: how unequal, which are too rare to learn, whose names may be one."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from yolo9000_jax.labels import canonical

RARE = 20  # boxes, or labelled pictures: of fewer, little is learnt from scratch (a rule of thumb)
UNEQUAL = 2.0  # factor
LONG_NAME = 5  # letters: in a longer name one that is another is taken for a mistake ("tomata"; boat and boot are two)
STRAY_SHARE = 0.02  # of the boxes of the classes that have its name in theirs: a class with fewer may be one of these


class NearNames(NamedTuple):
    """Classes whose names may mean one thing, and why one may think so."""

    classes: tuple[str, ...]
    why: str


def rare_classes(counts: Mapping[str, int]) -> dict[str, int]:
    """The classes with some but fewer than 20 boxes, or labelled pictures, the rarest first."""
    rare = {name: count for name, count in counts.items() if 0 < count < RARE}
    return dict(sorted(rare.items(), key=lambda item: item[1]))


def balance(counts: Mapping[str, int]) -> str | None:
    """How unequal the classes are, in a line; None where none is there twice as often as another."""
    present = sorted((count, name) for name, count in counts.items() if count)
    if len(present) < 2:
        return None
    (least, rarest), (most, commonest) = present[0], present[-1]
    if most < UNEQUAL * least:
        return None
    return f"{commonest} is there {most / least:.1f} times as often as {rarest} ({most} to {least})"


def near_names(counts: Mapping[str, int]) -> list[NearNames]:
    """Classes nearly alike in name: one letter apart, or the last word of others and hardly used itself.

    Names that differ in a number ("zone 10", "zone 11") are two, and so are names of up to five letters of which one is
    another (boat, boot); equal but for case, blanks and the like are those of `choosing.alike`, and not listed here.

    Args:
        counts: of each class the number of boxes, or of labelled pictures.
    """
    return [*_one_letter_apart(counts), *_strays(counts)]


def _one_letter_apart(names: Iterable[str]) -> Iterable[NearNames]:
    """By the forms that are left when one letter is taken out: names one edit apart share one."""
    by_form: dict[str, list[str]] = {}
    for name in names:
        bare = canonical(name)
        for form in dict.fromkeys([bare, *(bare[:place] + bare[place + 1 :] for place in range(len(bare)))]):
            by_form.setdefault(form, []).append(name)
    pairs = {
        (one, other)
        for group in by_form.values()
        for place, one in enumerate(group)
        for other in group[place + 1 :]
        if _is_slip(canonical(one), canonical(other))
    }
    order = {name: place for place, name in enumerate(names)}
    for pair in sorted(pairs, key=lambda pair: (order[pair[0]], order[pair[1]])):
        yield NearNames(pair, "one letter apart")


def _is_slip(one: str, other: str) -> bool:
    """Whether one of two names that share a form without a letter may be the other, mistyped."""
    if one == other or re.findall(r"\d+", one) != re.findall(r"\d+", other) or min(len(one), len(other)) < 3:
        return False
    if len(one) != len(other):
        return True
    places = [place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    exchanged = len(places) == 2 and places[1] - places[0] == 1 and sorted(one) == sorted(other)
    return exchanged or len(places) == 1 and len(one) > LONG_NAME


def _strays(counts: Mapping[str, int]) -> Iterable[NearNames]:
    """Classes with hardly a box whose name ends those of others with many: "bishop" beside "white-bishop"."""
    longer: dict[str, list[str]] = {}
    for name in counts:
        words = re.split(r"[\s_-]+", name.lower())
        for place in range(1, len(words)):
            longer.setdefault(" ".join(words[place:]), []).append(name)
    for name, count in counts.items():
        others = longer.get(" ".join(re.split(r"[\s_-]+", name.lower())), [])
        if others and 0 < count <= STRAY_SHARE * sum(counts[other] for other in others):
            times = "once" if count == 1 else f"{count} times"
            yield NearNames((name, *others), f"{name} is there {times}, and the end of the other names")
