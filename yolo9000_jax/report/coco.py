"""The paper's table 5: COCO's twelve numbers, ours beside the paper's."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yolo9000_jax.errors import UserError
from yolo9000_jax.report.table import Table

NAMES = {
    **{"coco_ap": "AP", "coco_ap50": "AP50", "coco_ap75": "AP75"},
    **{"coco_ap_small": "AP small", "coco_ap_medium": "AP medium", "coco_ap_large": "AP large"},
    **{"coco_ar1": "AR 1", "coco_ar10": "AR 10", "coco_ar100": "AR 100"},
    **{"coco_ar_small": "AR small", "coco_ar_medium": "AR medium", "coco_ar_large": "AR large"},
}
PAPER = (21.6, 44.0, 19.2, 5.0, 22.4, 35.5, 20.7, 31.6, 33.3, 9.8, 36.5, 54.4)  # percent
PAPER_SOURCE = "arXiv 1612.08242, table 5: YOLOv2 on COCO test-dev, which only COCO's server can judge"


def read_metrics(path: str) -> dict[str, Any]:
    """What `yolo9000 evaluate --json` wrote of a detector.

    Raises:
        UserError: it cannot be read, or has no numbers of COCO.
    """
    try:
        metrics = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}): name a file that `yolo9000 evaluate --json` wrote"
        ) from error
    if not isinstance(metrics, dict) or not NAMES.keys() <= metrics.keys():
        raise UserError(f"{path}: has no numbers of COCO: evaluate a detector again with `yolo9000 evaluate --json`")
    return metrics


def coco_table(evaluations: Mapping[str, Mapping[str, Any]]) -> Table:
    """COCO's numbers in percent, a column for each evaluation (its metrics, by name) and one of the paper's."""
    rows = [
        [name, *(_percent(metrics[key]) for metrics in evaluations.values()), f"{cited:.1f}"]
        for (key, name), cited in zip(NAMES.items(), PAPER, strict=True)
    ]
    return Table(
        ["COCO", *evaluations, "paper*"], rows, "Average precision and recall (%)", f"* cited from {PAPER_SOURCE}."
    )


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.1f}"
