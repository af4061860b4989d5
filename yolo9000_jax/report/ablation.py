"""The table of an ablation, our numbers beside the cited ones, as text, Markdown, JSON and pictures."""

import statistics
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from yolo9000_jax.evaluation.statistics import detectable_difference, holm
from yolo9000_jax.files import to_json, write_whole
from yolo9000_jax.logs import duration
from yolo9000_jax.report.comparing import (
    METRIC,
    RECALL,
    Results,
    Settings,
    compare,
    mean,
    note,
    percent,
    percent_interval,
    row_core_seconds,
    scores,
    taken_in_all,
)
from yolo9000_jax.report.comparisons import plot_path, plot_table
from yolo9000_jax.report.table import Table


def summarise(module: ModuleType, rows: Mapping[str, Results]) -> list[dict[str, Any]]:
    """One dict a row, for table.json; "base" is the row that it is compared with.

    Args:
        module: the ablation's config file, with what it cites.
        rows: {row: {seed: result}}.
    """
    paper, darknet = getattr(module, "PAPER", {}), getattr(module, "DARKNET_GFLOP", {})
    summary: list[dict[str, Any]] = []
    bases = bases_of(module)
    for row, results in rows.items():
        base = bases[row]
        ours = scores(results)
        cited, cited_before = (paper.get(name or "", {}).get(METRIC) for name in (row, base))
        costs = next(iter(results.values()), {})
        summary.append(
            {
                "row": row,
                "base": base,
                "switches": dict(zip(module.COLUMNS, module.TABLE[row], strict=True)),
                METRIC: mean(ours.values()),
                "spread": statistics.stdev(ours.values()) if len(ours) > 1 else None,
                **compare(results, rows.get(base or "", {})),
                "paper": cited,
                "paper_change": None if None in (cited, cited_before) else cited - cited_before,
                "voc_ap50": mean(result["metrics"]["voc_ap50"] for result in results.values()),
                RECALL: mean(result["metrics"][RECALL] for result in results.values()),
                "paper_recall": paper.get(row, {}).get(RECALL),
                "parameters": costs.get("parameters"),
                "gflop": costs.get("gflop"),
                "darknet_gflop": darknet.get(row),
                "training_s": mean(result["training_s"] for result in results.values()),
                "core_s": mean(map(row_core_seconds, results.values())),
                "seeds": {str(seed): _numbers(result["metrics"]) for seed, result in results.items()},
            }
        )
    tested = [line for line in summary if line["p"] is not None]
    for line, p in zip(tested, holm([line["p"] for line in tested]), strict=True):
        line["p_holm"] = p
        line["detectable"] = detectable_difference(line["deviation"], line["pairs"], len(tested))
    return summary


def bases_of(module: ModuleType) -> dict[str, str | None]:
    """The row that each is compared with: that of the module's BASES, or else the one above it; None of the first."""
    given = getattr(module, "BASES", {})
    path = [row for row in module.TABLE if row not in given]
    return dict(zip(path, [None, *path], strict=False)) | given


def make_table(settings: Settings, summary: list[dict[str, Any]], rows: Mapping[str, Results]) -> Table:
    """The summary for people."""
    beside = getattr(settings.module, "BASES", {})
    full_size = all(config.model.width == 1 for config in settings.configs.values())
    columns = {
        "row": [line["row"] + (f" (on {line['base']})" if line["row"] in beside else "") for line in summary],
        "paper's mAP*": [percent(line["paper"]) for line in summary],
        "change*": [percent(line["paper_change"], "+.1f") for line in summary],
        "mAP (%)": [_with_spread(line) for line in summary],
        "change": [percent(line["change"], "+.1f") for line in summary],
        "over seeds": [percent_interval(line["interval"]) for line in summary],
        "p": [None if (p := line.get("p_holm")) is None else f"{p:.3f}" for line in summary],
        "shown from": [percent(line.get("detectable")) for line in summary],
        "over pictures": [percent_interval(line["pictures"]) for line in summary],
        "recall (%)": [percent(line[RECALL]) for line in summary],
        "paper's*": [percent(line["paper_recall"], ".0f") for line in summary],
        "M parameters": [line["parameters"] and f"{line['parameters'] / 1e6:.2f}" for line in summary],
        "GFLOP": [line["gflop"] and f"{line['gflop']:.2f}" for line in summary],
    }
    if full_size:
        columns["Darknet's"] = [line["darknet_gflop"] and f"{line['darknet_gflop']:.2f}" for line in summary]
    columns["training"] = [line["training_s"] and duration(line["training_s"]) for line in summary]
    columns["core-hours"] = [line["core_s"] and f"{line['core_s'] / 3600:.2f}" for line in summary]
    # Of few seeds, or none, some columns would be empty.
    kept = {name: cells for name, cells in columns.items() if any(cells) or name in ("mAP (%)", "change")}
    lines = list(zip(*kept.values(), strict=True))
    return Table(list(kept), lines, "The path from YOLO to YOLOv2", _note(settings, summary, rows))


def write_path(settings: Settings, rows: Mapping[str, Results], workdir: Path) -> str:
    """Writes table.md, table.json, table.png and path.png; returns the table as text."""
    summary = summarise(settings.module, rows)
    table = make_table(settings, summary, rows)
    source = getattr(settings.module, "PAPER_SOURCE", "")
    stages = {name: cost._asdict() for name, cost in settings.stages.items()}
    content = {"rows": summary, "metric": METRIC, "paper": source, "pretraining": stages}
    content |= taken_in_all(settings, rows.values())._asdict()
    write_whole(workdir / "table.json", to_json(content))
    write_whole(workdir / "table.md", table.markdown() + "\n")
    plot_table(table, workdir / "table.png")
    path = [line for line in summary if line["row"] not in getattr(settings.module, "BASES", {})]
    if any(line[METRIC] is not None for line in path):
        ours = [(line[METRIC], line["spread"]) for line in path]
        plot_path([line["row"] for line in path], ours, [line["paper"] for line in path], workdir / "path.png")
    return table.text()


def _note(settings: Settings, summary: list[dict[str, Any]], rows: Mapping[str, Results]) -> str:
    parts = [note(settings, rows.values())]
    if tests := sum(line["p"] is not None for line in summary):
        parts.append(
            f"±: deviation of single seeds. Tested: of each of {tests} rows, that its change is 0 (Student's t, "
            f"paired by seed, two-sided); p is adjusted for these {tests} tests (Holm): of changes that are all 0, one "
            "or more is below .05 in 5 % of such tables. Shown from: the least true change that this finds four times "
            f"in five, whatever the other rows come to (at .05 / {tests}). Over seeds: 95 % interval of each change by "
            "itself, not adjusted. Over pictures: the same of these very networks, the judged pictures drawn anew."
        )
    if source := getattr(settings.module, "PAPER_SOURCE", ""):
        parts.append(f"* cited from {source}.")
    return "\n".join(parts)


def _numbers(metrics: dict[str, Any]) -> dict[str, float]:
    return {key: value for key, value in metrics.items() if isinstance(value, (int, float))}


def _with_spread(line: dict[str, Any]) -> str | None:
    value = percent(line[METRIC])
    return value if line["spread"] is None else f"{value} ± {100 * line['spread']:.1f}"
