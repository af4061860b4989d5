"""What a training run has measured so far."""

from collections.abc import Iterator
from os import PathLike

from yolo9000_jax.html import Html, card, png
from yolo9000_jax.places import as_path
from yolo9000_jax.report.plots import draw_curves
from yolo9000_jax.report.series import METRICS_FILE, Series, read_series
from yolo9000_jax.report.style import to_png


class History:
    """The curves of a run: `history["loss"]` is (steps [n], values [n]); shows itself in a notebook.

    Args:
        series: {name: (steps, values)}.
        source: where they are from, for messages.
        broken: lines that could not be read.
    """

    def __init__(self, series: Series, source: str, broken: int = 0):
        self.series, self.source, self.broken = series, source, broken

    def __getitem__(self, name: str) -> tuple:
        return self.series[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.series)

    def __repr__(self) -> str:
        return f"<History {self.source}: {_latest(self.series)}>"

    def _repr_html_(self) -> Html:
        curves = [png(to_png(draw_curves(self.series, self.source, self.broken)))] if self.series else []
        return card(_latest(self.series), None, *curves)


def history(workdir: str | PathLike[str]) -> History:
    """What the run in a workdir has measured so far, whether or not it is still training.

    Raises:
        UserError: there is no metrics.jsonl.
    """
    path = as_path(workdir) / METRICS_FILE
    series, broken = read_series(path)
    return History(series, str(path), broken)


def _latest(series: Series) -> str:
    steps = [steps[-1] for steps, _ in series.values()]
    if not steps:
        return "nothing measured yet"
    values = {name: float(series[name][1][-1]) for name in ("loss", "voc_ap50", "top1") if name in series}
    return f"step {max(steps):.0f}, " + ", ".join(f"{name} {value:.3f}" for name, value in values.items())
