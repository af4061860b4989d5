"""Checkpoints: the latest and the best, through Orbax."""

import logging
import re
from pathlib import Path

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from yolo9000_jax.errors import UserError

logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax warns of every checkpoint that has no metrics
SCORE = "score"  # what a checkpoint's metrics call the value that decides which is the best


class Checkpoints:
    """The checkpoints of a workdir. Keeps the latest and the one with the best `metric`."""

    def __init__(self, workdir: Path, metric: str = ""):
        def value(metrics):
            return metrics[SCORE] if metrics else -1.0

        best = checkpoint_managers.BestN(get_metric_fn=value, n=1, keep_checkpoints_without_metrics=False)
        keep = checkpoint_managers.AnyPreservationPolicy([checkpoint_managers.LatestN(n=1), best])
        self._directory = Path(workdir).resolve() / "checkpoints"
        self._metric = metric
        self._manager = ocp.CheckpointManager(
            self._directory,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=keep, best_fn=value, best_mode="max", create=True, enable_async_checkpointing=True
            ),
        )

    def save(self, state, metrics: dict[str, float] | None = None) -> None:
        """Writes the state under its step, in the background; `metrics` decide which checkpoint is the best."""
        step = int(state.step)
        if step in self._manager.all_steps():
            if metrics is None:
                return
            self._manager.wait_until_finished()
            self._manager.delete(step)
        if metrics is not None:
            metrics = metrics | {SCORE: metrics.get(self._metric, -1.0)}
        self._manager.save(step, args=ocp.args.StandardSave(state), metrics=metrics)

    @property
    def latest_step(self) -> int | None:
        return self._manager.latest_step()

    @property
    def best_step(self) -> int | None:
        """The step with the best metric; the latest where none was ever evaluated."""
        return self._manager.best_step() or self._manager.latest_step()

    def restore(self, state, step: int | None = None):
        """The saved state of `step` (latest by default), in the shape of `state`, an actual or abstract one."""
        step = self.latest_step if step is None else step
        if step is None:
            raise UserError(f"{self._directory}: there is no checkpoint here yet; train first")
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, state)
        try:
            return self._manager.restore(step, args=ocp.args.StandardRestore(abstract))
        except (ValueError, KeyError, FileNotFoundError, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"{self._directory}/{step}: cannot be restored for this config ({reason})") from error

    def raw(self, step: int) -> dict:
        """The saved state of `step` as nested dicts."""
        return self._manager.restore(step, args=ocp.args.StandardRestore())

    def wait(self) -> None:
        """Returns when everything is on disk."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        self.wait()
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
    return {"params": saved["average"] or saved["params"], "batch_stats": saved["batch_stats"]}
