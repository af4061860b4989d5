"""A record of some steps by JAX's profiler."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax

from yolo9000_jax.files import write_whole
from yolo9000_jax.logs import logger
from yolo9000_jax.places import is_in_bucket
from yolo9000_jax.training import parallel

FOLDER = "profile"


class Profile:
    """Records the devices and the program of the first host during some steps, into `workdir`/profile.

    Where that cannot be written, as on a full disk, a warning says so, and the run goes on without it. A bucket gets it
    from a temporary folder, when it is whole.

    Args:
        workdir: of the run.
        steps: the first and the last one to record; empty: none.
    """

    def __init__(self, workdir: Path, steps: Sequence[int]):
        self._folder = workdir / FOLDER
        self._spool: tempfile.TemporaryDirectory | None = None
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
            self._on = self._tried(self._start)

    def close(self) -> None:
        """Ends the record, if one is on."""
        if self._on:
            self._on = False
            if self._tried(self._stop):
                logger.info(f"profile in {self._folder}")

    def _start(self) -> None:
        if is_in_bucket(self._folder):
            self._spool = tempfile.TemporaryDirectory(prefix="yolo9000-")
        jax.profiler.start_trace(self._spool.name if self._spool else str(self._folder))

    def _stop(self) -> None:
        jax.profiler.stop_trace()
        if self._spool is not None:
            with self._spool as made:
                for path in Path(made).rglob("*"):
                    if path.is_file():
                        write_whole(self._folder / path.relative_to(made), path.read_bytes())

    def _tried(self, action: Callable[[], None]) -> bool:
        """Whether the profiler has done it; if not, nothing more is recorded."""
        try:
            action()
        except Exception as error:  # of many types, and none of them is worth a run
            self._steps = range(0)
            if self._spool is not None:
                self._spool.cleanup()
            reason = " ".join(str(error).split())
            logger.warning(f"{self._folder}: the profile cannot be written ({reason}); the run goes on without it")
            return False
        return True
