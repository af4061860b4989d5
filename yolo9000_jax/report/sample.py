"""The pictures that a page shows: a sample of the data set, small, with what is there and what was found."""

import base64
import io
import math
from typing import Any

import numpy as np
from PIL import Image

from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.confusion import Confusion
from yolo9000_jax.evaluation.mistakes import RIGHT, Judged
from yolo9000_jax.evaluation.result import Compared
from yolo9000_jax.logs import logger
from yolo9000_jax.text import printable

MOST_PICTURES = 400
BYTES = 9_000_000  # of all pictures, as JPEG
MOST_BYTES = 30_000  # of one
LOOKS = [(side, quality) for side in (480, 384, 288, 192) for quality in (82, 70, 55)]  # from the best down
ORDERED = 80  # of the best, of the worst and of the median pictures at least


def sample(compared: Compared, confused: Confusion, threshold: float) -> list[dict[str, Any]]:
    """The pictures of the page.

    Args:
        compared: all pictures.
        confused: of them.
        threshold: of the scores by which the best and the worst are chosen.

    Returns:
        A dict each: {"place", "name", "width", "height", "jpeg": base64 or None, "truths": [[x0, y0, x1, y1, label,
        what, score]], "found": [[x0, y0, x1, y1, label, score, kind, what]]}. what of a truth: 1 difficult, 2 a crowd,
        else 0; its score is that of the detection that is right, -1 without one. kind: as in evaluation.mistakes; what
        of a detection: 1 if it is excused, 2 if it is on no object, 3 for both, else 0. With a tree also "own": [[x0,
        y0, x1, y1, path, score]], what the detector says by itself, path being the names down to its answer.
    """
    chosen = choose(compared, confused, threshold)
    most = min(MOST_BYTES, BYTES // max(1, len(chosen)))
    gone: list[str] = []
    pictures, look = [], 0
    for place in chosen:
        jpeg, look = _jpeg(compared, place, most, look, gone)
        pictures.append(_picture(compared, confused, place, jpeg))
    if gone:
        more = f", and {len(gone) - 1} more" if len(gone) > 1 else ""
        logger.warning(f"the page is without {gone[0]}{more}: shown as an empty frame")
    return pictures


def choose(compared: Compared, confused: Confusion, threshold: float) -> list[int]:
    """The places of the pictures that are shown, in order: all, or the best, the worst, those in the middle, one for
    each confusion, the most common first, and as many as there is room for, spread over the data set."""
    count = len(compared.pictures)
    if count <= MOST_PICTURES:
        return list(range(count))
    quality = np.array([f1(each, threshold) for each in compared.judged])
    ranked = np.flatnonzero(~np.isnan(quality))
    ranked = ranked[np.argsort(quality[ranked], kind="stable")]
    middle = len(ranked) // 2
    lists = [ranked[:ORDERED], ranked[::-1][:ORDERED], ranked[middle - ORDERED // 2 : middle + ORDERED // 2]]
    chosen = dict.fromkeys(int(place) for places in lists for place in places)
    pairs = np.stack([confused.true_labels, np.where(confused.scores >= threshold, confused.found_labels, -1)], 1)
    cells, first, counts = np.unique(pairs, axis=0, return_index=True, return_counts=True)
    wrong = cells[:, 0] != cells[:, 1]
    for place in confused.images[first[wrong][np.argsort(-counts[wrong], kind="stable")]]:
        if len(chosen) >= MOST_PICTURES * 3 // 4:
            break
        chosen[int(place)] = None
    others = [place for place in range(count) if place not in chosen]
    spread = np.linspace(0, len(others) - 1, MOST_PICTURES - len(chosen)).astype(int)
    return sorted([*chosen, *(others[place] for place in spread)])


def f1(judged: Judged, threshold: float) -> float:
    """F1 of one picture with a threshold; NaN where nothing is there or found."""
    sure = judged.scores >= threshold
    right = int((sure & (judged.kinds == RIGHT)).sum())
    wrong = int((sure & (judged.kinds != RIGHT) & ~judged.excused).sum())
    truths = int(judged.counting.sum())
    return 2 * right / (right + wrong + truths) if right + wrong + truths else float("nan")


def _picture(compared: Compared, confused: Confusion, place: int, jpeg: str | None) -> dict[str, Any]:
    picture, found, truth = compared.pictures[place], compared.detections[place], compared.truths[place]
    judged, alone = compared.judged[place], set(confused.alone[place].tolist())
    finders = np.full(len(truth.labels), -1.0)
    right = judged.kinds == RIGHT
    finders[judged.targets[right]] = judged.scores[right]
    kinds = [2 if crowd else int(difficult) for crowd, difficult in zip(truth.crowd, truth.difficult, strict=True)]  # type: ignore[arg-type]
    truths = [
        [*_rounded(box), int(label), kind, cut(score, 3)]
        for box, label, kind, score in zip(truth.boxes_xyxy, truth.labels, kinds, finders, strict=True)
    ]
    detections = [
        [
            *_rounded(found.boxes_xyxy[at]),
            int(label),
            cut(score, 3),
            int(kind),
            int(excused) + 2 * (at in alone),
        ]
        for at, label, score, kind, excused in zip(
            judged.places.tolist(), judged.labels, judged.scores, judged.kinds, judged.excused, strict=True
        )
    ]
    return {
        "place": place,
        "name": printable(picture.name),
        "width": picture.width,
        "height": picture.height,
        "jpeg": jpeg,
        "truths": truths,
        "found": detections,
    } | _own(compared, place)


def _own(compared: Compared, place: int) -> dict[str, Any]:
    if compared.tree is None or not compared.own:
        return {}
    tree, (boxes, scores, labels) = compared.tree, compared.own[place]
    paths = [" › ".join(printable(tree.names[node]) for node in tree.path(int(label))) for label in labels]
    rows = zip(boxes, paths, scores.tolist(), strict=True)
    return {"own": [[*_rounded(box), path, cut(score, 3)] for box, path, score in rows]}


def cut(score: float, digits: int) -> float:
    """The score without what comes after some digits: it reaches no threshold that it did not."""
    return math.floor(float(score) * 10**digits + 1e-9 * 10 ** (digits - 2)) / 10**digits


def _rounded(box_xyxy: np.ndarray) -> list[float]:
    return [round(float(side), 1) for side in box_xyxy]


def _jpeg(compared: Compared, place: int, most: int, look: int, gone: list[str]) -> tuple[str | None, int]:
    """The picture, small, as base64, and which of LOOKS it has; None, and its name among those gone, where it cannot be
    read any more. look: what the picture before it has, which is tried first, as most of a data set are alike."""
    if compared.read is None:
        return None, look
    try:
        image = Image.fromarray(compared.read(place))
    except (UserError, OSError) as error:
        gone.append(
            str(error) if isinstance(error, UserError) else f"{compared.pictures[place].name} ({error.strerror})"
        )
        return None, look
    content = _encoded(image, look)
    if len(content) <= most:
        while look and len(better := _encoded(image, look - 1)) <= most:
            content, look = better, look - 1
    else:
        while len(content) > most and look < len(LOOKS) - 1:
            look += 1
            content = _encoded(image, look)
    return base64.b64encode(content).decode(), look


def _encoded(image: Image.Image, look: int) -> bytes:
    side, quality = LOOKS[look]
    small, content = image.copy(), io.BytesIO()
    small.thumbnail((side, side))
    small.save(content, "JPEG", quality=quality, optimize=True)
    return content.getvalue()
