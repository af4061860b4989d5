"""What a compiled training step needs: its operations, memory and collectives, as the compiler says."""

import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax
import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.models.cost import cost
from yolo9000_jax.tasks.task import Task
from yolo9000_jax.training import parallel, state, step
from yolo9000_jax.training.hlo import read_hlo

_TOO_LARGE = re.compile(r"Used ([\d.]+)([KMGT]?) of ([\d.]+)([KMGT]?) hbm", re.I)
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@dataclass(frozen=True, kw_only=True)
class Program:
    """One compiled step: of one input size, for so many devices.

    size: side of the input in pixels. devices: how many it runs on.
    flops_per_step: operations of all devices, of convolutions and products of matrices. forward_flops: of the forward
        pass alone, on the same pictures (`models.cost`).
    argument_bytes, temporary_bytes: of one device: the state and its part of the batch; all that lies beside them
        while the step runs. peak_bytes: the two, the program, and results that take no argument's place.
    device_bytes: memory of a device; None where it is not known. fits: whether it holds the peak.
    bytes_accessed: what the operations of one device read and write, as XLA counts it.
    all_reduces, all_reduce_bytes, groups, other_collectives, host_transfers: see `hlo.Contents`.
    compile_s: seconds it took, here.

    Where the compiler gave up, as a device's memory is too small, what only a program has is None.
    """

    size: int
    devices: int
    flops_per_step: int | None = None
    forward_flops: int
    argument_bytes: int | None = None
    temporary_bytes: int | None = None
    peak_bytes: int
    device_bytes: int | None
    fits: bool | None
    bytes_accessed: float | None = None
    all_reduces: int | None = None
    all_reduce_bytes: int | None = None
    groups: int | None = None
    other_collectives: int | None = None
    host_transfers: int | None = None
    compile_s: float


def compile_step(task: Task, size: int, devices: Sequence[jax.Device], device_bytes: int | None) -> Program:
    """Compiles the step that `training.loop` runs, for devices that need not be here.

    Args:
        task: whose step; nothing of it is computed or allocated but a batch of zeros.
        size: side of the input.
        devices: what to compile for.
        device_bytes: memory of each, if known.

    Raises:
        UserError: it does not compile, for another reason than a device's memory.
    """
    variables = variable_shapes(task)
    optimizer, update = step.step_of(task)
    current = state.shapes(variables, optimizer, task.config.optimizer.average_decay > 0)
    arguments = parallel.shapes(current, task.blank_batch(size), devices)
    known: dict[str, Any] = {
        "size": size,
        "devices": len(devices),
        "device_bytes": device_bytes,
        "forward_flops": round(cost(task.model, size).gflop * 1e9) * task.config.batch_size,
    }
    started = time.perf_counter()
    lowered = parallel.shard_map_step(update, devices).lower(*arguments)
    try:
        compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        found = _TOO_LARGE.search(str(error))
        if found is None:
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"the step at {size}x{size} does not compile: {reason}") from error
        used, there = (float(found[place]) * _UNITS[found[place + 1].upper()] for place in (1, 3))
        known |= {"peak_bytes": int(used), "device_bytes": int(there), "fits": False}
    else:
        known |= _described(compiled, len(devices))
        known["fits"] = None if device_bytes is None else known["peak_bytes"] <= device_bytes
    return Program(**known, compile_s=round(time.perf_counter() - started, 1))


def variable_shapes(task: Task) -> Any:
    """Shapes of the variables of a task's network."""
    side = task.config.image_size
    images = jax.ShapeDtypeStruct((1, side, side, 3), np.dtype(np.float32))
    return jax.eval_shape(task.model.init, jax.random.key(0), images)


def _described(compiled: Any, devices: int) -> dict[str, Any]:
    """Operations, memory and collectives, by the names of Program's fields."""
    memory, contents = compiled.memory_analysis(), asdict(read_hlo(compiled.as_text()))
    arguments, temporary = memory.argument_size_in_bytes, memory.temp_size_in_bytes
    results = memory.output_size_in_bytes - memory.alias_size_in_bytes
    return {
        "flops_per_step": contents.pop("flops") * devices,
        "bytes_accessed": float(compiled.cost_analysis()["bytes accessed"]),
        "argument_bytes": arguments,
        "temporary_bytes": temporary,
        "peak_bytes": arguments + temporary + results + memory.generated_code_size_in_bytes,
        **contents,
    }
