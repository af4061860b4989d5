"""Builds a WordTree from label lists and WordNet, the paper's way (section 4, "Hierarchical classification")."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.labels import SYNSET
from yolo9000_jax.places import as_path
from yolo9000_jax.wordtree.lines import FilePath
from yolo9000_jax.wordtree.lists import LabelList, label_list
from yolo9000_jax.wordtree.meanings import find_meanings
from yolo9000_jax.wordtree.paths import Above, Parents, breadth_first, climb, collapsed, grow, reached_roots
from yolo9000_jax.wordtree.tree import WordTree, save_map
from yolo9000_jax.wordtree.wordnet import WordNet, open_wordnet

PHYSICAL_ENTITY, ABSTRACTION = "n00001930", "n00002137"
_LISTED = 5  # examples in a note


@dataclass(frozen=True)
class Built:
    """A tree, and how the lists it was built of lie in it.

    Attributes:
        tree: all labels and what is above them.
        sources: where each list is from.
        maps: for each list its labels' nodes: int32 [labels].
        labels: how many different concepts the lists name.
        several_paths: how many of them have several paths to a root.
        notes: lines for the user.
    """

    tree: WordTree
    sources: tuple[str, ...]
    maps: tuple[np.ndarray, ...]
    labels: int
    several_paths: int
    notes: tuple[str, ...]

    def save(self, path: FilePath, maps: bool = False) -> list[Path]:
        """Writes Darknet's files: FILE.tree, FILE.names beside it and, if asked for, FILE.LIST.map for each list.

        Returns:
            The paths written.

        Raises:
            UserError: `path` does not end in .tree, or a file cannot be written.
        """
        written = self.tree.save_with_names(path)
        for source, nodes in zip(self.sources, self.maps, strict=True) if maps else ():
            label = re.sub(r"[^\w-]+", "-", Path(source).name.removesuffix(Path(source).suffix)).strip("-")
            place = as_path(path).with_suffix(f".{label}.map")
            if place in written:
                place = as_path(path).with_suffix(f".{label}-{len(written) - 1}.map")
            save_map(place, nodes)
            written.append(place)
        return written


def build_tree(labels: Sequence[str], roots: Sequence[str] | None = None, collapse: bool = False) -> WordTree:
    """The tree of one list of labels, such as ["poodle", "n02121808", "kite = n03621473"]; see `build`."""
    return build([label_list(labels)], roots, collapse).tree


def build(lists: Sequence[LabelList], roots: Sequence[str] | None = None, collapse: bool = False) -> Built:
    """The tree of several lists of labels, which share the concepts that they have in common.

    Each label hangs on one of WordNet's paths to the roots: labels with one path come first, then whichever path adds
    the fewest nodes (see `paths.grow`). A label may be above another. Nodes are called as the first list that names
    them calls them, else by WordNet's first word; where several nodes have the same name, the parent's follows in
    brackets.

    Args:
        lists: label lists, each in the order of its data set's classes.
        roots: synsets, or names with one meaning, that the tree ends in. None: "physical entity" and, where a label is
            under it by no path, as WordNet's traffic light, "abstraction". The released 9k.tree is of things under
            physical entity too, though itself is left out and the few abstract ones hang elsewhere, by hand.
        collapse: leave out nodes that have a single child and are no labels, as the paper's trees do.

    Raises:
        UnclearLabels: labels that WordNet lacks, or names that mean several things under the roots.
        UserError: no list, labels without a path to the roots or with paths to two of them, the same concept twice in
            one list, a root that is unknown or under another, or no WordNet.
    """
    if not lists:
        raise UserError("there are no labels to build a tree of; give at least one list")
    wordnet = open_wordnet()
    chosen = tuple(_root(root, wordnet) for root in roots) if roots else (PHYSICAL_ENTITY,)
    _check_roots(chosen, wordnet)
    spare = () if roots else (ABSTRACTION,)
    found = find_meanings(lists, wordnet, lambda senses: _under(senses, chosen, spare, wordnet))
    labels = sorted({synset for synsets in found for synset in synsets})
    above, abstract = _climb(labels, chosen, spare, wordnet)
    given = _given_names(lists, found)
    _check_paths(labels, above, given, wordnet)
    full, several = grow(labels, above)
    parents = collapsed(full, labels) if collapse else full
    order = breadth_first(parents)
    places = {None: -1} | {synset: place for place, synset in enumerate(order)}
    names = _names(order, parents, given, wordnet)
    tree = WordTree(tuple(order), np.array([places[parents[node]] for node in order]), names)
    maps = tuple(np.array([places[synset] for synset in synsets], np.int32) for synsets in found)
    notes = (
        *_size_note(tree, labels, several, len(full) - len(order)),
        *_shared_note(found),
        *_meaning_notes(lists, found, wordnet),
        *_abstract_note(abstract, tree),
        *_ancestor_notes(labels, tree),
    )
    return Built(tree, tuple(labels.source for labels in lists), maps, len(labels), several, notes)


def _root(text: str, wordnet: WordNet) -> str:
    if SYNSET.fullmatch(text) and text in wordnet:
        return text
    senses = () if SYNSET.fullmatch(text) else wordnet.senses(text)
    if len(senses) != 1:
        meanings = ", ".join(f"{sense} ({wordnet.gloss(sense)[:45]})" for sense in senses[:5])
        trouble = f"has {len(senses)} meanings, {meanings}: give a synset" if senses else "is no noun of WordNet 3.0"
        raise UserError(f"root {text[:60]!r} {trouble}")
    return senses[0]


def _check_roots(roots: Sequence[str], wordnet: WordNet) -> None:
    for root in roots:
        others = climb([root], [other for other in roots if other != root], wordnet.hypernyms)
        if roots.count(root) > 1 or root in others:
            raise UserError(
                f"root {_quote(root, wordnet)} is given twice or is under another root, "
                "so that labels would be in two roots: leave it out"
            )


def _under(senses: Sequence[str], roots: Sequence[str], spare: Sequence[str], wordnet: WordNet) -> list[str]:
    """The senses under the roots; those under the spare ones where there are none."""
    for ends in (roots, spare):
        above = climb(senses, ends, wordnet.hypernyms)
        if found := [sense for sense in senses if sense in above]:
            return found
    return []


def _climb(
    labels: Sequence[str], roots: Sequence[str], spare: Sequence[str], wordnet: WordNet
) -> tuple[Above, list[str]]:
    """The paths to the roots, and the labels for which only a spare root was found."""
    above = climb(labels, roots, wordnet.hypernyms)
    others = [label for label in labels if label not in above]
    instead = climb(others, spare, wordnet.hypernyms)
    return instead | above, [label for label in others if label in instead]


def _check_paths(labels: Sequence[str], above: Above, given: dict[str, str], wordnet: WordNet) -> None:
    ends = reached_roots(above)
    lost = [label for label in labels if label not in above]
    if lost:
        raise UserError(
            f"{_listed([_quote(label, wordnet, given) for label in lost])}: under none of the roots; choose others, "
            f"such as {PHYSICAL_ENTITY} (physical entity) and {ABSTRACTION} (abstraction), or leave the labels out"
        )
    torn = [label for label in labels if len(ends[label]) > 1]
    if torn:
        both = " and ".join(_quote(root, wordnet) for root in sorted(ends[torn[0]]))
        raise UserError(
            f"{_listed([_quote(label, wordnet, given) for label in torn])}: in two roots, {both}; "
            "leave one of the roots out, or take one that is above both"
        )


def _given_names(lists: Sequence[LabelList], found: Sequence[Sequence[str]]) -> dict[str, str]:
    given: dict[str, str] = {}
    for labels, synsets in zip(lists, found, strict=True):
        for label, synset in zip(labels.labels, synsets, strict=True):
            if label.name:
                given.setdefault(synset, label.name)
    return given


def _names(order: Sequence[str], parents: Parents, given: dict[str, str], wordnet: WordNet) -> tuple[str, ...]:
    """One name a node, all different."""
    plain = {node: given.get(node) or wordnet.name(node) for node in order}
    uses, given_uses = Counter(plain.values()), Counter(given.values())
    names = {}
    for node, name in plain.items():
        if uses[name] > 1 and not (node in given and given_uses[name] == 1):
            parent = parents[node]
            name = f"{name} ({plain[parent] if parent else node})"
        names[node] = name
    uses = Counter(names.values())
    return tuple(name if uses[name] == 1 else f"{plain[node]} ({node})" for node, name in names.items())


def _size_note(tree: WordTree, labels: Sequence[str], several: int, left_out: int) -> Iterator[str]:
    roots = _listed([name for name, parent in zip(tree.names, tree.parents, strict=True) if parent < 0])
    less = f" after leaving out {left_out} with a single child" if left_out else ""
    yield f"{len(tree)} nodes{less}, {int(tree.leaves.sum())} leaves, {tree.levels} levels, under {roots}"
    yield f"{_labels(len(labels))}; {several} with several paths to a root took the one that adds the fewest nodes"


def _shared_note(found: Sequence[Sequence[str]]) -> Iterator[str]:
    uses = Counter(synset for synsets in found for synset in synsets)
    if shared := sum(count > 1 for count in uses.values()):
        yield f"in several lists, which share the node: {_labels(shared)}"


def _meaning_notes(lists: Sequence[LabelList], found: Sequence[Sequence[str]], wordnet: WordNet) -> Iterator[str]:
    """What each label that came without a synset was taken for."""
    for labels, synsets in zip(lists, found, strict=True):
        for label, synset in zip(labels.labels, synsets, strict=True):
            if label.synset is None:
                yield f"{label.name} is {synset}: {wordnet.gloss(synset)[:80]}"


def _abstract_note(abstract: Sequence[str], tree: WordTree) -> Iterator[str]:
    if abstract:
        names = _listed([tree.names[tree.find(synset)] for synset in abstract])
        yield f"no physical entity in WordNet, so put under abstraction: {names}"


def _ancestor_notes(labels: Sequence[str], tree: WordTree) -> Iterator[str]:
    below: dict[int, list[str]] = {}
    for node in sorted(map(tree.find, labels)):
        for ancestor in tree.ancestors(node):
            below.setdefault(ancestor, []).append(tree.names[node])
    if tops := sorted(below.keys() & set(map(tree.find, labels))):
        examples = [f"{tree.names[node]} above {_listed(below[node], 2)}" for node in tops]
        yield (
            f"above other labels: {_labels(len(tops))} ({_listed(examples, 3, '; ')}); allowed: an object labelled so "
            "trains the path down to that node and says nothing about what is below"
        )


def _labels(count: int) -> str:
    return f"{count} label" if count == 1 else f"{count} labels"


def _quote(synset: str, wordnet: WordNet, given: dict[str, str] | None = None) -> str:
    return f"{(given or {}).get(synset) or wordnet.name(synset)} {synset}"


def _listed(names: Sequence[str], most: int = _LISTED, separator: str = ", ") -> str:
    rest = len(names) - most
    return separator.join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
