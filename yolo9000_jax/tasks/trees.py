"""The WordTree of an experiment, and where the classes of its data sets lie in it (paper, section 4)."""

from pathlib import Path

import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.labels import match_classes
from yolo9000_jax.wordtree.tree import WordTree, load_map

# Of a workdir: the tree, the names of its nodes, the node of each class that the run was trained on.
TREE, NAMES, MAP = "classes.tree", "classes.names", "classes.map"


def open_tree(spec: str, *datasets) -> WordTree | None:
    """The tree that config.model.tree asks for.

    Args:
        spec: "" for none; FILE.tree, with FILE.names beside it; "emoji", which comes with the package; "flat": the
            classes of all `datasets`, each a root, so that they share one softmax and no class implies another.
        datasets: those whose classes the network learns.

    Raises:
        UserError: the files cannot be read, or are no tree.
    """
    if not spec:
        return None
    if spec == "flat":
        names = {synset or name: name for d in datasets for name, synset in zip(d.classes, d.synsets, strict=True)}
        return WordTree(tuple(names), np.full(len(names), -1), tuple(names.values()), "flat")
    if spec == "emoji":
        return WordTree.packaged("emoji")
    return WordTree.load_with_names(spec)


def nodes_of(dataset, tree: WordTree) -> np.ndarray:
    """The node of each class of a data set, found by synset or name: int32 [classes].

    Raises:
        UserError: names the classes that the tree lacks.
    """
    found = match_classes(dataset.classes, tree.names, dataset.synsets, tree.synsets)
    missing = [repr(name) for name, node in zip(dataset.classes, found, strict=True) if node is None]
    if missing:
        raise UserError(
            f"{tree.source} lacks {len(missing)} of the {len(found)} classes of {dataset.spec} "
            f"({', '.join(missing[:5])}{', …' if len(missing) > 5 else ''}): "
            "build a tree of all labels with `yolo9000 wordtree build`"
        )
    return np.array(found, np.int32)


def save_tree(tree: WordTree, nodes: np.ndarray | None, workdir: Path) -> None:
    """Writes the tree, and the nodes of the data set's classes, beside a run's config: it then needs no other file.

    `nodes` is None where nobody knows on which classes a network was trained.
    """
    tree.save(workdir / TREE, workdir / NAMES)
    if nodes is not None:
        (workdir / MAP).write_text("".join(f"{node}\n" for node in nodes))


def load_tree(workdir: Path) -> WordTree | None:
    """The tree of a workdir; None where its classes form none."""
    return WordTree.load(workdir / TREE, workdir / NAMES) if (workdir / TREE).is_file() else None


def load_seen(workdir: Path) -> list[str] | None:
    """Synsets of the nodes for which a workdir's run had boxes; None without a tree, or where nobody knows."""
    tree = load_tree(workdir)
    if tree is None or not (workdir / MAP).is_file():
        return None
    return [tree.synsets[node] for node in load_map(workdir / MAP, tree)]
