"""The WordTree of an experiment, and where the classes of its data sets lie in it (paper, section 4)."""

import numpy as np

from yolo9000_jax.data.records import Dataset
from yolo9000_jax.errors import UserError
from yolo9000_jax.labels import match_classes
from yolo9000_jax.wordtree.tree import WordTree


def open_tree(spec: str, *datasets: Dataset) -> WordTree | None:
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


def nodes_of(dataset: Dataset, tree: WordTree) -> np.ndarray:
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
