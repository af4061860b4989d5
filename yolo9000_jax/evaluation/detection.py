"""Runs a detector over a data set and measures its average precision and how well it names what it finds."""

import itertools
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from yolo9000_jax.data.coco_classes import coco_ids
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation import ilsvrc, mistakes
from yolo9000_jax.evaluation.ancestors import hierarchical_ap, with_ancestors
from yolo9000_jax.evaluation.breakdown import breakdown
from yolo9000_jax.evaluation.classes import SharedClasses, positions, readable, shared_classes
from yolo9000_jax.evaluation.coco import Matching, evaluate_coco
from yolo9000_jax.evaluation.models import Detector, DetectorResult
from yolo9000_jax.evaluation.naming import NamedObjects, NamingConfusion, has_groups
from yolo9000_jax.evaluation.result import Compared, Evaluation, Example, Picture
from yolo9000_jax.evaluation.scores import best_f1, calibration
from yolo9000_jax.evaluation.seen import seen_and_unseen
from yolo9000_jax.evaluation.subtrees import subtrees
from yolo9000_jax.evaluation.voc import (
    GroundTruth,
    ImageDetections,
    VocResult,
    areas_of,
    checked,
    evaluate_detections,
    mean_of,
)
from yolo9000_jax.hosts import in_order, of_all, share
from yolo9000_jax.logs import logger
from yolo9000_jax.wordtree.limits import HierarchicalThreshold

EXAMPLES = 16
LOG_EVERY = 500  # pictures
LEAST_SCORE = 0.05  # of what a detector with a tree says by itself

Rows = TypeVar("Rows", ImageDetections, GroundTruth)


def evaluate_detector(
    detector: Detector,
    dataset: Dataset,
    *,
    batch_size: int,
    score_threshold: float,
    nms_threshold: float,
    hierarchical_threshold: HierarchicalThreshold,
    class_agnostic: bool,
    iou_rule: str,
    seen: Sequence[str] | None,
    groups: Sequence[str] | None,
    examples: int,
) -> Evaluation:
    """As `evaluate`, which documents it, of a detector."""
    classes = readable(shared_classes(detector, dataset), detector)
    options: dict[str, Any] = {"threshold": score_threshold, "nms": nms_threshold, "batch_size": batch_size}
    options |= {"class_agnostic": class_agnostic}
    naming = named = None
    labels = classes.model_labels
    if detector.tree is not None:
        named = NamedObjects(detector.tree, dataset.classes, classes)
        if groups is not None or has_groups(detector.tree, classes):
            naming = NamingConfusion(detector.tree, classes, groups)
        if not class_agnostic:  # or else boxes of the nodes above would suppress all others
            labels = with_ancestors(detector.tree, labels)
        options |= {"nodes": labels, "hierarchical_threshold": hierarchical_threshold, "also_top_down": True}
    run = _Share(detector, dataset, classes, labels, named, options, examples)
    pictures, answers, truths, own = _joined(of_all(run.arrays))
    detections = [_first_classes(each, len(classes.names)) for each in answers]
    voc = evaluate_detections(detections, truths, len(classes.names))
    detections, truths = checked(detections, truths, len(classes.names))
    matching = Matching(detections, truths, len(classes.names))
    coco, coco_ap = evaluate_coco(matching)
    scores = _scores(voc, detections, truths, iou_rule) | {"coco_ap": coco_ap}
    metrics = _metrics(voc, classes, scores, coco)
    judged = [mistakes.judge(*pair, _depths(detector, classes)) for pair in zip(detections, truths, strict=True)]
    kinds = mistakes.measure(mistakes.gather(judged), len(classes.names), detector.tree, classes.model_labels)
    sizes_wh = np.array([(picture.width, picture.height) for picture in pictures], int).reshape(-1, 2)
    metrics |= {"mistakes": kinds, "breakdown": breakdown(matching, truths, sizes_wh)}
    metrics |= {"calibration": calibration(voc.outcomes), "best_f1": best_f1(voc.outcomes)}
    if seen is not None:
        metrics |= seen_and_unseen(scores, seen, detector, dataset, classes)
    if detector.tree is not None and (below := subtrees(detector.tree, classes, scores)):
        metrics["subtrees"] = below
    if detector.tree is not None and named is not None:
        named.join_hosts()
        metrics["hierarchy"] = named.metrics()
        if not class_agnostic:
            metrics["hierarchy"] |= hierarchical_ap(detector.tree, labels, answers, truths)
        if naming is not None:
            metrics["naming"] = naming.metrics(named)
    ids = dataset.category_ids or coco_ids(dataset.classes) or range(1, len(dataset.classes) + 1)
    category_ids = [ids[label] for label in classes.dataset_labels]
    compared = Compared(
        pictures,
        detections,
        truths,
        dataset.split,
        category_ids,
        judged,
        lambda place: dataset[place].read(),
        detector.tree,
        () if detector.tree is None else classes.model_labels.tolist(),
        own,
        dataset.category_ids is not None,
    )
    return Evaluation(metrics, classes.names, voc, tuple(run.examples), compared)


def _depths(detector: Detector, classes: SharedClasses) -> np.ndarray | None:
    """How deep each of the classes lies in the tree, if there is one."""
    return None if detector.tree is None else detector.tree.depths[classes.model_labels]


def _first_classes(found: ImageDetections, count: int) -> ImageDetections:
    """The detections of the first classes, so many of them."""
    kept = found.labels < count
    return ImageDetections(found.boxes_xyxy[kept], found.scores[kept], found.labels[kept])


class _Share:
    """The pictures of a data set that this host looks at, and what the detector finds in them.

    labels: of the detector, the classes that are looked for, the shared ones first; their places become the labels.
    examples: so many of these pictures, spread over the data set.
    """

    def __init__(
        self,
        detector: Detector,
        dataset: Dataset,
        classes: SharedClasses,
        labels: np.ndarray,
        named: NamedObjects | None,
        options: dict[str, Any],
        examples: int,
    ):
        self._detector, self._dataset, self._options = detector, share(dataset), options
        self._model_positions = positions(labels, len(detector.classes))
        self._dataset_positions = positions(classes.dataset_labels, len(dataset.classes))
        self._named, self._shared, self._count = named, len(classes.names), examples
        self.examples: list[Example] = []
        self._pictures: list[Picture] = []
        self._own: list[ImageDetections] = []  # what it says going down the tree, where it was asked

    def arrays(self) -> dict[str, np.ndarray]:
        """What is found and what is there, of all its pictures, one picture after the other."""
        detections, truths = [], []
        for found, truth in self._run():
            detections.append(found)
            truths.append(truth)
        names, widths, heights, ids = zip(*self._pictures, strict=True) if self._pictures else ((),) * 4
        pictures = {
            "names": np.array(names, str),
            "sizes_wh": np.array([widths, heights], np.int64).T,
            "ids": np.array([json.dumps(each) for each in ids], str),
        }
        pictures |= _columns("found", ImageDetections, detections) | _columns("truth", GroundTruth, truths)
        return pictures | _columns("own", ImageDetections, self._own)

    def _run(self) -> Iterator[tuple[ImageDetections, GroundTruth]]:
        pictures, started = len(self._dataset), time.perf_counter()
        streamed, records = itertools.tee(self._dataset.records())  # each is fetched once, and kept until its result is
        results = self._detector.stream(streamed, **self._options)
        for index, (result, record) in enumerate(zip(results, records, strict=True)):
            found = ImageDetections(result.boxes_xyxy, result.scores, result.labels)
            crowd = np.zeros(len(record.labels), bool) if record.crowd is None else record.crowd
            truth = GroundTruth(record.boxes_xyxy, record.labels, record.difficult, crowd, record.areas)
            truth = truth._replace(areas=areas_of(truth))
            self._pictures.append(Picture(record.picture_name, record.width, record.height, record.image_id))
            found, truth = _relabel(found, self._model_positions), _relabel(truth, self._dataset_positions)
            top_down = None if self._detector.tree is None else result.top_down
            if top_down is not None:
                self._own.append(_best(top_down))
            if self._named is not None and top_down is not None:
                self._named.add(record, top_down)
            if len(self.examples) < self._count and index % max(1, pictures // self._count) == 0:
                self.examples.append(Example(result.image, _first_classes(found, self._shared), truth, top_down))
            if (index + 1) % LOG_EVERY == 0:
                rate = (index + 1) / (time.perf_counter() - started)
                logger.info(f"evaluated {index + 1}/{pictures}  {rate:.1f} images/s")
            yield found, truth


def _best(result: DetectorResult) -> ImageDetections:
    """Its detections, those that a picture of it may show."""
    sure = np.flatnonzero(result.scores >= LEAST_SCORE)[: mistakes.MOST]
    return ImageDetections(result.boxes_xyxy[sure], result.scores[sure], result.labels[sure])


def _columns(name: str, kind: type[Rows], pictures: Sequence[Rows]) -> dict[str, np.ndarray]:
    """The rows of all pictures one after the other, and how many each has."""
    counts = np.array([len(rows.labels) for rows in pictures], np.int64)
    fields = zip(kind._fields, zip(*pictures, strict=True), strict=True) if pictures else ()
    return {f"{name}_counts": counts} | {f"{name}_{field}": np.concatenate(arrays) for field, arrays in fields}


def _pictures(name: str, kind: type[Rows], arrays: Mapping[str, np.ndarray]) -> list[Rows]:
    """What `_columns` was given."""
    ends = np.cumsum(arrays[f"{name}_counts"])[:-1]
    if not len(arrays[f"{name}_counts"]):
        return []
    columns = [np.split(arrays[f"{name}_{field}"], ends) for field in kind._fields]
    return [kind(*rows) for rows in zip(*columns, strict=True)]


def _joined(
    shares: Sequence[Mapping[str, np.ndarray]],
) -> tuple[list[Picture], list[ImageDetections], list[GroundTruth], list[ImageDetections]]:
    """What all hosts' `_Share.arrays` say, picture by picture as in the data set."""
    seen = [list(map(_picture, each["names"], each["sizes_wh"], each["ids"])) for each in shares]
    found = [_pictures("found", ImageDetections, each) for each in shares]
    truths = [_pictures("truth", GroundTruth, each) for each in shares]
    own = [_pictures("own", ImageDetections, each) for each in shares]
    return in_order(seen), in_order(found), in_order(truths), in_order(own)


def _picture(name: np.str_, size_wh: np.ndarray, own_id: np.str_) -> Picture:
    return Picture(str(name), int(size_wh[0]), int(size_wh[1]), json.loads(str(own_id)))


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


def _metrics(
    voc: VocResult, classes: SharedClasses, scores: dict[str, list[float | None]], coco: dict[str, float | None]
) -> dict[str, Any]:
    """VOC's numbers and COCO's, with the others of `scores` beside, and the best F1 of each class."""
    metrics = voc.metrics(classes.names)
    per_class = metrics.pop("per_class")
    for label, numbers in enumerate(per_class.values()):
        numbers["best_f1"] = best_f1(voc.outcomes, label)
    metrics |= coco
    for name in [name for name in scores if name != "voc_ap50"]:
        metrics[name] = coco.get(name, mean_of(scores[name]))
        for numbers, score in zip(per_class.values(), scores[name], strict=True):
            numbers[name] = score
    left_out = {"left_out": list(classes.left_out)} if classes.left_out else {}
    return metrics | {"per_class": per_class} | left_out
