"""What a run measures: a progress line, `metrics.jsonl`, TensorBoard."""

import json
import math
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from yolo9000_jax.errors import UserError
from yolo9000_jax.files import write_whole
from yolo9000_jax.logs import duration, logger
from yolo9000_jax.training import parallel

FILE, BOARD = "metrics.jsonl", "tensorboard"


class Metrics:
    """Writes the metrics of a run; of several hosts the first one's does, the others' do nothing.

    Args:
        workdir: where metrics.jsonl and tensorboard/ go.
        end: the step that the run ends after, for the time to go.
        batch_size: images a step, for images/s.
        start: the step that it carries on from. Lines of later steps, which will be done again, are taken back.
        evaluated: whether the evaluation of that step is done; else its line is taken back too.
    """

    def __init__(self, workdir: Path, end: int, batch_size: int, start: int = 0, evaluated: bool = True):
        self._file: Any = None
        self._board: Any = None
        if parallel.is_first():
            from tensorboard.summary import Writer

            _drop_lines_after(workdir / FILE, start, evaluated)
            self._file = (workdir / FILE).open("a")
            self._board = Writer(str(workdir / BOARD))
        self._workdir, self._end, self._batch_size = workdir, end, batch_size
        self._last: tuple[int, float] | None = None

    def train(self, step: int, metrics: Mapping[str, float]) -> None:
        """Metrics averaged since the last call; says how far the run is, and when it is known how long it will take."""
        now = time.perf_counter()
        line = f"step {step}/{self._end}  loss {metrics['loss']:.3f}"
        if self._last is not None and step > self._last[0]:
            last_step, last_time = self._last
            rate = (step - last_step) * self._batch_size / max(now - last_time, 1e-9)
            left = (self._end - step) * self._batch_size / rate
            line += f"  {rate:.1f} images/s" + (f"  ETA {duration(left)}" if step < self._end else "")
            metrics = {**metrics, "images_per_s": rate}
        self._last = (step, now)
        self.write(step, metrics)
        logger.info(line)

    def first(self, step: int, loss: float) -> None:
        """Says that the first step after a start is done; its time, which may hold a compilation, says nothing."""
        logger.info(f"step {step}/{self._end}  loss {loss:.3f}")
        self._last = (step, time.perf_counter())

    def restart_clock(self, step: int) -> None:
        """Leaves the time since the last report, such as an evaluation's, out of the next images/s."""
        self._last = (step, time.perf_counter())

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """One line of metrics.jsonl and one point of each TensorBoard curve."""
        if self._file is None:
            return
        line = json.dumps({"step": step} | {key: _number(value) for key, value in metrics.items()}, allow_nan=False)
        try:
            self._file.write(f"{line}\n")
            self._file.flush()
            for key, value in metrics.items():
                self._board.add_scalar(key, float(value), step)
        except OSError as error:
            raise UserError(
                f"{self._workdir}: {FILE} or {BOARD} cannot be written ({error.strerror or error}): free some space, "
                "and the same command carries on from the last checkpoint"
            ) from error

    def close(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # said already, by `write`
                self._file.close()
            with suppress(OSError):
                self._board.close()


def _drop_lines_after(path: Path, start: int, evaluated: bool) -> None:
    """Leaves the lines of a metrics file that the run up to `start` wrote, so that none comes twice."""
    if not path.is_file():
        return
    text = path.read_text(errors="replace")
    kept = [line for line in text.splitlines() if _is_kept(line, start, evaluated)]
    if (whole := "".join(f"{line}\n" for line in kept)) != text:
        write_whole(path, whole)


def _is_kept(line: str, start: int, evaluated: bool) -> bool:
    try:
        values = json.loads(line)
        step = values["step"]
    except (ValueError, KeyError, TypeError):
        return False  # cut off by a kill
    return step < start or step == start and (evaluated or "loss" in values)


def _number(value: float) -> float | None:
    """A number as JSON has it, which knows no NaN."""
    value = float(value)
    return float(f"{value:.6g}") if math.isfinite(value) else None
