"""Tables: the same cells as text, as Markdown and as a picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from yolo9000_jax.errors import UserError
from yolo9000_jax.report.comparisons import plot_table
from yolo9000_jax.report.table import Table, short_names

ROWS = [["k-means", "5", "61.0", "+1.5"], ["9 hand-picked", "9", None, "−0.3"]]
TABLE = Table(["priors", "k", "IoU", "delta"], ROWS, title="Fit", note="* cited")


def test_text():
    assert TABLE.text().splitlines() == [
        "Fit",
        "priors         k   IoU  delta",
        "-------------  -  ----  -----",
        "k-means        5  61.0   +1.5",
        "9 hand-picked  9     –   −0.3",
        "* cited",
    ]


def test_markdown():
    assert TABLE.markdown().splitlines() == [
        "| priors | k | IoU | delta |",
        "| --- | ---: | ---: | ---: |",
        "| k-means | 5 | 61.0 | +1.5 |",
        "| 9 hand-picked | 9 | – | −0.3 |",
        "",
        "* cited",
    ]
    assert Table(["a|b"], [["c|d"]]).markdown() == "| a\\|b |\n| --- |\n| c\\|d |"


@given(st.lists(st.tuples(*[st.none() | st.text("ab1.|-% ", min_size=1, max_size=9)] * 3), max_size=5))
def test_columns_stand_under_each_other(rows):
    """Every line of text has its columns at the same places, and Markdown as many cells as there are columns."""
    table = Table(["x", "y", "z"], rows)
    lines = table.text().splitlines()
    rule = lines[1]
    assert len(lines) == len(rows) + 2 and max(map(len, lines)) <= len(rule)
    gaps = [place for place, mark in enumerate(rule) if mark == " "]
    assert all(line[place : place + 1] in (" ", "") for line in lines for place in gaps)
    assert all(line.replace("\\|", "").count("|") == 4 for line in table.markdown().splitlines())


def test_long_notes_are_broken_into_lines():
    lines = Table(["a"], [["1"]], note="word " * 60 + "\nend").text().splitlines()
    assert max(map(len, lines)) <= 80 and lines[-1] == "end"


def test_a_row_of_another_length_is_refused():
    with pytest.raises(UserError, match="row 1: 1 cells for 2 columns"):
        Table(["a", "b"], [["1", "2"], ["1"]])


def test_picture(tmp_path):
    """Each row makes the picture higher, each column wider, and formulas are left alone."""
    plot_table(TABLE, tmp_path / "a.png")
    plot_table(Table([*TABLE.columns, "more"], [[*row, "$x_1$"] for row in (*ROWS, ROWS[0])]), tmp_path / "b.png")
    small, large = (np.asarray(Image.open(tmp_path / name).convert("L")) for name in ("a.png", "b.png"))
    assert small.min() < 60 and large.shape[1] > small.shape[1]
    with pytest.raises(UserError, match="c.docx: cannot write"):
        plot_table(TABLE, tmp_path / "c.docx")


@pytest.mark.parametrize(
    ("full", "short"),
    [
        (["voc:/data/VOCdevkit/VOC2007 trainval"], ["VOC2007 trainval"]),
        (["voc:d/VOC2007+voc:d/VOC2012 train[:80%]"], ["VOC2007+VOC2012 train[:80%]"]),
        (["yolo:/d/coco128/data.yaml all", "emoji val"], ["coco128 all", "emoji val"]),
        (["coco:/d/instances_val2017.json,/d/val2017 val"], ["instances_val2017 val"]),
        (["voc:a/x all", "voc:b/x all"], ["voc:a/x all", "voc:b/x all"]),
        (["voc:. all", "yolo:data.yaml all"], ["voc:. all", "yolo:data.yaml all"]),
    ],
)
def test_short_names(full, short):
    assert short_names(full) == short
