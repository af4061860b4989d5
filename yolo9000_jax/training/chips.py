"""Chips that are not here: their facts, as the vendor states them, and the devices to compile for."""

import difflib
import importlib.util
import math
import os
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from yolo9000_jax.errors import UserError

GIB = 1 << 30


class Chip(NamedTuple):
    """What the vendor says of a chip; cited, not measured.

    memory_bytes: of the chip. flops_per_s: at most, in bfloat16. memory_bytes_per_s: between chip and memory.
    interconnect_bytes_per_s: out of a chip to those around it in the slice, on the same host or on others: half of the
    stated bandwidth, which counts both directions. megacore: two cores work as one device. source: where that stands.
    """

    memory_bytes: int
    flops_per_s: float
    memory_bytes_per_s: float
    interconnect_bytes_per_s: float
    megacore: bool
    source: str


# Read in November 2026. Of v4 the page gives no bandwidth a chip, but 1.1 PB/s of all-reduces in a pod of 4096; the
# same numbers of v5e and v6e (51.2 and 102.4 TB/s in 256) are those of their chips.
CHIPS = {
    "v4": Chip(32 * GIB, 275e12, 1200e9, 1.1e15 / 4096, True, "https://docs.cloud.google.com/tpu/docs/v4"),
    "v5e": Chip(16 * GIB, 197e12, 819e9, 200e9, False, "https://docs.cloud.google.com/tpu/docs/v5e"),
    "v5p": Chip(95 * GIB, 459e12, 2765e9, 600e9, True, "https://docs.cloud.google.com/tpu/docs/v5p-training"),
    "v6e": Chip(32 * GIB, 918e12, 1638e9, 400e9, False, "https://docs.cloud.google.com/tpu/docs/v6e"),
}
# Slices that are rented, by chips along each axis: what is near a mistyped one.
FLAT = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
SOLID = ("2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8")
# The compiler must not look for a chip, nor ask the cloud which one this machine has.
ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_MIN_LOG_LEVEL": "3",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # several may compile at once: none takes a chip
}


def topology_devices(name: str) -> Sequence[jax.Device]:
    """The devices of a slice of TPUs, "v5e:4x4", to compile for with libtpu. To be called before JAX is used.

    Raises:
        UserError: there is no such slice; the message names the nearest. Or libtpu is not installed.
    """
    kind, _, layout = name.partition(":")
    if kind not in CHIPS or not re.fullmatch(r"[1-9]\d*(x[1-9]\d*)+", layout):
        raise UserError(f"--topology {name}: there is no such slice; did you mean {_nearest(kind, layout)}?")
    if importlib.util.find_spec("libtpu") is None:
        raise UserError(
            f"--topology {name} asks the TPU's own compiler, and libtpu is not installed: "
            "pip install 'yolo9000_jax[plan]', or give --devices N"
        )
    for key, value in ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    jax.config.update("jax_platforms", "cpu")  # libtpu is there to compile with, and there may be no chip
    from jax.experimental import topologies

    options: dict[str, Any] = {"chip_config_name": "megacore"} if CHIPS[kind].megacore else {}
    if layout == "1x1":
        options |= {"chips_per_host_bounds": (1, 1, 1)}
    try:
        return topologies.get_topology_desc(platform="tpu", topology_name=name, **options).devices
    except jax.errors.JaxRuntimeError as error:
        reason = " ".join(str(error).split())[:120]
        near = _nearest(kind, layout)
        raise UserError(f"--topology {name}: there is no such slice ({reason}); did you mean {near}?") from None


def _nearest(kind: str, layout: str) -> str:
    """The slice that is most like one that does not exist: of that kind, or one that reads like it; as many chips."""
    if kind not in CHIPS:
        kind = (difflib.get_close_matches(kind.lower(), CHIPS, 1, 0) or ["v5e"])[0]
    sides = [int(side) for side in re.findall(r"[1-9]\d{0,3}", layout)[:4]]
    chips = math.prod(sides) if len(sides) > 1 else 16
    layouts = SOLID if CHIPS[kind].megacore else FLAT
    return f"{kind}:{min(layouts, key=lambda each: abs(math.log(math.prod(map(int, each.split('x'))) / chips)))}"


def devices_here(count: int = 0) -> Sequence[jax.Device]:
    """So many devices of the kind at hand, 0 for all there are; of CPUs as many as asked for are simulated.

    To be called before JAX is used. Raises UserError where there are fewer.
    """
    if count:
        try:
            jax.config.update("jax_num_cpu_devices", count)
        except RuntimeError:  # JAX is in use already, or was told by XLA_FLAGS
            pass
    found = jax.devices()
    if len(found) < count:
        raise UserError(
            f"--devices {count}: this process has {len(found)} {found[0].platform} device(s); "
            "give as many, or --topology for a slice of TPUs"
        )
    return found[: count or None]


def memory_of(device: jax.Device, devices: int) -> int | None:
    """Bytes of a device that is here; of a CPU its part of the machine's; None where nobody says."""
    if device.platform == "cpu":
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // devices
    return (device.memory_stats() or {}).get("bytes_limit")
