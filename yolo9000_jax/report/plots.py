"""Training curves, out of what a run has measured."""

import math

import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.report.series import Series
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
    short_number,
    ticker,
)

EVALUATIONS = ("voc_ap50", "voc07_ap50", "recall50", "top1", "top5")


def draw_curves(series: Series, source: str, broken: int = 0) -> Figure:
    """A run's training curves: loss and its parts, evaluations, learning rate, speed; each where there is any.

    Args:
        series: {name: (steps [n], values [n])}, as `read_series` gives them.
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
