"""Average precision as ImageNet's detection task measures it (ILSVRC's development kit, eval_detection.m), in NumPy.

It differs from VOC's in the match. A truth of w x h pixels wants an IoU of min(.5, w h / ((w + 10) (h + 10))): a small
one may be missed by five pixels on every side. And a detection takes, of the truths of its class that no better one has
taken and that it overlaps enough, the one it overlaps most; where VOC's has one look only. The kit's list of pictures
that are not to count for some classes is not applied.
"""

from collections.abc import Sequence

import numpy as np

from yolo9000_jax.evaluation.voc import (
    FALSE_POSITIVE,
    IGNORED,
    TRUE_POSITIVE,
    GroundTruth,
    ImageDetections,
    class_results,
    gather,
    overlaps,
)

MOST_IOU = 0.5
TOLERANCE_PIXELS = 10


def iou_thresholds(boxes_xyxy: np.ndarray) -> np.ndarray:
    """The IoU that a detection must reach with each of the truths [M, 4], pixels: [M]."""
    boxes = np.asarray(boxes_xyxy, float).reshape(-1, 4)
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    return np.minimum(MOST_IOU, width * height / ((width + TOLERANCE_PIXELS) * (height + TOLERANCE_PIXELS)))


def match_detections(detections: ImageDetections, truth: GroundTruth) -> np.ndarray:
    """Judges the detections of one image, the best first.

    Returns:
        outcomes [N] int8, as of voc.match_detections. Difficult truths, which ImageNet has none of, are never taken.
    """
    outcomes = np.full(len(detections.scores), FALSE_POSITIVE, np.int8)
    iou = overlaps(detections, truth)
    same_class = np.asarray(detections.labels)[:, None] == np.asarray(truth.labels)[None]
    enough = np.where(same_class & (iou >= iou_thresholds(truth.boxes_xyxy)), iou, 0.0)
    best_first = np.argsort(-np.asarray(detections.scores), kind="stable")
    has_any = np.asarray(enough.any(axis=1))
    for detection in best_first[has_any[best_first]]:
        found = int(enough[detection].argmax())
        if not enough[detection, found]:  # better detections have them all
            continue
        if truth.difficult[found]:
            outcomes[detection] = IGNORED
            continue
        outcomes[detection] = TRUE_POSITIVE
        enough[:, found] = 0.0
    return outcomes


def average_precisions(
    detections: Sequence[ImageDetections], truths: Sequence[GroundTruth], num_classes: int
) -> list[float | None]:
    """The average precision of every class, by area; None of a class without truths. Arguments as of voc.py."""
    outcomes = [match_detections(*pair) for pair in zip(detections, truths, strict=True)]
    return [result.ap for result in class_results(gather(detections, truths, outcomes), num_classes)]
