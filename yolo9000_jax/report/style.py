"""How the package's plots look, and how they reach a file.

The figures are made without pyplot, so they leave a notebook's own figures alone and need no display.
"""

import io
import os
from os import PathLike
from typing import Any

import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.files import check_earlier_result, write_whole
from yolo9000_jax.places import as_path, is_in_bucket
from yolo9000_jax.report.fonts import drawable, families_of

try:  # the plots take what they need of Matplotlib from here: one place says that it is missing
    from matplotlib import ticker as ticker
    from matplotlib.axes import Axes as Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg as FigureCanvasAgg
    from matplotlib.figure import Figure as Figure
    from matplotlib.patches import Rectangle as Rectangle
    from matplotlib.text import Text
except ImportError:
    raise UserError(
        "curves and plots are drawn with Matplotlib: pip install 'yolo9000_jax[plots]', "
        "or to train [demo], [tpu] or [cuda]"
    ) from None

INK, GREY, LIGHT = "#222222", "#8a8a8a", "#e3e3e3"
# Okabe and Ito's colours, told apart by colour-blind readers too.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#7f7f00", "#444444", "#b2182b")
LEGEND: dict[str, Any] = {"frameon": False, "fontsize": 9, "title_fontsize": 9}


def new_figure(width_in: float, height_in: float, rows: int = 1, columns: int = 1) -> tuple[Figure, np.ndarray]:
    """A figure, its sides in inches, and its flat array of axes in our plain style."""
    figure = Figure((width_in, height_in), dpi=120, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(GREY)
        axes.tick_params(colors=INK, labelsize=9, length=3, color=GREY)
        axes.grid(color=LIGHT, linewidth=0.8)
        axes.set_axisbelow(True)
    return figure, grid


def name_axes(axes: Axes, title: str, x: str, y: str) -> None:
    """Gives axes their title and the names of their directions."""
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)


def legend_entry(share: float, name: str) -> str:
    """Legend entry: a share in percent and a name."""
    return f"{100 * share:.1f}  {plain(name)}"


def plain(text: object) -> str:
    """The text, in which a $ starts no formula."""
    return str(text).replace("$", r"\$")


def short_number(value: float, _position: int | None = None) -> str:
    """1200000 as 1.2M, for the ticks of an axis."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}" if value % (size / 10) == 0 else f"{value / size:.1f}{unit}"
    return f"{value:.3g}"


def check_output(output: str | PathLike | None) -> None:
    """Raises UserError for a picture that could not be written, before the work for it is done; None is no picture."""
    if output is None:
        return
    path = as_path(output)
    known = path.suffix[1:].lower() in FigureCanvasAgg.get_supported_filetypes()
    check_earlier_result(path, "Matplotlib")  # which signs what it draws
    if is_in_bucket(path) and known:
        return
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not known or path.is_dir() or not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UserError(
            f"{output}: a plot cannot be written there: name a .png, .svg or .pdf file in a folder of yours"
        )


def to_png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    return _written(figure, "png")


def save(figure: Figure, output: str | PathLike, **options: Any) -> None:
    """Writes a figure, making its folder; options as for savefig. Raises UserError where that cannot be done."""
    try:
        path = as_path(output)
        write_whole(path, _written(figure, path.suffix[1:] or None, **options))
    except (OSError, ValueError) as error:
        raise UserError(f"{output}: cannot write the plot ({error}): name a .png, .svg or .pdf file") from error


def _written(figure: Figure, kind: str | None, **options: Any) -> bytes:
    content = io.BytesIO()
    for text in figure.findobj(Text):
        _find_letters(text)
    figure.savefig(content, format=kind, **options)
    return content.getvalue()


def _find_letters(text: Text) -> None:
    """Gives a text the fonts that its letters need, in place."""
    words = text.get_text()
    if not words.isascii():
        text.set_text(drawable(words))
        text.set_fontfamily([*text.get_fontfamily(), *families_of(words)])
