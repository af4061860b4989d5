"""One run a workdir: a file in it says who trains there, and is touched for as long as that run lives."""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from yolo9000_jax.errors import UserError
from yolo9000_jax.logs import logger
from yolo9000_jax.places import is_in_bucket, refresh

NAME = "running.json"
HEARTBEAT_S = 30.0  # between two heartbeats
DOUBTFUL_S = 75.0  # without one: wait and see
DEAD_S = 180.0  # without one: gone
POLL_S = 5.0

_held: set[str] = set()  # ids of the locks of this very process


class WorkdirInUse(UserError):
    """Another run has the workdir."""


@contextmanager
def lock_workdir(workdir: Path) -> Iterator[Callable[[], None]]:
    """Holds a workdir, which is made if need be, for this run: `with lock_workdir(workdir) as check`.

    Of two runs one gets it: the file is made atomically (O_CREAT | O_EXCL), also on file systems that machines share;
    in a bucket on the condition that it is not there (if-generation-match: 0). A
    lock whose process is no longer there is taken over: at once if it was on this machine, on another after three
    minutes without a heartbeat. Of the processes of one run on many hosts the first calls this, for all.

    Args:
        workdir: a folder, or a place in a bucket.

    Yields:
        A function that raises UserError if another run has taken over, which can only be after this one seemed dead.

    Raises:
        WorkdirInUse: another run has the workdir.
        UserError: it cannot be written.
    """
    new = _make(workdir)
    mine: dict[str, Any] = {"host": socket.gethostname(), "pid": os.getpid(), "machine": _machine()}
    mine["id"] = uuid.uuid4().hex
    mine["since"] = time.strftime("%Y-%m-%d %H:%M:%S %z")
    path, ended = workdir / NAME, threading.Event()
    _held.add(mine["id"])  # before another thread can see the file
    try:
        _take(path, mine)
    except BaseException:
        _held.discard(mine["id"])
        raise
    heartbeats = threading.Thread(target=_send_heartbeats, args=(path, ended), name=f"lock {workdir}", daemon=True)
    heartbeats.start()

    def check() -> None:
        if (owner := _read(path)) and owner["id"] != mine["id"]:
            raise UserError(f"{workdir}: taken over by {_describe(owner)}, as this run gave no heartbeat; it stops")

    try:
        yield check
    finally:
        ended.set()
        heartbeats.join()
        _held.discard(mine["id"])
        if (_read(path) or {}).get("id") == mine["id"]:
            path.unlink(missing_ok=True)
        for folder in new:
            with suppress(OSError):
                folder.rmdir()  # only if nothing came into it


def _make(workdir: Path) -> list[Path]:
    """Makes the folder; which ones had to be made, the innermost first. A bucket needs none."""
    if is_in_bucket(workdir):
        return []
    new = [folder for folder in (workdir, *workdir.parents) if not folder.exists()]
    try:
        workdir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{workdir}: cannot make this folder ({error.strerror}); choose another workdir") from error
    return new


def _take(path: Path, mine: dict) -> None:
    told = False
    while True:
        made = False
        try:
            with path.open("x") as file:
                made = True
                json.dump(mine, file)
            return
        except FileExistsError:
            pass
        except OSError as error:
            if made:  # as on a disk that is full: an empty lock would keep the next run out
                with suppress(OSError):
                    path.unlink()
            raise UserError(
                f"{path}: cannot be written ({error.strerror}); free some space, or choose another workdir"
            ) from error
        owner, silence = _read(path), _silence(path)
        if silence > DEAD_S or _is_gone(owner, mine):
            _remove(path, mine)
            continue
        if owner is None and not path.exists():
            continue  # it has just ended
        if silence < DOUBTFUL_S:
            raise WorkdirInUse(
                f"{path.parent}: {_describe(owner)} trains here: wait for it, stop it, or choose another workdir; "
                f"once it has given no heartbeat for {DEAD_S / 60:g} minutes the same command takes over"
            )
        if not told:
            logger.info(f"{path.parent}: {_describe(owner)} has given no heartbeat for a while; waiting to see")
            told = True
        time.sleep(POLL_S)


def _remove(path: Path, mine: dict) -> None:
    """Removes a dead run's lock; of several that find it dead one does, so that none removes the lock of the next."""
    guard = path.with_name(f"{NAME}.takeover")
    try:
        guard.open("x").close()
    except OSError as error:
        if not isinstance(error, FileExistsError):
            raise UserError(
                f"{path}: cannot be removed ({error.strerror}), though its run is gone: remove it"
            ) from error
        if _silence(guard) > DEAD_S:  # whoever made it died at it
            guard.unlink(missing_ok=True)
        time.sleep(0.05)
        return
    try:
        if _silence(path) > DEAD_S or _is_gone(_read(path), mine):
            path.unlink(missing_ok=True)
    finally:
        guard.unlink(missing_ok=True)


def _silence(path: Path) -> float:
    """Seconds since the last heartbeat; 0 where the file is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _send_heartbeats(path: Path, ended: threading.Event) -> None:
    while not ended.wait(HEARTBEAT_S):
        with suppress(OSError):  # a file system that does not answer for a while
            refresh(path)


def _read(path: Path) -> dict | None:
    """Who holds the lock; None where nobody does, or it is being written just now."""
    try:
        owner = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return owner if isinstance(owner, dict) and {"host", "pid", "machine", "id", "since"} <= set(owner) else None


def _is_gone(owner: dict | None, mine: dict) -> bool:
    """Whether the owner was a process of this machine that is no longer there."""
    if owner is None or owner["machine"] != mine["machine"]:
        return False
    if owner["pid"] == os.getpid():
        return owner["id"] not in _held  # of an earlier process of the same number
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False  # it is another user's
    return False


def _machine() -> str:
    """What tells apart machines, their starts, and containers, where process numbers mean something else."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return f"{socket.gethostname()} {uuid.getnode()}"


def _describe(owner: dict | None) -> str:
    if owner is None:
        return "another run"
    return f"process {owner['pid']} on {owner['host']} (since {owner['since']})"
