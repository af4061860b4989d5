"""Read pictures and bring them to a network's size, as Darknet does it (darknet.md 1). NumPy and PIL only.

Every function takes pictures as [H, W, C], either uint8 (0..255) or float (0..1), and returns float32 in 0..1.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from yolo9000_jax.errors import UserError

GREY = 0.5


def read_image(path):
    """The pixels of a picture file, as stored: an orientation tag (EXIF) and transparency are ignored, as in Darknet.

    Args:
        path: a file in any format PIL reads; of an animation the first frame.

    Returns:
        uint8 [H, W, 3], RGB. Pictures of 16 bits keep their upper 8.

    Raises:
        UserError: the file is missing, is no picture, is broken or cut off, or has more pixels than PIL thinks safe.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such picture file; check the path")
    try:
        with Image.open(path) as picture:
            width, height = picture.size
            if Image.MAX_IMAGE_PIXELS and width * height > Image.MAX_IMAGE_PIXELS:
                raise Image.DecompressionBombError(f"{width}x{height} pixels")
            if picture.mode.startswith("I"):
                return _sixteen_bits_to_rgb(np.asarray(picture))
            return np.asarray(picture.convert("RGB"))
    except Image.DecompressionBombError as error:
        raise UserError(f"{path}: the picture is too large to open safely ({error}); shrink it first") from error
    except Exception as error:  # PIL's readers raise all kinds of exceptions on broken files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: cannot be read as a picture ({reason}); repair or remove the file") from error


def resize(image, width, height):
    """Resize with Darknet's bilinear rule: the corner pixels of both pictures coincide and nothing is smoothed.

    Output column c lies at source column c * (W - 1) / (width - 1) and blends its two neighbours; rows alike
    (darknet.md 1). A single output column or row, which that rule leaves undefined, takes the first of the source.
    Darknet's last row turns black where its float32 product falls short of H - 1 (640x480 brought to 448x336, for
    instance); no weights depend on that, and ours is always the last row of the source.

    Args:
        image: [H, W, C].
        width, height: size of the result in pixels, at least 1.

    Returns:
        float32 [height, width, C].
    """
    return _blend(_blend(image, height, axis=0), width, axis=1)


def stretch(image, width, height):
    """The whole picture at exactly the network's size; its proportions change. Arguments and result as for resize."""
    return resize(image, width, height)


def letterbox(image, width, height):
    """The whole picture, proportions kept, in the middle of a grey (0.5) canvas (darknet.md 1).

    Args:
        image: [H, W, C].
        width, height: size of the canvas in pixels.

    Returns:
        float32 [height, width, C].
    """
    inner_width, inner_height = letterboxed_size(image.shape[1], image.shape[0], width, height)
    left, top = (width - inner_width) // 2, (height - inner_height) // 2
    canvas = np.full((height, width, image.shape[2]), GREY, np.float32)
    canvas[top : top + inner_height, left : left + inner_width] = resize(image, inner_width, inner_height)
    return canvas


def letterboxed_size(image_width, image_height, width, height):
    """Size in whole pixels that letterbox gives a picture of image_width x image_height within width x height.

    Where Darknet's rule would give 0 (a picture hundreds of times longer than wide), this gives 1.
    """
    if width * image_height < height * image_width:
        return width, max(1, image_height * width // image_width)
    return max(1, image_width * height // image_height), height


def center_crop(image, size):
    """The shorter side brought to `size`, then the central square: how classifiers look at pictures.

    Args:
        image: [H, W, C].
        size: side of the result in pixels.

    Returns:
        float32 [size, size, C].
    """
    height, width = image.shape[:2]
    shorter = min(width, height)
    resized_width, resized_height = width * size // shorter, height * size // shorter
    left, top = (resized_width - size) // 2, (resized_height - size) // 2
    return resize(image, resized_width, resized_height)[top : top + size, left : left + size]


def center_square(image, width, height):
    """The largest central square of the picture, stretched: Darknet's crop for validation (darknet.md 1, 11).

    Arguments and result as for resize.
    """
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    return resize(image[top : top + side, left : left + side], width, height)


def _blend(image, length, axis):
    """Resample one axis of the picture to `length` positions spread evenly from its first to its last pixel."""
    last = image.shape[axis] - 1
    scale = np.float32(last) / np.float32(max(length - 1, 1))
    position = np.arange(length, dtype=np.float32) * scale
    if length > 1:
        position[-1] = last  # exactly, whatever the product rounds to
    low = np.minimum(position.astype(np.intp), last)
    weight = (position - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
    low_pixels = _to_float(np.take(image, low, axis))
    high_pixels = _to_float(np.take(image, np.minimum(low + 1, last), axis))
    low_pixels *= 1 - weight
    high_pixels *= weight
    low_pixels += high_pixels
    return low_pixels


def _to_float(image):
    """float32 in 0..1; a new array for uint8, otherwise the array itself where it is float32 already."""
    if image.dtype == np.uint8:
        return image.astype(np.float32) / np.float32(255)
    return image.astype(np.float32, copy=False)


def _sixteen_bits_to_rgb(grey):
    return np.repeat((np.clip(grey, 0, 65535) >> 8).astype(np.uint8)[..., None], 3, axis=-1)
