"""The account of a run's time, by a clock that the test moves."""

import json
import threading

import jax.numpy as jnp
import numpy as np
import pytest

from yolo9000_jax import hosts
from yolo9000_jax.training import goodput
from yolo9000_jax.training.goodput import Goodput, Spent, Watch, core_seconds


class World:
    """The time, and since when the devices are idle."""

    def __init__(self):
        self.now, self.idle = 500.0, None

    def clock(self):
        return self.now

    def sent(self, result):
        self.idle = None

    def idle_since(self):
        return self.idle

    def close(self):
        pass


@pytest.fixture
def world():
    return World()


def start(folder, world, step=0):
    account = Goodput(folder, world.clock, world)
    account.begin(step)
    return account


def read(folder):
    return json.loads((folder / "goodput.json").read_text())


def seconds(folder):
    return {state: value for state, value in read(folder)["seconds"].items() if value}


def train(account, world, input_s, step_s):
    """One step, whose batch comes after `input_s` and which ends `step_s` after it began, the next input meanwhile."""
    with account.waiting():
        if world.idle is None and world.sent_at is not None:
            done = world.sent_at + step_s
            world.idle = done if done <= world.now + input_s else None
        world.now += input_s
    account.sent(None)
    world.sent_at = world.now


@pytest.mark.parametrize(
    ("input_s", "step_s", "waited"),
    [(5.0, 2.0, 3.0), (2.0, 2.0, 0.0), (1.0, 2.0, 0.0)],
)
def test_waiting_is_from_when_the_devices_are_done(tmp_path, world, input_s, step_s, waited):
    """An input that takes 5 s beside steps of 2 s keeps the devices waiting for 3."""
    account = start(tmp_path, world)
    world.sent_at = None
    for _ in range(4):
        train(account, world, input_s, step_s)
    assert account.report() == pytest.approx(Spent(3 * (input_s - waited), 3 * waited))
    assert seconds(tmp_path)["starting"] == input_s  # the first batch
    assert sum(seconds(tmp_path).values()) == world.now - 500


def test_every_second_goes_somewhere_once(tmp_path, world):
    account = start(tmp_path, world)
    for state, duration in (("compiling", 7.0), ("evaluating", 11.0), ("saving", 13.0)):
        world.now += 1
        with account.spending(state):
            world.now += duration
            with account.spending("saving"):
                world.now += 0.5
    account.close()
    assert seconds(tmp_path) == {"starting": 3.0, "compiling": 7.0, "evaluating": 11.0, "saving": 14.5}


def test_a_kill_loses_at_most_what_came_after_the_last_report(tmp_path, world):
    account = start(tmp_path, world)
    account.sent(None)
    world.now += 8
    account.mark(10)
    world.now += 4
    account.report()
    world.now += 2  # killed here: nothing is written any more
    world.now += 50
    again = start(tmp_path, world, step=10)
    assert seconds(tmp_path) == {"steps": 8.0, "lost": 4.0} and read(tmp_path)["away_s"] == 52.0
    again.sent(None)
    world.now += 3
    again.close()
    assert read(tmp_path)["starts"] == 2 and seconds(tmp_path)["steps"] == 11.0
    assert sum(seconds(tmp_path).values()) + read(tmp_path)["away_s"] == world.now - 500


def test_a_start_from_an_earlier_checkpoint_loses_more(tmp_path, world):
    account = start(tmp_path, world)
    account.sent(None)
    for step in range(10, 80, 10):
        world.now += 1
        account.mark(step)
    account.close()
    start(tmp_path, world, step=60)
    assert seconds(tmp_path) == {"steps": 6.0, "lost": 1.0}
    assert list(read(tmp_path)["saved"]) == ["40", "50", "60"]


def test_the_slowest_host_sets_the_pace(tmp_path, world, monkeypatch):
    """The others wait for it within their steps, which their own account can't tell from work."""
    others = [{"waiting": np.array(waited)} for waited in (6.0, 1.0)]
    monkeypatch.setattr(hosts, "of_all", lambda action: [action(), *others])
    account = start(tmp_path, world)
    account.sent(None)
    world.now += 10
    assert account.report() == Spent(4.0, 6.0, 1)
    assert seconds(tmp_path) == {"steps": 4.0, "waiting": 6.0}


def test_a_clock_that_is_set_back(tmp_path, world):
    account = start(tmp_path, world)
    world.now -= 100
    account.close()
    assert seconds(tmp_path) == {}


def test_processor_seconds_of_all_attempts_add_up(tmp_path, world, monkeypatch):
    """Also of one that is killed, up to what it had written."""
    clock = iter((100, 105, 107, 5, 5, 35))
    monkeypatch.setattr(goodput.time, "process_time", lambda: next(clock))
    assert core_seconds(tmp_path) is None
    account = start(tmp_path, world)
    assert core_seconds(tmp_path) == 5
    account.write()
    assert core_seconds(tmp_path) == 7
    start(tmp_path, world).close()
    assert core_seconds(tmp_path) == 7 + 30


@pytest.mark.parametrize("content", ["{", "[]", '{"seconds": {}}', '{"seconds": 3, "away_s": "x"}'])
def test_a_file_that_is_no_account(tmp_path, world, said, content):
    (tmp_path / "goodput.json").write_text(content)
    assert core_seconds(tmp_path) is None
    assert said.pop().endswith("is no account that this version wrote: its processor time is not known")
    start(tmp_path, world)
    assert said == [f"{tmp_path / 'goodput.json'}: is no account that this version wrote: it begins anew"]
    assert read(tmp_path)["starts"] == 1


def test_an_account_of_before_processor_seconds_goes_on(tmp_path, world, said):
    start(tmp_path, world).close()
    account = read(tmp_path)
    del account["core_s"]
    (tmp_path / "goodput.json").write_text(json.dumps(account))
    assert core_seconds(tmp_path) is None
    start(tmp_path, world).close()
    assert read(tmp_path)["starts"] == 2 and core_seconds(tmp_path) >= 0 and not said


def test_nothing_is_written_before_it_begins(tmp_path, world):
    Goodput(tmp_path, world.clock, world).close()
    assert not list(tmp_path.iterdir())


def test_the_watch_notices_the_end_of_a_step(monkeypatch):
    done = threading.Event()
    monkeypatch.setattr(goodput.jax, "block_until_ready", lambda result: done.wait(60))
    watch = Watch(lambda: 7.0)
    watch.sent(jnp.zeros(1))
    assert watch.idle_since() is None
    done.set()
    watch.close()
    watch._thread.join(60)
    assert watch.idle_since() == 7.0
