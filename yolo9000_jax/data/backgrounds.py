"""Synthetic backgrounds for rendered pictures, and the noise of a sensor; see emoji.py."""

import colorsys
import functools
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw


def random_numbers(seeds: Sequence[int]) -> np.random.Generator:
    """The stream of random numbers that belongs to these integers."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seeds)))


def background(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Two cloudy colour fields mixed by a pattern, with clutter, made at half size: it is out of focus."""
    half = (math.ceil(width / 2), math.ceil(height / 2))
    hue = rng.random()
    first, second = (_clouds(rng, _colour(rng, hue + rng.normal(0, 0.12)), half) for _ in range(2))
    picture = Image.composite(first, second, _pattern(rng, *half))
    _clutter(rng, picture)
    return picture.resize((width, height), Image.Resampling.BILINEAR)


def _colour(
    rng: np.random.Generator,
    hue: float,
    saturation: tuple[float, float] = (0.1, 0.6),
    value: tuple[float, float] = (0.3, 0.95),
) -> np.ndarray:
    """A colour of this hue: float [3], 0..255."""
    return 255 * np.array(colorsys.hsv_to_rgb(hue % 1, rng.uniform(*saturation), rng.uniform(*value)))


def _clouds(rng: np.random.Generator, colour: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """Smooth noise of three octaves about a colour."""
    grid = np.broadcast_to(colour, (2, 2, 3))
    strength = rng.uniform(5, 30)
    for cells in (3, 8, int(rng.integers(12, 40))):
        enlarged = Image.fromarray(grid.astype(np.uint8)).resize((cells, cells), Image.Resampling.BICUBIC)
        noise = rng.normal(0, strength, (cells, cells, 1)) + rng.normal(0, strength / 3, (cells, cells, 3))
        grid = np.clip(np.asarray(enlarged) + noise, 0, 255)
        strength *= 0.6
    return Image.fromarray(grid.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)


def _pattern(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """A mask [height, width]: gradient, stripes, checks, rings or patches."""
    angle = rng.uniform(0, 2 * math.pi)
    x = np.linspace(-1, 1, width, dtype=np.float32)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    u = x * np.float32(math.cos(angle)) + y * np.float32(math.sin(angle))
    v = y * np.float32(math.cos(angle)) - x * np.float32(math.sin(angle))
    waves, contrast = np.float32(rng.uniform(4, 25)), np.float32(rng.uniform(0.3, 3))
    kind = rng.integers(5)
    if kind == 0:
        field = u
    elif kind == 1:
        field = contrast * np.sin(waves * u)
    elif kind == 2:
        field = contrast * np.sin(waves * u) * np.sin(waves * v)
    elif kind == 3:
        field = contrast * np.sin(waves * np.hypot(u + 0.5, v))
    else:
        cells = int(rng.integers(3, 12))
        noise = Image.fromarray(rng.integers(0, 256, (cells, cells), np.uint8))
        field = contrast * (np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC), np.float32) / 64 - 2)
    return Image.fromarray(np.clip(127.5 + 127.5 * field, 0, 255).astype(np.uint8))


def _clutter(rng: np.random.Generator, picture: Image.Image) -> None:
    """Draws translucent shapes that are no class."""
    draw = ImageDraw.Draw(picture, "RGBA")
    for _ in range(rng.integers(0, 10)):
        fill = (*(int(c) for c in _colour(rng, rng.random(), (0.1, 0.8))), int(rng.integers(60, 230)))
        centre = rng.uniform(0, picture.size, 2)
        reach = rng.uniform(0.02, 0.2) * picture.width
        kind = rng.integers(3)
        if kind == 0:
            radii = reach * rng.uniform(0.3, 1, 2)
            draw.ellipse([*(centre - radii), *(centre + radii)], fill=fill)
        elif kind == 1:
            corners = np.sort(rng.uniform(0, 2 * math.pi, rng.integers(3, 8)))
            points = centre + reach * np.stack([np.cos(corners), np.sin(corners)], 1)
            draw.polygon([tuple(point) for point in points], fill=fill)
        else:
            points = np.cumsum([centre, *rng.normal(0, reach, (3, 2))], 0)
            draw.line([tuple(point) for point in points], fill=fill, width=int(rng.integers(1, 6)), joint="curve")


def grain(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Sensor noise about 128: a random window of a fixed tile."""
    tile = _grain_tile(256 * math.ceil(max(size) / 256) + 64, int(rng.choice([1, 3, 6])))
    left, top = (int(rng.integers(tile.width - side + 1)) for side in size)
    return tile.crop((left, top, left + size[0], top + size[1]))


@functools.lru_cache
def _grain_tile(side: int, deviation: int) -> Image.Image:
    noise = random_numbers((side, deviation)).normal(128, deviation, (side, side, 1)) * np.ones(3)
    return Image.fromarray(np.clip(np.round(noise), 0, 255).astype(np.uint8))
