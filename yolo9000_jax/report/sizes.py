"""A network trained at one size, and one trained at many, both judged at all of these: table, JSON and plot."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yolo9000_jax.files import to_json, write_whole
from yolo9000_jax.report.comparing import (
    METRIC,
    Results,
    Settings,
    compare,
    mean,
    note,
    percent,
    percent_interval,
    scores,
)
from yolo9000_jax.report.comparisons import plot_sizes
from yolo9000_jax.report.table import Table


def write_sizes(settings: Settings, rows: Mapping[str, Results], workdir: Path) -> str:
    """Writes sizes.md, sizes.json and sizes.png; returns the table as text.

    Args:
        rows: {ROW@SIZE: {seed: result}} of the two rows of SIZES.
    """
    fixed, many = settings.module.SIZES
    sizes = sorted({int(row.rpartition("@")[2]) for row in rows})
    summary: list[dict[str, Any]] = []
    for size in sizes:
        pair = rows[f"{fixed}@{size}"], rows[f"{many}@{size}"]
        values = {name: mean(scores(results).values()) for name, results in zip((fixed, many), pair, strict=True)}
        summary.append({"size": size, **values, **compare(pair[1], pair[0])})
    table = Table(
        ("size", f"{fixed} (%)", f"{many} (%)", "change", "over seeds", "over pictures"),
        [
            (
                str(line["size"]),
                percent(line[fixed]),
                percent(line[many]),
                percent(line["change"], "+.1f"),
                percent_interval(line["interval"]),
                percent_interval(line["pictures"]),
            )
            for line in summary
        ],
        "Trained at one size and at many, judged at all",
        f"{fixed} is trained at {settings.configs[fixed].image_size} alone.\n{note(settings, rows.values())}",
    )
    write_whole(workdir / "sizes.json", to_json({"metric": METRIC, "sizes": summary}))
    write_whole(workdir / "sizes.md", table.markdown() + "\n")
    curves = {
        name: [(line["size"], line[name]) for line in summary if line[name] is not None] for name in (fixed, many)
    }
    if all(curves.values()):
        plot_sizes(curves, workdir / "sizes.png")
    return table.text()
