"""How the benchmarks of this folder take the time of a function."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def median_seconds(function: Callable[[], Any], runs: int = 7, run_seconds: float = 0.0) -> float:
    """Seconds of a call: the median of the runs.

    Args:
        function: gives JAX arrays, and need not wait for them. One call before the runs is not timed: it compiles.
        runs: how many.
        run_seconds: a run repeats the call for about so long and waits once, at its end, so that an accelerator is
            never without work; 0: a run is one call.
    """
    jax.block_until_ready(function())
    calls = 1
    if run_seconds:
        started = time.perf_counter()
        jax.block_until_ready(function())
        calls = max(1, round(run_seconds / (time.perf_counter() - started)))
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        for _ in range(calls):
            result = function()
        jax.block_until_ready(result)
        seconds.append((time.perf_counter() - started) / calls)
    return float(np.median(seconds))
