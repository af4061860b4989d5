"""Where the time of a run goes, and what it costs: goodput.json, over all starts of its workdir."""

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from yolo9000_jax import hosts
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import write_whole
from yolo9000_jax.logs import logger
from yolo9000_jax.training import parallel
from yolo9000_jax.workdir.facts import GOODPUT

STATES = ("starting", "compiling", "waiting", "steps", "saving", "evaluating", "lost")
REPEATED = ("waiting", "steps")  # what is lost where a run is killed and steps are done again
KEPT_MARKS = 4  # as many as there can be checkpoints to go on from, and some more


class Spent(NamedTuple):
    """Seconds of training since the last report.

    steps: the devices worked. waiting: they waited for pictures; of several hosts, those of the host that waited
    longest, as the others then wait for it. host: which that was.
    """

    steps: float
    waiting: float
    host: int = 0


class Watch:
    """Notices when the devices are done with what they were given last: from then on they wait for more."""

    def __init__(self, clock: Callable[[], float]):
        self._clock = clock
        self._sent, self._done = 0, (0, 0.0)
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def sent(self, result: Any) -> None:
        """Takes what a step will give, which may not be there yet."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)  # devices that hang keep no process alive
            self._thread.start()
        self._sent += 1
        self._queue.put((self._sent, result))

    def idle_since(self) -> float | None:
        """When the last step was done; None: it is not."""
        number, moment = self._done
        return moment if number == self._sent else None

    def close(self) -> None:
        """Ends the thread, once all steps are done."""
        self._queue.put(None)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            with suppress(Exception):  # which the training itself will meet
                jax.block_until_ready(item[1])
            self._done = (item[0], self._clock())


class Goodput:
    """An account of the time of one process of a run, added to that of the processes before it.

    At any moment the time goes to one of `STATES`, so their sum is the time that processes ran. A step works on the
    devices while the program goes on: waiting for a batch counts as waiting from when the devices are done.

    goodput.json, of the first host: {"seconds": {state: s}, "goodput": share of "steps", "core_s": processor seconds of
    all threads, of those processes that counted them, "starts": how many processes, "away_s": between the last account
    of one and the start of the next, "until": when it was written (Unix time), "saved": {step: what "waiting" and
    "steps" were when its checkpoint was made}}.

    Args:
        workdir: of the run.
        clock: seconds since some fixed moment, the same one in every process.
        watch: of the devices; None: a real one.
    """

    def __init__(self, workdir: Path, clock: Callable[[], float] = time.time, watch: Any = None):
        self._path, self._clock = workdir / GOODPUT, clock
        self._watch = watch or Watch(clock)
        self._state, self._since = "starting", clock()
        self._began = self._since
        self._seconds = dict.fromkeys(STATES, 0.0)
        self._saved: dict[str, dict[str, float]] = {}
        self._away, self._starts = 0.0, 0
        self._core_s, self._process_began = 0.0, time.process_time()
        self._reported = dict.fromkeys(REPEATED, 0.0)

    def begin(self, step: int) -> None:
        """Takes over the account of the processes before this one, which goes on from `step`; what they did after
        that is lost."""
        before = _read(self._path, "it begins anew") if parallel.is_first() else {}
        self._starts = before.get("starts", 0) + 1
        if before:
            for state in STATES:
                self._seconds[state] += before["seconds"][state]
            self._away = before["away_s"] + max(0.0, self._began - before["until"])
            self._core_s = before.get("core_s", 0.0)  # earlier versions counted none
            self._saved = {key: mark for key, mark in before["saved"].items() if int(key) <= step}
            mark = self._saved.get(max(self._saved, key=int, default=""), dict.fromkeys(REPEATED, 0.0))
            for state in REPEATED:
                self._move(state, "lost", self._seconds[state] - mark[state])
        self._reported = {state: self._seconds[state] for state in REPEATED}
        self.write()

    @contextmanager
    def spending(self, state: str) -> Iterator[None]:
        """The time within goes to `state`."""
        self._charge()
        before, self._state = self._state, state
        try:
            yield
        finally:
            self._charge()
            self._state = before

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Within, the program waits for a batch; before the first step that is a part of starting."""
        self._charge()
        began = self._since
        try:
            yield
        finally:
            self._charge()
            idle_since = self._watch.idle_since()
            if self._state == "steps" and idle_since is not None:
                self._move("steps", "waiting", max(0.0, self._since - max(began, idle_since)))

    def sent(self, result: Any) -> None:
        """A step is on its way to the devices, and will give `result`; from the first one on, time goes to steps."""
        self._charge()
        self._state = "steps"
        self._watch.sent(result)

    def mark(self, step: int) -> None:
        """Notes that the state after `step` is about to be saved: what came before is not lost any more."""
        self._charge()
        self._saved[str(step)] = {state: self._seconds[state] for state in REPEATED}
        self._saved = dict(sorted(self._saved.items(), key=lambda item: int(item[0]))[-KEPT_MARKS:])
        self.write()

    def report(self) -> Spent:
        """Writes the account, and says what was spent since the last report; to be called by all hosts at once."""
        self._charge()
        steps, waiting = (self._seconds[state] - self._reported[state] for state in ("steps", "waiting"))
        all_waiting = [float(each["waiting"]) for each in hosts.of_all(lambda: {"waiting": np.array(waiting)})]
        longest = max(all_waiting)
        more = min(max(0.0, longest - waiting), steps)  # of the steps here: they waited for the slowest host
        self._move("steps", "waiting", more)
        self._reported = {state: self._seconds[state] for state in REPEATED}
        self.write()
        return Spent(steps - more, waiting + more, all_waiting.index(longest))

    def write(self) -> None:
        """Writes goodput.json, on the first host. Raises UserError where it cannot."""
        if not parallel.is_first() or not self._starts:
            return
        self._charge()
        total = sum(self._seconds.values())
        content = {
            "seconds": _rounded(self._seconds),
            "goodput": round(self._seconds["steps"] / total, 4) if total else 0.0,
            "core_s": round(self._core_s + time.process_time() - self._process_began, 3),
            "starts": self._starts,
            "away_s": round(self._away, 3),
            "until": round(self._since, 3),
            "saved": {step: _rounded(mark) for step, mark in self._saved.items()},
        }
        write_whole(self._path, json.dumps(content, indent=1) + "\n")

    def close(self) -> None:
        """Writes the account a last time, if that is possible."""
        with suppress(UserError):  # said already by what could not be written before
            self.write()
        self._watch.close()

    def _charge(self) -> None:
        """Gives the time since the last call to the present state."""
        now = self._clock()
        self._seconds[self._state] += max(0.0, now - self._since)  # a clock that is set back takes nothing away
        self._since = now

    def _move(self, source: str, target: str, seconds: float) -> None:
        self._seconds[source] -= seconds
        self._seconds[target] += seconds


def core_seconds(folder: Path) -> float | None:
    """Processor seconds of all attempts at what is in a folder; None where they were not counted."""
    return _read(folder / GOODPUT, "its processor time is not known").get("core_s")


def _rounded(seconds: dict[str, float]) -> dict[str, float]:
    return {state: round(value, 3) for state, value in seconds.items()}


def _read(path: Path, otherwise: str) -> dict[str, Any]:
    """What `write` wrote; {} where there is nothing, or nothing that can be read, which is said, with what follows."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text())
        numbers = [content[key] for key in ("away_s", "until", "starts")] + [content.get("core_s", 0.0)]
        numbers += [content["seconds"][state] for state in STATES]
        numbers += [mark[state] for step, mark in content["saved"].items() for state in REPEATED if int(step) >= 0]
        if not all(isinstance(number, int | float) for number in numbers):
            raise ValueError("not numbers")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        logger.warning(f"{path}: is no account that this version wrote: {otherwise}")
        return {}
    return content
