"""The one training loop."""

import io
import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from PIL import Image

from yolo9000_jax import config as configs
from yolo9000_jax import devices, hosts, logs
from yolo9000_jax.errors import Stopped, UserError
from yolo9000_jax.evaluation import Evaluation
from yolo9000_jax.evaluation.detection import EXAMPLES
from yolo9000_jax.evaluation.result import main_numbers
from yolo9000_jax.files import write_whole
from yolo9000_jax.logs import logger
from yolo9000_jax.places import as_path
from yolo9000_jax.predict.loading import make_predictor
from yolo9000_jax.report.batch import draw_batch
from yolo9000_jax.report.evaluation import draw_examples, write_page, write_report
from yolo9000_jax.report.frame import PAGE
from yolo9000_jax.tasks import Task, make_task
from yolo9000_jax.tasks.task import Ratio
from yolo9000_jax.training import parallel, preemption, state, step
from yolo9000_jax.training.goodput import Goodput
from yolo9000_jax.training.metrics import Metrics
from yolo9000_jax.training.profile import Profile
from yolo9000_jax.training.resuming import ResumePoint, begin_or_resume, inspect_workdir, same_sources
from yolo9000_jax.training.start import start_variables
from yolo9000_jax.workdir.checkpoints import Checkpoints, read_scores
from yolo9000_jax.workdir.facts import REPORT, is_finished
from yolo9000_jax.workdir.lock import POLL_S, WorkdirInUse, lock_workdir

FIRST_BATCH = "first_batch.png"
MEASURED_STEPS = 12
SHOWN_EVERY = 3  # evaluations, of which one leaves pictures of what was found


def train(config: Any, workdir: str | Path, *, stages: str | Path | None = None, extend: str = "") -> state.TrainState:
    """Trains what the config describes, or carries on where a run in `workdir` stopped.

    An experiment that `config.pretraining` names is trained first, in `stages`/its name (default: in
    `workdir`/pretraining), unless it is there already; several runs may share `stages`.

    Leaves in `workdir`: config.json (what was asked), network.json (what came of it, with the tree of the classes if
    they form one), checkpoints/ (the last two and the best), scores.json, metrics.jsonl, tensorboard/, goodput.json
    (where the time went, over all starts), first_batch.png, with `config.profile_steps` profile/, and report/ with a
    page of the last evaluation and the curves so far; at the end its metrics.json comes last.

    A state is saved before it is evaluated, and nothing saved is deleted before what replaces it is whole: a run that
    is killed at any moment loses the steps since the last save. SIGTERM and Ctrl-C stop it between two steps, with a
    checkpoint. While it runs no other run can use `workdir`.

    Args:
        config: an experiment; what it leaves out is as in `config.detection`.
        workdir: a folder.
        stages: where pre-training is, or goes to.
        extend: a name: a run that is finished, or was stopped, goes on with this config for its length, with its own
            schedule. The same name carries on where that stopped.

    Returns:
        The last state, as NumPy arrays.

    Raises:
        Stopped: it was told to.
        UserError: wrong configs or data, a workdir of another experiment or in use, or a loss that is no longer finite.
    """
    logs.show()
    logger.info(f"on {devices.described()}")
    folder = as_path(workdir)
    with preemption.handle_signals() as stop:
        try:
            return _train(config, folder, as_path(stages) if stages else folder / "pretraining", stop, extend)
        except jax.errors.JaxRuntimeError:
            hosts.name_the_lost()
            raise
        except KeyboardInterrupt:
            raise Stopped("stopped before another step was done; the same command carries on", stop.number) from None


def _train(
    config: Any, workdir: Path, stages: Path, stop: preemption.Stop, extend: str = "", wait: bool = False
) -> state.TrainState:
    config = configs.complete(config)
    configs.check(config)
    parallel.check_config(config)
    parallel.check_batch_size(config)
    with ExitStack() as stack:
        check_lock = _lock(workdir, wait, stack)
        resume_point = inspect_workdir(workdir, config, extend)
        start = _start(config, stages, stop, resume_point)
        goodput = Goodput(workdir)  # of this run; its pre-training has its own
        task = hosts.on_all(lambda: make_task(config, resume_point.facts))
        for line in task.in_short() if parallel.is_first() else ():
            logger.info(line)
        if config.batch_size > task.pictures:
            logger.warning(
                f"batch_size {config.batch_size} is more than the {task.pictures} pictures there are: a batch has some "
                "of them several times"
            )
        run = _Run(task, workdir, stop, check_lock, goodput)
        try:
            run.prepare(resume_point, start)
            return run.run()
        finally:
            run.close()


def _lock(workdir: Path, wait: bool, stack: ExitStack) -> Callable[[], None]:
    """Locks the workdir until the stack is left, on the first host for all; what checks that the lock still holds.

    The hosts wait together for another run to end: one that waits alone leaves the others in a broadcast.
    """
    checks: list[Callable[[], None]] = []

    def attempt() -> str:
        try:
            checks.append(stack.enter_context(lock_workdir(workdir)))
        except WorkdirInUse as error:
            if not wait:
                raise
            return str(error)
        return ""

    told = False
    while busy := parallel.decided_by_first(attempt):
        if not told:
            logger.info(f"waiting for another run to end: {busy}")
            told = True
        time.sleep(POLL_S)
    return checks[0] if checks else lambda: None


def _start(config: Any, stages: Path, stop: preemption.Stop, resume_point: ResumePoint) -> str:
    """Where the run takes its first weights from ("": nowhere), trained now if they have to be."""
    if resume_point.facts is not None:
        return ""
    if not config.pretraining:
        return config.init_from
    stage = configs.complete(config.pretraining)
    place = stages / stage.name
    if parallel.decided_by_first(lambda: is_finished(place) and same_sources(place, stage)):
        inspect_workdir(place, stage)
        logger.info(f"pre-training {stage.name} is in {place} already")
    else:
        logger.info(f"pre-training first: {stage.name}, in {place}")
        _train(stage, place, stages, stop, wait=True)  # as another run may need it too, and be at it
        logger.info(f"pre-training done: {stage.name}")
    return str(place)


class _Run:
    """One run of the loop: the task, the state on the devices, and what is written of them."""

    def __init__(self, task: Task, workdir: Path, stop: preemption.Stop, check_lock: Any, goodput: Goodput):
        self.task, self.config, self.workdir = task, task.config, workdir
        self.stop, self.check_lock, self.goodput = stop, check_lock, goodput
        self.profile = Profile(workdir, self.config.profile_steps)
        self.checkpoints: Checkpoints | None = None
        self.optimizer, self.update = make_update(task)
        self.estimate = parallel.map_step(step.make_statistics_step(task.batch_statistics, self.config.accumulate))
        self.pending: list[Any] = []
        self.compiled = False

    def prepare(self, resume_point: ResumePoint, start: str) -> None:
        """Brings the state onto the devices, compiles, and settles how long the run is."""
        if parallel.is_first():
            self.checkpoints = Checkpoints(self.workdir, configs.metric_of(self.config), resume_point.starts)
        current = self._state(start, resume_point)
        self.number = self.settled = int(current.step)
        parameters = sum(leaf.size for leaf in jax.tree.leaves(current.params))
        logger.info(f"{parameters / 1e6:.2f} M parameters, {jax.device_count()} {jax.default_backend()} device(s)")
        self.replicated = parallel.replicate(current)
        run = begin_or_resume(self.task, resume_point, self.workdir, self.number, self._length(resume_point))
        self.phase, self.run_facts = run.phase, run
        if self.checkpoints is not None:
            self.checkpoints.starts = run.starts
        self.span = np.array([self.phase.start, self.phase.steps], np.int32)

    def _state(self, start: str, resume_point: ResumePoint) -> state.TrainState:
        """The state to go on from, as NumPy arrays."""
        variables = self.task.init(self.config.seed)
        if start:
            variables = start_variables(start, variables, self.task.network)
        fresh = state.create(variables, self.optimizer, average=self.config.optimizer.average_decay > 0)
        if resume_point.facts is None:
            return fresh
        current = parallel.from_first(lambda: self.checkpoints and self.checkpoints.restore(fresh), fresh)
        logger.info(f"continuing {self.workdir} from step {int(current.step)}")
        return current

    def _length(self, resume_point: ResumePoint) -> int:
        """Steps of a phase that begins now."""
        if resume_point.facts is not None and resume_point.phase is None:
            return 0
        if not self.config.minutes:
            return configs.steps_of(self.config, self.task.pictures)
        logger.info("measuring the speed of this machine")
        seconds = self._seconds_per_step()
        steps = parallel.decided_by_first(lambda: max(20, round(60 * self.config.minutes / seconds)))
        logger.info(f"{steps} steps in {self.config.minutes:g} minutes, at {seconds:.3f} s each")
        return steps

    def _seconds_per_step(self) -> float:
        """Seconds of one training step on this machine, input included, over all sizes alike."""
        self._compile()
        span = np.array([0, 1_000_000], np.int32)
        copy = jax.tree.map(lambda x: x.copy(), self.replicated)
        batches = self.task.batches(self.number, self.number + MEASURED_STEPS + 2)
        areas, started = [], 0.0
        for place, batch in enumerate(batches):
            if place == 2:
                jax.block_until_ready(copy)
                started = time.perf_counter()
            copy, _ = self.update(copy, parallel.shard(batch), span)
            areas.append(batch["images"].shape[1] ** 2)
        jax.block_until_ready(copy)
        seconds = (time.perf_counter() - started) / MEASURED_STEPS
        return seconds * float(np.mean(np.square(self.task.sizes())) / np.mean(areas[2:]))

    def _compile(self) -> None:
        """Compiles the step for every size, the largest first, so that too large a batch shows at once, and what gives
        batch norm's statistics anew."""
        if self.compiled:
            return
        span = np.array([0, 1], np.int32)
        programs: list[tuple[str, Any, int, Any]] = [("", self.update, size, span) for size in self.task.sizes()]
        if self.config.model.batch_norm_batches:
            what = "batch norm's statistics "
            programs.append((what, self.estimate, self.task.network.image_size, np.float32(1)))
        with self.goodput.spending("compiling"):
            for what, program, size, value in programs:
                logger.info(f"compiling {what}for {size}x{size}")
                batch = parallel.shard(self.task.blank_batch(size))
                program.lower(self.replicated, batch, value).compile()
                hosts.meet()  # one that waits within the step for another to compile gives up after 30 s on CPUs
                copy = jax.tree.map(lambda x: x.copy(), self.replicated)
                jax.block_until_ready(program(copy, batch, value))
        self.compiled = True

    def run(self) -> state.TrainState:
        """All steps that are left, and what is to be done of the one that it starts from."""
        start, end = self.number, self.phase.end
        evaluated = not self._is_due(start) or parallel.decided_by_first(lambda: self._is_evaluated(start))
        if start < end or not evaluated:
            self.goodput.begin(start)
        self.metrics = Metrics(self.workdir, end, self.config.batch_size, start, evaluated, self._epoch)
        try:
            if not evaluated:
                logger.info(f"step {start} of {end} is trained: its evaluation is left to do")
                with self.goodput.spending("evaluating"):
                    self._evaluate()
            elif start >= end:
                logger.info(f"all {end} steps are done: nothing is left to do")
            if start < end:
                self._steps(start, end)
        except KeyboardInterrupt:
            with self.stop.deferred(), self.goodput.spending("saving"):
                current = self._save()
                if self.pending:
                    self._report(int(current.step))
                if self.checkpoints is not None:
                    self.checkpoints.wait()
            message = f"stopped at step {int(current.step)}; the same command carries on from there"
            raise Stopped(message, self.stop.number) from None
        finally:
            self.metrics.close()
        return parallel.unreplicate(self.replicated)

    def _steps(self, start: int, end: int) -> None:
        self._compile()
        batches = self.task.batches(start, end)
        for number in range(start + 1, end + 1):
            with self.goodput.waiting():
                batch = next_batch(batches, self.task, number - 1)
            if number == start + 1:
                self._draw_first_batch(batch, start)
            self.profile.before(number, self.replicated)
            with self.stop.deferred():
                self.replicated, metrics = self.update(self.replicated, parallel.shard(batch), self.span)
                self.goodput.sent(metrics)
            self.metrics.progress.step(number)
            self.pending.append(metrics)
            if number == start + 1:
                self.metrics.first(number, self._average(number)["loss"])
            save = self._is_due(number) or number % self.config.checkpoint_every == 0
            if save or number % self.config.log_every == 0:
                self._report(number)
                parallel.decided_by_first(self.check_lock)
            self.stop.check(number)
            if save:
                parallel.decided_by_first(self.metrics.flush)
                with self.stop.deferred(), self.goodput.spending("saving"):
                    self._save()
                if self._is_due(number):
                    with self.goodput.spending("evaluating"):
                        self._evaluate()

    def _report(self, number: int) -> None:
        """Says and writes what the steps since the last report gave, and what they took."""
        metrics = self._average(number)  # which is there when they are done
        self.metrics.train(number, metrics, self.goodput.report())
        self.pending.clear()

    def _epoch(self, number: int) -> float:
        """Passes over the pictures until a step."""
        return self.run_facts.pictures_seen(number) / self.task.pictures

    def _is_due(self, number: int) -> bool:
        """Whether the state after that step is to be evaluated."""
        every = self._evaluate_every
        return number > 0 and (number == self.phase.end or bool(every) and number % every == 0)

    @property
    def _evaluate_every(self) -> int:
        """Steps between two evaluations; 0: only at the end."""
        every = self.config.evaluate_every
        return int(every) if every >= 1 or not every else max(1, round(every * self.phase.steps))

    def _is_evaluated(self, number: int) -> bool:
        """Whether it has been, by what is marked last: its score or, at the end of the run, its report."""
        return is_finished(self.workdir) if number == self.phase.end else number in read_scores(self.workdir)

    def _evaluate(self) -> None:
        """Evaluates the state, which is saved; at the end of the run leaves the report, its metrics.json last."""
        with self.goodput.spending("saving"):
            if self.checkpoints is not None:
                self.checkpoints.wait()
        current = parallel.unreplicate(self.replicated)
        number = int(current.step)
        predictor = make_predictor(self.task.network, current.variables, self.task.model)
        predictor.devices = jax.local_devices()
        drawn = number == self.phase.end or (number // self._evaluate_every - 1) % SHOWN_EVERY == 0
        evaluation = self.task.evaluate(predictor, EXAMPLES if drawn else 0)
        numbers = {
            key: value
            for key, value in evaluation.metrics.items()
            if isinstance(value, int | float | None) and key != "images"
        }
        said = {key: value for key, value in main_numbers(evaluation.metrics).items() if key in numbers}
        shown = {key: "-" if value is None else format(value, ".3f") for key, value in said.items()}
        logger.info(f"step {number}  " + "  ".join(f"{key} {text}" for key, text in shown.items()))
        scalars = {key: float(value) for key, value in numbers.items() if value is not None}
        self.metrics.write(number, scalars)
        parallel.decided_by_first(self.metrics.flush)
        parallel.decided_by_first(lambda: self._keep(number, evaluation, scalars))

    def _keep(self, number: int, evaluation: Evaluation, scalars: dict[str, float]) -> None:
        """Writes what an evaluation found, on the first host."""
        if self.checkpoints is not None:
            self.checkpoints.record(number, scalars)
        if evaluation.examples:
            self.metrics.picture(number, "detections", draw_examples(evaluation.examples, evaluation.class_names))
        is_last = number == self.phase.end
        write = write_report if is_last else write_page
        write(self.workdir / REPORT, evaluation, number, self.workdir)
        logger.info(f"report in {self.workdir / REPORT}" if is_last else f"so far: {self.workdir / REPORT / PAGE}")

    def _settle_statistics(self, number: int) -> None:
        """Gives a state that is to be judged the batch-norm statistics that it is judged with, if it has not got them.

        So it is saved with them: whatever stops the run, what is judged and what others load is the same.
        """
        count = self.config.model.batch_norm_batches
        if not count or number == self.settled or not self._is_due(number):
            return
        size = self.task.network.image_size
        logger.info(f"step {number}: batch norm's statistics of {count} batches at {size}x{size}")
        batches = self.task.batches(number, number + count, size)
        with self.goodput.spending("evaluating"):
            for place in range(count):
                batch = next_batch(batches, self.task, number + place)
                self.replicated = self.estimate(self.replicated, parallel.shard(batch), np.float32(place + 1))
        self.settled = number

    def _save(self) -> state.TrainState:
        """Saves the state, unless an array of it is not finite: such a state is never saved."""
        self._settle_statistics(int(parallel.unreplicate(self.replicated.step)))
        current = parallel.unreplicate(self.replicated)
        arrays = jax.tree.leaves((current.params, current.batch_stats))
        if not all(np.isfinite(array).all() for array in arrays):
            raise self._diverged("the weights are not finite", int(current.step))
        self.goodput.mark(int(current.step))
        if self.checkpoints is not None:
            self.checkpoints.save(current)
        return current

    def _draw_first_batch(self, batch: Any, start: int) -> None:
        """Leaves the picture of the run's first batch, also where a run was killed before it came to that."""
        path = self.workdir / FIRST_BATCH
        if not parallel.is_first() or path.is_file():
            return
        if start:
            batch = next(self.task.batches(0, 1))
        content = io.BytesIO()
        Image.fromarray(draw_batch(self.task.preview(batch))).save(content, "PNG")
        write_whole(path, content.getvalue())

    def _average(self, number: int) -> dict[str, float]:
        """Mean of the metrics of the last steps. Raises UserError naming the first step whose loss is not finite."""
        rows = jax.tree.map(lambda value: float(np.ravel(value)[0]), jax.device_get(self.pending))
        for step_number, row in enumerate(rows, number - len(rows) + 1):
            if not math.isfinite(row["loss"]):
                raise self._diverged(f"loss is {row['loss']}", step_number)
        mean = jax.tree.map(lambda *values: sum(values) / len(values), *rows)
        mean = {key: value.mean if isinstance(value, Ratio) else value for key, value in mean.items()}
        return mean | {"learning_rate": rows[-1]["learning_rate"]}

    def _diverged(self, what: str, number: int) -> UserError:
        saved = self.checkpoints and self.checkpoints.latest_step
        kept = f"the last good checkpoint is step {saved} in {self.workdir}" if saved else "no checkpoint yet"
        advice = "lower optimizer.learning_rate or lengthen optimizer.burn_in, in another workdir"
        return UserError(f"{what} at step {number}; {kept}; {advice}")

    def close(self) -> None:
        self.profile.close()
        if self.checkpoints is not None:
            self.checkpoints.close()
        self.goodput.close()


def make_update(task: Task) -> tuple[optax.GradientTransformation, jax.stages.Wrapped]:
    """The optimiser, and update(state, batch, span) -> (state, metrics), mapped over all devices."""
    optimizer, update = step.step_of(task)
    return optimizer, parallel.map_step(update)


def next_batch(batches: Iterator[Any], task: Task, number: int) -> Any:
    """The batch of a step. Raises UserError naming the picture where one of it cannot be read."""
    try:
        return next(batches)
    except Exception as error:
        complaint = task.find_unreadable(number)
        if complaint is None:
            raise
        raise UserError(f"step {number}: {complaint}") from error
