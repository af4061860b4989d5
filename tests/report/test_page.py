"""The page of an evaluation in a browser: it loads without an error and asks for nothing, and its controls act."""

import numpy as np
import pytest

from tests.browser import NAMES, Browser, chromium
from tests.evaluation.test_detection import record
from tests.report.test_evaluation import LONG, NASTY, evaluation_of, of_a_tree
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.survey import alike_pictures, survey
from yolo9000_jax.evaluation.voc import GroundTruth, ImageDetections
from yolo9000_jax.html import element
from yolo9000_jax.report import page as evaluation_pages
from yolo9000_jax.report.check import check_page
from yolo9000_jax.report.evaluation import write_report
from yolo9000_jax.report.found import Found
from yolo9000_jax.report.frame import Section, save_page
from yolo9000_jax.report.frame import page as page_of
from yolo9000_jax.report.runs import Comparison, Run
from yolo9000_jax.report.runs_page import compare_page

pytestmark = pytest.mark.skipif(chromium() is None, reason=f"no browser here: none of {', '.join(NAMES)} is installed")

CARDS = "document.querySelectorAll('.card').length"
SHOWN = "Number(document.querySelector('#picture-list p').textContent.split(' ')[0])"


@pytest.fixture(scope="module")
def browser():
    browser = Browser(chromium())
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def evaluation():
    return evaluation_of(10, (NASTY, "dog", LONG, "eel"))


@pytest.fixture(scope="module")
def page(evaluation, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    write_report(folder, evaluation)
    return folder / "index.html"


def choose(browser, control, value):
    """Sets a control of the pictures, by its place among those of its kind, as a person does."""
    kind, place = control
    event = "change" if kind == "select" else "input"
    control = f"document.querySelectorAll('#picture-list {kind}')[{place}]"
    browser.run(f"{control}.value = {value!r}; {control}.dispatchEvent(new Event('{event}'))")


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False)])
def test_it_loads_without_error_and_alone(browser, page, width, dark):
    browser.open(page, width, dark=dark)
    assert browser.errors == []
    assert [url for url in browser.requests if not url.startswith("data:")] == [page.as_uri()]
    assert browser.run("document.documentElement.scrollWidth") <= width
    light = browser.run("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")
    assert (light < 100) == dark
    browser.run("document.getElementById('theme').click()")
    other = browser.run("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")
    assert (other < 100) != dark


def test_the_filters_act(browser, page, evaluation):
    browser.open(page)
    count = evaluation.metrics["images"]
    assert browser.run(SHOWN) == count and browser.run(CARDS) > 0
    judged = evaluation.compared.judged
    for kind, number in (("wrong class", 1), ("background", 5)):
        choose(browser, ("input[type=range]", 0), "0")
        choose(browser, ("select", 1), kind)
        expected = sum(any((each.kinds == number) & ~each.excused) for each in judged)
        assert browser.run(SHOWN) == expected, kind
    choose(browser, ("input[type=range]", 0), "0.9")
    assert browser.run(SHOWN) == sum(any((each.kinds == 5) & ~each.excused & (each.scores >= 0.9)) for each in judged)
    choose(browser, ("select", 1), "any")
    choose(browser, ("select", 0), "1")
    sees = [
        bool(1 in truth.labels or any((each.labels == 1) & (each.scores >= 0.9)))
        for truth, each in zip(evaluation.compared.truths, judged, strict=True)
    ]
    assert browser.run(SHOWN) == sum(sees)
    assert browser.errors == []


def test_what_is_there_and_what_was_found_are_switched(browser, page):
    browser.open(page)
    drawings = "document.querySelectorAll('.card:first-child svg').length"
    marks = "document.querySelectorAll('.card:first-child .mark').length"
    assert browser.run(drawings) == 2
    both = browser.run(marks)
    for place in (0, 1):
        browser.run(f"document.querySelectorAll('#picture-list input[type=checkbox]')[{place}].click()")
        assert browser.run(marks) < both
    assert browser.run(marks) == 0


def test_a_cell_of_the_confusion_opens_its_pictures(browser, page, evaluation):
    browser.open(page)
    browser.run("document.querySelector('.matrix [role=button]').focus()")
    words = browser.run("document.activeElement.getAttribute('aria-label')")
    browser.press("ArrowRight")
    assert browser.run("document.activeElement.getAttribute('aria-label')") != words
    browser.press("ArrowLeft")
    browser.press("Enter")
    said = browser.run("document.querySelector('#picture-list p').textContent")
    assert words in said and 0 < browser.run(SHOWN) <= evaluation.metrics["images"]
    browser.run("document.getElementById('all-pictures').click()")
    assert browser.run(SHOWN) == evaluation.metrics["images"]


def test_pictures_are_enlarged_and_turned_by_keys(browser, page):
    browser.open(page)
    browser.run("document.querySelector('.card .open').click()")
    title = "document.querySelector('dialog[open] b').textContent"
    first = browser.run(title)
    browser.press("ArrowRight")
    assert browser.run(title) != first
    browser.press("Escape")
    assert browser.run("document.querySelector('dialog[open]')") is None


def test_terms_say_what_they_mean_and_tables_sort(browser, page):
    browser.open(page)
    browser.run("document.querySelector('.term').focus()")
    assert "average precision" in browser.run("document.querySelector('.tip:not([hidden])').textContent")
    column = "[...document.querySelectorAll('#classes tbody tr')].map((row) => Number(row.cells[4].textContent))"
    browser.run("document.querySelectorAll('#classes th')[4].click()")
    values = browser.run(column)
    assert values == sorted(values, reverse=True) and len(set(values)) > 1


def test_every_drawing_has_words(browser, page):
    browser.open(page)
    silent = "[...document.querySelectorAll('svg[role=img]')].filter((each) => !each.getAttribute('aria-label')).length"
    assert browser.run(silent) == 0 and browser.run("document.querySelectorAll('svg[role=img]').length") > 3


def test_the_tree_unfolds(browser, tmp_path, monkeypatch):
    """Its numbers are of all classes, also of those that there are too many of for curves."""
    monkeypatch.setattr(evaluation_pages, "CURVES", 1)
    found = of_a_tree()
    write_report(tmp_path, found)
    browser.open(tmp_path / "index.html")
    names = "[...document.querySelectorAll('.tree b')].map((each) => each.textContent)"
    before = browser.run(names)
    browser.run("document.querySelector('#class-tree button').click()")
    assert browser.run("document.querySelectorAll('.card:first-child svg').length") == 3, "its own names too"
    assert "neutrophil" not in before and "neutrophil" in browser.run(names)
    of = "[...document.querySelectorAll('.tree li')].find((each) => each.querySelector('b').textContent === 'red')"
    browser.run(f"{of}.querySelector('button').click()")
    assert browser.run(SHOWN) == 1 and browser.errors == []
    notes = (
        "[...document.querySelectorAll('.tree li')].map((each) => each.querySelector('.note:last-of-type').textContent)"
    )
    said = dict(zip(browser.run(names), browser.run(notes), strict=True))
    values = [each["voc_ap50"] for each in found.metrics["per_class"].values() if each["voc_ap50"] is not None]
    assert f"mean AP50 of {len(values)} classes {100 * np.mean(values):.1f}" in said["cell"]
    assert said["red"] == "1 objects, AP50 100.0"
    assert browser.run("document.querySelectorAll('.picks input').length") == 1


def test_a_class_that_is_only_taken_for_has_a_column(browser, tmp_path):
    write_report(tmp_path, of_a_tree())
    browser.open(tmp_path / "index.html")
    cells = "[...document.querySelectorAll('.matrix [role=button]')].map((each) => each.getAttribute('aria-label'))"
    assert "1 of 1 lymphocyte taken for eosinophil" in browser.run(cells)


@pytest.fixture(scope="module")
def small():
    """Pictures whose boxes are suspicious, and one that is there twice; the classes have names that would run."""
    records = [record(number, [[8, 6, 40, 30], [8, 6, 40, 31], [1, 1, 2, 9]], [0, 0, 1]) for number in range(3)]
    return Dataset("a", "train", (NASTY, LONG), [*records, records[0]])


def checked(small):
    found = survey(small)
    assert len(found.suspects["doubled"]) == len(found.suspects["tiny"]) == 4
    pairs, _ = alike_pictures([found], {"train": small})
    return check_page(f"voc:{NASTY}", [found], pairs, [NASTY])


def compared(small):
    found = ImageDetections(np.float64([[8, 6, 40, 30]]), np.array([0.9]), np.array([0]))
    truth = GroundTruth(np.float64([[8, 6, 40, 30]]), np.array([0]), np.array([False]))
    seen = [Found(small[place].picture_name, 1, place, 0, found, truth) for place in range(2)]
    nameless = "no UTF-8: \udcff\n"
    curves = {"loss": [[1, 2.0], [2, 1.0]], nameless: [[1, None]], NASTY: [[1, None]]}
    names = NASTY, LONG + nameless
    runs = [Run(name, NASTY, {}, {}, 2, 4, "voc_ap50", None, {}, curves, (NASTY,), seen, "a") for name in names]
    return compare_page(
        Comparison(runs, {NASTY: [1.0, None]}, "ap", {LONG: [0.5, 0.5]}, {"a": [1, NASTY]}, [0]),
        small,
    )


@pytest.mark.parametrize("make", [checked, compared])
def test_pages_of_a_data_set_and_of_runs(browser, tmp_path, small, make):
    page = save_page(tmp_path, make(small))
    for width in (1280, 390):
        browser.open(page, width)
        assert browser.errors == []
        assert [url for url in browser.requests if not url.startswith("data:")] == [page.as_uri()]
        assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("[...document.images].every(image => image.alt && image.naturalWidth)")
    pictures, charts = {checked: (10, 0), compared: (2, 1)}[make]
    assert browser.run("document.images.length") >= pictures
    assert browser.run("document.querySelectorAll('svg.chart').length") == charts


def test_charts_have_round_ticks(browser, tmp_path):
    """Some on every axis, of steps whole ones, of shares from 0; a lone value is a dot, equal runs are both seen."""
    of_one = {"loss": [[10, 5.0], [60, 4.3]], "voc_ap50": [[60, 0.0]], "recall50": [[60, 0.99], [61, 0.991]]}
    data = {"runs": ["a", "b"], "curves": [of_one, of_one]}
    place = Section("curves", "Curves", [element("div", id="compared-curves")])
    browser.open(save_page(tmp_path, page_of("Runs", [place], data=data, scripts=("runs.js",))), 390)
    texts = "[...document.querySelectorAll('svg.chart')].map((each) => [...each.querySelectorAll('text')].map("
    ticks = browser.run(f"{texts}(text) => [text.getAttribute('text-anchor'), text.textContent]))")
    for of_chart, lowest in zip(ticks, (4, 0, 0), strict=True):
        of_y = [float(text) for anchor, text in of_chart if anchor == "end"]
        of_x = [text for anchor, text in of_chart if anchor == "middle" and text[:1].isdigit()]
        assert len(of_y) > 1 and lowest <= of_y[0] and (lowest or of_y[0] == 0) and len(set(of_y)) == len(of_y)
        assert lowest or of_y[-1] <= 1
        assert of_x and all(text.isdigit() for text in of_x) and len(set(of_x)) == len(of_x)
    assert browser.run("document.querySelectorAll('svg.chart')[1].querySelectorAll('circle').length") == 2
    lines = "[...document.querySelector('svg.chart').querySelectorAll('.line')]"
    assert len(set(browser.run(f"{lines}.map((each) => each.getAttribute('stroke-dasharray'))"))) == 2
    assert browser.errors == []


def test_cards_draw_the_best_detections_and_enlarge_all(browser, tmp_path):
    """No class without objects is picked at first, and no card is buried under boxes."""
    write_report(tmp_path, evaluation_of(1, ("cat", "none"), objects=25))
    browser.open(tmp_path / "index.html")
    picked = "[...document.querySelectorAll('.picks label')].filter((each) => each.firstChild.checked)"
    assert browser.run(f"{picked}.map((each) => each.textContent.trim())") == ["cat"]
    choose(browser, ("input[type=range]", 0), "0")
    panel = "{}.querySelectorAll('.panel')[1].querySelectorAll('.mark').length"
    assert browser.run(panel.format("document.querySelector('.card')")) == 20
    assert "the 20 best of 26" in browser.run("document.querySelector('.card').textContent")
    browser.run("document.querySelector('.card .open').click()")
    assert browser.run(panel.format("document.querySelector('dialog')")) == 26
