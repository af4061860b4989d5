"""The pixels of a picture of any mode, as a viewer shows them: upright, 8 bits a value, RGB, on white.

Where a viewer would show something dark or nothing, because the numbers of the file are of an unusual range, they are
brought to the usual one, and a remark says so once.
"""

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
WHITE_OF_INTEGERS = (255, 4095, 65535)  # 8, 12 and 16 bits
SLACK = 0.02  # share of their range by which floats may leave it: resampled pictures do
LEAST_OF_BYTES = 16.0  # floats whose largest is less are not taken for 0..255: the picture would be black


def to_rgb(image: Image.Image, name: str) -> np.ndarray:
    """The pixels of a Pillow picture of any mode: uint8 [H, W, 3], RGB; `name` is what remarks call it."""
    deep = image.mode.startswith("RGB") and ";16" in str(
        getattr(image, "tile", "")
    )  # of such colours Pillow gives the upper 8 bits
    # Pillow takes 32 bits without a sign for such with one.
    unsigned = image.format == "TIFF" and image.mode == "I" and _tiff_has_no_sign(image)
    image = _upright(image)
    if image.mode == "F" or image.mode.startswith("I"):
        values = np.ascontiguousarray(image)
        return np.repeat(
            _stretched_to_8_bits(values.view(np.uint32) if unsigned else values, name)[:, :, None], 3, axis=2
        )
    if image.has_transparency_data:
        image = _on_white(image, name)
    pixels = np.array(image.convert("RGB"))
    if deep and pixels.max() < 16:
        warn_once("dark", f"{name} is nearly black: of its 16 bits a colour only the lower 12 are used; make it 8-bit")
    return pixels


def _tiff_has_no_sign(image: Image.Image) -> bool:
    bits, sample_format = (image.tag_v2.get(tag) for tag in (258, 339))  # type: ignore[attr-defined]
    return bits == (32,) and sample_format in (None, (1,))


def orientation(image: Image.Image) -> int:
    """EXIF's orientation of a picture, 1 … 8; 1 where there is none, or none that exists."""
    try:
        found = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # broken EXIF data ask for nothing, and the pixels may be well
        return 1
    return int(found) if found in (1, *TURNS) else 1


def white_of(values: np.ndarray) -> float | None:
    """The number that stands for white, judged by all the numbers of a picture; None where none of the usual ones does.

    Booleans: 1. Floats: 1, or 255 where some are well above 1. Integers: 255, 4095 (cameras of 12 bits) or 65535,
    whichever holds the largest.
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
    return next((white for white in WHITE_OF_INTEGERS if high <= white), None) if low >= 0 else None


def to_8_bits(values: np.ndarray, white: float) -> np.ndarray:
    """Numbers of 0..white as uint8 of the same shape; of integers the upper bits."""
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind in "iu":
        return (values.astype(np.int64) * 256 // (int(white) + 1)).astype(np.uint8)
    return np.clip(np.rint(values * (255 / white)), 0, 255).astype(np.uint8)


def _stretched_to_8_bits(values: np.ndarray, name: str) -> np.ndarray:
    """As `to_8_bits`, of any numbers: those of no usual range from their lowest (black) to their highest (white)."""
    values = values.astype(np.float64) if values.dtype.kind == "f" else values
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
        # Halves, as the whole range may be above the largest float.
        share = (values / 2 - low / 2) / (high / 2 - low / 2) if high > low else np.full(values.shape, 0.5)
        return to_8_bits(share, 1)
    if values.dtype.itemsize > 1 and white < 65535 and values.dtype.kind != "f" and high > 0:
        bits = int(white).bit_length()
        warn_once(f"{bits} bits", f"{name}: no value is above {white}, so it is seen as a picture of {bits} bits")
    return to_8_bits(values, white)


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
