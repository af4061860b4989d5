"""Devices and hosts: the only module that knows how a step is spread over them."""

import hashlib
import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import flax.jax_utils
import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from yolo9000_jax import config as configs
from yolo9000_jax import hosts, text
from yolo9000_jax.errors import UserError
from yolo9000_jax.logs import logger
from yolo9000_jax.tasks.task import AXIS

EACH = PartitionSpec(AXIS)  # the leading axis of an array is that of the devices
JOIN_S = 240.0  # for all hosts to come; JAX aborts after 300
FEW = 8  # images, of which the statistics of batch norm are rough


def map_step(step: Callable) -> jax.stages.Wrapped:
    """step(state, batch, value) mapped over all devices of all hosts; the old state's memory is reused.

    State and batch have a leading device axis; `value` is the same on all devices.
    """
    mapped: jax.stages.Wrapped = jax.pmap(step, axis_name=AXIS, in_axes=(0, 0, None), donate_argnums=0)
    return mapped


def shard_map_step(step: Callable, devices: Sequence[jax.Device]) -> jax.stages.Wrapped:
    """As `map_step`, of the same arguments and numbers, with jit(shard_map) over these devices.

    They need not be here: then it can be lowered and compiled (`shapes`), for a pod from a desk.
    """

    def on_one(state: Any, batch: Any, span: jax.Array) -> Any:
        state, batch = jax.tree.map(lambda array: array[0], (state, batch))
        return jax.tree.map(lambda array: array[None], step(state, batch, span))

    mapped = jax.shard_map(
        on_one,
        mesh=_mesh(devices),
        in_specs=(EACH, EACH, PartitionSpec()),
        out_specs=EACH,
        check_vma=False,  # with it the step's own means of gradients over the devices came out wrong
    )
    return jax.jit(mapped, donate_argnums=0)


def shapes(state: Any, batch: Any, devices: Sequence[jax.Device]) -> tuple[Any, Any, jax.ShapeDtypeStruct]:
    """The arguments (state, batch, span) of `shard_map_step`, as shapes to lower it with.

    Args:
        state, batch: trees of arrays, or shapes, as of one host: the state of one device, the batch of all.
        devices: as there.
    """
    mesh, count = _mesh(devices), len(devices)

    def shape(size: tuple[int, ...], dtype: Any, spec: PartitionSpec) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(size, dtype, sharding=NamedSharding(mesh, spec))

    return (
        jax.tree.map(lambda x: shape((count, *x.shape), x.dtype, EACH), state),
        jax.tree.map(lambda x: shape((count, x.shape[0] // count, *x.shape[1:]), x.dtype, EACH), batch),
        shape((2,), np.dtype(np.int32), PartitionSpec()),
    )


def _mesh(devices: Sequence[jax.Device]) -> Mesh:
    return Mesh(np.array(devices), (AXIS,))


def replicate(state: Any) -> Any:
    """A copy of the state on each local device."""
    # Named as the step's axis: then the first call's sharding is that of all later ones, and only it compiles.
    return flax.jax_utils.replicate(state, axis_name=AXIS)


def unreplicate(state: Any) -> Any:
    """The state of the first local device, as NumPy arrays."""
    return jax.device_get(flax.jax_utils.unreplicate(state))


def shard(batch: Any) -> Any:
    """Host arrays [b, ...] -> [local devices, b / devices, ...]."""
    devices = jax.local_device_count()
    return jax.tree.map(lambda array: array.reshape(devices, array.shape[0] // devices, *array.shape[1:]), batch)


def check_batch_size(config: Any, devices: int = 0) -> None:
    """Raises UserError unless the batch divides evenly among the devices, and there into the parts to accumulate.

    Warns where batch norm sees few images at a time.

    Args:
        config: an experiment.
        devices: how many; 0: all there are.
    """
    devices, batch_size, model = devices or jax.device_count(), config.batch_size, config.model
    parts = devices * config.accumulate
    if batch_size < 1 or batch_size % parts:
        below = batch_size // parts * parts
        near = " or ".join(str(number) for number in (below, below + parts) if number > 0)
        among = f"{devices} devices" + (f", on each in {config.accumulate} parts" if config.accumulate > 1 else "")
        raise UserError(f"batch_size {batch_size} does not divide among {among}; the nearest that do: {near}")
    group = (model.sync_batch_norm_group or devices) if model.sync_batch_norm else 1
    if devices % group:
        raise UserError(f"model.sync_batch_norm_group {group} does not divide {devices} devices; choose one that does")
    images = batch_size // parts * group
    if model.use_batch_norm and devices > 1 and images < FEW:
        logger.warning(
            f"batch norm sees {images} images at a time, as {batch_size} are divided among {devices} devices"
            + (f" and {config.accumulate} parts" if config.accumulate > 1 else "")
            + f": its statistics are rough below {FEW}; give a larger batch_size, or model.sync_batch_norm=True"
        )


def join(where: str = "") -> None:
    """Makes this process one of the hosts of a pod or cluster, before anything else uses JAX.

    The first host alone writes and says what goes on; the others only say what is wrong.

    Args:
        where: "HOST:PORT,N,I": where the first host listens, how many there are, which this one is, counted from 0.
            Empty: what the environment says (Cloud TPU, GKE, SLURM, Open MPI).

    Raises:
        UserError: `where` is something else, the environment says nothing, or the others do not come.
    """
    host: tuple[Any, ...] = (None, None, None)
    if where:
        address, *numbers = where.split(",")
        if ":" not in address or len(numbers) != 2 or not all(number.isdigit() for number in numbers):
            raise UserError(
                f"--distributed {where}: write HOST:PORT,N,I, e.g. 10.0.0.2:8476,4,0 on the first of 4 hosts"
            )
        host = (address, *map(int, numbers))
    late = threading.Timer(JOIN_S, _give_up_joining, args=host)
    late.daemon = True
    late.start()
    if where and host[2] > 0:  # the first is who turns others away
        hosts.when_jax_aborts(lambda: _turned_away(*host))
    try:
        jax.distributed.initialize(*host)
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"--distributed: {reason}; where the environment does not name the hosts give HOST:PORT,N,I"
        ) from error
    finally:
        late.cancel()
    hosts.watch()
    if not is_first():
        logger.setLevel(logging.ERROR)


def _turned_away(address: str, count: int, index: int) -> None:
    """Adds one line to the page with which JAX aborts a process whose number another has."""
    line = (
        f"yolo9000: --distributed: host 0 at {address} has turned this host {index} away, most likely as another "
        f"process was started with that number: stop all, and start each with one from 0 to {count - 1} of its own\n"
    )
    os.write(2, line.encode())
    os._exit(1)


def _give_up_joining(address: str | None, count: int | None, index: int | None) -> None:
    """Ends the process with one line: JAX, which waits longer, would abort it with a page of its own."""
    if address is None:
        why = "not all hosts that the environment names have come: start the same command on each"
    elif index != 0 and not _listens(address):
        why = (
            f"host 0 does not listen at {address}: start it there, see what it says where it has ended, or see whether "
            "that address can be reached"
        )
    else:
        why = (
            f"not all {count} hosts have come to {address} (this is host {index}): start all, each with the same "
            f"HOST:PORT and N, and one number from 0 to {count - 1 if count else 'N-1'} of its own"
        )
    print(f"yolo9000: --distributed: after {JOIN_S:g} s {why}", file=sys.stderr, flush=True)
    os._exit(1)  # the main thread waits within JAX, where nothing can be raised


def _listens(address: str) -> bool:
    name, _, port = address.rpartition(":")
    try:
        with socket.create_connection((name.strip("[]"), int(port)), timeout=5):
            return True
    except (OSError, ValueError):
        return False


def is_first() -> bool:
    """Whether this is the first host, which alone writes and says anything."""
    return jax.process_index() == 0


def from_first(read: Callable[[], Any], like: Any) -> Any:
    """What `read()` gives on the first host, on all hosts; an error of it is raised on all.

    Args:
        read: gives a tree of arrays.
        like: any tree with arrays of the same shapes.
    """
    if jax.process_count() == 1:
        return read()
    found: list[Any] = []
    decided_by_first(lambda: found.append(read()))
    return multihost_utils.broadcast_one_to_all(found[0] if found else like)


def decided_by_first(decide: Callable[[], Any]) -> Any:
    """What `decide()` gives on the first host, on all hosts: a JSON value. An error there is raised on all.

    What hosts do next must not hang on what each of them sees: a shared file system may show them different things.
    """
    if jax.process_count() == 1:
        return decide()
    answer: dict[str, Any] = {}
    failure: Exception | None = None
    if is_first():
        try:
            answer = {"value": decide()}
        except Exception as error:  # the others must hear of any, or they wait for ever
            failure, answer = error, {"error": str(error) if isinstance(error, UserError) else repr(error)}
    content = np.frombuffer(json.dumps(answer).encode(), np.uint8)
    try:
        hosts.meet()  # deciding may take the first long
        length = int(multihost_utils.broadcast_one_to_all(np.int32(len(content))))
        padded = np.zeros(length, np.uint8)
        if is_first():
            padded[:] = content
        answer = json.loads(bytes(np.asarray(multihost_utils.broadcast_one_to_all(padded), np.uint8)))
    except jax.errors.JaxRuntimeError as error:
        hosts.name_the_lost()
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"another host does not answer ({reason}): see what it says; then start all again") from error
    if failure is not None:
        raise failure
    if "error" in answer:
        raise UserError(answer["error"])
    return answer["value"]


def check_config(config: Any) -> None:
    """Raises UserError on all hosts unless all have the config, and the code, of the first; where data lie apart."""
    if jax.process_count() == 1:
        return
    first, code = decided_by_first(lambda: [configs.as_saved(config), _code()])

    def compare() -> None:
        here = f"host {jax.process_index()}"
        before, now = (configs.flat(one) for one in (configs.from_saved(first, "host 0"), config))
        keys = [key for key in {**before, **now} if not key.endswith(configs.SOURCES)]
        changed = [key for key in keys if before.get(key) != now.get(key)]
        if changed:
            what = "; ".join(f"{key}: {text.changed(before.get(key), now.get(key))}" for key in changed[:3])
            raise UserError(f"{here}: its config is not that of host 0 ({what}): give all hosts the same command")
        if code != (own := _code()):
            raise UserError(f"{here}: its code is not that of host 0 ({code} -> {own}): install the same on all hosts")

    hosts.on_all(compare)


def _code() -> str:
    """What tells apart versions of this package, those that are worked on too, and of JAX."""
    package = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package).as_posix()}\0".encode() + path.read_bytes())
    return f"yolo9000_jax {digest.hexdigest()[:8]}, JAX {jax.__version__}"


def check_same(value: Any, what: str) -> None:
    """Raises UserError on all hosts unless all have the same JSON value; `what` names it."""
    if jax.process_count() == 1:
        return
    hosts.meet()
    digest = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).digest()[:16]
    all_digests = np.asarray(multihost_utils.process_allgather(np.frombuffer(digest, np.uint8)))
    odd = [host for host, other in enumerate(all_digests) if (other != all_digests[0]).any()]
    if odd:
        raise UserError(f"{what} of host {odd[0]} is not that of host 0: give all hosts the same files and command")
