"""What a person sees of a run's progress, in a terminal and elsewhere."""

import fcntl
import io
import os
import pty
import select
import struct
import termios
from contextlib import redirect_stdout

import pytest

from yolo9000_jax import logs
from yolo9000_jax.training.progress import Progress, describe

METRICS = {"loss": 12.3456, "loss_xy": 0.25, "loss_object": 3.0, "average_iou": 0.5, "images_per_s": 51.24}
METRICS |= {"waiting_share": 0.034, "device_memory_gib": 1.2}
LINE = (
    "step 40/200  loss 12.346  ETA 1m35s  51.2 images/s  epoch 1.28  3% waiting for input  1.20 GiB"
    "  loss of xy 0.25, object 3.00"
)


def test_the_line():
    assert describe(40, 200, METRICS, 1.28, 95.0) == LINE
    assert describe(200, 200, METRICS, None, 0.0).startswith("step 200/200  loss 12.346  51.2 images/s  3% waiting")
    assert describe(1, 6, {"loss": 1.0}) == "step 1/6  loss 1.000"


class Terminal:
    """A pseudo-terminal of some size: `stream` is written to, `seen()` is what came there."""

    def __init__(self, rows, columns):
        self._reader, writer = pty.openpty()
        fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.stream = open(writer, "w", encoding="utf-8")  # noqa: SIM115

    def seen(self):
        self.stream.flush()
        found = b""
        while select.select([self._reader], [], [], 0.2)[0]:
            found += os.read(self._reader, 1 << 16)
        return found.decode().replace("\r\n", "\n")

    def close(self):
        self.stream.close()
        os.close(self._reader)


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(logs, "around", logs.around)
    found = Terminal(30, 160)
    yield found
    found.close()


def test_a_bar_in_a_terminal(terminal, monkeypatch):
    """Messages stand on lines of their own, the bar is drawn again below them, and in the end it is gone."""
    monkeypatch.setattr(logs.logger, "handlers", [logs._Printer()])
    with redirect_stdout(terminal.stream):
        progress = Progress(20, 200)
        progress.tell(40, METRICS, 1.28, 95.0)
        progress.step(40)
        logs._Printer().emit(logs.logging.makeLogRecord({"msg": "step 40 voc_ap50 .5"}))
        progress.close()
        logs._Printer().emit(logs.logging.makeLogRecord({"msg": "after it"}))
    seen = terminal.seen()
    assert " 20% " in seen and "ETA 1m35s" in seen
    before, _, after = seen.partition("step 40 voc_ap50 .5\n")
    assert before.rpartition("\r")[2] == "" and LINE in after and after.rpartition("\r")[2] == "after it\n"


@pytest.mark.parametrize("how", ["dumb", "not first", "nothing to do", "file", "no size", "a handler of its own"])
def test_plain_lines_elsewhere(terminal, said, monkeypatch, how):
    if how == "dumb":
        monkeypatch.setenv("TERM", "dumb")
    if how != "a handler of its own":  # such a one is what notes what was said
        monkeypatch.setattr(logs, "is_only_printed", lambda: True)
    stream = io.StringIO() if how == "file" else terminal.stream
    if how == "no size":
        fcntl.ioctl(terminal.stream, termios.TIOCSWINSZ, bytes(8))
    with redirect_stdout(stream):
        progress = Progress(200 if how == "nothing to do" else 0, 200, shown=how != "not first")
        progress.step(40)
        progress.tell(40, METRICS, 1.28, 95.0)
        progress.close()
    assert said == [LINE] and "\r" not in terminal.seen()
