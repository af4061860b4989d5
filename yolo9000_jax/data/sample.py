"""A sample picture that comes with the package, and as many others like it as one wants: drawn, never downloaded."""

import colorsys
import math
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from yolo9000_jax.data.backgrounds import random_numbers
from yolo9000_jax.errors import UserError
from yolo9000_jax.html import Html, card, picture

CLASSES = ("ball", "box", "cone")
HUES = {"ball": 0.05, "box": 0.62, "cone": 0.33}  # so that a very small network soon tells them apart
WIDTH, HEIGHT = 320, 240  # pixels
SIDES = (50, 100)  # of a thing, pixels
MOST_THINGS = 3
TRIES = 30  # places tried for a thing before it is left out
SMOOTH = 4  # drawn so many times larger, and made smaller
_STREAM = 9000  # sets these random numbers apart from those of other pictures


class Sample(NamedTuple):
    """A picture, uint8 [240, 320, 3], and what is in it: boxes_xyxy float32 [N, 4] in pixels, and N names."""

    image: np.ndarray
    boxes_xyxy: np.ndarray
    names: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<Sample {WIDTH}x{HEIGHT}: {', '.join(self.names)}>"

    def _repr_html_(self) -> Html:
        return card(", ".join(self.names), None, picture(self.image, self.boxes_xyxy, self.names))


def sample(seed: int = 0) -> Sample:
    """A picture of one to three things, each a ball, a box or a cone; the same for the same seed.

    Raises:
        UserError: the seed is negative.
    """
    if seed < 0:
        raise UserError(f"sample: seed {seed}; give 0 or more")
    rng = random_numbers((_STREAM, seed))
    large = _room(rng)
    boxes: list[tuple[float, float, float, float]] = []
    names: list[str] = []
    for _ in range(rng.integers(1, MOST_THINGS + 1) if seed else MOST_THINGS):
        name = CLASSES[rng.integers(len(CLASSES)) if seed else len(names)]
        box = _free_place(rng, boxes)
        if box is not None:
            _draw(large, name, box, rng)
            boxes.append(box)
            names.append(name)
    image = np.asarray(large.resize((WIDTH, HEIGHT), Image.Resampling.BOX))
    return Sample(image, np.array(boxes, np.float32).reshape(-1, 4), tuple(names))


def _room(rng: np.random.Generator) -> Image.Image:
    """A grey wall and a brown table, each a little different every time, not quite even."""
    wall, table = rng.uniform(150, 230) * np.ones(3), rng.uniform(0.5, 1) * np.array([170, 120, 80])
    edge = int(HEIGHT * rng.uniform(0.3, 0.6))
    pixels = np.where(np.arange(HEIGHT)[:, None, None] < edge, wall, table) + np.linspace(-20, 20, WIDTH)[:, None]
    noisy = pixels + rng.normal(0, 4, (HEIGHT, WIDTH, 1))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).resize((WIDTH * SMOOTH, HEIGHT * SMOOTH))


def _free_place(rng: np.random.Generator, taken: list) -> tuple[float, float, float, float] | None:
    for _ in range(TRIES):
        width, height = (int(side) for side in rng.integers(*SIDES, 2))
        x, y = int(rng.integers(0, WIDTH - width)), int(rng.integers(0, HEIGHT - height))
        if all(x > box[2] or x + width < box[0] or y > box[3] or y + height < box[1] for box in taken):
            return x, y, x + width, y + height
    return None


def _draw(large: Image.Image, name: str, box: tuple[float, float, float, float], rng: np.random.Generator) -> None:
    """Fills the box with the thing: lit from the left."""
    x0, y0, x1, y1 = (value * SMOOTH for value in box)
    width, height = int(x1 - x0), int(y1 - y0)
    shape = Image.new("L", (width, height))
    outline = {
        "ball": lambda draw: draw.ellipse((0, 0, width - 1, height - 1), fill=255),
        "box": lambda draw: draw.rectangle((0, 0, width, height), fill=255),
        "cone": lambda draw: draw.polygon(((width / 2, 0), (width, height), (0, height)), fill=255),
    }
    outline[name](ImageDraw.Draw(shape))
    hue = HUES[name] + rng.uniform(-0.05, 0.05)
    colour = 255 * np.array(colorsys.hsv_to_rgb(hue, rng.uniform(0.6, 1), rng.uniform(0.6, 1)))
    across = np.linspace(-1, 1, width)
    if name == "box":
        light = np.where(across < 0.3, 1.0, 0.6)  # two of its sides
    else:
        light = 0.3 + 0.7 * np.cos((across + 0.4) * math.pi / 3.2).clip(0)
    pixels = np.broadcast_to(light[None, :, None] * colour, (height, width, 3)).astype(np.uint8)
    large.paste(Image.fromarray(pixels), (int(x0), int(y0)), shape)
