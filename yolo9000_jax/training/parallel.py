"""Devices: the only module that knows how a step is spread over them."""

import flax.jax_utils
import jax

from yolo9000_jax.errors import UserError
from yolo9000_jax.training.step import AXIS


def map_step(step):
    """step(state, batch) mapped over all devices of all hosts; the old state's memory is reused."""
    return jax.pmap(step, axis_name=AXIS, donate_argnums=0)


def replicate(state):
    """A copy of the state on each local device."""
    # Named as the step's axis: then the first call's sharding is that of all later ones, and only it compiles.
    return flax.jax_utils.replicate(state, axis_name=AXIS)


def unreplicate(state):
    """The state of the first local device."""
    return flax.jax_utils.unreplicate(state)


def shard(batch):
    """Host arrays [b, ...] -> [local devices, b / devices, ...]."""
    devices = jax.local_device_count()
    return jax.tree.map(lambda array: array.reshape(devices, array.shape[0] // devices, *array.shape[1:]), batch)


def check_batch_size(batch_size: int) -> None:
    """Raises UserError unless the batch divides evenly among all devices."""
    devices = jax.device_count()
    if batch_size < 1 or batch_size % devices:
        raise UserError(
            f"batch_size {batch_size} does not divide among {devices} devices; make it a multiple of {devices}"
        )
