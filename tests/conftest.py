"""Set-up shared by all tests: one CPU device program cache, quiet TensorFlow, one tiny trained detector."""

import fcntl
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent.parent / ".pytest_cache" / "xla"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

# The gate draws the same examples every time: what it refuses can be run again. Elsewhere the draws are new.
settings.register_profile("project", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("project")


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
