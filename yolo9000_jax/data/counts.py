"""What training needs to know of a data set before it starts, from all labels and without decoding a picture.

A rendered set has no end worth reaching: there the first pictures stand for all.
"""

import numpy as np

from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.table import GroundTruth
from yolo9000_jax.errors import UserError
from yolo9000_jax.logs import logger

RENDERED_PICTURES = 1000  # of a rendered set, that stand for all


def fullest(dataset: Dataset) -> int:
    """The number of labels of the picture that has most; at least 1."""
    return int(_sample(dataset).labels_of.max(initial=1))


def left_out(dataset: Dataset, max_boxes: int, include_difficult: bool = True) -> tuple[int, int]:
    """What an epoch leaves out where a picture has more than `max_boxes` boxes: (boxes, pictures they are in).

    Which these are is drawn anew in every epoch. Says so as a warning where there are any. An augmented picture that
    shows a part of the boxes may lose fewer.

    Args:
        dataset: for detection.
        max_boxes: boxes a picture in a batch.
        include_difficult: whether training uses difficult boxes; they are not counted where it does not.
    """
    truth = _sample(dataset)
    used = truth.labels_of
    if not include_difficult:
        pictures = np.repeat(np.arange(len(truth)), truth.labels_of)
        used = np.bincount(pictures[~truth.difficult], minlength=len(truth))
    over = np.maximum(used - max_boxes, 0)
    boxes, pictures_cut = int(over.sum()), int((over > 0).sum())
    if boxes:
        looked_at = f"the first {len(truth)}" if len(truth) < len(dataset) else f"{len(truth)}"
        logger.warning(
            f"{dataset.spec} {dataset.split}: data.max_boxes={max_boxes} leaves {boxes} boxes out of every epoch, "
            f"drawn anew each time, in {pictures_cut} of {looked_at} pictures; the fullest has {used.max()}, "
            "and 0 keeps them all"
        )
    return boxes, pictures_cut


def check_boxes(dataset: Dataset, include_difficult: bool) -> None:
    """Raises UserError where no picture has a box that training would use."""
    truth = _sample(dataset)
    if not len(truth.boxes_xyxy):
        advice = "train a classifier on labels alone (--config.task=classification), or " if len(truth.labels) else ""
        raise UserError(
            f"{dataset.spec} {dataset.split}: none of its {len(dataset)} pictures has a box, so there is nothing to "
            f"learn to find: {advice}give pictures with boxes"
        )
    if not include_difficult and truth.difficult.all():
        raise UserError(
            f"{dataset.spec} {dataset.split}: all {len(truth.difficult)} boxes are marked difficult, which training "
            "leaves out: give others, or --config.data.include_difficult=True"
        )


def empty_classes(dataset: Dataset) -> list[str]:
    """The classes that no picture has; none of a rendered set. A lazy set is read until all classes are found."""
    if dataset.rendered:
        return []
    missing = set(range(len(dataset.classes)))
    if not dataset.lazy:
        missing.difference_update(np.unique(dataset.ground_truth().labels).tolist())
    for record in dataset.records() if dataset.lazy else ():
        missing.difference_update(record.labels.tolist())
        if not missing:
            break
    return [dataset.classes[label] for label in sorted(missing)]


def _sample(dataset: Dataset) -> GroundTruth:
    return dataset[:RENDERED_PICTURES].ground_truth() if dataset.rendered else dataset.ground_truth()
