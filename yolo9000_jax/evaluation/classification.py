"""Runs a classifier over a data set and counts how often it is right."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.detection import matched_classes, read_ahead
from yolo9000_jax.predict.classifier import Classifier

TOP = 5
SAY_EVERY = 1000  # pictures


class Judged(NamedTuple):
    """The n pictures of a data set on which a classifier can be judged.

    dataset: these pictures; labels [n], wanted [n]: the class of each, the data set's and the model's; classes: the
    data set's classes that the model has; left_out: the names of the others.
    """

    dataset: object
    labels: np.ndarray
    wanted: np.ndarray
    classes: list[int]
    left_out: list[str]

    def metrics(self, rates: Callable[[np.ndarray], dict]) -> dict:
        """`rates` of all pictures and, under "per_class", of each class's; it gets which pictures count: bool [n]."""
        per_class = {self.dataset.classes[label]: rates(self.labels == label) for label in self.classes}
        whole = rates(np.ones(len(self.labels), bool))
        return whole | {"per_class": per_class} | ({"left_out": self.left_out} if self.left_out else {})


def evaluate(classifier: Classifier, dataset, *, batch_size: int = 32, say=None) -> dict:
    """Classifies every picture of the data set; right is the model's class that labels.match_classes finds.

    Args:
        classifier: may have classes that the data set lacks; they compete all the same.
        dataset: records with one label and no boxes (`folders:`); pictures of classes that the classifier lacks are
            left out, and those classes named in "left_out".
        batch_size: of the classifier.
        say: called with a line of text now and then.

    Returns:
        {"top1", "top5", "images", "per_class": {name: {"top1", "top5", "images"}}}: shares of the pictures whose class
        is the best, or among the best five.

    Raises:
        UserError: a picture cannot be read, the data set has boxes, or the classes do not fit.
    """
    judged = judged_pictures(classifier, dataset, say)
    ranks = np.full(len(judged.wanted), TOP)
    pictures = read_ahead(judged.dataset, batch_size)
    for index, ranking in enumerate(classifier.stream(pictures, top=TOP, batch_size=batch_size)):
        hits = np.flatnonzero(ranking.classes == judged.wanted[index])
        ranks[index] = hits[0] if len(hits) else TOP
        if say and (index + 1) % SAY_EVERY == 0:
            say(f"evaluated {index + 1}/{len(ranks)}")
    return judged.metrics(lambda which: rates(ranks[which]))


def judged_pictures(classifier: Classifier, dataset, say=None) -> Judged:
    """The pictures whose class the classifier has; arguments and errors as for `evaluate`."""
    matched, left_out = matched_classes(classifier, dataset, say)
    model_classes = np.full(len(dataset.classes), -1)
    for label, model_class in matched:
        model_classes[label] = model_class
    labels = np.array([_label(record) for record in dataset], int)
    places = np.flatnonzero(model_classes[labels] >= 0)
    labels = labels[places]
    return Judged(dataset.take(places), labels, model_classes[labels], [label for label, _ in matched], left_out)


def rates(ranks: np.ndarray) -> dict:
    """ "top1", "top5" and "images" from the rank of each picture's class, 0 being the best; None without pictures."""
    shares = {f"top{k}": float(np.mean(ranks < k)) if len(ranks) else None for k in (1, TOP)}
    return shares | {"images": len(ranks)}


def _label(record) -> int:
    if len(record.boxes_xyxy) or len(record.labels) != 1:
        raise UserError(f"{record.name}: has boxes; a classifier is evaluated on folders:DIR, one folder a class")
    return int(record.labels[0])
