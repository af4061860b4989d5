"""Pictures on disk: a cheap look at each before the first step, and the full decode when it is needed.

The orientation in EXIF data is *not* applied: VOC, COCO and YOLO label files are taken to state sizes and boxes in the
pixels as they are stored, and TensorFlow's and Darknet's decoders ignore it too. Some other tools turn such pictures
when they load them, so a data set's notes count them.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from yolo9000_jax.errors import UserError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")  # no PostScript: opening it would run a program
END_MARKERS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
TAIL_BYTES = 65536
ORIENTATION_TAG = 0x0112
Decoded = TypeVar("Decoded")

Image.init()  # registers all of FORMATS; otherwise Pillow does it when the first odd file comes, in some thread


@dataclass(frozen=True)
class Picture:
    """What a picture's header says: its size in pixels, and whether EXIF asks a viewer to turn it."""

    width: int
    height: int
    turned: bool


def inspect(path: str | Path) -> Picture:
    """Reads a picture's header and its end, without decoding it.

    Raises:
        UserError: the file is missing, is not a picture, is larger than Pillow's limit, or has no end.
    """
    with _opened(path) as image:
        _check_end(path, image)
        return Picture(*image.size, _is_turned(image))


def _is_turned(image: Image.Image) -> bool:
    try:
        return image.getexif().get(ORIENTATION_TAG, 1) != 1
    except Exception:  # broken EXIF data asks for nothing, and the pixels may be well
        return False


def decode(path: str | Path) -> np.ndarray:
    """The whole picture as uint8 [height, width, 3], RGB; grey, palette, alpha and CMYK are converted.

    Raises:
        UserError: the file is missing, broken or truncated.
    """
    with _opened(path) as image:
        return _attempt(path, lambda: _to_rgb(image))


def _to_rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip at 255
        grey = np.clip(np.asarray(image, np.int64) // 256, 0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    return np.array(image.convert("RGB"))


def _opened(path: str | Path) -> Image.Image:
    if not os.path.isfile(path):
        raise UserError(f"{path}: there is no such picture; correct the path, or fetch the picture")
    try:
        image = Image.open(path, formats=FORMATS)
    except Image.DecompressionBombError:
        raise _too_large(path) from None
    except Exception as error:  # Pillow raises nearly any type for a broken header
        if os.path.getsize(path) == 0:
            raise UserError(f"{path} is empty: fetch it again") from None
        reason = "its header is not readable" if isinstance(error, Image.UnidentifiedImageError) else _reason(error)
        raise UserError(f"{path} is not a picture this program reads ({reason}): fetch or convert it") from None
    if Image.MAX_IMAGE_PIXELS and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        image.close()
        raise _too_large(path)
    return image


def _attempt(path: str | Path, decoder: Callable[[], Decoded]) -> Decoded:
    try:
        return decoder()
    except Exception as error:  # as above
        raise UserError(f"{path} is broken or truncated ({_reason(error)}): fetch it again") from None


def _check_end(path: str | Path, image: Image.Image) -> None:
    """A file that ends in its end marker and padding passes; where other bytes follow the marker, decoding decides."""
    marker = END_MARKERS.get("JPEG" if image.format == "MPO" else image.format)  # MPO: several JPEGs in one file
    if marker is None:
        return
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - TAIL_BYTES))
        tail = file.read().rstrip(b"\0\r\n \xff")
    if tail.endswith(marker):
        return
    if marker not in tail:
        kind = "PNG has no end chunk" if image.format == "PNG" else "JPEG has no end marker"
        raise UserError(f"{path} is truncated: the {kind}; fetch it again")
    _attempt(path, image.load)


def _too_large(path: str | Path) -> UserError:
    return UserError(f"{path} has more than {Image.MAX_IMAGE_PIXELS} pixels, Pillow's limit: scale it down")


def _reason(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
