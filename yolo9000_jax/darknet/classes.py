"""The classes of a Darknet network: how many, their names, and the tree that its cfg names."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path, PureWindowsPath

from yolo9000_jax.darknet.cfg import Cfg
from yolo9000_jax.darknet.layers import Detection, Region
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import find
from yolo9000_jax.labels import Labels, read_labels
from yolo9000_jax.wordtree.tree import WordTree

Names = str | PathLike[str] | Sequence[str] | None


def count_classes(plan: Cfg) -> int:
    """How many classes a detection network or classifier tells apart."""
    return plan.head.classes if isinstance(plan.head, Region | Detection) else plan.head.out_shape[2]


def read_classes(plan: Cfg, names: Names) -> tuple[Labels, WordTree | None]:
    """The classes of a network and, where its cfg names one, their tree.

    A tree's file is looked for as the cfg names it from the working directory, as Darknet does, then from the cfg's
    folder and from the folder above it, and last beside the cfg; Windows' backslashes are slashes.

    Args:
        plan: the network.
        names: a file of class names (labels.read_labels), or the names; None: "class 0", "class 1", … or, with a tree,
            the synsets.

    Raises:
        UserError: a file is missing or damaged, or has another number of classes.
    """
    tree = _load_tree(plan)
    labels = _labels(names, plan, tree)
    return labels, tree and WordTree(tree.synsets, tree.parents, labels.names, tree.source)


def _labels(names: Names, plan: Cfg, tree: WordTree | None) -> Labels:
    count = count_classes(plan)
    if isinstance(names, (str, PathLike)):
        return read_labels(names, count)
    if names is None:
        names = tree.synsets if tree is not None else [f"class {number}" for number in range(count)]
    if len(names) != count:
        raise UserError(f"{len(names)} names, but {plan.name} has {count} classes; give one name a class")
    return Labels(tuple(names), (None,) * count)


def find_file(plan: Cfg, option: str) -> Path:
    """The file that an option of the cfg's last layer names, "tree" or "map", looked for as `read_classes` says.

    Raises:
        UserError: it is in none of these places.
    """
    written = getattr(plan.head, option)
    folder, bare = Path(plan.name).parent, PureWindowsPath(written).name
    places = [(Path(), written), (folder, written), (folder.parent, written), (folder, bare)]
    path = next(filter(None, (find(place, name, Path.is_file) for place, name in places)), None)
    if path is None:
        where = f"{plan.name}, line {plan.head.line}: [{plan.head.type}] there is no {option} {written}"
        raise UserError(f"{where} in the working directory, in {folder} or in the one above")
    return path


def _load_tree(plan: Cfg) -> WordTree | None:
    """The WordTree that the cfg's last layer names, if it names one."""
    if not getattr(plan.head, "tree", ""):
        return None
    path = find_file(plan, "tree")
    tree = WordTree.load(path)
    if len(tree) != count_classes(plan):
        where = f"{plan.name}, line {plan.head.line}: [{plan.head.type}]"
        raise UserError(f"{where} has {count_classes(plan)} classes, but its tree {path} has {len(tree)} nodes")
    return tree
