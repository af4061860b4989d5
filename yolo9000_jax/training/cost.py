"""What a run costs: processor seconds in `cost.json` of its folder, of all attempts together."""

import json
import time
from collections.abc import Callable
from pathlib import Path

from yolo9000_jax.errors import UserError
from yolo9000_jax.files import write_whole
from yolo9000_jax.training import parallel

COST = "cost.json"


def counter(folder: Path) -> Callable[[], None]:
    """A function that writes the processor seconds since now, by all threads of this host, in addition to those that
    the folder has; it can be called again and again: what a kill leaves is what was written before. Of several hosts
    the first one writes.
    """
    before = core_seconds(folder) or 0.0
    started = time.process_time()

    def write() -> None:
        if parallel.is_first():
            content = {"core_s": before + time.process_time() - started}
            write_whole(folder / COST, json.dumps(content) + "\n")

    return write


def core_seconds(folder: Path) -> float | None:
    """Processor seconds of all attempts at what is in a folder; None where they were not counted."""
    path = folder / COST
    if not path.is_file():
        return None
    try:
        return float(json.loads(path.read_text())["core_s"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: cannot be read ({' '.join(str(error).split())}); remove it to go on") from error
