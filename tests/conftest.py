"""Set-up shared by all tests: one CPU device program cache, quiet TensorFlow, one tiny trained detector."""

import ctypes
import fcntl
import gc
import logging
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent.parent / ".pytest_cache" / "xla"))
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # programs that run for a few steps
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")  # shared with processes that tests start

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

# The gate draws the same examples every time: what it refuses can be run again. Elsewhere the draws are new.
settings.register_profile("project", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("project")


MOST_BYTES = 3 << 29  # that a worker keeps between two tests, as far as it can


@pytest.fixture(autouse=True)
def memory():
    """What tests have compiled is let go when it has become much: a worker's memory does not grow with the suite."""
    yield
    if sys.platform != "linux" or "jax" not in sys.modules:
        return
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    if resident > MOST_BYTES:
        sys.modules["jax"].clear_caches()
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)


@pytest.fixture
def optimised():
    """Programs that run for many steps, or are large, are worth optimising."""
    import jax

    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture
def run(capsys):
    """run(*arguments) -> (status, stdout, stderr)."""

    def run(*arguments):
        from yolo9000_jax import cli

        capsys.readouterr()
        status = cli.main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def refused(run):
    """refused(*arguments) -> the one line on stderr."""

    def refused(*arguments):
        status, _, error = run(*arguments)
        assert status == 1
        assert error.startswith("yolo9000: ") and error.endswith("\n") and error.count("\n") == 1, error
        return error

    return refused


@pytest.fixture
def said():
    """The lines that the package's logger is given during the test."""
    from yolo9000_jax.logs import logger

    lines, level = [], logger.level
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture(scope="session")
def trained(tmp_path_factory, worker_id):
    """The workdir of a run of `tests.tiny.tiny_config`, its data beside it in `data`; nobody may write into it."""
    from tests import tiny

    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "tiny"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the workers of one test run share it
        if not (folder / "compilations.json").is_file():
            tiny.train_once(folder)
    return folder / "run"
