"""The frame of every page that this package writes: one HTML file that needs nothing else, not even a network.

The look is look.css, what moves is frame.js and the page's own scripts. A page loads nothing and runs no other script,
as its Content-Security-Policy names these by their hashes: what a label or a file name says can never run.
"""

import base64
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from yolo9000_jax.errors import UserError
from yolo9000_jax.files import shown, write_whole
from yolo9000_jax.html import Html, element
from yolo9000_jax.places import as_path
from yolo9000_jax.report.table import Table

PAGE = "index.html"
GENERATOR = "yolo9000"
PAGE_MARK = rf'<meta name="generator" content="{GENERATOR}">'  # that a page of ours has, and a user's own has not
FRAME_SCRIPT, LOOK = "frame.js", "look.css"


class Section(NamedTuple):
    """A part of a page: name, its place in the address (letters only), a title, and what is in it; text is escaped."""

    name: str
    title: str
    parts: Sequence[object]


def page(
    title: str, sections: Sequence[Section], *, lead: object = "", data: Any = None, scripts: Sequence[str] = ()
) -> str:
    """A page.

    Args:
        title: its heading.
        sections: its parts, in order; they are listed above it.
        lead: what stands below the heading.
        data: a JSON value for the scripts, which read it as `page.data`.
        scripts: names of JavaScript files in this folder, run in order after frame.js.

    Returns:
        The whole HTML file.
    """
    codes = [_file(name) for name in (FRAME_SCRIPT, *scripts)]
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'" for code in codes)
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {hashes}"
    head = element(
        "head",
        Html('<meta charset="utf-8">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        Html(f'<meta name="generator" content="{GENERATOR}">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        element("title", title),
        element("style", Html(_file(LOOK))),
    )
    links = [element("a", section.title, href=f"#{section.name}") for section in sections]
    parts = [element("section", element("h2", each.title), *each.parts, id=each.name) for each in sections]
    body = element(
        "body",
        element("a", "to the content", href="#content", class_="skip"),
        element("header", element("h1", title), element("div", lead, class_="lead")),
        element("nav", *links, element("button", "dark / light", id="theme", type="button"), aria_label="parts"),
        element("main", *parts, id="content"),
        element("script", _json(data), type="application/json", id="data"),
        *(element("script", Html(code)) for code in codes),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def save_page(folder: str | PathLike[str], content: str) -> Path:
    """Writes a page as index.html of a folder, which is made; its path. Raises UserError where that cannot be done."""
    place = as_path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{place}: cannot make this folder ({error.strerror}); choose another") from error
    write_whole(place / PAGE, content)
    return place / PAGE


def table(content: Table, terms: Mapping[str, str] | None = None, sortable: bool = False) -> Html:
    """A table with its title above and its note below.

    Args:
        content: the table.
        terms: what the heads and the cells of the first column mean, shown when they are pointed at.
        sortable: a click on a head sorts by it.
    """
    meanings, flush_right = terms or {}, content.flush_right()
    heads, *rows = content.lines()

    def cell(tag: str, words: str, column: int) -> Html:
        meaning = meanings.get(words) if tag == "th" or column == 0 else None
        inner = term(words, meaning) if meaning else words
        return element(tag, inner, class_="number" if flush_right[column] else None)

    lines = [element("tr", *(cell("td", words, column) for column, words in enumerate(row))) for row in rows]
    head = element("tr", *(cell("th", words, column) for column, words in enumerate(heads)))
    drawn = element(
        "table",
        element("caption", content.title) if content.title else "",
        element("thead", head),
        element("tbody", *lines),
        class_="sortable" if sortable else None,
    )
    notes = [element("p", line, class_="note") for line in content.note.splitlines()]
    return element("div", element("div", drawn, class_="wide", tabindex=0), *notes)


def picture(image: Image.Image, words: str, side_px: int | None = None) -> Html:
    """A picture as a part of the page.

    Args:
        image: RGB.
        words: what is told of it to those who cannot see it.
        side_px: the most that its longer side has; None: it stays as large as it is.
    """
    content, small = io.BytesIO(), image.copy()
    small.thumbnail((side_px, side_px) if side_px else image.size)
    small.save(content, "JPEG", quality=80)
    source = f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"
    return element("img", src=source, alt=shown(words), style="max-width:100%")


def term(words: object, meaning: str) -> Html:
    """Words that say what they mean when the mouse or the keyboard is on them."""
    return element("span", words, class_="term", tabindex=0, data_tip=meaning, aria_description=meaning)


def _json(value: Any) -> Html:
    """JSON that ends no script element and opens none, whatever the texts in it say."""
    text = json.dumps(_clean(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Html(text)


def _clean(value: Any) -> Any:
    """The same with None for numbers that JSON has no word for, and texts as `shown`."""
    if isinstance(value, dict):
        return {shown(str(key)): _clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    if isinstance(value, str):
        return shown(value)
    return None if isinstance(value, float) and (value != value or value in (float("inf"), -float("inf"))) else value


def _file(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")
