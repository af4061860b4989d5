"""The table of an ablation, our numbers beside the cited ones, as text, Markdown, JSON and pictures."""

import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict

from yolo9000_jax.files import to_json, write_whole
from yolo9000_jax.logs import duration
from yolo9000_jax.report.comparisons import plot_path, plot_table
from yolo9000_jax.report.table import Table

METRIC, RECALL = "voc07_ap50", "recall50"


def summarise(module: ModuleType, rows: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """One dict a row, for table.json; "base" is the row that it is compared with.

    Args:
        module: the ablation's config file, with what it cites.
        rows: {row: {"cost": models.cost.Cost or None, "results": {seed: result}}}, as of ablation.Ablation.
    """
    paper, darknet = getattr(module, "PAPER", {}), getattr(module, "DARKNET_GFLOP", {})
    summary: list[dict[str, Any]] = []
    bases = bases_of(module)
    values = {
        row: {seed: result["metrics"][METRIC] for seed, result in found["results"].items()}
        for row, found in rows.items()
    }
    for row, found in rows.items():
        base = bases[row]
        ours, before = values[row], values.get(base or "", {})
        both = sorted(set(ours) & set(before))
        cited, cited_before = (paper.get(name or "", {}).get(METRIC) for name in (row, base))
        summary.append(
            {
                "row": row,
                "base": base,
                "switches": dict(zip(module.COLUMNS, module.TABLE[row], strict=True)),
                METRIC: _mean(ours.values()),
                "spread": statistics.stdev(ours.values()) if len(ours) > 1 else None,
                "change": _mean(ours[seed] - before[seed] for seed in both),
                "paper": cited,
                "paper_change": None if None in (cited, cited_before) else cited - cited_before,
                "voc_ap50": _mean(result["metrics"]["voc_ap50"] for result in found["results"].values()),
                RECALL: _mean(result["metrics"][RECALL] for result in found["results"].values()),
                "paper_recall": paper.get(row, {}).get(RECALL),
                "parameters": found["cost"] and found["cost"].parameters,
                "gflop": found["cost"] and found["cost"].gflop,
                "darknet_gflop": darknet.get(row),
                "training_s": _mean(result["training_s"] for result in found["results"].values()),
                "seeds": {str(seed): _numbers(result["metrics"]) for seed, result in found["results"].items()},
            }
        )
    return summary


def bases_of(module: ModuleType) -> dict[str, str | None]:
    """The row that each is compared with: that of the module's BASES, or else the one above it; None of the first."""
    given = getattr(module, "BASES", {})
    path = [row for row in module.TABLE if row not in given]
    return dict(zip(path, [None, *path], strict=False)) | given


def make_table(
    module: ModuleType,
    configs: Mapping[str, ConfigDict],
    summary: list[dict[str, Any]],
    stages: Mapping[str, float],
) -> Table:
    """The summary for people; `configs` are those of the rows, `stages` the seconds of each pre-training."""
    beside = getattr(module, "BASES", {})
    full_size = all(config.model.width == 1 for config in configs.values())
    columns = {
        "row": [line["row"] + (f" (on {line['base']})" if line["row"] in beside else "") for line in summary],
        "mAP (%)": [_with_spread(line) for line in summary],
        "change": [_percent(line["change"], "+.1f") for line in summary],
        "paper's mAP*": [_percent(line["paper"]) for line in summary],
        "change*": [_percent(line["paper_change"], "+.1f") for line in summary],
        "recall (%)": [_percent(line[RECALL]) for line in summary],
        "paper's*": [_percent(line["paper_recall"], ".0f") for line in summary],
        "M parameters": [line["parameters"] and f"{line['parameters'] / 1e6:.2f}" for line in summary],
        "GFLOP": [line["gflop"] and f"{line['gflop']:.2f}" for line in summary],
    }
    if full_size:
        columns["Darknet's"] = [line["darknet_gflop"] and f"{line['darknet_gflop']:.2f}" for line in summary]
    columns["training"] = [line["training_s"] and duration(line["training_s"]) for line in summary]
    lines = list(zip(*columns.values(), strict=True))
    return Table(list(columns), lines, "The path from YOLO to YOLOv2", _note(module, configs, summary, stages))


def write_tables(
    module: ModuleType,
    configs: Mapping[str, ConfigDict],
    rows: Mapping[str, dict[str, Any]],
    stages: Mapping[str, float],
    workdir: Path,
) -> str:
    """Writes table.md, table.json, table.png and path.png; returns the table as text."""
    summary = summarise(module, rows)
    table = make_table(module, configs, summary, stages)
    source = getattr(module, "PAPER_SOURCE", "")
    content = {"rows": summary, "metric": METRIC, "paper": source, "pretraining_s": stages}
    write_whole(workdir / "table.json", to_json(content))
    write_whole(workdir / "table.md", table.markdown() + "\n")
    plot_table(table, workdir / "table.png")
    path = [line for line in summary if line["row"] not in getattr(module, "BASES", {})]
    if any(line[METRIC] is not None for line in path):
        ours = [(line[METRIC], line["spread"]) for line in path]
        plot_path([line["row"] for line in path], ours, [line["paper"] for line in path], workdir / "path.png")
    return table.text()


def _note(
    module: ModuleType,
    configs: Mapping[str, ConfigDict],
    summary: list[dict[str, Any]],
    stages: Mapping[str, float],
) -> str:
    """What stands below the table: where the numbers come from, and how long the pre-training took."""
    last = list(configs.values())[-1]
    seeds = max(len(line["seeds"]) for line in summary)
    where = f"{last.evaluation.source or last.data.source} {last.evaluation.split}"
    parts = [f"mAP is {METRIC}, recall is {RECALL}, which ignores the class, on {where}, width {last.model.width:g}."]
    if seeds > 1:
        parts.append(f"Means of up to {seeds} seeds of the detector's training, ± their standard deviation.")
    if source := getattr(module, "PAPER_SOURCE", ""):
        parts.append(f"* cited from {source}.")
    if stages:
        times = ", ".join(f"{name} {duration(seconds)}" for name, seconds in stages.items())
        parts.append(f"Pre-training, besides: {times}.")
    return "\n".join(parts)


def _numbers(metrics: dict[str, Any]) -> dict[str, float]:
    return {key: value for key, value in metrics.items() if isinstance(value, (int, float))}


def _with_spread(line: dict[str, Any]) -> str | None:
    value = _percent(line[METRIC])
    return value if line["spread"] is None else f"{value} ± {100 * line['spread']:.1f}"


def _percent(share: float | None, form: str = ".1f") -> str | None:
    return None if share is None else format(100 * share, form)


def _mean(values: Iterable[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return statistics.fmean(present) if present else None
