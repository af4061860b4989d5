"""Writing videos as MP4 files, through PyAV (FFmpeg)."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.images.video import FAILURES, reason_of
from yolo9000_jax.logs import logger
from yolo9000_jax.text import printable

MOST_TICKS = 65535  # a second, in MPEG-4
MOST_SIDE = 8190  # pixels, in MPEG-4


class VideoWriter:
    """Writes frames to an MP4 file, each at its time.

    Args:
        path: the file.
        rate: frames a second; single frames may come at other times.
        shape: (height, width, …) of the first frame; others are scaled to it, and all where it is too large.
        pixel_aspect: as `Video.pixel_aspect`.

    Raises:
        UserError: it cannot be written.
    """

    def __init__(self, path: Path, rate: Fraction, shape: tuple[int, ...], pixel_aspect: Fraction = Fraction(1)):
        self._path, self._rate, self._last = path, rate, -1
        fits = rate.numerator <= MOST_TICKS
        ticks = MOST_TICKS // rate.numerator * rate.numerator if fits else 60_000  # a second: each frame on one
        self._tick = Fraction(1, ticks)
        with self._writing():
            self._container = av.open(f"file:{path}", "w", format="mp4")
            self._stream = self._container.add_stream("mpeg4", rate=rate, time_base=self._tick)
        height, width = shape[:2]
        if max(height, width) > MOST_SIDE:
            scale = Fraction(MOST_SIDE, max(height, width))
            height, width = max(1, round(height * scale)), max(1, round(width * scale))
            logger.info(
                f"{printable(str(path))}: drawn at {width}x{height}, as an MP4's sides are {MOST_SIDE} pixels at most"
            )
        self._stream.height, self._stream.width = height, width
        self._stream.pix_fmt = "yuv420p"
        self._stream.bit_rate = 4_000_000
        if pixel_aspect != 1:
            self._stream.codec_context.sample_aspect_ratio = pixel_aspect

    def write(self, image: np.ndarray, seconds: Fraction, duration: Fraction = Fraction(0)) -> None:
        """Adds a frame uint8 [H, W, 3] that is shown from `seconds` on; 0 as duration: one frame's."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        size = {"width": self._stream.width, "height": self._stream.height}
        frame = frame.reformat(**size, format="yuv420p")
        self._last = max(round(seconds / self._tick), self._last + 1)
        frame.pts, frame.time_base = self._last, self._tick
        frame.duration = max(round((duration or 1 / self._rate) / self._tick), 1)
        with self._writing():
            self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        with self._writing(), self._container:
            self._container.mux(self._stream.encode())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except FAILURES as error:
            reason = f"cannot write the video ({reason_of(error)})"
            raise UserError(f"{self._path}: {reason}; choose another place") from error
