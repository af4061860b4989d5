"""Runs a detector over a data set and measures its average precision and how well it names what it finds."""

import itertools
import time
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from yolo9000_jax.data.records import Dataset
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.classes import SharedClasses, positions, shared_classes
from yolo9000_jax.evaluation.models import Detector
from yolo9000_jax.evaluation.naming import NamingConfusion, has_groups
from yolo9000_jax.evaluation.result import Evaluation, Example
from yolo9000_jax.evaluation.voc import GroundTruth, ImageDetections, VocResult, evaluate_detections
from yolo9000_jax.labels import canonical
from yolo9000_jax.logs import logger

EXAMPLES = 16
LOG_EVERY = 500  # pictures

Rows = TypeVar("Rows", ImageDetections, GroundTruth)


def evaluate_detector(
    detector: Detector,
    dataset: Dataset,
    *,
    batch_size: int,
    score_threshold: float,
    nms_threshold: float,
    hierarchical_threshold: float,
    seen: Sequence[str] | None,
    groups: Sequence[str] | None,
    examples: int,
) -> Evaluation:
    """As `evaluate`, which documents it, of a detector."""
    classes = shared_classes(detector, dataset)
    naming = None
    if detector.tree is not None and (groups is not None or has_groups(detector.tree, classes)):
        naming = NamingConfusion(detector.tree, dataset.classes, classes, groups)
    options: dict[str, Any] = {"threshold": score_threshold, "nms": nms_threshold, "batch_size": batch_size}
    if detector.tree is not None:
        options |= {"nodes": classes.model_labels, "hierarchical_threshold": hierarchical_threshold}
        options["also_top_down"] = naming is not None or examples > 0
    model_positions = positions(classes.model_labels, len(detector.classes))
    dataset_positions = positions(classes.dataset_labels, len(dataset.classes))
    detections, truths = [], []
    kept: list[Example] = []
    started = time.perf_counter()
    streamed, records = itertools.tee(dataset.records())  # each is fetched once, and kept until its result is there
    results = detector.stream(streamed, **options)
    for index, (result, record) in enumerate(zip(results, records, strict=True)):
        found = ImageDetections(result.boxes_xyxy, result.scores, result.labels)
        truth = GroundTruth(record.boxes_xyxy, record.labels, record.difficult)
        detections.append(_relabel(found, model_positions))
        truths.append(_relabel(truth, dataset_positions))
        top_down = None if detector.tree is None else result.top_down
        if naming is not None and top_down is not None:
            naming.add(record, top_down)
        if len(kept) < examples and index % max(1, len(dataset) // examples) == 0:
            kept.append(Example(result.image, detections[-1], truths[-1], top_down))
        if (index + 1) % LOG_EVERY == 0:
            rate = (index + 1) / (time.perf_counter() - started)
            logger.info(f"evaluated {index + 1}/{len(dataset)}  {rate:.1f} images/s")
    voc = evaluate_detections(detections, truths, len(classes.names))
    metrics = voc.metrics(classes.names) | ({"left_out": list(classes.left_out)} if classes.left_out else {})
    if seen is not None:
        metrics |= _seen_and_unseen(voc, classes, _were_seen(seen, detector, dataset, classes))
    if naming is not None:
        metrics["naming"] = naming.metrics()
    return Evaluation(metrics, classes.names, voc, tuple(kept))


def _relabel(rows: Rows, new_labels: np.ndarray) -> Rows:
    """Detections or truths with each label replaced by `new_labels` at it; those that become -1 are dropped."""
    labels = new_labels[rows.labels]
    kept = labels >= 0
    if len(rows.boxes_xyxy) != len(labels):
        raise UserError("a picture has a label and no box: a detector is evaluated on boxes, such as voc:DIR")
    return type(rows)(*(np.asarray(array)[kept] for array in rows._replace(labels=labels)))


def _were_seen(seen: Sequence[str], detector: Detector, dataset: Dataset, classes: SharedClasses) -> list[bool]:
    """Whether each shared class is among the names or synsets in `seen`."""
    known = {canonical(name) for name in seen} | set(seen)
    synsets = detector.synsets or [None] * len(detector.classes)
    spellings = zip(
        map(canonical, classes.names),
        (dataset.synsets[label] for label in classes.dataset_labels),
        (synsets[label] for label in classes.model_labels),
        strict=True,
    )
    return [not known.isdisjoint(words) for words in spellings]


def _seen_and_unseen(voc: VocResult, classes: SharedClasses, were_seen: list[bool]) -> dict[str, Any]:
    """The mean over the classes that were trained with boxes, the mean over the others, and which these are."""
    metrics: dict[str, Any] = {}
    for kind, wanted in (("seen", True), ("unseen", False)):
        chosen = [place for place, was_seen in enumerate(were_seen) if was_seen == wanted]
        aps = [ap for place in chosen if (ap := voc.per_class[place].ap) is not None]
        metrics[f"voc_ap50_{kind}"] = float(np.mean(aps)) if aps else None
        metrics[f"{kind}_classes"] = [classes.names[place] for place in chosen]
    return metrics
