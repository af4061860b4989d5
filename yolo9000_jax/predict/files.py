"""Detections in files, folders and videos: pictures with boxes, and JSON; and the classes of pictures."""

from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import groupby
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.images.video import Frame, Video, newest, open_video
from yolo9000_jax.logs import logger
from yolo9000_jax.places import as_path, is_in_bucket
from yolo9000_jax.predict.classifier import Classifier
from yolo9000_jax.predict.detector import BATCH_SIZE, Detector
from yolo9000_jax.predict.inputs import Input, Source, find_sources, targets
from yolo9000_jax.predict.pictures import to_pixels
from yolo9000_jax.predict.result import Ranking, Result
from yolo9000_jax.report.draw import save_picture
from yolo9000_jax.text import printable
from yolo9000_jax.wordtree.limits import HierarchicalThreshold
from yolo9000_jax.wordtree.tree import Node

LOG_EVERY = 100  # frames
BLANK = np.zeros((1, 1, 3), np.uint8)  # what the network sees in place of a picture that cannot be read

Item = dict[str, Any]  # what JSON says of one picture or frame


def predict(
    detector: Detector,
    inputs: Sequence[Input],
    *,
    threshold: float = 0.25,
    nms: float = 0.45,
    hierarchical_threshold: HierarchicalThreshold = 0.5,
    allow: Sequence[Node] | None = None,
    class_agnostic: bool = False,
    max_detections: int | None = None,
    output: str | PathLike[str] | None = None,
    batch_size: int = BATCH_SIZE,
) -> Generator[Item, None, None]:
    """Detects objects in pictures, in the pictures of folders, and in the frames of videos, one after the other.

    Args:
        inputs: paths, or addresses, or numbers of cameras; see `inputs.find_sources`.
        threshold: least score of a detection.
        nms: of two boxes of a class that overlap by more than this IoU, the weaker goes.
        hierarchical_threshold, allow: with a tree of classes, how sure a label must be, and which labels there may be,
            as of a call of the detector.
        class_agnostic: of two boxes of any classes.
        max_detections: the most of a picture; None: as many as the network gives.
        output: folder that gets each picture, or video, with its boxes drawn.
        batch_size: pictures, or frames, that the network works on at a time.

    Yields:
        One {"image", "width", "height", "detections": [{"box_xyxy", "score", "class", "label"}]} a picture; with a tree
        a detection also has "path" and "path_probabilities", from the root down (result.Detection). Those of a video
        also have "frame", its number: of what comes live the newest is looked at, and some are passed over.
        Boxes are pixels of the picture as a viewer shows it. Of an input that cannot be read
        {"image", "error"}, the error one line.

    Raises:
        UserError: a file in `output` cannot be written, or an option is wrong.
    """
    sources = find_sources(inputs, videos=True)
    folder = None if output is None else _make_folder(as_path(output))
    if output is not None and is_in_bucket(output) and any(source.is_video for source in sources):
        raise UserError(f"{output}: a video with boxes cannot be written to a bucket; name a folder here")
    places: Sequence[Path | None] = [None] * len(sources) if folder is None else targets(sources, folder)
    options: dict[str, Any] = {"threshold": threshold, "nms": nms, "hierarchical_threshold": hierarchical_threshold}
    options |= {"allow": allow, "class_agnostic": class_agnostic, "max_detections": max_detections}
    yield from _told(_found(detector, list(zip(sources, places, strict=True)), batch_size, options), sources)
    if folder is not None and any(place and place.exists() for place in places):
        logger.info(f"pictures in {printable(str(folder))}")


def _found(
    detector: Detector, given: Sequence[tuple[Source, Path | None]], batch_size: int, options: dict[str, Any]
) -> Generator[Item, None, None]:
    """What `predict` yields, of sources each with the place of its drawing."""
    for are_videos, group in groupby(given, key=lambda pair: pair[0].is_video):
        pairs = list(group)
        if are_videos:
            for source, place in pairs:
                yield from _video_or_error(detector, source, place, batch_size, options)
            continue
        attempts = [_Attempt(source) for source, _ in pairs]
        results = detector.stream(attempts, batch_size=min(batch_size, len(attempts)), **options)
        for attempt, (source, place), result in zip(attempts, pairs, results, strict=True):
            if attempt.error is not None:
                yield _failure(source, attempt.error)
                continue
            if place is not None:
                save_picture(result.draw(), place)
            logger.info(f"{source.told}: {_summary(result)}")
            yield {"image": source.shown} | result.to_json()


def _told(items: Generator[Item, None, None], sources: Sequence[Source]) -> Iterator[Item]:
    """The items; errors are said as they come, but for that of the only input, which is the whole result."""
    with closing(items):
        for item in items:
            if "error" in item and len(sources) > 1:
                logger.warning(item["error"])
            yield item


def classify(
    classifier: Classifier, inputs: Sequence[Input], *, top: int = 5, batch_size: int = BATCH_SIZE
) -> Generator[Item, None, None]:
    """The classes of pictures and of the pictures in folders: one {"image", "top": [{"class", "label", "score"}]} each.

    With a tree a class also has its "path", the names from the root down.

    Args:
        inputs: paths, or http(s) addresses; see `inputs.find_sources`.
        top: classes a picture.
        batch_size: pictures that the network works on at a time.

    Yields:
        As above, in order; of an input that cannot be read {"image", "error"}.
    """
    sources = find_sources(inputs, videos=False)
    yield from _told(_ranked(classifier, sources, top, batch_size), sources)


def _ranked(
    classifier: Classifier, sources: Sequence[Source], top: int, batch_size: int
) -> Generator[Item, None, None]:
    """What `classify` yields."""
    attempts = list(map(_Attempt, sources))
    rankings = classifier.stream(attempts, top=top, batch_size=max(1, min(batch_size, len(attempts))))
    for attempt, ranking in zip(attempts, rankings, strict=True):
        source = attempt.source
        if attempt.error is not None:
            yield _failure(source, attempt.error)
            continue
        logger.info(f"{source.told}: {_top(ranking)}")
        yield {"image": source.shown} | ranking.to_json()


class Failures:
    """Counts the inputs that could not be read, of however many items."""

    def __init__(self) -> None:
        self._images: set[str] = set()
        self._errors: dict[str, str] = {}

    def add(self, item: Item) -> None:
        self._images.add(item["image"])
        if "error" in item:
            self._errors[item["image"]] = item["error"]

    def summary(self) -> str | None:
        """One line about them; None where there is none."""
        count, inputs = len(self._errors), len(self._images)
        if inputs == 1 or not count:
            return next(iter(self._errors.values()), None)
        return f"{count} of {inputs} inputs could not be read; {'it is' if count == 1 else 'they are'} named above"


class _Attempt:
    """A picture that is read when the network wants it; where that fails, the reason is kept and a blank stands in."""

    def __init__(self, source: Source):
        self.source, self.error = source, source.error

    def read(self) -> np.ndarray:
        if self.error is None:
            try:
                return to_pixels(self.source.name)
            except UserError as error:
                self.error = str(error)
        return BLANK


def _failure(source: Source, error: str) -> Item:
    return {"image": source.shown, "error": error}


def _video_or_error(
    detector: Detector, source: Source, target: Path | None, batch_size: int, options: dict[str, Any]
) -> Iterator[Item]:
    try:
        yield from _video(detector, source, target, batch_size, options)
    except UserError as error:
        if target is not None and str(error).startswith(printable(str(target))):
            raise  # the drawing cannot be written, nor will the others
        yield _failure(source, str(error))


def _video(
    detector: Detector, source: Source, target: Path | None, batch_size: int, options: dict[str, Any]
) -> Iterator[Item]:
    """An item a frame; of a video that is damaged a last one has "error" in place of the detections."""
    writer, count, objects, left_out, following = None, 0, 0, 0, 0
    with open_video(source.name) as video, ExitStack() as stack:
        found = stack.enter_context(closing(_looked_at(detector, video, batch_size, options)))
        for frame, result in found:
            if target is not None:
                if writer is None:
                    from yolo9000_jax.images.video_writer import VideoWriter  # needs PyAV, which pictures do without

                    writer = VideoWriter(target, video.rate, result.image.shape, video.pixel_aspect)
                    stack.callback(writer.close)  # also where it is stopped: what was written is whole
                writer.write(result.draw(same_size=True), frame.seconds, frame.duration)
            yield {"image": source.shown, "frame": frame.number} | result.to_json()
            count, objects, left_out = count + 1, objects + len(result), left_out + result.left_out
            following = frame.number + 1
            if count % LOG_EVERY == 0:
                logger.info(f"{source.told}: {count} frames")
        if video.fault is not None:
            yield {"image": source.shown, "frame": following, "error": f"{source.told}: {video.fault}"}
    passed = f"; {following - count} came too fast and were passed over" if following > count else ""
    beyond = f"; {left_out} more beyond the limit" if left_out else ""
    logger.info(f"{source.told}: {count} frames, {objects} objects{passed}{beyond}")


def _looked_at(
    detector: Detector, video: Video, batch_size: int, options: dict[str, Any]
) -> Generator[tuple[Frame, Result], None, None]:
    """Frames and what is in them: all of a file's, read ahead; of what comes live the newest whenever one is done."""
    if video.live:
        with closing(newest(video.frames())) as frames:
            for frame in frames:
                yield frame, detector(frame.pixels, **options)
        return
    waiting: deque[Frame] = deque()  # for the network

    def pixels() -> Iterator[np.ndarray]:
        for frame in video.frames():
            waiting.append(frame)
            yield frame.pixels

    for result in detector.stream(pixels(), batch_size=batch_size, **options):
        yield waiting.popleft(), result


def _make_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot make this folder ({error.strerror}); choose another") from error
    return folder


def _summary(result: Result) -> str:
    counts = sorted(Counter(result.names).items())
    found = ", ".join(f"{count} {name}" for name, count in counts) or "nothing found"
    return f"{found}; {result.left_out} more beyond the limit of {len(result)}" if result.left_out else found


def _top(ranking: Ranking) -> str:
    return ", ".join(f"{name} {score:.3f}" for _, name, score in ranking)
