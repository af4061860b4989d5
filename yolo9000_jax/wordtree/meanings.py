"""Which WordNet concept a label means."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from yolo9000_jax.errors import UserError
from yolo9000_jax.wordtree.lists import Label, LabelList
from yolo9000_jax.wordtree.wordnet import WordNet

SHOWN_LABELS, SHOWN_SENSES, SHOWN_LETTERS = 2, 3, 30  # in the message, which is one line


class UnclearLabels(UserError):
    """Some labels are no concept, or several.

    Attributes:
        candidates: every one of these labels with all that it can mean, as lines of a label file: the commonest
            meaning counts, the others are comments.
    """

    def __init__(self, message: str, candidates: str):
        super().__init__(message)
        self.candidates = candidates


class _Unclear(NamedTuple):
    label: Label
    senses: Sequence[str]
    trouble: str


def find_meanings(
    lists: Sequence[LabelList], wordnet: WordNet, usable: Callable[[Sequence[str]], Sequence[str]]
) -> list[list[str]]:
    """The synset of every label of every list.

    A label's own synset counts. A name means its one usable sense; with none or several it is unclear.

    Args:
        lists: label lists.
        wordnet: where the senses are from.
        usable: which of a name's senses come into question, such as those under the roots of the tree.

    Raises:
        UnclearLabels: some labels are unknown or ambiguous.
        UserError: two labels of one list are the same concept.
    """
    unclear: list[_Unclear] = []
    meanings = [[_meaning(label, wordnet, usable, unclear) for label in labels.labels] for labels in lists]
    if unclear:
        raise UnclearLabels(_message(unclear, wordnet), _candidates(unclear, wordnet))
    found = [[synset for synset in synsets if synset is not None] for synsets in meanings]  # all, where none is unclear
    for labels, synsets in zip(lists, found, strict=True):
        _check_different(labels, synsets)
    return found


def _meaning(
    label: Label,
    wordnet: WordNet,
    usable: Callable[[Sequence[str]], Sequence[str]],
    unclear: list[_Unclear],
) -> str | None:
    """The label's synset; or None, and one more that is unclear."""
    if label.synset is not None:
        if label.synset in wordnet:
            return label.synset
        unclear.append(_Unclear(label, (), f"{label.synset} is no noun of WordNet 3.0"))
        return None
    every = wordnet.senses(label.name or "")
    senses = usable(every)
    if len(senses) == 1:
        return senses[0]
    if senses:
        unclear.append(_Unclear(label, senses, f"has {len(senses)} meanings:"))
    elif every:
        unclear.append(_Unclear(label, every, "has no meaning under the roots of the tree:"))
    else:
        unclear.append(_Unclear(label, (), "is no noun of WordNet 3.0"))
    return None


def _check_different(labels: LabelList, synsets: Sequence[str]) -> None:
    first: dict[str, Label] = {}
    for label, synset in zip(labels.labels, synsets, strict=True):
        other = first.setdefault(synset, label)
        if other is not label:
            raise UserError(
                f"{label.place}: {label.name or synset!r} is {synset}, and so is {other.name or synset!r} "
                f"({other.place}): leave one out, or correct its synset"
            )


def _message(unclear: Sequence[_Unclear], wordnet: WordNet) -> str:
    parts = []
    for label, senses, trouble in unclear[:SHOWN_LABELS]:
        glosses = [f"{sense} ({wordnet.gloss(sense)[:SHOWN_LETTERS]})" for sense in senses[:SHOWN_SENSES]]
        glosses += ["…"] if len(senses) > SHOWN_SENSES else []
        part = f"{label.place}: {_text(label)!r} {trouble}"
        parts.append(f"{part} {', '.join(glosses)}" if glosses else part)
    if len(unclear) > SHOWN_LABELS:
        parts.append(f"and {len(unclear) - SHOWN_LABELS} more")
    return f"{'; '.join(parts)}: on the line of each write its name, a tab and the synset"


def _candidates(unclear: Sequence[_Unclear], wordnet: WordNet) -> str:
    lines = []
    for label, senses, trouble in unclear:
        name = _text(label)
        lines.append(f"# {name} ({label.place}) {trouble}")
        for place, sense in enumerate(senses):
            hidden = "" if place == 0 else "# "
            lines.append(f"{hidden}{name}\t{sense}\t# {wordnet.gloss(sense)}")
    return "\n".join(lines)


def _text(label: Label) -> str:
    return (label.name or label.synset or "")[:60]
