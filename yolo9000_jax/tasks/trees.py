"""The WordTree of an experiment, and where the classes of its data sets lie in it (paper, section 4)."""

from typing import Any

import numpy as np

from yolo9000_jax.data.annotations import NO_AREA
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.errors import UserError
from yolo9000_jax.labels import match_classes
from yolo9000_jax.wordtree.tree import WordTree, load_map


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


def by_number(dataset: Dataset, tree: WordTree | None, config: Any) -> Dataset:
    """A data set whose labels are numbers of nodes, as in a Darknet user's files, with the nodes as its classes.

    Others are returned as they are: without a tree, for networks of ours, and of another source than those files.

    Args:
        dataset: as its files name the classes, which are not looked at.
        tree: of the network.
        config: of the experiment; its data.map says the node of each label, or is "": the labels are the nodes.

    Raises:
        UserError: the map is none of this tree, the data have other labels, or pictures that have only a class.
    """
    if tree is None or config.model.architecture != "cfg" or dataset.spec != config.data.source:
        return dataset
    map_file = config.data.map
    nodes = load_map(map_file, tree) if map_file else np.arange(len(tree))
    labels = dataset.ground_truth().labels
    if len(labels) and labels.max() >= len(nodes):
        where = map_file or tree.source
        raise UserError(f"{dataset.spec}: has class {labels.max()}, but {where} has lines for 0 to {len(nodes) - 1}")
    if any(f" {text} (first" in note for note in dataset.notes for text in NO_AREA):
        raise UserError(
            f"{dataset.spec}: has boxes without area; where they stand for pictures that have only a class, take these "
            "pictures out of the lists, and give them to a joint experiment: --config.task=joint "
            "--config.classification.source=darknet:FILE.data"
        )
    synsets = tuple(tree.synsets[node] for node in nodes)
    return dataset.called(synsets, synsets)


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
