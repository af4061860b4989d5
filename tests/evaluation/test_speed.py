"""Measuring speed: what is counted, by a clock that the test moves; and what cannot be measured."""

import statistics
from typing import NamedTuple

import numpy as np
import pytest

from yolo9000_jax.data.records import Dataset, Record
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
    """A detector that remembers what its program was asked for; from `memory` pixels a side on there is too little."""

    classes, synsets, tree, size_wh = ("cat",), None, None, (64, 64)

    def __init__(self, memory=1000):
        self.memory, self.asked, self.inputs = memory, [], []

    def to_inputs(self, pictures):
        width, height = self.size_wh
        return np.stack([np.full((height, width, 3), picture.read()[0, 0, 0] / 255) for picture in pictures])

    def stream(self, pictures, **options):
        for picture in pictures:
            yield Nothing(picture.read())

    def program(self, **options):
        self.asked.append((self.size_wh, options))

        def run(inputs):
            if inputs.shape[1] >= self.memory:
                raise MemoryError
            self.inputs.append(np.asarray(inputs))
            return inputs.sum()

        return run


class Nothing(NamedTuple):
    """The result of a picture in which nothing is found."""

    image: np.ndarray
    boxes_xyxy: np.ndarray = np.zeros((0, 4))
    scores: np.ndarray = np.zeros(0)
    labels: np.ndarray = np.zeros(0, int)


def picture(number):
    pixels = np.full((20, 40, 3), 51 * number, np.uint8)
    return Record(
        str(number), None, 40, 20, np.float32([[0, 0, 9, 9]]), np.int32([0]), np.zeros(1, bool), lambda: pixels
    )


def test_the_detectors_own_program_is_timed():
    """At each size, the largest first, with an evaluation's options, on noise or on the data set's first pictures."""
    detector = Measured()
    found = speed.benchmark(detector, [64, 32], batch_size=3, score_threshold=0.1, runs=2, run_seconds=0)
    options = {"threshold": 0.1, "nms": 0.45}
    assert detector.asked == [((64, 64), options), ((32, 32), options)] and detector.size_wh == (64, 64)
    assert {inputs.shape for inputs in detector.inputs} == {(3, 64, 64, 3), (3, 32, 32, 3)}
    assert [row["size"] for row in found["sizes"]] == [32, 64] and found["input"] == "noise"
    data = Dataset("test", "all", ("cat",), [picture(1), picture(5), picture(2)], rendered=True)
    found = speed.benchmark(detector, [32], data, batch_size=2, runs=1, run_seconds=0)
    np.testing.assert_allclose(detector.inputs[-1][:, 16, 16, 0], [0.2, 1], atol=1e-6)
    assert found["sizes"][0]["voc_ap50"] == 0 and found["input"] == "first pictures of the data set"


def test_too_little_memory_is_said():
    with pytest.raises(UserError, match="size 64 with 3 pictures a batch: too little memory"):
        speed.benchmark(Measured(memory=64), [32, 64], batch_size=3)
    with pytest.raises(UserError, match="batch size 0"):
        speed.benchmark(Measured(), [32], batch_size=0)
