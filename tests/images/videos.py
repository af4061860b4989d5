"""Small videos for tests."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

TICK = Fraction(1, 60_000)
COLOURS = np.array([[[220, 30, 30], [30, 200, 30]], [[30, 30, 220], [200, 200, 200]]], np.uint8)  # of the four quarters


def quarters(width: int = 64, height: int = 48) -> np.ndarray:
    """A picture of four colours: uint8 [height, width, 3]."""
    return COLOURS[np.arange(height)[:, None] * 2 // height, np.arange(width) * 2 // width]


def save_video(
    path: Path,
    frames: int = 6,
    size_wh: tuple[int, int] = (64, 48),
    rate: Any = 10,
    codec: str = "mpeg4",
    times: list[float] | None = None,
    matrix: tuple[int, ...] | None = None,
    pixel_aspect: Fraction | None = None,
    **options: Any,
) -> Path:
    """A video of four colours whose brightness grows from frame to frame.

    Args:
        rate: frames a second.
        times: when each frame begins, in seconds; then `rate` is only what the encoder is told.
        matrix: a display matrix.
        options: of av.open.
    """
    with av.open(str(path), "w", **options) as container:
        timing = {} if times is None else {"time_base": TICK}
        stream = container.add_stream(codec, rate=rate, **timing)
        stream.width, stream.height, stream.pix_fmt = *size_wh, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.bit_rate, stream.gop_size = 2_000_000, 10
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if matrix is not None:
            stream.set_display_matrix(matrix)
        for number in range(frames):
            pixels = (quarters(*size_wh) * (0.7 + 0.3 * number / max(frames, 1))).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = round(times[number] / TICK), TICK
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read_video(path: Path) -> tuple[Fraction, float, list[np.ndarray], list[float]]:
    """Average rate, duration in seconds, frames and their times of a video, read without our help."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        length = float(stream.duration * stream.time_base) if stream.duration else 0.0
        return stream.average_rate, length, [f.to_ndarray(format="rgb24") for f in frames], [f.time for f in frames]
