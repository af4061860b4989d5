"""What JAX computes on, in words."""

import os

import jax


def described() -> str:
    """The devices of all hosts: "cpu (2 threads)", "gpu (NVIDIA H100)", "32 tpu (TPU v4)"."""
    devices = jax.devices()
    platform, number = devices[0].platform, f"{len(devices)} " if len(devices) > 1 else ""
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    kind = f"{threads} thread{'s' if threads > 1 else ''}" if platform == "cpu" else devices[0].device_kind
    return f"{number}{platform} ({kind})"
