"""The paper's comparisons as pictures: priors (Figure 2), accuracy against speed (Figure 4), and tables."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from os import PathLike

import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.report.style import (
    COLORS,
    GREY,
    INK,
    LEGEND,
    LIGHT,
    Axes,
    Figure,
    FigureCanvasAgg,
    Rectangle,
    legend_entry,
    name_axes,
    new_figure,
    plain,
    save,
    short_number,
    ticker,
)
from yolo9000_jax.report.table import Table

MARKERS = "sD^vP*X"


def plot_anchors(
    iou_by_k: Mapping[str, Mapping[int, float]],
    output: str | PathLike,
    marks: Mapping[str, Mapping[str, tuple[int, float]]] | None = None,
    anchors: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Draws how well priors fit the boxes of one or more data sets (the paper's Figure 2).

    To the left the average IoU of the boxes with their closest prior against the number of priors; to the right, where
    given, the shapes of some priors.

    Args:
        iou_by_k: {data set: {k: average IoU, 0..1}}.
        output: the picture to write; its ending chooses the format.
        marks: {data set: {label: (k, average IoU)}}, points to compare with, such as hand-picked priors.
        anchors: {data set: shapes [k, 2], width and height as fractions of the picture}.
    Raises:
        UserError: there is no k to draw; the picture cannot be written.
    """
    curves = {name: sorted((int(k), 100 * iou) for k, iou in by_k.items()) for name, by_k in iou_by_k.items()}
    marks = marks or {}
    if not curves or not all(curves.values()):
        raise UserError("no number of priors to draw: give the average IoU of at least one k")
    figure, panels = new_figure(10.4 if anchors else 6.4, 4.9, 1, 2 if anchors else 1)
    axes = panels[0]
    markers: dict[str, str] = {}
    for (name, points), color in zip(curves.items(), cycle(COLORS), strict=False):
        k, iou = zip(*points, strict=True)
        axes.plot(k, iou, color=color, linewidth=2, marker="o", markersize=5, label=f"k-means, {plain(name)}")
        for x, y in points if len(curves) == 1 else ():
            axes.annotate(f"{y:.0f}", (x, y), (0, 6), textcoords="offset points", fontsize=8, ha="center")
        hollow = {"markersize": 7, "markeredgecolor": color, "markerfacecolor": "white", "markeredgewidth": 1.6}
        for label, (mark_k, mark_iou) in marks.get(name, {}).items():
            marker = markers.setdefault(label, MARKERS[len(markers) % len(MARKERS)])
            label = legend_entry(mark_iou, label if len(curves) == 1 else f"{label}, {name}")
            axes.plot(mark_k, 100 * mark_iou, marker, linestyle="", label=label, zorder=3, **hollow)
    name_axes(axes, "How well the priors fit the boxes", "number of priors k", "average IoU (%)")
    axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    axes.margins(x=0.06, y=0.1)
    figure.legend(loc="outside lower left", ncols=len(curves), **LEGEND)
    if anchors:
        _draw_shapes(panels[1], anchors)
    save(figure, output)


def plot_accuracy_speed(
    curves: Mapping[str, Sequence[tuple]],
    cited: Mapping[str, Sequence[tuple]],
    output: str | PathLike,
    metric: str = "voc07_ap50",
) -> None:
    """Draws accuracy against speed, one point an input size (the paper's Figure 4); without accuracies, speed by size.

    Args:
        curves: {name: [(size, images a second, slowest run, fastest run, average precision 0..1 or None)]}.
        cited: {name: [(size, images a second, average precision)]}, others' numbers, in grey; may be empty.
        output: the picture to write; its ending chooses the format.
        metric: what the average precisions are called.
    Raises:
        UserError: there is nothing to draw; the picture cannot be written.
    """
    if not curves or not all(curves.values()):
        raise UserError("no speeds to draw: give at least one size")
    with_accuracy = all(point[4] is not None for points in curves.values() for point in points)
    figure, (axes,) = new_figure(7.2, 5)
    for (name, points), color in zip(curves.items(), cycle(COLORS), strict=False):
        sizes, speeds, slowest, fastest, ap = (np.array(column, float) for column in zip(*points, strict=True))
        spread = np.abs(np.stack([slowest, fastest]) - speeds)
        style = {"color": color, "linewidth": 2, "marker": "o", "markersize": 6, "label": plain(name)}
        style |= {"elinewidth": 1, "capsize": 3}
        if with_accuracy:
            axes.errorbar(speeds, 100 * ap, xerr=spread, **style)
            _label_sizes(axes, sizes, speeds, 100 * ap, color)
        else:
            axes.errorbar(sizes, speeds, yerr=spread, **style)
            axes.set_xticks(sizes)
    for name, points in cited.items() if with_accuracy else ():
        sizes, speeds, ap = (np.array(column, float) for column in zip(*points, strict=True))
        style = {"color": GREY, "linewidth": 1.4, "linestyle": "--", "marker": "s", "markersize": 5}
        axes.plot(speeds, 100 * ap, label=plain(name), **style)
        _label_sizes(axes, sizes, speeds, 100 * ap, GREY)
    if with_accuracy:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(ticker.FuncFormatter(short_number))
        axes.xaxis.set_minor_locator(ticker.NullLocator())
        name_axes(axes, "Accuracy against speed, by input size", "images per second", f"{metric} (%)")
    else:
        axes.set_ylim(bottom=0)
        name_axes(axes, "Speed by input size", "side of the input (pixels)", "images per second")
    axes.margins(x=0.08, y=0.16)
    figure.legend(loc="outside lower left", **LEGEND)
    save(figure, output)


def plot_path(
    rows: Sequence[str],
    ours: Sequence[tuple[float | None, float | None]],
    cited: Sequence[float | None],
    output: str | PathLike,
) -> None:
    """Draws the average precisions of an ablation, row by row, ours beside those that are cited.

    Args:
        rows: names of the rows, from the first to the last.
        ours: one (average precision 0..1, its spread) a row, None where there is none.
        cited: one average precision a row, None where there is none.
        output: the picture to write; its ending chooses the format.
    Raises:
        UserError: the picture cannot be written.
    """
    figure, (axes,) = new_figure(8.4, 4.8)
    percent = np.array([[np.nan if value is None else 100 * value for value in point] for point in ours], float)
    theirs = np.array([np.nan if value is None else 100 * value for value in cited], float)
    places = np.arange(len(rows))
    if np.isfinite(theirs).any():
        style = {"color": GREY, "linewidth": 1.4, "linestyle": "--", "marker": "s", "markersize": 5}
        axes.plot(places, theirs, label="cited from the paper, at its size and on its data", **style)
    style = {"color": COLORS[0], "linewidth": 2, "marker": "o", "markersize": 6, "elinewidth": 1, "capsize": 3}
    spread = np.nan_to_num(percent[:, 1])
    axes.errorbar(places, percent[:, 0], spread if spread.any() else None, label="ours", zorder=3, **style)
    for place, value, other in zip(places, percent[:, 0], theirs, strict=True):
        if np.isfinite(value):
            offset = (0, -16) if 0 < other - value < 8 else (0, 8)  # clear of the other curve
            axes.annotate(f"{value:.1f}", (place, value), offset, textcoords="offset points", fontsize=8, ha="center")
    axes.set_xticks(places, [plain(row).replace("_", "\n") for row in rows], fontsize=8)
    name_axes(axes, "The path from YOLO to YOLOv2", "", "mAP (%)")
    axes.margins(x=0.05, y=0.14)
    axes.set_ylim(bottom=0)
    figure.legend(loc="outside lower left", ncols=2, **LEGEND)
    save(figure, output)


def plot_effects(effects: Sequence[tuple[str, float, float]], mains: int, output: str | PathLike) -> None:
    """Draws the effects of a factorial experiment with their intervals, those of single switches on top.

    Args:
        effects: (name, effect, half the width of its interval), shares; those of single switches first.
        mains: how many are of single switches.
        output: the picture to write; its ending chooses the format.
    Raises:
        UserError: the picture cannot be written.
    """
    figure, (axes,) = new_figure(7.6, 1.2 + 0.28 * len(effects))
    axes.axvline(0, color=GREY, linewidth=1)
    for group, color in ((range(mains), COLORS[0]), (range(mains, len(effects)), GREY)):
        chosen = [effects[place] for place in group]
        values, margins = ([100 * effect[column] for effect in chosen] for column in (1, 2))
        style = {"color": color, "marker": "o", "markersize": 6, "linestyle": "", "elinewidth": 1.4, "capsize": 3}
        axes.errorbar(values, [-place for place in group], xerr=margins, **style)
    axes.set_yticks([-place for place in range(len(effects))], [plain(name) for name, _, _ in effects], fontsize=8)
    name_axes(axes, "What the switches do", "effect on mAP (points), 95 % interval", "")
    save(figure, output)


def plot_sizes(curves: Mapping[str, Sequence[tuple[int, float]]], output: str | PathLike) -> None:
    """Draws the average precision of networks against the size that they are judged at.

    Args:
        curves: {name: [(size in pixels, average precision 0..1)]}.
        output: the picture to write; its ending chooses the format.
    Raises:
        UserError: the picture cannot be written.
    """
    figure, (axes,) = new_figure(6.4, 4.4)
    for (name, points), color in zip(curves.items(), cycle(COLORS), strict=False):
        sizes, values = zip(*points, strict=True)
        percents = [100 * value for value in values]
        axes.plot(sizes, percents, color=color, linewidth=2, marker="o", markersize=6, label=plain(name))
        axes.set_xticks(sizes)
    name_axes(axes, "Accuracy by input size", "side of the input (pixels)", "mAP (%)")
    axes.set_ylim(bottom=0)
    figure.legend(loc="outside lower left", ncols=len(curves), **LEGEND)
    save(figure, output)


def plot_table(table: Table, output: str | PathLike) -> None:
    """Writes a report.table.Table as a picture.

    Raises:
        UserError: the picture cannot be written.
    """
    lines, flush_right = [list(map(plain, line)) for line in table.lines()], table.flush_right()
    figure = Figure((1, 0.24 * len(lines)), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    grid = axes.table([[f"  {cell}  " for cell in line] for line in lines], loc="upper left", edges="B")
    grid.AXESPAD = 0
    grid.auto_set_font_size(False)
    grid.set_fontsize(10)
    grid.auto_set_column_width(range(len(flush_right)))
    for (row, column), cell in grid.get_celld().items():
        cell.set(edgecolor=INK if row in (0, len(lines) - 1) else LIGHT, height=1 / len(lines))
        alignment = "right" if flush_right[column] else "left"
        cell.set_text_props(color=INK, ha=alignment, fontweight="bold" if row == 0 else "normal")
    axes.set_title(plain(table.title), loc="left", fontsize=12, fontweight="bold", color=INK)
    note = "\n".join(map(plain, table.note_lines()))
    axes.annotate(note, (0, 0), (0, -6), "axes fraction", "offset points", fontsize=8, color=GREY, va="top")
    save(figure, output, bbox_inches="tight", pad_inches=0.15)


def _draw_shapes(axes: Axes, anchors: Mapping[str, np.ndarray]) -> None:
    """Priors as rectangles that share a corner, so that the opposite one stands at (width, height); a colour a set."""
    for shapes, color in zip(anchors.values(), cycle(COLORS), strict=False):
        for width, height in 100 * np.asarray(shapes):
            axes.add_patch(Rectangle((0, 0), width, height, edgecolor=color, facecolor=(color, 0.06), linewidth=1.6))
            axes.plot(width, height, "o", color=color, markersize=4)
    reach = 108 * max(float(np.max(shapes)) for shapes in anchors.values())
    axes.set(xlim=(0, reach), ylim=(0, reach), aspect="equal")
    count = len(next(iter(anchors.values())))
    name_axes(axes, f"The shapes of {count} priors", "width (% of the picture)", "height (% of the picture)")


def _label_sizes(axes: Axes, sizes: np.ndarray, x: np.ndarray, y: np.ndarray, color: str) -> None:
    """Writes each point's input size beside it."""
    for size, at in zip(sizes, zip(x, y, strict=True), strict=True):
        axes.annotate(f"{size:.0f}", at, (6, 5), textcoords="offset points", fontsize=8, color=color)
