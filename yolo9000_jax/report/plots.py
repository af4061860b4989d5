"""Pictures of numbers: training curves, precision against recall, average IoU against the number of priors.

The figures are made without pyplot, so they leave a notebook's own figures alone and need no display.
"""

import json
import math
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.voc import interpolated_precision

INK, GREY, LIGHT = "#222222", "#8a8a8a", "#e3e3e3"
# Okabe and Ito's colours, told apart by colour-blind readers too.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#7f7f00", "#444444", "#b2182b")
BEST_COLORS = ("#08306b", "#08519c", "#2171b5", "#4292c6", "#6baed6")
WORST_COLORS = ("#fdae6b", "#fd8d3c", "#f16913", "#d94801", "#8c2d04")
EVALUATIONS = ("voc_ap50", "voc07_ap50", "coco_ap", "coco_ap50", "recall50", "top1", "top5")
LEGEND_CLASSES = 10
MOST_GREY_CURVES = 200
_LEGEND = {"frameon": False, "fontsize": 9, "title_fontsize": 9}


def plot_curves(metrics_jsonl_path, output) -> None:
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
    parts = [name for name in series if name.startswith("loss_")]
    panels = [
        (_plot_losses, [name for name in ("loss", *parts) if name in series]),
        (_plot_evaluations, [name for name in EVALUATIONS if name in series]),
        (_plot_learning_rate, [name for name in ("learning_rate",) if name in series]),
        (_plot_speed, [name for name in ("images_per_s",) if name in series]),
    ]
    panels = [(draw, names) for draw, names in panels if names]
    if not panels:
        raise UserError(f"{metrics_jsonl_path}: no line with a step and a loss or an evaluation: nothing to draw")
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure, grid = _figure(5.6 * columns, 3.6 * rows, rows, columns)
    last_step = max(series[name][0].max() for _, names in panels for name in names)
    for axes, (draw, names) in zip(grid, panels, strict=False):
        draw(axes, {name: series[name] for name in names})
        axes.set_xlim(-0.03 * max(last_step, 1), 1.03 * max(last_step, 1))
        axes.xaxis.set_major_formatter(FuncFormatter(_short_number))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    for axes in grid[len(panels) :]:
        axes.remove()
    if broken:
        note = f"{broken} unreadable line{'s' * (broken > 1)} of the metrics left out"
        figure.supxlabel(note, fontsize=8, color=GREY, x=0.99, ha="right")
    _save(figure, output)


def read_metrics(path) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], int]:
    """The number series of a metrics file: {name: (steps [n], values [n])}, and how many lines were not whole.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: give the metrics.jsonl that a training run wrote") from error
    values, broken = {}, 0
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
    series = {name: tuple(np.array(sorted(by_step.items())).T) for name, by_step in values.items()}
    return series, broken


def plot_precision_recall(result, class_names, output) -> None:
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
    ranked = [(c.ap, name, c) for name, c in zip(class_names, result.per_class, strict=True) if c.ap is not None]
    if not ranked:
        raise UserError("no class has a truth in this data set, so there is no precision or recall to draw")
    ranked.sort(key=lambda entry: -entry[0])
    at = np.linspace(0, 1, 501)
    curves = np.array([interpolated_precision(c.recall, c.precision, at) for _, _, c in ranked])
    labels = [_entry(ap, name) for ap, name, _ in ranked]
    threshold = f"IoU ≥ {result.iou_threshold:g}"

    figure, (axes,) = _figure(8.2, 5.2)
    if len(ranked) <= LEGEND_CLASSES:
        for curve, label, color in zip(curves, labels, COLORS, strict=False):
            axes.plot(at, curve, color=color, linewidth=1.8, label=label)
        title = f"AP (%) at {threshold}"
    else:
        middle = curves[5:-5]
        some = middle[:: math.ceil(len(middle) / MOST_GREY_CURVES)]
        axes.plot(at, some.T, color="#bbbbbb", linewidth=0.8, alpha=0.7)
        for index, color in [*enumerate(BEST_COLORS), *zip(range(-5, 0), WORST_COLORS, strict=True)]:
            axes.plot(at, curves[index], color=color, linewidth=1.3, label=labels[index])
        title = f"AP (%) at {threshold},\nbest and worst of {len(ranked)} classes"
    if len(ranked) > 1:
        axes.plot(at, curves.mean(axis=0), color=INK, linewidth=3, label=_entry(result.voc_ap50, "mean"))
    axes.legend(title=title, loc="upper left", bbox_to_anchor=(1.01, 1), alignment="left", **_LEGEND)
    axes.set(xlim=(0, 1.005), ylim=(0, 1.02))
    _name(axes, "Precision and recall", "recall", "interpolated precision")
    _save(figure, output)


def plot_anchors(iou_by_k, output, marks=None) -> None:
    """Draws the average IoU of the boxes with their closest prior against the number of priors (the paper's Figure 2).

    Args:
        iou_by_k: {k: average IoU, 0..1}.
        output: the picture to write; its ending chooses the format.
        marks: {label: (k, average IoU)}, points to compare with, such as hand-picked priors.
    Raises:
        UserError: `iou_by_k` is empty; the picture cannot be written.
    """
    points = sorted((int(k), 100 * iou) for k, iou in iou_by_k.items())
    if not points:
        raise UserError("no number of priors to draw: give the average IoU of at least one k")
    figure, (axes,) = _figure(6.4, 4.4)
    k, iou = zip(*points, strict=True)
    axes.plot(k, iou, color=COLORS[0], linewidth=2, marker="o", markersize=6, label="k-means on these boxes")
    if len(points) <= LEGEND_CLASSES:
        for x, y in points:
            axes.annotate(f"{y:.1f}", (x, y), (5, -11), textcoords="offset points", fontsize=8, color=INK)
    styles = zip((marks or {}).items(), "sD^vP*X" * (len(marks or {}) // 7 + 1), strict=False)
    for index, ((label, (mark_k, mark_iou)), marker) in enumerate(styles, start=1):
        color = COLORS[index % len(COLORS)]
        axes.plot(mark_k, 100 * mark_iou, marker, color=color, markersize=8, label=_entry(mark_iou, label))
    if marks:
        axes.legend(loc="lower right", **_LEGEND)
    _name(axes, "How well the priors fit the boxes", "number of priors k", "average IoU (%)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.06, y=0.14)
    _save(figure, output)


def _plot_losses(axes, series):
    for index, (name, (steps, values)) in enumerate(series.items()):
        whole = name == "loss"
        color = INK if whole else COLORS[(index - 1) % len(COLORS)]
        label = "total" if whole else name.removeprefix("loss_").replace("_", " ")
        axes.plot(steps, values, color=color, linewidth=0.8, alpha=0.2)
        axes.plot(steps, _smooth(values), color=color, linewidth=2.2 if whole else 1.4, label=label)
    values = np.concatenate([values for _, values in series.values()])
    if np.any(values > 0):
        axes.set_yscale("log")
    _name(axes, "Loss", "training step", "loss per image")
    if len(series) > 1:
        axes.legend(ncols=2, **_LEGEND)


def _plot_evaluations(axes, series):
    for (name, (steps, values)), color in zip(series.items(), COLORS, strict=False):
        best = int(np.nanargmax(values)) if np.isfinite(values).any() else 0
        axes.plot(steps, 100 * values, color=color, linewidth=1.8, marker="o", markersize=3.5)
        label = f"best {_entry(values[best], name)}"
        axes.plot(steps[best], 100 * values[best], "o", color=color, markersize=8, label=label)
    axes.margins(y=0.12)
    axes.set_ylim(bottom=0)
    _name(axes, "Evaluation", "training step", "%")
    axes.legend(loc="lower right", **_LEGEND)


def _plot_learning_rate(axes, series):
    steps, values = series["learning_rate"]
    axes.plot(steps, values, color=COLORS[2], linewidth=1.8)
    if np.any(values > 0):
        axes.set_yscale("log")
        # Warm-up and polynomial decay come from and go to nearly zero, which would squeeze everything else.
        axes.set_ylim(bottom=max(values[values > 0].min(), 1e-4 * np.nanmax(values)) / 2)
    _name(axes, "Learning rate", "training step", "learning rate")


def _plot_speed(axes, series):
    steps, values = series["images_per_s"]
    axes.plot(steps, values, color=COLORS[3], linewidth=0.8, alpha=0.3)
    axes.plot(steps, _smooth(values), color=COLORS[3], linewidth=1.8)
    axes.set_ylim(bottom=0)
    median = np.nanmedian(values)
    speed = f"{median:,.0f}" if median >= 100 else f"{median:.3g}"
    _name(axes, f"Speed, median {speed} images/s", "training step", "images per second")


def _smooth(values, share=0.02) -> np.ndarray:
    """Mean of the finite neighbours, over `share` of the series to each side."""
    reach = int(share * len(values))
    kernel = np.ones(2 * reach + 1)
    finite = np.isfinite(values)
    count = np.convolve(np.pad(finite.astype(float), reach), kernel, "valid")
    total = np.convolve(np.pad(np.where(finite, values, 0), reach), kernel, "valid")
    return np.where(count > 0.5, total / np.maximum(count, 1), np.nan)


def _short_number(value, _position=None) -> str:
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}" if value % (size / 10) == 0 else f"{value / size:.1f}{unit}"
    return f"{value:.3g}"


def _figure(width_in, height_in, rows=1, columns=1):
    """A figure and its flat array of axes in our plain style."""
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


def _name(axes, title, x, y) -> None:
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)


def _entry(share, name) -> str:
    """Legend entry: a share in percent and a name, in which a $ starts no formula."""
    return f"{100 * share:.1f}  {name}".replace("$", r"\$")


def _save(figure, output) -> None:
    try:
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(output)
    except (OSError, ValueError) as error:
        raise UserError(f"{output}: cannot write the plot ({error}): name a .png, .svg or .pdf file") from error
