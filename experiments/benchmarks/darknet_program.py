"""Debian's program `darknet` (`apt install darknet`), which scripts in this folder run beside our own code."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from yolo9000_jax.errors import UserError

PROMPT = "Enter Image Path: "
LEAST_PICTURES = 4  # `detector valid` reads that many at once, whatever its list holds


class Row(NamedTuple):
    """A detection, or a class of a classifier; box_xyxy float [4] in pixels of the picture, None where not known."""

    label: int
    score: float
    box_xyxy: np.ndarray | None = None


class Darknet:
    """The program with one network and some pictures. It prints classes as numbers, whatever their names.

    Args:
        folder: an empty folder for the files that the program reads and writes.
        cfg, weights: Darknet's files.
        classes: how many the network has.
        pictures: pixels uint8 [H, W, 3]; they go into files without loss, since decoders of JPEG differ a little.

    Raises:
        UserError: the program is not installed; from the methods, that it has failed.
    """

    def __init__(self, folder: Path, cfg: str | Path, weights: str | Path, classes: int, pictures: list[np.ndarray]):
        if shutil.which("darknet") is None:
            raise UserError("the program `darknet` is missing: on Debian, apt install darknet")
        self._folder = folder
        self._network = ["net.data", str(Path(cfg).resolve()), str(Path(weights).resolve())]
        self._count = len(pictures)
        listed = pictures + pictures[-1:] * (LEAST_PICTURES - len(pictures))
        for number, pixels in enumerate(listed):
            Image.fromarray(pixels).save(folder / f"{number}.png")
        options = {"classes": classes, "names": "names", "valid": "list", "results": ".", "eval": "voc"}
        self._write("net.data", [f"{key}={value}" for key, value in options.items()])
        self._write("names", range(classes))
        self._write("list", [f"{number}.png" for number in range(len(listed))])

    def detect(self, threshold: float) -> Iterator[tuple[float, list[Row]]]:
        """`detector test`: picture by picture, the forward pass's seconds and the detections, in whole percent."""
        for text in self._ask(["detector", "test", *self._network, "-thresh", str(threshold), "-out", "drawn"]):
            (seconds,) = re.findall(r"Predicted in ([\d.]+) seconds", text)
            found = re.findall(r"^(\d+): (\d+)%$", text, re.MULTILINE)
            yield float(seconds), [Row(int(label), int(percent) / 100) for label, percent in found]

    def classify(self, top: int) -> Iterator[list[Row]]:
        """`classifier predict`: picture by picture, the best classes, in hundredths of a percent."""
        for text in self._ask(["classifier", "predict", *self._network, "-t", str(top)]):
            found = re.findall(r"([\d.]+)%: (\d+)$", text, re.MULTILINE)
            yield [Row(int(label), float(percent) / 100) for percent, label in found]

    def validate(self) -> list[list[Row]]:
        """`detector valid`: of every picture the detections above .005 after suppression at .45, to six decimals.

        The program adds 1 to all coordinates (darknet.md 7.7), which is taken off here, and then cuts off what is
        outside.
        """
        with self._start(["detector", "valid", *self._network, "-out", "found"]) as process:
            process.communicate()
        self._check(process)
        found = [[] for _ in range(self._count)]
        for path in self._folder.glob("found*.txt"):
            for line in path.read_text().splitlines():
                picture, score, *box = line.split()
                if int(picture) < self._count:
                    row = Row(int(path.stem.removeprefix("found")), float(score), np.array(box, float) - 1)
                    found[int(picture)].append(row)
        return found

    def _ask(self, arguments: list[str]) -> Iterator[str]:
        """What the program prints about each picture; it is started once, and idle while the caller works."""
        with self._start(arguments) as process:
            self._read_answer(process)
            for number in range(self._count):
                process.stdin.write(f"{number}.png\n")
                process.stdin.flush()
                yield self._read_answer(process)
            process.communicate()
        self._check(process)

    def _read_answer(self, process) -> str:
        answer = ""
        while not answer.endswith(PROMPT):
            character = process.stdout.read(1)
            if not character:
                process.wait()
                self._check(process)
                raise UserError("darknet stopped before its last picture")
            answer += character
        return answer.removesuffix(PROMPT)

    def _start(self, arguments: list[str]) -> subprocess.Popen:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": (self._folder / "errors").open("w")}
        return subprocess.Popen(["darknet", *arguments], cwd=self._folder, text=True, **pipes)

    def _check(self, process) -> None:
        if process.returncode:
            said = (self._folder / "errors").read_text().split("\n")
            last = next((line for line in reversed(said) if line.strip()), "no message")
            raise UserError(f"darknet ended with status {process.returncode}: {last}")

    def _write(self, name: str, lines) -> None:
        (self._folder / name).write_text("".join(f"{line}\n" for line in lines))
