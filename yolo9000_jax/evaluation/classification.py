"""Runs a classifier over a data set and counts how often it is right."""

import numpy as np

from yolo9000_jax.classifier import Classifier
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.detection import matched_classes, read_ahead

TOP = 5


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
    matched, left_out = matched_classes(classifier, dataset, say)
    wanted = np.full(len(dataset.classes), -1)
    for label, model_class in matched:
        wanted[label] = model_class
    labels = np.array([_label(record) for record in dataset])
    judged = np.flatnonzero(wanted[labels] >= 0)
    ranks = np.full(len(labels), TOP)
    rankings = classifier.stream(read_ahead(dataset.take(judged), batch_size), top=TOP, batch_size=batch_size)
    for count, (index, ranking) in enumerate(zip(judged, rankings, strict=True), 1):
        hits = np.flatnonzero(ranking.classes == wanted[labels[index]])
        ranks[index] = hits[0] if len(hits) else TOP
        if say and count % 1000 == 0:
            say(f"evaluated {count}/{len(judged)}")
    per_class = {dataset.classes[label]: _rates(ranks[labels == label]) for label, _ in matched}
    return _rates(ranks[judged]) | {"per_class": per_class} | ({"left_out": left_out} if left_out else {})


def _label(record) -> int:
    if len(record.boxes_xyxy) or len(record.labels) != 1:
        raise UserError(f"{record.name}: has boxes; a classifier is evaluated on folders:DIR, one folder a class")
    return int(record.labels[0])


def _rates(ranks: np.ndarray) -> dict:
    """Shares of the pictures by the rank of their class; None without pictures."""
    shares = {f"top{k}": float(np.mean(ranks < k)) if len(ranks) else None for k in (1, TOP)}
    return shares | {"images": len(ranks)}
