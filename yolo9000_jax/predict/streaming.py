"""The one loop from pictures to what a network says of them: the next are read while it works."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Generic, TypeVar

import jax
import numpy as np

from yolo9000_jax.errors import UserError

READERS = 4  # threads that read and resize
HELD_BYTES = 1 << 30  # of pixels: while there are as many in memory, none are read ahead
BATCH_BYTES = 1 << 29  # a batch of more is run before it is full

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
    of the others, which saves a compilation. Of large pictures fewer are in memory: batches are not filled, and once
    HELD_BYTES are there the next are read one at a time, when it is their turn.

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
    reader = _Reader(read)
    running: tuple[_Batch, Any] | None = None
    for batch in _read_ahead(iter(items), reader, input_shape, batch_size):
        started = batch, program(batch.inputs) if batch.pixels else None
        if running is not None:
            yield from _rows(*running, finish)
            reader.forget(running[0].pixels)
        running = started
    if running is not None:
        yield from _rows(*running, finish)


class _Reader(Generic[Item]):
    """Reads pictures, several at a time while there is room, and knows how many bytes of pixels are in memory."""

    def __init__(self, read: Callable[[Item, np.ndarray], np.ndarray]):
        self._read, self._held, self._lock = read, 0, Lock()

    def ahead(self, item: Item, target: np.ndarray) -> np.ndarray | None:
        """As `now`, but None while there is no room: a thread that waited for it could wait for ever."""
        return self.now(item, target) if self._held < HELD_BYTES else None

    def now(self, item: Item, target: np.ndarray) -> np.ndarray:
        pixels = self._read(item, target)
        with self._lock:
            self._held += pixels.nbytes
        return pixels

    def forget(self, pictures: Iterable[np.ndarray]) -> None:
        with self._lock:
            self._held -= sum(pixels.nbytes for pixels in pictures)


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
    items: Iterator[Item], reader: _Reader[Item], input_shape: tuple[int, ...], batch_size: int
) -> Iterator[_Batch]:
    """Batches that have been read, the following ones being read already; one with an error is the last."""
    pool = ThreadPoolExecutor(READERS)
    waiting: deque[_Waiting] = deque()
    ahead, ended = (1 + -(-READERS // batch_size)) * batch_size, False
    try:
        while True:
            while not ended and len(waiting) < ahead:
                target = np.zeros(input_shape, np.float32)
                try:
                    item = next(items)
                except StopIteration:
                    ended = True
                except Exception as error:  # belongs to the place of the item that did not come
                    failed: Future[np.ndarray | None] = Future()
                    failed.set_exception(error)
                    waiting.append((None, target, failed))
                    ended = True
                else:
                    waiting.append((item, target, pool.submit(reader.ahead, item, target)))
            if not waiting:
                return
            yield (batch := _gather(waiting, reader, input_shape, batch_size))
            if batch.error is not None:
                return
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


_Waiting = tuple[Any, np.ndarray, Future[np.ndarray | None]]  # an item, its input, and its pixels when it is read


def _gather(waiting: deque[_Waiting], reader: _Reader[Any], input_shape: tuple[int, ...], batch_size: int) -> _Batch:
    batch = _Batch(np.zeros((batch_size, *input_shape), np.float32))
    room = BATCH_BYTES
    while waiting and len(batch.pixels) < batch_size and room > 0:
        item, target, future = waiting.popleft()
        try:
            pixels = future.result()
            pixels = reader.now(item, target) if pixels is None else pixels
        except Exception as error:
            batch.error = error
            break
        batch.inputs[len(batch.pixels)] = target
        batch.pixels.append(pixels)
        room -= pixels.nbytes
    return batch
