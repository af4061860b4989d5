"""Video files, frame by frame, through PyAV."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import av
import numpy as np

from yolo9000_jax.errors import UserError

VIDEO_EXTENSIONS = (  # of video files, in lower case: what FFmpeg reads
    ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".wmv", ".asf", ".flv", ".3gp", ".mpg", ".mpeg", ".ts", ".mts",
    ".m2ts", ".ogv",
)  # fmt: skip


def is_camera(source: Any) -> bool:
    """Whether a source is the number of a camera, and not the name of a file."""
    return isinstance(source, str) and source.isascii() and source.isdecimal() and not Path(source).exists()


def is_address(source: Any) -> bool:
    """Whether a source is an address: something://…"""
    return isinstance(source, str) and source.partition("://")[0].isalnum() and "://" in source


def is_video(source: str | Path) -> bool:
    """Whether what a user names is a video, by its ending."""
    if is_address(source):
        text = str(source)
        is_file = text.lower().startswith(("http://", "https://"))
        return not is_file or PurePosixPath(urlsplit(text).path).suffix.lower() in VIDEO_EXTENSIONS
    return is_camera(source) or Path(source).suffix.lower() in VIDEO_EXTENSIONS


def read_frames(path: Path) -> Iterator[np.ndarray]:
    """The frames of a video, uint8 [H, W, 3]. Raises UserError for what is not a video."""
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24")
    except (av.FFmpegError, IndexError) as error:
        raise UserError(f"{path}: not a video that can be decoded ({' '.join(str(error).split())})") from error


def frames_per_second(path: Path) -> float:
    """The average frame rate of a video; 25 where the file does not say."""
    with av.open(str(path)) as container:
        return float(container.streams.video[0].average_rate or 25)


class VideoWriter:
    """Writes frames of one size to an MP4 file. Raises UserError where it cannot be written."""

    def __init__(self, path: Path, rate: float, shape: tuple[int, ...]):
        self._path = path
        with self._writing():
            self._container = av.open(str(path), "w")
        self._stream = self._container.add_stream("mpeg4", rate=round(max(rate, 1)))
        # The encoder wants even sides: an odd last row or column is left out.
        self._stream.height, self._stream.width = shape[0] // 2 * 2, shape[1] // 2 * 2
        self._stream.pix_fmt = "yuv420p"
        self._stream.bit_rate = 4_000_000

    def write(self, image: np.ndarray) -> None:
        """Adds a frame uint8 [H, W, 3]."""
        cut = np.ascontiguousarray(image[: self._stream.height, : self._stream.width])
        with self._writing():
            self._container.mux(self._stream.encode(av.VideoFrame.from_ndarray(cut, format="rgb24")))

    def close(self) -> None:
        with self._writing(), self._container:
            self._container.mux(self._stream.encode())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except av.FFmpegError as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{self._path}: cannot write the video ({reason}); choose another place") from error
