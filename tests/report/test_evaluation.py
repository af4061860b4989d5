"""The report of an evaluation: which files it has, in which order they come, and what the page holds."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.evaluation.test_naming import EOSINOPHIL, NEUTROPHIL, RED, WHITE, Told, at, dataset, record
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.table import Record
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation import Evaluation, evaluate
from yolo9000_jax.evaluation.mistakes import KINDS, RIGHT
from yolo9000_jax.predict.result import Result
from yolo9000_jax.report import evaluation as reports
from yolo9000_jax.report import sample
from yolo9000_jax.report.frame import Section, page, table
from yolo9000_jax.report.page import _steps, _threshold, hierarchy_tables
from yolo9000_jax.report.table import Table

NASTY = "</script><img src=x onerror=alert(1)> & 'a' \"b\""
LONG = "long" * 250
WIDTH, HEIGHT = 160, 120
VOID = {"meta", "img", "input", "br", "hr", "link"}


class Reader(HTMLParser):
    """Notes the tags of a page that are not closed in order, and what is in its scripts."""

    def __init__(self, content):
        super().__init__()
        self.open, self.wrong, self.scripts, self.tags, self.words = [], [], [], [], ""
        self.feed(content)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, words):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += words
        elif self.open and self.open[-1] != "style":
            self.words += words


class Guesses:
    """A detector that finds some objects, misplaces and misnames others, and sees what is not there."""

    synsets, tree = None, None

    def __init__(self, classes, seed=0):
        self.classes, self._rng = classes, np.random.default_rng(seed)

    def stream(self, records, **_):
        for each in records:
            count = len(each.labels)
            boxes = each.boxes_xyxy + self._rng.normal(0, 4, (count, 4))
            wrong = self._rng.random(count) < 0.3
            labels = np.where(wrong, self._rng.integers(0, len(self.classes), count), each.labels)
            boxes = np.concatenate([boxes, [[2, 2, 20, 20]]]).astype(np.float32)
            scores = np.sort(self._rng.random(count + 1))[::-1].astype(np.float32)
            yield Result(each.read(), boxes, scores, np.append(labels, 0), self.classes)


def records_of(count, classes, objects=3, read=None, size=(HEIGHT, WIDTH)):
    rng, found = np.random.default_rng(1), []
    for number in range(count):
        low = rng.uniform(20, 60, (objects, 2))
        boxes = np.concatenate([low, low + rng.uniform(15, 50, (objects, 2))], 1).astype(np.float32)
        image = rng.integers(0, 256, (*size, 3), np.uint8)
        labels = rng.integers(0, len(classes) - 1, objects).astype(np.int32)  # of the last class there is none
        difficult = np.arange(objects) == objects - 1
        reading = read or (lambda image=image: image)
        name = f"{number}.jpg"
        found.append(Record(name, name, size[1], size[0], boxes, labels, difficult, reading))
    return found


def evaluation_of(count=6, classes=("cat", "dog", "eel"), **more):
    data = Dataset("made:here", "val", classes, records_of(count, classes, **more))
    return evaluate(Guesses(classes), data, examples=0)


def numbers(top1, top5, images, **more):
    return {"top1": top1, "top5": top5, "images": images} | more


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def read(folder):
    """The page, its parts checked, and the data in it."""
    content = (folder / "index.html").read_text()
    reader = Reader(content)
    assert (reader.open, reader.wrong) == ([], []) and content.startswith("<!DOCTYPE html>")
    return reader, json.loads(reader.scripts[0])


@pytest.fixture(scope="module")
def found():
    return evaluation_of()


def test_of_a_detector(tmp_path, found):
    reports.write_report(tmp_path / "a/b", found, facts={"score threshold": 0.005})
    assert names(tmp_path / "a/b") == ["found.json", "index.html", "metrics.json"]
    assert json.loads((tmp_path / "a/b/metrics.json").read_text()) == found.metrics
    reader, data = read(tmp_path / "a/b")
    for each in (
        "made:here val",
        "6 pictures, 3 classes",
        f"{100 * found.metrics['coco_ap']:.1f}",
        "score threshold0.005",
    ):
        assert each in reader.words
    assert data["classes"] == ["cat", "dog", "eel"] and data["images"] == len(data["pictures"]) == 6


def test_the_page_says_what_the_evaluation_found(tmp_path, found):
    """Kinds of mistakes, counts at a threshold and confusions in the page are those of the metrics."""
    reports.write_report(tmp_path, found)
    _, data = read(tmp_path)
    pictures = data["pictures"]
    kinds = [each[6] for picture in pictures for each in picture["found"] if not each[7] & 1]
    every = [each[6] for picture in pictures for each in picture["found"]]
    for name, kind in KINDS.items():
        assert every.count(kind) == found.metrics["mistakes"][name]["count"], name
    truths = [each for picture in pictures for each in picture["truths"]]
    assert kinds.count(RIGHT) == sum(each[6] >= 0 for each in truths)
    best = found.metrics["per_class"]["cat"]["best_f1"]
    of_cat = data["of_classes"][0]
    step = int(best["threshold"] * 100)
    right, wrong = of_cat["right"][step], of_cat["wrong"][step]
    assert right / of_cat["truths"] >= best["recall"] > 0 and right + wrong >= 1
    assert of_cat["right"][0] + of_cat["wrong"][0] <= found.metrics["per_class"]["cat"]["detections"]
    counting = sum(numbers["truths"] for numbers in found.metrics["per_class"].values())
    confusion = data["confusion"]
    assert len(confusion["true"]) == counting == len(confusion["picture"]) == sum(each[5] == 0 for each in truths)
    alone = sum(sum(each) for each in confusion["alone"].values())
    assert alone == sum(each[7] >= 2 for picture in pictures for each in picture["found"]) > 0
    assert data["of_classes"][2] is None or data["of_classes"][2]["truths"] == 0


def test_no_name_becomes_markup(tmp_path):
    """Names of classes and of the source, with markup, the end of a script and a thousand letters."""
    classes = (NASTY, LONG, "dog")
    data = Dataset(NASTY, "val", classes, records_of(2, classes))
    reports.write_report(tmp_path, evaluate(Guesses(classes), data, examples=0), facts={NASTY: NASTY})
    reader, data = read(tmp_path)
    assert len(reader.scripts) == 4 and "img" not in {tag for tag, _ in reader.tags}
    assert data["classes"][0].startswith("</script><img") and LONG in data["classes"]
    assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)
    content = (tmp_path / "index.html").read_text()
    assert "alert(1)" in content and "<img src=x" not in content


def test_a_page_loads_nothing(tmp_path, found):
    reports.write_report(tmp_path, found)
    reader, _ = read(tmp_path)
    policy = next(values["content"] for tag, values in reader.tags if values.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:;") and policy.count("'sha256-") == 3
    assert not any({"src", "href"} & values.keys() and tag != "a" for tag, values in reader.tags)


def test_of_names_on_a_tree():
    sets, wrong = {"precision": 0.9, "recall": 0.5, "f1": None}, {"wrong": 0, "mean": None, "heights": {}}
    hierarchy = {"objects": 9, "found": 8, "right": 4, "undecided": 2, "right_of_found": 0.5, "balanced_of_found": None}
    hierarchy |= {"of_found": sets, "of_all": sets, "severity": wrong}
    (near,) = hierarchy_tables(hierarchy)
    assert near.rows[0] == ["names of the objects found", "90.0", "50.0", None]
    assert (
        "Of 9 objects 8 are found, of these 50.0 % called by their class (mean over the classes: – %), 2 by"
        in near.note
    )
    hierarchy |= {"ap50": 0.5, "nodes": [{"name": "dog", "synset": "n1", "ap50": 0.5, "truths": 9}]}
    assert hierarchy_tables(hierarchy)[1].rows == [["mean", "", "50.0", ""], ["dog", "n1", "50.0", "9"]]


def test_of_a_classifier(tmp_path):
    per_class = {"cat": numbers(0.9, 1.0, 10), "dog": numbers(0.25, 0.5, 4), "eel": numbers(None, None, 0)}
    sets = {"precision": 0.9, "recall": 0.5, "f1": None}
    severity = {"wrong": 3, "mean": 4 / 3, "heights": {"1": 2, "2": 1}}
    stopping = {"0.5": {"correct": 0.875, "depth": 0.6} | sets, "0.9": {"correct": 0.0, "depth": None} | sets}
    metrics = numbers(0.7, 0.85, 14, per_class=per_class, left_out=["fox"], stopping=stopping, severity=severity)
    reports.write_report(tmp_path, Evaluation(metrics, tuple(per_class)), step=5)
    reader, _ = read(tmp_path)
    for each in (
        "dog25.050.04",
        "eel––0",
        "0.587.560.090.050.0–",
        "1.33 high on average (2 of height 1, 1 of",
        "fox",
        "state after step5",
    ):
        assert each in reader.words
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics | {"step": 5}


@pytest.mark.parametrize(("count", "objects"), [(0, 0), (2, 0)])
def test_nothing_there(tmp_path, count, objects):
    reports.write_report(tmp_path, evaluation_of(count, objects=objects))
    _, data = read(tmp_path)
    assert len(data["pictures"]) == count and data["confusion"]["true"] == []


def test_pictures_that_are_gone_are_said_and_framed(tmp_path, said):
    there = [True]

    def reading():
        if not there[0]:
            raise FileNotFoundError(2, "No such file or directory")
        return np.zeros((HEIGHT, WIDTH, 3), np.uint8)

    found = evaluation_of(3, read=reading)
    there[0] = False
    reports.write_report(tmp_path, found)
    assert [each["jpeg"] for each in read(tmp_path)[1]["pictures"]] == [None] * 3
    assert [line for line in said if "0.jpg (No such file or directory), and 2 more" in line]


def test_many_pictures_stay_small(tmp_path, monkeypatch):
    """Noise takes the most bytes that a picture can take; of many pictures some are shown, the worst among them."""
    monkeypatch.setattr(sample, "MOST_PICTURES", 20)
    monkeypatch.setattr(sample, "ORDERED", 4)
    monkeypatch.setattr(sample, "BYTES", 20 * 12_000)
    found, encode, tried = evaluation_of(30, size=(300, 400)), sample._encoded, []
    monkeypatch.setattr(sample, "_encoded", lambda *given: tried.append(1) or encode(*given))
    reports.write_report(tmp_path, found)
    assert len(tried) < 3 * 20, "each begins with what the last one ended with"
    pictures = read(tmp_path)[1]["pictures"]
    assert len(pictures) == 20 and max(len(each["jpeg"]) for each in pictures) <= 16_000, "a third more as base64"
    threshold = sample.cut(found.metrics["best_f1"]["threshold"], 2)
    values = np.array([sample.f1(each, threshold) for each in found.compared.judged])
    worst = {int(place) for place in np.argsort(values, kind="stable")[:4]}
    assert worst <= {each["place"] for each in pictures}


def test_scores_are_cut_off_and_reach_no_threshold_that_they_did_not():
    scores = np.append(np.linspace(0, 1, 2003, dtype=np.float32), np.arange(101) / 100)
    for score in [*scores, 0.2496]:
        assert int(_steps(np.array([score]))[0]) == int(sample.cut(sample.cut(score, 3), 2) * 100 + 0.5), score
    assert sample.cut(0.2496, 3) == 0.249 and _threshold({"best_f1": {"threshold": 0.2496}}) == 0.24


def test_the_numbers_come_last(tmp_path, found, monkeypatch):
    """An interrupted report has no metrics.json."""
    with monkeypatch.context() as patch:
        patch.setattr(reports, "evaluation_page", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            reports.write_report(tmp_path, found)
    assert not names(tmp_path)
    reports.write_report(tmp_path, found)
    times = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert max(times, key=times.get) == "metrics.json"


def test_a_folder_that_cannot_be_made(tmp_path, found):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file/report: cannot make this folder"):
        reports.write_report(tmp_path / "file/report", found)
    (tmp_path / "index.html").mkdir()
    with pytest.raises(UserError, match="index.html: cannot be written"):
        reports.write_report(tmp_path, found)


def test_a_page_of_a_table():
    content = Table(["name", "number"], [["a", "1"], [NASTY, None]], "A title", "one\ntwo")
    reader = Reader(page("Pages", [Section("all", "All", [table(content, {"a": "the first"}, sortable=True)])]))
    assert not reader.open and not reader.wrong
    assert ("span", "the first") in [(tag, values.get("data-tip")) for tag, values in reader.tags]
    assert [tag for tag, _ in reader.tags].count("tr") == 3 and "onetwo" in reader.words


def of_a_tree():
    """A white cell called neutrophil, one called white only, a lymphocyte taken for an eosinophil, and a red cell."""
    names_of = [("white", "neutrophil"), ("white", "neutrophil"), ("white", "lymphocyte"), ("red",)]
    objects = [(at(place), name) for place, each in enumerate(names_of) for name in each]
    answer = [(at(0), WHITE), (at(0), NEUTROPHIL), (at(1), WHITE), (at(2), EOSINOPHIL), (at(3), RED)]
    return evaluate(Told(answer), dataset([record(*objects)]), examples=0)


def test_the_tree_and_how_far_down_answers_go(tmp_path):
    found = of_a_tree()
    reports.write_report(tmp_path, found)
    reader, data = read(tmp_path)
    nodes = data["tree"]
    above = {name: nodes[place][0] if place >= 0 else None for name, _, place, _ in nodes}
    assert above["neutrophil"] == "granulocyte" and above["white"] == "cell" and above["cell"] is None
    labels = {name: label for name, _, _, label in nodes}
    assert labels["granulocyte"] == -1 and data["classes"][labels["white"]] == "white"
    places = [data["order"].index(labels[name]) for name in ("white", "neutrophil", "eosinophil", "lymphocyte")]
    assert places == sorted(places), "what is below a class comes after it"
    # Scores go from 1 down to .5: .875 is that of the neutrophil, .75 of the second white.
    assert data["descent"]["class"][:88:87] == [pytest.approx(1 / 3, abs=1e-3)] * 2
    assert data["descent"]["above"][75] == pytest.approx(1 / 3, abs=1e-3)
    assert [data["descent"][key][100] for key in ("class", "above")] == [0.0, pytest.approx(1 / 3, abs=1e-3)]
    confusion = data["confusion"]
    called = [*data["classes"], None]  # -1: by no name
    rows = zip(confusion["true"], confusion["found"], confusion["coarse"], strict=True)
    said = {tuple(called[label] for label in row) for row in rows}
    assert said == {
        ("neutrophil", "neutrophil", "white"),
        ("neutrophil", None, "white"),
        ("lymphocyte", "eosinophil", None),
        ("red", "red", None),
    }
    assert "Objects below white" in reader.words
    own = [(path, score) for *_, path, score in data["pictures"][0]["own"]]
    assert own[1] == ("cell › white › granulocyte › neutrophil", 0.875) and len(own) == 5
