"""What a run measures: the line that tells how far it is, `metrics.jsonl`, TensorBoard."""

import io
import json
import math
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from yolo9000_jax import devices
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import write_whole
from yolo9000_jax.logs import logger
from yolo9000_jax.places import is_in_bucket
from yolo9000_jax.training import parallel
from yolo9000_jax.training.goodput import Spent
from yolo9000_jax.training.progress import Progress

FILE, BOARD = "metrics.jsonl", "tensorboard"
# What depends on the machine, and is another number each time that the same is trained.
MEASURED = ("images_per_s", "waiting_share", "device_memory_gib")
SLOW_INPUT_SHARE, JUDGED_S = 0.1, 10.0  # of waiting for pictures, and how long is looked at before it is said
UPLOAD_S = 30.0  # at least, between two uploads that nothing else asks for


class Metrics:
    """Writes the metrics of a run; of several hosts the first one's does, the others' do nothing.

    In a bucket, whose objects cannot be appended to, both are kept in a temporary folder and uploaded whole: with
    `flush` and once in a while. A kill there loses lines since the last upload: with a flush before every save, only
    lines of steps that are done again.

    Args:
        workdir: where metrics.jsonl and tensorboard/ go.
        end: the step that the run ends after, for the time to go.
        batch_size: images a step, for images/s.
        start: the step that it carries on from. Lines of later steps, which will be done again, are taken back.
        evaluated: whether the evaluation of that step is done; else its line is taken back too.
        epoch: tells how many passes over the data are done after a step.
    """

    def __init__(
        self,
        workdir: Path,
        end: int,
        batch_size: int,
        start: int = 0,
        evaluated: bool = True,
        epoch: Callable[[int], float] | None = None,
    ):
        self._workdir = workdir
        self._file: Any = None
        self._board: Any = None
        self._spool: tempfile.TemporaryDirectory | None = None
        self._uploaded = time.monotonic()
        if parallel.is_first():
            from tensorboard.summary.writer.record_writer import RecordWriter

            _drop_lines_after(workdir / FILE, start, evaluated)
            folder = workdir
            if is_in_bucket(workdir):
                self._spool = tempfile.TemporaryDirectory(prefix="yolo9000-")
                folder = Path(self._spool.name)
                if (workdir / FILE).is_file():
                    write_whole(folder / FILE, (workdir / FILE).read_bytes())
            with self._writing():
                self._file = (folder / FILE).open("a")
                (folder / BOARD).mkdir(exist_ok=True)
                # TensorBoard's EventFileWriter would write in a thread and by TensorFlow, whose errors come as neither
                # OSError nor here.
                name = f"events.out.tfevents.{time.time():010.0f}.{socket.gethostname()}.{os.getpid()}"
                self._board = RecordWriter((folder / BOARD / name).open("ab"))
                self._add(file_version="brain.Event:2")
        self._end, self._batch_size, self._epoch = end, batch_size, epoch
        self.progress = Progress(start, end, parallel.is_first())
        self._last_step = start
        self._judged = (0, 0.0, 0.0)  # images, and seconds as of Spent, since it was looked at who sets the pace
        self._warned = False

    def train(self, step: int, metrics: Mapping[str, float], spent: Spent) -> None:
        """Says how far the run is, how fast it goes and how long it will take, and what sets its pace.

        Args:
            step: the last one that is done.
            metrics: averaged since the last call.
            spent: seconds since the last call.
        """
        images, seconds = (step - self._last_step) * self._batch_size, spent.steps + spent.waiting
        self._last_step = step
        measured: dict[str, float] = {}
        left: float | None = None
        if images and seconds:
            rate = images / seconds
            left = (self._end - step) * self._batch_size / rate
            measured = {"images_per_s": rate, "waiting_share": spent.waiting / seconds}
        if (memory := devices.peak_memory_bytes()) is not None:
            measured["device_memory_gib"] = memory / 2**30
        self.write(step, {**metrics, **measured})
        self.progress.tell(step, {**metrics, **measured}, self._epoch and self._epoch(step), left)
        self._judge_input(images, spent)

    def _judge_input(self, images: int, spent: Spent) -> None:
        """Warns, once a run, where the devices wait for pictures."""
        before, steps_s, waiting_s = self._judged
        images, steps_s, waiting_s = before + images, steps_s + spent.steps, waiting_s + spent.waiting
        self._judged = (images, steps_s, waiting_s)
        seconds = steps_s + waiting_s
        if seconds < JUDGED_S:
            return
        self._judged = (0, 0.0, 0.0)
        if waiting_s > SLOW_INPUT_SHARE * seconds and not self._warned:
            self._warned = True
            able = f"{images / steps_s:.1f}" if steps_s > 0 else "many more"
            logger.warning(
                f"the input sets the pace, not the network: {waiting_s / seconds:.0%} of the last {seconds:.0f} s the "
                f"devices waited for pictures of host {spent.host}; they got {images / seconds:.1f} images/s and could "
                f"take {able}: give the hosts more cores, faster disks or smaller pictures, or use fewer devices"
            )

    def first(self, step: int, loss: float) -> None:
        """Says that the first step after a start is done."""
        self.progress.tell(step, {"loss": loss})

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """One line of metrics.jsonl and one point of each TensorBoard curve."""
        if self._file is None:
            return
        line = json.dumps({"step": step} | {key: _number(value) for key, value in metrics.items()}, allow_nan=False)
        with self._writing():
            self._file.write(f"{line}\n")
            self._file.flush()
            values = [{"tag": key, "simple_value": float(value)} for key, value in metrics.items()]
            self._add(step=step, summary={"value": values})
        if self._spool is not None and time.monotonic() - self._uploaded > UPLOAD_S:
            self.flush()

    def picture(self, step: int, name: str, pixels: np.ndarray) -> None:
        """A picture, uint8 [H, W, 3], for TensorBoard."""
        if self._board is None:
            return
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, "PNG")
        height, width, _ = pixels.shape
        image = {"height": height, "width": width, "colorspace": 3, "encoded_image_string": content.getvalue()}
        with self._writing():
            self._add(step=step, summary={"value": [{"tag": name, "image": image}]})

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(
                f"{self._workdir}: {FILE} or {BOARD} cannot be written ({error.strerror or error}): free some space, "
                "and the same command carries on from the last checkpoint"
            ) from error

    def flush(self) -> None:
        """What was written is where it belongs when this returns."""
        if self._spool is None:
            return
        folder = Path(self._spool.name)
        for path in (folder / FILE, *(folder / BOARD).iterdir()):
            write_whole(self._workdir / path.relative_to(folder), path.read_bytes())
        self._uploaded = time.monotonic()

    def _add(self, **content: Any) -> None:
        """Writes an event, of what TensorBoard's protocol has for one."""
        from tensorboard.compat.proto.event_pb2 import Event

        self._board.write(Event(wall_time=time.time(), **content).SerializeToString())
        self._board.flush()

    def close(self) -> None:
        self.progress.close()
        with suppress(UserError):  # said already, by `flush`, or less than what made the run end
            self.flush()
        if self._file is not None:
            with suppress(OSError):  # said already, by `write`
                self._file.close()
            with suppress(OSError):
                self._board.close()
        if self._spool is not None:
            self._spool.cleanup()


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
