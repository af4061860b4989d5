"""What a detector or a classifier takes as a picture, and its pixels."""

import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from os import PathLike
from typing import Any, Protocol, TypeGuard

import numpy as np
from PIL import Image

from yolo9000_jax.errors import UserError
from yolo9000_jax.images.pixels import to_8_bits, to_rgb, white_of
from yolo9000_jax.images.reading import decode, read
from yolo9000_jax.text import printable

URL_SECONDS = 30.0  # for a whole picture
URL_BYTES = 64 << 20
CHUNK_BYTES = 1 << 16
USER_AGENT = "yolo9000_jax"
NO_PICTURE = "give [H, W, 3] (RGB), [H, W] (grey) or [H, W, 4] (RGBA)"
NO_RANGE = "give integers of 8, 12 or 16 bits, or floats from 0 to 1 or from 0 to 255"


class Readable(Protocol):
    """Something that reads a picture when it is asked: a data set's record gives pixels, an open file its bytes."""

    def read(self) -> np.ndarray | bytes: ...


# A path, an http(s) address, the bytes of a picture file, a Pillow picture, pixels, or a record of a data set.
Picture = str | PathLike[str] | bytes | Image.Image | np.ndarray | Readable


def to_pixels(picture: Picture) -> np.ndarray:
    """The pixels of a picture as a viewer shows it: uint8 [H, W, 3], RGB.

    Args:
        picture: see `Picture`. Pixels are integers of 8, 12 or 16 bits, booleans, or floats of 0 to 1 or 0 to 255, by
            what their numbers are (images.pixels.white_of); grey ones [H, W] or [H, W, 1] become RGB, RGBA is laid on
            white.

    Raises:
        UserError: it cannot be read or fetched, or is no picture.
    """
    if is_url(picture):
        return decode(fetch(picture), picture)
    if isinstance(picture, (str, PathLike)):
        return read(os.fspath(picture))
    if isinstance(picture, Image.Image):
        return _from_pillow(picture)
    if isinstance(picture, (bytes, bytearray)):
        return decode(bytes(picture), "what the bytes hold")
    if hasattr(picture, "read"):
        return to_pixels(picture.read())
    return _from_array(picture)


def are_many(pictures: Any) -> TypeGuard[Sequence[Picture]]:
    """Whether this is a sequence of pictures (a list, a data set, an array [B, H, W, C]) and not a single one."""
    if isinstance(pictures, Sequence):
        return not isinstance(pictures, (str, bytes, bytearray))
    return getattr(pictures, "ndim", 0) == 4


def is_url(picture: Any) -> TypeGuard[str]:
    """Whether a picture is given by an address on the web."""
    return isinstance(picture, str) and picture.lower().startswith(("http://", "https://"))


def fetch(url: str) -> bytes:
    """What an http(s) address holds.

    Raises:
        UserError: it does not answer, takes more than `URL_SECONDS`, or holds more than `URL_BYTES`.
    """
    deadline = time.monotonic() + URL_SECONDS
    try:
        request = urllib.request.Request(url, headers={"User-Agent": USER_AGENT})
        with urllib.request.urlopen(request, timeout=URL_SECONDS) as answer:
            data = bytearray()
            while chunk := answer.read1(CHUNK_BYTES):
                data += chunk
                if len(data) > URL_BYTES:
                    raise UserError(f"{url}: holds more than {URL_BYTES >> 20} MiB; give the address of a picture")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"not whole after {URL_SECONDS:g} s")
            if answer.length:  # bytes that were announced and have not come
                raise http.client.IncompleteRead(bytes(data), answer.length)
            return bytes(data)
    except urllib.error.HTTPError as error:
        reason = f"the server answers {error.code} {error.reason}"
    except urllib.error.URLError as error:
        reason = str(error.reason)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
    raise UserError(f"{url}: cannot be fetched ({' '.join(reason.split())}); check the address, or save it as a file")


def _from_pillow(image: Image.Image) -> np.ndarray:
    name = f"this Pillow picture, mode {image.mode},"
    try:
        if 0 in image.size:
            raise ValueError(f"it has {image.width}x{image.height} pixels")
        return to_rgb(image, name)
    except Exception as error:  # Pillow raises nearly any type for a picture whose file is broken or closed
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{name} cannot be read ({reason}); load it again") from error


def _from_array(picture: Any) -> np.ndarray:
    pixels = np.asarray(picture)
    if not pixels.ndim:
        what = f"{printable(repr(picture))[:60]} ({type(picture).__name__})"
        raise UserError(f"{what} is no picture; give a path, a Pillow picture, or pixels [H, W, 3] (RGB)")
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or not pixels.size or pixels.dtype.kind not in "buif":
        raise UserError(f"{pixels.dtype} {list(np.shape(picture))} is no picture; {NO_PICTURE}")
    white = white_of(pixels)
    if white is None:
        raise UserError(f"a picture of {pixels.dtype} from {pixels.min():g} to {pixels.max():g}; {NO_RANGE}")
    pixels = to_8_bits(pixels, white)
    if pixels.shape[2] == 4:
        return to_rgb(Image.fromarray(pixels), "an array")
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
