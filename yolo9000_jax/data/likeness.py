"""Pictures that look alike though their files differ: the same one scaled, saved again, a little lighter, or mirrored.

Each is made a grey thumbnail of 32x32. Two are alike whose thumbnails, halved, correlate by .97 or more and which,
brought to one brightness and contrast, differ nowhere much: photographs of one scene in which something moved do.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

SIDE = 32  # pixels of a thumbnail
CORRELATION = 0.97
MOST_OFF, MEAN_OFF = 24.0, 4.0  # grey levels by which two may differ in one place of the thumbnail, and on average
LEAST_CONTRAST = 3.0  # grey levels, standard deviation: below it a picture shows nothing to compare
MOST_COMPARED = 20_000  # pictures: time grows with their square, most of all where many are frames of one scene
ROWS = 512  # compared with all others at once
CANDIDATES = 8  # of a picture, the likeliest, that are looked at closely


class Thumbnails(NamedTuple):
    """Thumbnails of N pictures, uint8 [N, 32, 32], and their places in their data set [N]."""

    places: np.ndarray
    images: np.ndarray

    @classmethod
    def of(cls, places: Sequence[int], images: Sequence[np.ndarray]) -> "Thumbnails":
        return cls(np.array(places, np.int64), np.array(images, np.uint8).reshape(-1, SIDE, SIDE))


class Alike(NamedTuple):
    """Two pictures that look the same: their places, the earlier one first, and whether one is the other's mirror."""

    first: int
    other: int
    mirrored: bool


def thumbnail(image_uint8: np.ndarray) -> np.ndarray:
    """Grey, averaged: uint8 [32, 32] of a picture [H, W, 3]."""
    grey = Image.fromarray(image_uint8).convert("L")
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX))


def alike(thumbnails: np.ndarray) -> list[Alike]:
    """The pictures that look like an earlier one, each with the one that it is most like.

    Args:
        thumbnails: uint8 [N, 32, 32], at most some 20,000.
    """
    small = thumbnails.reshape(-1, SIDE // 2, 2, SIDE // 2, 2).mean((2, 4), dtype=np.float32)
    plain, mirrored = _normalised(small), _normalised(small[:, :, ::-1])
    found = []
    for start in range(0, len(small), ROWS):
        stop = min(start + ROWS, len(small))
        for is_mirrored, others in ((False, plain), (True, mirrored)):
            likeness = plain[start:stop] @ others[:stop].T
            likeness[np.arange(stop) >= np.arange(start, stop)[:, None]] = 0  # itself, and later ones
            for row in np.flatnonzero(likeness.max(1) >= CORRELATION).tolist():
                likeliest = _largest(likeness[row], CANDIDATES)
                values = zip(likeliest.tolist(), likeness[row, likeliest].tolist(), strict=True)
                found += [(start + row, first, value, is_mirrored) for first, value in values if value >= CORRELATION]
    return list(_best_of_each(thumbnails.astype(np.float32), found))


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """Places of the largest values, the largest first and of equals the first; without sorting all of them."""
    if count < len(values):
        least = np.partition(values, -count)[-count]
        above = np.flatnonzero(values > least)
        places = np.concatenate([above, np.flatnonzero(values == least)[: count - len(above)]])
    else:
        places = np.arange(len(values))
    return places[np.argsort(-values[places], kind="stable")]


def _normalised(small: np.ndarray) -> np.ndarray:
    """Rows of length 1 and mean 0, so that their products are correlations; 0 where there is nothing to see."""
    rows = small.reshape(len(small), -1)
    rows = rows - rows.mean(1, keepdims=True)
    spread = rows.std(1, keepdims=True)
    return np.where(spread >= LEAST_CONTRAST, rows / np.maximum(spread, 1e-6) / np.sqrt(rows.shape[1]), 0)


def _best_of_each(images: np.ndarray, pairs: list[tuple[int, int, float, bool]]) -> Iterator[Alike]:
    seen = set()
    for other, first, _, mirrored in sorted(pairs, key=lambda pair: (pair[0], -pair[2], pair[3])):
        if other not in seen and _same(images[first], images[other][:, ::-1] if mirrored else images[other]):
            seen.add(other)
            yield Alike(first, other, mirrored)


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two thumbnails are nowhere much different, once the other has the one's brightness and contrast."""
    fitted = (other - other.mean()) * (one.std() / other.std()) + one.mean()
    off = np.abs(fitted - one)
    return bool(off.max() <= MOST_OFF and off.mean() <= MEAN_OFF)
