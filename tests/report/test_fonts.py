"""Letters of every script: drawn where a font has them, else left out and said; never as empty boxes."""

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from matplotlib.text import Text

from yolo9000_jax import logs
from yolo9000_jax.predict.result import Result
from yolo9000_jax.report import fonts
from yolo9000_jax.report.draw import contact_sheet, draw_boxes
from yolo9000_jax.report.fonts import OWN, drawable, families_of, runs_of, width_of
from yolo9000_jax.report.style import new_figure, save

COMMON = ("dog", "dog 0.95", "Straße äöü", "красный", "Ελληνικά", "أحمر", "naïve … “x”", "Łódź", "")


def forget():
    for cached in (fonts._files, fonts._file_with, fonts._covered):
        cached.cache_clear()
    logs._said.clear()


@pytest.fixture
def system_fonts(monkeypatch):
    """system_fonts(*files): a machine with these fonts only."""

    def choose(*files):
        monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: list(map(str, files)))
        forget()

    yield choose
    monkeypatch.undo()
    forget()


def make_font(path, letters: str, wide: int = 1000):
    """A font whose letters are filled squares of this width."""
    pen = TTGlyphPen(None)
    pen.moveTo((50, 0))
    for corner in ((50, 700), (wide - 50, 700), (wide - 50, 0)):
        pen.lineTo(corner)
    pen.closePath()
    names = [".notdef", *(f"u{ord(letter):x}" for letter in letters)]
    builder = FontBuilder(1000)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(letter): name for letter, name in zip(letters, names[1:], strict=True)})
    builder.setupGlyf(dict.fromkeys(names, pen.glyph()))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (wide, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(str(path))
    return path


@pytest.mark.parametrize("text", COMMON)
def test_common_scripts_need_no_font_of_the_system(system_fonts, said, text):
    system_fonts()
    assert drawable(text) == text and not said
    assert "".join(part for part, _ in runs_of(text, 20)) == text and len(runs_of(text, 20)) == bool(text)


def test_pillows_own_font_where_it_has_all_letters(system_fonts):
    system_fonts()
    assert [file for _, file in fonts._parts("dog … 0.95")] == [OWN]
    assert [file for _, file in fonts._parts("Straße 0.95")] == [fonts._dejavu()]


def test_what_no_font_has_is_said_once(system_fonts, said):
    system_fonts()
    assert drawable("红色方块", "class 3") == "class 3"
    assert drawable("红色", "class 4") == "class 4" and drawable("红 dog", "class 5") == "class 5"
    assert drawable("红 dog") == "dog" and drawable("红") == ""
    assert len(said) == 1 and "'红色方块'" in said[0] and "fonts-noto-cjk" in said[0]
    assert drawable("हिन्दी", "class 5") == "class 5" and "fonts-noto-core" in said[1]
    assert drawable("\N{SLICE OF PIZZA} pizza", "class 7") == "pizza (class 7)" and "signs" in said[2]
    assert drawable("\N{SLICE OF PIZZA}", "class 0") == "class 0" and len(said) == 3


def test_a_font_of_the_system_is_found(system_fonts, said, tmp_path):
    """One that has all letters, though others have some; broken files and fonts of pictures are passed over."""
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    some = make_font(tmp_path / "some.ttf", "红")
    whole = make_font(tmp_path / "whole.ttf", "红色0123456789. ")
    emoji = make_font(tmp_path / "ColorEmoji.ttf", "红色0.95")
    system_fonts(tmp_path / "broken.ttf", emoji, some, whole)
    assert [file for _, file in fonts._parts("红色 0.95")] == [str(whole)]
    assert drawable("红色", "class 3") == "红色" and not said
    preferred = make_font(tmp_path / "NotoSansCJK-Regular.ttf", "红色", 500)
    system_fonts(emoji, make_font(tmp_path / "a.ttf", "红色"), preferred)
    assert width_of(runs_of("红色", 20)) == 20, "the preferred one"


def test_fonts_that_share_a_name(system_fonts, tmp_path):
    """Letters of one font, digits of another."""
    only = make_font(tmp_path / "only.ttf", "红色", 700)
    system_fonts(only)
    assert fonts._parts("红色 0.95") == [("红色 ", str(only)), ("0.95", OWN)]
    picture = np.zeros((120, 240, 3), np.uint8)
    drawn = draw_boxes(picture, [[20, 60, 200, 110]], ["红色 0.95"], [(0, 0, 255)])
    columns = np.flatnonzero((drawn == 255).all(-1).any(0))
    assert np.ptp(columns) > 15, "the digits stand behind the letters, which take 14 pixels"


def test_no_empty_boxes(system_fonts):
    """A name that cannot be drawn leaves the same ink as the number of its class."""
    system_fonts()
    image = np.full((100, 160, 3), 90, np.uint8)
    box = np.float32([[10, 40, 120, 90]])

    def result(name):
        return Result(image, box, np.float32([0.9]), np.array([1]), ("x", name)).draw()

    np.testing.assert_array_equal(result("红色方块"), result("class 1"))
    assert (result("красный") != result("class 1")).any()
    sheets = [contact_sheet([image], 1, captions=[text]) for text in ("猫 dog", "dog")]
    np.testing.assert_array_equal(*sheets)


def test_plots(system_fonts, tmp_path, recwarn):
    """Matplotlib is told of the font too; what none has becomes a number there as well."""
    font = make_font(tmp_path / "squares.ttf", "红色")
    system_fonts(font)
    try:
        assert families_of("红色 dog") == ["squares"]
        figure, (axes,) = new_figure(3, 3)
        title = axes.set_title("红色 $x$ кошка")
        save(figure, tmp_path / "a.png")
        assert isinstance(title, Text) and "squares" in title.get_fontfamily()
        assert not [w for w in recwarn if "Glyph" in str(w.message)], "no letter is missing from its fonts"
    finally:
        manager = font_manager.fontManager
        manager.ttflist = [entry for entry in manager.ttflist if entry.fname != str(font)]
