"""Pictures of what a network does: training curves, precision against recall, confusion of classes."""

import json
import math
from collections.abc import Sequence
from os import PathLike

import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.voc import VocResult, interpolated_precision
from yolo9000_jax.places import as_path
from yolo9000_jax.report.style import (
    COLORS,
    GREY,
    INK,
    LEGEND,
    Axes,
    Figure,
    legend_entry,
    name_axes,
    new_figure,
    numbered_where_undrawable,
    plain,
    save,
    short_number,
    ticker,
)

BEST_COLORS = ("#08306b", "#08519c", "#2171b5", "#4292c6", "#6baed6")
WORST_COLORS = ("#fdae6b", "#fd8d3c", "#f16913", "#d94801", "#8c2d04")
EVALUATIONS = ("voc_ap50", "voc07_ap50", "recall50", "top1", "top5")
LEGEND_CLASSES = 10
MAX_GREY_CURVES = 200

Series = dict[str, tuple[np.ndarray, np.ndarray]]  # {name: (steps [n], values [n])}


def plot_curves(metrics_jsonl_path: str | PathLike, output: str | PathLike) -> None:
    """Draws a run's training curves: loss and its parts, evaluations, learning rate, speed; each where there is any.

    A line that is not whole (its run was killed while writing) is left out, and the picture says so. Where a resumed
    run did a step again, the later line counts.

    Args:
        metrics_jsonl_path: a file of one JSON object a line, each with "step" and numbers: "loss", "loss_…",
            "learning_rate", "images_per_s", and evaluations such as "voc_ap50" (0..1).
        output: the picture to write; its ending chooses the format.
    Raises:
        UserError: the file cannot be read or has no usable line; the picture cannot be written.
    """
    series, broken = read_metrics(metrics_jsonl_path)
    save(draw_curves(series, str(metrics_jsonl_path), broken), output)


def draw_curves(series: Series, source: str, broken: int = 0) -> Figure:
    """The figure of `plot_curves`.

    Args:
        series: {name: (steps [n], values [n])}, as `read_metrics` gives them.
        source: what messages call the file.
        broken: lines of it that could not be read, which the figure says.
    Raises:
        UserError: there is nothing to draw.
    """
    parts = [name for name in series if name.startswith("loss_")]
    panels = [
        (_plot_losses, [name for name in ("loss", *parts) if name in series]),
        (_plot_evaluations, [name for name in EVALUATIONS if name in series]),
        (_plot_learning_rate, [name for name in ("learning_rate",) if name in series]),
        (_plot_speed, [name for name in ("images_per_s",) if name in series]),
    ]
    panels = [(draw, names) for draw, names in panels if names]
    if not panels:
        raise UserError(f"{source}: no line with a step and a loss or an evaluation: nothing to draw")
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure, grid = new_figure(5.6 * columns, 3.6 * rows, rows, columns)
    last_step = max(series[name][0].max() for _, names in panels for name in names)
    for axes, (draw, names) in zip(grid, panels, strict=False):
        draw(axes, {name: series[name] for name in names})
        axes.set_xlim(-0.03 * max(last_step, 1), 1.03 * max(last_step, 1))
        axes.xaxis.set_major_formatter(ticker.FuncFormatter(short_number))
        axes.xaxis.set_major_locator(ticker.MaxNLocator(6, integer=True))
    for axes in grid[len(panels) :]:
        axes.remove()
    if broken:
        note = f"{broken} unreadable line{'s' * (broken > 1)} of the metrics left out"
        figure.supxlabel(note, fontsize=8, color=GREY, x=0.99, ha="right")
    return figure


def read_metrics(path: str | PathLike) -> tuple[Series, int]:
    """The number series of a metrics file: {name: (steps [n], values [n])}, and how many lines were not whole.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        lines = as_path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: give the metrics.jsonl that a training run wrote") from error
    values: dict[str, dict[int, float]] = {}
    broken = 0
    for line in filter(str.strip, lines):
        try:
            entry = json.loads(line)
            step = int(entry["step"])
        except (ValueError, KeyError, TypeError, OverflowError):
            broken += 1
            continue
        for name, value in entry.items():
            if name != "step" and isinstance(value, int | float):
                values.setdefault(name, {})[step] = float(value)
    series = {}
    for name, by_step in values.items():
        steps, of_steps = np.array(sorted(by_step.items())).T
        series[name] = (steps, of_steps)
    return series, broken


def plot_precision_recall(result: VocResult, class_names: Sequence[str], output: str | PathLike) -> None:
    """Draws precision against recall of every class that has truths, with its average precision.

    Up to ten classes get a colour each; of more, the mean is bold, the five best and the five worst are named, and the
    rest is grey.

    Args:
        result: a `VocResult`; the curves are the interpolated ones, so the area under each is its AP.
        class_names: one name a class.
        output: the picture to write; its ending chooses the format.
    Raises:
        UserError: no class has truths; the picture cannot be written.
    """
    names = numbered_where_undrawable(class_names)
    ranked = [(c.ap, name, c) for name, c in zip(names, result.per_class, strict=True) if c.ap is not None]
    if not ranked or result.voc_ap50 is None:
        raise UserError("no class has a truth in this data set, so there is no precision or recall to draw")
    ranked.sort(key=lambda entry: -entry[0])
    at = np.linspace(0, 1, 501)
    curves = np.array([interpolated_precision(c.recall, c.precision, at) for _, _, c in ranked])
    labels = [legend_entry(ap, name) for ap, name, _ in ranked]
    threshold = f"IoU ≥ {result.iou_threshold:g}"

    figure, (axes,) = new_figure(8.2, 5.2)
    if len(ranked) <= LEGEND_CLASSES:
        for curve, label, color in zip(curves, labels, COLORS, strict=False):
            axes.plot(at, curve, color=color, linewidth=1.8, label=label)
        title = f"AP (%) at {threshold}"
    else:
        middle = curves[5:-5]
        some = middle[:: math.ceil(len(middle) / MAX_GREY_CURVES)]
        axes.plot(at, some.T, color="#bbbbbb", linewidth=0.8, alpha=0.7)
        for index, color in [*enumerate(BEST_COLORS), *zip(range(-5, 0), WORST_COLORS, strict=True)]:
            axes.plot(at, curves[index], color=color, linewidth=1.3, label=labels[index])
        title = f"AP (%) at {threshold},\nbest and worst of {len(ranked)} classes"
    if len(ranked) > 1:
        axes.plot(at, curves.mean(axis=0), color=INK, linewidth=3, label=legend_entry(result.voc_ap50, "mean"))
    axes.legend(title=title, loc="upper left", bbox_to_anchor=(1.01, 1), alignment="left", **LEGEND)
    axes.set(xlim=(0, 1.005), ylim=(0, 1.02))
    name_axes(axes, "Precision and recall", "recall", "interpolated precision")
    save(figure, output)


def plot_confusion(
    matrix: Sequence[Sequence[int]], rows: Sequence[str], columns: Sequence[str], output: str | PathLike
) -> None:
    """Draws a confusion matrix: how many objects of each true class got which name, shaded by the share of its row.

    Args:
        matrix: counts [R, C].
        rows: names of the R true classes.
        columns: names of the C columns; the first R are those of the rows, so that the diagonal is right.
        output: the picture to write; its ending chooses the format.
    Raises:
        UserError: the matrix is empty; the picture cannot be written.
    """
    counts = np.asarray(matrix, float).reshape(len(rows), len(columns))
    if not counts.size:
        raise UserError("no class to draw a confusion matrix of: give at least one")
    rows, columns = numbered_where_undrawable(rows), numbered_where_undrawable(columns)
    totals = counts.sum(1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    figure, (axes,) = new_figure(2.6 + 0.62 * len(columns), 1.9 + 0.42 * len(rows))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        if count:
            color = "white" if shares[row, column] > 0.55 else INK
            weight = "bold" if row == column else "normal"
            axes.text(column, row, f"{count:.0f}", ha="center", va="center", fontsize=9, color=color, fontweight=weight)
    axes.set_xticks(range(len(columns)), [plain(name) for name in columns], rotation=40, ha="right")
    axes.set_yticks(
        range(len(rows)), [f"{plain(name)} ({total:.0f})" for name, total in zip(rows, totals[:, 0], strict=True)]
    )
    axes.axvline(len(rows) - 0.5, color=GREY, linewidth=1)
    axes.grid(False)
    name_axes(axes, "What the objects of each name are called", "name given", "true name (objects)")
    save(figure, output)


def _plot_losses(axes: Axes, series: Series) -> None:
    for index, (name, (steps, values)) in enumerate(series.items()):
        whole = name == "loss"
        color = INK if whole else COLORS[(index - 1) % len(COLORS)]
        label = "total" if whole else name.removeprefix("loss_").replace("_", " ")
        axes.plot(steps, values, color=color, linewidth=0.8, alpha=0.2)
        axes.plot(steps, _smooth(values), color=color, linewidth=2.2 if whole else 1.4, label=label)
    values = np.concatenate([values for _, values in series.values()])
    if np.any(values > 0):
        axes.set_yscale("log")
    name_axes(axes, "Loss", "training step", "loss per image")
    if len(series) > 1:
        axes.legend(ncols=2, **LEGEND)


def _plot_evaluations(axes: Axes, series: Series) -> None:
    for (name, (steps, values)), color in zip(series.items(), COLORS, strict=False):
        best = int(np.nanargmax(values)) if np.isfinite(values).any() else 0
        axes.plot(steps, 100 * values, color=color, linewidth=1.8, marker="o", markersize=3.5)
        label = f"best {legend_entry(values[best], name)}"
        axes.plot(steps[best], 100 * values[best], "o", color=color, markersize=8, label=label)
    axes.margins(y=0.12)
    axes.set_ylim(bottom=0)
    name_axes(axes, "Evaluation", "training step", "%")
    axes.legend(loc="lower right", **LEGEND)


def _plot_learning_rate(axes: Axes, series: Series) -> None:
    steps, values = series["learning_rate"]
    axes.plot(steps, values, color=COLORS[2], linewidth=1.8)
    if np.any(values > 0):
        axes.set_yscale("log")
        # Warm-up and polynomial decay come from and go to nearly zero, which would squeeze everything else.
        axes.set_ylim(bottom=max(values[values > 0].min(), 1e-4 * np.nanmax(values)) / 2)
    name_axes(axes, "Learning rate", "training step", "learning rate")


def _plot_speed(axes: Axes, series: Series) -> None:
    steps, values = series["images_per_s"]
    axes.plot(steps, values, color=COLORS[3], linewidth=0.8, alpha=0.3)
    axes.plot(steps, _smooth(values), color=COLORS[3], linewidth=1.8)
    axes.set_ylim(bottom=0)
    median = np.nanmedian(values)
    speed = f"{median:,.0f}" if median >= 100 else f"{median:.3g}"
    name_axes(axes, f"Speed, median {speed} images/s", "training step", "images per second")


def _smooth(values: np.ndarray, share: float = 0.02) -> np.ndarray:
    """Mean of the finite neighbours, over `share` of the series to each side."""
    reach = int(share * len(values))
    kernel = np.ones(2 * reach + 1)
    finite = np.isfinite(values)
    count = np.convolve(np.pad(finite.astype(float), reach), kernel, "valid")
    total = np.convolve(np.pad(np.where(finite, values, 0), reach), kernel, "valid")
    return np.where(count > 0.5, total / np.maximum(count, 1), np.nan)
