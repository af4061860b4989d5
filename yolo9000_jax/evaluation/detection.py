"""Runs a detector over a data set and judges what it finds."""

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from yolo9000_jax.evaluation.voc import Detections, Truth, VocResult, evaluate_detections
from yolo9000_jax.labels import canonical, match_classes
from yolo9000_jax.predict.detector import Detector, Result

READERS = 4  # threads that decode pictures ahead of the network
MOST_DETECTIONS = 300  # a picture
DETECTIONS_A_CLASS, MOST_OF_MANY_CLASSES = 5, 1000  # where there are so many classes that they give more
SHOWN = 16  # pictures in the report's contact sheet
SHOWN_SCORE = 0.25
SHOWN_SCORE_OF_TREES = 0.4  # their captions are longer


def evaluate(
    detector: Detector,
    dataset,
    *,
    batch_size: int = 8,
    score_threshold: float = 0.005,
    nms_threshold: float = 0.45,
    hierarchical_threshold: float = 0.5,
    seen: Sequence[str] | None = None,
    report: Path | None = None,
    say=None,
) -> dict:
    """Detects in every picture of the data set and measures VOC average precision (darknet.md 13).

    Args:
        detector: its classes are found among the data set's by synset or name (labels.match_classes).
        dataset: records with boxes.
        batch_size, score_threshold, nms_threshold: of the detector; Darknet evaluates with .005 and .45.
        hierarchical_threshold: with a tree, how sure the names in the report must be.
        seen: names or synsets of the classes whose boxes the detector was trained on; others than the data set's do no
            harm. With it the metrics tell those classes from the rest, as the paper does (19.7 and 16.0).
        report: folder that gets a precision/recall plot, pictures of detections against truth, and metrics.json. Of a
            detector with a tree the pictures show what it says by itself, going down the tree, and "naming" in the
            metrics says how well (naming.naming_confusion).
        say: called with a line of text now and then.

    Returns:
        {"voc_ap50", "voc07_ap50", "recall50", "images", "per_class": {name: {…}}}, over the data set's classes that the
        detector has; where it lacks any, these are named in "left_out". With `seen` also "voc_ap50_seen",
        "voc_ap50_unseen", and the names of these classes, "seen_classes" and "unseen_classes".

    Raises:
        UserError: a picture cannot be read, or the classes do not fit (labels.match_classes).
    """
    matched, left_out = matched_classes(detector, dataset, say)
    found, truths, shown = [], [], []
    started = time.perf_counter()
    results = detector.stream(
        read_ahead(dataset, batch_size),
        threshold=score_threshold,
        nms=nms_threshold,
        batch_size=batch_size,
        max_detections=max(MOST_DETECTIONS, min(DETECTIONS_A_CLASS * len(matched), MOST_OF_MANY_CLASSES)),
        nodes=[model_class for _, model_class in matched],
    )
    own = _places([model_class for _, model_class in matched], len(detector.classes))
    theirs = _places([label for label, _ in matched], len(dataset.classes))
    names = tuple(dataset.classes[label] for label, _ in matched)
    for index, result in enumerate(results):
        record = dataset[index]
        found.append(_relabel(Detections(result.boxes_xyxy, result.scores, result.classes), own))
        truths.append(_relabel(Truth(record.boxes_xyxy, record.labels, record.difficult), theirs))
        if report and index % max(1, len(dataset) // SHOWN) == 0 and len(shown) < SHOWN:
            shown.append((result.image, found[-1], truths[-1]))
        if say and (index + 1) % 500 == 0:
            say(f"evaluated {index + 1}/{len(dataset)}  {(index + 1) / (time.perf_counter() - started):.1f} images/s")
    result = evaluate_detections(found, truths, len(names))
    metrics = result.metrics(names) | ({"left_out": left_out} if left_out else {})
    if seen is not None:
        known = {canonical(name) for name in seen} | set(seen)
        ours = detector.synsets or [None] * len(detector.classes)
        words = [(canonical(dataset.classes[label]), dataset.synsets[label], ours[place]) for label, place in matched]
        metrics |= _seen_and_unseen(result, names, [not known.isdisjoint(word) for word in words])
    if report:
        if detector.tree is not None:
            options = {"hierarchical_threshold": hierarchical_threshold, "batch_size": batch_size}
            metrics |= _report_names(detector, dataset, Path(report), nms_threshold=nms_threshold, **options)
            pictures = [image for image, _, _ in shown]
            results = detector.stream(pictures, threshold=SHOWN_SCORE_OF_TREES, nms=nms_threshold, **options)
            shown = [result.enlarged(2) for result in results]
        write_report(Path(report), result, metrics, names, shown)
    return metrics


def _report_names(detector, dataset, folder: Path, **options) -> dict:
    """How well the tree's finer names are found, {"naming": …}, if the data set has some; a picture a group."""
    from yolo9000_jax.evaluation.naming import has_groups, naming_confusion
    from yolo9000_jax.report.plots import plot_confusion

    if not has_groups(detector, dataset):
        return {}
    found = naming_confusion(detector, dataset, **options)
    folder.mkdir(parents=True, exist_ok=True)
    for group in found["groups"]:
        path = folder / f"confusion_{group['name'].replace(' ', '_').replace('/', '_')}.png"
        plot_confusion(group["matrix"], group["rows"], group["columns"], path)
    return {"naming": found}


def _seen_and_unseen(result: VocResult, names, was_seen) -> dict:
    """The mean over the classes that were trained with boxes, the mean over the others, and which these are."""
    found = {}
    for kind, wanted in (("seen", True), ("unseen", False)):
        chosen = [place for place, value in enumerate(was_seen) if value == wanted]
        aps = [ap for place in chosen if (ap := result.per_class[place].ap) is not None]
        found[f"voc_ap50_{kind}"] = float(np.mean(aps)) if aps else None
        found[f"{kind}_classes"] = [names[place] for place in chosen]
    return found


def matched_classes(model, dataset, say=None) -> tuple[list[tuple[int, int]], list[str]]:
    """The classes on which a detector or classifier can be judged, and the names of those on which it cannot.

    Returns:
        [(the data set's class, the model's class)] in the data set's order; and the data set's classes that the model
        lacks, or whose name several of its classes share.
    """
    if dataset.classes == model.classes:
        return [(label, label) for label in range(len(model.classes))], []
    found = match_classes(dataset.classes, model.classes, dataset.synsets, model.synsets)
    left_out = [name for name, model_class in zip(dataset.classes, found, strict=True) if model_class is None]
    if left_out and say:
        names = ", ".join(left_out[:10]) + (", …" if len(left_out) > 10 else "")
        say(f"left out {len(left_out)} of {len(found)} classes, which the network lacks: {names}")
    return [(label, model_class) for label, model_class in enumerate(found) if model_class is not None], left_out


def _places(chosen: list[int], count: int) -> np.ndarray:
    """[count]: where each class stands among the chosen ones, -1 for the others."""
    places = np.full(count, -1)
    places[chosen] = np.arange(len(chosen))
    return places


def _relabel(rows, places: np.ndarray):
    """Detections or truths with their labels replaced by `places`; those of -1 are dropped."""
    labels = places[rows.labels]
    kept = labels >= 0
    return type(rows)(*(array[kept] for array in rows._replace(labels=labels)))


def write_report(folder: Path, result: VocResult, metrics: dict, classes, shown) -> None:
    """metrics.json, precision_recall.png and detections.png in `folder`.

    `shown` holds the pictures of the last: [(image uint8 [H, W, 3], Detections, Truth)], or Results as they are drawn.
    """
    from yolo9000_jax.report.draw import contact_sheet, draw_against_truth
    from yolo9000_jax.report.plots import plot_precision_recall

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    plot_precision_recall(result, classes, folder / "precision_recall.png")
    pictures = []
    for item in shown:
        if isinstance(item, Result):
            pictures.append(item.draw())
            continue
        image, found, truth = item
        clear = Detections(*(array[found.scores >= SHOWN_SCORE] for array in found))
        pictures.append(draw_against_truth(image, clear, truth, classes))
    if pictures:
        tile = 480 if isinstance(shown[0], Result) else 320
        Image.fromarray(contact_sheet(pictures, columns=4, tile=tile)).save(folder / "detections.png")


def read_ahead(dataset, batch_size: int) -> Iterator[np.ndarray]:
    """The pictures in order, the next batch being read while one is worked on."""
    with ThreadPoolExecutor(READERS) as pool:
        ahead = [pool.submit(dataset[i].read) for i in range(min(2 * batch_size, len(dataset)))]
        for index in range(len(dataset)):
            pixels = ahead.pop(0).result()
            if index + 2 * batch_size < len(dataset):
                ahead.append(pool.submit(dataset[index + 2 * batch_size].read))
            yield pixels
