"""Runs beside each other: two copies of the tiny run, one of them changed by hand."""

import json
import shutil
from collections.abc import Iterator

import numpy as np
import pytest

from tests.evaluation.test_detection import BOX, dataset, record
from tests.predict.test_detector import detector
from yolo9000_jax.evaluation import evaluate
from yolo9000_jax.report.found import FOUND, read_found, write_found

MARKUP = "<img src=x onerror=alert(1)>"


def change(path, function):
    values = json.loads(path.read_text())
    function(values)
    path.write_text(json.dumps(values))


@pytest.fixture
def runs(trained, tmp_path) -> Iterator[tuple]:
    """One run, and the same with another learning rate, better on picture 3 and worse on 5."""
    for name in ("one", "other"):
        shutil.copytree(trained, tmp_path / name)

    def better(values):
        same(values)
        at = {each["name"]: each for each in values["pictures"]}
        at["3.jpg"] |= {"wrong": 0, "detections": [[5, 5, 40, 40, 0.9, 0]]}
        at["5.jpg"] |= {"right": 0, "missed": 1}

    def same(values):
        for each in values["pictures"]:
            each |= {"right": 1, "wrong": 1, "missed": 0}

    def metrics(values):
        values["voc_ap50"] = 0.75
        values["per_class"]["disc"]["voc_ap50"] = 0.5

    change(tmp_path / "one/report" / FOUND, same)
    change(tmp_path / "other/report" / FOUND, better)
    change(tmp_path / "other/report/metrics.json", metrics)
    change(tmp_path / "other/config.json", lambda values: values["optimizer"].update(learning_rate=0.5))
    return tmp_path / "one", tmp_path / "other"


def test_two_runs(runs, tmp_path, run):
    files = "--json", tmp_path / "c.json", "--report", tmp_path / "page"
    status, output, error = run("compare", *runs, *files)
    assert (status, error) == (0, "")
    found = json.loads((tmp_path / "c.json").read_text())
    before = [json.loads((each / "report/metrics.json").read_text()) for each in runs]
    assert found["compared"] == list(map(str, runs)) and found["steps"] == [6, 6]
    assert found["numbers"]["voc_ap50"] == [before[0]["voc_ap50"], 0.75]
    assert found["per_class"]["disc"] == [each["per_class"]["disc"]["voc_ap50"] for each in before]
    assert found["configs"] == {"optimizer.learning_rate": [0.001, 0.5]}
    # F1: 2/3 on all but 1 on 3.jpg, 0 on 5.jpg.
    assert [(each["picture"], each["right"]) for each in found["pictures"]] == [("5.jpg", [1, 0]), ("3.jpg", [1, 1])]
    assert found["pictures"][1]["f1"] == pytest.approx([2 / 3, 1.0])
    steps = [json.loads(line) for line in (runs[0] / "metrics.jsonl").read_text().splitlines()]
    expected = [[row["step"], pytest.approx(row["loss"], rel=1e-4)] for row in steps if "loss" in row]
    assert found["curves"][0]["loss"] == expected
    for text in ("optimizer.learning_rate", "change", "5.jpg", "1/1/0", "0/1/1"):
        assert text in output
    page = (tmp_path / "page/index.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 4, "two pictures, as two runs see them"
    assert run("compare", *runs, *files)[0] == 0


def test_a_run_that_still_trains(runs, tmp_path, run):
    """It has scores and no report; its names cannot run in the page; the data are gone."""
    shutil.rmtree(runs[1] / "report")
    odd = tmp_path / MARKUP
    runs[1].rename(odd)
    change(runs[0] / "config.json", lambda values: values["data"].update(source="voc:/nowhere"))
    status, output, error = run("compare", runs[0], odd, "--report", tmp_path / "page")
    assert (status, error) == (0, "") and "no comparison by picture: <img" in output and FOUND in output
    page = (tmp_path / "page/index.html").read_text()
    assert "<img src=x" not in page and "&lt;img src=x" in page


def test_a_run_that_trains_on(runs, run, tmp_path):
    """Its report is of an earlier step than its last score, so neither its numbers nor its pictures are compared."""
    change(runs[1] / "scores.json", lambda values: values.update({"9": {"voc_ap50": 0.125}}))
    status, output, error = run("compare", *runs, "--json", tmp_path / "c.json")
    found = json.loads((tmp_path / "c.json").read_text())
    assert (status, error) == (0, "") and "other kept no report/found.json of the step compared" in output
    assert found["steps"] == [6, 9] and found["numbers"]["voc_ap50"][1] == 0.125 and found["pictures"] == []


def test_pictures_of_one_name_and_of_other_data(runs, run, tmp_path):
    """Pictures of two folders with one name stay two; those of other data sets are not compared."""
    for each in runs:
        change(each / "report" / FOUND, lambda values: [one.update(name="frame_1.jpg") for one in values["pictures"]])
    assert run("compare", *runs, "--json", tmp_path / "c.json")[0] == 0
    found = json.loads((tmp_path / "c.json").read_text())["pictures"]
    assert [each["picture"] for each in found] == ["frame_1.jpg"] * 2 and found[0]["place"] != found[1]["place"]
    change(runs[1] / "network.json", lambda values: values["run"]["data"].update(evaluation="0" * 64))
    assert "they were not evaluated on the same data set" in run("compare", *runs)[1]


def test_what_cannot_be_compared(runs, tmp_path, refused):
    report = runs[0] / "report"
    assert "is what its training reports to" in refused("evaluate", "--workdir", runs[0], "--report", report)
    assert "two workdirs or more" in refused("compare", runs[0])
    assert "no network.json" in refused("compare", tmp_path / "none")
    assert "is there twice" in refused("compare", runs[0], runs[0])
    assert f"{tmp_path}: no network.json" in refused("compare", runs[0], tmp_path)
    (runs[1] / "report" / FOUND).write_text('{"classes": [], "pictures": [3], "found_at": 6}')
    assert f"{FOUND}: cannot be read" in refused("compare", *runs)
    shutil.rmtree(runs[1] / "report")
    (runs[1] / "scores.json").write_text("{}")
    assert "nothing of it has been evaluated yet" in refused("compare", *runs)


def test_what_was_found_in_each_picture(tmp_path):
    """The box is right in all but the last, which holds it elsewhere; a detection below .25 is not kept."""
    records = [record(n, [[8, 6, 40, 30]], [1]) for n in range(5)]
    data = dataset(*records, record(5, [[50, 40, 70, 55]], [1]))
    for score, expected in ((0.9, [(1, 0, 0)] * 5 + [(0, 1, 1)]), (0.2, [(0, 0, 1)] * 6)):
        evaluation = evaluate(detector((*BOX, score, 1), resize="stretch"), data)
        write_found(tmp_path / "found.json", evaluation.compared, evaluation.class_names, 7)
        step, classes, found = read_found(tmp_path / "found.json")
        for each, truth in zip(found, evaluation.compared.truths, strict=True):
            assert each.truth.boxes_xyxy.tolist() == truth.boxes_xyxy.tolist() and each.truth.labels.tolist() == [1]
        assert step == 7
        assert [(each.right, each.wrong, each.missed) for each in found] == expected
        assert classes == evaluation.class_names and found[-1].f1 == 0.0
        boxes = np.concatenate([each.detections.boxes_xyxy for each in found])
        assert len(boxes) == (6 if score > 0.25 else 0)
