"""Boxes on pictures, and sheets of pictures, with Pillow. Pictures are uint8 RGB [H, W, 3], never changed in place."""

import colorsys
import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.voc import (
    FALSE_POSITIVE,
    IGNORED,
    TRUE_POSITIVE,
    GroundTruth,
    ImageDetections,
    match_detections,
)
from yolo9000_jax.files import write_whole
from yolo9000_jax.logs import logger
from yolo9000_jax.report.canvas import INK, WHITE, Canvas, Color, shorten, write
from yolo9000_jax.report.fonts import drawable, height_of, runs_of, width_of
from yolo9000_jax.text import printable

OUTCOME_COLORS = {TRUE_POSITIVE: (0, 158, 115), FALSE_POSITIVE: (213, 94, 0), IGNORED: (110, 110, 110)}
OUTCOME_PREFIXES = {TRUE_POSITIVE: "", FALSE_POSITIVE: "wrong: ", IGNORED: "not counted: "}
LEGEND = {"right": OUTCOME_COLORS[TRUE_POSITIVE], "wrong": OUTCOME_COLORS[FALSE_POSITIVE]} | {
    "not counted": OUTCOME_COLORS[IGNORED],
    "missed (dashed: what is there)": INK,
}
LIST_PX, MOST_LIST_PX = 12, 28  # letters of a list below a picture
MOST_JPEG_SIDE = 65500  # pixels, of libjpeg; the format itself has 35 more
GOLDEN_RATIO = (math.sqrt(5) - 1) / 2


def class_color(label: int) -> Color:
    """The RGB colour of a class: always the same, and far from its neighbours'.

    The hue turns by the golden ratio, which never comes back; lightness and saturation change in between.
    """
    label = int(label)
    hue = (0.58 + label * GOLDEN_RATIO) % 1
    lightness = (0.47, 0.42, 0.62)[label % 3]
    saturation = (0.85, 0.95, 0.6)[label // 3 % 3]
    return _rgb([255 * channel for channel in colorsys.hls_to_rgb(hue, lightness, saturation)])


def draw_boxes(
    image_uint8: np.ndarray,
    boxes_xyxy: np.ndarray,
    captions: Sequence[str],
    colors: Sequence[Sequence[float]] | None = None,
    listed: bool = False,
) -> np.ndarray:
    """The picture with a frame on each box and its caption on a filled tab.

    Frames lie inside their boxes, tabs inside the picture, where they hide least of the boxes and of each other; line
    and letters grow with the picture. A box that comes earlier is drawn over later ones, so put the best first. Of a
    box that reaches over the edge the part inside is drawn. In a crowded picture captions that have no room are left
    out.

    Args:
        image_uint8: [H, W, 3].
        boxes_xyxy: [N, 4] pixels of this picture.
        captions: N strings, of one or more lines; an empty one gets no tab.
        colors: N RGB triples of 0..255; left out, N colours that differ.
        listed: captions that have no room are numbers, and a list below the picture says what these are.
    Returns:
        [H, W, 3] uint8, a new array; higher than the picture where there is a list.
    Raises:
        UserError: the arguments do not fit together.
    """
    image, boxes = _check_picture(image_uint8), _check_boxes(boxes_xyxy)
    colors_rgb = [class_color(i) for i in range(len(boxes))] if colors is None else [_rgb(color) for color in colors]
    for what, count in (("captions", len(captions)), ("colors", len(colors_rgb))):
        if count != len(boxes):
            raise UserError(f"{len(boxes)} boxes with {count} {what}: give one a box")
    canvas = Canvas.over(image)
    labelled = []
    for box, caption, color in reversed(list(zip(boxes, captions, colors_rgb, strict=True))):
        frame = canvas.frame(box)
        if frame is not None:
            canvas.draw.rectangle(frame, outline=color, width=canvas.line)
            labelled.append((frame, caption, color))
    numbers = canvas.label(labelled[::-1], numbered=listed)
    drawn = np.asarray(canvas.picture)
    return below(drawn, [(f"{number} {words}", color) for number, (words, color) in enumerate(numbers, 1)])


def below(image_uint8: np.ndarray, entries: Sequence[tuple[str, Color]]) -> np.ndarray:
    """The picture with a list below it, of words beside their colors, in as many columns as there is room for."""
    if not entries:
        return image_uint8
    width = image_uint8.shape[1]
    letters_px = min(max(LIST_PX, round(math.sqrt(image_uint8.shape[0] * width) / 50)), MOST_LIST_PX)
    gap = letters_px // 2
    lines = [shorten(drawable(words), letters_px, max(1, width - 4 * gap)) for words, _ in entries]
    wide = math.ceil(max(width_of(runs_of(line, letters_px)) for line in lines)) + 4 * gap
    high = max(height_of(runs_of(line, letters_px)) for line in lines) + 2
    columns = max(1, width // wide)
    rows = math.ceil(len(lines) / columns)
    strip = Image.new("RGB", (width, rows * high + 2 * gap), WHITE)
    draw = ImageDraw.Draw(strip)
    for number, (line, (_, color)) in enumerate(zip(lines, entries, strict=True)):
        x, y = number // rows * (width // columns) + gap, number % rows * high + gap
        draw.rectangle((x, y + high // 4, x + letters_px // 2, y + high * 3 // 4), fill=color)
        write(draw, (x + letters_px // 2 + gap, y + high / 2), line, letters_px, INK)
    return np.concatenate([image_uint8, np.asarray(strip)])


def draw_against_truth(
    image_uint8: np.ndarray,
    detections: ImageDetections,
    truth: GroundTruth,
    class_names: Sequence[str],
    iou_threshold: float = 0.5,
) -> np.ndarray:
    """The picture with detections in green where they are right, orange where wrong, grey where they do not count.

    These are on a truth marked difficult, or in a crowd. The truth is dashed; what no detection found is named too, on
    a black tab. Right and wrong are the evaluation's: the right class, enough overlap, and the first to find its truth.

    Args:
        image_uint8: [H, W, 3].
        detections, truth: in pixels of this picture.
        class_names: one name a class.
        iou_threshold: enough overlap.
    Returns:
        [H, W, 3] uint8, a new array.
    """
    image = _check_picture(image_uint8)
    best_first = np.argsort(-np.asarray(detections.scores), kind="stable")
    found = ImageDetections(
        _check_boxes(detections.boxes_xyxy)[best_first],
        np.asarray(detections.scores)[best_first],
        np.asarray(detections.labels)[best_first],
    )
    difficult = np.asarray(truth.difficult, bool)
    truth = GroundTruth(_check_boxes(truth.boxes_xyxy), np.asarray(truth.labels), difficult, truth.crowd)
    outcomes, matched = match_detections(found, truth, iou_threshold)
    missed = set(np.flatnonzero(~truth.difficult)) - set(matched[outcomes == TRUE_POSITIVE])
    canvas, names = Canvas.over(image), [drawable(name, f"class {label}") for label, name in enumerate(class_names)]
    labelled = []
    for box, score, label, outcome in reversed(list(zip(*found, outcomes.tolist(), strict=True))):
        frame = canvas.frame(box)
        if frame is not None:
            canvas.draw.rectangle(frame, outline=OUTCOME_COLORS[outcome], width=canvas.line)
            caption = f"{OUTCOME_PREFIXES[outcome]}{names[label]} {score:.2f}"
            labelled.append((frame, caption, OUTCOME_COLORS[outcome]))
    labelled.reverse()
    for index, (box, label) in enumerate(zip(truth.boxes_xyxy, truth.labels, strict=True)):
        frame = canvas.frame(box)
        if frame is not None:
            canvas.dashes(frame)
            if index in missed:
                labelled.append((frame, f"missed: {names[label]}", INK))
    canvas.label(labelled)
    return np.asarray(canvas.picture)


def contact_sheet(
    images: Sequence[np.ndarray], columns: int, tile: int = 320, captions: Sequence[str] | None = None
) -> np.ndarray:
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
    gap, letters_px = max(2, tile // 40), max(9, tile // 20)
    lines = [shorten(drawable(caption), letters_px, tile) for caption in captions or ()]
    line_px = max((height_of(runs_of(line, letters_px)) for line in lines), default=0)
    below = line_px + gap if lines else 0
    pictures = [_fit(_check_picture(image), tile) for image in images]
    rows = [range(start, min(start + columns, len(images))) for start in range(0, len(images), columns)]
    heights = [max(pictures[index].height for index in row) for row in rows]
    sheet = Image.new("RGB", (gap + columns * (tile + gap), gap + sum(h + below + gap for h in heights)), WHITE)
    draw, y = ImageDraw.Draw(sheet), gap
    for row, height in zip(rows, heights, strict=True):
        for column, index in enumerate(row):
            picture, middle = pictures[index], gap + column * (tile + gap) + tile // 2
            sheet.paste(picture, (middle - picture.width // 2, y + (height - picture.height) // 2))
            if lines:
                left = middle - width_of(runs_of(lines[index], letters_px)) / 2
                write(draw, (left, y + height + (gap + line_px) / 2), lines[index], letters_px, INK)
        y += height + below + gap
    return np.asarray(sheet)


def save_picture(image_uint8: np.ndarray, path: Path) -> None:
    """Writes a picture [H, W, 3]; the path's ending chooses the format.

    One that is too large for a JPEG is made smaller, which is logged.

    Raises:
        UserError: it cannot be written.
    """
    picture = Image.fromarray(image_uint8)
    if path.suffix.lower() in (".jpg", ".jpeg") and max(picture.size) > MOST_JPEG_SIDE:
        picture = _fit(image_uint8, MOST_JPEG_SIDE)
        size = f"{picture.width}x{picture.height}"
        logger.info(f"{printable(str(path))}: drawn at {size}, as a JPEG's sides are {MOST_JPEG_SIDE} pixels at most")
    try:
        content = io.BytesIO()
        Image.init()
        picture.save(content, Image.EXTENSION[path.suffix.lower()])
        write_whole(path, content.getvalue())
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: cannot write the picture ({error}); choose another place") from error


def _fit(image: np.ndarray, tile: int) -> Image.Image:
    """The picture, its longer side made `tile` pixels."""
    picture = Image.fromarray(image)
    width, height = (max(1, round(side * tile / max(picture.size))) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def _rgb(color: Sequence[float]) -> Color:
    red, green, blue = (round(channel) for channel in color)
    return red, green, blue


def _check_picture(image: np.ndarray) -> np.ndarray:
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise UserError(f"a picture of {image.dtype} {list(image.shape)}: give uint8 RGB [height, width, 3]")
    return np.ascontiguousarray(image)


def _check_boxes(boxes: np.ndarray) -> np.ndarray:
    boxes = np.asarray(boxes, float)
    if boxes.size == 0:
        return boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise UserError(f"boxes of shape {list(boxes.shape)}: give [N, 4], x0 y0 x1 y1 each")
    return boxes
