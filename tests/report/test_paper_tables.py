"""Our numbers beside those of the paper's tables 1 and 3."""

import numpy as np

from yolo9000_jax.evaluation.priors import compare_priors
from yolo9000_jax.evaluation.speed import SIZES, machine
from yolo9000_jax.report.priors import priors_table
from yolo9000_jax.report.speed import speed_curves, speed_table


def test_priors_beside_the_papers():
    fit = compare_priors(np.random.default_rng(3).uniform(0.02, 0.9, (300, 2)), 3)
    shown = priors_table({"one": fit, "other": fit})
    assert list(shown.columns) == ["priors", "k", "one (300 boxes)", "other (300 boxes)", "paper*"]
    assert [row[-1] for row in shown.rows] == ["58.7", "61.0", "60.9", "67.2"] and "cited" in shown.note
    assert [row[2] for row in shown.rows] == [f"{100 * row.average_iou:.1f}" for row in fit.rows]


def test_speeds_beside_the_papers():
    rows = [
        {"size": size, "images_per_s": 10.0, "images_per_s_slowest": 9.0, "images_per_s_fastest": 12.0} | aps
        for size, aps in ((64, {"voc_ap50": None, "voc07_ap50": None}), (416, {"voc_ap50": 0.5, "voc07_ap50": 0.52}))
    ]
    result = {"machine": machine(), "batch_size": 1, "runs": 3, "dataset": None, "sizes": rows}
    plain = speed_table(result)
    assert plain.rows == [["64", "10.0", "9.0–12.0", None, None], ["416", "10.0", "9.0–12.0", "67", "76.8"]]
    assert "cited from" in plain.note and result["machine"]["cpu"] in plain.note
    judged = speed_table(result | {"dataset": {"source": "voc:a/VOC2007", "split": "test"}})
    assert [row[3:] for row in judged.rows] == [[None] * 4, ["50.0", "52.0", "67", "76.8"]]
    assert judged.title.endswith("on VOC2007 test")
    ours, cited = speed_curves(result)
    assert list(ours.values())[0][1] == (416, 10.0, 9.0, 12.0, 0.52)
    assert [point for points in cited.values() for point in points][2] == (416, 67, 0.768)
    np.testing.assert_array_equal([size for size, *_ in list(cited.values())[0]], SIZES)
