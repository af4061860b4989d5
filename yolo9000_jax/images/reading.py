"""The one place that reads pictures, from files or from bytes: a cheap look at the header, and the full decode.

The pixels are as a viewer shows them: turned as EXIF data ask. Darknet's and TensorFlow's decoders ignore that, so who
decodes a file with these turns its pixels by `Header.orientation`. Transparency is ignored; of an animation the first
frame is read; of 16-bit pictures the upper 8 bits are kept.
"""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from yolo9000_jax.errors import UserError

EXTENSIONS = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".ppm", ".gif", ".webp", ".tif", ".tiff")  # in lower case
FORMATS = ("JPEG", "PNG", "BMP", "PPM", "GIF", "WEBP", "TIFF")  # no PostScript: opening it would run a program
END_MARKERS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
TAIL_BYTES = 65536
ORIENTATION_TAG = 0x0112

Image.init()  # registers all of FORMATS; otherwise Pillow does it when the first odd file comes, in some thread


@dataclass(frozen=True)
class Header:
    """What a picture's header says: its size as a viewer shows it, and how EXIF asks to turn the stored pixels."""

    width: int  # pixels
    height: int
    orientation: int  # 1 … 8 as EXIF counts, 1 = not turned


def read(path: str | Path) -> np.ndarray:
    """The picture in a file as uint8 [H, W, 3], RGB; grey, palette, alpha and CMYK are converted.

    Raises:
        UserError: the file is missing, is not a picture, is broken or truncated, or has more pixels than
            Pillow's limit.
    """
    return decode(_content(path), str(path))


def decode(data: bytes, name: str) -> np.ndarray:
    """As `read`, of the bytes of a picture file; `name` is what messages call it."""
    with _opened(io.BytesIO(data), name) as image:
        try:
            return to_rgb(_upright(image))
        except Exception as error:  # Pillow raises nearly any type
            raise _broken(name, error) from None


def to_rgb(image: Image.Image) -> np.ndarray:
    """The pixels of a Pillow picture of any mode: uint8 [H, W, 3], RGB."""
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip at 255
        grey = np.clip(np.asarray(image, np.int64) // 256, 0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    return np.array(image.convert("RGB"))


def inspect(path: str | Path) -> Header:
    """Reads the header and the end of a picture file, without decoding it.

    Raises:
        UserError: the file is missing, is not a picture, is larger than Pillow's limit, or has no end.
    """
    if not os.path.isfile(path):
        raise _missing(path)
    with open(path, "rb") as file, _opened(file, str(path)) as image:
        header = _header(image)
        _check_end(file, image, str(path))
    return header


def inspect_bytes(data: bytes, name: str) -> Header:
    """As `inspect`, of the bytes of a picture file; whether they have an end is not looked at.

    Raises:
        UserError: it is not a picture, or is larger than Pillow's limit.
    """
    with _opened(io.BytesIO(data), name) as image:
        return _header(image)


def _content(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, ValueError):
        raise _missing(path) from None
    except OSError as error:
        raise UserError(f"{path}: this picture cannot be read ({error.strerror}); check the file") from None


def _opened(file: BinaryIO, name: str) -> Image.Image:
    """The picture with only its header read."""
    try:
        image = Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError:
        raise _too_large(name) from None
    except Exception as error:  # Pillow raises nearly any type for a broken header
        if file.seek(0, os.SEEK_END) == 0:
            raise UserError(f"{name} is empty: fetch it again") from None
        reason = "its header is not readable" if isinstance(error, Image.UnidentifiedImageError) else _reason(error)
        raise UserError(f"{name} is not a picture this program reads ({reason}): fetch or convert it") from None
    if Image.MAX_IMAGE_PIXELS and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        raise _too_large(name)
    return image


def _header(image: Image.Image) -> Header:
    try:
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # broken EXIF data asks for nothing, and the pixels may be well
        orientation = 1
    if orientation not in range(1, 9):
        orientation = 1
    width, height = image.size if orientation < 5 or image.format == "TIFF" else image.size[::-1]
    return Header(width, height, int(orientation))


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # as above
        return image


def _check_end(file: BinaryIO, image: Image.Image, name: str) -> None:
    """A file that ends in its end marker and padding passes; where other bytes follow the marker, decoding decides."""
    kind = "JPEG" if image.format == "MPO" else str(image.format)  # MPO: several JPEGs in one file
    marker, place = END_MARKERS.get(kind), file.tell()
    if marker is None:
        return
    file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
    tail = file.read().rstrip(b"\0\r\n \xff")
    file.seek(place)
    if tail.endswith(marker):
        return
    if marker not in tail:
        missing = "PNG has no end chunk" if kind == "PNG" else "JPEG has no end marker"
        raise UserError(f"{name} is truncated: the {missing}; fetch it again")
    try:
        image.load()
    except Exception as error:  # as above
        raise _broken(name, error) from None


def _missing(path: str | Path) -> UserError:
    return UserError(f"{path}: there is no such picture; correct the path, or fetch the picture")


def _broken(name: str, error: Exception) -> UserError:
    return UserError(f"{name} is broken or truncated ({_reason(error)}): fetch it again")


def _too_large(name: str) -> UserError:
    return UserError(f"{name} has more than {Image.MAX_IMAGE_PIXELS} pixels, Pillow's limit: scale it down")


def _reason(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
