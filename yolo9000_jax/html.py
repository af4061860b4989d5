"""What objects show of themselves in a notebook: text, numbers and pictures as HTML.

Whatever is not `Html` already is escaped, here and nowhere else, so that nothing a label or a file name says can run.
"""

import base64
import html
import io
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from PIL import Image

SHOWN_SIDE = 640  # pixels of a picture's longer side: a notebook keeps what it shows
COLOR = "#d55e00"
_CELL = "text-align:left;padding:2px 12px 2px 0;vertical-align:top"


class Html(str):
    """Markup made by this module: a string in which every text from outside is escaped."""


def card(title: object, facts: Mapping[str, object] | None = None, *parts: object) -> Html:
    """A title, facts below it as "name: value" lines, then other parts."""
    lines = table((), list(facts.items())) if facts else Html()
    return Html(f'<div style="margin:4px 0"><b>{_safe(title)}</b>{lines}{_joined(parts)}</div>')


def table(columns: Sequence[object], rows: Iterable[Sequence[object]]) -> Html:
    """Rows of cells under their heads, if there are any."""
    head = "".join(f'<th style="{_CELL}">{_safe(cell)}</th>' for cell in columns)
    body = ("".join(f'<td style="{_CELL}">{_safe(cell)}</td>' for cell in row) for row in rows)
    lines = [*([head] if head else []), *body]
    return Html(f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>")


def folded(title: object, *parts: object) -> Html:
    """Parts that are seen when their title is clicked."""
    return Html(f"<details><summary>{_safe(title)}</summary>{_joined(parts)}</details>")


def element(tag: str, *parts: object, **attributes: object) -> Html:
    """`<tag …>parts</tag>`. Attributes as keywords, with an underscore for a hyphen, and one at the end of a word that
    is Python's, as in class_; those that are None are left out."""
    named = ((name.rstrip("_").replace("_", "-"), value) for name, value in attributes.items() if value is not None)
    listed = "".join(f' {name}="{html.escape(str(value))}"' for name, value in named)
    return Html(f"<{tag}{listed}>{_joined(parts)}</{tag}>")


def text(lines: object) -> Html:
    """Text as it is, with its line breaks and blanks."""
    return Html(f'<pre style="margin:4px 0">{_safe(lines)}</pre>')


def png(content: bytes) -> Html:
    """A picture from the bytes of a PNG file."""
    return Html(f'<img style="max-width:100%" src="data:image/png;base64,{base64.b64encode(content).decode()}">')


def picture(
    image_uint8: np.ndarray,
    boxes_xyxy: Iterable[Sequence[float]] = (),
    names: Sequence[object] = (),
    side: int = SHOWN_SIDE,
) -> Html:
    """A picture [H, W, 3], made smaller where it is large, with frames that tell their names under the mouse.

    Args:
        image_uint8: RGB.
        boxes_xyxy: N boxes in its pixels.
        names: N names.
        side: the most pixels that its longer side is shown with.
    """
    height, width = image_uint8.shape[:2]
    small, content = Image.fromarray(image_uint8), io.BytesIO()
    small.thumbnail((side, side))
    small.save(content, "PNG")
    scale = np.array([width, height, width, height]) / 100
    frames = (_frame(np.asarray(box, float) / scale, "%", name) for box, name in zip(boxes_xyxy, names, strict=True))
    place = "position:relative;display:inline-block;margin:2px"
    return Html(f'<div style="{place}">{png(content.getvalue())}{"".join(frames)}</div>')


def centred(shapes_wh: np.ndarray, names: Sequence[object], side: int = 160) -> Html:
    """Frames of N widths and heights about one middle, the largest of them `side` pixels."""
    half = np.asarray(shapes_wh, float) * side / np.max(shapes_wh) / 2
    boxes = np.concatenate([side / 2 - half, side / 2 + half], axis=-1)
    frames = (_frame(box, "px", name) for box, name in zip(boxes, names, strict=True))
    return Html(f'<div style="position:relative;width:{side}px;height:{side}px;margin:4px">{"".join(frames)}</div>')


def bar(share: float) -> Html:
    """A bar whose length is a share of 1."""
    return Html(f'<div style="width:{100 * float(share):.0f}px;height:.8em;background:{COLOR}"></div>')


def _frame(box_xyxy: np.ndarray, unit: str, name: object) -> str:
    x0, y0, x1, y1 = box_xyxy.tolist()
    sides = zip(("left", "top", "width", "height"), (x0, y0, x1 - x0, y1 - y0), strict=True)
    style = ";".join(f"{side}:{value:.2f}{unit}" for side, value in sides)
    look = f"position:absolute;box-sizing:border-box;border:2px solid {COLOR};{style}"
    return f'<div title="{_safe(name)}" style="{look}"></div>'


def _joined(parts: Iterable[object]) -> str:
    return "".join(map(_safe, parts))


def _safe(content: object) -> str:
    """Markup as it is, all else escaped."""
    return content if isinstance(content, Html) else html.escape(str(content))
