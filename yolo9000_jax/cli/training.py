"""`yolo9000 demo`, `train` and `ablation`."""

import argparse
from typing import Any

from yolo9000_jax.cli.arguments import (
    Verbs,
    above_zero,
    add_config,
    add_distributed,
    add_experiment,
    add_verb,
    read_experiment,
    read_overrides,
)
from yolo9000_jax.errors import UserError
from yolo9000_jax.logs import logger
from yolo9000_jax.places import as_path

PICTURES = {
    "first_batch.png": "what the network was shown",
    "report/index.html": "what it finds in scenes that it has not seen, how often it is right, and how it learnt",
}
PRETRAINING_SHARE = 0.1  # of the demo's time: the first detections are to come soon


def add(verbs: Verbs) -> None:
    """Adds the verbs of this module."""
    _add_demo(verbs)
    _add_train(verbs)
    _add_ablation(verbs)


def _add_demo(verbs: Verbs) -> None:
    verb = add_verb(
        verbs,
        "demo",
        demo,
        "train a small YOLO9000 on this machine, now, and look at what it finds",
        "Its pictures are drawn from emoji; nothing is downloaded. The same command carries on where it was stopped.",
    )
    verb.add_argument("--workdir", default="demo", metavar="DIR", help="folder for the results (default: %(default)s)")
    verb.add_argument(
        "--minutes", type=above_zero, default=8.0, metavar="M", help="how long to train (default: %(default)g)"
    )


def demo(options: argparse.Namespace) -> None:
    """Trains the demo's two stages for about `--minutes`, evaluates, and names the pictures that it leaves.

    A demo that has begun goes on for the minutes that it set out with.
    """
    from yolo9000_jax import config
    from yolo9000_jax.training.loop import train

    workdir = as_path(options.workdir)
    begun = workdir / "config.json"
    if begun.is_file():
        logger.info(f"{workdir}: goes on with the minutes that it began with; choose another --workdir for others")
    train(config.read(begun) if begun.is_file() else demo_config(options.minutes), workdir)
    for name, what in PICTURES.items():
        print(f"  {workdir / name}: {what}")


def demo_config(minutes: float) -> Any:
    """The demo's experiment, a ConfigDict, both of its trainings together as long as `minutes`."""
    from yolo9000_jax import config

    shares = {"minutes": 1 - PRETRAINING_SHARE, "pretraining.minutes": PRETRAINING_SHARE}
    return config.load("demo", {key: repr(minutes * share) for key, share in shares.items()})


def _add_train(verbs: Verbs) -> None:
    verb = add_verb(
        verbs,
        "train",
        train,
        "train what a config, or Darknet's files, describe, or carry on",
        "The same command with the same workdir carries on where the run stopped. SIGTERM and Ctrl-C stop it between "
        "two steps with its state saved; the exit status then is 143 and 130.",
    )
    add_experiment(verb, "the experiment: NAME of one that comes with the package, or FILE.py; NAME:ROW, of several")
    verb.add_argument(
        "--workdir", required=True, metavar="DIR", help="folder for all that the run leaves; made if need be"
    )
    verb.add_argument(
        "--minutes", type=above_zero, metavar="M", help="how long to train, in place of the config's own length"
    )
    verb.add_argument(
        "--stages",
        metavar="DIR",
        help="folder of the pre-training, which experiments may share (default: pretraining in the workdir)",
    )
    verb.add_argument(
        "--extend",
        metavar="NAME",
        help="train a finished or stopped run further, in its own workdir, under a name of your choice: with the "
        "length, and other keys, that --minutes and --config.KEY=VALUE give it",
    )
    add_distributed(verb, "train together")


def train(options: argparse.Namespace) -> None:
    """Trains what `--config`, or `--cfg` and `--data`, describe in `--workdir`."""
    overrides = read_overrides(options)  # before the imports that take seconds
    if options.minutes is not None:
        if "minutes" in overrides:
            raise UserError("--minutes and --config.minutes both say how long: leave one out")
        overrides["minutes"] = str(options.minutes)

    from yolo9000_jax import logs
    from yolo9000_jax.training import parallel
    from yolo9000_jax.training.loop import train

    logs.show()

    if options.distributed is not None:
        parallel.join(options.distributed)
    given = {name: getattr(options, name) for name in ("stages", "extend") if getattr(options, name) is not None}
    train(read_experiment(options, overrides), options.workdir, **given)


def _add_ablation(verbs: Verbs) -> None:
    verb = add_verb(
        verbs,
        "ablation",
        ablation,
        "train and judge the rows of an ablation, and make its table",
        "The same command carries on where it was stopped; several machines may share the workdir.",
    )
    add_config(verb, "the rows: NAME of an ablation that comes with the package, or FILE.py")
    verb.add_argument(
        "--workdir", required=True, metavar="DIR", help="folder for the runs and the table; made if need be"
    )
    verb.add_argument(
        "--design",
        choices=("path", "factorial", "sizes"),
        default="path",
        help="the table's rows one after the other, its switches varied at once, or the rows with and without "
        "multi-scale training judged at all its sizes (default: %(default)s)",
    )
    verb.add_argument("--rows", metavar="A,B,…", help="which rows (default: all)")
    verb.add_argument(
        "--seeds",
        type=int,
        default=1,
        metavar="N",
        help="runs of each row and its pre-training, with seeds 0, 1, … (default: 1)",
    )
    verb.add_argument(
        "--stages",
        metavar="DIR",
        help="folder of the pre-training, which other ablations may share: DIR/seed0/NAME, DIR/seed1/NAME, …; "
        "`train --stages DIR/seed0` shares seed 0's (default: stages in the workdir)",
    )
    verb.add_argument("--show", action="store_true", help="train nothing, make the table of what is there")


def ablation(options: argparse.Namespace) -> None:
    """Trains and judges the rows that are not done yet, and writes the table."""
    overrides = read_overrides(options)

    from yolo9000_jax.training.ablation import ablation

    ablation(
        options.config,
        options.workdir,
        design=options.design,
        rows=options.rows.split(",") if options.rows else None,
        seeds=options.seeds,
        overrides=overrides,
        stages=options.stages,
        only_show=options.show,
    )
