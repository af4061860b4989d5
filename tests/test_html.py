"""What shows itself escapes what it is told."""

from html.parser import HTMLParser

import numpy as np
import pytest

from tests.predict.test_detector import ANCHOR, SIDE, Fixed, grid
from yolo9000_jax import config
from yolo9000_jax.boxes.heads import RegionHead
from yolo9000_jax.boxes.priors import Priors
from yolo9000_jax.data.records import Dataset, Record
from yolo9000_jax.data.sample import Sample
from yolo9000_jax.predict.detector import Detector
from yolo9000_jax.predict.result import Ranking, Result
from yolo9000_jax.report.history import History
from yolo9000_jax.wordtree.tree import WordTree

EVIL = "<script>alert(1)</script>\"'><img/src=x/onerror=alert(1)>"
IMAGE = np.full((20, 30, 3), 90, np.uint8)
BOXES = np.float32([[2, 3, 12, 13]])


def shown():
    record = Record("a", None, 30, 20, BOXES, np.int32([0]), np.zeros(1, bool), lambda: IMAGE)
    experiment = config.from_scratch()
    experiment.data.source = EVIL
    network, curve = Fixed(grid()), (np.array([1.0, 2.0]), np.array([3.0, 1.0]))
    return {
        "result": Result(IMAGE, BOXES, np.float32([0.9]), np.array([0]), (EVIL,)),
        "ranking": Ranking(np.array([0]), np.float32([0.9]), (EVIL,)),
        "data set": Dataset(EVIL, "train", [EVIL], [record], notes=[EVIL]),
        "tree": WordTree(("a",), np.array([-1]), (EVIL,)),
        "config": experiment,
        "detector": Detector(network, {}, (EVIL, "b"), RegionHead([ANCHOR]), (SIDE, SIDE), notes=[EVIL]),
        "history": History({"loss": curve, EVIL: curve}, EVIL),
        "sample": Sample(IMAGE, BOXES, (EVIL,)),
        "priors": Priors(np.array([[1.0, 2.0]]), 0.5),
    }


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("name", shown())
def test_nothing_a_label_says_can_run(name):
    found = Tags()
    found.feed(shown()[name]._repr_html_())
    assert found.tags <= {"div", "b", "table", "tr", "td", "th", "img", "details", "summary", "pre"}
    assert found.attributes <= {"style", "src", "title"}
    assert (EVIL in found.text) == (name not in ("priors", "history"))
