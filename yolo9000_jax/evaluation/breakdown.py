"""How well objects of each size, shape and surrounding are found, at IoU .5 by COCO's rule."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from yolo9000_jax.evaluation.coco import SIZES, Matching, mean
from yolo9000_jax.evaluation.voc import GroundTruth, ImageDetections, overlaps

THRESHOLD = np.array([0.5])
BORDER_PIXELS = 1.0  # a box that comes so near the border of its picture is taken to be cut off there
TALL, WIDE = 3 / 4, 4 / 3  # width / height


def breakdown(matching: Matching, truths: Sequence[GroundTruth], sizes_wh: np.ndarray) -> dict[str, Any]:
    """The objects in groups; crowds are in none.

    Args:
        matching: of the data set.
        truths: of each image, as voc.checked gives them.
        sizes_wh: [images, 2], of the pictures, pixels.

    Returns:
        {"size": {"small", "medium", "large"} as COCO has them, "aspect": {"tall": less than 3/4 as wide as high,
        "square", "wide": more than 4/3}, "border": {"inside", "cut": within a pixel of the picture's border},
        "crowdedness": {"alone", "few", "many": none, one or two, or more other boxes overlap it}, "difficulty":
        {"ordinary", "difficult"}}. Each is {"truths", "recall50": the share that is found, by COCO's limit of 100
        detections of a class in a picture, None without truths}, of the first three, which a false detection has too,
        also "coco_ap50": those of others do not count.
    """
    areas = np.prod(matching.boxes_xyxy[:, 2:] - matching.boxes_xyxy[:, :2], -1)
    true_sizes = np.repeat(sizes_wh, [len(truth.labels) for truth in truths], axis=0).reshape(-1, 2)
    found_sizes = np.asarray(sizes_wh).reshape(-1, 2)[matching.images]
    of_boxes = {
        "size": (_by_size(matching.true_areas), _by_size(areas)),
        "aspect": (_by_aspect(matching.true_xyxy), _by_aspect(matching.boxes_xyxy)),
        "border": (_by_border(matching.true_xyxy, true_sizes), _by_border(matching.boxes_xyxy, found_sizes)),
    }
    near = np.concatenate([np.zeros(0, int), *map(_neighbours, truths)])
    difficult = np.concatenate([np.zeros(0, bool), *(truth.difficult for truth in truths)])
    anywhere = np.ones(len(areas), bool)
    of_truths = {
        "crowdedness": {"alone": near == 0, "few": (near > 0) & (near < 3), "many": near >= 3},
        "difficulty": {"ordinary": ~difficult, "difficult": difficult},
    }
    chosen = [(name, group, true, boxes[group]) for name, (of, boxes) in of_boxes.items() for group, true in of.items()]
    chosen += [(name, group, true, anywhere) for name, of in of_truths.items() for group, true in of.items()]
    ignored, outside = ~np.array([true for _, _, true, _ in chosen]), ~np.array([each for *_, each in chosen])
    found = matching.precision(ignored, outside, THRESHOLD)
    numbers: dict[str, Any] = {}
    for place, (name, group, *_) in enumerate(chosen):
        count = int(found.truths[place].sum())
        row = {"truths": count, "recall50": float(found.found[place].sum() / count) if count else None}
        numbers.setdefault(name, {})[group] = row | ({"coco_ap50": mean(found.ap[place])} if name in of_boxes else {})
    return numbers


def _by_size(areas: np.ndarray) -> dict[str, np.ndarray]:
    return {name: (areas >= low) & (areas <= high) for name, (low, high) in SIZES.items()}


def _by_aspect(boxes_xyxy: np.ndarray) -> dict[str, np.ndarray]:
    width, height = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).T
    tall, wide = width < TALL * height, width > WIDE * height
    return {"tall": tall, "square": ~tall & ~wide, "wide": wide}


def _by_border(boxes_xyxy: np.ndarray, sizes_wh: np.ndarray) -> dict[str, np.ndarray]:
    near = np.concatenate([boxes_xyxy[:, :2], sizes_wh - boxes_xyxy[:, 2:]], 1) <= BORDER_PIXELS
    cut = np.asarray(near.any(1))
    return {"inside": ~cut, "cut": cut}


def _neighbours(truth: GroundTruth) -> np.ndarray:
    """How many other boxes overlap each of the truths [M]; one object that has two labels is one box."""
    boxes, which = np.unique(truth.boxes_xyxy.reshape(-1, 4), axis=0, return_inverse=True)
    none = np.zeros(len(boxes), bool)
    same = overlaps(ImageDetections(boxes, none, none), GroundTruth(boxes, none, none)) > 0
    return (same.sum(1) - 1)[which.reshape(-1)]
