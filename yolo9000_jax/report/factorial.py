"""What every switch of a factorial experiment does, and every two together: table, JSON and plot."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from yolo9000_jax.evaluation.factorial import Effect, effects
from yolo9000_jax.files import write_whole
from yolo9000_jax.report.comparing import METRIC, Results, Settings, note, percent, scores
from yolo9000_jax.report.comparisons import plot_effects
from yolo9000_jax.report.table import Table

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
    found: list[Effect] = []
    if seeds:
        found = effects(signs, np.array([[scores(results)[seed] for seed in seeds] for results in rows.values()]))
    runs = _runs_table(factors, rows, signs)
    texts = [runs]
    if found:
        texts.insert(0, _effects_table(settings, factors, found, len(seeds), rows))
        named = [(_name(factors, effect), effect.value, effect.margin) for effect in found]
        plot_effects(named, len(factors), workdir / "factorial.png")
    content = {
        "metric": METRIC,
        "effects": [_as_json(factors, effect) for effect in found],
        "seeds": seeds,
        "runs": {row: {str(seed): value for seed, value in scores(results).items()} for row, results in rows.items()},
        "core_s": sum(result.get("core_s", 0) for results in rows.values() for result in results.values()),
    }
    write_whole(workdir / "factorial.json", json.dumps(content, indent=2) + "\n")
    write_whole(workdir / "factorial.md", "\n\n".join(table.markdown() for table in texts) + "\n")
    return "\n\n".join(table.text() for table in texts)


def _effects_table(
    settings: Settings, factors: Sequence[str], found: Sequence[Effect], seeds: int, rows: Mapping[str, Results]
) -> Table:
    lines = [
        (
            _name(factors, effect),
            percent(effect.value, "+.1f"),
            f"{100 * (effect.value - effect.margin):+.1f} to {100 * (effect.value + effect.margin):+.1f}",
            "yes" if abs(effect.value) > effect.margin else "can't be told",
        )
        for effect in found
    ]
    text = [
        f"Effect: points of mAP, the mean of the {len(rows) // 2} runs with the switch less that of those without; of "
        "two, half of what the one does more where the other is on. " + MARGINS[seeds == 1],
        note(settings, rows.values()),
    ]
    return Table(("switch", "effect", "interval", "seen"), lines, "Effects of the switches", "\n".join(text))


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
