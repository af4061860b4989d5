"""Frames and captions on a picture, with Pillow."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from yolo9000_jax.report.fonts import drawable, height_of, runs_of, width_of

Color = tuple[int, int, int]  # red, green, blue, 0..255
Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels

WHITE, BLACK, INK = (255, 255, 255), (0, 0, 0), (34, 34, 34)
FEW = 6  # captions up to which a tab may be wider than its box
CROWDED = 0.3  # share of the picture under tabs from which on it is crowded with fewer
WIDER = 1.25  # than its box: the most that a tab may be in a crowded picture
MOST_HIDDEN = 0.3  # of other boxes, by a tab in a crowded picture
OWN, TABS = (
    0.25,
    3.0,
)  # what hiding a part of its own box costs, and of another tab, beside the same part of another box
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
        return cls(picture, ImageDraw.Draw(picture), max(1, round(scale / 300)), max(10, round(scale / 30)))

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

    def label(self, labelled: Sequence[tuple[Box, str, Color]], numbered: bool = False) -> list[tuple[str, Color]]:
        """Writes captions on tabs, (frame, caption, color) each; the earlier ones choose their places first.

        A tab lies where it hides least of the other boxes, of its own and of other tabs. In a crowded picture it is no
        wider than its box; a caption that then has no room is left out, or stands as a number.

        Returns:
            The captions that stand as numbers, from 1 on, and their colors; none unless `numbered`.
        """
        frames = np.array([frame for frame, _, _ in labelled], float).reshape(-1, 4) + (0, 0, 1, 1)
        crowded = len(labelled) > FEW or sum(self._areas(labelled)) > CROWDED * math.prod(self.picture.size)
        tabs: list[_Tab] = []
        listed: list[tuple[str, Color]] = []
        for place, (_, caption, color) in enumerate(labelled):
            lines = [drawable(line) for line in str(caption).split("\n")]
            if not any(lines):
                continue
            tab = self._fitting(lines, color, frames, place, tabs, crowded)
            if tab is None and numbered:
                listed.append((lines[0], color))
                tab, _ = self._placed([str(len(listed))], SMALL_PX, color, frames, place, tabs)
            if tab is not None:
                tabs.append(tab)
        for tab in reversed(tabs):
            self._draw(tab)
        return listed

    def _fitting(
        self, lines: list[str], color: Color, frames: np.ndarray, place: int, tabs: Sequence["_Tab"], crowded: bool
    ) -> "_Tab | None":
        """The tab of a caption: of all its lines or the first, in the largest letters that have room."""
        width = frames[place, 2] - frames[place, 0]
        small = min(SMALL_PX, self.letters_px)
        for letters_px, chosen in ((self.letters_px, lines), (small, lines), (small, lines[:1])):
            tab, cost = self._placed(chosen, letters_px, color, frames, place, tabs)
            if tab is not None and (not crowded or (tab.box[2] - tab.box[0] <= WIDER * width and cost <= MOST_HIDDEN)):
                return tab
        return None

    def _placed(
        self, lines: list[str], letters_px: int, color: Color, frames: np.ndarray, place: int, tabs: Sequence["_Tab"]
    ) -> tuple["_Tab | None", float]:
        """A tab where it hides least, and how much that is: shares of boxes, and of itself where there are others; None
        where the picture has no room for a letter."""
        lines = [shorten(line, letters_px, self.picture.width - 2 * self._pad) for line in lines]
        width, height = self._size(lines, letters_px)
        if not width:
            return None, math.inf
        x0, y0, x1, y1 = frames[place]
        lefts = np.array([min(x0, self.picture.width - width), max(0, x1 - width)])
        wanted = np.array([y0 - height, y0, y1, y1 - height])
        tops = wanted[(wanted >= 0) & (wanted <= self.picture.height - height)]
        tops = tops if len(tops) else np.zeros(1)
        corners = np.stack(np.meshgrid(lefts, tops), -1).reshape(-1, 2)
        boxes = np.concatenate([corners, corners + (width, height)], 1)
        hidden = _shared_areas(boxes, frames) / np.prod(frames[:, 2:] - frames[:, :2], 1)
        hidden[:, place] *= OWN
        cost = hidden.sum(1)
        if tabs:
            cost = cost + TABS * _shared_areas(boxes, np.array([tab.box for tab in tabs], float)).sum(1) / (
                width * height
            )
        best = int(cost.argmin())
        left, top = corners[best].round().astype(int).tolist()
        return _Tab((left, top, left + width, top + height), lines, letters_px, color), float(cost[best])

    def _draw(self, tab: "_Tab") -> None:
        x0, y0, x1, y1 = tab.box
        self.draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=tab.color)
        for number, line in enumerate(tab.lines):
            middle = y0 + (y1 - y0) * (2 * number + 1) / (2 * len(tab.lines))
            write(self.draw, (x0 + self._pad, middle), line, tab.letters_px, _ink_on(tab.color))

    def _areas(self, labelled: Sequence[tuple[Box, str, Color]]) -> Iterator[int]:
        """Pixels that each caption takes, written in full."""
        for _, caption, _ in labelled:
            width, height = self._size([drawable(line) for line in str(caption).split("\n")], self.letters_px)
            yield min(width, self.picture.width) * height

    @property
    def _pad(self) -> int:
        return max(2, round(1.5 * self.line))

    def _size(self, lines: list[str], letters_px: int) -> tuple[int, int]:
        """Width and height of a tab; none if there is nothing to write."""
        if not any(lines):
            return 0, 0
        runs = [runs_of(line, letters_px) for line in lines]
        width = math.ceil(max(map(width_of, runs))) + 2 * self._pad
        return width, min(len(lines) * max(map(height_of, runs)) + self.line, self.picture.height)


class _Tab(NamedTuple):
    """A caption and its place: x0, y0, x1, y1, end excluded."""

    box: Box
    lines: list[str]
    letters_px: int
    color: Color


def _shared_areas(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The area that each of the boxes [K, 4] shares with each of the others [N, 4]: [K, N]."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.prod(np.maximum(high - low, 0), -1)


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
