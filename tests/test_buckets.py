"""Workdirs in a bucket, which `tests.bucket` serves on this machine."""

import errno
import json
import logging
import threading

import pytest

pytest.importorskip("gcsfs")
pytest.importorskip("gcp_storage_emulator")

from tests import bucket as buckets_here  # noqa: E402
from yolo9000_jax import buckets  # noqa: E402
from yolo9000_jax.errors import UserError  # noqa: E402
from yolo9000_jax.files import read_text, write_whole  # noqa: E402
from yolo9000_jax.places import as_path, refresh  # noqa: E402
from yolo9000_jax.workdir import lock  # noqa: E402


@pytest.fixture(scope="module")
def bucket():
    """One server for all tests of the module; none asks another's folder."""
    with buckets_here.serve() as bucket:
        yield bucket


@pytest.fixture
def place(bucket, request):
    """A folder of its own for a test."""
    yield as_path(f"gs://pod/{request.node.name.partition('[')[0]}")
    bucket.fault = lambda method, path: None


@pytest.fixture
def hasty(monkeypatch):
    """Little patience; enough for several attempts, however slow the machine."""
    monkeypatch.setattr(buckets, "PATIENCE_S", 3.0)
    monkeypatch.setattr(buckets, "FIRST_DELAY_S", 0.05)


def test_a_path_does_what_a_folder_does(place, tmp_path):
    """Each line says the same of a folder and of a bucket."""
    for root in (place, tmp_path / "root"):
        assert not root.exists() and not root.is_dir() and not root.is_file() and list(root.glob("*")) == []
        write_whole(root / "a/1/b.txt", "grün\n")
        write_whole(root / "a/2/b.txt", b"\x00\xff")
        write_whole(root / "c", "")
        assert root.is_dir() and (root / "a").is_dir() and not (root / "a").is_file() and (root / "c").is_file()
        assert sorted(path.name for path in root.iterdir()) == ["a", "c"]
        assert sorted(str(path.relative_to(root)) for path in root.glob("a/[0-9]*/b.txt")) == ["a/1/b.txt", "a/2/b.txt"]
        assert read_text(root / "a/1/b.txt") == "grün\n" and (root / "a/2/b.txt").read_bytes() == b"\x00\xff"
        assert (root / "a/2").parent == root / "a" and (root / "a").resolve() == root / "a"
        with (root / "new").open("x") as file:
            file.write("one")
        with pytest.raises(FileExistsError), (root / "new").open("x") as file:
            file.write("two")
        assert (root / "new").read_text() == "one"
        with pytest.raises(ZeroDivisionError), (root / "half").open("x"):
            _ = 1 / 0
        (root / "new").unlink()
        (root / "new").unlink(missing_ok=True)
        with pytest.raises(FileNotFoundError) as caught:
            (root / "new").unlink()
        assert caught.value.strerror
        (root / "a/1").rename(root / "moved")
        assert (root / "moved/b.txt").is_file() and not (root / "a/1").exists()
        with pytest.raises(UserError, match="cannot be read .no such"):
            read_text(as_path("gs://pod/not/there") if root is place else _no_such(root))


def _no_such(root):
    class Missing(type(root)):
        def read_bytes(self):
            raise FileNotFoundError(errno.ENOENT, "no such file")

    return Missing(root / "nothing")


def test_what_is_refused_or_removed_is_not_written(bucket, place):
    """Of the emulated bucket itself, whose count says when `kill_and_resume.py` kills."""
    before = bucket.storage.writes
    for name in ("one", "two"):
        write_whole(place / name, name)
    with pytest.raises(FileExistsError), (place / "one").open("x") as file:
        file.write("another")
    (place / "one").unlink()
    assert bucket.storage.writes == before + 2 and bucket.storage.written.endswith("/two")


def test_one_of_many_makes_an_object(place):
    """The claim of a workdir: the bucket, not a look at it, says who was first."""
    made, start = [], threading.Barrier(8)

    def claim(number):
        start.wait()
        try:
            with (place / "claim").open("x") as file:
                file.write(str(number))
            made.append(number)
        except FileExistsError:
            pass

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1 and (place / "claim").read_text() == str(made[0])


def test_a_claim_whose_answer_was_lost_is_ones_own(bucket, place, hasty, monkeypatch):
    """The second attempt finds what the first one made."""
    real, lost = buckets._Store._once, []

    async def once(self, method, *arguments, **options):
        answer = await real(self, method, *arguments, **options)
        if method == "POST" and not lost:
            lost.append(True)
            raise ConnectionResetError("no answer")
        return answer

    monkeypatch.setattr(buckets._Store, "_once", staticmethod(once))
    with (place / "claim").open("x") as file:
        file.write("mine")
    assert lost and (place / "claim").read_text() == "mine"


def test_a_workdir_is_held(place):
    with lock.lock_workdir(place) as check:
        check()
        owner = json.loads((place / lock.NAME).read_text())
        with pytest.raises(lock.WorkdirInUse, match="trains here"), lock.lock_workdir(place):
            pass
        write_whole(place / lock.NAME, json.dumps(owner | {"id": "another"}))
        with pytest.raises(UserError, match="taken over by"):
            check()
        write_whole(place / lock.NAME, json.dumps(owner))
    assert not place.exists()


def test_a_dead_runs_workdir_is_taken_over(place, monkeypatch):
    """By the time of the object, which heartbeats renew and do not bring back."""
    owner = {"host": "gone", "pid": 1, "machine": "another", "id": "old", "since": "then"}
    write_whole(place / lock.NAME, json.dumps(owner))
    before = (place / lock.NAME).stat().st_mtime
    monkeypatch.setattr(lock, "DEAD_S", -1.0)
    with lock.lock_workdir(place):
        assert json.loads((place / lock.NAME).read_text())["id"] != "old"
    write_whole(place / lock.NAME, "x")
    refresh(place / lock.NAME)
    assert (place / lock.NAME).stat().st_mtime >= before
    (place / lock.NAME).unlink()
    with pytest.raises(FileNotFoundError):
        refresh(place / lock.NAME)


def test_answers_that_pass(bucket, place, hasty):
    """Five bad answers, and nothing of them is seen."""
    left = [500, 503, 429, 502, 408]
    bucket.fault = lambda method, path: left.pop() if left else None
    write_whole(place / "a", "text")
    assert not left and (place / "a").read_text() == "text"


@pytest.mark.parametrize(
    ("status", "reason"), [(503, r"did not answer as it should within \d+ s"), (403, "no permission"), (401, "no perm")]
)
def test_answers_that_stay(bucket, place, hasty, status, reason):
    """One line, and nobody takes not knowing for an empty place."""
    bucket.fault = lambda method, path: status
    with pytest.raises(UserError, match=reason) as caught:
        write_whole(place / "a", "text")
    assert str(caught.value).startswith(f"{place}/a: cannot be written (") and "\n" not in str(caught.value)
    for look in (place.exists, place.is_file, place.is_dir, lambda: list(place.glob("*"))):
        with pytest.raises(OSError, match=reason):
            look()
    with pytest.raises(UserError, match=reason), lock.lock_workdir(place):
        pass


def test_a_slow_answer_counts_as_none(bucket, place, hasty, monkeypatch):
    import aiohttp

    waits, done = threading.Event(), []

    def slow(method, path):
        waits.wait()
        done.append(path)

    bucket.fault = slow
    monkeypatch.setattr(buckets._store(__import__("os").getpid()), "requests_timeout", aiohttp.ClientTimeout(total=0.1))
    try:
        with pytest.raises(UserError, match="did not answer"):
            write_whole(place / "a", "text")
    finally:
        waits.set()


def test_no_such_bucket(bucket, refused):
    line = refused("evaluate", "--workdir", "gs://no-such-bucket/run")
    assert "gs://no-such-bucket/run" in line
    with pytest.raises(UserError, match="no such bucket"), lock.lock_workdir(as_path("gs://no-such-bucket/run")):
        pass


def test_what_is_missing_is_said(monkeypatch, refused):
    from yolo9000_jax import places

    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name="gcsfs")

    places._bucket_path.cache_clear()
    monkeypatch.setattr(places.importlib, "import_module", missing)
    line = refused("evaluate", "--workdir", "gs://pod/run")
    assert "gs:// needs gcsfs, which is not installed: pip install yolo9000_jax[gcs]" in line
    places._bucket_path.cache_clear()


def test_nothing_is_logged_twice(caplog):
    assert logging.getLogger("gcsfs").level == logging.CRITICAL
