"""Runs a classifier over a data set and counts how often it is right."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from yolo9000_jax.data.records import Dataset
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.classes import SharedClasses, positions, shared_classes
from yolo9000_jax.evaluation.models import Classifier
from yolo9000_jax.evaluation.result import Evaluation
from yolo9000_jax.hosts import of_all, places, share
from yolo9000_jax.logs import logger

TOP = 5
LOG_EVERY = 1000  # pictures


@dataclass(frozen=True)
class LabelledPictures:
    """The n pictures of a data set whose class the classifier has: only on them can it be right.

    labels [n] and model_labels [n]: the class of each in the data set and in the model; classes: those that both have.
    """

    labels: np.ndarray
    model_labels: np.ndarray
    classes: SharedClasses

    def evaluation(self, measure: Callable[[np.ndarray], dict[str, Any]]) -> Evaluation:
        """The numbers of all pictures and, under "per_class", of each class's.

        Args:
            measure: gets which pictures count, bool [n], and gives their numbers.
        """
        shared = zip(self.classes.names, self.classes.dataset_labels, strict=True)
        per_class = {name: measure(self.labels == label) for name, label in shared}
        metrics = measure(np.ones(len(self.labels), bool)) | {"per_class": per_class}
        if self.classes.left_out:
            metrics["left_out"] = list(self.classes.left_out)
        return Evaluation(metrics, self.classes.names)


def evaluate_classifier(classifier: Classifier, dataset: Dataset, *, batch_size: int) -> Evaluation:
    """As `evaluate`, which documents it, of a classifier; classes that the data set lacks compete all the same."""

    def best(chosen: Dataset) -> Iterator[np.ndarray]:
        for ranking in classifier.stream(chosen.records(), top=TOP, batch_size=batch_size):
            yield np.pad(ranking.labels, (0, TOP - len(ranking.labels)), constant_values=-1)

    pictures, labels = classify(classifier, dataset, best, TOP)
    hits = labels == pictures.model_labels[:, None]
    ranks = np.where(hits.any(1), hits.argmax(1), TOP)
    return pictures.evaluation(lambda chosen: top_k_accuracies(ranks[chosen]))


def classify(
    classifier: Classifier, dataset: Dataset, answers: Callable[[Dataset], Iterator[np.ndarray]], numbers: int
) -> tuple[LabelledPictures, np.ndarray]:
    """What a classifier says of every picture whose class it has; each host looks at its share of them.

    Args:
        classifier: whose classes they are.
        dataset: pictures with one label each.
        answers: gets pictures, and gives so many `numbers`, whole ones, of each.

    Returns:
        The pictures, and the numbers of each: int [n, numbers].

    Raises:
        UserError: a picture has boxes or cannot be read, or the classes do not fit.
    """
    classes = shared_classes(classifier, dataset)
    shared = positions(classes.dataset_labels, len(dataset.classes))

    def look() -> dict[str, np.ndarray]:
        mine = share(dataset)
        labels = _labels(mine)
        chosen = np.flatnonzero(shared[labels] >= 0)
        found = np.zeros((len(chosen), numbers), int)
        for index, answer in enumerate(answers(mine.take(chosen.tolist()))):
            found[index] = answer
            if (index + 1) % LOG_EVERY == 0:
                logger.info(f"evaluated {index + 1}/{len(chosen)}")
        return {"order": places(len(mine))[chosen], "labels": labels[chosen], "found": found}

    shares = of_all(look)
    order, labels, found = (np.concatenate([each[name] for each in shares]) for name in shares[0])
    order = np.argsort(order)
    labels = labels[order]
    return LabelledPictures(labels, classes.model_labels[shared[labels]], classes), found[order]


def top_k_accuracies(ranks: np.ndarray) -> dict[str, Any]:
    """ "top1", "top5" and "images" from the rank of each picture's class, 0 being the best; None without pictures."""
    accuracies = {f"top{k}": float(np.mean(ranks < k)) if len(ranks) else None for k in (1, TOP)}
    return accuracies | {"images": len(ranks)}


def _labels(dataset: Dataset) -> np.ndarray:
    """The class of each picture, int [n]; a lazy set is read ahead for it, and once for all evaluations on it."""
    truth = dataset.ground_truth()
    wrong = np.flatnonzero((truth.boxes_of > 0) | (truth.labels_of != 1))
    if len(wrong):
        name = dataset[int(wrong[0])].name
        raise UserError(f"{name}: has boxes; a classifier is evaluated on folders:DIR, one folder a class")
    return truth.labels
