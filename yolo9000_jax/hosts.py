"""The hosts of a pod or cluster: each does its share of a work, and then all have what the others found.

A host that waits in a collective for another gives up after 30 s where the hosts' processors talk to each other. So
they meet first, where one may wait for another as long as it takes.
"""

import atexit
import ctypes
import io
import itertools
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import jax
import numpy as np
from jax._src import distributed  # the service that the hosts meet through; JAX has no public name for it
from jax.experimental import multihost_utils

from yolo9000_jax.errors import UserError

LONGEST_WAIT_S = 24 * 3600  # for a host that is alive: one that is not is noticed sooner
SIGN_EVERY_S, LOST_AFTER_S = 4.0, 40.0  # signs of life of a host, and how long without one it counts as lost
AT_REST = "at rest"  # the last sign of a host that ends, and may wait for the others at its end
STATUS = 128 + signal.SIGTERM  # as where a machine is taken away: the same command carries on

Item = TypeVar("Item")
Items = TypeVar("Items", bound=Sequence[Any])

_meetings = itertools.count()


def share(items: Items) -> Items:
    """This host's share of them: every N-th of N hosts."""
    return items if jax.process_count() == 1 else items[jax.process_index() :: jax.process_count()]  # type: ignore


def places(count: int) -> np.ndarray:
    """Where the `count` items of this host's share stand among all: int [count]."""
    return jax.process_index() + jax.process_count() * np.arange(count)


def in_order(shares: Sequence[Sequence[Item]]) -> list[Item]:
    """The items whose `share`s these are, one of each host, as they stood before."""
    return [shares[place % len(shares)][place // len(shares)] for place in range(sum(map(len, shares)))]


def meet() -> None:
    """Waits until all hosts have come here."""
    if jax.process_count() > 1:
        _service().wait_at_barrier(f"yolo9000/{next(_meetings)}", LONGEST_WAIT_S * 1000)


def _service() -> Any:
    return distributed.global_state.client


def watch() -> None:
    """From now on this host gives signs of life, and ends with a line that names it where another's are missing.

    It ends the process: who waits for a lost host in a collective may wait for ever, and no exception comes there.
    The signs stop before Python ends: a thread that comes back from JAX after that crashes the process.
    """
    service, count, index = _service(), jax.process_count(), jax.process_index()
    if count == 1:
        return
    service.key_value_set(f"yolo9000/name/{index}", socket.gethostname())
    names = [service.blocking_key_value_get(f"yolo9000/name/{host}", LONGEST_WAIT_S * 1000) for host in range(count)]

    ending = threading.Event()

    def look() -> None:
        heard = dict.fromkeys(range(count), ("", time.monotonic()))
        for number in itertools.count():
            try:
                service.key_value_set(f"yolo9000/alive/{index}", str(number), allow_overwrite=True)
                signs = dict(service.key_value_dir_get("yolo9000/alive/"))
            except jax.errors.JaxRuntimeError:
                signs = {}
            now = time.monotonic()
            for host, (before, _) in heard.items():
                sign = signs.get(f"yolo9000/alive/{host}", before)
                if sign != before:
                    heard[host] = sign, now
            silent = [host for host, (sign, at) in heard.items() if sign != AT_REST and now - at > LOST_AFTER_S]
            if silent:  # all signs go through the first: where that is lost it is the one
                _leave(silent[0], names, f"nothing was heard of it for {LOST_AFTER_S:g} s")
            if ending.wait(SIGN_EVERY_S):
                return

    signs_of_life = threading.Thread(target=look, name="signs of life", daemon=True)
    signs_of_life.start()

    @atexit.register
    def rest() -> None:
        ending.set()
        signs_of_life.join(LOST_AFTER_S)
        with suppress(jax.errors.JaxRuntimeError):
            service.key_value_set(f"yolo9000/alive/{index}", AT_REST, allow_overwrite=True)

    if index > 0:
        _name_the_first_when_jax_aborts(names)


def _leave(host: int, names: Sequence[str], why: str) -> None:
    text = f"yolo9000: host {host} ({names[host]}) is lost: {why}; the same command carries on\n"
    os.write(2, text.encode())
    os._exit(STATUS)


def _name_the_first_when_jax_aborts(names: Sequence[str]) -> None:
    """JAX aborts at once where the first host's process ends, and says only that another task died."""
    address, _, port = str(distributed.global_state.coordinator_address).rpartition(":")

    def name() -> None:
        try:
            socket.create_connection((address.strip("[]"), int(port)), timeout=5).close()
        except OSError:
            _leave(0, names, "it does not answer any more")

    when_jax_aborts(name)


def when_jax_aborts(action: Callable[[], None]) -> None:
    """From now on does this, instead of what was named before, where JAX aborts the process."""
    global _aborted

    @ctypes.CFUNCTYPE(None, ctypes.c_int)
    def aborted(_: int) -> None:  # Python's own handlers would run after the abort
        action()

    _aborted = aborted
    ctypes.CDLL(None).signal(signal.SIGABRT, aborted)


_aborted: Any = None  # kept for as long as the process may call it


def name_the_lost() -> None:
    """After a failure of what hosts do together: gives `watch` the time to see whether one of them is lost."""
    if jax.process_count() > 1:
        time.sleep(LOST_AFTER_S + 2 * SIGN_EVERY_S)


def on_all(action: Callable[[], Any]) -> Any:
    """What `action()` gives on this host; an error of it on any host is one on all, so that none waits for it."""
    if jax.process_count() == 1:
        return action()
    result, failure = None, None
    try:
        result = action()
    except Exception as error:
        failure = error
    meet()
    failed = np.asarray(multihost_utils.process_allgather(np.uint8(failure is not None))).ravel()
    if failure is not None:
        raise failure
    if failed.any():
        raise UserError(f"host {int(failed.argmax())} cannot go on: its own message says why")
    return result


def of_all(action: Callable[[], Mapping[str, np.ndarray]]) -> list[Mapping[str, np.ndarray]]:
    """The arrays that `action()` gives on each host, in the hosts' order; errors as `on_all`."""
    found = on_all(action)
    if jax.process_count() == 1:
        return [found]
    file = io.BytesIO()
    np.savez(file, **found)
    # As bytes: JAX makes 32 bits of 64.
    content = np.frombuffer(file.getvalue(), np.uint8)
    lengths = np.asarray(multihost_utils.process_allgather(np.int32(len(content)))).ravel()
    padded = np.zeros(lengths.max(), np.uint8)
    padded[: len(content)] = content
    rows = np.asarray(multihost_utils.process_allgather(padded))
    files = [row[:length].tobytes() for row, length in zip(rows, lengths, strict=True)]
    return [dict(np.load(io.BytesIO(each), allow_pickle=False)) for each in files]
