"""Devices and hosts: the only module that knows how a step is spread over them."""

import flax.jax_utils
import jax
from jax.experimental import multihost_utils

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


def join(where: str = "") -> None:
    """Makes this process one of the hosts of a pod or cluster, before anything else uses JAX.

    Args:
        where: "HOST:PORT,N,I": where the first host listens, how many there are, which this one is, counted from 0.
            Empty: what the environment says (Cloud TPU, GKE, SLURM, Open MPI).

    Raises:
        UserError: `where` is something else, the environment says nothing, or the others do not come.
    """
    address, numbers = None, (None, None)
    if where:
        address, *numbers = where.split(",")
        if ":" not in address or len(numbers) != 2 or not all(number.isdigit() for number in numbers):
            raise UserError(
                f"--distributed {where}: write HOST:PORT,N,I, e.g. 10.0.0.2:8476,4,0 on the first of 4 hosts"
            )
    try:
        jax.distributed.initialize(address, *(number and int(number) for number in numbers))
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"--distributed: {reason}; where the environment does not name the hosts give HOST:PORT,N,I"
        ) from error


def is_first() -> bool:
    """Whether this is the first host, which alone writes and says anything."""
    return jax.process_index() == 0


def from_first(read, like):
    """What `read()` gives on the first host, on all hosts; `like` is any tree with arrays of the same shapes."""
    if jax.process_count() == 1:
        return read()
    return multihost_utils.broadcast_one_to_all(read() if is_first() else like)
