"""Boxes on pictures, and sheets of pictures, with Pillow. Pictures are uint8 RGB [H, W, 3], never changed in place."""

import colorsys
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.voc import IGNORED, RIGHT, WRONG, Detections, Truth, match_detections

VERDICT_COLORS = {RIGHT: (0, 158, 115), WRONG: (213, 94, 0), IGNORED: (110, 110, 110)}
VERDICT_PREFIXES = {RIGHT: "", WRONG: "wrong: ", IGNORED: "difficult: "}
WHITE, BLACK, INK = (255, 255, 255), (0, 0, 0), (34, 34, 34)
CROWDED = 0.5  # share of the picture under tabs from which on they are made smaller
SMALL_PX = 10  # letters
GOLDEN_RATIO = (math.sqrt(5) - 1) / 2


def class_color(class_id) -> tuple[int, int, int]:
    """The RGB colour of a class: always the same, and far from its neighbours'.

    The hue turns by the golden ratio, which never comes back; lightness and saturation change in between.
    """
    class_id = int(class_id)
    hue = (0.58 + class_id * GOLDEN_RATIO) % 1
    lightness = (0.47, 0.42, 0.62)[class_id % 3]
    saturation = (0.85, 0.95, 0.6)[class_id // 3 % 3]
    return tuple(round(255 * channel) for channel in colorsys.hls_to_rgb(hue, lightness, saturation))


def draw_boxes(image_uint8, boxes_xyxy, captions, colors=None) -> np.ndarray:
    """The picture with a frame on each box and its caption on a filled tab.

    Frames lie inside their boxes, tabs inside the picture and where possible clear of each other; line and letters grow
    with the picture. A box that comes earlier is drawn over later ones, so put the best first. Of a box that reaches
    over the edge the part inside is drawn.

    Args:
        image_uint8: [H, W, 3].
        boxes_xyxy: [N, 4] pixels of this picture.
        captions: N strings, of one or more lines; an empty one gets no tab.
        colors: N RGB triples of 0..255; left out, N colours that differ.
    Returns:
        [H, W, 3] uint8, a new array.
    Raises:
        UserError: the arguments do not fit together.
    """
    image, boxes = _check_picture(image_uint8), _check_boxes(boxes_xyxy)
    colors = [class_color(i) for i in range(len(boxes))] if colors is None else [_rgb(color) for color in colors]
    for what, items in (("captions", captions), ("colors", colors)):
        if len(items) != len(boxes):
            raise UserError(f"{len(boxes)} boxes with {len(items)} {what}: give one a box")
    canvas = _Canvas.over(image)
    labelled = []
    for box, caption, color in reversed(list(zip(boxes, captions, colors, strict=True))):
        frame = canvas.frame(box)
        if frame is not None:
            canvas.draw.rectangle(frame, outline=color, width=canvas.line)
            labelled.append((frame, caption, color))
    canvas.label(labelled[::-1])
    return np.asarray(canvas.picture)


def draw_against_truth(image_uint8, detections, truth, class_names, iou_threshold=0.5) -> np.ndarray:
    """The picture with detections judged: green is right, orange is wrong, grey lies on a truth marked difficult.

    The truth is dashed; what no detection found is named too, on a black tab. Right and wrong are the evaluator's: the
    right class, enough overlap, and the first to find its truth.

    Args:
        image_uint8: [H, W, 3].
        detections, truth: a `Detections` and a `Truth` (or anything with their attributes), in pixels of this picture.
        class_names: one name a class.
    Returns:
        [H, W, 3] uint8, a new array.
    """
    image = _check_picture(image_uint8)
    best_first = np.argsort(-np.asarray(detections.scores), kind="stable")
    found = Detections(
        _check_boxes(detections.boxes_xyxy)[best_first],
        np.asarray(detections.scores)[best_first],
        np.asarray(detections.labels)[best_first],
    )
    truth = Truth(_check_boxes(truth.boxes_xyxy), np.asarray(truth.labels), np.asarray(truth.difficult, bool))
    verdicts, matched = match_detections(found, truth, iou_threshold)
    missed = set(np.flatnonzero(~truth.difficult)) - set(matched[verdicts == RIGHT])
    canvas = _Canvas.over(image)
    labelled = []
    for box, score, label, verdict in reversed(list(zip(*found, verdicts.tolist(), strict=True))):
        frame = canvas.frame(box)
        if frame is not None:
            canvas.draw.rectangle(frame, outline=VERDICT_COLORS[verdict], width=canvas.line)
            caption = f"{VERDICT_PREFIXES[verdict]}{class_names[label]} {score:.2f}"
            labelled.append((frame, caption, VERDICT_COLORS[verdict]))
    labelled.reverse()
    for index, (box, label) in enumerate(zip(truth.boxes_xyxy, truth.labels, strict=True)):
        frame = canvas.frame(box)
        if frame is not None:
            canvas.dashes(frame)
            if index in missed:
                labelled.append((frame, f"missed: {class_names[label]}", INK))
    canvas.label(labelled)
    return np.asarray(canvas.picture)


def contact_sheet(images, columns, tile=320, captions=None) -> np.ndarray:
    """One picture of many, row by row, each shrunk or grown to fit its tile; a row is as high as its highest picture.

    Args:
        images: N pictures uint8 [H, W, 3], of any sizes.
        columns: pictures in a row.
        tile: side of the square that a picture gets, in pixels.
        captions: N strings to stand under the pictures.
    Returns:
        uint8 RGB; its width is `columns` tiles and the gaps.
    Raises:
        UserError: there are no pictures, or not as many captions.
    """
    if len(images) == 0 or columns < 1 or tile < 1:
        raise UserError(f"a sheet of {len(images)} pictures in {columns} columns of {tile} pixels: give at least one")
    if captions is not None and len(captions) != len(images):
        raise UserError(f"{len(images)} pictures with {len(captions)} captions: give one a picture")
    gap, font = max(2, tile // 40), _font(max(9, tile // 20))
    below = 0 if captions is None else _line_height(font) + gap
    pictures = [_fit(_check_picture(image), tile) for image in images]
    rows = [range(start, min(start + columns, len(images))) for start in range(0, len(images), columns)]
    heights = [max(pictures[index].height for index in row) for row in rows]
    sheet = Image.new("RGB", (gap + columns * (tile + gap), gap + sum(h + below + gap for h in heights)), WHITE)
    draw, y = ImageDraw.Draw(sheet), gap
    for row, height in zip(rows, heights, strict=True):
        for column, index in enumerate(row):
            picture, middle = pictures[index], gap + column * (tile + gap) + tile // 2
            sheet.paste(picture, (middle - picture.width // 2, y + (height - picture.height) // 2))
            if captions is not None:
                text = _shorten(str(captions[index]), font, tile)
                draw.text((middle, y + height + gap // 2), text, font=font, fill=INK, anchor="ma")
        y += height + below + gap
    return np.asarray(sheet)


@dataclass
class _Canvas:
    """A picture being drawn on, with line and letters of its scale."""

    picture: Image.Image
    draw: ImageDraw.ImageDraw
    line: int
    font: ImageFont.FreeTypeFont

    @classmethod
    def over(cls, image):
        picture = Image.fromarray(image)
        scale = math.sqrt(picture.width * picture.height)
        return cls(picture, ImageDraw.Draw(picture), max(1, round(scale / 150)), _font(max(10, round(scale / 30))))

    def frame(self, box):
        """The first and last pixel of a box in both directions (x0, y0, x1, y1), or None if it lies outside."""
        sides = np.array([*self.picture.size, *self.picture.size])
        if not np.isfinite(box).all() or (box[:2] >= sides[:2]).any() or (box[2:] <= 0).any():
            return None
        low, high = np.round(np.clip(box, 0, sides)).astype(int).reshape(2, 2)
        low = np.minimum(low, sides[:2] - 1)
        return tuple(int(v) for v in (*low, *np.maximum(high - 1, low)))

    def dashes(self, frame):
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

    def label(self, labelled):
        """Puts the captions' tabs, (frame, caption, color) each, the first where it likes best.

        Where they would hide the picture, only the first line of each is written, in small letters.
        """
        captions = [str(caption).split("\n") for _, caption, _ in labelled]
        if sum(math.prod(self._size(lines)) for lines in captions) > CROWDED * math.prod(self.picture.size):
            self.font, captions = _font(min(self.font.size, SMALL_PX)), [lines[:1] for lines in captions]
        tabs = []
        for (frame, _, color), lines in zip(labelled, captions, strict=True):
            lines = [_shorten(line, self.font, self.picture.width - 2 * self._pad) for line in lines]
            if any(lines):
                tabs.append((self._place(frame, lines, [tab for tab, _, _ in tabs]), lines, color))
        for (x0, y0, x1, y1), lines, color in reversed(tabs):
            self.draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=color)
            for number, line in enumerate(lines):
                middle = y0 + (y1 - y0) * (2 * number + 1) / (2 * len(lines))
                self.draw.text((x0 + self._pad, middle), line, font=self.font, fill=_ink_on(color), anchor="lm")

    @property
    def _pad(self):
        return max(2, round(1.5 * self.line))

    def _size(self, lines):
        """Width and height of a tab; none if there is nothing to write."""
        if not any(lines):
            return 0, 0
        width = math.ceil(max(map(self.font.getlength, lines))) + 2 * self._pad
        return width, min(len(lines) * _line_height(self.font) + self.line, self.picture.height)

    def _place(self, frame, lines, taken):
        """The tab's (x0, y0, x1, y1), end excluded: over the box, else in it, under it, at its foot, by free space."""
        width, height = self._size(lines)
        x0, y0, x1, y1 = frame
        lefts = (min(x0, self.picture.width - width), max(0, x1 + 1 - width))
        tops = (y0 - height, y0, y1 + 1, y1 + 1 - height)
        tops = [top for top in tops if 0 <= top <= self.picture.height - height] or [0]
        inside = [(left, top, left + width, top + height) for left in lefts for top in tops]
        return min(inside, key=lambda place: sum(_shared_area(place, tab) for tab in taken))


def _fit(image, tile):
    """The picture, its longer side made `tile` pixels."""
    picture = Image.fromarray(image)
    size = [max(1, round(side * tile / max(picture.size))) for side in picture.size]
    return picture.resize(size, Image.Resampling.LANCZOS)


def _shared_area(a, b) -> int:
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))


def _font(size_px):
    return ImageFont.load_default(size=size_px)


def _line_height(font) -> int:
    return sum(font.getmetrics())


def _shorten(text, font, width) -> str:
    """The text, or as much of its beginning as fits into `width` pixels, with "…"."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1].rstrip()
    return text + "…" if text else ""


def _ink_on(color):
    red, green, blue = color
    return BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else WHITE


def _rgb(color) -> tuple[int, int, int]:
    return tuple(int(channel) for channel in color)


def _check_picture(image) -> np.ndarray:
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise UserError(f"a picture of {image.dtype} {list(image.shape)}: give uint8 RGB [height, width, 3]")
    return np.ascontiguousarray(image)


def _check_boxes(boxes) -> np.ndarray:
    boxes = np.asarray(boxes, float)
    if boxes.size == 0:
        return boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise UserError(f"boxes of shape {list(boxes.shape)}: give [N, 4], x0 y0 x1 y1 each")
    return boxes
