"""`yolo9000 compare`: runs beside each other."""

import argparse
from typing import TYPE_CHECKING

from yolo9000_jax.cli.arguments import Verbs, add_json, add_verb, check_report, write_json
from yolo9000_jax.errors import UserError
from yolo9000_jax.logs import logger

if TYPE_CHECKING:
    from yolo9000_jax.data.records import Dataset
    from yolo9000_jax.report.runs import Run


def add(verbs: Verbs) -> None:
    """Adds the verb."""
    verb = add_verb(verbs, "compare", compare, "set runs beside each other: numbers, configs, curves, pictures")
    verb.add_argument("workdirs", nargs="+", metavar="WORKDIR", help="what `yolo9000 train` left, or is still writing")
    add_json(verb, "all of it", r'\A\{\n  "compared": ')
    verb.add_argument("--report", metavar="DIR", help="folder for a page with curves and pictures, index.html")


def compare(options: argparse.Namespace) -> None:
    """Prints how runs differ."""
    from yolo9000_jax.report.frame import save_page
    from yolo9000_jax.report.runs import compare_runs
    from yolo9000_jax.report.runs_page import compare_page

    check_report(options.report)
    comparison = compare_runs(options.workdirs)
    print(comparison.text())
    write_json(options.json, comparison.to_json())
    if options.report:
        dataset = _judged_on(comparison.runs[0]) if comparison.pictures else None
        print(f"page in {save_page(options.report, compare_page(comparison, dataset))}")


def _judged_on(run: "Run") -> "Dataset | None":
    """The data set that a run was evaluated on; None, and why is said, where it is not there any more."""
    from yolo9000_jax.data.sources import open_source

    source = run.config["evaluation.source"] or run.config["data.source"]
    try:
        return open_source(source, run.config["evaluation.split"], run.config["evaluation.classes"] or None)
    except UserError as error:
        logger.warning(f"the page is without pictures: {error}")
        return None
