"""What JAX computes on, in words."""

import os
import re

import jax

from yolo9000_jax.errors import UserError


def described() -> str:
    """The devices of all hosts: "cpu (2 threads)", "gpu (NVIDIA H100)", "32 tpu (TPU v4)".

    Raises:
        UserError: JAX finds none of the kind that it was told to use.
    """
    try:
        devices = jax.devices()
    except (RuntimeError, AssertionError) as error:  # which of them depends on the kind
        asked = os.environ.get("JAX_PLATFORMS", "")
        reason = re.split(r"\.? \((?:set|you may) ", " ".join(str(error).split()))[0]
        because = f" ({reason})" if reason else ""
        advice = "install JAX for it, or set JAX_PLATFORMS=cpu"
        what = f"no {asked} device here, which JAX_PLATFORMS asks for" if asked else "no device here"
        raise UserError(f"JAX finds {what}{because}; {advice}") from error
    platform, number = devices[0].platform, f"{len(devices)} " if len(devices) > 1 else ""
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    kind = f"{threads} thread{'s' if threads > 1 else ''}" if platform == "cpu" else devices[0].device_kind
    return f"{number}{platform} ({kind})"


def peak_memory_bytes() -> int | None:
    """The most memory that a device of this host has had in use so far; None where the devices don't say."""
    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    return max((each["peak_bytes_in_use"] for each in stats if "peak_bytes_in_use" in each), default=None)
