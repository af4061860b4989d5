"""The one loop from pictures to what a network says of them: the next are read while it works."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import jax
import numpy as np

from yolo9000_jax.errors import UserError

READERS = 4  # threads that read and resize

Item = TypeVar("Item")


def run_in_batches(
    items: Iterable[Item],
    read: Callable[[Item, np.ndarray], np.ndarray],
    program: Callable[[np.ndarray], Any],
    *,
    input_shape: tuple[int, ...],
    batch_size: int,
    finish: Callable[[Any], Any] = jax.device_get,
) -> Iterator[tuple[np.ndarray, Any]]:
    """Runs a network on pictures, a batch at a time, and gives the output of each, in order.

    While the network works on a batch, threads read and resize the next ones; and while the caller works on the
    outputs of a batch, the network works on the next. The last batch is filled up with zeros, so that it has the shape
    of the others, which saves a compilation.

    Args:
        items: pictures in whatever form `read` takes; a few batches are taken from it ahead of what has been given
            out. It is used in the caller's thread alone.
        read: gets an item and an array float32 of `input_shape`, writes the network's input into the array and
            returns the picture's pixels. Called in several threads.
        program: from inputs float32 [batch_size, *input_shape] to what `finish` takes; compiled, so that it returns
            before the device has finished.
        input_shape: of one input of the network: height, width, 3.
        batch_size: inputs at a time.
        finish: waits for what the program gave and makes NumPy arrays of it, whose first axis is the batch's.

    Yields:
        (pixels, output): what `read` gave, and the picture's row of those arrays.

    Raises:
        UserError: a picture cannot be read, or batch_size is not positive. Whatever an item raises, or the iterable
            itself, comes at its place, after the outputs of all pictures before it.
    """
    if batch_size < 1:
        raise UserError(f"batch size {batch_size}: it must be 1 or more")
    running: tuple[_Batch, Any] | None = None
    for batch in _read_ahead(iter(items), read, input_shape, batch_size):
        started = batch, program(batch.inputs) if batch.pixels else None
        if running is not None:
            yield from _rows(*running, finish)
        running = started
    if running is not None:
        yield from _rows(*running, finish)


@dataclass
class _Batch:
    """Inputs of the network and the pixels of the pictures in them; an error stands for the picture after these."""

    inputs: np.ndarray
    pixels: list[np.ndarray] = field(default_factory=list)
    error: BaseException | None = None


def _rows(batch: _Batch, started: Any, finish: Callable[[Any], Any]) -> Iterator[tuple[np.ndarray, Any]]:
    outputs = finish(started) if batch.pixels else None
    for row, pixels in enumerate(batch.pixels):
        yield pixels, jax.tree.map(lambda array, row=row: array[row], outputs)
    if batch.error is not None:
        raise batch.error


def _read_ahead(
    items: Iterator[Item], read: Callable[[Item, np.ndarray], np.ndarray], input_shape: tuple[int, ...], batch_size: int
) -> Iterator[_Batch]:
    """Batches that have been read, the following ones being read already; one with an error is the last."""
    pool = ThreadPoolExecutor(READERS)
    waiting: deque[tuple[np.ndarray, list[Future[np.ndarray]]]] = deque()
    ahead, ended = 1 + -(-READERS // batch_size), False
    try:
        while True:
            while not ended and len(waiting) < ahead:
                inputs = np.zeros((batch_size, *input_shape), np.float32)
                futures: list[Future[np.ndarray]] = []
                for target in inputs:
                    try:
                        item = next(items)
                    except StopIteration:
                        ended = True
                    except Exception as error:  # belongs to the place of the item that did not come
                        futures.append(Future())
                        futures[-1].set_exception(error)
                        ended = True
                    if ended:
                        break
                    futures.append(pool.submit(read, item, target))
                if futures:
                    waiting.append((inputs, futures))
            if not waiting:
                return
            yield (batch := _gather(*waiting.popleft()))
            if batch.error is not None:
                return
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _gather(inputs: np.ndarray, futures: list[Future[np.ndarray]]) -> _Batch:
    batch = _Batch(inputs)
    for future in futures:
        try:
            batch.pixels.append(future.result())
        except Exception as error:
            batch.error = error
            break
    return batch
