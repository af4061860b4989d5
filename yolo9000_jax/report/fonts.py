"""Letters of every script: which font of this machine has them, and what becomes of those that none has.

Pillow's own font has ASCII and few signs more; DejaVu Sans, which comes with Matplotlib, has Latin, Greek, Cyrillic,
Arabic and more; for the others the system's fonts are asked. Without Matplotlib there is ASCII alone. Letters that
nothing here can draw are left out, and a remark says once what to install: an empty box would say less than nothing.
"""

import io
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import cast

from PIL import ImageFont, features

from yolo9000_jax.logs import warn_once

PREFERRED = ("notosanscjk", "sourcehansans", "pingfang", "msyh", "hiragino", "wqy", "malgun", "yugoth", "notosans")
UNFIT = re.compile("emoji|lastresort|blank", re.IGNORECASE)  # coloured pictures, and fonts of nothing but boxes
ADORNED = re.compile("bold|black|heavy|thin|light|italic|oblique|condensed|serif|mono|display", re.IGNORECASE)
INVISIBLE = ("Cc", "Cf", "Cs", "Mn", "Zl", "Zp", "Zs")  # kinds of characters that need no glyph of their own

OWN = ""  # in place of a file: Pillow's own font

Run = tuple[str, ImageFont.FreeTypeFont]


def runs_of(text: str, size_px: float) -> list[Run]:
    """The text in parts, each with the font that draws it: one part wherever a single font has all letters."""
    return [(part, _font(file, size_px)) for part, file in _parts(text)]


def width_of(runs: Iterable[Run]) -> float:
    """Pixels that a line of such parts takes."""
    return sum(font.getlength(part) for part, font in runs)


def height_of(runs: Iterable[Run]) -> int:
    """Pixels from the top of the highest letter to the foot of the lowest."""
    return max((sum(font.getmetrics()) for _, font in runs), default=0)


def drawable(text: object, instead: str | None = None) -> str:
    """The text as it can be drawn.

    Signs that no font here has, such as emoji, are left out, and `instead`, such as the number of its class, follows
    what is left: names may differ by such signs alone. Where letters are missing, a name would become another:
    `instead` stands for all of it. Without `instead` all these are left out.
    """
    # Controls are no letters, and some end in an error of the layout.
    text = "".join(char for char in str(text) if char == "\n" or unicodedata.category(char) not in ("Cc", "Cs"))
    if text.isascii():
        return text
    left = "".join(part for part, _ in _parts(text)).strip()
    missing = {char for char in set(text) - set(left) if unicodedata.category(char) not in INVISIBLE}
    if not missing:
        return text
    _say(text, missing)
    is_other = not left or any(map(str.isalnum, missing))
    if instead is None:
        return left
    return instead if is_other else f"{left} ({instead})"


def families_of(text: str) -> list[str]:
    """Names by which Matplotlib knows the fonts of a text, those of the system made known to it."""
    from matplotlib.font_manager import FontProperties, fontManager

    found = []
    for file in dict.fromkeys(file for _, file in _parts(text)):
        if file not in (OWN, _dejavu()):
            fontManager.addfont(file)
            found.append(FontProperties(fname=file).get_name())
    return found


def _parts(text: str) -> list[tuple[str, str]]:
    """The drawable letters of a text, and for each part the font's file."""
    if text.isascii():
        return [(text, OWN)] if text else []
    letters = frozenset(char for char in text if unicodedata.category(char) not in INVISIBLE)
    if any(unicodedata.bidirectional(char) in ("R", "AL") for char in letters) and not features.check("raqm"):
        warn_once("raqm", f"{text!r} is drawn from left to right: Pillow has no libraqm here; pip install -U pillow")
    whole = next((file for file in _files() if letters <= _covered(file, letters)), None)
    if whole is not None:
        return [(text, whole)]
    parts: list[tuple[str, str]] = []
    for char in text:
        # A space or an accent belongs to the letter before it.
        file = _file_with(char) if char in letters else parts[-1][1] if parts else None
        if file is not None and parts and parts[-1][1] == file:
            parts[-1] = parts[-1][0] + char, file
        elif file is not None:
            parts.append((char, file))
    return parts


@lru_cache(maxsize=256)
def _font(file: str, size_px: float) -> ImageFont.FreeTypeFont:
    if file == OWN:
        return cast(ImageFont.FreeTypeFont, ImageFont.load_default(size=size_px))
    return ImageFont.truetype(file, size_px)


@lru_cache(maxsize=1)
def _dejavu() -> str:
    import matplotlib  # takes a second to import: only for letters that Pillow's own font lacks

    return str(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"))


@lru_cache(maxsize=1)
def _files() -> tuple[str, ...]:
    """Font files, those to be preferred first."""
    try:
        from matplotlib.font_manager import findSystemFonts
    except ImportError:
        return (OWN,)

    def rank(file: str) -> tuple[int, bool, str]:
        name = re.sub("[^a-z0-9]", "", Path(file).stem.lower())
        place = next((place for place, start in enumerate(PREFERRED) if name.startswith(start)), len(PREFERRED))
        return place, bool(ADORNED.search(name)), name

    found = [file for file in findSystemFonts() if not UNFIT.search(Path(file).stem)]
    return (OWN, _dejavu(), *sorted(found, key=rank))


@lru_cache(maxsize=4096)
def _file_with(char: str) -> str | None:
    return next((file for file in _files() if _covered(file, frozenset(char))), None)


@lru_cache(maxsize=4096)
def _covered(file: str, letters: frozenset[str]) -> frozenset[str]:
    """Those of the letters that a font has; none where it is broken, or made of pictures of one size."""
    try:
        from matplotlib.ft2font import FT2Font
    except ImportError:
        return frozenset(filter(str.isascii, letters))

    try:
        font = FT2Font(io.BytesIO(_font(OWN, 10).font_bytes) if file == OWN else file)
        return frozenset(char for char in letters if font.scalable and font.get_char_index(ord(char)))
    except (OSError, RuntimeError, ValueError):
        return frozenset()


def _say(text: str, missing: set[str]) -> None:
    if _files() == (OWN,):
        warn_once("Matplotlib", f"to draw the letters of {text!r} too: pip install 'yolo9000_jax[plots]'")
        return
    scripts = {unicodedata.name(char, "").partition(" ")[0] for char in missing}
    package = "fonts-noto-cjk" if scripts & {"CJK", "HIRAGANA", "KATAKANA", "HANGUL"} else "fonts-noto-core"
    if not any(map(str.isalnum, missing)):
        warn_once("symbols", f"the signs in {text!r} are left out of pictures: no font here has them")
        return
    warn_once(
        f"letters of {min(scripts)}",
        f"no font on this machine has the letters of {text!r}, so pictures show a number or what is left of the name: "
        f"install one (Debian, Ubuntu: apt install {package}; elsewhere Google's Noto fonts)",
    )
