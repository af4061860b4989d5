"""The checkpoints of a workdir, through Orbax: the last two and the best, and the scores that say which that is."""

import functools
import json
import logging
import math
import os
import shutil
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
import orbax.checkpoint as ocp
from flax import serialization
from flax.traverse_util import empty_node, flatten_dict, unflatten_dict

from yolo9000_jax.errors import UserError
from yolo9000_jax.files import write_whole
from yolo9000_jax.logs import logger
from yolo9000_jax.places import is_in_bucket

FOLDER, SCORES = "checkpoints", "scores.json"
COMMITTED = "commit_success.txt"  # Orbax's name for it
CHECKSUM = "checksum"  # its name beside the arrays: TensorStore verifies where they lie, and not what they hold
LAST = 2  # that stay whatever their score


class Checkpoints:
    """The checkpoints of a workdir, one a step. One process uses it at a time: of several hosts the first.

    What is saved is deleted only after something newer is whole: a save is written beside the others and takes its
    place by a rename, and a step that is saved already stays as it is.

    Args:
        workdir: its folder `checkpoints` is made if need be.
        metric: the name of the number that decides which checkpoint is the best; "last": the latest is.
        starts: the steps after which the phases of the run begin, the present one last: scores of another phase, which
            may be of another size or other data, say nothing of this one. The best of every phase stays.
    """

    def __init__(self, workdir: Path, metric: str = "", starts: Sequence[int] = (0,)):
        self.directory = workdir.resolve() / FOLDER
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{self.directory}: cannot make this folder ({error.strerror}); free some space, or choose another "
                "workdir"
            ) from error
        _hush()
        self._metric = metric
        self.starts = tuple(starts)
        here = jax.process_index()  # of several hosts each may read by itself
        alone = ocp.options.MultiprocessingOptions(primary_host=here, active_processes={here})
        options = ocp.CheckpointManagerOptions(
            create=False, enable_async_checkpointing=True, multiprocessing_options=alone
        )
        # Named, as Orbax else guesses it from the latest step: a broken one there made all others unreadable.
        handler = ocp.StandardCheckpointHandler(multiprocessing_options=alone)
        self._manager = ocp.CheckpointManager(self.directory, options=options, item_handlers=handler)

    def save(self, state: Any) -> None:
        """Writes the state under its step, in the background; nothing is done where that step is saved already."""
        self.wait()
        self._delete_old()
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        with self._explained():
            self._remove_halves()
            saved = self._manager.save(step, args=ocp.args.StandardSave(_signed(_to_dict(state))))
        if not saved:
            raise UserError(f"{self.directory}: step {step} is not saved, as later ones are there; move it away")

    def record(self, step: int, metrics: Mapping[str, float]) -> None:
        """Keeps what a saved step was evaluated to, beside it; the step is whole on disk before that."""
        self.wait()
        write_scores(self.directory.parent, read_scores(self.directory.parent) | {step: dict(metrics)})

    def restore(self, like: Any) -> Any:
        """The latest saved state that can be read, in the structure of `like`, as NumPy arrays.

        A checkpoint that cannot be read is named, put aside under another name, and the one before it is taken.

        Raises:
            UserError: there is none, none can be read, or the latest is of another network.
        """
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                saved = self.raw(step)
            except _UNREADABLE as error:
                if _is_passing(error):
                    where = self.directory / str(step)
                    raise UserError(f"{where}: cannot be read now ({_reason(error)}); try again") from error
                aside = self.directory.parent / f"{FOLDER}.broken" / str(step)
                logger.warning(f"{self.directory / str(step)} is broken ({_reason(error)}): it is moved to {aside}")
                _move(self.directory / str(step), aside)
                self._manager.reload()
                continue
            return _from_dict(saved, like, self.directory / str(step))
        raise UserError(
            f"{self.directory}: no checkpoint can be read: put the folder back from a copy; otherwise the same "
            "command, given again, begins anew"
        )

    def raw(self, step: int) -> dict[str, Any]:
        """The saved state of `step` as nested dicts of NumPy arrays; raises one of _UNREADABLE where it is broken."""
        saved = self._manager.restore(step, args=ocp.args.StandardRestore())
        checksum = saved.pop(CHECKSUM, None)  # earlier versions saved none
        if checksum is not None and int(checksum) != _checksum(saved):
            raise ValueError("its arrays are not those that were saved")
        average = saved.get("average")
        if average and "params" not in average:  # as it was before batch statistics were averaged too
            saved["average"] = {"params": average} | {key: saved[key] for key in ("batch_stats",) if key in saved}
        return saved

    def steps(self) -> list[int]:
        """The steps that are saved, in ascending order."""
        return sorted(self._manager.all_steps())

    @property
    def latest_step(self) -> int | None:
        return max(self._manager.all_steps(), default=None)

    @property
    def best_step(self) -> int | None:
        """The saved step of this phase with the highest score, the first of equals; the latest where none has one."""
        return self._best_of_phase(self.starts[-1], None)

    def wait(self) -> None:
        """Returns when everything is on disk. Raises UserError where it cannot be written."""
        with self._explained():
            self._manager.wait_until_finished()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What goes wrong in writing, such as a disk that is full, becomes a UserError that says what is kept."""
        try:
            yield
        except (OSError, ValueError) as error:  # TensorStore raises the second
            with suppress(OSError):
                self._remove_halves()
            self._manager.reload()
            full = "No space left on device" in str(error)
            kept = "nothing is saved yet" if self.latest_step is None else f"step {self.latest_step} is kept"
            raise UserError(
                f"{self.directory}: a checkpoint cannot be written "
                f"({'no space left on the disk' if full else _reason(error)}); {kept}: "
                f"{'free some space' if full else 'see to it'}, and the same command carries on"
            ) from error

    def _remove_halves(self) -> None:
        """Removes what saves that were cut short have left; called when nothing is being written."""
        for half in (*self.directory.glob("*.orbax-checkpoint-tmp*"), *_whole(self.directory, whole=False)):
            _remove(half)

    def close(self) -> None:
        self.wait()
        self._delete_old()
        self._manager.close()

    def _delete_old(self) -> None:
        """Deletes all but the last two and the best of each phase; called when nothing is being written."""
        steps = self.steps()
        ends = (*self.starts[1:], None)
        kept = {self._best_of_phase(start, end) for start, end in zip(self.starts, ends, strict=True)}
        for step in set(steps[:-LAST]) - kept:
            self._manager.delete(step)

    def _best_of_phase(self, start: int, end: int | None) -> int | None:
        steps = [step for step in self.steps() if step > start and (end is None or step <= end)]
        best = best_of(steps, read_scores(self.directory.parent), self._metric)
        return best if best is not None or end is not None else self.latest_step


# What Orbax and TensorStore raise for files that are cut off, changed or missing.
_UNREADABLE = (ValueError, KeyError, TypeError, OSError)


@functools.cache
def _hush() -> None:
    """From now on what Orbax raises is not printed as well: it logs it with tracebacks, and Python prints one for each
    other read or write, which goes on and finds its loop closed. Its warnings, and what others log, stay."""
    before, package = sys.unraisablehook, f"{Path(ocp.__file__).parent}{os.sep}"

    def hook(problem: Any) -> None:
        if not _is_late(problem):
            before(problem)

    def is_news(record: logging.LogRecord) -> bool:
        return not (record.levelno == logging.ERROR and record.exc_info and record.pathname.startswith(package))

    sys.unraisablehook = hook
    logging.getLogger("absl").addFilter(is_news)


def _is_late(problem: Any) -> bool:
    """Whether an exception that nobody can catch is of TensorStore's, whose threads call a loop from no Python code."""
    trace = problem.exc_traceback
    called_by_none = trace is not None and trace.tb_frame.f_code.co_name == "call_soon_threadsafe"
    return called_by_none and str(problem.exc_value) == "Event loop is closed"


def _is_passing(error: Exception) -> bool:
    """Whether the files may be well, and the file system does not give them just now."""
    if isinstance(error, OSError):
        return not isinstance(error, FileNotFoundError)
    return any(word in str(error) for word in ("PERMISSION_DENIED", "UNAVAILABLE", "DEADLINE_EXCEEDED"))


def best_of(steps: list[int], scores: Mapping[int, Mapping[str, float]], metric: str = "") -> int | None:
    """The step of the highest `metric` among `steps`; the latest where none has a score; None without steps.

    Args:
        steps: in ascending order.
        scores: {step: {metric: value}}.
        metric: empty: the one that was written down first; "last": the latest, whatever the scores.
    """
    if metric == "last":
        return max(steps, default=None)
    scored = [(step, _score(scores[step], metric)) for step in steps if step in scores]
    best, value = max(scored, key=lambda pair: pair[1], default=(None, -math.inf))
    return best if value > -math.inf else max(steps, default=None)


def _score(metrics: Mapping[str, float], metric: str) -> float:
    name = metric or next(iter(metrics), "")
    return metrics.get(name, -math.inf)


def read_scores(workdir: Path) -> dict[int, dict[str, float]]:
    """{step: its metrics} of the steps of a workdir that were evaluated."""
    try:
        content = json.loads((workdir / SCORES).read_text())
        return {int(step): {name: float(x) for name, x in scores.items()} for step, scores in content.items()}
    except FileNotFoundError:
        return _scores_of_version_0_1(workdir)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UserError(f"{workdir / SCORES}: cannot be read ({_reason(error)}); remove it to go on") from error


def _scores_of_version_0_1(workdir: Path) -> dict[int, dict[str, float]]:
    """The scores that version 0.1 kept inside the checkpoints; none where a later one made them."""
    scores = {}
    for path in (workdir / FOLDER).glob("[0-9]*/metrics/metrics"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            scores[int(path.parent.parent.name)] = {"score": float(json.loads(path.read_text())["score"])}
    return scores


def write_scores(workdir: Path, scores: Mapping[int, Mapping[str, float]]) -> None:
    """Writes what `read_scores` reads."""
    write_whole(workdir / SCORES, json.dumps({str(step): scores[step] for step in sorted(scores)}, indent=1) + "\n")


def latest_step(workdir: Path) -> int | None:
    """The step of a workdir's latest checkpoint that is whole; None where there is none."""
    return max((int(folder.name) for folder in _whole(workdir / FOLDER)), default=None)


def _whole(directory: Path, whole: bool = True) -> list[Path]:
    """The folders of the checkpoints that are whole, by a file that Orbax writes last in a bucket; or of the others.

    On disk all are: a checkpoint takes its name when it is.
    """
    numbered = [folder for folder in directory.glob("[0-9]*") if folder.name.isdigit()]
    if not is_in_bucket(directory):
        return numbered if whole else []
    return [folder for folder in numbered if (folder / COMMITTED).is_file() == whole]


def load_variables(workdir: Path, metric: str = "", starts: Sequence[int] = (0,)) -> tuple[dict[str, Any], int]:
    """The variables of a workdir's best checkpoint (averaged where the run kept an average), and its step.

    Where the best cannot be read, that is said and the latest other one that can be read is taken.

    Args:
        workdir: a run's folder.
        metric: the number that decides which is the best; empty: the first of those that were written down; "last":
            the latest is taken.
        starts: as for `Checkpoints`.

    Returns:
        {"params", "batch_stats"} as NumPy arrays, and the step.

    Raises:
        UserError: there is no checkpoint, or none can be read.
    """
    if latest_step(workdir) is None:
        raise UserError(f"{workdir}: there is no checkpoint here yet; train first")
    checkpoints = Checkpoints(workdir, metric, starts)
    try:
        steps = checkpoints.steps()
        best = checkpoints.best_step
        for step in sorted(steps, key=lambda step: (step == best, step), reverse=True):
            try:
                saved = checkpoints.raw(step)
            except _UNREADABLE as error:
                logger.warning(f"{checkpoints.directory / str(step)} is broken ({_reason(error)}): taking another")
                continue
            chosen = saved.get("average") or saved
            return {key: chosen.get(key) or {} for key in ("params", "batch_stats")}, step
    finally:
        checkpoints._manager.close()  # reading deletes nothing
    raise UserError(f"{workdir}: none of its checkpoints can be read; restore the folder from a copy, or train anew")


def save_variables(variables: Mapping[str, Any], workdir: Path) -> None:
    """Makes the one checkpoint, of step 0, of a workdir whose network was not trained there."""
    checkpoints = Checkpoints(workdir)
    content = {"step": np.zeros((), np.int32)} | dict(variables)
    checkpoints._manager.save(0, args=ocp.args.StandardSave(_signed(_to_dict(content))))
    checkpoints.close()


def _to_dict(state: Any) -> dict[str, Any]:
    """The state as nested dicts of NumPy arrays; parts without arrays are left out."""
    flat = flatten_dict(serialization.to_state_dict(jax.device_get(state)))
    return unflatten_dict({path: np.asarray(value) for path, value in flat.items() if value is not None})


def _signed(tree: dict[str, Any]) -> dict[str, Any]:
    return tree | {CHECKSUM: np.uint32(_checksum(tree))}


def _checksum(tree: dict[str, Any]) -> int:
    """CRC-32 of the arrays of nested dicts, with their names, types and shapes."""
    found = 0
    for path, array in sorted(flatten_dict(tree).items()):
        found = zlib.crc32(f"{path} {array.dtype} {array.shape}".encode(), found)
        found = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, found)
    return found


def _from_dict(saved: dict[str, Any], like: Any, where: Path) -> Any:
    """What `_to_dict` was given, in the structure of `like`. Raises UserError where the arrays are others."""
    flat = flatten_dict(saved)
    wanted = flatten_dict(serialization.to_state_dict(like), keep_empty_nodes=True)
    arrays = {path for path, value in wanted.items() if value is not None and value is not empty_node}
    for path in sorted(arrays ^ set(flat)):
        raise UserError(
            f"{where}: is of another network or optimiser: {'/'.join(path)} is "
            f"{'missing in it' if path in arrays else 'only in it'}; choose another workdir, or the same config"
        )
    for path in sorted(arrays):
        if np.shape(flat[path]) != np.shape(wanted[path]):
            raise UserError(
                f"{where}: is of another network: {'/'.join(path)} is {np.shape(flat[path])} in it and "
                f"{np.shape(wanted[path])} by this config; choose another workdir, or the same config"
            )
    return serialization.from_state_dict(like, unflatten_dict(wanted | {path: flat[path] for path in arrays}))


def _remove(folder: Path) -> None:
    if is_in_bucket(folder):
        cast(Any, folder).rmtree(missing_ok=True)
    else:
        shutil.rmtree(folder)


def _move(path: Path, target: Path) -> None:
    number = 1
    try:
        target.parent.mkdir(exist_ok=True)
        while target.exists():
            number += 1
            target = target.with_name(f"{path.name}-{number}")
        path.rename(target)
    except OSError as error:
        raise UserError(f"{path}: cannot be moved ({error.strerror}): move it away, to {target.parent}") from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
