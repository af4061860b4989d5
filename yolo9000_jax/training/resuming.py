"""Where the run of a workdir stands, and whether a config may go on with it. Decided by the first host for all."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from yolo9000_jax import config as configs
from yolo9000_jax import text
from yolo9000_jax.errors import UserError
from yolo9000_jax.logs import logger
from yolo9000_jax.models.network import differences
from yolo9000_jax.tasks import Task
from yolo9000_jax.training import parallel
from yolo9000_jax.workdir.checkpoints import latest_step, read_scores, write_scores
from yolo9000_jax.workdir.facts import CONFIG, FACTS, Facts, Phase, Run, from_value, load_facts, save_facts, to_value


@dataclass(frozen=True)
class ResumePoint:
    """What a run finds in its workdir.

    facts: of the run that began there; None: it begins now. Of one that is to begin a phase, its boxes a picture are
        not settled. phase: the name of the phase that is to begin; None: the one that is there goes on.
    """

    facts: Facts | None
    phase: str | None

    @property
    def starts(self) -> tuple[int, ...]:
        """The steps after which the phases that are there begin."""
        return self.facts.run.starts if self.facts is not None and self.facts.run is not None else (0,)


def inspect_workdir(workdir: Path, config: Any, extend: str = "") -> ResumePoint:
    """What is to be done in a workdir.

    Args:
        workdir: a folder, which need not exist.
        config: a complete config, of which everything but `configs.FREE_ON_RESUME` must be what the run began with.
        extend: the name of a phase to begin with this config, or to go on with; "": that which is there goes on.

    Raises:
        UserError: the workdir holds another experiment, or one of an earlier version, or nothing to extend.
    """
    found = parallel.decided_by_first(lambda: _look(workdir))
    if found is None:
        if extend:
            raise UserError(f"--extend {extend}: {workdir} holds no run with a checkpoint; train without it first")
        return ResumePoint(None, None)
    facts = from_value(found)
    if facts.run is None or not facts.run.phases:
        raise UserError(
            f"{workdir}: holds a network that no run of this version trained, so none can go on; start from its "
            f"weights in another workdir: --config.init_from={workdir}"
        )
    names = [phase.name for phase in facts.run.phases]
    if extend and not re.fullmatch(r"[\w.-]+", extend):
        raise UserError(f"--extend {extend!r}: a name is made of letters, digits, dots, hyphens and underscores")
    if extend and extend not in names:
        _compare_networks(workdir, facts.run.phase, config, extend)
        return ResumePoint(replace(facts, run=replace(facts.run, max_boxes=0)), extend)
    if extend and extend != names[-1]:
        raise UserError(
            f"--extend {extend}: {workdir} was extended so before, and as {names[-1]} since; give a new name"
        )
    _compare(workdir, facts.run.phase, found["step"], config, extend)
    return ResumePoint(facts, None)


def _look(workdir: Path) -> dict[str, Any] | None:
    """The facts as a JSON value, and the "step" that it has come to; None where nothing is trained yet."""
    step = latest_step(workdir)
    if step is None:
        return None
    if not (workdir / FACTS).is_file() and not (workdir / CONFIG).is_file():
        raise UserError(f"{workdir}: has checkpoints, but no {FACTS}: put it back, or choose another workdir")
    read_scores(workdir)  # a broken file stops it now, and not after hours
    return to_value(load_facts(workdir)) | {"step": step}


def same_sources(workdir: Path, config: Any) -> bool:
    """Whether the run of a workdir names the same data as the config, or else has to look whether they are the same."""
    run = load_facts(workdir).run
    if run is None:
        return False
    before, now = configs.flat(configs.from_saved(run.phase.config, FACTS)), configs.flat(config)
    return all(before[key] == now[key] for key in configs.SOURCES)


def _compare_networks(workdir: Path, phase: Phase, config: Any, extend: str) -> None:
    """Raises UserError where a phase that is to begin asks for another network than the run has."""
    if changed := _network_changes(configs.from_saved(phase.config, str(workdir / FACTS)), config):
        raise UserError(
            f"--extend {extend}: the network in {workdir} is another ({'; '.join(changed[:3])}); leave it as it is, or "
            f"start from its weights in another workdir: --config.init_from={workdir}"
        )


def _network_changes(before: Any, config: Any) -> list[str]:
    """The changed keys of the model that no extension can change."""
    known = configs.flat(before.model)
    free = (
        *("dropout", "batch_norm_momentum", "batch_norm_batches", "sync_batch_norm", "sync_batch_norm_group"),
        *("rematerialise", "compute_dtype"),
    )
    pairs = [(key, known[key], value) for key, value in configs.flat(config.model).items() if key not in free]
    return [f"model.{key}: {text.changed(old, new)}" for key, old, new in pairs if old != new]


def _compare(workdir: Path, phase: Phase, step: int, config: Any, extend: str) -> None:
    """Raises UserError unless the config is that of the phase, moved data apart."""
    before = configs.from_saved(phase.config, str(workdir / FACTS))
    changed = configs.difference(before, config, configs.SOURCES)
    if not changed:
        return
    what = "; ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
    anew = f"to start anew from its weights give --config.init_from={workdir} and another --workdir"
    if phase.name and not extend:
        advice = f"it was extended as {phase.name}: give --extend {phase.name} and that config to go on"
    elif _network_changes(before, config):
        advice = f"its network stays as it is: {anew}; else give the same config"
    else:
        further = f"--extend {'ANOTHER_NAME' if extend else 'NAME'}{_more(before, config, step - phase.start)}"
        advice = f"to train further in it give {further}, {anew}; else give the same config"
    raise UserError(f"{workdir} holds a run with another config ({what}), at step {step}: {advice}")


def _more(before: Any, config: Any, done: int) -> str:
    """The argument that gives an extension its length, after `done` steps, where the length is what was changed."""
    if config.steps and config.steps != before.steps:
        more = config.steps - done
        return f" --config.steps={more} ({more} more)" if more > 0 else " and how many --config.steps more"
    changed = [key for key in ("epochs", "minutes") if config[key] and config[key] != before[key]]
    return f" and how many --config.{changed[0]} more" if changed else ""


def begin_or_resume(task: Task, resume_point: ResumePoint, workdir: Path, start: int, steps: int) -> Run:
    """The run as it stands from now on; the facts of a new one, or of one that begins a phase, are written.

    Args:
        task: made with the facts of `resume_point`.
        resume_point: of this workdir.
        workdir: gets network.json, the tree of the classes if they form one, and config.json.
        start: steps done. steps: the length of a phase that begins; not used otherwise.

    Raises:
        UserError: the data, or the network, are no longer those that the run began with, or hosts disagree on them.
    """
    prints = task.fingerprints()
    parallel.check_same([prints, task.network.to_json()], "what is to be trained, or the data,")
    facts = resume_point.facts
    if facts is None:
        phase = Phase("", 0, steps, configs.as_saved(task.config))
        facts = Facts(task.network, Run(task.max_boxes, configs.metric_of(task.config), prints, (phase,)))
    elif changed := differences(facts.network, task.network):
        raise UserError(f"{workdir} holds another network ({'; '.join(changed[:3])}); choose another workdir")
    elif resume_point.phase is None:
        _check_data(task, facts, prints, workdir)
    else:
        phase = Phase(resume_point.phase, start, steps, configs.as_saved(task.config))
        before = configs.from_saved(_run_of(facts).phase.config, FACTS)
        changes = "; ".join(configs.difference(before, task.config)) or "the same config"
        logger.info(f"{workdir}: extended as {phase.name}, by {steps} steps from step {start} on ({changes})")
        facts = Facts(
            task.network, Run(task.max_boxes, configs.metric_of(task.config), prints, (*_run_of(facts).phases, phase))
        )
    if parallel.is_first():
        if resume_point.facts is None:
            write_scores(workdir, {})  # those of an earlier run, whose checkpoints are gone, are not this one's
        if resume_point.facts is None or resume_point.phase is not None:
            save_facts(facts, workdir)
        configs.save(task.config, workdir / CONFIG)
    run = _run_of(facts)
    if start < run.phase.start:
        raise UserError(
            f"{workdir}: the checkpoint that {run.phase.name} began from cannot be read, and the one before it is of "
            f"step {start}: give --extend and another name to go on from there"
        )
    return run


def _check_data(task: Task, facts: Facts, prints: dict[str, str], workdir: Path) -> None:
    """Raises UserError where a data set is not the one that the run began with, wherever it lies now."""
    for key, known in _run_of(facts).data.items():
        if prints.get(key) != known:
            raise UserError(
                f"{key}.source: the pictures, labels or classes are no longer those that the run in {workdir} began "
                f"with; put them back, or go on with the data as they are: --extend NAME here, or "
                f"--config.init_from={workdir} in another workdir"
            )


def _run_of(facts: Facts) -> Run:
    assert facts.run is not None
    return facts.run
