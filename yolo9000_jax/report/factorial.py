"""What every switch of a factorial experiment does, and every two together: table, JSON and plot."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from yolo9000_jax.evaluation.factorial import Effect, effects
from yolo9000_jax.files import to_json, write_whole
from yolo9000_jax.report.comparing import METRIC, RECALL, Results, Settings, note, scores, taken_in_all
from yolo9000_jax.report.comparisons import plot_effects
from yolo9000_jax.report.table import Table

METRICS = {METRIC: "mAP", "voc_ap50": "mAP by area", RECALL: "recall"}  # the first is drawn
MARGINS = {
    True: "Intervals (95 %) are Lenth's, from the effects themselves, as each run has one seed.",
    False: "Intervals (95 %) are Student's, from what seeds differ by.",
}


def write_factorial(settings: Settings, rows: Mapping[str, Results], workdir: Path) -> str:
    """Writes factorial.md and factorial.json and, once all runs are there, factorial.png; returns text to print."""
    factors = list(settings.module.FACTORS)
    places = [list(settings.module.COLUMNS).index(name) for name in factors]
    signs = np.array([[1 if settings.module.FACTORIAL[row][place] else -1 for place in places] for row in rows])
    seeds = sorted(set.intersection(*(set(results) for results in rows.values())))
    found = {metric: _effects(signs, rows, seeds, metric) for metric in METRICS if seeds}
    tables = [_runs_table(factors, rows, signs)]
    if seeds:
        tables.insert(0, _effects_table(settings, factors, found, len(seeds), rows))
        named = [(_name(factors, effect), effect.value, effect.margin) for effect in found[METRIC]]
        plot_effects(named, len(factors), workdir / "factorial.png")
    content = {
        "effects": {metric: [_as_json(factors, effect) for effect in several] for metric, several in found.items()},
        "seeds": seeds,
        "runs": {row: {str(seed): value for seed, value in scores(results).items()} for row, results in rows.items()},
        **taken_in_all(settings, rows.values())._asdict(),
    }
    write_whole(workdir / "factorial.json", to_json(content))
    write_whole(workdir / "factorial.md", "\n\n".join(table.markdown() for table in tables) + "\n")
    return "\n\n".join(table.text() for table in tables)


def _effects(signs: np.ndarray, rows: Mapping[str, Results], seeds: Sequence[int], metric: str) -> list[Effect]:
    return effects(signs, np.array([[results[seed]["metrics"][metric] for seed in seeds] for results in rows.values()]))


def _effects_table(
    settings: Settings,
    factors: Sequence[str],
    found: Mapping[str, Sequence[Effect]],
    seeds: int,
    rows: Mapping[str, Results],
) -> Table:
    lines = []
    for several in zip(*found.values(), strict=True):
        shown = [f"{100 * effect.value:+.1f} ± {100 * effect.margin:.1f}" for effect in several]
        told = "yes" if abs(several[0].value) > several[0].margin else "no"
        name = _name(factors, several[0])
        lines.append((name, *shown, "can't be told" if name in getattr(settings.module, "SHARED", ()) else told))
    text = [
        f"Effects: the mean of the {len(rows) // 2} runs with the switch less that of those without, in points; of two "
        "switches half of what the one does more where the other is on. " + MARGINS[seeds == 1],
        f"Each interval is of one effect by itself: of {len(lines)} effects of nothing about one would look told from "
        "noise. A switch that can't be told is one that all runs of a seed share two trainings of: their own noise is "
        "in its effect, and not in its interval.",
        note(settings, rows.values()),
    ]
    return Table(("switch", *METRICS.values(), "told from noise"), lines, "Effects of the switches", "\n".join(text))


def _runs_table(factors: Sequence[str], rows: Mapping[str, Results], signs: np.ndarray) -> Table:
    lines = []
    for results, row_signs in zip(rows.values(), signs, strict=True):
        values = " ".join(f"{100 * value:.1f}" for value in scores(results).values())
        lines.append((*("on" if sign > 0 else "–" for sign in row_signs), values or None))
    return Table((*factors, "mAP (%)"), lines, "The runs")


def _name(factors: Sequence[str], effect: Effect) -> str:
    return " × ".join(factors[place] for place in effect.factors)


def _as_json(factors: Sequence[str], effect: Effect) -> dict[str, Any]:
    names = [factors[place] for place in effect.factors]
    return {"switches": names, "effect": effect.value, "margin": effect.margin}
