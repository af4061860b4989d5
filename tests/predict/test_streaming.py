"""The loop from pictures to outputs: order, batches, what is read ahead and meanwhile, and errors at their place."""

import threading
import time
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from yolo9000_jax.errors import UserError
from yolo9000_jax.predict import streaming
from yolo9000_jax.predict.streaming import READERS, run_in_batches

SHAPE = (2, 2, 1)


def read(item, target):
    """An item is a number; -1 cannot be read. Its picture is itself, its input ten times that."""
    if item < 0:
        raise UserError(f"picture {item} is broken")
    target[:] = 10 * item
    return np.array([item])


@jax.jit
def program(inputs):
    return {"mean": inputs.mean((1, 2, 3)), "size": jnp.full(len(inputs), len(inputs))}


def run(items, batch_size=4, **changes):
    options = {"read": read, "program": program} | changes
    return run_in_batches(items, **options, input_shape=SHAPE, batch_size=batch_size)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 41])
@pytest.mark.parametrize("batch_size", [1, 4, 7])
def test_every_picture_once_and_in_order(count, batch_size):
    found = list(run(iter(range(count)), batch_size))
    assert [int(picture[0]) for picture, _ in found] == list(range(count))
    assert [float(output["mean"]) for _, output in found] == [10 * item for item in range(count)]
    assert {int(output["size"]) for _, output in found} <= {batch_size}, "a batch of another size was compiled"


def test_slow_pictures_keep_their_place():
    def slow(item, target):
        time.sleep(0.02 * (item % 3))
        return read(item, target)

    assert [int(picture[0]) for picture, _ in run(range(9), read=slow)] == list(range(9))


@pytest.mark.parametrize("broken", [0, 1, 3, 4, 6, 8])
def test_a_broken_picture_raises_at_its_place(broken):
    items = [-1 if item == broken else item for item in range(9)]
    found = []
    with pytest.raises(UserError, match="picture -1 is broken"):
        for picture, _ in run(items):
            found.append(int(picture[0]))
    assert found == list(range(broken))


@pytest.mark.parametrize("good", [0, 2, 4, 7])
def test_a_source_that_breaks_raises_at_its_place(good):
    def source():
        yield from range(good)
        raise UserError("the video ends in the middle")

    found = []
    with pytest.raises(UserError, match="in the middle"):
        for picture, _ in run(source()):
            found.append(int(picture[0]))
    assert found == list(range(good))


def test_the_next_pictures_are_read_while_the_network_works():
    """The program does not return before pictures of the next batch have been read, by other threads than its own."""
    others, caller = threading.Event(), threading.get_ident()

    def note(item, target):
        if item >= 4 and threading.get_ident() != caller:
            others.set()
        return read(item, target)

    def wait(inputs):
        assert others.wait(10), "nothing was read meanwhile"
        return program(inputs)

    assert len(list(run(range(8), read=note, program=wait))) == 8


def test_the_network_works_while_the_caller_does():
    """When the first output comes out, the second batch has been given to the network."""
    started = []

    def count(inputs):
        started.append(len(inputs))
        return program(inputs)

    outputs = run(range(12), program=count)
    next(outputs)
    assert len(started) == 2


@pytest.mark.parametrize("batch_size", [1, 4])
def test_no_more_is_read_ahead_than_a_few_batches(batch_size):
    taken = []

    def source():
        for item in range(1000):
            taken.append(item)
            yield item

    outputs = run(source(), batch_size)
    for _ in range(3):
        next(outputs)
    assert len(taken) <= 3 + 3 * batch_size + 2 * READERS
    outputs.close()


@pytest.mark.parametrize("batch_size", [1, 4])
def test_large_pictures_are_few_in_memory(batch_size, monkeypatch):
    """However many are to come, and however slow the network is; order and outputs are those of small ones."""
    monkeypatch.setattr(streaming, "HELD_BYTES", 2000)
    monkeypatch.setattr(streaming, "BATCH_BYTES", 1000)
    alive: weakref.WeakSet[Large] = weakref.WeakSet()
    most = []

    def read_large(item, target):
        target[:] = 10 * item
        pixels = np.full(600, item).view(Large)  # 4800 bytes
        alive.add(pixels)
        most.append(len(alive))
        return pixels

    numbers = []
    for pixels, output in run(iter(range(60)), batch_size, read=read_large):
        assert float(output["mean"]) == 10 * int(pixels[0])
        numbers.append(int(pixels[0]))
    assert numbers == list(range(60))
    assert max(most) <= READERS + 4  # those begun before the first was there; one with the caller, two at the network


class Large(np.ndarray):
    """Pixels of which a test can tell whether they are still in memory."""

    __hash__ = object.__hash__

    def __eq__(self, other):
        return self is other


def test_the_source_is_used_in_the_callers_thread():
    threads = set()

    def source():
        for item in range(20):
            threads.add(threading.get_ident())
            yield item

    list(run(source()))
    assert threads == {threading.get_ident()}


def test_an_abandoned_loop_leaves_no_threads():
    before = threading.active_count()
    outputs = run(range(100))
    next(outputs)
    outputs.close()
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before  # those of tests before may have ended meanwhile


def test_batch_size():
    with pytest.raises(UserError, match="batch size 0"):
        list(run(range(3), 0))
