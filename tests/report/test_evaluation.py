"""The report of an evaluation: which files it has, in which order they come, and what is on them."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from PIL import Image

from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation import Evaluation, Example
from yolo9000_jax.evaluation.voc import GroundTruth, ImageDetections, evaluate_detections
from yolo9000_jax.report import evaluation as reports
from yolo9000_jax.report.draw import OUTCOME_COLORS

BOX = np.float32([[10, 20, 60, 70]])
PICTURE = np.full((90, 120, 3), 200, np.uint8)
COLUMNS = ["a", "undecided", "other", "missed"]
GROUP = {"name": "sea bird/gull", "rows": ["a"], "columns": COLUMNS, "matrix": [[1, 0, 0, 2]]}


@dataclass(frozen=True)
class Found:
    """What a detector says of a picture, going down its tree; drawn, it is a bar in the colour of each score."""

    scores: np.ndarray
    times: int = 1

    def __getitem__(self, chosen):
        return replace(self, scores=self.scores[chosen])

    def enlarged(self, times):
        return replace(self, times=times)

    def draw(self):
        picture = np.repeat(np.repeat(PICTURE, self.times, 0), self.times, 1)
        for number, score in enumerate(self.scores):
            picture[:, 30 * number : 30 * number + 20] = bar(score)
        return picture


def bar(score):
    return round(100 * score), 0, 250


def of_detector(scores=(0.9,), truths=((0, False),), top_down=None, **more):
    found = ImageDetections(np.repeat(BOX, len(scores), 0), np.array(scores), np.zeros(len(scores), int))
    labels, difficult = (np.array(column) for column in zip(*truths, strict=True))
    truth = GroundTruth(np.repeat(BOX, len(truths), 0), labels, difficult)
    voc = evaluate_detections([found], [truth], 2)
    examples = (Example(PICTURE, found, truth, top_down),)
    return Evaluation(voc.metrics(("cat", "dog")) | more, ("cat", "dog"), voc, examples)


def numbers(top1, top5, images, **more):
    return {"top1": top1, "top5": top5, "images": images} | more


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def has_color(path, color):
    return bool((np.asarray(Image.open(path)) == np.array(color)).all(axis=-1).any())


def test_of_a_detector(tmp_path):
    result = of_detector()
    reports.write_report(tmp_path / "a/b", result)
    assert names(tmp_path / "a/b") == ["detections.png", "metrics.json", "precision_recall.png"]
    assert json.loads((tmp_path / "a/b/metrics.json").read_text()) == result.metrics
    assert has_color(tmp_path / "a/b/detections.png", OUTCOME_COLORS[1])
    reports.write_report(tmp_path, of_detector(scores=(0.2,)))
    assert not has_color(tmp_path / "detections.png", OUTCOME_COLORS[1]), "too low a score to be shown"


def test_of_a_detector_with_a_tree(tmp_path):
    """The examples show the detector's own names; each group has its picture, whatever characters its name has."""
    found = Found(np.array([0.9, 0.3]))
    result = of_detector(top_down=found, naming={"groups": [GROUP, GROUP | {"name": "cell"}]})
    reports.write_report(tmp_path, result)
    confusions = ["confusion_cell.png", "confusion_sea_bird_gull.png"]
    assert names(tmp_path) == [*confusions, "detections.png", "metrics.json", "precision_recall.png"]
    assert [has_color(tmp_path / "detections.png", bar(score)) for score in found.scores] == [True, False]
    assert Image.open(tmp_path / "detections.png").width > 4 * 480 > 4 * PICTURE.shape[1] * 2


def test_of_names_on_a_tree(tmp_path):
    sets, wrong = {"precision": 0.9, "recall": 0.5, "f1": None}, {"wrong": 0, "mean": None, "heights": {}}
    hierarchy = {"objects": 9, "found": 8, "right": 4, "undecided": 2, "right_of_found": 0.5, "balanced_of_found": None}
    hierarchy |= {"of_found": sets, "of_all": sets, "severity": wrong}
    reports.write_report(tmp_path, of_detector(hierarchy=hierarchy))
    text = (tmp_path / "hierarchy.md").read_text()
    assert "| names of the objects found | 90.0 | 50.0 | – |" in text and "AP50" not in text
    assert "Of 9 objects 8 are found, of these 50.0 % called by their class (mean over the classes: – %), 2 by" in text
    hierarchy |= {"ap50": 0.5, "nodes": [{"name": "dog", "synset": "n1", "ap50": 0.5, "truths": 9}]}
    reports.write_report(tmp_path, of_detector(hierarchy=hierarchy))
    assert "| mean |  | 50.0 |  |\n| dog | n1 | 50.0 | 9 |" in (tmp_path / "hierarchy.md").read_text()


def test_of_a_classifier(tmp_path):
    per_class = {"cat": numbers(0.9, 1.0, 10), "dog": numbers(0.25, 0.5, 4), "eel": numbers(None, None, 0)}
    metrics = numbers(0.7, 0.85, 14, per_class=per_class, left_out=["fox"])
    reports.write_report(tmp_path, Evaluation(metrics, tuple(per_class)))
    assert names(tmp_path) == ["classes.md", "metrics.json"]
    lines = (tmp_path / "classes.md").read_text().splitlines()
    assert lines[2:6] == [
        "| all | 70.0 | 85.0 | 14 |",
        "| dog | 25.0 | 50.0 | 4 |",
        "| cat | 90.0 | 100.0 | 10 |",
        "| eel | – | – | 0 |",
    ]
    assert "fox" in lines[-1]
    sets = {"precision": 0.9, "recall": 0.5, "f1": None}
    severity = {"wrong": 3, "mean": 4 / 3, "heights": {"1": 2, "2": 1}}
    stopping = {"0.5": {"correct": 0.875, "depth": 0.6} | sets, "0.9": {"correct": 0.0, "depth": None} | sets}
    metrics |= {"stopping": stopping, "severity": severity}
    reports.write_report(tmp_path, Evaluation(metrics, tuple(per_class)))
    text = (tmp_path / "stopping.md").read_text()
    assert "| 0.5 | 87.5 | 60.0 | 90.0 | 50.0 | – |\n| 0.9 | 0.0 | – | 90.0 | 50.0 | – |\n" in text
    assert "3 names are wrong, the lowest node above both is 1.33 high on average (2 of height 1, 1 of" in text


@pytest.mark.parametrize("drawing", ["plot_precision_recall", "plot_confusion", "contact_sheet"])
def test_the_numbers_come_last(tmp_path, monkeypatch, drawing):
    """An interrupted report has no metrics.json, and when it is made again that is the last of its files."""
    result = of_detector(top_down=Found(np.array([0.9])), naming={"groups": [GROUP]})

    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(reports, drawing, interrupted)
        with pytest.raises(KeyboardInterrupt):
            reports.write_report(tmp_path, result)
    assert "metrics.json" not in names(tmp_path)
    reports.write_report(tmp_path, result)
    times = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(times) == 4 and max(times, key=times.get) == "metrics.json"


def test_nothing_to_draw_is_no_mistake(tmp_path):
    """All truths are difficult, so no class has a curve."""
    result = of_detector(truths=((0, True),))
    reports.write_report(tmp_path, result)
    assert names(tmp_path) == ["detections.png", "metrics.json"] and result.metrics["voc_ap50"] is None


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file/report: cannot make this folder"):
        reports.write_report(tmp_path / "file/report", of_detector())


def test_a_picture_that_cannot_be_written(tmp_path):
    (tmp_path / "detections.png").mkdir()
    with pytest.raises(UserError, match="detections.png: cannot be written"):
        reports.write_report(tmp_path, of_detector())
    assert not (tmp_path / "metrics.json").exists()
