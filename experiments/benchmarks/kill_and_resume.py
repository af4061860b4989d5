"""Kills a training run at random moments and compares what comes of it with a run that was left alone.

    python experiments/benchmarks/kill_and_resume.py --kills 30 --folder runs/kills

The run is tiny, but whole: a classifier's pre-training, a detector that is evaluated twice, a report. Each time it is
started with the same command and killed (SIGKILL) at a moment drawn at random from the time that an undisturbed run
takes; when it gets to its end its parameters, momentum and averages are compared bit by bit, its metrics line by line
(speeds apart), its scores, facts and the files of its report, and it begins anew in another folder. Prints a table.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import jax
import numpy as np
from PIL import Image, ImageDraw

from yolo9000_jax.training.metrics import MEASURED
from yolo9000_jax.workdir.checkpoints import Checkpoints

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


def start(folder: Path, workdir: Path) -> subprocess.Popen:
    """One start of the run; what it says goes to log.txt beside the workdir."""
    command = [sys.executable, "-m", "yolo9000_jax", "train", "--config", str(folder / "tiny.py")]
    with workdir.with_suffix(".log").open("a") as log:
        return subprocess.Popen(
            [*command, "--workdir", str(workdir)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"JAX_PLATFORMS": "cpu"},
        )


def last_line(workdir: Path) -> str:
    """What the run said last, without what differs from start to start."""
    lines = workdir.with_suffix(".log").read_text().splitlines() or [""]
    return lines[-1].replace(str(workdir), "").strip()[:60]


def compare(one: Path, other: Path) -> list[str]:
    """What differs between two finished workdirs; nothing, if all is well."""
    found = []
    for part in ("pretraining/classifier", "."):
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
    pictures = ["first_batch.png", *(f"report/{path.name}" for path in a.glob("report/*.png"))]
    same = [name for name in pictures if name != "report/curves.png"]  # which shows speeds too
    found += [f"{name} differs" for name in same if (a / name).read_bytes() != (b / name).read_bytes()]
    found += [f"{path.name} is empty" for path in b.glob("report/*") if not path.stat().st_size]
    return found


def _lines(path: Path) -> list:
    """The content, speeds left out."""
    if path.suffix != ".jsonl":
        return [path.read_text()]
    rows = map(json.loads, path.read_text().splitlines())
    return [{key: value for key, value in row.items() if key not in MEASURED} for row in rows]


def run(folder: Path, kills: int, seed: int = 0) -> list[tuple[int, float, str]]:
    """Kills the run so many times; returns (round, seconds after its start, what it had said last) of each.

    Raises:
        SystemExit: a finished run is not what the undisturbed one is, or does not come to its end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_data(folder / "data")
    (folder / "tiny.py").write_text(CONFIG.format(data=folder / "data"))
    undisturbed = folder / "undisturbed"
    _finish(folder, undisturbed)  # which also fills the cache of compiled programs
    (again := folder / "measured").mkdir()
    begun = time.monotonic()
    _finish(folder, again)
    whole = time.monotonic() - begun
    _check(undisturbed, again)
    print(f"an undisturbed run takes {whole:.1f} s; two of them come to the same")
    generator, rows, number = random.Random(seed), [], 0
    while len(rows) < kills:
        number += 1
        workdir = folder / f"round{number}"
        while len(rows) < kills:
            begun, moment = time.monotonic(), generator.uniform(0.1, 1.0) * whole
            process = start(folder, workdir)
            try:
                process.wait(timeout=moment)
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                rows.append((number, time.monotonic() - begun, last_line(workdir)))
                print(f"kill {len(rows)} (round {number}) after {rows[-1][1]:.1f} s: {rows[-1][2]}", flush=True)
        _finish(folder, workdir)
        _check(undisturbed, workdir)
        print(f"round {number}: the end is that of the undisturbed run", flush=True)
    return rows


def _finish(folder: Path, workdir: Path) -> None:
    if start(folder, workdir).wait() != 0:
        raise SystemExit(f"{workdir}: does not come to its end: {last_line(workdir)}")


def _check(undisturbed: Path, workdir: Path) -> None:
    if found := compare(undisturbed, workdir):
        raise SystemExit(f"{workdir} differs from {undisturbed}: " + "; ".join(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--folder", type=Path, required=True, help="a new folder for the data and the runs")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = run(options.folder.resolve(), options.kills, options.seed)
    words = Counter(line.split("  ")[0].rstrip("0123456789/ ") or "starting" for _, _, line in rows)
    print(f"{len(rows)} kills in {rows[-1][0]} rounds; every round came to the same as undisturbed")
    for said, count in words.most_common():
        print(f"  {count:3}  after: {said}")


if __name__ == "__main__":
    main()
