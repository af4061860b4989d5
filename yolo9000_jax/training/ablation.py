"""Trains the rows of an ablation and judges them all alike: the paper's table 2 with our numbers beside its own.

The rows come from a config file (experiments/ablation.py) that has, besides get_config(row):

    COLUMNS, TABLE    names of switches; {row: a flag a switch}, each row built on the one above
    BASES             {row: the row it is built on}, of those that stand below the path; may be missing
    PAPER             {row: {metric: share}}, numbers to cite, and PAPER_SOURCE, where they are from; may be missing
    DARKNET_GFLOP     {row: what Darknet says of the full-size network}; may be missing

A workdir holds

    stages/NAME              pre-training, trained once for all rows and seeds that start from it
    rows/ROW/seedN           a row's run, as train leaves it; rows that learn the same share the first one's
    results/ROW/seedN        result.json and report/ of its evaluation
    table.md, table.json, table.png, path.png
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
from ml_collections import ConfigDict

from yolo9000_jax import config as configs
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import write_whole
from yolo9000_jax.logs import logger
from yolo9000_jax.models.cost import Cost, cost
from yolo9000_jax.predict.loading import make_predictor
from yolo9000_jax.report.ablation import write_tables
from yolo9000_jax.report.evaluation import write_report
from yolo9000_jax.tasks import make_task
from yolo9000_jax.training.loop import train
from yolo9000_jax.workdir.checkpoints import as_folder
from yolo9000_jax.workdir.facts import REPORT, load_best, read_config
from yolo9000_jax.workdir.lock import WorkdirInUse, lock_workdir

RETRY_S = 30.0  # between two looks at rows that other machines are at


class Cell(NamedTuple):
    """One row with one seed: its config, the config and workdir of the run that trains it, the folder of its result."""

    row: str
    seed: int
    config: ConfigDict
    trained: ConfigDict
    run: Path
    folder: Path

    @property
    def name(self) -> str:
        return f"{self.row}, seed {self.seed}"

    @property
    def result(self) -> Path:
        return self.folder / "result.json"


class Ablation:
    """The rows of a config file, and what a workdir holds of them.

    Args:
        file: the config file.
        workdir: see the module.
        overrides: as for config.load, the same for every row.
        stages: where the pre-training is, or goes to; default: workdir/stages.

    Raises:
        UserError: the file or an override is wrong.
    """

    def __init__(self, file: str, workdir: str | Path, overrides: dict | None = None, stages: str | Path | None = None):
        self.module = configs.load_module(file)
        if missing := [name for name in ("TABLE", "COLUMNS") if not hasattr(self.module, name)]:
            raise UserError(
                f"{file}: has no {missing[0]}: an ablation needs one, such as that of experiments/ablation.py"
            )
        self.workdir = as_folder(workdir)
        self.stages = as_folder(stages) if stages else self.workdir / "stages"
        self._results = self.workdir / "results"
        self.configs = {row: configs.load(f"{file}:{row}", overrides) for row in self.module.TABLE}

    def cell(self, row: str, seed: int) -> Cell:
        """The cell of a row and a seed."""
        first = next(other for other in self.configs if _learns_the_same(self.configs[other], self.configs[row]))
        config, trained = (self.configs[name].copy_and_resolve_references() for name in (row, first))
        config.seed = trained.seed = seed
        place = f"seed{seed}"
        return Cell(row, seed, config, trained, self.workdir / "rows" / first / place, self._results / row / place)

    def cells(self, rows: Sequence[str] | None, seeds: int) -> list[Cell]:
        """The cells of some rows (None: all) with that many seeds, in the order in which they are worked on."""
        if seeds < 1:
            raise UserError(f"{seeds} seeds: ask for at least 1")
        for row in rows or ():
            if row not in self.configs:
                raise configs.unknown_row(row, self.configs)
        chosen = [row for row in self.configs if rows is None or row in rows]
        return [self.cell(row, seed) for seed in range(seeds) for row in chosen]

    def results(self) -> dict[str, dict[int, dict]]:
        """{row: {seed: its result}} of all that is finished, whoever did it.

        Raises:
            UserError: a result was made with other settings.
        """
        found: dict[str, dict[int, dict]] = {row: {} for row in self.configs}
        for row, by_seed in found.items():
            folders = sorted((self._results / row).glob("seed*/result.json"))
            for seed in sorted(int(path.parent.name.removeprefix("seed")) for path in folders):
                by_seed[seed] = self._read(self.cell(row, seed))
        return found

    def _read(self, cell: Cell) -> dict:
        try:
            result = json.loads(cell.result.read_text())
            before = configs.from_saved(result["config"], str(cell.result))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{cell.result}: is no result of an ablation; move the folder away") from error
        if changed := configs.difference(before, cell.config):
            raise UserError(
                f"{cell.folder}: made with other settings ({'; '.join(changed[:3])}): "
                "choose another workdir, or the same config"
            )
        return result

    def fill(self, cell: Cell) -> None:
        """Trains and judges a cell, unless it is done.

        Raises:
            WorkdirInUse: another machine is at it.
            UserError: as `train`.
        """
        with lock_workdir(cell.folder):
            if cell.result.is_file():
                return
            logger.info(f"{cell.name}: in {cell.run}")
            train(cell.trained, cell.run, stages=self.stages)
            result = judge(cell)
            write_whole(cell.result, json.dumps(result, indent=2) + "\n")
            logger.info(f"{cell.name}: voc07_ap50 {result['metrics']['voc07_ap50']:.4f}")

    def write(self) -> str:
        """Writes the tables and plots of what is there; returns the text to print."""
        results = self.results()
        rows = {row: {"cost": self._cost(results[row]), "results": results[row]} for row in self.configs}
        return write_tables(self.module, self.configs, rows, self._stages(), self.workdir)

    @staticmethod
    def _cost(results: dict[int, dict]) -> Cost | None:
        return next((Cost(result["parameters"], result["gflop"]) for result in results.values()), None)

    def _stages(self) -> dict[str, float]:
        """{name: seconds of training} of the pre-training that has begun."""
        names = dict.fromkeys(stage.name for config in self.configs.values() for stage in _chain(config))
        return {name: seconds for name in names if (seconds := training_seconds(self.stages / name))}


def ablation(
    file: str,
    workdir: str | Path,
    *,
    rows: Sequence[str] | None = None,
    seeds: int = 1,
    overrides: dict[str, str] | None = None,
    stages: str | Path | None = None,
    only_show: bool = False,
) -> None:
    """Trains and judges what is not done yet, and writes the table after every row.

    Can be stopped at any point; the same command carries on. Several machines may work on one workdir that they share:
    each takes rows that no other is at, and waits at the end for those.

    Args:
        file, workdir, overrides, stages: as for `Ablation`.
        rows: which rows; None for all.
        seeds: seeds of the rows' own training, 0, 1, …; the pre-training is shared by them.
        only_show: train nothing, just make the table of what is there.

    Raises:
        UserError: an unknown row, a wrong config, a workdir that was made with other settings, and as `train`.
    """
    if jax.process_count() > 1:
        raise UserError("an ablation runs on single hosts; on a pod train its rows one by one with `yolo9000 train`")
    table = Ablation(file, workdir, overrides, stages)
    cells = table.cells(rows, seeds)
    table.results()  # what was made with other settings stops it before it begins
    while not only_show and (cells := [cell for cell in cells if not cell.result.is_file()]):
        busy = 0
        for cell in cells:
            try:
                table.fill(cell)
            except WorkdirInUse:
                busy += 1
                logger.info(f"{cell.name}: another run is at it")
            else:
                table.write()
        if busy == len(cells):
            time.sleep(RETRY_S)
    logger.info(table.write())


def judge(cell: Cell) -> dict:
    """Evaluates a trained cell on its evaluation set, at its evaluation size; leaves a report beside the result."""
    variables, step, facts = load_best(cell.run)
    config = cell.trained.copy_and_resolve_references()
    config.evaluation = cell.config.evaluation
    task = make_task(config, facts)
    evaluation = task.evaluate(make_predictor(task.network, variables, task.model))
    write_report(cell.folder / REPORT, evaluation, step=step)
    numbers = cost(task.model, task.network.image_size)
    return {
        "row": cell.row,
        "seed": cell.seed,
        "metrics": evaluation.metrics,
        "parameters": numbers.parameters,
        "gflop": numbers.gflop,
        "training_s": training_seconds(cell.run),
        "config": configs.as_saved(cell.config),
    }


def training_seconds(workdir: Path) -> float:
    """Seconds that a run's steps took, by its log; time that it stood still, or evaluated, is not in it."""
    try:
        batch_size = read_config(workdir).batch_size
        lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    except (OSError, ValueError, UserError):
        return 0.0
    # Of the steps that a run did again after it was stopped, the last time counts.
    rates = {line["step"]: line["images_per_s"] for line in lines if "images_per_s" in line}
    steps = sorted(rates)
    return sum((step - before) * batch_size / rates[step] for before, step in zip([0, *steps], steps, strict=False))


def _learns_the_same(one: ConfigDict, other: ConfigDict) -> bool:
    """Whether two configs differ in their evaluation alone: then one run serves both."""
    return not [key for key in configs.difference(one, other) if not key.startswith("evaluation.")]


def _chain(config: ConfigDict) -> list[ConfigDict]:
    """The stages that come before an experiment, the first one first."""
    return [*_chain(config.pretraining), config.pretraining] if config.pretraining else []
