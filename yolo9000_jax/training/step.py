"""One update, written for one device of many."""

import jax
import jax.numpy as jnp
import optax
from jax import lax

from yolo9000_jax.training.state import TrainState

AXIS = "batch"


def make_step(loss, optimizer: optax.GradientTransformation, rate, average_decay: float = 0.0):
    """Builds step(state, batch) -> (state, metrics), to be mapped over the axis `AXIS`.

    loss(params, batch_stats, batch, step) -> (scalar, (metrics, batch_stats)) is the mean over this device's images;
    `rate(step)` is only reported. Gradients, metrics and running statistics are averaged over the devices, so that the
    state stays the same on all of them.
    """

    def step(state: TrainState, batch):
        (_, (metrics, batch_stats)), gradients = jax.value_and_grad(loss, has_aux=True)(
            state.params, state.batch_stats, batch, state.step
        )
        gradients, metrics, batch_stats = lax.pmean((gradients, metrics, batch_stats), AXIS)
        updates, optimizer_state = optimizer.update(gradients, state.optimizer_state, state.params)
        params = optax.apply_updates(state.params, updates)
        average = state.average
        if average is not None:
            # The average follows quickly at first, so that the random start is soon forgotten.
            keep = jnp.minimum(average_decay, (1 + state.step) / (10 + state.step))
            average = jax.tree.map(lambda old, new: keep * old + (1 - keep) * new, average, params)
        metrics = metrics | {"learning_rate": rate(state.step)}
        return TrainState(state.step + 1, params, batch_stats, optimizer_state, average), metrics

    return step
