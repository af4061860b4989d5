"""The one place that reads pictures, from files or from bytes: a cheap look at the header, and the full decode.

The pixels are as a viewer shows them (images.pixels): turned as EXIF data ask, on white where they are transparent, in
the range that the eye expects. Darknet ignores all that, and so do other decoders: `Header.plain` tells files that no
decoder takes otherwise. Of an animation, or of several pages, the first is read. The most pixels of a picture are twice
Pillow's MAX_IMAGE_PIXELS, 179 million unless a program changes that: from there on Pillow opens nothing.
"""

import importlib
import io
import math
import os
import stat
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, TiffImagePlugin

from yolo9000_jax.errors import UserError
from yolo9000_jax.files import START_BYTES, shown, stand_in
from yolo9000_jax.images.pixels import SWAPPED, orientation, to_rgb
from yolo9000_jax.logs import warn_once

Image.init()  # registers all formats; otherwise Pillow does it when the first odd file comes, in some thread
with suppress(ImportError):  # who has this package sees iPhones' pictures too
    importlib.import_module("pillow_heif").register_heif_opener()

# Formats by Pillow's names, with the endings of their files; no PostScript: opening it would run a program.
ENDINGS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "JPEG2000": (".jp2", ".j2k", ".j2c", ".jpf", ".jpx"),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif"),
    "TGA": (".tga",),
}
FORMATS = tuple(kind for kind in ENDINGS if kind in Image.OPEN)
EXTENSIONS = tuple(ending for kind in FORMATS for ending in ENDINGS[kind])  # of picture files, in lower case
RAW = (".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".pef", ".raf", ".raw", ".rw2", ".srw")
END_MARKERS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
TAIL_BYTES = 65536
JPEG_START = b"\xff\xd8\xff"
UNTURNED = {0xC4, 0xDB, 0xDD, 0xFE, 0xE0, *range(0xE2, 0xF0)}  # JPEG's parts that ask for no turn: not APP1, EXIF's
ORIENTING_TEXTS = (b"Raw profile type exif", b"XML:com.adobe.xmp")  # keywords of a PNG's texts
TIFF_NUMBERS = {
    1: "whole numbers",
    2: "whole numbers with a sign",
    3: "floats",
    5: "complex numbers",
    6: "complex numbers",
}
HEIC = "HEIC, as iPhones write it, needs another package: pip install pillow-heif, or save it as JPEG"


@dataclass(frozen=True)
class Header:
    """What a picture's header says: its size in pixels as a viewer shows it, and EXIF's orientation of what is stored.

    The orientation is 1 … 8, 1 where nothing is turned. `remark` completes "this picture has …", where a program that
    reads the file otherwise would see something else; "" for most. `plain`: every decoder makes the same pixels of it:
    a JPEG or PNG of 8 bits a value or fewer, without CMYK, transparency or orientation.
    """

    width: int
    height: int
    orientation: int = 1
    remark: str = ""
    plain: bool = False


def read(path: str | Path) -> np.ndarray:
    """The picture in a file as a viewer shows it: uint8 [H, W, 3], RGB.

    Raises:
        UserError: the file is missing, cannot be read, is not a picture, is broken or truncated, or too large.
    """
    with _file(path) as file:
        data = file.read()
    return decode(data, shown(path))


def decode(data: bytes, name: str) -> np.ndarray:
    """As `read`, of the bytes of a picture file; `name` is what messages call it."""
    with _opened(io.BytesIO(data), name) as image:
        try:
            if _has_several(image):
                warn_once(f"several in {name}", f"{name} has several frames or pages: the first is looked at")
            return to_rgb(image, name)
        except Exception as error:  # Pillow raises nearly any type
            raise _broken(name, error) from None


def inspect(path: str | Path) -> Header:
    """Reads the header and the end of a picture file, without decoding it.

    Raises:
        UserError: the file is missing, cannot be read, is not a picture, is too large, or has no end.
    """
    with _file(path) as file, _opened(file, shown(path)) as image:
        header = _header(file, image)
        _check_end(file, image, shown(path))
    return header


def inspect_bytes(data: bytes, name: str) -> Header:
    """As `inspect`, of the bytes of a picture file; whether they have an end is not looked at.

    Raises:
        UserError: it is not a picture, or is too large.
    """
    with io.BytesIO(data) as file, _opened(file, name) as image:
        return _header(file, image)


def plain_jpeg_head(data: bytes) -> bytes:
    """The head, up to its pixels, of the first JPEG in `data`, if that says that the picture is `Header.plain`.

    It is found in a few microseconds. b"" says nothing: there is none, or it needs a closer look (`inspect_bytes`).
    """
    start, frame = data.find(JPEG_START), False
    place = start + 2
    while start >= 0 and place + 10 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4])
        if marker == 0xDA:  # the pixels
            return data[start:place] if frame else b""
        if marker in (0xC0, 0xC1, 0xC2) and not frame:
            bits, height, width, values = struct.unpack_from(">BHHB", data, place + 4)
            frame = bits == 8 and values in (1, 3) and 0 < width * height <= 2 * (Image.MAX_IMAGE_PIXELS or math.inf)
            if not frame:
                return b""
        elif marker not in UNTURNED:
            return b""
        place += 2 + length
    return b""


def is_picture(path: str | Path) -> bool:
    """Whether a file holds a picture by its content, whatever it is called."""
    try:
        with open(path, "rb") as file, _opened(file, shown(path)):
            return True
    except (OSError, ValueError, UserError):
        return False


@contextmanager
def _file(path: str | Path) -> Iterator[BinaryIO]:
    """A file open for reading; whatever the system says while it is read becomes one line."""
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):  # opening a pipe may wait for ever
            what = "a folder" if stat.S_ISDIR(mode) else "neither a file nor a folder"
            raise UserError(f"{shown(path)} is {what}: give a picture's file")
        with open(path, "rb") as file:
            yield file
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a name with a zero byte
        raise UserError(f"{shown(path)}: there is no such picture; correct the path, or fetch the picture") from None
    except OSError as error:
        reason = error.strerror or _reason(error)
        raise UserError(f"{shown(path)}: this picture cannot be read ({reason}); check the file") from None


def _opened(file: BinaryIO, name: str) -> Image.Image:
    """The picture with only its header read."""
    ending = os.path.splitext(name)[1].lower()
    if ending in RAW:  # some open as a TIFF, of which one would see the preview
        raise UserError(f"{name} is a camera's raw picture, which is not read: save it as JPEG, PNG or TIFF")
    try:
        # Nearly anything may look like a TGA, which has no mark of its own.
        image = _open([kind for kind in FORMATS if kind != "TGA" or ending in ENDINGS["TGA"]], file)
    except Image.DecompressionBombError:
        raise _too_large(name) from None
    except Exception as error:  # Pillow raises nearly any type for a broken header
        raise _no_picture(file, name, error) from None
    if Image.MAX_IMAGE_PIXELS and image.width * image.height > 2 * Image.MAX_IMAGE_PIXELS:
        raise _too_large(name)
    return image


def _open(formats: Sequence[str], file: BinaryIO) -> Image.Image:
    """As Image.open, which warns from half its limit on: scans and satellites' pictures are as large.

    To silence that would silence it for the whole process, in which others may want to hear it.
    """
    file.seek(0)
    start = file.read(16)
    for kind in formats:
        factory, accepts = Image.OPEN[kind]
        accepted = accepts is None or accepts(start)
        if accepted and not isinstance(accepted, str):  # a text says what is missing to read it
            file.seek(0)
            with suppress(SyntaxError, IndexError, TypeError, struct.error):  # it is of another kind
                return factory(file, "")
    raise Image.UnidentifiedImageError


def _header(file: BinaryIO, image: Image.Image) -> Header:
    if image.format == "PNG" and _orients_behind_pixels(file):
        with suppress(Exception):  # broken pixels are not the header's affair
            image.load()
    turned, remark = orientation(image), _remark(image)
    # Pillow gives the size of a TIFF as it is shown, of others as it is stored.
    width, height = image.size[::-1] if turned in SWAPPED and image.format != "TIFF" else image.size
    return Header(width, height, turned, remark, turned == 1 and _is_plain(image))


def _orients_behind_pixels(file: BinaryIO) -> bool:
    """Whether something that may ask for a turn follows a PNG's pixels, where only decoding them would find it."""
    place, pixels = file.tell(), False
    file.seek(8)
    try:
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            pixels = pixels or kind == b"IDAT"
            text = file.read(min(length, 24)) if pixels and kind in (b"tEXt", b"zTXt", b"iTXt") else b""
            if pixels and (kind == b"eXIf" or text.startswith(ORIENTING_TEXTS)):
                return True
            file.seek(length + 4 - len(text), os.SEEK_CUR)  # 4: the checksum
        return False
    finally:
        file.seek(place)


def _is_plain(image: Image.Image) -> bool:
    if image.format in ("JPEG", "MPO"):
        return image.mode in ("L", "RGB")
    if image.format != "PNG" or image.mode not in ("1", "L", "P", "RGB"):
        return False
    return "16" not in str(getattr(image, "tile", "")) and not image.has_transparency_data


def _remark(image: Image.Image) -> str:
    if image.mode == "F":
        return "32-bit floats: those of 0 to 1, or to 255, are taken so, others stretched to black and white"
    if image.mode.startswith("I"):
        return "more than 8 bits a value: 12 of them count, or 16, by the largest value"
    if _has_several(image):
        return "several frames or pages, of which the first is read"
    return "an alpha channel: what is transparent is seen as white" if image.has_transparency_data else ""


def _has_several(image: Image.Image) -> bool:
    """Whether there are more frames; a second picture behind a photograph, as phones store it, is no frame."""
    try:
        return image.format != "MPO" and bool(getattr(image, "is_animated", False))
    except Exception:  # a broken second frame
        return False


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


def _no_picture(file: BinaryIO, name: str, error: Exception) -> UserError:
    if file.seek(0, os.SEEK_END) == 0:
        return UserError(f"{name} is empty: fetch it again")
    file.seek(0)
    if what := stand_in(file.read(START_BYTES)):
        return UserError(f"{name} is {what}")
    file.seek(0)
    if file.read(12)[4:] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypmsf1", b"ftyphevc"):
        return UserError(f"{name} is not read: {HEIC}")
    if (layout := _tiff_layout(file)) is not None:
        return UserError(
            f"{name} is a TIFF of {layout}, a kind that is not read: save it with 8 bits a colour, or as PNG"
        )
    reason = "its header is not readable" if isinstance(error, Image.UnidentifiedImageError) else _reason(error)
    return UserError(f"{name} is not a picture this program reads ({reason}): fetch or convert it")


def _tiff_layout(file: BinaryIO) -> str | None:
    """What a TIFF's pixels are made of, such as "3 values a pixel, 32-bit floats"; None where that is not known."""
    try:
        file.seek(0)
        start = file.read(4)
        file.seek(0)
        if start not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):  # "+": BigTIFF, whose header is longer
            return None
        tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(16 if b"+" in start else 8))
        file.seek(tags.next)
        tags.load(file)
        bits, kinds = tags[258], tags.get(339, (1,))
        numbers = " and ".join(sorted({TIFF_NUMBERS.get(kind, "values of no known type") for kind in kinds}))
        return f"{tags.get(277, 1)} values a pixel, {'/'.join(map(str, sorted(set(bits))))}-bit {numbers}"
    except Exception:  # as above
        return None


def _broken(name: str, error: Exception) -> UserError:
    return UserError(f"{name} is broken or truncated ({_reason(error)}): fetch it again")


def _too_large(name: str) -> UserError:
    most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
    return UserError(f"{name} has more than {most} pixels, Pillow's limit: cut it into parts, or scale it down")


def _reason(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
