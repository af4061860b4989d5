"""Bring pictures to a network's size, and boxes back to the picture. NumPy only.

`Resize` names how: what becomes of the proportions, and where the pixels are sampled. Darknet's own operations
(darknet.md 1) are functions beside it; they take [H, W, C], uint8 (0..255) or float (0..1), and return float32 in 0..1.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from yolo9000_jax.errors import UserError

GREY = 0.5
TRAINING_GREY = 127  # of 255: what training paints where there is no picture

Way = Literal["letterbox", "stretch", "crop"]
Sampling = Literal["darknet", "half_pixel"]
WAYS, SAMPLINGS = get_args(Way), get_args(Sampling)
_Pair = np.ndarray | tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Resize:
    """How a picture becomes a network's input.

    way: "stretch" (the whole picture, its proportions changed), "letterbox" (the whole picture, proportions kept, in
    the middle of a grey canvas) or "crop" (the shorter side brought to the input's, then the central square).
    sampling: "darknet" (the corner pixels of both pictures coincide, results are not rounded) or "half_pixel" (pixel c
    has its centre at c + 0.5, results are rounded to whole levels of 255). The second makes the very pixels that
    training makes of a picture that is not augmented; there the grey outside reaches half a pixel into an enlarged one.

    Raises:
        UserError: one of them is unknown.
    """

    way: Way = "letterbox"
    sampling: Sampling = "darknet"

    def __post_init__(self) -> None:
        for name, value, known in (("resize", self.way, WAYS), ("sampling", self.sampling, SAMPLINGS)):
            if value not in known:
                raise UserError(f"{name} {value!r}: choose {', '.join(known[:-1])} or {known[-1]}")

    def apply(self, image: np.ndarray, width: int, height: int) -> np.ndarray:
        """The network's input of a picture.

        Args:
            image: uint8 [H, W, 3].
            width, height: of the network's input in pixels; equal where the way is "crop".

        Returns:
            float32 [height, width, 3] in 0..1.

        Raises:
            UserError: the way is "crop", and the input no square.
        """
        self._check_square(width, height)
        if self.sampling == "half_pixel":
            return _sample(image, *self._placement(image.shape[1::-1], (width, height)), width, height)
        if self.way == "crop":
            return center_crop(image, width)
        return (letterbox if self.way == "letterbox" else resize)(image, width, height)

    def to_picture(
        self, boxes_cxcywh: np.ndarray, image_wh: tuple[int, int], net_wh: tuple[int, int], clip: bool = True
    ) -> np.ndarray:
        """Boxes in the network's input, brought back to the picture (darknet.md 7.4).

        Args:
            boxes_cxcywh: float [..., 4], fractions of the network's input.
            image_wh: width and height of the picture in pixels.
            net_wh: width and height of the network's input in pixels.
            clip: cut the boxes at the picture's border.

        Returns:
            boxes_xyxy [..., 4], pixels of the picture, of the same type.

        Raises:
            UserError: the way is "crop", and the input no square.
        """
        self._check_square(*net_wh)
        inner_wh, corner = self._placement(image_wh, net_wh)
        scale = np.tile(np.array(net_wh) / inner_wh, 2).astype(boxes_cxcywh.dtype)
        border = np.append(corner / inner_wh, [0, 0]).astype(boxes_cxcywh.dtype)
        boxes_cxcywh = boxes_cxcywh * scale - border
        centre, half = boxes_cxcywh[..., :2], boxes_cxcywh[..., 2:] / 2
        limits = np.tile(image_wh, 2).astype(boxes_cxcywh.dtype)
        boxes_xyxy = np.concatenate([centre - half, centre + half], axis=-1) * limits
        return boxes_xyxy.clip(0, limits) if clip else boxes_xyxy

    def _placement(self, image_wh: tuple[int, int], net_wh: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Where the whole picture lies in the network's input: its size there, and its first corner, [2] pixels each.

        Darknet gives a picture a whole number of pixels, and takes its borders as exact halves when it brings boxes
        back from a letterbox.
        """
        image, net = np.array(image_wh, np.float64), np.array(net_wh, np.float64)
        if self.way == "stretch":
            return net, np.zeros(2)
        if self.sampling == "half_pixel":
            inner = image * (max if self.way == "crop" else min)(net / image)
        elif self.way == "letterbox":
            inner = np.array(letterboxed_size(*image_wh, *net_wh), np.float64)
        else:
            inner = np.array(_covering_size(*image_wh, net_wh[0]), np.float64)
            return inner, -((inner - net) // 2)
        return inner, (net - inner) / 2

    def _check_square(self, width: int, height: int) -> None:
        if self.way == "crop" and width != height:
            raise UserError(
                f"resize 'crop' makes squares, the network takes {width}x{height}: choose letterbox or stretch"
            )


def resize(image: np.ndarray, width: int, height: int) -> np.ndarray:
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


def letterbox(image: np.ndarray, width: int, height: int) -> np.ndarray:
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


def letterboxed_size(image_width: int, image_height: int, width: int, height: int) -> tuple[int, int]:
    """Size in whole pixels that letterbox gives a picture of image_width x image_height within width x height.

    Where Darknet's rule would give 0 (a picture hundreds of times longer than wide), this gives 1.
    """
    if width * image_height < height * image_width:
        return width, max(1, image_height * width // image_width)
    return max(1, image_width * height // image_height), height


def center_crop(image: np.ndarray, size: int) -> np.ndarray:
    """The shorter side brought to `size`, then the central square: how classifiers look at pictures.

    Args:
        image: [H, W, C].
        size: side of the result in pixels.

    Returns:
        float32 [size, size, C].
    """
    height, width = image.shape[:2]
    resized_width, resized_height = _covering_size(width, height, size)
    left, top = (resized_width - size) // 2, (resized_height - size) // 2
    # Only the square is computed, and only of the columns that it needs: a line of pixels as a whole would fill memory.
    rows, row_shares = _between(height, resized_height, range(top, top + size))
    columns, column_shares = _between(width, resized_width, range(left, left + size))
    first = int(columns[0].min())
    strip = _mix(image[:, first : int(columns[1].max()) + 1], rows, row_shares, axis=0)
    return _mix(strip, (columns[0] - first, columns[1] - first), column_shares, axis=1)


def center_square(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """The largest central square of the picture, stretched: Darknet's crop for validation (darknet.md 1, 11).

    Arguments and result as for resize.
    """
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    return resize(image[top : top + side, left : left + side], width, height)


def _covering_size(width: int, height: int, size: int) -> tuple[int, int]:
    """Size in whole pixels that center_crop gives a picture before it cuts."""
    shorter = min(width, height)
    return width * size // shorter, height * size // shorter


def _blend(image: np.ndarray, length: int, axis: int) -> np.ndarray:
    """Resample one axis of the picture to `length` positions spread evenly from its first to its last pixel."""
    return _mix(image, *_between(image.shape[axis], length, range(length)), axis)


def _between(source: int, length: int, part: range) -> tuple[_Pair, _Pair]:
    """Between which two of `source` pixels some of `length` evenly spread positions lie, and their shares in each."""
    last = source - 1
    scale = np.float32(last) / np.float32(max(length - 1, 1))
    position = np.arange(part.start, part.stop).astype(np.float32) * scale
    if length > 1 and part.stop == length:
        position[-1] = last  # exactly, whatever the product rounds to
    first = np.minimum(position.astype(np.intp), last)
    second_share = position - first
    return (first, np.minimum(first + 1, last)), (1 - second_share, second_share)


def _sample(image: np.ndarray, inner_wh: np.ndarray, corner: np.ndarray, width: int, height: int) -> np.ndarray:
    """The picture, inner_wh large and with its first corner at `corner`, on a grey canvas of width x height.

    The arithmetic of data.augment.resample, in the same order and precision. uint8 [H, W, C] becomes
    float32 [height, width, C] in 0..1.
    """
    columns, column_shares = _neighbours(image.shape[1], inner_wh[0], corner[0], width)
    rows, row_shares = _neighbours(image.shape[0], inner_wh[1], corner[1], height)
    used, rows = np.unique(rows, return_inverse=True)
    bordered = np.pad(image, [(1, 1), (1, 1), (0, 0)], constant_values=TRAINING_GREY)
    strips = _mix(bordered[used].astype(np.float32), columns, column_shares, axis=1)
    levels = _mix(strips, rows, row_shares, axis=0)
    levels += np.float32(0.5)
    return levels.astype(np.uint8) / np.float32(255)


def _neighbours(length: int, inner: float, corner: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Between which two pixels of a picture each of `count` output pixels lies along one axis, and their shares in it.

    Returns:
        int [2, count], indices into the `length` pixels of the picture with a grey one before and after them;
        float32 [2, count].
    """
    low, high = np.float32(-corner / inner), np.float32((count - corner) / inner)
    step = (high - low) * np.float32(length) / np.float32(count)
    start = low * np.float32(length) + np.float32(0.5) * step - np.float32(0.5)
    position = step * np.arange(count, dtype=np.float32) + start
    floor = np.floor(position)
    first = floor.astype(np.intp) + 1
    return np.clip([first, first + 1], 0, length + 1), np.stack([floor + 1 - position, position - floor])


def _mix(image: np.ndarray, places: _Pair, shares: _Pair, axis: int) -> np.ndarray:
    """Along one axis, the pixels at places[0] times shares[0] plus those at places[1] times shares[1]: float32."""
    channels = image.shape[2]
    mixed, other = (_to_float(np.take(image, place, axis)) for place in places)
    # Rows of plain numbers, since NumPy is several times slower on many short rows of three.
    for part, share in ((mixed, shares[0]), (other, shares[1])):
        flat = part.reshape(len(part), -1)
        flat *= share[:, None] if axis == 0 else np.repeat(share, channels)
    mixed += other
    return mixed


def _to_float(image: np.ndarray) -> np.ndarray:
    """float32 in 0..1; a new array for uint8, otherwise the array itself where it is float32 already."""
    if image.dtype == np.uint8:
        return image.astype(np.float32) / np.float32(255)
    return image.astype(np.float32, copy=False)
