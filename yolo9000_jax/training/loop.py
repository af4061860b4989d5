"""The one training loop."""

import math
import time
from pathlib import Path

import jax
import numpy as np
from PIL import Image

from yolo9000_jax import config as configs
from yolo9000_jax.errors import UserError
from yolo9000_jax.tasks import make_task
from yolo9000_jax.tasks.trees import save_tree
from yolo9000_jax.training import parallel, preemption, schedule, state, step
from yolo9000_jax.training.logging import Log, say
from yolo9000_jax.workdir.checkpoints import Checkpoints, as_folder, latest_step, load_variables
from yolo9000_jax.workdir.lock import claim

DARKNET = "darknet:"  # before the .weights file in init_from


def train(config, workdir: str | Path, stages: str | Path | None = None) -> state.TrainState:
    """Trains what the config describes, or carries on where a run in `workdir` stopped.

    An experiment that `config.pretraining` names is trained first, in `stages`/its name (default: in
    `workdir`/pretraining), unless it is there already; several runs may share `stages`.

    Leaves in `workdir`: config.json, checkpoints/ (latest and best), metrics.jsonl, tensorboard/, first_batch.png, the
    tree of the classes if they form one, and report/ with the evaluation of the last state and the curves.

    SIGTERM and Ctrl-C stop it between two steps, with a checkpoint. While it runs no other run can use `workdir`.

    Returns the last state. Raises UserError for wrong configs or data, for a workdir of another experiment or in use,
    when it is stopped, and when the loss or the weights are no longer finite.
    """
    workdir = as_folder(workdir)
    with preemption.listen() as stop:
        return _train(config, workdir, as_folder(stages) if stages else workdir / "pretraining", stop)


def _train(config, workdir: Path, stages: Path, stop, wait: bool = False) -> state.TrainState:
    config = configs.complete(config)
    configs.check(config)
    parallel.check_batch_size(config.batch_size)
    with claim(workdir, wait) as still_ours:
        config = _continue_config(config, workdir)
        start = _start(config, workdir, stages, stop)
        task = make_task(config, say)
        config = task.config
        optimizer, update = _machinery(task)
        variables = task.init(config.seed)
        parameters = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
        say(f"{parameters / 1e6:.2f} M parameters, {jax.device_count()} {jax.default_backend()} device(s)")
        begun = latest_step(workdir) is not None
        if start and not begun:
            fresh = variables
            variables = parallel.from_first(lambda: _start_from(fresh, _read_start(start, config), start), fresh)
        current = state.create(variables, optimizer, average=config.optimizer.average_decay > 0)
        checkpoints = Checkpoints(workdir, task.metric)
        try:
            if begun:
                current = checkpoints.restore(current)
                say(f"continuing {workdir} from step {int(current.step)}")
            if parallel.is_first():
                configs.save(config, workdir / "config.json")
                if task.tree is not None:
                    save_tree(task.tree, task.nodes, workdir)
            return _run(task, current, update, checkpoints, workdir, stop, still_ours)
        finally:
            checkpoints.close()


def _start(config, workdir: Path, stages: Path, stop) -> str:
    """Where the run takes its first weights from ("": nowhere), trained now if they have to be."""
    if not config.pretraining:
        return config.init_from
    if config.init_from:
        raise UserError("init_from and pretraining both say where to start from: leave one empty")
    if latest_step(workdir) is not None:
        return ""
    stage, place = config.pretraining, stages / config.pretraining.name
    _continue_config(configs.complete(stage), place)
    trained = latest_step(place)
    if trained is None or trained < configs.read(place / "config.json").steps:
        say(f"pre-training first: {stage.name}, in {place}")
        _train(stage, place, stages, stop, wait=True)  # as another run may need it too, and be at it
        say(f"pre-training done: {stage.name}")
    else:
        say(f"pre-training {stage.name} is in {place} already")
    return str(place)


def seconds_per_step(config, steps: int = 12) -> float:
    """Measured seconds of one training step of this config on this machine, its input included."""
    task = make_task(configs.complete(config), lambda line: None)
    optimizer, update = _machinery(task)
    average = task.config.optimizer.average_decay > 0
    current = parallel.replicate(state.create(task.init(task.config.seed), optimizer, average))
    batches = task.batches(0)
    for number in range(steps + 3):
        if number == 3:
            jax.block_until_ready(current)
            started = time.perf_counter()
        current, _ = update(current, parallel.shard(next(batches)))
    jax.block_until_ready(current)
    return (time.perf_counter() - started) / steps


def _machinery(task):
    """The optimiser, and the update mapped over all devices."""
    options, steps = task.config.optimizer, task.config.steps
    optimizer, rate = schedule.optimizer(options, steps), schedule.learning_rate(options, steps)
    return optimizer, parallel.map_step(step.make_step(task.loss, optimizer, rate, options.average_decay))


def _run(task, current, update, checkpoints, workdir, stop, still_ours):
    config, start = task.config, int(current.step)
    log = Log(workdir, config.steps, config.batch_size, start)
    replicated = parallel.replicate(current)
    if start < config.steps and len(task.sizes()) > 1:
        _compile(task, update, replicated)
    batches, pending = task.batches(start), []
    log.restart_clock(start)
    try:
        if start >= config.steps:
            _finish(task, current, log, checkpoints, workdir)
        for number in range(start + 1, config.steps + 1):
            batch = _next(batches, task, number - 1)
            if number == 1 and parallel.is_first():
                Image.fromarray(task.draw_batch(batch)).save(workdir / "first_batch.png")
            with stop.held():
                replicated, metrics = update(replicated, parallel.shard(batch))
            pending.append(metrics)
            last = number == config.steps
            evaluate = last or bool(config.evaluate_every) and number % config.evaluate_every == 0
            save = evaluate or number % config.checkpoint_every == 0
            if save or number % config.log_every == 0 or number == start + 1:
                log.train(number, _average(pending, number, checkpoints.latest_step, workdir))
                pending.clear()
                still_ours()
            stop.check(number)
            if save:
                current = _finite(parallel.unreplicate(replicated), checkpoints.latest_step, workdir)
                report = _evaluate(task, current, log, checkpoints, workdir if last else None) if evaluate else None
                with stop.held():
                    checkpoints.save(current, report)
                log.restart_clock(number)
    except KeyboardInterrupt:
        with stop.held():
            current = _finite(parallel.unreplicate(replicated), checkpoints.latest_step, workdir)
            checkpoints.save(current)
            checkpoints.wait()
        raise UserError(f"stopped at step {int(current.step)}; the same command carries on from there") from None
    finally:
        log.close()
    return current


def _finish(task, current, log, checkpoints, workdir: Path) -> None:
    """What is left to do of a run whose steps are all done: the report, if it was stopped before that."""
    if (workdir / "report" / "metrics.json").is_file():
        say(f"all {task.config.steps} steps are done: nothing is left to do")
    else:
        say(f"all {task.config.steps} steps are done: the evaluation is left to do")
        checkpoints.save(current, _evaluate(task, current, log, checkpoints, workdir))


def _evaluate(task, current, log, checkpoints, workdir: Path | None) -> dict[str, float]:
    """Evaluates, logs, and at the end of the run writes the report. Returns the metrics that are single numbers."""
    number = int(current.step)
    workdir = workdir if parallel.is_first() else None
    try:
        metrics = task.evaluate(current.variables, workdir / "report" if workdir else None)
    except BaseException:
        checkpoints.save(current)  # what was trained is not lost to a picture that cannot be evaluated
        raise
    scalars = {
        key: float(value) for key, value in metrics.items() if isinstance(value, (int, float)) and key != "images"
    }
    log.write(number, scalars)
    say(f"step {number}  " + "  ".join(f"{key} {value:.3f}" for key, value in scalars.items()))
    if workdir:
        from yolo9000_jax.report.plots import plot_curves

        plot_curves(workdir / "metrics.jsonl", workdir / "report" / "curves.png")
        say(f"report in {workdir / 'report'}")
    return scalars


def _compile(task, update, replicated) -> None:
    """Compiles the step for every size, the largest first, so that too large a batch shows at once."""
    for size in task.sizes():
        say(f"compiling for {size}x{size}")
        copy = jax.tree.map(lambda x: x.copy(), replicated)
        jax.block_until_ready(update(copy, parallel.shard(task.blank_batch(size))))


def _next(batches, task, number: int):
    try:
        return next(batches)
    except Exception as error:
        complaint = task.blame(number)
        if complaint is None:
            raise
        raise UserError(f"step {number}: {complaint}") from error


def _average(pending, number: int, saved_step: int | None, workdir: Path) -> dict[str, float]:
    """Mean of the metrics of the last steps. Raises UserError naming the first step whose loss is not finite."""
    rows = [
        {key: float(np.asarray(value).reshape(-1)[0]) for key, value in row.items()} for row in jax.device_get(pending)
    ]
    for step_number, row in enumerate(rows, number - len(rows) + 1):
        if not math.isfinite(row["loss"]):
            raise _diverged(f"loss is {row['loss']}", step_number, saved_step, workdir)
    mean = {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}
    return mean | {"learning_rate": rows[-1]["learning_rate"]}


def _finite(current, saved_step: int | None, workdir: Path):
    """The state itself. Raises UserError if an array of it is not finite, so that such a state is never saved."""
    arrays = jax.device_get(jax.tree.leaves((current.params, current.batch_stats)))
    if not all(np.isfinite(array).all() for array in arrays):
        raise _diverged("the weights are not finite", int(current.step), saved_step, workdir)
    return current


def _diverged(what: str, number: int, saved_step: int | None, workdir: Path) -> UserError:
    kept = "no checkpoint yet" if saved_step is None else f"the last good checkpoint is step {saved_step} in {workdir}"
    advice = "lower optimizer.learning_rate or lengthen optimizer.burn_in, in another workdir"
    return UserError(f"{what} at step {number}; {kept}; {advice}")


def _continue_config(config, workdir: Path):
    """The config to run: that of the workdir where a run began there, if it is the same experiment."""
    path = workdir / "config.json"
    if not path.is_file() or latest_step(workdir) is None:
        return config  # nothing is trained there yet
    before = configs.read(path)
    # What a run settles by itself it keeps.
    for group, key in (("model", "classes"), ("data", "max_boxes"), ("model", "anchors_cells")):
        if not config[group][key]:
            config[group][key] = before[group][key]
    if config.epochs:
        config.steps, config.epochs = before.steps, 0.0
    if changed := configs.difference(before, config):
        raise UserError(
            f"{workdir} holds another experiment ({'; '.join(changed[:3])}): choose another workdir, or the same config"
        )
    return config


def _read_start(start: str, config) -> dict:
    """The variables that `init_from` names, or that pre-training left."""
    if start.startswith(DARKNET):
        from yolo9000_jax.darknet.convert import read_start

        return read_start(start.removeprefix(DARKNET), config)
    return load_variables(as_folder(start))


def _start_from(variables, loaded, where: str):
    """`variables` with every loaded array of the same name and shape. Raises UserError where nothing fits."""
    flat = dict(jax.tree_util.tree_flatten_with_path(loaded)[0])
    taken = 0

    def choose(path, fresh):
        nonlocal taken
        other = flat.get(path)
        if other is None or other.shape != fresh.shape:
            return fresh
        taken += 1
        return other

    chosen = jax.tree_util.tree_map_with_path(choose, variables)
    total = len(jax.tree.leaves(variables))
    if not taken:
        raise UserError(f"{where}: none of its arrays fits this model; check model.width")
    say(f"starting from {where}: {taken} of {total} arrays")
    return chosen
