"""Checkpoints: the latest and the best, through Orbax."""

import logging
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from yolo9000_jax.errors import UserError
from yolo9000_jax.training import parallel

logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax warns of every checkpoint that has no metrics
SCORE = "score"  # what a checkpoint's metrics call the value that decides which is the best


class Checkpoints:
    """The checkpoints of a workdir. Keeps the latest and the one with the best `metric`.

    Of several hosts, which all have the same state, the first alone saves and reads; on the others `save` does nothing,
    `restore` gives what the first has read, and there are no steps.
    """

    def __init__(self, workdir: Path, metric: str = ""):
        def value(metrics):
            return metrics[SCORE] if metrics else -1.0

        best = checkpoint_managers.BestN(get_metric_fn=value, n=1, keep_checkpoints_without_metrics=False)
        keep = checkpoint_managers.AnyPreservationPolicy([checkpoint_managers.LatestN(n=1), best])
        self._directory = Path(workdir).resolve() / "checkpoints"
        self._metric = metric
        self._manager = None
        if parallel.is_first():
            self._directory.mkdir(parents=True, exist_ok=True)
            alone = ocp.options.MultiprocessingOptions(primary_host=0, active_processes={0})
            options = ocp.CheckpointManagerOptions(
                preservation_policy=keep,
                best_fn=value,
                best_mode="max",
                create=False,
                enable_async_checkpointing=True,
                multiprocessing_options=alone,
            )
            self._manager = ocp.CheckpointManager(self._directory, options=options)

    def save(self, state, metrics: dict[str, float] | None = None) -> None:
        """Writes the state under its step, in the background; `metrics` decide which checkpoint is the best."""
        if self._manager is None:
            return
        step = int(state.step)
        if step in self._manager.all_steps():
            if metrics is None:
                return
            self._manager.wait_until_finished()
            self._manager.delete(step)
        if metrics is not None:
            metrics = metrics | {SCORE: metrics.get(self._metric, -1.0)}
        self._manager.save(step, args=ocp.args.StandardSave(jax.device_get(state)), metrics=metrics)

    @property
    def latest_step(self) -> int | None:
        return self._manager and self._manager.latest_step()

    @property
    def best_step(self) -> int | None:
        """The step with the best metric; the latest where none was ever evaluated."""
        return self._manager and (self._manager.best_step() or self._manager.latest_step())

    def restore(self, state, step: int | None = None):
        """The saved state of `step` (latest by default), in the shape of `state`, as NumPy arrays."""
        return parallel.from_first(lambda: self._restore(state, step), state)

    def _restore(self, state, step: int | None):
        step = self.latest_step if step is None else step
        if step is None:
            raise UserError(f"{self._directory}: there is no checkpoint here yet; train first")
        try:
            restored = self._manager.restore(step, args=ocp.args.StandardRestore(jax.tree.map(_like, state)))
            jax.tree.map(_check_shape, state, restored)
            return restored
        except (ValueError, KeyError, FileNotFoundError, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"{self._directory}/{step}: cannot be restored for this config ({reason})") from error

    def raw(self, step: int) -> dict:
        """The saved state of `step` as nested dicts."""
        return self._manager.restore(step, args=ocp.args.StandardRestore())

    def wait(self) -> None:
        """Returns when everything is on disk."""
        if self._manager is not None:
            self._manager.wait_until_finished()

    def close(self) -> None:
        self.wait()
        if self._manager is not None:
            self._manager.close()


def as_folder(workdir: str | Path) -> Path:
    """The path of a workdir. Raises UserError for a URL, such as gs://…: it would be a folder of that name here."""
    if url := re.match(r"\w{2,}:/+([^/]*)", str(workdir)):
        raise UserError(
            f"{workdir}: a workdir is a folder, not a URL: mount the bucket (gcsfuse {url[1] or 'BUCKET'} DIR), "
            "or another file system that all hosts share, and give the path there"
        )
    return Path(workdir)


def latest_step(workdir: Path) -> int | None:
    """The step of a workdir's latest checkpoint; None where there is none."""
    folders = (workdir / "checkpoints").glob("[0-9]*")
    return max((int(folder.name) for folder in folders if folder.name.isdigit()), default=None)


def load_variables(workdir: Path) -> dict:
    """The variables of a workdir's best checkpoint (averaged where the run kept an average), on the first device."""
    missing = UserError(f"{workdir}: there is no checkpoint here yet; train first")
    if not (workdir / "checkpoints").is_dir():
        raise missing
    checkpoints = Checkpoints(workdir)
    try:
        step = checkpoints.best_step
        if step is None:
            raise missing
        saved = checkpoints.raw(step)
    finally:
        checkpoints.close()
    variables = {"params": saved["average"] or saved["params"], "batch_stats": saved["batch_stats"]}
    return jax.tree.map(jnp.asarray, variables)


def _like(array) -> np.ndarray:
    """Says "a NumPy array of this shape" to Orbax, without the memory of one."""
    return np.broadcast_to(np.zeros((), array.dtype), array.shape)


def _check_shape(wanted, restored) -> None:
    if wanted.shape != np.shape(restored):
        raise ValueError(f"an array of it is {np.shape(restored)}, that of this config {wanted.shape}")
