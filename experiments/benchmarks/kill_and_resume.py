"""Kills a training run at random moments and compares what comes of it with a run that was left alone.

    python experiments/benchmarks/kill_and_resume.py --kills 30 --folder runs/kills
    python experiments/benchmarks/kill_and_resume.py --kills 30 --folder runs/kills --processes 2 --bucket

The run is tiny, but whole: a classifier's pre-training, a detector that is evaluated twice, a report. Each time it is
started with the same command and killed (SIGKILL, all its processes) at a moment drawn at random from the time that an
undisturbed run takes; every restart has to go on from the last whole checkpoint. When it gets to its end its
parameters, momentum and averages are compared bit by bit, its metrics line by line (speeds apart), its scores, facts
and the files of its report, and it begins anew in another workdir. Prints a table.

With --bucket the workdirs are in a bucket that is emulated in this process (tests/bucket.py, with the packages of the
extra `test`), and every second moment is drawn from the objects that are written to it: so kills meet saves and
reports, which are short.
"""

import argparse
import json
import math
import os
import random
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from PIL import Image, ImageDraw

from yolo9000_jax.places import as_path
from yolo9000_jax.training.metrics import MEASURED
from yolo9000_jax.workdir.checkpoints import Checkpoints, latest_step
from yolo9000_jax.workdir.facts import is_finished

STAGES = ("pretraining/classifier", ".")  # the run's parts, as folders of its workdir
OF_LIBRARIES = r"\[Gloo\]|[IWE]\d{4} "  # how their lines begin
CONFIG = """
from yolo9000_jax import config

def shared(c, steps):
    c.steps, c.epochs = steps, 0.0
    c.batch_size, c.image_size, c.log_every, c.checkpoint_every = 4, 64, 3, 5
    c.model.width = 1 / 16
    c.optimizer.average_decay = 0.9
    c.optimizer.learning_rate = 0.01
    return c

def get_config(row=None):
    c = shared(config.detection(), 22)
    c.data.source = "voc:{data}/voc"
    c.evaluate_every = 11
    c.evaluation.may_share_pictures = True
    c.model.num_anchors = 2
    c.pretraining = shared(config.classification(), 12)
    c.pretraining.name = "classifier"
    c.pretraining.data.source = "folders:{data}/folders"
    c.pretraining.data.split = c.pretraining.evaluation.split = "all"
    return c
"""
XML = (
    "<annotation><filename>{name}.jpg</filename><size><width>96</width><height>96</height></size><object>"
    "<name>{kind}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox>"
    "</object></annotation>"
)


def write_data(folder: Path, pictures: int = 12) -> None:
    """Pictures of one disc or one square on noise: in VOC's layout, and cut out in a folder a class."""
    generator = np.random.default_rng(1)
    for part in ("voc/JPEGImages", "voc/Annotations", "voc/ImageSets/Main", "folders/disc", "folders/square"):
        (folder / part).mkdir(parents=True)
    for number in range(pictures):
        picture = Image.fromarray(generator.integers(90, 160, (96, 96, 3), np.uint8))
        x, y, side = (int(value) for value in generator.integers((2, 2, 30), (40, 40, 50)))
        kind = ("disc", "square")[number % 2]
        draw = ImageDraw.Draw(picture)
        (draw.ellipse if kind == "disc" else draw.rectangle)([x, y, x + side, y + side], fill=(220, 60, 30))
        picture.save(folder / f"voc/JPEGImages/{number}.jpg")
        box = {"x0": x + 1, "y0": y + 1, "x1": x + side + 1, "y1": y + side + 1}
        (folder / f"voc/Annotations/{number}.xml").write_text(XML.format(name=number, kind=kind, **box))
        picture.crop((x - 2, y - 2, x + side + 2, y + side + 2)).save(folder / f"folders/{kind}/{number}.png")
    for split in ("train", "val"):
        (folder / f"voc/ImageSets/Main/{split}.txt").write_text("".join(f"{n}\n" for n in range(pictures)))


class Kill(NamedTuple):
    """round: which workdir. seconds: after the start. said: the run's last line. written: the bucket's last object."""

    round: int
    seconds: float
    said: str
    written: str


class Runs:
    """The runs of one config: where they are, and how they are started.

    Args:
        folder: of the data, the config and the logs.
        processes: of a run.
        in_bucket: whether the workdirs are in the emulated bucket, not in the folder.
    """

    def __init__(self, folder: Path, processes: int, in_bucket: bool):
        self.folder, self.processes, self.in_bucket = folder, processes, in_bucket

    def workdir(self, name: str) -> Path:
        return as_path(f"gs://pod/{name}") if self.in_bucket else self.folder / name

    def log(self, name: str) -> Path:
        """What the first process of a run said, at all its starts."""
        return self.folder / f"{name}.log"

    def start(self, name: str) -> list[subprocess.Popen]:
        """One start of a run."""
        command = [sys.executable, "-m", "yolo9000_jax", "train", "--config", str(self.folder / "tiny.py")]
        command += ["--workdir", str(self.workdir(name))]
        with socket.socket() as free:
            free.bind(("localhost", 0))
            place = f"localhost:{free.getsockname()[1]}"
        found = []
        for index in range(self.processes):
            joined = [] if self.processes == 1 else ["--distributed", f"{place},{self.processes},{index}"]
            path = self.log(name) if index == 0 else self.folder / f"{name}.{index}.log"
            with path.open("a") as log:
                pipes = {"stdout": log, "stderr": subprocess.STDOUT}
                found.append(subprocess.Popen([*command, *joined], env=self.environment(), **pipes))
        return found

    def environment(self) -> dict[str, str]:
        cache = {
            "JAX_COMPILATION_CACHE_DIR": str(self.folder / "xla"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        return cache | os.environ | {"JAX_PLATFORMS": "cpu"}

    def finish(self, name: str) -> None:
        """Starts a run and lets it come to its end."""
        before = self.seen(name)
        if any([process.wait() for process in self.start(name)]):
            raise SystemExit(f"{self.workdir(name)}: does not come to its end: {self.last_line(name)}")
        self.check_restart(name, before)

    def last_line(self, name: str) -> str:
        """What a run said last, without what differs from start to start."""
        lines = [line for line in self.log(name).read_text().splitlines() if not re.match(OF_LIBRARIES, line)]
        return (lines or [""])[-1].replace(str(self.workdir(name)), "").strip()[:60]

    def check(self, name: str) -> None:
        """Raises SystemExit where a finished run is not what the undisturbed one is."""
        undisturbed, workdir = self.workdir("undisturbed"), self.workdir(name)
        if found := compare(undisturbed, workdir):
            raise SystemExit(f"{workdir} differs from {undisturbed}: " + "; ".join(found))

    def seen(self, name: str) -> tuple[int, dict[str, int | None]]:
        """To be asked before a start: the length of the log, and the last whole checkpoint of each stage."""
        log, workdir = self.log(name), self.workdir(name)
        steps = {str(workdir / stage): latest_step(workdir / stage) for stage in STAGES}
        return len(log.read_text()) if log.is_file() else 0, steps

    def check_restart(self, name: str, seen: tuple[int, dict[str, int | None]]) -> None:
        """Raises SystemExit where a start did not go on from the last whole checkpoint."""
        length, steps = seen
        said = self.log(name).read_text()[length:]
        for place, step in re.findall(r"continuing (\S+) from step (\d+)", said):
            if steps[place] != int(step):
                raise SystemExit(f"{place}: went on from step {step}, and {steps[place]} was saved")


def kill(hosts: list[subprocess.Popen], patience_s: float = 10.0) -> bool:
    """Kills the processes of a start; whether there was something to kill, none of them having ended by itself.

    Args:
        patience_s: for hosts that end one after another.

    Raises:
        SystemExit: one had failed by itself.
    """
    end = time.monotonic() + patience_s
    while any(ended := [host.poll() is not None for host in hosts]) and not all(ended) and time.monotonic() < end:
        time.sleep(0.01)
    statuses = [host.poll() for host in hosts]
    for host in hosts:
        host.kill()
    for host in hosts:
        host.wait()
    if any(statuses):
        raise SystemExit(f"failed before it was killed: exit statuses {statuses} (None: still running)")
    return None in statuses


def compare(one: Path, other: Path) -> list[str]:
    """What differs between two finished workdirs; nothing, if all is well."""
    found = []
    for part in STAGES:
        a, b = one / part, other / part
        found += [f"{part}: {what}" for what in _differences(a, b)]
    return found


def _differences(a: Path, b: Path) -> list[str]:
    found = []
    states = []
    for workdir in (a, b):
        checkpoints = Checkpoints(workdir)
        states.append((checkpoints.steps(), checkpoints.raw(checkpoints.latest_step)))
        checkpoints.close()
    if states[0][0] != states[1][0]:
        found.append(f"checkpoints {states[0][0]} and {states[1][0]}")
    flat = [dict(jax.tree_util.tree_flatten_with_path(state)[0]) for _, state in states]
    if flat[0].keys() != flat[1].keys():
        found.append("other arrays")
    elif unequal := [path for path in flat[0] if not np.array_equal(flat[0][path], flat[1][path])]:
        found.append(f"{len(unequal)} of {len(flat[0])} arrays differ, the first is {jax.tree_util.keystr(unequal[0])}")
    for name in ("metrics.jsonl", "scores.json", "config.json", "network.json", "report/metrics.json"):
        if _lines(a / name) != _lines(b / name):
            found.append(f"{name} differs")
    for pattern in ("*", "report/*"):
        names = [sorted(path.name for path in folder.glob(pattern) if path.is_file()) for folder in (a, b)]
        if names[0] != names[1]:
            found.append(f"files of {pattern}: {names[0]} and {names[1]}")
    if (a / "first_batch.png").read_bytes() != (b / "first_batch.png").read_bytes():
        found.append("first_batch.png differs")
    pages = [_page_data(path) for folder in (a, b) if (path := folder / "report/index.html").is_file()]
    if len(pages) == 2 and pages[0] != pages[1]:
        found.append("report/index.html shows others")
    found += [f"{path.name} is empty" for path in b.glob("report/*") if not path.stat().st_size]
    return found


def _page_data(path: Path) -> dict:
    """What a page shows, the curves left out, some of which are speeds."""
    content = path.read_text().split('<script type="application/json" id="data">')[1].split("</script>")[0]
    return {name: value for name, value in json.loads(content).items() if name != "curves"}


def _lines(path: Path) -> list:
    """The content, speeds left out."""
    if path.suffix != ".jsonl":
        return [path.read_text()]
    rows = map(json.loads, path.read_text().splitlines())
    return [{key: value for key, value in row.items() if key not in MEASURED} for row in rows]


def run(folder: Path, kills: int, seed: int = 0, processes: int = 1, bucket=None) -> list[Kill]:
    """Kills the run so many times.

    Args:
        folder: a new one, for the data and the runs.
        kills: how many.
        seed: of the moments.
        processes: of a run.
        bucket: an emulated one for the workdirs, as `tests.bucket.serve` gives it.

    Raises:
        SystemExit: a finished run is not what the undisturbed one is, or does not come to its end, or fails without
            being killed, or a restart did not go on from what was saved.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_data(folder / "data")
    (folder / "tiny.py").write_text(CONFIG.format(data=folder / "data"))
    storage = bucket and bucket.storage
    runs = Runs(folder, processes, storage is not None)
    runs.finish("undisturbed")  # which also fills the cache of compiled programs
    begun, written = time.monotonic(), storage.writes if storage else 0
    runs.finish("measured")
    whole_s, whole_writes = time.monotonic() - begun, storage.writes - written if storage else 0
    runs.check("measured")
    print(f"an undisturbed run takes {whole_s:.1f} s; two of them come to the same", flush=True)
    generator, rows, number = random.Random(seed), [], 0
    while len(rows) < kills:
        number += 1
        name = f"round{number}"
        while len(rows) < kills:
            seen, begun, share = runs.seen(name), time.monotonic(), generator.uniform(0.1, 1.0)
            by_writes = storage and len(rows) % 2
            last_write = storage.writes + share * whole_writes if by_writes else math.inf
            end = begun + whole_s * (3 if by_writes else share)
            hosts = runs.start(name)
            while all(host.poll() is None for host in hosts) and time.monotonic() < end:
                if storage and storage.writes >= last_write:
                    break
                time.sleep(0.002)
            try:
                was_alive = kill(hosts)
            except SystemExit as error:
                raise SystemExit(f"{runs.workdir(name)}: {error}: {runs.last_line(name)}") from None
            written = storage.written if storage else ""
            runs.check_restart(name, seen)
            if not was_alive:
                break
            rows.append(Kill(number, time.monotonic() - begun, runs.last_line(name), written))
            print(f"kill {len(rows)} (round {number}) after {rows[-1].seconds:.1f} s: {rows[-1].said}", flush=True)
            if bucket:
                print(f"  the last object written: {written}", flush=True)
            if is_finished(runs.workdir(name)):
                break
        runs.finish(name)
        runs.check(name)
        print(f"round {number}: the end is that of the undisturbed run", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--folder", type=Path, required=True, help="a new folder for the data and the runs")
    parser.add_argument("--processes", type=int, default=1, help="of a run (default: 1)")
    parser.add_argument("--bucket", action="store_true", help="workdirs in an emulated bucket")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with ExitStack() as stack:
        bucket = None
        if options.bucket:
            sys.path.insert(0, str(Path(__file__).parents[2]))
            from tests.bucket import serve

            bucket = stack.enter_context(serve())
        rows = run(options.folder.resolve(), options.kills, options.seed, options.processes, bucket)
    print(f"{len(rows)} kills in {rows[-1].round} rounds; every round came to the same as undisturbed")
    for what in ("said", "written"):
        words = Counter(re.sub(r"  .*|[\d/ ]+$|^round\d+/", "", getattr(row, what)) for row in rows)
        for text, count in words.most_common():
            print(f"  {count:3}  {what}: {text or 'nothing yet'}")


if __name__ == "__main__":
    main()
