"""Runs a detector over a data set and measures its average precision and how well it names what it finds."""

import itertools
import time
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from yolo9000_jax.data.records import Dataset
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation import ilsvrc
from yolo9000_jax.evaluation.classes import SharedClasses, positions, readable, shared_classes
from yolo9000_jax.evaluation.models import Detector
from yolo9000_jax.evaluation.naming import NamingConfusion, has_groups
from yolo9000_jax.evaluation.result import Evaluation, Example
from yolo9000_jax.evaluation.seen import seen_and_unseen
from yolo9000_jax.evaluation.subtrees import subtrees
from yolo9000_jax.evaluation.voc import GroundTruth, ImageDetections, VocResult, evaluate_detections, mean_of
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
    class_agnostic: bool,
    iou_rule: str,
    seen: Sequence[str] | None,
    groups: Sequence[str] | None,
    examples: int,
) -> Evaluation:
    """As `evaluate`, which documents it, of a detector."""
    classes = readable(shared_classes(detector, dataset), detector)
    naming = None
    if detector.tree is not None and (groups is not None or has_groups(detector.tree, classes)):
        naming = NamingConfusion(detector.tree, dataset.classes, classes, groups)
    options: dict[str, Any] = {"threshold": score_threshold, "nms": nms_threshold, "batch_size": batch_size}
    options |= {"class_agnostic": class_agnostic}
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
        truth = GroundTruth(record.boxes_xyxy, record.labels, record.difficult, record.crowd)
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
    scores = _scores(voc, detections, truths, iou_rule)
    metrics = _metrics(voc, classes, scores)
    if seen is not None:
        metrics |= seen_and_unseen(scores, seen, detector, dataset, classes)
    if detector.tree is not None and (below := subtrees(detector.tree, classes, scores)):
        metrics["subtrees"] = below
    if naming is not None:
        metrics["naming"] = naming.metrics()
    return Evaluation(metrics, classes.names, voc, tuple(kept))


def _relabel(rows: Rows, new_labels: np.ndarray) -> Rows:
    """Detections or truths with each label replaced by `new_labels` at it; those that become -1 are dropped."""
    labels = new_labels[rows.labels]
    kept = labels >= 0
    if len(rows.boxes_xyxy) != len(labels):
        raise UserError("a picture has a label and no box: a detector is evaluated on boxes, such as voc:DIR")
    relabelled = rows._replace(labels=labels)
    return rows._replace(
        **{field: np.asarray(array)[kept] for field, array in relabelled._asdict().items() if array is not None}
    )


def _scores(
    voc: VocResult, detections: Sequence[ImageDetections], truths: Sequence[GroundTruth], iou_rule: str
) -> dict[str, list[float | None]]:
    """The average precision of every class by VOC's rule and, if that is asked for, by ImageNet's."""
    scores = {"voc_ap50": [result.ap for result in voc.per_class]}
    if iou_rule == "ilsvrc":
        scores["ilsvrc_ap"] = ilsvrc.average_precisions(detections, truths, len(voc.per_class))
    return scores


def _metrics(voc: VocResult, classes: SharedClasses, scores: dict[str, list[float | None]]) -> dict[str, Any]:
    """VOC's numbers, with the others of `scores` beside."""
    metrics = voc.metrics(classes.names)
    per_class = metrics.pop("per_class")
    for name in scores.keys() - {"voc_ap50"}:
        metrics[name] = mean_of(scores[name])
        for numbers, score in zip(per_class.values(), scores[name], strict=True):
            numbers[name] = score
    left_out = {"left_out": list(classes.left_out)} if classes.left_out else {}
    return metrics | {"per_class": per_class} | left_out
