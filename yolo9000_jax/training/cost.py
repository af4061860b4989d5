"""What a run costs: processor seconds in `cost.json` of its folder, of all attempts together."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from yolo9000_jax.errors import UserError
from yolo9000_jax.files import write_whole
from yolo9000_jax.training import parallel

COST = "cost.json"


@contextmanager
def counted(folder: Path) -> Iterator[Callable[[], None]]:
    """Adds the processor seconds of what is done meanwhile, by all threads of this host, to those of the folder.

    They are written at the end, and whenever the function that it gives is called: what a kill leaves is what was
    written before. Of several hosts the first one's are.
    """
    before = core_seconds(folder) or 0.0
    started = time.process_time()

    def write() -> None:
        if parallel.is_first():
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / COST, json.dumps({"core_s": before + time.process_time() - started}) + "\n")

    try:
        yield write
    finally:
        write()


def core_seconds(folder: Path) -> float | None:
    """Processor seconds of all attempts at what is in a folder; None where they were not counted."""
    path = folder / COST
    if not path.is_file():
        return None
    try:
        return float(json.loads(path.read_text())["core_s"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: cannot be read ({' '.join(str(error).split())}); remove it to go on") from error
