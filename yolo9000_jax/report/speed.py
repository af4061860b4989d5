"""The paper's Table 3 and Figure 4: accuracy and speed of one set of weights at several input sizes."""

from typing import Any

from yolo9000_jax.evaluation.speed import METRICS, PAPER, PAPER_SOURCE, TIMED
from yolo9000_jax.report.table import Table, short_names


def speed_table(result: dict[str, Any]) -> Table:
    """The result of evaluation.speed.benchmark beside the paper's Table 3."""
    with_accuracy = result["dataset"] is not None
    columns = ["size", "images/s", "slowest–fastest run"] + [*METRICS] * with_accuracy
    rows = []
    for row in result["sizes"]:
        cells: list[str | None] = [str(row["size"]), f"{row['images_per_s']:.1f}"]
        cells.append(f"{row['images_per_s_slowest']:.1f}–{row['images_per_s_fastest']:.1f}")
        if with_accuracy:
            cells += [None if row[name] is None else f"{100 * row[name]:.1f}" for name in METRICS]
        ap, speed = PAPER.get(row["size"], (None, None))
        cells += [None, None] if ap is None else [str(speed), f"{100 * ap:.1f}"]
        rows.append(cells)
    machine = result["machine"]
    on = f"{machine['device']}, {machine['cpu']}, {machine['cores']} cores, jax {machine['jax']}"
    title = f"One set of weights at {len(rows)} sizes, batch of {result['batch_size']}"
    if with_accuracy:
        title += f", on {_dataset_name(result)}"
    note = f"{on}; median of {result['runs']} runs. Timed: {TIMED}.\n* cited from {PAPER_SOURCE}."
    return Table([*columns, "paper images/s*", "paper mAP*"], rows, title, note)


def speed_curves(result: dict[str, Any]) -> tuple[dict[str, list[tuple]], dict[str, list[tuple]]]:
    """The result of benchmark and the paper's Figure 4, as report.comparisons.plot_accuracy_speed takes them."""
    keys = ("size", "images_per_s", "images_per_s_slowest", "images_per_s_fastest", "voc07_ap50")
    name = result["machine"]["device"] + (f", {_dataset_name(result)}" if result["dataset"] else "")
    ours = [tuple(row.get(key) for key in keys) for row in result["sizes"]]
    return {name: ours}, {"paper: VOC 2007, Titan X (cited)": [(size, fps, ap) for size, (ap, fps) in PAPER.items()]}


def _dataset_name(result: dict[str, Any]) -> str:
    return short_names([f"{result['dataset']['source']} {result['dataset']['split']}"])[0]
