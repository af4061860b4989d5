"""The WordTree: a hierarchy of classes, siblings in groups (paper, section 4), and its files in Darknet's format."""

import difflib
import functools
import hashlib
import operator
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.html import Html, card, folded, text
from yolo9000_jax.places import as_path
from yolo9000_jax.wordtree.lines import FilePath, check_text, read_lines, short, write_lines

MAX_NODES = 200_000
MAX_DEPTH = 64
MAX_SHOWN = 300  # lines of an outline in a notebook
_INTEGER = re.compile(r"-?[0-9]{1,9}")

Node = int | str  # its number, its synset, or its name


@dataclass(frozen=True, eq=False, repr=False)
class WordTree:
    """An immutable forest of `n` classes; parents come before their children and siblings are contiguous.

    A group is a run of siblings; the nodes without a parent form one group too. Groups are numbered in the order of
    their nodes, as Darknet numbers them. All arrays are read-only. Trees of the same content are equal, whatever their
    source, so a jitted function can take one as a static argument. Where a method takes a node, its number, its synset
    or its name will do.

    Attributes:
        synsets: the node's identifiers, unique, such as WordNet offsets ("n02084071").
        parents: [n] int32, -1 for a root.
        names: what people call the nodes; not always unique. The synsets, if none are given.
        source: where the tree is from, for messages.
        groups: [n] int32, each node's group.
        group_offsets, group_sizes: [g] int32, the first node and the number of nodes of each group.
        child_groups: [n] int32, the group of the node's children, -1 for a leaf.
        depths: [n] int32, 0 for a root.

    Raises:
        UserError: the tree is not as described above, larger than `MAX_NODES` or deeper than `MAX_DEPTH`.
    """

    synsets: tuple[str, ...]
    parents: np.ndarray
    names: tuple[str, ...] = ()
    source: str = "tree"
    groups: np.ndarray = field(init=False)
    group_offsets: np.ndarray = field(init=False)
    group_sizes: np.ndarray = field(init=False)
    child_groups: np.ndarray = field(init=False)
    depths: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        synsets, names = tuple(self.synsets), tuple(self.names) or tuple(self.synsets)
        parents = np.array(self.parents, np.int32)
        _check_synsets(synsets, self.source)
        if len(names) != len(synsets):
            raise UserError(f"{self.source}: {len(names)} names for {len(synsets)} nodes; give one name a node")
        if parents.shape != (len(synsets),):
            raise UserError(f"{self.source}: {parents.size} parents for {len(synsets)} nodes; give one parent a node")
        depths = _check_parents(synsets, parents, self.source)
        starts = np.concatenate([[True], parents[1:] != parents[:-1]])
        groups = np.cumsum(starts) - 1
        offsets = np.flatnonzero(starts)
        child_groups = np.full(len(parents), -1)
        owners = parents[offsets]
        child_groups[owners[owners >= 0]] = np.flatnonzero(owners >= 0)
        object.__setattr__(self, "synsets", synsets)
        object.__setattr__(self, "names", names)
        arrays: dict[str, np.ndarray] = {
            "parents": parents,
            "groups": groups,
            "group_offsets": offsets,
            "depths": depths,
        }
        arrays |= {"group_sizes": np.bincount(groups), "child_groups": child_groups}
        for name, value in arrays.items():
            object.__setattr__(self, name, _read_only(value))

    def __len__(self) -> int:
        return len(self.synsets)

    def __repr__(self) -> str:
        return f"<WordTree {self.source}: {len(self)} nodes, {int(self.leaves.sum())} leaves, {self.levels} levels>"

    def _repr_html_(self) -> Html:
        outline = self.show().split("\n") if len(self) <= MAX_SHOWN else self.show(depth=1).split("\n")
        rest = len(outline) - MAX_SHOWN
        shown = "\n".join(outline[:MAX_SHOWN] + ([f"… {rest} more lines"] if rest > 0 else []))
        facts = {"nodes": len(self), "leaves": int(self.leaves.sum()), "levels": self.levels}
        return card(f"WordTree {self.source}", facts, folded("outline", text(shown)))

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, WordTree) and self._digest == other._digest)

    def __hash__(self) -> int:
        return hash(self._digest)

    @functools.cached_property
    def _digest(self) -> bytes:
        """Stands for the content: equal trees have the same, others have others."""
        text = "\n".join((*self.synsets, *self.names))  # in which there are no line ends
        return hashlib.blake2b(self.parents.tobytes() + text.encode(), digest_size=16).digest()

    @property
    def levels(self) -> int:
        """How many nodes the longest path has."""
        return int(self.depths.max()) + 1

    @classmethod
    def load(cls, tree_path: FilePath, names_path: FilePath | None = None) -> "WordTree":
        """The tree of Darknet's files: `tree_path` has "synset parent" a line, `names_path` one name a line.

        Raises:
            UserError: a file cannot be read, or its content is no tree; the message names the line.
        """
        synsets, parents = [], []
        for number, line in enumerate(read_lines(tree_path), 1):
            fields = line.split()
            if len(fields) != 2 or not _INTEGER.fullmatch(fields[1]):
                raise UserError(
                    f"{tree_path}, line {number}: {short(line)} is not 'name parent'; a parent is -1 or a line from 0"
                )
            synsets.append(fields[0])
            parents.append(int(fields[1]))
        names: tuple[str, ...] = read_names(names_path) if names_path is not None else ()
        if names and len(names) != len(synsets):
            raise UserError(
                f"{names_path}: {len(names)} names, but {tree_path} has {len(synsets)} nodes; give one name a line"
            )
        return cls(tuple(synsets), np.array(parents, np.int32), names, str(tree_path))

    @classmethod
    def load_with_names(cls, tree_path: FilePath) -> "WordTree":
        """The tree of `tree_path`, FILE.tree, and of FILE.names where that is beside it; errors as `load`'s."""
        names_path = as_path(tree_path).with_suffix(".names")
        return cls.load(tree_path, names_path if names_path.is_file() else None)

    @classmethod
    def packaged(cls, name: str) -> "WordTree":
        """A tree that comes with the package: "emoji", the one of the embedded data set's fine and coarse classes.

        Raises:
            UserError: there is no such tree.
        """
        folder = Path(__file__).parent
        known = sorted(path.stem for path in folder.glob("*.tree"))
        if name not in known:
            raise UserError(f"no tree {short(name)} comes with the package, only {', '.join(known)}")
        return cls.load_with_names(folder / f"{name}.tree")

    def save(self, tree_path: FilePath, names_path: FilePath | None = None) -> None:
        """Write Darknet's files; `load` gives the same tree.

        Raises:
            UserError: a file cannot be written.
        """
        write_lines(
            tree_path, (f"{synset} {parent}" for synset, parent in zip(self.synsets, self.parents, strict=True))
        )
        if names_path is not None:
            write_lines(names_path, self.names)

    def save_with_names(self, tree_path: FilePath) -> list[Path]:
        """Write FILE.tree, which is `tree_path`, and FILE.names beside it; returns both paths.

        Raises:
            UserError: `tree_path` does not end in .tree, or a file cannot be written.
        """
        paths = [as_path(tree_path), as_path(tree_path).with_suffix(".names")]
        if paths[0].suffix != ".tree":
            raise UserError(f"{tree_path}: the file of a tree ends in .tree; write {paths[0].name}.tree")
        self.save(*paths)
        return paths

    @functools.cached_property
    def leaves(self) -> np.ndarray:
        """[n] bool: nodes without children."""
        return _read_only(self.child_groups < 0)

    @functools.cached_property
    def paths(self) -> np.ndarray:
        """[n, levels] int32: each node's path from its root, then -1."""
        paths = np.full((len(self), self.levels), -1)
        paths[np.arange(len(self)), self.depths] = np.arange(len(self))
        for level in range(1, paths.shape[1]):
            nodes = np.flatnonzero(self.depths == level)
            paths[nodes, :level] = paths[self.parents[nodes], :level]
        return _read_only(paths)

    def path(self, node: Node) -> tuple[int, ...]:
        """The nodes from the root down to `node`, itself included."""
        found = self.find(node)
        return tuple(self.paths[found, : self.depths[found] + 1].tolist())

    def ancestors(self, node: Node) -> tuple[int, ...]:
        """The nodes above `node`, its parent first."""
        return self.path(node)[-2::-1]

    def children(self, node: Node) -> range:
        """The nodes right below `node`."""
        group = self.child_groups[self.find(node)]
        return range(0) if group < 0 else self._members(group)

    def lowest_common_ancestor(self, a: Node, b: Node) -> int | None:
        """The deepest node on both paths (perhaps `a` or `b` itself); None where the two have different roots."""
        shared = [x for x, y in zip(self.path(a), self.path(b), strict=False) if x == y]
        return shared[-1] if shared else None

    def find(self, node: Node) -> int:
        """The number of a node that is given by its number, its synset, its name or, failing these, "17" for 17.

        Raises:
            UserError: there is none, or several nodes have this name.
        """
        if not isinstance(node, str):
            return self._checked(node)
        if node in self._nodes_of_synsets:
            return self._nodes_of_synsets[node]
        nodes = self._nodes_of_names.get(node, ())
        if len(nodes) > 1:
            synsets = ", ".join(self.synsets[other] for other in nodes[:10])
            raise UserError(f"{self.source}: {len(nodes)} nodes are called {short(node)}; give a synset: {synsets}")
        if nodes:
            return nodes[0]
        if _INTEGER.fullmatch(node):
            return self._checked(int(node))
        known = {name.lower(): name for name in (*self.synsets, *self.names)}
        near = [short(known[name]) for name in difflib.get_close_matches(node[:60].lower(), known)]
        advice = f"did you mean {' or '.join(near)}?" if near else "give a synset or a name of the tree"
        raise UserError(f"{self.source}: no node is called {short(node)}; {advice}")

    def find_all(self, nodes: Iterable[Node]) -> np.ndarray:
        """The numbers of nodes that are given as for `find`: int32, one each."""
        return np.array([self.find(node) for node in nodes], np.int32)

    def show(self, node: Node | None = None, depth: int | None = None) -> str:
        """A readable outline: `node` and what is below it (the whole tree if None), at most `depth` levels below.

        One line a node, indented: its name, its synset if that differs, and its number.
        """
        stack = list(self._members(0))[::-1] if node is None else [self.find(node)]
        top = int(self.depths[stack[0]])
        lines = []
        while stack:
            current = stack.pop()
            level = int(self.depths[current]) - top
            synset = f" {self.synsets[current]}" if self.synsets[current] != self.names[current] else ""
            lines.append(f"{'  ' * level}{self.names[current]}{synset} #{current}")
            if depth is None or level < depth:
                stack.extend(reversed(self.children(current)))
        return "\n".join(lines)

    @functools.cached_property
    def _nodes_of_synsets(self) -> dict[str, int]:
        return {synset: node for node, synset in enumerate(self.synsets)}

    @functools.cached_property
    def _nodes_of_names(self) -> dict[str, list[int]]:
        nodes: dict[str, list[int]] = {}
        for node, name in enumerate(self.names):
            nodes.setdefault(name, []).append(node)
        return nodes

    def _members(self, group: int) -> range:
        start = int(self.group_offsets[group])
        return range(start, start + int(self.group_sizes[group]))

    def _checked(self, node: int) -> int:
        try:
            number = operator.index(node)
        except TypeError:
            raise UserError(f"{self.source}: {node!r:.60} is no node; give a number, a synset or a name") from None
        if not 0 <= number < len(self):
            raise UserError(f"{self.source}: there is no node {number}; nodes are numbered 0 to {len(self) - 1}")
        return number


def load_map(path: FilePath, tree: WordTree, count: int | None = None) -> np.ndarray:
    """Darknet's map of a flat label list into a tree: one node number a line -> [labels] int32.

    Args:
        path: the file.
        tree: the tree whose nodes it names.
        count: how many labels there are; None if any number will do.

    Raises:
        UserError: the file cannot be read, is empty, a line is no node of the tree, or there are not `count` lines.
    """
    nodes = []
    for number, line in enumerate(read_lines(path), 1):
        text = line.strip()
        if not _INTEGER.fullmatch(text) or not 0 <= int(text) < len(tree):
            raise UserError(f"{path}, line {number}: {short(text)} is no node; give a number from 0 to {len(tree) - 1}")
        nodes.append(int(text))
    if count is not None and len(nodes) != count:
        raise UserError(f"{path}: {len(nodes)} lines for {count} labels; give the node of each label, one a line")
    return np.array(nodes, np.int32)


def save_map(path: FilePath, nodes: Sequence[int] | np.ndarray) -> None:
    """Write the map that `load_map` reads.

    Raises:
        UserError: the file cannot be written.
    """
    write_lines(path, map(str, np.asarray(nodes).tolist()))


def read_names(path: FilePath) -> tuple[str, ...]:
    """The lines of a names file, without surrounding blanks.

    Raises:
        UserError: the file cannot be read, is empty, or has a line that is blank, too long or not printable.
    """
    names = tuple(line.strip() for line in read_lines(path))
    for number, name in enumerate(names, 1):
        check_text(name, f"{path}, line {number}")
    return names


def _check_synsets(synsets: tuple[str, ...], source: str) -> None:
    if not synsets:
        raise UserError(f"{source}: the tree is empty; give at least one line 'name -1'")
    if len(synsets) > MAX_NODES:
        raise UserError(f"{source}: {len(synsets)} nodes; a tree has at most {MAX_NODES}")
    first: dict[str, int] = {}
    for number, synset in enumerate(synsets, 1):
        check_text(synset, f"{source}, line {number}")
        if first.setdefault(synset, number) != number:
            raise UserError(f"{source}, line {number}: {short(synset)} is on line {first[synset]} already; rename one")


def _check_parents(synsets: tuple[str, ...], parents: np.ndarray, source: str) -> np.ndarray:
    """Depths of the nodes; raises a UserError where parents do not come first or siblings are apart."""
    depths = np.zeros(len(parents), np.int32)
    closed: set[int] = set()
    previous = None
    for node, parent in enumerate(parents.tolist()):
        place = f"{source}, line {node + 1}: node {short(synsets[node])}"
        if not -1 <= parent < node:
            raise UserError(f"{place} has parent {parent}; a parent is -1 or the number of an earlier line, from 0")
        if parent != previous:
            if parent in closed:
                raise UserError(f"{place} is apart from its siblings (parent {parent}); put siblings on lines in a row")
            closed.add(parent)
            previous = parent
        depths[node] = depths[parent] + 1 if parent >= 0 else 0
        if depths[node] >= MAX_DEPTH:
            raise UserError(f"{place} is on level {depths[node] + 1}; a tree has at most {MAX_DEPTH} levels")
    return depths


def _read_only(array: np.ndarray) -> np.ndarray:
    array = np.asarray(array)
    array = array.astype(bool if array.dtype == bool else np.int32)
    array.setflags(write=False)
    return array
