"""One update, written for one device of many."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from yolo9000_jax import config as configs
from yolo9000_jax.tasks.task import AXIS, Task
from yolo9000_jax.training import schedule
from yolo9000_jax.training.state import TrainState


def step_of(task: Task) -> tuple[optax.GradientTransformation, Callable]:
    """The optimiser of a task, and its `make_step`: what training runs, and what `yolo9000 plan` compiles."""
    options = task.config.optimizer
    optimizer = schedule.optimizer(options, task.layer_rates)
    rate = schedule.learning_rate(options, configs.learning_rate_of(task.config))
    return optimizer, make_step(task.loss, optimizer, rate, options.average_decay, task.config.accumulate)


def make_step(
    loss: Callable,
    optimizer: optax.GradientTransformation,
    rate: Callable,
    average_decay: float = 0.0,
    accumulate: int = 1,
) -> Callable[[TrainState, Any, jax.Array], tuple[TrainState, dict[str, Any]]]:
    """Builds step(state, batch, span) -> (state, metrics), to be mapped over the axis `AXIS`.

    loss(params, batch_stats, batch, step, part) -> (scalar, (metrics, batch_stats)) is the mean over the images of one
    part of this device's; `optimizer` and `rate` are as of training.schedule, whose `span` is handed through.
    Gradients, metrics and running statistics are averaged over the devices, so that the state stays the same on all of
    them. A device works on its images in `accumulate` parts, one after the other, and takes the mean of their gradients
    and metrics.
    """

    def step(state: TrainState, batch: Any, span: jax.Array) -> tuple[TrainState, dict[str, Any]]:
        def learn(batch_stats: Any, part: Any, number: jax.Array | int) -> tuple[Any, Any]:
            gradient = jax.value_and_grad(loss, has_aux=True)
            (_, (metrics, batch_stats)), gradients = gradient(state.params, batch_stats, part, state.step, number)
            return (gradients, metrics), batch_stats

        found, batch_stats = _over_parts(learn, accumulate, state.batch_stats, batch)
        (gradients, metrics), batch_stats = lax.pmean((found, batch_stats), AXIS)
        directions, optimizer_state = optimizer.update(gradients, state.optimizer_state, state.params)
        by = rate(state.step, span)
        params = optax.apply_updates(state.params, jax.tree.map(lambda direction: -by * direction, directions))
        average = state.average
        if average is not None:
            # The average follows quickly at first, so that the random start is soon forgotten.
            keep = jnp.minimum(average_decay, (1 + state.step) / (10 + state.step))
            latest = {"params": params, "batch_stats": batch_stats}
            average = jax.tree.map(lambda old, new: keep * old + (1 - keep) * new, average, latest)
        metrics = metrics | {"learning_rate": by}
        return TrainState(state.step + 1, params, batch_stats, optimizer_state, average), metrics

    return step


def _over_parts(work: Callable, accumulate: int, carried: Any, batch: Any) -> tuple[Any, Any]:
    """work(carried, part, number) -> (found, carried) on each of so many parts of a batch, one after the other.

    Returns:
        The mean of what was found, and what the last part hands on.
    """
    if accumulate == 1:
        return work(carried, batch, 0)
    parts = jax.tree.map(lambda x: x.reshape(accumulate, x.shape[0] // accumulate, *x.shape[1:]), batch)

    def add(before: Any, numbered: Any) -> tuple[Any, None]:
        total, carried = before
        found, carried = work(carried, *numbered)
        return (jax.tree.map(jnp.add, total, found), carried), None

    like, _ = jax.eval_shape(work, carried, jax.tree.map(lambda x: x[0], parts), 0)
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), like)
    (total, carried), _ = lax.scan(add, (zeros, carried), (parts, jnp.arange(accumulate)))
    return jax.tree.map(lambda x: x / accumulate, total), carried


def make_statistics_step(
    statistics: Callable, accumulate: int = 1
) -> Callable[[TrainState, Any, jax.Array], TrainState]:
    """Builds step(state, batch, number) -> state, to be mapped over `AXIS`: batch norm's statistics anew.

    After the batches 1 … N of such steps the statistics that are evaluated are the mean of the N batches', each the
    mean over the devices, with the weights that are: both of the moving average where there is one. All else stays.

    Wu & Johnson, "Rethinking 'Batch' in BatchNorm", arXiv 2105.07576, section 3 (there "PreciseBN").

    Args:
        statistics: statistics(params, batch_stats, batch), of one batch by itself.
        accumulate: parts of a device's images that are such batches, one after the other, as those of `make_step`.
    """

    def step(state: TrainState, batch: Any, number: jax.Array) -> TrainState:
        variables = state.variables

        def look(carried: None, part: Any, _: jax.Array | int) -> tuple[Any, None]:
            return statistics(variables["params"], variables["batch_stats"], part), carried

        found = lax.pmean(_over_parts(look, accumulate, None, batch)[0], AXIS)
        mean = jax.tree.map(lambda old, new: old + (new - old) / number, variables["batch_stats"], found)
        batch_stats, average = mean, state.average
        if average is not None:
            batch_stats, average = state.batch_stats, average | {"batch_stats": mean}
        return TrainState(state.step, state.params, batch_stats, state.optimizer_state, average)

    return step
