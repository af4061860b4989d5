"""What a run reports: a progress line, `metrics.jsonl`, TensorBoard."""

import json
import time
from pathlib import Path

from yolo9000_jax.logs import duration
from yolo9000_jax.training import parallel


class Log:
    """Writes metrics of a run; of several hosts the first one's does, the others' do nothing.

    Args:
        workdir: where metrics.jsonl and tensorboard/ go.
        steps: the run's length, for the time to go.
        batch_size: images a step, for images/s.
    """

    def __init__(self, workdir: Path, steps: int, batch_size: int, first_step: int = 0):
        self._file = self._board = None
        if parallel.is_first():
            from tensorboard.summary import Writer

            self._file = (workdir / "metrics.jsonl").open("a")
            self._board = Writer(str(workdir / "tensorboard"))
        self._steps, self._batch_size = steps, batch_size
        self._last = (first_step, time.perf_counter())

    def train(self, step: int, metrics: dict[str, float]) -> None:
        """Metrics averaged since the last call; prints the progress line."""
        (last_step, last_time), now = self._last, time.perf_counter()
        self._last = (step, now)
        rate = (step - last_step) * self._batch_size / max(now - last_time, 1e-9)
        self.write(step, metrics | {"images_per_s": rate})
        left = (self._steps - step) * self._batch_size / max(rate, 1e-9)
        say(f"step {step}/{self._steps}  loss {metrics['loss']:.3f}  {rate:.1f} images/s  ETA {duration(left)}")

    def restart_clock(self, step: int) -> None:
        """Leaves the time since the last report, such as an evaluation's, out of the next images/s."""
        self._last = (step, time.perf_counter())

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """One line of metrics.jsonl and one point of each TensorBoard curve."""
        if self._file is None:
            return
        self._file.write(json.dumps({"step": step} | {key: _number(value) for key, value in metrics.items()}) + "\n")
        self._file.flush()
        for key, value in metrics.items():
            self._board.add_scalar(key, float(value), step)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._board.close()


def say(text: str) -> None:
    """A line for the person watching, said by the first host."""
    if parallel.is_first():
        print(text, flush=True)


def _number(value) -> float:
    return float(f"{float(value):.6g}")
