"""The comparison with Debian's program `darknet`: live where it is installed, and on rows made up."""

import importlib
import shutil

import numpy as np
import pytest

from tests.helpers import ROOT, WEIGHTS, data_dir, golden_net


@pytest.fixture
def compare(monkeypatch):
    """The module experiments/benchmarks/darknet_compare.py."""
    monkeypatch.syspath_prepend(ROOT / "experiments/benchmarks")
    return importlib.import_module("darknet_compare")


@pytest.fixture
def main(compare, monkeypatch, capsys):
    """main(*arguments) -> (exit status, what it has printed) of darknet_compare.py."""

    def main(*arguments):
        if shutil.which("darknet") is None:
            pytest.skip("the program darknet is not installed")
        monkeypatch.setattr("sys.argv", ["darknet_compare.py", *map(str, arguments)])
        return compare.main(), "".join(capsys.readouterr())

    return main


@pytest.fixture
def pictures():
    return sorted((data_dir("coco128") / "images").glob("**/*.jpg"))[:5]


def test_the_same_detections(main, pictures):
    for cfg in WEIGHTS.glob("*yolo*.cfg"):
        files = ("--cfg", cfg, "--weights", cfg.with_suffix(".weights"))
        status, text = main(*files, "--threshold", 0.1, "--pictures", *pictures)
        assert status == 0, text
        assert text.count(" 0 without a partner") == 2 and text.count("  ours 0.") > 10
        return
    pytest.skip("no published weights: set YOLO9000_WEIGHTS to their folder")


def test_the_same_classes(main, pictures):
    cfg = WEIGHTS / "tiny.cfg"
    if not cfg.is_file():
        pytest.skip("no published weights: set YOLO9000_WEIGHTS to their folder")
    status, text = main("--cfg", cfg, "--weights", cfg.with_suffix(".weights"), "--pictures", *pictures)
    assert status == 0 and f"{5 * len(pictures)} pairs, 0 without a partner" in text, text


def test_the_same_detections_of_yolo_v1(main, pictures, tmp_path):
    cfg, weights = golden_net("yolov1-s16", tmp_path)
    status, text = main("--cfg", cfg, "--weights", weights, "--pictures", *pictures[:2])
    assert status == 0 and text.count(" 0 without a partner") == 2, text


def test_what_cannot_be_compared(main, tmp_path):
    status, text = main("--cfg", tmp_path / "a.cfg", "--weights", "a", "--pictures", "a")
    assert status == 1 and "a.cfg" in text and text.count("\n") == 1
    status, text = main("--cfg", "a", "--weights", "a", "--pictures", "a", "--threshold", 0.001)
    assert status == 1 and "--threshold 0.001" in text


def test_a_row_that_darknet_loses(compare):
    """640x480 brought to 448 is 448x336, and 479 / 335 * 335 falls short of 479 in float32."""
    whole, cut = (np.full((480, 640, 3), 9, np.uint8), np.full((426, 640, 3), 9, np.uint8))
    assert compare.shown_to_both(cut, (448, 448), "a") is cut and compare.shown_to_both(whole, (416, 416), "a") is whole
    shown = compare.shown_to_both(whole, (448, 448), "a")
    assert shown.shape == (448, 448, 3) and (shown[56:392] == 9).all() and (shown[:56] == 128).all()


def test_differences_are_found(compare, capsys):
    """Rows that agree, then each way in which they may not."""
    box = np.array([10.0, 20, 30, 40])

    def off(ours, theirs, rounding=5e-7):
        found = compare.Comparison("", ["cat", "dog"], rounding)
        found.add([compare.Row(*row) for row in ours], [compare.Row(*row) for row in theirs], 0.25, (100, 50))
        return found

    same = off([(0, 0.5, box), (0, 0.4, box + 5), (1, 0.5, box)], [(1, 0.5, box), (0, 0.4, box + 5), (0, 0.5, box)])
    assert same.agrees and same.pairs == 3 and same.box_off == same.score_off == 0
    assert off([(0, 0.5, box + [0, 0, 100, 0])], [(0, 0.5, box + [0, 0, 80, 0])]).agrees, "both end at the border"
    assert not off([(0, 0.5, box)], [(1, 0.5, box)]).agrees
    assert not off([(0, 0.5, box)], [(0, 0.501, box)]).agrees
    assert not off([(0, 0.5, box)], [(0, 0.5, box + 0.1)]).agrees
    assert not off([(0, 0.5, box)], []).agrees and not off([], [(0, 0.5, box)]).agrees
    assert not off([(0, 0.5, box)], [(0, 0.5, box)] * 2).agrees
    assert off([(0, 0.25005, box)], []).agrees and "at the threshold" in capsys.readouterr().out
    assert off([(0, 0.504)], [(0, 0.5)], 0.005).agrees and not off([(0, 0.506)], [(0, 0.5)], 0.005).agrees
    assert str(same).startswith(": 3 pairs, 0 without") and "NOT THE SAME" in str(off([(0, 0.5, box)], []))
