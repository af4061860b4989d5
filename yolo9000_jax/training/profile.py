"""A record of some steps by JAX's profiler."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax

from yolo9000_jax.logs import logger
from yolo9000_jax.training import parallel

FOLDER = "profile"


class Profile:
    """Records the devices and the program of the first host during some steps, into `workdir`/profile.

    Where that cannot be written, as on a full disk, a warning says so, and the run goes on without it.

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
            self._on = self._tried(lambda: jax.profiler.start_trace(str(self._folder)))

    def close(self) -> None:
        """Ends the record, if one is on."""
        if self._on:
            self._on = False
            if self._tried(jax.profiler.stop_trace):
                logger.info(f"profile in {self._folder}")

    def _tried(self, action: Callable[[], None]) -> bool:
        """Whether the profiler has done it; if not, nothing more is recorded."""
        try:
            action()
        except Exception as error:  # of many types, and none of them is worth a run
            self._steps = range(0)
            reason = " ".join(str(error).split())
            logger.warning(f"{self._folder}: the profile cannot be written ({reason}); the run goes on without it")
            return False
        return True
