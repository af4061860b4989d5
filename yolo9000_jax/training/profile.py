"""A record of some steps by JAX's profiler."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from yolo9000_jax.logs import logger
from yolo9000_jax.training import parallel

FOLDER = "profile"


class Profile:
    """Records the devices and the program of the first host during some steps, into `workdir`/profile.

    Args:
        workdir: of the run.
        steps: the first and the last one to record; empty: none.
    """

    def __init__(self, workdir: Path, steps: Sequence[int]):
        self._folder = workdir / FOLDER
        self._steps = range(steps[0], steps[1] + 1) if steps and parallel.is_first() else range(0)
        self._on = False

    def before(self, step: int, state: Any) -> None:
        """To be called before every step: begins or ends the record, after all that makes `state` is done."""
        if self._on == (step in self._steps):
            return
        jax.block_until_ready(state)
        if self._on:
            self.close()
        else:
            jax.profiler.start_trace(str(self._folder))
            self._on = True

    def close(self) -> None:
        """Ends the record, if one is on."""
        if self._on:
            jax.profiler.stop_trace()
            self._on = False
            logger.info(f"profile in {self._folder}")
