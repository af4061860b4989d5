"""One run a workdir: refused, taken over from the dead, released, waited for."""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from unittest.mock import Mock

import pytest

from yolo9000_jax.errors import UserError
from yolo9000_jax.places import as_path
from yolo9000_jax.workdir import lock


def refused(workdir, **options) -> str:
    with pytest.raises(UserError) as caught, lock.lock_workdir(workdir, **options):
        pytest.fail("the workdir was locked twice")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write_lock(workdir, silence=0.0, **changes):
    """A lock of a run on another machine, whose last heartbeat was `silence` seconds ago."""
    owner = {"host": "elsewhere", "pid": 12, "machine": "x", "id": "1", "since": "yesterday"} | changes
    (workdir / lock.NAME).write_text(json.dumps(owner))
    then = time.time() - silence
    os.utime(workdir / lock.NAME, (then, then))


def test_a_second_run_is_refused_and_changes_nothing(tmp_path):
    with lock.lock_workdir(tmp_path):
        held = (tmp_path / lock.NAME).read_bytes()
        message = refused(tmp_path)
        assert f"{tmp_path}: process {os.getpid()} on " in message and "(since 20" in message
        assert "wait for it, stop it, or choose another workdir" in message and "3 minutes" in message
        assert (tmp_path / lock.NAME).read_bytes() == held
    assert list(tmp_path.iterdir()) == []
    with lock.lock_workdir(tmp_path):
        pass


def test_released_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), lock.lock_workdir(tmp_path / "a/b"):
        assert (tmp_path / "a/b" / lock.NAME).is_file()
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []  # folders that nothing came into go too


def test_a_used_folder_stays(tmp_path):
    with lock.lock_workdir(tmp_path / "run"):
        (tmp_path / "run/metrics.jsonl").write_text("")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["metrics.jsonl"]


def test_the_dead_of_this_machine(tmp_path):
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    write_lock(tmp_path, machine=lock._machine(), pid=int(done.stdout))
    with lock.lock_workdir(tmp_path):
        assert json.loads((tmp_path / lock.NAME).read_text())["pid"] == os.getpid()


def test_the_living_and_an_earlier_process_of_this_number(tmp_path):
    write_lock(tmp_path, machine=lock._machine(), pid=os.getppid())
    assert f"process {os.getppid()} on elsewhere (since yesterday)" in refused(tmp_path)
    write_lock(tmp_path, machine=lock._machine(), pid=os.getpid())
    with lock.lock_workdir(tmp_path):
        pass


def test_other_machines(tmp_path, monkeypatch):
    for silence in (0, lock.DOUBTFUL_S - 5):
        write_lock(tmp_path, silence)
        assert "process 12 on elsewhere" in refused(tmp_path)
    write_lock(tmp_path, lock.DEAD_S + 1)
    with lock.lock_workdir(tmp_path):
        pass
    assert not (tmp_path / lock.NAME).exists()
    # In between it waits, and takes over once the time is up.
    monkeypatch.setattr(lock, "POLL_S", 0.05)
    write_lock(tmp_path, lock.DEAD_S - 0.3)
    begun = time.monotonic()
    with lock.lock_workdir(tmp_path):
        assert 0.2 < time.monotonic() - begun < 30


def test_a_lock_that_is_being_written(tmp_path):
    (tmp_path / lock.NAME).touch()
    assert f"{tmp_path}: another run trains here" in refused(tmp_path)


def test_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "HEARTBEAT_S", 0.02)
    with lock.lock_workdir(tmp_path):
        os.utime(tmp_path / lock.NAME, (1000, 1000))
        until = time.monotonic() + 30
        while (tmp_path / lock.NAME).stat().st_mtime == 1000 and time.monotonic() < until:
            time.sleep(0.02)
        assert time.time() - (tmp_path / lock.NAME).stat().st_mtime < 30
    assert not any(thread.name.startswith("lock ") for thread in threading.enumerate())


def test_a_run_that_lost_its_workdir_says_so_and_leaves_it(tmp_path):
    with pytest.raises(UserError, match="taken over by process 12 on elsewhere"), lock.lock_workdir(tmp_path) as check:
        check()
        write_lock(tmp_path)
        check()
    assert json.loads((tmp_path / lock.NAME).read_text())["host"] == "elsewhere"


def test_one_of_many_gets_it(tmp_path):
    """Also if all find a dead lock at the same time."""
    write_lock(tmp_path, lock.DEAD_S + 1)
    got, ready, leave = [], threading.Barrier(8), threading.Event()

    def run():
        ready.wait()
        try:
            with lock.lock_workdir(tmp_path):
                got.append(True)
                leave.wait(30)
        except UserError:
            got.append(False)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 30
    while len(got) < 8 and time.monotonic() < until:
        time.sleep(0.01)
    leave.set()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 7 + [True]
    assert list(tmp_path.iterdir()) == []


def test_another_thread_sees_the_file_at_once(tmp_path, monkeypatch):
    """Two got it: the second saw the first's file before the first was known to be held by this process."""
    real, tried = lock._take, []

    def take(path, mine):
        real(path, mine)
        if not tried:
            tried.append(True)
            thread = threading.Thread(target=lambda: tried.append(refused(tmp_path)))
            thread.start()
            thread.join()

    monkeypatch.setattr(lock, "_take", take)
    with lock.lock_workdir(tmp_path):
        assert f"process {os.getpid()} on " in tried[1]


def test_folders_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    assert f"{tmp_path / 'file'}: cannot make this folder" in refused(tmp_path / "file")


@pytest.mark.parametrize("url", ["s3://bucket/run", "https://bucket", "gs:/bucket/run"])
def test_other_urls_are_no_workdirs(url):
    with pytest.raises(UserError, match=r"not a folder, nor gs://BUCKET/PATH, .* mount what it names \(bucket\)"):
        as_path(url)
    assert str(as_path("runs/a:b")) == "runs/a:b"


def test_no_space_for_the_lock(tmp_path, monkeypatch):
    """The file was left empty, and kept the next run out for three minutes."""
    with monkeypatch.context() as patch:
        patch.setattr(lock.json, "dump", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(UserError, match=r"running.json: cannot be written \(No space left on device\); free some"):
            lock.lock_workdir(tmp_path).__enter__()
    assert not list(tmp_path.iterdir())
    with lock.lock_workdir(tmp_path):
        pass
