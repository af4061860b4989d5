"""Frames and captions on a picture, with Pillow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from yolo9000_jax.report.fonts import drawable, height_of, runs_of, width_of

Color = tuple[int, int, int]  # red, green, blue, 0..255
Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels

WHITE, BLACK, INK = (255, 255, 255), (0, 0, 0), (34, 34, 34)
CROWDED = 0.5  # share of the picture under tabs from which on they are made smaller
SMALL_PX = 10  # letters
DOTS = "…"


@dataclass
class Canvas:
    """A picture being drawn on, with line and letters of its scale."""

    picture: Image.Image
    draw: ImageDraw.ImageDraw
    line: int
    letters_px: int

    @classmethod
    def over(cls, image: np.ndarray) -> "Canvas":
        picture = Image.fromarray(image)
        scale = math.sqrt(picture.width * picture.height)
        return cls(picture, ImageDraw.Draw(picture), max(1, round(scale / 150)), max(10, round(scale / 30)))

    def frame(self, box: np.ndarray) -> Box | None:
        """The first and last pixel of a box in both directions (x0, y0, x1, y1), or None if it lies outside."""
        sides = np.array([*self.picture.size, *self.picture.size])
        if not np.isfinite(box).all() or (box[:2] >= sides[:2]).any() or (box[2:] <= 0).any():
            return None
        low, high = np.round(np.clip(box, 0, sides)).astype(int).reshape(2, 2)
        low = np.minimum(low, sides[:2] - 1)
        (x0, y0), (x1, y1) = low.tolist(), np.maximum(high - 1, low).tolist()
        return x0, y0, x1, y1

    def dashes(self, frame: Box) -> None:
        """A thin dashed frame, white on black so that it shows on everything."""
        thin, dash = max(1, self.line // 2), 4 * self.line
        self.draw.rectangle(frame, outline=BLACK, width=thin)
        x0, y0, x1, y1 = frame
        for x in range(x0, x1 + 1, 2 * dash):
            end = min(x + dash - 1, x1)
            self.draw.rectangle((x, y0, end, min(y0 + thin - 1, y1)), fill=WHITE)
            self.draw.rectangle((x, max(y1 - thin + 1, y0), end, y1), fill=WHITE)
        for y in range(y0, y1 + 1, 2 * dash):
            end = min(y + dash - 1, y1)
            self.draw.rectangle((x0, y, min(x0 + thin - 1, x1), end), fill=WHITE)
            self.draw.rectangle((max(x1 - thin + 1, x0), y, x1, end), fill=WHITE)

    def label(self, labelled: Sequence[tuple[Box, str, Color]]) -> None:
        """Writes captions on tabs, (frame, caption, color) each; the earlier ones choose their places first.

        Where they would hide the picture, only the first line of each is written, in small letters.
        """
        captions = [[drawable(line) for line in str(caption).split("\n")] for _, caption, _ in labelled]
        if sum(math.prod(self._size(lines)) for lines in captions) > CROWDED * math.prod(self.picture.size):
            self.letters_px, captions = min(self.letters_px, SMALL_PX), [lines[:1] for lines in captions]
        tabs: list[tuple[Box, list[str], Color]] = []
        for (frame, _, color), lines in zip(labelled, captions, strict=True):
            lines = [shorten(line, self.letters_px, self.picture.width - 2 * self._pad) for line in lines]
            if any(lines):
                tabs.append((self._place(frame, lines, [tab for tab, _, _ in tabs]), lines, color))
        for (x0, y0, x1, y1), lines, color in reversed(tabs):
            self.draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=color)
            for number, line in enumerate(lines):
                middle = y0 + (y1 - y0) * (2 * number + 1) / (2 * len(lines))
                write(self.draw, (x0 + self._pad, middle), line, self.letters_px, _ink_on(color))

    @property
    def _pad(self) -> int:
        return max(2, round(1.5 * self.line))

    def _size(self, lines: list[str]) -> tuple[int, int]:
        """Width and height of a tab; none if there is nothing to write."""
        if not any(lines):
            return 0, 0
        runs = [runs_of(line, self.letters_px) for line in lines]
        width = math.ceil(max(map(width_of, runs))) + 2 * self._pad
        return width, min(len(lines) * max(map(height_of, runs)) + self.line, self.picture.height)

    def _place(self, frame: Box, lines: list[str], taken: list[Box]) -> Box:
        """The tab's (x0, y0, x1, y1), end excluded: over the box, else in it, under it, at its foot, by free space."""
        width, height = self._size(lines)
        x0, y0, x1, y1 = frame
        lefts = (min(x0, self.picture.width - width), max(0, x1 + 1 - width))
        wanted = (y0 - height, y0, y1 + 1, y1 + 1 - height)
        tops = [top for top in wanted if 0 <= top <= self.picture.height - height] or [0]
        inside = [(left, top, left + width, top + height) for left in lefts for top in tops]
        return min(inside, key=lambda place: sum(_shared_area(place, tab) for tab in taken))


def _shared_area(a: Box, b: Box) -> int:
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))


def write(draw: ImageDraw.ImageDraw, left_middle: tuple[float, float], text: str, letters_px: int, ink: Color) -> None:
    """Writes a line of text, of whatever script; left_middle is where it begins and half of its height."""
    x, y = left_middle
    for part, font in runs_of(text, letters_px):
        draw.text((x, y), part, font=font, fill=ink, anchor="lm")
        x += font.getlength(part)


def shorten(text: str, letters_px: int, width: int) -> str:
    """The text, or as much of its beginning as fits into `width` pixels, with "…"."""
    if width_of(runs_of(text, letters_px)) <= width:
        return text
    while text and width_of(runs_of(text + DOTS, letters_px)) > width:
        text = text[:-1].rstrip()
    return text + DOTS if text else ""


def _ink_on(color: Color) -> Color:
    red, green, blue = color
    return BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else WHITE
