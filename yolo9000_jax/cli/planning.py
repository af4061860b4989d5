"""`yolo9000 plan`."""

import argparse

from yolo9000_jax.cli.arguments import (
    Verbs,
    add_experiment,
    add_json,
    add_verb,
    count,
    read_experiment,
    read_overrides,
    write_json,
)


def add(verbs: Verbs) -> None:
    """Adds the verb of this module."""
    verb = add_verb(
        verbs,
        "plan",
        plan,
        "say before a run what it needs: memory, time, chip-hours",
        "Compiles the training step of each input size. Public data sets need not be here; for others that are not, "
        "give blank pictures: --config.data.source=blank:CLASSES,PICTURES.",
    )
    add_experiment(verb, "the experiment, as for `train`")
    where = verb.add_mutually_exclusive_group()
    where.add_argument(
        "--topology",
        metavar="KIND:AxB",
        help="a slice of TPUs, v5e:4x4 or v4:2x2x1, for which the TPU's own compiler (libtpu) compiles here",
    )
    where.add_argument(
        "--devices", type=count, metavar="N", help="devices of the kind at hand (default: all there are)"
    )
    add_json(verb, "the plan", r'\A\{\n  "name": [^\n]*,\n  "target": ')


def plan(options: argparse.Namespace) -> None:
    """Compiles what `--config`, or `--cfg` and `--data`, describe, and says what it needs."""
    overrides = read_overrides(options)

    from yolo9000_jax.report.plan import programs_table, totals
    from yolo9000_jax.training.plan import plan

    found = plan(read_experiment(options, overrides), options.topology or "", options.devices or 0).to_json()
    write_json(options.json, found)
    print("\n".join([programs_table(found).text(), *totals(found)]))
