"""Runs a detector over a data set and judges what it finds."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from yolo9000_jax.detector import Detector, Result
from yolo9000_jax.evaluation.voc import Detections, Truth, VocResult, evaluate_detections

READERS = 4  # threads that decode pictures ahead of the network
SHOWN = 16  # pictures in the report's contact sheet
SHOWN_SCORE = 0.25


def evaluate(
    detector: Detector,
    dataset,
    *,
    batch_size: int = 8,
    score_threshold: float = 0.005,
    nms_threshold: float = 0.45,
    report: Path | None = None,
    say=None,
) -> dict:
    """Detects in every picture of the data set and measures VOC average precision (SPEC 13).

    Args:
        detector: its classes must be the data set's.
        dataset: records with boxes.
        batch_size, score_threshold, nms_threshold: of the detector; Darknet evaluates with .005 and .45.
        report: folder that gets a precision/recall plot, pictures of detections against truth, and metrics.json.
        say: called with a line of text now and then.

    Returns:
        {"voc_ap50", "voc07_ap50", "recall50", "images", "per_class": {name: {…}}}.
    """
    found, truths, shown = [], [], []
    started = time.perf_counter()
    results = detector.stream(
        _read_ahead(dataset, batch_size),
        threshold=score_threshold,
        nms=nms_threshold,
        batch_size=batch_size,
        max_detections=300,
    )
    for index, result in enumerate(results):
        record = dataset[index]
        found.append(Detections(result.boxes_xyxy, result.scores, result.classes))
        truths.append(Truth(record.boxes_xyxy, record.labels, record.difficult))
        if report and index % max(1, len(dataset) // SHOWN) == 0 and len(shown) < SHOWN:
            shown.append((result, truths[-1]))
        if say and (index + 1) % 500 == 0:
            say(f"evaluated {index + 1}/{len(dataset)}  {(index + 1) / (time.perf_counter() - started):.1f} images/s")
    result = evaluate_detections(found, truths, len(dataset.classes))
    metrics = result.metrics(dataset.classes)
    if report:
        write_report(Path(report), result, metrics, dataset.classes, shown)
    return metrics


def write_report(folder: Path, result: VocResult, metrics: dict, classes, shown: list[tuple[Result, Truth]]) -> None:
    """metrics.json, precision_recall.png and detections.png in `folder`."""
    from yolo9000_jax.report.draw import contact_sheet, draw_against_truth
    from yolo9000_jax.report.plots import plot_precision_recall

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    plot_precision_recall(result, classes, folder / "precision_recall.png")
    pictures = []
    for found, truth in shown:
        clear = found.scores >= SHOWN_SCORE
        detections = Detections(found.boxes_xyxy[clear], found.scores[clear], found.classes[clear])
        pictures.append(draw_against_truth(found.image, detections, truth, classes))
    if pictures:
        Image.fromarray(contact_sheet(pictures, columns=4)).save(folder / "detections.png")


def _read_ahead(dataset, batch_size: int) -> Iterator[np.ndarray]:
    """The pictures in order, the next batch being read while one is worked on."""
    with ThreadPoolExecutor(READERS) as pool:
        ahead = [pool.submit(dataset[i].read) for i in range(min(2 * batch_size, len(dataset)))]
        for index in range(len(dataset)):
            pixels = ahead.pop(0).result()
            if index + 2 * batch_size < len(dataset):
                ahead.append(pool.submit(dataset[index + 2 * batch_size].read))
            yield pixels
