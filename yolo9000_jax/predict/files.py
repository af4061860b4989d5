"""Detections in files, folders and videos: pictures with boxes, and JSON."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from yolo9000_jax.errors import UserError
from yolo9000_jax.images.reading import EXTENSIONS
from yolo9000_jax.predict.detector import Detector, Result

PICTURES = set(EXTENSIONS)
VIDEOS = {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v"}


def predict(
    detector: Detector,
    inputs: Sequence[str | Path],
    *,
    threshold: float = 0.25,
    nms: float = 0.45,
    hierarchical_threshold: float = 0.5,
    output: str | Path | None = None,
    say=None,
) -> list[dict]:
    """Detects objects in pictures, in the pictures of folders, and in the frames of videos.

    Args:
        inputs: paths; a folder stands for the pictures in it.
        threshold: least score of a detection.
        nms: of two boxes of a class that overlap by more than this IoU, the weaker goes.
        hierarchical_threshold: with a tree of classes, how sure a label must be; a lower one goes deeper.
        output: folder that gets each picture, or video, with its boxes drawn.
        say: called with one line a picture.

    Returns:
        One {"image", "width", "height", "detections": [{"box_xyxy", "score", "class", "label"}]} a picture; those of a
        video also have "frame". Boxes are pixels of the original picture.

    Raises:
        UserError: a path is missing or cannot be read; pictures before it have been written.
    """
    paths = [path for given in inputs for path in expand(Path(given), PICTURES | VIDEOS)]
    folder = _make_folder(output)
    options = {"threshold": threshold, "nms": nms, "hierarchical_threshold": hierarchical_threshold}
    items, taken = [], set()
    if folder:  # which may be the pictures' own: they are not overwritten
        taken = {path.name for path in paths if path.parent.resolve() == folder.resolve()}
    for path in paths:
        target = folder and folder / _free_name(path, taken)
        if path.suffix.lower() in VIDEOS:
            items += _video(detector, path, target, options, say)
            continue
        result = detector(path, **options)
        items.append({"image": str(path)} | result.to_json())
        if target:
            Image.fromarray(result.draw()).save(target)
        if say:
            say(f"{path}: {_summary(result)}")
    if say and folder:
        say(f"pictures in {folder}")
    return items


def _video(detector, path, target, options, say) -> list[dict]:
    from yolo9000_jax.images.video import VideoWriter, frames_per_second, read_frames

    items, writer = [], None
    results = detector.stream(read_frames(path), batch_size=4, **options)
    try:
        for number, result in enumerate(results):
            items.append({"image": str(path), "frame": number} | result.to_json())
            if target:
                writer = writer or VideoWriter(target, frames_per_second(path), result.image.shape)
                writer.write(result.draw())
            if say and number % 100 == 99:
                say(f"{path}: {number + 1} frames")
    finally:
        if writer:
            writer.close()
    if not items:
        raise UserError(f"{path}: holds no video frames")
    if say:
        say(f"{path}: {len(items)} frames, {sum(len(item['detections']) for item in items)} objects")
    return items


def expand(path: Path, suffixes: set[str]) -> Iterator[Path]:
    """The path itself, or the files of these kinds in it. Raises UserError where there is nothing."""
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if p.suffix.lower() in suffixes)
        if not found:
            raise UserError(f"{path}: no pictures in this folder ({', '.join(sorted(PICTURES))})")
        yield from found
    elif not path.exists():
        raise UserError(f"{path}: no such file or folder")
    else:
        yield path


def _make_folder(output) -> Path | None:
    if output is None:
        return None
    try:
        Path(output).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{output}: cannot make this folder ({error.strerror}); choose another") from error
    return Path(output)


def _free_name(path: Path, taken: set[str]) -> str:
    """A file name that no earlier picture of another folder has taken."""
    suffix = ".mp4" if path.suffix.lower() in VIDEOS else ".jpg"
    name, count = path.stem + suffix, 1
    while name in taken:
        count += 1
        name = f"{path.stem}-{count}{suffix}"
    taken.add(name)
    return name


def _summary(result: Result) -> str:
    if not len(result):
        return "nothing found"
    names, counts = np.unique(result.labels, return_counts=True)
    return ", ".join(f"{count} {name}" for name, count in zip(names, counts, strict=True))
