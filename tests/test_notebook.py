"""What is shown in a notebook and printed elsewhere; the sample pictures; the curves of a run."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

import yolo9000_jax as y9
from yolo9000_jax import notebook
from yolo9000_jax.data.sample import CLASSES, HEIGHT, SIDES, WIDTH
from yolo9000_jax.predict.result import Ranking, Result

PICTURE = np.full((20, 30, 3), 90, np.uint8)
RESULT = Result(PICTURE, np.float32([[2, 3, 12, 13]]), np.float32([0.9]), np.array([0]), ("dog",))


class Shown:
    """Stands for IPython's display module."""

    def __init__(self):
        self.things = []

    def HTML(self, markup):  # noqa: N802 (IPython's name)
        return markup

    def display(self, thing):
        self.things.append(thing)


@pytest.fixture
def shown(monkeypatch):
    display = Shown()
    monkeypatch.setattr(notebook, "_display", lambda: display)
    return display.things


def sides(markup):
    """Width and height of the picture in the markup."""
    return Image.open(io.BytesIO(base64.b64decode(re.search('base64,([^"]+)"', markup)[1]))).size


def test_pictures_stand_side_by_side(shown):
    y9.show(RESULT, PICTURE, [PICTURE, RESULT], columns=4)
    y9.show(PICTURE)
    row, one = map(sides, shown)
    assert one == (30, 20)
    assert row[0] >= 4 * 30 and row[1] < 2 * row[0] / 4


def test_what_shows_itself_does_so(shown):
    ranking = Ranking(np.array([0]), np.float32([0.9]), ("dog",))
    y9.show(ranking)
    assert shown == [ranking]
    shown.clear()
    y9.show([PICTURE, ranking, [ranking]])  # also in a list, beside a picture
    assert shown[:2] == [ranking, ranking] and sides(shown[2]) == (30, 20)


def test_elsewhere_than_in_a_notebook_it_is_printed(capsys):
    y9.show(Ranking(np.array([0]), np.float32([0.9]), ("dog",)), PICTURE, RESULT)
    first, second = capsys.readouterr().out.splitlines()
    assert first == "<dog 0.900>" and second.startswith("2 pictures: to see them")


@pytest.mark.parametrize("things", [(), ([],), ("no_such_picture.jpg",), (3,)])
def test_what_cannot_be_shown_is_said_in_one_line(shown, things):
    with pytest.raises(y9.UserError) as raised:
        y9.show(*things)
    assert "\n" not in str(raised.value) and not shown


def test_a_history_is_what_the_run_has_written(tmp_path):
    lines = [{"step": 2, "loss": 3.0}, {"step": 4, "loss": 2.0}, {"step": 4, "voc_ap50": 0.5}]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 6, "lo')
    history = y9.history(tmp_path)
    steps, values = history["loss"]
    assert steps.tolist() == [2, 4] and values.tolist() == [3, 2]
    assert set(history) == {"loss", "voc_ap50"} and history.broken == 1
    assert repr(history).endswith("step 4, loss 2.000, voc_ap50 0.500>")
    assert "step 4, loss 2.000" in history._repr_html_() and min(sides(history._repr_html_())) > 100


def test_a_history_of_nothing(tmp_path):
    with pytest.raises(y9.UserError, match="metrics.jsonl"):
        y9.history(tmp_path)
    (tmp_path / "metrics.jsonl").write_text("")
    assert "nothing measured yet" in y9.history(tmp_path)._repr_html_()


def test_samples_hold_what_they_say():
    first = y9.sample()
    assert first.image.shape == (HEIGHT, WIDTH, 3) and first.image.dtype == np.uint8 and first.names == CLASSES
    np.testing.assert_array_equal(first.image, y9.sample(0).image)
    assert (first.image != y9.sample(1).image).any()
    for seed in range(20):
        image, boxes, names = y9.sample(seed)
        assert 1 <= len(names) == len(boxes) <= 3 and set(names) <= set(CLASSES)
        assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= [WIDTH, HEIGHT]).all()
        assert (boxes[:, 2:] - boxes[:, :2] >= SIDES[0]).all() and (boxes[:, 2:] - boxes[:, :2] <= SIDES[1]).all()
        for name, (x0, y0, x1, y1) in zip(names, boxes.astype(int), strict=True):
            red, green, blue = image[(y0 + y1) // 2, (x0 + x1) // 2].astype(int)  # its middle has its colour
            assert {"ball": red, "cone": green, "box": blue}[name] == max(red, green, blue)


def test_a_sample_of_a_negative_seed_is_refused():
    with pytest.raises(y9.UserError, match="seed -1"):
        y9.sample(-1)
