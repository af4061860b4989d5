"""The hosts of a pod or cluster: each does its share of a work, and then all have what the others found.

A host that waits in a collective for another gives up after 30 s where the hosts' processors talk to each other. So
they meet first, where one may wait for another as long as it takes.
"""

import io
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax._src import distributed  # the service that the hosts meet through; JAX has no public name for it
from jax.experimental import multihost_utils

from yolo9000_jax.errors import UserError

LONGEST_WAIT_S = 24 * 3600  # for a host that is alive: JAX notices sooner one that is not

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
        client: Any = distributed.global_state.client
        client.wait_at_barrier(f"yolo9000/{next(_meetings)}", LONGEST_WAIT_S * 1000)


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
