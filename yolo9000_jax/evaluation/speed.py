"""Frames a second, and accuracy, of one set of weights at several input sizes (the paper's Table 3 and Figure 4)."""

import copy
import os
import platform
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.table import Record
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.classes import shared_classes
from yolo9000_jax.evaluation.evaluate import evaluate
from yolo9000_jax.evaluation.models import TimedDetector
from yolo9000_jax.logs import logger

SIZES = (288, 352, 416, 480, 544)
LARGEST_SIZE = 4096
METRICS = ("voc_ap50", "voc07_ap50")
RUNS = 9
RUN_SECONDS = 0.5
PAPER = {288: (0.690, 91), 352: (0.737, 81), 416: (0.768, 67), 480: (0.778, 59), 544: (0.786, 40)}  # mAP, frames/s
PAPER_SOURCE = "arXiv 1612.08242, Table 3: VOC 2007 test, GeForce GTX Titan X"
TIMED = (
    "forward pass, decoding and suppression, compiled; from pictures on the device, already of the "
    "network's size, to detections on the host; compilation, reading and resizing excluded"
)


class Speed(NamedTuple):
    """Images a second: the median over the runs, and the slowest and the fastest run."""

    median: float
    slowest: float
    fastest: float


def benchmark(
    detector: TimedDetector,
    sizes: Sequence[int] = SIZES,
    dataset: Dataset | None = None,
    *,
    batch_size: int = 1,
    score_threshold: float = 0.005,
    nms_threshold: float = 0.45,
    runs: int = RUNS,
    run_seconds: float = RUN_SECONDS,
) -> dict[str, Any]:
    """Times a detector at several sizes and, on a data set, measures its average precision at each.

    What is timed is the detector's own compiled program, with the thresholds of an evaluation (with a tree of classes
    it goes down from the top); its pictures are the data set's first ones, or noise where there is none. See TIMED for
    what the clock covers. The largest size is compiled first, so that too little memory shows at once.

    Args:
        detector: whose `program(threshold=…, nms=…)` takes inputs [B, H, W, 3].
        sizes: sides of the network's square input in pixels, multiples of 32.
        dataset: records with boxes; None: speeds only.
        batch_size: pictures a call; 1 as in the paper.
        score_threshold, nms_threshold: of the detector.
        runs, run_seconds: how many runs a size gets, and how long one is at least; the sizes take turns.

    Returns:
        {"machine": {…}, "batch_size", "runs", "timed", "input", "score_threshold", "nms_threshold", "dataset", "sizes":
        [{"size", "images_per_s", "images_per_s_slowest", "images_per_s_fastest", "voc_ap50", "voc07_ap50"}], "paper":
        {"source", "sizes"}}, the sizes in ascending order; average precisions only with a data set.

    Raises:
        UserError: a size or batch size that cannot be, too little memory, or what `evaluate` raises.
    """
    sizes = check_sizes(sizes)
    if batch_size < 1:
        raise UserError(f"batch size {batch_size}: at least one picture a call")
    pictures = None
    if dataset is not None:
        shared_classes(detector, dataset)  # refuses what cannot be evaluated before the work
        pictures = [dataset[index] for index in range(min(batch_size, len(dataset)))]
    options = {"threshold": score_threshold, "nms": nms_threshold}
    calls = {}
    for size in reversed(sizes):
        started = time.perf_counter()
        calls[size] = _timed_call(_at_size(detector, size), batch_size, pictures, options)
        logger.info(f"size {size}: compiled and run once in {time.perf_counter() - started:.1f} s")
    speeds = time_in_turns(calls, batch_size, runs=runs, run_seconds=run_seconds)
    names = ("images_per_s", "images_per_s_slowest", "images_per_s_fastest")
    rows: list[dict[str, Any]] = [
        {"size": size} | {name: round(value, 4) for name, value in zip(names, speed, strict=True)}
        for size, speed in speeds.items()
    ]
    if dataset is not None:
        thresholds = {"score_threshold": score_threshold, "nms_threshold": nms_threshold}
        for row in rows:
            row |= _accuracy(_at_size(detector, row["size"]), dataset, batch_size=batch_size, **thresholds)
    return {
        "machine": machine(),
        "batch_size": batch_size,
        "runs": runs,
        "timed": TIMED,
        "input": "noise" if dataset is None else "first pictures of the data set",
        "score_threshold": score_threshold,
        "nms_threshold": nms_threshold,
        "dataset": None if dataset is None else {"source": dataset.spec, "split": dataset.split},
        "sizes": rows,
        "paper": {
            "source": PAPER_SOURCE,
            "sizes": [{"size": size, "map": ap, "images_per_s": speed} for size, (ap, speed) in PAPER.items()],
        },
    }


def _accuracy(detector: TimedDetector, dataset: Dataset, **options: Any) -> dict[str, float | None]:
    """The average precisions METRICS of the detector on the data set."""
    metrics = evaluate(detector, dataset, examples=0, **options).metrics
    logger.info(f"size {detector.size_wh[0]}: evaluated on {metrics['images']} pictures")
    return {name: metrics[name] for name in METRICS}


def read_sizes(text: str) -> list[int]:
    """The sizes in "288,352,416". Raises UserError where they are no whole numbers, or `check_sizes` refuses them."""
    try:
        return check_sizes([int(part) for part in text.split(",")])
    except ValueError as error:
        raise UserError(f"sizes {text!r}: give whole numbers with commas between, such as 288,416") from error


def check_sizes(sizes: Sequence[int]) -> list[int]:
    """The sizes in ascending order, each once. Raises UserError where one is no multiple of 32, or there is none."""
    for size in sizes:
        if size % 32 or not 32 <= size <= LARGEST_SIZE:
            raise UserError(f"size {size}: the network's input is a multiple of 32 pixels, 32 to {LARGEST_SIZE}")
    if not sizes:
        raise UserError(f"no sizes to measure: give some, such as {','.join(map(str, SIZES))}")
    return sorted(set(sizes))


def time_in_turns(
    programs: Mapping[int, Callable[[], object]], images: int, *, runs: int = RUNS, run_seconds: float = RUN_SECONDS
) -> dict[int, Speed]:
    """How fast each program works, in images a second.

    The programs take turns, run by run, so that whatever else the machine does hits all of them. A run begins with one
    call that is not timed, which fills the caches that another program has emptied, and repeats the call for
    `run_seconds` or once, whichever is longer.

    Args:
        programs: {size: a function without arguments that works and waits for the result}; compiled already.
        images: how many images one call works on.

    Returns:
        {size: Speed}, in ascending order of the sizes.
    """
    speeds: dict[int, list[float]] = {size: [] for size in sorted(programs)}
    for _ in range(runs):
        for size, of_size in speeds.items():
            programs[size]()
            calls, started = 0, time.perf_counter()
            while not calls or time.perf_counter() - started < run_seconds:
                programs[size]()
                calls += 1
            of_size.append(calls * images / (time.perf_counter() - started))
    return {size: Speed(float(np.median(of_size)), min(of_size), max(of_size)) for size, of_size in speeds.items()}


def machine() -> dict[str, Any]:
    """What this runs on: {"device", "devices", "cpu", "cores", "jax"}."""
    devices = jax.local_devices()
    affinity = getattr(os, "sched_getaffinity", None)  # the cores that this process may use; Linux only
    return {
        "device": devices[0].device_kind,
        "devices": len(devices),
        "cpu": _cpu_model(),
        "cores": len(affinity(0)) if affinity else os.cpu_count(),
        "jax": jax.__version__,
    }


def _timed_call(
    detector: TimedDetector, batch_size: int, pictures: Sequence[Record] | None, options: Mapping[str, Any]
) -> Callable[[], object]:
    """A function that detects in one batch and waits for the result; it has been called once, so it is compiled."""
    width, height = detector.size_wh
    try:
        inputs = np.zeros((batch_size, height, width, 3), np.float32)
        if pictures is None:
            inputs = np.random.default_rng(0).random(inputs.shape, np.float32)
        else:
            inputs[: len(pictures)] = detector.to_inputs(pictures)
        program, on_device = detector.program(**options), jax.device_put(inputs)

        def run() -> object:
            return jax.device_get(program(on_device))

        run()
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
            message = f"size {width} with {batch_size} pictures a batch: too little memory; ask for less of either"
            raise UserError(message) from error
        raise
    return run


def _at_size(detector: TimedDetector, size: int) -> TimedDetector:
    """The same detector with a square input of this size."""
    other = copy.copy(detector)
    other.size_wh = (size, size)
    return other


def _cpu_model() -> str:
    """The processor's name as Linux tells it, or what Python knows."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.is_file() else ""
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return named[1].strip() if named else platform.processor() or platform.machine()
