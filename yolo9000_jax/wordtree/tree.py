"""The WordTree: a hierarchy of classes, siblings in groups (paper, section 4), and its files in Darknet's format."""

import functools
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from yolo9000_jax.errors import UserError

MAX_NODES = 200_000
MAX_DEPTH = 64
MAX_TEXT_LENGTH = 200
MAX_FILE_BYTES = 1 << 26
_INTEGER = re.compile(r"-?[0-9]{1,9}")


@dataclass(frozen=True, eq=False)
class WordTree:
    """An immutable forest of `n` classes; parents come before their children and siblings are contiguous.

    A group is a run of siblings; the nodes without a parent form one group too. Groups are numbered in the order of
    their nodes, as Darknet numbers them. All arrays are read-only. Trees compare by identity, so a jitted function
    can take one as a static argument.

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
    groups: np.ndarray = field(init=False, repr=False)
    group_offsets: np.ndarray = field(init=False, repr=False)
    group_sizes: np.ndarray = field(init=False, repr=False)
    child_groups: np.ndarray = field(init=False, repr=False)
    depths: np.ndarray = field(init=False, repr=False)

    def __post_init__(self):
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
        for name, value in {"synsets": synsets, "names": names}.items():
            object.__setattr__(self, name, value)
        arrays = {"parents": parents, "groups": groups, "group_offsets": offsets, "depths": depths}
        arrays |= {"group_sizes": np.bincount(groups), "child_groups": child_groups}
        for name, value in arrays.items():
            object.__setattr__(self, name, _read_only(value))

    def __len__(self) -> int:
        return len(self.synsets)

    @classmethod
    def load(cls, tree_path, names_path=None) -> "WordTree":
        """The tree of Darknet's files: `tree_path` has "synset parent" a line, `names_path` one name a line.

        Raises:
            UserError: a file cannot be read, or its content is no tree; the message names the line.
        """
        synsets, parents = [], []
        for number, line in enumerate(_read_lines(tree_path), 1):
            fields = line.split()
            if len(fields) != 2 or not _INTEGER.fullmatch(fields[1]):
                raise UserError(
                    f"{tree_path}, line {number}: {_short(line)} is not 'name parent'; a parent is -1 or a line from 0"
                )
            synsets.append(fields[0])
            parents.append(int(fields[1]))
        names = read_names(names_path) if names_path is not None else ()
        if names and len(names) != len(synsets):
            raise UserError(
                f"{names_path}: {len(names)} names, but {tree_path} has {len(synsets)} nodes; give one name a line"
            )
        return cls(tuple(synsets), np.array(parents, np.int32), names, str(tree_path))

    @classmethod
    def load_with_names(cls, tree_path) -> "WordTree":
        """The tree of `tree_path`, FILE.tree, and of FILE.names where that is beside it; errors as `load`'s."""
        names_path = Path(tree_path).with_suffix(".names")
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
            raise UserError(f"no tree {_short(name)} comes with the package, only {', '.join(known)}")
        return cls.load_with_names(folder / f"{name}.tree")

    def save(self, tree_path, names_path=None) -> None:
        """Write Darknet's files; `load` gives the same tree.

        Raises:
            UserError: a file cannot be written.
        """
        _write_lines(
            tree_path, (f"{synset} {parent}" for synset, parent in zip(self.synsets, self.parents, strict=True))
        )
        if names_path is not None:
            _write_lines(names_path, self.names)

    def save_with_names(self, tree_path) -> list[Path]:
        """Write FILE.tree, which is `tree_path`, and FILE.names beside it; returns both paths.

        Raises:
            UserError: `tree_path` does not end in .tree, or a file cannot be written.
        """
        paths = [Path(tree_path), Path(tree_path).with_suffix(".names")]
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
        paths = np.full((len(self), self.depths.max() + 1), -1)
        paths[np.arange(len(self)), self.depths] = np.arange(len(self))
        for level in range(1, paths.shape[1]):
            nodes = np.flatnonzero(self.depths == level)
            paths[nodes, :level] = paths[self.parents[nodes], :level]
        return _read_only(paths)

    def path(self, node: int) -> tuple[int, ...]:
        """The nodes from the root down to `node`, itself included."""
        return tuple(self.paths[self._checked(node), : self.depths[node] + 1].tolist())

    def ancestors(self, node: int) -> tuple[int, ...]:
        """The nodes above `node`, its parent first."""
        return self.path(node)[-2::-1]

    def children(self, node: int) -> range:
        """The nodes right below `node`."""
        group = self.child_groups[self._checked(node)]
        return range(0) if group < 0 else self._members(group)

    def lowest_common_ancestor(self, a: int, b: int) -> int | None:
        """The deepest node on both paths (perhaps `a` or `b` itself); None where the two have different roots."""
        shared = [x for x, y in zip(self.path(a), self.path(b), strict=False) if x == y]
        return shared[-1] if shared else None

    def find(self, text: str) -> int:
        """The node with this synset or, failing that, with this name.

        Raises:
            UserError: there is none, or several nodes have this name.
        """
        if text in self._nodes_of_synsets:
            return self._nodes_of_synsets[text]
        nodes = [node for node, name in enumerate(self.names) if name == text]
        if not nodes:
            raise UserError(f"{self.source}: no node is called {_short(text)}; give a synset or a name of the tree")
        if len(nodes) > 1:
            synsets = ", ".join(self.synsets[node] for node in nodes[:10])
            raise UserError(f"{self.source}: {len(nodes)} nodes are called {_short(text)}; give a synset: {synsets}")
        return nodes[0]

    def show(self, node: int | None = None, depth: int | None = None) -> str:
        """A readable outline: `node` and what is below it (the whole tree if None), at most `depth` levels below.

        One line a node, indented: its name, its synset if that differs, and its number.
        """
        top = 0 if node is None else int(self.depths[self._checked(node)])
        stack = list(self._members(0))[::-1] if node is None else [node]
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

    def _members(self, group: int) -> range:
        start = int(self.group_offsets[group])
        return range(start, start + int(self.group_sizes[group]))

    def _checked(self, node: int) -> int:
        if not 0 <= node < len(self):
            raise UserError(f"{self.source}: there is no node {node}; nodes are numbered 0 to {len(self) - 1}")
        return node


def load_map(path, tree: WordTree, count: int | None = None) -> np.ndarray:
    """Darknet's map of a flat label list into a tree: one node number a line -> [labels] int32.

    Args:
        path: the file.
        tree: the tree whose nodes it names.
        count: how many labels there are; None if any number will do.

    Raises:
        UserError: the file cannot be read, is empty, a line is no node of the tree, or there are not `count` lines.
    """
    nodes = []
    for number, line in enumerate(_read_lines(path), 1):
        text = line.strip()
        if not _INTEGER.fullmatch(text) or not 0 <= int(text) < len(tree):
            raise UserError(
                f"{path}, line {number}: {_short(text)} is no node; give a number from 0 to {len(tree) - 1}"
            )
        nodes.append(int(text))
    if count is not None and len(nodes) != count:
        raise UserError(f"{path}: {len(nodes)} lines for {count} labels; give the node of each label, one a line")
    return np.array(nodes, np.int32)


def save_map(path, nodes) -> None:
    """Write the map that `load_map` reads.

    Raises:
        UserError: the file cannot be written.
    """
    _write_lines(path, map(str, np.asarray(nodes).tolist()))


def read_names(path) -> tuple[str, ...]:
    """The lines of a names file, without surrounding blanks.

    Raises:
        UserError: the file cannot be read, is empty, or has a line that is blank, too long or not printable.
    """
    names = tuple(line.strip() for line in _read_lines(path))
    for number, name in enumerate(names, 1):
        _check_text(name, f"{path}, line {number}")
    return names


def _check_synsets(synsets, source):
    if not synsets:
        raise UserError(f"{source}: the tree is empty; give at least one line 'name -1'")
    if len(synsets) > MAX_NODES:
        raise UserError(f"{source}: {len(synsets)} nodes; a tree has at most {MAX_NODES}")
    first = {}
    for number, synset in enumerate(synsets, 1):
        _check_text(synset, f"{source}, line {number}")
        if first.setdefault(synset, number) != number:
            raise UserError(f"{source}, line {number}: {_short(synset)} is on line {first[synset]} already; rename one")


def _check_text(text, place):
    if not text or len(text) > MAX_TEXT_LENGTH or not text.isprintable():
        raise UserError(f"{place}: {_short(text)} is no name; give 1 to {MAX_TEXT_LENGTH} printable characters")


def _check_parents(synsets, parents, source) -> np.ndarray:
    """Depths of the nodes; raises a UserError where parents do not come first or siblings are apart."""
    depths = np.zeros(len(parents), np.int32)
    closed, previous = set(), None
    for node, parent in enumerate(parents.tolist()):
        place = f"{source}, line {node + 1}: node {_short(synsets[node])}"
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


def _read_lines(path) -> list[str]:
    """Lines of a text file, blank ones at the end left out."""
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise UserError(f"{path}: larger than {MAX_FILE_BYTES >> 20} MiB; this is no tree, names or map file")
        text = content.decode("utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; check the path") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}, line {line}: not UTF-8 text; save the file as UTF-8") from None
    lines = text.rstrip().split("\n")
    if lines == [""]:
        raise UserError(f"{path}: the file is empty")
    return lines


def _write_lines(path, lines) -> None:
    try:
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{line}\n" for line in lines)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose another place") from None


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _read_only(array) -> np.ndarray:
    array = np.asarray(array)
    array = array.astype(bool if array.dtype == bool else np.int32)
    array.setflags(write=False)
    return array
