"""The paper's Table 1: how well priors fit the boxes of data sets."""

from collections.abc import Mapping

from yolo9000_jax.evaluation.priors import PAPER_SOURCE, PriorFit
from yolo9000_jax.report.table import Table


def priors_table(fits: Mapping[str, PriorFit]) -> Table:
    """The paper's Table 1, average IoU in percent, a column a data set and one of the paper's numbers."""
    columns = ["priors", "k", *(f"{name} ({fit.boxes} boxes)" for name, fit in fits.items()), "paper*"]
    rows = []
    for of_sets in zip(*(fit.rows for fit in fits.values()), strict=True):
        method, k, _, paper = of_sets[0]
        rows.append([method, str(k), *(f"{100 * row.average_iou:.1f}" for row in of_sets), f"{100 * paper:.1f}"])
    title = "Average IoU of the boxes with their closest prior (%)"
    return Table(columns, rows, title, f"* cited from {PAPER_SOURCE}.")
