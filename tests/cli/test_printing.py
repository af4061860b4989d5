"""Nothing that is printed can fail: odd names, narrow consoles, pipes that nobody reads, no stream at all."""

import io
import logging
import os
import subprocess
import sys

import pytest

from tests.helpers import ROOT
from yolo9000_jax import logs

YOLO9000 = f"{sys.executable} -m yolo9000_jax"
TREE = b"\xdd\xe7\xc3\xa4.tree"  # no UTF-8, but for its end


def shell(command, **environment):
    return subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=os.environ | environment, capture_output=True, timeout=100
    )


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "utf-8:strict"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "cp1252"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=str,
)
def test_names_on_consoles(tmp_path, environment):
    (tmp_path / os.fsdecode(TREE)).write_bytes("图 -1\n🐶 0\n".encode())
    command = f"cd {tmp_path}; PYTHONPATH={ROOT} {YOLO9000}"
    command += " wordtree show *.tree && cd / && PYTHONPATH=" + f"{ROOT} {YOLO9000} wordtree show {tmp_path}/*.tree x"
    done = shell(command, **environment)
    lines, error = done.stdout.split(b"\n"), done.stderr
    assert done.returncode == 1 and len(lines) == 3, error
    assert error.startswith(b"yolo9000: ") and error.count(b"\n") == 1 and b"\\xdd\\xe7" in error
    assert lines[0].endswith(b"#0") and lines[1].endswith(b"#1")


@pytest.mark.parametrize(
    "command, status, error",
    [
        ("--help | true; exit ${PIPESTATUS[0]}", None, b""),
        ("wordtree show emoji nope 2>&1 >/dev/null | true; exit ${PIPESTATUS[0]}", 1, b""),
        ("bogus 2>&1 >/dev/null | true; exit ${PIPESTATUS[0]}", None, b""),
        ("wordtree show emoji >&-", 0, b""),
        ("wordtree show emoji nope >&- 2>&-", 1, b""),
        ("wordtree show emoji > /dev/full", 1, b"yolo9000: what it prints cannot be written (No space left on device)"),
    ],
)
def test_streams(command, status, error):
    done = shell(f"{YOLO9000} {command}")
    assert done.returncode == status or status is None and done.returncode in (0, 2, 141)
    assert done.stderr.startswith(error) and done.stderr.count(b"\n") == (error != b""), done.stderr


def test_a_pipe_that_nobody_reads():
    """As after `| head`, but with the reader gone before anything is printed, however fast the machine is."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [*YOLO9000.split(), "wordtree", "show", "emoji"],
            cwd=ROOT,
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=100,
        )
    finally:
        os.close(writer)
    assert done.returncode == 141 and done.stderr == b""


class Narrow(io.StringIO):
    encoding = "ascii"

    def write(self, text):
        text.encode(self.encoding)
        return super().write(text)


def test_a_library_s_messages(monkeypatch):
    """Also where another program has the streams."""
    printer, stream = logs._Printer(), Narrow()
    say = printer.emit
    record = logging.LogRecord("a", logging.INFO, "", 0, "%s", ("é\udcdd",), None)
    monkeypatch.setattr(sys, "stdout", stream)
    say(record)
    assert stream.getvalue() == "\\xe9\\xdd\n"
    closed = io.StringIO()
    closed.close()
    for stream in (None, closed):
        monkeypatch.setattr(sys, "stdout", stream)
        say(record)
