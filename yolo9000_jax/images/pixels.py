"""The pixels of a picture of any mode, as a viewer shows them: upright, 8 bits a value, RGB, on white.

Where a viewer would show something dark or nothing, because the numbers of the file are of an unusual range, they are
brought to the usual one, and a remark says so once.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from yolo9000_jax.logs import warn_once

ORIENTATION_TAG = 0x0112
TURNS = {  # what EXIF's orientations ask a viewer to do; 1 is nothing
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SWAPPED = (5, 6, 7, 8)  # those after which a wide picture is high
USUAL_WHITES = (255, 4095)  # of integers of more than 8 bits: those of files of 8 bits, and of cameras of 12
HIGHEST_WHITE = 65535
BAND_PIXELS = 1 << 22  # that are converted at once: of a large picture there is never more than its pixels and a band
SLACK = 0.02  # share of their range by which floats may leave it: resampled pictures do
LEAST_OF_BYTES = 16.0  # floats whose largest is less are not taken for 0..255: the picture would be black


def to_rgb(image: Image.Image, name: str) -> np.ndarray:
    """The pixels of a Pillow picture of any mode: uint8 [H, W, 3], RGB; `name` is what remarks call it."""
    # Of colours of 16 bits Pillow gives the upper 8.
    deep = image.mode.startswith("RGB") and ";16" in str(getattr(image, "tile", ""))
    stored = _stored_as(image)
    image = _upright(image)
    if stored is not None or image.mode == "F" or image.mode.startswith("I"):
        values = np.ascontiguousarray(image)
        if stored is not None:
            values = values.view(stored) if values.itemsize == stored.itemsize else values.astype(stored)
        return np.repeat(_stretched_to_8_bits(values, name)[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        image = _on_white(image, name)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for rows in _bands(pixels.shape):
        band = image.crop((0, rows.start, image.width, min(rows.stop, image.height)))
        pixels[rows] = np.asarray(band.convert("RGB"))
    if deep and pixels.max() < 16:
        warn_once("dark", f"{name} is nearly black: of its 16 bits a colour only the lower 12 are used; make it 8-bit")
    return pixels


def _bands(shape: tuple[int, ...]) -> Iterator[slice]:
    """The rows of a picture [H, W, …], some at a time."""
    count = max(1, BAND_PIXELS // max(1, shape[1]))
    return (slice(top, top + count) for top in range(0, shape[0], count))


def _stored_as(image: Image.Image) -> np.dtype | None:
    """The type of a TIFF's numbers where Pillow gives them as another: it drops signs, adds some, and widens."""
    if image.format != "TIFF" or image.mode not in ("L", "I"):
        return None
    bits, kind = (image.tag_v2.get(tag) for tag in (258, 339))  # type: ignore[attr-defined]
    types = {((8,), (2,)): np.int8, ((16,), (2,)): np.int16, ((32,), (1,)): np.uint32, ((32,), None): np.uint32}
    found = types.get((bits, kind))
    return None if found is None else np.dtype(found)


def orientation(image: Image.Image) -> int:
    """EXIF's orientation of a picture, 1 … 8; 1 where there is none, or none that exists.

    Of a PNG that is not loaded it is what stands before the pixels.
    """
    try:
        found = Image.Image.getexif(image).get(ORIENTATION_TAG, 1)  # a PNG's own method decodes the pixels
    except Exception:  # broken EXIF data ask for nothing, and the pixels may be well
        return 1
    return int(found) if found in (1, *TURNS) else 1


def white_of(values: np.ndarray) -> float | None:
    """The number that stands for white, judged by all the numbers of a picture; None where none of the usual ones does.

    Booleans: 1. Floats: 1, or 255 where some are well above 1. Integers: 255, 4095 (cameras of 12 bits), or the largest
    that their type has, 65535 at most, whichever holds the largest.
    """
    if values.dtype == np.uint8:
        return 255
    if values.dtype.kind == "b":
        return 1
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind == "f":
        for white, least in ((1.0, 0.0), (255.0, LEAST_OF_BYTES)):
            if low >= -SLACK * white and least <= high <= (1 + SLACK) * white:
                return white
        return None
    largest = min(int(np.iinfo(values.dtype).max), HIGHEST_WHITE)
    whites = (*(white for white in USUAL_WHITES if white < largest), largest)
    return next((white for white in whites if high <= white), None) if low >= 0 else None


def to_8_bits(values: np.ndarray, white: float) -> np.ndarray:
    """Numbers of 0..white as uint8 of the same shape; of integers the upper bits."""
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind in "iu":
        bits = int(white).bit_length()
        return (values >> (bits - 8)).astype(np.uint8) if bits >= 8 else values.astype(np.uint8) << (8 - bits)
    return np.clip(np.rint(values * (255 / white)), 0, 255).astype(np.uint8)


def _stretched_to_8_bits(values: np.ndarray, name: str) -> np.ndarray:
    """As `to_8_bits`, of any numbers: those of no usual range from their lowest (black) to their highest (white)."""
    finite = np.isfinite(values)
    if not finite.all():
        warn_once(
            "not finite", f"{name}: {(~finite).sum()} of its values are no finite numbers; they are seen as black"
        )
        values = np.where(finite, values, values[finite].min() if finite.any() else 0)
    low, high, white = values.min(), values.max(), white_of(values)
    if white is None:
        what = f"{name}: values from {low:g} to {high:g} are seen with the lowest as black and the highest as white"
        warn_once("stretched", what)
    elif values.dtype.kind != "f" and values.dtype.itemsize > 1 and white in USUAL_WHITES and high > 0:
        bits = int(white).bit_length()
        warn_once(f"{bits} bits", f"{name}: no value is above {white}, so it is seen as a picture of {bits} bits")
    seen = np.empty(values.shape, np.uint8)
    for rows in _bands(values.shape):
        seen[rows] = _stretched(values[rows], low, high) if white is None else to_8_bits(values[rows], white)
    return seen


def _stretched(values: np.ndarray, low: np.number, high: np.number) -> np.ndarray:
    # Halves, as the whole range may be above the largest float.
    half = float(high) / 2 - float(low) / 2
    share = (values.astype(np.float64) / 2 - float(low) / 2) / half if half > 0 else np.full(values.shape, 0.5)
    return to_8_bits(share, 1)


def _upright(image: Image.Image) -> Image.Image:
    image.load()  # which turns a TIFF, and finds what a PNG says at its end
    turn = TURNS.get(orientation(image))
    return image if turn is None else image.transpose(turn)


def _on_white(image: Image.Image, name: str) -> Image.Image:
    """The picture on a white ground; one that would not be seen at all is seen without its transparency."""
    if image.mode in ("La", "RGBa"):  # premultiplied
        image = image.convert(image.mode.upper())
    image = image.convert("RGBA")
    least, most = image.getchannel("A").getextrema()
    if most == 0:
        warn_once("clear", f"{name} is wholly transparent: its colours are seen as if it were not")
    if most == 0 or least == 255:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return white
