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
    optimizer = schedule.optimizer(options)
    rate = schedule.learning_rate(options, configs.learning_rate_of(task.config))
    return optimizer, make_step(task.loss, optimizer, rate, options.average_decay)


def make_step(
    loss: Callable, optimizer: optax.GradientTransformation, rate: Callable, average_decay: float = 0.0
) -> Callable[[TrainState, Any, jax.Array], tuple[TrainState, dict[str, jax.Array]]]:
    """Builds step(state, batch, span) -> (state, metrics), to be mapped over the axis `AXIS`.

    loss(params, batch_stats, batch, step) -> (scalar, (metrics, batch_stats)) is the mean over this device's images;
    `optimizer` and `rate` are as of training.schedule, whose `span` is handed through. Gradients, metrics and running
    statistics are averaged over the devices, so that the state stays the same on all of them.
    """

    def step(state: TrainState, batch: Any, span: jax.Array) -> tuple[TrainState, dict[str, jax.Array]]:
        (_, (metrics, batch_stats)), gradients = jax.value_and_grad(loss, has_aux=True)(
            state.params, state.batch_stats, batch, state.step
        )
        gradients, metrics, batch_stats = lax.pmean((gradients, metrics, batch_stats), AXIS)
        directions, optimizer_state = optimizer.update(gradients, state.optimizer_state, state.params)
        by = rate(state.step, span)
        params = optax.apply_updates(state.params, jax.tree.map(lambda direction: -by * direction, directions))
        average = state.average
        if average is not None:
            # The average follows quickly at first, so that the random start is soon forgotten.
            keep = jnp.minimum(average_decay, (1 + state.step) / (10 + state.step))
            average = jax.tree.map(lambda old, new: keep * old + (1 - keep) * new, average, params)
        metrics = metrics | {"learning_rate": by}
        return TrainState(state.step + 1, params, batch_stats, optimizer_state, average), metrics

    return step


def make_statistics_step(statistics: Callable) -> Callable[[TrainState, Any, jax.Array], TrainState]:
    """Builds step(state, batch, number) -> state, to be mapped over `AXIS`: batch norm's statistics anew.

    After the batches 1 … N of such steps `batch_stats` is the mean of the N batches' statistics, each the mean over the
    devices, with the weights that are evaluated: those of the moving average where there is one. All else stays.

    Wu & Johnson, "Rethinking 'Batch' in BatchNorm", arXiv 2105.07576, section 3 (there "PreciseBN").

    Args:
        statistics: statistics(params, batch_stats, batch), of one batch by itself.
    """

    def step(state: TrainState, batch: Any, number: jax.Array) -> TrainState:
        variables = state.variables
        found = lax.pmean(statistics(variables["params"], variables["batch_stats"], batch), AXIS)
        mean = jax.tree.map(lambda old, new: old + (new - old) / number, state.batch_stats, found)
        return TrainState(state.step, state.params, mean, state.optimizer_state, state.average)

    return step
