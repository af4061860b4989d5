"""Measuring speed: what is counted, by a clock that the test moves; and what cannot be measured."""

import statistics

import numpy as np
import pytest

from yolo9000_jax.data.records import Record
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation import speed


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


class Measured:
    """A detector that says what it is asked for; from `memory` pixels a side on there is too little memory."""

    classes, synsets, tree, resize, size_wh = ("cat",), None, None, "letterbox", (64, 64)

    def __init__(self, memory=1000):
        self.memory, self.asked, self.inputs = memory, [], []

    def program(self, size_wh, batch_size, **options):
        self.asked.append((size_wh, batch_size, options))

        def run(inputs):
            if inputs.shape[1] >= self.memory:
                raise MemoryError
            self.inputs.append(np.asarray(inputs))
            return inputs.sum()

        return run


def picture(number):
    box = np.zeros((0, 4), np.float32)
    pixels = np.full((20, 40, 3), 51 * number, np.uint8)
    return Record(str(number), None, 40, 20, box, np.zeros(0, int), np.zeros(0, bool), lambda: pixels)


def test_the_detectors_own_program_is_timed():
    """At each size, the largest first, with an evaluation's options, on the first pictures as the network sees them."""
    detector = Measured()
    found = speed.benchmark(detector, [64, 32], batch_size=3, score_threshold=0.1, runs=2, run_seconds=0)
    options = {"threshold": 0.1, "nms": 0.45, "max_detections": 300}
    assert detector.asked == [((64, 64), 3, options), ((32, 32), 3, options)]
    assert [row["size"] for row in found["sizes"]] == [32, 64] and found["input"] == "noise"
    inputs = speed.make_inputs([picture(1), picture(5)], "letterbox", 32, 3)
    assert inputs.shape == (3, 32, 32, 3) and not inputs[2].any()
    np.testing.assert_allclose(inputs[:2, 16, 16, 0], [0.2, 1], atol=1e-6)
    np.testing.assert_allclose(inputs[:2, 0, 0], 0.5)
    assert (speed.make_inputs([picture(5)], "stretch", 32, 1) == 1).all()


def test_too_little_memory_is_said():
    with pytest.raises(UserError, match="size 64 with 3 pictures a batch: too little memory"):
        speed.benchmark(Measured(memory=64), [32, 64], batch_size=3)
    with pytest.raises(UserError, match="batch size 0"):
        speed.benchmark(Measured(), [32], batch_size=0)
