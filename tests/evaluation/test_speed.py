"""Measuring speed: what is counted, by a clock that the test moves; and what cannot be measured."""

import statistics

import numpy as np
import pytest

from yolo9000_jax.boxes.heads import RegionHead
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation import speed
from yolo9000_jax.predict.detector import Detector


class Clock:
    """A clock and programs that move it."""

    def __init__(self, monkeypatch):
        self.now, self.calls = 0.0, []
        monkeypatch.setattr(speed.time, "perf_counter", lambda: self.now)

    def program(self, name, durations):
        durations = iter(durations)

        def run():
            self.calls.append(name)
            self.now += next(durations)

        return run


def test_median_slowest_and_fastest_of_runs(monkeypatch):
    """Runs of one call: the first call of each run, here one of 100 s, is not timed."""
    clock = Clock(monkeypatch)
    seconds = {64: [4.0, 1.0, 2.0], 32: [0.5, 0.25, 1.0]}
    programs = {size: clock.program(size, [t for s in of for t in (100.0, s)]) for size, of in seconds.items()}
    found = speed.time_in_turns(programs, 8, runs=3, run_seconds=0)
    assert list(found) == [32, 64]
    for size, of_size in seconds.items():
        rates = [8 / s for s in of_size]
        assert found[size] == pytest.approx((statistics.median(rates), min(rates), max(rates)))
    assert clock.calls == [32, 32, 64, 64] * 3


def test_a_run_lasts_long_enough(monkeypatch):
    clock = Clock(monkeypatch)
    found = speed.time_in_turns({32: clock.program(32, [0.5] * 100)}, 1, runs=2, run_seconds=1.6)
    assert found[32] == pytest.approx((2, 2, 2)) and len(clock.calls) == 2 * (1 + 4)


def test_sizes():
    assert speed.check_sizes([544, 288, 544]) == [288, 544] == speed.read_sizes("544, 288")
    for size in (0, -32, 300, 8192):
        with pytest.raises(UserError, match=f"size {size}: .* multiple of 32"):
            speed.check_sizes([size])
    with pytest.raises(UserError, match="no sizes"):
        speed.check_sizes([])
    for text in ("", "288;416", "288,4e2"):
        with pytest.raises(UserError, match="whole numbers"):
            speed.read_sizes(text)


def test_machine_is_named():
    found = speed.machine()
    assert found["cpu"] and found["device"] and found["cores"] >= 1


def test_too_little_memory_is_said():
    class Hungry:
        def apply(self, variables, images):
            raise MemoryError

    detector = Detector(Hungry(), {}, ["cat"], RegionHead([[1, 1]]), (64, 64))
    with pytest.raises(UserError, match="size 64 with 3 pictures a batch: too little memory"):
        speed.benchmark(detector, [32, 64], batch_size=3)
    with pytest.raises(UserError, match="batch size 0"):
        speed.benchmark(detector, [32], batch_size=0)


def test_table_sets_the_papers_numbers_beside_ours():
    rows = [
        {"size": size, "images_per_s": 10.0, "images_per_s_slowest": 9.0, "images_per_s_fastest": 12.0} | aps
        for size, aps in ((64, {"voc_ap50": None, "voc07_ap50": None}), (416, {"voc_ap50": 0.5, "voc07_ap50": 0.52}))
    ]
    result = {"machine": speed.machine(), "batch_size": 1, "runs": 3, "dataset": None, "sizes": rows}
    plain = speed.table(result)
    assert plain.rows == [["64", "10.0", "9.0–12.0", None, None], ["416", "10.0", "9.0–12.0", "67", "76.8"]]
    assert "cited from" in plain.note and result["machine"]["cpu"] in plain.note
    judged = speed.table(result | {"dataset": {"source": "voc:a/VOC2007", "split": "test"}})
    assert [row[3:] for row in judged.rows] == [[None] * 4, ["50.0", "52.0", "67", "76.8"]]
    assert judged.title.endswith("on VOC2007 test")
    ours, cited = speed.curves(result)
    assert list(ours.values())[0][1] == (416, 10.0, 9.0, 12.0, 0.52)
    assert [point for points in cited.values() for point in points][2] == (416, 67, 0.768)
    np.testing.assert_array_equal([size for size, *_ in list(cited.values())[0]], speed.SIZES)
