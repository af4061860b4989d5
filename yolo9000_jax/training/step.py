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
) -> Callable[[TrainState, Any, jax.Array], tuple[TrainState, dict[str, jax.Array]]]:
    """Builds step(state, batch, span) -> (state, metrics), to be mapped over the axis `AXIS`.

    loss(params, batch_stats, batch, step) -> (scalar, (metrics, batch_stats)) is the mean over this device's images;
    `optimizer` and `rate` are as of training.schedule, whose `span` is handed through. Gradients, metrics and running
    statistics are averaged over the devices, so that the state stays the same on all of them. A device works on its
    images in `accumulate` parts, one after the other, and takes the mean of their gradients.
    """

    def learn_part(state: TrainState, batch_stats: Any, part: Any) -> tuple[Any, Any, Any]:
        gradient = jax.value_and_grad(loss, has_aux=True)
        (_, (metrics, batch_stats)), gradients = gradient(state.params, batch_stats, part, state.step)
        return gradients, metrics, batch_stats

    def learn(state: TrainState, batch: Any) -> tuple[Any, Any, Any]:
        """Gradients, metrics and running statistics of this device's images."""
        if accumulate == 1:
            return learn_part(state, state.batch_stats, batch)
        parts = jax.tree.map(lambda x: x.reshape(accumulate, x.shape[0] // accumulate, *x.shape[1:]), batch)

        def add(before: Any, part: Any) -> tuple[Any, None]:
            total, batch_stats = before
            *found, batch_stats = learn_part(state, batch_stats, part)
            return (jax.tree.map(jnp.add, total, found), batch_stats), None

        first = jax.tree.map(lambda x: x[0], parts)
        like = jax.eval_shape(learn_part, state, state.batch_stats, first)[:2]
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), list(like))
        (total, batch_stats), _ = lax.scan(add, (zeros, state.batch_stats), parts)
        gradients, metrics = jax.tree.map(lambda x: x / accumulate, total)
        return gradients, metrics, batch_stats

    def step(state: TrainState, batch: Any, span: jax.Array) -> tuple[TrainState, dict[str, jax.Array]]:
        gradients, metrics, batch_stats = lax.pmean(learn(state, batch), AXIS)
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


def make_statistics_step(statistics: Callable) -> Callable[[TrainState, Any, jax.Array], TrainState]:
    """Builds step(state, batch, number) -> state, to be mapped over `AXIS`: batch norm's statistics anew.

    After the batches 1 … N of such steps the statistics that are evaluated are the mean of the N batches', each the
    mean over the devices, with the weights that are: both of the moving average where there is one. All else stays.

    Wu & Johnson, "Rethinking 'Batch' in BatchNorm", arXiv 2105.07576, section 3 (there "PreciseBN").

    Args:
        statistics: statistics(params, batch_stats, batch), of one batch by itself.
    """

    def step(state: TrainState, batch: Any, number: jax.Array) -> TrainState:
        variables = state.variables
        found = lax.pmean(statistics(variables["params"], variables["batch_stats"], batch), AXIS)
        mean = jax.tree.map(lambda old, new: old + (new - old) / number, variables["batch_stats"], found)
        batch_stats, average = mean, state.average
        if average is not None:
            batch_stats, average = state.batch_stats, average | {"batch_stats": mean}
        return TrainState(state.step, state.params, batch_stats, state.optimizer_state, average)

    return step
