"""Runs a classifier over a data set and counts how often it is right."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from yolo9000_jax.data.records import Dataset
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.classes import SharedClasses, positions, shared_classes
from yolo9000_jax.evaluation.models import Classifier
from yolo9000_jax.evaluation.result import Evaluation
from yolo9000_jax.logs import logger

TOP = 5
LOG_EVERY = 1000  # pictures


@dataclass(frozen=True)
class LabelledPictures:
    """The n pictures of a data set whose class the classifier has: only on them can it be right.

    dataset: these pictures; labels [n] and model_labels [n]: the class of each in the data set and in the model;
    classes: the classes that both have.
    """

    dataset: Dataset
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
    pictures = labelled_pictures(classifier, dataset)
    ranks = np.full(len(pictures.labels), TOP)
    rankings = classifier.stream(pictures.dataset.records(), top=TOP, batch_size=batch_size)
    for index, (ranking, model_label) in enumerate(zip(rankings, pictures.model_labels, strict=True)):
        places = np.flatnonzero(ranking.labels == model_label)
        ranks[index] = places[0] if len(places) else TOP
        log_progress(index + 1, len(ranks))
    return pictures.evaluation(lambda chosen: top_k_accuracies(ranks[chosen]))


def labelled_pictures(classifier: Classifier, dataset: Dataset) -> LabelledPictures:
    """The pictures whose class the classifier has. Raises UserError where one has boxes, or the classes do not fit."""
    classes = shared_classes(classifier, dataset)
    labels = _labels(dataset)
    shared = positions(classes.dataset_labels, len(dataset.classes))[labels]
    chosen = np.flatnonzero(shared >= 0)
    return LabelledPictures(
        dataset.take(chosen.tolist()), labels[chosen], classes.model_labels[shared[chosen]], classes
    )


def top_k_accuracies(ranks: np.ndarray) -> dict[str, Any]:
    """ "top1", "top5" and "images" from the rank of each picture's class, 0 being the best; None without pictures."""
    accuracies = {f"top{k}": float(np.mean(ranks < k)) if len(ranks) else None for k in (1, TOP)}
    return accuracies | {"images": len(ranks)}


def log_progress(done: int, images: int) -> None:
    """Says now and then how many pictures are done."""
    if done % LOG_EVERY == 0:
        logger.info(f"evaluated {done}/{images}")


def _labels(dataset: Dataset) -> np.ndarray:
    """The class of each picture, int [n]; a lazy set is read ahead for it, and once for all evaluations on it."""
    truth = dataset.ground_truth()
    wrong = np.flatnonzero((truth.boxes_of > 0) | (truth.labels_of != 1))
    if len(wrong):
        name = dataset[int(wrong[0])].name
        raise UserError(f"{name}: has boxes; a classifier is evaluated on folders:DIR, one folder a class")
    return truth.labels
