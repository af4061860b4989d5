"""Stopping between two steps: SIGTERM, which announces that the machine will be taken away, and Ctrl-C."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import jax
from jax.experimental import multihost_utils


class Stop:
    """Whether to stop: a signal raises KeyboardInterrupt at once, but in `with stop.deferred():` it waits for `check`.

    number: the signal that asked for it.
    """

    def __init__(self) -> None:
        self._deferring = self._asked = False
        self.number: int = signal.SIGTERM

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """What must not be cut short: a step, whose state is whole only before and after it, or saving it."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False

    def check(self, step: int) -> None:
        """Raises KeyboardInterrupt if to stop after this step; on many hosts after the same one, as they agree on it.

        Must be called after every step.
        """
        agreed = jax.distributed.is_initialized() and multihost_utils.reached_preemption_sync_point(step)
        if agreed or self._asked:
            raise KeyboardInterrupt

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        if not self._deferring:
            raise KeyboardInterrupt
        self._asked = True


@contextmanager
def handle_signals() -> Iterator[Stop]:
    """A `Stop` that hears SIGTERM and Ctrl-C; only in the main thread, as Python offers.

    After jax.distributed.initialize() SIGTERM belongs to JAX, which tells the other hosts; Ctrl-C then is the same.
    """
    stop = Stop()
    before: dict[int, Any] = {}
    handlers: dict[int, Any]
    if jax.distributed.is_initialized():
        handlers = {signal.SIGINT: lambda number, frame: signal.raise_signal(signal.SIGTERM)}
    else:
        handlers = dict.fromkeys((signal.SIGINT, signal.SIGTERM), stop._receive)
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
