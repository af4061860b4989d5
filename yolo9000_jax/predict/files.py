"""Detections in files, folders and videos: pictures with boxes, and JSON; and the classes of pictures."""

from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from itertools import groupby
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.images.reading import EXTENSIONS
from yolo9000_jax.images.video import VIDEO_EXTENSIONS, is_address, is_camera, is_video, open_video
from yolo9000_jax.images.video_writer import VideoWriter
from yolo9000_jax.logs import logger
from yolo9000_jax.predict.classifier import Classifier
from yolo9000_jax.predict.detector import BATCH_SIZE, Detector
from yolo9000_jax.predict.result import Ranking, Result
from yolo9000_jax.report.draw import save_picture

PICTURES = frozenset(EXTENSIONS)
VIDEOS = frozenset(VIDEO_EXTENSIONS)
LOG_EVERY = 100  # frames

Input = str | PathLike[str]
Source = str | Path  # an address, or the number of a camera; or a file


def predict(
    detector: Detector,
    inputs: Sequence[Input],
    *,
    threshold: float = 0.25,
    nms: float = 0.45,
    hierarchical_threshold: float = 0.5,
    output: str | PathLike[str] | None = None,
    batch_size: int = BATCH_SIZE,
) -> list[dict[str, Any]]:
    """Detects objects in pictures, in the pictures of folders, and in the frames of videos.

    Args:
        inputs: paths, or http(s) addresses of pictures; a folder stands for the pictures and videos in it.
        threshold: least score of a detection.
        nms: of two boxes of a class that overlap by more than this IoU, the weaker goes.
        hierarchical_threshold: with a tree of classes, how sure a label must be; a lower one goes deeper.
        output: folder that gets each picture, or video, with its boxes drawn.
        batch_size: pictures, or frames, that the network works on at a time.

    Returns:
        One {"image", "width", "height", "detections": [{"box_xyxy", "score", "class", "label"}]} a picture; those of a
        video also have "frame". Boxes are pixels of the original picture.

    Raises:
        UserError: a path is missing or cannot be read, or a file in `output` cannot be written; pictures before it have
            been.
    """
    sources = [source for given in inputs for source in expand(given, PICTURES | VIDEOS)]
    folder = None if output is None else _make_folder(Path(output))
    targets = [None] * len(sources) if folder is None else _targets(sources, folder)
    thresholds: dict[str, Any] = {"threshold": threshold, "nms": nms, "hierarchical_threshold": hierarchical_threshold}
    items: list[dict[str, Any]] = []
    for are_videos, group in groupby(zip(sources, targets, strict=True), key=lambda pair: is_video(pair[0])):
        pairs = list(group)
        if are_videos:
            for source, target in pairs:
                items += _video(detector, source, target, batch_size, thresholds)
            continue
        pictures = [source for source, _ in pairs]
        results = detector.stream(pictures, batch_size=min(batch_size, len(pictures)), **thresholds)
        for (source, target), result in zip(pairs, results, strict=True):
            items.append({"image": str(source)} | result.to_json())
            if target is not None:
                save_picture(result.draw(), target)
            logger.info(f"{source}: {_summary(result)}")
    if folder is not None:
        logger.info(f"pictures in {folder}")
    return items


def classify(
    classifier: Classifier, inputs: Sequence[Input], *, top: int = 5, batch_size: int = BATCH_SIZE
) -> list[dict[str, Any]]:
    """The classes of pictures and of the pictures in folders: one {"image", "top": [{"class", "label", "score"}]} each.

    Args:
        inputs: paths, or http(s) addresses; a folder stands for the pictures in it.
        top: classes a picture.
        batch_size: pictures that the network works on at a time.

    Raises:
        UserError: a path is missing or cannot be read.
    """
    sources = [source for given in inputs for source in expand(given, PICTURES)]
    items = []
    rankings = classifier.stream(sources, top=top, batch_size=max(1, min(batch_size, len(sources))))
    for source, ranking in zip(sources, rankings, strict=True):
        items.append({"image": str(source)} | ranking.to_json())
        logger.info(f"{source}: {_top(ranking)}")
    return items


def expand(given: Input, suffixes: Collection[str]) -> Iterator[Source]:
    """An address, a camera or a file itself, or a folder's files of these kinds. Raises UserError where nothing is."""
    if isinstance(given, str) and (is_address(given) or is_camera(given)):
        yield given
        return
    path = Path(given)
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if p.suffix.lower() in suffixes)
        if not found:
            raise UserError(f"{path}: no pictures in this folder ({', '.join(sorted(suffixes))})")
        yield from found
    elif not path.exists():
        raise UserError(f"{path}: no such file or folder")
    else:
        yield path


def _video(
    detector: Detector, source: Source, target: Path | None, batch_size: int, thresholds: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """An item a frame; of a video that is damaged a last one has "error" in place of the detections."""
    with open_video(source) as video, ExitStack() as stack:
        batch_size = 1 if video.live else batch_size  # what is seen now, not when a batch of it is full
        times: deque[tuple[Fraction, Fraction]] = deque()  # of the frames that the network works on

        def pixels() -> Iterator[np.ndarray]:
            for frame in video.frames():
                times.append((frame.seconds, frame.duration))
                yield frame.pixels

        writer, count, objects = None, 0, 0
        for result in detector.stream(pixels(), batch_size=batch_size, **thresholds):
            when = times.popleft()
            if target is not None:
                if writer is None:
                    writer = VideoWriter(target, video.rate, result.image.shape, video.pixel_aspect)
                    stack.callback(writer.close)  # also where it is stopped: what was written is whole
                writer.write(result.draw(), *when)
            yield {"image": str(source), "frame": count} | result.to_json()
            count, objects = count + 1, objects + len(result)
            if count % LOG_EVERY == 0:
                logger.info(f"{source}: {count} frames")
        if video.fault is not None:
            yield {"image": str(source), "frame": count, "error": video.fault}
            logger.warning(f"{source}: {video.fault}")
    logger.info(f"{source}: {count} frames, {objects} objects")


def _make_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot make this folder ({error.strerror}); choose another") from error
    return folder


def _targets(sources: Sequence[Source], folder: Path) -> list[Path]:
    """A file in the folder for each source, named after it; none twice, and none that is itself a source."""
    files = (Path(source) for source in sources if not is_address(source))
    taken = {path.name for path in files if path.parent.resolve() == folder.resolve()}
    targets = []
    for source in sources:
        stem = Path(source).stem
        if is_address(source):
            stem = (
                PurePosixPath(unquote(urlsplit(str(source)).path)).stem or urlsplit(str(source)).hostname or "picture"
            )
        suffix = ".mp4" if is_video(source) else ".jpg"
        name, count = stem + suffix, 1
        while name in taken:
            count += 1
            name = f"{stem}-{count}{suffix}"
        taken.add(name)
        targets.append(folder / name)
    return targets


def _summary(result: Result) -> str:
    counts = sorted(Counter(result.names).items())
    return ", ".join(f"{count} {name}" for name, count in counts) or "nothing found"


def _top(ranking: Ranking) -> str:
    return ", ".join(f"{name} {score:.3f}" for _, name, score in ranking)
