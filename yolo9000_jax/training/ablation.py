"""Trains the rows of an ablation and judges them all alike: the paper's table 2 with our numbers beside its own.

The rows come from a config file (experiments/ablation.py) that has, besides get_config(row):

    COLUMNS, TABLE    names of switches; {row: a flag a switch}, each row built on the one above
    BASES             {row: the row it is built on}, of those that stand below the path; may be missing
    PAPER             {row: {metric: share}}, numbers to cite, and PAPER_SOURCE, where they are from; may be missing
    DARKNET_GFLOP     {row: what Darknet says of the full-size network}; may be missing
    FACTORS,          names of switches that vary at once, and {row: a flag a column} of the runs in which they do;
    FACTORIAL         may be missing
    SIZES             a row of one input size, and the row that is trained at several; may be missing

A workdir holds

    stages/seedN/NAME        pre-training, trained once for all rows of a seed that start from it
    rows/ROW/seedN           a row's run, as train leaves it; rows that learn the same share the first one's
    results/ROW/seedN        result.json and report/ of its evaluation
    table.*, path.png; factorial.*; sizes.*     what the designs `path`, `factorial` and `sizes` come to
"""

import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
from ml_collections import ConfigDict

from yolo9000_jax import config as configs
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation import Evaluation
from yolo9000_jax.evaluation.bootstrap import draw_weights, mean_ap07
from yolo9000_jax.files import to_json, write_whole
from yolo9000_jax.logs import logger
from yolo9000_jax.models.cost import cost
from yolo9000_jax.places import as_path
from yolo9000_jax.predict.loading import make_predictor
from yolo9000_jax.report.ablation import write_path
from yolo9000_jax.report.comparing import Settings, StageCost
from yolo9000_jax.report.evaluation import write_report
from yolo9000_jax.report.factorial import write_factorial
from yolo9000_jax.report.sizes import write_sizes
from yolo9000_jax.tasks import make_task
from yolo9000_jax.training.goodput import Goodput, core_seconds
from yolo9000_jax.training.loop import train
from yolo9000_jax.workdir.facts import REPORT, load_best, read_config
from yolo9000_jax.workdir.lock import WorkdirInUse, lock_workdir

OWN_PICTURES = 16  # that a run evaluates itself on, as the cell is judged after it
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
        self.workdir = as_path(workdir)
        self.stages = as_path(stages) if stages else self.workdir / "stages"
        self._results = self.workdir / "results"
        table, factorial = self.module.TABLE, getattr(self.module, "FACTORIAL", {})
        self.configs = {row: configs.load(f"{file}:{row}", overrides) for row in [*table, *factorial]}
        at_sizes = self._at_sizes(getattr(self.module, "SIZES", ()))
        self.configs |= at_sizes
        self.designs = {"path": list(table), "factorial": list(factorial), "sizes": list(at_sizes)}
        self._check_stages()

    def _check_stages(self) -> None:
        """Raises UserError where the folder of the pre-training is one of a single run's, which has no seedN."""
        for stage in (stage for config in self.configs.values() for stage in _chain(config)):
            if (self.stages / stage.name).is_dir():
                raise UserError(
                    f"--stages {self.stages}: holds {stage.name} itself, but an ablation's pre-training lies in "
                    f"seedN/NAME: give the folder above where this is a seedN, else move {stage.name} into "
                    f"{self.stages / f'seed{stage.seed}'}"
                )

    def _at_sizes(self, rows: Sequence[str]) -> dict[str, ConfigDict]:
        """{ROW@SIZE: config} of some rows judged at every size that one of them is trained at."""
        found = {}
        for row in rows:
            for size in sorted({size for other in rows for size in self.configs[other].multi_scale}):
                found[f"{row}@{size}"] = config = self.configs[row].copy_and_resolve_references()
                config.evaluation.image_size = size
        return found

    def cell(self, row: str, seed: int) -> Cell:
        """The cell of a row and a seed."""
        first = next(other for other in self.configs if _learns_the_same(self.configs[other], self.configs[row]))
        config, trained = (self.configs[name].copy_and_resolve_references() for name in (row, first))
        for _, stage in [*configs.stages(config), *configs.stages(trained)]:
            stage.seed = seed
        if "[" not in (split := trained.evaluation.split) and "," not in split:
            trained.evaluation.split = f"{split}[:{OWN_PICTURES}]"
        place = f"seed{seed}"
        return Cell(row, seed, config, trained, self.workdir / "rows" / first / place, self._results / row / place)

    def cells(self, design: str, rows: Sequence[str] | None, seeds: int) -> list[Cell]:
        """The cells of some rows of a design (None: all) with that many seeds, in the order of the work."""
        if seeds < 1:
            raise UserError(f"{seeds} seeds: ask for at least 1")
        if not (known := self.designs[design]):
            raise UserError(
                f"this ablation has no design {design}; it has {', '.join(filter(self.designs.get, self.designs))}"
            )
        for row in rows or ():
            if row not in known:
                raise configs.unknown_row(row, known)
        chosen = [row for row in known if rows is None or row in rows]
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
        return result | {"run": f"{cell.run.parent.name}/{cell.run.name}", "run_core_s": core_seconds(cell.run)}

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
            train(cell.trained, cell.run, stages=self.stages / f"seed{cell.seed}")
            account = Goodput(cell.folder)
            account.begin(0)
            try:
                with account.spending("evaluating"):
                    result = judge(cell)
            finally:
                account.close()
            write_whole(cell.result, to_json(result | {"core_s": core_seconds(cell.folder)}))
            logger.info(f"{cell.name}: voc07_ap50 {result['metrics']['voc07_ap50']:.4f}")

    def write(self, design: str) -> str:
        """Writes the tables and plots of what is there of a design; returns the text to print."""
        results = self.results()
        chosen = {row: results[row] for row in self.designs[design]}
        writer = {"path": write_path, "factorial": write_factorial, "sizes": write_sizes}[design]
        return writer(Settings(self.module, self.configs, self._stages(design)), chosen, self.workdir)

    def _stages(self, design: str) -> dict[str, StageCost]:
        """{name: its cost} of the pre-training of a design's rows that has begun, each stage once."""
        found = {}
        chains = (_chain(self.configs[row]) for row in self.designs[design])
        for name in dict.fromkeys(stage.name for chain in chains for stage in chain):
            places = [place for place in self.stages.glob(f"seed*/{name}") if training_seconds(place)]
            counts = [seconds for place in places if (seconds := core_seconds(place)) is not None]
            if places:
                mean = statistics.fmean(map(training_seconds, places))
                found[name] = StageCost(mean, sum(counts) if counts else None, len(counts), len(places) - len(counts))
        return found


def ablation(
    file: str,
    workdir: str | Path,
    *,
    design: str = "path",
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
        design: "path", the rows of TABLE; "factorial" or "sizes" (see the module).
        rows: which rows; None for all.
        seeds: how many; seeds 0, 1, … are those of a row's training and of its pre-training.
        only_show: train nothing, just make the table of what is there.

    Raises:
        UserError: an unknown row, a wrong config, a workdir that was made with other settings, and as `train`.
    """
    if jax.process_count() > 1:
        raise UserError("an ablation runs on single hosts; on a pod train its rows one by one with `yolo9000 train`")
    table = Ablation(file, workdir, overrides, stages)
    cells = table.cells(design, rows, seeds)
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
                table.write(design)
        if busy == len(cells):
            time.sleep(RETRY_S)
    logger.info(table.write(design))


def judge(cell: Cell) -> dict:
    """Evaluates a trained cell on its evaluation set, at its evaluation size; leaves a report beside the result."""
    variables, step, facts = load_best(cell.run)
    config = cell.trained.copy_and_resolve_references()
    config.evaluation = cell.config.evaluation
    task = make_task(config, facts)
    evaluation = task.evaluate(make_predictor(task.network, variables, task.model))
    write_report(cell.folder / REPORT, evaluation, step, cell.run)
    numbers = cost(task.model, task.network.image_size)
    return {
        "row": cell.row,
        "seed": cell.seed,
        "metrics": evaluation.metrics,
        "parameters": numbers.parameters,
        "gflop": numbers.gflop,
        "training_s": training_seconds(cell.run),
        "draws": _draws(evaluation),
        "config": configs.as_saved(cell.config),
    }


def _draws(evaluation: Evaluation) -> list[float]:
    """voc07_ap50 on pictures drawn from those there are; of all cells the same draws, so that they can be compared."""
    assert evaluation.voc is not None  # of a detector
    weights = draw_weights(evaluation.voc.images)
    return [round(value, 5) for value in mean_ap07(evaluation.voc.outcomes, weights).tolist()]


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
