"""Which classes of a data set a model has: only on these can it be evaluated."""

from typing import NamedTuple

import numpy as np

from yolo9000_jax.data.records import Dataset
from yolo9000_jax.evaluation.models import Model
from yolo9000_jax.labels import SYNSET, match_classes
from yolo9000_jax.logs import logger

NAMES_IN_MESSAGE = 10


class SharedClasses(NamedTuple):
    """The S classes that a data set and a model share, in the data set's order.

    dataset_labels int [S]: their labels in the data set; model_labels int [S]: in the model; names: what the data set
    calls them; left_out: names of the data set's other classes, which the model lacks or has several of.
    """

    dataset_labels: np.ndarray
    model_labels: np.ndarray
    names: tuple[str, ...]
    left_out: tuple[str, ...]


def shared_classes(model: Model, dataset: Dataset) -> SharedClasses:
    """The classes that both have, matched by labels.match_classes; a warning in the log names those left out.

    Raises:
        UserError: as labels.match_classes.
    """
    if tuple(dataset.classes) == tuple(model.classes):
        labels = np.arange(len(model.classes))
        return SharedClasses(labels, labels, tuple(dataset.classes), ())
    found = match_classes(dataset.classes, model.classes, dataset.synsets, model.synsets)
    pairs = [(label, model_label) for label, model_label in enumerate(found) if model_label is not None]
    left_out = tuple(name for name, model_label in zip(dataset.classes, found, strict=True) if model_label is None)
    if left_out:
        some = ", ".join(left_out[:NAMES_IN_MESSAGE]) + (", …" if len(left_out) > NAMES_IN_MESSAGE else "")
        logger.warning(f"left out {len(left_out)} of {len(found)} classes, which the network lacks: {some}")
    dataset_labels, model_labels = np.array(pairs, int).reshape(-1, 2).T
    names = tuple(dataset.classes[label] for label in dataset_labels)
    return SharedClasses(dataset_labels, model_labels, names, left_out)


def readable(classes: SharedClasses, model: Model) -> SharedClasses:
    """The same, called as the model calls them where the data set's name is only a synset."""
    pairs = zip(classes.names, classes.model_labels, strict=True)
    names = tuple(model.classes[label] if SYNSET.fullmatch(name) else name for name, label in pairs)
    return classes._replace(names=names)


def positions(labels: np.ndarray, count: int) -> np.ndarray:
    """int [count]: where each of the labels 0 … count - 1 stands in `labels`, -1 for those that do not."""
    found = np.full(count, -1)
    found[labels] = np.arange(len(labels))
    return found
